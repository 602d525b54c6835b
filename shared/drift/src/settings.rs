//! What counts as drift. Every figure has a default; `docs/drift.md` says where each comes from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    bias::{GroupSettings, POSITIVE_RATE},
    row::{Columns, Side},
};

/// What counts as drift.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Bins of a numeric feature, by quantiles of the baseline. 10.
    pub bins: usize,
    /// The most values of a numeric feature that the baseline keeps. 10,000.
    pub sample: usize,
    /// The most categories of a feature; a text with more is measured by its length. 100.
    pub categories: usize,
    /// The most characters of a category's name; a longer text is measured by its length. 64.
    pub category_chars: usize,
    /// The most features of a baseline. 2,000.
    pub most_features: usize,
    /// Names of features that are not looked at, such as identifiers.
    pub ignore: Vec<String>,
    /// Names for CSV's columns.
    pub columns: Columns,
    /// The feature that is the model's score. It drifts on its own, however many other features do.
    pub score: Option<String>,
    /// The least rows, on either side, of a feature that is judged. 100.
    pub min_samples: u64,
    /// A population stability index above this is drift. 0.2.
    pub psi: f64,
    /// A Kolmogorov-Smirnov probability below this is drift, if the distance is large enough too. 0.05.
    pub ks_p: f64,
    /// The least Kolmogorov-Smirnov distance that is drift. 0.1.
    pub ks_d: f64,
    /// A share of missing values that differs from the baseline's by more than this is drift. 0.05.
    pub null_rate: f64,
    /// A share of categories that the baseline has not seen above this is drift. 0.05.
    pub unseen_rate: f64,
    /// A share of values that break what held for all of the baseline (type, whole numbers, range) above this is drift. 0.05.
    pub violation_rate: f64,
    /// So many features must have drifted for the whole to have drifted. 1.
    pub drifted_features: usize,
    /// How predictions are judged by groups and against labels.
    pub outcomes: Option<OutcomeSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bins: 10,
            sample: 10_000,
            categories: 100,
            category_chars: 64,
            most_features: 2_000,
            ignore: Vec::new(),
            columns: Columns::default(),
            score: None,
            min_samples: 100,
            psi: 0.2,
            ks_p: 0.05,
            ks_d: 0.1,
            null_rate: 0.05,
            unseen_rate: 0.05,
            violation_rate: 0.05,
            drifted_features: 1,
            outcomes: None,
        }
    }
}

/// How predictions are judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutcomeSettings {
    /// The feature that is the prediction.
    pub prediction: String,
    /// What is predicted.
    pub task: Task,
    /// That labels come, and when; nothing that needs them is judged without this.
    #[serde(default)]
    pub labels: Option<LabelSettings>,
    /// The groups that predictions are compared between. `positive_rate` needs no labels, every other metric does.
    #[serde(default)]
    pub groups: Option<GroupSettings>,
    /// Metrics that must not fall below a value, such as `{"accuracy": 0.8}`. The names are those of
    /// [`quality`](crate::quality).
    #[serde(default)]
    pub at_least: BTreeMap<String, f64>,
    /// Metrics that must not rise above a value, such as `{"rmse": 2.5}`.
    #[serde(default)]
    pub at_most: BTreeMap<String, f64>,
}

/// When labels come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LabelSettings {
    /// Hours after which the label of a prediction is expected to be there. 24. Predictions are judged when they are so
    /// old; a label that comes after that is ignored.
    pub delay_hours: u32,
    /// The most hours of predictions that are judged together: so long labels are waited for while there are too few. 168.
    pub most_hours: u32,
}

impl Default for LabelSettings {
    fn default() -> Self {
        Self { delay_hours: 24, most_hours: 168 }
    }
}

/// What is predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "kind")]
pub enum Task {
    /// Yes or no.
    Binary {
        /// What is a yes, in predictions and in labels.
        positive: Positive,
    },
    /// One of several classes.
    Multiclass,
    /// A number.
    Regression,
}

/// What is a yes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Positive {
    /// A number of at least this; true is 1, false is 0.
    AtLeast(f64),
    /// This value, as text.
    Is(String),
}

/// Why settings are refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SettingsInvalid {
    /// A share or a probability.
    #[error("`{name}` must lie between 0 and 1, and is {value}")]
    Share {
        /// The setting.
        name: &'static str,
        /// What it is.
        value: f64,
    },
    /// A limit that nothing or everything passes.
    #[error("`{name}` must be a positive number, and is {value}")]
    Limit {
        /// The setting.
        name: &'static str,
        /// What it is.
        value: f64,
    },
    /// A count out of its range.
    #[error("`{name}` must lie between {least} and {most}, and is {value}")]
    Count {
        /// The setting.
        name: &'static str,
        /// Its least value.
        least: usize,
        /// Its greatest value.
        most: usize,
        /// What it is.
        value: usize,
    },
    /// Groups that cannot be meant.
    #[error("`groups.{field}` is `{value}`: {remedy}")]
    Groups {
        /// The field.
        field: &'static str,
        /// What it is.
        value: String,
        /// What to write.
        remedy: &'static str,
    },
    /// Something of `outcomes` that nothing could be judged by.
    #[error("`outcomes.{field}` is `{value}`: {remedy}")]
    Outcomes {
        /// The field.
        field: &'static str,
        /// What it is.
        value: String,
        /// What to write.
        remedy: String,
    },
}

impl Task {
    /// The metrics that labels give it, as [`quality`](crate::quality) has them.
    pub fn metrics(&self) -> &'static [&'static str] {
        match self {
            Self::Binary { .. } => &["accuracy", "auc", "f1", "precision", "recall"],
            Self::Multiclass => &["accuracy", "f1", "precision", "recall"],
            Self::Regression => &["mae", "rmse"],
        }
    }
}

impl OutcomeSettings {
    /// # Errors
    /// When something in it would never be judged: a metric that the task does not have, or that needs labels where
    /// none are said to come.
    fn check(&self) -> Result<(), SettingsInvalid> {
        let refuse = |field, value: &str, remedy: String| {
            Err(SettingsInvalid::Outcomes { field, value: value.to_owned(), remedy })
        };
        let feature = || "write the name of a feature, such as input.region or output.score".to_owned();
        if Side::of(&self.prediction).is_none() {
            return refuse("prediction", &self.prediction, feature());
        }
        let metrics = self.task.metrics();
        let unlabelled =
            || "say in `outcomes.labels` that labels come: nothing else can measure it".to_owned();
        for (field, bounds) in [("at_least", &self.at_least), ("at_most", &self.at_most)] {
            for (metric, limit) in bounds {
                if !metrics.contains(&metric.as_str()) {
                    return refuse(field, metric, format!("the task has the metrics {metrics:?}"));
                }
                if !limit.is_finite() {
                    return refuse(field, metric, "write a finite number".to_owned());
                }
                if self.labels.is_none() {
                    return refuse(field, metric, unlabelled());
                }
            }
        }
        if let Some(groups) = &self.groups {
            groups.check()?;
            if Side::of(&groups.column).is_none() {
                return refuse("groups.column", &groups.column, feature());
            }
            for bound in &groups.bounds {
                let has_rate = matches!(self.task, Task::Binary { .. });
                if bound.metric == POSITIVE_RATE && has_rate {
                    continue;
                }
                if !metrics.contains(&bound.metric.as_str()) {
                    let rate = if has_rate { " and positive_rate" } else { "" };
                    let remedy = format!("the task has the metrics {metrics:?}{rate}");
                    return refuse("groups.bounds", &bound.metric, remedy);
                }
                if self.labels.is_none() {
                    return refuse("groups.bounds", &bound.metric, unlabelled());
                }
            }
        }
        if let Some(labels) = &self.labels {
            for (name, value, least, most) in [
                ("labels.delay_hours", labels.delay_hours, 0, 24 * 366),
                ("labels.most_hours", labels.most_hours, 1, 24 * 31),
            ] {
                if !(least..=most).contains(&value) {
                    return refuse(name, &value.to_string(), format!("write {least} to {most}"));
                }
            }
            let of_labels =
                |groups: &GroupSettings| groups.bounds.iter().any(|bound| bound.metric != POSITIVE_RATE);
            if self.at_least.is_empty()
                && self.at_most.is_empty()
                && !self.groups.as_ref().is_some_and(of_labels)
            {
                let remedy = "say what they must show, in `at_least`, `at_most` or `groups`".to_owned();
                return refuse("labels", "set", remedy);
            }
        }
        Ok(())
    }
}

impl Settings {
    /// # Errors
    /// When a figure cannot be meant.
    pub fn check(&self) -> Result<(), SettingsInvalid> {
        let shares = [
            ("ks_p", self.ks_p),
            ("ks_d", self.ks_d),
            ("null_rate", self.null_rate),
            ("unseen_rate", self.unseen_rate),
            ("violation_rate", self.violation_rate),
        ];
        if let Some(outcomes) = &self.outcomes {
            outcomes.check()?;
        }
        for (name, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                return Err(SettingsInvalid::Share { name, value });
            }
        }
        if !(self.psi > 0.0 && self.psi.is_finite()) {
            return Err(SettingsInvalid::Limit { name: "psi", value: self.psi });
        }
        let min_samples = usize::try_from(self.min_samples).unwrap_or(usize::MAX);
        for (name, value, least, most) in [
            ("bins", self.bins, 2, 1_000),
            ("sample", self.sample, 100, 1_000_000),
            ("categories", self.categories, 1, 10_000),
            ("category_chars", self.category_chars, 1, 1_024),
            ("most_features", self.most_features, 1, 100_000),
            ("min_samples", min_samples, 2, 1_000_000_000),
            ("drifted_features", self.drifted_features, 1, 100_000),
        ] {
            if !(least..=most).contains(&value) {
                return Err(SettingsInvalid::Count { name, least, most, value });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_needs_to_be_said_and_nothing_unknown_may_be() {
        let settings: Settings = serde_json::from_str("{}").unwrap();
        assert_eq!((&settings, settings.check()), (&Settings::default(), Ok(())));
        let error = serde_json::from_str::<Settings>(r#"{"psy": 0.3}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `psy`"), "{error}");
    }

    #[test]
    fn the_guide_tells_the_defaults() {
        let guide = include_str!("../../../docs/drift.md");
        let (_, settings) = guide.split_once("## Settings").unwrap();
        let start = settings.find('{').unwrap();
        let end = settings.find("\n    }").unwrap() + "\n    }".len();
        let told: Settings = serde_json::from_str(&settings[start..end]).unwrap();
        assert_eq!(told, Settings::default());
        let told: serde_json::Value = serde_json::from_str(&settings[start..end]).unwrap();
        assert_eq!(told, serde_json::to_value(Settings::default()).unwrap());
    }

    #[test]
    fn outcomes_are_read_as_the_guide_writes_them() {
        let guide = include_str!("../../../docs/drift.md");
        let (_, told) = guide.split_once("## Predictions, labels and groups").unwrap();
        let start = told.find("    \"outcomes\"").unwrap();
        let end = start + told[start..].find("\n    }").unwrap() + "\n    }".len();
        let settings: Settings = serde_json::from_str(&format!("{{{}}}", &told[start..end])).unwrap();
        assert_eq!(settings.check(), Ok(()));
        let outcomes = settings.outcomes.unwrap();
        assert_eq!(outcomes.task, Task::Binary { positive: Positive::AtLeast(0.5) });
        assert_eq!(outcomes.labels, Some(LabelSettings::default()));
        assert_eq!(outcomes.groups.unwrap().bounds.len(), 2);
    }

    #[test]
    fn what_would_never_be_judged_is_refused_by_name() {
        let outcomes = |more: &str| {
            let text = format!(
                r#"{{"outcomes": {{"prediction": "output.x", "task": {{"kind": "multiclass"}}, {more}}}}}"#
            );
            serde_json::from_str::<Settings>(&text).unwrap().check()
        };
        outcomes(r#""labels": {}, "at_least": {"accuracy": 0.5}"#).unwrap();
        for (more, told) in [
            (r#""labels": {}, "at_least": {"acuracy": 0.5}"#, "acuracy"),
            (r#""labels": {}, "at_most": {"auc": 0.5}"#, "auc"),
            (r#""at_least": {"accuracy": 0.5}"#, "labels"),
            (r#""labels": {"most_hours": 0}"#, "labels.most_hours"),
            (
                r#""groups": {"column": "input.g", "bounds": [{"metric": "accuracy", "min_ratio": 0.8}]}"#,
                "labels",
            ),
            (
                r#""labels": {}, "groups": {"column": "input.g", "bounds": [{"metric": "positive_rate", "min_ratio": 0.8}]}"#,
                "positive_rate",
            ),
            (
                r#""labels": {}, "groups": {"column": "region", "bounds": [{"metric": "accuracy", "min_ratio": 0.8}]}"#,
                "groups.column",
            ),
        ] {
            let refusal = outcomes(more).unwrap_err().to_string();
            assert!(refusal.contains(told), "{more}: {refusal}");
        }
    }

    #[test]
    fn a_limit_that_cannot_be_meant_is_refused() {
        for text in [r#"{"psi": 0}"#, r#"{"ks_p": 5}"#, r#"{"bins": 1}"#, r#"{"min_samples": 0}"#] {
            let settings: Settings = serde_json::from_str(text).unwrap();
            assert!(settings.check().is_err(), "{text}");
        }
    }
}
