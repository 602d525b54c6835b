//! The header of a GGUF file: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3 in
//! little endian, with what the reference reader (`ggml/src/gguf.cpp`) demands beyond it.
//!
//! Readers of the format exist, but they take counts and lengths for trusted, want the whole file or a seekable
//! one, and stop before the tensors' places are compared with the file's size. This one reads a prefix, and
//! asks for more as long as what the file claims can still be true.

use std::collections::HashSet;

use super::{
    limits::{HEADER_MAX, TENSORS_MAX},
    verdict::printable,
};

/// How deep arrays in the metadata may nest. The reference reader takes none within another.
const NESTING_MAX: u32 = 4;
/// The longest name of a tensor, in bytes: the reference reader's limit.
const NAME_MAX: u64 = 63;
/// The longest key of the metadata, in bytes: the format's limit.
const KEY_MAX: u64 = 65_535;
/// Where `general.alignment` is not given.
const DEFAULT_ALIGNMENT: u64 = 32;
/// Padding is a place to hide in, so there may not be much of it.
const ALIGNMENT_MAX: u64 = 65_536;
/// What the first read of a header takes, in bytes; each next takes double.
const FIRST_READ: u64 = 4096;

/// Why a GGUF file is not sound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GgufFault {
    /// Other than `GGUF` in the first bytes.
    #[error("it does not begin with `GGUF`")]
    Magic,
    /// A version whose layout is not known here; 1 had other widths.
    #[error("version {0} is not one of those that are checked, 2 and 3")]
    Version(u32),
    /// Numbers in the other byte order.
    #[error("it is big-endian, which is not checked")]
    BigEndian,
    /// Something that the header tells of would lie after the file's end.
    #[error("its header goes past its end")]
    PastEnd,
    /// What is longer than our limit could not be checked.
    #[error("its header is longer than the {HEADER_MAX} bytes that are checked")]
    HeaderTooLong,
    /// More tensors or metadata than are kept track of.
    #[error("its header counts {0} tensors or entries, more than the {TENSORS_MAX} that are checked")]
    TooMany(u64),
    /// A key or name that is too long, empty, or not of printable characters.
    #[error("the key or name `{0}` is not allowed")]
    Name(String),
    /// A key or name is given twice: readers differ in which they take.
    #[error("its header names `{0}` twice")]
    DuplicateName(String),
    /// A string that is not UTF-8.
    #[error("`{0}` holds a string that is not UTF-8")]
    NotText(String),
    /// A boolean that is neither 0 nor 1.
    #[error("`{0}` holds a boolean that is neither true nor false")]
    NotBoolean(String),
    /// A value whose type is not one of the format's.
    #[error("`{key}` is of the unknown type {value_type}")]
    ValueType {
        /// The entry.
        key: String,
        /// Its type.
        value_type: u32,
    },
    /// Arrays in arrays.
    #[error("`{0}` nests arrays more than {NESTING_MAX} deep")]
    Nesting(String),
    /// An alignment that is no power of two between 8 and 65,536, or not given as a 32-bit number.
    #[error("its alignment is not a power of two between 8 and {ALIGNMENT_MAX}")]
    Alignment,
    /// A tensor with more than four dimensions.
    #[error("`{name}` has {dimensions} dimensions, and 4 are the most")]
    Dimensions {
        /// The tensor.
        name: String,
        /// How many it claims.
        dimensions: u32,
    },
    /// A type of element that is not known here.
    #[error("`{name}` is of the unknown type {tensor_type}")]
    TensorType {
        /// The tensor.
        name: String,
        /// Its type.
        tensor_type: u32,
    },
    /// Rows that do not fill whole blocks of their type.
    #[error("the rows of `{0}` do not fill whole blocks")]
    PartialBlock(String),
    /// The size of a tensor is no 63-bit number.
    #[error("the shape of `{0}` is larger than any file")]
    ShapeOverflow(String),
    /// A tensor that does not follow the one before it: a gap, an overlap, or out of line.
    #[error("`{name}` is at offset {found} of the data, where {expected} was due")]
    Offset {
        /// The tensor.
        name: String,
        /// Where the one before it ended, aligned.
        expected: u64,
        /// Where the header says that it is.
        found: u64,
    },
    /// Padding that is not zero.
    #[error("its padding is not empty")]
    Padding,
    /// The tensors end before or after the file does.
    #[error("its tensors end at byte {told}, and the file at {size}")]
    LengthDiffers {
        /// Where the last tensor ends, aligned.
        told: u64,
        /// The file's size in bytes.
        size: u64,
    },
}

/// Takes in a header until it is whole, and judges it. The data after it can be anything.
#[derive(Debug)]
pub(super) struct GgufCheck {
    /// The file's size in bytes.
    size: u64,
    kept: Vec<u8>,
    /// The length of `kept` at which to read it, next time.
    read_at: u64,
}

impl GgufCheck {
    pub fn new(size: u64) -> Self {
        Self { size, kept: Vec::new(), read_at: FIRST_READ.min(size) }
    }

    /// Takes the next bytes; true once the header is found sound, and no more is to be known.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<bool, GgufFault> {
        while !bytes.is_empty() {
            // Fits: it is at most HEADER_MAX.
            let missing = self.read_at as usize - self.kept.len();
            let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
            self.kept.extend_from_slice(taken);
            bytes = rest;
            if self.kept.len() as u64 == self.read_at {
                match read(&self.kept, self.size) {
                    Ok(()) => return Ok(true),
                    Err(Stop::Fault(fault)) => return Err(fault),
                    // Not more than there is, nor than is kept: a claim beyond that is a fault.
                    Err(Stop::More) => {
                        self.read_at = (self.read_at * 2).min(HEADER_MAX).min(self.size);
                        self.kept.reserve_exact(self.read_at as usize - self.kept.len());
                    }
                }
            }
        }
        Ok(false)
    }

    /// After the last byte of a file whose header never became whole.
    pub fn finish(self) -> Result<(), GgufFault> {
        match read(&self.kept, self.size) {
            Ok(()) => Ok(()),
            Err(Stop::Fault(fault)) => Err(fault),
            Err(Stop::More) => Err(GgufFault::PastEnd),
        }
    }
}

/// Why reading stopped short.
enum Stop {
    /// The prefix is sound, but no more than a prefix.
    More,
    Fault(GgufFault),
}

impl From<GgufFault> for Stop {
    fn from(fault: GgufFault) -> Self {
        Self::Fault(fault)
    }
}

struct Cursor<'a> {
    prefix: &'a [u8],
    at: u64,
    /// The whole file's size in bytes.
    size: u64,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: u64) -> Result<&'a [u8], Stop> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.size).ok_or(GgufFault::PastEnd)?;
        if end > HEADER_MAX {
            return Err(GgufFault::HeaderTooLong.into());
        }
        // Both fit: they are at most HEADER_MAX.
        let taken = self.prefix.get(self.at as usize..end as usize).ok_or(Stop::More)?;
        self.at = end;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, Stop> {
        let mut number = [0; 4];
        number.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(number))
    }

    fn u64(&mut self) -> Result<u64, Stop> {
        let mut number = [0; 8];
        number.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(number))
    }

    fn count(&mut self) -> Result<u64, Stop> {
        let count = self.u64()?;
        if count > TENSORS_MAX as u64 { Err(GgufFault::TooMany(count).into()) } else { Ok(count) }
    }

    /// A key or a tensor's name: printable, so that messages can hold it, and not given before.
    fn name(&mut self, longest: u64, seen: &mut HashSet<&'a [u8]>) -> Result<&'a [u8], Stop> {
        let length = self.u64()?;
        if length == 0 || length > longest {
            return Err(GgufFault::Name(String::new()).into());
        }
        let name = self.take(length)?;
        if std::str::from_utf8(name).is_err() || name.iter().any(u8::is_ascii_control) {
            return Err(GgufFault::Name(printable(name)).into());
        }
        if !seen.insert(name) {
            return Err(GgufFault::DuplicateName(printable(name)).into());
        }
        Ok(name)
    }

    fn value(&mut self, key: &[u8], value_type: u32, nested: u32) -> Result<(), Stop> {
        match value_type {
            7 => self.booleans(key, 1),
            8 => self.string(key),
            9 if nested == NESTING_MAX => Err(GgufFault::Nesting(printable(key)).into()),
            9 => {
                let element = self.u32()?;
                let count = self.u64()?;
                match element {
                    7 => self.booleans(key, count),
                    8 | 9 => {
                        // Each takes 8 bytes at least, so the file's end bounds how often this goes round.
                        (0..count).try_for_each(|_| self.value(key, element, nested + 1))
                    }
                    _ => {
                        let length = width(key, element)?.checked_mul(count).ok_or(GgufFault::PastEnd)?;
                        self.take(length).map(drop)
                    }
                }
            }
            _ => self.take(width(key, value_type)?).map(drop),
        }
    }

    fn string(&mut self, key: &[u8]) -> Result<(), Stop> {
        let length = self.u64()?;
        if std::str::from_utf8(self.take(length)?).is_err() {
            return Err(GgufFault::NotText(printable(key)).into());
        }
        Ok(())
    }

    fn booleans(&mut self, key: &[u8], count: u64) -> Result<(), Stop> {
        if self.take(count)?.iter().any(|byte| *byte > 1) {
            return Err(GgufFault::NotBoolean(printable(key)).into());
        }
        Ok(())
    }

    /// Padding up to a multiple of `alignment`, which must be zeros.
    fn align(&mut self, alignment: u64) -> Result<(), Stop> {
        let padding = self.take(self.at.next_multiple_of(alignment) - self.at)?;
        if padding.iter().any(|byte| *byte != 0) { Err(GgufFault::Padding.into()) } else { Ok(()) }
    }
}

/// The width in bytes of a number in the metadata.
fn width(key: &[u8], value_type: u32) -> Result<u64, GgufFault> {
    match value_type {
        0 | 1 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        _ => Err(GgufFault::ValueType { key: printable(key), value_type }),
    }
}

/// Elements in a block, and a block's size in bytes, of a `ggml_type`; `None` for those that were withdrawn or
/// are not known. `ggml_blck_size` and `ggml_type_size` in `ggml/src/ggml.c`.
fn block(tensor_type: u32) -> Option<(u64, u64)> {
    Some(match tensor_type {
        0 | 26 => (1, 4),      // F32, I32
        1 | 25 | 30 => (1, 2), // F16, I16, BF16
        24 => (1, 1),          // I8
        27 | 28 => (1, 8),     // I64, F64
        2 | 20 => (32, 18),    // Q4_0, IQ4_NL
        3 => (32, 20),         // Q4_1
        6 => (32, 22),         // Q5_0
        7 => (32, 24),         // Q5_1
        8 => (32, 34),         // Q8_0
        9 => (32, 36),         // Q8_1
        10 => (256, 84),       // Q2_K
        11 | 21 => (256, 110), // Q3_K, IQ3_S
        12 => (256, 144),      // Q4_K
        13 => (256, 176),      // Q5_K
        14 => (256, 210),      // Q6_K
        15 => (256, 292),      // Q8_K
        16 | 35 => (256, 66),  // IQ2_XXS, TQ2_0
        17 => (256, 74),       // IQ2_XS
        18 => (256, 98),       // IQ3_XXS
        19 => (256, 50),       // IQ1_S
        22 => (256, 82),       // IQ2_S
        23 => (256, 136),      // IQ4_XS
        29 => (256, 56),       // IQ1_M
        34 => (256, 54),       // TQ1_0
        39 => (32, 17),        // MXFP4
        40 => (64, 36),        // NVFP4
        41 => (128, 18),       // Q1_0
        42 => (64, 18),        // Q2_0
        _ => return None,
    })
}

/// Reads the header out of a file's first bytes.
fn read(prefix: &[u8], size: u64) -> Result<(), Stop> {
    let mut header = Cursor { prefix, at: 0, size };
    if header.take(4)? != b"GGUF" {
        return Err(GgufFault::Magic.into());
    }
    match header.u32()? {
        2 | 3 => {}
        // The reference reader's test: the low half of a small number in the other byte order is zero.
        version if version & 0xffff == 0 && version != 0 => return Err(GgufFault::BigEndian.into()),
        version => return Err(GgufFault::Version(version).into()),
    }
    let tensors = header.count()?;
    let entries = header.count()?;

    let mut alignment = DEFAULT_ALIGNMENT;
    let mut keys = HashSet::new();
    for _ in 0..entries {
        let key = header.name(KEY_MAX, &mut keys)?;
        let value_type = header.u32()?;
        if key == b"general.alignment" {
            if value_type != 4 {
                return Err(GgufFault::Alignment.into());
            }
            alignment = header.u32()?.into();
            if !alignment.is_power_of_two() || !(8..=ALIGNMENT_MAX).contains(&alignment) {
                return Err(GgufFault::Alignment.into());
            }
        } else {
            header.value(key, value_type, 0)?;
        }
    }

    let mut names = HashSet::new();
    // Where the last tensor ends in the data, exactly and aligned.
    let (mut end, mut aligned_end) = (0_u64, 0_u64);
    for _ in 0..tensors {
        let name = header.name(NAME_MAX, &mut names)?;
        let bytes = tensor_bytes(&mut header, name)?;
        let offset = header.u64()?;
        if offset != aligned_end {
            return Err(
                GgufFault::Offset { name: printable(name), expected: aligned_end, found: offset }.into()
            );
        }
        let overflow = || GgufFault::ShapeOverflow(printable(name));
        end = offset.checked_add(bytes).ok_or_else(overflow)?;
        aligned_end = end.checked_next_multiple_of(alignment).ok_or_else(overflow)?;
    }

    // Writers differ in whether they pad the last tensor, and a file without any.
    if tensors == 0 && header.at == size {
        return Ok(());
    }
    header.align(alignment)?;
    let told = header.at.saturating_add(aligned_end);
    if size == told || size == header.at.saturating_add(end) {
        Ok(())
    } else {
        Err(GgufFault::LengthDiffers { told, size }.into())
    }
}

/// What a tensor's elements take, in bytes, by its dimensions and its type.
fn tensor_bytes(header: &mut Cursor<'_>, name: &[u8]) -> Result<u64, Stop> {
    let dimensions = header.u32()?;
    if dimensions > 4 {
        return Err(GgufFault::Dimensions { name: printable(name), dimensions }.into());
    }
    let overflow = || GgufFault::ShapeOverflow(printable(name));
    let mut row = 1;
    let mut elements = 1_u64;
    for dimension in 0..dimensions {
        let length = header.u64()?;
        if dimension == 0 {
            row = length;
        }
        elements = elements.checked_mul(length).filter(|n| *n <= i64::MAX as u64).ok_or_else(overflow)?;
    }
    let tensor_type = header.u32()?;
    let (block_elements, block_bytes) =
        block(tensor_type).ok_or_else(|| GgufFault::TensorType { name: printable(name), tensor_type })?;
    if row % block_elements != 0 {
        return Err(GgufFault::PartialBlock(printable(name)).into());
    }
    Ok((elements / block_elements).checked_mul(block_bytes).ok_or_else(overflow)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &[u8]) -> Vec<u8> {
        [&(text.len() as u64).to_le_bytes(), text].concat()
    }

    fn entry(key: &str, value_type: u32, value: &[u8]) -> Vec<u8> {
        [string(key.as_bytes()), value_type.to_le_bytes().to_vec(), value.to_vec()].concat()
    }

    fn tensor(name: &str, shape: &[u64], tensor_type: u32, offset: u64) -> Vec<u8> {
        let mut bytes = string(name.as_bytes());
        bytes.extend((shape.len() as u32).to_le_bytes());
        bytes.extend(shape.iter().flat_map(|length| length.to_le_bytes()));
        bytes.extend(tensor_type.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        bytes
    }

    fn header(version: u32, entries: &[Vec<u8>], tensors: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(version.to_le_bytes());
        bytes.extend((tensors.len() as u64).to_le_bytes());
        bytes.extend((entries.len() as u64).to_le_bytes());
        bytes.extend(entries.concat());
        bytes.extend(tensors.concat());
        bytes
    }

    fn file(entries: &[Vec<u8>], tensors: &[Vec<u8>], alignment: usize, data: usize) -> Vec<u8> {
        let mut bytes = header(3, entries, tensors);
        bytes.resize(bytes.len().next_multiple_of(alignment) + data, 0);
        bytes
    }

    fn check(bytes: &[u8]) -> Result<(), GgufFault> {
        let size = bytes.len() as u64;
        let mut slow = GgufCheck::new(size);
        let fed = bytes.chunks(1).map(|byte| slow.feed(byte)).find(|fed| *fed != Ok(false));
        let slowly = fed.unwrap_or_else(|| slow.finish().map(|()| true)).map(drop);
        let mut quick = GgufCheck::new(size);
        let quickly = match quick.feed(bytes) {
            Ok(false) => quick.finish(),
            fed => fed.map(drop),
        };
        assert_eq!(slowly, quickly);
        quickly
    }

    fn text(key: &str, value: &str) -> Vec<u8> {
        entry(key, 8, &string(value.as_bytes()))
    }

    /// Arrays within arrays, the innermost an empty one of bytes.
    fn deep(depth: usize) -> Vec<u8> {
        let innermost = [&0_u32.to_le_bytes()[..], &0_u64.to_le_bytes()].concat();
        (1..depth)
            .fold(innermost, |inner, _| [&9_u32.to_le_bytes()[..], &1_u64.to_le_bytes(), &inner].concat())
    }

    #[test]
    fn sound_files_pass() {
        let strings = [&8_u32.to_le_bytes()[..], &2_u64.to_le_bytes(), &string(b"a"), &string(b"")].concat();
        let nested = [&9_u32.to_le_bytes()[..], &1_u64.to_le_bytes(), &strings].concat();
        let entries = [
            text("general.architecture", "llama"),
            text("tokenizer.chat_template", "{{ messages }}"),
            entry("tokenizer.ggml.tokens", 9, &strings),
            entry("nested", 9, &nested),
            entry("deep", 9, &deep(4)),
            entry("flags", 9, &[&7_u32.to_le_bytes()[..], &2_u64.to_le_bytes(), &[0, 1]].concat()),
            entry("scores", 9, &[&6_u32.to_le_bytes()[..], &2_u64.to_le_bytes(), &[0; 8]].concat()),
            entry("flag", 7, &[1]),
        ];
        let tensors = [
            tensor("token_embd.weight", &[256, 2], 12, 0),
            tensor("norm.weight", &[3], 0, 288),
            tensor("scalar", &[], 24, 320),
            tensor("empty", &[0, 5], 0, 352),
        ];
        assert_eq!(check(&file(&entries, &tensors, 32, 352)), Ok(()));
        // The last tensor may be left without padding, and files without any tensor too.
        assert_eq!(check(&file(&[], &[tensor("a", &[3], 0, 0)], 32, 12)), Ok(()));
        assert_eq!(check(&file(&[], &[tensor("a", &[3], 0, 0)], 32, 32)), Ok(()));
        assert_eq!(check(&file(&entries, &[], 1, 0)), Ok(()));
        assert_eq!(check(&file(&entries, &[], 32, 0)), Ok(()));
        let aligned = [entry("general.alignment", 4, &64_u32.to_le_bytes())];
        let pair = [tensor("a", &[3], 0, 0), tensor("b", &[3], 0, 64)];
        assert_eq!(check(&file(&aligned, &pair, 64, 128)), Ok(()));
        let mut second = file(&aligned, &pair, 64, 128);
        second[4] = 2;
        assert_eq!(check(&second), Ok(()));
    }

    #[test]
    fn each_fault_is_told_from_the_others() {
        let one = |shape: &[u64], tensor_type, offset| {
            file(&[], &[tensor("a", shape, tensor_type, offset)], 32, 64)
        };
        let with = |value: Vec<u8>| file(&[value], &[], 1, 0);
        let array = |element: u32, count: u64, rest: &[u8]| {
            with(entry("k", 9, &[&element.to_le_bytes()[..], &count.to_le_bytes(), rest].concat()))
        };
        let mut hidden = file(&[], &[tensor("a", &[8], 0, 0)], 32, 32);
        let last_of_padding = hidden.len() - 33;
        hidden[last_of_padding] = 1;
        let alignment = |bytes: &[u8], value_type| with(entry("general.alignment", value_type, bytes));
        let name = |name: &str| name.to_owned();
        for (bytes, fault) in [
            (b"GGML....".to_vec(), GgufFault::Magic),
            (b"GGU".to_vec(), GgufFault::PastEnd),
            (header(1, &[], &[]), GgufFault::Version(1)),
            (header(4, &[], &[]), GgufFault::Version(4)),
            (header(0, &[], &[]), GgufFault::Version(0)),
            (header(3_u32.swap_bytes(), &[], &[]), GgufFault::BigEndian),
            ([b"GGUF\x03\0\0\0".as_slice(), &[0xff; 16]].concat(), GgufFault::TooMany(u64::MAX)),
            (with(entry("", 7, &[0])), GgufFault::Name(String::new())),
            (with(entry("a\n", 7, &[0])), GgufFault::Name(name("a?"))),
            (
                file(&[entry("k", 7, &[0]), entry("k", 7, &[0])], &[], 1, 0),
                GgufFault::DuplicateName(name("k")),
            ),
            (with(entry("k", 8, &string(b"\xff"))), GgufFault::NotText(name("k"))),
            (with(entry("k", 8, &u64::MAX.to_le_bytes())), GgufFault::PastEnd),
            (with(entry("k", 7, &[2])), GgufFault::NotBoolean(name("k"))),
            (array(7, 1, &[2]), GgufFault::NotBoolean(name("k"))),
            (with(entry("k", 13, &[0; 8])), GgufFault::ValueType { key: name("k"), value_type: 13 }),
            (array(13, 1, &[0; 8]), GgufFault::ValueType { key: name("k"), value_type: 13 }),
            (array(12, u64::MAX, &[]), GgufFault::PastEnd),
            (array(8, u64::MAX, &[]), GgufFault::PastEnd),
            (with(entry("k", 9, &deep(5))), GgufFault::Nesting(name("k"))),
            (alignment(&[0; 4], 4), GgufFault::Alignment),
            (alignment(&48_u32.to_le_bytes(), 4), GgufFault::Alignment),
            (alignment(&(1_u32 << 31).to_le_bytes(), 4), GgufFault::Alignment),
            (alignment(&32_u64.to_le_bytes(), 10), GgufFault::Alignment),
            (one(&[1; 5], 0, 0), GgufFault::Dimensions { name: name("a"), dimensions: 5 }),
            (one(&[32], 4, 0), GgufFault::TensorType { name: name("a"), tensor_type: 4 }),
            (one(&[33], 2, 0), GgufFault::PartialBlock(name("a"))),
            (one(&[16, 2], 2, 0), GgufFault::PartialBlock(name("a"))),
            (one(&[1 << 32, 1 << 32], 0, 0), GgufFault::ShapeOverflow(name("a"))),
            (one(&[i64::MAX as u64], 0, 0), GgufFault::ShapeOverflow(name("a"))),
            (one(&[8], 0, 32), GgufFault::Offset { name: name("a"), expected: 0, found: 32 }),
            (
                file(&[], &[tensor("a", &[8], 0, 0), tensor("b", &[8], 0, 0)], 32, 64),
                GgufFault::Offset { name: name("b"), expected: 32, found: 0 },
            ),
            (hidden, GgufFault::Padding),
            (one(&[8], 0, 0), GgufFault::LengthDiffers { told: 96, size: 128 }),
            (one(&[32], 0, 0), GgufFault::LengthDiffers { told: 192, size: 128 }),
            (file(&[], &[tensor(&"n".repeat(64), &[8], 0, 0)], 32, 32), GgufFault::Name(String::new())),
        ] {
            assert_eq!(check(&bytes), Err(fault));
        }
    }

    #[test]
    fn a_header_cut_anywhere_goes_past_its_end() {
        let whole = file(&[text("general.architecture", "llama")], &[tensor("a", &[3], 0, 0)], 32, 0);
        for length in 0..whole.len() {
            assert_eq!(check(&whole[..length]), Err(GgufFault::PastEnd), "{length}");
        }
    }

    #[test]
    fn a_claimed_length_reserves_nothing() {
        let start = file(&[], &[], 1, 0);
        let mut check = GgufCheck::new(u64::MAX);
        let mut bytes = [&start[..16], &1_u64.to_le_bytes(), &string(b"k")].concat();
        bytes.extend(8_u32.to_le_bytes());
        bytes.extend((1_u64 << 40).to_le_bytes());
        bytes.resize(FIRST_READ as usize, 0);
        assert_eq!(check.feed(&bytes), Err(GgufFault::HeaderTooLong));
        assert!(check.kept.capacity() as u64 <= FIRST_READ);
    }
}
