//! A network line: a rate that all connections share, and a time until the first byte of each answer.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes that are sent at once on a line with a rate.
pub const PIECE: u64 = 64 << 10;
/// How far behind its rate a line may fall and still catch up: sleeping overshoots by less.
const SLACK: Duration = Duration::from_millis(20);

/// The line.
#[derive(Debug)]
pub struct Line {
    /// Bytes per second, if it is limited.
    pub rate: Option<f64>,
    /// Before each answer.
    pub latency: Duration,
    free_at: Mutex<Instant>,
}

impl Line {
    /// A line without limits.
    pub fn unlimited() -> Self {
        Self::new(None, Duration::ZERO)
    }

    /// A line.
    pub fn new(rate: Option<f64>, latency: Duration) -> Self {
        Self { rate, latency, free_at: Mutex::new(Instant::now()) }
    }

    /// Waits for an answer's first byte.
    pub fn wait(&self) {
        if !self.latency.is_zero() {
            std::thread::sleep(self.latency);
        }
    }

    /// Waits until this many more bytes may go.
    pub fn pace(&self, bytes: u64) {
        let Some(rate) = self.rate else { return };
        let now = Instant::now();
        let start = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let start = (*free_at).max(now.checked_sub(SLACK).unwrap_or(now));
            *free_at = start + Duration::from_secs_f64(bytes as f64 / rate);
            start
        };
        if start > now {
            std::thread::sleep(start - now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_share_the_rate() {
        let line = Line::new(Some(100e6), Duration::ZERO);
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..64).for_each(|_| line.pace(PIECE)));
            }
        });
        let rate = (4 * 64 * PIECE) as f64 / start.elapsed().as_secs_f64();
        assert!(rate < 125e6, "{rate}");
    }
}
