//! What a file must be, as its source promised.

use contract::Sha256Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, digest::common::hazmat::SerializableState as _};

/// The promised digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectedDigest {
    /// LFS and Xet files: the SHA-256 of the content.
    Sha256(Sha256Digest),
    /// Small files: git's blob SHA-1, 40 hex digits, over `blob <length>\0` and the content.
    GitBlob(String),
}

/// What a file must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Bytes.
    pub size: u64,
    /// The digest.
    pub digest: ExpectedDigest,
}

/// Hashes a file once, for its SHA-256 and, where that is what was promised, for git's SHA-1.
#[derive(Clone)]
pub struct Hasher {
    sha256: sha2::Sha256,
    git: Option<sha1::Sha1>,
}

/// A SHA-256 that is not finished: 104 bytes in hex, as sha2 saves them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MidState(String);

impl Hasher {
    /// For a file of the promised kind and size.
    pub fn new(expected: &Expected) -> Self {
        let git = matches!(expected.digest, ExpectedDigest::GitBlob(_)).then(|| {
            let mut hash = sha1::Sha1::default();
            hash.update(format!("blob {}\0", expected.size));
            hash
        });
        Self { sha256: sha2::Sha256::new(), git }
    }

    /// For a file of which nothing was promised.
    pub fn unpromised() -> Self {
        Self { sha256: sha2::Sha256::new(), git: None }
    }

    /// Goes on where a SHA-256 was saved; `None` when that is no state of one.
    pub fn resume(state: &MidState) -> Option<Self> {
        let bytes = hex::decode(&state.0).ok()?;
        let sha256 = sha2::Sha256::deserialize(bytes.as_slice().try_into().ok()?).ok()?;
        Some(Self { sha256, git: None })
    }

    /// The SHA-256's state after the bytes so far.
    pub fn save(&self) -> MidState {
        MidState(hex::encode(self.sha256.serialize()))
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(git) = &mut self.git {
            git.update(bytes);
        }
    }

    /// The SHA-256, whatever it is.
    pub fn digest(self) -> Sha256Digest {
        Sha256Digest::from_bytes(&self.sha256.finalize().into())
    }

    /// The SHA-256, if the promise was kept; otherwise the promised and the found digest.
    ///
    /// # Errors
    /// `(expected, found)` in hex.
    pub fn finish(self, expected: &ExpectedDigest) -> Result<Sha256Digest, (String, String)> {
        let sha256 = Sha256Digest::from_bytes(&self.sha256.finalize().into());
        match (expected, self.git) {
            (ExpectedDigest::Sha256(promised), _) if *promised == sha256 => Ok(sha256),
            (ExpectedDigest::Sha256(promised), _) => Err((promised.to_string(), sha256.to_string())),
            (ExpectedDigest::GitBlob(promised), Some(git)) => {
                let found = hex::encode(git.finalize());
                if *promised == found { Ok(sha256) } else { Err((promised.clone(), found)) }
            }
            // A hasher that was not told to hash git's way cannot vouch for it.
            (ExpectedDigest::GitBlob(promised), None) => Err((promised.clone(), "not computed".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gits_blob_digest_covers_the_length_too() {
        // `printf 'hello\n' | git hash-object --stdin`
        let digest = ExpectedDigest::GitBlob("ce013625030ba8dba906f756967f9e9ca394464a".to_owned());
        let expected = Expected { size: 6, digest: digest.clone() };
        let mut hasher = Hasher::new(&expected);
        hasher.update(b"hel");
        hasher.update(b"lo\n");
        assert_eq!(hasher.finish(&digest), Ok(Sha256Digest::of("hello\n")));
        let mut hasher = Hasher::new(&expected);
        hasher.update(b"hellO\n");
        assert!(hasher.finish(&digest).is_err());
    }

    #[test]
    fn a_hash_goes_on_from_its_saved_state_wherever_it_was_cut() {
        let content: Vec<u8> = (0..1000_u32).map(|n| (n * 7) as u8).collect();
        let digest = ExpectedDigest::Sha256(Sha256Digest::of(&content));
        let expected = Expected { size: 1000, digest: digest.clone() };
        for cut in [0, 1, 63, 64, 65, 500, 1000] {
            let mut first = Hasher::new(&expected);
            first.update(&content[..cut]);
            let kept = serde_json::to_string(&first.save()).unwrap();
            let mut second = Hasher::resume(&serde_json::from_str(&kept).unwrap()).unwrap();
            second.update(&content[cut..]);
            assert_eq!(second.finish(&digest), Ok(Sha256Digest::of(&content)), "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_saved_state_is_not_resumed() {
        for text in ["", "00", "zz"] {
            assert!(Hasher::resume(&MidState(text.to_owned())).is_none(), "{text}");
        }
    }
}
