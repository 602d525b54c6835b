//! The account's one endpoint: it answers what MiniStack lacks, and passes the rest on.

mod authorization;
mod call_log;
mod identity;
mod proxy;
mod request_log;
mod route;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::sagemaker::SageMaker;
use crate::service::AwsError;
use crate::wire::Wire;

use authorization::Authorizer;
use call_log::{Call, CallLog};
use identity::Identities;
use proxy::Proxy;
use request_log::{RequestLog, Sent};
use route::{Credential, Route};

/// A body that is read to learn its operation is at most this long; longer ones stream through unread.
const PEEK_LIMIT: u64 = 1024 * 1024;

/// The front could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No port is free.
    #[error("no free port on 127.0.0.1: {0}")]
    Port(std::io::Error),
    /// The log of calls, or that of requests, could not be opened.
    #[error("{path}: {source}")]
    Log {
        /// The log.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// An address that is taken and does not answer yet: MiniStack must know it before there is anything to pass on to.
#[derive(Debug)]
pub struct Address {
    listener: TcpListener,
    address: SocketAddr,
}

impl Address {
    /// Takes a free port.
    pub async fn take() -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::Port)?;
        let address = listener.local_addr().map_err(Error::Port)?;
        Ok(Self { listener, address })
    }

    /// The endpoint's URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// The front, answering until it is dropped.
#[derive(Debug)]
pub struct Front {
    task: JoinHandle<()>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Shared {
    proxy: Proxy,
    identities: Identities,
    authorizer: Authorizer,
    sagemaker: SageMaker,
    log: CallLog,
    requests: Option<RequestLog>,
}

impl Front {
    /// Stops answering, and returns once the port is free.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// Answers at `address`: `sagemaker` for the services it holds, `backend` for every other. The calls of the former
    /// are judged as `judge`'s owner, the account's root, is told by the backend; without one, everything is allowed. What
    /// functions send is appended to `requests`, where there is one.
    pub fn serve(
        address: Address,
        backend: &str,
        sagemaker: SageMaker,
        judge: Option<Wire>,
        call_log: &Path,
        requests: Option<&Path>,
    ) -> Result<Self, Error> {
        let unopened = |path: &Path| {
            let path = path.display().to_string();
            move |source| Error::Log { path, source }
        };
        let log = CallLog::create(call_log).map_err(unopened(call_log))?;
        let requests = requests.map(|path| RequestLog::append(path).map_err(unopened(path))).transpose()?;
        let shared = Shared {
            proxy: Proxy::new(backend),
            identities: Identities::new(backend),
            authorizer: Authorizer::new(judge, sagemaker.account_id()),
            sagemaker,
            log,
            requests,
        };
        let router = Router::new().fallback(answer).with_state(Arc::new(shared));
        let listener = address.listener;
        let task = tokio::spawn(async move {
            if let Err(problem) = axum::serve(listener, router).await {
                tracing::error!(%problem, "the front stopped answering");
            }
        });
        Ok(Self { task })
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let begun = Instant::now();
    let credential = Credential::of(&request);
    let (parts, body) = request.into_parts();

    // Small bodies are read to name the operation and its resource; what is large streams through.
    let length =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let route = Route::of(&parts, &credential);
    let peek = route.is_own()
        || ((route::names_operation_in_body(&parts, &credential)
            || (shared.requests.is_some() && request_log::wants_body(&parts, &credential)))
            && length.is_some_and(|length| length <= PEEK_LIMIT));
    let (peeked, body) = if peek {
        match to_bytes(body, usize::MAX).await {
            Ok(bytes) => (bytes.clone(), Body::from(bytes)),
            Err(_) => return error(&AwsError::client("RequestAborted", "The request's body did not arrive")),
        }
    } else {
        (Bytes::new(), body)
    };
    let mut call = Call::new(&parts, &credential, &peeked);
    let sent = shared.requests.is_some().then(|| Sent::new(&parts, &credential, peek.then_some(&peeked)));

    let response = match route {
        Route::Own(service, action) => {
            let caller = shared.identities.caller(&credential).await;
            let input =
                if peeked.is_empty() { Ok(json!({})) } else { serde_json::from_slice::<Value>(&peeked) };
            match input {
                Err(problem) => error(&AwsError::client("SerializationException", problem.to_string())),
                Ok(input) => {
                    let on_scaled = shared.sagemaker.is_scaled(&input);
                    let asked = (service, action.as_str());
                    match shared.authorizer.operation(&credential, &caller, asked, &input, on_scaled).await {
                        Err(refusal) => error(&refusal),
                        Ok(()) => match shared.sagemaker.call(caller, service, &action, input).await {
                            Ok(output) => success(&output),
                            Err(refusal) => error(&refusal),
                        },
                    }
                }
            }
        }
        Route::Control(action) => match shared.sagemaker.control(&action, &peeked) {
            Ok(()) => success(&json!({})),
            Err(refusal) => error(&refusal),
        },
        Route::InvokeEndpoint(name) => {
            let caller = shared.identities.caller(&credential).await;
            match shared.authorizer.invocation(&credential, &caller, &name).await {
                Err(refusal) => error(&refusal),
                Ok(()) => shared.sagemaker.invoke_endpoint(&name, parts.headers, peeked).await,
            }
        }
        Route::PassOn => shared.proxy.pass(Request::from_parts(parts, body)).await,
    };

    call.status = response.status().as_u16();
    call.milliseconds = begun.elapsed().as_millis();
    tokio::spawn(async move {
        let caller = shared.identities.caller(&credential).await;
        shared.log.write(&call, &caller);
        if let (Some(requests), Some(sent)) = (&shared.requests, &sent) {
            requests.write(sent, &caller);
        }
    });
    response
}

fn success(output: &Value) -> Response {
    json_response(StatusCode::OK, output)
}

fn error(refusal: &AwsError) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_response(
        status,
        &json!({ "__type": refusal.code, "message": refusal.message, "Message": refusal.message }),
    );
    if let Ok(code) = HeaderValue::from_str(&refusal.code) {
        response.headers_mut().insert("x-amzn-errortype", code);
    }
    response
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
