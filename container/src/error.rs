//! Everything this container refuses, one variant per refusal. The text ends up in SageMaker's `FailureReason`.

use std::path::{Path, PathBuf};

/// Why a command ended without doing its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder of the contract could not be read.
    #[error("{path}: cannot be read ({source}); check that the channel or file is mounted there", path = .path.display())]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An output could not be written.
    #[error("{path}: cannot be written ({source}); check that the volume is writable and not full", path = .path.display())]
    Unwritable {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// `hyperparameters.json` is not an object of strings.
    #[error("{path}: {detail}; SageMaker writes one JSON object whose values are all strings", path = .path.display())]
    HyperparametersMalformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A hyperparameter that nothing reads: most often a misspelling that would silently train something else.
    #[error("hyperparameter `{name}` = \"{value}\" is unknown; remove it or use one of: {known}")]
    HyperparameterUnknown {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
        /// The names that exist.
        known: String,
    },
    /// A hyperparameter whose value is unusable.
    #[error("hyperparameter `{name}` = \"{value}\" is invalid; give {remedy}")]
    HyperparameterInvalid {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: String,
        /// What would be accepted.
        remedy: String,
    },
    /// `config.json` describes something that this container cannot run faithfully.
    #[error("{path}: `{field}` is {value}; {remedy}", path = .path.display())]
    ConfigUnsupported {
        /// The file.
        path: PathBuf,
        /// The field in question.
        field: &'static str,
        /// Its value.
        value: String,
        /// What would be accepted.
        remedy: String,
    },
    /// A JSON file could not be parsed.
    #[error("{path}: is not the JSON that was expected ({source}); write it as Hugging Face does for a Llama model", path = .path.display())]
    JsonMalformed {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The tokenizer could not be loaded or does not fit the model.
    #[error("{path}: {detail}; supply the tokenizer.json that belongs to the weights", path = .path.display())]
    TokenizerInvalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The weights are not the tensors that `config.json` asks for.
    #[error("{path}: {detail}; supply float32 safetensors that match config.json exactly", path = .path.display())]
    WeightsInvalid {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The data channel cannot be used.
    #[error("{path}: {detail}; the channel holds *.jsonl files with one {{\"text\": \"...\"}} object a line", path = .path.display())]
    DataInvalid {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The loss stopped being a number.
    #[error(
        "training diverged at step {step}: train_loss is {loss}; lower `learning_rate` or `max_grad_norm`"
    )]
    Diverged {
        /// The optimiser step.
        step: usize,
        /// The loss there.
        loss: f64,
    },
    /// Metrics of two models that count tokens differently say nothing about each other.
    #[error("{candidate} differs from {base}, so the two losses cannot be compared; evaluate a candidate that keeps its base's tokenizer", candidate = .candidate.display(), base = .base.display())]
    TokenizersDiffer {
        /// The candidate's tokenizer.
        candidate: PathBuf,
        /// The base's tokenizer.
        base: PathBuf,
    },
    /// A metric that JSON cannot carry, and that no gate should ever read.
    #[error(
        "metric `{metric}` of the {of} model is {value}, which is no finite, non-negative number; the weights are unusable, train again"
    )]
    MetricNotFinite {
        /// Which of the two models.
        of: &'static str,
        /// Which metric.
        metric: &'static str,
        /// Its value.
        value: f64,
    },
    /// A setting in the environment is unusable.
    #[error("environment variable {name} = \"{value}\" is invalid; give {remedy}")]
    EnvironmentInvalid {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What would be accepted.
        remedy: &'static str,
    },
    /// The port is taken or not allowed.
    #[error("cannot listen on {address} ({source}); choose another port with SAGEMAKER_BIND_TO_PORT")]
    CannotListen {
        /// Host and port.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// What lies in the checkpoint folder is not what this training left there.
    #[error("{path}: {detail}; empty the checkpoints' place, or start a new run", path = .path.display())]
    SnapshotInvalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// SIGTERM arrived: StopTrainingJob, a spot interruption, or a scale-in.
    #[error("stopped by SIGTERM {during}; no model was saved")]
    Stopped {
        /// What was going on.
        during: String,
    },
    /// The tensor library failed where no input should make it fail.
    #[error(
        "tensor operation failed: {0}; this is a defect of the container, report it with the model's config.json"
    )]
    Tensor(#[from] candle_core::Error),
}

impl Error {
    /// For `map_err` on reads.
    pub fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Unreadable { path, source }
    }

    /// For `map_err` on writes.
    pub fn unwritable(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Unwritable { path, source }
    }

    /// The process's exit code: 143 is what a process that obeyed SIGTERM answers, and it is not a failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Stopped { .. } => 143,
            _ => 1,
        }
    }
}
