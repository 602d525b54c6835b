//! Why monitoring ends without a judgement.

use contract::ErrorName;
use runtime::Refusal;

/// A failure of monitoring. An endpoint that cannot be judged is no failure: its judgement says why.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// No such endpoint is declared.
    #[error("`endpoint` is `{endpoint}`: name one of the declared endpoints {declared:?}")]
    UnknownEndpoint {
        /// As asked for.
        endpoint: String,
        /// What there is.
        declared: Vec<String>,
    },
    /// The baseline is not the one that the evaluation gate signed for, or cannot be read.
    #[error("the baseline of run {run}: {reason}")]
    Baseline {
        /// The run.
        run: contract::RunId,
        /// What is wrong with it.
        reason: String,
    },
    /// The report cannot be written down.
    #[error("the report of endpoint `{endpoint}`: {reason}")]
    Report {
        /// The endpoint.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// EventBridge did not take the event.
    #[error("EventBridge refused to tell of drift at `{endpoint}`: {reason}")]
    NotTold {
        /// The endpoint.
        endpoint: String,
        /// Its reason.
        reason: String,
    },
    /// Any function's trouble.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

impl From<runtime::AwsFailure> for MonitorError {
    fn from(failure: runtime::AwsFailure) -> Self {
        Self::Runtime(failure.into())
    }
}

impl Refusal for MonitorError {
    fn name(&self) -> ErrorName {
        match self {
            Self::UnknownEndpoint { .. } => ErrorName::RequestInvalid,
            Self::Baseline { .. } => ErrorName::EvidenceBroken,
            Self::Report { .. } | Self::NotTold { .. } => ErrorName::ServiceUnavailable,
            Self::Runtime(error) => error.name(),
        }
    }
}
