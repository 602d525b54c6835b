//! `serve`: SageMaker's hosting contract, `GET /ping` and `POST /invocations`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{self, DefaultBodyLimit, FromRequest as _, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::checkpoint::Checkpoint;
use crate::generate::{Sampling, generate};
use crate::layout::Layout;
use crate::limits::{Limits, parse};
use crate::lora::Adapters;
use crate::model::Model;
use crate::{Error, progress};

/// SageMaker kills a container 30 s after SIGTERM; requests under way get most of that.
const GRACE: Duration = Duration::from_secs(25);
/// SageMaker gives a request 60 s; one that has not started by then is better told so.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tokens that a request asks for when it does not say.
pub(crate) const DEFAULT_NEW_TOKENS: usize = 32;

/// Where to listen.
#[derive(Debug, Clone, Copy)]
pub struct Address {
    host: IpAddr,
    port: u16,
}

impl Address {
    /// From `MODEL_CONTAINER_HOST` and `SAGEMAKER_BIND_TO_PORT`, else 0.0.0.0:8080.
    pub fn from_environment() -> Result<Self, Error> {
        let host = parse("MODEL_CONTAINER_HOST", "an IP address such as 127.0.0.1")?;
        let port = parse("SAGEMAKER_BIND_TO_PORT", "a port from 0 (any free one) to 65535")?;
        Ok(Self { host: host.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), port: port.unwrap_or(8080) })
    }
}

struct Served {
    checkpoint: Checkpoint,
    model: Model,
    limits: Limits,
    /// Requests that are let in: those that compute, and those that wait.
    room: Semaphore,
    slots: Semaphore,
}

/// Loads the model, then answers until SIGTERM.
pub async fn serve(layout: &Layout, address: Address, limits: Limits) -> Result<(), Error> {
    let asked = shutdown()
        .map_err(|source| Error::CannotListen { address: "the signal handler".to_owned(), source })?;
    let checkpoint = Checkpoint::load(&layout.model())?;
    let model = Model::new(checkpoint.config.clone(), checkpoint.weights.clone(), Adapters::default())?;
    let slots = limits.concurrency.get().min(Semaphore::MAX_PERMITS);
    let room = Semaphore::new(slots.saturating_add(limits.queue).min(Semaphore::MAX_PERMITS));
    let served = Arc::new(Served { checkpoint, model, limits, room, slots: Semaphore::new(slots) });
    let wanted = format!("{}:{}", address.host, address.port);
    let refused = |source| Error::CannotListen { address: wanted.clone(), source };
    let listener = TcpListener::bind((address.host, address.port)).await.map_err(refused)?;
    progress::line(format_args!("listening on http://{}", listener.local_addr().map_err(refused)?));
    let (ended, mut end) = tokio::sync::watch::channel(false);
    let graceful = axum::serve(listener, router(served)).with_graceful_shutdown(async move {
        asked.await;
        progress::line(format_args!("stopping: no new connections, finishing what is under way"));
        let _ = ended.send(true);
    });
    tokio::select! {
        result = graceful => result.map_err(refused),
        // A client that never finishes its request may not keep the container alive.
        () = async { let _ = end.wait_for(|ended| *ended).await; tokio::time::sleep(GRACE).await; } => Ok(()),
    }
}

fn shutdown() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    })
}

fn router(served: Arc<Served>) -> Router {
    Router::new()
        .route("/ping", get(|| async { StatusCode::OK }))
        .route("/invocations", post(invocations))
        .method_not_allowed_fallback(|| async {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "use GET /ping or POST /invocations")
        })
        .fallback(|| async { Refusal::new(StatusCode::NOT_FOUND, "use GET /ping or POST /invocations") })
        .layer(DefaultBodyLimit::max(served.limits.body_bytes))
        .with_state(served)
}

/// What a caller may ask. Unknown fields are refused: a misspelt parameter would silently do nothing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    inputs: String,
    #[serde(default)]
    parameters: Parameters,
    /// What the caller says of whom it asks for. No model reads it; it is captured with the call, so that monitoring can
    /// tell groups apart.
    #[serde(default, rename = "attributes")]
    _attributes: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Parameters {
    max_new_tokens: usize,
    temperature: f64,
    seed: Option<u64>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self { max_new_tokens: DEFAULT_NEW_TOKENS, temperature: 0.0, seed: None }
    }
}

/// One continuation.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    /// What comes after the prompt, without it.
    pub(crate) generated_text: String,
}

/// An error that the caller reads.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            error: String,
        }
        let mut response = (self.status, Json(Body { error: self.message })).into_response();
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

async fn invocations(
    State(served): State<Arc<Served>>,
    request: extract::Request,
) -> Result<Json<[Answer; 1]>, Refusal> {
    // Before the body is read: what is refused costs no memory.
    let _room = served.room.try_acquire().map_err(|_| {
        let (computing, waiting) = (served.limits.concurrency, served.limits.queue);
        let message = format!("{computing} request(s) compute and {waiting} wait already; try again later");
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, message)
    })?;
    let headers = request.headers().clone();
    let body = tokio::time::timeout(PATIENCE, Bytes::from_request(request, &()))
        .await
        .map_err(|_| {
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time; send it at once")
        })?
        .map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let most = served.limits.body_bytes;
                let message = format!("the body is larger than {most} bytes; send a shorter `inputs`");
                Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
            }
            status => Refusal::new(status, "the body could not be read; send it whole"),
        })?;
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !media.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        let message = format!("Content-Type is \"{media}\"; send application/json");
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let request: Request = serde_json::from_slice(&body).map_err(|error| {
        let form = r#"{"inputs": "text", "parameters": {"max_new_tokens": 32, "temperature": 0.0}}"#;
        Refusal::bad(format!("the body is not a request ({error}); send {form}"))
    })?;
    let (prompt, sampling) = check(&served, request)?;
    let failed =
        || Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "generation failed; the container's log says why");
    let slot = tokio::time::timeout(PATIENCE, served.slots.acquire())
        .await
        .map_err(|_| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "all slots are busy; try again later"))?
        .map_err(|_| failed())?;
    let worker = Arc::clone(&served);
    let text = tokio::task::spawn_blocking(move || {
        let tokens = generate(&worker.model, &prompt, sampling)?;
        worker.checkpoint.text(&tokens)
    })
    .await;
    drop(slot);
    match text {
        Ok(Ok(generated_text)) => Ok(Json([Answer { generated_text }])),
        Ok(Err(error)) => {
            progress::line(format_args!("generation failed: {error}"));
            Err(failed())
        }
        Err(_) => Err(failed()),
    }
}

fn check(served: &Served, request: Request) -> Result<(Vec<u32>, Sampling), Refusal> {
    let Parameters { max_new_tokens, temperature, seed } = request.parameters;
    let context = served.model.config().max_position_embeddings;
    if request.inputs.is_empty() {
        return Err(Refusal::bad("`inputs` is empty; send the text to continue"));
    }
    let most = served.limits.new_tokens.map_or(context, |limit| limit.get().min(context));
    if !(1..=most).contains(&max_new_tokens) {
        let message =
            format!("`parameters.max_new_tokens` is {max_new_tokens}; give a number from 1 to {most}");
        return Err(Refusal::bad(message));
    }
    if !(temperature == 0.0 || (0.01..=5.0).contains(&temperature)) {
        let message =
            format!("`parameters.temperature` is {temperature}; give 0, or a number from 0.01 to 5");
        return Err(Refusal::bad(message));
    }
    let prompt =
        served.checkpoint.prompt(&request.inputs).map_err(|error| Refusal::bad(error.to_string()))?;
    // One token at least has to fit behind it.
    let longest = context.saturating_sub(1);
    let longest = served.limits.prompt_tokens.map_or(longest, |limit| limit.get().min(longest));
    if prompt.len() > longest {
        let message = format!("`inputs` has {} tokens; send {longest} at most", prompt.len());
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    let seed = seed.unwrap_or_else(rand::random);
    Ok((prompt, Sampling { max_new_tokens, temperature, seed }))
}
