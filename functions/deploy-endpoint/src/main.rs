//! `deploy-endpoint`: verifies the evidence, then creates or updates the endpoint.

mod autoscaling;
mod aws;
mod error;
mod handler;
mod policy;
mod replay;
mod rollout;
mod settings;
mod smoke_test;

use std::sync::Arc;

use handler::DeployEndpoint;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = runtime::aws_config().await;
    let function = Arc::new(DeployEndpoint::new(&config)?);
    runtime::serve(move |input, _| {
        let function = Arc::clone(&function);
        async move { function.handle(input).await }
    })
    .await
}
