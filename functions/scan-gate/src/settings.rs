//! What the gate is told by its environment.

use runtime::{Environment, PolicyPin, var};

/// The settings.
#[derive(Debug)]
pub struct Settings {
    /// Which policy judges.
    pub policy: PolicyPin,
}

impl Settings {
    /// Reads them; problems are collected in the environment.
    pub fn read(environment: &mut Environment) -> Self {
        // The plan's place names its bucket; the variable is read so that a wrong one is found at the start.
        environment.text(&var::WORK_BUCKET);
        Self { policy: PolicyPin::read(environment) }
    }
}
