//! MiniStack: the services that the front does not answer itself.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::supervised::{self, Program, Supervised};

/// The corrected launcher, written to where the account keeps its state.
const LAUNCHER: &str = include_str!("../python/ministack_local.py");

/// How long MiniStack may take to answer; it takes a third of a second on an idle machine.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// MiniStack did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be written.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No port is free.
    #[error("no free port on 127.0.0.1: {0}")]
    Port(std::io::Error),
    /// Its process could not be started.
    #[error(transparent)]
    Supervised(#[from] supervised::Error),
    /// It ended, or never answered.
    #[error("MiniStack {what}; the end of {log}:\n{tail}", log = .log.display())]
    NotReady {
        /// What it did instead.
        what: String,
        /// Its log.
        log: PathBuf,
        /// The end of its log.
        tail: String,
    },
}

/// How MiniStack is started.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// The Python of the environment that holds MiniStack.
    pub python: &'a Path,
    /// A folder for its files, which exists.
    pub state_dir: &'a Path,
    /// The endpoint that functions are given: the front's.
    pub endpoint: &'a str,
    /// The account's region.
    pub region: &'a str,
    /// The account's id.
    pub account_id: &'a str,
    /// Whether the policies of roles, users and resources are enforced.
    pub enforce_policies: bool,
    /// A URL that is asked before a function is invoked, and when it failed whether to invoke it once more.
    pub rehearsal: Option<&'a str>,
}

/// A running MiniStack; dropping it kills it and every function's process.
#[derive(Debug)]
pub struct MiniStack {
    process: Supervised,
    url: String,
    log: PathBuf,
}

impl MiniStack {
    /// Starts MiniStack and waits until it answers.
    pub async fn start(settings: Settings<'_>) -> Result<Self, Error> {
        let file = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { path, source }
        };
        let launcher = settings.state_dir.join("ministack_local.py");
        std::fs::write(&launcher, LAUNCHER).map_err(file(&launcher))?;
        let (home, temporary) = (settings.state_dir.join("home"), settings.state_dir.join("tmp"));
        for folder in [&home, &temporary] {
            std::fs::create_dir_all(folder).map_err(file(folder))?;
        }
        // Whoever is given the port next could take it before MiniStack binds it; the system hands ports out in
        // turn, so that does not happen in practice, and MiniStack then says so in its log.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(Error::Port)?
            .port();
        let log = settings.state_dir.join("ministack.log");
        // Functions inherit this environment, so it holds nothing of the user's.
        let environment = [
            ("GATEWAY_PORT", port.to_string()),
            ("BIND_HOST", "127.0.0.1".into()),
            ("IOT_MTLS_ENABLED", "0".into()),
            ("SFTP_ENABLED", "0".into()),
            ("LAMBDA_EXECUTOR", "local".into()),
            ("AWS_ENDPOINT_URL", settings.endpoint.into()),
            ("AWS_DEFAULT_REGION", settings.region.into()),
            ("MINISTACK_REGION", settings.region.into()),
            ("MINISTACK_ACCOUNT_ID", settings.account_id.into()),
            ("PATH", "/usr/local/bin:/usr/bin:/bin".into()),
            ("HOME", home.display().to_string()),
            ("TMPDIR", temporary.display().to_string()),
            ("LANG", "C.UTF-8".into()),
            ("PYTHONUNBUFFERED", "1".into()),
            ("AUTH", settings.enforce_policies.to_string()),
            ("LOCKSTEP_DECISIONS", settings.state_dir.join("decisions.jsonl").display().to_string()),
        ];
        let rehearsal = settings.rehearsal.map(|url| ("LOCKSTEP_REHEARSAL_URL".to_owned(), url.to_owned()));
        let process = Supervised::start(Program {
            python: settings.python,
            state_dir: settings.state_dir,
            command: vec![settings.python.as_os_str(), OsStr::new("-s"), launcher.as_os_str()],
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .into_iter()
                .chain(rehearsal)
                .collect(),
            directory: settings.state_dir,
            log: &log,
        })?;
        let ministack = Self { process, url: format!("http://127.0.0.1:{port}"), log };
        ministack.ready().await?;
        Ok(ministack)
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it logs.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Kills it, with every function's process, and returns once they are gone.
    pub fn stop(&self) {
        self.process.stop();
    }

    async fn ready(&self) -> Result<(), Error> {
        let health = format!("{}/_ministack/health", self.url);
        let client = reqwest::Client::builder().no_proxy().build().unwrap_or_default();
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Some(status) = self.process.ended() {
                return Err(self.not_ready(format!("ended with {status}")));
            }
            let answer = client.get(&health).timeout(Duration::from_secs(2)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(self.not_ready(format!("did not answer within {} s", READY_WITHIN.as_secs())));
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    fn not_ready(&self, what: String) -> Error {
        Error::NotReady { what, log: self.log.clone(), tail: tail(&self.log, 20) }
    }
}

/// The last lines of a text file, for an error that quotes it.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let text =
        std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
