//! What the integration tests share: the shipped program, run as a user runs it.

mod demo;
mod promotion;
mod records;

pub use demo::{Demo, Finished, Kept, LocalAccount, lockstep, root, said};
pub use promotion::{approved, promote};
pub use records::Evidence;
