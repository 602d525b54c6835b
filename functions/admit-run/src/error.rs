//! Why admission refuses.

use contract::{
    ErrorName, ImageNameInvalid, Inadmissible, RequestInvalid, RetrainingRefused, RunId, TriggerUnknown,
};
use runtime::Refusal;

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
    /// What was carried over of a run to promote is not there, or is something else.
    #[error("`promotion.evidence` is `{value}`: {remedy}")]
    Promotion {
        /// Where it should lie.
        value: String,
        /// What is wrong and what to do.
        remedy: String,
    },
    /// Drift may start no run now.
    #[error(transparent)]
    Retraining(#[from] RetrainingRefused),
    /// The run that serves is none that drift can repeat.
    #[error("run {run} is not repeated for drift: {reason}")]
    NotRetrainable {
        /// The run.
        run: RunId,
        /// Why, and what to do.
        reason: String,
    },
    /// The request asks for more than policy allows, or could cost too much.
    #[error(transparent)]
    Inadmissible(#[from] Inadmissible),
    /// Any function's trouble.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

impl From<ImageNameInvalid> for AdmitError {
    fn from(invalid: ImageNameInvalid) -> Self {
        Self::Image { image: invalid.image, remedy: invalid.remedy.to_owned() }
    }
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
            Self::Retraining(_) | Self::NotRetrainable { .. } => ErrorName::RetrainingRefused,
            Self::Promotion { .. } => ErrorName::PromotionRefused,
            Self::Inadmissible(Inadmissible::Policy(_)) => ErrorName::PolicyViolation,
            Self::Inadmissible(Inadmissible::Cost { .. }) => ErrorName::CostCapExceeded,
            Self::Runtime(error) => error.name(),
        }
    }
}
