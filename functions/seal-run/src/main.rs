//! `seal-run`: closes a run's record, stops what it left running, and notifies.

mod cleanup;
mod error;
mod handler;
mod history;
mod occasion;
mod settings;

use std::sync::Arc;

use handler::SealRun;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = runtime::aws_config().await;
    let function = Arc::new(SealRun::new(&config)?);
    runtime::serve(move |input, _| {
        let function = Arc::clone(&function);
        async move { function.handle(input).await }
    })
    .await
}
