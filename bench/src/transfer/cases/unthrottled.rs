//! One large file as fast as it goes: what the engine itself costs.

use crate::error::Error;
use crate::summary::{Better, Row};
use crate::transfer::lab::{GIB, Lab, MIB, each, size_name, weights};
use crate::transfer::line::Line;
use crate::transfer::peer::PayloadSigning;

/// Measures it.
///
/// # Errors
/// When one of the two fails.
pub async fn measure(lab: &mut Lab) -> Result<(), Error> {
    let size = if lab.quick { 256 * MIB } else { 2 * GIB };
    let gib = size as f64 / GIB as f64;
    lab.check(&weights(size)?).await?;
    let (mut ours, mut off, mut default) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..lab.rounds {
        ours.push(lab.ours(&weights(size)?, Line::unlimited()).await?);
        off.push(lab.peer(&weights(size)?, Line::unlimited(), PayloadSigning::Off).await?);
        ours.push(lab.ours(&weights(size)?, Line::unlimited()).await?);
        default.push(lab.peer(&weights(size)?, Line::unlimited(), PayloadSigning::Default).await?);
    }
    let name =
        |figure: &str, peer: &str| format!("{} unthrottled: {figure}; peer: Python, {peer}", size_name(size));
    let (signing_off, boto3_default) = ("payload signing off", "boto3's default");
    let wall = |peer: &[_]| (each(&ours, |once| once.wall), each(peer, |once| once.wall));
    let cpu = |peer: &[_]| (each(&ours, |once| once.cpu / gib), each(peer, |once| once.cpu / gib));
    let rss = |peer: &[_]| (each(&ours, |once| once.peak_rss_mib), each(peer, |once| once.peak_rss_mib));
    let row = |figure: &str, peer: &str, unit, (ours, peers): (Vec<f64>, Vec<f64>)| {
        Row::new(name(figure, peer), unit, Better::Lower, &ours, &peers)
    };
    let rows = [
        row("wall", signing_off, "s", wall(&off)).at_least(1.3),
        row("wall", boto3_default, "s", wall(&default)).at_least(1.8),
        // At most 0.65 of Python's.
        row("CPU seconds per GiB", signing_off, "s/GiB", cpu(&off)).at_least(1.0 / 0.65),
        row("CPU seconds per GiB", boto3_default, "s/GiB", cpu(&default)),
        row("peak RSS", signing_off, "MiB", rss(&off)).within(80.0),
    ];
    lab.cpu_per_gib = each(&ours, |once| once.cpu / gib);
    lab.rows.extend(rows);
    Ok(())
}
