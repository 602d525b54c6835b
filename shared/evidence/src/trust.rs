//! Which key may sign for which function. It is configuration, and never lies beside the evidence.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use p256::{ecdsa::VerifyingKey, pkcs8::DecodePublicKey};

/// The attesting functions' public keys.
#[derive(Clone, Debug)]
pub struct TrustRoot(BTreeMap<String, VerifyingKey>);

/// The trust root cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustRootInvalid {
    /// Not a JSON object of strings.
    #[error("the trust root is not a JSON object of base64 keys: {0}")]
    Malformed(String),
    /// A value is no P-256 key.
    #[error("the trust root's `{0}` is not a base64 DER public key on P-256")]
    Key(String),
}

impl TrustRoot {
    /// Reads `{"<function>": "<base64 DER SubjectPublicKeyInfo>", ...}`, as KMS GetPublicKey gives it.
    ///
    /// # Errors
    /// [`TrustRootInvalid`].
    pub fn parse(json: &str) -> Result<Self, TrustRootInvalid> {
        let texts: BTreeMap<String, String> =
            serde_json::from_str(json).map_err(|error| TrustRootInvalid::Malformed(error.to_string()))?;
        let mut keys = BTreeMap::new();
        for (function, text) in texts {
            let key = STANDARD.decode(&text).ok().and_then(|der| public_key(&der));
            let Some(key) = key else { return Err(TrustRootInvalid::Key(function)) };
            keys.insert(function, key);
        }
        Ok(Self(keys))
    }

    /// The key of a function, if it may sign at all.
    pub fn key(&self, function: &str) -> Option<&VerifyingKey> {
        self.0.get(function)
    }
}

/// A public key as KMS GetPublicKey gives it, DER SubjectPublicKeyInfo; `None` when it is no key on P-256.
pub fn public_key(der: &[u8]) -> Option<VerifyingKey> {
    VerifyingKey::from_public_key_der(der).ok()
}
