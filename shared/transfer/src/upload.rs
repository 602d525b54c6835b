//! Who goes on with a file's multipart upload, or begins one.
//!
//! Whatever another invocation still does with the file after one has taken over cannot get into the object: its
//! next checkpoint is refused, and the numbers of its parts are not used again (S3 takes gaps, and drops what the
//! completion does not list).

use contract::Sha256Digest;
use jiff::Timestamp;

use crate::{
    checkpoint::{Checkpoint, Progress},
    error::TransferError,
    file::{File, Passage, part_size},
    ledger::Tag,
    parts::WINDOW,
    warehouse::Warehouse,
};

/// The highest number that S3 takes for a part.
const NUMBER_MAX: u64 = 10_000;

/// An upload that this invocation owns.
pub(crate) struct Upload {
    pub(crate) kept: Checkpoint,
    pub(crate) progress: Progress,
    pub(crate) tag: Tag,
}

impl Upload {
    /// Goes on with the upload that the checkpoint names, or begins one.
    pub(crate) async fn take(
        warehouse: &Warehouse,
        file: &File,
        promised: &Sha256Digest,
        passage: &Passage,
    ) -> Result<Self, TransferError> {
        let (kept, tag) = match passage.ledger.load(&file.path, &file.checkpoint).await {
            Err(altered @ TransferError::CursorInvalid { .. }) => {
                // Whatever it said, nobody will go on with it; another run's upload of this key is begun again.
                warehouse.uploads.abort_since(&file.key, Timestamp::UNIX_EPOCH).await?;
                return Err(altered);
            }
            loaded => loaded?,
        };
        let Some(kept) = kept else { return Self::begin(warehouse, file, promised, passage, tag).await };
        if kept.key != file.key || kept.size != file.expected.size || kept.sha256 != *promised {
            let (place, reason) = (file.checkpoint.clone(), "it is about another file");
            return Err(TransferError::CursorInvalid { place, reason });
        }
        // One that Step Functions gave up may still run: it must not take back what a later one has in hand.
        if kept.owner.began > passage.owner.began {
            return Err(TransferError::Superseded { path: file.path.clone() });
        }
        match kept.upload {
            None => {
                warehouse.uploads.abort_since(&file.key, kept.since).await?;
                Self::begin(warehouse, file, promised, passage, tag).await
            }
            Some(progress) => match taken_over(progress, kept.size) {
                Ok(progress) => {
                    let kept = Checkpoint { owner: passage.owner.clone(), upload: Some(progress), ..kept };
                    Self::write(kept, file, passage, tag).await
                }
                Err(upload_id) => {
                    warehouse.uploads.abort(&file.key, &upload_id).await?;
                    Self::begin(warehouse, file, promised, passage, tag).await
                }
            },
        }
    }

    /// Gives up an upload that is lost, so that the next [`Upload::take`] begins another.
    pub(crate) async fn forget(file: &File, passage: &Passage) -> Result<(), TransferError> {
        let (kept, tag) = passage.ledger.load(&file.path, &file.checkpoint).await?;
        let Some(kept) = kept else { return Ok(()) };
        if kept.owner != passage.owner {
            // It was not lost, but aborted by whoever has taken over.
            return Err(TransferError::Superseded { path: file.path.clone() });
        }
        let upload = kept.upload.map(|progress| Progress {
            upload_id: progress.upload_id,
            part_size: progress.part_size,
            ..Progress::default()
        });
        let kept = Checkpoint { owner: passage.owner.clone(), upload, ..kept };
        Self::write(kept, file, passage, tag).await.map(drop)
    }

    /// Begins an upload, whatever becomes of whoever asked for it meanwhile.
    async fn begin(
        warehouse: &Warehouse,
        file: &File,
        promised: &Sha256Digest,
        passage: &Passage,
        tag: Tag,
    ) -> Result<Self, TransferError> {
        let (warehouse, file, promised) = (warehouse.clone(), file.clone(), promised.clone());
        let (asking, path) = (passage.clone(), file.path.clone());
        let begun = passage
            .begins
            .spawn(async move { Self::create(&warehouse, &file, &promised, &asking, tag).await });
        begun.await.map_err(|_| TransferError::Interrupted { path })?
    }

    async fn create(
        warehouse: &Warehouse,
        file: &File,
        promised: &Sha256Digest,
        passage: &Passage,
        tag: Tag,
    ) -> Result<Self, TransferError> {
        let mut kept = Checkpoint {
            key: file.key.clone(),
            size: file.expected.size,
            sha256: promised.clone(),
            owner: passage.owner.clone(),
            since: Timestamp::now(),
            upload: None,
        };
        let intent = passage.ledger.encode(&file.checkpoint, &kept);
        let tag = passage.ledger.write(&file.path, &file.checkpoint, intent, tag).await?;
        if passage.ledger.has_ended().await? {
            return Err(TransferError::RunEnded { path: file.path.clone() });
        }
        let upload_id = warehouse.create(&file.key, promised).await?;
        let part_size = part_size(kept.size);
        kept.upload =
            Some(Progress { upload_id: upload_id.clone(), part_size, next_number: 1, ..Progress::default() });
        let written = Self::write(kept, file, passage, tag).await;
        if written.is_err() {
            // Nobody else knows of it.
            warehouse.uploads.abort(&file.key, &upload_id).await?;
        }
        written
    }

    async fn write(
        mut kept: Checkpoint,
        file: &File,
        passage: &Passage,
        tag: Tag,
    ) -> Result<Self, TransferError> {
        let bytes = passage.ledger.encode(&file.checkpoint, &kept);
        let tag = passage.ledger.write(&file.path, &file.checkpoint, bytes, tag).await?;
        let progress = kept.upload.take().unwrap_or_default();
        Ok(Self { kept, progress, tag })
    }
}

/// What whoever takes an upload over starts from, or the upload's id when it must be begun anew: before the first
/// part was kept nobody knows which numbers were used, and numbers can run out.
fn taken_over(progress: Progress, size: u64) -> Result<Progress, String> {
    let next = u64::try_from(progress.next_number).unwrap_or(NUMBER_MAX) + WINDOW as u64 + 1;
    let parts_left = size.saturating_sub(progress.offset).div_ceil(progress.part_size.max(1));
    match i32::try_from(next) {
        Ok(next_number) if progress.offset > 0 && next + parts_left <= NUMBER_MAX => {
            Ok(Progress { next_number, ..progress })
        }
        _ => Err(progress.upload_id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(offset: u64, next_number: i32) -> Progress {
        Progress { upload_id: "u".into(), part_size: 10, offset, next_number, ..Progress::default() }
    }

    #[test]
    fn who_takes_over_uses_no_number_that_the_former_owner_may_still_use() {
        // The former owner had parts 1 to 4 kept, and at most a window of others begun.
        let taken = taken_over(progress(40, 5), 1000).unwrap();
        assert!(taken.next_number as usize > 4 + WINDOW);
        assert_eq!(taken.offset, 40);
    }

    #[test]
    fn an_upload_is_begun_anew_when_nothing_was_kept_or_numbers_run_out() {
        assert!(taken_over(progress(0, 1), 1000).is_err());
        assert!(taken_over(progress(10, 9_980), 40).is_ok());
        assert!(taken_over(progress(10, 9_980), 1000).is_err());
    }
}
