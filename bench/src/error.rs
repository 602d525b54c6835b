//! Why nothing was measured.

use testkit::{Answer, Function};

use crate::transfer::sink::Unverified;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The function did something else than its work.
    #[error("{step}: {answer}; its log ends:\n{log}")]
    Function {
        /// The step.
        step: &'static str,
        /// What it answered.
        answer: String,
        /// The end of its log.
        log: String,
    },
    /// The function could not be run.
    #[error(transparent)]
    Harness(#[from] testkit::Error),
    /// It was not built.
    #[error("`cargo build --release --locked -p download-model` failed: {0}")]
    Build(String),
    /// The Python program failed.
    #[error("transfer.py: {0}")]
    Peer(String),
    /// The Python environment could not be made.
    #[error(transparent)]
    Python(#[from] local::python::Error),
    /// A program that is measured as the limit is not there or failed.
    #[error("`{0}` failed")]
    Program(String),
    /// What was stored is not what was sent.
    #[error(transparent)]
    Unverified(#[from] Unverified),
    /// A program that computes drift failed.
    #[error("{program}: {said}")]
    Drift {
        /// Which.
        program: &'static str,
        /// The end of what it said.
        said: String,
    },
    /// The programs do not agree, so that their times cannot be compared.
    #[error("column {column}: {figure} is {ours:e}, and {theirs:e} by {program}")]
    Disagree {
        /// Where.
        column: usize,
        /// On what.
        figure: &'static str,
        /// Our figure.
        ours: f64,
        /// The other's.
        theirs: f64,
        /// Whose.
        program: &'static str,
    },
    /// Invocation after invocation stored nothing.
    #[error("{0} invocations in a row stored nothing")]
    Stuck(usize),
    /// A file, a port or a process.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// What is read or written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// The function's answer was no success.
    pub fn refused(step: &'static str, answer: &Answer, function: &Function) -> Self {
        let log = function.log();
        let lines: Vec<&str> = log.lines().collect();
        let log = lines[lines.len().saturating_sub(3)..].join("\n");
        Self::Function { step, answer: format!("{answer:?}"), log }
    }
}
