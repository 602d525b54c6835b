//! Why nothing was done.

use contract::ErrorName;
use runtime::Refusal;

/// A refusal, or a failure that the next try may not meet.
#[derive(Debug, thiserror::Error)]
pub enum RespondError {
    /// Neither an event that the rules send nor a call by hand.
    #[error(
        "the event is no alarm, finding, endpoint's change or rescan, nor `{{\"rollback\": {{\"endpoint\": ..., \"reason\": ...}}}}`"
    )]
    EventUnknown,
    /// The infrastructure does not declare the endpoint.
    #[error("`{0}` is no endpoint of Lockstep's: the infrastructure declares others")]
    Undeclared(String),
    /// There is no endpoint.
    #[error("`{0}` does not exist, so there is nothing to roll back")]
    NoEndpoint(String),
    /// The endpoint cannot be updated now.
    #[error("`{endpoint}` is {status}: only an endpoint in service can be rolled back")]
    NotInService {
        /// The endpoint.
        endpoint: String,
        /// Its status.
        status: String,
    },
    /// A run is deploying.
    #[error("run {run} is deploying to `{endpoint}`: wait until it ends, or stop it")]
    Deploying {
        /// The endpoint.
        endpoint: String,
        /// The run.
        run: String,
    },
    /// Another delivery is at it.
    #[error("another invocation is answering for `{0}`; this one is tried again")]
    InHand(String),
    /// It serves already what is asked for.
    #[error("`{endpoint}` serves `{config}` already")]
    ServesAlready {
        /// The endpoint.
        endpoint: String,
        /// The configuration.
        config: String,
    },
    /// The configuration that was asked for is not safe.
    #[error("`{config}` is not served again: {reason}")]
    NotSafe {
        /// The configuration.
        config: String,
        /// Why.
        reason: String,
    },
    /// No earlier configuration is safe, and nobody asked to isolate.
    #[error(
        "no earlier configuration of `{endpoint}` is safe ({reasons}): isolate it, or deploy another model"
    )]
    NothingSafe {
        /// The endpoint.
        endpoint: String,
        /// Each with its reason.
        reasons: String,
    },
    /// One endpoint's answer failed; the others were given.
    #[error("{failed} of {all} endpoints were not answered for; the last: {last}")]
    Partial {
        /// How many.
        failed: usize,
        /// Of how many.
        all: usize,
        /// The last reason.
        last: Box<RespondError>,
    },
    /// Any function's trouble.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

impl From<runtime::AwsFailure> for RespondError {
    fn from(failure: runtime::AwsFailure) -> Self {
        Self::Runtime(failure.into())
    }
}

impl Refusal for RespondError {
    fn name(&self) -> ErrorName {
        match self {
            Self::EventUnknown => ErrorName::Misconfigured,
            Self::Undeclared(_) | Self::NoEndpoint(_) | Self::ServesAlready { .. } => {
                ErrorName::RequestInvalid
            }
            Self::NotInService { .. } => ErrorName::DeploymentFailed,
            Self::Deploying { .. } => ErrorName::Superseded,
            Self::InHand(_) => ErrorName::ServiceUnavailable,
            Self::NotSafe { .. } | Self::NothingSafe { .. } => ErrorName::EvidenceBroken,
            Self::Partial { last, .. } => last.name(),
            Self::Runtime(error) => error.name(),
        }
    }
}
