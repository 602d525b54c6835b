//! `approve-package`: registers the model package, asks for approval, and signs who approved which digest.

mod aws;
mod card;
mod card_facts;
mod error;
mod handler;
mod lineage;
mod policy;
mod settings;
mod tracking;

use std::sync::Arc;

use handler::ApprovePackage;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = runtime::aws_config().await;
    let function = Arc::new(ApprovePackage::new(&config)?);
    runtime::serve(move |input, _| {
        let function = Arc::clone(&function);
        async move { function.handle(input).await }
    })
    .await
}
