//! Killed at random points: nothing is lost but what was on its way.

use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use testkit::Answer;

use crate::error::Error;
use crate::screen::say;
use crate::summary::{Better, Row};
use crate::transfer::lab::{GIB, Lab, MIB, size_name, weights};
use crate::transfer::line::Line;
use crate::transfer::ours::{LAMBDA_MAX, Run};

/// A kill comes between at once and this long after the invocation began.
const LATEST_MS: u64 = 1000;

/// Measures it. The sink hashes what it is sent, so that each result is compared to the source byte for byte.
///
/// # Errors
/// When the function fails otherwise than by being killed, or a result is not what was sent.
pub async fn measure(lab: &mut Lab) -> Result<(), Error> {
    let (wanted, size) = if lab.quick { (5, GIB) } else { (50, 4 * GIB) };
    let mut random = ChaCha8Rng::seed_from_u64(50);
    let (mut again, mut verified, mut left_open) = (Vec::new(), 0_u32, 0);
    while again.len() < wanted {
        let model = weights(size)?;
        lab.sink.reset(true);
        lab.source.offer(&model, Line::unlimited());
        let run = Run::resolve(&lab.binary, &lab.source, &lab.sink, &model).await?;
        let mut function = run.function();
        for batch in run.batches() {
            let (mut done, mut was_killed) = (false, false);
            while !done {
                let before = lab.source.sent().again;
                let kill = again.len() + usize::from(was_killed) < wanted;
                let answer = if kill {
                    let after = Duration::from_millis(random.random_range(0..LATEST_MS));
                    function.invoke_and_kill(&batch, LAMBDA_MAX, after).await?
                } else {
                    function.invoke(&batch, LAMBDA_MAX).await?
                };
                // What one kill lost is what the invocation after it fetches again.
                if was_killed {
                    again.push((lab.source.sent().again - before) as f64 / MIB as f64);
                }
                (done, was_killed) = match answer {
                    Answer::Success(fetched) => (fetched["done"] == true, false),
                    Answer::Killed => (false, true),
                    other => return Err(Error::refused("FetchBatch", &other, &function)),
                };
            }
        }
        function.stop().await;
        lab.sink.verify(&model)?;
        verified += 1;
        left_open += lab.sink.open_uploads();
        say(&format!("  {} kills so far; {} is whole and as it was sent", again.len(), size_name(size)));
    }
    let kills = again.len() as f64;
    let (mean, most) = (again.iter().sum::<f64>() / kills, again.iter().copied().fold(0.0, f64::max));
    let left_open = f64::from(u32::try_from(left_open).unwrap_or(u32::MAX));
    let name = |figure: &str| format!("{kills} kills: {figure}");
    let row = |figure: &str, unit, value| Row::new(name(figure), unit, Better::Lower, &[value], &[]);
    lab.rows.extend([
        row("fetched again per kill, mean", "MiB", mean),
        row("fetched again per kill, most", "MiB", most),
        row("transfers that ended, each byte for byte as it was sent", "", f64::from(verified)),
        row("uploads left open by them", "", left_open),
    ]);
    Ok(())
}
