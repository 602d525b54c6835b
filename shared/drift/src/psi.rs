//! The population stability index: how much the shares of a feature's bins changed.
//!
//! `PSI = sum over bins of (a - e) ln(a / e)`, where `e` is the baseline's share of the bin and `a` the current one: the
//! sum of both directions' Kullback-Leibler divergences (Jeffreys' divergence; as an index of stability in N. Siddiqi,
//! *Credit Risk Scorecards*, 2006). A bin that is empty on one side would divide by zero, so that shares are smoothed
//! first: `(share + ε) / (1 + ε · bins)` with [`EPSILON`], after which they still sum to 1.

use crate::{Counts, Grid};

/// What is added to each share before shares are compared: one value in ten thousand.
pub const EPSILON: f64 = 1e-4;

/// The index of two lists of counts over the same bins. 0 when either side has no values: nothing can be said then.
///
/// # Panics
/// When the lists differ in length.
pub fn of_counts(baseline: &[u64], current: &[u64]) -> f64 {
    assert_eq!(baseline.len(), current.len(), "counts of different bins");
    let (expected, actual): (u64, u64) = (baseline.iter().sum(), current.iter().sum());
    if expected == 0 || actual == 0 {
        return 0.0;
    }
    let whole = 1.0 + EPSILON * baseline.len() as f64;
    let smooth = |count: u64, total: u64| (count as f64 / total as f64 + EPSILON) / whole;
    baseline
        .iter()
        .zip(current)
        .map(|(&before, &now)| {
            let (before, now) = (smooth(before, expected), smooth(now, actual));
            (now - before) * (now / before).ln()
        })
        .sum()
}

/// The upper edges of at most `bins` bins that share a sorted sample evenly, but the last bin's, which is open.
///
/// Bin `k` holds what is above edge `k - 1` and not above edge `k`; the first and the last are open, so that every value
/// has a bin. An edge is a value of the sample (the smallest that has `k / bins` of the sample at or below it: the
/// inverted distribution function), never an interpolated one; ties make fewer bins. Where the smallest value alone
/// fills the first bin, a bin below it is put before, or what falls below a constant would not be seen.
///
/// # Panics
/// In a debug build, when the sample is not sorted.
pub fn quantile_edges(sorted: &[f64], bins: usize) -> Vec<f64> {
    debug_assert!(sorted.is_sorted(), "the sample is sorted");
    let Some(&smallest) = sorted.first() else { return Vec::new() };
    let mut edges: Vec<f64> = (1..bins.max(1))
        .map(|k| {
            let rank = (sorted.len() as u128 * k as u128).div_ceil(bins as u128) as usize;
            sorted[rank.saturating_sub(1)]
        })
        .collect();
    edges.dedup();
    let below = smallest.next_down();
    if edges.first() == Some(&smallest) && below.is_finite() {
        edges.insert(0, below);
    }
    edges
}

/// Counts by bin from counts over a grid that has the edges among its points.
pub fn bin_counts(edges: &[f64], grid: &Grid, counts: &Counts) -> Vec<u64> {
    let mut bins = Vec::with_capacity(edges.len() + 1);
    let (mut next, mut before) = (edges.iter().peekable(), 0);
    for (&point, (_, not_above)) in grid.points().iter().zip(counts.cumulative()) {
        if next.next_if(|edge| **edge <= point).is_some() {
            bins.push(not_above - before);
            before = not_above;
        }
    }
    bins.push(counts.total() - before);
    bins
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    fn binned(edges: &[f64], values: &[f64]) -> Vec<u64> {
        let grid = Grid::new(edges.iter().copied());
        let mut counts = Counts::new(&grid);
        counts.add(&grid, values);
        bin_counts(edges, &grid, &counts)
    }

    #[test]
    fn an_index_worked_out_by_hand() {
        // Shares 0.5, 0.5 and 0.9, 0.1, smoothed; the epsilon shows in the fourth digit.
        let smooth = |share: f64| (share + 1e-4) / 1.0002;
        let expected = (smooth(0.9) - smooth(0.5)) * (smooth(0.9) / smooth(0.5)).ln()
            + (smooth(0.1) - smooth(0.5)) * (smooth(0.1) / smooth(0.5)).ln();
        assert!((of_counts(&[50, 50], &[90, 10]) - expected).abs() < 1e-15);
        assert!((expected - 0.878).abs() < 1e-3);
    }

    #[test]
    fn an_empty_bin_gives_a_finite_index() {
        let psi = of_counts(&[100, 0], &[0, 100]);
        assert!(psi.is_finite() && psi > 10.0, "{psi}");
        assert_eq!(of_counts(&[0, 0], &[1, 2]), 0.0);
    }

    #[test]
    fn values_outside_the_baselines_range_land_in_the_end_bins() {
        let sample: Vec<f64> = (0..100).map(f64::from).collect();
        let edges = quantile_edges(&sample, 10);
        assert_eq!(edges, [9.0, 19.0, 29.0, 39.0, 49.0, 59.0, 69.0, 79.0, 89.0]);
        let bins = binned(&edges, &[-1e9, f64::NEG_INFINITY, 1e9, f64::INFINITY, f64::INFINITY]);
        assert_eq!(bins, [2, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
    }

    #[test]
    fn a_constant_that_moves_is_seen_in_both_directions() {
        let edges = quantile_edges(&[7.0; 50], 10);
        let before = binned(&edges, &[7.0; 50]);
        assert_eq!(of_counts(&before, &binned(&edges, &[7.0; 90])), 0.0);
        for moved in [6.999, 7.001] {
            assert!(of_counts(&before, &binned(&edges, &[moved; 50])) > 5.0, "{moved}");
        }
    }

    #[test]
    fn ties_make_fewer_bins_and_lose_no_value() {
        let sample = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 2.0, 3.0];
        let edges = quantile_edges(&sample, 10);
        assert_eq!(edges, [(0.0_f64).next_down(), 0.0, 1.0, 2.0]);
        assert_eq!(binned(&edges, &sample), [0, 6, 1, 2, 1]);
    }

    proptest! {
        #[test]
        fn no_value_is_lost_and_identical_counts_do_not_drift(
            mut sample in prop::collection::vec(-100..100_i32, 1..200),
            bins in 1..20_usize,
        ) {
            sample.sort_unstable();
            let sample: Vec<f64> = sample.into_iter().map(f64::from).collect();
            let edges = quantile_edges(&sample, bins);
            prop_assert!(edges.len() <= bins);
            let counts = binned(&edges, &sample);
            prop_assert_eq!(counts.len(), edges.len() + 1);
            prop_assert_eq!(counts.iter().sum::<u64>(), sample.len() as u64);
            prop_assert_eq!(of_counts(&counts, &counts), 0.0);
        }

        #[test]
        fn the_index_is_never_negative_and_has_no_direction(
            pairs in prop::collection::vec((0..50_u64, 0..50_u64), 1..20),
        ) {
            let (before, now): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            let psi = of_counts(&before, &now);
            prop_assert!(psi >= 0.0 && psi.is_finite());
            prop_assert!((psi - of_counts(&now, &before)).abs() < 1e-12);
        }
    }
}
