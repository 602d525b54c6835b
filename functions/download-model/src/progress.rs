//! What one FetchBatch invocation says of how far it is: an object for `lockstep watch`, a log line, metrics.

use std::time::{Duration, Instant};

use contract::{RunId, TransferProgress};
use runtime::{Measured, Metric, Objects, Unit};
use serde_json::json;
use transfer::Meter;

/// A change of the source's rate shows about two thirds after this time.
const SMOOTHING: Duration = Duration::from_secs(6);
/// With no byte for this long, nothing flows.
const STALL: Duration = Duration::from_secs(10);
/// A write that takes longer is given up: the last one must not cost the invocation its time.
const TIME_TO_WRITE: Duration = Duration::from_secs(5);

/// Reports one invocation's progress. What cannot be reported is left out: the transfer is worth more.
pub struct Reporter {
    objects: Objects,
    bucket: String,
    run: RunId,
    meter: Meter,
    track: Track,
    /// What the object holds, as far as this invocation wrote it.
    written: Option<TransferProgress>,
}

impl Reporter {
    /// For a batch of so many files and bytes, counted by `meter`, whose invocation begins now.
    pub fn new(
        objects: Objects,
        bucket: String,
        run: RunId,
        batch: usize,
        files: usize,
        bytes: u64,
        meter: Meter,
    ) -> Self {
        let track = Track::new(batch, files, bytes, Instant::now());
        Self { objects, bucket, run, meter, track, written: None }
    }

    /// Reports at every interval for ever: to be dropped when the work is done, then [`Reporter::finish`].
    pub async fn run_every(&mut self, interval: Duration) {
        let mut clock = tokio::time::interval_at(tokio::time::Instant::now() + interval, interval);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            if let Some(change) = self.observe() {
                self.log(&change.progress);
                self.measure(&change);
                self.write(change.progress).await;
            }
        }
    }

    /// The invocation's last word.
    pub async fn finish(mut self) {
        let change = self.observe();
        if let Some(change) = &change {
            self.measure(change);
        }
        let progress = self.track.progress();
        self.log(&progress);
        // The object stays after the invocation has ended, and then nothing flows.
        self.write(TransferProgress { bytes_per_second: 0, ..progress }).await;
    }

    fn observe(&mut self) -> Option<Change> {
        let reading = Reading {
            stored_bytes: self.meter.stored_bytes(),
            fetched_bytes: self.meter.fetched_bytes(),
            stored_files: self.meter.stored_files(),
        };
        self.track.observe(reading, Instant::now())
    }

    fn log(&self, progress: &TransferProgress) {
        tracing::info!(
            run_id = %self.run,
            batch = progress.batch,
            stored_bytes = progress.stored_bytes,
            bytes = progress.bytes,
            bytes_per_second = progress.bytes_per_second,
            seconds_left = progress.seconds_left(),
            stored_files = progress.stored_files,
            files = progress.files,
            "transfer progress"
        );
    }

    fn measure(&self, change: &Change) {
        let properties = [("run_id", json!(self.run)), ("batch", json!(change.progress.batch))];
        let rate = change.progress.bytes_per_second;
        let metrics = [
            Metric { name: "BytesFetched", unit: Unit::Bytes, value: change.fetched_bytes as f64 },
            // Of one batch: several at once are averaged by CloudWatch, and summed by BytesFetched.
            Metric { name: "FetchRate", unit: Unit::BytesPerSecond, value: rate as f64 },
            // A file that an earlier invocation stored counts again when this one finds it.
            Metric { name: "FilesStored", unit: Unit::Count, value: change.stored_files as f64 },
        ];
        Measured { dimension: ("Function", "download-model"), properties: &properties, metrics: &metrics }
            .emit();
    }

    async fn write(&mut self, progress: TransferProgress) {
        if self.written.as_ref() == Some(&progress) {
            return;
        }
        let key = TransferProgress::key(&self.run, progress.batch);
        let write = self.objects.write(&self.bucket, &key, &progress);
        match tokio::time::timeout(TIME_TO_WRITE, write).await {
            Ok(Ok(_)) => self.written = Some(progress),
            Ok(Err(error)) => {
                tracing::warn!(batch = progress.batch, "the progress cannot be written: {error}");
            }
            Err(_) => tracing::warn!(batch = progress.batch, "the progress cannot be written in time"),
        }
    }
}

/// What the meter says at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reading {
    stored_bytes: u64,
    fetched_bytes: u64,
    stored_files: usize,
}

/// What is new since the observation before.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    progress: TransferProgress,
    /// Bytes that came since.
    fetched_bytes: u64,
    /// Files that were completed or found since.
    stored_files: u64,
}

/// Turns readings into progress. Pure: the clock is given.
struct Track {
    batch: usize,
    files: usize,
    bytes: u64,
    last: Reading,
    pace: Pace,
}

impl Track {
    fn new(batch: usize, files: usize, bytes: u64, now: Instant) -> Self {
        Self { batch, files, bytes, last: Reading::default(), pace: Pace::new(now) }
    }

    /// Takes a reading; none where it says nothing new.
    fn observe(&mut self, reading: Reading, now: Instant) -> Option<Change> {
        let before = std::mem::replace(&mut self.last, reading);
        let fetched_bytes = reading.fetched_bytes.saturating_sub(before.fetched_bytes);
        let flowed = self.pace.bytes_per_second() > 0;
        self.pace.take(fetched_bytes, now);
        let has_stalled = flowed && self.pace.bytes_per_second() == 0;
        if reading == before && !has_stalled {
            return None;
        }
        let stored_files = reading.stored_files.saturating_sub(before.stored_files) as u64;
        Some(Change { progress: self.progress(), fetched_bytes, stored_files })
    }

    fn progress(&self) -> TransferProgress {
        TransferProgress {
            batch: self.batch,
            stored_files: self.last.stored_files,
            files: self.files,
            stored_bytes: self.last.stored_bytes,
            bytes: self.bytes,
            bytes_per_second: self.pace.bytes_per_second(),
        }
    }
}

/// The rate, each moment's weight falling with its age.
struct Pace {
    /// Where what is weighed begins.
    since: Instant,
    /// Where it ends.
    until: Instant,
    /// When bytes were last seen to have come.
    flowed: Instant,
    /// Bytes a second, as if nothing had flowed before `since`.
    weighed: f64,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { since: now, until: now, flowed: now, weighed: 0.0 }
    }

    fn take(&mut self, bytes: u64, now: Instant) {
        if bytes > 0 {
            self.flowed = now;
        } else if now.saturating_duration_since(self.flowed) >= STALL {
            *self = Self { flowed: self.flowed, ..Self::new(now) };
            return;
        }
        let seconds = now.saturating_duration_since(self.until).as_secs_f64();
        if seconds > 0.0 {
            let kept = kept(seconds);
            self.weighed = self.weighed * kept + bytes as f64 / seconds * (1.0 - kept);
            self.until = now;
        }
    }

    fn bytes_per_second(&self) -> u64 {
        // The weight that the time before `since` would have is not the source's fault.
        let weight = 1.0 - kept(self.until.saturating_duration_since(self.since).as_secs_f64());
        if weight > 0.0 { (self.weighed / weight).round() as u64 } else { 0 }
    }
}

/// The share of its weight that a moment keeps after so many seconds.
fn kept(seconds: f64) -> f64 {
    (-seconds / SMOOTHING.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn fetched(bytes: u64) -> Reading {
        Reading { stored_bytes: bytes, fetched_bytes: bytes, stored_files: 0 }
    }

    #[test]
    fn an_invocation_that_does_nothing_says_nothing() {
        let start = Instant::now();
        let mut track = Track::new(0, 1, MIB, start);
        for tick in 1..20 {
            assert_eq!(track.observe(Reading::default(), start + seconds(2 * tick)), None);
        }
    }

    #[test]
    fn a_steady_source_has_its_rate_from_the_first_report_on() {
        let start = Instant::now();
        let mut track = Track::new(3, 1, 1000 * MIB, start);
        for tick in 1..10 {
            let change = track.observe(fetched(20 * tick * MIB), start + seconds(2 * tick)).unwrap();
            assert_eq!(change.progress.bytes_per_second, 10 * MIB);
            assert_eq!((change.fetched_bytes, change.progress.batch), (20 * MIB, 3));
        }
        assert_eq!(track.progress().seconds_left(), Some(82));
    }

    #[test]
    fn resumed_bytes_count_as_stored_and_not_as_speed() {
        let start = Instant::now();
        let mut track = Track::new(0, 3, 1000 * MIB, start);
        let resumed = Reading { stored_bytes: 900 * MIB, fetched_bytes: 2 * MIB, stored_files: 2 };
        let change = track.observe(resumed, start + seconds(2)).unwrap();
        assert_eq!((change.fetched_bytes, change.stored_files), (2 * MIB, 2));
        assert_eq!(change.progress.stored_bytes, 900 * MIB);
        assert_eq!(change.progress.seconds_left(), Some(100));
    }

    #[test]
    fn one_slow_interval_moves_the_rate_a_little() {
        let start = Instant::now();
        let mut track = Track::new(0, 1, 1000 * MIB, start);
        track.observe(fetched(20 * MIB), start + seconds(2)).unwrap();
        let slow = track.observe(fetched(22 * MIB), start + seconds(4)).unwrap().progress.bytes_per_second;
        assert!((4 * MIB..8 * MIB).contains(&slow), "{slow}");
    }

    #[test]
    fn a_last_word_right_after_a_report_does_not_jump() {
        let start = Instant::now();
        let mut track = Track::new(0, 1, 1000 * MIB, start);
        assert_eq!(track.observe(Reading::default(), start + seconds(2)), None);
        let at = start + seconds(2) + Duration::from_millis(1);
        let rate = track.observe(fetched(8 * MIB), at).unwrap().progress.bytes_per_second;
        assert!((4 * MIB..5 * MIB).contains(&rate), "8 MiB in 2 s: {rate}");
    }

    #[test]
    fn a_source_that_stalls_is_told_of_once() {
        let start = Instant::now();
        let mut track = Track::new(0, 1, 1000 * MIB, start);
        track.observe(fetched(20 * MIB), start + seconds(2)).unwrap();
        let said: Vec<_> =
            (2..20).filter_map(|tick| track.observe(fetched(20 * MIB), start + seconds(2 * tick))).collect();
        assert_eq!(said.len(), 1);
        assert_eq!((said[0].progress.bytes_per_second, said[0].fetched_bytes), (0, 0));
        assert_eq!(said[0].progress.seconds_left(), None);
    }

    #[test]
    fn bytes_whose_upload_was_lost_are_taken_back() {
        let start = Instant::now();
        let mut track = Track::new(0, 1, 1000 * MIB, start);
        track.observe(fetched(20 * MIB), start + seconds(2)).unwrap();
        let lost = Reading { stored_bytes: 12 * MIB, fetched_bytes: 20 * MIB, stored_files: 0 };
        let change = track.observe(lost, start + seconds(4)).unwrap();
        assert_eq!((change.progress.stored_bytes, change.fetched_bytes), (12 * MIB, 0));
    }
}
