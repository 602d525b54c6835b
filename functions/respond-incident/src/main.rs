//! `respond-incident`: rolls an endpoint back or isolates it when an alarm, a finding or a person says so, and records it.

mod aws;
mod error;
mod event;
mod gather;
mod handler;
mod policy;
mod post_mortem;
mod settings;

use std::sync::Arc;

use handler::RespondIncident;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = runtime::aws_config().await;
    let function = Arc::new(RespondIncident::new(&config)?);
    runtime::serve(move |event, invocation| {
        let function = Arc::clone(&function);
        async move { function.handle(event, &invocation).await }
    })
    .await
}
