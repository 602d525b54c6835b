//! Why sealing refuses.

use contract::{ErrorName, Sha256Digest};
use runtime::Refusal;
use transfer::{FileError, TransferError};

/// A refusal of sealing.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The job wrote nothing, or what it wrote changed under our hands.
    #[error("the artefact is not complete: {0}")]
    ManifestIncomplete(String),
    /// What was carried over is not what the promoted run sealed.
    #[error(
        "what lies under s3://{place} has the digest {found}, and the promoted run sealed {expected}: promote again"
    )]
    NotPromoted {
        /// Bucket and prefix.
        place: String,
        /// Of the files that lie there.
        found: Sha256Digest,
        /// In the promoted run's evidence.
        expected: Sha256Digest,
    },
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
            Self::NotPromoted { .. } => ErrorName::PromotionRefused,
            Self::ManifestIncomplete(_) => ErrorName::ManifestIncomplete,
            // The digests are those of what the job wrote, as this function read it before: a change is the job's.
            Self::Transfer(
                TransferError::DigestMismatch { .. }
                | TransferError::SizeMismatch { .. }
                | TransferError::TooLarge { .. },
            ) => ErrorName::ManifestIncomplete,
            Self::Transfer(error) => error.name(),
            Self::Runtime(error) => error.name(),
        }
    }
}
