//! What approval is told by its environment.

use runtime::{Environment, PolicyPin, var};

/// The settings.
#[derive(Debug)]
pub struct Settings {
    /// Where artefacts lie.
    pub work_bucket: String,
    /// Which policy judges.
    pub policy: PolicyPin,
    /// Where to ask.
    pub topic_arn: String,
}

impl Settings {
    /// Reads them; problems are collected in the environment.
    pub fn read(environment: &mut Environment) -> Self {
        Self {
            work_bucket: environment.text(&var::WORK_BUCKET),
            policy: PolicyPin::read(environment),
            topic_arn: environment.text(&var::TOPIC_ARN),
        }
    }
}
