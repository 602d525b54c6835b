//! Starts programs that cannot outlive the local account, and tells how they ended.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::isolation;
use super::log::Log;

/// What to start.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program's file.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment: nothing is inherited.
    pub env: BTreeMap<String, String>,
    /// Its working directory.
    pub directory: PathBuf,
    /// Whether it is to run without any network.
    pub isolated: bool,
    /// Where what it prints goes.
    pub log: Log,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    fn of(status: io::Result<ExitStatus>) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        match status {
            Ok(status) => match (status.code(), status.signal()) {
                (Some(code), _) => Self::Code(code),
                (None, signal) => Self::Signal(signal.unwrap_or(9)),
            },
            Err(_) => Self::Signal(9),
        }
    }

    /// The code a container engine would report: 128 and the signal, if it was a signal.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

struct Order {
    command: Command,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Child>>,
}

#[derive(Debug, Default)]
struct Live {
    closed: bool,
    groups: BTreeMap<i32, watch::Receiver<Option<Exit>>>,
}

/// Starts processes from one thread that lives as long as the spawner does.
///
/// The kernel ends a child when the *thread* that made it ends, so that thread must not be one of the runtime's
/// blocking threads, which come and go. When the spawner is dropped its thread ends, and so does every child: a
/// panic or an abandoned runtime leaves nothing behind either.
#[derive(Debug)]
pub struct Spawner {
    orders: mpsc::Sender<Order>,
    live: Arc<Mutex<Live>>,
}

impl Spawner {
    /// Starts the thread.
    pub fn start() -> io::Result<Self> {
        let (orders, queue) = mpsc::channel::<Order>();
        std::thread::Builder::new().name("container-spawner".into()).spawn(move || {
            for mut order in queue {
                let _entered = order.runtime.enter();
                // A caller that went away drops the child, which is killed then.
                let _ = order.reply.send(order.command.spawn());
            }
        })?;
        Ok(Self { orders, live: Arc::default() })
    }

    /// Starts a process.
    ///
    /// Isolation that this system refuses is not an error: the log says so, and [`Process::isolated`] answers it.
    pub async fn spawn(&self, launch: &Launch) -> io::Result<Process> {
        std::fs::metadata(&launch.program)?;
        if launch.isolated && isolation::SUPPORTED {
            match self.order(command(launch, true)).await {
                Ok(child) => {
                    launch.log.line("[local] network isolation: the process has a network namespace of its own");
                    return self.supervise(child, launch, true);
                }
                Err(error) => launch.log.line(format!(
                    "[local] network isolation is not available here ({error}): the process shares this machine's network"
                )),
            }
        } else if launch.isolated {
            launch.log.line(
                "[local] network isolation is not available on this system: the process shares this machine's network",
            );
        }
        let child = self.order(command(launch, false)).await?;
        self.supervise(child, launch, false)
    }

    async fn order(&self, command: Command) -> io::Result<Child> {
        if self.live.lock().unwrap_or_else(PoisonError::into_inner).closed {
            return Err(io::Error::other("the local account is shutting down"));
        }
        let (reply, answer) = oneshot::channel();
        self.orders
            .send(Order { command, runtime: Handle::current(), reply })
            .map_err(|_| io::Error::other("the thread that starts processes has ended"))?;
        answer.await.map_err(|_| io::Error::other("the thread that starts processes has ended"))?
    }

    fn supervise(&self, mut child: Child, launch: &Launch, isolated: bool) -> io::Result<Process> {
        let id = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .ok_or_else(|| io::Error::other("no process id"))?;
        let pumps: Vec<JoinHandle<()>> = [
            child.stdout.take().map(|out| tokio::spawn(pump(out, launch.log.clone()))),
            child.stderr.take().map(|err| tokio::spawn(pump(err, launch.log.clone()))),
        ]
        .into_iter()
        .flatten()
        .collect();
        let (ended, exit) = watch::channel(None);
        let closed = {
            let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
            live.groups.insert(id, exit.clone());
            live.closed
        };
        if closed {
            signal_group(id, Signal::KILL);
        }
        let live = Arc::clone(&self.live);
        tokio::spawn(async move {
            let status = child.wait().await;
            live.lock().unwrap_or_else(PoisonError::into_inner).groups.remove(&id);
            // What the program itself started ends with it, as in a container; it could hold the pipes open.
            signal_group(id, Signal::KILL);
            for pump in pumps {
                let _ = tokio::time::timeout(Duration::from_secs(2), pump).await;
            }
            ended.send_replace(Some(Exit::of(status)));
        });
        Ok(Process { id, isolated, exit })
    }

    /// Kills everything that runs, waits until it is gone, and starts nothing from now on.
    pub async fn shutdown(&self) {
        let running: Vec<(i32, watch::Receiver<Option<Exit>>)> = {
            let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
            live.closed = true;
            live.groups.iter().map(|(id, exit)| (*id, exit.clone())).collect()
        };
        for (id, _) in &running {
            signal_group(*id, Signal::KILL);
        }
        for (_, mut exit) in running {
            let _ = tokio::time::timeout(Duration::from_secs(5), exit.wait_for(Option::is_some)).await;
        }
    }
}

fn command(launch: &Launch, isolated: bool) -> Command {
    let mut command = Command::new(&launch.program);
    command
        .args(&launch.args)
        .env_clear()
        .envs(&launch.env)
        .current_dir(&launch.directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    isolation::prepare(&mut command, isolated);
    command
}

fn signal_group(id: i32, signal: Signal) {
    if let Some(group) = Pid::from_raw(id) {
        // It may have ended in the meantime, which is what was wanted.
        let _ = kill_process_group(group, signal);
    }
}

async fn pump(stream: impl AsyncRead + Unpin, log: Log) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while let Ok(1..) = reader.read_until(b'\n', &mut line).await {
        log.line(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
        line.clear();
    }
}

/// A started process. Dropping it does not end it: [`Process::stop`] does, and the spawner's end.
#[derive(Debug, Clone)]
pub struct Process {
    id: i32,
    isolated: bool,
    exit: watch::Receiver<Option<Exit>>,
}

impl Process {
    /// The process id.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Whether it has a network namespace of its own.
    pub fn isolated(&self) -> bool {
        self.isolated
    }

    /// How it ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Waits until it has ended and all that it printed is in its log.
    pub async fn ended(&self) -> Exit {
        let mut exit = self.exit.clone();
        let ended = exit.wait_for(Option::is_some).await.map(|exit| *exit);
        ended.ok().flatten().unwrap_or(Exit::Signal(9))
    }

    /// Asks it to end, kills it after the grace, and waits until it is gone.
    pub async fn stop(&self, grace: Duration) -> Exit {
        if self.exit().is_none() {
            signal_group(self.id, Signal::TERM);
            if let Ok(exit) = tokio::time::timeout(grace, self.ended()).await {
                return exit;
            }
            signal_group(self.id, Signal::KILL);
        }
        self.ended().await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn launch(script: &str, folder: &std::path::Path, isolated: bool) -> Launch {
        Launch {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into()), ("KEPT".into(), "yes".into())]),
            directory: folder.to_owned(),
            isolated,
            log: Log::open(&folder.join("log"), None).unwrap(),
        }
    }

    fn lives(id: i32) -> bool {
        std::path::Path::new(&format!("/proc/{id}")).exists()
    }

    #[tokio::test]
    async fn what_is_printed_and_how_it_ended_are_both_known() {
        let folder = tempfile::tempdir().unwrap();
        let spawner = Spawner::start().unwrap();
        let script = "echo out $KEPT $HOME; echo err >&2; printf unfinished; exit 7";
        let process = spawner.spawn(&launch(script, folder.path(), false)).await.unwrap();
        assert_eq!(process.ended().await, Exit::Code(7));
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
        let mut lines: Vec<&str> = log.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["err", "out yes", "unfinished"]);
    }

    #[tokio::test]
    async fn a_process_that_ignores_the_wish_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let spawner = Spawner::start().unwrap();
        let script = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
        let process = spawner.spawn(&launch(script, folder.path(), false)).await.unwrap();
        while !std::fs::read_to_string(folder.path().join("log")).unwrap().contains("ready") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let begun = Instant::now();
        assert_eq!(process.stop(Duration::from_millis(200)).await, Exit::Signal(9));
        assert!(begun.elapsed() >= Duration::from_millis(200));
        assert_eq!(process.stop(Duration::from_millis(200)).await, Exit::Signal(9));
    }

    #[tokio::test]
    async fn what_the_program_started_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let spawner = Spawner::start().unwrap();
        let process =
            spawner.spawn(&launch("sleep 600 & echo $!; exit 0", folder.path(), false)).await.unwrap();
        assert_eq!(process.ended().await, Exit::Code(0));
        let child: i32 = std::fs::read_to_string(folder.path().join("log")).unwrap().trim().parse().unwrap();
        for _ in 0..100 {
            // A killed grandchild may wait a moment for whoever reaps it.
            let state = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            if state.is_empty() || state.contains(") Z ") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{child} still runs");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_end_of_the_spawner_ends_its_children_isolated_or_not() {
        for isolated in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let spawner = Spawner::start().unwrap();
            let process = spawner.spawn(&launch("sleep 600", folder.path(), isolated)).await.unwrap();
            assert!(lives(process.id()));
            drop(spawner);
            let exit = tokio::time::timeout(Duration::from_secs(5), process.ended()).await.unwrap();
            assert_eq!(exit, Exit::Signal(9), "isolated: {isolated}");
        }
    }

    #[tokio::test]
    async fn after_the_shutdown_nothing_starts() {
        let folder = tempfile::tempdir().unwrap();
        let spawner = Spawner::start().unwrap();
        let process = spawner.spawn(&launch("sleep 600", folder.path(), false)).await.unwrap();
        spawner.shutdown().await;
        assert_eq!(process.exit(), Some(Exit::Signal(9)));
        assert!(!lives(process.id()));
        assert!(spawner.spawn(&launch("true", folder.path(), false)).await.is_err());
    }
}
