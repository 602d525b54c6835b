//! What can go wrong in any function, whatever it decides.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use contract::ErrorName;

use crate::entry::Refusal;

/// An AWS call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation} failed: {code}: {message}")]
pub struct AwsFailure {
    /// Such as `s3:GetObject`.
    pub operation: &'static str,
    /// AWS's error code, or the kind of transport failure.
    pub code: String,
    /// AWS's message.
    pub message: String,
}

/// Turns an SDK's error into an [`AwsFailure`]: `.map_err(failed("s3:GetObject"))`.
pub fn failed<E>(operation: &'static str) -> impl FnOnce(SdkError<E, HttpResponse>) -> AwsFailure
where
    E: ProvideErrorMetadata + std::fmt::Debug,
{
    move |error| {
        let code = match (&error, error.code()) {
            (_, Some(code)) => code.to_owned(),
            (SdkError::TimeoutError(_), None) => "TimeoutError".to_owned(),
            (SdkError::DispatchFailure(_), None) => "DispatchFailure".to_owned(),
            (SdkError::ResponseError(_), None) => "ResponseError".to_owned(),
            // The answer to a HEAD has no body, so no code.
            (_, None) if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 403) => {
                "Forbidden".to_owned()
            }
            (_, None) => "Unknown".to_owned(),
        };
        AwsFailure { operation, code, message: error.message().unwrap_or("no message").to_owned() }
    }
}

/// Whether SageMaker's answer to a Describe says that there is no such resource: it has no error of its own for
/// that, but a ValidationException that says so.
pub fn is_missing(failure: &AwsFailure) -> bool {
    let said = failure.message.to_lowercase();
    failure.code == "ResourceNotFound"
        || (failure.code == "ValidationException"
            && (said.contains("could not find") || said.contains("not found")))
}

/// A refusal that any function may meet.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// AWS kept failing.
    #[error(transparent)]
    Aws(#[from] AwsFailure),
    /// An object's bytes are not those that the state names.
    #[error("`{place}` was altered: its SHA-256 is {found}, the run's state says {expected}")]
    Altered {
        /// The object.
        place: String,
        /// What its bytes hash to.
        found: String,
        /// What the state says.
        expected: String,
    },
    /// An object cannot be read as what it should be.
    #[error("`{place}` cannot be read: {reason}")]
    Unreadable {
        /// The object.
        place: String,
        /// Why.
        reason: String,
    },
    /// Somebody else wrote what this gate was about to write.
    #[error("`{place}` already holds a different statement")]
    Occupied {
        /// The object.
        place: String,
    },
    /// The policy is another one.
    #[error("the policy is now {found}, this run was admitted under {expected}: start a new run")]
    PolicyChanged {
        /// What the run was admitted under.
        expected: String,
        /// What is deployed.
        found: String,
    },
    /// Variables are missing or wrong; all of them are listed.
    #[error("the environment is not complete: {0}")]
    Misconfigured(String),
}

impl Refusal for Error {
    fn name(&self) -> ErrorName {
        match self {
            Error::Aws(failure) => ErrorName::of_aws_code(&failure.code),
            Error::Altered { .. } | Error::Unreadable { .. } | Error::Occupied { .. } => {
                ErrorName::EvidenceBroken
            }
            Error::PolicyChanged { .. } => ErrorName::PolicyChanged,
            Error::Misconfigured(_) => ErrorName::Misconfigured,
        }
    }
}
