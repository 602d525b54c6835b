//! Verified bytes out of unverified ones: what this crate stores matched its digest and was inspected, or it
//! does not exist (invariant 1).

mod content;
mod error;
mod expected;
mod store;

pub use content::{ContentKind, Inspector, UnsafeContent};
pub use error::TransferError;
pub use expected::{Expected, ExpectedDigest, Hasher};
pub use store::{Stored, Warehouse};
