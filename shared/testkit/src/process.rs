//! A process whose processor time and memory are measured.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader, Read};
use std::ops::Add;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use wait4::Wait4 as _;

/// How often a process is looked at: its end is known, and its memory sampled, this often.
const PERIOD: Duration = Duration::from_millis(10);
/// Bytes of output that are kept; the oldest lines go first.
const LOG_MAX: usize = 1 << 20;
/// How long the output of a process that ended is waited for: something that it started may hold the pipe open.
const LOG_WAIT: Duration = Duration::from_secs(1);
/// The kernel's clock ticks per second in `/proc/<pid>/stat`, which every architecture of Linux reports as 100.
const TICKS_PER_SECOND: u64 = 100;

/// What a process used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time, user's and system's.
    pub cpu: Duration,
    /// The most memory that was resident at once.
    pub peak_rss_bytes: u64,
}

impl Add for Usage {
    type Output = Self;

    /// Time adds up; of memory the higher peak stays, since the processes ran one after another.
    fn add(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, peak_rss_bytes: self.peak_rss_bytes.max(other.peak_rss_bytes) }
    }
}

/// A process that is measured from its start to its end, and that ends when this value is dropped.
#[derive(Debug)]
pub struct Process {
    shared: Arc<Shared>,
    ended: watch::Receiver<Option<(ExitStatus, Usage)>>,
}

#[derive(Debug)]
struct Shared {
    id: u32,
    state: Mutex<State>,
    log: Mutex<Log>,
}

#[derive(Debug)]
struct State {
    child: Child,
    /// Once the kernel may give its number to another process, it is no longer signalled.
    reaped: bool,
    peak_rss_bytes: u64,
}

#[derive(Debug, Default)]
struct Log {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Process {
    /// Starts a program. What it writes is kept for [`Process::log`].
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let outputs: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|stream| Box::new(stream) as _),
            child.stderr.take().map(|stream| Box::new(stream) as _),
        ];
        let shared = Arc::new(Shared {
            id: child.id(),
            state: Mutex::new(State { child, reaped: false, peak_rss_bytes: 0 }),
            log: Mutex::default(),
        });
        let (tell, ended) = watch::channel(None);
        let process = Self { shared, ended };
        let readers: Vec<_> = outputs.into_iter().flatten().map(|stream| process.keep(stream)).collect();
        let shared = Arc::clone(&process.shared);
        std::thread::Builder::new().name("measure".to_owned()).spawn(move || {
            let end = shared.measure();
            let until = Instant::now() + LOG_WAIT;
            while readers.iter().any(|reader| !reader.is_finished()) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
            if let Some(end) = end {
                tell.send_replace(Some(end));
            }
        })?;
        Ok(process)
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.shared.id
    }

    /// Whether it is gone.
    pub fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Waits for its end. `None` when the kernel would not tell.
    pub async fn ended(&mut self) -> Option<(ExitStatus, Usage)> {
        self.ended.wait_for(Option::is_some).await.ok().and_then(|end| *end)
    }

    /// Kills it (SIGKILL), unless it has ended. [`Process::ended`] tells when it is gone.
    pub fn kill(&self) {
        let mut state = self.shared.state();
        if !state.reaped {
            state.peak_rss_bytes = state.peak_rss_bytes.max(peak_rss_bytes(self.shared.id).unwrap_or(0));
            // It may have ended a moment ago, which is what was wanted.
            let _ = state.child.kill();
        }
    }

    /// What it used so far; its processor time in hundredths of a second while it runs.
    pub fn usage(&self) -> Usage {
        if let Some((_, usage)) = *self.ended.borrow() {
            return usage;
        }
        let state = self.shared.state();
        let now = peak_rss_bytes(self.shared.id).unwrap_or(0);
        let cpu = cpu_of_running(self.shared.id).unwrap_or_default();
        Usage { cpu, peak_rss_bytes: state.peak_rss_bytes.max(now) }
    }

    /// What it wrote to standard output and standard error; of a lot, the end.
    pub fn log(&self) -> String {
        let log = self.shared.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.lines.iter().map(String::as_str).collect()
    }

    fn keep(&self, stream: Box<dyn Read + Send>) -> JoinHandle<()> {
        let shared = Arc::clone(&self.shared);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while let Ok(1..) = (&mut reader).take(LOG_MAX as u64).read_until(b'\n', &mut line) {
                shared.log.lock().unwrap_or_else(PoisonError::into_inner).push(&line);
                line.clear();
            }
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Samples until the process ends.
    fn measure(&self) -> Option<(ExitStatus, Usage)> {
        loop {
            {
                let mut state = self.state();
                state.peak_rss_bytes = state.peak_rss_bytes.max(peak_rss_bytes(self.id).unwrap_or(0));
                match state.child.try_wait4() {
                    Ok(None) => {}
                    Ok(Some(end)) => {
                        state.reaped = true;
                        let used = end.rusage;
                        // The kernel's own figure counts, until exec, the process that forked it too, so it
                        // serves only where there is no better one.
                        let peak = state.peak_rss_bytes;
                        let peak_rss_bytes = if peak == 0 { used.maxrss } else { peak };
                        let usage = Usage { cpu: used.utime + used.stime, peak_rss_bytes };
                        return Some((end.status, usage));
                    }
                    Err(_) => return None,
                }
            }
            std::thread::sleep(PERIOD);
        }
    }
}

impl Log {
    fn push(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line).into_owned();
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.bytes > LOG_MAX {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.len();
        }
    }
}

/// The kernel's high-water mark of the running program's own memory (Linux).
fn peak_rss_bytes(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn cpu_of_running(id: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The second field is the program's name in parentheses, and may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks(11)? + ticks(12)?) * 1000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        Process::start(Command::new("/bin/sh").args(["-c", script])).unwrap()
    }

    #[tokio::test]
    async fn what_a_process_wrote_and_how_it_ended_is_known() {
        let mut process = shell("echo out; echo err >&2; exit 3");
        let (status, _) = process.ended().await.unwrap();
        assert_eq!(status.code(), Some(3));
        assert!(process.log().contains("out\n") && process.log().contains("err\n"), "{}", process.log());
    }

    #[tokio::test]
    async fn processor_time_is_counted_and_waiting_is_not() {
        let mut idle = shell("sleep 0.3");
        let mut busy = shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done");
        let idle = idle.ended().await.unwrap().1;
        let busy = busy.ended().await.unwrap().1;
        assert!(idle.cpu < Duration::from_millis(100), "{idle:?}");
        assert!(busy.cpu > Duration::from_millis(50), "{busy:?}");
    }

    #[tokio::test]
    async fn the_peak_is_the_programs_own_and_not_that_of_who_started_it() {
        let held = vec![1_u8; 256 << 20];
        let mut process = shell("sleep 0.2");
        let usage = process.ended().await.unwrap().1;
        assert!(usage.peak_rss_bytes < 64 << 20, "{usage:?}");
        drop(held);
    }

    #[tokio::test]
    async fn a_killed_process_is_measured_and_only_the_end_of_a_long_log_is_kept() {
        let mut process =
            shell("yes 0123456789012345678901234567890123456789 | head -c 3000000; echo end; sleep 60");
        while !process.log().contains("end") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(process.log().len() <= LOG_MAX);
        process.kill();
        let (status, usage) = process.ended().await.unwrap();
        assert!(!status.success());
        assert!(cfg!(not(target_os = "linux")) || usage.peak_rss_bytes > 0);
        process.kill();
    }
}
