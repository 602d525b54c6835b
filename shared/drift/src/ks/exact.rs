//! The probability of a distance by counting paths.
//!
//! Two samples of `m` and `n` values without ties are a lattice path from (0, 0) to (m, n), every path as probable as
//! another if both samples come from one distribution; the distance at (i, j) is `|i/m - j/n|` (B. V. Gnedenko and V. S.
//! Korolyuk, 1951; J. L. Hodges, *The significance probability of the Smirnov two-sample test*, Arkiv för Matematik 3,
//! 1958). The probability is the share of paths that reach the distance somewhere.

use super::{Ks, asymptotic};

/// From here on the exact probability and the asymptotic one are both below 1e-14, and the asymptotic one costs nothing.
const BEYOND: f64 = 18.0;

/// The test for small samples, of which neither is empty.
pub(super) fn judge(one: u64, other: u64, d: f64) -> Ks {
    let (m, n) = (one.max(other), one.min(other));
    let common = gcd(m, n);
    let multiple = m / common * n;
    // A distance is a whole number of steps of 1/multiple.
    let steps = (d * multiple as f64).round() as u64;
    let d = steps as f64 / multiple as f64;
    if steps == 0 {
        return Ks { d, p: 1.0 };
    }
    let effective = m as f64 * n as f64 / (m + n) as f64;
    let p = if effective * d * d > BEYOND && effective > 20.0 {
        asymptotic::probability(m, n, d)
    } else if m == n {
        outside_square(n, steps)
    } else {
        outside_band(m, n, common, steps)
    };
    // A probability of 1 may be rounded up. scipy then takes the asymptotic one, which is a little below, and so do we: to
    // agree is worth more than the fifth digit of a probability that nobody acts on.
    let p = if p > 1.0 { asymptotic::probability(m, n, d) } else { p };
    Ks { d, p }
}

fn gcd(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { gcd(other, one % other) }
}

/// The share of paths to (n, n) that reach `|i - j| = steps`, by reflecting them at both lines in turn:
/// `2 Σ (-1)^(k-1) C(2n, n - k·steps) / C(2n, n)`, nested so that no term outgrows the others.
fn outside_square(n: u64, steps: u64) -> f64 {
    let mut inner = 0.0;
    for k in (1..=n / steps).rev() {
        // C(2n, n - k·steps) over C(2n, n - (k - 1)·steps), rounded as scipy rounds: see `judge`.
        let ratio = (0..steps).fold(1.0, |product, i| {
            (n - (k - 1) * steps - i) as f64 * product / (n + (k - 1) * steps + i + 1) as f64
        });
        inner = ratio * (1.0 - inner);
    }
    2.0 * inner
}

/// The share of paths to (m, n) that reach a distance of `steps`, column by column.
///
/// `touched[j]` is the share of the paths to (i, j) that have reached it: 1 outside the band, and inside it the mean of
/// the shares at (i - 1, j) and (i, j - 1), which i and j of i + j paths come from. Nothing is ever subtracted.
fn outside_band(m: u64, n: u64, common: u64, steps: u64) -> f64 {
    let (across, along) = ((m / common) as i64, (n / common) as i64);
    let steps = steps as i64;
    // Row j of column i is inside when |i·along - j·across| < steps.
    let first = |i: i64| ((i * along - steps).div_euclid(across) + 1).max(0);
    let last = |i: i64| (-(-(i * along + steps)).div_euclid(across) - 1).min(n as i64);
    let mut touched = vec![1.0; n as usize + 1];
    touched[..=last(0) as usize].fill(0.0);
    for i in 1..=m as i64 {
        let (low, high) = (first(i), last(i));
        if low > high {
            return 1.0;
        }
        // What has left the band below stays outside; what is above has not been inside yet and still says 1.
        let left = low.min(last(i - 1) + 1);
        touched[first(i - 1) as usize..left.max(first(i - 1)) as usize].fill(1.0);
        let mut before = if low == 0 { 0.0 } else { 1.0 };
        for j in low..=high {
            let weight = 1.0 / (i + j) as f64;
            before = (touched[j as usize] * i as f64 + before * j as f64) * weight;
            touched[j as usize] = before;
        }
    }
    touched[n as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks every path.
    fn share(m: u64, n: u64, steps: u64) -> f64 {
        fn walk(m: i64, n: i64, i: i64, j: i64, limit: i64, out: bool) -> (u64, u64) {
            let out = out || (i * n - j * m).abs() >= limit;
            if i == m && j == n {
                return (u64::from(out), 1);
            }
            let mut sum = (0, 0);
            for (di, dj) in [(1, 0), (0, 1)] {
                if i + di <= m && j + dj <= n {
                    let (outside, all) = walk(m, n, i + di, j + dj, limit, out);
                    sum = (sum.0 + outside, sum.1 + all);
                }
            }
            sum
        }
        let limit = (steps * gcd(m, n)) as i64;
        let (outside, all) = walk(m as i64, n as i64, 0, 0, limit, false);
        outside as f64 / all as f64
    }

    #[test]
    fn the_probability_is_the_share_of_paths_that_reach_the_distance() {
        for m in 1..8 {
            for n in 1..=m {
                let multiple = m / gcd(m, n) * n;
                for steps in 1..=multiple {
                    let ks = judge(m, n, steps as f64 / multiple as f64);
                    let expected = share(m, n, steps);
                    if expected == 1.0 {
                        assert!(ks.p > 0.999, "{m} {n} {steps}: {}", ks.p);
                        continue;
                    }
                    assert!((ks.p - expected).abs() < 1e-14, "{m} {n} {steps}: {} not {expected}", ks.p);
                }
            }
        }
    }
}
