//! How far a transfer has come: what FetchBatch leaves in the work bucket for whoever watches.

use serde::{Deserialize, Serialize};

use crate::RunId;

/// How far one batch is. The last writer wins and nothing is decided by it: it is for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferProgress {
    /// Which batch of the transfer plan, from 0.
    pub batch: usize,
    /// Its files that are complete.
    pub stored_files: usize,
    /// Its files.
    pub files: usize,
    /// Bytes of its files that are hashed and stored, those of earlier invocations included.
    pub stored_bytes: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Bytes a second that lately came from the source; 0 between invocations and once the batch is done.
    pub bytes_per_second: u64,
}

impl TransferProgress {
    /// What the keys of a run's progress objects begin with, in the work bucket.
    pub fn prefix(run: &RunId) -> String {
        format!("{}transfer/progress-", run.prefix())
    }

    /// The key of a batch's progress object, in the work bucket.
    pub fn key(run: &RunId, batch: usize) -> String {
        format!("{}{batch}.json", Self::prefix(run))
    }

    /// Seconds until the batch is done at this rate; none while nothing flows.
    pub fn seconds_left(&self) -> Option<u64> {
        seconds_left(self.stored_bytes, self.bytes, self.bytes_per_second)
    }
}

/// How far all batches of a transfer are together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferTotal {
    /// Files that are complete.
    pub stored_files: usize,
    /// Files of the model.
    pub files: usize,
    /// Bytes that are hashed and stored.
    pub stored_bytes: u64,
    /// Bytes of the model.
    pub bytes: u64,
    /// Bytes a second that lately came from the source.
    pub bytes_per_second: u64,
}

impl TransferTotal {
    /// Adds up the batches that have said something. The others are yet to begin, so the model's own files and
    /// bytes are what the sum is of.
    pub fn sum<'a>(
        files: usize,
        bytes: u64,
        batches: impl IntoIterator<Item = &'a TransferProgress>,
    ) -> Self {
        let mut total = Self { files, bytes, ..Self::default() };
        for batch in batches {
            total.stored_files = total.stored_files.saturating_add(batch.stored_files).min(files);
            total.stored_bytes = total.stored_bytes.saturating_add(batch.stored_bytes).min(bytes);
            total.bytes_per_second = total.bytes_per_second.saturating_add(batch.bytes_per_second);
        }
        total
    }

    /// Seconds until the transfer is done at this rate; none while nothing flows.
    pub fn seconds_left(&self) -> Option<u64> {
        seconds_left(self.stored_bytes, self.bytes, self.bytes_per_second)
    }
}

fn seconds_left(stored: u64, bytes: u64, bytes_per_second: u64) -> Option<u64> {
    match (bytes.saturating_sub(stored), bytes_per_second) {
        (0, _) => Some(0),
        (_, 0) => None,
        (left, rate) => Some(left.div_ceil(rate)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(batch: usize, stored_files: usize, stored_bytes: u64, rate: u64) -> TransferProgress {
        TransferProgress { batch, stored_files, files: 2, stored_bytes, bytes: 1000, bytes_per_second: rate }
    }

    #[test]
    fn each_batch_has_its_own_object_beside_the_checkpoints() {
        let run = RunId::of(&["x"]);
        let key = TransferProgress::key(&run, 7);
        assert_eq!(key, format!("runs/{run}/transfer/progress-7.json"));
        assert!(key.starts_with(&TransferProgress::prefix(&run)));
    }

    #[test]
    fn batches_that_have_not_begun_count_as_still_to_fetch() {
        let total = TransferTotal::sum(6, 3000, &[progress(0, 2, 1000, 0), progress(1, 0, 400, 100)]);
        assert_eq!((total.stored_files, total.files), (2, 6));
        assert_eq!((total.stored_bytes, total.bytes), (1400, 3000));
        assert_eq!(total.seconds_left(), Some(16));
    }

    #[test]
    fn numbers_that_cannot_be_are_never_more_than_all() {
        let wrong = progress(0, usize::MAX, u64::MAX, u64::MAX);
        let total = TransferTotal::sum(6, 3000, &[wrong.clone(), wrong]);
        assert_eq!((total.stored_files, total.stored_bytes), (6, 3000));
        assert_eq!(total.seconds_left(), Some(0));
    }

    #[test]
    fn time_left_is_unknown_while_nothing_flows_and_nothing_once_all_is_there() {
        assert_eq!(progress(0, 0, 1, 0).seconds_left(), None);
        assert_eq!(progress(0, 0, 1, 1000).seconds_left(), Some(1));
        assert_eq!(progress(0, 2, 1000, 0).seconds_left(), Some(0));
        assert_eq!(TransferTotal::sum(0, 0, &[]).seconds_left(), Some(0));
    }

    #[test]
    fn a_newer_function_may_say_more() {
        let text = r#"{"batch":0,"stored_files":1,"files":2,"stored_bytes":3,"bytes":4,"bytes_per_second":5,
            "retries":6}"#;
        let read: TransferProgress = serde_json::from_str(text).unwrap();
        assert_eq!((read.stored_bytes, read.bytes_per_second), (3, 5));
    }
}
