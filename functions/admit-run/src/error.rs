//! Why admission refuses.

use contract::{ErrorName, RequestInvalid, TriggerUnknown};
use runtime::Refusal;

use crate::policy::Violation;

/// A refusal of admission.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// The execution's input is no trigger.
    #[error(transparent)]
    Trigger(#[from] TriggerUnknown),
    /// The request does not follow its schema.
    #[error(transparent)]
    Request(#[from] RequestInvalid),
    /// The request lies where no request may come from.
    #[error("`{place}` is no place for a request: upload it to s3://{intake}/requests/<your aws:userid>/")]
    Place {
        /// Where it lies.
        place: String,
        /// The intake bucket.
        intake: String,
    },
    /// There is no such request.
    #[error("`{0}` does not exist: upload the request first")]
    RequestMissing(String),
    /// The image cannot be resolved to one platform's manifest.
    #[error("`image` is `{image}`: {remedy}")]
    Image {
        /// As written in the request.
        image: String,
        /// What to do.
        remedy: String,
    },
    /// The pinned data is not there, is not what was pinned, or is not usable.
    #[error("`{field}` is `{value}`: {remedy}")]
    Data {
        /// The field's path.
        field: String,
        /// What it holds.
        value: String,
        /// What is wrong and what to do.
        remedy: String,
    },
    /// The request asks for more than policy allows; every violation is listed.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Policy(Vec<Violation>),
    /// The jobs could cost too much.
    #[error(
        "the jobs could cost {cost:.2} USD, policy allows {cap:.2}: ask for shorter runtimes or fewer instances"
    )]
    Cost {
        /// At most, from runtimes and prices.
        cost: f64,
        /// The policy's cap.
        cap: f64,
    },
    /// Any function's trouble.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

impl From<runtime::AwsFailure> for AdmitError {
    fn from(failure: runtime::AwsFailure) -> Self {
        Self::Runtime(failure.into())
    }
}

impl Refusal for AdmitError {
    fn name(&self) -> ErrorName {
        match self {
            Self::Trigger(_)
            | Self::Request(_)
            | Self::Place { .. }
            | Self::RequestMissing(_)
            | Self::Image { .. }
            | Self::Data { .. } => ErrorName::RequestInvalid,
            Self::Policy(_) => ErrorName::PolicyViolation,
            Self::Cost { .. } => ErrorName::CostCapExceeded,
            Self::Runtime(error) => error.name(),
        }
    }
}
