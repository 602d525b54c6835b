//! The plan that admission writes and every later step reads.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CostItem, DriftCause, Request, RunId, Sha256Digest};

/// An image as admission resolved it: one platform manifest, and this digest from there on (invariant 3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolvedImage {
    /// The account that holds the registry.
    pub registry_id: String,
    /// The repository's name.
    pub repository: String,
    /// `sha256:<64 hex>` of the platform manifest.
    pub digest: String,
    /// `<registry>/<repository>@<digest>`, as SageMaker takes it.
    pub uri: String,
}

/// Seconds that each wait may take, decided once at admission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// For the image scan to settle.
    pub scan_seconds: u32,
    /// For the training job to end.
    pub training_seconds: u32,
    /// For the evaluation job to end.
    pub evaluation_seconds: u32,
    /// For somebody to decide.
    pub approval_seconds: u32,
    /// For the smoke test's temporary endpoint to come into service, and what it is counted for in the estimate.
    pub smoke_test_seconds: u32,
    /// For the endpoint to come into service.
    pub deployment_seconds: u32,
    /// Three sweeps at least: a missing heartbeat means a broken sweep and not a long job.
    pub heartbeat_seconds: u32,
}

/// What the run will do: the request as admitted, and what admission resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunPlan {
    /// The run.
    pub run_id: RunId,
    /// The execution that runs it.
    pub execution_arn: String,
    /// What was asked for.
    pub request: Request,
    /// Of the request's bytes as they arrived.
    pub request_sha256: Sha256Digest,
    /// The policy that it was judged by.
    pub policy_sha256: Sha256Digest,
    /// `aws:userid` of whoever uploaded the request; unknown for other triggers.
    pub submitter: Option<String>,
    /// The image, by digest.
    pub image: ResolvedImage,
    /// The drift that started it, if nobody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<DriftCause>,
    /// US dollars that the jobs cost at most.
    pub cost_usd: f64,
    /// What of; plans made before items were stated have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cost_items: Vec<CostItem>,
}
