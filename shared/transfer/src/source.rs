//! Where bytes come from.

use std::{future::Future, ops::Range, time::Duration};

use bytes::Bytes;
use futures::Stream;

/// A file that can be read by ranges: of the Hub, or of a bucket by version.
pub trait Source: Send + Sync + 'static {
    /// Why it does not give its bytes.
    type Error: std::fmt::Display + Send + Sync + 'static;
    /// Bytes on their way in.
    type Body: Stream<Item = Result<Bytes, Self::Error>> + Send + Unpin;

    /// Asks for bytes `range.start..range.end` of the file; the body holds those and no others, or ends in an
    /// error. More bytes than asked for are the caller's to notice.
    fn range(&self, range: Range<u64>) -> impl Future<Output = Result<Self::Body, Self::Error>> + Send;

    /// What the source calls this state of the file, once it was asked: kept in checkpoints, so that a source that
    /// changes between two invocations is noticed as one that changes between two ranges is.
    fn validator(&self) -> Option<String> {
        None
    }

    /// Tells a source what an earlier invocation saw.
    fn expect_validator(&self, _validator: Option<String>) {}

    /// Whether asking again may help; a source that was asked to wait says how long.
    fn retry(error: &Self::Error) -> Retry;
}

/// Whether asking again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It will say the same.
    Never,
    /// After a while of one's own choosing.
    Soon,
    /// Not before this, as the source asked (`Retry-After`).
    After(Duration),
}
