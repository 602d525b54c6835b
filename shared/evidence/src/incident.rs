//! What `respond-incident` signs: an incident's record, what became of it, and that a digest must not serve again.
//!
//! | place in the evidence bucket | holds |
//! |-|-|
//! | `incidents/<endpoint>/<incident>/record.json` | [`Incident`]: what was seen, and what was done about it |
//! | `incidents/<endpoint>/<incident>/outcome.json` | [`Outcome`]: what serves since |
//! | `revoked/<sha256>.json` | [`Revocation`] of an artefact's content or of an image |

use contract::{RunId, Sha256Digest};
use serde::{Deserialize, Serialize};

use crate::{
    envelope::Envelope,
    statement::{STATEMENT_TYPE, Statement, Subject},
    trust::{NotTrusted, TrustRoot},
};

/// The `predicateType` of an incident's record.
pub const INCIDENT_PREDICATE: &str = "lockstep/incident/v1";
/// The `predicateType` of what became of it.
pub const OUTCOME_PREDICATE: &str = "lockstep/incident-outcome/v1";
/// The `predicateType` of a revocation.
pub const REVOCATION_PREDICATE: &str = "lockstep/revocation/v1";
/// Who signs them.
const RESPONDER: &str = "respond-incident";

/// How bad an incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IncidentSeverity {
    /// Worth knowing.
    Low,
    /// Look at it today.
    Medium,
    /// Callers are hurt.
    High,
    /// Nothing serves, or somebody else may be in the account.
    Critical,
}

impl IncidentSeverity {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IncidentAction {
    /// The endpoint was told to serve an earlier configuration.
    RolledBack,
    /// The endpoint was deleted, the package rejected and what it served revoked.
    Isolated,
    /// The endpoint was in the middle of a deployment, whose own guardrails act.
    LeftToTheDeployment,
    /// Nothing but this record and a notification: people decide.
    Noted,
}

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// RFC 3339 in UTC.
    pub at: String,
    /// In words.
    pub what: String,
}

/// A configuration that was looked at and not rolled back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassedOver {
    /// The configuration.
    pub config: String,
    /// Why not.
    pub reason: String,
}

/// The predicate `lockstep/incident/v1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// Hashes the endpoint and the event, so that an event that comes twice is one incident.
    pub incident_id: RunId,
    /// The endpoint.
    pub endpoint: String,
    /// How bad it is.
    pub severity: IncidentSeverity,
    /// What was seen, in words.
    pub cause: String,
    /// Of the event as it came, in `serde_json`'s encoding. The event itself may hold what is nobody's business.
    pub event_sha256: Sha256Digest,
    /// What was done.
    pub action: IncidentAction,
    /// Why that and nothing else.
    pub because: String,
    /// The configuration that served; none where nothing did.
    pub from: Option<String>,
    /// The configuration that was asked for instead.
    pub to: Option<String>,
    /// Earlier configurations that were not safe.
    pub passed_over: Vec<PassedOver>,
    /// What happened when, in order.
    pub timeline: Vec<Moment>,
    /// What to do now.
    pub runbook: String,
    /// RFC 3339 in UTC.
    pub recorded_at: String,
}

/// The predicate `lockstep/incident-outcome/v1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The incident.
    pub incident_id: RunId,
    /// The endpoint.
    pub endpoint: String,
    /// Whether the endpoint serves what was asked for.
    pub restored: bool,
    /// What SageMaker says of the endpoint.
    pub said: String,
    /// RFC 3339 in UTC.
    pub at: String,
}

/// The predicate `lockstep/revocation/v1`: whoever deploys refuses what it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// The incident that it came of.
    pub incident_id: RunId,
    /// Where it served.
    pub endpoint: String,
    /// The run that deployed it.
    pub run_id: RunId,
    /// Why.
    pub reason: String,
    /// RFC 3339 in UTC.
    pub at: String,
}

/// `incidents/<endpoint>/<incident>/`.
pub fn incident_prefix(endpoint: &str, incident: &RunId) -> String {
    format!("incidents/{endpoint}/{incident}/")
}

/// `revoked/<sha256>.json`: of an artefact's content, or the hex digits of an image's digest.
pub fn revocation_key(sha256: &str) -> String {
    format!("revoked/{}.json", sha256.trim_start_matches("sha256:"))
}

/// What a revocation says, in words. Whatever lies in its place is one, whether it can be read or not.
pub fn revocation_words(sha256: &str, bytes: &[u8]) -> String {
    let said = Envelope::parse(bytes).and_then(|envelope| envelope.unverified::<Statement<Revocation>>());
    match said {
        Ok(said) => {
            let Revocation { incident_id, endpoint, reason, at, .. } = said.predicate;
            format!("incident {incident_id} at `{endpoint}` revoked it at {at}: {reason}")
        }
        Err(unreadable) => {
            format!("`{}` is there and cannot be read: {unreadable}", revocation_key(sha256))
        }
    }
}

impl Incident {
    /// Its statement, about the event.
    pub fn into_statement(self) -> Statement<Self> {
        let subject = Subject::new("event", &self.event_sha256);
        statement(subject, INCIDENT_PREDICATE, self)
    }
}

impl Outcome {
    /// Its statement, about the record.
    pub fn into_statement(self, record: &Sha256Digest) -> Statement<Self> {
        let subject = Subject::new("record.json", record);
        statement(subject, OUTCOME_PREDICATE, self)
    }
}

impl Revocation {
    /// Its statement, about an artefact (`artifact`) or an image (`image`).
    pub fn into_statement(self, what: &str, sha256: &Sha256Digest) -> Statement<Self> {
        statement(Subject::new(what, sha256), REVOCATION_PREDICATE, self)
    }
}

fn statement<P>(subject: Subject, predicate_type: &str, predicate: P) -> Statement<P> {
    let predicate_type = predicate_type.to_owned();
    Statement { kind: STATEMENT_TYPE.to_owned(), subject: vec![subject], predicate_type, predicate }
}

/// Verifies an incident's record.
///
/// # Errors
/// [`NotTrusted`].
pub fn verify_incident(bytes: &[u8], trust: &TrustRoot) -> Result<Incident, NotTrusted> {
    let (statement, key) = trust.open::<Incident>(RESPONDER, INCIDENT_PREDICATE, bytes)?;
    key.check_date(&statement.predicate.recorded_at)?;
    Ok(statement.predicate)
}

/// Verifies what became of an incident; the statement's subject is the record that it closes.
///
/// # Errors
/// [`NotTrusted`].
pub fn verify_outcome(bytes: &[u8], trust: &TrustRoot) -> Result<Statement<Outcome>, NotTrusted> {
    let (statement, key) = trust.open::<Outcome>(RESPONDER, OUTCOME_PREDICATE, bytes)?;
    key.check_date(&statement.predicate.at)?;
    Ok(statement)
}

/// Verifies a revocation. Whoever deploys need not: what lies there refuses, whoever wrote it.
///
/// # Errors
/// [`NotTrusted`].
pub fn verify_revocation(bytes: &[u8], trust: &TrustRoot) -> Result<Revocation, NotTrusted> {
    let (statement, key) = trust.open::<Revocation>(RESPONDER, REVOCATION_PREDICATE, bytes)?;
    key.check_date(&statement.predicate.at)?;
    Ok(statement.predicate)
}
