//! Groups of rows, and how much may lie between them. One form for evaluation, for monitoring and for policy.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::SettingsInvalid;

/// The share of predictions that are positive: the one metric of a group that needs no label.
pub const POSITIVE_RATE: &str = "positive_rate";

/// The most characters of a group's name and of its column's; SageMaker takes arguments of at most 256.
pub const LONGEST_NAME: usize = 128;

/// Groups, and how much may lie between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupSettings {
    /// Whose values are the groups: in evaluation a field of the rows, in monitoring a feature such as `input.region`.
    pub column: String,
    /// The fewest rows of a group, or labels, that say something. 100.
    #[serde(default = "hundred")]
    pub min_samples: u64,
    /// What must hold between the groups; at least one.
    pub bounds: Vec<GroupBound>,
}

fn hundred() -> u64 {
    100
}

/// How much a metric may differ between groups: `{"metric": "accuracy", "max_difference": 0.1}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Wire", into = "Wire")]
#[schemars(with = "Wire")]
pub struct GroupBound {
    /// A metric that is measured of each group.
    pub metric: String,
    /// How much it may differ.
    pub limit: Limit,
}

/// What may lie between the group that has least of a metric and the one that has most. Both include the limit itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// The most that the greatest value exceeds the least.
    MaxDifference(f64),
    /// The least part that the least value is of the greatest, 0 to 1: 0.8 is the four-fifths rule.
    MinRatio(f64),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wire {
    metric: String,
    /// The most that the greatest value of a group exceeds the least, 0 or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_difference: Option<f64>,
    /// The least part that the least value is of the greatest, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min_ratio: Option<f64>,
}

/// A bound names no limit, two limits, or one that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bound on `{0}`: give exactly one of `max_difference`, 0 or more, and `min_ratio`, 0 to 1")]
pub struct GroupBoundInvalid(String);

impl TryFrom<Wire> for GroupBound {
    type Error = GroupBoundInvalid;
    fn try_from(wire: Wire) -> Result<Self, GroupBoundInvalid> {
        let limit = match (wire.max_difference, wire.min_ratio) {
            (Some(most), None) if most >= 0.0 && most.is_finite() => Limit::MaxDifference(most),
            (None, Some(least)) if (0.0..=1.0).contains(&least) => Limit::MinRatio(least),
            _ => return Err(GroupBoundInvalid(wire.metric)),
        };
        Ok(Self { metric: wire.metric, limit })
    }
}

impl From<GroupBound> for Wire {
    fn from(bound: GroupBound) -> Self {
        let (max_difference, min_ratio) = match bound.limit {
            Limit::MaxDifference(most) => (Some(most), None),
            Limit::MinRatio(least) => (None, Some(least)),
        };
        Self { metric: bound.metric, max_difference, min_ratio }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxDifference(most) => write!(formatter, "a difference of at most {most}"),
            Self::MinRatio(least) => write!(formatter, "a ratio of at least {least}"),
        }
    }
}

impl Limit {
    /// What is compared with the limit: the difference, or the ratio. Groups that all have nothing are equal.
    pub fn measure(self, least: f64, greatest: f64) -> f64 {
        match self {
            Self::MaxDifference(_) => greatest - least,
            Self::MinRatio(_) if least == greatest => 1.0,
            Self::MinRatio(_) => least / greatest,
        }
    }

    /// The limit itself.
    pub fn value(self) -> f64 {
        match self {
            Self::MaxDifference(limit) | Self::MinRatio(limit) => limit,
        }
    }

    fn admits(self, least: f64, greatest: f64) -> bool {
        // Written so that NaN passes neither.
        match self {
            Self::MaxDifference(most) => self.measure(least, greatest) <= most,
            Self::MinRatio(ratio) => self.measure(least, greatest) >= ratio,
        }
    }

    /// Whether everything that passes `self` also passes `other`. Another kind of limit never does.
    pub fn at_least_as_strict_as(self, other: Self) -> bool {
        match (self, other) {
            (Self::MaxDifference(own), Self::MaxDifference(limit)) => own <= limit,
            (Self::MinRatio(own), Self::MinRatio(limit)) => own >= limit,
            _ => false,
        }
    }

    /// Whether both are of one kind.
    pub fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

/// Two groups that differ too much.
#[derive(Clone, Debug, PartialEq)]
pub struct Breach {
    /// The group that has least of the metric, and how much.
    pub least: (String, f64),
    /// The group that has most of it.
    pub greatest: (String, f64),
    /// The bound.
    pub bound: GroupBound,
}

impl fmt::Display for Breach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { least, greatest, bound } = self;
        write!(
            formatter,
            "{} is {:.4} for the group `{}` and {:.4} for the group `{}`, it may have {}",
            bound.metric, greatest.1, greatest.0, least.1, least.0, bound.limit
        )
    }
}

impl GroupBound {
    /// The groups that differ most, if that is too much. Of fewer than two groups nothing can be said, and it is not.
    pub fn breach<'a>(&self, values: impl IntoIterator<Item = (&'a str, f64)>) -> Option<Breach> {
        let values: Vec<(&str, f64)> = values.into_iter().collect();
        let by_value = |one: &&(&str, f64), other: &&(&str, f64)| one.1.total_cmp(&other.1);
        let (least, greatest) = (values.iter().min_by(by_value)?, values.iter().max_by(by_value)?);
        if self.limit.admits(least.1, greatest.1) {
            return None;
        }
        let owned = |(name, value): &(&str, f64)| ((*name).to_owned(), *value);
        Some(Breach { least: owned(least), greatest: owned(greatest), bound: self.clone() })
    }
}

impl GroupSettings {
    /// # Errors
    /// When it cannot be meant.
    pub fn check(&self) -> Result<(), SettingsInvalid> {
        let refuse = |field, value: String, remedy| Err(SettingsInvalid::Groups { field, value, remedy });
        if self.column.trim().is_empty() || self.column.chars().count() > LONGEST_NAME {
            return refuse("column", self.column.clone(), "write a name of 1 to 128 characters");
        }
        if !(2..=1_000_000_000).contains(&self.min_samples) {
            return refuse("min_samples", self.min_samples.to_string(), "write 2 or more");
        }
        if self.bounds.is_empty() {
            return refuse("bounds", "[]".to_owned(), "write at least one bound, or leave the groups out");
        }
        let plain = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        };
        if let Some(bound) = self.bounds.iter().find(|bound| !plain(&bound.metric)) {
            let remedy = "write a metric's name: letters, digits, underscores and hyphens";
            return refuse("bounds", bound.metric.clone(), remedy);
        }
        Ok(())
    }

    /// The bounds of each metric in words, as evidence states them.
    pub fn stated(&self) -> BTreeMap<&str, String> {
        let mut stated: BTreeMap<&str, String> = BTreeMap::new();
        for bound in &self.bounds {
            let said = stated.entry(&bound.metric).or_default();
            let and = if said.is_empty() { "" } else { " and " };
            said.push_str(&format!("{and}{}", bound.limit));
        }
        stated
    }

    /// Both, so of two limits of one kind on a metric the stricter; the other's column is taken for the same.
    pub fn and(mut self, other: &Self) -> Self {
        self.min_samples = self.min_samples.max(other.min_samples);
        for bound in &other.bounds {
            let known = self
                .bounds
                .iter_mut()
                .find(|known| known.metric == bound.metric && known.limit.is_like(bound.limit));
            match known {
                Some(known) if bound.limit.at_least_as_strict_as(known.limit) => known.limit = bound.limit,
                Some(_) => {}
                None => self.bounds.push(bound.clone()),
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bound(text: &str) -> GroupBound {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_breach_names_both_groups_their_values_and_the_bound() {
        let difference = bound(r#"{"metric": "accuracy", "max_difference": 0.1}"#);
        let groups = [("north", 0.9), ("south", 0.5), ("west", 0.85)];
        assert_eq!(
            difference.breach(groups).unwrap().to_string(),
            "accuracy is 0.9000 for the group `north` and 0.5000 for the group `south`, it may have a difference of at most 0.1"
        );
        assert_eq!(difference.breach([("north", 0.9), ("south", 0.85)]), None);
        let ratio = bound(r#"{"metric": "positive_rate", "min_ratio": 0.8}"#);
        assert_eq!(ratio.breach([("a", 0.5), ("b", 0.4)]), None);
        assert!(ratio.breach([("a", 0.5), ("b", 0.39)]).is_some());
        // Nobody is granted anything: equal, if bleak. One group is granted nothing: as unequal as it gets.
        assert_eq!(ratio.breach([("a", 0.0), ("b", 0.0)]), None);
        assert!(ratio.breach([("a", 0.0), ("b", 0.1)]).is_some());
    }

    #[test]
    fn what_is_no_number_breaks_either_limit() {
        for text in [r#"{"metric": "m", "max_difference": 1000}"#, r#"{"metric": "m", "min_ratio": 0}"#] {
            assert!(bound(text).breach([("a", f64::NAN), ("b", 1.0)]).is_some(), "{text}");
        }
    }

    #[test]
    fn a_bound_has_exactly_one_limit_that_can_be_meant() {
        for bad in [
            r#"{"metric": "m"}"#,
            r#"{"metric": "m", "max_difference": 0.1, "min_ratio": 0.8}"#,
            r#"{"metric": "m", "max_difference": -0.1}"#,
            r#"{"metric": "m", "min_ratio": 1.1}"#,
            r#"{"metric": "m", "max_diference": 0.1}"#,
        ] {
            assert!(serde_json::from_str::<GroupBound>(bad).is_err(), "{bad}");
        }
        let groups: GroupSettings = serde_json::from_str(r#"{"column": "region", "bounds": []}"#).unwrap();
        assert!(groups.check().unwrap_err().to_string().contains("`groups.bounds`"));
    }

    #[test]
    fn of_two_limits_of_one_kind_the_stricter_applies() {
        let groups = |text: &str| serde_json::from_str::<GroupSettings>(text).unwrap();
        let one = groups(
            r#"{"column": "c", "min_samples": 10, "bounds": [{"metric": "m", "max_difference": 0.2}]}"#,
        );
        let other = groups(
            r#"{"column": "c", "min_samples": 20, "bounds": [{"metric": "m", "max_difference": 0.1}, {"metric": "m", "min_ratio": 0.8}]}"#,
        );
        assert_eq!(one.clone().and(&other), GroupSettings { min_samples: 20, ..other.clone() });
        assert_eq!(other.clone().and(&one), other);
    }

    proptest! {
        #[test]
        fn a_stricter_limit_never_lets_more_pass(
            values in prop::collection::vec(0.0..1.0_f64, 2..6), one in 0.0..1.0_f64, other in 0.0..1.0_f64, is_ratio: bool,
        ) {
            let named: Vec<(&str, f64)> = values.iter().map(|&value| ("g", value)).collect();
            let limit = |at| if is_ratio { Limit::MinRatio(at) } else { Limit::MaxDifference(at) };
            let passes = |at| {
                GroupBound { metric: "m".into(), limit: limit(at) }.breach(named.iter().copied()).is_none()
            };
            if limit(one).at_least_as_strict_as(limit(other)) {
                prop_assert!(!passes(one) || passes(other));
            }
        }
    }
}
