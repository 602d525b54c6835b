//! What the integration tests share: the shipped program, run as a user runs it.

mod demo;
mod records;

pub use demo::{Demo, Finished, Kept, root};
pub use records::Evidence;
