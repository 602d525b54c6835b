//! S3, and the little of KMS and Secrets Manager that a transfer needs, at one address.
//!
//! Parts and objects under `models/` are thrown away unread, or hashed when that is asked for; small objects elsewhere
//! are kept. Conditional writes are judged as S3 judges them.

mod answers;
mod chunked;
mod requests;
mod store;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use contract::Sha256Digest;
use sha2::{Digest as _, Sha256};

use self::chunked::Unchunked;
use self::store::{Piece, Store};
use super::source::Model;
use crate::http::{Exchange, serve};

/// What a stored model must hold, and does not.
#[derive(Debug, thiserror::Error)]
pub enum Unverified {
    /// No object's key ends so.
    #[error("`{0}` was not stored")]
    Missing(String),
    /// It was stored while nobody looked.
    #[error("`{0}` was stored without being hashed")]
    Unseen(String),
    /// A piece of it is not what was sent.
    #[error("`{key}` differs from what the source sent, within the {size} bytes from {from}")]
    Different {
        /// The object.
        key: String,
        /// Where the piece begins.
        from: u64,
        /// Its length.
        size: u64,
    },
    /// It is shorter or longer.
    #[error("`{key}` has {found} bytes and not {expected}")]
    Size {
        /// The object.
        key: String,
        /// What was sent.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// What was sent is not known.
    #[error(transparent)]
    Source(#[from] io::Error),
}

#[derive(Debug, Default)]
struct Shared {
    store: Mutex<Store>,
}

/// The store.
#[derive(Debug)]
pub struct Sink {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Sink {
    /// Starts it.
    pub fn start() -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let served = Arc::clone(&shared);
        let address = serve(move |exchange| served.answer(exchange))?;
        Ok(Self { shared, address })
    }

    /// What `AWS_ENDPOINT_URL` is set to.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Forgets everything. From now on, parts are hashed or thrown away unread.
    pub fn reset(&self, hashing: bool) {
        *self.shared.store() = Store::new(hashing);
    }

    /// Puts an object there.
    pub fn put(&self, place: &str, body: Vec<u8>) {
        self.shared.store().keep(place, body);
    }

    /// Bytes that were uploaded since the reset.
    pub fn received(&self) -> u64 {
        self.shared.store().received
    }

    /// Multipart uploads that are neither completed nor aborted.
    pub fn open_uploads(&self) -> usize {
        self.shared.store().uploads.len()
    }

    /// Compares what is stored of a model to what the source sends, piece by piece as it was uploaded.
    ///
    /// # Errors
    /// [`Unverified`].
    pub fn verify(&self, model: &Model) -> Result<(), Unverified> {
        for file in &model.files {
            let (key, pieces) = self.pieces(&file.path)?;
            let mut from = 0;
            for Piece { size, sha256, .. } in pieces {
                let Some(sha256) = sha256 else { return Err(Unverified::Unseen(key)) };
                let end = from + size;
                if end > file.size() || file.sha256_of(from, end)? != sha256 {
                    return Err(Unverified::Different { key, from, size });
                }
                from = end;
            }
            if from != file.size() {
                return Err(Unverified::Size { key, expected: file.size(), found: from });
            }
        }
        Ok(())
    }

    fn pieces(&self, path: &str) -> Result<(String, Vec<Piece>), Unverified> {
        let (store, ending) = (self.shared.store(), format!("/{path}"));
        let mut found = store.objects.iter().filter(|(place, _)| place.contains("/models/"));
        let found = found.find(|(place, _)| place.ends_with(&ending));
        let (key, object) = found.ok_or_else(|| Unverified::Missing(path.to_owned()))?;
        Ok((key.clone(), object.pieces.clone()))
    }
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a body whose content does not matter here: its size, and its digest if that is asked for.
    fn take(&self, exchange: &mut Exchange<'_>) -> io::Result<Piece> {
        let chunked =
            exchange.head.header("x-amz-decoded-content-length").and_then(|length| length.parse().ok());
        let size = chunked.unwrap_or(exchange.left());
        let hashing = self.store().hashing;
        let sha256 = if hashing {
            let mut hash = Sha256::new();
            match chunked {
                None => exchange.watch(&mut |bytes| hash.update(bytes))?,
                Some(_) => {
                    let mut unchunked = Unchunked::default();
                    exchange.watch(&mut |bytes| unchunked.feed(bytes, &mut |bytes| hash.update(bytes)))?;
                }
            }
            Some(Sha256Digest::from_bytes(&hash.finalize().into()))
        } else {
            exchange.discard()?;
            None
        };
        let mut store = self.store();
        store.received += size;
        Ok(Piece { size, sha256, etag: store.next_etag() })
    }

    /// Reads a body that is kept.
    fn read(&self, exchange: &mut Exchange<'_>) -> io::Result<Vec<u8>> {
        let chunked = exchange.head.header("x-amz-decoded-content-length").is_some();
        let body = exchange.read()?;
        if !chunked {
            return Ok(body);
        }
        let mut plain = Vec::new();
        Unchunked::default().feed(&body, &mut |bytes| plain.extend_from_slice(bytes));
        Ok(plain)
    }
}
