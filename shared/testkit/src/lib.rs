//! Fixtures that more than one crate's tests start from.

/// A request within [`POLICY`], as JSON.
pub const REQUEST: &str = include_str!("../fixtures/request.json");
/// A policy, as JSON.
pub const POLICY: &str = include_str!("../fixtures/policy.json");
