//! What SageMaker captured of an endpoint's traffic, and the labels that come later.
//!
//! Data capture writes JSON lines to S3: each is one invocation with what went in and what came out, as text under the
//! encoding `CSV` or `JSON` for the content types that the endpoint's configuration names, and under `BASE64` for every other
//! (SageMaker developer guide, "Data capture"). Ground truth lies in the same kind of file; its `eventId` is the capture's
//! `inferenceId` where the caller gave one, and its `eventId` otherwise ("Ingest Ground Truth labels and merge them with
//! predictions").

use std::io::{self, BufRead};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};

use crate::lines::{Lines, TooLong};

/// Why a line is not used. The stream goes on after it.
#[derive(Debug, thiserror::Error)]
pub enum LineProblem {
    /// Longer than is looked at.
    #[error("it is longer than allowed")]
    TooLong,
    /// Not JSON, or other JSON.
    #[error("it is no capture: {0}")]
    Malformed(String),
    /// Data that is said to be base64 and is not.
    #[error("its {0} is not base64")]
    NotBase64(&'static str),
    /// An encoding of its own.
    #[error("its {side} is encoded as `{encoding}`, which is none of CSV, JSON, BASE64")]
    Encoding {
        /// `input`, `output` or `label`.
        side: &'static str,
        /// The encoding.
        encoding: String,
    },
}

/// A line that is not used.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct BadLine {
    /// Its number in the stream, from 1.
    pub line: u64,
    /// Why.
    pub problem: LineProblem,
}

/// One invocation of an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// The identifier that SageMaker gave it.
    pub event_id: String,
    /// The identifier that the caller gave it.
    pub inference_id: Option<String>,
    /// When; absent where it is no time.
    pub time: Option<Timestamp>,
    /// What went in, if inputs are captured.
    pub input: Option<Payload>,
    /// What came out, if outputs are captured.
    pub output: Option<Payload>,
}

impl Capture {
    /// What a label names it by: the caller's identifier, else SageMaker's.
    pub fn id(&self) -> &str {
        self.inference_id.as_deref().unwrap_or(&self.event_id)
    }
}

/// A body as it went over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// What the header said it is; empty where it said nothing.
    pub content_type: String,
    /// As what the capture holds it.
    pub encoding: Encoding,
    /// The bytes, decoded.
    pub body: Vec<u8>,
}

/// As what a capture holds a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As text, since its content type is configured as CSV.
    Csv,
    /// As text, since its content type is configured as JSON.
    Json,
    /// As base64: nothing is known but the content type.
    Base64,
}

/// A label that came after the prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// The prediction's [`Capture::id`].
    pub id: String,
    /// One value for each row that was predicted.
    pub payload: Payload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CaptureLine {
    capture_data: CaptureData,
    event_metadata: EventMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CaptureData {
    endpoint_input: Option<Data>,
    endpoint_output: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LabelLine {
    ground_truth_data: Data,
    event_metadata: EventMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    observed_content_type: Option<String>,
    data: String,
    encoding: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventMetadata {
    event_id: String,
    inference_id: Option<String>,
    inference_time: Option<String>,
}

impl Data {
    fn decode(self, side: &'static str) -> Result<Payload, LineProblem> {
        let (encoding, body) = match self.encoding.as_str() {
            "CSV" => (Encoding::Csv, self.data.into_bytes()),
            "JSON" => (Encoding::Json, self.data.into_bytes()),
            "BASE64" => {
                let body = STANDARD.decode(self.data).map_err(|_| LineProblem::NotBase64(side))?;
                (Encoding::Base64, body)
            }
            _ => return Err(LineProblem::Encoding { side, encoding: self.encoding }),
        };
        Ok(Payload { content_type: self.observed_content_type.unwrap_or_default(), encoding, body })
    }
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, LineProblem> {
    serde_json::from_slice(line).map_err(|error| LineProblem::Malformed(error.to_string()))
}

/// A line of a JSON lines file that this module reads.
pub trait Record: Sized {
    /// Reads the line.
    ///
    /// # Errors
    /// When it is something else.
    fn parse(line: &[u8]) -> Result<Self, LineProblem>;
}

impl Record for Capture {
    fn parse(line: &[u8]) -> Result<Self, LineProblem> {
        let line: CaptureLine = parse(line)?;
        let decode = |data: Option<Data>, side: &'static str| data.map(|data| data.decode(side)).transpose();
        Ok(Self {
            event_id: line.event_metadata.event_id,
            inference_id: line.event_metadata.inference_id,
            time: line.event_metadata.inference_time.and_then(|time| time.parse().ok()),
            input: decode(line.capture_data.endpoint_input, "input")?,
            output: decode(line.capture_data.endpoint_output, "output")?,
        })
    }
}

impl Record for Label {
    fn parse(line: &[u8]) -> Result<Self, LineProblem> {
        let line: LabelLine = parse(line)?;
        let payload = line.ground_truth_data.decode("label")?;
        Ok(Self { id: line.event_metadata.event_id, payload })
    }
}

/// Reads records from pieces of a stream, as they come.
///
/// Memory is bounded by one line. A bad line is handed on as such, with its number, and reading goes on.
#[derive(Debug)]
pub struct Reader {
    lines: Lines,
}

impl Reader {
    /// Looks at lines of at most `longest` bytes; see [`LONGEST`](crate::lines::LONGEST).
    pub fn new(longest: usize) -> Self {
        Self { lines: Lines::new(longest) }
    }

    /// Takes the next piece of the stream and hands on every record that ends in it.
    pub fn feed<T: Record>(&mut self, piece: &[u8], mut each: impl FnMut(Result<T, BadLine>)) {
        self.lines.feed(piece, |line, bytes| each(record(line, bytes)));
    }

    /// The stream has ended: hands on a last record whose line has no end.
    pub fn finish<T: Record>(self, mut each: impl FnMut(Result<T, BadLine>)) {
        self.lines.finish(|line, bytes| each(record(line, bytes)));
    }
}

fn record<T: Record>(line: u64, bytes: Result<&[u8], TooLong>) -> Result<T, BadLine> {
    bytes
        .map_err(|TooLong| LineProblem::TooLong)
        .and_then(T::parse)
        .map_err(|problem| BadLine { line, problem })
}

/// Reads all records of a source; see [`Reader`].
///
/// # Errors
/// When the source cannot be read.
pub fn read<T: Record>(
    mut source: impl BufRead,
    longest: usize,
    mut each: impl FnMut(Result<T, BadLine>),
) -> io::Result<()> {
    let mut reader = Reader::new(longest);
    loop {
        let piece = source.fill_buf()?;
        if piece.is_empty() {
            reader.finish(&mut each);
            return Ok(());
        }
        let length = piece.len();
        reader.feed(piece, &mut each);
        source.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lines::LONGEST;

    fn all<T: Record>(text: &[u8]) -> Vec<Result<T, BadLine>> {
        let mut found = Vec::new();
        read(text, LONGEST, |record| found.push(record)).unwrap();
        found
    }

    /// As SageMaker's own guide shows a line, but for its values.
    const LINE: &str = r#"{"captureData":{"endpointInput":{"observedContentType":"text/csv","mode":"INPUT","data":"132,25,113.2\n","encoding":"CSV"},"endpointOutput":{"observedContentType":"text/csv; charset=utf-8","mode":"OUTPUT","data":"MC4wMQ==","encoding":"BASE64"}},"eventMetadata":{"eventId":"e-1","inferenceId":"mine","customAttributes":["a"],"inferenceTime":"2026-11-14T06:27:33Z"},"eventVersion":"0"}"#;

    #[test]
    fn a_line_as_sagemaker_writes_it_is_read() {
        let [Ok(capture)] = &all::<Capture>(LINE.as_bytes())[..] else { panic!() };
        assert_eq!(capture.id(), "mine");
        assert_eq!(capture.time, Some("2026-11-14T06:27:33Z".parse().unwrap()));
        let input = capture.input.as_ref().unwrap();
        assert_eq!((&input.body[..], input.encoding), (&b"132,25,113.2\n"[..], Encoding::Csv));
        let output = capture.output.as_ref().unwrap();
        assert_eq!((&output.body[..], output.encoding), (&b"0.01"[..], Encoding::Base64));
    }

    #[test]
    fn without_the_callers_identifier_a_label_names_sagemakers() {
        let line = LINE.replace(r#""inferenceId":"mine","#, "");
        let [Ok(capture)] = &all::<Capture>(line.as_bytes())[..] else { panic!() };
        assert_eq!(capture.id(), "e-1");
        let label = r#"{"groundTruthData":{"data":"1","encoding":"CSV"},"eventMetadata":{"eventId":"e-1"},"eventVersion":"0"}"#;
        let [Ok(label)] = &all::<Label>(label.as_bytes())[..] else { panic!() };
        assert_eq!((label.id.as_str(), &label.payload.body[..]), ("e-1", &b"1"[..]));
    }

    #[test]
    fn each_bad_line_is_named_and_the_good_ones_are_read() {
        let no_base64 = LINE.replace("MC4wMQ==", "%");
        let encoding = LINE.replace(r#""CSV""#, r#""GZIP""#);
        let text = format!("{LINE}\nnot json\n[]\n{no_base64}\n{encoding}\n{LINE}");
        let said: Vec<String> = all::<Capture>(text.as_bytes())
            .into_iter()
            .map(|record| record.map_or_else(|bad| bad.to_string(), |_| "read".to_owned()))
            .collect();
        assert_eq!((&said[0], &said[5]), (&"read".to_owned(), &"read".to_owned()));
        assert!(said[1].starts_with("line 2: it is no capture"), "{}", said[1]);
        assert!(said[2].starts_with("line 3: it is no capture"), "{}", said[2]);
        assert_eq!(said[3], "line 4: its output is not base64");
        assert_eq!(said[4], "line 5: its input is encoded as `GZIP`, which is none of CSV, JSON, BASE64");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            cut in 0..LINE.len(),
            inserted in prop::collection::vec(any::<u8>(), 0..12),
            noise in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let changed = [&LINE.as_bytes()[..cut], &inserted, &LINE.as_bytes()[cut..]].concat();
            all::<Capture>(&changed);
            all::<Label>(&changed);
            all::<Capture>(&noise);
        }
    }
}
