//! Python: `python/transfer.py` in an environment of pinned packages.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use local::Silent;
use local::python::{Environment, Requirements};
use serde::Deserialize;
use serde_json::json;
use testkit::{Process, Usage};

use super::measured::Measured;
use super::sink::Sink;
use super::source::{Content, Model, Source};
use crate::error::Error;

const PROGRAM: &str = include_str!("../../python/transfer.py");
const REQUIREMENTS: Requirements =
    Requirements { name: "requests and boto3", text: include_str!("../../python/requirements.txt") };
/// Threads for small files.
const THREADS: usize = 8;

/// How boto3 treats a body when it signs a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadSigning {
    /// Its default over http: the body's SHA-256 is part of the signature.
    Default,
    /// `payload_signing_enabled=False`, as it is by default over https.
    Off,
}

/// The peer.
#[derive(Debug)]
pub struct Peer {
    python: PathBuf,
    folder: tempfile::TempDir,
}

#[derive(Deserialize)]
struct Report {
    seconds: f64,
    cpu_before: f64,
}

impl Peer {
    /// Makes its environment, or finds it made.
    ///
    /// # Errors
    /// When there is no Python, or no package.
    pub async fn prepare(lockstep: &Path) -> Result<Self, Error> {
        let python = Environment::prepare(lockstep, REQUIREMENTS, &Silent).await?.python();
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("transfer.py"), PROGRAM)?;
        Ok(Self { python, folder })
    }

    /// Transfers a model. The interpreter's start and its imports do not count.
    ///
    /// # Errors
    /// When the program fails.
    pub async fn fetch(
        &self,
        source: &Source,
        sink: &Sink,
        model: &Model,
        signing: PayloadSigning,
    ) -> Result<Measured, Error> {
        let mut files = Vec::new();
        for file in &model.files {
            let mut entry = json!({
                "url": model.url(&source.url(), file),
                "key": format!("models/{}/{}", model.repo, file.path),
                "size": file.size(),
            });
            match file.content {
                Content::Weights(_) => entry["sha256"] = json!(file.sha256()?),
                Content::Text(_) => entry["git_oid"] = json!(file.git_oid()),
            }
            files.push(entry);
        }
        let payload_signing = match signing {
            PayloadSigning::Default => None,
            PayloadSigning::Off => Some(false),
        };
        let job = json!({
            "s3": sink.url(), "bucket": "work", "files": files, "threads": THREADS, "payload_signing": payload_signing,
        });
        let path = self.folder.path().join("job.json");
        std::fs::File::create(&path)?.write_all(job.to_string().as_bytes())?;
        let mut command = Command::new(&self.python);
        command.arg("-I").arg(self.folder.path().join("transfer.py")).arg(&path).env_clear();
        let mut process = Process::start(&mut command)?;
        let end = process.ended().await;
        let log = process.log();
        let Some((_, usage)) = end.filter(|(status, _)| status.success()) else {
            return Err(Error::Peer(log));
        };
        let line = log.lines().rev().find(|line| line.starts_with('{')).unwrap_or_default();
        let report: Report =
            serde_json::from_str(line).map_err(|error| Error::Peer(format!("{error}: {log}")))?;
        let cpu = usage.cpu.saturating_sub(Duration::from_secs_f64(report.cpu_before));
        Ok(Measured::new(Duration::from_secs_f64(report.seconds), Usage { cpu, ..usage }))
    }
}
