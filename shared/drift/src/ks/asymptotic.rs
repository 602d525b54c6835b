//! The probability of a distance by the one-sample distribution at the effective size.
//!
//! Which formula holds where is from R. Simard and P. L'Ecuyer, *Computing the two-sided Kolmogorov-Smirnov
//! distribution*, Journal of Statistical Software 39(11), 2011.

use std::f64::consts::PI;

use super::smirnov;

/// `P(D >= d)` for two samples of these sizes: that of one sample of `mn / (m + n)` values, rounded.
pub(super) fn probability(one: u64, other: u64, d: f64) -> f64 {
    let (one, other) = (one as f64, other as f64);
    // To even at a half, as numpy rounds.
    let size = (one.max(other) * one.min(other) / (one + other)).round_ties_even() as u64;
    exceeding(size, d).clamp(0.0, 1.0)
}

/// `P(D_n >= d)` for one sample of n values and the true distribution.
fn exceeding(n: u64, d: f64) -> f64 {
    let size = n as f64;
    let steps = size * d;
    if n > 0 && d >= 1.0 {
        return 0.0;
    }
    // Two samples of one value each have an effective size of one half, which rounds to none and proves nothing.
    if steps <= 0.5 {
        return 1.0;
    }
    if steps <= 1.0 {
        // n! (2d - 1/n)^n.
        return 1.0 - (1..=n).map(|k| k as f64 / size * (2.0 * steps - 1.0)).product::<f64>();
    }
    if steps >= size - 1.0 {
        return 2.0 * (1.0 - d).powf(size);
    }
    if d >= 0.5 {
        return 2.0 * smirnov::probability(n, d);
    }
    let square = steps * d;
    if n <= 140 {
        return if square <= 4.0 { 1.0 - durbin(n, d) } else { 2.0 * smirnov::probability(n, d) };
    }
    if square >= 370.0 {
        return 0.0;
    }
    if square >= 2.2 {
        return 2.0 * smirnov::probability(n, d);
    }
    let approximate = pelz_good(size, d);
    // Durbin's matrices are exact and large; where nothing but the first eleven digits' zeros come out they are spared.
    if n <= 100_000 && size * d.powf(1.5) <= 1.4 && approximate > 1e-11 {
        return 1.0 - durbin(n, d);
    }
    1.0 - approximate
}

/// `P(D_n < d)` exactly, by the power of a matrix (J. Durbin, 1973; G. Marsaglia, W. W. Tsang and J. Wang, *Evaluating
/// Kolmogorov's distribution*, Journal of Statistical Software 8(18), 2003).
fn durbin(n: u64, d: f64) -> f64 {
    let size = n as f64;
    let k = (size * d).ceil() as usize;
    let h = k as f64 - size * d;
    let m = 2 * k - 1;
    let mut matrix = Matrix::of(m, |row, column| if row + 1 >= column { 1.0 } else { 0.0 });
    for i in 0..m {
        let power = h.powi(i as i32 + 1);
        *matrix.at(i, 0) -= power;
        *matrix.at(m - 1, m - 1 - i) -= power;
    }
    if 2.0 * h > 1.0 {
        *matrix.at(m - 1, 0) += (2.0 * h - 1.0).powi(m as i32);
    }
    for row in 0..m {
        for column in 0..m {
            for factor in 2..=(row + 1).saturating_sub(column) {
                *matrix.at(row, column) /= factor as f64;
            }
        }
    }
    let power = matrix.power(n);
    let (mut value, mut exponent) = (power.cells[(k - 1) * m + k - 1], power.exponent);
    for i in 1..=n {
        value *= i as f64 / size;
        if value < 1e-140 {
            value *= 1e140;
            exponent -= 140;
        }
    }
    value * 10_f64.powi(exponent)
}

/// A square matrix of non-negative numbers, times a power of ten.
struct Matrix {
    width: usize,
    cells: Vec<f64>,
    exponent: i32,
}

impl Matrix {
    fn of(width: usize, cell: impl Fn(usize, usize) -> f64) -> Self {
        let cells = (0..width * width).map(|index| cell(index / width, index % width)).collect();
        Self { width, cells, exponent: 0 }
    }

    fn at(&mut self, row: usize, column: usize) -> &mut f64 {
        &mut self.cells[row * self.width + column]
    }

    fn times(&self, other: &Self) -> Self {
        let width = self.width;
        let mut cells = vec![0.0; width * width];
        for (row, result) in self.cells.chunks_exact(width).zip(cells.chunks_exact_mut(width)) {
            for (factor, line) in row.iter().zip(other.cells.chunks_exact(width)) {
                for (sum, cell) in result.iter_mut().zip(line) {
                    *sum += factor * cell;
                }
            }
        }
        let mut product = Self { width, cells, exponent: self.exponent + other.exponent };
        if product.cells[(width / 2) * width + width / 2] > 1e140 {
            product.cells.iter_mut().for_each(|cell| *cell *= 1e-140);
            product.exponent += 140;
        }
        product
    }

    fn power(self, mut n: u64) -> Self {
        let mut result = Self::of(self.width, |row, column| f64::from(row == column));
        let mut square = self;
        loop {
            if n % 2 == 1 {
                result = result.times(&square);
            }
            n /= 2;
            if n == 0 {
                return result;
            }
            square = square.times(&square);
        }
    }
}

/// `P(D_n < d)` to within a few times 1/n², by four terms in powers of 1/√n (W. Pelz and I. J. Good, *Approximating the lower tail
/// areas of the Kolmogorov-Smirnov one-sample statistic*, Journal of the Royal Statistical Society B 38, 1976).
fn pelz_good(n: f64, d: f64) -> f64 {
    let root = n.sqrt();
    let z = root * d;
    let (z2, z4, z6) = (z.powi(2), z.powi(4), z.powi(6));
    let (pi2, pi4, pi6) = (PI.powi(2), PI.powi(4), PI.powi(6));
    // Far more terms than either sum needs where the formula is used.
    let terms = (16.0 * z / PI).ceil() as u32 + 1;
    let [mut k0, mut k1, mut k2, mut k3] = [0.0; 4];
    // Sums over odd halves: the smallest first.
    for k in (0..terms).rev() {
        let half = f64::from(k) + 0.5;
        let (h2, h4, h6) = (half.powi(2), half.powi(4), half.powi(6));
        let e = (-pi2 * h2 / (2.0 * z2)).exp();
        k0 += e;
        k1 += e * (pi2 * h2 - z2);
        k2 += e * (6.0 * z6 + 2.0 * z4 + pi2 * (2.0 * z4 - 5.0 * z2) * h2 + pi4 * (1.0 - 2.0 * z2) * h4);
        k3 += e
            * (pi6 * h6 * (5.0 - 30.0 * z2)
                + pi4 * h4 * (-60.0 * z2 + 212.0 * z4)
                + pi2 * h2 * (135.0 * z4 - 96.0 * z6)
                - 30.0 * z6
                - 90.0 * z.powi(8));
    }
    // Each sum is over both signs.
    let scale = (2.0 * PI).sqrt();
    k0 *= scale / z;
    k1 *= scale / (6.0 * z4);
    k2 *= scale / (72.0 * z.powi(7));
    k3 *= scale / (6480.0 * z.powi(10));
    let (mut even2, mut even3) = (0.0, 0.0);
    for k in (1..=terms).rev() {
        let square = f64::from(k).powi(2);
        let e = (-pi2 * square / (2.0 * z2)).exp();
        even2 += pi2 * square * e;
        even3 += (3.0 * pi2 * square * z2 - pi4 * square * square) * e;
    }
    k2 -= scale / (36.0 * z.powi(3)) * even2;
    k3 += scale / (216.0 * z6) * even3;
    k0 + k1 / root + k2 / n + k3 / (n * root)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `scipy.stats.kstwo.sf` 1.17.1, at least one from each formula.
    #[test]
    fn the_probabilities_are_scipys() {
        for (n, d, expected) in [
            (3, 0.1, 1.0),
            (3, 0.2, 0.998_222_222_222_222_2),
            (3, 0.3, 0.886_222_222_222_222_2),
            (3, 0.7, 0.054_000_000_000_000_03),
            (10, 0.2741, 0.371_088_766_362_810_1),
            (100, 0.1, 0.252_692_757_006_387_4),
            (140, 0.169, 0.000_577_868_280_618_394_5),
            (141, 0.03, 0.999_210_760_101_271_9),
            (150, 0.05, 0.829_082_841_679_979_4),
            (1_000, 0.02, 0.810_897_165_689_557_7),
            (10_000, 0.011, 0.176_420_456_443_975_71),
            (100_000, 0.0005, 1.0),
            (5_000_000, 0.0005, 0.164_024_600_081_927_65),
        ] {
            let found = exceeding(n, d);
            assert!((found - expected).abs() < 1e-12, "{n} {d}: {found}, not {expected}");
        }
    }

    #[test]
    fn a_larger_distance_is_never_more_probable() {
        for n in [1, 2, 7, 60, 140, 141, 3_000, 90_000, 2_000_000] {
            let mut before = 1.0;
            for step in 1..400 {
                let p = exceeding(n, f64::from(step) / 400.0);
                assert!(p <= before + 2e-6, "{n} {step}: {p} after {before}");
                before = p;
            }
            assert_eq!(exceeding(n, 1.0), 0.0);
        }
    }
}
