//! What one transfer took.

use std::time::Duration;

use testkit::Usage;

/// Seconds, processor seconds and bytes of memory.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// From the order to the answer.
    pub wall: f64,
    /// Of all threads, user's and system's.
    pub cpu: f64,
    /// The most memory resident at once, in MiB.
    pub peak_rss_mib: f64,
}

impl Measured {
    /// From what was measured.
    pub fn new(wall: Duration, usage: Usage) -> Self {
        let peak_rss_mib = usage.peak_rss_bytes as f64 / f64::from(1 << 20);
        Self { wall: wall.as_secs_f64(), cpu: usage.cpu.as_secs_f64(), peak_rss_mib }
    }
}
