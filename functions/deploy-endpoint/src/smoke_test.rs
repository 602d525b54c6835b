//! Asking the smoke test's questions.

use aws_sdk_sagemakerruntime::{Client, operation::invoke_endpoint::InvokeEndpointError, primitives::Blob};
use contract::{Replay, SmokeQuestion};
use drift::capture::Payload;
use runtime::failed;

use crate::error::DeployError;

/// What came of a question.
enum Answer {
    /// A status of 200.
    Body(Vec<u8>),
    /// Something else, in words.
    Error(String),
}

async fn ask(
    runtime: &Client,
    endpoint: &str,
    content_type: &str,
    body: Vec<u8>,
) -> Result<Answer, DeployError> {
    let sent = runtime
        .invoke_endpoint()
        .endpoint_name(endpoint)
        .content_type(content_type)
        .body(Blob::new(body))
        .send()
        .await;
    match sent {
        Ok(answer) => Ok(Answer::Body(answer.body.map(Blob::into_inner).unwrap_or_default())),
        Err(error) => match error.as_service_error() {
            Some(InvokeEndpointError::ModelError(said)) => {
                let status = said.original_status_code().unwrap_or_default();
                Ok(Answer::Error(format!("the container sent status {status}")))
            }
            // It is in service and named by us: what SageMaker does not take is the question.
            Some(InvokeEndpointError::ValidationError(said)) => {
                let reason = said.message().unwrap_or("no reason given");
                Ok(Answer::Error(format!("SageMaker refused it: {reason}")))
            }
            _ => Err(failed("sagemaker:InvokeEndpoint")(error).into()),
        },
    }
}

/// Asks the request's questions of an endpoint.
///
/// # Errors
/// `SmokeTestFailed`, naming every expectation that was not met; what was answered is content, and an error is kept with the
/// evidence, which holds none. `ServiceUnavailable` when AWS itself fails.
pub async fn judge_answers(
    runtime: &Client,
    endpoint: &str,
    questions: &[SmokeQuestion],
) -> Result<(), DeployError> {
    let mut unmet = Vec::new();
    for (index, question) in questions.iter().enumerate() {
        let number = index + 1;
        match ask(runtime, endpoint, question.content_type(), question.bytes()).await? {
            Answer::Body(body) => {
                let missed = question.expect.iter().filter(|expected| !expected.is_met_by(&body));
                unmet.extend(missed.map(|missed| format!("question {number}: {missed}")));
            }
            Answer::Error(said) => unmet.push(format!("question {number}: an answer, and {said}")),
        }
    }
    if unmet.is_empty() {
        return Ok(());
    }
    Err(DeployError::SmokeTest(format!("did not answer as the request expects: {}", unmet.join("; "))))
}

/// Asks what callers asked the version that serves now.
///
/// # Errors
/// `SmokeTestFailed` when more go unanswered than may, or when there is nothing to ask: what was not tried is not passed.
/// `ServiceUnavailable`.
pub async fn judge_replay(
    runtime: &Client,
    endpoint: &str,
    replay: &Replay,
    captured: Vec<Payload>,
) -> Result<(), DeployError> {
    if captured.is_empty() {
        let reason = "could not be asked real questions: none was captured within 24 hours; capture some, or leave `replay` out";
        return Err(DeployError::SmokeTest(reason.to_owned()));
    }
    let (asked, mut unanswered, mut last) = (captured.len(), 0_u32, String::new());
    for question in captured {
        if let Answer::Error(said) = ask(runtime, endpoint, &question.content_type, question.body).await? {
            unanswered += 1;
            last = said;
        }
    }
    tracing::info!(asked, unanswered, "captured questions replayed");
    if unanswered <= replay.max_unanswered {
        return Ok(());
    }
    let most = replay.max_unanswered;
    let reason =
        format!("left {unanswered} of {asked} captured questions unanswered, at most {most} may be: {last}");
    Err(DeployError::SmokeTest(reason))
}
