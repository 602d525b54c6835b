//! What counts as drift. Every figure has a default; `docs/drift.md` says where each comes from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::row::Columns;

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
    /// The feature whose values are the groups.
    #[serde(default)]
    pub group: Option<String>,
    /// The most that groups' rates of positive predictions may differ (demographic parity). 0.1.
    #[serde(default = "tenth")]
    pub parity_difference: f64,
    /// The most that groups' accuracies may differ. 0.1.
    #[serde(default = "tenth")]
    pub accuracy_difference: f64,
    /// Metrics that must not fall below a value, such as `{"accuracy": 0.8}`. The names are those of
    /// [`quality`](crate::quality).
    #[serde(default)]
    pub at_least: BTreeMap<String, f64>,
    /// Metrics that must not rise above a value, such as `{"rmse": 2.5}`.
    #[serde(default)]
    pub at_most: BTreeMap<String, f64>,
}

fn tenth() -> f64 {
    0.1
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
}

impl Settings {
    /// # Errors
    /// When a figure cannot be meant.
    pub fn check(&self) -> Result<(), SettingsInvalid> {
        let mut shares = vec![
            ("ks_p", self.ks_p),
            ("ks_d", self.ks_d),
            ("null_rate", self.null_rate),
            ("unseen_rate", self.unseen_rate),
            ("violation_rate", self.violation_rate),
        ];
        if let Some(outcomes) = &self.outcomes {
            shares.push(("parity_difference", outcomes.parity_difference));
            shares.push(("accuracy_difference", outcomes.accuracy_difference));
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
        let text = r#"{"outcomes": {"prediction": "output.score", "task": {"kind": "binary", "positive": {"at_least": 0.5}},
            "group": "input.region", "at_least": {"accuracy": 0.8}}}"#;
        let settings: Settings = serde_json::from_str(text).unwrap();
        let outcomes = settings.outcomes.unwrap();
        assert_eq!(outcomes.task, Task::Binary { positive: Positive::AtLeast(0.5) });
        assert_eq!((outcomes.parity_difference, outcomes.accuracy_difference), (0.1, 0.1));
    }

    #[test]
    fn a_limit_that_cannot_be_meant_is_refused() {
        for text in [r#"{"psi": 0}"#, r#"{"ks_p": 5}"#, r#"{"bins": 1}"#, r#"{"min_samples": 0}"#] {
            let settings: Settings = serde_json::from_str(text).unwrap();
            assert!(settings.check().is_err(), "{text}");
        }
    }
}
