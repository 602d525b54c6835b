//! What the front and the services behind it share: who calls, which service, how it refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Who signed a request, as the account's STS answers it.
///
/// Only the access key id is ever read from a request: the local account verifies no signature, and records no
/// secret and no session token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `AKIA...` or `ASIA...`; empty for an unsigned request.
    pub access_key_id: String,
    /// What IAM calls `aws:userid`: `AIDA...` for a user, `AROA...:session` for an assumed role.
    pub principal_id: String,
    /// The caller's ARN, e.g. `arn:aws:iam::000000000000:user/approver`.
    pub arn: String,
    /// The user's name, or `role/session` for an assumed role.
    pub name: String,
}

/// A service that the front answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// `X-Amz-Target: SageMaker.*`
    SageMaker,
    /// `PUT /BatchPutMetrics`, signed for SageMaker
    SageMakerMetrics,
    /// Scan operations of `X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.*`
    Ecr,
    /// `X-Amz-Target: AnyScaleFrontendService.*`
    AutoScaling,
}

/// An error as AWS puts it on the wire (JSON 1.1: `__type` and `message`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} ({status}): {message}")]
pub struct AwsError {
    /// The HTTP status.
    pub status: u16,
    /// The error's name, e.g. `ValidationException`.
    pub code: String,
    /// The error's message.
    pub message: String,
}

impl AwsError {
    /// An error that is the caller's: HTTP 400.
    pub fn client(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status: 400, code: code.into(), message: message.into() }
    }

    /// An error that is the account's own: HTTP 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { status: 500, code: "InternalFailure".into(), message: message.into() }
    }
}

/// One thing that can be made wrong, so that a gate can be seen to refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
pub enum Fault {
    /// The Hub serves weights with one byte flipped, under the true digest.
    TamperedWeights,
    /// The Hub lists a file and then does not have it.
    MissingFile,
    /// The Hub's repository holds a pickle named `vocabulary.txt`, with correct digests.
    PickleInDisguise,
    /// Image scans report a critical finding.
    CriticalFinding,
    /// Image scans stay in progress.
    ScanNeverFinishes,
    /// An endpoint's update fails and the service rolls it back.
    EndpointRollsBack,
    /// The model that an endpoint's update brings is healthy and answers every request with an error.
    BadCanary,
    /// The capacity of a spot job is taken once, as soon as its first checkpoint lies in S3, and comes back.
    SpotInterrupted,
    /// The capacity of a spot job is taken so, and does not come back.
    SpotNeverReturns,
}

/// The faults that are in force now; clones share one set.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<BTreeSet<Fault>>>);

impl Faults {
    /// A set that starts with these faults.
    pub fn new(faults: impl IntoIterator<Item = Fault>) -> Self {
        Self(Arc::new(Mutex::new(faults.into_iter().collect())))
    }

    /// Puts a fault in force.
    pub fn set(&self, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(fault);
    }

    /// Ends a fault.
    pub fn clear(&self, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&fault);
    }

    /// Whether a fault is in force.
    pub fn has(&self, fault: Fault) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&fault)
    }
}

/// Where the program inside a pushed image lies on this disk: a job runs it as a process.
#[derive(Debug, Clone, Default)]
pub struct ImageStore(Arc<Mutex<BTreeMap<String, PathBuf>>>);

impl ImageStore {
    /// Remembers the program of the image with this manifest digest (`sha256:...`).
    pub fn insert(&self, digest: impl Into<String>, binary: PathBuf) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.into(), binary);
    }

    /// The program of the image with this manifest digest, if it was pushed here.
    pub fn binary_of(&self, digest: &str) -> Option<PathBuf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }
}

/// What a service behind the front is given.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where MiniStack answers, e.g. `http://127.0.0.1:40123`; for what the service itself needs from the account.
    pub backend: String,
    /// A folder of the service's own, which exists.
    pub state_dir: PathBuf,
    /// E.g. `us-east-1`.
    pub region: String,
    /// Twelve digits.
    pub account_id: String,
    /// The programs of pushed images.
    pub images: ImageStore,
    /// The faults in force.
    pub faults: Faults,
    /// How long a minute of what a deployment waits lasts here.
    pub minute: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_faults_share_one_set() {
        let faults = Faults::new([Fault::MissingFile]);
        let other = faults.clone();
        other.set(Fault::CriticalFinding);
        other.clear(Fault::MissingFile);
        assert!(faults.has(Fault::CriticalFinding));
        assert!(!faults.has(Fault::MissingFile));
    }
}
