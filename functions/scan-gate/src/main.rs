//! `scan-gate`: sees to it that an image is scanned, and judges the findings by policy.

mod aws;
mod error;
mod handler;
mod policy;
mod settings;

use std::sync::Arc;

use handler::ScanGate;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = runtime::aws_config().await;
    let function = Arc::new(ScanGate::new(&config)?);
    runtime::serve(move |input, _| {
        let function = Arc::clone(&function);
        async move { function.handle(input).await }
    })
    .await
}
