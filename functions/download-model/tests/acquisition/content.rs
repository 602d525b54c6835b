//! Contents of files.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use bytes::Bytes;

/// A mebibyte.
pub const MIB: usize = 1 << 20;

/// A configuration such as a model has.
pub const CONFIG: &str = r#"{"architectures": ["TinyLm"], "model_type": "tiny"}"#;

/// Numbers that look random (xorshift64), from a seed other than 0.
pub struct Noise(u64);

impl Noise {
    /// From a seed.
    pub fn of(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// From a seed that is another one each time; a test that uses it says which it was.
    pub fn any() -> (Self, u64) {
        let seed = RandomState::new().build_hasher().finish();
        (Self::of(seed), seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// The next number below a limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit
    }
}

/// A sound safetensors file of exactly this many bytes. Another seed makes another file.
pub fn safetensors(size: usize, seed: u64) -> Bytes {
    // The numbers are as wide as any, so that they do not change the header's length.
    let header = |data: usize| {
        format!(r#"{{"w":{{"dtype":"U8","shape":[{data:<12}],"data_offsets":[0,{data:<12}]}}}}"#)
    };
    let length = header(0).len();
    let text = header(size - 8 - length);
    let mut content = Vec::with_capacity(size);
    content.extend_from_slice(&(length as u64).to_le_bytes());
    content.extend_from_slice(text.as_bytes());
    // One block of noise again and again, and each told from the others by its place.
    let mut noise = Noise::of(seed);
    let mut block: Vec<u8> = (0..MIB / 8).flat_map(|_| noise.number().to_le_bytes()).collect();
    while content.len() < size {
        block[..8].copy_from_slice(&(content.len() as u64 ^ seed).to_le_bytes());
        content.extend_from_slice(&block[..MIB.min(size - content.len())]);
    }
    content.into()
}
