//! What each gate signs, and the one verifier that deployment and users share.
//!
//! A gate's link is an in-toto statement with the predicate `lockstep/link/v1` in a DSSE envelope, signed by
//! the gate's own KMS key (ECDSA P-256). Links name their predecessors by digest, so they form a DAG.

mod chain;
mod envelope;
mod oms;
mod record;
mod statement;
mod trust;

pub use chain::{EvidenceBroken, LoadedLink, VerifiedChain, VerifiedLink, verify_chain};
pub use envelope::{Envelope, EnvelopeInvalid, PAYLOAD_TYPE, Unsigned};
pub use oms::{OmsInvalid, OmsStatement, SIGNATURE_FILE, check_signable, public_key_pem};
pub use p256::ecdsa::VerifyingKey;
pub use record::{RECORD_PREDICATE, Record, RecordFile, RunStatus};
pub use statement::{LINK_PREDICATE, Link, STATEMENT_TYPE, Statement, Subject, Verdict};
pub use trust::{TrustRoot, TrustRootInvalid, public_key};
