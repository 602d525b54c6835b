//! The container's contract, held against the real binary and the example model: what it writes, where, and how it exits.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod tree;

mod evaluating;
mod examples;
mod serving;
mod training;
