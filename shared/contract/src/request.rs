//! What a user asks for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DataPin, RunId, S3Uri, Sha256Digest, SmokeTest, Threshold};

/// The `schema` of [`Request`].
pub const REQUEST_SCHEMA: &str = "lockstep/request/v1";

/// A request file. Unknown fields are refused, so that a misspelt limit cannot be ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Always [`REQUEST_SCHEMA`].
    pub schema: String,
    /// Any text; another nonce makes another run of an otherwise equal request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The base model on the Hub.
    pub source: SourceRequest,
    /// `repository:tag` or `repository@sha256:...` in the account's own ECR, with or without the registry.
    pub image: String,
    /// How to train, or how the promoted run was trained.
    pub training: TrainingRequest,
    /// How to grade.
    pub evaluation: EvaluationRequest,
    /// Where to register.
    pub registry: RegistryRequest,
    /// Where to serve.
    pub endpoint: EndpointRequest,
    /// Shorter waits than the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitRequest>,
    /// How the traffic of the endpoint is watched; by the documented defaults where this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<MonitoringRequest>,
    /// US dollars that the run may cost at most; policy's cap where this is left out, which it may not exceed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_cap_usd: Option<f64>,
    /// The run whose trained model is taken over; nothing is trained then. `lockstep promote` writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<Promotion>,
}

/// How the traffic of the endpoint is watched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MonitoringRequest {
    /// What counts as drift.
    #[serde(default)]
    pub settings: drift::Settings,
    /// Whether drift starts a run from this request with the data that is the latest then, where policy lets it.
    #[serde(default)]
    pub retrain: bool,
}

/// A run, of this account or of one that the trust root promotes from, and what was carried over of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Promotion {
    /// The run that trained the model.
    pub run_id: RunId,
    /// Its evidence in one document: `evidence.json` in a folder of its own in the intake bucket. The model's files
    /// lie beside it, in `artifact/`.
    pub evidence: S3Uri,
    /// Of that document's bytes.
    pub evidence_sha256: Sha256Digest,
}

/// The name of the evidence in its folder.
const EVIDENCE: &str = "evidence.json";

impl Promotion {
    /// The folder in the intake bucket, `promotions/<aws:userid>/<run id>/`, into which a user carries a run.
    pub fn folder(userid: &str, run: &RunId) -> String {
        format!("promotions/{userid}/{run}/")
    }

    /// Where the evidence lies in a folder.
    pub fn evidence_key(folder: &str) -> String {
        format!("{folder}{EVIDENCE}")
    }

    /// The prefix of the model's files, in the evidence's bucket.
    pub fn artifact_prefix(&self) -> String {
        let folder = self.evidence.key().strip_suffix(EVIDENCE).unwrap_or_default();
        format!("{folder}artifact/")
    }
}

/// A model repository on the Hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceRequest {
    /// `owner/name`.
    pub repo: String,
    /// Branch, tag or commit; resolved to a commit of 40 hex digits before anything is fetched.
    pub revision: String,
    /// Glob patterns of the files to take; empty takes all that policy lets in.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Glob patterns of files to leave out.
    #[serde(default)]
    pub deny: Vec<String>,
}

/// The training job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainingRequest {
    /// Rows to train on.
    pub data: DataPin,
    /// Handed to the container as they are; SageMaker knows only strings.
    #[serde(default)]
    pub hyperparameters: BTreeMap<String, String>,
    /// Such as `ml.m5.xlarge`.
    pub instance_type: String,
    /// Instances.
    pub instance_count: u32,
    /// GiB of the encrypted volume.
    pub volume_gib: u32,
    /// Seconds after which SageMaker stops the job.
    pub max_runtime_seconds: u32,
    /// Use spot capacity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot: Option<SpotRequest>,
}

/// Managed spot training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpotRequest {
    /// Seconds, waiting for capacity included; at least `max_runtime_seconds`.
    pub max_wait_seconds: u32,
}

/// The processing job that grades.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvaluationRequest {
    /// Held-out rows.
    pub data: DataPin,
    /// Such as `ml.m5.xlarge`.
    pub instance_type: String,
    /// Instances.
    pub instance_count: u32,
    /// GiB of the encrypted volume.
    pub volume_gib: u32,
    /// Seconds after which SageMaker stops the job.
    pub max_runtime_seconds: u32,
    /// Bounds beside, or stricter than, the policy's own; those always apply.
    #[serde(default)]
    pub thresholds: Vec<Threshold>,
    /// Groups of rows, and how much the candidate's metrics may differ between them; beside, or stricter than, the
    /// policy's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<drift::GroupSettings>,
}

/// The registry's place for the package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistryRequest {
    /// Model package group.
    pub model_package_group: String,
    /// What the approver reads first.
    #[serde(default)]
    pub description: String,
    /// What the model card says that no gate can find out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<CardRequest>,
}

/// What only people can say of a model. What is left out stands as "not stated" or "not evaluated" in the card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CardRequest {
    /// What the model is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intended_use: Option<String>,
    /// What it is not for, or does badly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limitations: Option<String>,
    /// What its users should weigh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ethical_considerations: Option<String>,
    /// What is known of its safety.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safety: Option<String>,
}

/// The endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointRequest {
    /// One of the endpoints that the infrastructure declares.
    pub name: String,
    /// Such as `ml.m5.large`.
    pub instance_type: String,
    /// Instances at the start.
    pub instance_count: u32,
    /// Percentage of calls whose input and output are captured, 0 to 100.
    pub capture_percent: u32,
    /// How traffic comes to a new version of an endpoint that serves already. Without it: a canary of a tenth where
    /// there are instances enough, else all at once; five minutes each, and five more in which the old fleet waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<DeploymentRequest>,
    /// What the model must answer on a temporary endpoint before traffic comes to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smoke_test: Option<SmokeTest>,
}

/// How traffic comes to a new version: SageMaker's blue/green deployment.
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green.html>
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeploymentRequest {
    /// In which steps.
    pub strategy: Strategy,
    /// Percentage of the fleet that a canary, or each linear step, takes; 1 to 50, and 10 to 50 for linear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u32>,
    /// Seconds between steps, in which an alarm rolls back; at most 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_seconds: Option<u32>,
    /// Seconds that the old fleet stays after all traffic has left it, in which an alarm still rolls back; at most 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake_seconds: Option<u32>,
}

/// In which steps traffic comes to a new version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// In one.
    AllAtOnce,
    /// In two: a part, and after a while the rest.
    Canary,
    /// In equal ones.
    Linear,
}

/// Waits, in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitRequest {
    /// For the image scan to settle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan_seconds: Option<u32>,
    /// For somebody to decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_seconds: Option<u32>,
}

/// The request does not follow its schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestInvalid {
    /// Not JSON, a missing or unknown field, or a wrong type; serde's message names the field and the place.
    #[error("the request does not follow {REQUEST_SCHEMA}: {0}")]
    Malformed(String),
    /// A field has a value that cannot be used.
    #[error("`{field}` is `{value}`: {remedy}")]
    Field {
        /// The field's path.
        field: &'static str,
        /// What it holds.
        value: String,
        /// What to write.
        remedy: &'static str,
    },
    /// What counts as drift cannot be meant.
    #[error("`monitoring.settings`: {0}")]
    Monitoring(String),
    /// Groups that cannot be meant.
    #[error("`evaluation`: {0}")]
    Evaluation(String),
}

impl Request {
    /// Reads and checks a request.
    ///
    /// # Errors
    /// [`RequestInvalid`] names the first field that is wrong, its value and the remedy.
    pub fn parse(json: &[u8]) -> Result<Self, RequestInvalid> {
        let request: Self =
            serde_json::from_slice(json).map_err(|error| RequestInvalid::Malformed(error.to_string()))?;
        request.check()?;
        Ok(request)
    }

    /// Checks what the types alone do not.
    ///
    /// # Errors
    /// As [`Request::parse`].
    pub fn check(&self) -> Result<(), RequestInvalid> {
        let refuse = |field, value: &dyn ToString, remedy| {
            Err(RequestInvalid::Field { field, value: value.to_string(), remedy })
        };
        if self.schema != REQUEST_SCHEMA {
            return refuse("schema", &self.schema, "write lockstep/request/v1");
        }
        let plain = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        match self.source.repo.split_once('/') {
            Some((owner, name)) if plain(owner) && plain(name) => {}
            _ => return refuse("source.repo", &self.source.repo, "write owner/name as on the Hub"),
        }
        let revision = &self.source.revision;
        if revision.is_empty() || revision.contains("..") || !revision.split('/').all(plain) {
            return refuse("source.revision", revision, "write a branch, a tag or a commit");
        }
        for pattern in self.source.allow.iter().chain(&self.source.deny) {
            if globset::Glob::new(pattern).is_err() {
                return refuse("source.allow", pattern, "write a glob pattern such as *.safetensors");
            }
        }
        let name = |text: &str| {
            (1..=63).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !text.starts_with('-')
                && !text.ends_with('-')
        };
        if !name(&self.registry.model_package_group) {
            let remedy = "write 1 to 63 letters, digits and hyphens, as SageMaker asks";
            return refuse("registry.model_package_group", &self.registry.model_package_group, remedy);
        }
        if !name(&self.endpoint.name) {
            return refuse("endpoint.name", &self.endpoint.name, "choose a declared endpoint");
        }
        for (field, count) in [
            ("training.instance_count", self.training.instance_count),
            ("evaluation.instance_count", self.evaluation.instance_count),
            ("endpoint.instance_count", self.endpoint.instance_count),
            ("training.volume_gib", self.training.volume_gib),
            ("evaluation.volume_gib", self.evaluation.volume_gib),
            ("training.max_runtime_seconds", self.training.max_runtime_seconds),
            ("evaluation.max_runtime_seconds", self.evaluation.max_runtime_seconds),
        ] {
            if count == 0 {
                return refuse(field, &count, "write a number greater than 0");
            }
        }
        if let Some(spot) = &self.training.spot
            && spot.max_wait_seconds < self.training.max_runtime_seconds
        {
            let remedy = "write at least training.max_runtime_seconds, as SageMaker asks";
            return refuse("training.spot.max_wait_seconds", &spot.max_wait_seconds, remedy);
        }
        if let Some(cap) = self.cost_cap_usd
            && !(cap.is_finite() && cap > 0.0)
        {
            return refuse("cost_cap_usd", &cap, "write US dollars, a number greater than 0");
        }
        if self.endpoint.capture_percent > 100 {
            return refuse("endpoint.capture_percent", &self.endpoint.capture_percent, "write 0 to 100");
        }
        if let Some(monitoring) = &self.monitoring
            && let Err(invalid) = monitoring.settings.check()
        {
            return Err(RequestInvalid::Monitoring(invalid.to_string()));
        }
        if let Some(groups) = &self.evaluation.groups
            && let Err(invalid) = groups.check()
        {
            return Err(RequestInvalid::Evaluation(invalid.to_string()));
        }
        self.check_deployment()?;
        if let Some((value, remedy)) = self.endpoint.smoke_test.as_ref().and_then(SmokeTest::problem) {
            return refuse("endpoint.smoke_test", &value, remedy);
        }
        if self.training.data.uri == self.evaluation.data.uri
            || self.training.data.sha256 == self.evaluation.data.sha256
        {
            let remedy = "grade on rows that the model was not trained on";
            return refuse("evaluation.data", &self.evaluation.data.uri, remedy);
        }
        if let Some(promotion) = &self.promotion {
            let folder = format!("/{}/{EVIDENCE}", promotion.run_id);
            if !promotion.evidence.key().starts_with("promotions/")
                || !promotion.evidence.key().ends_with(&folder)
            {
                let remedy = "let `lockstep promote` write it: s3://<intake>/promotions/<userid>/<run id>/evidence.json";
                return refuse("promotion.evidence", &promotion.evidence, remedy);
            }
        }
        Ok(())
    }

    fn check_deployment(&self) -> Result<(), RequestInvalid> {
        let refuse = |field, value: &dyn ToString, remedy| {
            Err(RequestInvalid::Field { field, value: value.to_string(), remedy })
        };
        let Some(asked) = &self.endpoint.deployment else { return Ok(()) };
        let least = match asked.strategy {
            Strategy::AllAtOnce if asked.percent.is_some() => {
                let remedy = "leave it out: all at once takes the whole fleet";
                return refuse("endpoint.deployment.percent", &asked.percent.unwrap_or_default(), remedy);
            }
            Strategy::AllAtOnce => None,
            Strategy::Canary => Some(1),
            // SageMaker takes a canary's part as small as an instance, and a linear step of a tenth at least.
            Strategy::Linear => Some(10),
        };
        if let Some(least) = least {
            if self.endpoint.instance_count < 2 {
                let remedy =
                    "write 2 or more: traffic cannot be parted over one instance; or deploy all-at-once";
                return refuse("endpoint.instance_count", &self.endpoint.instance_count, remedy);
            }
            if !crate::takes_traffic_shifting(&self.endpoint.instance_type) {
                let remedy =
                    "choose another type, or deploy all-at-once: SageMaker shifts no traffic on this one";
                return refuse("endpoint.instance_type", &self.endpoint.instance_type, remedy);
            }
            if let Some(percent) = asked.percent.filter(|percent| !(least..=50).contains(percent)) {
                let remedy = "write 1 to 50 for a canary, 10 to 50 for linear, as SageMaker asks";
                return refuse("endpoint.deployment.percent", &percent, remedy);
            }
        }
        for (field, seconds) in [
            ("endpoint.deployment.wait_seconds", asked.wait_seconds),
            ("endpoint.deployment.bake_seconds", asked.bake_seconds),
        ] {
            if let Some(seconds) = seconds.filter(|seconds| *seconds > 3600) {
                return refuse(field, &seconds, "write at most 3600, as SageMaker asks");
            }
        }
        Ok(())
    }

    /// Seconds after which the training job can no longer be running.
    pub fn training_wait_seconds(&self) -> u32 {
        self.training.spot.as_ref().map_or(self.training.max_runtime_seconds, |spot| spot.max_wait_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> serde_json::Value {
        serde_json::json!({
            "schema": REQUEST_SCHEMA,
            "source": {"repo": "lockstep/tiny-lm", "revision": "main", "allow": ["*.json"]},
            "image": "lockstep/model-container:1.0",
            "training": {
                "data": {"uri": "s3://w/datasets/training/a.jsonl", "version_id": "1", "sha256": "0".repeat(64)},
                "instance_type": "ml.m5.xlarge", "instance_count": 1, "volume_gib": 30, "max_runtime_seconds": 60
            },
            "evaluation": {
                "data": {"uri": "s3://w/datasets/evaluation/a.jsonl", "version_id": "1", "sha256": "1".repeat(64)},
                "instance_type": "ml.m5.xlarge", "instance_count": 1, "volume_gib": 30, "max_runtime_seconds": 60
            },
            "registry": {"model_package_group": "tiny-lm"},
            "endpoint": {"name": "tiny-lm", "instance_type": "ml.m5.large", "instance_count": 1, "capture_percent": 100},
            "monitoring": {"settings": {"psi": 0.2}},
            "cost_cap_usd": 5.0
        })
    }

    fn refused(pointer: &str, value: serde_json::Value) -> String {
        let mut request = sample();
        *request.pointer_mut(pointer).unwrap() = value;
        Request::parse(request.to_string().as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_request_is_taken() {
        Request::parse(sample().to_string().as_bytes()).unwrap();
    }

    #[test]
    fn each_refusal_names_the_field_and_its_value() {
        for (pointer, value, field) in [
            ("/schema", "v0".into(), "schema"),
            ("/source/repo", "../etc".into(), "source.repo"),
            ("/source/repo", "a/b/c".into(), "source.repo"),
            ("/source/revision", "../main".into(), "source.revision"),
            ("/endpoint/name", "-x".into(), "endpoint.name"),
            ("/endpoint/capture_percent", 101.into(), "endpoint.capture_percent"),
            ("/training/instance_count", 0.into(), "training.instance_count"),
            ("/monitoring/settings/psi", (-1).into(), "psi"),
            ("/cost_cap_usd", 0.into(), "cost_cap_usd"),
            ("/cost_cap_usd", (-3).into(), "cost_cap_usd"),
        ] as [(&str, serde_json::Value, &str); 10]
        {
            let shown = value.as_str().map_or(value.to_string(), str::to_owned);
            let message = refused(pointer, value);
            assert!(message.contains(field) && message.contains(&shown), "{message}");
        }
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        let mut request = sample();
        request["training"]["max_runtime"] = 5.into();
        let message = Request::parse(request.to_string().as_bytes()).unwrap_err().to_string();
        assert!(message.contains("max_runtime"), "{message}");
    }

    /// JSON knows no such number; who builds a request otherwise must not come past the check.
    #[test]
    fn a_cap_that_is_no_number_is_refused() {
        let mut request = Request::parse(sample().to_string().as_bytes()).unwrap();
        for cap in [f64::NAN, f64::INFINITY] {
            request.cost_cap_usd = Some(cap);
            assert!(request.check().unwrap_err().to_string().contains("cost_cap_usd"));
        }
    }

    #[test]
    fn max_wait_below_max_runtime_is_refused() {
        let mut request = sample();
        request["training"]["spot"] = serde_json::json!({"max_wait_seconds": 59});
        assert!(Request::parse(request.to_string().as_bytes()).is_err());
    }

    #[test]
    fn a_deployment_that_sagemaker_would_refuse_is_refused_first() {
        let asked = |instances: u32, kind: &str, deployment: serde_json::Value| {
            let mut request = sample();
            request["endpoint"]["instance_count"] = instances.into();
            request["endpoint"]["instance_type"] = kind.into();
            request["endpoint"]["deployment"] = deployment;
            Request::parse(request.to_string().as_bytes()).map_err(|error| error.to_string())
        };
        let canary = serde_json::json!({"strategy": "canary", "percent": 10, "wait_seconds": 60});
        asked(2, "ml.m5.large", canary.clone()).unwrap();
        let linear = serde_json::json!({"strategy": "linear", "percent": 9});
        let whole = serde_json::json!({"strategy": "all-at-once", "percent": 10});
        let long = serde_json::json!({"strategy": "canary", "bake_seconds": 3601});
        for (instances, kind, deployment, field) in [
            (1, "ml.m5.large", canary.clone(), "endpoint.instance_count"),
            (2, "ml.inf1.xlarge", canary, "endpoint.instance_type"),
            (2, "ml.m5.large", linear, "endpoint.deployment.percent"),
            (1, "ml.m5.large", whole, "endpoint.deployment.percent"),
            (2, "ml.m5.large", long, "endpoint.deployment.bake_seconds"),
            (2, "ml.m5.large", serde_json::json!({"strategy": "blue"}), "all-at-once"),
        ] {
            let message = asked(instances, kind, deployment).unwrap_err();
            assert!(message.contains(field), "{message}");
        }
    }

    #[test]
    fn a_promotion_names_the_folder_of_its_own_run() {
        let run = "0a".repeat(16);
        let promotion = |key: &str| {
            let mut request = sample();
            let evidence = format!("s3://intake/{key}");
            request["promotion"] =
                serde_json::json!({"run_id": run, "evidence": evidence, "evidence_sha256": "2".repeat(64)});
            Request::parse(request.to_string().as_bytes())
        };
        let taken = promotion(&format!("promotions/AIDA/{run}/evidence.json")).unwrap().promotion.unwrap();
        assert_eq!(taken.artifact_prefix(), format!("promotions/AIDA/{run}/artifact/"));
        for bad in [
            format!("promotions/AIDA/{}/evidence.json", "0b".repeat(16)),
            format!("requests/AIDA/{run}/evidence.json"),
            format!("promotions/AIDA/{run}/other.json"),
        ] {
            let message = promotion(&bad).unwrap_err().to_string();
            assert!(message.contains("promotion.evidence") && message.contains(&bad), "{message}");
        }
    }

    #[test]
    fn groups_that_cannot_be_meant_are_refused_by_name() {
        let asked = |groups: serde_json::Value| {
            let mut request = sample();
            request["evaluation"]["groups"] = groups;
            Request::parse(request.to_string().as_bytes()).map_err(|error| error.to_string())
        };
        let bounds = serde_json::json!([{"metric": "eval_loss", "max_difference": 0.5}]);
        asked(serde_json::json!({"column": "region", "min_samples": 20, "bounds": bounds})).unwrap();
        for (groups, told) in [
            (serde_json::json!({"column": " ", "bounds": bounds}), "groups.column"),
            (serde_json::json!({"column": "region", "bounds": []}), "groups.bounds"),
            (
                serde_json::json!({"column": "region", "min_samples": 1, "bounds": bounds}),
                "groups.min_samples",
            ),
            (serde_json::json!({"column": "region", "bounds": [{"metric": "eval_loss"}]}), "max_difference"),
        ] {
            let message = asked(groups).unwrap_err();
            assert!(message.contains(told), "{message}");
        }
    }

    #[test]
    fn training_rows_cannot_grade() {
        let message = refused("/evaluation/data/sha256", "0".repeat(64).into());
        assert!(message.contains("evaluation.data"), "{message}");
    }
}
