//! Why a run could not be sealed.

use contract::ErrorName;
use runtime::Refusal;

/// A failure; the state machine retries, and the sweep after it.
#[derive(Debug, thiserror::Error)]
pub enum SealRunError {
    /// Neither a step, an execution's end, nor a sweep.
    #[error("the event is neither SealRun's step, an execution's end, nor a sweep")]
    OccasionUnknown,
    /// What a transfer left open could not be ended.
    #[error(transparent)]
    Transfer(#[from] transfer::TransferError),
    /// Any function's trouble.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

impl From<runtime::AwsFailure> for SealRunError {
    fn from(failure: runtime::AwsFailure) -> Self {
        Self::Runtime(failure.into())
    }
}

impl Refusal for SealRunError {
    fn name(&self) -> ErrorName {
        match self {
            Self::OccasionUnknown => ErrorName::Misconfigured,
            Self::Transfer(error) => error.name(),
            Self::Runtime(error) => error.name(),
        }
    }
}
