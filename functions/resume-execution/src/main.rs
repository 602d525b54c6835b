//! `resume-execution`: turns a service event, or the sweep, into SendTaskSuccess, Failure or Heartbeat.

mod aws;
mod error;
mod event;
mod handler;
mod policy;

use std::sync::Arc;

use handler::ResumeExecution;

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = runtime::aws_config().await;
    let function = Arc::new(ResumeExecution::new(&config)?);
    runtime::serve(move |input, _| {
        let function = Arc::clone(&function);
        async move { function.handle(input).await }
    })
    .await
}
