//! One file, stored whole or in parts.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use contract::Sha256Digest;
use tokio_util::task::TaskTracker;

use crate::{
    buffers::PART,
    checkpoint::Owner,
    content::{Inspector, UnsafeContent},
    deadline::Deadline,
    error::{FileError, TransferError},
    expected::{Expected, ExpectedDigest, Hasher},
    ledger::Ledger,
    meter::Meter,
    parts::Through,
    range,
    source::{Retry, Source},
    upload::Upload,
    warehouse::{Stored, Warehouse},
};

/// Up to this size a file is held whole and put in one call.
const WHOLE: u64 = PART as u64;
/// A git blob's SHA-1 gives no SHA-256 before the last byte, so such files are always held whole. The Hub takes none
/// above 10 MiB outside LFS.
const GIT_BLOB_MAX: u64 = 16 << 20;
/// S3 takes 10,000 parts; some numbers are left for those that take over.
const PARTS_MAX: u64 = 8_000;
/// An upload that vanishes is begun again this often.
const UPLOADS_MAX: usize = 3;
/// S3's answers when an upload, or a part of it, is not there any more.
const LOST: [&str; 2] = ["NoSuchUpload", "InvalidPart"];

/// One file to store.
#[derive(Clone, Debug)]
pub struct File {
    /// Path in its repository, for messages and for what its name claims it is.
    pub path: String,
    /// Where the object will be.
    pub key: String,
    /// The name of its checkpoint in the run's [`Ledger`].
    pub checkpoint: String,
    /// What it must be.
    pub expected: Expected,
}

/// How far a file came in this invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored.
    Stored(Stored),
    /// The time was low; the next invocation goes on.
    Paused {
        /// Whether its checkpoint is further than before.
        advanced: bool,
    },
}

/// What the files of one invocation share.
#[derive(Clone, Debug)]
pub struct Passage {
    /// Which invocation it is.
    pub owner: Owner,
    /// Where their checkpoints are.
    pub ledger: Ledger,
    /// When to stop.
    pub deadline: Deadline,
    /// What was done so far.
    pub meter: Meter,
    /// Uploads that are just being created: that is not broken off, or nobody would know of them.
    pub(crate) begins: TaskTracker,
}

impl Passage {
    /// For an invocation that begins now and has this much time left.
    pub fn new(ledger: Ledger, time_left: Duration) -> Self {
        let deadline = Deadline::within(time_left);
        Self { owner: Owner::now(), ledger, deadline, meter: Meter::default(), begins: TaskTracker::new() }
    }
}

impl File {
    pub(crate) fn is_unsafe(&self, reason: UnsafeContent) -> TransferError {
        TransferError::UnsafeContent { path: self.path.clone(), reason }
    }

    /// Whether it is large enough to go in parts: such a file has memory and connections enough for itself.
    pub fn goes_in_parts(&self) -> bool {
        self.expected.size > WHOLE
    }

    pub(crate) fn finish_hash(&self, hasher: Hasher) -> Result<Sha256Digest, TransferError> {
        hasher.finish(&self.expected.digest).map_err(|(expected, found)| TransferError::DigestMismatch {
            path: self.path.clone(),
            expected,
            found,
        })
    }
}

impl Warehouse {
    /// Stores a file, or as much of it as the time allows.
    ///
    /// # Errors
    /// [`FileError`]; no object exists under the key then that did not before. The upload is aborted, too, but where
    /// another try may go on with it.
    pub async fn store<S: Source>(
        &self,
        file: &File,
        source: S,
        passage: &Passage,
    ) -> Result<Outcome, FileError<S::Error>> {
        let outcome = match &file.expected.digest {
            ExpectedDigest::Sha256(promised) if file.expected.size > WHOLE => {
                self.store_in_parts(file, promised, Arc::new(source), passage).await?
            }
            ExpectedDigest::GitBlob(_) if file.expected.size > GIT_BLOB_MAX => {
                let (path, size, limit) = (file.path.clone(), file.expected.size, GIT_BLOB_MAX);
                return Err(TransferError::TooLarge { path, size, limit }.into());
            }
            _ => self.store_whole(file, source, passage).await?,
        };
        if matches!(outcome, Outcome::Stored(_)) {
            passage.meter.file();
        }
        Ok(outcome)
    }

    async fn store_whole<S: Source>(
        &self,
        file: &File,
        source: S,
        passage: &Passage,
    ) -> Result<Outcome, FileError<S::Error>> {
        let size = file.expected.size;
        let content = if size == 0 {
            Bytes::new()
        } else {
            let buffer = self.buffers.take(usize::try_from(size).unwrap_or(usize::MAX)).await;
            let Passage { deadline, meter, .. } = passage.clone();
            let fetch = range::fetch(Arc::new(source), file.path.clone(), 0..size, buffer, deadline, meter);
            tokio::select! {
                content = fetch => content?,
                () = deadline.reached() => return Ok(Outcome::Paused { advanced: false }),
            }
        };
        let mut hasher = Hasher::new(&file.expected);
        hasher.update(&content);
        // Digest first: a file that is not what was promised is not worth describing further.
        let sha256 = file.finish_hash(hasher)?;
        let mut inspector = Inspector::new(&file.path, size);
        let verdict = inspector.feed(&content).and_then(|()| inspector.finish());
        verdict.map_err(|reason| file.is_unsafe(reason))?;
        let stored = self.put(&file.key, sha256, content).await?;
        passage.meter.stored(size);
        Ok(Outcome::Stored(stored))
    }

    async fn store_in_parts<S: Source>(
        &self,
        file: &File,
        promised: &Sha256Digest,
        source: Arc<S>,
        passage: &Passage,
    ) -> Result<Outcome, FileError<S::Error>> {
        for _ in 0..UPLOADS_MAX {
            let upload = Upload::take(self, file, promised, passage).await?;
            let upload_id = upload.progress.upload_id.clone();
            let mut through = Through::new(self, file, Arc::clone(&source), passage, upload);
            let ran = through.run().await;
            let counted = through.counted();
            // Whatever was still on its way ends here.
            drop(through);
            match ran {
                Ok(outcome) => return Ok(outcome),
                Err(FileError::Transfer(lost)) if lost.says(&LOST) => {
                    tracing::warn!(path = file.path, "its upload is lost, another one is begun: {lost}");
                    passage.meter.lost(counted);
                    if let Some(stored) =
                        self.find(&file.key).await?.filter(|found| found.sha256 == *promised)
                    {
                        passage.meter.stored(file.expected.size);
                        return Ok(Outcome::Stored(stored));
                    }
                    Upload::forget(file, passage).await?;
                }
                Err(error) => {
                    if is_final::<S>(&error)
                        && let Err(abort) = self.uploads.abort(&file.key, &upload_id).await
                    {
                        // It is swept when the run is sealed; the reason for the refusal matters more.
                        tracing::warn!(key = file.key, "{abort}");
                    }
                    return Err(error);
                }
            }
        }
        Err(TransferError::UploadLost { path: file.path.clone() }.into())
    }
}

/// Whether no other try can go on with the upload.
fn is_final<S: Source>(error: &FileError<S::Error>) -> bool {
    match error {
        FileError::Source(error) => S::retry(error) == Retry::Never,
        FileError::Transfer(error) => match error {
            TransferError::DigestMismatch { .. }
            | TransferError::SizeMismatch { .. }
            | TransferError::UnsafeContent { .. }
            | TransferError::TooLarge { .. }
            | TransferError::Occupied { .. }
            | TransferError::RunEnded { .. } => true,
            TransferError::CursorInvalid { .. }
            | TransferError::Superseded { .. }
            | TransferError::UploadLost { .. }
            | TransferError::Interrupted { .. }
            | TransferError::Store { .. } => false,
        },
    }
}

/// Bytes of every part but the last: as few parts as S3 takes, in whole mebibytes.
pub(crate) fn part_size(size: u64) -> u64 {
    let least = size.div_ceil(PARTS_MAX).div_ceil(1 << 20) << 20;
    least.max(WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_any_size_has_parts_that_s3_takes() {
        for size in [WHOLE + 1, 5 << 30, 64 << 30, 140_000_000_000, 500 << 30] {
            let part = part_size(size);
            let taken = (5 << 20..=5 << 30).contains(&part);
            assert!(size.div_ceil(part) <= PARTS_MAX && taken, "{size}: {part}");
        }
        assert_eq!(part_size(2 << 30), 8 << 20);
    }
}
