//! Why training refuses.

use contract::{ErrorName, Sha256Digest};
use evidence::PromotionBroken;
use runtime::{Change, Refusal};

/// A refusal of training.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The job ended badly, or not in time.
    #[error("training job `{job}` failed: {reason}")]
    Failed {
        /// Its name.
        job: String,
        /// SageMaker's reason.
        reason: String,
    },
    /// The job was stopped, by whomever: that is no success.
    #[error("training job `{job}` was stopped: {reason}")]
    Stopped {
        /// Its name.
        job: String,
        /// SageMaker's reason.
        reason: String,
    },
    /// What the job read is not what the request pinned.
    #[error("{0}")]
    DataChanged(Change),
    /// Somebody left a checkpoint before the job that alone leaves any began.
    #[error(
        "`{object}` lies where the job would go on from, and no job wrote it: see who did, and start a new run"
    )]
    CheckpointPlanted {
        /// Where it lies.
        object: String,
    },
    /// A job of this name exists and is not the one that was asked for.
    #[error("training job `{job}` exists with another {field}")]
    Foreign {
        /// Its name.
        job: String,
        /// What differs.
        field: &'static str,
    },
    /// The run to promote does not prove what it is promoted for.
    #[error(transparent)]
    Promotion(#[from] PromotionBroken),
    /// The base model of this account is not the one that the promoted run trained.
    #[error(
        "the promoted run trained the base model {theirs}, and the same commit is {ours} here: promote another run"
    )]
    OtherModel {
        /// The content digest that the promoted run states.
        theirs: String,
        /// What was downloaded here.
        ours: Sha256Digest,
    },
    /// The run is none that promotes another.
    #[error("the run's plan promotes nothing")]
    NotPromoting,
    /// Any function's trouble.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

impl From<runtime::AwsFailure> for TrainError {
    fn from(failure: runtime::AwsFailure) -> Self {
        Self::Runtime(failure.into())
    }
}

impl Refusal for TrainError {
    fn name(&self) -> ErrorName {
        match self {
            Self::Failed { .. } | Self::Foreign { .. } => ErrorName::TrainingFailed,
            Self::Stopped { .. } => ErrorName::TrainingStopped,
            Self::Promotion(_) | Self::OtherModel { .. } | Self::NotPromoting => ErrorName::PromotionRefused,
            Self::DataChanged(_) | Self::CheckpointPlanted { .. } => ErrorName::DataChanged,
            Self::Runtime(error) => error.name(),
        }
    }
}
