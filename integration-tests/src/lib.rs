//! What the integration tests share: the shipped program, run as a user runs it.

mod demo;
mod promotion;
mod records;
mod replication;

pub use demo::{Demo, Finished, Kept, LocalAccount, lockstep, root, said};
pub use promotion::{approving, promote};
pub use records::{Evidence, PATIENCE};
pub use replication::{Replicas, replicate};
