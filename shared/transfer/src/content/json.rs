//! JSON, scanned as it goes by: nothing of it is kept but the token at hand, so it may be of any size.

use std::fmt;

use json_event_parser::{JsonEvent, LowLevelJsonParser};

use super::{
    limits::{JSON_DEPTH_MAX, JSON_TOKEN_MAX},
    verdict::{UnsafeContent, printable},
};

/// Why JSON is not sound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// Not JSON.
    #[error("{0}")]
    Syntax(String),
    /// Objects and arrays within others, deeper than readers go.
    #[error("it nests more than {JSON_DEPTH_MAX} deep")]
    TooDeep,
    /// A string or number that is longer than what is kept could not be checked.
    #[error("a string or number in it is longer than {JSON_TOKEN_MAX} bytes")]
    TokenTooLong,
    /// Readers differ in whether they take it.
    #[error("it begins with a byte order mark")]
    ByteOrderMark,
}

/// What is taken in at once, in bytes: it bounds what is kept beyond the token at hand.
const PIECE: usize = 64 << 10;

/// Scans JSON for its soundness, and for keys that make loaders run code. Every key is seen, one that a later
/// key of the same name would hide from a reader included.
pub(super) struct JsonCheck {
    parser: LowLevelJsonParser,
    /// What the parser has not taken yet: a part of one token, between two calls.
    kept: Vec<u8>,
    /// The length of `kept` at which to scan it, next time: a long token is not read anew with each piece of it.
    scan_at: usize,
    depth: usize,
    /// The value that comes next is the one of `trust_remote_code`.
    trust: bool,
}

impl fmt::Debug for JsonCheck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("JsonCheck").field("kept", &self.kept.len()).finish_non_exhaustive()
    }
}

impl JsonCheck {
    pub fn new() -> Self {
        Self { parser: LowLevelJsonParser::new(), kept: Vec::new(), scan_at: 0, depth: 0, trust: false }
    }

    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), UnsafeContent> {
        for piece in bytes.chunks(PIECE) {
            self.kept.extend_from_slice(piece);
            if self.kept.len() >= self.scan_at {
                self.scan(false)?;
                self.scan_at = (self.kept.len() * 2).min(JSON_TOKEN_MAX);
            }
        }
        Ok(())
    }

    /// Judges what was put off until more has come, as far as it can be without knowing that nothing follows.
    pub fn flush(&mut self) -> Result<(), UnsafeContent> {
        self.scan(false)
    }

    pub fn finish(mut self) -> Result<(), UnsafeContent> {
        self.scan(true)
    }

    fn scan(&mut self, ending: bool) -> Result<(), UnsafeContent> {
        let mut from = 0;
        loop {
            // However the bytes were cut, a token is given this much room, counted from its own first byte.
            let to = self.kept.len().min(from + JSON_TOKEN_MAX);
            let last = ending && to == self.kept.len();
            let result = self.parser.parse_next(&self.kept[from..to], last);
            from += result.consumed_bytes;
            match result.event {
                Some(Ok(JsonEvent::Eof)) => return Ok(()),
                Some(Ok(event)) => judge(&event, &mut self.depth, &mut self.trust)?,
                Some(Err(error)) => {
                    let reason = printable(error.to_string().as_bytes());
                    return Err(UnsafeContent::Json(JsonFault::Syntax(reason)));
                }
                None if result.consumed_bytes > 0 => {}
                None if to - from == JSON_TOKEN_MAX => {
                    return Err(UnsafeContent::Json(JsonFault::TokenTooLong));
                }
                None => break,
            }
        }
        self.kept.drain(..from);
        Ok(())
    }
}

fn judge(event: &JsonEvent<'_>, depth: &mut usize, trust: &mut bool) -> Result<(), UnsafeContent> {
    match event {
        JsonEvent::StartObject | JsonEvent::StartArray => *depth += 1,
        JsonEvent::EndObject | JsonEvent::EndArray => *depth = depth.saturating_sub(1),
        _ => {}
    }
    if *depth > JSON_DEPTH_MAX {
        return Err(UnsafeContent::Json(JsonFault::TooDeep));
    }
    if std::mem::take(trust) && *event != JsonEvent::Boolean(false) {
        return Err(UnsafeContent::RemoteCode("trust_remote_code"));
    }
    if let JsonEvent::ObjectKey(key) = event {
        if key == "auto_map" {
            return Err(UnsafeContent::RemoteCode("auto_map"));
        }
        *trust = key == "trust_remote_code";
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(json: &[u8]) -> Result<(), UnsafeContent> {
        let mut check = JsonCheck::new();
        check.feed(json).and_then(|()| check.finish())
    }

    fn syntax(verdict: &Result<(), UnsafeContent>) -> bool {
        matches!(verdict, Err(UnsafeContent::Json(JsonFault::Syntax(_))))
    }

    #[test]
    fn json_is_json_to_its_end() {
        for json in [
            "{",
            "",
            " ",
            "[1,]",
            "{\"a\":1,}",
            "{} {}",
            "[1 2]",
            "nul",
            "NaN",
            "01",
            "1.",
            "-",
            "'a'",
            "{a:1}",
            "\"\u{1}\"",
            "// x\n1",
            "[\"\\x\"]",
            "[\"\\ud800\"]",
            "\u{feff}x",
        ] {
            let verdict = scan(json.as_bytes());
            assert!(syntax(&verdict), "{json}: {verdict:?}");
        }
        assert!(syntax(&scan(b"[\"\xff\"]")));
        for json in ["{}", " [1.5e+3, -0, true, null, \"\\ud834\\udd1e\"]\r\n", "\"a\"", "1"] {
            assert_eq!(scan(json.as_bytes()), Ok(()), "{json}");
        }
    }

    #[test]
    fn no_key_hides_behind_another() {
        for json in [
            r#"{"auto_map": 1, "auto_map": null}"#,
            r#"{"a": {"auto\u005fmap": {}}, "a": {}}"#,
            r#"{"trust_remote_code": true, "trust_remote_code": false}"#,
            r#"{"trust_remote_code": "false"}"#,
            r#"{"trust_remote_code": [false]}"#,
            r#"[[{"\u0074rust_remote_code": null}]]"#,
        ] {
            let verdict = scan(json.as_bytes());
            assert!(matches!(verdict, Err(UnsafeContent::RemoteCode(_))), "{json}: {verdict:?}");
        }
        for json in [r#"["auto_map"]"#, r#"{"a": "trust_remote_code", "b": true}"#] {
            assert_eq!(scan(json.as_bytes()), Ok(()), "{json}");
        }
    }

    #[test]
    fn depth_and_tokens_are_bounded() {
        let nested = |depth| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert_eq!(scan(nested(JSON_DEPTH_MAX).as_bytes()), Ok(()));
        assert_eq!(scan(nested(JSON_DEPTH_MAX + 1).as_bytes()), Err(UnsafeContent::Json(JsonFault::TooDeep)));
        let string = |length| format!("  \"{}\"  ", "a".repeat(length - 2));
        assert_eq!(scan(string(JSON_TOKEN_MAX).as_bytes()), Ok(()));
        for piece in [1000, 1 << 16, 1 << 23] {
            let mut check = JsonCheck::new();
            let fed =
                string(JSON_TOKEN_MAX + 1).as_bytes().chunks(piece).try_for_each(|piece| check.feed(piece));
            let verdict = fed.and_then(|()| check.finish());
            assert_eq!(verdict, Err(UnsafeContent::Json(JsonFault::TokenTooLong)), "{piece}");
        }
    }

    #[test]
    fn nothing_is_kept_of_what_was_scanned() {
        let mut check = JsonCheck::new();
        check.feed(b"[").unwrap();
        for _ in 0..1000 {
            check.feed(format!("\"{}\",", "a".repeat(1000)).as_bytes()).unwrap();
        }
        assert!(check.kept.is_empty() && check.kept.capacity() < 4 * PIECE);
    }
}
