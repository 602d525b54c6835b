//! The summary of a demo: what a script reads instead of the screen.

use std::io::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::error::Error;

/// The whole summary.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// `SUCCEEDED`, `FAILED`, `ABORTED`, `TIMED_OUT`; `INTERNAL_FAILURE` where the demo itself broke.
    pub status: String,
    /// The run, once admission named it.
    pub run_id: Option<String>,
    /// The name of the error that refused the run; of an internal failure, its message.
    pub error: Option<String>,
    /// The states, in order.
    pub states: Vec<StateSummary>,
    /// The model's metrics, where evaluation measured them.
    pub metrics: Metrics,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Where the time went.
    pub seconds: Seconds,
    /// State transitions, as AWS bills them.
    pub transitions: usize,
    /// What is left in the account.
    pub left: Left,
}

/// A state.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct StateSummary {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub status: String,
    /// From its first entry to its last exit.
    pub seconds: f64,
}

/// Metrics on the held-out rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Metrics {
    /// Of the base model.
    pub before: Option<Score>,
    /// Of the candidate.
    pub after: Option<Score>,
}

/// A model's metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Score {
    /// Mean loss a token.
    pub eval_loss: Option<f64>,
    /// `exp(eval_loss)`.
    pub perplexity: Option<f64>,
}

/// The endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Endpoint {
    /// The one that the request chose.
    pub name: String,
    /// As SageMaker says; none if there is none.
    pub status: Option<String>,
    /// What it answered; none if it does not serve.
    pub answer: Option<String>,
}

/// Seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Seconds {
    /// Compiling functions and container.
    pub build: f64,
    /// Starting the local account.
    pub start: f64,
    /// Packaging and `terraform apply`.
    pub apply: f64,
    /// From the upload of the request to the end of the execution.
    pub run: f64,
    /// Of these, in the state Train.
    pub train: f64,
}

/// What is left in the account after the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Left {
    /// SageMaker models.
    pub models: usize,
    /// SageMaker endpoints.
    pub endpoints: usize,
    /// Training and processing jobs that have not ended.
    pub jobs_running: usize,
}

impl Summary {
    /// Writes the summary so that a reader sees all of it or none.
    ///
    /// # Errors
    /// [`Error::File`] names the file.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let failed = || Error::file("write", path);
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut text = serde_json::to_vec_pretty(self).map_err(std::io::Error::from).map_err(failed())?;
        text.push(b'\n');
        // In the same folder, since a rename does not cross file systems.
        // A summary is for others to read, as far as the umask lets them: temporary files are private otherwise.
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        let made = tempfile::Builder::new().permissions(permissions).tempfile_in(folder);
        // The temporary name would only distract from the folder that is wrong.
        let mut file = made.map_err(|error| error.kind().into()).map_err(failed())?;
        file.write_all(&text).map_err(failed())?;
        file.as_file().sync_all().map_err(failed())?;
        file.persist(path).map_err(|error| error.error).map_err(failed())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_has_the_fields_that_scripts_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.json");
        let summary = Summary {
            status: "FAILED".into(),
            error: Some("DigestMismatch".into()),
            states: vec![StateSummary { name: "Admit".into(), status: "SUCCEEDED".into(), seconds: 0.5 }],
            ..Summary::default()
        };
        summary.write(&path).unwrap();
        // Once more: a summary replaces the former one.
        summary.write(&path).unwrap();
        let text: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(
            text,
            serde_json::json!({
                "status": "FAILED", "run_id": null, "error": "DigestMismatch",
                "states": [{"name": "Admit", "status": "SUCCEEDED", "seconds": 0.5}],
                "metrics": {"before": null, "after": null},
                "endpoint": {"name": "", "status": null, "answer": null},
                "seconds": {"build": 0.0, "start": 0.0, "apply": 0.0, "run": 0.0, "train": 0.0},
                "transitions": 0,
                "left": {"models": 0, "endpoints": 0, "jobs_running": 0}
            })
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let message = Summary::default().write(Path::new("no/such/s.json")).unwrap_err().to_string();
        assert!(message.contains("no/such/s.json"), "{message}");
    }
}
