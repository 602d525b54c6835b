//! How far DownloadFiles is, from what its batches leave in the work bucket.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::SdkError;
use contract::{ResolvedModel, RunId, TransferProgress, TransferTotal};
use indicatif::{HumanBytes, HumanDuration};

use crate::history::{Status, Timeline};
use crate::screen::Screen;

/// The state that lasts as long as the transfer.
const DOWNLOADS: &str = "DownloadFiles";
/// What is not read by then is read the next time: following the states must not wait for it.
const TIME_TO_READ: Duration = Duration::from_secs(5);

/// Reads a run's progress objects. They are a convenience: what cannot be read is not shown.
pub(crate) struct TransferReader {
    s3: Client,
    /// The latest of each object that was read, by key: one that has not changed is not read again.
    read: BTreeMap<String, Read>,
    is_refused: bool,
}

struct Read {
    etag: Option<String>,
    progress: TransferProgress,
}

/// Why a progress object cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unread {
    /// The caller may not; asking again is no use.
    Refused,
    /// Not now.
    Failed,
}

impl TransferReader {
    /// Reads with a client of S3.
    pub(crate) fn new(s3: Client) -> Self {
        Self { s3, read: BTreeMap::new(), is_refused: false }
    }

    /// How far the transfer is, while there is one and the caller may know.
    pub(crate) async fn ask(&mut self, timeline: &Timeline, screen: &Screen) -> Option<TransferTotal> {
        let (run, resolved) = underway(timeline)?;
        if self.is_refused {
            return None;
        }
        let bucket = &resolved.transfer.bucket;
        let refreshed = tokio::time::timeout(TIME_TO_READ, self.refresh(bucket, &run)).await;
        if refreshed == Ok(Err(Unread::Refused)) {
            self.is_refused = true;
            screen.aside(&format!(
                "  the transfer's progress is not shown: reading s3://{bucket}/{}* is not allowed",
                TransferProgress::prefix(&run)
            ));
            return None;
        }
        let batches = self.read.values().map(|read| &read.progress);
        Some(TransferTotal::sum(resolved.files, resolved.bytes, batches))
    }

    /// Reads the objects that changed. There are as many as batches, at most 40, so that one page has them all.
    async fn refresh(&mut self, bucket: &str, run: &RunId) -> Result<(), Unread> {
        let prefix = TransferProgress::prefix(run);
        let page =
            self.s3.list_objects_v2().bucket(bucket).prefix(prefix).send().await.map_err(|e| unread(&e))?;
        for object in page.contents() {
            let Some(key) = object.key() else { continue };
            let etag = object.e_tag().map(str::to_owned);
            let is_known = self.read.get(key).is_some_and(|known| known.etag.is_some() && known.etag == etag);
            if is_known {
                continue;
            }
            let object = self.s3.get_object().bucket(bucket).key(key).send().await.map_err(|e| unread(&e))?;
            let bytes = object.body.collect().await.map_err(|_| Unread::Failed)?.to_vec();
            if let Ok(progress) = serde_json::from_slice(&bytes) {
                self.read.insert(key.to_owned(), Read { etag, progress });
            }
        }
        Ok(())
    }
}

fn unread<E>(error: &SdkError<E, HttpResponse>) -> Unread {
    match error.raw_response().map(|response| response.status().as_u16()) {
        Some(403) => Unread::Refused,
        _ => Unread::Failed,
    }
}

/// The run and what it resolved, while its files are fetched.
fn underway(timeline: &Timeline) -> Option<(RunId, &ResolvedModel)> {
    let state = timeline.state(DOWNLOADS)?;
    if state.status != Status::Running || timeline.end.is_some() {
        return None;
    }
    Some((RunId::try_from(timeline.run_id.clone()?).ok()?, timeline.resolved.as_ref()?))
}

/// Bytes, rate, time left and files, in words.
pub(crate) fn describe(total: &TransferTotal) -> String {
    let mut text = format!("{} of {}", HumanBytes(total.stored_bytes), HumanBytes(total.bytes));
    if total.bytes_per_second > 0 {
        text.push_str(&format!(", {}/s", HumanBytes(total.bytes_per_second)));
    }
    if let Some(seconds) = total.seconds_left().filter(|seconds| *seconds > 0) {
        text.push_str(&format!(", {:#} left", HumanDuration(Duration::from_secs(seconds))));
    }
    text.push_str(&format!(", {}/{} files", total.stored_files, total.files));
    text
}

#[cfg(test)]
mod tests {
    use contract::{ObjectRef, Sha256Digest};

    use super::*;
    use crate::history::{End, State};

    fn timeline(status: Status) -> Timeline {
        let transfer = ObjectRef {
            bucket: "work".into(),
            key: "runs/x/transfer/plan.json".into(),
            sha256: Sha256Digest::of(b""),
        };
        let resolved =
            ResolvedModel { commit: "c".into(), transfer, batches: vec![0, 1], files: 41, bytes: 1 << 40 };
        let state = State {
            name: DOWNLOADS.into(),
            depth: 1,
            status,
            error: None,
            entered: 0.0,
            seconds: 0.0,
            entries: 1,
            retries: 0,
        };
        let run_id = Some(RunId::of(&["x"]).to_string());
        Timeline { states: vec![state], run_id, resolved: Some(resolved), ..Timeline::default() }
    }

    #[test]
    fn progress_is_asked_for_only_while_files_are_fetched() {
        assert_eq!(underway(&timeline(Status::Running)).unwrap().0, RunId::of(&["x"]));
        assert!(underway(&timeline(Status::Succeeded)).is_none());
        assert!(underway(&Timeline::default()).is_none());
        let end = Some(End { status: "ABORTED".into(), error: None, cause: None });
        assert!(underway(&Timeline { end, ..timeline(Status::Running) }).is_none());
        assert!(underway(&Timeline { resolved: None, ..timeline(Status::Running) }).is_none());
    }

    #[test]
    fn a_person_reads_bytes_rate_time_left_and_files() {
        let total = TransferTotal {
            stored_files: 3,
            files: 41,
            stored_bytes: 10 << 30,
            bytes: 130 << 30,
            bytes_per_second: 80 << 20,
        };
        assert_eq!(describe(&total), "10.00 GiB of 130.00 GiB, 80.00 MiB/s, 26m left, 3/41 files");
        let still = TransferTotal { bytes_per_second: 0, ..total };
        assert_eq!(describe(&still), "10.00 GiB of 130.00 GiB, 3/41 files");
        let done = TransferTotal { stored_bytes: 130 << 30, stored_files: 41, ..still };
        assert_eq!(describe(&done), "130.00 GiB of 130.00 GiB, 41/41 files");
    }
}
