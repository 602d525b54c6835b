//! What a file must be, as its source promised.

use contract::Sha256Digest;
use sha2::Digest as _;

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
pub struct Hasher {
    sha256: sha2::Sha256,
    git: Option<sha1::Sha1>,
}

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

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(git) = &mut self.git {
            git.update(bytes);
        }
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
}
