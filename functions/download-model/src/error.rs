//! Why the download refuses.

use contract::ErrorName;
use runtime::Refusal;
use transfer::TransferError;

/// A refusal of the download.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The Hub has no such repository or revision, or hides it.
    #[error(
        "`{repo}` at `{revision}`: the Hub says {status}: check `source.repo` and `source.revision`, and the token"
    )]
    RevisionNotFound {
        /// `owner/name`.
        repo: String,
        /// As asked for.
        revision: String,
        /// HTTP status and the Hub's own code.
        status: String,
    },
    /// The Hub refuses access.
    #[error("`{repo}`: the Hub says {status}: accept the licence there, or store a token that may read it")]
    AccessNotGranted {
        /// `owner/name`.
        repo: String,
        /// HTTP status and the Hub's own code.
        status: String,
    },
    /// A file, or their number or size, is not within policy.
    #[error("{0}")]
    FileNotAllowed(String),
    /// A path would leave its folder, or is no plain path.
    #[error("`{0}` is not a path that a model may have")]
    UnsafePath(String),
    /// The Hub's answer cannot be trusted.
    #[error("{place}: {reason}")]
    SourceMalformed {
        /// Which answer.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The Hub now says something else of a file.
    #[error("`{path}`: the Hub now says {found}, it said {expected} when the revision was resolved")]
    SourceChanged {
        /// The file.
        path: String,
        /// When resolved.
        expected: String,
        /// Now.
        found: String,
    },
    /// A redirect that must not be followed.
    #[error("`{path}`: the redirect to `{target}` is refused: {reason}")]
    RedirectRefused {
        /// The file.
        path: String,
        /// Scheme and host only; the rest may be a signature.
        target: String,
        /// Why.
        reason: &'static str,
    },
    /// The Hub did not answer.
    #[error("{place}: the Hub did not answer: {reason}")]
    SourceUnavailable {
        /// Which request.
        place: String,
        /// Why.
        reason: String,
    },
    /// A listed file is missing, or another one is there.
    #[error("the model is not complete: {0}")]
    ManifestIncomplete(String),
    /// A file was not stored.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// Any function's trouble.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

impl From<runtime::AwsFailure> for DownloadError {
    fn from(failure: runtime::AwsFailure) -> Self {
        Self::Runtime(failure.into())
    }
}

impl Refusal for DownloadError {
    fn name(&self) -> ErrorName {
        match self {
            Self::RevisionNotFound { .. } => ErrorName::RevisionNotFound,
            Self::AccessNotGranted { .. } => ErrorName::AccessNotGranted,
            Self::FileNotAllowed(_) => ErrorName::FileNotAllowed,
            Self::UnsafePath(_) => ErrorName::UnsafePath,
            Self::SourceMalformed { .. } => ErrorName::SourceMalformed,
            Self::SourceChanged { .. } => ErrorName::SourceChanged,
            Self::RedirectRefused { .. } => ErrorName::RedirectRefused,
            Self::SourceUnavailable { .. } => ErrorName::SourceUnavailable,
            Self::ManifestIncomplete(_) => ErrorName::ManifestIncomplete,
            Self::Transfer(error) => match error {
                TransferError::DigestMismatch { .. } => ErrorName::DigestMismatch,
                TransferError::SizeMismatch { .. } => ErrorName::SizeMismatch,
                TransferError::UnsafeContent { .. } => ErrorName::UnsafeContent,
                TransferError::Source { .. } => ErrorName::SourceUnavailable,
                TransferError::Occupied { .. } => ErrorName::ManifestIncomplete,
                TransferError::Store { .. } => ErrorName::ServiceUnavailable,
            },
            Self::Runtime(error) => error.name(),
        }
    }
}
