//! How far a transfer has come.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Counts bytes and files; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    fetched_bytes: AtomicU64,
    stored_bytes: AtomicU64,
    stored_files: AtomicU64,
}

impl Meter {
    /// Bytes that came from the source in this invocation, repeated ones included.
    pub fn fetched_bytes(&self) -> u64 {
        self.0.fetched_bytes.load(Relaxed)
    }

    /// Bytes that are hashed and stored, those of earlier invocations included. Of a file that is not complete
    /// they are stored as parts, which nobody can read.
    pub fn stored_bytes(&self) -> u64 {
        self.0.stored_bytes.load(Relaxed)
    }

    /// Files that are complete.
    pub fn stored_files(&self) -> usize {
        usize::try_from(self.0.stored_files.load(Relaxed)).unwrap_or(usize::MAX)
    }

    /// Counts a file that was there already.
    pub fn found(&self, size: u64) {
        self.stored(size);
        self.file();
    }

    pub(crate) fn fetched(&self, bytes: usize) {
        self.0.fetched_bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn stored(&self, bytes: u64) {
        self.0.stored_bytes.fetch_add(bytes, Relaxed);
    }

    /// Takes back bytes whose upload was lost.
    pub(crate) fn lost(&self, bytes: u64) {
        self.0.stored_bytes.fetch_sub(bytes, Relaxed);
    }

    pub(crate) fn file(&self) {
        self.0.stored_files.fetch_add(1, Relaxed);
    }
}
