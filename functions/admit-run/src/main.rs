//! `admit-run`: turns any trigger into one validated, deduplicated run.

mod data;
mod error;
mod handler;
mod image;
mod retrain;
mod settings;

use std::sync::Arc;

use handler::AdmitRun;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = runtime::aws_config().await;
    let function = Arc::new(AdmitRun::new(&config)?);
    runtime::serve(move |input, _| {
        let function = Arc::clone(&function);
        async move { function.handle(input).await }
    })
    .await
}
