//! A training job's checkpoint folder: copied to S3 while the job runs, and back before it starts again.
//! <https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html>

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::backend::{Backend, BackendError, Location};
use super::staging::{StagingError, download_prefix, files_of};
use super::validation::Object;
use crate::jobs::tree::Tree;

/// Where a container finds its checkpoints, unless the request says otherwise.
const LOCAL_PATH: &str = "/opt/ml/checkpoints";
/// How often the folder is looked at; SageMaker does not say how often it does.
const EVERY: Duration = Duration::from_millis(200);

/// The folder of one job, and its place.
#[derive(Debug)]
pub(super) struct Checkpoints {
    backend: Backend,
    folder: PathBuf,
    place: Location,
    /// What was copied, by file: when it was changed last, and its length.
    copied: BTreeMap<PathBuf, (SystemTime, u64)>,
}

impl Checkpoints {
    /// Of a request that asks for them.
    pub(super) fn of(request: &Object, tree: &Tree, backend: &Backend) -> Result<Option<Self>, StagingError> {
        let Some(config) = request.get("CheckpointConfig") else { return Ok(None) };
        let folder = tree.place(local_path(config)).ok_or_else(|| {
            io::Error::other(format!("the local account keeps checkpoints below {LOCAL_PATH} only"))
        })?;
        std::fs::create_dir_all(&folder)?;
        let place = Location::parse(config["S3Uri"].as_str().unwrap_or_default())?;
        Ok(Some(Self { backend: backend.clone(), folder, place, copied: BTreeMap::new() }))
    }

    /// Brings back what an earlier instance, or an earlier job, left. That there is nothing is how every job begins.
    pub(super) async fn restore(&mut self) -> Result<(), StagingError> {
        let prefix = format!("{}/", self.place.uri().trim_end_matches('/'));
        match download_prefix(&self.backend, &prefix, &self.folder).await {
            Ok(()) | Err(StagingError::NothingThere(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Copies what has changed, again and again, until the first file has arrived in S3.
    pub(super) async fn first(&mut self) {
        while self.copied.is_empty() {
            tokio::time::sleep(EVERY).await;
            self.copy_or_say().await;
        }
    }

    /// Copies what has changed, for as long as nobody drops this.
    pub(super) async fn keep_copying(&mut self) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.copy_or_say().await;
        }
    }

    async fn copy_or_say(&mut self) {
        if let Err(error) = self.copy().await {
            tracing::debug!(%error, "a checkpoint was not copied");
        }
    }

    /// Copies what has changed since the last time.
    pub(super) async fn copy(&mut self) -> Result<(), StagingError> {
        for file in files_of(&self.folder)? {
            // The program may have renamed it in the meantime.
            let Ok(metadata) = std::fs::metadata(&file) else { continue };
            let state = (metadata.modified()?, metadata.len());
            if self.copied.get(&file) == Some(&state) {
                continue;
            }
            match self.backend.upload(&file, &self.place.below(&relative(&self.folder, &file)), None).await {
                Ok(()) => {
                    self.copied.insert(file, state);
                }
                Err(BackendError::Disk(error)) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn local_path(config: &Value) -> &str {
    config["LocalPath"].as_str().filter(|path| !path.is_empty()).unwrap_or(LOCAL_PATH)
}

fn relative(folder: &Path, file: &Path) -> String {
    file.strip_prefix(folder).unwrap_or(file).to_string_lossy().into_owned()
}
