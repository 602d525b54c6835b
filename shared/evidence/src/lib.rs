//! What each gate signs, and the one verifier that deployment and users share.
//!
//! A gate's link is an in-toto statement with the predicate `lockstep/link/v1` in a DSSE envelope, signed by
//! the gate's own KMS key (ECDSA P-256). Links name their predecessors by digest, so they form a DAG, and carry
//! standard statements and documents by digest. `seal-run` signs a record of every file.

mod account;
mod chain;
mod envelope;
mod forgotten;
mod incident;
mod oms;
mod plan;
mod predicates;
mod promotion;
mod record;
mod run;
mod smoke_test;
mod statement;
#[cfg(test)]
mod tests;
mod time;
mod trust;

pub use account::Account;
pub use chain::{EvidenceBroken, Files, VerifiedChain, VerifiedLink, link_path, verify_chain, verify_links};
pub use envelope::{Envelope, EnvelopeInvalid, PAYLOAD_TYPE, Unsigned};
pub use forgotten::{
    FORGOTTEN_PREDICATE, Forgotten, RemovedVersion, RewrittenObject, SearchedAgain, verify_forgotten,
};
pub use incident::{
    INCIDENT_PREDICATE, Incident, IncidentAction, IncidentSeverity, Moment, OUTCOME_PREDICATE, Outcome,
    PassedOver, REVOCATION_PREDICATE, Revocation, incident_prefix, revocation_key, revocation_words,
    verify_incident, verify_outcome, verify_revocation,
};
pub use oms::{OmsInvalid, OmsStatement, SIGNATURE_FILE, check_signable, public_key_pem};
pub use p256::ecdsa::VerifyingKey;
pub use predicates::{
    BuildDefinition, BuildMetadata, Builder, MODEL_SIGNATURE_PREDICATE, PASSED, PROVENANCE_PREDICATE,
    Provenance, ResourceDescriptor, RunDetails, ScanMetadata, Scanner, SeverityScore, TEST_RESULT_PREDICATE,
    TestResult, VULNS_PREDICATE, Vulnerability, Vulns,
};
pub use promotion::{BUNDLE_SCHEMA, MAX_BUNDLE_BYTES, PROMOTED_PATH, Promoted, PromotionBroken, bundle};
pub use record::{
    GateVerdict, Identities, JobCost, RECORD_PREDICATE, Record, RecordFile, RunStatus, StateTimes,
};
pub use run::{RECORD_PATH, RunBroken, VerifiedRun, verify_run};
pub use smoke_test::{SMOKE_TEST_PATH, check_smoke_test, smoke_test_result, smoke_test_subject};
pub use statement::{Carried, DOCUMENT, LINK_PREDICATE, Link, STATEMENT_TYPE, Statement, Subject, Verdict};
pub use trust::{
    NotTrusted, TRUST_ROOT_KEY, TRUST_ROOT_SCHEMA, TrustRoot, TrustRootInvalid, TrustedKey, public_key,
};
