//! What sealing a run is told by its environment.

use runtime::{Environment, var};

/// The settings.
#[derive(Debug)]
pub struct Settings {
    /// Where to tell.
    pub topic_arn: String,
}

impl Settings {
    /// Reads them; problems are collected in the environment.
    pub fn read(environment: &mut Environment) -> Self {
        // Read so that a wrong one is found at the start; the run's own files lie below it.
        environment.text(&var::WORK_BUCKET);
        Self { topic_arn: environment.text(&var::TOPIC_ARN) }
    }
}
