//! Looks at bytes, whatever the file's name says: "skipped" is not "passed", and what cannot be checked is
//! refused.
//!
//! A file goes by once, in order and in pieces of any length, and the verdict depends on its bytes alone: not on
//! how they were cut, nor on whether the check was saved and resumed between two of them. What is kept is
//! bounded, whatever the file claims: 16 MiB of a header and, while it is judged, as much again for the names of its tensors.
//! Both are dropped with the verdict.

mod archive;
mod gguf;
mod json;
mod limits;
mod pickle;
mod safetensors;
mod sniff;
mod text;
mod verdict;

use contract::ContentKind;
use serde::{Deserialize, Serialize};

use self::{
    gguf::GgufCheck,
    json::JsonCheck,
    limits::{HEAD, PICKLE_MAX},
    safetensors::SafetensorsCheck,
    sniff::Head,
    text::TextCheck,
};
pub use self::{
    gguf::GgufFault,
    json::JsonFault,
    pickle::Imports,
    safetensors::SafetensorsFault,
    verdict::{Disguise, UnsafeContent},
};

/// Watches one file go by, keeping only as much of it as its check needs.
#[derive(Debug)]
pub struct Inspector {
    kind: Option<ContentKind>,
    /// The bytes that the file will have.
    size: u64,
    /// The bytes that came.
    seen: u64,
    stage: Stage,
    /// The verdict, once it is known to be a bad one.
    refused: Option<UnsafeContent>,
}

#[derive(Debug)]
enum Stage {
    /// Too little has come to tell what it is.
    Head(Vec<u8>),
    /// It seems to be a pickle, or an archive of one; more is kept to say what it would have run.
    Suspect(Vec<u8>),
    Safetensors(SafetensorsCheck),
    Gguf(GgufCheck),
    Json(Box<JsonCheck>),
    Text(TextCheck),
    /// Tensors: any bytes are as good as any others.
    Data,
}

/// Where a check was left, to be stored and taken up by [`Inspector::resume`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InspectorState {
    /// The bytes that the file will have.
    size: u64,
    /// The bytes that were checked.
    seen: u64,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    Data,
    Text(TextCheck),
}

impl Inspector {
    /// For a file at `path` that will be `size` bytes long.
    pub fn new(path: &str, size: u64) -> Self {
        Self { kind: ContentKind::of(path), size, seen: 0, stage: Stage::Head(Vec::new()), refused: None }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`UnsafeContent`] as soon as it is found; the same again from then on.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), UnsafeContent> {
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        let room = usize::try_from(self.size - self.seen).unwrap_or(usize::MAX);
        let (taken, excess) = bytes.split_at(room.min(bytes.len()));
        self.seen += taken.len() as u64;
        let verdict = self.take(taken).and_then(|()| match excess {
            [] => Ok(()),
            _ => Err(self.incomplete(self.size.saturating_add(1))),
        });
        if let Err(refused) = &verdict {
            self.refused = Some(refused.clone());
            self.stage = Stage::Data;
        }
        verdict
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), UnsafeContent> {
        while !bytes.is_empty() {
            match &mut self.stage {
                Stage::Head(kept) => {
                    if fill(kept, HEAD, self.size, &mut bytes) {
                        let kept = std::mem::take(kept);
                        self.judge_head(kept)?;
                    }
                }
                Stage::Suspect(kept) => {
                    if fill(kept, PICKLE_MAX, self.size, &mut bytes) {
                        let kept = std::mem::take(kept);
                        self.judge_suspect(&kept)?;
                    }
                }
                Stage::Safetensors(check) => {
                    return check
                        .feed(bytes)
                        .map(|judged| self.pass(judged))
                        .map_err(UnsafeContent::Safetensors);
                }
                Stage::Gguf(check) => {
                    return check.feed(bytes).map(|judged| self.pass(judged)).map_err(UnsafeContent::Gguf);
                }
                Stage::Json(check) => return check.feed(bytes),
                Stage::Text(check) => return check.feed(bytes),
                Stage::Data => return Ok(()),
            }
        }
        Ok(())
    }

    /// Lets go of a header that was judged, and of what follows it unseen.
    fn pass(&mut self, judged: bool) {
        if judged {
            self.stage = Stage::Data;
        }
    }

    fn judge_head(&mut self, head: Vec<u8>) -> Result<(), UnsafeContent> {
        match sniff::head(&head, self.size) {
            Head::Refused(refused) => Err(refused),
            Head::Clean => self.check(&head),
            Head::Suspect if head.len() as u64 == self.size => self.judge_suspect(&head),
            Head::Suspect => {
                self.stage = Stage::Suspect(head);
                Ok(())
            }
        }
    }

    fn judge_suspect(&mut self, kept: &[u8]) -> Result<(), UnsafeContent> {
        sniff::suspect(kept, self.size)?;
        self.check(kept)
    }

    /// Begins the check that the file's kind asks for, with what was kept of it.
    fn check(&mut self, kept: &[u8]) -> Result<(), UnsafeContent> {
        self.stage = match self.kind {
            None => return Err(UnsafeContent::Unchecked),
            Some(ContentKind::Safetensors) => Stage::Safetensors(SafetensorsCheck::new(self.size)),
            Some(ContentKind::Gguf) => Stage::Gguf(GgufCheck::new(self.size)),
            Some(ContentKind::Json) if kept.starts_with(b"\xef\xbb\xbf") => {
                return Err(UnsafeContent::Json(JsonFault::ByteOrderMark));
            }
            Some(ContentKind::Json) => Stage::Json(Box::new(JsonCheck::new())),
            Some(ContentKind::Text) if kept.is_empty() => return Err(UnsafeContent::Empty),
            Some(ContentKind::Text) => Stage::Text(TextCheck::default()),
        };
        self.take(kept)
    }

    /// The verdict, after the last byte.
    ///
    /// # Errors
    /// [`UnsafeContent`] says what was found.
    pub fn finish(mut self) -> Result<(), UnsafeContent> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        if self.seen != self.size {
            return Err(self.incomplete(self.seen));
        }
        if self.size == 0 {
            self.check(&[])?;
        }
        match self.stage {
            Stage::Data => Ok(()),
            Stage::Text(check) => check.finish(),
            Stage::Json(check) => check.finish(),
            Stage::Gguf(check) => check.finish().map_err(UnsafeContent::Gguf),
            // A header that fits in the file was judged with its last byte.
            Stage::Safetensors(_) => Err(UnsafeContent::Safetensors(SafetensorsFault::NoHeader)),
            // Both are left with the last byte.
            Stage::Head(_) | Stage::Suspect(_) => Err(UnsafeContent::Unchecked),
        }
    }

    /// Why a file of `found` bytes is refused that was to have others: what is wrong with those that came says
    /// more than their number.
    fn incomplete(&mut self, found: u64) -> UnsafeContent {
        let judged = match &mut self.stage {
            Stage::Json(check) => check.flush(),
            _ => Ok(()),
        };
        judged.err().unwrap_or(UnsafeContent::Incomplete { expected: self.size, found })
    }

    /// Where the check is now, if it can be resumed from there: not before a header is judged, and never in
    /// JSON. Less than 200 bytes as JSON.
    pub fn save(&self) -> Option<InspectorState> {
        let place = match &self.stage {
            Stage::Data => Place::Data,
            Stage::Text(check) => Place::Text(check.clone()),
            _ => return None,
        };
        self.refused.is_none().then_some(InspectorState { size: self.size, seen: self.seen, place })
    }

    /// Takes up the check of a file at `path` that will be `size` bytes long where [`Self::save`] left it. A
    /// state that cannot be one of this file ends in a refusal.
    pub fn resume(path: &str, size: u64, state: InspectorState) -> Self {
        let mut inspector = Self::new(path, size);
        let fits = state.size == size
            && state.seen <= size
            && match (&state.place, inspector.kind) {
                (Place::Data, Some(ContentKind::Safetensors | ContentKind::Gguf)) => true,
                (Place::Text(check), Some(ContentKind::Text)) => check.is_plausible(),
                _ => false,
            };
        if !fits {
            inspector.refused = Some(UnsafeContent::ForeignState);
            return inspector;
        }
        inspector.seen = state.seen;
        inspector.stage = match state.place {
            Place::Data => Stage::Data,
            Place::Text(check) => Stage::Text(check),
        };
        inspector
    }
}

/// Keeps bytes up to `limit`, or the file's end; true once there.
fn fill(kept: &mut Vec<u8>, limit: usize, size: u64, bytes: &mut &[u8]) -> bool {
    let limit = usize::try_from(size).unwrap_or(usize::MAX).min(limit);
    let (taken, rest) = bytes.split_at((limit - kept.len()).min(bytes.len()));
    kept.extend_from_slice(taken);
    *bytes = rest;
    kept.len() == limit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspect(path: &str, bytes: &[u8]) -> Result<(), UnsafeContent> {
        // One byte at a time: what a check remembers must not depend on how the bytes were cut.
        let size = bytes.len() as u64;
        let mut slow = Inspector::new(path, size);
        let slowly = bytes.chunks(1).try_for_each(|byte| slow.feed(byte)).and_then(|()| slow.finish());
        let mut quick = Inspector::new(path, size);
        let verdict = quick.feed(bytes).and_then(|()| quick.finish());
        assert_eq!(slowly, verdict, "{path}");
        verdict
    }

    /// The same in pieces of these lengths, saved and resumed between them wherever that can be.
    fn inspect_with_breaks(path: &str, bytes: &[u8], cuts: &[usize]) -> Result<(), UnsafeContent> {
        let size = bytes.len() as u64;
        let mut inspector = Inspector::new(path, size);
        let mut rest = bytes;
        for cut in cuts {
            let (piece, left) = rest.split_at((*cut).min(rest.len()));
            inspector.feed(piece)?;
            rest = left;
            if let Some(state) = inspector.save() {
                let stored = serde_json::to_string(&state).unwrap();
                assert!(stored.len() < 200, "{stored}");
                inspector = Inspector::resume(path, size, serde_json::from_str(&stored).unwrap());
            }
        }
        inspector.feed(rest)?;
        inspector.finish()
    }

    fn safetensors(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    const SOUND: &str = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}"#;

    /// One tensor of three numbers.
    fn gguf() -> Vec<u8> {
        let mut bytes =
            b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0a\x01\0\0\0".to_vec();
        bytes.extend(3_u64.to_le_bytes());
        bytes.extend([0; 12]);
        bytes.resize(bytes.len().next_multiple_of(32) + 32, 0);
        bytes
    }

    #[test]
    fn sound_files_pass() {
        assert_eq!(inspect("model.safetensors", &safetensors(SOUND, 11)), Ok(()));
        assert_eq!(inspect("model.gguf", &gguf()), Ok(()));
        assert_eq!(inspect("config.json", br#"{"model_type": "tiny"}"#), Ok(()));
        assert_eq!(inspect("README.md", "Größe".as_bytes()), Ok(()));
    }

    #[test]
    fn trap_content_sniff_bytes_not_extensions() {
        for name in ["model.safetensors", "model.gguf", "vocab.txt", "config.json", "pytorch_model.bin"] {
            for bytes in [
                b"\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix".as_slice(),
                b"cos\nsystem\n(S'id'\ntR.",
                b"(cposix\nsystem\n",
                b"PK\x03\x04\x14\x00\x00\x00",
                b"\x7fELF\x02\x01\x01",
                b"#!/bin/sh\nid\n",
                b"\xef\xbb\xbf#!/bin/sh\nid\n",
                b"\x1f\x8b\x08\x00",
                b"\xa7\x0d\x0d\x0a\0\0\0\0",
            ] {
                let verdict = inspect(name, bytes);
                assert!(matches!(verdict, Err(UnsafeContent::Disguised(_))), "{name}: {verdict:?}");
            }
        }
    }

    #[test]
    fn a_refused_pickle_says_what_it_would_have_run() {
        let pickle = b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85Rcbuiltins\neval\n.";
        let mut zip = b"PK\x03\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        zip.extend((pickle.len() as u32).to_le_bytes());
        zip.extend((pickle.len() as u32).to_le_bytes());
        zip.extend(b"\x10\0\0\0archive/data.pkl");
        zip.extend(pickle);
        // Long enough that not all of it is kept.
        zip.resize(2 * PICKLE_MAX, 0);
        for (bytes, told) in [
            (pickle.as_slice(), "a pickle that imports posix.system and builtins.eval"),
            (&zip, "a zip archive whose archive/data.pkl imports posix.system and builtins.eval"),
        ] {
            let refused = inspect("vocab.txt", bytes).unwrap_err();
            assert_eq!(refused.to_string(), format!("its bytes are {told}, whatever its name says"));
        }
    }

    #[test]
    fn trap_content_skipped_is_not_passed() {
        for name in ["model.bin", "model.pt", "weights.h5", "modeling.py", "no-extension", "tokenizer.model"]
        {
            assert_eq!(inspect(name, b"harmless"), Err(UnsafeContent::Unchecked), "{name}");
            assert_eq!(inspect(name, &safetensors(SOUND, 11)), Err(UnsafeContent::Unchecked), "{name}");
            assert_eq!(inspect(name, b""), Err(UnsafeContent::Unchecked), "{name}");
        }
    }

    #[test]
    fn trap_content_safetensors_headers_are_validated() {
        let overlap = SOUND.replace("[8,11]", "[7,10]");
        let gap = SOUND.replace("[8,11]", "[9,12]");
        let dtype = SOUND.replace("F32", "Q9");
        let shape = SOUND.replace("[2]", "[3]");
        let endless = SOUND.replace("[2]", "[18446744073709551615,2]");
        let twice = SOUND.replace("\"b\"", "\"a\"");
        for (what, bytes) in [
            ("trailing byte", safetensors(SOUND, 12)),
            ("missing byte", safetensors(SOUND, 10)),
            ("overlap", safetensors(&overlap, 11)),
            ("gap", safetensors(&gap, 12)),
            ("dtype", safetensors(&dtype, 11)),
            ("shape", safetensors(&shape, 11)),
            ("overflow", safetensors(&endless, 11)),
            ("name given twice", safetensors(&twice, 11)),
            ("header too long", u64::MAX.to_le_bytes().to_vec()),
            ("header of 2^63 bytes", (1_u64 << 63).to_le_bytes().to_vec()),
            ("header past the end", 100_u64.to_le_bytes().to_vec()),
            ("empty", Vec::new()),
            ("not JSON", safetensors("{", 0)),
        ] {
            let verdict = inspect("model.safetensors", &bytes);
            assert!(matches!(verdict, Err(UnsafeContent::Safetensors(_))), "{what}: {verdict:?}");
        }
    }

    #[test]
    fn a_header_length_that_looks_like_another_formats_start_is_none() {
        // gzip, a Windows program, a script.
        for length in [0x8b1f, 0x5a4d, 0x2123] {
            let padded = format!("{SOUND:<length$}");
            assert_eq!(inspect("model.safetensors", &safetensors(&padded, 11)), Ok(()), "{length:#x}");
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
    fn trap_content_gguf_headers_are_validated() {
        let sound = gguf();
        assert_eq!(sound.len(), 96);
        for (what, bytes) in [
            ("empty", Vec::new()),
            ("missing byte", sound[..75].to_vec()),
            ("trailing byte", [sound.as_slice(), &[0]].concat()),
            ("version 1", [b"GGUF\x01", &sound[5..]].concat()),
            ("big-endian", [b"GGUF\0\0\0\x03", &sound[8..]].concat()),
            ("safetensors by name", safetensors(SOUND, 11)),
        ] {
            let verdict = inspect("model.gguf", &bytes);
            assert!(matches!(verdict, Err(UnsafeContent::Gguf(_))), "{what}: {verdict:?}");
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
        for name in ["model.safetensors", "model.gguf", "config.json", "notes.txt", "model.bin"] {
            assert_eq!(inspect(name, pointer), Err(UnsafeContent::LfsPointer), "{name}");
        }
    }

    #[test]
    fn text_must_be_text() {
        for bytes in [b"a\0b".as_slice(), b"\xff\xfe", b"half \xc3"] {
            assert_eq!(inspect("a.txt", bytes), Err(UnsafeContent::NotText), "{bytes:?}");
        }
        assert_eq!(inspect("a.txt", b""), Err(UnsafeContent::Empty));
    }

    #[test]
    fn json_with_a_byte_order_mark_is_refused() {
        assert_eq!(
            inspect("config.json", b"\xef\xbb\xbf{}"),
            Err(UnsafeContent::Json(JsonFault::ByteOrderMark))
        );
    }

    #[test]
    fn a_file_that_is_shorter_or_longer_than_told_is_refused() {
        for (size, verdict) in [
            (2, UnsafeContent::Incomplete { expected: 2, found: 3 }),
            (4, UnsafeContent::Incomplete { expected: 4, found: 3 }),
        ] {
            for piece in [1, 3] {
                let mut inspector = Inspector::new("a.txt", size);
                let fed = b"abc".chunks(piece).try_for_each(|piece| inspector.feed(piece));
                assert_eq!(fed.and_then(|()| inspector.finish()), Err(verdict.clone()));
            }
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_before_its_length() {
        // The string is long enough that reading it anew is put off, and with it what follows.
        let json = format!("[\"{}\" x", "a".repeat(1050));
        let size = json.len() as u64;
        for told in [size - 1, size, size + 1] {
            for piece in [1, 10_000] {
                let mut inspector = Inspector::new("a.json", told);
                let fed = json.as_bytes().chunks(piece).try_for_each(|piece| inspector.feed(piece));
                let verdict = fed.and_then(|()| inspector.finish());
                let syntax = matches!(verdict, Err(UnsafeContent::Json(JsonFault::Syntax(_))));
                assert_eq!(syntax, told >= size, "{told} {piece}: {verdict:?}");
            }
        }
    }

    #[test]
    fn a_refusal_stays_one() {
        let mut inspector = Inspector::new("a.txt", 1 << 40);
        let zeros = vec![0; HEAD];
        assert_eq!(inspector.feed(&zeros), Err(UnsafeContent::NotText));
        assert_eq!(inspector.feed(b"harmless"), Err(UnsafeContent::NotText));
        assert_eq!(inspector.save(), None);
        assert_eq!(inspector.finish(), Err(UnsafeContent::NotText));
    }

    #[test]
    fn a_check_can_be_saved_once_the_header_is_judged() {
        let bytes = safetensors(SOUND, 1000);
        let mut inspector = Inspector::new("model.safetensors", bytes.len() as u64);
        inspector.feed(&bytes[..100]).unwrap();
        assert_eq!(inspector.save(), None);
        let json = format!("[{}]", "1,".repeat(1000));
        let mut inspector = Inspector::new("a.json", json.len() as u64);
        inspector.feed(&json.as_bytes()[..600]).unwrap();
        assert_eq!(inspector.save(), None);
        let sound = SOUND.replace("[8,11]", "[8,1011]").replace("[3]", "[1003]");
        let bytes = safetensors(&sound, 1011);
        let mut inspector = Inspector::new("model.safetensors", bytes.len() as u64);
        inspector.feed(&bytes[..600]).unwrap();
        assert!(inspector.save().is_some());
    }

    #[test]
    fn a_state_of_another_file_is_refused() {
        let text = "é".repeat(1000);
        let mut inspector = Inspector::new("a.txt", 2000);
        inspector.feed(&text.as_bytes()[..999]).unwrap();
        let state = inspector.save().unwrap();
        for (path, size) in [("a.txt", 2001), ("a.safetensors", 2000), ("a.json", 2000), ("a.bin", 2000)] {
            let mut foreign = Inspector::resume(path, size, state.clone());
            assert_eq!(foreign.feed(b"a"), Err(UnsafeContent::ForeignState));
            assert_eq!(foreign.finish(), Err(UnsafeContent::ForeignState));
        }
        let stored = serde_json::to_string(&state).unwrap();
        assert_eq!(stored, r#"{"size":2000,"seen":999,"place":{"text":{"tail":[195]}}}"#);
        let beyond: InspectorState = serde_json::from_str(&stored.replace("999", "2001")).unwrap();
        assert_eq!(Inspector::resume("a.txt", 2000, beyond).finish(), Err(UnsafeContent::ForeignState));
        let torn: InspectorState = serde_json::from_str(&stored.replace("195", "97")).unwrap();
        assert_eq!(Inspector::resume("a.txt", 2000, torn).finish(), Err(UnsafeContent::ForeignState));
        let mut own = Inspector::resume("a.txt", 2000, state);
        assert_eq!(own.feed(&text.as_bytes()[999..]).and_then(|()| own.finish()), Ok(()));
    }

    proptest::proptest! {
        #[test]
        fn the_verdict_does_not_depend_on_cuts_or_breaks(
            which in 0..8_usize,
            fault in proptest::option::of((0..2000_usize, proptest::num::u8::ANY)),
            cuts in proptest::collection::vec(0..700_usize, 0..8),
        ) {
            let words = "Größe und Wörter, and some more. ".repeat(40);
            let json = format!("{{\"a\": [{}\"€\"]}}", "{\"b\": 1.5e3}, ".repeat(60));
            let sound = SOUND.replace("[8,11]", "[8,1011]").replace("[3]", "[1003]");
            let pickle = format!("cos\nsystem\n(S'{}'\ntR.", "i".repeat(900));
            let (path, mut bytes) = match which {
                0 => ("model.safetensors", safetensors(&sound, 1011)),
                1 => ("model.gguf", gguf()),
                2 => ("a.txt", words.into_bytes()),
                3 => ("a.json", json.into_bytes()),
                4 => ("a.txt", pickle.into_bytes()),
                5 => ("model.bin", b"PK\x03\x04".repeat(200)),
                6 => ("a.txt", b"version https://git-lfs.github.com/spec/v1\n".to_vec()),
                _ => ("model.safetensors", safetensors(&format!("{SOUND:<700}"), 11)),
            };
            if let Some((place, byte)) = fault {
                let place = place % bytes.len();
                bytes[place] = byte;
            }
            proptest::prop_assert_eq!(inspect(path, &bytes), inspect_with_breaks(path, &bytes, &cuts));
        }
    }

    #[test]
    fn a_break_at_every_byte_changes_nothing() {
        let sound = SOUND.replace("[8,11]", "[8,1011]").replace("[3]", "[1003]");
        let mut bad = "é".repeat(500).into_bytes();
        bad.extend(b"\xff and so on");
        for (path, bytes) in [
            ("model.safetensors", safetensors(&sound, 1011)),
            ("model.gguf", gguf()),
            ("a.txt", "Größe 𝄞 ".repeat(100).into_bytes()),
            ("a.txt", bad),
        ] {
            let verdict = inspect(path, &bytes);
            assert_eq!(inspect_with_breaks(path, &bytes, &vec![1; bytes.len()]), verdict);
            for cut in 0..bytes.len() {
                assert_eq!(inspect_with_breaks(path, &bytes, &[cut]), verdict, "{path} {cut}");
            }
        }
    }
}
