//! Why approval refuses.

use contract::ErrorName;
use runtime::Refusal;

/// A refusal of approval.
#[derive(Debug, thiserror::Error)]
pub enum ApproveError {
    /// Somebody said no.
    #[error("`{package}` was rejected by {approver}: {reason}")]
    Rejected {
        /// The package's ARN.
        package: String,
        /// Who.
        approver: String,
        /// Why.
        reason: String,
    },
    /// Nobody decided in time.
    #[error("nobody decided on `{package}` in time: start a new run")]
    Expired {
        /// The package's ARN.
        package: String,
    },
    /// The approval is older than policy lets it become.
    #[error("`{package}` was approved longer ago than policy lets an approval count: start a new run")]
    Stale {
        /// The package's ARN.
        package: String,
    },
    /// Policy does not let this principal approve.
    #[error("`{approver}` may not approve `{package}`: {reason}")]
    NotAllowed {
        /// The package's ARN.
        package: String,
        /// Who.
        approver: String,
        /// Why not.
        reason: &'static str,
    },
    /// The package is not the one that was registered.
    #[error("`{package}` is not what was registered: another {field}")]
    Altered {
        /// The package's ARN.
        package: String,
        /// What differs.
        field: &'static str,
    },
    /// Any function's trouble.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

impl From<runtime::AwsFailure> for ApproveError {
    fn from(failure: runtime::AwsFailure) -> Self {
        Self::Runtime(failure.into())
    }
}

impl Refusal for ApproveError {
    fn name(&self) -> ErrorName {
        match self {
            Self::Rejected { .. } => ErrorName::ApprovalRejected,
            Self::Expired { .. } | Self::Stale { .. } => ErrorName::ApprovalExpired,
            Self::NotAllowed { .. } => ErrorName::ApproverNotAllowed,
            Self::Altered { .. } => ErrorName::EvidenceBroken,
            Self::Runtime(error) => error.name(),
        }
    }
}
