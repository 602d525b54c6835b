//! What sealing is told by its environment.

use runtime::{Environment, PolicyPin, var};

/// The settings.
#[derive(Debug)]
pub struct Settings {
    /// Where artefacts go.
    pub work_bucket: String,
    /// Encrypts them.
    pub data_key: String,
    /// The KMS key that checkpoints' MACs are derived from.
    pub checkpoint_key: String,
    /// Which policy judges.
    pub policy: PolicyPin,
    /// Git revision of the deployed code.
    pub code_revision: String,
}

impl Settings {
    /// Reads them; problems are collected in the environment.
    pub fn read(environment: &mut Environment) -> Self {
        Self {
            work_bucket: environment.text(&var::WORK_BUCKET),
            data_key: environment.text(&var::DATA_KEY),
            checkpoint_key: environment.text(&var::CHECKPOINT_KEY),
            policy: PolicyPin::read(environment),
            code_revision: environment.text(&var::CODE_REVISION),
        }
    }
}
