//! What monitoring is told by its environment.

use std::collections::BTreeMap;

use runtime::{Environment, var};
use serde::de::IgnoredAny;

/// The settings.
#[derive(Debug)]
pub struct Settings {
    /// Where captures lie and reports go.
    pub work_bucket: String,
    /// Where runs prove what they deployed.
    pub evidence_bucket: String,
    /// The endpoints that the infrastructure declares, by name.
    pub endpoints: BTreeMap<String, IgnoredAny>,
    /// Minutes of traffic that are looked at: longer than from one schedule to the next, since captures come late.
    pub window_minutes: u32,
}

impl Settings {
    /// Reads them; problems are collected in the environment.
    pub fn read(environment: &mut Environment) -> Self {
        Self {
            work_bucket: environment.text(&var::WORK_BUCKET),
            evidence_bucket: environment.text(&var::EVIDENCE_BUCKET),
            endpoints: environment.parsed(&var::ENDPOINTS, |text| serde_json::from_str(text)),
            window_minutes: environment.parsed(&var::DRIFT_WINDOW_MINUTES, str::parse),
        }
    }
}
