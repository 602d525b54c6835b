//! Programs that must not outlive this process, however it ends.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

/// The supervisor's source: it lies beside the launcher, and is written to where the account keeps its state.
const SUPERVISOR: &str = include_str!("../python/supervise.py");

/// How long a supervisor may take to kill what it supervises before it is killed itself.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// A supervised program could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the program's could not be written.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The program could not be started.
    #[error("`{program}` could not be started: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
}

/// What is run, and how.
#[derive(Debug)]
pub struct Program<'a> {
    /// The Python that runs the supervisor.
    pub python: &'a Path,
    /// Where the supervisor's source is written.
    pub state_dir: &'a Path,
    /// The command, and its arguments.
    pub command: Vec<&'a OsStr>,
    /// Its whole environment: nothing is inherited.
    pub environment: Vec<(String, String)>,
    /// Its working directory.
    pub directory: &'a Path,
    /// Where its output goes.
    pub log: &'a Path,
}

/// A running program, killed with everything that it started when this is dropped.
#[derive(Debug)]
pub struct Supervised {
    supervisor: Pid,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Supervised {
    /// Starts a program under a supervisor.
    pub fn start(program: Program<'_>) -> Result<Self, Error> {
        let source = program.state_dir.join("supervise.py");
        std::fs::write(&source, SUPERVISOR)
            .map_err(|problem| Error::File { path: source.clone(), source: problem })?;
        let log = File::options()
            .create(true)
            .append(true)
            .open(program.log)
            .and_then(|file| Ok((file.try_clone()?, file)))
            .map_err(|problem| Error::File { path: program.log.to_owned(), source: problem })?;

        let mut command = Command::new(program.python);
        command
            .arg("-I")
            .arg(&source)
            .arg(std::process::id().to_string())
            .args(&program.command)
            .env_clear()
            .envs(program.environment)
            .current_dir(program.directory)
            .stdin(Stdio::null())
            .stdout(log.0)
            .stderr(log.1);
        {
            // A group of its own: Ctrl-C at the terminal is for this process alone to act on.
            use std::os::unix::process::CommandExt as _;
            command.process_group(0);
        }

        // The supervisor is told of its parent's death when the *thread* that started it ends, so that thread stays
        // until the supervisor ends.
        let (started, start) = std::sync::mpsc::channel();
        let (tell, ended) = watch::channel(None);
        let name =
            program.command.first().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        std::thread::spawn(move || match command.spawn() {
            Err(problem) => drop(started.send(Err(problem))),
            Ok(mut child) => {
                let _ = started.send(Ok(child.id()));
                let status = child.wait().unwrap_or_default();
                let _ = tell.send(Some(status));
            }
        });
        let id = start
            .recv()
            .unwrap_or_else(|_| Err(std::io::Error::other("its thread ended")))
            .map_err(|problem| Error::Start { program: name.clone(), source: problem })?;
        let supervisor = i32::try_from(id)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| Error::Start { program: name, source: std::io::Error::other("no process id") })?;
        Ok(Self { supervisor, ended })
    }

    /// How the program ended, if it did.
    pub fn ended(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Waits for the program's end.
    pub async fn wait(&self) -> ExitStatus {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(status) => (*status).unwrap_or_default(),
            Err(_) => ExitStatus::default(),
        }
    }

    /// Kills the program and everything that it started, and returns once they are gone.
    pub fn stop(&self) {
        let deadline = Instant::now() + STOP_WITHIN;
        if self.ended().is_none() {
            let _ = kill_process(self.supervisor, Signal::TERM);
        }
        while self.ended().is_none() {
            if Instant::now() > deadline {
                let _ = kill_process(self.supervisor, Signal::KILL);
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.stop();
    }
}
