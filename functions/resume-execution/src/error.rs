//! Why a wait could not be looked after.

use contract::ErrorName;
use runtime::Refusal;

/// A failure; the next event or sweep tries again.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// Neither a sweep nor an event that the rules send.
    #[error("the event is neither a sweep nor a state change that a wait can be for")]
    EventUnknown,
    /// Some waits could not be looked after; the others were.
    #[error("{failed} of {all} waits could not be looked after; the last: {last}")]
    Partial {
        /// How many.
        failed: usize,
        /// Of how many.
        all: usize,
        /// The last reason.
        last: Box<ResumeError>,
    },
    /// Any function's trouble.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

impl From<runtime::AwsFailure> for ResumeError {
    fn from(failure: runtime::AwsFailure) -> Self {
        Self::Runtime(failure.into())
    }
}

impl Refusal for ResumeError {
    fn name(&self) -> ErrorName {
        match self {
            Self::EventUnknown => ErrorName::Misconfigured,
            Self::Partial { last, .. } => last.name(),
            Self::Runtime(error) => error.name(),
        }
    }
}
