//! What the account itself says after a run: evidence, metrics, endpoint, and what is left.

use aws_sdk_s3::Client as S3;
use aws_sdk_sagemaker::Client as SageMaker;
use aws_sdk_sagemaker::types::{EndpointStatus, ProcessingJobStatus, TrainingJobStatus};
use contract::{ErrorName, Gate, ModelMetrics, RunId};
use evidence::{LINK_PREDICATE, Link, TrustRoot};

use crate::error::Error;
use crate::history::{Status, Timeline};
use crate::summary::{Endpoint, Left, Metrics, Score};
use crate::table::{GateRow, Verdict};

/// An object's bytes; none if there is no such object.
async fn read(s3: &S3, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, Error> {
    match s3.get_object().bucket(bucket).key(key).send().await {
        Ok(object) => {
            let bytes = object
                .body
                .collect()
                .await
                .map_err(|error| Error::Aws { operation: "GetObject", reason: format!("{key}: {error}") })?;
            Ok(Some(bytes.to_vec()))
        }
        Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => Ok(None),
        Err(error) => Err(Error::aws("GetObject")(error)),
    }
}

/// Each gate's signed link, read from the evidence and verified with the gate's own key.
///
/// # Errors
/// [`Error::Aws`], [`Error::TrustRoot`].
pub(crate) async fn gates(
    s3: &S3,
    bucket: &str,
    run: &RunId,
    trust: &serde_json::Value,
    timeline: &Timeline,
) -> Result<Vec<GateRow>, Error> {
    let trust = TrustRoot::parse(trust.to_string().as_bytes())?;
    let refusing = refusing_gate(timeline);
    let mut rows = Vec::new();
    for gate in Gate::ALL {
        let key = gate.key(run);
        let row = match read(s3, bucket, &key).await? {
            Some(bytes) => GateRow {
                gate,
                verdict: judge(&bytes, gate, run, &trust),
                evidence: Some(format!("s3://{bucket}/{key}")),
            },
            None => {
                let verdict = match (&refusing, &timeline.end) {
                    (Some(refused), Some(end)) if *refused == gate => {
                        Verdict::Refused(end.error.clone().unwrap_or_else(|| end.status.clone()))
                    }
                    _ => Verdict::NotReached,
                };
                GateRow { gate, verdict, evidence: None }
            }
        };
        rows.push(row);
    }
    Ok(rows)
}

/// A link is shown as what it says only if it verifies and is this gate's of this run.
fn judge(bytes: &[u8], gate: Gate, run: &RunId, trust: &TrustRoot) -> Verdict {
    match trust.open::<Link>(gate.function(), LINK_PREDICATE, bytes) {
        Ok((statement, _)) if statement.predicate.gate == gate && statement.predicate.run_id == *run => {
            Verdict::Signed(format!("{:?}", statement.predicate.verdict))
        }
        Ok(_) => Verdict::Unverified("it is another gate's or another run's".to_owned()),
        Err(error) => Verdict::Unverified(error.to_string()),
    }
}

/// The gate that a run was refused at.
fn refusing_gate(timeline: &Timeline) -> Option<Gate> {
    let end = timeline.end.as_ref().filter(|end| end.status != "SUCCEEDED")?;
    let stopped = |status| matches!(status, Status::Failed | Status::Aborted | Status::TimedOut);
    // The innermost failed state says most; where only the Parallel is known, the error's name tells its branch.
    let failed = timeline
        .states
        .iter()
        .filter(|s| s.status == Status::Failed && s.name != "Refused")
        .chain(timeline.states.iter().filter(|s| stopped(s.status)))
        .find_map(|state| gate_of(&state.name));
    failed.or_else(|| {
        timeline.state("Acquire").filter(|state| stopped(state.status))?;
        let name = end.error.as_deref().and_then(ErrorName::parse);
        let scans = matches!(
            name,
            Some(ErrorName::ScanBlocked | ErrorName::ScanIncomplete | ErrorName::ScanUnsupported)
        );
        Some(if scans { Gate::JudgeFindings } else { Gate::SealModel })
    })
}

/// The gate that a state belongs to; none for those around several.
fn gate_of(state: &str) -> Option<Gate> {
    Some(match state {
        "Admit" => Gate::Admit,
        "ResolveModel" | "DownloadFiles" | "FetchBatch" | "SealModel" => Gate::SealModel,
        "ScanGate" | "JudgeFindings" => Gate::JudgeFindings,
        "Train" | "RecheckTraining" => Gate::Train,
        "SealArtifact" => Gate::SealArtifact,
        "Evaluate" | "JudgeMetrics" => Gate::JudgeMetrics,
        "Register" | "AwaitApproval" | "RecheckApproval" => Gate::Approve,
        "RecheckImage" => Gate::RecheckImage,
        "StartSmokeTest" | "JudgeSmokeTest" | "Deploy" | "RecheckEndpoint" => Gate::Deploy,
        _ => return None,
    })
}

/// Where the run's sealed record lies, if it is there.
///
/// # Errors
/// [`Error::Aws`].
pub(crate) async fn record(s3: &S3, bucket: &str, run: &RunId) -> Result<Option<String>, Error> {
    let key = format!("{}record.json", run.prefix());
    Ok(read(s3, bucket, &key).await?.map(|_| format!("s3://{bucket}/{key}")))
}

/// What the evaluation job measured, if it got that far.
///
/// # Errors
/// [`Error::Aws`].
pub(crate) async fn metrics(s3: &S3, bucket: &str, run: &RunId) -> Result<Metrics, Error> {
    let key = format!("{}evaluation/metrics.json", run.prefix());
    let Some(bytes) = read(s3, bucket, &key).await? else { return Ok(Metrics::default()) };
    // What cannot be read was refused by the gate; here it is only not shown.
    let Ok(measured) = serde_json::from_slice::<ModelMetrics>(&bytes) else { return Ok(Metrics::default()) };
    let score = |score: contract::Score| {
        Some(Score {
            eval_loss: score.get("eval_loss").copied(),
            perplexity: score.get("perplexity").copied(),
        })
    };
    Ok(Metrics { before: score(measured.before), after: score(measured.after) })
}

/// The endpoint as it stands, and its answer to a question if it serves.
///
/// # Errors
/// [`Error::Aws`].
pub(crate) async fn endpoint(
    sagemaker: &SageMaker,
    runtime: &aws_sdk_sagemakerruntime::Client,
    name: &str,
    prompt: &str,
) -> Result<Endpoint, Error> {
    let described = match sagemaker.describe_endpoint().endpoint_name(name).send().await {
        Ok(described) => described,
        // SageMaker has no error of its own for an endpoint that does not exist.
        Err(error) if error.as_service_error().is_some_and(is_unknown) => {
            return Ok(Endpoint { name: name.to_owned(), status: None, answer: None });
        }
        Err(error) => return Err(Error::aws("DescribeEndpoint")(error)),
    };
    let status = described.endpoint_status();
    let answer = match status {
        Some(EndpointStatus::InService) => Some(ask(runtime, name, prompt).await?),
        _ => None,
    };
    Ok(Endpoint { name: name.to_owned(), status: status.map(|status| status.as_str().to_owned()), answer })
}

fn is_unknown(error: &aws_sdk_sagemaker::operation::describe_endpoint::DescribeEndpointError) -> bool {
    use aws_sdk_sagemaker::error::ProvideErrorMetadata as _;
    matches!(error.code(), Some("ValidationException" | "ResourceNotFound"))
}

async fn ask(runtime: &aws_sdk_sagemakerruntime::Client, name: &str, prompt: &str) -> Result<String, Error> {
    let body =
        serde_json::json!({"inputs": prompt, "parameters": {"max_new_tokens": 32, "temperature": 0.0}});
    let answered = runtime
        .invoke_endpoint()
        .endpoint_name(name)
        .content_type("application/json")
        .accept("application/json")
        .body(aws_sdk_sagemakerruntime::primitives::Blob::new(body.to_string()))
        .send()
        .await
        .map_err(Error::aws("InvokeEndpoint"))?;
    let bytes = answered.body().map(|body| body.as_ref().to_vec()).unwrap_or_default();
    let answer = serde_json::from_slice::<serde_json::Value>(&bytes).ok();
    let text = answer.as_ref().and_then(|answer| answer.pointer("/0/generated_text")?.as_str());
    let text = text.ok_or(Error::Incomplete { operation: "InvokeEndpoint", lacking: "generated text" })?;
    // Some containers repeat the prompt before what they add to it.
    Ok(text.strip_prefix(prompt).unwrap_or(text).trim().to_owned())
}

/// Counts what is left in the account.
///
/// # Errors
/// [`Error::Aws`].
pub(crate) async fn left(sagemaker: &SageMaker) -> Result<Left, Error> {
    let mut left = Left::default();
    let mut models = sagemaker.list_models().into_paginator().items().send();
    while let Some(model) = models.next().await {
        model.map_err(Error::aws("ListModels"))?;
        left.models += 1;
    }
    let mut endpoints = sagemaker.list_endpoints().into_paginator().items().send();
    while let Some(endpoint) = endpoints.next().await {
        endpoint.map_err(Error::aws("ListEndpoints"))?;
        left.endpoints += 1;
    }
    for status in [TrainingJobStatus::InProgress, TrainingJobStatus::Stopping] {
        let mut jobs = sagemaker.list_training_jobs().status_equals(status).into_paginator().items().send();
        while let Some(job) = jobs.next().await {
            job.map_err(Error::aws("ListTrainingJobs"))?;
            left.jobs_running += 1;
        }
    }
    for status in [ProcessingJobStatus::InProgress, ProcessingJobStatus::Stopping] {
        let mut jobs = sagemaker.list_processing_jobs().status_equals(status).into_paginator().items().send();
        while let Some(job) = jobs.next().await {
            job.map_err(Error::aws("ListProcessingJobs"))?;
            left.jobs_running += 1;
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{End, State};

    fn timeline(states: &[(&str, Status)], error: &str) -> Timeline {
        let state = |(name, status): &(&str, Status)| State {
            name: (*name).to_owned(),
            depth: 0,
            status: *status,
            error: None,
            entered: 0.0,
            seconds: 0.0,
            entries: 1,
            retries: 0,
        };
        Timeline {
            states: states.iter().map(state).collect(),
            end: Some(End { status: "FAILED".into(), error: Some(error.into()), cause: None }),
            ..Timeline::default()
        }
    }

    #[test]
    fn the_gate_that_refused_is_the_innermost_state_that_failed() {
        use Status::{Aborted, Failed, Succeeded};
        for (states, error, gate) in [
            (
                vec![("Admit", Failed), ("SealRun", Succeeded), ("Refused", Failed)],
                "PolicyViolation",
                Gate::Admit,
            ),
            (
                vec![("Acquire", Failed), ("ScanGate", Aborted), ("FetchBatch", Failed)],
                "DigestMismatch",
                Gate::SealModel,
            ),
            (vec![("Acquire", Failed)], "ScanBlocked", Gate::JudgeFindings),
            (vec![("Acquire", Failed)], "ManifestIncomplete", Gate::SealModel),
            (vec![("AwaitApproval", Failed)], "ApprovalRejected", Gate::Approve),
        ] {
            assert_eq!(refusing_gate(&timeline(&states, error)), Some(gate), "{error}");
        }
    }

    #[test]
    fn every_gate_has_a_state() {
        let states = [
            "Admit",
            "SealModel",
            "JudgeFindings",
            "RecheckTraining",
            "SealArtifact",
            "JudgeMetrics",
            "RecheckApproval",
            "RecheckImage",
            "RecheckEndpoint",
        ];
        let gates: Vec<_> = states.iter().filter_map(|state| gate_of(state)).collect();
        assert_eq!(gates, Gate::ALL);
    }

    #[test]
    fn a_link_that_does_not_verify_is_not_shown_as_passed() {
        let empty = format!(r#"{{"schema": "{}", "keys": []}}"#, evidence::TRUST_ROOT_SCHEMA);
        let trust = TrustRoot::parse(empty.as_bytes()).unwrap();
        let run = RunId::of(&["x"]);
        assert!(matches!(judge(b"{}", Gate::Admit, &run, &trust), Verdict::Unverified(_)));
    }
}
