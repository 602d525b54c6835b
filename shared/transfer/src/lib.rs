//! Verified bytes out of unverified ones: what this crate stores matched its digest and was inspected, or it
//! does not exist (invariant 1).
//!
//! A large file comes in by ranges side by side, is hashed and inspected in order, and goes out by the parts of
//! one multipart upload, which is completed only once the whole file is known to be what was promised. What is
//! known good is kept in a checkpoint after each part, so that the next invocation, or another one, goes on from
//! there.

mod buffers;
mod catalogue;
mod checkpoint;
pub mod content;
mod deadline;
mod error;
mod expected;
mod file;
mod ledger;
mod meter;
mod parts;
mod range;
mod source;
mod upload;
mod uploads;
mod warehouse;

pub use checkpoint::{MacKey, Owner};
pub use deadline::Deadline;
pub use error::{FileError, TransferError};
pub use expected::{Expected, ExpectedDigest, Hasher, MidState};
pub use file::{File, Outcome, Passage};
pub use ledger::Ledger;
pub use meter::Meter;
pub use source::{Retry, Source, delays};
pub use uploads::Uploads;
pub use warehouse::{Stored, Warehouse};
