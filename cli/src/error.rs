//! Why a command could not be done, and the exit code that says so.

use std::path::PathBuf;

use aws_sdk_sfn::error::{ProvideErrorMetadata, SdkError};

use crate::prerequisites::Missing;
use crate::staging::StagingError;

/// Why a command could not be done. A refused run is no error: it is what the gates are for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Programs are missing or too old.
    #[error("{}", Missing::report(.0))]
    Prerequisites(Vec<Missing>),
    /// The request file cannot be used.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// The repository was not found.
    #[error(
        "no Lockstep repository at {0} or above it: run this inside a clone (it holds statemachine/pipeline.asl.json)"
    )]
    NoRepository(PathBuf),
    /// What requests are checked by cannot be used.
    #[error(transparent)]
    Check(#[from] crate::check::CheckError),
    /// The infrastructure's variables are not there.
    #[error("--var-file {path}: {source}: name a file of Terraform variables, .tfvars or .tfvars.json", path = .path.display())]
    VarFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The local account could not be started or deployed to.
    #[error(transparent)]
    Account(#[from] local::Error),
    /// A file could not be read or written.
    #[error("cannot {action} {path}: {source}", path = .path.display())]
    File {
        /// `read`, `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An AWS call failed.
    #[error("{operation} failed: {reason}")]
    Aws {
        /// The operation.
        operation: &'static str,
        /// The service's own words.
        reason: String,
    },
    /// AWS answered, but without what was asked for.
    #[error("{operation} answered without {lacking}")]
    Incomplete {
        /// The operation.
        operation: &'static str,
        /// What was missing.
        lacking: &'static str,
    },
    /// No region is configured.
    #[error("no AWS region is configured: set AWS_REGION or the profile's region, or give --endpoint-url")]
    NoRegion,
    /// Nothing was started yet.
    #[error("{0} has no execution yet: start one, e.g. by uploading a request")]
    NoExecution(String),
    /// No execution has this run.
    #[error(
        "no execution of {state_machine} has run {run_id}: it may be older than what Step Functions keeps (90 days)"
    )]
    RunUnknown {
        /// The run.
        run_id: String,
        /// Where it was looked for.
        state_machine: String,
    },
    /// No state machine of that name.
    #[error(
        "the account has no state machine named {0}: give --state-machine ARN, or check region and account"
    )]
    NoStateMachine(&'static str),
    /// No package belongs to the run.
    #[error(
        "no model package belongs to run {0}: it may not have reached Register yet (see `lockstep watch {0}`)"
    )]
    NoPackage(String),
    /// The package is not waiting for a decision.
    #[error("{arn} is {status}{by}: only a package that is PendingManualApproval can be decided")]
    NotPending {
        /// The package.
        arn: String,
        /// Its status.
        status: String,
        /// Who decided, and why, as far as it is known.
        by: String,
    },
    /// The package is not what the approver looked at.
    #[error("{arn} is about artefact {holds}, and you looked at {looked_at}: look again before you decide")]
    OtherDigest {
        /// The package.
        arn: String,
        /// What it is about.
        holds: String,
        /// What was given.
        looked_at: String,
    },
    /// What should have started an execution did not.
    #[error("{what} started no execution within {seconds} s")]
    NotStarted {
        /// The upload, or the event.
        what: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The version that must serve first does not.
    #[error("the good version that must serve first was refused: {0}")]
    FirstVersion(String),
    /// The trust root is not one.
    #[error("the infrastructure's trust root: {0}")]
    TrustRoot(#[from] evidence::TrustRootInvalid),
    /// A file of trusted keys is not there.
    #[error("cannot read the keys to trust, {path}: {source}; name another file with --trust", path = .path.display())]
    NoTrustRoot {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of trusted keys is none.
    #[error("{path}: {invalid}; `terraform output -json trust_root` writes one", path = .path.display())]
    TrustFile {
        /// The file.
        path: PathBuf,
        /// Why.
        invalid: evidence::TrustRootInvalid,
    },
    /// Which bucket holds the evidence is not clear.
    #[error(
        "of buckets named `*-{purpose}-*` the account has {count}: check region and account, or give --{purpose}-bucket where the command takes it"
    )]
    NoBucket {
        /// `none` or `several`.
        count: &'static str,
        /// What the bucket is for.
        purpose: &'static str,
    },
    /// A run cannot be repeated.
    #[error("run {run_id} cannot be repeated: {reason}")]
    NotRepeatable {
        /// The run.
        run_id: String,
        /// Why.
        reason: String,
    },
    /// There are no rows to ask questions of.
    #[error(
        "`evaluation.data` holds no row with a `text` to ask the endpoint: name a file of them, as examples/requests/tiny-lm.json does"
    )]
    NoRows,
    /// The monitor did not say what it must.
    #[error("the monitor must say `{expected}` of this traffic, and says `{found}`")]
    DriftMissed {
        /// What it must say.
        expected: &'static str,
        /// What it said.
        found: String,
    },
    /// A run cannot be promoted.
    #[error("run {run_id} cannot be promoted: {reason}")]
    NotPromotable {
        /// The run.
        run_id: String,
        /// Why, and what to do.
        reason: String,
    },
    /// An object is not what the run's evidence says.
    #[error(
        "{place} has the digest {found}, and the run's evidence states {expected}: it was changed after it was sealed"
    )]
    Carried {
        /// Where it lies.
        place: String,
        /// Of its bytes.
        found: contract::Sha256Digest,
        /// In the evidence.
        expected: contract::Sha256Digest,
    },
    /// What served cannot be recovered.
    #[error("{endpoint} cannot be recovered: {reason}")]
    NotRecoverable {
        /// The endpoint, or what of it.
        endpoint: String,
        /// Why, and what to do.
        reason: String,
    },
    /// Whom to forget is not clear.
    #[error("{0}")]
    Subject(String),
    /// Somebody wrote an object while it was being rewritten.
    #[error(
        "{place} was written by somebody else meanwhile, and is as they left it: run the command again, it goes on where it ended"
    )]
    ChangedMeanwhile {
        /// Where it lies.
        place: String,
    },
    /// A receipt does not hold.
    #[error("{what} does not verify: {reason}")]
    Receipt {
        /// The receipt.
        what: String,
        /// Why.
        reason: String,
    },
    /// A run has no evidence.
    #[error("run {run_id} has no evidence in s3://{bucket}: check the run's id, region and account")]
    NoEvidence {
        /// The run.
        run_id: String,
        /// Where it was looked for.
        bucket: String,
    },
    /// An export would write over something.
    #[error("{path} is there already: an export writes over nothing", path = .0.display())]
    Occupied(PathBuf),
    /// Evidence does not hold.
    #[error("{what} does not verify: {broken}")]
    Broken {
        /// The directory or the run.
        what: String,
        /// The first break.
        broken: evidence::RunBroken,
    },
    /// A break did not end as it must.
    #[error("`--break {name}` must end in {expected}, but the run ended in {found}")]
    BreakMissed {
        /// The break.
        name: String,
        /// What should have refused.
        expected: String,
        /// What happened.
        found: String,
    },
}

impl Error {
    /// The exit code: 2 for what the user can put right by another command line or installation, 1 otherwise.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Error::Prerequisites(_)
            | Error::Staging(_)
            | Error::NoRepository(_)
            | Error::Check(_)
            | Error::VarFile { .. }
            | Error::NoRegion
            | Error::NoExecution(_)
            | Error::RunUnknown { .. }
            | Error::NoStateMachine(_)
            | Error::NoPackage(_)
            | Error::NoTrustRoot { .. }
            | Error::TrustFile { .. }
            | Error::NoBucket { .. }
            | Error::NotRepeatable { .. }
            | Error::NotPromotable { .. }
            | Error::NoRows
            | Error::Subject(_)
            | Error::NotRecoverable { .. }
            | Error::NoEvidence { .. }
            | Error::Occupied(_)
            | Error::OtherDigest { .. }
            | Error::NotPending { .. } => 2,
            Error::Broken { .. } | Error::Carried { .. } | Error::Receipt { .. } => 4,
            Error::Account(_)
            | Error::File { .. }
            | Error::Aws { .. }
            | Error::Incomplete { .. }
            | Error::NotStarted { .. }
            | Error::ChangedMeanwhile { .. }
            | Error::FirstVersion(_)
            | Error::TrustRoot(_)
            | Error::DriftMissed { .. }
            | Error::BreakMissed { .. } => 1,
        }
    }

    /// For `map_err`: what the service said, else every cause in the chain. Never the request or the answer
    /// themselves, which may hold what must not be shown.
    pub(crate) fn aws<E, R>(operation: &'static str) -> impl FnOnce(SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        move |error| Error::Aws { operation, reason: reason(&error) }
    }

    /// The same, with where it was tried: of several buckets one may be misspelt, or closed to the caller.
    pub(crate) fn at(self, place: &impl std::fmt::Display) -> Self {
        match self {
            Error::Aws { operation, reason } => {
                Error::Aws { operation, reason: format!("{place}: {reason}") }
            }
            other => other,
        }
    }

    /// For `map_err`: a file that could not be read or written.
    pub(crate) fn file(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Error::File { action, path, source }
    }
}

fn reason<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    if let Some(service) = error.as_service_error()
        && let Some(code) = service.code()
    {
        return format!("{code}: {}", service.message().unwrap_or("no message"));
    }
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_can_put_right_exits_2_and_what_broke_exits_1() {
        assert_eq!(Error::NoRegion.exit_code(), 2);
        assert_eq!(Error::Incomplete { operation: "DescribeExecution", lacking: "a status" }.exit_code(), 1);
    }
}
