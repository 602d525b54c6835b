//! DSSE envelopes (<https://github.com/secure-systems-lab/dsse>): the signature covers the payload's exact
//! bytes and type, so nothing is parsed before it is verified.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use p256::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::Digest as _;

/// The payload type of in-toto statements.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The envelope as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeSignature {
    keyid: String,
    sig: String,
}

/// Why an envelope is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeInvalid {
    /// Not an envelope.
    #[error("it is not a DSSE envelope: {0}")]
    Malformed(String),
    /// The bytes are not those that re-encoding gives.
    #[error("its {0} is not in canonical form")]
    NotCanonical(&'static str),
    /// Another payload type.
    #[error("its payload type is `{0}`, not {PAYLOAD_TYPE}")]
    PayloadType(String),
    /// Not exactly one signature.
    #[error("it has {0} signatures, not one")]
    SignatureCount(usize),
    /// The signature does not verify.
    #[error("its signature does not verify with the key of `{0}`")]
    Signature(String),
}

/// A payload that waits for its signature.
pub struct Unsigned {
    payload: Vec<u8>,
}

impl Unsigned {
    /// Encodes a statement.
    ///
    /// # Errors
    /// [`EnvelopeInvalid::Malformed`] when it cannot be written as JSON.
    pub fn new(statement: &impl Serialize) -> Result<Self, EnvelopeInvalid> {
        let payload =
            serde_json::to_vec(statement).map_err(|error| EnvelopeInvalid::Malformed(error.to_string()))?;
        Ok(Self { payload })
    }

    /// The SHA-256 of DSSE's pre-authentication encoding: what the key signs.
    pub fn digest(&self) -> [u8; 32] {
        pae_digest(PAYLOAD_TYPE, &self.payload)
    }

    /// Puts the DER-encoded ECDSA signature on it and gives the stored bytes.
    ///
    /// Whoever has (r, s) can also write (r, -s), which verifies as well. Keeping to the lower of the two leaves one
    /// form, and lets the reader refuse every change to the file.
    pub fn sign(self, keyid: &str, signature_der: &[u8]) -> Vec<u8> {
        let lower = Signature::from_der(signature_der).map(|signature| signature.normalize_s().to_der());
        let signature_der = lower.as_ref().map_or(signature_der, |der| der.as_bytes());
        // Strings and lists of strings always encode.
        serde_json::to_vec(&self.envelope(keyid, signature_der)).unwrap_or_default()
    }

    /// The same, for an envelope that lies in something else.
    pub(crate) fn envelope(self, keyid: &str, signature_der: &[u8]) -> Envelope {
        Envelope {
            payload: STANDARD.encode(&self.payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![EnvelopeSignature {
                keyid: keyid.to_owned(),
                sig: STANDARD.encode(signature_der),
            }],
        }
    }
}

impl Envelope {
    /// Reads an envelope and demands its canonical form.
    ///
    /// # Errors
    /// [`EnvelopeInvalid`].
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvelopeInvalid> {
        let envelope: Self =
            serde_json::from_slice(bytes).map_err(|error| EnvelopeInvalid::Malformed(error.to_string()))?;
        if serde_json::to_vec(&envelope).ok().as_deref() != Some(bytes) {
            return Err(EnvelopeInvalid::NotCanonical("envelope"));
        }
        Ok(envelope)
    }

    /// Verifies the one signature and reads the payload. `signer` only names the key in the error.
    ///
    /// # Errors
    /// [`EnvelopeInvalid`]; nothing of the payload is believed before the signature verified.
    pub fn verify<T: DeserializeOwned + Serialize>(
        &self,
        key: &VerifyingKey,
        signer: &str,
    ) -> Result<T, EnvelopeInvalid> {
        if self.payload_type != PAYLOAD_TYPE {
            return Err(EnvelopeInvalid::PayloadType(self.payload_type.clone()));
        }
        let der = self.signature()?;
        let payload = STANDARD.decode(&self.payload).map_err(|_| EnvelopeInvalid::NotCanonical("base64"))?;
        let refused = || EnvelopeInvalid::Signature(signer.to_owned());
        let der = Signature::from_der(&der).map_err(|_| refused())?;
        key.verify_prehash(&pae_digest(&self.payload_type, &payload), &der).map_err(|_| refused())?;
        if der.normalize_s() != der {
            return Err(EnvelopeInvalid::NotCanonical("signature"));
        }
        self.read_payload(&payload)
    }

    /// The name of the one signature's key. No signature covers it: it only says which key to try.
    pub(crate) fn keyid(&self) -> Result<&str, EnvelopeInvalid> {
        match self.signatures.as_slice() {
            [signature] => Ok(&signature.keyid),
            several => Err(EnvelopeInvalid::SignatureCount(several.len())),
        }
    }

    /// The one signature, DER-encoded.
    pub(crate) fn signature(&self) -> Result<Vec<u8>, EnvelopeInvalid> {
        let [signature] = self.signatures.as_slice() else {
            return Err(EnvelopeInvalid::SignatureCount(self.signatures.len()));
        };
        STANDARD.decode(&signature.sig).map_err(|_| EnvelopeInvalid::NotCanonical("base64"))
    }

    /// Reads the payload without verifying it, to show it or to compare it with what one would write.
    ///
    /// # Errors
    /// [`EnvelopeInvalid`] when it is not a statement of this type.
    pub fn unverified<T: DeserializeOwned + Serialize>(&self) -> Result<T, EnvelopeInvalid> {
        let payload = STANDARD.decode(&self.payload).map_err(|_| EnvelopeInvalid::NotCanonical("base64"))?;
        self.read_payload(&payload)
    }

    fn read_payload<T: DeserializeOwned + Serialize>(&self, payload: &[u8]) -> Result<T, EnvelopeInvalid> {
        let statement: T =
            serde_json::from_slice(payload).map_err(|error| EnvelopeInvalid::Malformed(error.to_string()))?;
        if serde_json::to_vec(&statement).ok().as_deref() != Some(payload) {
            return Err(EnvelopeInvalid::NotCanonical("payload"));
        }
        Ok(statement)
    }
}

/// `DSSEv1 <len(type)> <type> <len(payload)> <payload>`, hashed.
fn pae_digest(payload_type: &str, payload: &[u8]) -> [u8; 32] {
    let mut hash = sha2::Sha256::new();
    hash.update(format!("DSSEv1 {} {} {} ", payload_type.len(), payload_type, payload.len()));
    hash.update(payload);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::ecdsa::{SigningKey, signature::hazmat::PrehashSigner};

    fn signed(text: &str) -> (Vec<u8>, VerifyingKey) {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let unsigned = Unsigned::new(&text).unwrap();
        let signature: Signature = key.sign_prehash(&unsigned.digest()).unwrap();
        (unsigned.sign("k", signature.to_der().as_bytes()), *key.verifying_key())
    }

    #[test]
    fn what_was_signed_verifies() {
        let (bytes, key) = signed("hello");
        let text: String = Envelope::parse(&bytes).unwrap().verify(&key, "k").unwrap();
        assert_eq!(text, "hello");
    }

    #[test]
    fn every_single_byte_change_is_refused() {
        let (bytes, key) = signed("hello");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let outcome = Envelope::parse(&changed).and_then(|envelope| envelope.verify::<String>(&key, "k"));
            // The key id is a hint that no signature covers; verification ignores it.
            let in_keyid = changed.windows(9).any(|window| window == b"\"keyid\":\"")
                && Envelope::parse(&changed).is_ok_and(|envelope| envelope.signatures[0].keyid != "k");
            assert!(outcome.is_err() || in_keyid, "byte {at} changed and still verified");
        }
    }

    #[test]
    fn another_key_and_another_layout_are_refused() {
        let (bytes, key) = signed("hello");
        let other = SigningKey::from_slice(&[8; 32]).unwrap();
        let envelope = Envelope::parse(&bytes).unwrap();
        assert!(matches!(
            envelope.verify::<String>(other.verifying_key(), "x"),
            Err(EnvelopeInvalid::Signature(_))
        ));
        let mut spaced = bytes.clone();
        spaced.insert(1, b' ');
        assert_eq!(Envelope::parse(&spaced), Err(EnvelopeInvalid::NotCanonical("envelope")));
        let mut doubled = envelope.clone();
        doubled.signatures.push(doubled.signatures[0].clone());
        assert_eq!(doubled.verify::<String>(&key, "k"), Err(EnvelopeInvalid::SignatureCount(2)));
    }
}
