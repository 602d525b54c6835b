//! Why a file was not stored.

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::content::UnsafeContent;

/// Why a file was not stored. Whatever the variant, no object exists under its key.
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
    /// The source broke off.
    #[error("`{path}`: the source broke off: {reason}")]
    Source {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// The key holds an object that is not this file.
    #[error("s3://{bucket}/{key} already holds something else")]
    Occupied {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
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

pub(crate) fn store_failed<E, R>(operation: &'static str) -> impl FnOnce(SdkError<E, R>) -> TransferError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    move |error| TransferError::Store {
        operation,
        code: error.code().unwrap_or("Unknown").to_owned(),
        message: DisplayErrorContext(&error).to_string(),
    }
}
