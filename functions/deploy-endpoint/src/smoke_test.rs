//! Asking the smoke test's questions.

use aws_sdk_sagemakerruntime::{Client, operation::invoke_endpoint::InvokeEndpointError, primitives::Blob};
use contract::SmokeTest;
use runtime::failed;

use crate::error::DeployError;

/// Asks every question of an endpoint.
///
/// # Errors
/// `SmokeTestFailed`, naming every expectation that was not met; what was answered is content, and an error is kept with the
/// evidence, which holds none. `ServiceUnavailable` when AWS itself fails.
pub async fn ask(runtime: &Client, endpoint: &str, test: &SmokeTest) -> Result<(), DeployError> {
    let mut unmet = Vec::new();
    for (index, question) in test.questions.iter().enumerate() {
        let sent = runtime
            .invoke_endpoint()
            .endpoint_name(endpoint)
            .content_type(question.content_type())
            .body(Blob::new(question.bytes()))
            .send()
            .await;
        let number = index + 1;
        match sent {
            Ok(answer) => {
                let body = answer.body.map(Blob::into_inner).unwrap_or_default();
                let missed = question.expect.iter().filter(|expected| !expected.is_met_by(&body));
                unmet.extend(missed.map(|missed| format!("question {number}: {missed}")));
            }
            Err(error) => match error.as_service_error() {
                Some(InvokeEndpointError::ModelError(said)) => {
                    let status = said.original_status_code().unwrap_or_default();
                    unmet.push(format!(
                        "question {number}: an answer, and the container sent status {status}"
                    ));
                }
                // It is in service and named by us: what SageMaker does not take is the question.
                Some(InvokeEndpointError::ValidationError(said)) => {
                    let reason = said.message().unwrap_or("no reason given");
                    unmet.push(format!("question {number}: an answer, and SageMaker refused it: {reason}"));
                }
                _ => return Err(failed("sagemaker:InvokeEndpoint")(error).into()),
            },
        }
    }
    if unmet.is_empty() {
        return Ok(());
    }
    Err(DeployError::SmokeTest(format!("did not answer as the request expects: {}", unmet.join("; "))))
}
