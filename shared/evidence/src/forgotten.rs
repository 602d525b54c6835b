//! What `lockstep forget` signs: which versions of which objects are gone, and that nothing was found afterwards.
//!
//! A receipt lies at `forgotten/<pseudonym>/<time>.json` of the evidence bucket, where nobody can delete it. So it holds a
//! pseudonym, places and digests, and nothing of what was deleted. Its note, `<time>-begun.json`, is written before anything
//! is deleted, so that an interruption leaves a trace.

use contract::{RunId, Sha256Digest};
use serde::{Deserialize, Serialize};

use crate::{
    statement::{STATEMENT_TYPE, Statement, Subject},
    trust::{NotTrusted, TrustRoot},
};

/// The `predicateType` of a receipt.
pub const FORGOTTEN_PREDICATE: &str = "lockstep/forgotten/v1";
/// Who signs it.
const FORGETTER: &str = "forget";

/// The predicate `lockstep/forgotten/v1`. Its statement's subject is the pseudonym, a keyed hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forgotten {
    /// The only field that was searched; without it, all were.
    pub field: Option<String>,
    /// ARN of who did it.
    pub by: String,
    /// Where was searched: `s3://bucket/prefix`.
    pub searched: Vec<String>,
    /// Versions that held the subject. A key that did has the pseudonym in its place.
    pub removed: Vec<RemovedVersion>,
    /// What was written in their place.
    pub rewritten: Vec<RewrittenObject>,
    /// Runs that were trained with a removed version.
    pub trained: Vec<RunId>,
    /// What the second search says; none in the note that is written before anything is deleted.
    pub searched_again: Option<SearchedAgain>,
    /// RFC 3339 in UTC.
    pub at: String,
}

/// One version of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemovedVersion {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The version.
    pub version_id: String,
    /// Of its bytes.
    pub sha256: Sha256Digest,
    /// Rows in it that held the subject; 1 for an object that is not made of rows.
    pub rows: u64,
}

/// An object without the subject's rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewrittenObject {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The new version.
    pub version_id: String,
    /// Of its bytes.
    pub sha256: Sha256Digest,
}

/// The second search, over every version that there is then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchedAgain {
    /// Versions that were read.
    pub versions: u64,
    /// Versions that hold the subject all the same: they came in between, or could not be deleted.
    pub found: u64,
    /// Versions that are no text, or hold the subject where rows cannot be told apart.
    pub unsearchable: u64,
    /// Bodies in rows that are no text, or have no fields where one was asked for.
    pub opaque: u64,
}

impl Forgotten {
    /// Its statement, about a pseudonym.
    pub fn into_statement(self, pseudonym: &Sha256Digest) -> Statement<Self> {
        Statement {
            kind: STATEMENT_TYPE.to_owned(),
            subject: vec![Subject::new("pseudonym", pseudonym)],
            predicate_type: FORGOTTEN_PREDICATE.to_owned(),
            predicate: self,
        }
    }

    /// Whether the second search found nothing, and could search everything.
    pub fn is_complete(&self) -> bool {
        self.searched_again.as_ref().is_some_and(|again| again.found == 0 && again.unsearchable == 0)
    }
}

/// Verifies a receipt.
///
/// # Errors
/// [`NotTrusted`].
pub fn verify_forgotten(bytes: &[u8], trust: &TrustRoot) -> Result<Statement<Forgotten>, NotTrusted> {
    let (statement, key) = trust.open::<Forgotten>(FORGETTER, FORGOTTEN_PREDICATE, bytes)?;
    key.check_date(&statement.predicate.at)?;
    Ok(statement)
}
