//! What bytes are, whatever the file's name says.
//!
//! Crates that name formats by their first bytes know hundreds, and few of the ones that matter here: what runs
//! code when it is loaded, and what hides content from these checks. A text that is none of them is text. In the
//! other kinds of file a foreign format is refused anyway, and is looked for to say what it is.

use super::{
    archive,
    limits::HEADER_MAX,
    pickle::{self, End},
    verdict::{Disguise, UnsafeContent},
};

/// Formats by their first bytes.
const FORMATS: [(&[u8], &str); 25] = [
    (b"PK\x05\x06", "an empty zip archive"),
    (b"PK\x07\x08", "a spanned zip archive"),
    (b"\x7fELF", "an ELF program"),
    (b"MZ", "a Windows program"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O program"),
    (b"\xce\xfa\xed\xfe", "a Mach-O program"),
    (b"\xfe\xed\xfa\xcf", "a Mach-O program"),
    (b"\xfe\xed\xfa\xce", "a Mach-O program"),
    (b"\xca\xfe\xba\xbe", "a Mach-O or Java program"),
    (b"\0asm", "a WebAssembly program"),
    (b"\x1bLua", "a compiled Lua program"),
    (b"dex\n", "an Android program"),
    (b"#!", "a script"),
    (b"\xef\xbb\xbf#!", "a script"),
    (b"\x1f\x8b", "gzip-compressed"),
    (b"BZh", "bzip2-compressed"),
    (b"\xfd7zXZ", "xz-compressed"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed"),
    (b"\x04\x22\x4d\x18", "lz4-compressed"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x89HDF", "HDF5 (Keras models can hold code)"),
    (b"\x93NUMPY", "a NumPy array (which can hold pickles)"),
    (b"\xac\xed\0\x05", "serialized Java objects"),
    (b"!<arch>\n", "an archive of object files"),
];

/// What the first bytes of a file say of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// None of the formats looked for.
    Clean,
    /// Refused, or to be refused once more of it is kept to say what it would have run.
    Suspect,
    /// Nothing more is to be known of it.
    Refused(UnsafeContent),
}

/// Judges a file's first [`HEAD`](super::limits::HEAD) bytes, or all of it when it is shorter.
pub(super) fn head(head: &[u8], size: u64) -> Head {
    if is_weights(head) {
        return Head::Clean;
    }
    if [b"version https://git-lfs.github.com/spec/".as_slice(), b"version https://hawser.github.com/spec/"]
        .iter()
        .any(|start| head.starts_with(start))
    {
        return Head::Refused(UnsafeContent::LfsPointer);
    }
    if head.starts_with(b"PK\x03\x04") || is_pickle_start(head) {
        return Head::Suspect;
    }
    if let Some((_, format)) = FORMATS.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Head::Refused(UnsafeContent::Disguised(Disguise::Format(format)));
    }
    if head.get(257..262) == Some(b"ustar") && head.contains(&0) {
        return Head::Refused(UnsafeContent::Disguised(Disguise::Format("a tar archive")));
    }
    // Compiled Python: a 16-bit number of the version, then a line end that text mode would break.
    if matches!(head, [_, 0x0c..=0x0f, b'\r', b'\n', ..]) {
        return Head::Refused(UnsafeContent::Disguised(Disguise::Format("compiled Python")));
    }
    match unmarked_pickle(head, size) {
        None => Head::Clean,
        Some(_) => Head::Suspect,
    }
}

/// Judges as many bytes of a suspect as are kept, or all of it when it is shorter. `Ok` when it is nothing that
/// was looked for after all.
pub(super) fn suspect(kept: &[u8], size: u64) -> Result<(), UnsafeContent> {
    let disguise = if kept.starts_with(b"PK\x03\x04") {
        archive::name(kept)
    } else if is_pickle_start(kept) {
        Disguise::Pickle(pickle::read(kept).imports)
    } else {
        match unmarked_pickle(kept, size) {
            None => return Ok(()),
            Some(disguise) => disguise,
        }
    };
    Err(UnsafeContent::Disguised(disguise))
}

/// Weights begin with numbers, which can look like anything: a safetensors header of 640 bytes begins like a
/// pickle, and one of 35,615 like gzip. No format goes on as these do: after a length within our limit come
/// zeros, then `{`. Whether the file is sound is asked later. Both hold zeros, so that no text passes for them: the
/// letters `GGUF` alone begin a pickle, with a number.
fn is_weights(head: &[u8]) -> bool {
    let length = head.first_chunk::<8>().map(|length| u64::from_le_bytes(*length));
    let safetensors = length.is_some_and(|length| length <= HEADER_MAX) && head.get(8) == Some(&b'{');
    let gguf = head.starts_with(b"GGUF") && head.get(4..8).is_some_and(|version| version.contains(&0));
    safetensors || gguf
}

/// Protocols 2 to 5 begin with `PROTO`, and the others may.
fn is_pickle_start(head: &[u8]) -> bool {
    matches!(head, [0x80, 0..=5, ..])
}

/// Protocols 0 and 1 begin with any opcode, and 0 is text. It is a pickle if Python's reader would come to run
/// something, or to its end; words that happen to be opcodes soon break off.
fn unmarked_pickle(bytes: &[u8], size: u64) -> Option<Disguise> {
    let reading = pickle::read(bytes);
    let whole = bytes.len() as u64 == size;
    let imports = !reading.imports.is_empty();
    let (found, undecided) = match reading.end {
        _ if reading.runs => (true, false),
        End::Stop(end) => (imports || end as u64 == size, false),
        End::Broken => (false, false),
        End::Between => (whole && imports, !whole),
        // An argument that ends after the file does is never read.
        End::Within(end) => (false, !whole && end.is_none_or(|end| end <= size)),
    };
    if found { Some(Disguise::Pickle(reading.imports)) } else { undecided.then_some(Disguise::PerhapsPickle) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_happen_to_be_opcodes_are_words() {
        for text in [
            "cat\ndog\nelephant\n",
            "certifi\nnumpy\nrequests\n",
            "The quick brown fox jumps over the lazy dog. A long text follows.\n",
            "Building\n",
            "MIT License\n\nCopyright (c) 2024\n",
            "Copyright 2024 The Authors. All rights reserved.\n\nLicensed under the Apache License\n",
            "(see below)\nI have 2 cats\n.",
            "[PAD]\n[unused0]\n",
            "#version: 0.2\nt h\n",
            "---\nlicense: mit\n---\n",
            "Introduction\n============\n",
            "0\n1\n2\n",
            "I1\nI2\n",
            "N",
            "N)b is called with nothing imported",
        ] {
            let bytes = text.as_bytes();
            assert_eq!(head(bytes, bytes.len() as u64), Head::Clean, "{text}");
        }
    }

    #[test]
    fn a_text_that_is_a_pickle_is_one_wherever_it_imports() {
        let long = format!("S'{}'\n0cos\nsystem\n(S'id'\ntR.", "a".repeat(1000));
        let filler = "I1\n0".repeat(1000);
        let later = format!("{filler}cos\nsystem\n(S'id'\ntR.");
        for text in [&long, &later] {
            let bytes = text.as_bytes();
            assert_eq!(head(&bytes[..512], bytes.len() as u64), Head::Suspect);
            let verdict = suspect(bytes, bytes.len() as u64);
            assert!(
                matches!(&verdict, Err(UnsafeContent::Disguised(Disguise::Pickle(imports)))
                    if imports.to_string() == "os.system"),
                "{verdict:?}"
            );
        }
        assert_eq!(
            suspect(filler.as_bytes(), u64::MAX),
            Err(UnsafeContent::Disguised(Disguise::PerhapsPickle))
        );
        assert_eq!(suspect(filler.as_bytes(), filler.len() as u64), Ok(()));
        // What ran before the break has run.
        let broken = b"cos\nsystem\n(S'id'\ntR, and so on";
        assert!(matches!(
            suspect(broken, broken.len() as u64),
            Err(UnsafeContent::Disguised(Disguise::Pickle(_)))
        ));
        let like_weights = b"GGUF 1234cos\nsystem\n(S'id'\ntR.";
        assert_eq!(head(like_weights, like_weights.len() as u64), Head::Suspect);
        // Data alone is a pickle too, if nothing follows its end.
        assert_eq!(head(b"(lp0\nI1\na.", 10), Head::Suspect);
        assert_eq!(head(b"(lp0\nI1\na. And so on.", 21), Head::Clean);
    }

    #[test]
    fn a_tar_archive_is_known_in_its_middle() {
        let mut tar = vec![0; 512];
        tar[..8].copy_from_slice(b"data.pkl");
        tar[257..262].copy_from_slice(b"ustar");
        assert!(matches!(head(&tar, 512), Head::Refused(UnsafeContent::Disguised(_))));
    }
}
