//! The first entries of a zip archive, as far as they are kept: PyTorch's checkpoints are pickles in one.
//!
//! The `zip` crate reads an archive from its end, which comes gigabytes later, if ever.

use super::{
    pickle,
    verdict::{Disguise, printable},
};

/// What a zip archive is to be called, by its first bytes: the first pickle in it is read if it is stored as it
/// is, which is how PyTorch stores it.
pub(super) fn name(bytes: &[u8]) -> Disguise {
    let mut rest = bytes;
    while let Some(entry) = Entry::first(rest) {
        if entry.stored && entry.name.ends_with(b".pkl") {
            let imports = pickle::read(entry.content).imports;
            return Disguise::ZippedPickle { entry: printable(entry.name), imports };
        }
        let Some(next) = entry.next else { break };
        rest = next;
    }
    Disguise::Format("a zip archive (PyTorch checkpoints are pickles in zip)")
}

/// An entry with its local header.
struct Entry<'a> {
    name: &'a [u8],
    stored: bool,
    /// What follows the header; a pickle says itself where it ends.
    content: &'a [u8],
    /// What follows the entry, if its length is told before it.
    next: Option<&'a [u8]>,
}

impl<'a> Entry<'a> {
    fn first(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<30>()?;
        if !header.starts_with(b"PK\x03\x04") {
            return None;
        }
        let u16_at = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let compressed = u32::from_le_bytes([header[18], header[19], header[20], header[21]]);
        let (name, rest) = rest.split_at_checked(u16_at(26).into())?;
        let (_, content) = rest.split_at_checked(u16_at(28).into())?;
        // Zero where the length follows the content, and all ones where it is in the zip64 extension: then
        // nothing that is an entry is found there. Neither is worth a search, as the pickle is among the first
        // entries of the archives that matter.
        let next = content.get(compressed as usize..);
        Some(Self { name, stored: u16_at(8) == 0, content, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, method: u16, flags: u16, content: &[u8]) -> Vec<u8> {
        let mut bytes = b"PK\x03\x04\x00\x00".to_vec();
        bytes.extend(flags.to_le_bytes());
        bytes.extend(method.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend((content.len() as u32).to_le_bytes());
        bytes.extend((content.len() as u32).to_le_bytes());
        bytes.extend((name.len() as u16).to_le_bytes());
        bytes.extend([2, 0]);
        bytes.extend(name.as_bytes());
        bytes.extend(b"ex");
        bytes.extend(content);
        bytes
    }

    const PICKLE: &[u8] = b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R.";

    #[test]
    fn a_checkpoints_pickle_is_read() {
        let zipped = entry("archive/data.pkl", 0, 8, PICKLE);
        assert_eq!(name(&zipped).to_string(), "a zip archive whose archive/data.pkl imports posix.system");
        let second = [entry("archive/version", 0, 0, b"3\n"), entry("a.pkl", 0, 0, PICKLE)].concat();
        assert_eq!(name(&second).to_string(), "a zip archive whose a.pkl imports posix.system");
    }

    #[test]
    fn what_cannot_be_read_is_a_zip_archive_still() {
        let whole = entry("data.pkl", 8, 0, PICKLE);
        for length in 0..whole.len() {
            let Disguise::Format(format) = name(&whole[..length]) else { panic!("{length}") };
            assert!(format.contains("zip"));
        }
    }
}
