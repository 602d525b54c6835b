//! S3 that is busy, and S3 that says it failed when it did not: a call that is repeated changes nothing.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use futures::future::join_all;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    account::{LONG, Run, account},
    content::{CONFIG, MIB, safetensors},
    hub::{Commit, Hub},
    resolve::digests,
};

const SMALL: &str = "config.json";
const LARGE: &str = "model.safetensors";

/// A call that goes wrong.
#[derive(Clone, Copy, Debug)]
enum Call {
    /// PutObject of a model's file.
    Put,
    /// CreateMultipartUpload.
    Create,
    /// UploadPart.
    Part,
    /// CompleteMultipartUpload.
    Complete,
    /// PutObject of a checkpoint.
    Checkpoint,
}

impl Call {
    fn is(self, method: &Method, uri: &Uri) -> bool {
        let (path, query) = (uri.path(), uri.query().unwrap_or_default());
        let in_parts = query.contains("uploadId=") || query.contains("uploads");
        match self {
            Self::Put => method == Method::PUT && path.contains("/models/") && !in_parts,
            Self::Create => method == Method::POST && query.contains("uploads"),
            Self::Part => method == Method::PUT && query.contains("partNumber="),
            Self::Complete => method == Method::POST && query.contains("uploadId="),
            Self::Checkpoint => {
                let name = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".json");
                method == Method::PUT && path.contains("/transfer/") && name.parse::<usize>().is_ok()
            }
        }
    }
}

/// How it goes wrong.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// 503, and nothing is done.
    Busy,
    /// 500, and it is done.
    DoneAndDenied,
}

struct Shared {
    http: reqwest::Client,
    backend: String,
    call: Call,
    trouble: Trouble,
    left: AtomicUsize,
}

/// In front of the account, with one thing wrong.
struct Flaky {
    url: String,
    task: JoinHandle<()>,
    shared: Arc<Shared>,
}

impl Drop for Flaky {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Flaky {
    async fn start(call: Call, trouble: Trouble, times: usize) -> Self {
        let shared = Arc::new(Shared {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            backend: account().await.url().to_owned(),
            call,
            trouble,
            left: AtomicUsize::new(times),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(forward).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, task, shared }
    }

    /// How often it is still to go wrong.
    fn left(&self) -> usize {
        self.shared.left.load(Ordering::Relaxed)
    }
}

async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 64 * MIB).await.unwrap();
    let concerned = shared.call.is(&head.method, &head.uri)
        && shared.left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
    if concerned && matches!(shared.trouble, Trouble::Busy) {
        return failure(StatusCode::SERVICE_UNAVAILABLE, "SlowDown");
    }
    let url = format!("{}{}", shared.backend, head.uri);
    let sent = shared.http.request(head.method, url).headers(head.headers).body(body).send().await.unwrap();
    let (status, mut headers) = (sent.status(), sent.headers().clone());
    let body = sent.bytes().await.unwrap();
    if concerned && status.is_success() {
        return failure(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
    }
    headers.remove(header::TRANSFER_ENCODING);
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn failure(status: StatusCode, code: &str) -> Response {
    let text = format!("<Error><Code>{code}</Code><Message>as planted</Message></Error>");
    (status, [(header::CONTENT_TYPE, "application/xml")], text).into_response()
}

/// A model is stored although a call goes wrong as often.
async fn is_stored(call: Call, trouble: Trouble, times: usize) -> Run {
    let commit = Commit::default().file(SMALL, CONFIG).lfs(LARGE, safetensors(20 * MIB, 4));
    let hub = Hub::serve(commit.clone()).await;
    let flaky = Flaky::start(call, trouble, times).await;
    let mut run = Run::of(&hub).await;
    run.environment.insert("AWS_ENDPOINT_URL".to_owned(), flaky.url.clone());
    let sealed = run.acquire().await.unwrap_or_else(|refused| panic!("{call:?} {trouble:?}: {refused:?}"));
    assert_eq!(flaky.left(), 0, "{call:?} was not made");
    let mut stored = run.digests(&sealed.prefix).await;
    stored.retain(|path, _| digests(&commit).contains_key(path));
    assert_eq!(stored, digests(&commit), "{call:?} {trouble:?}");
    run
}

#[tokio::test]
async fn invariant_6_what_s3_did_and_denied_is_found_done() {
    let calls = [Call::Put, Call::Part, Call::Complete, Call::Checkpoint];
    for run in join_all(calls.map(|call| is_stored(call, Trouble::DoneAndDenied, 1))).await {
        assert_eq!(run.work.uploads().await, []);
    }
}

#[tokio::test]
async fn an_upload_that_s3_began_and_denied_does_not_stop_the_transfer() {
    is_stored(Call::Create, Trouble::DoneAndDenied, 1).await;
}

#[tokio::test]
async fn an_account_that_is_busy_for_a_while_is_waited_for() {
    let calls = [Call::Put, Call::Create, Call::Part, Call::Complete, Call::Checkpoint];
    for run in join_all(calls.map(|call| is_stored(call, Trouble::Busy, 2))).await {
        assert_eq!(run.work.uploads().await, []);
    }
}

#[tokio::test]
async fn an_account_that_stays_busy_is_left_to_the_next_try_with_nothing_to_be_seen() {
    let hub = Hub::serve(Commit::default().lfs(LARGE, safetensors(20 * MIB, 4))).await;
    let flaky = Flaky::start(Call::Part, Trouble::Busy, usize::MAX).await;
    let mut run = Run::of(&hub).await;
    run.environment.insert("AWS_ENDPOINT_URL".to_owned(), flaky.url.clone());
    let mut steps = run.steps();
    let resolved = steps.resolve().await.unwrap();
    steps.time = Duration::from_secs(30);
    let refused = steps.fetch(&resolved, 0).await.unwrap_err();
    assert_eq!(refused.name, "ServiceUnavailable", "{refused:?}");
    assert_eq!(run.visible().await, Vec::<String>::new());
    // The state machine's own retry, once the account answers again.
    run.environment.insert("AWS_ENDPOINT_URL".to_owned(), account().await.url().to_owned());
    let mut steps = run.steps();
    steps.time = LONG;
    steps.fetch(&resolved, 0).await.unwrap();
    steps.seal(&resolved).await.unwrap();
    assert_eq!(run.work.uploads().await, []);
}
