//! How traffic comes to a new version of an endpoint: the request's wish, made to fit the fleet.

use contract::{EndpointRequest, Strategy, takes_traffic_shifting};

/// Percentage of a canary, or of a linear step, that the request leaves open.
const PERCENT: u32 = 10;
/// Seconds between steps, and until the old fleet goes, that the request leaves open.
const WAIT_SECONDS: u32 = 300;
/// Seconds for a new fleet to come up: gigabytes of weights and an image.
const START_SECONDS: u32 = 1800;
/// What SageMaker takes as a deployment's timeout.
/// <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_BlueGreenUpdatePolicy.html>
const TIMEOUT_SECONDS: std::ops::RangeInclusive<u32> = 600..=28_800;

/// A blue/green deployment as SageMaker takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// In which steps traffic comes.
    pub steps: Steps,
    /// Seconds between steps.
    pub wait_seconds: u32,
    /// Seconds that the old fleet stays after it.
    pub bake_seconds: u32,
    /// Seconds for all of it.
    pub timeout_seconds: u32,
    /// Whether the fleet keeps its present size, which autoscaling may have chosen, rather than the request's.
    pub keeps_fleet: bool,
}

/// In which steps traffic comes. Instances, not percents: a tenth of two instances is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steps {
    /// In one.
    AllAtOnce,
    /// First to so many instances, then to all.
    Canary {
        /// Instances, at most half of the fleet.
        instances: u32,
    },
    /// To so many instances more at a time.
    Linear {
        /// Instances, at most half of the fleet.
        instances: u32,
    },
}

/// Plans an update of an endpoint that serves with so many instances now.
pub fn plan(endpoint: &EndpointRequest, instances_now: u32) -> Rollout {
    // An update never takes capacity away: traffic is what it is, whatever the request was written for.
    let keeps_fleet = instances_now >= endpoint.instance_count;
    let fleet = instances_now.max(endpoint.instance_count);
    let asked = endpoint.deployment.as_ref();
    let percent = asked.and_then(|asked| asked.percent).unwrap_or(PERCENT);
    let is_shiftable = fleet >= 2 && takes_traffic_shifting(&endpoint.instance_type);
    let instances = (fleet * percent).div_ceil(100).clamp(1, (fleet / 2).max(1));
    let steps = match asked.map(|asked| asked.strategy) {
        Some(Strategy::Linear) if is_shiftable => Steps::Linear { instances },
        None | Some(Strategy::Canary) if is_shiftable => Steps::Canary { instances },
        _ => Steps::AllAtOnce,
    };
    let wait_seconds = asked.and_then(|asked| asked.wait_seconds).unwrap_or(WAIT_SECONDS);
    let bake_seconds = asked.and_then(|asked| asked.bake_seconds).unwrap_or(WAIT_SECONDS);
    let waits = match steps {
        Steps::AllAtOnce => 0,
        Steps::Canary { .. } => 1,
        Steps::Linear { instances } => fleet.div_ceil(instances) - 1,
    };
    let timeout = (waits * wait_seconds).saturating_add(bake_seconds + START_SECONDS);
    let timeout_seconds = timeout.clamp(*TIMEOUT_SECONDS.start(), *TIMEOUT_SECONDS.end());
    Rollout { steps, wait_seconds, bake_seconds, timeout_seconds, keeps_fleet }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::DeploymentRequest;

    fn endpoint(instance_count: u32, deployment: Option<DeploymentRequest>) -> EndpointRequest {
        EndpointRequest {
            name: "e".to_owned(),
            instance_type: "ml.m5.large".to_owned(),
            instance_count,
            capture_percent: 100,
            deployment,
            smoke_test: None,
        }
    }

    fn asked(strategy: Strategy, percent: Option<u32>) -> Option<DeploymentRequest> {
        Some(DeploymentRequest { strategy, percent, wait_seconds: Some(60), bake_seconds: Some(120) })
    }

    #[test]
    fn trap_deployment_a_canary_takes_an_instance_at_least_and_half_the_fleet_at_most() {
        for (fleet, percent, instances) in
            [(2, 10, 1), (2, 50, 1), (3, 50, 1), (10, 10, 1), (10, 25, 3), (4, 50, 2)]
        {
            let planned = plan(&endpoint(fleet, asked(Strategy::Canary, Some(percent))), 1);
            assert_eq!(planned.steps, Steps::Canary { instances }, "{percent} % of {fleet}");
        }
    }

    #[test]
    fn traffic_comes_carefully_where_nobody_said_how_and_the_fleet_allows() {
        assert_eq!(plan(&endpoint(2, None), 2).steps, Steps::Canary { instances: 1 });
        assert_eq!(plan(&endpoint(1, None), 1).steps, Steps::AllAtOnce);
        let mut inferentia = endpoint(2, None);
        inferentia.instance_type = "ml.inf1.xlarge".to_owned();
        assert_eq!(plan(&inferentia, 2).steps, Steps::AllAtOnce);
    }

    #[test]
    fn capacity_that_autoscaling_chose_is_kept_and_capacity_that_lacks_is_added() {
        assert!(plan(&endpoint(2, None), 5).keeps_fleet);
        assert!(!plan(&endpoint(2, None), 1).keeps_fleet);
        assert_eq!(plan(&endpoint(1, None), 4).steps, Steps::Canary { instances: 1 });
    }

    #[test]
    fn the_timeout_covers_every_wait() {
        let linear = plan(&endpoint(10, asked(Strategy::Linear, Some(10))), 10);
        assert_eq!(linear.steps, Steps::Linear { instances: 1 });
        assert_eq!(linear.timeout_seconds, 9 * 60 + 120 + 1800);
    }
}
