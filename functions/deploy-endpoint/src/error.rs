//! Why deployment refuses.

use contract::ErrorName;
use evidence::EvidenceBroken;
use runtime::{Change, Refusal};

/// A refusal of deployment.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The chain does not verify.
    #[error("nothing is deployed: {0}")]
    Evidence(#[from] EvidenceBroken),
    /// The chain verifies, and is about something else than what would be deployed.
    #[error("nothing is deployed: the evidence is about another {0}")]
    Unbound(&'static str),
    /// The sealed artefact changed.
    #[error("nothing is deployed: {0}")]
    ArtifactChanged(Change),
    /// The package is no longer approved.
    #[error("nothing is deployed: `{package}` is {status} now")]
    NoLongerApproved {
        /// The package.
        package: String,
        /// Its approval status.
        status: String,
    },
    /// The model or its image was revoked.
    #[error("nothing is deployed: the {what} is revoked: {reason}")]
    Revoked {
        /// `artefact ...`, `image ...`.
        what: String,
        /// Which incident, and why.
        reason: String,
    },
    /// The model did not answer as the request expects.
    #[error("nothing is deployed: on its temporary endpoint the model {0}")]
    SmokeTest(String),
    /// What serves is not what the approver saw, or another run is at the endpoint.
    #[error("`{endpoint}`: {reason}: start a new run")]
    Superseded {
        /// The endpoint.
        endpoint: String,
        /// What came in between.
        reason: String,
    },
    /// The endpoint went back to its former configuration.
    #[error("`{endpoint}` went back to `{config}`: {reason}")]
    RolledBack {
        /// The endpoint.
        endpoint: String,
        /// What serves.
        config: String,
        /// SageMaker's reason.
        reason: String,
    },
    /// The endpoint did not come into service.
    #[error("`{endpoint}` did not come into service: {reason}")]
    Failed {
        /// The endpoint.
        endpoint: String,
        /// SageMaker's reason.
        reason: String,
    },
    /// Any function's trouble.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

impl From<runtime::AwsFailure> for DeployError {
    fn from(failure: runtime::AwsFailure) -> Self {
        Self::Runtime(failure.into())
    }
}

impl Refusal for DeployError {
    fn name(&self) -> ErrorName {
        match self {
            Self::Evidence(_)
            | Self::Unbound(_)
            | Self::ArtifactChanged(_)
            | Self::NoLongerApproved { .. } => ErrorName::EvidenceBroken,
            Self::Revoked { .. } => ErrorName::ModelRevoked,
            Self::SmokeTest(_) => ErrorName::SmokeTestFailed,
            Self::Superseded { .. } => ErrorName::Superseded,
            Self::RolledBack { .. } => ErrorName::DeploymentRolledBack,
            Self::Failed { .. } => ErrorName::DeploymentFailed,
            Self::Runtime(error) => error.name(),
        }
    }
}
