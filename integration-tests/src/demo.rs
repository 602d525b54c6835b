//! Runs `lockstep demo` as a user does: a process of its own, judged by its exit code and its summary.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use local::Connection;
use serde_json::Value;
use tempfile::TempDir;

/// The repository.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap_or(root)
}

/// The program, built once with everything that it deploys.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo).args(["build", "--workspace", "--bins"]).current_dir(root()).status();
        assert!(built.is_ok_and(|status| status.success()), "`cargo build --workspace --bins` failed");
        // A test program lies in <target>/debug/deps.
        let test = std::env::current_exe().unwrap_or_default();
        test.ancestors().nth(2).map(|debug| debug.join("lockstep")).unwrap_or_default()
    })
}

/// Runs the program to its end.
pub fn lockstep(arguments: &[&str]) -> Output {
    Command::new(program()).args(arguments).current_dir(root()).output().expect("the program starts")
}

/// What a program printed, on either stream.
pub fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

/// One account at a time: two at once would share two cores, and the newest account's announcement.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A demo to run.
pub struct Demo {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// A demo that ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code.
    pub code: Option<i32>,
    /// Its `--summary`.
    pub summary: Value,
    /// What it printed.
    pub output: String,
}

/// A demo that was kept running after its run.
pub struct Kept {
    child: Child,
    folder: TempDir,
    /// How to reach its account.
    pub connection: Connection,
    /// The summary of its run.
    pub summary: Value,
    _alone: MutexGuard<'static, ()>,
}

impl Demo {
    /// With arguments after `demo`, on an account that is made with what a run needs and no more.
    pub fn new(arguments: &[&str]) -> Self {
        let small = root().join("integration-tests/small.tfvars");
        Self::whole(arguments).with_argument("--var-file").with_argument(&small.display().to_string())
    }

    /// With everything that the environment has by default, network and alarms included: half a minute more.
    pub fn whole(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { arguments, environment: Vec::new() }
    }

    fn with_argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// With a variable of the environment.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    fn start(&self, folder: &Path) -> Child {
        let log = File::create(folder.join("output")).expect("a log file");
        Command::new(program())
            .arg("demo")
            .args(&self.arguments)
            .arg("--summary")
            .arg(folder.join("summary.json"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(root())
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("a second handle"))
            .stdout(log)
            .spawn()
            .expect("the program starts")
    }

    /// Runs it to its end.
    pub fn run(&self) -> Finished {
        let _alone = alone();
        let folder = tempfile::tempdir().expect("a folder");
        let status = self.start(folder.path()).wait().expect("the program ends");
        let output = std::fs::read_to_string(folder.path().join("output")).unwrap_or_default();
        let summary = read_summary(folder.path())
            .unwrap_or_else(|| panic!("no summary was written; the program said:\n{output}"));
        Finished { code: status.code(), summary, output }
    }

    /// Runs it with `--keep`, and returns once its run has ended.
    pub fn keep(mut self) -> Kept {
        let alone = alone();
        self.arguments.push("--keep".to_owned());
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = self.start(folder.path());
        loop {
            if let Some(summary) = read_summary(folder.path()) {
                let connection = connection_of(child.id()).expect("the account announces itself");
                return Kept { child, folder, connection, summary, _alone: alone };
            }
            if let Some(status) = child.try_wait().expect("the program can be asked") {
                let output = std::fs::read_to_string(folder.path().join("output")).unwrap_or_default();
                panic!("it ended with {status} in place of staying:\n{output}");
            }
            thread::sleep(Duration::from_millis(200));
        }
    }
}

/// The account of one process, and not whichever in this repository started last.
fn connection_of(process: u32) -> Option<Connection> {
    let accounts = std::fs::read_dir(root().join(".lockstep/accounts")).ok()?;
    let of_process = |folder: &PathBuf| {
        folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{process}-")))
    };
    let folder = accounts.flatten().map(|entry| entry.path()).find(of_process)?;
    serde_json::from_slice(&std::fs::read(folder.join("account.json")).ok()?).ok()
}

/// The summary is written at once, so it is whole when it is there.
fn read_summary(folder: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(folder.join("summary.json")).ok()?).ok()
}

impl Kept {
    /// Presses Ctrl-C and waits for the end; what was printed and the exit code.
    pub fn interrupt(mut self) -> (Option<i32>, String) {
        let asked = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(asked.is_ok_and(|status| status.success()), "the program can be interrupted");
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the program can be asked") {
                let output = std::fs::read_to_string(self.folder.path().join("output")).unwrap_or_default();
                return (status.code(), output);
            }
            assert!(start.elapsed() < Duration::from_secs(60), "it does not end when it is interrupted");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A failed test leaves nothing running either: the program takes its account down with it.
fn end(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        let _ = child.wait();
    }
}

/// `lockstep local`: an account in which nothing has run yet, beside one that was kept.
pub struct LocalAccount {
    child: Child,
    _folder: TempDir,
    /// How to reach it.
    pub connection: Connection,
}

impl LocalAccount {
    /// Starts one with these variables, and the demo's data staged, and returns once it can be used.
    pub fn beside(_kept: &Kept, variables: &Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, output) = (folder.path().join("v.tfvars.json"), folder.path().join("output"));
        std::fs::write(&file, variables.to_string()).expect("the variables are written");
        let log = File::create(&output).expect("a log file");
        let mut child = Command::new(program())
            .args(["local", "--request", "examples/requests/tiny-lm.json", "--var-file"])
            .arg(&file)
            .current_dir(root())
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("a second handle"))
            .stdout(log)
            .spawn()
            .expect("the program starts");
        loop {
            let said = std::fs::read_to_string(&output).unwrap_or_default();
            if said.contains("Ctrl-C stops it") {
                let connection = connection_of(child.id()).expect("the account announces itself");
                return Self { child, _folder: folder, connection };
            }
            if let Some(status) = child.try_wait().expect("the program can be asked") {
                panic!("it ended with {status} in place of staying:\n{said}");
            }
            thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for LocalAccount {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}
