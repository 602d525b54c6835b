//! An object's content, row by row: which rows are the subject's, and the object without them.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, Write};

use crate::forget::mention::{Seen, Subject, event_ids};

/// What an object is made of, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A row a line.
    Lines,
    /// A header, and a row a record.
    Csv,
    /// One document, which goes as a whole.
    Document,
}

/// Whether rows of others can be in it: then it never goes as a whole unless all rows are the subject's.
pub(crate) fn holds_rows(key: &str) -> bool {
    ["capture/", "datasets/", "labels/"].iter().any(|place| key.starts_with(place))
        || (key.starts_with("runs/") && key.ends_with(".jsonl"))
}

impl Kind {
    pub(crate) fn of(key: &str) -> Self {
        match key.rsplit_once('.').map(|(_, extension)| extension) {
            Some("csv") => Self::Csv,
            _ if holds_rows(key) => Self::Lines,
            _ => Self::Document,
        }
    }
}

/// What a search of an object found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// Rows of the subject; 1 for a document.
    pub theirs: u64,
    /// Rows of others.
    pub others: u64,
    /// Bodies that could not be searched.
    pub opaque: u64,
    /// The ids of the subject's captured invocations.
    pub events: Vec<String>,
    /// It is no text, or a single document where rows of others may be.
    pub is_unsearchable: bool,
}

/// Searches an object, and writes it without the subject's rows.
///
/// # Errors
/// Reading and writing fail.
pub(crate) fn without(
    subject: &Subject,
    key: &str,
    file: &mut File,
    rest: &mut impl Write,
) -> std::io::Result<Content> {
    file.rewind()?;
    let unsearchable = Content { is_unsearchable: true, ..Content::default() };
    let read = match Kind::of(key) {
        Kind::Lines => lines(subject, key, file, rest),
        Kind::Csv => records(subject, file, rest),
        Kind::Document => document(subject, file),
    };
    match read {
        // Not UTF-8: compressed, Parquet, UTF-16.
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Ok(unsearchable),
        read => read,
    }
}

fn lines(subject: &Subject, key: &str, file: &File, rest: &mut impl Write) -> std::io::Result<Content> {
    let (mut content, mut reader, mut line) = (Content::default(), BufReader::new(file), String::new());
    let (mut no_json, mut in_no_json) = (0_u64, false);
    while reader.read_line(&mut line)? > 0 {
        let text = line.trim_end_matches(['\r', '\n']);
        if text.contains('\0') {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        if !text.trim().is_empty() {
            let seen = subject.in_line(text);
            let parsed = serde_json::from_str::<serde_json::Value>(text);
            no_json += u64::from(parsed.is_err());
            content.opaque += seen.opaque;
            let is_theirs =
                seen.is_mentioned || (key.starts_with("labels/") && subject.is_label_of_theirs(text));
            if is_theirs {
                content.theirs += 1;
                in_no_json |= parsed.is_err();
                content.events.extend(parsed.map(|line| event_ids(&line)).unwrap_or_default());
                line.clear();
                continue;
            }
            content.others += 1;
        }
        rest.write_all(line.as_bytes())?;
        line.clear();
    }
    // A document over several lines would be torn: a row is what stands on a line.
    let is_text = key.ends_with(".txt");
    content.is_unsearchable = in_no_json && no_json > 1 && !is_text;
    Ok(content)
}

fn records(subject: &Subject, file: &mut File, rest: &mut impl Write) -> std::io::Result<Content> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    if text.contains('\0') {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let invalid = |error: csv::Error| std::io::Error::new(std::io::ErrorKind::InvalidData, error);
    let place = |position: &csv::Position| usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let header = reader.headers().map_err(invalid)?.clone();
    let (mut content, mut record) = (Content::default(), csv::StringRecord::new());
    // A header may itself be a row, where there is none.
    let mut from = place(reader.position());
    let head = &text[..from.min(text.len())];
    if subject.field().is_none() && subject.in_record(&csv::StringRecord::new(), &header).is_mentioned {
        content.theirs += 1;
    } else {
        rest.write_all(head.as_bytes())?;
    }
    while reader.read_record(&mut record).map_err(invalid)? {
        let to = place(reader.position()).min(text.len());
        let Seen { is_mentioned, opaque } = subject.in_record(&header, &record);
        content.opaque += opaque;
        if is_mentioned {
            content.theirs += 1;
        } else {
            content.others += 1;
            rest.write_all(&text.as_bytes()[from..to])?;
        }
        from = to;
    }
    Ok(content)
}

fn document(subject: &Subject, file: &mut File) -> std::io::Result<Content> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let seen = subject.in_line(&text);
    Ok(Content { theirs: u64::from(seen.is_mentioned), opaque: seen.opaque, ..Content::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(key: &str, bytes: &[u8]) -> (Content, String) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let subject = Subject::new("ada@example.com", None).unwrap();
        let mut rest = Vec::new();
        let content = without(&subject, key, &mut file, &mut rest).unwrap();
        (content, String::from_utf8(rest).unwrap())
    }

    #[test]
    fn rows_of_others_stay_byte_for_byte() {
        let rows = "{\"u\": \"ada@example.com\"}\n{\"u\":  \"bob@example.com\"}\r\n\n{\"u\":\"eve\"}";
        let (content, rest) = search("datasets/training/a.jsonl", rows.as_bytes());
        assert_eq!((content.theirs, content.others), (1, 2));
        assert_eq!(rest, "{\"u\":  \"bob@example.com\"}\r\n\n{\"u\":\"eve\"}");
    }

    #[test]
    fn records_of_csv_may_span_lines() {
        let rows = "id,who\n1,\"ada@example.com\nand more\"\n2,\"bob,\nb\"\n3,eve\n";
        let (content, rest) = search("datasets/training/a.csv", rows.as_bytes());
        assert_eq!((content.theirs, content.others), (1, 2));
        assert_eq!(rest, "id,who\n2,\"bob,\nb\"\n3,eve\n");
    }

    #[test]
    fn what_is_no_text_or_a_document_among_rows_is_not_touched() {
        assert!(search("datasets/training/a.parquet", b"PAR1\xff\xfe\x00").0.is_unsearchable);
        assert!(search("datasets/training/a.jsonl", b"a\0d\0a\0").0.is_unsearchable);
        let document = "[\n  {\"u\": \"ada@example.com\"},\n  {\"u\": \"bob\"}\n]";
        assert!(search("datasets/training/a.json", document.as_bytes()).0.is_unsearchable);
    }

    #[test]
    fn a_document_goes_as_a_whole_and_a_capture_tells_its_event() {
        let (content, _) = search("drift/e/r/t.json", b"{\n\"category\": \"ada@example.com\"}");
        assert_eq!(content.theirs, 1);
        let line = br#"{"captureData":{"endpointInput":{"data":"ada@example.com","encoding":"CSV"}},"eventMetadata":{"eventId":"e-1"}}"#;
        let (content, rest) = search("capture/e/AllTraffic/x.jsonl", line);
        assert_eq!(
            (content.theirs, content.events.as_slice(), rest.as_str()),
            (1, &["e-1".to_owned()][..], "")
        );
    }
}
