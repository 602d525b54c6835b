//! `download-model`: resolves a revision, fetches and verifies its files, seals the manifest.

mod error;
mod handler;
mod http_client;
mod hub;
mod hub_file;
mod policy;
mod progress;
mod settings;
mod signature;
mod transfer_plan;
mod tree;

use std::sync::Arc;

use handler::DownloadModel;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = runtime::aws_config().await;
    let function = Arc::new(DownloadModel::new(&config)?);
    runtime::serve(move |input, invocation| {
        let function = Arc::clone(&function);
        async move { function.handle(input, invocation).await }
    })
    .await
}
