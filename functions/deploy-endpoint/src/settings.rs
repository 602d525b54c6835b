//! What deployment is told by its environment.

use std::collections::BTreeMap;

use runtime::{Environment, PolicyPin, TrustPin, var};
use serde::Deserialize;

/// An endpoint that the infrastructure declares.
#[derive(Debug, Clone, Deserialize)]
pub struct DeclaredEndpoint {
    /// Alarms that roll a deployment back.
    pub alarms: Vec<String>,
    /// How many instances it may have; fixed, where this is left out.
    #[serde(default)]
    pub autoscaling: Option<Autoscaling>,
}

/// Between which numbers of instances an endpoint is kept, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Autoscaling {
    /// Instances at least.
    pub min_capacity: u32,
    /// Instances at most.
    pub max_capacity: u32,
    /// Invocations a minute that each instance shall have.
    pub invocations_per_instance: u32,
    /// Seconds after instances were taken away, until more are.
    pub scale_in_cooldown: u32,
    /// Seconds after instances were added, until more are.
    pub scale_out_cooldown: u32,
}

/// The settings.
#[derive(Debug)]
pub struct Settings {
    /// Where artefacts lie and captures go.
    pub work_bucket: String,
    /// Encrypts volumes and captures.
    pub data_key: String,
    /// Which policy judges.
    pub policy: PolicyPin,
    /// Endpoints and their alarms.
    pub endpoints: BTreeMap<String, DeclaredEndpoint>,
    /// The model's execution role.
    pub role_arn: String,
    /// Private subnets.
    pub subnets: Vec<String>,
    /// Security groups.
    pub security_groups: Vec<String>,
    /// Which key may sign for which gate.
    pub trust: TrustPin,
    /// Seconds that a new version serves before those before its predecessor are removed.
    pub bake_seconds: u32,
}

impl Settings {
    /// Reads them; problems are collected in the environment.
    pub fn read(environment: &mut Environment) -> Self {
        Self {
            work_bucket: environment.text(&var::WORK_BUCKET),
            data_key: environment.text(&var::DATA_KEY),
            policy: PolicyPin::read(environment),
            endpoints: environment.parsed(&var::ENDPOINTS, |text| serde_json::from_str(text)),
            role_arn: environment.text(&var::ENDPOINT_ROLE_ARN),
            subnets: environment.list(&var::SUBNET_IDS),
            security_groups: environment.list(&var::SECURITY_GROUP_IDS),
            trust: TrustPin::read(environment),
            bake_seconds: environment.parsed(&var::BAKE_SECONDS, str::parse),
        }
    }
}
