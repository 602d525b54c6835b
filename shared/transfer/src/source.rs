//! Where bytes come from.

use std::{future::Future, io, ops::Range, time::Duration};

use backon::ExponentialBuilder;
use tokio::io::AsyncRead;

/// The first delay; a test has no reason to wait.
const FIRST_DELAY: Duration = Duration::from_millis(if cfg!(test) { 1 } else { 200 });
/// A source that wants more patience than this is left to the state machine's own retry.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file that can be read by ranges: of the Hub, or of a bucket by version.
pub trait Source: Send + Sync + 'static {
    /// Why it does not give its bytes.
    type Error: std::fmt::Display + Send + Sync + 'static;
    /// Bytes on their way in. They are read into the memory that they are kept in: what writes them there directly
    /// saves a copy of the whole file.
    type Body: AsyncRead + Send + Unpin;

    /// Asks for bytes `range.start..range.end` of the file; the body holds those and no others, or ends in an
    /// error. More bytes than asked for are the caller's to notice.
    fn range(&self, range: Range<u64>) -> impl Future<Output = Result<Self::Body, Self::Error>> + Send;

    /// What a body's error means.
    fn broken(&self, error: io::Error) -> Self::Error;

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

impl Retry {
    /// How long to wait, given one's own next delay; `None` to give up. A source's wish is granted, but no more often
    /// than one would have asked oneself.
    pub fn wait(self, own: Option<Duration>) -> Option<Duration> {
        let wait = match self {
            Self::Never => None,
            Self::Soon => own,
            Self::After(wish) => own.map(|own| own.max(wish)),
        };
        wait.filter(|wait| *wait <= PATIENCE)
    }
}

/// The delays between tries.
pub fn delays() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_DELAY)
        .with_max_delay(Duration::from_secs(10))
        .with_max_times(5)
        .with_jitter()
}
