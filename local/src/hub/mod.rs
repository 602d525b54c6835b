//! The Hugging Face Hub's HTTP API for the models in the repository's `examples/models`.
//!
//! Two hosts, as the real Hub has: one answers the API and small files, the other serves what is in LFS to whoever
//! brings a signed address, and refuses a caller that sends its token along.

mod api;
mod content;
mod repository;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::service::Faults;

use repository::Repository;

/// The owner of every model that the local Hub has.
pub const OWNER: &str = "lockstep";

/// The Hub could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No port is free.
    #[error("no free port on 127.0.0.1: {0}")]
    Port(std::io::Error),
    /// A model's file could not be read.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Who may read a model; a model that is not named is public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Listed for all, read by the holders of these tokens.
    Gated(Vec<String>),
    /// Known to the holders of these tokens alone.
    Private(Vec<String>),
}

/// The Hub, answering until it is dropped.
#[derive(Debug)]
pub struct Hub {
    url: String,
    tasks: Vec<JoinHandle<()>>,
}

pub(crate) struct Shared {
    repositories: BTreeMap<String, Repository>,
    access: BTreeMap<String, Access>,
    faults: Faults,
    url: String,
    content_url: String,
    /// What signs the addresses of the second host.
    secret: [u8; 32],
}

impl Hub {
    /// Serves every folder under `models` as the repository `lockstep/<folder>`.
    pub async fn serve(
        models: &Path,
        faults: Faults,
        access: BTreeMap<String, Access>,
    ) -> Result<Self, Error> {
        let file = |(path, source)| Error::File { path, source };
        let mut repositories = BTreeMap::new();
        let folders = match std::fs::read_dir(models) {
            Ok(folders) => folders.filter_map(Result::ok).map(|entry| entry.path()).collect(),
            Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(Error::File { path: models.to_owned(), source }),
        };
        for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            repositories.insert(format!("{OWNER}/{name}"), Repository::read(&folder).map_err(file)?);
        }

        let (listener, url) = listen().await?;
        let (content_listener, content_url) = listen().await?;
        let shared = Arc::new(Shared {
            repositories,
            access,
            faults,
            url: url.clone(),
            content_url,
            secret: content::secret(),
        });
        let tasks = vec![
            serve(listener, api::router(Arc::clone(&shared))),
            serve(content_listener, content::router(shared)),
        ];
        Ok(Self { url, tasks })
    }

    /// Stops answering, and returns once both ports are free.
    pub async fn stop(mut self) {
        for mut task in self.tasks.drain(..) {
            task.abort();
            let _ = (&mut task).await;
        }
    }

    /// The Hub's address, for `HF_ENDPOINT`.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn listen() -> Result<(TcpListener, String), Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::Port)?;
    let url = format!("http://{}", listener.local_addr().map_err(Error::Port)?);
    Ok((listener, url))
}

fn serve(listener: TcpListener, router: axum::Router) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(problem) = axum::serve(listener, router).await {
            tracing::error!(%problem, "the Hub stopped answering");
        }
    })
}

#[cfg(test)]
mod tests;
