//! What admission is told by its environment.

use std::collections::BTreeMap;

use runtime::{Environment, PolicyPin, var};
use serde::Deserialize;

/// An endpoint that the infrastructure declares.
#[derive(Debug, Clone, Deserialize)]
pub struct DeclaredEndpoint {
    /// Alarms that roll a deployment back.
    #[serde(rename = "alarms")]
    pub _alarms: Vec<String>,
}

/// The settings.
#[derive(Debug)]
pub struct Settings {
    /// Where requests are uploaded.
    pub intake_bucket: String,
    /// Where plans go.
    pub work_bucket: String,
    /// Which policy judges.
    pub policy: PolicyPin,
    /// Seconds between sweeps.
    pub sweep_seconds: u32,
    /// Endpoints that a request can choose.
    pub endpoints: BTreeMap<String, DeclaredEndpoint>,
}

impl Settings {
    /// Reads them; problems are collected in the environment.
    pub fn read(environment: &mut Environment) -> Self {
        Self {
            intake_bucket: environment.text(&var::INTAKE_BUCKET),
            work_bucket: environment.text(&var::WORK_BUCKET),
            policy: PolicyPin::read(environment),
            sweep_seconds: environment.parsed(&var::SWEEP_SECONDS, str::parse),
            endpoints: environment.parsed(&var::ENDPOINTS, |text| serde_json::from_str(text)),
        }
    }
}
