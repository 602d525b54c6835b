//! Memory that is bounded whatever the size of a file: a part is held from the first byte that comes in until
//! S3 has it.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{BufMut, Bytes};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The size of most parts, whose memory is used again: fresh memory costs the kernel as much as copying into it.
pub(crate) const PART: usize = 8 << 20;
/// What is handed out in kibibytes, since a semaphore counts in 32 bits.
const UNIT: usize = 1 << 10;

/// Hands out memory, at most so much at a time; who asks first is served first. Clones share it.
#[derive(Clone, Debug)]
pub struct Buffers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    left: Arc<Semaphore>,
    units: u32,
    used: Mutex<Vec<Vec<u8>>>,
}

/// Memory for one part.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    wanted: usize,
    of: Arc<Shared>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Buffers {
    /// At most `bytes` at a time. One part alone may be larger, since otherwise it could never come in.
    pub fn new(bytes: usize) -> Self {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX);
        let left = Arc::new(Semaphore::new(units as usize));
        Self(Arc::new(Shared { left, units, used: Mutex::new(Vec::new()) }))
    }

    /// Waits for memory of this many bytes.
    pub(crate) async fn take(&self, wanted: usize) -> Buffer {
        let units = u32::try_from(wanted.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.0.units);
        // The semaphore is never closed.
        let permit = Arc::clone(&self.0.left).acquire_many_owned(units).await.ok();
        // A part's memory is large enough for the next part of the same file, whatever its size.
        let pooled = wanted > PART / 8;
        let reused = if pooled { self.used().pop().filter(|bytes| bytes.capacity() >= wanted) } else { None };
        let capacity = if pooled { wanted.max(PART) } else { wanted };
        let bytes = reused.unwrap_or_else(|| Vec::with_capacity(capacity));
        Buffer { bytes, wanted, of: Arc::clone(&self.0), _permit: permit }
    }

    fn used(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    /// Bytes that it still has room for.
    pub(crate) fn room(&self) -> usize {
        self.wanted - self.bytes.len()
    }

    /// The room, to be written to.
    pub(crate) fn space(&mut self) -> impl BufMut {
        let room = self.room();
        (&mut self.bytes).limit(room)
    }

    /// The bytes, whose memory is used again when the last of them is dropped.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes.capacity() >= PART {
            let mut bytes = std::mem::take(&mut self.bytes);
            bytes.clear();
            self.of.used.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn no_more_is_handed_out_than_there_is() {
        let buffers = Buffers::new(2 * PART);
        let first = buffers.take(PART).await;
        let second = buffers.take(PART).await;
        assert!(buffers.take(1).now_or_never().is_none());
        drop(first);
        assert!(buffers.take(PART).now_or_never().is_some());
        drop(second.freeze());
        assert_eq!(buffers.0.left.available_permits(), 2 * PART / UNIT);
    }

    #[tokio::test]
    async fn a_part_that_is_larger_than_everything_comes_in_alone() {
        let buffers = Buffers::new(PART);
        let large = buffers.take(3 * PART).await;
        assert!(buffers.take(1).now_or_never().is_none());
        assert_eq!(large.room(), 3 * PART);
    }

    #[tokio::test]
    async fn a_parts_memory_is_used_again_and_empty() {
        let buffers = Buffers::new(PART);
        let mut buffer = buffers.take(PART).await;
        buffer.space().put_slice(b"abc");
        let place = buffer.as_ref().as_ptr();
        drop(buffer.freeze());
        let again = buffers.take(PART).await;
        assert_eq!((again.as_ref().as_ptr(), again.as_ref().len()), (place, 0));
    }
}
