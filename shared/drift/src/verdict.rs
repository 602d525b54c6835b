//! What is said about a window of traffic: `report.json`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{quality::Metrics, settings::Settings};

/// The `schema` of a [`Report`].
pub const SCHEMA: &str = "lockstep/drift-report/v1";

/// What is said about a window of traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The verdict.
    pub outcome: Outcome,
    /// What was found that is not a feature's own.
    pub findings: Vec<Finding>,
    /// Rows that were compared.
    pub rows: u64,
    /// Rows of the baseline.
    pub baseline_rows: u64,
    /// What could not be used.
    pub skipped: Skipped,
    /// The first invocation's time.
    pub from: Option<Timestamp>,
    /// The last one's.
    pub until: Option<Timestamp>,
    /// The features, the drifted ones first.
    pub features: Vec<FeatureReport>,
    /// Predictions by group, and against labels.
    pub predictions: Option<Predictions>,
    /// By what it was judged.
    pub settings: Settings,
}

/// The verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing that counts has changed.
    Stable,
    /// Something has.
    Drifted,
    /// Too little traffic to say.
    TooFewRows,
}

/// What could not be used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    /// How many lines or captures.
    pub count: u64,
    /// Why, for the first of them.
    pub examples: Vec<String>,
    /// How many values belong to no feature of the baseline.
    pub unknown_values: u64,
}

/// A check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The population stability index.
    Psi,
    /// The Kolmogorov-Smirnov distance, its probability being small too.
    Ks,
    /// By how much the share of missing values changed.
    NullRate,
    /// The share of categories that the baseline has not seen.
    UnseenRate,
    /// The share of values of another type than the baseline's.
    MismatchedRate,
    /// The share of numbers outside the baseline's range.
    OutsideRate,
    /// The share of fractions where the baseline has whole numbers only.
    FractionalRate,
    /// How much groups' rates of positive predictions differ.
    ParityDifference,
    /// How much groups' accuracies differ.
    AccuracyDifference,
    /// A metric of model quality that fell below its bound.
    QualityBelow,
    /// A metric of model quality that rose above its bound.
    QualityAbove,
}

impl Check {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Psi => "PSI",
            Self::Ks => "KS distance",
            Self::NullRate => "change of the share of missing values",
            Self::UnseenRate => "share of unseen categories",
            Self::MismatchedRate => "share of values of another type",
            Self::OutsideRate => "share of values outside the range",
            Self::FractionalRate => "share of fractions",
            Self::ParityDifference => "difference of positive rates between groups",
            Self::AccuracyDifference => "difference of accuracies between groups",
            Self::QualityBelow => "below its bound:",
            Self::QualityAbove => "above its bound:",
        }
    }
}

/// Why something is drift.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What was checked.
    pub check: Check,
    /// The metric, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// What it is.
    pub value: f64,
    /// What it may be.
    pub limit: f64,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { check, metric, value, limit } = self;
        write!(formatter, "{}", check.name())?;
        if let Some(metric) = metric {
            write!(formatter, " {metric}")?;
        }
        write!(formatter, " {value:.3}, limit {limit}")
    }
}

/// A kind of feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Numbers.
    Numeric,
    /// Categories.
    Categorical,
}

/// What is said about a feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureReport {
    /// Its name.
    pub name: String,
    /// Its kind, as in the baseline.
    pub kind: Kind,
    /// Whether it is the model's score.
    pub is_score: bool,
    /// Values of the baseline, and now.
    pub n: Pair<u64>,
    /// Their mean.
    pub mean: Option<Pair<Option<f64>>>,
    /// The population stability index; absent without values.
    pub psi: Option<f64>,
    /// The Kolmogorov-Smirnov distance; absent without values and for categories.
    pub ks_d: Option<f64>,
    /// Its probability if nothing changed.
    pub ks_p: Option<f64>,
    /// The share of missing values.
    pub null_rate: Pair<f64>,
    /// The share of values that break a constraint, by the constraint.
    pub violations: Violations,
    /// Whether there was enough of it to judge.
    pub judged: bool,
    /// Whether it has drifted.
    pub drifted: bool,
    /// Why.
    pub why: Vec<Finding>,
    /// How its values are spread, for the eye.
    pub histogram: Histogram,
}

/// A figure of the baseline and of now.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair<T> {
    /// Then.
    pub baseline: T,
    /// Now.
    pub current: T,
}

/// Shares of the values that are there and break what held for all of the baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Violations {
    /// Another type.
    pub mismatched: f64,
    /// Numbers outside the range.
    pub outside: f64,
    /// Fractions where there were none.
    pub fractional: f64,
    /// Categories that were not seen.
    pub unseen: f64,
}

/// Shares of values by bin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Histogram {
    /// Each bin's name: a category, or a range of numbers.
    pub bins: Vec<String>,
    /// Each bin's share of the baseline.
    pub baseline: Vec<f64>,
    /// Each bin's share now.
    pub current: Vec<f64>,
}

/// Predictions by group, and against labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predictions {
    /// All of them.
    pub all: Group,
    /// By the group they belong to; groups beyond [`Settings::categories`] together as `(others)`.
    pub groups: BTreeMap<String, Group>,
}

/// Predictions of a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// How many.
    pub n: u64,
    /// The share that is positive; absent unless predictions are yes or no.
    pub positive_rate: Option<f64>,
    /// How many have a label.
    pub labelled: u64,
    /// Their [`quality`](crate::quality).
    pub metrics: Metrics,
}

impl Report {
    /// Reads a report.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }

    /// As it is stored.
    ///
    /// # Errors
    /// Never, in practice.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }

    /// The features that have drifted.
    pub fn drifted(&self) -> impl Iterator<Item = &FeatureReport> {
        self.features.iter().filter(|feature| feature.drifted)
    }
}
