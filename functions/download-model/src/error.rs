//! Why the download refuses.

use std::time::Duration;

use contract::ErrorName;
use evidence::OmsInvalid;
use runtime::Refusal;
use transfer::{FileError, Retry, TransferError};

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
    #[error("`{place}`: the Hub says {status}: accept the licence there, or store a token that may read it")]
    AccessNotGranted {
        /// The repository or the file.
        place: String,
        /// HTTP status and the Hub's own code.
        status: String,
    },
    /// A file, or their number or size, is not within policy.
    #[error("{0}")]
    FileNotAllowed(String),
    /// A path would leave its folder, is no plain path, or is another's but for its case.
    #[error("`{path}` is not a path that a model may have: {reason}")]
    UnsafePath {
        /// The path, shortened.
        path: String,
        /// Why.
        reason: String,
    },
    /// The Hub's answer cannot be trusted.
    #[error("`{place}`: {reason}")]
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
    #[error("`{place}`: the Hub did not give it: {reason}")]
    SourceUnavailable {
        /// Which file or repository.
        place: String,
        /// Why.
        reason: String,
        /// How long the Hub asked to wait.
        retry_after: Option<Duration>,
    },
    /// The Hub lists a file and does not have it.
    #[error("`{path}` was listed by the Hub and is not there")]
    Absent {
        /// The file.
        path: String,
    },
    /// A listed file is missing, or another one is there.
    #[error("the model is not complete: {0}")]
    ManifestIncomplete(String),
    /// The signature beside the weights does not hold.
    #[error("`{place}`: {reason}")]
    SignatureBroken {
        /// The object.
        place: String,
        /// What is wrong with it.
        reason: OmsInvalid,
    },
    /// A file was not stored.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// Any function's trouble.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

impl DownloadError {
    /// Whether asking the Hub again may help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::SourceUnavailable { retry_after: Some(wish), .. } => Retry::After(*wish),
            Self::SourceUnavailable { retry_after: None, .. } => Retry::Soon,
            _ => Retry::Never,
        }
    }

    /// Whether the state machine tries again, so that what is open is kept for it.
    pub fn is_tried_again(&self) -> bool {
        matches!(self.name(), ErrorName::SourceUnavailable | ErrorName::ServiceUnavailable)
    }
}

impl From<FileError<DownloadError>> for DownloadError {
    fn from(error: FileError<DownloadError>) -> Self {
        match error {
            FileError::Source(error) => error,
            FileError::Transfer(error) => error.into(),
        }
    }
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
            Self::UnsafePath { .. } => ErrorName::UnsafePath,
            Self::SourceMalformed { .. } => ErrorName::SourceMalformed,
            Self::SourceChanged { .. } => ErrorName::SourceChanged,
            Self::RedirectRefused { .. } => ErrorName::RedirectRefused,
            Self::SourceUnavailable { .. } => ErrorName::SourceUnavailable,
            Self::ManifestIncomplete(_) | Self::Absent { .. } => ErrorName::ManifestIncomplete,
            Self::SignatureBroken { .. } => ErrorName::EvidenceBroken,
            Self::Transfer(error) => error.name(),
            Self::Runtime(error) => error.name(),
        }
    }
}
