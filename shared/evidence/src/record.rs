//! The run's record: every file of the run with its digest, signed by `seal-run`.

use contract::{ErrorName, RunId, Sha256Digest};
use serde::{Deserialize, Serialize};

use crate::statement::{STATEMENT_TYPE, Statement, Subject};

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

/// The predicate `lockstep/record/v1`.
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
    /// Every file under the run's evidence prefix, sorted by key.
    pub files: Vec<RecordFile>,
    /// When, RFC 3339 in UTC.
    pub sealed_at: String,
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
