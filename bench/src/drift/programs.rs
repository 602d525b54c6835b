//! The programs that are measured, each run a process of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use local::Silent;
use local::python::{Environment, SCIPY};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::columns::{Columns, SAMPLE};
use crate::error::Error;

const PROGRAM: &str = include_str!("../../python/drift.py");
/// Bins of PSI.
pub const BINS: usize = 10;
/// What is computed of each column.
pub const FIGURES: [&str; 3] = ["PSI", "KS's D", "KS's p"];

/// Who computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// The drift crate, streaming over the file.
    Ours,
    /// numpy and `scipy.stats.ks_2samp`.
    Scipy,
    /// numpy, with what we know of the sample written by hand.
    Numpy,
}

impl Program {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Scipy => "scipy",
            Self::Numpy => "numpy by hand",
        }
    }
}

/// What a program says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// From the order to the answer; without the start of an interpreter and its imports.
    pub seconds: f64,
    /// The processor's time for the same, of all threads.
    pub cpu_seconds: f64,
    /// The most memory it ever had: the kernel's `VmHWM`.
    pub peak_kib: u64,
    /// [`FIGURES`] of each column.
    pub figures: Vec<[f64; 3]>,
}

impl Measured {
    /// The most memory in MiB.
    pub fn mib(&self) -> f64 {
        self.peak_kib as f64 / 1024.0
    }
}

/// The programs.
pub struct Programs {
    python: PathBuf,
}

impl Programs {
    /// Makes Python's environment, or finds it made.
    ///
    /// # Errors
    /// When there is no Python, or no package.
    pub async fn prepare(lockstep: &Path) -> Result<Self, Error> {
        Ok(Self { python: Environment::prepare(lockstep, SCIPY, &Silent).await?.python() })
    }

    /// Runs one of them.
    ///
    /// # Errors
    /// When it fails.
    pub async fn run(&self, program: Program, columns: &Columns) -> Result<Measured, Error> {
        let mut command = match program {
            Program::Ours => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("drift-worker");
                command
            }
            Program::Scipy | Program::Numpy => {
                let mut command = Command::new(&self.python);
                command.args(["-I", "-c", PROGRAM]);
                command.arg(if program == Program::Scipy { "scipy" } else { "numpy" });
                command
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let output = command
            .arg(columns.baseline())
            .arg(columns.current())
            .args([columns.count, columns.length, SAMPLE, BINS, threads].map(|number| number.to_string()))
            .stdin(Stdio::null())
            .output()
            .await?;
        if output.status.success() {
            return Ok(serde_json::from_slice(&output.stdout)?);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().last().unwrap_or_default().to_owned();
        Err(Error::Drift { program: program.name(), said })
    }
}
