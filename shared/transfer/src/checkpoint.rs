//! What is kept of a file's transfer between invocations, and how one sees that it was not altered.
//!
//! A checkpoint says "these bytes are known good": a resumed hash starts from it, so whoever could alter it could
//! have other bytes counted as verified. It is therefore MACed, together with the place where it lies, under a key
//! that only the transferring functions can derive.

use std::fmt;

use contract::Sha256Digest;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{content::InspectorState, expected::MidState};

/// What checkpoints of one run are MACed with.
#[derive(Clone)]
pub struct MacKey(Vec<u8>);

impl MacKey {
    /// From bytes that only the transferring functions can have.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    fn mac(&self, place: &str, checkpoint: &[u8]) -> Option<Hmac<sha2::Sha256>> {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(&(place.len() as u64).to_be_bytes());
        mac.update(place.as_bytes());
        mac.update(checkpoint);
        Some(mac)
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MacKey(..)")
    }
}

/// How far one file's transfer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checkpoint {
    /// Where the object will be.
    pub(crate) key: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Its promised digest.
    pub(crate) sha256: Sha256Digest,
    /// Who wrote this.
    pub(crate) owner: Owner,
    /// Just before its multipart upload was created: if the upload's id was never kept, it is found by this.
    pub(crate) since: Timestamp,
    /// The upload; absent while it is about to be created.
    pub(crate) upload: Option<Progress>,
}

/// One invocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// When it began: a later one takes over from an earlier one, and never the other way round.
    pub(crate) began: Timestamp,
    /// Its own random name, so that no two invocations write the same bytes.
    name: String,
}

impl Owner {
    /// This invocation, now.
    pub fn now() -> Self {
        Self { began: Timestamp::now(), name: uuid::Uuid::new_v4().to_string() }
    }
}

/// The known good beginning of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    /// Of the multipart upload.
    pub(crate) upload_id: String,
    /// Bytes of every part but the last.
    pub(crate) part_size: u64,
    /// The number that the next part gets; numbers may have gaps.
    pub(crate) next_number: i32,
    /// What the source called this state of the file.
    pub(crate) validator: Option<String>,
    /// Bytes that are hashed, inspected and uploaded.
    pub(crate) offset: u64,
    /// The SHA-256's state after them; absent when there are none.
    pub(crate) hash: Option<MidState>,
    /// The inspection's state after them.
    pub(crate) inspection: Option<InspectorState>,
    /// The parts that hold them.
    pub(crate) parts: Vec<Part>,
}

/// A part that S3 has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    /// From 1 to 10,000.
    pub(crate) number: i32,
    /// As S3 answered it.
    pub(crate) etag: String,
    /// Base64, as S3 writes it.
    pub(crate) crc32: String,
}

/// What lies in the bucket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Wire {
    /// The run ended; whoever still transfers for it finds this in place of its checkpoint, and stops.
    Ended(Ended),
    /// A checkpoint.
    Kept(Box<KeptWire>),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ended {
    ended: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptWire {
    checkpoint: Checkpoint,
    mac: String,
}

/// The bytes of a checkpoint.
pub(crate) fn write(key: &MacKey, place: &str, checkpoint: &Checkpoint) -> Vec<u8> {
    // Plain structs of strings and numbers always encode; an HMAC takes a key of any length.
    let bytes = serde_json::to_vec(checkpoint).unwrap_or_default();
    let mac = key.mac(place, &bytes).map(|mac| hex::encode(mac.finalize().into_bytes())).unwrap_or_default();
    let mut wire = br#"{"checkpoint":"#.to_vec();
    wire.extend_from_slice(&bytes);
    wire.extend_from_slice(format!(r#","mac":"{mac}"}}"#).as_bytes());
    wire
}

/// The bytes that say that the run ended.
pub(crate) fn write_ended() -> Vec<u8> {
    br#"{"ended":true}"#.to_vec()
}

/// Reads a checkpoint and believes it only if its MAC holds for this place; `None` once the run has ended.
pub(crate) fn read(key: &MacKey, place: &str, bytes: &[u8]) -> Result<Option<Checkpoint>, &'static str> {
    let kept = match serde_json::from_slice(bytes) {
        Ok(Wire::Ended(_)) => return Ok(None),
        Ok(Wire::Kept(kept)) => kept,
        Err(_) => return Err("it cannot be read"),
    };
    let encoded = serde_json::to_vec(&kept.checkpoint).unwrap_or_default();
    let mac = hex::decode(&kept.mac).unwrap_or_default();
    if key.mac(place, &encoded).is_none_or(|known| known.verify_slice(&mac).is_err()) {
        return Err("its MAC does not hold");
    }
    if write(key, place, &kept.checkpoint) != bytes {
        return Err("it is not in canonical form");
    }
    Ok(Some(kept.checkpoint))
}

/// What a checkpoint says of its upload, without any proof: enough to abort it, not to go on with it.
pub(crate) fn peek(bytes: &[u8]) -> Option<Checkpoint> {
    match serde_json::from_slice(bytes) {
        Ok(Wire::Kept(kept)) => Some(kept.checkpoint),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let part = |number| Part { number, etag: format!("\"{number}\""), crc32: "AAAAAA==".into() };
        Checkpoint {
            key: "models/x/model.safetensors".into(),
            size: 30 << 20,
            sha256: Sha256Digest::of("x"),
            owner: Owner { began: Timestamp::UNIX_EPOCH, name: "a".into() },
            since: Timestamp::UNIX_EPOCH,
            upload: Some(Progress {
                upload_id: "u".into(),
                part_size: 8 << 20,
                next_number: 4,
                validator: Some("\"tag\"".into()),
                offset: 16 << 20,
                hash: None,
                inspection: None,
                parts: vec![part(1), part(3)],
            }),
        }
    }

    #[test]
    fn a_checkpoint_is_read_as_it_was_written() {
        let key = MacKey::new(vec![7; 32]);
        let bytes = write(&key, "work/runs/1/transfer/0.json", &checkpoint());
        assert_eq!(read(&key, "work/runs/1/transfer/0.json", &bytes), Ok(Some(checkpoint())));
        assert_eq!(read(&key, "anywhere", &write_ended()), Ok(None));
    }

    #[test]
    fn a_tampered_checkpoint_is_not_believed() {
        let key = MacKey::new(vec![7; 32]);
        let bytes = write(&key, "work/runs/1/transfer/0.json", &checkpoint());
        for place in 0..bytes.len() {
            for bit in [1, 0x20] {
                let mut changed = bytes.clone();
                changed[place] ^= bit;
                let read = read(&key, "work/runs/1/transfer/0.json", &changed);
                assert!(read.is_err(), "byte {place} of {}", String::from_utf8_lossy(&bytes));
            }
        }
        assert!(read(&key, "work/runs/1/transfer/1.json", &bytes).is_err(), "another file's");
        assert!(
            read(&MacKey::new(vec![8; 32]), "work/runs/1/transfer/0.json", &bytes).is_err(),
            "another run's"
        );
        let spaced = [b" ", bytes.as_slice()].concat();
        assert!(read(&key, "work/runs/1/transfer/0.json", &spaced).is_err(), "not canonical");
    }

    #[test]
    fn invariant_7_the_key_is_not_shown() {
        assert!(!format!("{:?}", MacKey::new(vec![7; 32])).contains('7'));
    }
}
