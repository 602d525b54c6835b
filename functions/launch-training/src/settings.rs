//! What training is told by its environment.

use runtime::{Environment, PolicyPin, TrustPin, var};

/// The settings.
#[derive(Debug)]
pub struct Settings {
    /// Where models, data and outputs lie.
    pub work_bucket: String,
    /// Encrypts volumes and outputs.
    pub data_key: String,
    /// Which policy judges.
    pub policy: PolicyPin,
    /// Whose signatures count, those of runs to promote among them.
    pub trust: TrustPin,
    /// The job's execution role.
    pub role_arn: String,
    /// Private subnets.
    pub subnets: Vec<String>,
    /// Security groups.
    pub security_groups: Vec<String>,
}

impl Settings {
    /// Reads them; problems are collected in the environment.
    pub fn read(environment: &mut Environment) -> Self {
        Self {
            work_bucket: environment.text(&var::WORK_BUCKET),
            data_key: environment.text(&var::DATA_KEY),
            policy: PolicyPin::read(environment),
            trust: TrustPin::read(environment),
            role_arn: environment.text(&var::JOB_ROLE_ARN),
            subnets: environment.list(&var::SUBNET_IDS),
            security_groups: environment.list(&var::SECURITY_GROUP_IDS),
        }
    }
}
