//! The two-sample Kolmogorov-Smirnov test: the largest distance `D` between two samples' distribution functions, and how
//! probable one as large is if both came from one distribution.
//!
//! Statistic and probability are those of `scipy.stats.ks_2samp` (two-sided) with `method="auto"`: exact while neither sample
//! has more than [`EXACT`] values, asymptotic beyond. NaN is no part of a sample: [`Counts`] keeps it apart, and
//! [`of_sorted`] must not be given any. Infinities are values like others.
//!
//! A distribution function of the current values need not be known between the points of the baseline's sample: there the
//! baseline's is flat and the current one only rises, so that the distance is largest at the ends. Counts at and between
//! these points are therefore enough for `D` to be exact, and the current values need neither be kept nor sorted.

mod asymptotic;
mod exact;
mod smirnov;

use crate::{Counts, Grid};

/// The most values of a sample for which the probability is exact.
pub const EXACT: u64 = 10_000;

/// What the test says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ks {
    /// The largest distance of the distribution functions, from 0 to 1.
    pub d: f64,
    /// The probability of a distance as large if nothing changed, from 0 to 1.
    pub p: f64,
}

/// How to compute the probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Exact while neither sample has more than [`EXACT`] values.
    Auto,
    /// By the one-sample distribution at the samples' effective size.
    Asymptotic,
}

/// Compares two sorted samples without NaN; absent when either is empty.
///
/// # Panics
/// In a debug build, when a sample is not sorted.
pub fn of_sorted(one: &[f64], other: &[f64], method: Method) -> Option<Ks> {
    debug_assert!(one.is_sorted() && other.is_sorted(), "the samples are sorted");
    let mut distance = Distance::new(one.len() as u64, other.len() as u64)?;
    let (mut i, mut j) = (0, 0);
    while i < one.len() && j < other.len() {
        let value = one[i].min(other[j]);
        while one.get(i).is_some_and(|&next| next == value) {
            i += 1;
        }
        while other.get(j).is_some_and(|&next| next == value) {
            j += 1;
        }
        distance.see(i as u64, j as u64);
    }
    Some(distance.judge(method))
}

/// Compares a sorted sample with counts over a grid that has every value of the sample among its points; absent when
/// either is empty.
///
/// # Panics
/// In a debug build, when a value of the sample is no point of the grid.
pub fn of_counts(sorted: &[f64], grid: &Grid, counts: &Counts, method: Method) -> Option<Ks> {
    let mut distance = Distance::new(sorted.len() as u64, counts.total())?;
    let mut i = 0;
    for (&point, (below, not_above)) in grid.points().iter().zip(counts.cumulative()) {
        distance.see(i as u64, below);
        while sorted.get(i).is_some_and(|&value| value == point) {
            i += 1;
        }
        distance.see(i as u64, not_above);
    }
    debug_assert_eq!(i, sorted.len(), "the sample's values are points of the grid");
    Some(distance.judge(method))
}

/// The largest distance so far.
struct Distance {
    sizes: (u64, u64),
    largest: f64,
}

impl Distance {
    fn new(one: u64, other: u64) -> Option<Self> {
        (one > 0 && other > 0).then_some(Self { sizes: (one, other), largest: 0.0 })
    }

    /// At some place this many of the samples are not above it.
    fn see(&mut self, one: u64, other: u64) {
        let distance = (one as f64 / self.sizes.0 as f64 - other as f64 / self.sizes.1 as f64).abs();
        self.largest = self.largest.max(distance);
    }

    fn judge(&self, method: Method) -> Ks {
        let (one, other) = self.sizes;
        if method == Method::Auto && one.max(other) <= EXACT {
            return exact::judge(one, other, self.largest);
        }
        Ks { d: self.largest, p: asymptotic::probability(one, other, self.largest) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Values of `scipy.stats.ks_2samp` 1.17.1.
    #[test]
    fn the_figures_are_scipys() {
        let ramp = |n: u32, shift: f64| -> Vec<f64> { (0..n).map(|i| f64::from(i) + shift).collect() };
        let cases: [(Vec<f64>, Vec<f64>, f64, f64); 3] = [
            (ramp(10, 0.0), ramp(10, 3.5), 0.4, 0.417_523_652_817_770_43),
            (ramp(30, 0.0), ramp(47, 3.5), 0.446_808_510_638_297_85, 0.000_778_822_687_601_538_3),
            (ramp(20_000, 0.0), ramp(300, 100.5), 0.98, 0.0),
        ];
        for (one, other, d, p) in cases {
            let ks = of_sorted(&one, &other, Method::Auto).unwrap();
            assert!((ks.d - d).abs() < 1e-12 && (ks.p - p).abs() < 1e-12, "{ks:?}, not {d} {p}");
        }
    }

    #[test]
    fn an_empty_sample_says_nothing() {
        assert_eq!(of_sorted(&[], &[1.0], Method::Auto), None);
        let grid = Grid::new([1.0]);
        assert_eq!(of_counts(&[1.0], &grid, &Counts::new(&grid), Method::Auto), None);
    }

    #[test]
    fn the_same_sample_twice_is_no_drift_and_disjoint_samples_are_all_of_it() {
        let one: Vec<f64> = (0..500).map(f64::from).collect();
        let other: Vec<f64> = (500..900).map(f64::from).collect();
        let same = of_sorted(&one, &one, Method::Auto).unwrap();
        assert_eq!((same.d, same.p), (0.0, 1.0));
        let apart = of_sorted(&one, &other, Method::Auto).unwrap();
        assert!(apart.d == 1.0 && apart.p < 1e-100, "{apart:?}");
    }

    fn sample() -> impl Strategy<Value = Vec<f64>> {
        let value = prop_oneof![
            -3.0..3.0_f64,
            (-3..3_i32).prop_map(f64::from),
            prop::sample::select(vec![f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0]),
        ];
        prop::collection::vec(value, 1..120).prop_map(|mut values| {
            values.sort_unstable_by(f64::total_cmp);
            values
        })
    }

    proptest! {
        #[test]
        fn counts_at_the_baselines_points_give_what_sorting_both_gives(one in sample(), other in sample(), extra in sample()) {
            let grid = Grid::new(one.iter().chain(&extra).copied());
            let mut counts = Counts::new(&grid);
            counts.add(&grid, &other);
            for method in [Method::Auto, Method::Asymptotic] {
                prop_assert_eq!(of_counts(&one, &grid, &counts, method), of_sorted(&one, &other, method));
            }
        }

        #[test]
        fn the_test_has_no_direction(one in sample(), other in sample()) {
            for method in [Method::Auto, Method::Asymptotic] {
                let there = of_sorted(&one, &other, method).unwrap();
                let back = of_sorted(&other, &one, method).unwrap();
                prop_assert!((there.p - back.p).abs() < 1e-12 && there.d == back.d);
                prop_assert!((0.0..=1.0).contains(&there.p) && (0.0..=1.0).contains(&there.d));
            }
        }
    }
}
