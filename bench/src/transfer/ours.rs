//! The release `download-model`, as Lambda runs it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use contract::{Limits, LinkRef, ObjectRef, RunContext, RunId, Sha256Digest};
use serde_json::{Value, json};
use testkit::{Answer, Function};

use super::measured::Measured;
use super::sink::Sink;
use super::source::{Model, Source};
use crate::error::Error;

/// The work bucket's name.
const WORK: &str = "work";
/// The evidence bucket's name.
const EVIDENCE: &str = "evidence";
/// Lambda's longest invocation.
pub const LAMBDA_MAX: Duration = Duration::from_secs(900);

/// A run of the pipeline that has come to its transfer.
pub struct Run {
    context: Value,
    resolved: Value,
    binary: std::path::PathBuf,
    environment: BTreeMap<String, String>,
}

impl Run {
    /// Prepares a run of a model that the source offers, and resolves it. None of this is measured.
    ///
    /// # Errors
    /// When the function refuses.
    pub async fn resolve(binary: &Path, source: &Source, sink: &Sink, model: &Model) -> Result<Self, Error> {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let count = COUNT.fetch_add(1, Ordering::Relaxed).to_string();
        let run_id = RunId::of(&["bench", &count]);
        let policy_sha256 = Sha256Digest::of(testkit::POLICY);
        sink.put(&format!("{EVIDENCE}/policy/policy.json"), testkit::POLICY.as_bytes().to_vec());

        let execution = format!("arn:aws:states:us-east-1:000000000000:execution:lockstep:{count}");
        let mut request: Value = serde_json::from_str(testkit::REQUEST)?;
        request["source"] = json!({ "repo": model.repo, "revision": "main" });
        let digest = format!("sha256:{}", "3".repeat(64));
        let plan = json!({
            "run_id": run_id,
            "execution_arn": execution,
            "request": request,
            "request_sha256": Sha256Digest::of(request.to_string()),
            "policy_sha256": policy_sha256,
            "submitter": null,
            "image": {
                "registry_id": "000000000000", "repository": "lockstep/model-container", "digest": digest,
                "uri": format!("000000000000.dkr.ecr.us-east-1.amazonaws.com/lockstep/model-container@{digest}"),
            },
            "cost_usd": 1.0,
            "cost_items": [],
        })
        .to_string();
        let place = format!("runs/{}/plan.json", run_id.as_str());
        let plan_sha256 = Sha256Digest::of(&plan);
        sink.put(&format!("{WORK}/{place}"), plan.into_bytes());
        // Typed, so that a field more does not go unnoticed until somebody measures.
        let context = serde_json::to_value(RunContext {
            plan: ObjectRef { bucket: WORK.to_owned(), key: place, sha256: plan_sha256.clone() },
            link: LinkRef { key: format!("{}admit-run/link.json", run_id.prefix()), sha256: plan_sha256 },
            run_id,
            execution_arn: execution,
            policy_sha256: policy_sha256.clone(),
            endpoint: "tiny-lm".to_owned(),
            promoted: false,
            smoke_tested: false,
            limits: Limits {
                scan_seconds: 900,
                training_seconds: 3600,
                evaluation_seconds: 1800,
                approval_seconds: 86400,
                smoke_test_seconds: 3600,
                deployment_seconds: 3600,
                heartbeat_seconds: 900,
            },
        })?;
        let environment = environment(source, sink, &policy_sha256);
        let mut run = Self { context, resolved: Value::Null, binary: binary.to_owned(), environment };
        let mut function = run.function();
        let payload = json!({ "step": "ResolveModel", "run": run.context });
        run.resolved = match function.invoke(&payload, LAMBDA_MAX).await? {
            Answer::Success(resolved) => resolved,
            other => return Err(Error::refused("ResolveModel", &other, &function)),
        };
        Ok(run)
    }

    /// An execution environment that has not started yet.
    pub fn function(&self) -> Function {
        Function::new(&self.binary, self.environment.clone())
    }

    /// The payloads of the Map's iterations.
    pub fn batches(&self) -> Vec<Value> {
        let batches = self.resolved["batches"].as_array().cloned().unwrap_or_default();
        let transfer = &self.resolved["transfer"];
        batches
            .into_iter()
            .map(|batch| json!({ "step": "FetchBatch", "run": self.context, "transfer": transfer, "batch": batch }))
            .collect()
    }

    /// Fetches every batch, one after another and each until it is done. The start of the process counts.
    ///
    /// # Errors
    /// When the function refuses.
    pub async fn fetch(&self) -> Result<Measured, Error> {
        let mut function = self.function();
        let start = Instant::now();
        for batch in self.batches() {
            while !step(&mut function, &batch, LAMBDA_MAX).await? {}
        }
        let wall = start.elapsed();
        function.stop().await;
        Ok(Measured::new(wall, function.usage()))
    }
}

/// One invocation; whether the batch is done.
///
/// # Errors
/// When the function refuses.
pub async fn step(function: &mut Function, batch: &Value, time: Duration) -> Result<bool, Error> {
    match function.invoke(batch, time).await? {
        Answer::Success(fetched) => Ok(fetched["done"] == true),
        other => Err(Error::refused("FetchBatch", &other, function)),
    }
}

fn environment(source: &Source, sink: &Sink, policy_sha256: &Sha256Digest) -> BTreeMap<String, String> {
    let key = |name: &str| format!("arn:aws:kms:us-east-1:000000000000:key/{name}");
    [
        ("AWS_ACCESS_KEY_ID", "bench".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "bench".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ENDPOINT_URL", sink.url()),
        ("HF_ENDPOINT", source.url()),
        ("LOCKSTEP_WORK_BUCKET", WORK.to_owned()),
        ("LOCKSTEP_EVIDENCE_BUCKET", EVIDENCE.to_owned()),
        ("LOCKSTEP_DATA_KEY", key("data")),
        ("LOCKSTEP_SIGNING_KEY", key("signing")),
        ("LOCKSTEP_CHECKPOINT_KEY", key("checkpoint")),
        ("LOCKSTEP_POLICY_VERSION_ID", "1".to_owned()),
        ("LOCKSTEP_POLICY_SHA256", policy_sha256.to_string()),
        (
            "LOCKSTEP_HUB_TOKEN_SECRET",
            "arn:aws:secretsmanager:us-east-1:000000000000:secret:hub-token".to_owned(),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
