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
}
