//! Why the gate refuses.

use contract::ErrorName;
use runtime::Refusal;

/// A refusal of the gate.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// Findings that policy does not allow.
    #[error("{image} has findings that policy does not allow: {findings}")]
    Blocked {
        /// The digest.
        image: String,
        /// The worst of them, by name and severity.
        findings: String,
    },
    /// No complete, fresh scan.
    #[error("{image} has no complete scan: {reason}")]
    Incomplete {
        /// The digest.
        image: String,
        /// Why.
        reason: String,
    },
    /// The image cannot be scanned.
    #[error("{image} cannot be scanned: {reason}")]
    Unsupported {
        /// The digest.
        image: String,
        /// Why.
        reason: String,
    },
    /// Any function's trouble.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

impl From<runtime::AwsFailure> for ScanError {
    fn from(failure: runtime::AwsFailure) -> Self {
        Self::Runtime(failure.into())
    }
}

impl Refusal for ScanError {
    fn name(&self) -> ErrorName {
        match self {
            Self::Blocked { .. } => ErrorName::ScanBlocked,
            Self::Incomplete { .. } => ErrorName::ScanIncomplete,
            Self::Unsupported { .. } => ErrorName::ScanUnsupported,
            Self::Runtime(error) => error.name(),
        }
    }
}
