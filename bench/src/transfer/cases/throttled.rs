//! One large file over a line slower than the machine: how much of the line is used.

use std::time::Duration;

use crate::error::Error;
use crate::summary::{Better, Row};
use crate::transfer::lab::{GIB, Lab, MIB, each, size_name, weights};
use crate::transfer::line::Line;
use crate::transfer::peer::PayloadSigning;

/// Until each answer begins, the redirect's too.
const LATENCY: Duration = Duration::from_millis(30);
/// Names and bytes per second.
const LINES: [(&str, f64); 2] = [("100 MB/s", 100e6), ("400 Mbit/s", 50e6)];
/// These take long, and differ little.
const ROUNDS_MAX: u32 = 3;

/// Measures it.
///
/// # Errors
/// When one of the two fails.
pub async fn measure(lab: &mut Lab) -> Result<(), Error> {
    let size = if lab.quick { 64 * MIB } else { GIB };
    for (name, rate) in LINES {
        let line = || Line::new(Some(rate), LATENCY);
        let (mut ours, mut peer) = (Vec::new(), Vec::new());
        for _ in 0..lab.rounds.min(ROUNDS_MAX) {
            ours.push(lab.ours(&weights(size)?, line()).await?);
            peer.push(lab.peer(&weights(size)?, line(), PayloadSigning::Off).await?);
        }
        let share = |rounds: &[_]| each(rounds, |once| 100.0 * size as f64 / once.wall / rate);
        let cpu = |rounds: &[_]| each(rounds, |once| once.cpu * GIB as f64 / size as f64);
        let place = format!("{} at {name} with 30 ms latency", size_name(size));
        let used = Row::new(format!("{place}: line used"), "%", Better::Higher, &share(&ours), &share(&peer));
        let cost = format!("{place}: CPU seconds per GiB");
        lab.rows.push(used.within(95.0));
        lab.rows.push(Row::new(cost, "s/GiB", Better::Lower, &cpu(&ours), &cpu(&peer)));
    }
    Ok(())
}
