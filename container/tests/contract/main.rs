//! The container's contract, held against the real binary and the example model: what it writes, where, and how it exits.

mod tree;

mod evaluating;
mod serving;
mod training;
