//! Whether a text is about a person: a field with exactly this value, or this value as a word of its own.
//!
//! `42` is in `{"user": 42}`, in `"order 42, paid"` and in a cell of CSV, and not in `142`, `user-42` or `42.5`. What
//! SageMaker captured is decoded first.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

/// A shorter value would be found in what is nobody's; within one field any length will do.
const SHORTEST: usize = 4;

/// Whom to look for.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    text: String,
    field: Option<String>,
    /// Captured invocations that are theirs: labels name these and nobody.
    pub events: BTreeSet<String>,
}

/// What a search of a text says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// It holds the subject.
    pub is_mentioned: bool,
    /// Bodies that are no text, or have no fields where one was asked for.
    pub opaque: u64,
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.is_mentioned |= other.is_mentioned;
        self.opaque += other.opaque;
    }

    fn of(is_mentioned: bool) -> Self {
        Self { is_mentioned, opaque: 0 }
    }

    const OPAQUE: Self = Self { is_mentioned: false, opaque: 1 };
}

impl Subject {
    /// Somebody by the value that names them, in one field or anywhere.
    ///
    /// # Errors
    /// What is wrong with the value, and what to do.
    pub(crate) fn new(text: &str, field: Option<&str>) -> Result<Self, String> {
        let count = text.chars().count();
        if text.trim() != text || text.chars().any(char::is_control) {
            return Err(
                "SUBJECT begins or ends with a space, or holds a control character: give the value as it stands in the data"
                    .to_owned(),
            );
        }
        if count == 0 {
            return Err("SUBJECT is empty: give the value that names the person in the data".to_owned());
        }
        if field.is_none() && count < SHORTEST {
            return Err(format!(
                "SUBJECT has {count} characters, and would be found in rows of others: give {SHORTEST} at least, or the \
                 field that holds it with --field"
            ));
        }
        if field.is_some_and(str::is_empty) {
            return Err("--field is empty: name the field that holds SUBJECT".to_owned());
        }
        let (text, field) = (text.to_owned(), field.map(str::to_owned));
        Ok(Self { text, field, events: BTreeSet::new() })
    }

    /// The value.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The only field that is searched.
    pub(crate) fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// Whether a key names the subject. A field does not narrow this: a key has none.
    pub(crate) fn in_key(&self, key: &str) -> bool {
        self.field.is_none() && self.names(key)
    }

    /// A key without the subject's value.
    pub(crate) fn redacted(&self, key: &str, pseudonym: &str) -> String {
        if self.names(key) { key.replace(&self.text, pseudonym) } else { key.to_owned() }
    }

    /// A folder or a file is named so, whatever the file's extension.
    fn names(&self, key: &str) -> bool {
        key.split('/').any(|part| {
            self.in_words(part) || part.rsplit_once('.').is_some_and(|(stem, _)| self.in_words(stem))
        })
    }

    /// One row: a line of JSON Lines, or of text.
    pub(crate) fn in_line(&self, line: &str) -> Seen {
        match serde_json::from_str::<Value>(line) {
            Ok(value) => self.in_value(&value, self.field.is_none()),
            Err(_) => self.in_text(line),
        }
    }

    /// A row of CSV under a header.
    pub(crate) fn in_record(&self, header: &csv::StringRecord, record: &csv::StringRecord) -> Seen {
        let mut seen = Seen::default();
        for (index, cell) in record.iter().enumerate() {
            seen.add(self.in_cell(header.get(index), index, cell));
        }
        seen
    }

    /// Whether a line of labels is about one of the subject's invocations.
    pub(crate) fn is_label_of_theirs(&self, line: &str) -> bool {
        let events = serde_json::from_str::<Value>(line).map(|line| event_ids(&line)).unwrap_or_default();
        events.iter().any(|event| self.events.contains(event))
    }

    fn in_value(&self, value: &Value, is_searched: bool) -> Seen {
        match value {
            Value::String(text) => self.in_string(text, is_searched),
            Value::Number(number) => Seen::of(is_searched && number.to_string() == self.text),
            Value::Array(items) => {
                let mut seen = Seen::default();
                for item in items {
                    seen.add(self.in_value(item, is_searched));
                }
                seen
            }
            Value::Object(members) => {
                let mut seen = Seen::default();
                for (name, value) in members {
                    let is_named = self.field.as_deref() == Some(name);
                    // A map by person has them for a name.
                    seen.add(Seen::of(self.field.is_none() && self.in_words(name)));
                    match (name.as_str(), value, members.get("encoding").and_then(Value::as_str)) {
                        ("data", Value::String(data), Some(encoding)) => {
                            seen.add(self.in_body(data, encoding))
                        }
                        _ => seen.add(self.in_value(value, is_searched || is_named)),
                    }
                }
                seen
            }
            Value::Null | Value::Bool(_) => Seen::default(),
        }
    }

    /// JSON may be in a string of JSON, with escapes of its own.
    fn in_string(&self, text: &str, is_searched: bool) -> Seen {
        let mut seen = Seen::of(is_searched && self.in_words(text));
        if text.trim_start().starts_with(['{', '['])
            && let Ok(inner) = serde_json::from_str::<Value>(text)
        {
            seen.add(self.in_value(&inner, is_searched));
        }
        seen
    }

    /// What SageMaker captured of a request or an answer, encoded as it says.
    fn in_body(&self, data: &str, encoding: &str) -> Seen {
        if !encoding.eq_ignore_ascii_case("BASE64") {
            return self.in_text(data);
        }
        let Ok(bytes) = STANDARD.decode(data.trim()) else {
            let mut seen = self.in_text(data);
            seen.add(Seen::OPAQUE);
            return seen;
        };
        match String::from_utf8(bytes) {
            Ok(text) => self.in_text(&text),
            // An image, say: its readable parts are all that can be searched.
            Err(error) => Seen {
                is_mentioned: self.field.is_none()
                    && self.in_words(&String::from_utf8_lossy(error.as_bytes())),
                opaque: 1,
            },
        }
    }

    /// JSON, JSON Lines, CSV or words.
    fn in_text(&self, text: &str) -> Seen {
        if let Ok(value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str::<Value>(text) {
            return self.in_value(&value, self.field.is_none());
        }
        let mut seen = Seen::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if let Ok(value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str::<Value>(line) {
                seen.add(self.in_value(&value, self.field.is_none()));
                continue;
            }
            let mut rows =
                csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(line.as_bytes());
            let cells: Vec<csv::StringRecord> = rows.records().flatten().collect();
            let has_columns = cells.iter().any(|record| record.len() > 1);
            for record in &cells {
                for (index, cell) in record.iter().enumerate() {
                    seen.add(self.in_cell(None, index, cell));
                }
            }
            if self.field.is_none() {
                seen.add(Seen::of(self.in_words(line)));
            } else if !has_columns {
                seen.add(Seen::OPAQUE);
            }
        }
        seen
    }

    /// Columns without a name are numbered from 0, as drift numbers them.
    fn in_cell(&self, name: Option<&str>, index: usize, cell: &str) -> Seen {
        let is_searched =
            self.field.as_deref().is_none_or(|field| Some(field) == name || field == index.to_string());
        Seen::of(is_searched && self.in_words(cell))
    }

    /// As a word: what stands beside it belongs to no longer one.
    fn in_words(&self, text: &str) -> bool {
        text.match_indices(&self.text).any(|(start, found)| {
            let before = &text[..start];
            let after = &text[start + found.len()..];
            !continues(before.chars().rev()) && !continues(after.chars())
        })
    }
}

/// Whether a word goes on: by a letter or digit, or by what joins two parts of an identifier.
fn continues(mut beside: impl Iterator<Item = char>) -> bool {
    match beside.next() {
        Some(next) if next.is_alphanumeric() || next == '_' => true,
        Some('-' | '.' | '@' | '+') => {
            beside.find(|next| !matches!(next, '-' | '.' | '@' | '+')).is_some_and(char::is_alphanumeric)
        }
        _ => false,
    }
}

/// The ids that a captured invocation goes by.
pub(crate) fn event_ids(line: &Value) -> Vec<String> {
    let metadata = &line["eventMetadata"];
    ["eventId", "inferenceId"].iter().filter_map(|id| metadata[id].as_str()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn subject(text: &str) -> Subject {
        Subject::new(text, None).unwrap()
    }

    fn seen(text: &str, line: &str) -> bool {
        subject(text).in_line(line).is_mentioned
    }

    #[test]
    fn a_value_is_found_whole_and_never_within_another() {
        for line in [
            r#"{"user":"ada@example.com"}"#,
            r#"{"text":"write to ada@example.com."}"#,
            r#"{"text":"<ada@example.com>, and others"}"#,
            r#"{"a":{"b":[1,{"c":"ada@example.com"}]}}"#,
            r#"{"ada@example.com":{"age":36}}"#,
            r#"{"user":"ada\u0040example.com"}"#,
            r#"{"nested":"{\"user\":\"ada\\u0040example.com\"}"}"#,
            "ada@example.com said so",
        ] {
            assert!(seen("ada@example.com", line), "{line}");
        }
        for line in [
            r#"{"user":"xada@example.com"}"#,
            r#"{"user":"ada@example.com.au"}"#,
            r#"{"user":"not-ada@example.com"}"#,
            r#"{"user":"Ada@example.com"}"#,
        ] {
            assert!(!seen("ada@example.com", line), "{line}");
        }
        assert!(seen("1042", r#"{"user":1042}"#) && seen("1042", r#"{"path":"/users/1042/"}"#));
        for line in [r#"{"user":11042}"#, r#"{"user":"u-1042"}"#, r#"{"user":1042.5}"#, r#"{"u":"1042_7"}"#] {
            assert!(!seen("1042", line), "{line}");
        }
        assert!(!seen("example.com", r#"{"user":"ada@example.com"}"#));
    }

    #[test]
    fn what_was_captured_is_decoded_first() {
        let captured = |data: &str, encoding: &str| {
            json!({"captureData": {"endpointInput": {"mode": "INPUT", "data": data, "encoding": encoding}},
                "eventMetadata": {"eventId": "e"}})
            .to_string()
        };
        let encoded = STANDARD.encode(r#"{"who":"ada@example.com"}"#);
        assert!(seen("ada@example.com", &captured(&encoded, "BASE64")));
        assert!(!seen("ada@example.co", &captured(&encoded, "BASE64")));
        assert!(seen("ada@example.com", &captured(r#"{"who":"ada\u0040example.com"}"#, "JSON")));
        assert!(seen("ada@example.com", &captured("3,\"ada@example.com\",x\n4,b,y", "CSV")));
        assert!(seen("Lovelace, Ada", &captured("3,\"Lovelace, Ada\",x", "CSV")));
        let image = STANDARD.encode([0xff, 0xd8, 0x00, 0x01]);
        assert_eq!(subject("ada@example.com").in_line(&captured(&image, "BASE64")), Seen::OPAQUE);
    }

    #[test]
    fn a_field_narrows_the_search() {
        let user = Subject::new("42", Some("user")).unwrap();
        assert!(user.in_line(r#"{"user":42,"text":"a"}"#).is_mentioned);
        assert!(user.in_line(r#"{"user":{"id":"42"}}"#).is_mentioned);
        assert!(!user.in_line(r#"{"age":42,"text":"42"}"#).is_mentioned);
        assert_eq!(user.in_line("42 is the answer"), Seen::OPAQUE);
        let column = Subject::new("42", Some("1")).unwrap();
        assert!(column.in_line("7,42").is_mentioned && !column.in_line("42,7").is_mentioned);
        let (header, row) =
            (csv::StringRecord::from(vec!["age", "user"]), csv::StringRecord::from(vec!["42", "7"]));
        assert!(!user.in_record(&header, &row).is_mentioned);
        assert!(user.in_record(&header, &csv::StringRecord::from(vec!["7", "42"])).is_mentioned);
    }

    #[test]
    fn a_value_that_would_be_found_in_what_is_nobodys_is_refused() {
        for (text, field, part) in [
            ("", None, "is empty"),
            ("42", None, "--field"),
            (" ada@example.com", None, "space"),
            ("ada\n", None, "space"),
            ("42", Some(""), "--field is empty"),
        ] {
            let refused = Subject::new(text, field).unwrap_err();
            assert!(refused.contains(part), "{refused}");
        }
        assert!(Subject::new("42", Some("user")).is_ok() && Subject::new("ada@example.com", None).is_ok());
    }

    #[test]
    fn labels_are_theirs_by_the_invocation() {
        let mut subject = subject("ada@example.com");
        let label = r#"{"groundTruthData":{"data":"1","encoding":"CSV"},"eventMetadata":{"eventId":"e-1"}}"#;
        assert!(!subject.is_label_of_theirs(label));
        subject.events.insert("e-1".to_owned());
        assert!(subject.is_label_of_theirs(label));
    }

    #[test]
    fn a_key_that_names_the_subject_is_told_by_its_pseudonym() {
        let subject = subject("ada@example.com");
        assert!(subject.in_key("datasets/training/ada@example.com/rows.jsonl"));
        assert_eq!(subject.redacted("datasets/ada@example.com.jsonl", "p"), "datasets/p.jsonl");
        assert_eq!(
            subject.redacted("datasets/xada@example.com.jsonl", "p"),
            "datasets/xada@example.com.jsonl"
        );
        assert_eq!(subject.redacted("datasets/ada@example.com/rows.jsonl", "p"), "datasets/p/rows.jsonl");
    }
}
