//! The bridge between a handler and Lambda.

use std::{fmt::Display, future::Future, sync::Arc, time::Duration};

use contract::ErrorName;
use lambda_runtime::{Context, Diagnostic, LambdaEvent, service_fn};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tracing::Instrument as _;

/// An error that ends a run under a name of the contract.
pub trait Refusal: Display {
    /// The name that the state machine matches.
    fn name(&self) -> ErrorName;
}

/// What an invocation knows beside its input.
#[derive(Clone, Debug)]
pub struct Invocation {
    context: Context,
}

impl Invocation {
    /// The same for each try of one asynchronous invocation, and another for each delivery of an event.
    pub fn request_id(&self) -> &str {
        &self.context.request_id
    }

    /// Time until Lambda ends this invocation.
    pub fn time_left(&self) -> Duration {
        self.context.deadline().duration_since(std::time::SystemTime::now()).unwrap_or_default()
    }
}

/// Serves a handler until Lambda ends the process: logs as JSON lines, input by type, errors by name.
///
/// The event itself is never logged: it may hold a task token.
///
/// # Errors
/// When the Lambda runtime API cannot be reached.
pub async fn serve<I, O, E, F>(
    handler: impl Fn(I, Invocation) -> F + Send + Sync + 'static,
) -> Result<(), lambda_runtime::Error>
where
    I: DeserializeOwned,
    O: Serialize + Send,
    E: Refusal,
    F: Future<Output = Result<O, E>> + Send,
{
    let handler = Arc::new(handler);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
        let handler = Arc::clone(&handler);
        // Every line that a step logs says which run it is of.
        let run = ["/run/run_id", "/execution_arn", "/detail/executionArn"]
            .into_iter()
            .find_map(|pointer| event.payload.pointer(pointer)?.as_str())
            .unwrap_or_default();
        let step = event.payload.get("step").and_then(Value::as_str).unwrap_or_default();
        let span = tracing::info_span!("invocation", run, step, request_id = event.context.request_id);
        async move {
            let input = serde_json::from_value(event.payload).map_err(|error| {
                diagnostic(
                    ErrorName::Misconfigured,
                    &format!("the payload does not follow the contract: {error}"),
                )
            })?;
            match handler(input, Invocation { context: event.context }).await {
                Ok(output) => Ok(output),
                Err(error) => {
                    tracing::error!(error.name = error.name().as_str(), "{error}");
                    Err(diagnostic(error.name(), &error.to_string()))
                }
            }
        }
        .instrument(span)
    }))
    .await
}

fn diagnostic(name: ErrorName, message: &str) -> Diagnostic {
    Diagnostic { error_type: name.as_str().to_owned(), error_message: message.to_owned() }
}

/// JSON lines to standard output, filtered by `RUST_LOG`.
pub(crate) fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    // A second call finds the subscriber in place, which is what it wants.
    let _ = tracing_subscriber::fmt().json().with_env_filter(filter).without_time().try_init();
}
