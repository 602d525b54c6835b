//! Predictions by group and against the labels that came later.

use std::collections::{BTreeMap, HashMap};

use crate::{
    quality::{self, Metrics},
    row::{Row, Value},
    settings::{OutcomeSettings, Positive, Settings, Task},
    verdict::{Check, Finding, Group, Predictions},
};

/// What groups beyond the allowed number are counted as.
const OTHERS: &str = "(others)";

/// Sees predictions, joins them with labels, and judges them.
///
/// Labels are put in first: memory is bounded by their number and by that of the predictions that have one.
#[derive(Debug)]
pub struct Outcomes<'a> {
    settings: &'a Settings,
    how: &'a OutcomeSettings,
    labels: HashMap<String, Vec<Option<Value>>>,
    all: Seen,
    groups: BTreeMap<String, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    n: u64,
    positive: u64,
    joined: Vec<Joined>,
}

/// A prediction and its label.
#[derive(Clone, Debug)]
enum Joined {
    Binary { predicted: bool, truth: bool, score: f64 },
    Class { predicted: String, truth: String },
    Number { predicted: f64, truth: f64 },
}

impl<'a> Outcomes<'a> {
    /// Absent unless the settings say how predictions are judged.
    pub fn new(settings: &'a Settings) -> Option<Self> {
        let how = settings.outcomes.as_ref()?;
        let (labels, groups) = (HashMap::new(), BTreeMap::new());
        Some(Self { settings, how, labels, all: Seen::default(), groups })
    }

    /// Labels of the rows of the invocation with this [`id`](crate::capture::Capture::id). Later ones replace earlier ones.
    pub fn label(&mut self, id: String, labels: Vec<Option<Value>>) {
        self.labels.insert(id, labels);
    }

    /// Sees the rows of an invocation.
    pub fn see(&mut self, id: &str, rows: &[Row]) {
        // A label is used once: an invocation that is captured twice is one.
        let labels = self.labels.remove(id).unwrap_or_default();
        for (index, row) in rows.iter().enumerate() {
            let Some(predicted) = row.values.get(&self.how.prediction) else { continue };
            let score = self.settings.score.as_ref().and_then(|name| row.values.get(name));
            let joined = labels
                .get(index)
                .and_then(Option::as_ref)
                .and_then(|truth| join(&self.how.task, predicted, truth, score));
            let positive = match &self.how.task {
                Task::Binary { positive } => is_positive(predicted, positive),
                Task::Multiclass | Task::Regression => false,
            };
            if let Some(group) = self.how.group.as_ref().and_then(|name| row.values.get(name)) {
                let mut name = group.category();
                if !self.groups.contains_key(&name) && self.groups.len() >= self.settings.categories {
                    name = OTHERS.to_owned();
                }
                self.groups.entry(name).or_default().see(positive, joined.clone());
            }
            self.all.see(positive, joined);
        }
    }

    /// What they were worth, and what of it is not as it must be.
    pub fn judge(self) -> (Predictions, Vec<Finding>) {
        let report = |seen: &Seen| seen.report(&self.how.task);
        let predictions = Predictions {
            all: report(&self.all),
            groups: self.groups.iter().map(|(name, seen)| (name.clone(), report(seen))).collect(),
        };
        let findings = judge(&predictions, self.how, self.settings.min_samples);
        (predictions, findings)
    }
}

/// What of predictions is not as it must be: groups that differ too much, and metrics out of bounds. Groups, and labels,
/// of fewer than `min_samples` are not judged.
pub fn judge(predictions: &Predictions, how: &OutcomeSettings, min_samples: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    let rates = predictions.groups.values().filter(|group| group.n >= min_samples);
    let rates = rates.filter_map(|group| group.positive_rate);
    let labelled = predictions.groups.values().filter(|group| group.labelled >= min_samples);
    let accuracies = labelled.filter_map(|group| group.metrics.get("accuracy").copied());
    for (check, value, limit) in [
        (Check::ParityDifference, spread(rates), how.parity_difference),
        (Check::AccuracyDifference, spread(accuracies), how.accuracy_difference),
    ] {
        if let Some(value) = value.filter(|value| *value > limit) {
            findings.push(Finding { check, metric: None, value, limit });
        }
    }
    if predictions.all.labelled < min_samples {
        return findings;
    }
    let mut bound = |check, bounds: &BTreeMap<String, f64>, breaks: fn(f64, f64) -> bool| {
        for (metric, &limit) in bounds {
            if let Some(&value) = predictions.all.metrics.get(metric)
                && breaks(value, limit)
            {
                findings.push(Finding { check, metric: Some(metric.clone()), value, limit });
            }
        }
    };
    // NaN breaks either bound.
    bound(Check::QualityBelow, &how.at_least, |value, limit| value < limit || value.is_nan());
    bound(Check::QualityAbove, &how.at_most, |value, limit| value > limit || value.is_nan());
    findings
}

fn spread(values: impl Iterator<Item = f64>) -> Option<f64> {
    let range = values.fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((value.min(low), value.max(high))),
    });
    range.map(|(low, high)| high - low)
}

fn is_positive(value: &Value, positive: &Positive) -> bool {
    match positive {
        Positive::AtLeast(least) => as_number(value).is_some_and(|number| number >= *least),
        Positive::Is(expected) => value.category() == *expected,
    }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number),
        Value::Bool(value) => Some(f64::from(*value)),
        Value::Text(_) => None,
    }
}

fn join(task: &Task, predicted: &Value, truth: &Value, score: Option<&Value>) -> Option<Joined> {
    Some(match task {
        Task::Binary { positive } => Joined::Binary {
            predicted: is_positive(predicted, positive),
            truth: is_positive(truth, positive),
            score: score.or(Some(predicted)).and_then(Value::number).unwrap_or(f64::NAN),
        },
        Task::Multiclass => Joined::Class { predicted: predicted.category(), truth: truth.category() },
        Task::Regression => Joined::Number { predicted: predicted.number()?, truth: truth.number()? },
    })
}

impl Seen {
    fn see(&mut self, positive: bool, joined: Option<Joined>) {
        self.n += 1;
        self.positive += u64::from(positive);
        self.joined.extend(joined);
    }

    fn report(&self, task: &Task) -> Group {
        let is_binary = matches!(task, Task::Binary { .. });
        Group {
            n: self.n,
            positive_rate: (is_binary && self.n > 0).then(|| self.positive as f64 / self.n as f64),
            labelled: self.joined.len() as u64,
            metrics: metrics(&self.joined),
        }
    }
}

fn metrics(joined: &[Joined]) -> Metrics {
    let (mut binary, mut scored, mut classes, mut numbers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for joined in joined {
        match joined {
            Joined::Binary { predicted, truth, score } => {
                binary.push((*predicted, *truth));
                scored.push((*score, *truth));
            }
            Joined::Class { predicted, truth } => classes.push((predicted.clone(), truth.clone())),
            Joined::Number { predicted, truth } => numbers.push((*predicted, *truth)),
        }
    }
    let mut metrics = quality::binary(&binary);
    metrics.extend(quality::auc(&scored).map(|auc| ("auc".to_owned(), auc)));
    metrics.extend(quality::multiclass(&classes));
    metrics.extend(quality::regression(&numbers));
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::tests::{row, text};

    fn settings(outcomes: &str) -> Settings {
        serde_json::from_str(&format!(
            r#"{{"min_samples": 10, "score": "output.score", "outcomes": {outcomes}}}"#
        ))
        .unwrap()
    }

    const BINARY: &str = r#"{"prediction": "output.score", "task": {"kind": "binary", "positive": {"at_least": 0.5}},
        "group": "input.region", "at_least": {"accuracy": 0.9}, "at_most": {"recall": 0.99}}"#;

    fn scored(score: f64, region: &str) -> Vec<Row> {
        vec![row(&[("output.score", Value::Number(score)), ("input.region", text(region))])]
    }

    #[test]
    fn a_group_that_is_rarely_granted_is_found_and_small_groups_are_not_judged() {
        let settings = settings(BINARY);
        let mut outcomes = Outcomes::new(&settings).unwrap();
        for i in 0..20 {
            outcomes.see("", &scored(if i % 2 == 0 { 0.9 } else { 0.1 }, "north"));
            outcomes.see("", &scored(if i % 5 == 0 { 0.9 } else { 0.1 }, "south"));
        }
        outcomes.see("", &scored(0.0, "moon"));
        let (predictions, findings) = outcomes.judge();
        assert_eq!(predictions.groups["north"].positive_rate, Some(0.5));
        assert_eq!(predictions.groups["moon"].n, 1);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!(finding.check, Check::ParityDifference);
        assert!((finding.value - 0.3).abs() < 1e-12);
    }

    #[test]
    fn labels_that_come_later_are_joined_by_the_identifier() {
        let settings = settings(BINARY);
        let mut outcomes = Outcomes::new(&settings).unwrap();
        for i in 0..20 {
            // North is always right, south half of the time.
            let truth = |right: bool| vec![Some(Value::Bool(right))];
            outcomes.label(format!("north {i}"), truth(true));
            outcomes.label(format!("south {i}"), truth(i % 2 == 0));
        }
        for i in 0..20 {
            outcomes.see(&format!("north {i}"), &scored(0.9, "north"));
            outcomes.see(&format!("south {i}"), &scored(0.6, "south"));
            outcomes.see(&format!("without a label {i}"), &scored(0.6, "south"));
        }
        let (predictions, findings) = outcomes.judge();
        assert_eq!((predictions.all.n, predictions.all.labelled), (60, 40));
        assert_eq!(predictions.all.metrics["accuracy"], 0.75);
        assert!((predictions.all.metrics["auc"] - 5.0 / 6.0).abs() < 1e-12);
        let checks: Vec<Check> = findings.iter().map(|finding| finding.check).collect();
        assert_eq!(checks, [Check::AccuracyDifference, Check::QualityBelow, Check::QualityAbove]);
        assert_eq!(findings[1].to_string(), "below its bound: accuracy 0.750, limit 0.9");
    }

    #[test]
    fn numbers_and_classes_are_judged_as_such() {
        let regression = settings(r#"{"prediction": "output.x", "task": {"kind": "regression"}}"#);
        let mut outcomes = Outcomes::new(&regression).unwrap();
        outcomes.label("a".to_owned(), vec![Some(Value::Number(1.0)), None]);
        let x = |value: f64| row(&[("output.x", Value::Number(value))]);
        outcomes.see("a", &[x(3.0), x(4.0)]);
        let (predictions, _) = outcomes.judge();
        assert_eq!((predictions.all.n, predictions.all.labelled), (2, 1));
        assert_eq!(predictions.all.metrics["mae"], 2.0);

        let classes = settings(r#"{"prediction": "output.x", "task": {"kind": "multiclass"}}"#);
        let mut outcomes = Outcomes::new(&classes).unwrap();
        outcomes.label("a".to_owned(), vec![Some(text("cat"))]);
        outcomes.see("a", &[row(&[("output.x", text("cat"))])]);
        assert_eq!(outcomes.judge().0.all.metrics["f1"], 1.0);
    }
}
