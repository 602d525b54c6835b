//! Why evaluation refuses.

use contract::ErrorName;
use runtime::{Change, Refusal};

/// A refusal of evaluation.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The job ended badly, or not in time, or is not the one that was asked for.
    #[error("evaluation job `{job}` failed: {reason}")]
    Failed {
        /// Its name.
        job: String,
        /// SageMaker's reason.
        reason: String,
    },
    /// What the job read is not what was pinned or sealed.
    #[error("{0}")]
    DataChanged(Change),
    /// Metrics on the wrong side of their bounds; every breach is listed.
    #[error("{}", .0.join("; "))]
    ThresholdBreached(Vec<String>),
    /// Metrics that are missing, impossible or contradict each other.
    #[error("the metrics cannot be believed: {0}")]
    MetricsInvalid(String),
    /// Any function's trouble.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

impl From<runtime::AwsFailure> for EvaluateError {
    fn from(failure: runtime::AwsFailure) -> Self {
        Self::Runtime(failure.into())
    }
}

impl Refusal for EvaluateError {
    fn name(&self) -> ErrorName {
        match self {
            Self::Failed { .. } => ErrorName::EvaluationFailed,
            Self::DataChanged(_) => ErrorName::DataChanged,
            Self::ThresholdBreached(_) => ErrorName::ThresholdBreached,
            Self::MetricsInvalid(_) => ErrorName::MetricsInvalid,
            Self::Runtime(error) => error.name(),
        }
    }
}
