//! Looks at bytes, whatever the file's name says: "skipped" is not "passed", and what cannot be checked is
//! refused.

use std::fmt;

use serde_json::Value;

/// What a file claims to be, by its extension; the bytes must bear it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentKind {
    /// A safetensors file: header and offsets are validated.
    Safetensors,
    /// JSON, kept whole to be read.
    Json,
    /// UTF-8 text.
    Text,
}

impl ContentKind {
    /// The kind that a path claims; `None` for one that nobody here can check.
    pub fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("safetensors") => Some(Self::Safetensors),
            Some("json") => Some(Self::Json),
            Some("txt" | "md" | "jsonl") => Some(Self::Text),
            _ => (name == ".gitattributes" || name == "LICENSE").then_some(Self::Text),
        }
    }
}

/// What makes content unsafe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnsafeContent {
    /// The bytes are of a format that can run code, or hide it.
    Disguised(&'static str),
    /// Nobody here can check this kind of file.
    Unchecked,
    /// A git-lfs pointer in place of the content.
    LfsPointer,
    /// A safetensors file that is not sound.
    Safetensors(String),
    /// JSON that cannot be read, or is too long to be.
    Json(String),
    /// Text with a NUL byte or invalid UTF-8.
    NotText,
    /// A configuration that makes loaders run code from the repository.
    RemoteCode(&'static str),
}

impl fmt::Display for UnsafeContent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disguised(format) => write!(formatter, "its bytes are {format}, whatever its name says"),
            Self::Unchecked => {
                formatter.write_str("no check exists for this kind of file; leave it out by `deny`")
            }
            Self::LfsPointer => formatter.write_str("it holds a git-lfs pointer in place of its content"),
            Self::Safetensors(reason) => write!(formatter, "it is not a sound safetensors file: {reason}"),
            Self::Json(reason) => write!(formatter, "it is not sound JSON: {reason}"),
            Self::NotText => formatter.write_str("it holds bytes that are not UTF-8 text"),
            Self::RemoteCode(key) => {
                write!(formatter, "its `{key}` makes loaders run code from the repository")
            }
        }
    }
}

/// A safetensors header may be this long at most, as the public library has it.
const SAFETENSORS_HEADER_MAX: u64 = 100_000_000;
/// JSON is read whole, so its length is bounded; the largest tokenizers of the Hub are below this.
const JSON_MAX: u64 = 64 << 20;

/// Formats that can run code when loaded, or hide content from these checks, by their first bytes.
const DANGEROUS: [(&[u8], &str); 14] = [
    (b"PK\x03\x04", "a zip archive (PyTorch checkpoints are pickles in zip)"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"PK\x07\x08", "a spanned zip archive"),
    (b"\x7fELF", "an ELF program"),
    (b"MZ", "a Windows program"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O program"),
    (b"\xca\xfe\xba\xbe", "a Mach-O or Java program"),
    (b"#!", "a script"),
    (b"\x1f\x8b", "gzip-compressed"),
    (b"BZh", "bzip2-compressed"),
    (b"\xfd7zXZ", "xz-compressed"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x89HDF", "HDF5 (Keras models can hold code)"),
];

fn sniff(head: &[u8]) -> Option<UnsafeContent> {
    if let Some((_, format)) = DANGEROUS.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(UnsafeContent::Disguised(format));
    }
    if head.starts_with(b"version https://git-lfs.github.com/spec/") {
        return Some(UnsafeContent::LfsPointer);
    }
    // Protocols 2 to 5 start with PROTO; 0 and 1 are recognised by a GLOBAL opcode and its two lines. A
    // safetensors header of, say, 640 bytes starts with the same two bytes, but goes on with zeros and `{`,
    // which no pickle can: 0 is no opcode.
    let header_length = head.first_chunk::<8>().map(|length| u64::from_le_bytes(*length));
    let safetensors =
        header_length.is_some_and(|n| n <= SAFETENSORS_HEADER_MAX) && head.get(8) == Some(&b'{');
    if matches!(head, [0x80, 2..=5, ..]) && !safetensors {
        return Some(UnsafeContent::Disguised("a pickle"));
    }
    if head.starts_with(b"c") || head.starts_with(b"(") {
        let text = &head[head.iter().take_while(|byte| **byte == b'(').count()..];
        let mut lines = text.splitn(3, |byte| *byte == b'\n');
        let dotted = |line: &[u8]| {
            !line.is_empty() && line.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'.')
        };
        if let (Some(module), Some(name), Some(_)) = (lines.next(), lines.next(), lines.next())
            && module.strip_prefix(b"c").is_some_and(dotted)
            && dotted(name)
        {
            return Some(UnsafeContent::Disguised("a pickle"));
        }
    }
    None
}

/// Watches one file go by, keeping only as much of it as its check needs.
#[derive(Debug)]
pub struct Inspector {
    kind: Option<ContentKind>,
    size: u64,
    kept: Vec<u8>,
    /// Bytes to keep: all of a JSON file, a safetensors header, the head of a text.
    keep: u64,
    /// The last bytes of a text that may be the start of a longer character.
    utf8_tail: Vec<u8>,
    refused: Option<UnsafeContent>,
}

impl Inspector {
    /// For a file at `path` that will be `size` bytes long.
    pub fn new(path: &str, size: u64) -> Self {
        let kind = ContentKind::of(path);
        let refused = match kind {
            None => Some(UnsafeContent::Unchecked),
            Some(ContentKind::Json) if size > JSON_MAX => {
                Some(UnsafeContent::Json(format!("{size} bytes are more than the {JSON_MAX} that are read")))
            }
            Some(_) => None,
        };
        let keep = if kind == Some(ContentKind::Json) { size } else { 512 };
        Self { kind, size, kept: Vec::new(), keep, utf8_tail: Vec::new(), refused }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        // Twice, because a safetensors file says in its first 8 bytes how much more to keep.
        for _ in 0..2 {
            let wanted =
                usize::try_from(self.keep.saturating_sub(self.kept.len() as u64)).unwrap_or(usize::MAX);
            let (taken, left) = rest.split_at(wanted.min(rest.len()));
            self.kept.extend_from_slice(taken);
            rest = left;
            if self.kind == Some(ContentKind::Safetensors)
                && let Some(length) = self.kept.first_chunk::<8>()
            {
                let header = u64::from_le_bytes(*length);
                if header > SAFETENSORS_HEADER_MAX.min(self.size) {
                    self.refuse_soundness(format!("its header would be {header} bytes long"));
                } else {
                    self.keep = self.keep.max(8 + header);
                }
            }
        }
        if self.kind == Some(ContentKind::Text) {
            self.check_text(bytes);
        }
    }

    /// A sniffed format says more than "the header is too long", so it is asked for first.
    fn refuse_soundness(&mut self, reason: String) {
        if self.refused.is_none() {
            self.refused = Some(sniff(&self.kept).unwrap_or(UnsafeContent::Safetensors(reason)));
        }
    }

    fn check_text(&mut self, bytes: &[u8]) {
        self.utf8_tail.extend_from_slice(bytes);
        let valid = match std::str::from_utf8(&self.utf8_tail) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => {
                self.refused.get_or_insert(sniff(&self.kept).unwrap_or(UnsafeContent::NotText));
                return;
            }
        };
        if self.utf8_tail[..valid].contains(&0) {
            self.refused.get_or_insert(sniff(&self.kept).unwrap_or(UnsafeContent::NotText));
        }
        self.utf8_tail.drain(..valid);
    }

    /// The verdict, after the last byte.
    ///
    /// # Errors
    /// [`UnsafeContent`] says what was found.
    pub fn finish(self) -> Result<(), UnsafeContent> {
        if let Some(found) = sniff(&self.kept) {
            return Err(found);
        }
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        match self.kind {
            None => Err(UnsafeContent::Unchecked),
            Some(ContentKind::Safetensors) => check_safetensors(&self.kept, self.size),
            Some(ContentKind::Json) => check_json(&self.kept),
            Some(ContentKind::Text) if self.utf8_tail.is_empty() => Ok(()),
            Some(ContentKind::Text) => Err(UnsafeContent::NotText),
        }
    }
}

/// Header length, JSON, dtypes, shapes, offsets without gaps or overlaps, and nothing after the last tensor.
fn check_safetensors(kept: &[u8], size: u64) -> Result<(), UnsafeContent> {
    let unsound = |reason: String| Err(UnsafeContent::Safetensors(reason));
    let Some((length, rest)) = kept.split_first_chunk::<8>() else {
        return unsound("it is shorter than its header's length".to_owned());
    };
    let length = u64::from_le_bytes(*length);
    let header = usize::try_from(length).ok().and_then(|length| rest.get(..length));
    let Some(header) = header else { return unsound("it ends within its header".to_owned()) };
    let metadata: safetensors::tensor::Metadata = match serde_json::from_slice(header) {
        Ok(metadata) => metadata,
        Err(error) => return unsound(error.to_string()),
    };
    let told = length.checked_add(8).and_then(|start| start.checked_add(metadata.data_len() as u64));
    if told != Some(size) {
        return unsound(format!("its header tells of another length than its {size} bytes"));
    }
    Ok(())
}

fn check_json(bytes: &[u8]) -> Result<(), UnsafeContent> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| UnsafeContent::Json(error.to_string()))?;
    let mut open = vec![&value];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(map) => {
                if map.contains_key("auto_map") {
                    return Err(UnsafeContent::RemoteCode("auto_map"));
                }
                if map.get("trust_remote_code").is_some_and(|flag| *flag != Value::Bool(false)) {
                    return Err(UnsafeContent::RemoteCode("trust_remote_code"));
                }
                open.extend(map.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspect(path: &str, bytes: &[u8]) -> Result<(), UnsafeContent> {
        // One byte at a time: what a check remembers must not depend on how the bytes were cut.
        let mut slow = Inspector::new(path, bytes.len() as u64);
        bytes.chunks(1).for_each(|byte| slow.feed(byte));
        let mut quick = Inspector::new(path, bytes.len() as u64);
        quick.feed(bytes);
        let verdict = quick.finish();
        assert_eq!(slow.finish(), verdict, "{path}");
        verdict
    }

    fn safetensors(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    const SOUND: &str = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}"#;

    #[test]
    fn sound_files_pass() {
        assert_eq!(inspect("model.safetensors", &safetensors(SOUND, 11)), Ok(()));
        assert_eq!(inspect("config.json", br#"{"model_type": "tiny"}"#), Ok(()));
        assert_eq!(inspect("README.md", "Größe".as_bytes()), Ok(()));
    }

    #[test]
    fn trap_content_sniff_bytes_not_extensions() {
        for name in ["model.safetensors", "vocab.txt", "config.json"] {
            for bytes in [
                b"\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix".as_slice(),
                b"cos\nsystem\n(S'id'\ntR.",
                b"(cposix\nsystem\n",
                b"PK\x03\x04\x14\x00\x00\x00",
                b"\x7fELF\x02\x01\x01",
                b"#!/bin/sh\nid\n",
                b"\x1f\x8b\x08\x00",
            ] {
                let verdict = inspect(name, bytes);
                assert!(matches!(verdict, Err(UnsafeContent::Disguised(_))), "{name}: {verdict:?}");
            }
        }
    }

    #[test]
    fn trap_content_skipped_is_not_passed() {
        for name in ["model.bin", "model.pt", "weights.h5", "modeling.py", "no-extension"] {
            assert_eq!(inspect(name, b"harmless"), Err(UnsafeContent::Unchecked), "{name}");
        }
    }

    #[test]
    fn trap_content_safetensors_headers_are_validated() {
        let overlap = SOUND.replace("[8,11]", "[7,10]");
        let gap = SOUND.replace("[8,11]", "[9,12]");
        let dtype = SOUND.replace("F32", "Q9");
        let shape = SOUND.replace("[2]", "[3]");
        let endless = SOUND.replace("[2]", "[18446744073709551615,2]");
        for (what, bytes) in [
            ("trailing byte", safetensors(SOUND, 12)),
            ("missing byte", safetensors(SOUND, 10)),
            ("overlap", safetensors(&overlap, 11)),
            ("gap", safetensors(&gap, 12)),
            ("dtype", safetensors(&dtype, 11)),
            ("shape", safetensors(&shape, 11)),
            ("overflow", safetensors(&endless, 11)),
            ("header too long", u64::MAX.to_le_bytes().to_vec()),
            ("header past the end", 100_u64.to_le_bytes().to_vec()),
            ("empty", Vec::new()),
            ("not JSON", safetensors("{", 0)),
        ] {
            let verdict = inspect("model.safetensors", &bytes);
            assert!(matches!(verdict, Err(UnsafeContent::Safetensors(_))), "{what}: {verdict:?}");
        }
    }

    #[test]
    fn a_header_length_that_looks_like_a_pickles_start_is_none() {
        for length in [0x280, 0x380, 0x480, 0x580] {
            let padded = format!("{SOUND:<length$}");
            assert_eq!(inspect("model.safetensors", &safetensors(&padded, 11)), Ok(()), "{length:#x}");
        }
    }

    #[test]
    fn trap_content_auto_map_and_trust_remote_code_are_refused() {
        for json in [r#"{"auto_map": {}}"#, r#"{"a": [{"trust_remote_code": true}]}"#] {
            assert!(
                matches!(inspect("config.json", json.as_bytes()), Err(UnsafeContent::RemoteCode(_))),
                "{json}"
            );
        }
        assert_eq!(inspect("config.json", br#"{"trust_remote_code": false}"#), Ok(()));
    }

    #[test]
    fn trap_hub_an_lfs_pointer_in_place_of_content_fails() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n";
        for name in ["model.safetensors", "notes.txt"] {
            assert_eq!(inspect(name, pointer), Err(UnsafeContent::LfsPointer), "{name}");
        }
    }

    #[test]
    fn text_must_be_text() {
        for bytes in [b"a\0b".as_slice(), b"\xff\xfe", b"half \xc3"] {
            assert_eq!(inspect("a.txt", bytes), Err(UnsafeContent::NotText), "{bytes:?}");
        }
    }
}
