//! Acquisition as users and attackers meet it: the function's real binary against a local account and a Hub that
//! can do wrong.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod account;
mod content;
mod flaky;
mod hub;
mod real_model;
mod refusals;
mod resolve;
mod resume;
mod signature;
mod tls;
mod token;
