//! What sealing a run is told by its environment.

use runtime::{Environment, var};

/// The settings.
#[derive(Debug)]
pub struct Settings {
    /// Where transfers are.
    pub work_bucket: String,
    /// Where to tell.
    pub topic_arn: String,
}

impl Settings {
    /// Reads them; problems are collected in the environment.
    pub fn read(environment: &mut Environment) -> Self {
        Self {
            work_bucket: environment.text(&var::WORK_BUCKET),
            topic_arn: environment.text(&var::TOPIC_ARN),
        }
    }
}
