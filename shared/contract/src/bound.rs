//! Thresholds: a metric and the bound that it must keep.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which side of the bound passes. Neither side includes the bound itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// The metric must be smaller.
    Below(f64),
    /// The metric must be greater.
    Above(f64),
}

impl Bound {
    /// Whether the value passes. NaN passes nothing.
    pub fn admits(self, value: f64) -> bool {
        match self {
            Bound::Below(bound) => value < bound,
            Bound::Above(bound) => value > bound,
        }
    }

    /// Whether everything that passes `self` also passes `other`. Opposite directions never do.
    pub fn at_least_as_strict_as(self, other: Bound) -> bool {
        match (self, other) {
            (Bound::Below(own), Bound::Below(limit)) => own <= limit,
            (Bound::Above(own), Bound::Above(limit)) => own >= limit,
            _ => false,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Below(bound) => write!(formatter, "< {bound}"),
            Bound::Above(bound) => write!(formatter, "> {bound}"),
        }
    }
}

/// Of several thresholds on a metric, in the same direction, the strictest.
pub fn strictest(thresholds: impl IntoIterator<Item = Threshold>) -> Vec<Threshold> {
    let mut kept: Vec<Threshold> = Vec::new();
    for threshold in thresholds {
        let known = kept.iter_mut().find(|known| {
            let is_alike = std::mem::discriminant(&known.bound) == std::mem::discriminant(&threshold.bound);
            known.metric == threshold.metric && is_alike
        });
        match known {
            Some(known) if threshold.bound.at_least_as_strict_as(known.bound) => {
                known.bound = threshold.bound
            }
            Some(_) => {}
            None => kept.push(threshold),
        }
    }
    kept
}

/// The bounds of each metric in words, as evidence states them: `< 20`, or `> 1 and < 5`.
pub fn bounds(thresholds: &[Threshold]) -> BTreeMap<&str, String> {
    let mut stated: BTreeMap<&str, String> = BTreeMap::new();
    for threshold in thresholds {
        let said = stated.entry(&threshold.metric).or_default();
        let and = if said.is_empty() { "" } else { " and " };
        said.push_str(&format!("{and}{}", threshold.bound));
    }
    stated
}

/// A metric's name and its bound: `{"metric": "perplexity", "below": 20.0}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Wire", into = "Wire")]
#[schemars(with = "Wire")]
pub struct Threshold {
    /// A name in the evaluation's metrics, such as `eval_loss`.
    pub metric: String,
    /// What it must keep.
    pub bound: Bound,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wire {
    metric: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    below: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    above: Option<f64>,
}

/// A threshold names no bound, two bounds, or one that is not a number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("threshold on `{0}`: give exactly one of `below` and `above`, a finite number")]
pub struct BoundInvalid(String);

impl TryFrom<Wire> for Threshold {
    type Error = BoundInvalid;
    fn try_from(wire: Wire) -> Result<Self, BoundInvalid> {
        let bound = match (wire.below, wire.above) {
            (Some(below), None) if below.is_finite() => Bound::Below(below),
            (None, Some(above)) if above.is_finite() => Bound::Above(above),
            _ => return Err(BoundInvalid(wire.metric)),
        };
        Ok(Self { metric: wire.metric, bound })
    }
}

impl From<Threshold> for Wire {
    fn from(threshold: Threshold) -> Self {
        let (below, above) = match threshold.bound {
            Bound::Below(bound) => (Some(bound), None),
            Bound::Above(bound) => (None, Some(bound)),
        };
        Self { metric: threshold.metric, below, above }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_passes_nothing_and_the_bound_itself_does_not_pass() {
        assert!(!Bound::Below(1.0).admits(f64::NAN));
        assert!(!Bound::Above(1.0).admits(f64::NAN));
        assert!(!Bound::Below(1.0).admits(1.0));
        assert!(Bound::Below(1.0).admits(0.9));
    }

    #[test]
    fn strictness_has_a_direction() {
        assert!(Bound::Below(10.0).at_least_as_strict_as(Bound::Below(20.0)));
        assert!(!Bound::Below(30.0).at_least_as_strict_as(Bound::Below(20.0)));
        assert!(Bound::Above(0.9).at_least_as_strict_as(Bound::Above(0.8)));
        assert!(!Bound::Above(0.1).at_least_as_strict_as(Bound::Below(20.0)));
    }

    #[test]
    fn a_threshold_has_exactly_one_bound() {
        for bad in
            [r#"{"metric":"m"}"#, r#"{"metric":"m","below":1,"above":2}"#, r#"{"metric":"m","under":1}"#]
        {
            assert!(serde_json::from_str::<Threshold>(bad).is_err(), "{bad}");
        }
    }
}
