//! Which process answers an invocation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::deployment::{Portion, Step};
use super::endpoint::Endpoint;
use super::fleet::{Busy, Fleet, Variant};

/// Successive multiples of this, modulo one, are spread evenly: shares come out right after few requests.
pub(super) const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// A new fleet, and how much of the traffic is turned on for it.
#[derive(Debug)]
pub(super) struct Shift {
    pub(super) fleet: Arc<Fleet>,
    portions: BTreeMap<String, (Portion, AtomicU64)>,
}

/// Who answers, kept alive until it has.
#[derive(Debug)]
pub(super) struct Routed {
    pub(super) fleet: Arc<Fleet>,
    pub(super) variant: Arc<Variant>,
    pub(super) busy: Busy,
}

impl Shift {
    pub(super) fn to(fleet: &Arc<Fleet>, step: &Step) -> Self {
        let portions = step
            .active
            .iter()
            .map(|(variant, portion)| (variant.clone(), (*portion, AtomicU64::new(0))))
            .collect();
        Self { fleet: Arc::clone(fleet), portions }
    }

    fn takes(&self, variant: &str) -> bool {
        self.portions
            .get(variant)
            .is_some_and(|(portion, asked)| portion.takes(asked.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Endpoint {
    /// The variant that was asked for, else the one whose turn it is by weight; of the new fleet for its share.
    pub(super) fn route(&self, target: Option<&str>, turn: u64) -> Option<Routed> {
        let serving = self.fleet.as_ref()?;
        let chosen = choose(serving, target, turn)?;
        let moved = self.shift.as_ref().filter(|shift| shift.takes(&chosen.name)).and_then(|shift| {
            Some((&shift.fleet, shift.fleet.variants.iter().find(|variant| variant.name == chosen.name)?))
        });
        let (fleet, variant) = moved.unwrap_or((serving, chosen));
        Some(Routed { fleet: Arc::clone(fleet), variant: Arc::clone(variant), busy: fleet.enter()? })
    }
}

fn choose<'a>(fleet: &'a Fleet, target: Option<&str>, turn: u64) -> Option<&'a Arc<Variant>> {
    if let Some(target) = target {
        return fleet.variants.iter().find(|variant| variant.name == target);
    }
    let weights: Vec<f64> = fleet.variants.iter().map(|variant| variant.capacity().weight).collect();
    by_weight(&weights, turn).and_then(|place| fleet.variants.get(place))
}

/// The place whose turn it is; none if nothing has a weight.
fn by_weight(weights: &[f64], turn: u64) -> Option<usize> {
    let total: f64 = weights.iter().sum();
    let mut point = (turn as f64 * GOLDEN).fract() * total;
    let weighted = || weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0);
    for (place, weight) in weighted() {
        if point < *weight {
            return Some(place);
        }
        point -= weight;
    }
    weighted().next_back().map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_asked_by_their_weight() {
        let weights = [1.0, 0.0, 3.0];
        let mut asked = [0; 3];
        for turn in 0..1000 {
            asked[by_weight(&weights, turn).unwrap()] += 1;
        }
        assert!((245..=255).contains(&asked[0]) && asked[1] == 0, "{asked:?}");
        assert_eq!(by_weight(&[0.0], 1), None);
    }
}
