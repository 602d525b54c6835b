//! Counts of values between and at fixed points.

/// Buckets for each point: with more of them fewer hold many points, and the table outgrows the core's own cache.
const BUCKETS_PER_POINT: usize = 2;
/// Points that a bucket has beside it, to be compared with at once. In a fuller one they are looked for by halving.
const ABREAST: usize = 2;
/// Values whose buckets are computed before any of them is looked up.
const BLOCK: usize = 64;
/// One in so many points at either end does not stretch the buckets: a far value would leave most of them empty.
const END: usize = 200;

/// Points on the line of numbers, in order, each once: where [`Counts`] tell values apart.
///
/// A value is found by its bucket, and then by comparing it with all of the bucket's points at once: hardly ever does a
/// branch depend on the value, which is what makes a search slow.
#[derive(Clone, Debug)]
pub struct Grid {
    points: Vec<f64>,
    buckets: Buckets,
    slots: Vec<Slot>,
}

/// A bucket's points.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Those that are compared with at once; NaN, which nothing reaches, where there are fewer.
    abreast: [f64; ABREAST],
    /// The index of the first.
    first: u32,
    /// How many there are, if more than that.
    crowd: u32,
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
        let scale = if range > 0.0 && range.is_finite() {
            (count as f64 / range).clamp(f64::MIN_POSITIVE, f64::MAX)
        } else {
            f64::MIN_POSITIVE
        };
        Self { logarithmic, low: if low.is_finite() { low } else { 0.0 }, scale, last: (count - 1) as f64 }
    }

    fn count(self) -> usize {
        self.last as usize + 1
    }

    /// Of a place: a value, or its [`magnitude`].
    fn of_place(self, place: f64) -> usize {
        let bucket = ((place - self.low) * self.scale).clamp(0.0, self.last);
        // Added to 2^52 a number is rounded to a whole one, which its lowest bits then are: cheaper than a conversion.
        (bucket + (1_u64 << 52) as f64).to_bits() as u32 as usize
    }

    fn of(self, value: f64) -> usize {
        self.of_place(if self.logarithmic { magnitude(value) } else { value })
    }

    fn slots(self, points: &[f64]) -> Vec<Slot> {
        let mut slots = Vec::with_capacity(self.count());
        let mut rest = points;
        for bucket in 0..self.count() {
            let length = rest.iter().take_while(|&&point| self.of(point) == bucket).count();
            let first = (points.len() - rest.len()) as u32;
            let mut slot = Slot { abreast: [f64::NAN; ABREAST], first, crowd: 0 };
            if length > ABREAST {
                slot.crowd = length as u32;
            } else {
                slot.abreast[..length].copy_from_slice(&rest[..length]);
            }
            slots.push(slot);
            rest = &rest[length..];
        }
        slots
    }
}

/// Grows with the value, by about the same for each doubling: the float's own bits, as a number.
fn magnitude(value: f64) -> f64 {
    // Zero has two signs and one place.
    let bits = (value + 0.0).to_bits() as i64;
    (bits ^ ((bits >> 63) as u64 >> 1) as i64) as f64
}

/// How many points are in buckets that are too full to be compared at once.
fn crowded(slots: &[Slot]) -> usize {
    slots.iter().map(|slot| slot.crowd as usize).sum()
}

impl Grid {
    /// A grid of these points, in any order and with repetitions; NaN is left out.
    ///
    /// # Panics
    /// When there are more than `u32::MAX` points.
    pub fn new(points: impl IntoIterator<Item = f64>) -> Self {
        let mut points: Vec<f64> = points.into_iter().filter(|point| !point.is_nan()).collect();
        // The stable sort is the faster one here: it merges what comes sorted, as a sample and its edges do.
        points.sort_by(f64::total_cmp);
        points.dedup();
        assert!(u32::try_from(points.len()).is_ok(), "a grid has at most 2^32 - 1 points");
        let mut buckets = Buckets::new(&points, false);
        let mut slots = buckets.slots(&points);
        if crowded(&slots) > points.len() / 4 {
            let other = Buckets::new(&points, true);
            let others = other.slots(&points);
            if crowded(&others) < crowded(&slots) {
                (buckets, slots) = (other, others);
            }
        }
        Self { points, buckets, slots }
    }

    /// The points.
    pub fn points(&self) -> &[f64] {
        &self.points
    }

    /// Twice the number of points below the value, which is not NaN, and one more if it is at a point itself.
    fn cell(&self, value: f64, bucket: usize) -> usize {
        let slot = &self.slots[bucket];
        if slot.crowd > 0 {
            return self.cell_in_crowd(value, slot);
        }
        let passed: usize =
            slot.abreast.iter().map(|&point| usize::from(point < value) + usize::from(point <= value)).sum();
        2 * slot.first as usize + passed
    }

    #[inline(never)]
    fn cell_in_crowd(&self, value: f64, slot: &Slot) -> usize {
        let first = slot.first as usize;
        let crowd = &self.points[first..first + slot.crowd as usize];
        let below = crowd.partition_point(|&point| point < value);
        2 * (first + below) + usize::from(crowd.get(below).is_some_and(|&point| point == value))
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
        if grid.buckets.logarithmic {
            self.add_by(grid, values, magnitude);
        } else {
            self.add_by(grid, values, |value| value);
        }
    }

    fn add_by(&mut self, grid: &Grid, values: &[f64], place: impl Fn(f64) -> f64) {
        let mut not_numbers = 0;
        for block in values.chunks(BLOCK) {
            // All buckets first: without a look at the table between them, they are computed several at once.
            let mut buckets = [0_u32; BLOCK];
            for (bucket, &value) in buckets.iter_mut().zip(block) {
                *bucket = grid.buckets.of_place(place(value)) as u32;
            }
            for (&bucket, &value) in buckets.iter().zip(block) {
                if value.is_nan() {
                    not_numbers += 1;
                    continue;
                }
                self.cells[grid.cell(value, bucket as usize)] += 1;
            }
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
