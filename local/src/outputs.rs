//! What the infrastructure answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The infrastructure lacks an output, or one is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("infra/environments/local: the outputs are not what the local account reads: {0}")]
pub struct Error(#[from] serde_json::Error);

/// The outputs of `infra/environments/local`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outputs {
    /// Where requests are uploaded.
    pub intake_bucket: String,
    /// Where models, artefacts and datasets lie.
    pub work_bucket: String,
    /// Where links and records lie.
    pub evidence_bucket: String,
    /// The coordination table.
    pub table: String,
    /// The pipeline.
    pub state_machine_arn: String,
    /// Where notifications are published.
    pub topic_arn: String,
    /// The key that encrypts data.
    pub data_key_arn: String,
    /// The container's repository, with its registry.
    pub repository_url: String,
    /// The functions' names, by verb.
    pub function_names: BTreeMap<String, String>,
    /// The endpoints that a request may choose.
    pub endpoints: BTreeMap<String, Value>,
    /// The signing keys' public halves, by verb.
    pub trust_root: serde_json::Value,
    /// The role of schedules.
    pub scheduler_role_arn: String,
    /// Every output as it came, for what is not named above.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

impl Outputs {
    pub(crate) fn read(outputs: &Map<String, Value>) -> Result<Self, Error> {
        Ok(serde_json::from_value(Value::Object(outputs.clone()))?)
    }

    /// The container's repository, without its registry.
    pub fn repository(&self) -> &str {
        self.repository_url.split_once('/').map_or(self.repository_url.as_str(), |(_, name)| name)
    }
}
