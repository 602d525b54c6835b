//! SageMaker Runtime: asking an endpoint, and keeping what was asked and answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use super::Inner;
use super::backend::Location;
use super::container::strings;
use super::endpoint::{Fleet, Variant};

/// What a request or an answer may be long.
const LARGEST: usize = 6_291_456;
/// How long a container may think.
const PATIENCE: Duration = Duration::from_secs(60);
/// Successive multiples of this, modulo one, are spread evenly: shares come out right after few requests.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// What of the traffic is kept, and where.
#[derive(Debug)]
pub(super) struct Capture {
    percent: u64,
    destination: Location,
    uri: String,
    kms: Option<String>,
    input: bool,
    output: bool,
    csv: Vec<String>,
    json: Vec<String>,
    seen: AtomicU64,
}

impl Capture {
    /// Reads a `DataCaptureConfig`; none if capture is switched off.
    pub(super) fn of(config: &Value) -> Option<Self> {
        if config["EnableCapture"] == json!(false) {
            return None;
        }
        let uri = config["DestinationS3Uri"].as_str().unwrap_or_default();
        let modes: Vec<&str> = config["CaptureOptions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|option| option["CaptureMode"].as_str())
            .collect();
        let headers = &config["CaptureContentTypeHeader"];
        Some(Self {
            percent: config["InitialSamplingPercentage"].as_u64().unwrap_or(0),
            destination: Location::parse(uri).ok()?,
            uri: uri.to_owned(),
            kms: config["KmsKeyId"].as_str().map(str::to_owned),
            input: modes.iter().any(|mode| matches!(*mode, "Input" | "InputAndOutput")),
            output: modes.iter().any(|mode| matches!(*mode, "Output" | "InputAndOutput")),
            csv: strings(headers.get("CsvContentTypes")),
            json: strings(headers.get("JsonContentTypes")),
            seen: AtomicU64::new(0),
        })
    }

    pub(super) fn summary(&self) -> Value {
        json!({
            "EnableCapture": true,
            "CaptureStatus": "Started",
            "CurrentSamplingPercentage": self.percent,
            "DestinationS3Uri": self.uri,
            "KmsKeyId": self.kms.as_deref().unwrap_or_default(),
        })
    }

    fn wants_this_one(&self) -> bool {
        let count = self.seen.fetch_add(1, Ordering::Relaxed);
        (count as f64 * GOLDEN).fract() * 100.0 < self.percent as f64
    }

    /// A body as the capture has it: text where its content type was declared, base64 where not.
    fn side(&self, mode: &str, content_type: &str, body: &[u8]) -> Value {
        let plain = content_type.split(';').next().unwrap_or_default().trim();
        let declared = |types: &[String]| types.iter().any(|declared| declared == plain);
        let (encoding, data) = match std::str::from_utf8(body) {
            Ok(text) if declared(&self.json) => ("JSON", text.to_owned()),
            Ok(text) if declared(&self.csv) => ("CSV", text.to_owned()),
            _ => ("BASE64", STANDARD.encode(body)),
        };
        json!({"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding})
    }
}

/// One question and its answer.
struct Exchange<'a> {
    headers: &'a HeaderMap,
    asked: &'a Bytes,
    answer_type: &'a str,
    answered: &'a Bytes,
}

impl Inner {
    pub(super) async fn invoke_endpoint(
        self: &Arc<Self>,
        name: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Response {
        if body.len() > LARGEST {
            return refusal(
                "ValidationError",
                format!("The request body must not be longer than {LARGEST} bytes."),
            );
        }
        let fleet = self.state().endpoints.get(name).and_then(|endpoint| endpoint.fleet.clone());
        let Some(fleet) = fleet else {
            return refusal(
                "ValidationError",
                format!("Endpoint {name} of account {} not found.", self.config.account_id),
            );
        };
        let target = header(headers, "x-amzn-sagemaker-target-variant");
        let Some(variant) = self.choose(&fleet, target) else {
            return refusal(
                "ValidationError",
                format!(
                    "Variant {} not found for endpoint {name}.",
                    target.unwrap_or("with a weight above 0")
                ),
            );
        };

        let mut request = self
            .containers
            .post(format!("http://127.0.0.1:{}/invocations", variant.port))
            .timeout(PATIENCE)
            .body(body.clone());
        for (from, to) in [
            ("content-type", "content-type"),
            ("accept", "accept"),
            ("x-amzn-sagemaker-custom-attributes", "x-amzn-sagemaker-custom-attributes"),
            ("x-amzn-sagemaker-session-id", "x-amzn-sagemaker-session-id"),
        ] {
            if let Some(value) = headers.get(from) {
                request = request.header(to, value);
            }
        }
        let begun = Instant::now();
        let answer = match request.send().await {
            Ok(answer) => {
                let (status, headers) = (answer.status(), answer.headers().clone());
                answer.bytes().await.map(|bytes| (status, headers, bytes))
            }
            Err(error) => Err(error),
        };
        let latency = begun.elapsed();
        let (status, answer_headers, answered) = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.count(name, &variant.name, 500, latency);
                let message = if error.is_timeout() {
                    "Your invocation timed out while waiting for a response from container primary. Review the latency \
                     metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
                } else {
                    "The container did not answer."
                };
                return self.model_error(name, variant, 500, message.to_owned(), String::new());
            }
        };
        self.count(name, &variant.name, status.as_u16(), latency);
        if !status.is_success() {
            let text = String::from_utf8_lossy(&answered).into_owned();
            let side = if status.is_client_error() { "client" } else { "server" };
            let message = format!(
                "Received {side} error ({}) from primary with message \"{text}\". See the log stream {} in \
                 /aws/sagemaker/Endpoints/{name} for more information.",
                status.as_u16(),
                variant.log_stream
            );
            return self.model_error(name, variant, status.as_u16(), message, text);
        }

        let answer_type =
            header(&answer_headers, "content-type").unwrap_or("application/octet-stream").to_owned();
        if let Some(capture) = &fleet.capture
            && capture.wants_this_one()
        {
            let exchange = Exchange { headers, asked: &body, answer_type: &answer_type, answered: &answered };
            self.capture(name, &variant.name, capture, &exchange);
        }
        let mut response = Response::new(Body::from(answered));
        let set = response.headers_mut();
        if let Ok(value) = HeaderValue::from_str(&answer_type) {
            set.insert("content-type", value);
        }
        if let Ok(value) = HeaderValue::from_str(&variant.name) {
            set.insert("x-amzn-invoked-production-variant", value);
        }
        for passed in ["x-amzn-sagemaker-custom-attributes", "x-amzn-sagemaker-new-session-id"] {
            if let Some(value) = answer_headers.get(passed) {
                set.insert(passed, value.clone());
            }
        }
        response
    }

    /// The variant that was asked for, else one by weight.
    fn choose<'a>(&self, fleet: &'a Fleet, target: Option<&str>) -> Option<&'a Variant> {
        if let Some(target) = target {
            return fleet.variants.iter().find(|variant| variant.name == target);
        }
        let total: f64 = fleet.variants.iter().map(|variant| variant.weight).sum();
        if total <= 0.0 {
            return None;
        }
        let turn = self.invocations.fetch_add(1, Ordering::Relaxed);
        let mut point = (turn as f64 * GOLDEN).fract() * total;
        for variant in fleet.variants.iter().filter(|variant| variant.weight > 0.0) {
            if point < variant.weight {
                return Some(variant);
            }
            point -= variant.weight;
        }
        fleet.variants.iter().rfind(|variant| variant.weight > 0.0)
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

    /// Writes one line to the place where the configuration wants what was asked and answered.
    fn capture(self: &Arc<Self>, endpoint: &str, variant: &str, capture: &Capture, exchange: &Exchange<'_>) {
        let at = Timestamp::now();
        let id = uuid::Uuid::new_v4();
        let mut data = json!({});
        if capture.input {
            let content_type = header(exchange.headers, "content-type").unwrap_or("application/octet-stream");
            data["endpointInput"] = capture.side("INPUT", content_type, exchange.asked);
        }
        if capture.output {
            data["endpointOutput"] = capture.side("OUTPUT", exchange.answer_type, exchange.answered);
        }
        let mut event = json!({
            "eventId": id.to_string(),
            "inferenceTime": at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        });
        if let Some(inference) = header(exchange.headers, "x-amzn-sagemaker-inference-id") {
            event["inferenceId"] = json!(inference);
        }
        let line = json!({"captureData": data, "eventMetadata": event, "eventVersion": "0"});
        let path = at.to_zoned(TimeZone::UTC).strftime("%Y/%m/%d/%H/%M-%S").to_string();
        let millisecond = at.as_millisecond().rem_euclid(1000);
        let object =
            capture.destination.below(&format!("{endpoint}/{variant}/{path}-{millisecond:03}-{id}.jsonl"));
        let kms = capture.kms.clone();
        let inner = Arc::clone(self);
        // The caller does not wait for it, as in AWS.
        tokio::spawn(async move {
            let bytes = format!("{line}\n").into_bytes();
            if let Err(error) = inner.backend.write(bytes, &object, kms.as_deref()).await {
                tracing::warn!(object = object.uri(), %error, "captured traffic was lost");
            }
        });
    }

    /// The metrics that alarms watch, in the service's units.
    fn count(self: &Arc<Self>, endpoint: &str, variant: &str, status: u16, latency: Duration) {
        let dimensions = json!([
            {"Name": "EndpointName", "Value": endpoint},
            {"Name": "VariantName", "Value": variant},
        ]);
        let metric = |name: &str, value: f64, unit: &str| json!({"MetricName": name, "Dimensions": dimensions, "Value": value, "Unit": unit});
        let error = |from: u16| if (from..from + 100).contains(&status) { 1.0 } else { 0.0 };
        let body = json!({"Namespace": "AWS/SageMaker", "MetricData": [
            metric("Invocations", 1.0, "None"),
            metric("Invocation4XXErrors", error(400), "None"),
            metric("Invocation5XXErrors", error(500), "None"),
            metric("ModelLatency", latency.as_micros() as f64, "Microseconds"),
        ]});
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            let sent =
                inner.backend.json("monitoring", "GraniteServiceVersion20100801.PutMetricData", &body).await;
            if let Err(error) = sent {
                tracing::debug!(%error, "metrics of an invocation were lost");
            }
        });
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(percent: u64) -> Capture {
        Capture::of(&json!({
            "InitialSamplingPercentage": percent,
            "DestinationS3Uri": "s3://lockstep-work/capture/",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
        }))
        .unwrap()
    }

    #[test]
    fn sampling_takes_its_share() {
        for percent in [0, 20, 50, 100] {
            let capture = capture(percent);
            let taken = (0..1000).filter(|_| capture.wants_this_one()).count() as i64;
            assert!((taken - 10 * percent as i64).abs() <= 10, "{percent}%: {taken}");
        }
    }

    #[test]
    fn only_declared_types_are_kept_as_text() {
        let capture = capture(100);
        assert_eq!(capture.side("INPUT", "application/json; charset=utf-8", b"{}")["encoding"], "JSON");
        let other = capture.side("INPUT", "text/csv", b"1,2");
        assert_eq!((other["encoding"].as_str(), other["data"].as_str()), (Some("BASE64"), Some("MSwy")));
    }

    #[test]
    fn capture_that_is_switched_off_is_none() {
        assert!(Capture::of(&json!({"EnableCapture": false, "DestinationS3Uri": "s3://a/b"})).is_none());
    }
}
