//! Whether memory grows with the file.

use crate::error::Error;
use crate::summary::{Better, Row};
use crate::transfer::lab::{GIB, Lab, MIB, size_name, weights};
use crate::transfer::line::Line;
use crate::transfer::peer::PayloadSigning;

/// Measures it.
///
/// # Errors
/// When one of the two fails.
pub async fn measure(lab: &mut Lab) -> Result<(), Error> {
    let sizes = if lab.quick { [256 * MIB, GIB] } else { [2 * GIB, 8 * GIB] };
    let mut peaks = Vec::new();
    for size in sizes {
        let ours = lab.ours(&weights(size)?, Line::unlimited()).await?.peak_rss_mib;
        let peer = lab.peer(&weights(size)?, Line::unlimited(), PayloadSigning::Off).await?.peak_rss_mib;
        let name = format!("{}: peak RSS", size_name(size));
        lab.rows.push(Row::new(name, "MiB", Better::Lower, &[ours], &[peer]).within(80.0));
        peaks.push((ours, peer));
    }
    if let [(ours, peer), (ours_later, peer_later)] = peaks[..] {
        let name = format!("peak RSS: growth from {} to {}", size_name(sizes[0]), size_name(sizes[1]));
        let growth = Row::new(name, "MiB", Better::Lower, &[ours_later - ours], &[peer_later - peer]);
        // Of two differences near nothing, none is "times better".
        lab.rows.push(Row { ratio: None, ..growth });
    }
    Ok(())
}
