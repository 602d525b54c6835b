//! A function's real `bootstrap`, run as Lambda runs it: the Runtime API, and no account around it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::{Process, Usage};

/// Lambda's limit of what a function answers.
const ANSWER_MAX: usize = 6 << 20;
/// How long Lambda lets a function initialise.
const INIT_MAX: Duration = Duration::from_secs(10);
/// Bytes of the log of processes that ended.
const LOG_MAX: usize = 1 << 20;
/// Bytes of the log that an exit is explained with.
const EXPLANATION_MAX: usize = 2000;

/// What became of an invocation.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The function's output.
    Success(Value),
    /// The function's error.
    Failure {
        /// The name that the state machine matches.
        error_type: String,
        /// For people.
        error_message: String,
    },
    /// Its time was over and it was killed.
    TimedOut,
    /// It was killed, as was asked for.
    Killed,
    /// It ended by itself, or never asked for an invocation; with the end of its log.
    Exited(String),
}

impl Answer {
    fn failure(body: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Self::Failure { error_type: text("errorType"), error_message: text("errorMessage") }
    }
}

/// The function could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its binary was not started.
    #[error("{path}: {source}", path = .path.display())]
    Start {
        /// The binary.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No port for the Runtime API.
    #[error("the Runtime API has no port: {0}")]
    Port(std::io::Error),
}

/// One execution environment of a function. Its process starts with the first invocation, and again with the next
/// one after it ended; dropping this ends it.
#[derive(Debug)]
pub struct Function {
    binary: PathBuf,
    environment: BTreeMap<String, String>,
    running: Option<Running>,
    usage: Usage,
    log: String,
}

impl Function {
    /// A function. Its environment is what is given here and `AWS_LAMBDA_*`; nothing is inherited.
    pub fn new(binary: impl Into<PathBuf>, environment: BTreeMap<String, String>) -> Self {
        let (usage, log) = (Usage::default(), String::new());
        Self { binary: binary.into(), environment, running: None, usage, log }
    }

    /// Invokes it. Its deadline is `time` after it takes the invocation; it is killed then, as Lambda does.
    ///
    /// # Errors
    /// [`Error`] when it cannot be run; whatever it does itself is an [`Answer`].
    pub async fn invoke(&mut self, payload: &Value, time: Duration) -> Result<Answer, Error> {
        self.run(payload, time, None).await
    }

    /// Invokes it and kills it (SIGKILL) `after` it took the invocation, unless it answers before that.
    ///
    /// # Errors
    /// As [`Function::invoke`].
    pub async fn invoke_and_kill(
        &mut self,
        payload: &Value,
        time: Duration,
        after: Duration,
    ) -> Result<Answer, Error> {
        self.run(payload, time, Some(after)).await
    }

    /// What those of its processes used that have ended.
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// What all of its processes used so far, the running one's time in hundredths of a second.
    pub fn usage_so_far(&self) -> Usage {
        self.running.as_ref().map_or(self.usage, |running| self.usage + running.process.usage())
    }

    /// Ends its process, so that [`Function::usage`] counts it.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.process.kill();
            self.bury(running).await;
        }
    }

    /// What its processes wrote to standard output and standard error; of a lot, the end.
    pub fn log(&self) -> String {
        self.running
            .as_ref()
            .map_or_else(|| self.log.clone(), |running| self.log.clone() + &running.process.log())
    }

    async fn run(
        &mut self,
        payload: &Value,
        time: Duration,
        kill: Option<Duration>,
    ) -> Result<Answer, Error> {
        let mut running = match self.running.take() {
            Some(running) if !running.process.has_ended() => running,
            ended => {
                if let Some(ended) = ended {
                    self.bury(ended).await;
                }
                Running::start(&self.binary, &self.environment).await?
            }
        };
        let answer = running.invoke(payload, time, kill).await;
        match answer {
            Some(answer @ (Answer::Success(_) | Answer::Failure { .. })) => {
                self.running = Some(running);
                Ok(answer)
            }
            Some(answer) => {
                running.process.kill();
                self.bury(running).await;
                Ok(answer)
            }
            None => {
                let how = self.bury(running).await;
                let cut = self.log.floor_char_boundary(self.log.len().saturating_sub(EXPLANATION_MAX));
                Ok(Answer::Exited(format!("{how}; its log ends: {}", self.log[cut..].trim_end())))
            }
        }
    }

    /// Counts a process that has ended, or is about to.
    async fn bury(&mut self, mut running: Running) -> String {
        let end = running.process.ended().await;
        self.log.push_str(&running.process.log());
        let cut = self.log.floor_char_boundary(self.log.len().saturating_sub(LOG_MAX));
        self.log.drain(..cut);
        let Some((status, usage)) = end else { return "its end is not known".to_owned() };
        self.usage = self.usage + usage;
        status.to_string()
    }
}

/// A process and the Runtime API that is its own, so that nothing of an earlier process can reach a later one.
#[derive(Debug)]
struct Running {
    process: Process,
    invocations: mpsc::Sender<Invocation>,
    events: mpsc::Receiver<Event>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Invocation {
    id: String,
    payload: Vec<u8>,
    time: Duration,
}

#[derive(Debug)]
enum Event {
    Taken,
    Answered(String, Answer),
    InitFailed(Answer),
}

struct Api {
    invocations: Mutex<mpsc::Receiver<Invocation>>,
    events: mpsc::Sender<Event>,
}

impl Running {
    async fn start(binary: &PathBuf, environment: &BTreeMap<String, String>) -> Result<Self, Error> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.map_err(Error::Port)?;
        let address = listener.local_addr().map_err(Error::Port)?;
        let (invocations, queue) = mpsc::channel(1);
        let (tell, events) = mpsc::channel(4);
        let api = Arc::new(Api { invocations: Mutex::new(queue), events: tell });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .layer(DefaultBodyLimit::max(ANSWER_MAX))
            .with_state(api);
        let server = tokio::spawn(async move {
            // It ends with this task.
            let _ = axum::serve(listener, router).await;
        });
        let mut command = Command::new(binary);
        command.env_clear().envs(environment).envs(lambda_environment(&address.to_string()));
        let process =
            Process::start(&mut command).map_err(|source| Error::Start { path: binary.clone(), source })?;
        Ok(Self { process, invocations, events, server })
    }

    /// `None` when the process ended, or is of no use.
    async fn invoke(&mut self, payload: &Value, time: Duration, kill: Option<Duration>) -> Option<Answer> {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("00000000-0000-4000-8000-{count:012x}");
        let invocation = Invocation { id: id.clone(), payload: payload.to_string().into_bytes(), time };
        self.invocations.send(invocation).await.ok()?;
        let mut limit = (Instant::now() + INIT_MAX, None);
        loop {
            tokio::select! {
                biased;
                event = self.events.recv() => match event? {
                    Event::Taken => {
                        let now = Instant::now();
                        let killed = kill.filter(|after| *after < time).map(|after| (now + after, Some(Answer::Killed)));
                        limit = killed.unwrap_or((now + time, Some(Answer::TimedOut)));
                    }
                    Event::Answered(answered, answer) if answered == id => return Some(answer),
                    Event::Answered(..) => {}
                    Event::InitFailed(answer) => return Some(answer),
                },
                _ = self.process.ended() => return None,
                () = tokio::time::sleep_until(limit.0) => {
                    // The clock starts when the invocation is taken, so what was never taken failed to initialise.
                    self.process.kill();
                    return limit.1;
                }
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lambda_environment(api: &str) -> BTreeMap<&'static str, &str> {
    BTreeMap::from([
        ("AWS_LAMBDA_RUNTIME_API", api),
        ("AWS_LAMBDA_FUNCTION_NAME", "function"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/function"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]00000000000000000000000000000000"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023"),
        ("_HANDLER", "bootstrap"),
        ("TZ", ":UTC"),
    ])
}

async fn next(State(api): State<Arc<Api>>) -> Response {
    let invocation = api.invocations.lock().await.recv().await;
    // Without the other end there is nobody to serve: the process is about to be ended.
    let Some(Invocation { id, payload, time }) = invocation else { return empty(StatusCode::GONE) };
    let deadline = SystemTime::now() + time;
    let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let _ = api.events.send(Event::Taken).await;
    Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", &id)
        .header("lambda-runtime-deadline-ms", deadline.to_string())
        .header(
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:000000000000:function:function",
        )
        .header("lambda-runtime-trace-id", "Root=1-00000000-000000000000000000000000;Sampled=0")
        .body(Body::from(payload))
        .unwrap_or_else(|_| empty(StatusCode::INTERNAL_SERVER_ERROR))
}

async fn response(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    let answer = match serde_json::from_slice(&body) {
        Ok(output) => Answer::Success(output),
        Err(error) => Answer::Failure {
            error_type: "Runtime.MarshalError".to_owned(),
            error_message: format!("the function's output is no JSON: {error}"),
        },
    };
    let _ = api.events.send(Event::Answered(id, answer)).await;
    accepted()
}

async fn error(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    let _ = api.events.send(Event::Answered(id, Answer::failure(&body))).await;
    accepted()
}

async fn init_error(State(api): State<Arc<Api>>, body: Bytes) -> (StatusCode, Json<Value>) {
    let _ = api.events.send(Event::InitFailed(Answer::failure(&body))).await;
    accepted()
}

fn accepted() -> (StatusCode, Json<Value>) {
    (StatusCode::ACCEPTED, Json(json!({ "status": "OK" })))
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::OnceLock;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// This test program again, as a function: it is started without arguments, so a script gives it some.
    fn fake() -> Function {
        static SCRIPT: OnceLock<tempfile::TempDir> = OnceLock::new();
        let folder = SCRIPT.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let program = std::env::current_exe().unwrap();
            let test = "function::tests::acts_as_a_function";
            let script =
                format!("#!/bin/sh\nexec '{}' --exact {test} --ignored --nocapture\n", program.display());
            let path = folder.path().join("bootstrap");
            std::fs::write(&path, script).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            folder
        });
        let environment = BTreeMap::from([("GIVEN".to_owned(), "yes".to_owned())]);
        Function::new(folder.path().join("bootstrap"), environment)
    }

    fn request(head: &str, body: &str) -> (String, String) {
        let mut stream = TcpStream::connect(std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap()).unwrap();
        let length = body.len();
        write!(
            stream,
            "{head} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    #[test]
    #[ignore = "the function that the other tests invoke"]
    fn acts_as_a_function() {
        if std::env::var("AWS_LAMBDA_RUNTIME_API").is_err() {
            return;
        }
        let mut served = 0;
        loop {
            let (head, event) = request("GET /2018-06-01/runtime/invocation/next", "");
            let header = |name: &str| {
                let line = head.lines().find(|line| line.to_lowercase().starts_with(name)).unwrap();
                line.split_once(": ").unwrap().1.to_owned()
            };
            let id = header("lambda-runtime-aws-request-id");
            let post = |kind: &str, body: &str| {
                request(&format!("POST /2018-06-01/runtime/invocation/{id}/{kind}"), body);
            };
            served += 1;
            let event: Value = serde_json::from_str(&event).unwrap();
            eprintln!("asked to {}", event["do"]);
            match event["do"].as_str().unwrap() {
                "answer" => {
                    let environment: BTreeMap<_, _> = std::env::vars().collect();
                    let deadline = header("lambda-runtime-deadline-ms");
                    let body = json!({ "served": served, "environment": environment, "deadline": deadline });
                    post("response", &body.to_string());
                }
                "fail" => {
                    post("error", r#"{"errorType":"DigestMismatch","errorMessage":"not what was promised"}"#)
                }
                "sleep" => std::thread::sleep(Duration::from_secs(60)),
                "exit" => panic!("out of order"),
                other => panic!("{other}"),
            }
        }
    }

    async fn served(function: &mut Function) -> u64 {
        match function.invoke(&json!({ "do": "answer" }), LONG).await.unwrap() {
            Answer::Success(value) => value["served"].as_u64().unwrap(),
            other => panic!("{other:?}: {}", function.log()),
        }
    }

    #[tokio::test]
    async fn a_process_serves_one_invocation_after_another_with_a_clean_environment() {
        let mut function = fake();
        let Answer::Success(first) = function.invoke(&json!({ "do": "answer" }), LONG).await.unwrap() else {
            panic!("{}", function.log())
        };
        assert_eq!(first["environment"]["GIVEN"], "yes");
        assert_eq!(first["environment"]["AWS_LAMBDA_FUNCTION_NAME"], "function");
        assert!(first["environment"]["CARGO_PKG_NAME"].is_null(), "{first}");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let deadline: u128 = first["deadline"].as_str().unwrap().parse().unwrap();
        assert!(deadline > now && deadline <= now + LONG.as_millis(), "{deadline} at {now}");
        assert_eq!(served(&mut function).await, 2);
        assert_eq!(function.usage(), Usage::default());
        assert!(function.usage_so_far().peak_rss_bytes > 0 || cfg!(not(target_os = "linux")));
        function.stop().await;
        assert!(function.usage().peak_rss_bytes > 0);
        assert!(function.log().contains("asked to"));
    }

    #[tokio::test]
    async fn an_error_has_its_name_and_the_process_stays() {
        let mut function = fake();
        let answer = function.invoke(&json!({ "do": "fail" }), LONG).await.unwrap();
        let (error_type, error_message) = ("DigestMismatch".to_owned(), "not what was promised".to_owned());
        assert_eq!(answer, Answer::Failure { error_type, error_message });
        assert_eq!(served(&mut function).await, 2);
    }

    #[tokio::test]
    async fn a_process_that_overruns_is_killed_and_the_next_invocation_starts_another() {
        let mut function = fake();
        let sleep = json!({ "do": "sleep" });
        assert_eq!(function.invoke(&sleep, Duration::from_millis(300)).await.unwrap(), Answer::TimedOut);
        assert_eq!(served(&mut function).await, 1);
        let after = Duration::from_millis(100);
        assert_eq!(function.invoke_and_kill(&sleep, LONG, after).await.unwrap(), Answer::Killed);
        assert_eq!(served(&mut function).await, 1);
        assert!(function.usage().peak_rss_bytes > 0);
    }

    #[tokio::test]
    async fn an_answer_before_the_kill_is_the_answer() {
        let answer = fake().invoke_and_kill(&json!({ "do": "answer" }), LONG, LONG / 2).await.unwrap();
        assert!(matches!(answer, Answer::Success(_)), "{answer:?}");
    }

    #[tokio::test]
    async fn a_process_that_ends_says_why() {
        let mut function = fake();
        let answer = function.invoke(&json!({ "do": "exit" }), LONG).await.unwrap();
        assert!(matches!(&answer, Answer::Exited(why) if why.contains("out of order")), "{answer:?}");
        assert_eq!(served(&mut function).await, 1);
    }

    #[tokio::test]
    async fn a_binary_that_is_not_there_is_an_error() {
        let answer = Function::new("/nowhere/bootstrap", BTreeMap::new()).invoke(&json!({}), LONG).await;
        assert!(matches!(answer, Err(Error::Start { .. })), "{answer:?}");
    }
}
