//! `seal-artifact`: copies what a job wrote, by version, to a write-once place; hashes and manifests it.

mod error;
mod handler;
mod provenance;
mod settings;
mod written;

use std::sync::Arc;

use handler::SealArtifact;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = runtime::aws_config().await;
    let function = Arc::new(SealArtifact::new(&config)?);
    runtime::serve(move |input, invocation| {
        let function = Arc::clone(&function);
        async move { function.handle(input, invocation).await }
    })
    .await
}
