//! The identity of a run, and the names that are derived from it: a hash of what started it, so that a trigger delivered twice is one run.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// The one variant that an endpoint has: alarms, captures and autoscaling know it by this name.
pub const VARIANT: &str = "primary";

/// 32 lower-case hex digits; safe in every AWS resource name that Lockstep derives from it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct RunId(String);

/// The text is not 32 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a run id: give the 32 hex digits that `lockstep watch` and the notification show")]
pub struct RunIdInvalid(pub String);

impl RunId {
    /// Hashes the parts of what started the run. Each part is length-prefixed, so that no two different
    /// lists of parts hash alike.
    pub fn of(parts: &[&str]) -> Self {
        let mut hash = sha2::Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self(hex::encode(&hash.finalize()[..16]))
    }

    /// The id of an execution that was never admitted: its ARN is all that is known of it.
    pub fn of_execution(execution_arn: &str) -> Self {
        Self::of(&["execution", execution_arn])
    }

    /// The 32 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `lockstep-<run>-train`: the training job's name is its idempotency key.
    pub fn training_job(&self) -> String {
        format!("lockstep-{self}-train")
    }

    /// `lockstep-<run>-evaluate`: the processing job that grades the candidate.
    pub fn evaluation_job(&self) -> String {
        format!("lockstep-{self}-evaluate")
    }

    /// `lockstep-<run>`: the SageMaker model and the endpoint configuration.
    pub fn serving_name(&self) -> String {
        format!("lockstep-{self}")
    }

    /// `lockstep-<run>-smoke`: the temporary endpoint of its smoke test, and that endpoint's configuration.
    pub fn smoke_test_name(&self) -> String {
        format!("lockstep-{self}-smoke")
    }

    /// The run whose model and endpoint configuration go by this name; `None` for a name that is not Lockstep's.
    pub fn of_serving_name(name: &str) -> Option<Self> {
        Self::try_from(name.strip_prefix("lockstep-")?.to_owned()).ok()
    }

    /// `runs/<run>/`: the run's place in the work and the evidence bucket.
    pub fn prefix(&self) -> String {
        format!("runs/{self}/")
    }

    /// `baselines/<run>.json`: in the work bucket, what the run's traffic is compared with.
    pub fn baseline_key(&self) -> String {
        format!("baselines/{self}.json")
    }
}

impl TryFrom<String> for RunId {
    type Error = RunIdInvalid;
    fn try_from(text: String) -> Result<Self, RunIdInvalid> {
        let hex_digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() == 32 && hex_digits { Ok(Self(text)) } else { Err(RunIdInvalid(text)) }
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_between_parts_matters() {
        assert_ne!(RunId::of(&["ab", "c"]), RunId::of(&["a", "bc"]));
        assert_eq!(RunId::of(&["ab", "c"]), RunId::of(&["ab", "c"]));
    }

    #[test]
    fn a_run_is_found_by_the_name_of_what_serves_it() {
        let id = RunId::of(&["x"]);
        assert_eq!(RunId::of_serving_name(&id.serving_name()), Some(id.clone()));
        for foreign in [id.as_str(), "lockstep-made-by-hand", &id.training_job(), &id.smoke_test_name()] {
            assert_eq!(RunId::of_serving_name(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn names_fit_sagemakers_63_characters() {
        let id = RunId::of(&["x"]);
        for name in [id.training_job(), id.evaluation_job(), id.serving_name(), id.smoke_test_name()] {
            assert!(name.len() <= 63, "{name}");
        }
    }
}
