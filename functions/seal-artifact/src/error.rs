//! Why sealing refuses.

use contract::ErrorName;
use runtime::Refusal;
use transfer::{FileError, TransferError};

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

impl From<FileError<runtime::AwsFailure>> for SealError {
    fn from(error: FileError<runtime::AwsFailure>) -> Self {
        match error {
            FileError::Source(failure) => failure.into(),
            FileError::Transfer(error) => error.into(),
        }
    }
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
                | TransferError::TooLarge { .. }
                | TransferError::Occupied { .. } => ErrorName::ManifestIncomplete,
                TransferError::CursorInvalid { .. } | TransferError::RunEnded { .. } => {
                    ErrorName::CursorInvalid
                }
                TransferError::Superseded { .. }
                | TransferError::UploadLost { .. }
                | TransferError::Interrupted { .. }
                | TransferError::Store { .. } => ErrorName::ServiceUnavailable,
            },
            Self::Runtime(error) => error.name(),
        }
    }
}
