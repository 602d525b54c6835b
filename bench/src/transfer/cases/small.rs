//! Many small files: what each file costs beyond its bytes.

use std::time::Duration;

use crate::error::Error;
use crate::summary::{Better, Row};
use crate::transfer::lab::{Lab, each, texts};
use crate::transfer::line::Line;
use crate::transfer::peer::PayloadSigning;

const BYTES: usize = 8 << 10;
const LATENCY: Duration = Duration::from_millis(30);

/// Measures it.
///
/// # Errors
/// When one of the two fails.
pub async fn measure(lab: &mut Lab) -> Result<(), Error> {
    let count = if lab.quick { 100 } else { 500 };
    lab.check(&texts(count, BYTES)).await?;
    for (suffix, latency) in [("", Duration::ZERO), (" with 30 ms latency", LATENCY)] {
        let (mut ours, mut peer) = (Vec::new(), Vec::new());
        for _ in 0..lab.rounds {
            ours.push(lab.ours(&texts(count, BYTES), Line::new(None, latency)).await?);
            peer.push(lab.peer(&texts(count, BYTES), Line::new(None, latency), PayloadSigning::Off).await?);
        }
        let row = |figure: &str, unit, ours: Vec<f64>, peer: Vec<f64>| {
            let name = format!("{count} files of 8 KiB{suffix}: {figure}; peer: Python, 8 threads");
            Row::new(name, unit, Better::Lower, &ours, &peer)
        };
        let wall = row("wall", "s", each(&ours, |once| once.wall), each(&peer, |once| once.wall));
        lab.rows.push(if latency.is_zero() { wall.at_least(5.0) } else { wall });
        lab.rows.push(row("CPU", "s", each(&ours, |once| once.cpu), each(&peer, |once| once.cpu)));
    }
    Ok(())
}
