//! SHA-256 digests, always 64 lower-case hex digits on the wire.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// A SHA-256 digest as 64 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Sha256Digest(String);

/// The text is not 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a SHA-256: give 64 lower-case hex digits, as sha256sum prints")]
pub struct DigestInvalid(pub String);

impl Sha256Digest {
    /// Hashes bytes that are already in memory.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(hex::encode(sha2::Sha256::digest(bytes.as_ref())))
    }

    /// Takes the 32 bytes of a finished hash.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(hex::encode(bytes))
    }

    /// The 64 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 32 bytes.
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        // The constructor admits only 64 hex digits, so decoding cannot fail.
        let _ = hex::decode_to_slice(&self.0, &mut bytes);
        bytes
    }
}

impl TryFrom<String> for Sha256Digest {
    type Error = DigestInvalid;
    fn try_from(text: String) -> Result<Self, DigestInvalid> {
        let hex_digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() == 64 && hex_digits { Ok(Self(text)) } else { Err(DigestInvalid(text)) }
    }
}

impl From<Sha256Digest> for String {
    fn from(digest: Sha256Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lower_case_hex_of_the_right_length_is_a_digest() {
        let good = Sha256Digest::of(b"abc");
        assert_eq!(good.as_str(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(Sha256Digest::from_bytes(&good.to_bytes()), good);
        assert!(Sha256Digest::try_from(good.as_str().to_uppercase()).is_err());
        assert!(Sha256Digest::try_from("ab".to_owned()).is_err());
        assert!(Sha256Digest::try_from("g".repeat(64)).is_err());
    }
}
