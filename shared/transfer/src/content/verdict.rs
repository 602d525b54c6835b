//! What makes content unsafe, in words that a user can act on.

use std::fmt;

use super::{gguf::GgufFault, json::JsonFault, pickle::Imports, safetensors::SafetensorsFault};

/// What makes content unsafe. What cannot be checked is unsafe too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsafeContent {
    /// The bytes are of a format that can run code, or hide it.
    #[error("its bytes are {0}, whatever its name says")]
    Disguised(Disguise),
    /// Nobody here can check this kind of file.
    #[error("no check exists for this kind of file; leave it out by `deny`")]
    Unchecked,
    /// Nothing is in it, where something was meant to be.
    #[error("it is empty")]
    Empty,
    /// A git-lfs pointer in place of the content.
    #[error("it holds a git-lfs pointer in place of its content")]
    LfsPointer,
    /// A safetensors file that is not sound.
    #[error("it is not a sound safetensors file: {0}")]
    Safetensors(SafetensorsFault),
    /// A GGUF file that is not sound.
    #[error("it is not a sound GGUF file: {0}")]
    Gguf(GgufFault),
    /// JSON that is not sound, or not within the limits of what is read.
    #[error("it is not sound JSON: {0}")]
    Json(JsonFault),
    /// Text with a NUL byte or invalid UTF-8.
    #[error("it holds bytes that are not UTF-8 text")]
    NotText,
    /// A configuration that makes loaders run code from the repository.
    #[error("its `{0}` makes loaders run code from the repository")]
    RemoteCode(&'static str),
    /// Other than the promised number of bytes came.
    #[error("{found} bytes of it were checked, of {expected}")]
    Incomplete {
        /// The bytes promised.
        expected: u64,
        /// The bytes that came; when more came than promised, those up to and with the first too many.
        found: u64,
    },
    /// A state to resume from that belongs to another file, or to none.
    #[error("the state of its check is not one of this file")]
    ForeignState,
}

/// What bytes are, whatever the file's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disguise {
    /// A format known by its first bytes, such as "an ELF program".
    Format(&'static str),
    /// A pickle: a program that Python runs when it loads it.
    Pickle(Imports),
    /// It reads as a pickle for as far as is kept, and no further; what follows cannot be told.
    PerhapsPickle,
    /// A zip archive with a pickle in it, as PyTorch writes its checkpoints.
    ZippedPickle {
        /// The pickle's name in the archive, safe to print.
        entry: String,
        /// What the pickle imports.
        imports: Imports,
    },
}

impl fmt::Display for Disguise {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(format) => formatter.write_str(format),
            Self::Pickle(imports) if imports.is_empty() => formatter.write_str("a pickle"),
            Self::Pickle(imports) => write!(formatter, "a pickle that imports {imports}"),
            Self::PerhapsPickle => formatter.write_str("what could be the beginning of a long pickle"),
            Self::ZippedPickle { entry, imports } if imports.is_empty() => {
                write!(formatter, "a zip archive with the pickle {entry} in it")
            }
            Self::ZippedPickle { entry, imports } => {
                write!(formatter, "a zip archive whose {entry} imports {imports}")
            }
        }
    }
}

/// `bytes` as they may be shown: at most 80 characters, each of them printable ASCII. What comes from a hostile
/// file must not move a terminal's cursor, nor fill a log.
pub(super) fn printable(bytes: &[u8]) -> String {
    const LONGEST: usize = 80;
    let mut shown: String = bytes
        .iter()
        .take(LONGEST)
        .map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '?' })
        .collect();
    if bytes.len() > LONGEST {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_is_shown_short_and_harmless() {
        assert_eq!(printable(b"\x1b[2Jposix\n\xff"), "?[2Jposix??");
        assert_eq!(printable(&[b'a'; 1000]).len(), 83);
    }
}
