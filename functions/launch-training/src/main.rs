//! `launch-training`: starts the training job, once, and signs what it did.

mod aws;
mod error;
mod handler;
mod policy;
mod settings;

use std::sync::Arc;

use handler::LaunchTraining;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = runtime::aws_config().await;
    let function = Arc::new(LaunchTraining::new(&config)?);
    runtime::serve(move |input, _| {
        let function = Arc::clone(&function);
        async move { function.handle(input).await }
    })
    .await
}
