//! The one-sided one-sample distance: `P(D+ >= x)` for a sample of n values.

use std::f64::consts::{LN_2, PI};

/// From this size on the leading terms are as good as the sum.
const LARGE: u64 = 1_000_000;
/// The most terms that are summed; of more, evenly spaced ones are taken.
const TERMS: u64 = 1_024;

/// The probability that the distribution function of `n` values rises `x` or more above the true one, for `0 < x < 1`.
///
/// Z. W. Birnbaum and F. H. Tingey (1951): `x Σ C(n, j) (x + j/n)^(j-1) (1 - x - j/n)^(n-j)` over `0 <= j <= n(1 - x)`. A term is
/// a binomial probability divided by its own parameter, so that C. Loader's saddle-point form (*Fast and accurate
/// computation of binomial probabilities*, 2000) keeps it exact. Beyond a million values: `exp(-(6nx + 1)² / 18n)`.
pub(super) fn probability(n: u64, x: f64) -> f64 {
    let size = n as f64;
    if n > LARGE {
        return (-(6.0 * size * x + 1.0).powi(2) / (18.0 * size)).exp();
    }
    // As a function of j the terms are smooth and vanish at both ends, which is where sums over every s-th term times s
    // converge faster than any power of s.
    let stride = (n / TERMS).max(1);
    sum(n, x, stride)
}

fn sum(n: u64, x: f64, stride: u64) -> f64 {
    let size = n as f64;
    let last = (size * (1.0 - x)).floor().max(0.0) as u64;
    let mut total = 0.0;
    let mut j = 0;
    while j <= last {
        let p = x + j as f64 / size;
        // From whole numbers, since 1 - p would lose what matters near the end.
        let q = ((n - j) as f64 - size * x) / size;
        if q >= 0.0 {
            total += x / p * binomial(j, n, p, q);
        }
        j += stride;
    }
    total * stride as f64
}

/// `C(n, j) p^j q^(n-j)`.
fn binomial(j: u64, n: u64, p: f64, q: f64) -> f64 {
    let size = n as f64;
    if j == 0 {
        return (size * (-p).ln_1p()).exp();
    }
    if j == n {
        return (size * p.ln()).exp();
    }
    let (one, other) = (j as f64, (n - j) as f64);
    let exponent = stirling_error(n)
        - stirling_error(j)
        - stirling_error(n - j)
        - deviance(one, size * p)
        - deviance(other, size * q);
    let scale = LN_2 + PI.ln() + one.ln() + (-one / size).ln_1p();
    (exponent - 0.5 * scale).exp()
}

/// `ln n! - ln(√(2πn) (n/e)^n)`.
fn stirling_error(n: u64) -> f64 {
    const EXACT: u64 = 16;
    let size = n as f64;
    if n < EXACT {
        let factorial: f64 = (1..=n).map(|k| k as f64).product();
        return factorial.ln() - (0.5 * (2.0 * PI * size).ln() + size * size.ln() - size);
    }
    let inverse = 1.0 / (size * size);
    // Bernoulli numbers over 2k(2k-1).
    [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360_360.0]
        .iter()
        .rev()
        .fold(0.0, |sum, coefficient| sum * inverse + coefficient)
        / size
}

/// `x ln(x/m) + m - x`, without cancellation where x is close to m.
fn deviance(x: f64, m: f64) -> f64 {
    let difference = x - m;
    if difference.abs() >= 0.1 * (x + m) {
        return x * (x / m).ln() - difference;
    }
    let v = difference / (x + m);
    let square = v * v;
    let mut sum = difference * v;
    let mut power = 2.0 * x * v;
    let mut k = 1.0;
    loop {
        power *= square;
        let next = sum + power / (2.0 * k + 1.0);
        if next == sum {
            return sum;
        }
        sum = next;
        k += 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaving_terms_out_changes_nothing_that_counts() {
        for n in [2_048, 10_000, 50_000, 200_000] {
            for square in [2.2, 5.0, 30.0, 300.0] {
                let x = (square / n as f64).sqrt();
                let (all, some) = (sum(n, x, 1), probability(n, x));
                assert!((some / all - 1.0).abs() < 1e-11, "{n} {square}: {some} not {all}");
            }
        }
    }

    #[test]
    fn one_value_is_above_by_the_rest_of_the_range() {
        // With one value D+ is 1 - u for u even on [0, 1].
        for x in [0.1, 0.5, 0.9] {
            assert!((probability(1, x) - (1.0 - x)).abs() < 1e-15);
        }
    }

    #[test]
    fn two_values_by_hand() {
        // D+ of two values exceeds x with (1-x)² + 2x(1/2 - x)(1) while x < 1/2: the two terms of the sum.
        let x = 0.3_f64;
        let expected = (1.0 - x).powi(2) + 2.0 * x * (0.5 - x);
        assert!((probability(2, x) - expected).abs() < 1e-15);
    }
}
