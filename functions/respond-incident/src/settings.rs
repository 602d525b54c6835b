//! What the function is told by its environment.

use std::{collections::BTreeMap, time::Duration};

use runtime::{Environment, PolicyPin, TrustPin, var};
use serde::Deserialize;

/// An endpoint that the infrastructure declares.
#[derive(Debug, Clone, Deserialize)]
pub struct DeclaredEndpoint {
    /// Its guardrail alarms.
    pub alarms: Vec<String>,
}

/// The settings.
#[derive(Debug)]
pub struct Settings {
    /// Where artefacts lie.
    pub work_bucket: String,
    /// Which policy says what findings were answered for.
    pub policy: PolicyPin,
    /// Which key may sign for which gate.
    pub trust: TrustPin,
    /// Endpoints and their alarms.
    pub endpoints: BTreeMap<String, DeclaredEndpoint>,
    /// Where incidents are told.
    pub topic_arn: String,
    /// How long an endpoint is left alone after an answer.
    pub cooldown: Duration,
    /// Where the runbooks are.
    pub runbooks_url: String,
}

impl Settings {
    /// Reads them; problems are collected in the environment.
    pub fn read(environment: &mut Environment) -> Self {
        Self {
            work_bucket: environment.text(&var::WORK_BUCKET),
            policy: PolicyPin::read(environment),
            trust: TrustPin::read(environment),
            endpoints: environment.parsed(&var::ENDPOINTS, |text| serde_json::from_str(text)),
            topic_arn: environment.text(&var::ALERTS_TOPIC_ARN),
            cooldown: Duration::from_secs(environment.parsed(&var::COOLDOWN_SECONDS, str::parse)),
            runbooks_url: environment.text(&var::RUNBOOKS_URL),
        }
    }

    /// The endpoint that an alarm guards.
    pub fn guarded_by(&self, alarm: &str) -> Option<&str> {
        let guards = |declared: &DeclaredEndpoint| declared.alarms.iter().any(|name| name == alarm);
        self.endpoints.iter().find(|(_, declared)| guards(declared)).map(|(name, _)| name.as_str())
    }
}
