//! Starts a run as users do: a request file is uploaded, and EventBridge starts the execution.

use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use contract::{RunId, Sha256Digest};
use serde_json::Value;

use crate::connection::Target;
use crate::error::Error;
use crate::run_files;
use crate::screen::Screen;
use crate::watch;

/// How long an upload may take to become an execution: S3, EventBridge and Step Functions are in between.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run that an upload started.
pub(crate) struct Started {
    /// Its execution.
    pub execution: String,
    /// The run.
    pub run_id: RunId,
}

/// Another nonce makes another run of the same request.
pub(crate) fn nonce(what_for: &str) -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{what_for}-{}", since.as_millis())
}

/// Uploads a request as `<what for>-<digest>.json` in one's own place, and waits for the execution that it starts.
///
/// # Errors
/// [`Error::NotStarted`], [`Error::Aws`].
pub(crate) async fn start(
    account: &Target,
    what_for: &str,
    request: &Value,
    screen: &Screen,
) -> Result<Started, Error> {
    let s3 = account.s3();
    let intake = run_files::bucket_of(&s3, "intake").await?;
    let sha256 = Sha256Digest::of(pretty(request));
    let key = format!("requests/{}/{what_for}-{}.json", account.user_id().await?, &sha256.as_str()[..16]);
    upload(&s3, &intake, &key, request).await?;
    screen.aside(&format!("  uploaded s3://{intake}/{key}"));
    screen.doing("waiting for the execution that the upload starts");
    let sfn = aws_sdk_sfn::Client::new(&account.config);
    let state_machine = watch::find_state_machine(&sfn).await?;
    let execution = self::execution(&sfn, &state_machine, &intake, &key).await?;
    let run_id = RunId::of(&["upload", &key, sha256.as_str()]);
    Ok(Started { execution, run_id })
}

/// Uploads a request.
///
/// # Errors
/// [`Error::Aws`].
pub(crate) async fn upload(
    s3: &aws_sdk_s3::Client,
    bucket: &str,
    key: &str,
    request: &Value,
) -> Result<(), Error> {
    s3.put_object()
        .bucket(bucket)
        .key(key)
        .content_type("application/json")
        .body(ByteStream::from(pretty(request)))
        .send()
        .await
        .map_err(Error::aws("PutObject"))?;
    Ok(())
}

/// The bytes of a request, as they are uploaded and kept.
pub(crate) fn pretty(request: &Value) -> Vec<u8> {
    format!("{request:#}\n").into_bytes()
}

/// The execution that an upload started.
///
/// # Errors
/// [`Error::NotStarted`] if there is none in time; [`Error::Aws`].
pub(crate) async fn execution(
    sfn: &aws_sdk_sfn::Client,
    state_machine: &str,
    bucket: &str,
    key: &str,
) -> Result<String, Error> {
    let what = format!("the upload of s3://{bucket}/{key}");
    started_by(sfn, state_machine, &what, |input| is_of(input, bucket, key)).await
}

/// The execution that an event of Lockstep's own started.
///
/// # Errors
/// As [`execution`].
pub(crate) async fn execution_of_event(
    sfn: &aws_sdk_sfn::Client,
    state_machine: &str,
    event_id: &str,
) -> Result<String, Error> {
    let is_it = |input: &str| {
        let event = serde_json::from_str::<Value>(input);
        event.is_ok_and(|event| event["detail"]["event_id"].as_str() == Some(event_id))
    };
    started_by(sfn, state_machine, &format!("the event {event_id}"), is_it).await
}

async fn started_by(
    sfn: &aws_sdk_sfn::Client,
    state_machine: &str,
    what: &str,
    is_it: impl Fn(&str) -> bool,
) -> Result<String, Error> {
    let began = Instant::now();
    let mut others = std::collections::BTreeSet::new();
    while began.elapsed() < PATIENCE {
        // An event may come twice; the first to come has the run.
        let mut found: Option<(aws_sdk_sfn::primitives::DateTime, String)> = None;
        let mut executions =
            sfn.list_executions().state_machine_arn(state_machine).into_paginator().items().send();
        while let Some(execution) = executions.next().await {
            let execution = execution.map_err(Error::aws("ListExecutions"))?;
            let (arn, started) = (execution.execution_arn().to_owned(), *execution.start_date());
            if others.contains(&arn) {
                continue;
            }
            let described = sfn
                .describe_execution()
                .execution_arn(&arn)
                .send()
                .await
                .map_err(Error::aws("DescribeExecution"))?;
            if described.input().is_some_and(&is_it) {
                if found.as_ref().is_none_or(|(first, _)| started < *first) {
                    found = Some((started, arn));
                }
                continue;
            }
            others.insert(arn);
        }
        if let Some((_, first)) = found {
            return Ok(first);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Err(Error::NotStarted { what: what.to_owned(), seconds: PATIENCE.as_secs() })
}

/// Whether an execution's input is the event of this upload.
fn is_of(input: &str, bucket: &str, key: &str) -> bool {
    let Ok(event) = serde_json::from_str::<Value>(input) else { return false };
    let at = |pointer| event.pointer(pointer).and_then(Value::as_str);
    at("/detail/bucket/name") == Some(bucket) && at("/detail/object/key") == Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_execution_belongs_to_the_upload_that_its_event_names() {
        let event = r#"{"detail":{"bucket":{"name":"intake"},"object":{"key":"requests/u/demo-1.json"}}}"#;
        assert!(is_of(event, "intake", "requests/u/demo-1.json"));
        assert!(!is_of(event, "intake", "requests/u/demo-2.json"));
        assert!(!is_of(event, "other", "requests/u/demo-1.json"));
        assert!(!is_of(r#"{"request":{}}"#, "intake", "requests/u/demo-1.json"));
    }
}
