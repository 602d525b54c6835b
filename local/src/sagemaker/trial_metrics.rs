//! SageMaker Metrics: what a trial component measured. Describing the component shows the summary of each metric.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Inner;
use super::experiment::key;
use super::validation::{Member, Shape, check, may, must, required, shapes};
use crate::service::AwsError;

const PUT: &[Member] = &[
    // Unlike everywhere else, the name has to be in lower case.
    must(
        "TrialComponentName",
        &Shape::Text { min: 1, max: 120, pattern: Some("[a-z0-9](-*[a-z0-9]){0,119}") },
    ),
    must(
        "MetricData",
        &Shape::List {
            min: 1,
            max: 10,
            of: &Shape::Structure(&[
                must("MetricName", &Shape::Text { min: 1, max: 255, pattern: Some(".+") }),
                must("Timestamp", &shapes::TIME),
                may("Step", &Shape::Integer { min: 0, max: i64::MAX }),
                must("Value", &Shape::Number { min: f64::MIN }),
            ]),
        },
    ),
];

/// What a component measured, by the name of the metric.
#[derive(Debug, Default)]
pub(super) struct Metrics(BTreeMap<String, Summary>);

/// As much of a metric as its summary needs.
#[derive(Debug)]
struct Summary {
    count: u32,
    min: f64,
    max: f64,
    average: f64,
    /// The sum of the squares of the distances from the average.
    squares: f64,
    last: f64,
    /// When the last was measured.
    at: f64,
}

impl Summary {
    fn of(at: f64, value: f64) -> Self {
        Self { count: 1, min: value, max: value, average: value, squares: 0.0, last: value, at }
    }

    fn add(&mut self, at: f64, value: f64) {
        self.count += 1;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        let distance = value - self.average;
        self.average += distance / f64::from(self.count);
        self.squares += distance * (value - self.average);
        // Values may arrive in any order.
        if at >= self.at {
            self.at = at;
            self.last = value;
        }
    }
}

impl Metrics {
    /// The summaries, as describing the component with this ARN shows them.
    pub(super) fn shown(&self, arn: &str) -> Vec<Value> {
        let shown = self.0.iter().map(|(name, summary)| {
            json!({
                "MetricName": name,
                "SourceArn": arn,
                "TimeStamp": summary.at,
                "Min": summary.min,
                "Max": summary.max,
                "Last": summary.last,
                "Count": summary.count,
                "Avg": summary.average,
                "StdDev": (summary.squares / f64::from(summary.count)).sqrt(),
            })
        });
        shown.collect()
    }
}

impl Inner {
    pub(super) fn batch_put_metrics(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(PUT, body)?;
        let name = required(&request, "TrialComponentName");
        let mut state = self.state();
        state.experiments.components.get(name)?;
        let Metrics(metrics) = state.experiments.metrics.entry(key(name)).or_default();
        for datum in request.get("MetricData").and_then(Value::as_array).into_iter().flatten() {
            let (at, value) = (
                datum["Timestamp"].as_f64().unwrap_or_default(),
                datum["Value"].as_f64().unwrap_or_default(),
            );
            metrics
                .entry(datum["MetricName"].as_str().unwrap_or_default().to_owned())
                .and_modify(|summary| summary.add(at, value))
                .or_insert_with(|| Summary::of(at, value));
        }
        Ok(json!({}))
    }
}
