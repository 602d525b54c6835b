//! A file's way through: ranges in, hashed and inspected in order, parts out, a checkpoint after each.
//!
//! Three things go on at a time, each at its own pace: ranges come in, parts go out, a checkpoint is written. Only
//! the hash is in order. What is begun and not yet kept in a checkpoint is at most [`WINDOW`] parts, so that is
//! what a process that is killed has to fetch again; memory is what [`crate::Buffers`] allows.

use std::{collections::VecDeque, future::Future, ops::Range, pin::Pin, sync::Arc};

use bytes::Bytes;
use futures::{
    StreamExt as _,
    stream::{FuturesOrdered, FuturesUnordered},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    buffers::Buffer,
    checkpoint::{Checkpoint, Part, Progress},
    content::{Inspector, InspectorState},
    error::{FileError, TransferError},
    expected::{Hasher, MidState},
    file::{File, Outcome, Passage},
    ledger::Tag,
    range,
    source::{Retry, Source},
    upload::Upload,
    warehouse::{Stored, Warehouse},
};

/// Parts that are begun and not yet kept in a checkpoint.
pub(crate) const WINDOW: usize = 8;
/// Ranges that are asked for at first; each part that came in allows one more. On a line so slow that a whole window
/// would not come in within an invocation, some parts of it do.
const FIRST_RANGES: usize = 2;
/// And at most: more would share the same line among more, and wake the process for fewer bytes each time (4 % of its
/// time, measured with 6).
const RANGES_MAX: usize = 3;
/// Bytes that are hashed for every purpose before the next: they stay in the processor's cache meanwhile.
const STRETCH: usize = 128 << 10;
/// Stretches before others get a turn.
const TURN: usize = 8;

/// What the checkpoint says after a part.
struct Snapshot {
    offset: u64,
    hash: MidState,
    inspection: InspectorState,
}

/// A part that was hashed, until it and all before it are uploaded.
struct Hashed {
    number: i32,
    size: u64,
    /// Absent where the inspection cannot be kept: the part is not known good before a later one is.
    snapshot: Option<Snapshot>,
    uploaded: Option<Part>,
}

type Fetch<E> = AbortOnDropHandle<Result<Bytes, FileError<E>>>;
type Dispatch = AbortOnDropHandle<Result<Part, TransferError>>;
type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A checkpoint on its way to S3.
struct Write<'a> {
    written: Pending<'a, Result<Tag, TransferError>>,
    /// The parts that it covers and the one before it did not.
    parts: usize,
    offset: u64,
}

/// One file's way through one invocation.
pub(crate) struct Through<'a, S: Source> {
    warehouse: &'a Warehouse,
    file: &'a File,
    source: Arc<S>,
    passage: &'a Passage,
    kept: Checkpoint,
    /// As the next checkpoint will say.
    progress: Progress,
    tag: Tag,
    hasher: Hasher,
    inspector: Inspector,
    /// Where the next range begins, and the next part to hash.
    begun: u64,
    hashed: u64,
    fetches: FuturesOrdered<Fetch<S::Error>>,
    dispatches: FuturesUnordered<Dispatch>,
    /// Ranges that may be asked for side by side.
    ranges: usize,
    waiting: VecDeque<Hashed>,
    /// Uploaded, and after the last snapshot.
    beyond: Vec<Part>,
    /// Parts that the next checkpoint covers and the last written one does not.
    unkept: usize,
    write: Option<Write<'a>>,
    /// The offset of the last checkpoint that was written, and of the one that this invocation found.
    kept_offset: u64,
    found_offset: u64,
    /// Bytes that were counted as stored.
    counted: u64,
}

impl<'a, S: Source> Through<'a, S> {
    pub(crate) fn new(
        warehouse: &'a Warehouse,
        file: &'a File,
        source: Arc<S>,
        passage: &'a Passage,
        upload: Upload,
    ) -> Self {
        let Upload { kept, progress, tag } = upload;
        let resumed = progress.hash.as_ref().and_then(Hasher::resume).zip(progress.inspection.clone());
        let (hasher, inspector) = match resumed {
            Some((hasher, state)) => (hasher, Inspector::resume(&file.path, file.expected.size, state)),
            None => (Hasher::new(&file.expected), Inspector::new(&file.path, file.expected.size)),
        };
        let offset = progress.offset;
        passage.meter.stored(offset);
        source.expect_validator(progress.validator.clone());
        Self {
            warehouse,
            file,
            source,
            passage,
            kept,
            progress,
            tag,
            hasher,
            inspector,
            begun: offset,
            hashed: offset,
            fetches: FuturesOrdered::new(),
            dispatches: FuturesUnordered::new(),
            ranges: FIRST_RANGES,
            waiting: VecDeque::new(),
            beyond: Vec::new(),
            unkept: 0,
            write: None,
            kept_offset: offset,
            found_offset: offset,
            counted: offset,
        }
    }

    /// Bytes that it counted as stored.
    pub(crate) fn counted(&self) -> u64 {
        self.counted
    }

    /// Goes as far as the time allows.
    pub(crate) async fn run(&mut self) -> Result<Outcome, FileError<S::Error>> {
        match self.pass().await {
            Ok(true) => self.finish().await.map(Outcome::Stored),
            Ok(false) => Ok(self.pause().await?),
            // What came so far is not lost on a source that may yet answer; near the end of an invocation its
            // silence is no reason to fail.
            Err(FileError::Source(error)) if S::retry(&error) != Retry::Never => {
                let paused = self.pause().await?;
                let goes_on = paused == Outcome::Paused { advanced: true } && self.passage.deadline.is_near();
                if goes_on { Ok(paused) } else { Err(FileError::Source(error)) }
            }
            Err(error) => Err(error),
        }
    }

    /// Moves parts until all are uploaded (true) or the time is low (false).
    async fn pass(&mut self) -> Result<bool, FileError<S::Error>> {
        let deadline = self.passage.deadline;
        let mut take: Option<Pending<'a, Buffer>> = None;
        let late = deadline.reached();
        tokio::pin!(late);
        loop {
            let in_hand = self.fetches.len() + self.waiting.len() + self.unkept;
            if deadline.is_near() {
                take = None;
            } else if take.is_none()
                && self.begun < self.file.expected.size
                && in_hand < WINDOW
                && self.fetches.len() < self.ranges
            {
                let next = self.next_range();
                let wanted = usize::try_from(next.end - next.start).unwrap_or(usize::MAX);
                let buffers = &self.warehouse.buffers;
                take = Some(Box::pin(buffers.take(wanted)));
            }
            if self.write.is_none() && self.unkept > 0 {
                self.keep();
            }
            if self.fetches.is_empty() && self.dispatches.is_empty() && self.write.is_none() && take.is_none()
            {
                return Ok(self.hashed == self.file.expected.size);
            }
            tokio::select! {
                buffer = ready(&mut take) => {
                    take = None;
                    self.fetch(buffer);
                }
                Some(fetched) = self.fetches.next() => {
                    let content = fetched.map_err(|_| self.interrupted())??;
                    self.hash(content).await?;
                }
                Some(sent) = self.dispatches.next() => {
                    let part = sent.map_err(|_| self.interrupted())??;
                    self.uploaded(part);
                }
                tag = written(&mut self.write) => self.was_kept(tag)?,
                () = &mut late => return Ok(false),
            }
        }
    }

    fn next_range(&self) -> Range<u64> {
        self.begun..self.file.expected.size.min(self.begun + self.progress.part_size)
    }

    fn fetch(&mut self, buffer: Buffer) {
        let range = self.next_range();
        self.begun = range.end;
        let Self { source, file, passage, .. } = self;
        let (path, deadline, meter) = (file.path.clone(), passage.deadline, passage.meter.clone());
        let fetch = range::fetch(Arc::clone(source), path, range, buffer, deadline, meter);
        self.fetches.push_back(AbortOnDropHandle::new(tokio::spawn(fetch)));
    }

    /// Hashes and inspects the next part, and sends it.
    async fn hash(&mut self, content: Bytes) -> Result<(), FileError<S::Error>> {
        let mut crc32 = crc32fast::Hasher::new();
        for turn in content.chunks(TURN * STRETCH) {
            for stretch in turn.chunks(STRETCH) {
                self.hasher.update(stretch);
                crc32.update(stretch);
                let verdict = self.inspector.feed(stretch);
                verdict.map_err(|reason| self.file.is_unsafe(reason))?;
            }
            tokio::task::yield_now().await;
        }
        let crc32 = crc32.finalize();
        self.ranges = RANGES_MAX.min(self.ranges + 1);
        let size = content.len() as u64;
        self.hashed += size;
        let (offset, hash) = (self.hashed, self.hasher.save());
        let snapshot = self.inspector.save().map(|inspection| Snapshot { offset, hash, inspection });
        let number = self.progress.next_number;
        self.progress.next_number += 1;
        self.waiting.push_back(Hashed { number, size, snapshot, uploaded: None });
        let (warehouse, key) = (self.warehouse.clone(), self.file.key.clone());
        let upload_id = self.progress.upload_id.clone();
        let dispatch = async move { warehouse.upload(&key, &upload_id, number, content, crc32).await };
        self.dispatches.push(AbortOnDropHandle::new(tokio::spawn(dispatch)));
        Ok(())
    }

    /// Takes note of an uploaded part: what is uploaded without a gap is known good.
    fn uploaded(&mut self, part: Part) {
        if let Some(hashed) = self.waiting.iter_mut().find(|hashed| hashed.number == part.number) {
            hashed.uploaded = Some(part);
        }
        while self.waiting.front().is_some_and(|hashed| hashed.uploaded.is_some()) {
            let Some(Hashed { size, snapshot, uploaded, .. }) = self.waiting.pop_front() else { return };
            self.beyond.extend(uploaded);
            self.counted += size;
            self.passage.meter.stored(size);
            if let Some(Snapshot { offset, hash, inspection }) = snapshot {
                self.unkept += 1;
                self.progress.parts.append(&mut self.beyond);
                self.progress.offset = offset;
                self.progress.hash = Some(hash);
                self.progress.inspection = Some(inspection);
            }
        }
    }

    /// Begins to write a checkpoint of what is known good.
    fn keep(&mut self) {
        self.progress.validator = self.source.validator();
        let (offset, parts) = (self.progress.offset, self.unkept);
        self.kept.upload = Some(std::mem::take(&mut self.progress));
        let (file, ledger) = (self.file, &self.passage.ledger);
        let checkpoint = ledger.encode(&file.checkpoint, &self.kept);
        self.progress = self.kept.upload.take().unwrap_or_default();
        let written = ledger.write(&file.path, &file.checkpoint, checkpoint, self.tag.clone());
        self.write = Some(Write { written: Box::pin(written), parts, offset });
    }

    fn was_kept(&mut self, tag: Result<Tag, TransferError>) -> Result<(), TransferError> {
        if let Some(Write { parts, offset, .. }) = self.write.take() {
            self.unkept -= parts;
            self.kept_offset = offset;
        }
        self.tag = tag?;
        Ok(())
    }

    /// Drops what is on its way, and keeps what is known good.
    async fn pause(&mut self) -> Result<Outcome, TransferError> {
        self.fetches.clear();
        self.dispatches.clear();
        // One write at a time, even now: each must name the one before it.
        for _ in 0..2 {
            if self.write.is_none() && self.unkept > 0 {
                self.keep();
            }
            if self.write.is_some() {
                let tag = written(&mut self.write).await;
                self.was_kept(tag)?;
            }
        }
        Ok(Outcome::Paused { advanced: self.kept_offset > self.found_offset })
    }

    /// Every byte is hashed, inspected and uploaded: only now may the object come to be.
    async fn finish(&mut self) -> Result<Stored, FileError<S::Error>> {
        // Digest first: a file that is not what was promised is not worth describing further.
        let sha256 = self.file.finish_hash(self.hasher.clone())?;
        let size = self.file.expected.size;
        let inspector = std::mem::replace(&mut self.inspector, Inspector::new(&self.file.path, size));
        inspector.finish().map_err(|reason| self.file.is_unsafe(reason))?;
        let mut parts = std::mem::take(&mut self.progress.parts);
        parts.append(&mut self.beyond);
        let (key, upload_id) = (&self.file.key, &self.progress.upload_id);
        let stored = self.warehouse.complete(key, upload_id, &parts, sha256, size).await;
        self.progress.parts = parts;
        Ok(stored?)
    }

    fn interrupted(&self) -> TransferError {
        TransferError::Interrupted { path: self.file.path.clone() }
    }
}

async fn ready<T>(pending: &mut Option<Pending<'_, T>>) -> T {
    match pending {
        Some(pending) => pending.await,
        None => std::future::pending().await,
    }
}

async fn written(write: &mut Option<Write<'_>>) -> Result<Tag, TransferError> {
    match write {
        Some(write) => (&mut write.written).await,
        None => std::future::pending().await,
    }
}
