//! `monitor-drift`: compares what endpoints are asked and answer with what their models were evaluated on.

mod aws;
mod error;
mod handler;
mod quality_window;
mod settings;

use std::sync::Arc;

use handler::MonitorDrift;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = runtime::aws_config().await;
    let function = Arc::new(MonitorDrift::new(&config)?);
    runtime::serve(move |input, _| {
        let function = Arc::clone(&function);
        async move { function.handle(input).await }
    })
    .await
}
