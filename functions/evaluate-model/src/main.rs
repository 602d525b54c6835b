//! `evaluate-model`: launches the evaluation job, and judges its metrics against thresholds.

mod aws;
mod baseline;
mod error;
mod handler;
mod policy;
mod settings;

use std::sync::Arc;

use handler::EvaluateModel;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = runtime::aws_config().await;
    let function = Arc::new(EvaluateModel::new(&config)?);
    runtime::serve(move |input, _| {
        let function = Arc::clone(&function);
        async move { function.handle(input).await }
    })
    .await
}
