//! What is stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use contract::Sha256Digest;

/// Bytes that arrived in one request.
#[derive(Clone, Debug)]
pub struct Piece {
    /// How many.
    pub size: u64,
    /// What they hash to, if somebody looked.
    pub sha256: Option<Sha256Digest>,
    /// Their name.
    pub etag: String,
}

/// An object.
#[derive(Debug)]
pub struct Object {
    /// Bytes.
    pub size: u64,
    /// Quoted.
    pub etag: String,
    /// `x-amz-meta-` headers.
    pub metadata: Vec<(String, String)>,
    /// Its bytes, if they are kept.
    pub body: Option<Arc<Vec<u8>>>,
    /// How it arrived.
    pub pieces: Vec<Piece>,
}

/// A multipart upload.
#[derive(Debug)]
pub struct Upload {
    /// Bucket and key.
    pub place: String,
    /// For the object.
    pub metadata: Vec<(String, String)>,
    /// By number.
    pub parts: BTreeMap<u32, Piece>,
}

/// A condition of a write that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// 412: something else is there.
    Failed,
    /// 404: nothing is there, and `If-Match` was asked for.
    NoSuchKey,
}

/// Everything.
#[derive(Debug, Default)]
pub struct Store {
    /// Whether parts are hashed.
    pub hashing: bool,
    /// Bytes of parts and of objects under `models/`.
    pub received: u64,
    /// By `<bucket>/<key>`.
    pub objects: BTreeMap<String, Object>,
    /// By upload id.
    pub uploads: BTreeMap<String, Upload>,
    count: u64,
}

impl Store {
    /// An empty one.
    pub fn new(hashing: bool) -> Self {
        Self { hashing, ..Self::default() }
    }

    /// A name that no other has, quoted.
    pub fn next_etag(&mut self) -> String {
        self.count += 1;
        format!("\"{:032x}\"", self.count)
    }

    /// Stores an object with its bytes; its ETag.
    pub fn keep(&mut self, place: &str, body: Vec<u8>) -> String {
        let etag = self.next_etag();
        let (size, body) = (body.len() as u64, Some(Arc::new(body)));
        let object = Object { size, etag: etag.clone(), metadata: Vec::new(), body, pieces: Vec::new() };
        self.objects.insert(place.to_owned(), object);
        etag
    }

    /// Judges `If-None-Match: *` and `If-Match`.
    pub fn judge(
        &self,
        place: &str,
        none_match: Option<&str>,
        matching: Option<&str>,
    ) -> Result<(), Condition> {
        let there = self.objects.get(place);
        if none_match.is_some() && there.is_some() {
            return Err(Condition::Failed);
        }
        match (matching, there) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(Condition::NoSuchKey),
            (Some(etag), Some(object)) if etag.trim_matches('"') == object.etag.trim_matches('"') => Ok(()),
            (Some(_), Some(_)) => Err(Condition::Failed),
        }
    }

    /// The parts that a completion names, if they are there, ascending, and none but the last is below S3's 5 MiB.
    pub fn parts(upload: &Upload, named: &[(u32, String)]) -> Result<Vec<Piece>, &'static str> {
        let mut pieces = Vec::new();
        for (index, (number, etag)) in named.iter().enumerate() {
            if index > 0 && named[index - 1].0 >= *number {
                return Err("InvalidPartOrder");
            }
            let piece = upload.parts.get(number).ok_or("InvalidPart")?;
            if piece.etag.trim_matches('"') != etag.trim_matches('"') {
                return Err("InvalidPart");
            }
            if index + 1 < named.len() && piece.size < 5 << 20 {
                return Err("EntityTooSmall");
            }
            pieces.push(piece.clone());
        }
        if pieces.is_empty() { Err("MalformedXML") } else { Ok(pieces) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditional_writes_are_judged_as_s3_judges_them() {
        let mut store = Store::default();
        assert_eq!(store.judge("b/k", Some("*"), None), Ok(()));
        assert_eq!(store.judge("b/k", None, Some("\"1\"")), Err(Condition::NoSuchKey));
        let first = store.keep("b/k", vec![1]);
        assert_eq!(store.judge("b/k", Some("*"), None), Err(Condition::Failed));
        assert_eq!(store.judge("b/k", None, Some(&first)), Ok(()));
        store.keep("b/k", vec![2]);
        assert_eq!(store.judge("b/k", None, Some(&first)), Err(Condition::Failed));
    }

    #[test]
    fn an_upload_is_completed_only_from_parts_that_are_there_and_large_enough() {
        let piece = |size, etag: &str| Piece { size, sha256: None, etag: format!("\"{etag}\"") };
        let parts = BTreeMap::from([(1, piece(8 << 20, "a")), (2, piece(8 << 20, "b")), (3, piece(1, "c"))]);
        let upload = Upload { place: String::new(), metadata: Vec::new(), parts };
        let complete = |named: &[(u32, &str)]| {
            let named: Vec<_> = named.iter().map(|(number, etag)| (*number, (*etag).to_owned())).collect();
            Store::parts(&upload, &named).map(|pieces| pieces.len())
        };
        assert_eq!(complete(&[(1, "a"), (2, "\"b\""), (3, "c")]), Ok(3));
        assert_eq!(complete(&[(2, "b"), (1, "a")]), Err("InvalidPartOrder"));
        assert_eq!(complete(&[(1, "b")]), Err("InvalidPart"));
        assert_eq!(complete(&[(4, "a")]), Err("InvalidPart"));
        assert_eq!(complete(&[(3, "c"), (4, "a")]), Err("EntityTooSmall"));
        assert_eq!(complete(&[]), Err("MalformedXML"));
    }
}
