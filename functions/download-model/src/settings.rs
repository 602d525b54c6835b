//! What the download is told by its environment.

use runtime::{Environment, PolicyPin, var};

/// The settings.
#[derive(Debug)]
pub struct Settings {
    /// Where models go.
    pub work_bucket: String,
    /// Encrypts them.
    pub data_key: String,
    /// Which policy judges.
    pub policy: PolicyPin,
    /// The secret with the Hub's token; it may have no value.
    pub token_secret: String,
    /// The Hub.
    pub hub: String,
    /// The KMS key that checkpoints' MACs are derived from.
    pub checkpoint_key: String,
}

impl Settings {
    /// Reads them; problems are collected in the environment.
    pub fn read(environment: &mut Environment) -> Self {
        Self {
            work_bucket: environment.text(&var::WORK_BUCKET),
            data_key: environment.text(&var::DATA_KEY),
            policy: PolicyPin::read(environment),
            token_secret: environment.text(&var::HUB_TOKEN_SECRET),
            hub: environment.text(&var::HF_ENDPOINT),
            checkpoint_key: environment.text(&var::CHECKPOINT_KEY),
        }
    }
}
