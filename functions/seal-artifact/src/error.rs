//! Why sealing refuses.

use contract::ErrorName;
use runtime::Refusal;
use transfer::TransferError;

/// A refusal of sealing.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The job wrote nothing, or what it wrote changed under our hands.
    #[error("the artefact is not complete: {0}")]
    ManifestIncomplete(String),
    /// A file was not stored.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// Any function's trouble.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

impl From<runtime::AwsFailure> for SealError {
    fn from(failure: runtime::AwsFailure) -> Self {
        Self::Runtime(failure.into())
    }
}

impl Refusal for SealError {
    fn name(&self) -> ErrorName {
        match self {
            Self::ManifestIncomplete(_) => ErrorName::ManifestIncomplete,
            Self::Transfer(error) => match error {
                TransferError::UnsafeContent { .. } => ErrorName::UnsafeContent,
                TransferError::DigestMismatch { .. }
                | TransferError::SizeMismatch { .. }
                | TransferError::Occupied { .. } => ErrorName::ManifestIncomplete,
                TransferError::Source { .. } | TransferError::Store { .. } => ErrorName::ServiceUnavailable,
            },
            Self::Runtime(error) => error.name(),
        }
    }
}
