//! SageMaker Runtime: asking an endpoint.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};

use super::Inner;
use super::capture::Exchange;
use super::fleet::{Fleet, Variant};
use super::metrics::Invocation;
use super::traffic::{GOLDEN, Routed};

/// What a request or an answer may be long.
const LARGEST: usize = 6_291_456;
/// How long a container may think.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What a container answered.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn content_type(&self) -> &str {
        header(&self.headers, "content-type").unwrap_or("application/octet-stream")
    }
}

impl Inner {
    pub(super) async fn invoke_endpoint(
        self: &Arc<Self>,
        name: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Response {
        let begun = Instant::now();
        if body.len() > LARGEST {
            return refusal(
                "ValidationError",
                format!("The request body must not be longer than {LARGEST} bytes."),
            );
        }
        let target = header(headers, "x-amzn-sagemaker-target-variant");
        let turn = self.invocations.fetch_add(1, Ordering::Relaxed);
        let (known, routed) = match self.state().endpoints.get(name) {
            Some(endpoint) => (endpoint.fleet.is_some(), endpoint.route(target, turn)),
            None => (false, None),
        };
        if !known {
            return refusal(
                "ValidationError",
                format!("Endpoint {name} of account {} not found.", self.config.account_id),
            );
        }
        let Some(Routed { fleet, variant, busy }) = routed else {
            return refusal(
                "ValidationError",
                format!(
                    "Variant {} not found for endpoint {name}.",
                    target.unwrap_or("with a weight above 0")
                ),
            );
        };
        self.mirror(name, &fleet, &variant, headers, &body, turn);
        let asked_at = Instant::now();
        let answered = self.ask(&variant, headers, &body).await;
        let model = asked_at.elapsed();
        drop(busy);
        let answered = answered.map(|answer| if fleet.spoilt { spoil(&answer) } else { answer });
        let count = |status: Option<StatusCode>| {
            self.metrics.count(Invocation {
                endpoint: name.to_owned(),
                config: fleet.config_name.clone(),
                variant: variant.name.clone(),
                instances: variant.capacity().count,
                status: status.map(|status| status.as_u16()),
                model,
                overhead: begun.elapsed().saturating_sub(model),
            });
        };
        let answer = match answered {
            Ok(answer) => answer,
            Err(error) => {
                count(None);
                let message = if error.is_timeout() {
                    "Your invocation timed out while waiting for a response from container primary. Review the latency \
                     metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
                } else {
                    "The container did not answer."
                };
                return self.model_error(name, &variant, 500, message.to_owned(), String::new());
            }
        };
        count(Some(answer.status));
        if !answer.status.is_success() {
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            let side = if answer.status.is_client_error() { "client" } else { "server" };
            let message = format!(
                "Received {side} error ({}) from primary with message \"{text}\". See the log stream {} in \
                 /aws/sagemaker/Endpoints/{name} for more information.",
                answer.status.as_u16(),
                variant.log_stream
            );
            return self.model_error(name, &variant, answer.status.as_u16(), message, text);
        }

        self.keep(name, &fleet, &variant, headers, &body, &answer);
        let answer_type = answer.content_type().to_owned();
        let mut response = Response::new(Body::from(answer.body));
        let set = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(&answer_type) {
            set.insert("content-type", value);
        }
        if let Ok(value) = HeaderValue::from_str(&variant.name) {
            set.insert("x-amzn-invoked-production-variant", value);
        }
        for passed in ["x-amzn-sagemaker-custom-attributes", "x-amzn-sagemaker-new-session-id"] {
            if let Some(value) = answer.headers.get(passed) {
                set.insert(passed, value.clone());
            }
        }
        response
    }

    /// Asks the shadow too, for the share of requests that its weight says. Nobody waits for its answer.
    fn mirror(
        self: &Arc<Self>,
        endpoint: &str,
        fleet: &Arc<Fleet>,
        variant: &Variant,
        headers: &HeaderMap,
        body: &Bytes,
        turn: u64,
    ) {
        let share = |shadow: &Variant| shadow.capacity().weight / variant.capacity().weight;
        let due = fleet.shadows.iter().filter(|shadow| (turn as f64 * GOLDEN).fract() < share(shadow));
        for shadow in due {
            let Some(busy) = fleet.enter() else { return };
            let (inner, fleet, shadow) = (Arc::clone(self), Arc::clone(fleet), Arc::clone(shadow));
            let (endpoint, headers, body) = (endpoint.to_owned(), headers.clone(), body.clone());
            tokio::spawn(async move {
                let asked_at = Instant::now();
                let answered = inner.ask(&shadow, &headers, &body).await;
                let model = asked_at.elapsed();
                drop(busy);
                inner.metrics.count(Invocation {
                    endpoint: endpoint.clone(),
                    config: fleet.config_name.clone(),
                    variant: shadow.name.clone(),
                    instances: shadow.capacity().count,
                    status: answered.as_ref().ok().map(|answer| answer.status.as_u16()),
                    model,
                    overhead: Duration::ZERO,
                });
                if let Ok(answer) = answered {
                    inner.keep(&endpoint, &fleet, &shadow, &headers, &body, &answer);
                }
            });
        }
    }

    /// Captures an exchange, if the fleet's configuration asks for it and the request is one of the sampled.
    fn keep(
        &self,
        endpoint: &str,
        fleet: &Fleet,
        variant: &Variant,
        headers: &HeaderMap,
        asked: &Bytes,
        answer: &Answer,
    ) {
        if let Some(capture) = &fleet.capture
            && answer.status.is_success()
            && capture.wants_this_one(&variant.name)
        {
            let exchange =
                Exchange { headers, asked, answer_type: answer.content_type(), answered: &answer.body };
            self.captures.keep(capture.line(endpoint, &variant.name, &exchange));
        }
    }

    async fn ask(
        &self,
        variant: &Variant,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self
            .containers
            .post(format!("http://127.0.0.1:{}/invocations", variant.port))
            .timeout(PATIENCE)
            .body(body.clone());
        for passed in
            ["content-type", "accept", "x-amzn-sagemaker-custom-attributes", "x-amzn-sagemaker-session-id"]
        {
            if let Some(value) = headers.get(passed) {
                request = request.header(passed, value);
            }
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Ok(Answer { status, headers, body: answer.bytes().await? })
    }

    fn model_error(
        &self,
        endpoint: &str,
        variant: &Variant,
        status: u16,
        message: String,
        original: String,
    ) -> Response {
        let code =
            if (400..500).contains(&status) { "CLIENT_ERROR_FROM_MODEL" } else { "SERVER_ERROR_FROM_MODEL" };
        let body = json!({
            "ErrorCode": code,
            "Message": message,
            "OriginalMessage": original,
            "OriginalStatusCode": status,
            "LogStreamArn": format!(
                "arn:aws:logs:{}:{}:log-group:/aws/sagemaker/Endpoints/{endpoint}:log-stream:{}",
                self.config.region, self.config.account_id, variant.log_stream
            ),
        });
        answer(StatusCode::FAILED_DEPENDENCY, "ModelError", &body)
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// What a fleet answers whose model fails under traffic: its container was asked, and is healthy.
fn spoil(answer: &Answer) -> Answer {
    Answer {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        headers: answer.headers.clone(),
        body: Bytes::from_static(br#"{"error": "the model failed on this request"}"#),
    }
}

fn refusal(code: &'static str, message: String) -> Response {
    answer(StatusCode::BAD_REQUEST, code, &json!({"Message": message}))
}

/// An error as SageMaker Runtime puts it on the wire: its name in a header.
fn answer(status: StatusCode, code: &'static str, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(code));
    response
}
