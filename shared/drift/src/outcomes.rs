//! Predictions by group and against the labels that came later.

use std::collections::BTreeMap;

use crate::{
    bias::{GroupSettings, POSITIVE_RATE},
    quality::{self, Metrics},
    row::{Row, Value},
    settings::{OutcomeSettings, Positive, Settings, Task},
    verdict::{Check, Finding, Group, Predictions, QualityVerdict},
};

/// What groups beyond the allowed number are counted as.
const OTHERS: &str = "(others)";

/// Sees predictions, with their labels where they have come, and judges them.
#[derive(Debug)]
pub struct Outcomes<'a> {
    settings: &'a Settings,
    how: &'a OutcomeSettings,
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
        Some(Self { settings, how, all: Seen::default(), groups: BTreeMap::new() })
    }

    /// Sees the rows of an invocation, and a label for each if they have come; how many of those are of no use.
    pub fn see(&mut self, rows: &[Row], labels: Option<&[Option<Value>]>) -> u64 {
        let mut unusable = 0;
        for (index, row) in rows.iter().enumerate() {
            let truth = labels.and_then(|labels| labels.get(index)).and_then(Option::as_ref);
            let Some(predicted) = row.values.get(&self.how.prediction) else {
                unusable += u64::from(truth.is_some());
                continue;
            };
            let score = self.settings.score.as_ref().and_then(|name| row.values.get(name));
            let joined = truth.and_then(|truth| join(&self.how.task, predicted, truth, score));
            unusable += u64::from(truth.is_some() && joined.is_none());
            let positive = match &self.how.task {
                Task::Binary { positive } => is_positive(predicted, positive),
                Task::Multiclass | Task::Regression => false,
            };
            let column = self.how.groups.as_ref().map(|groups| &groups.column);
            if let Some(group) = column.and_then(|name| row.values.get(name)) {
                let mut name: String = group.category().chars().take(self.settings.category_chars).collect();
                if !self.groups.contains_key(&name) && self.groups.len() >= self.settings.categories {
                    name = OTHERS.to_owned();
                }
                self.groups.entry(name).or_default().see(positive, joined.clone());
            }
            self.all.see(positive, joined);
        }
        unusable
    }

    /// What can be said without labels: how often each group's predictions are positive.
    pub fn judge_rates(self) -> (Predictions, Vec<Finding>) {
        let mut predictions = self.report();
        let mut findings = Vec::new();
        if let Some(groups) = &self.how.groups {
            (findings, _) = judge_groups(&mut predictions, groups, |metric| metric == POSITIVE_RATE);
        }
        (predictions, findings)
    }

    /// What can be said by labels: of all of them, and between groups. Nothing is said where there are no bounds.
    pub fn judge_labelled(self) -> Judged {
        let mut predictions = self.report();
        let metrics = judge_metrics(&mut predictions, self.how, self.settings.min_samples);
        let groups = self.how.groups.as_ref().and_then(|groups| {
            let of_labels = |metric: &str| metric != POSITIVE_RATE;
            let (findings, verdict) = judge_groups(&mut predictions, groups, of_labels);
            verdict.map(|verdict| (findings, verdict))
        });
        let (mut findings, metrics) = metrics.map_or((Vec::new(), None), |(all, one)| (all, Some(one)));
        let (of_groups, groups) = groups.map_or((Vec::new(), None), |(all, one)| (all, Some(one)));
        findings.extend(of_groups);
        Judged { predictions, findings, metrics, groups }
    }

    fn report(&self) -> Predictions {
        let report = |seen: &Seen| seen.report(&self.how.task);
        Predictions {
            all: report(&self.all),
            groups: self.groups.iter().map(|(name, seen)| (name.clone(), report(seen))).collect(),
            not_judged: Vec::new(),
        }
    }
}

/// What labels say.
#[derive(Debug)]
pub struct Judged {
    /// The figures.
    pub predictions: Predictions,
    /// What is not as it must be.
    pub findings: Vec<Finding>,
    /// Of the metrics of all; absent without bounds.
    pub metrics: Option<QualityVerdict>,
    /// Of the groups; absent without bounds.
    pub groups: Option<QualityVerdict>,
}

/// Whether metrics keep their bounds. A bound that cannot be judged is no bound that is kept.
fn judge_metrics(
    predictions: &mut Predictions,
    how: &OutcomeSettings,
    min_samples: u64,
) -> Option<(Vec<Finding>, QualityVerdict)> {
    if how.at_least.is_empty() && how.at_most.is_empty() {
        return None;
    }
    let labelled = predictions.all.labelled;
    if labelled < min_samples {
        predictions.not_judged.push(format!("{labelled} predictions have a label, {min_samples} are needed"));
        return Some((Vec::new(), QualityVerdict::NotEvaluated));
    }
    let (mut findings, mut is_whole) = (Vec::new(), true);
    let mut bound = |check, bounds: &BTreeMap<String, f64>, keeps: fn(f64, f64) -> bool| {
        for (metric, &limit) in bounds {
            match predictions.all.metrics.get(metric) {
                Some(&value) if keeps(value, limit) => {}
                Some(&value) => {
                    let metric = Some(metric.clone());
                    findings.push(Finding { check, metric, value, limit, between: None });
                }
                None => {
                    is_whole = false;
                    predictions.not_judged.push(format!("{metric} cannot be computed of these predictions"));
                }
            }
        }
    };
    // NaN keeps neither bound.
    bound(Check::QualityBelow, &how.at_least, |value, limit| value >= limit);
    bound(Check::QualityAbove, &how.at_most, |value, limit| value <= limit);
    let verdict = verdict(&findings, is_whole);
    Some((findings, verdict))
}

/// Whether groups keep the bounds on some metrics; nothing if there is no such bound. Groups that are too small are left
/// out and told of, and if fewer than two are left, nothing was judged.
fn judge_groups(
    predictions: &mut Predictions,
    groups: &GroupSettings,
    applies: fn(&str) -> bool,
) -> (Vec<Finding>, Option<QualityVerdict>) {
    let Predictions { groups: seen, not_judged, .. } = predictions;
    let mut bounds = groups.bounds.iter().filter(|bound| applies(&bound.metric)).peekable();
    if bounds.peek().is_none() {
        return (Vec::new(), None);
    }
    let (mut findings, mut is_whole) = (Vec::new(), true);
    let mut tell = |reason: String| {
        if !not_judged.contains(&reason) {
            not_judged.push(reason);
        }
    };
    for bound in bounds {
        let is_rate = bound.metric == POSITIVE_RATE;
        let mut values = Vec::new();
        for (name, group) in seen.iter() {
            let (count, of) = if is_rate { (group.n, "rows") } else { (group.labelled, "labels") };
            let value = if is_rate { group.positive_rate } else { group.metrics.get(&bound.metric).copied() };
            match value {
                _ if count < groups.min_samples => {
                    tell(format!("the group `{name}` has {count} {of}, {} are needed", groups.min_samples));
                }
                Some(value) => values.push((name.as_str(), value)),
                None => tell(format!("{} cannot be computed of the group `{name}`", bound.metric)),
            }
        }
        if values.len() < 2 {
            is_whole = false;
            tell(format!("{} was compared between no groups: two are needed", bound.metric));
        }
        findings.extend(bound.breach(values).map(Finding::from));
    }
    let verdict = verdict(&findings, is_whole);
    (findings, Some(verdict))
}

fn verdict(findings: &[Finding], is_whole: bool) -> QualityVerdict {
    match (findings.is_empty(), is_whole) {
        (false, _) => QualityVerdict::Drifted,
        (true, true) => QualityVerdict::Stable,
        (true, false) => QualityVerdict::NotEvaluated,
    }
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

    const BINARY: &str = r#"{"prediction": "output.score", "task": {"kind": "binary", "positive": {"at_least": 0.5}}, "labels": {},
        "groups": {"column": "input.region", "min_samples": 10, "bounds": [
            {"metric": "positive_rate", "max_difference": 0.1}, {"metric": "accuracy", "max_difference": 0.1}]},
        "at_least": {"accuracy": 0.9}, "at_most": {"recall": 0.99}}"#;

    fn scored(score: f64, region: &str) -> Vec<Row> {
        vec![row(&[("output.score", Value::Number(score)), ("input.region", text(region))])]
    }

    #[test]
    fn a_group_that_is_rarely_granted_is_found_and_small_groups_are_not_judged() {
        let settings = settings(BINARY);
        let mut outcomes = Outcomes::new(&settings).unwrap();
        for i in 0..20 {
            outcomes.see(&scored(if i % 2 == 0 { 0.9 } else { 0.1 }, "north"), None);
            outcomes.see(&scored(if i % 5 == 0 { 0.9 } else { 0.1 }, "south"), None);
        }
        outcomes.see(&scored(0.0, "moon"), None);
        let (predictions, findings) = outcomes.judge_rates();
        assert_eq!(predictions.groups["north"].positive_rate, Some(0.5));
        assert_eq!(predictions.not_judged, ["the group `moon` has 1 rows, 10 are needed"]);
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!(
            finding.to_string(),
            "difference between groups: positive_rate 0.300, limit 0.1; `south` has 0.200 and `north` 0.500"
        );
    }

    #[test]
    fn a_group_that_is_served_worse_is_found_by_its_labels() {
        let settings = settings(BINARY);
        let mut outcomes = Outcomes::new(&settings).unwrap();
        let label = |right: bool| [Some(Value::Bool(right))];
        for i in 0..20 {
            // North is always right, south half of the time.
            outcomes.see(&scored(0.9, "north"), Some(&label(true)));
            outcomes.see(&scored(0.6, "south"), Some(&label(i % 2 == 0)));
            outcomes.see(&scored(0.6, "south"), None);
        }
        let Judged { predictions, findings, metrics, groups } = outcomes.judge_labelled();
        assert_eq!((predictions.all.n, predictions.all.labelled), (60, 40));
        assert_eq!(predictions.all.metrics["accuracy"], 0.75);
        assert!((predictions.all.metrics["auc"] - 5.0 / 6.0).abs() < 1e-12);
        assert_eq!((metrics, groups), (Some(QualityVerdict::Drifted), Some(QualityVerdict::Drifted)));
        let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "below its bound: accuracy 0.750, limit 0.9",
                "above its bound: recall 1.000, limit 0.99",
                "difference between groups: accuracy 0.500, limit 0.1; `south` has 0.500 and `north` 1.000",
            ]
        );
    }

    #[test]
    fn too_few_labels_are_no_good_news() {
        let settings = settings(BINARY);
        let mut outcomes = Outcomes::new(&settings).unwrap();
        for _ in 0..9 {
            outcomes.see(&scored(0.9, "north"), Some(&[Some(Value::Bool(true))]));
        }
        let judged = outcomes.judge_labelled();
        let not = Some(QualityVerdict::NotEvaluated);
        assert_eq!((judged.metrics, judged.groups, judged.findings.len()), (not, not, 0));
        assert_eq!(judged.predictions.not_judged[0], "9 predictions have a label, 10 are needed");

        // Labels enough, and all of one group: quality is known, and that groups fare alike is not.
        let mut outcomes = Outcomes::new(&settings).unwrap();
        for i in 0..20 {
            outcomes.see(&scored(if i == 0 { 0.1 } else { 0.9 }, "north"), Some(&[Some(Value::Bool(true))]));
        }
        let judged = outcomes.judge_labelled();
        assert_eq!((judged.metrics, judged.groups), (Some(QualityVerdict::Stable), not));
    }

    #[test]
    fn numbers_and_classes_are_judged_as_such() {
        let regression = settings(r#"{"prediction": "output.x", "task": {"kind": "regression"}}"#);
        let mut outcomes = Outcomes::new(&regression).unwrap();
        let x = |value: f64| row(&[("output.x", Value::Number(value))]);
        assert_eq!(outcomes.see(&[x(3.0), x(4.0)], Some(&[Some(Value::Number(1.0)), None])), 0);
        assert_eq!(outcomes.see(&[x(3.0)], Some(&[Some(text("many"))])), 1, "no number: of no use");
        let predictions = outcomes.judge_labelled().predictions;
        assert_eq!((predictions.all.n, predictions.all.labelled), (3, 1));
        assert_eq!(predictions.all.metrics["mae"], 2.0);

        let classes = settings(r#"{"prediction": "output.x", "task": {"kind": "multiclass"}}"#);
        let mut outcomes = Outcomes::new(&classes).unwrap();
        outcomes.see(&[row(&[("output.x", text("cat"))])], Some(&[Some(text("cat"))]));
        assert_eq!(outcomes.judge_labelled().predictions.all.metrics["f1"], 1.0);
    }
}
