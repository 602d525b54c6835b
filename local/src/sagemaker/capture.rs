//! Keeping what was asked and answered, as SageMaker writes it: lines gathered into objects.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::backend::{Backend, Location};
use super::container::strings;
use super::traffic::GOLDEN;

/// How long lines are gathered at most; AWS gathers for longer.
const GATHERED: Duration = Duration::from_secs(2);
/// How many lines an object holds at most.
const MOST_LINES: usize = 500;

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
    /// Exchanges so far, by variant: a shadow's do not take from the sample of what it mirrors.
    seen: Mutex<BTreeMap<String, u64>>,
}

/// One question and its answer.
pub(super) struct Exchange<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) asked: &'a Bytes,
    pub(super) answer_type: &'a str,
    pub(super) answered: &'a Bytes,
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
            seen: Mutex::default(),
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

    /// Whether this request to a variant is one of the sampled.
    pub(super) fn wants_this_one(&self, variant: &str) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let count = seen.entry(variant.to_owned()).or_default();
        let place = (*count as f64 * GOLDEN).fract() * 100.0;
        *count += 1;
        place < self.percent as f64
    }

    /// The line about an exchange with a variant of an endpoint, and where it goes.
    pub(super) fn line(&self, endpoint: &str, variant: &str, exchange: &Exchange<'_>) -> Line {
        let mut data = json!({});
        if self.input {
            let content_type = header(exchange.headers, "content-type").unwrap_or("application/octet-stream");
            data["endpointInput"] = self.side("INPUT", content_type, exchange.asked);
        }
        if self.output {
            data["endpointOutput"] = self.side("OUTPUT", exchange.answer_type, exchange.answered);
        }
        let at = Timestamp::now();
        let mut event = json!({
            "eventId": uuid::Uuid::new_v4().to_string(),
            "inferenceTime": at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        });
        if let Some(inference) = header(exchange.headers, "x-amzn-sagemaker-inference-id") {
            event["inferenceId"] = json!(inference);
        }
        if let Some(attributes) = header(exchange.headers, "x-amzn-sagemaker-custom-attributes") {
            event["customAttributes"] = json!([attributes]);
        }
        let line = json!({"captureData": data, "eventMetadata": event, "eventVersion": "0"});
        Line {
            place: Place {
                folder: self.destination.below(&format!("{endpoint}/{variant}")).uri(),
                kms: self.kms.clone(),
            },
            at,
            text: line.to_string(),
        }
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

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// What shares an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    folder: String,
    kms: Option<String>,
}

/// One captured exchange.
#[derive(Debug)]
pub(super) struct Line {
    place: Place,
    at: Timestamp,
    text: String,
}

/// Where lines are gathered: the caller waits for none of it, as in AWS.
#[derive(Debug, Clone)]
pub(super) struct Captures(mpsc::UnboundedSender<Message>);

#[derive(Debug)]
enum Message {
    Keep(Line),
    Flush(oneshot::Sender<()>),
}

impl Captures {
    /// Starts the task that writes them.
    pub(super) fn start(backend: Backend) -> Self {
        let (sender, queue) = mpsc::unbounded_channel();
        tokio::spawn(gather(backend, queue));
        Self(sender)
    }

    pub(super) fn keep(&self, line: Line) {
        // Without a receiver the account is shutting down, and its bucket goes with it.
        let _ = self.0.send(Message::Keep(line));
    }

    /// Returns once all that was captured before has been written.
    pub(super) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.0.send(Message::Flush(done)).is_ok() {
            let _ = written.await;
        }
    }
}

async fn gather(backend: Backend, mut queue: mpsc::UnboundedReceiver<Message>) {
    let mut gathered: BTreeMap<Place, Vec<Line>> = BTreeMap::new();
    let mut tick = tokio::time::interval(GATHERED);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let waiting = tokio::select! {
            message = queue.recv() => match message {
                Some(Message::Keep(line)) => {
                    let lines = gathered.entry(line.place.clone()).or_default();
                    lines.push(line);
                    if lines.len() >= MOST_LINES {
                        write(&backend, &std::mem::take(lines)).await;
                    }
                    continue;
                }
                Some(Message::Flush(done)) => Some(done),
                None => return,
            },
            _ = tick.tick() => None,
        };
        for lines in std::mem::take(&mut gathered).into_values() {
            write(&backend, &lines).await;
        }
        if let Some(done) = waiting {
            let _ = done.send(());
        }
    }
}

async fn write(backend: &Backend, lines: &[Line]) {
    let Some(first) = lines.first() else { return };
    let Ok(folder) = Location::parse(&first.place.folder) else { return };
    let object = folder.below(&name(first.at, uuid::Uuid::new_v4()));
    let text: String = lines.iter().flat_map(|line| [line.text.as_str(), "\n"]).collect();
    if let Err(error) = backend.write(text.into_bytes(), &object, first.place.kms.as_deref()).await {
        tracing::warn!(object = object.uri(), lines = lines.len(), %error, "captured traffic was lost");
    }
}

/// `yyyy/mm/dd/hh/mm-ss-mmm-<uuid>.jsonl`, in UTC.
fn name(at: Timestamp, id: uuid::Uuid) -> String {
    let path = at.to_zoned(TimeZone::UTC).strftime("%Y/%m/%d/%H/%M-%S").to_string();
    format!("{path}-{:03}-{id}.jsonl", at.as_millisecond().rem_euclid(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(percent: u64) -> Capture {
        Capture::of(&json!({
            "InitialSamplingPercentage": percent,
            "DestinationS3Uri": "s3://lockstep-work/capture/",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"], "CsvContentTypes": ["text/csv"]},
        }))
        .unwrap()
    }

    #[test]
    fn sampling_takes_its_share() {
        for percent in [0, 20, 50, 100] {
            let capture = capture(percent);
            let taken = (0..1000).filter(|_| capture.wants_this_one("primary")).count() as i64;
            assert!((taken - 10 * percent as i64).abs() <= 10, "{percent}%: {taken}");
        }
    }

    #[test]
    fn only_declared_types_are_kept_as_text() {
        let capture = capture(100);
        assert_eq!(capture.side("INPUT", "application/json; charset=utf-8", b"{}")["encoding"], "JSON");
        assert_eq!(capture.side("INPUT", "text/csv", b"1,2")["data"], "1,2");
        let other = capture.side("INPUT", "text/plain", b"1,2");
        assert_eq!((other["encoding"].as_str(), other["data"].as_str()), (Some("BASE64"), Some("MSwy")));
        assert_eq!(capture.side("INPUT", "text/csv", &[0xff])["encoding"], "BASE64");
    }

    #[test]
    fn a_line_says_what_sagemakers_says() {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "text/csv".parse().unwrap());
        headers.insert("x-amzn-sagemaker-inference-id", "order-7".parse().unwrap());
        let exchange = Exchange {
            headers: &headers,
            asked: &Bytes::from_static(b"1,2"),
            answer_type: "application/json",
            answered: &Bytes::from_static(b"[0.5]"),
        };
        let line = capture(100).line("tiny-lm", "primary", &exchange);
        assert_eq!(line.place.folder, "s3://lockstep-work/capture/tiny-lm/primary");
        let mut said: Value = serde_json::from_str(&line.text).unwrap();
        let event = said["eventMetadata"].as_object_mut().unwrap();
        assert!(event.remove("eventId").is_some() && event.remove("inferenceTime").is_some());
        let input =
            json!({"observedContentType": "text/csv", "mode": "INPUT", "data": "1,2", "encoding": "CSV"});
        let output = json!({"observedContentType": "application/json", "mode": "OUTPUT", "data": "[0.5]", "encoding": "JSON"});
        assert_eq!(
            said,
            json!({
                "captureData": {"endpointInput": input, "endpointOutput": output},
                "eventMetadata": {"inferenceId": "order-7"},
                "eventVersion": "0",
            })
        );
    }

    #[test]
    fn objects_are_named_by_the_hour_and_their_first_line() {
        let at: Timestamp = "2026-02-03T04:05:06.007Z".parse().unwrap();
        let id = uuid::Uuid::nil();
        assert_eq!(name(at, id), format!("2026/02/03/04/05-06-007-{id}.jsonl"));
    }

    #[test]
    fn capture_that_is_switched_off_is_none() {
        assert!(Capture::of(&json!({"EnableCapture": false, "DestinationS3Uri": "s3://a/b"})).is_none());
    }
}
