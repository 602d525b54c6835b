//! Inputs that are nearly sound: seeds with a few faults each.

use std::fmt;

use proptest::{collection::vec, prelude::*, sample::Index};

/// An input, shown so that it can be pasted into a byte string.
#[derive(Clone)]
pub struct Input(pub Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "b\"{}\"", self.0.escape_ascii())
    }
}

/// Numbers near which arithmetic breaks.
const NUMBERS: [u64; 12] =
    [0, 1, 7, 0x7f, 0xff, 0x280, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 63, u64::MAX - 7, u64::MAX];

/// What random bytes would hardly come to.
const WORDS: [&[u8]; 24] = [
    b"\"auto_map\":",
    b"\"trust_remote_code\":",
    b"\"__metadata__\":{\"a\":\"b\"},",
    b"false",
    b"18446744073709551615",
    b"1e400",
    b"\\u0061",
    b"\\ud834\\udd1e",
    b"\\ud800",
    b"\r\n",
    b"\"shape\":[",
    b"\"dtype\":\"F4\"",
    b"[[[[[[[[",
    b"]",
    b"}",
    b"\xef\xbb\xbf",
    b"\xf0\x9d\x84\x9e",
    b"cos\nsystem\n",
    b"(S'id'\ntR.",
    b"\x8c\x05posix\x8c\x06system\x93",
    b"\x80\x04",
    b"PK\x03\x04",
    b"GGUF\x03\0\0\0",
    b"ustar\0",
];

#[derive(Clone, Debug)]
enum Mutation {
    Set(Index, u8),
    Number(Index, Index, usize),
    Insert(Index, Vec<u8>),
    Word(Index, Index),
    Remove(Index, usize),
    Repeat(Index, usize),
    /// Goes on as another seed does.
    Splice(Index, Index, Index),
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        // A place within, or right after the end.
        let place = |at: &Index, bytes: &[u8]| at.index(bytes.len() + 1);
        match self {
            Self::Set(at, byte) => {
                let at = place(at, bytes);
                if at < bytes.len() {
                    bytes[at] = *byte;
                } else {
                    bytes.push(*byte);
                }
            }
            Self::Number(at, which, width) => {
                let at = place(at, bytes);
                let number = NUMBERS[which.index(NUMBERS.len())].to_le_bytes();
                let width = (*width).min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&number[..width]);
            }
            Self::Insert(at, inserted) => {
                let at = place(at, bytes);
                bytes.splice(at..at, inserted.iter().copied());
            }
            Self::Word(at, which) => {
                let at = place(at, bytes);
                bytes.splice(at..at, WORDS[which.index(WORDS.len())].iter().copied());
            }
            Self::Remove(at, length) => {
                let at = place(at, bytes);
                let end = bytes.len().min(at + length);
                bytes.drain(at..end);
            }
            Self::Repeat(at, length) => {
                let at = place(at, bytes);
                let end = bytes.len().min(at + length);
                let repeated = bytes[at..end].to_vec();
                bytes.splice(at..at, repeated);
            }
            Self::Splice(at, seed, from) => {
                let at = place(at, bytes);
                let seed = &seeds[seed.index(seeds.len())];
                bytes.truncate(at);
                bytes.extend_from_slice(&seed[place(from, seed)..]);
            }
        }
    }
}

/// Mutations of `seeds`.
pub fn mutated(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Input> {
    let index = any::<Index>;
    let mutation = prop_oneof![
        4 => (index(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        3 => (index(), index(), 1..=8_usize)
            .prop_map(|(at, which, width)| Mutation::Number(at, which, width)),
        2 => (index(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        3 => (index(), index()).prop_map(|(at, which)| Mutation::Word(at, which)),
        2 => (index(), 1..40_usize).prop_map(|(at, length)| Mutation::Remove(at, length)),
        1 => (index(), 1..600_usize).prop_map(|(at, length)| Mutation::Repeat(at, length)),
        1 => (index(), index(), index()).prop_map(|(at, seed, from)| Mutation::Splice(at, seed, from)),
    ];
    (index(), vec(mutation, 1..6)).prop_map(move |(seed, mutations)| {
        let mut bytes = seeds[seed.index(seeds.len())].clone();
        for mutation in mutations {
            mutation.apply(&mut bytes, &seeds);
        }
        Input(bytes)
    })
}
