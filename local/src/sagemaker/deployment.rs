//! How an update moves the traffic: what a `DeploymentConfig` says, and the steps that it makes.
//!
//! Sources: the API reference of `DeploymentConfig`, and the developer guide's pages on deployment guardrails.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::validation::{Shape, may, must, validation};
use crate::service::AwsError;

const CAPACITY: Shape = Shape::Structure(&[
    must("Type", &Shape::OneOf(&["INSTANCE_COUNT", "CAPACITY_PERCENT"])),
    must("Value", &Shape::Integer { min: 1, max: i64::MAX }),
]);
const SECONDS: Shape = Shape::Integer { min: 0, max: 3600 };
const LONGEST: Shape = Shape::Integer { min: 600, max: 28_800 };

/// What a request's `DeploymentConfig` may hold.
pub(super) const DEPLOYMENT: Shape = Shape::Structure(&[
    may(
        "BlueGreenUpdatePolicy",
        &Shape::Structure(&[
            must(
                "TrafficRoutingConfiguration",
                &Shape::Structure(&[
                    must("Type", &Shape::OneOf(&["ALL_AT_ONCE", "CANARY", "LINEAR"])),
                    must("WaitIntervalInSeconds", &SECONDS),
                    may("CanarySize", &CAPACITY),
                    may("LinearStepSize", &CAPACITY),
                ]),
            ),
            may("TerminationWaitInSeconds", &SECONDS),
            may("MaximumExecutionTimeoutInSeconds", &LONGEST),
        ]),
    ),
    may(
        "RollingUpdatePolicy",
        &Shape::Structure(&[
            must("MaximumBatchSize", &CAPACITY),
            must("WaitIntervalInSeconds", &SECONDS),
            may("MaximumExecutionTimeoutInSeconds", &LONGEST),
            may("RollbackMaximumBatchSize", &CAPACITY),
        ]),
    ),
    may(
        "AutoRollbackConfiguration",
        &Shape::Structure(&[may(
            "Alarms",
            &Shape::List {
                min: 1,
                max: 10,
                of: &Shape::Structure(&[may("AlarmName", &Shape::Text { min: 1, max: 255, pattern: None })]),
            },
        )]),
    ),
]);

/// A deployment, step by step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    /// The last one has all the traffic on the new fleet.
    pub(super) steps: Vec<Step>,
    /// What rolls it back. Without any, nothing does.
    pub(super) alarms: Vec<String>,
    /// How long it may take.
    pub(super) most: Option<Duration>,
}

/// Traffic that is turned on, and a wait in which the alarms are watched.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    /// Instances of the new fleet that take traffic, and how many there are, by variant.
    pub(super) active: BTreeMap<String, Portion>,
    /// How long AWS would wait.
    pub(super) wait: Duration,
    /// The member that says so.
    pub(super) member: &'static str,
    /// What AWS calls such a part of a fleet.
    pub(super) part: &'static str,
}

/// So many of so many instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Portion {
    pub(super) active: u64,
    pub(super) total: u64,
}

impl Portion {
    /// Whether the request with this number, counted from zero, goes to the portion. Of the first n requests never more
    /// than the portion's share do.
    pub(super) fn takes(self, number: u64) -> bool {
        let taken = |requests: u64| requests * self.active / self.total.max(1);
        taken(number + 1) > taken(number)
    }
}

impl Plan {
    /// Reads a `DeploymentConfig` for a new fleet of so many instances in each variant.
    pub(super) fn of(deployment: Option<&Value>, counts: &BTreeMap<String, u64>) -> Result<Self, AwsError> {
        let absent = Value::Null;
        let deployment = deployment.unwrap_or(&absent);
        let blue_green = deployment.get("BlueGreenUpdatePolicy");
        let rolling = deployment.get("RollingUpdatePolicy");
        if blue_green.is_some() && rolling.is_some() {
            return Err(validation(
                "Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be present.",
            ));
        }
        let alarms = deployment["AutoRollbackConfiguration"]["Alarms"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|alarm| alarm["AlarmName"].as_str().map(str::to_owned))
            .collect();
        let most = blue_green
            .or(rolling)
            .and_then(|policy| policy["MaximumExecutionTimeoutInSeconds"].as_u64())
            .map(Duration::from_secs);
        let steps = match rolling {
            Some(policy) => rolling_steps(policy, counts)?,
            None => blue_green_steps(blue_green.unwrap_or(&absent), counts)?,
        };
        Ok(Self { steps, alarms, most })
    }
}

fn blue_green_steps(policy: &Value, counts: &BTreeMap<String, u64>) -> Result<Vec<Step>, AwsError> {
    let routing = &policy["TrafficRoutingConfiguration"];
    let interval = seconds(&routing["WaitIntervalInSeconds"]);
    let waiting = |active, part| Step { active, wait: interval, member: "WaitIntervalInSeconds", part };
    let mut steps = match routing["Type"].as_str().unwrap_or("ALL_AT_ONCE") {
        "CANARY" => {
            let size = Size::of(&routing["CanarySize"], "CanarySize", "CANARY")?;
            size.refuse_beyond(0, 50, counts)?;
            vec![waiting(active(counts, |total| size.instances(total)), "canary")]
        }
        "LINEAR" => {
            let size = Size::of(&routing["LinearStepSize"], "LinearStepSize", "LINEAR")?;
            size.refuse_beyond(10, 50, counts)?;
            size.growing(counts).into_iter().map(|active| waiting(active, "linear step")).collect()
        }
        _ => Vec::new(),
    };
    steps.push(Step {
        active: active(counts, |total| total),
        wait: seconds(&policy["TerminationWaitInSeconds"]),
        member: "TerminationWaitInSeconds",
        part: "full",
    });
    Ok(steps)
}

fn rolling_steps(policy: &Value, counts: &BTreeMap<String, u64>) -> Result<Vec<Step>, AwsError> {
    if counts.len() > 1 {
        return Err(validation(
            "A rolling deployment is not supported for an endpoint with several variants.",
        ));
    }
    let size = Size::of(&policy["MaximumBatchSize"], "MaximumBatchSize", "rolling")?;
    size.refuse_beyond(5, 50, counts)?;
    let interval = seconds(&policy["WaitIntervalInSeconds"]);
    let mut shares = size.growing(counts);
    shares.push(active(counts, |total| total));
    let step = |active| Step { active, wait: interval, member: "WaitIntervalInSeconds", part: "batch" };
    Ok(shares.into_iter().map(step).collect())
}

/// A `CapacitySize`, and the member that holds it.
struct Size {
    member: &'static str,
    percent: bool,
    value: u64,
}

impl Size {
    fn of(size: &Value, member: &'static str, kind: &str) -> Result<Self, AwsError> {
        match size["Value"].as_u64() {
            Some(value) => Ok(Self { member, percent: size["Type"] == "CAPACITY_PERCENT", value }),
            None => {
                Err(validation(format!("{member} must be present when the traffic routing type is {kind}.")))
            }
        }
    }

    /// Traffic goes to instances, so a percentage is of whole ones, and of one at least.
    fn instances(&self, total: u64) -> u64 {
        if self.percent { (total * self.value / 100).max(1) } else { self.value }
    }

    fn refuse_beyond(&self, least: u64, most: u64, counts: &BTreeMap<String, u64>) -> Result<(), AwsError> {
        for (variant, total) in counts {
            let instances = self.instances(*total);
            let small = if self.percent { self.value < least } else { instances * 100 < least * total };
            if small || (self.percent && self.value > most) || instances * 100 > most * total {
                let floor = if least > 0 { format!("at least {least}% and ") } else { String::new() };
                return Err(validation(format!(
                    "{} must be {floor}at most {most}% of variant {variant}, which has {total} instance(s): use more \
                     instances or ALL_AT_ONCE.",
                    self.member
                )));
            }
        }
        Ok(())
    }

    /// What is active after each step but the last, which has everything.
    fn growing(&self, counts: &BTreeMap<String, u64>) -> Vec<BTreeMap<String, Portion>> {
        (1..)
            .map(|step| active(counts, |total| (self.instances(total) * step).min(total)))
            .take_while(|portions| portions.values().any(|portion| portion.active < portion.total))
            .collect()
    }
}

fn active(counts: &BTreeMap<String, u64>, of: impl Fn(u64) -> u64) -> BTreeMap<String, Portion> {
    let portion = |total: u64| Portion { active: of(total), total };
    counts.iter().map(|(variant, total)| (variant.clone(), portion(*total))).collect()
}

fn seconds(value: &Value) -> Duration {
    Duration::from_secs(value.as_u64().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fleet(instances: u64) -> BTreeMap<String, u64> {
        BTreeMap::from([("primary".to_owned(), instances)])
    }

    fn routed(kind: &str, member: &str, size: &str, value: u64) -> Value {
        let mut routing = json!({"Type": kind, "WaitIntervalInSeconds": 300});
        routing[member] = json!({"Type": size, "Value": value});
        json!({"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": 120}})
    }

    fn shares(deployment: &Value, instances: u64) -> Vec<u64> {
        let plan = Plan::of(Some(deployment), &fleet(instances)).unwrap();
        plan.steps.iter().map(|step| step.active["primary"].active).collect()
    }

    #[test]
    fn a_canary_takes_at_most_half_the_fleet() {
        for (size, value, instances, good) in [
            ("INSTANCE_COUNT", 1, 1, false),
            ("INSTANCE_COUNT", 1, 2, true),
            ("INSTANCE_COUNT", 2, 3, false),
            ("CAPACITY_PERCENT", 50, 1, false),
            ("CAPACITY_PERCENT", 10, 1, false),
            ("CAPACITY_PERCENT", 50, 2, true),
            ("CAPACITY_PERCENT", 60, 4, false),
        ] {
            let canary = routed("CANARY", "CanarySize", size, value);
            let answer = Plan::of(Some(&canary), &fleet(instances));
            assert_eq!(answer.is_ok(), good, "{size} {value} of {instances}");
        }
    }

    #[test]
    fn a_canary_waits_twice_and_everything_at_once_waits_once() {
        let canary = routed("CANARY", "CanarySize", "CAPACITY_PERCENT", 25);
        let plan = Plan::of(Some(&canary), &fleet(4)).unwrap();
        let waits: Vec<_> = plan.steps.iter().map(|step| (step.member, step.wait.as_secs())).collect();
        assert_eq!(waits, [("WaitIntervalInSeconds", 300), ("TerminationWaitInSeconds", 120)]);
        assert_eq!(shares(&canary, 4), [1, 4]);
        assert_eq!(shares(&routed("ALL_AT_ONCE", "Unused", "INSTANCE_COUNT", 1), 4), [4]);
        assert_eq!(Plan::of(None, &fleet(4)).unwrap().steps.len(), 1);
    }

    #[test]
    fn percentages_are_of_whole_instances() {
        assert_eq!(shares(&routed("CANARY", "CanarySize", "CAPACITY_PERCENT", 10), 2), [1, 2]);
        assert_eq!(shares(&routed("CANARY", "CanarySize", "CAPACITY_PERCENT", 50), 3), [1, 3]);
    }

    #[test]
    fn a_linear_deployment_goes_by_equal_steps() {
        assert_eq!(shares(&routed("LINEAR", "LinearStepSize", "INSTANCE_COUNT", 2), 5), [2, 4, 5]);
        assert_eq!(shares(&routed("LINEAR", "LinearStepSize", "CAPACITY_PERCENT", 50), 2), [1, 2]);
        let tiny = routed("LINEAR", "LinearStepSize", "CAPACITY_PERCENT", 5);
        assert!(Plan::of(Some(&tiny), &fleet(20)).is_err());
    }

    #[test]
    fn a_rolling_deployment_waits_after_every_batch() {
        let batch = json!({"Type": "INSTANCE_COUNT", "Value": 1});
        let rolling =
            json!({"RollingUpdatePolicy": {"MaximumBatchSize": batch, "WaitIntervalInSeconds": 60}});
        let plan = Plan::of(Some(&rolling), &fleet(2)).unwrap();
        let steps: Vec<_> =
            plan.steps.iter().map(|step| (step.active["primary"].active, step.wait.as_secs())).collect();
        assert_eq!(steps, [(1, 60), (2, 60)]);
        let two = BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 2)]);
        assert!(Plan::of(Some(&rolling), &two).is_err());
    }

    #[test]
    fn never_more_than_its_share_goes_to_a_portion() {
        for (active, total) in [(1, 2), (1, 3), (1, 7), (3, 10), (5, 5), (0, 4)] {
            let portion = Portion { active, total };
            let mut taken = 0;
            for number in 0..1000 {
                taken += u64::from(portion.takes(number));
                let fair = (number + 1) * active;
                assert!(taken * total <= fair && fair < (taken + 1) * total, "{portion:?} {number}");
            }
        }
    }
}
