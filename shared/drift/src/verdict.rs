//! What is said about a window of traffic: `report.json`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    bias::{Breach, Limit},
    labels::LabelCounts,
    quality::Metrics,
    settings::Settings,
};

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
    /// Predictions of this window by group.
    pub predictions: Option<Predictions>,
    /// Predictions of an earlier window against the labels that came since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
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
    /// How much a metric differs between groups.
    GroupDifference,
    /// Which part the least of groups' metrics is of the greatest.
    GroupRatio,
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
            Self::GroupDifference => "difference between groups:",
            Self::GroupRatio => "ratio between groups:",
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
    /// Between which groups, where it is about groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<Between>,
}

/// The two groups that differ most, with what each has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Between {
    /// The group that has least.
    pub least: (String, f64),
    /// The group that has most.
    pub greatest: (String, f64),
}

impl From<Breach> for Finding {
    fn from(breach: Breach) -> Self {
        let Breach { least, greatest, bound } = breach;
        let check = match bound.limit {
            Limit::MaxDifference(_) => Check::GroupDifference,
            Limit::MinRatio(_) => Check::GroupRatio,
        };
        Self {
            check,
            value: bound.limit.measure(least.1, greatest.1),
            limit: bound.limit.value(),
            metric: Some(bound.metric),
            between: Some(Between { least, greatest }),
        }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { check, metric, value, limit, between } = self;
        write!(formatter, "{}", check.name())?;
        if let Some(metric) = metric {
            write!(formatter, " {metric}")?;
        }
        write!(formatter, " {value:.3}, limit {limit}")?;
        if let Some(Between { least, greatest }) = between {
            write!(formatter, "; `{}` has {:.3} and `{}` {:.3}", least.0, least.1, greatest.0, greatest.1)?;
        }
        Ok(())
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

/// What is said about predictions whose labels have come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// The verdict: the worst of the two below.
    pub verdict: QualityVerdict,
    /// Whether the metrics of all predictions keep their bounds; absent where there are none.
    pub metrics: Option<QualityVerdict>,
    /// Whether the groups keep theirs; absent where there are none.
    pub groups: Option<QualityVerdict>,
    /// What does not.
    pub findings: Vec<Finding>,
    /// The first moment of the predictions.
    pub from: Timestamp,
    /// The moment after the last.
    pub until: Timestamp,
    /// What became of the labels.
    pub labels: LabelCounts,
    /// Captures that could not be used.
    pub skipped: Skipped,
    /// The predictions, of all and by group.
    pub predictions: Predictions,
}

/// A verdict on model quality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QualityVerdict {
    /// Every bound is kept.
    Stable,
    /// There are not enough labels to say. What was not judged is no good news.
    NotEvaluated,
    /// A bound is broken.
    Drifted,
}

impl QualityVerdict {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::NotEvaluated => "not_evaluated",
            Self::Drifted => "drifted",
        }
    }
}

/// Predictions by group, and against labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predictions {
    /// All of them.
    pub all: Group,
    /// By the group they belong to; groups beyond [`Settings::categories`] together as `(others)`.
    pub groups: BTreeMap<String, Group>,
    /// What was not judged, and what it lacks.
    pub not_judged: Vec<String>,
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

    /// Adds what is said about an earlier window's labels: what drifted there has drifted.
    pub fn with_quality(mut self, quality: Quality) -> Self {
        if quality.verdict == QualityVerdict::Drifted {
            self.outcome = Outcome::Drifted;
        }
        self.quality = Some(quality);
        self
    }

    /// What has drifted: the features by their names, and metrics as `quality.accuracy` or `groups.accuracy`.
    pub fn drifted_names(&self) -> impl Iterator<Item = String> {
        let findings = self.findings.iter().chain(self.quality.iter().flat_map(|quality| &quality.findings));
        let metrics = findings.filter_map(|finding| {
            let what = if finding.between.is_some() { "groups" } else { "quality" };
            Some(format!("{what}.{}", finding.metric.as_ref()?))
        });
        self.drifted().map(|feature| feature.name.clone()).chain(metrics)
    }

    /// The features that have drifted.
    pub fn drifted(&self) -> impl Iterator<Item = &FeatureReport> {
        self.features.iter().filter(|feature| feature.drifted)
    }
}
