//! Playing a deployment: two generations of processes side by side, traffic that moves, and alarms that take it back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::deployment::{Plan, Step};
use super::endpoint::Status;
use super::fleet::{Blueprint, Fleet};
use super::traffic::Shift;
use super::{Inner, PHASE, now};
use crate::service::Fault;

/// How often alarms are read during a wait.
const LOOK: Duration = Duration::from_millis(250);

/// What one update is given to do.
#[derive(Debug)]
pub(super) struct Rollout {
    pub(super) endpoint: String,
    pub(super) blueprint: Blueprint,
    pub(super) plan: Plan,
    pub(super) deployment: Option<Value>,
    pub(super) before: Option<Arc<Fleet>>,
}

impl Inner {
    /// Starts the new fleet beside the old one, moves the traffic step by step, and takes it all back if it must.
    pub(super) async fn roll_out(&self, rollout: Rollout) {
        let Rollout { endpoint, blueprint, plan, deployment, before } = rollout;
        let begun = Instant::now();
        let fleet = match self.start_fleet(&endpoint, &blueprint).await {
            Ok(fleet) => Arc::new(fleet),
            Err(reason) => return self.roll_back(&endpoint, None, before, reason).await,
        };
        let mut spent = begun.elapsed();
        for step in &plan.steps {
            // Waits count at their full length: what AWS would not finish in time is not finished here.
            spent += step.wait;
            if plan.most.is_some_and(|most| spent > most) {
                let reason = format!(
                    "The deployment did not complete within {} seconds (MaximumExecutionTimeoutInSeconds) and it was rolled \
                     back.",
                    plan.most.unwrap_or_default().as_secs()
                );
                return self.roll_back(&endpoint, Some(fleet), before, reason).await;
            }
            if let Some(found) = self.state().endpoints.get_mut(&endpoint) {
                found.shift = Some(Shift::to(&fleet, step));
                found.stage = Some((step.clone(), now()));
            }
            self.announce_deployment(&endpoint);
            if let Some(reason) = self.bake(step, &plan.alarms).await {
                return self.roll_back(&endpoint, Some(fleet), before, reason).await;
            }
        }
        if let Some(found) = self.state().endpoints.get_mut(&endpoint) {
            found.last_deployment = deployment;
        }
        self.settle(&endpoint, Status::InService, None, Some(fleet));
        if let Some(old) = before {
            old.retire().await;
        }
    }

    async fn roll_back(
        &self,
        endpoint: &str,
        fleet: Option<Arc<Fleet>>,
        before: Option<Arc<Fleet>>,
        reason: String,
    ) {
        if let Some(found) = self.state().endpoints.get_mut(endpoint) {
            found.shift = None;
            found.status = Status::RollingBack;
            found.failure = Some(reason.clone());
            found.modified = now();
        }
        self.announce_endpoint(endpoint);
        if let Some(fleet) = fleet {
            fleet.retire().await;
        }
        tokio::time::sleep(PHASE).await;
        // In service again, with the former configuration: that is all that tells a rollback from a success.
        self.settle(endpoint, Status::InService, Some(reason), before);
    }

    /// Waits for as long as a step says, shortened; returns why the new fleet must go, if an alarm says so.
    async fn bake(&self, step: &Step, alarms: &[String]) -> Option<String> {
        let until = Instant::now() + self.shortened(step.wait);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            tokio::time::sleep(left.min(LOOK)).await;
            let last = Instant::now() >= until;
            if last {
                // What was answered until now counts, whether or not its second is over.
                self.metrics.flush().await;
            }
            let ringing = self.ringing(alarms).await;
            if !ringing.is_empty() {
                return Some(alarmed(&ringing));
            }
            if last {
                return None;
            }
        }
    }

    async fn ringing(&self, alarms: &[String]) -> Vec<String> {
        if alarms.is_empty() {
            return Vec::new();
        }
        if self.config.faults.has(Fault::EndpointRollsBack) {
            return alarms.to_vec();
        }
        let body = json!({"AlarmNames": alarms, "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]});
        match self.backend.json("monitoring", "GraniteServiceVersion20100801.DescribeAlarms", &body).await {
            Ok(answer) => ["MetricAlarms", "CompositeAlarms"]
                .iter()
                .filter_map(|kind| answer[kind].as_array())
                .flatten()
                .filter(|alarm| alarm["StateValue"] == "ALARM")
                .filter_map(|alarm| alarm["AlarmName"].as_str().map(str::to_owned))
                .collect(),
            Err(error) => {
                tracing::warn!(%error, "the alarms of a deployment could not be read");
                Vec::new()
            }
        }
    }

    /// How long this account waits where AWS waits for so long.
    fn shortened(&self, wait: Duration) -> Duration {
        wait.mul_f64(self.config.minute.as_secs_f64() / 60.0)
    }
}

fn alarmed(alarms: &[String]) -> String {
    format!(
        "One or more alarms went into ALARM state during the deployment and it was rolled back: {}",
        alarms.join(", ")
    )
}
