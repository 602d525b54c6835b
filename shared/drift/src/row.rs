//! Bodies as rows of named values.
//!
//! - A JSON object is a row. Nested objects are named by their path (`customer.age`), an array by its length
//!   (`items.length`).
//! - An array of objects or arrays, bare or as the only field of an object (`{"instances": [...]}`), is a row each; an array of
//!   other values is one row, its columns named by their position from 0. So is a lone value.
//! - JSON lines are rows, as are CSV's; CSV's columns have the names that the settings give them, else their positions.
//! - A text has two numbers beside it: `<name>.chars` and `<name>.words`.
//!
//! Names begin with `input.` or `output.`. A number that is not finite is a missing value, as are null, an empty
//! CSV cell and CSV's `nan`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::capture::{Capture, Encoding, Payload};

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A finite number.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// A text.
    Text(String),
}

impl Value {
    /// As the name of a category.
    pub fn category(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Text(text) => text.clone(),
        }
    }

    /// As a number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Bool(_) | Self::Text(_) => None,
        }
    }
}

/// Which of an invocation's bodies were captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// What went in.
    Input,
    /// What came out.
    Output,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Input, Self::Output];

    /// What names of its values begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Input => "input.",
            Self::Output => "output.",
        }
    }

    /// Which side a name is of.
    pub fn of(name: &str) -> Option<Self> {
        Self::BOTH.into_iter().find(|side| name.starts_with(side.prefix()))
    }
}

/// What was asked and answered once: the values that are there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Whether an input was captured, so that what it lacks is missing.
    pub has_input: bool,
    /// Whether an output was captured.
    pub has_output: bool,
    /// Values by name; a missing value is absent.
    pub values: BTreeMap<String, Value>,
}

impl Row {
    /// Whether this side was captured.
    pub fn has(&self, side: Side) -> bool {
        match side {
            Side::Input => self.has_input,
            Side::Output => self.has_output,
        }
    }
}

/// Names for CSV's columns, in order; those beyond are named by position.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Columns {
    /// Of inputs.
    pub input: Vec<String>,
    /// Of outputs.
    pub output: Vec<String>,
}

/// Why a capture has no rows to use.
#[derive(Debug, thiserror::Error)]
pub enum RowProblem {
    /// A body of a kind that is not read.
    #[error("its {side} is `{content_type}`, which is not read")]
    ContentType {
        /// `input`, `output` or `label`.
        side: &'static str,
        /// The content type.
        content_type: String,
    },
    /// A body that is not what its content type says.
    #[error("its {side} cannot be read: {problem}")]
    Malformed {
        /// `input`, `output` or `label`.
        side: &'static str,
        /// Why.
        problem: String,
    },
    /// It cannot be said which answer belongs to which question.
    #[error("it has {input} rows of input and {output} of output")]
    RowsDiffer {
        /// Rows of the input.
        input: usize,
        /// Rows of the output.
        output: usize,
    },
}

/// The rows of a capture: input and output side by side.
///
/// # Errors
/// When a body cannot be read, or they differ in their number of rows.
pub fn rows(capture: &Capture, columns: &Columns) -> Result<Vec<Row>, RowProblem> {
    let part = |payload: &Option<Payload>, side: Side, names: &[String]| {
        payload.as_ref().map(|payload| read(payload, side, names)).transpose()
    };
    let input = part(&capture.input, Side::Input, &columns.input)?;
    let output = part(&capture.output, Side::Output, &columns.output)?;
    if let (Some(input), Some(output)) = (&input, &output)
        && input.len() != output.len()
    {
        return Err(RowProblem::RowsDiffer { input: input.len(), output: output.len() });
    }
    let (has_input, has_output) = (input.is_some(), output.is_some());
    let length = input.as_ref().or(output.as_ref()).map_or(0, Vec::len);
    let mut rows = vec![Row { has_input, has_output, values: BTreeMap::new() }; length];
    for part in [input, output].into_iter().flatten() {
        for (row, values) in rows.iter_mut().zip(part) {
            row.values.extend(values);
        }
    }
    Ok(rows)
}

/// The labels of a prediction, one for each of its rows: the only value of each, or the one named `label`.
///
/// # Errors
/// When it cannot be read.
pub fn labels(payload: &Payload) -> Result<Vec<Option<Value>>, RowProblem> {
    let mut labels = Vec::new();
    for mut row in read_named(payload, "label", "", &[])? {
        let lone = (row.len() == 1).then(|| row.keys().next().cloned()).flatten();
        let label = row.remove("label").or_else(|| lone.and_then(|name| row.remove(&name)));
        labels.push(label.or_else(|| row.remove("0")));
    }
    Ok(labels)
}

type Values = BTreeMap<String, Value>;

fn read(payload: &Payload, side: Side, names: &[String]) -> Result<Vec<Values>, RowProblem> {
    let name = match side {
        Side::Input => "input",
        Side::Output => "output",
    };
    let mut rows = read_named(payload, name, side.prefix(), names)?;
    for row in &mut rows {
        measure_texts(row);
    }
    Ok(rows)
}

/// How a body is read.
enum Form {
    Csv,
    Json,
    JsonLines,
}

impl Form {
    /// By the content type, and where that says nothing that is known, by what the endpoint's configuration made of it.
    fn of(payload: &Payload) -> Option<Self> {
        let essence = payload.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "text/csv" => Some(Self::Csv),
            "application/json" => Some(Self::Json),
            "application/jsonlines"
            | "application/jsonl"
            | "application/x-ndjson"
            | "application/x-jsonlines" => Some(Self::JsonLines),
            other if other.ends_with("+json") => Some(Self::Json),
            _ => match payload.encoding {
                Encoding::Csv => Some(Self::Csv),
                Encoding::Json => Some(Self::Json),
                Encoding::Base64 => None,
            },
        }
    }
}

fn read_named(
    payload: &Payload,
    side: &'static str,
    prefix: &str,
    names: &[String],
) -> Result<Vec<Values>, RowProblem> {
    let malformed = |problem: String| RowProblem::Malformed { side, problem };
    match Form::of(payload) {
        None => Err(RowProblem::ContentType { side, content_type: payload.content_type.clone() }),
        Some(Form::Csv) => {
            read_csv(&payload.body, prefix, names).map_err(|error| malformed(error.to_string()))
        }
        Some(Form::Json) => {
            let json: Json =
                serde_json::from_slice(&payload.body).map_err(|error| malformed(error.to_string()))?;
            Ok(json_rows(json, prefix))
        }
        Some(Form::JsonLines) => {
            let mut rows = Vec::new();
            for json in serde_json::Deserializer::from_slice(&payload.body).into_iter::<Json>() {
                rows.push(json_row(json.map_err(|error| malformed(error.to_string()))?, prefix));
            }
            Ok(rows)
        }
    }
}

fn read_csv(body: &[u8], prefix: &str, names: &[String]) -> Result<Vec<Values>, csv::Error> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(body);
    let mut rows = Vec::new();
    for record in reader.records() {
        let mut row = Values::new();
        for (column, cell) in record?.iter().enumerate() {
            if let Some(value) = cell_value(cell) {
                let name = names.get(column).cloned().unwrap_or_else(|| column.to_string());
                row.insert(format!("{prefix}{name}"), value);
            }
        }
        rows.push(row);
    }
    Ok(rows)
}

fn cell_value(cell: &str) -> Option<Value> {
    if cell.is_empty() || cell.eq_ignore_ascii_case("nan") || cell.eq_ignore_ascii_case("null") {
        return None;
    }
    if let Ok(number) = cell.parse::<f64>() {
        return number.is_finite().then_some(Value::Number(number));
    }
    Some(match cell {
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => Value::Text(cell.to_owned()),
    })
}

fn json_rows(json: Json, prefix: &str) -> Vec<Values> {
    match json {
        Json::Array(items)
            if !items.is_empty() && items.iter().all(|item| item.is_object() || item.is_array()) =>
        {
            items.into_iter().map(|item| json_row(item, prefix)).collect()
        }
        Json::Object(mut fields) if fields.len() == 1 => {
            let wrapped = ["instances", "predictions"].iter().find_map(|name| match fields.get_mut(*name) {
                Some(Json::Array(items)) => Some(std::mem::take(items)),
                _ => None,
            });
            match wrapped {
                Some(items) => items.into_iter().map(|item| json_row(item, prefix)).collect(),
                None => vec![json_row(Json::Object(fields), prefix)],
            }
        }
        other => vec![json_row(other, prefix)],
    }
}

fn json_row(json: Json, prefix: &str) -> Values {
    let mut row = Values::new();
    match json {
        Json::Array(items) => {
            for (column, item) in items.into_iter().enumerate() {
                flatten(&format!("{prefix}{column}"), item, &mut row);
            }
        }
        Json::Object(fields) => {
            for (name, value) in fields {
                flatten(&format!("{prefix}{name}"), value, &mut row);
            }
        }
        lone => flatten(&format!("{prefix}0"), lone, &mut row),
    }
    row
}

fn flatten(name: &str, json: Json, row: &mut Values) {
    let value = match json {
        Json::Null => None,
        Json::Bool(value) => Some(Value::Bool(value)),
        Json::Number(number) => number.as_f64().filter(|number| number.is_finite()).map(Value::Number),
        Json::String(text) => Some(Value::Text(text)),
        Json::Array(items) => {
            row.insert(format!("{name}.length"), Value::Number(items.len() as f64));
            return;
        }
        Json::Object(fields) => {
            for (key, value) in fields {
                flatten(&format!("{name}.{key}"), value, row);
            }
            return;
        }
    };
    if let Some(value) = value {
        row.insert(name.to_owned(), value);
    }
}

fn measure_texts(row: &mut Values) {
    let mut measured = Vec::new();
    for (name, value) in &*row {
        if let Value::Text(text) = value {
            measured.push((format!("{name}.chars"), text.chars().count()));
            measured.push((format!("{name}.words"), text.split_whitespace().count()));
        }
    }
    for (name, count) in measured {
        row.entry(name).or_insert(Value::Number(count as f64));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn payload(content_type: &str, encoding: Encoding, body: &str) -> Payload {
        Payload { content_type: content_type.to_owned(), encoding, body: body.as_bytes().to_vec() }
    }

    fn json(body: &str) -> Payload {
        payload("application/json", Encoding::Json, body)
    }

    fn capture(input: Option<Payload>, output: Option<Payload>) -> Capture {
        Capture { event_id: "e".to_owned(), inference_id: None, time: None, input, output }
    }

    fn shown(rows: &[Row]) -> Vec<String> {
        rows.iter()
            .map(|row| {
                let cells: Vec<String> =
                    row.values.iter().map(|(name, value)| format!("{name}={}", value.category())).collect();
                cells.join(" ")
            })
            .collect()
    }

    fn read_input(payload: Payload) -> Vec<String> {
        shown(&rows(&capture(Some(payload), None), &Columns::default()).unwrap())
    }

    #[test]
    fn an_object_becomes_paths_lengths_and_measured_texts() {
        let body = r#"{"customer": {"age": 31, "vip": true}, "items": [1, 2, 3], "note": "two words", "gone": null}"#;
        let expected = "input.customer.age=31 input.customer.vip=true input.items.length=3 input.note=two words \
                        input.note.chars=9 input.note.words=2";
        assert_eq!(read_input(json(body)), [expected]);
    }

    #[test]
    fn every_way_to_send_two_rows_gives_two_rows() {
        let expected = ["input.0=1.5 input.1=2", "input.0=3 input.1=4"];
        for body in ["[[1.5, 2], [3, 4]]", r#"{"instances": [[1.5, 2], [3, 4]]}"#] {
            assert_eq!(read_input(json(body)), expected, "{body}");
        }
        assert_eq!(read_input(payload("text/csv", Encoding::Csv, "1.5,2\n3,4\n")), expected);
        assert_eq!(
            read_input(payload("text/csv; charset=utf-8", Encoding::Base64, "1.5,2\r\n3,4")),
            expected
        );
        let lines = payload("application/jsonlines", Encoding::Base64, "[1.5, 2]\n[3, 4]\n");
        assert_eq!(read_input(lines), expected);
    }

    #[test]
    fn a_lone_answer_has_the_name_that_csv_gives_it() {
        assert_eq!(read_input(json("0.87")), ["input.0=0.87"]);
        assert_eq!(read_input(json("[0.1, 0.9]")), ["input.0=0.1 input.1=0.9"]);
        assert_eq!(read_input(payload("", Encoding::Csv, "0.87")), ["input.0=0.87"]);
    }

    #[test]
    fn missing_values_are_absent_and_quoted_cells_keep_their_comma() {
        let body = "1,,nan,inf,\"a, b\",True";
        let columns = Columns { input: vec!["n".to_owned()], output: Vec::new() };
        let found = rows(&capture(Some(payload("text/csv", Encoding::Csv, body)), None), &columns).unwrap();
        assert_eq!(shown(&found), ["input.4=a, b input.4.chars=4 input.4.words=2 input.5=true input.n=1"]);
    }

    #[test]
    fn questions_and_answers_are_put_side_by_side_or_refused() {
        let two = json("[[1], [2]]");
        let found =
            rows(&capture(Some(two.clone()), Some(json("[[0.1], [0.2]]"))), &Columns::default()).unwrap();
        assert_eq!(shown(&found), ["input.0=1 output.0=0.1", "input.0=2 output.0=0.2"]);
        let refused = rows(&capture(Some(two), Some(json("[[0.1]]"))), &Columns::default()).unwrap_err();
        assert_eq!(refused.to_string(), "it has 2 rows of input and 1 of output");
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let image = capture(Some(payload("image/png", Encoding::Base64, "x")), None);
        let refused = rows(&image, &Columns::default()).unwrap_err();
        assert_eq!(refused.to_string(), "its input is `image/png`, which is not read");
        let broken = capture(None, Some(json("{")));
        let refused = rows(&broken, &Columns::default()).unwrap_err();
        assert!(refused.to_string().starts_with("its output cannot be read"), "{refused}");
    }

    #[test]
    fn a_label_is_the_only_value_or_the_one_of_that_name() {
        let read = |payload| labels(&payload).unwrap();
        assert_eq!(read(payload("", Encoding::Csv, "1")), [Some(Value::Number(1.0))]);
        assert_eq!(read(payload("", Encoding::Csv, "yes\n\nno\n")).len(), 2);
        assert_eq!(read(json(r#"{"label": "cat", "by": "me"}"#)), [Some(Value::Text("cat".to_owned()))]);
        assert_eq!(read(json("true")), [Some(Value::Bool(true))]);
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in ".{0,80}", kind in 0..4_usize) {
            let kind = ["text/csv", "application/json", "application/jsonlines", ""][kind];
            let payload = payload(kind, Encoding::Json, &body);
            let _ = rows(&capture(Some(payload.clone()), Some(payload.clone())), &Columns::default());
            let _ = labels(&payload);
        }
    }
}
