//! Where SageMaker puts things: every path of the contract, once.

use std::path::{Path, PathBuf};

use crate::Error;

/// The variable that moves the tree, so that jobs can run side by side on one machine.
pub const ROOT_VARIABLE: &str = "SM_ML_ROOT";

/// What SageMaker shows of a failure file; the rest would be cut off in mid-sentence.
const MAX_MESSAGE_BYTES: usize = 1024;

/// The tree that is `/opt/ml` on SageMaker.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The tree at `SM_ML_ROOT`, else at `/opt/ml`.
    pub fn from_environment() -> Self {
        Self::at(std::env::var_os(ROOT_VARIABLE).map_or_else(|| PathBuf::from("/opt/ml"), PathBuf::from))
    }

    /// The tree at a given root.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The training job's hyperparameters.
    pub fn hyperparameters(&self) -> PathBuf {
        self.root.join("input/config/hyperparameters.json")
    }

    /// Channel `model`: the base model.
    pub fn model_channel(&self) -> PathBuf {
        self.root.join("input/data/model")
    }

    /// Channel `training`: the rows to learn from.
    pub fn training_channel(&self) -> PathBuf {
        self.root.join("input/data/training")
    }

    /// What SageMaker copies to S3 while the job runs, and back when it starts again; there only for a job that asked
    /// for it.
    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// Where training leaves the model and where serving finds it.
    pub fn model(&self) -> PathBuf {
        self.root.join("model")
    }

    /// The evaluation job's fine-tuned model.
    pub fn candidate(&self) -> PathBuf {
        self.root.join("processing/input/candidate")
    }

    /// The evaluation job's base model.
    pub fn base(&self) -> PathBuf {
        self.root.join("processing/input/base")
    }

    /// The evaluation job's held-out rows.
    pub fn held_out(&self) -> PathBuf {
        self.root.join("processing/input/data")
    }

    /// The evaluation job's result.
    pub fn metrics(&self) -> PathBuf {
        self.root.join("processing/output/metrics/metrics.json")
    }

    /// Where `evaluate` writes what the candidate answered, beside the metrics.
    pub fn predictions(&self) -> PathBuf {
        self.root.join("processing/output/metrics/predictions.jsonl")
    }

    /// What becomes a training job's `FailureReason`.
    pub fn failure(&self) -> PathBuf {
        self.root.join("output/failure")
    }

    /// What becomes a processing job's `ExitMessage`.
    pub fn message(&self) -> PathBuf {
        self.root.join("output/message")
    }
}

/// Writes the reason of a failure where SageMaker looks for it, cut to the length that it shows.
pub fn report(path: &Path, reason: &str) -> Result<(), Error> {
    let mut end = reason.len().min(MAX_MESSAGE_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    write(path, &reason.as_bytes()[..end])
}

/// Writes a whole file or none: a reader never finds half of one.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(Error::unwritable(parent))?;
    }
    let partial = path.with_added_extension("partial");
    std::fs::write(&partial, bytes).map_err(Error::unwritable(&partial))?;
    std::fs::rename(&partial, path).map_err(Error::unwritable(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output/failure");
        report(&path, &"ä".repeat(2000)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "ä".repeat(512));
        assert_eq!(std::fs::read_dir(folder.path().join("output")).unwrap().count(), 1);
    }
}
