//! Counts of values between and at fixed points.

/// The most buckets for each point: more make a search shorter and the table larger than a core's own cache.
const BUCKETS_PER_POINT: usize = 4;

/// Points on the line of numbers, in order, each once: where [`Counts`] tell values apart.
///
/// A value is found by a table first, that says between which points its bucket of the range lies, and then by
/// halving what is left.
#[derive(Clone, Debug)]
pub struct Grid {
    points: Vec<f64>,
    /// The index of the first point in a bucket or after it; one entry more than there are buckets.
    starts: Vec<u32>,
    low: f64,
    scale: f64,
}

impl Grid {
    /// A grid of these points, in any order and with repetitions; NaN is left out.
    ///
    /// # Panics
    /// When there are more than `u32::MAX` points.
    pub fn new(points: impl IntoIterator<Item = f64>) -> Self {
        let mut points: Vec<f64> = points.into_iter().filter(|point| !point.is_nan()).collect();
        points.sort_unstable_by(f64::total_cmp);
        points.dedup();
        assert!(u32::try_from(points.len()).is_ok(), "a grid has at most 2^32 - 1 points");
        let buckets = (points.len() * BUCKETS_PER_POINT).max(1);
        let mut finite = points.iter().copied().filter(|point| point.is_finite());
        let low = finite.next().unwrap_or(0.0);
        let high = finite.next_back().unwrap_or(low);
        // The range may be too wide for a number: then everything is in one bucket.
        let scale = (buckets as f64 / (high - low)).min(f64::MAX);
        let scale = if (high - low).is_finite() && high > low { scale } else { 0.0 };
        let mut grid = Self { points, starts: vec![0; buckets + 1], low, scale };
        let mut next = 0;
        for bucket in 0..buckets {
            while grid.points.get(next).is_some_and(|&point| grid.bucket(point) < bucket) {
                next += 1;
            }
            grid.starts[bucket] = next as u32;
        }
        grid.starts[buckets] = grid.points.len() as u32;
        grid
    }

    /// The points.
    pub fn points(&self) -> &[f64] {
        &self.points
    }

    /// Never falls as the value grows, which is all that a search relies on: rounding cannot make it wrong.
    fn bucket(&self, value: f64) -> usize {
        // An infinite value times zero is NaN, which becomes 0; then there is one bucket in use.
        let bucket = ((value - self.low) * self.scale) as usize;
        bucket.min(self.starts.len() - 2)
    }

    /// How many points are below the value, which is not NaN.
    fn below(&self, value: f64) -> usize {
        let bucket = self.bucket(value);
        let (mut low, mut high) = (self.starts[bucket] as usize, self.starts[bucket + 1] as usize);
        while low < high {
            let middle = low.midpoint(high);
            if self.points[middle] < value {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// How many values lie at each point of a [`Grid`], and between each two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// At `2i` those between point `i - 1` and point `i`, at `2i + 1` those at point `i`.
    cells: Vec<u64>,
    total: u64,
    not_numbers: u64,
}

impl Counts {
    /// None yet.
    pub fn new(grid: &Grid) -> Self {
        Self { cells: vec![0; 2 * grid.points.len() + 1], total: 0, not_numbers: 0 }
    }

    /// Counts these values. NaN is counted apart and is no part of any statistic; infinities are values.
    pub fn add(&mut self, grid: &Grid, values: &[f64]) {
        let mut not_numbers = 0;
        for &value in values {
            if value.is_nan() {
                not_numbers += 1;
                continue;
            }
            let below = grid.below(value);
            let at = grid.points.get(below).is_some_and(|&point| point == value);
            self.cells[2 * below + usize::from(at)] += 1;
        }
        self.not_numbers += not_numbers;
        self.total += values.len() as u64 - not_numbers;
    }

    /// Adds what was counted elsewhere over the same grid.
    ///
    /// # Panics
    /// When it was another grid.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.cells.len(), other.cells.len(), "counts of different grids");
        for (own, other) in self.cells.iter_mut().zip(&other.cells) {
            *own += other;
        }
        self.total += other.total;
        self.not_numbers += other.not_numbers;
    }

    /// How many values were counted, without NaN.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many were NaN.
    pub fn not_numbers(&self) -> u64 {
        self.not_numbers
    }

    /// For each point: how many values are below it, and how many are not above it.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut sum = 0;
        self.cells.chunks_exact(2).map(move |pair| {
            let below = sum + pair[0];
            sum = below + pair[1];
            (below, sum)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => -10.0..10.0_f64,
            4 => (-5..5_i32).prop_map(f64::from),
            1 => any::<f64>(),
            1 => prop::sample::select(vec![f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -0.0, 0.0, f64::MAX, f64::MIN, 5e-324]),
        ]
    }

    proptest! {
        #[test]
        fn values_are_counted_where_comparing_with_every_point_puts_them(
            points in prop::collection::vec(number(), 0..40),
            values in prop::collection::vec(number(), 0..80),
        ) {
            let grid = Grid::new(points);
            let mut counts = Counts::new(&grid);
            counts.add(&grid, &values);
            let count = |keep: &dyn Fn(f64) -> bool| values.iter().filter(|value| keep(**value)).count() as u64;
            prop_assert_eq!(counts.not_numbers(), count(&f64::is_nan));
            prop_assert_eq!(counts.total(), count(&|value| !value.is_nan()));
            for (&point, (below, not_above)) in grid.points().iter().zip(counts.cumulative()) {
                prop_assert_eq!(below, count(&|value| value < point));
                prop_assert_eq!(not_above, count(&|value| value <= point));
            }
        }

        #[test]
        fn counting_in_two_parts_changes_nothing(
            points in prop::collection::vec(number(), 0..20),
            first in prop::collection::vec(number(), 0..20),
            second in prop::collection::vec(number(), 0..20),
        ) {
            let grid = Grid::new(points);
            let mut whole = Counts::new(&grid);
            whole.add(&grid, &[first.clone(), second.clone()].concat());
            let (mut one, mut other) = (Counts::new(&grid), Counts::new(&grid));
            one.add(&grid, &first);
            other.add(&grid, &second);
            one.merge(&other);
            prop_assert_eq!(one, whole);
        }
    }
}
