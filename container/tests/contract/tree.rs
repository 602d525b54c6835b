//! SageMaker's tree in a temporary folder, filled from the repository's examples.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

pub(crate) struct Tree(TempDir);

impl Tree {
    /// An empty one.
    pub(crate) fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A training job's: the example model, a few of its rows, and hyperparameters.
    pub(crate) fn training(hyperparameters: &str, rows: usize) -> Self {
        let tree = Self::empty();
        tree.write("input/config/hyperparameters.json", hyperparameters);
        tree.model("input/data/model");
        let all = std::fs::read_to_string(examples().join("data/training.jsonl")).unwrap();
        tree.write(
            "input/data/training/rows.jsonl",
            &(all.lines().take(rows).collect::<Vec<_>>().join("\n") + "\n"),
        );
        tree
    }

    /// An evaluation job's, which scores the example model twice.
    pub(crate) fn evaluation(rows: usize) -> Self {
        let tree = Self::empty();
        tree.model("processing/input/base");
        tree.model("processing/input/candidate");
        let all = std::fs::read_to_string(examples().join("data/evaluation.jsonl")).unwrap();
        tree.write(
            "processing/input/data/rows.jsonl",
            &all.lines().take(rows).collect::<Vec<_>>().join("\n"),
        );
        tree
    }

    /// Puts the example model somewhere.
    pub(crate) fn model(&self, at: &str) {
        copy(&examples().join("models/tiny-lm"), &self.path(at));
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.0.path().join(relative)
    }

    pub(crate) fn write(&self, relative: &str, content: &str) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, relative: &str) -> String {
        std::fs::read_to_string(self.path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
    }

    /// The binary, ready to be started on this tree.
    pub(crate) fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_model-container"));
        command
            .arg(verb)
            .env_clear()
            .env("SM_ML_ROOT", self.0.path())
            .env("RAYON_NUM_THREADS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it to its end: exit code, standard output, standard error.
    pub(crate) fn run(&self, verb: &str) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.command(verb).output().unwrap();
        (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }
}

pub(crate) fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Asks a process of ours to end.
pub(crate) fn terminate(child: &std::process::Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}
