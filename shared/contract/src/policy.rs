//! `policy.json`: what no request may exceed. Deployed with the infrastructure and reviewed like code.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ContentKind, RetrainingPolicy, Score, Threshold};

/// The whole policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Always `lockstep/policy/v1`.
    pub schema: String,
    /// The reviewers' own version.
    pub version: String,
    /// What may come from the Hub.
    pub hub: HubPolicy,
    /// Which images may run.
    pub images: ImagePolicy,
    /// Which data may be used, and who may write it.
    pub data: DataPolicy,
    /// The loosest thresholds; each always applies.
    pub thresholds: Vec<Threshold>,
    /// What every evaluation measures beside the thresholds; nothing, where this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<EvaluationPolicy>,
    /// What jobs may use.
    pub training: TrainingPolicy,
    /// US dollars an hour by instance type; a type without a price is refused.
    pub prices_usd_per_hour: BTreeMap<String, f64>,
    /// US dollars that a run's jobs may cost at most.
    pub cost_cap_usd: f64,
    /// What may serve.
    pub endpoints: EndpointPolicy,
    /// How approval works.
    pub approval: ApprovalPolicy,
    /// Longest waits.
    pub limits: LimitPolicy,
    /// When drift may start a run; never, where this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retraining: Option<RetrainingPolicy>,
}

/// What may come from the Hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HubPolicy {
    /// Organisations and users.
    pub owners: BTreeSet<String>,
    /// Glob patterns; a file must match one of these and one of the request's.
    pub files: Vec<String>,
    /// Kinds of content; a kind that is not listed is refused even where a pattern lets its name in.
    pub formats: BTreeSet<ContentKind>,
    /// Bytes of all files together.
    pub max_total_bytes: u64,
}

/// How bad a finding is. The order is Lockstep's own: AWS's enum sorts alphabetically.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// For information.
    Informational,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
    /// AWS could not rank it, so nothing can be said to be worse. UNDEFINED and UNTRIAGED count as this.
    Undefined,
}

impl Severity {
    /// Its name, as AWS writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Informational => "INFORMATIONAL",
            Severity::Low => "LOW",
            Severity::Medium => "MEDIUM",
            Severity::High => "HIGH",
            Severity::Critical => "CRITICAL",
            Severity::Undefined => "UNDEFINED",
        }
    }
}

/// Which images may run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImagePolicy {
    /// ECR repositories of the account.
    pub repositories: BTreeSet<String>,
    /// Findings up to this severity pass.
    pub max_severity: Severity,
    /// Findings that pass until a day although they are worse.
    #[serde(default)]
    pub waivers: Vec<Waiver>,
    /// Seconds after which a scan says nothing any more.
    pub max_scan_age_seconds: u64,
}

/// A finding that somebody answered for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The finding's name, such as `CVE-2026-0001`.
    pub id: String,
    /// The last day, `YYYY-MM-DD` in UTC, on which it holds.
    #[schemars(with = "String")]
    pub until: jiff::civil::Date,
    /// Why.
    pub reason: String,
}

/// Which data may be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataPolicy {
    /// Prefixes in the work bucket for training data.
    pub training_prefixes: Vec<String>,
    /// Prefixes in the work bucket for evaluation data; the bucket's policy guards them.
    pub evaluation_prefixes: Vec<String>,
    /// `aws:userid` patterns of those who may write evaluation data. None of them may submit.
    pub evaluation_writers: Vec<String>,
    /// Fewest rows in either set.
    pub min_rows: u64,
    /// Fields that every row must have, as non-empty strings.
    pub required_fields: Vec<String>,
}

/// What every evaluation measures beside the thresholds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvaluationPolicy {
    /// The groups of rows that are compared, and the loosest bounds between them; they apply whether a request names
    /// groups or not.
    pub groups: drift::GroupSettings,
}

/// What jobs may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainingPolicy {
    /// Instance types of training and evaluation jobs.
    pub instance_types: BTreeSet<String>,
    /// Instances at most.
    pub max_instance_count: u32,
    /// Seconds at most.
    pub max_runtime_seconds: u32,
    /// Whether spot capacity may be used.
    pub spot_allowed: bool,
}

/// What may serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointPolicy {
    /// Names that requests may choose.
    pub names: BTreeSet<String>,
    /// Instance types.
    pub instance_types: BTreeSet<String>,
    /// Instances at most.
    pub max_instance_count: u32,
    /// Captured percentage at least.
    pub min_capture_percent: u32,
    /// Whether every request must bring a smoke test.
    #[serde(default)]
    pub smoke_test_required: bool,
}

/// How approval works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalPolicy {
    /// When the pipeline itself may approve; never, where this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automatic: Option<AutomaticApproval>,
    /// Whether approver and submitter must be different, known principals.
    pub approver_must_differ: bool,
    /// Seconds that a request for approval may stay open at most.
    pub max_seconds: u32,
}

/// The rule by which the pipeline approves without a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AutomaticApproval {
    /// Endpoints that a model may come to without a person.
    pub endpoints: BTreeSet<String>,
    /// Bounds on the candidate's metrics, beside those that every run is judged by.
    pub thresholds: Vec<Threshold>,
}

impl AutomaticApproval {
    /// Whether the rule approves: the endpoint is listed, there is a bound, and every bound holds.
    pub fn admits(&self, endpoint: &str, after: &Score) -> bool {
        let holds = |threshold: &Threshold| {
            after.get(&threshold.metric).is_some_and(|value| threshold.bound.admits(*value))
        };
        self.endpoints.contains(endpoint) && !self.thresholds.is_empty() && self.thresholds.iter().all(holds)
    }
}

/// Longest waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitPolicy {
    /// Seconds for an image scan.
    pub max_scan_seconds: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_approves_what_it_names_and_nothing_on_a_missing_metric() {
        let rule: AutomaticApproval = serde_json::from_value(serde_json::json!({
            "endpoints": ["staging"], "thresholds": [{"metric": "perplexity", "below": 2.0}],
        }))
        .unwrap();
        let score = |value: f64| Score::from([("perplexity".to_owned(), value)]);
        assert!(rule.admits("staging", &score(1.5)));
        for (endpoint, score) in [
            ("production", score(1.5)),
            ("staging", score(2.5)),
            ("staging", score(f64::NAN)),
            ("staging", Score::new()),
        ] {
            assert!(!rule.admits(endpoint, &score), "{endpoint} {score:?}");
        }
        let no_bound = AutomaticApproval { thresholds: Vec::new(), ..rule };
        assert!(!no_bound.admits("staging", &score(1.5)));
    }

    #[test]
    fn undefined_severity_is_not_low() {
        assert!(Severity::Undefined > Severity::Critical);
        assert!(Severity::Critical > Severity::High && Severity::High > Severity::Medium);
        assert!(Severity::Medium > Severity::Low && Severity::Low > Severity::Informational);
    }
}
