//! Which key may sign what, for whom, and when. It is configuration, and never believed from beside the evidence.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use p256::{ecdsa::VerifyingKey, pkcs8::DecodePublicKey};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    envelope::{Envelope, EnvelopeInvalid},
    statement::{STATEMENT_TYPE, Statement},
};

/// The `schema` of a trust root.
pub const TRUST_ROOT_SCHEMA: &str = "lockstep/trust-root/v1";

/// Where a deployment keeps its trust root in the evidence bucket.
pub const TRUST_ROOT_KEY: &str = "policy/trust-root.json";

/// The attesting functions' public keys, and the accounts whose runs may be promoted.
#[derive(Clone, Debug)]
pub struct TrustRoot {
    keys: Vec<TrustedKey>,
    promotes_from: Vec<TrustRoot>,
}

/// A key, and what its signature counts for.
#[derive(Clone, Debug)]
pub struct TrustedKey {
    entry: Entry,
    key: VerifyingKey,
}

/// The trust root as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: String,
    keys: Vec<Entry>,
    /// Trust roots of the accounts whose runs may be promoted into this one.
    #[serde(default)]
    promotes_from: Vec<Document>,
}

/// A key as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The KMS key's ARN, which envelopes name.
    keyid: String,
    /// The function that alone may use it.
    function: String,
    /// Base64 DER SubjectPublicKeyInfo, as KMS GetPublicKey gives it.
    public_key: String,
    /// The `predicateType`s that it may sign.
    predicate_types: BTreeSet<String>,
    /// What was signed before does not count, RFC 3339.
    not_before: Timestamp,
    /// What was signed from then on does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_after: Option<Timestamp>,
}

/// The trust root cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustRootInvalid {
    /// Not a trust root in JSON.
    #[error("the trust root cannot be read: {0}")]
    Malformed(String),
    /// Another schema.
    #[error("the trust root's schema is `{0}`, not {TRUST_ROOT_SCHEMA}")]
    Schema(String),
    /// A value is no P-256 key.
    #[error("the trust root's key `{0}` is not a base64 DER public key on P-256")]
    Key(String),
    /// Two keys go by one name, so nobody could tell which is meant.
    #[error("the trust root names the key `{0}` twice")]
    Twice(String),
}

/// Why a signed statement does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTrusted {
    /// The envelope is refused.
    #[error(transparent)]
    Envelope(#[from] EnvelopeInvalid),
    /// The trust root does not have the key that the envelope names.
    #[error("it names the key `{0}`, which the trust root does not have")]
    UnknownKey(String),
    /// The key is another function's.
    #[error("it is signed with the key of `{found}`, not of `{expected}`")]
    OtherFunction {
        /// Whose key it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// The key may not sign this.
    #[error("the key of `{function}` may not sign `{predicate_type}`")]
    PredicateType {
        /// Whose key it is.
        function: String,
        /// What it signed.
        predicate_type: String,
    },
    /// The key does not count for this time.
    #[error("the key of `{function}` does not count at {at}")]
    Date {
        /// Whose key it is.
        function: String,
        /// When it signed, as it says.
        at: String,
    },
}

impl TrustRoot {
    /// Reads a trust root.
    ///
    /// # Errors
    /// [`TrustRootInvalid`].
    pub fn parse(json: &[u8]) -> Result<Self, TrustRootInvalid> {
        let document =
            serde_json::from_slice(json).map_err(|error| TrustRootInvalid::Malformed(error.to_string()))?;
        Self::of(document)
    }

    fn of(document: Document) -> Result<Self, TrustRootInvalid> {
        if document.schema != TRUST_ROOT_SCHEMA {
            return Err(TrustRootInvalid::Schema(document.schema));
        }
        let mut keys: Vec<TrustedKey> = Vec::new();
        for entry in document.keys {
            let key = STANDARD.decode(&entry.public_key).ok().and_then(|der| public_key(&der));
            let Some(key) = key else { return Err(TrustRootInvalid::Key(entry.keyid)) };
            if keys.iter().any(|known| known.entry.keyid == entry.keyid) {
                return Err(TrustRootInvalid::Twice(entry.keyid));
            }
            keys.push(TrustedKey { entry, key });
        }
        let promotes_from = document.promotes_from.into_iter().map(Self::of).collect::<Result<_, _>>()?;
        Ok(Self { keys, promotes_from })
    }

    /// The trust roots of the accounts whose runs may be promoted into this one.
    pub fn promotes_from(&self) -> &[TrustRoot] {
        &self.promotes_from
    }

    /// The keys of a function that may sign a predicate type, whatever their dates.
    pub fn keys<'a>(
        &'a self,
        function: &'a str,
        predicate_type: &'a str,
    ) -> impl Iterator<Item = &'a VerifyingKey> {
        self.keys
            .iter()
            .filter(move |known| known.entry.function == function)
            .filter(move |known| known.entry.predicate_types.contains(predicate_type))
            .map(|known| &known.key)
    }

    /// Reads a signed statement and verifies that this function may say this. When it may is for
    /// [`TrustedKey::check_date`], since only the statement tells when it was made.
    ///
    /// # Errors
    /// [`NotTrusted`].
    pub fn open<P: Serialize + DeserializeOwned>(
        &self,
        function: &str,
        predicate_type: &str,
        bytes: &[u8],
    ) -> Result<(Statement<P>, &TrustedKey), NotTrusted> {
        let envelope = Envelope::parse(bytes)?;
        let keyid = envelope.keyid()?;
        let Some(known) = self.keys.iter().find(|known| known.entry.keyid == keyid) else {
            return Err(NotTrusted::UnknownKey(keyid.to_owned()));
        };
        if known.entry.function != function {
            let (found, expected) = (known.entry.function.clone(), function.to_owned());
            return Err(NotTrusted::OtherFunction { found, expected });
        }
        let statement: Statement<P> = envelope.verify(&known.key, function)?;
        let is_said = statement.kind == STATEMENT_TYPE && statement.predicate_type == predicate_type;
        if !is_said || !known.entry.predicate_types.contains(predicate_type) {
            return Err(NotTrusted::PredicateType {
                function: function.to_owned(),
                predicate_type: statement.predicate_type,
            });
        }
        Ok((statement, known))
    }
}

impl TrustedKey {
    /// Whether the key counts for what was signed at a time, RFC 3339.
    ///
    /// # Errors
    /// [`NotTrusted::Date`].
    pub fn check_date(&self, at: &str) -> Result<(), NotTrusted> {
        let counts = at.parse::<Timestamp>().is_ok_and(|at| {
            at >= self.entry.not_before && self.entry.not_after.is_none_or(|not_after| at < not_after)
        });
        if counts {
            return Ok(());
        }
        Err(NotTrusted::Date { function: self.entry.function.clone(), at: at.to_owned() })
    }
}

/// A public key as KMS GetPublicKey gives it, DER SubjectPublicKeyInfo; `None` when it is no key on P-256.
pub fn public_key(der: &[u8]) -> Option<VerifyingKey> {
    VerifyingKey::from_public_key_der(der).ok()
}
