//! The bytes that are transferred: a valid safetensors file of any size, which costs nothing to generate.
//!
//! A block of random bytes lies in memory and repeats behind the header. The kernel sends it from there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::TcpStream;
use std::sync::{Mutex, OnceLock, PoisonError};

use contract::Sha256Digest;
use rand::{RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rustix::fs::{MemfdFlags, memfd_create, sendfile};
use sha2::{Digest as _, Sha256};

/// Bytes of the block. Larger than a processor's second cache, so that it comes from where real data would.
const BLOCK: usize = 16 << 20;
/// The header is padded to this, so that tensors are aligned.
const HEADER: usize = 4096;
/// Bytes that one call sends, so that what was sent is known when the other end is killed.
const SEND: u64 = 1 << 20;

struct Block {
    bytes: Vec<u8>,
    file: File,
}

fn block() -> io::Result<&'static Block> {
    static BLOCK_OF_ALL: OnceLock<Result<Block, String>> = OnceLock::new();
    let made = BLOCK_OF_ALL.get_or_init(|| {
        let mut bytes = vec![0; BLOCK];
        ChaCha8Rng::seed_from_u64(0x10c5).fill_bytes(&mut bytes);
        let make = || {
            let mut file = File::from(memfd_create("block", MemfdFlags::CLOEXEC)?);
            file.write_all(&bytes)?;
            io::Result::Ok(file)
        };
        make().map(|file| Block { bytes, file }).map_err(|error| error.to_string())
    });
    made.as_ref().map_err(|error| io::Error::other(error.clone()))
}

/// A safetensors file of this many bytes, at least 8 KiB and even.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    /// Bytes.
    pub size: u64,
}

impl Weights {
    fn header(self) -> Vec<u8> {
        let data = self.size - HEADER as u64;
        let shape = data / 2;
        let json = format!(r#"{{"weights":{{"dtype":"F16","shape":[{shape}],"data_offsets":[0,{data}]}}}}"#);
        let mut header = ((HEADER - 8) as u64).to_le_bytes().to_vec();
        header.extend_from_slice(json.as_bytes());
        header.resize(HEADER, b' ');
        header
    }

    /// Sends a range, telling `sent` how far it got; `pace` is asked before each piece of at most `piece` bytes.
    pub fn send(
        self,
        stream: &TcpStream,
        mut from: u64,
        end: u64,
        piece: Option<u64>,
        pace: &dyn Fn(u64),
        sent: &dyn Fn(u64, u64),
    ) -> io::Result<()> {
        let piece = piece.unwrap_or(SEND);
        let block = block()?;
        while from < end {
            let count = if from < HEADER as u64 {
                let until = end.min(HEADER as u64);
                pace(until - from);
                let header = self.header();
                (&mut &*stream).write_all(&header[place(from)..place(until)])?;
                until - from
            } else {
                let mut offset = from % BLOCK as u64;
                let count = piece.min(end - from).min(BLOCK as u64 - offset);
                pace(count);
                sendfile(stream, &block.file, Some(&mut offset), place(count))? as u64
            };
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            sent(from, from + count);
            from += count;
        }
        Ok(())
    }

    /// What a range of it hashes to.
    pub fn digest_of(self, mut from: u64, end: u64) -> io::Result<Sha256Digest> {
        let block = block()?;
        let mut hash = Sha256::new();
        while from < end {
            let until = if from < HEADER as u64 {
                let until = end.min(HEADER as u64);
                hash.update(&self.header()[place(from)..place(until)]);
                until
            } else {
                let offset = from % BLOCK as u64;
                let until = end.min(from + BLOCK as u64 - offset);
                hash.update(&block.bytes[place(offset)..place(offset + (until - from))]);
                until
            };
            from = until;
        }
        Ok(Sha256Digest::from_bytes(&hash.finalize().into()))
    }

    /// What all of it hashes to; computed once.
    pub fn digest(self) -> io::Result<Sha256Digest> {
        static KNOWN: Mutex<BTreeMap<u64, Sha256Digest>> = Mutex::new(BTreeMap::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(digest) = known.get(&self.size) {
            return Ok(digest.clone());
        }
        let digest = self.digest_of(0, self.size)?;
        known.insert(self.size, digest.clone());
        Ok(digest)
    }

    /// Writes it to a file.
    pub fn write(self, file: &mut File) -> io::Result<()> {
        let block = block()?;
        file.write_all(&self.header())?;
        let mut from = HEADER as u64;
        while from < self.size {
            let offset = from % BLOCK as u64;
            let count = (self.size - from).min(BLOCK as u64 - offset);
            file.write_all(&block.bytes[place(offset)..place(offset + count)])?;
            from += count;
        }
        Ok(())
    }
}

/// Within a block, which memory holds.
fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn what_is_sent_is_what_is_written_and_hashed() {
        let weights = Weights { size: (33 << 20) + 6 };
        let mut file = tempfile::tempfile().unwrap();
        weights.write(&mut file).unwrap();
        let mut whole = Vec::new();
        io::Seek::rewind(&mut file).unwrap();
        file.read_to_end(&mut whole).unwrap();
        assert_eq!(whole.len() as u64, weights.size);
        assert_eq!(weights.digest().unwrap(), Sha256Digest::of(&whole));

        for (from, end) in [(0, weights.size), (100, 5000), (5000, (17 << 20) + 1)] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut receiver = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let sender = std::thread::spawn(move || {
                let stream = listener.accept().unwrap().0;
                weights.send(&stream, from, end, None, &|_| {}, &|_, _| {}).unwrap();
            });
            let mut received = Vec::new();
            receiver.read_to_end(&mut received).unwrap();
            sender.join().unwrap();
            let expected = &whole[place(from)..place(end)];
            assert!(received == expected, "{from}..{end}");
            assert_eq!(weights.digest_of(from, end).unwrap(), Sha256Digest::of(expected));
        }
    }

    #[test]
    fn the_header_names_exactly_the_bytes_that_follow() {
        let weights = Weights { size: 1 << 20 };
        let header = weights.header();
        assert_eq!(u64::from_le_bytes(header[..8].try_into().unwrap()) as usize + 8, HEADER);
        let json: serde_json::Value = serde_json::from_slice(&header[8..]).unwrap();
        assert_eq!(json["weights"]["data_offsets"][1], (1 << 20) - HEADER);
    }
}
