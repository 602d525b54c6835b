//! What the candidate answers to held-out rows, written as SageMaker writes what an endpoint is asked and answers.
//!
//! The traffic that the model meets in service is compared with these, so they are made by the code that serves. The
//! form is that of data capture:
//! <https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture.html>

use serde::Serialize;

use crate::checkpoint::Checkpoint;
use crate::generate::{Sampling, generate};
use crate::model::Model;
use crate::serve::{Answer, DEFAULT_NEW_TOKENS};
use crate::stop::Stop;
use crate::{Error, progress};

/// Rows that are continued. A comparison wants a hundred on either side.
const ROWS: usize = 200;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    capture_data: CaptureData,
    event_metadata: EventMetadata,
    event_version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CaptureData {
    endpoint_input: Payload,
    endpoint_output: Payload,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    observed_content_type: &'static str,
    mode: &'static str,
    data: String,
    encoding: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventMetadata {
    event_id: String,
}

#[derive(Serialize)]
struct Asked<'a> {
    inputs: &'a str,
}

/// Continues rows, and gives one line of JSON for each. A row that leaves no room for an answer is left out.
///
/// # Errors
/// The model's own, and [`Error::Stopped`] when the job is stopped.
pub fn of(model: &Model, checkpoint: &Checkpoint, texts: &[&str], stop: &Stop) -> Result<Vec<u8>, Error> {
    let mut lines = Vec::new();
    let mut written = 0;
    for (number, text) in texts.iter().take(ROWS).enumerate() {
        stop.check(|| "while answering held-out rows".to_owned())?;
        let asked = question(text);
        let prompt = checkpoint.prompt(asked)?;
        if prompt.len() >= model.config().max_position_embeddings {
            continue;
        }
        let with = Sampling { max_new_tokens: DEFAULT_NEW_TOKENS, temperature: 0.0, seed: 0 };
        let generated_text = checkpoint.text(&generate(model, &prompt, with)?)?;
        let line = Line {
            capture_data: CaptureData {
                endpoint_input: payload("INPUT", &Asked { inputs: asked }),
                endpoint_output: payload("OUTPUT", &[Answer { generated_text }]),
            },
            event_metadata: EventMetadata { event_id: format!("held-out-{number}") },
            event_version: "0",
        };
        lines.extend(serde_json::to_vec(&line).unwrap_or_default());
        lines.push(b'\n');
        written += 1;
    }
    progress::line(format_args!("answered {written} held-out rows, to compare traffic with"));
    Ok(lines)
}

fn payload(mode: &'static str, data: &impl Serialize) -> Payload {
    let data = serde_json::to_string(data).unwrap_or_default();
    Payload { observed_content_type: "application/json", mode, data, encoding: "JSON" }
}

/// A row's first line, with its end; of a row of one line, the first half of its words.
fn question(text: &str) -> &str {
    if let Some(end) = text.find('\n').filter(|end| end + 1 < text.len()) {
        return &text[..=end];
    }
    let spaces: Vec<usize> = text.match_indices(' ').map(|(at, _)| at).collect();
    spaces.get(spaces.len() / 2).map_or(text, |&at| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_asked_by_its_first_line_or_half_its_words() {
        for (text, asked) in [
            ("Q: what?\nA: this.", "Q: what?\n"),
            ("one two three four", "one two"),
            ("one", "one"),
            ("ends\n", "ends\n"),
            ("ü ö", "ü"),
        ] {
            assert_eq!(question(text), asked, "{text}");
        }
    }
}
