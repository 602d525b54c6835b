//! What the evaluation job writes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `schema` of [`ModelMetrics`].
pub const METRICS_SCHEMA: &str = "lockstep/metrics/v1";

/// A model's metrics by name, on the held-out data. `samples` and `tokens` are counts.
pub type Score = BTreeMap<String, f64>;

/// `metrics.json`: the base model and the candidate, graded by one job on the same rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelMetrics {
    /// Always [`METRICS_SCHEMA`].
    pub schema: String,
    /// The base model, before training.
    pub before: Score,
    /// The candidate, after training.
    pub after: Score,
    /// The same by group, where the request asks for groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<GroupMetrics>,
}

/// Metrics by group: each row belongs to the group that its field `column` names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupMetrics {
    /// The rows' field.
    pub column: String,
    /// The base model, by group.
    pub before: BTreeMap<String, Score>,
    /// The candidate, by group.
    pub after: BTreeMap<String, Score>,
}
