//! Counts of values between and at fixed points.

/// Buckets for each point: more of them make a search shorter, and the table larger than a core's own cache.
const BUCKETS_PER_POINT: usize = 2;
/// Points that a value is compared with at once. In a fuller bucket they are halved first.
const ABREAST: usize = 8;
/// One in so many points at either end does not stretch the buckets: a far value would leave most of them empty.
const END: usize = 200;

/// Points on the line of numbers, in order, each once: where [`Counts`] tell values apart.
///
/// A value is found by a table first, that says between which points its bucket lies, and then by comparing it with all of
/// these at once: no branch depends on the value, which is what makes a search slow.
#[derive(Clone, Debug)]
pub struct Grid {
    /// The points, and [`ABREAST`] times NaN, which no value reaches.
    points: Vec<f64>,
    /// The index of the first point in a bucket or after it; one entry more than there are buckets.
    starts: Vec<u32>,
    buckets: Buckets,
}

/// Which bucket a value is in: never one before that of a smaller value. That is all that a search relies on, so that rounding
/// cannot make it wrong.
#[derive(Clone, Copy, Debug)]
struct Buckets {
    /// By the order of magnitude instead of the value.
    logarithmic: bool,
    low: f64,
    scale: f64,
    last: f64,
}

impl Buckets {
    fn new(points: &[f64], logarithmic: bool) -> Self {
        let count = (points.len() * BUCKETS_PER_POINT).max(1);
        let place = |index: usize| {
            points.get(index).map_or(0.0, |&point| if logarithmic { magnitude(point) } else { point })
        };
        let cut = points.len() / END;
        let (low, high) = (place(cut), place(points.len().saturating_sub(1 + cut)));
        // The range may be nothing, or too wide for a number: then everything is in one bucket.
        let range = high - low;
        let scale = if range > 0.0 && range.is_finite() { (count as f64 / range).min(f64::MAX) } else { 0.0 };
        Self { logarithmic, low: if low.is_finite() { low } else { 0.0 }, scale, last: (count - 1) as f64 }
    }

    fn count(self) -> usize {
        self.last as usize + 1
    }

    /// Of a place: a value, or its [`magnitude`].
    fn of_place(self, place: f64) -> usize {
        // An infinite place times no scale is NaN, which is in bucket 0 as everything is then.
        ((place - self.low) * self.scale).clamp(0.0, self.last) as i64 as usize
    }

    fn of(self, value: f64) -> usize {
        self.of_place(if self.logarithmic { magnitude(value) } else { value })
    }

    fn starts(self, points: &[f64]) -> Vec<u32> {
        let mut starts = Vec::with_capacity(self.count() + 1);
        let mut next = 0;
        for bucket in 0..self.count() {
            while points.get(next).is_some_and(|&point| self.of(point) < bucket) {
                next += 1;
            }
            starts.push(next as u32);
        }
        starts.push(points.len() as u32);
        starts
    }
}

/// Grows with the value, by about the same for each doubling: the float's own bits, as a number.
fn magnitude(value: f64) -> f64 {
    // Zero has two signs and one place.
    let bits = (value + 0.0).to_bits() as i64;
    (bits ^ ((bits >> 63) as u64 >> 1) as i64) as f64
}

/// How many points are in buckets that are too full to be compared at once.
fn crowded(starts: &[u32]) -> usize {
    let sizes = starts.windows(2).map(|pair| (pair[1] - pair[0]) as usize);
    sizes.filter(|&size| size >= ABREAST).sum()
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
        let mut buckets = Buckets::new(&points, false);
        let mut starts = buckets.starts(&points);
        if crowded(&starts) > points.len() / 10 {
            let other = Buckets::new(&points, true);
            let others = other.starts(&points);
            if crowded(&others) < crowded(&starts) {
                (buckets, starts) = (other, others);
            }
        }
        points.extend([f64::NAN; ABREAST]);
        Self { points, starts, buckets }
    }

    /// The points.
    pub fn points(&self) -> &[f64] {
        &self.points[..self.points.len() - ABREAST]
    }

    /// Twice the number of points below the value, which is not NaN, and one more if it is at a point itself.
    fn cell(&self, value: f64, bucket: usize) -> usize {
        let (mut low, mut high) = (self.starts[bucket] as usize, self.starts[bucket + 1] as usize);
        // Fewer than are compared, since the one at the end may equal the value.
        while high - low >= ABREAST {
            let middle = low.midpoint(high);
            if self.points[middle] < value {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        // Points after the bucket are not below the value: counting them too does no harm.
        let abreast = &self.points[low..low + ABREAST];
        let passed: u64 =
            abreast.iter().map(|&point| u64::from(point < value) + u64::from(point <= value)).sum();
        2 * low + passed as usize
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
        Self { cells: vec![0; 2 * grid.points().len() + 1], total: 0, not_numbers: 0 }
    }

    /// Counts these values. NaN is counted apart and is no part of any statistic; infinities are values.
    pub fn add(&mut self, grid: &Grid, values: &[f64]) {
        if grid.buckets.logarithmic {
            self.add_by(grid, values, magnitude);
        } else {
            self.add_by(grid, values, |value| value);
        }
    }

    fn add_by(&mut self, grid: &Grid, values: &[f64], place: impl Fn(f64) -> f64) {
        let mut not_numbers = 0;
        for &value in values {
            if value.is_nan() {
                not_numbers += 1;
                continue;
            }
            self.cells[grid.cell(value, grid.buckets.of_place(place(value)))] += 1;
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

    fn assert_counted(points: &[f64], values: &[f64]) {
        let grid = Grid::new(points.iter().copied());
        let mut counts = Counts::new(&grid);
        counts.add(&grid, values);
        let count = |keep: &dyn Fn(f64) -> bool| values.iter().filter(|value| keep(**value)).count() as u64;
        assert_eq!(counts.not_numbers(), count(&f64::is_nan));
        assert_eq!(counts.total(), count(&|value| !value.is_nan()));
        for (&point, (below, not_above)) in grid.points().iter().zip(counts.cumulative()) {
            assert_eq!(below, count(&|value| value < point), "below {point}");
            assert_eq!(not_above, count(&|value| value <= point), "not above {point}");
        }
    }

    #[test]
    fn crowded_and_far_points_are_told_apart_too() {
        let crowd = (0..600).map(|i| 1.0 + f64::from(i) * 1e-12);
        let far = (-300..300).map(|i| 10_f64.powi(i));
        let negative = (-300..300).map(|i| -(10_f64.powi(i)));
        for points in [
            crowd.clone().chain([1e9]).collect::<Vec<f64>>(),
            far.clone().collect(),
            far.clone().chain(negative.clone()).chain([0.0]).collect(),
            crowd.chain(far).chain(negative).collect(),
            vec![3.0; 50],
            vec![f64::MIN, f64::MAX, f64::INFINITY, f64::NEG_INFINITY],
        ] {
            let values: Vec<f64> = points
                .iter()
                .flat_map(|point| [point.next_down(), *point, point.next_up(), -point])
                .collect();
            assert_counted(&points, &values);
        }
    }

    proptest! {
        #[test]
        fn values_are_counted_where_comparing_with_every_point_puts_them(
            points in prop::collection::vec(number(), 0..40),
            values in prop::collection::vec(number(), 0..80),
        ) {
            assert_counted(&points, &values);
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
