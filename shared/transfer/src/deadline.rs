//! When an invocation must begin to end.

use std::time::{Duration, Instant};

/// Two moments before Lambda ends the process: from the first nothing new is begun, at the second what is still
/// on its way is dropped, so that the last checkpoint can be written.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    pause: Instant,
    drop: Instant,
}

/// A part that was begun may take this long to end.
const RESERVE_MAX: Duration = Duration::from_secs(45);

impl Deadline {
    /// For an invocation that has this much time left.
    pub fn within(left: Duration) -> Self {
        let now = Instant::now();
        let reserve = (left / 5).min(RESERVE_MAX);
        Self { pause: now + (left - reserve), drop: now + (left - reserve / 3) }
    }

    /// Whether nothing new may be begun.
    pub fn is_near(&self) -> bool {
        Instant::now() >= self.pause
    }

    /// Whether a wait of this length would end after nothing new may be begun.
    pub(crate) fn forbids(&self, wait: Duration) -> bool {
        Instant::now() + wait >= self.pause
    }

    /// Returns when what is on its way is dropped.
    pub(crate) async fn reached(&self) {
        tokio::time::sleep_until(self.drop.into()).await;
    }
}
