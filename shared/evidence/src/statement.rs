//! in-toto Statement v1 (<https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>).

use std::collections::BTreeMap;

use contract::{Gate, RunId, Score, Sha256Digest};
use serde::{Deserialize, Serialize};

/// The `_type` of every statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The `predicateType` of a gate's link.
pub const LINK_PREDICATE: &str = "lockstep/link/v1";

/// A statement: what it is about, and the predicate that holds for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement<P> {
    /// Always [`STATEMENT_TYPE`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// What the predicate is about.
    pub subject: Vec<Subject>,
    /// Names the predicate's type.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// The predicate.
    pub predicate: P,
}

/// A named thing with its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Its name.
    pub name: String,
    /// Digests by algorithm; Lockstep writes `sha256`.
    pub digest: BTreeMap<String, String>,
}

impl Subject {
    /// A subject with a SHA-256.
    pub fn new(name: impl Into<String>, sha256: &Sha256Digest) -> Self {
        Self { name: name.into(), digest: BTreeMap::from([("sha256".to_owned(), sha256.to_string())]) }
    }
}

/// A file of the run's evidence that a link vouches for: a standard statement, unmodified, or a document that the
/// gate decided on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Carried {
    /// Below the run's prefix, `<function>/<name>`.
    pub path: String,
    /// Of its bytes.
    pub sha256: Sha256Digest,
    /// The `predicateType` of a statement; [`DOCUMENT`] of anything else.
    pub kind: String,
}

/// The [`Carried::kind`] of what is no statement.
pub const DOCUMENT: &str = "application/json";

/// What a gate decided. A refusal is an error of the function and signs no link, so there is one verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The gate let the run pass.
    Passed,
}

/// The predicate `lockstep/link/v1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The run.
    pub run_id: RunId,
    /// The gate.
    pub gate: Gate,
    /// What it decided.
    pub verdict: Verdict,
    /// The policy that it judged by.
    pub policy_sha256: Sha256Digest,
    /// Digests of the links that it builds on, sorted.
    pub predecessors: Vec<Sha256Digest>,
    /// The files that it vouches for, sorted by path.
    pub carries: Vec<Carried>,
    /// What it decided on, by name: digests, versions, names.
    pub facts: BTreeMap<String, String>,
    /// When, RFC 3339 in UTC.
    pub at: String,
}

impl Link {
    /// The candidate's metrics, as the gate that judged them states them.
    pub fn reached(&self) -> Score {
        let facts = self.facts.iter();
        facts
            .filter_map(|(name, value)| Some((name.strip_prefix("after.")?.to_owned(), value.parse().ok()?)))
            .collect()
    }
}

impl Statement<Link> {
    /// A link's statement.
    pub fn link(subject: Vec<Subject>, mut link: Link) -> Self {
        link.predecessors.sort();
        link.carries.sort();
        Self {
            kind: STATEMENT_TYPE.to_owned(),
            subject,
            predicate_type: LINK_PREDICATE.to_owned(),
            predicate: link,
        }
    }
}
