//! What more than one crate's tests and benchmarks start from: fixtures, and the programs under test run as Lambda
//! runs them, with what they use measured.

mod function;
mod process;

pub use function::{Answer, Error, Function};
pub use process::{Process, Usage};

/// A request within [`POLICY`], as JSON.
pub const REQUEST: &str = include_str!("../fixtures/request.json");
/// A policy, as JSON.
pub const POLICY: &str = include_str!("../fixtures/policy.json");
