//! The rows of a data channel.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Error;

/// A channel is read into memory whole, so it has a limit that says so.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// The most characters of a group's name.
const LONGEST_GROUP: usize = 64;

/// A row of a channel.
#[derive(Debug, Deserialize)]
pub struct Row {
    /// What is learnt, or scored.
    pub text: String,
    /// Whatever else it says, such as the group that it belongs to.
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl Row {
    /// What a field holds, as the name of a group; none where it is absent, null, empty or no plain value.
    pub fn group(&self, column: &str) -> Option<String> {
        let name = match self.fields.get(column)? {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        (1..=LONGEST_GROUP).contains(&name.chars().count()).then_some(name)
    }
}

/// The texts of every `*.jsonl` file of a folder, in the order of the files' names.
pub fn read(folder: &Path) -> Result<Vec<String>, Error> {
    Ok(rows(folder)?.into_iter().map(|row| row.text).collect())
}

/// The rows of every `*.jsonl` file of a folder, in the order of the files' names.
pub fn rows(folder: &Path) -> Result<Vec<Row>, Error> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::unreadable(folder))? {
        let path = entry.map_err(Error::unreadable(folder))?.path();
        // SageMaker stages by prefix, which also matches `rows.jsonl.bak` beside `rows.jsonl`.
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            return Err(invalid(&path, "is no *.jsonl file".to_owned()));
        }
        paths.push(path);
    }
    paths.sort();
    let mut rows = Vec::new();
    for path in paths {
        let size = std::fs::metadata(&path).map_err(Error::unreadable(&path))?.len();
        if size > MAX_FILE_BYTES {
            return Err(invalid(&path, format!("has {size} bytes, more than {MAX_FILE_BYTES}")));
        }
        let content = std::fs::read(&path).map_err(Error::unreadable(&path))?;
        let content =
            String::from_utf8(content).map_err(|error| invalid(&path, format!("is not UTF-8 ({error})")))?;
        for (index, line) in content.lines().enumerate() {
            let at = index + 1;
            let row: Row = serde_json::from_str(line)
                .map_err(|error| invalid(&path, format!("line {at} is no row ({error})")))?;
            if row.text.trim().is_empty() {
                return Err(invalid(&path, format!("line {at} has an empty `text`")));
            }
            rows.push(row);
        }
    }
    if rows.is_empty() { Err(invalid(folder, "holds no row".to_owned())) } else { Ok(rows) }
}

fn invalid(path: &Path, detail: String) -> Error {
    Error::DataInvalid { path: path.to_owned(), detail }
}

/// Splits a sequence that is longer than the context so that every token after the first is predicted exactly once.
pub fn windows(tokens: &[u32], context: usize) -> Vec<Vec<u32>> {
    let starts = (0..tokens.len().saturating_sub(1)).step_by(context);
    starts.map(|start| tokens[start..tokens.len().min(start + context + 1)].to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(files: &[(&str, &[u8])]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        read(folder.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn rows_come_in_the_order_of_the_files() {
        let files: [(&str, &[u8]); 2] = [
            ("b.jsonl", b"{\"text\": \"3\"}"),
            ("a.jsonl", b"{\"text\": \"1\", \"id\": 9}\n{\"text\": \"2\"}\n"),
        ];
        assert_eq!(outcome(&files).unwrap(), ["1", "2", "3"]);
    }

    #[test]
    fn a_group_is_a_plain_value_that_is_there() {
        let group = |value: &str| {
            let row: Row = serde_json::from_str(&format!(r#"{{"text": "x", "region": {value}}}"#)).unwrap();
            row.group("region")
        };
        assert_eq!(group("\" north \"").as_deref(), Some("north"));
        assert_eq!((group("3").as_deref(), group("true").as_deref()), (Some("3"), Some("true")));
        let long = format!("\"{}\"", "x".repeat(65));
        for none in ["null", "\"\"", "[]", "{}", &long] {
            assert_eq!(group(none), None, "{none}");
        }
        let row: Row = serde_json::from_str(r#"{"text": "x"}"#).unwrap();
        assert_eq!(row.group("region"), None);
    }

    #[test]
    fn a_refusal_says_where() {
        for (name, content, expected) in [
            (
                "a.jsonl",
                &b"{\"text\": \"x\"}\n{\"txt\": \"y\"}"[..],
                "line 2 is no row (missing field `text`",
            ),
            ("a.jsonl", b"{\"text\": 1}", "line 1 is no row"),
            ("a.jsonl", b"{\"text\": \"x\"}\n\n", "line 2 is no row"),
            ("a.jsonl", b"{\"text\": \" \"}", "line 1 has an empty `text`"),
            ("a.jsonl", b"\xff", "is not UTF-8"),
            ("a.jsonl", b"", "holds no row"),
            ("a.jsonl.bak", b"{\"text\": \"x\"}", "a.jsonl.bak: is no *.jsonl file"),
        ] {
            let message = outcome(&[(name, content)]).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
        assert!(read(Path::new("/nowhere")).unwrap_err().to_string().contains("/nowhere: cannot be read"));
    }

    #[test]
    fn windows_predict_every_token_once() {
        let tokens: Vec<u32> = (0..8).collect();
        assert_eq!(windows(&tokens, 3), [vec![0, 1, 2, 3], vec![3, 4, 5, 6], vec![6, 7]]);
        assert_eq!(windows(&tokens[..7], 3), [vec![0, 1, 2, 3], vec![3, 4, 5, 6]]);
        assert_eq!(windows(&tokens, 99), [tokens]);
    }
}
