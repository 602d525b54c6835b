//! The run's record: every file of the run with its digest, signed by `seal-run`.

use std::collections::BTreeMap;

use contract::{ErrorName, Gate, RunId, Sha256Digest};
use serde::{Deserialize, Serialize};

use crate::statement::{STATEMENT_TYPE, Statement, Subject, Verdict};

/// The `predicateType` of a record.
pub const RECORD_PREDICATE: &str = "lockstep/record/v1";

/// How a run ended, in Step Functions' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RunStatus {
    /// The endpoint serves the new model.
    Succeeded,
    /// A gate refused, or something failed.
    Failed,
    /// Somebody stopped the execution.
    Aborted,
    /// The execution took longer than it may.
    TimedOut,
}

/// The predicate `lockstep/record/v1`: what an auditor asks first, and every file that answers the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The run.
    pub run_id: RunId,
    /// The execution that ran it.
    pub execution_arn: String,
    /// How it ended.
    pub status: RunStatus,
    /// The error's name, unless it succeeded.
    pub error: Option<String>,
    /// What the error said.
    pub cause: Option<String>,
    /// The policy that it was judged by; none of a run that was never admitted.
    pub policy_sha256: Option<Sha256Digest>,
    /// Who submitted and who approved, as far as it is known.
    pub identities: Identities,
    /// What the gates decided, in the order of the state machine.
    pub verdicts: Vec<GateVerdict>,
    /// What went in, by name: digests, commits and versions, as the gates signed them.
    pub inputs: BTreeMap<String, String>,
    /// When the execution was in which state.
    pub states: Vec<StateTimes>,
    /// What the jobs cost by policy's prices.
    pub costs: Vec<JobCost>,
    /// Every file under the run's evidence prefix but this one, sorted by key.
    pub files: Vec<RecordFile>,
    /// When, RFC 3339 in UTC.
    pub sealed_at: String,
}

/// Who was involved, by `aws:userid`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identities {
    /// Whoever uploaded the request.
    pub submitter: Option<String>,
    /// Whoever approved.
    pub approver: Option<String>,
}

/// A gate's verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateVerdict {
    /// The gate.
    pub gate: Gate,
    /// What it decided.
    pub verdict: Verdict,
    /// When, as it signed.
    pub at: String,
}

/// One stay in a state. Times are RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateTimes {
    /// The state.
    pub name: String,
    /// When it was entered.
    pub entered_at: String,
    /// When it was left; none of a state that was never left.
    pub left_at: Option<String>,
}

/// What a job cost. Numbers are text: signed floats would have to be read to the same digits by everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobCost {
    /// The job.
    pub job: String,
    /// Seconds that SageMaker billed.
    pub seconds: String,
    /// US dollars.
    pub usd: String,
}

/// One file of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordFile {
    /// Key in the evidence bucket.
    pub key: String,
    /// Of its bytes.
    pub sha256: Sha256Digest,
    /// Bytes.
    pub size: u64,
}

impl Record {
    /// The record's statement; each file is a subject.
    pub fn into_statement(self) -> Statement<Record> {
        Statement {
            kind: STATEMENT_TYPE.to_owned(),
            subject: self.files.iter().map(|file| Subject::new(&file.key, &file.sha256)).collect(),
            predicate_type: RECORD_PREDICATE.to_owned(),
            predicate: self,
        }
    }

    /// The refusal, where it is one of Lockstep's own.
    pub fn refusal(&self) -> Option<ErrorName> {
        self.error.as_deref().and_then(ErrorName::parse)
    }
}
