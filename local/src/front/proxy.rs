//! Passing a request on to MiniStack as it came, its body streaming both ways.

use std::time::Duration;

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::Request;
use axum::http::uri::{Authority, PathAndQuery, Scheme, Uri};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Headers that belong to one connection. `expect` is among them: this side answers it itself.
const CONNECTION_HEADERS: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::EXPECT,
];

/// Answers of at most this many bytes go out in one piece. Terraform's provider, on a busy machine, now and then drops a
/// connection on which an answer's head has arrived and its body has not, and asks again: what was created then exists.
const WHOLE: u64 = 1 << 20;

#[derive(Debug)]
pub(crate) struct Proxy {
    client: Client<HttpConnector, Body>,
    backend: Option<Authority>,
}

impl Proxy {
    pub(crate) fn new(backend: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            // Shorter than MiniStack keeps a connection, so that none is reused while it is being closed.
            .pool_idle_timeout(Duration::from_secs(30))
            .build(connector);
        Self { client, backend: backend.parse::<Uri>().ok().and_then(|uri| uri.authority().cloned()) }
    }

    /// Path and query are passed on byte for byte (object keys depend on it), and so is `Host`, which is signed.
    pub(crate) async fn pass(&self, request: Request) -> Response {
        let (mut parts, body) = request.into_parts();
        let mut uri = axum::http::uri::Parts::default();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = self.backend.clone();
        uri.path_and_query =
            Some(parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
        parts.uri = match Uri::from_parts(uri) {
            Ok(uri) => uri,
            Err(problem) => return (StatusCode::BAD_REQUEST, problem.to_string()).into_response(),
        };
        without_connection_headers(&mut parts.headers);
        // The loopback stands in for TLS: policies that refuse what is not encrypted in transit see it so.
        parts.headers.insert(HeaderName::from_static("x-forwarded-proto"), HeaderValue::from_static("https"));
        match self.client.request(Request::from_parts(parts, body)).await {
            Ok(response) => {
                let (mut parts, body) = response.into_parts();
                without_connection_headers(&mut parts.headers);
                if body.size_hint().upper().is_none_or(|length| length > WHOLE) {
                    return Response::from_parts(parts, Body::new(body));
                }
                match to_bytes(Body::new(body), usize::MAX).await {
                    Ok(whole) => Response::from_parts(parts, Body::from(whole)),
                    Err(problem) => unanswered(&problem),
                }
            }
            Err(problem) => unanswered(&problem),
        }
    }
}

fn unanswered(problem: &dyn std::fmt::Display) -> Response {
    let message = format!("the service behind this account does not answer: {problem}");
    (StatusCode::BAD_GATEWAY, message).into_response()
}

fn without_connection_headers(headers: &mut HeaderMap) {
    for name in CONNECTION_HEADERS {
        headers.remove(name);
    }
}
