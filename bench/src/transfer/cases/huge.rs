//! A file that no invocation can finish: as many invocations as it takes.

use std::time::{Duration, Instant};

use testkit::Answer;

use crate::error::Error;
use crate::screen::say;
use crate::summary::{Better, Row};
use crate::transfer::lab::{GIB, Lab, MIB, size_name, weights};
use crate::transfer::line::Line;
use crate::transfer::measured::Measured;
use crate::transfer::ours::Run;

/// Invocations in a row that may store nothing.
const IDLE_MAX: usize = 5;

/// Measures it. The sink hashes what it is sent, so the rate is lower than unthrottled.
///
/// # Errors
/// When the function refuses, or gets nowhere.
pub async fn measure(lab: &mut Lab) -> Result<(), Error> {
    let (size, limit) = if lab.quick { (4 * GIB, 3) } else { (64 * GIB, 20) };
    let limit = Duration::from_secs(limit);
    say("  computing the digest");
    let model = weights(size)?;
    lab.sink.reset(true);
    lab.source.offer(&model, Line::unlimited());
    let run = Run::resolve(&lab.binary, &lab.source, &lab.sink, &model).await?;
    let mut function = run.function();
    let (mut lengths, mut timed_out, mut idle) = (Vec::new(), 0_u32, 0);
    let start = Instant::now();
    for batch in run.batches() {
        let mut done = false;
        while !done {
            let (before, began) = (lab.sink.received(), Instant::now());
            done = match function.invoke(&batch, limit).await? {
                Answer::Success(fetched) => fetched["done"] == true,
                Answer::TimedOut => {
                    timed_out += 1;
                    false
                }
                other => return Err(Error::refused("FetchBatch", &other, &function)),
            };
            lengths.push(began.elapsed().as_secs_f64());
            let received = lab.sink.received();
            let (mib, seconds) = (received / MIB, began.elapsed().as_secs_f64());
            say(&format!("  invocation {}: {seconds:.1} s, {mib} MiB stored so far", lengths.len()));
            idle = if received > before || done { 0 } else { idle + 1 };
            if idle >= IDLE_MAX {
                return Err(Error::Stuck(idle));
            }
        }
    }
    let wall = start.elapsed();
    function.stop().await;
    lab.sink.verify(&model)?;
    let Measured { wall, cpu, peak_rss_mib } = Measured::new(wall, function.usage());
    let again = lab.source.sent().again as f64 / MIB as f64;
    let longest = lengths.iter().copied().fold(0.0, f64::max);
    let name = format!("{} in invocations of {} s", size_name(size), limit.as_secs());
    let row = |figure: &str, unit, value: f64| {
        Row::new(format!("{name}: {figure}"), unit, Better::Lower, &[value], &[])
    };
    lab.rows.extend([
        row("wall, the sink hashing too", "s", wall),
        row("invocations", "", lengths.len() as f64),
        row("longest invocation", "s", longest).within(limit.as_secs_f64()),
        row("invocations killed by their limit", "", f64::from(timed_out)).within(0.0),
        row("fetched again", "MiB", again),
        row("CPU seconds per GiB", "s/GiB", cpu * GIB as f64 / size as f64),
        row("peak RSS", "MiB", peak_rss_mib).within(80.0),
    ]);
    Ok(())
}
