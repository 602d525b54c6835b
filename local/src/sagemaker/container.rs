//! What is common to every container that SageMaker starts: its environment, its log, the way it ends.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::validation::Object;
use super::{GRACE, Inner, logs};
use crate::jobs::log::Log;
use crate::jobs::process::{Exit, Process};

/// How a job's container came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// By itself.
    Exited(Exit),
    /// Because somebody stopped the job.
    Stopped,
    /// Because it ran for as long as it was allowed.
    OutOfTime,
}

impl Inner {
    /// The environment of a container: what SageMaker sets, then what the request adds.
    pub(super) fn environment(&self, root: &Path, request: Option<&Object>) -> BTreeMap<String, String> {
        let mut env: BTreeMap<String, String> = [
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("AWS_REGION", &self.config.region),
            ("AWS_DEFAULT_REGION", &self.config.region),
            // Two cores serve the whole account: a pool per process only makes them wait for one another.
            ("RAYON_NUM_THREADS", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for (name, value) in request.into_iter().flatten() {
            env.insert(name.clone(), value.as_str().unwrap_or_default().to_owned());
        }
        // Last, since a request that moved the tree would write outside its own.
        env.insert("SM_ML_ROOT".into(), root.to_string_lossy().into_owned());
        env
    }

    /// A log in a file of this folder and in a stream of the account.
    pub(super) fn log(&self, folder: &Path, group: &str, stream: String) -> std::io::Result<Log> {
        Log::open(
            &folder.join("container.log"),
            Some(logs::stream(self.backend.clone(), group.to_owned(), stream)),
        )
    }
}

/// Waits for a job's container, and ends it when the job is stopped or has run too long.
pub(super) async fn watch(process: &Process, stop: &mut watch::Receiver<bool>, most: Duration) -> Finish {
    let finish = tokio::select! {
        exit = process.ended() => return Finish::Exited(exit),
        () = asked(stop) => Finish::Stopped,
        () = tokio::time::sleep(most) => Finish::OutOfTime,
    };
    process.stop(GRACE).await;
    finish
}

/// Waits until the job is stopped; for ever if it never is.
pub(super) async fn asked(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stopped| *stopped).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The strings of a list member.
pub(super) fn strings(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(Value::as_array)
        .map(|items| items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
        .unwrap_or_default()
}
