//! How good predictions were, once it is known what was true. For evaluation and for monitoring alike.
//!
//! Names and definitions are scikit-learn's (`sklearn.metrics`): of a class that was never predicted the precision is 0.

use std::collections::BTreeMap;

/// Metrics by name.
pub type Metrics = BTreeMap<String, f64>;

fn named<const N: usize>(metrics: [(&str, f64); N]) -> Metrics {
    metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn harmonic(one: f64, other: f64) -> f64 {
    if one + other == 0.0 { 0.0 } else { 2.0 * one * other / (one + other) }
}

/// `accuracy`, `precision`, `recall` and `f1` of (predicted, true) pairs; nothing of none.
pub fn binary(pairs: &[(bool, bool)]) -> Metrics {
    if pairs.is_empty() {
        return Metrics::new();
    }
    let count = |pair| pairs.iter().filter(|found| **found == pair).count();
    let (hits, false_alarms, misses) = (count((true, true)), count((true, false)), count((false, true)));
    let (precision, recall) = (ratio(hits, hits + false_alarms), ratio(hits, hits + misses));
    named([
        ("accuracy", ratio(hits + count((false, false)), pairs.len())),
        ("precision", precision),
        ("recall", recall),
        ("f1", harmonic(precision, recall)),
    ])
}

/// The area under the ROC curve of (score, true) pairs: the chance that a true one scores higher than a false one, ties
/// counting half. Absent unless there are both.
pub fn auc(pairs: &[(f64, bool)]) -> Option<f64> {
    let mut pairs: Vec<(f64, bool)> = pairs.iter().copied().filter(|(score, _)| !score.is_nan()).collect();
    pairs.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    let (mut below, mut wins, mut positives) = (0.0, 0.0, 0.0);
    for tied in pairs.chunk_by(|one, other| one.0 == other.0) {
        let hits = tied.iter().filter(|(_, is_true)| *is_true).count() as f64;
        let others = tied.len() as f64 - hits;
        wins += hits * (below + others / 2.0);
        below += others;
        positives += hits;
    }
    (below > 0.0 && positives > 0.0).then(|| wins / (below * positives))
}

#[derive(Default)]
struct Class {
    hits: usize,
    predicted: usize,
    truth: usize,
}

/// `accuracy`, and `precision`, `recall` and `f1` as the mean over all classes (macro), of (predicted, true) pairs; nothing of none.
pub fn multiclass(pairs: &[(String, String)]) -> Metrics {
    if pairs.is_empty() {
        return Metrics::new();
    }
    // Texts may be classes, as many as there are pairs: each pair is looked at once.
    let mut counts: BTreeMap<&str, Class> = BTreeMap::new();
    for (predicted, truth) in pairs {
        counts.entry(predicted).or_default().predicted += 1;
        counts.entry(truth).or_default().truth += 1;
        if predicted == truth {
            counts.entry(truth).or_default().hits += 1;
        }
    }
    let (mut precisions, mut recalls, mut f1s) = (0.0, 0.0, 0.0);
    for class in counts.values() {
        let (precision, recall) = (ratio(class.hits, class.predicted), ratio(class.hits, class.truth));
        precisions += precision;
        recalls += recall;
        f1s += harmonic(precision, recall);
    }
    let right = pairs.iter().filter(|(predicted, truth)| predicted == truth).count();
    let classes = counts.len() as f64;
    named([
        ("accuracy", ratio(right, pairs.len())),
        ("precision", precisions / classes),
        ("recall", recalls / classes),
        ("f1", f1s / classes),
    ])
}

/// `mae` (mean absolute error) and `rmse` (root of the mean squared one) of (predicted, true) pairs; nothing of none.
pub fn regression(pairs: &[(f64, f64)]) -> Metrics {
    if pairs.is_empty() {
        return Metrics::new();
    }
    let n = pairs.len() as f64;
    let absolute: f64 = pairs.iter().map(|(predicted, truth)| (predicted - truth).abs()).sum();
    let squared: f64 = pairs.iter().map(|(predicted, truth)| (predicted - truth).powi(2)).sum();
    named([("mae", absolute / n), ("rmse", (squared / n).sqrt())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confusion_matrix_by_hand() {
        // 3 hits, 1 false alarm, 2 misses, 4 true negatives.
        let mut pairs = vec![(true, true); 3];
        pairs.extend([(true, false), (false, true), (false, true)]);
        pairs.extend([(false, false); 4]);
        let metrics = binary(&pairs);
        for (name, expected) in [("accuracy", 0.7), ("precision", 0.75), ("recall", 0.6), ("f1", 2.0 / 3.0)] {
            assert!((metrics[name] - expected).abs() < 1e-15, "{name} {}", metrics[name]);
        }
        assert_eq!(binary(&[]), Metrics::new());
        assert_eq!(binary(&[(false, false)])["precision"], 0.0);
    }

    #[test]
    fn the_area_counts_the_pairs_in_order_and_half_the_ties() {
        assert_eq!(auc(&[(0.1, false), (0.4, false), (0.35, true), (0.8, true)]), Some(0.75));
        assert_eq!(auc(&[(0.5, false), (0.5, true)]), Some(0.5));
        assert_eq!(auc(&[(0.5, true)]), None);
        assert_eq!(auc(&[(0.9, true), (0.1, false), (f64::NAN, false)]), Some(1.0));
    }

    #[test]
    fn each_class_counts_the_same_however_rare() {
        let pairs: Vec<(String, String)> = [("a", "a"), ("a", "a"), ("a", "b"), ("c", "c")]
            .map(|(one, other)| (one.to_owned(), other.to_owned()))
            .into();
        let metrics = multiclass(&pairs);
        assert_eq!(metrics["accuracy"], 0.75);
        assert_eq!(metrics["recall"], 2.0 / 3.0);
        assert!((metrics["precision"] - (2.0 / 3.0 + 0.0 + 1.0) / 3.0).abs() < 1e-15);
    }

    #[test]
    fn errors_of_numbers() {
        let metrics = regression(&[(1.0, 2.0), (5.0, 2.0)]);
        assert_eq!((metrics["mae"], metrics["rmse"]), (2.0, 5.0_f64.sqrt()));
    }
}
