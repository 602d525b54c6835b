//! Why a file was not stored.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use contract::ErrorName;

use crate::content::UnsafeContent;

/// Why a file was not stored. Whatever the variant, no object came to exist under its key.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The bytes hash to something else.
    #[error("`{path}`: the bytes hash to {found}, expected {expected}")]
    DigestMismatch {
        /// The file.
        path: String,
        /// What was promised.
        expected: String,
        /// What came.
        found: String,
    },
    /// More or fewer bytes came.
    #[error("`{path}`: {found} bytes came, expected {expected}")]
    SizeMismatch {
        /// The file.
        path: String,
        /// What was promised.
        expected: u64,
        /// What came, or how much had come when it was too much.
        found: u64,
    },
    /// The bytes could do harm, or could not be checked.
    #[error("`{path}`: {reason}")]
    UnsafeContent {
        /// The file.
        path: String,
        /// What was found.
        reason: UnsafeContent,
    },
    /// The file would need more parts than S3 takes, or is too large to be held whole.
    #[error("`{path}`: {size} bytes are more than the {limit} that can be stored of such a file")]
    TooLarge {
        /// The file.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The key holds an object that is not this file.
    #[error("s3://{bucket}/{key} already holds something else")]
    Occupied {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// A checkpoint is not what this function wrote.
    #[error("the checkpoint s3://{place} is not what was written there: {reason}")]
    CursorInvalid {
        /// Bucket and key.
        place: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Another invocation has taken the file over; this one ends, and harms nothing.
    #[error("`{path}`: another invocation has taken its transfer over")]
    Superseded {
        /// The file.
        path: String,
    },
    /// The run has ended; nothing more is stored for it.
    #[error("`{path}`: its run has ended")]
    RunEnded {
        /// The file.
        path: String,
    },
    /// The upload was aborted underneath, more than once.
    #[error("`{path}`: its multipart upload keeps vanishing")]
    UploadLost {
        /// The file.
        path: String,
    },
    /// A part's task ended without an answer.
    #[error("`{path}`: its transfer was interrupted")]
    Interrupted {
        /// The file.
        path: String,
    },
    /// S3 kept failing.
    #[error("{operation} failed: {code}: {message}")]
    Store {
        /// Such as `s3:UploadPart`.
        operation: &'static str,
        /// AWS's error code.
        code: String,
        /// AWS's message.
        message: String,
    },
}

/// Why a file was not stored: its source's reason, or the transfer's.
#[derive(Debug, thiserror::Error)]
pub enum FileError<E> {
    /// The source did not give the bytes.
    #[error("{0}")]
    Source(E),
    /// They were not stored.
    #[error(transparent)]
    Transfer(#[from] TransferError),
}

pub(crate) fn store_failed<E>(
    operation: &'static str,
) -> impl FnOnce(SdkError<E, HttpResponse>) -> TransferError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    move |error| {
        // The answer to a HEAD has no body, so no code.
        let denied = error.raw_response().is_some_and(|answer| answer.status().as_u16() == 403);
        TransferError::Store {
            operation,
            code: error.code().unwrap_or(if denied { "Forbidden" } else { "Unknown" }).to_owned(),
            message: DisplayErrorContext(&error).to_string(),
        }
    }
}

impl TransferError {
    /// The name under which a run ends by it, where the source had promised the digest.
    pub fn name(&self) -> ErrorName {
        match self {
            Self::DigestMismatch { .. } => ErrorName::DigestMismatch,
            Self::SizeMismatch { .. } => ErrorName::SizeMismatch,
            Self::UnsafeContent { .. } => ErrorName::UnsafeContent,
            Self::TooLarge { .. } => ErrorName::FileNotAllowed,
            Self::Occupied { .. } => ErrorName::ManifestIncomplete,
            Self::CursorInvalid { .. } | Self::RunEnded { .. } => ErrorName::CursorInvalid,
            Self::Superseded { .. } | Self::UploadLost { .. } | Self::Interrupted { .. } => {
                ErrorName::ServiceUnavailable
            }
            Self::Store { code, .. } => ErrorName::of_aws_code(code),
        }
    }

    /// Whether S3 said this, by its error code.
    pub(crate) fn says(&self, codes: &[&str]) -> bool {
        matches!(self, Self::Store { code, .. } if codes.contains(&code.as_str()))
    }
}
