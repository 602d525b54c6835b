//! What a run could cost at most: an item for each thing that AWS bills by time, under policy's prices.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Policy, Request, admission::SMOKE_TEST_SECONDS};

/// One thing that is billed by time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CostItem {
    /// What runs: `training`, `evaluation`, `smoke test`.
    pub name: String,
    /// Such as `ml.m5.xlarge`.
    pub instance_type: String,
    /// Instances, all billed for as long as the item runs.
    pub instance_count: u32,
    /// Seconds that each is billed for at most.
    pub seconds: u32,
    /// US dollars, at policy's on-demand price.
    pub usd: f64,
}

impl fmt::Display for CostItem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, instance_type, instance_count, seconds, usd } = self;
        write!(formatter, "{name} {usd:.2} USD ({instance_count} x {instance_type} for {seconds} s)")
    }
}

/// All items of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimate {
    /// In the order in which they run.
    pub items: Vec<CostItem>,
}

/// An instance type that policy knows no price of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpriced {
    /// The request's field.
    pub field: &'static str,
    /// What it holds.
    pub instance_type: String,
}

/// What is billed: its name, the request's field with its type, type, instances and seconds.
struct Billed<'a>(&'static str, &'static str, &'a String, u32, u32);

impl Estimate {
    /// What the request's jobs could cost. Nothing is trained for a promoted run.
    ///
    /// A spot job is counted as if it ran on demand: waiting for capacity is not billed, what is billed is at most the
    /// time that it may run, and the discount of the day is nobody's promise.
    /// `BillableTimeInSeconds` in <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html>,
    /// `MaxRuntimeInSeconds` in <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html>
    ///
    /// # Errors
    /// [`Unpriced`], every one.
    pub fn of(request: &Request, policy: &Policy) -> Result<Self, Vec<Unpriced>> {
        let (training, evaluation) = (&request.training, &request.evaluation);
        let trains = request.promotion.is_none().then_some(Billed(
            "training",
            "training.instance_type",
            &training.instance_type,
            training.instance_count,
            training.max_runtime_seconds,
        ));
        let evaluates = Billed(
            "evaluation",
            "evaluation.instance_type",
            &evaluation.instance_type,
            evaluation.instance_count,
            evaluation.max_runtime_seconds,
        );
        let endpoint = &request.endpoint;
        let smoke_tests = endpoint.smoke_test.is_some().then_some(Billed(
            "smoke test",
            "endpoint.instance_type",
            &endpoint.instance_type,
            1,
            SMOKE_TEST_SECONDS,
        ));
        let (mut items, mut unpriced) = (Vec::new(), Vec::new());
        for Billed(name, field, instance_type, instance_count, seconds) in
            trains.into_iter().chain([evaluates]).chain(smoke_tests)
        {
            let Some(price) = policy.prices_usd_per_hour.get(instance_type) else {
                unpriced.push(Unpriced { field, instance_type: instance_type.clone() });
                continue;
            };
            items.push(CostItem {
                name: name.to_owned(),
                instance_type: instance_type.clone(),
                instance_count,
                seconds,
                usd: price * f64::from(instance_count) * f64::from(seconds) / 3600.0,
            });
        }
        if unpriced.is_empty() { Ok(Self { items }) } else { Err(unpriced) }
    }

    /// US dollars, all together.
    pub fn usd(&self) -> f64 {
        self.items.iter().map(|item| item.usd).sum()
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items: Vec<String> = self.items.iter().map(ToString::to_string).collect();
        formatter.write_str(&items.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spot_is_counted_as_on_demand_for_as_long_as_it_may_run() {
        let policy: Policy = serde_json::from_str(testkit::POLICY).unwrap();
        let mut asked: serde_json::Value = serde_json::from_str(testkit::REQUEST).unwrap();
        asked["training"]["max_runtime_seconds"] = 1800.into();
        asked["training"]["instance_count"] = 2.into();
        asked["training"]["instance_type"] = "ml.m5.xlarge".into();
        let without: Request = serde_json::from_value(asked.clone()).unwrap();
        asked["training"]["spot"] = serde_json::json!({"max_wait_seconds": 7200});
        let with: Request = serde_json::from_value(asked).unwrap();
        let estimate = Estimate::of(&with, &policy).unwrap();
        assert_eq!(Estimate::of(&without, &policy).unwrap(), estimate);
        assert_eq!(estimate.items[0].to_string(), "training 0.23 USD (2 x ml.m5.xlarge for 1800 s)");
        assert!((estimate.usd() - estimate.items[0].usd - estimate.items[1].usd).abs() < 1e-9);
    }
}
