//! What each state is given and what it answers. The ASL's payload keys are the field names here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{CostItem, Limits, LinkRef, ObjectRef, RunId, Score, Sha256Digest, TaskToken};

/// What every step after admission is told of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunContext {
    /// The run.
    pub run_id: RunId,
    /// The execution that runs it.
    pub execution_arn: String,
    /// The run's plan in the work bucket.
    pub plan: ObjectRef,
    /// The policy that admitted it; another one refuses.
    pub policy_sha256: Sha256Digest,
    /// The endpoint that the request chose.
    pub endpoint: String,
    /// Whether another run's model is taken over, and nothing is trained.
    pub promoted: bool,
    /// Whether the model answers a smoke test before it is deployed.
    pub smoke_tested: bool,
    /// Seconds that each wait may take.
    pub limits: Limits,
    /// What admission signed.
    pub link: LinkRef,
}

/// Input of `admit-run`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "step", deny_unknown_fields)]
pub enum AdmitInput {
    /// Turn the trigger into one run.
    Admit {
        /// The execution's ARN.
        execution_arn: String,
        /// The execution's input, whatever it is.
        trigger: Value,
    },
}

/// Output of Admit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Admission {
    /// Whether another execution already has this run.
    pub duplicate: bool,
    /// The run, duplicate or not.
    pub run_id: RunId,
    /// The admitted run; absent for a duplicate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunContext>,
    /// What the run could cost at most; nothing for a duplicate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cost_items: Vec<CostItem>,
}

/// Input of `download-model`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "step", deny_unknown_fields)]
pub enum DownloadInput {
    /// Resolve the revision and plan the transfer.
    ResolveModel {
        /// The run.
        run: RunContext,
    },
    /// Fetch and verify the files of one batch.
    FetchBatch {
        /// The run.
        run: RunContext,
        /// The transfer plan.
        transfer: ObjectRef,
        /// Which batch of it.
        batch: usize,
    },
    /// Check that all files are there, and nothing else, and seal them.
    SealModel {
        /// The run.
        run: RunContext,
        /// The transfer plan.
        transfer: ObjectRef,
    },
}

/// Output of ResolveModel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResolvedModel {
    /// The commit, 40 hex digits.
    pub commit: String,
    /// The transfer plan.
    pub transfer: ObjectRef,
    /// Numbers of its batches, at most 40.
    pub batches: Vec<usize>,
    /// Files.
    pub files: usize,
    /// Bytes of all files.
    pub bytes: u64,
}

/// Output of FetchBatch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FetchedBatch {
    /// Whether nothing of the batch is left to fetch.
    pub done: bool,
    /// Files of the batch that are stored.
    pub stored: usize,
    /// Files that the Hub listed but does not have; SealModel refuses them.
    pub absent: usize,
}

/// Output of SealModel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SealedModel {
    /// `models/<digest>/` in the work bucket.
    pub prefix: String,
    /// The commit.
    pub commit: String,
    /// The manifest in the evidence bucket.
    pub manifest: ObjectRef,
    /// The manifest's content digest.
    pub content_sha256: Sha256Digest,
    /// What the gate signed.
    pub link: LinkRef,
}

/// Input of `monitor-drift`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "step", deny_unknown_fields)]
pub enum MonitorInput {
    /// Compare what endpoints were asked and answered with what their models were evaluated on.
    Monitor {
        /// One endpoint; every declared one when it is left out.
        #[serde(default)]
        endpoint: Option<String>,
    },
}

/// Input of `scan-gate`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "step", deny_unknown_fields)]
pub enum ScanInput {
    /// See to it that the image is scanned, and wait.
    ScanGate {
        /// The run.
        run: RunContext,
        /// Answers the wait.
        task_token: TaskToken,
    },
    /// Judge the settled findings.
    JudgeFindings {
        /// The run.
        run: RunContext,
    },
    /// Judge them again after approval.
    RecheckImage {
        /// The run.
        run: RunContext,
        /// The approval.
        approval: Approval,
    },
}

/// Output of JudgeFindings and RecheckImage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageVerdict {
    /// The image's digest.
    pub digest: String,
    /// Findings that the policy let pass.
    pub findings: usize,
    /// What the gate signed.
    pub link: LinkRef,
}

/// Output of Acquire: both branches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acquired {
    /// The base model.
    pub model: SealedModel,
    /// The image.
    pub image: ImageVerdict,
}

/// Input of `launch-training`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "step", deny_unknown_fields)]
pub enum TrainInput {
    /// Start the training job, once, and wait.
    Train {
        /// The run.
        run: RunContext,
        /// Model and image.
        acquired: Acquired,
        /// Answers the wait.
        task_token: TaskToken,
    },
    /// Describe the job afresh and sign what it did.
    RecheckTraining {
        /// The run.
        run: RunContext,
        /// Model and image.
        acquired: Acquired,
    },
    /// Verify the promoted run, and sign what its training did.
    CarryTraining {
        /// The run.
        run: RunContext,
        /// Model and image.
        acquired: Acquired,
    },
}

/// Output of RecheckTraining and CarryTraining.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The job.
    pub job_name: String,
    /// Its ARN.
    pub job_arn: String,
    /// When it began to train, RFC 3339.
    pub started_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// Where the base model lies.
    pub model_location: String,
    /// The base model's content digest.
    pub model_sha256: Sha256Digest,
    /// The bucket that what it wrote lies in.
    pub output_bucket: String,
    /// What it wrote, a key prefix in that bucket.
    pub output_prefix: String,
    /// The content digest that it must have; known of a promoted run.
    pub artifact_sha256: Option<Sha256Digest>,
    /// Seconds that were billed.
    pub billable_seconds: i64,
    /// What the gate signed.
    pub link: LinkRef,
}

/// Input of `seal-artifact`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "step", deny_unknown_fields)]
pub enum SealArtifactInput {
    /// Copy what the job wrote to a write-once place.
    SealArtifact {
        /// The run.
        run: RunContext,
        /// The job.
        training: Training,
    },
}

/// Output of SealArtifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SealProgress {
    /// Whether everything is sealed; otherwise the state runs again.
    pub done: bool,
    /// The sealed artefact, when done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
}

/// A trained model in its write-once place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// `artifacts/<digest>/` in the work bucket.
    pub prefix: String,
    /// The manifest in the evidence bucket.
    pub manifest: ObjectRef,
    /// The manifest's content digest: this is what is evaluated, approved and deployed.
    pub content_sha256: Sha256Digest,
    /// What the gate signed.
    pub link: LinkRef,
}

/// Input of `evaluate-model`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "step", deny_unknown_fields)]
pub enum EvaluateInput {
    /// Start the evaluation job, once, and wait.
    Evaluate {
        /// The run.
        run: RunContext,
        /// Model and image.
        acquired: Acquired,
        /// The candidate.
        artifact: Artifact,
        /// Answers the wait.
        task_token: TaskToken,
    },
    /// Read the metrics and judge them.
    JudgeMetrics {
        /// The run.
        run: RunContext,
        /// The candidate.
        artifact: Artifact,
    },
}

/// Output of JudgeMetrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// The base model's metrics.
    pub before: Score,
    /// The candidate's metrics.
    pub after: Score,
    /// The metrics as the job wrote them.
    pub metrics: ObjectRef,
    /// What the gate signed.
    pub link: LinkRef,
}

/// Input of `approve-package`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "step", deny_unknown_fields)]
pub enum ApproveInput {
    /// Register the model package, once.
    Register {
        /// The run.
        run: RunContext,
        /// The candidate.
        artifact: Artifact,
        /// Its metrics.
        evaluation: Evaluation,
    },
    /// Ask for approval, and wait.
    AwaitApproval {
        /// The run.
        run: RunContext,
        /// The candidate.
        artifact: Artifact,
        /// Its metrics.
        evaluation: Evaluation,
        /// The package.
        package: Package,
        /// Answers the wait.
        task_token: TaskToken,
    },
    /// Describe the package afresh and sign who approved what.
    RecheckApproval {
        /// The run.
        run: RunContext,
        /// The candidate.
        artifact: Artifact,
        /// Its metrics.
        evaluation: Evaluation,
        /// The package.
        package: Package,
    },
}

/// Output of Register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// The model package version's ARN.
    pub arn: String,
    /// The artefact's content digest, which the approver approves.
    pub digest: Sha256Digest,
    /// The model card that the package was registered with, in the evidence bucket.
    pub card: ObjectRef,
    /// The endpoint configuration that served when approval was asked for; Deploy refuses if it has changed.
    pub serving: Option<String>,
}

/// Output of RecheckApproval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// `LastModifiedBy.IamIdentity.PrincipalId`; unknown where AWS does not say.
    pub approver: Option<String>,
    /// Why, in the approver's words.
    pub reason: String,
    /// What the gate signed.
    pub link: LinkRef,
}

/// Every link that deployment needs, by gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "each field is the gate of that name")]
pub struct Chain {
    pub admit: LinkRef,
    pub seal_model: LinkRef,
    pub judge_findings: LinkRef,
    pub train: LinkRef,
    pub seal_artifact: LinkRef,
    pub judge_metrics: LinkRef,
    pub approve: LinkRef,
    pub recheck_image: LinkRef,
}

/// Input of `deploy-endpoint`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "step", deny_unknown_fields)]
pub enum DeployInput {
    /// Verify the evidence, create a temporary endpoint with the approved model, once, and wait.
    StartSmokeTest {
        /// The run.
        run: RunContext,
        /// The approved artefact.
        artifact: Artifact,
        /// The package.
        package: Package,
        /// The evidence.
        chain: Chain,
        /// Answers the wait.
        task_token: TaskToken,
    },
    /// Ask the request's questions, delete the temporary endpoint, and sign that the answers are as expected.
    JudgeSmokeTest {
        /// The run.
        run: RunContext,
        /// The approved artefact.
        artifact: Artifact,
    },
    /// Verify the evidence, create or update the endpoint, once, and wait.
    Deploy {
        /// The run.
        run: RunContext,
        /// The approved artefact.
        artifact: Artifact,
        /// The package.
        package: Package,
        /// The evidence.
        chain: Chain,
        /// Answers the wait.
        task_token: TaskToken,
    },
    /// Describe the endpoint afresh and sign what serves.
    RecheckEndpoint {
        /// The run.
        run: RunContext,
        /// The approved artefact.
        artifact: Artifact,
        /// The evidence.
        chain: Chain,
    },
}

/// Output of RecheckEndpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// The endpoint.
    pub endpoint_name: String,
    /// What it serves.
    pub endpoint_config_name: String,
    /// What the gate signed.
    pub link: LinkRef,
}

/// Input of `seal-run` from the state machine.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "step", deny_unknown_fields)]
pub enum SealRunInput {
    /// Close the run's record.
    SealRun {
        /// The execution's ARN.
        execution_arn: String,
        /// The whole state: what was caught stands in its `error`.
        state: Value,
    },
}

/// Output of SealRun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SealedRun {
    /// The run.
    pub run_id: RunId,
    /// The signed record.
    pub record: ObjectRef,
}
