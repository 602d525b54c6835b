//! What traffic looked like when the model was deployed: what later traffic is compared with.
//!
//! All that is kept of a numeric feature but its sums comes from one sample of at most [`Settings::sample`] values (all of them,
//! if there are no more), so that building a baseline needs memory for the sample and not for the data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Counts, Grid, psi,
    reservoir::Reservoir,
    row::{Row, Side, Value},
    settings::Settings,
};

/// The `schema` of a [`Baseline`].
pub const SCHEMA: &str = "lockstep/baseline/v1";
/// How often a text must come again, on average, to be a category and no text of its own.
const LEAST_REPEATS: u64 = 5;

/// What traffic looked like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Rows that were seen.
    pub rows: u64,
    /// Each feature by its name.
    pub features: BTreeMap<String, Feature>,
}

/// What a feature looked like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Rows that had a value.
    pub n: u64,
    /// Rows that had none, though their side was captured.
    pub nulls: u64,
    /// Its values.
    pub values: Values,
}

impl Feature {
    /// The share of rows without a value.
    pub fn null_rate(&self) -> f64 {
        share(self.nulls, self.n + self.nulls)
    }
}

pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A feature's values by its kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "kind")]
pub enum Values {
    /// Numbers.
    Numeric(Numeric),
    /// Truth values and texts of which there are few.
    Categorical(Categorical),
}

/// Numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numeric {
    /// The smallest. A constraint: how many values are smaller is counted.
    pub min: f64,
    /// The largest. A constraint too.
    pub max: f64,
    /// Their mean.
    pub mean: f64,
    /// Whether all were whole: a constraint.
    pub whole: bool,
    /// Upper edges of all bins but the last, increasing: see [`psi::quantile_edges`].
    pub edges: Vec<f64>,
    /// Values of the sample in each bin; one more than there are edges.
    pub counts: Vec<u64>,
    /// The sample, sorted.
    pub sample: Vec<f64>,
}

impl Numeric {
    /// Each bin's share of the sample.
    pub fn proportions(&self) -> Vec<f64> {
        self.counts.iter().map(|&count| share(count, self.sample.len() as u64)).collect()
    }
}

/// Categories. A value that is none of them is unseen: a constraint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Categorical {
    /// How often each was seen.
    pub counts: BTreeMap<String, u64>,
}

/// Why a stored baseline is refused.
#[derive(Debug, thiserror::Error)]
pub enum BaselineInvalid {
    /// Not JSON, or other JSON.
    #[error("it is no baseline: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Another version.
    #[error("its schema is `{0}`, not {SCHEMA}")]
    Schema(String),
    /// A feature contradicts itself, so that comparing with it would say nothing.
    #[error("its feature `{feature}` {problem}")]
    Feature {
        /// The feature.
        feature: String,
        /// What is wrong.
        problem: &'static str,
    },
}

/// Why no baseline can be made of what was seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBaseline {
    /// Nothing was captured, or nothing of it could be used.
    #[error("no row was seen")]
    NoRows,
    /// Rows have no value in common.
    #[error("no feature has a value")]
    NoFeatures,
    /// Names that differ from row to row are no features.
    #[error("there are more than {0} features")]
    TooManyFeatures(usize),
}

impl Baseline {
    /// Reads a stored baseline.
    ///
    /// # Errors
    /// When it is something else, or contradicts itself.
    pub fn parse(bytes: &[u8]) -> Result<Self, BaselineInvalid> {
        let baseline: Self = serde_json::from_slice(bytes)?;
        if baseline.schema != SCHEMA {
            return Err(BaselineInvalid::Schema(baseline.schema));
        }
        for (name, feature) in &baseline.features {
            let problem = match &feature.values {
                Values::Numeric(numeric) => numeric.problem(),
                Values::Categorical(categorical) => {
                    categorical.counts.is_empty().then_some("has no categories")
                }
            };
            let none = (feature.n == 0).then_some("has no values");
            if let Some(problem) = none.or(problem) {
                return Err(BaselineInvalid::Feature { feature: name.clone(), problem });
            }
        }
        Ok(baseline)
    }

    /// As it is stored.
    ///
    /// # Errors
    /// Never, in practice: every number in it is finite.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }
}

impl Numeric {
    fn of(sample: Vec<f64>, sums: Sums, bins: usize) -> Self {
        let edges = psi::quantile_edges(&sample, bins);
        let grid = Grid::new(edges.iter().copied());
        let mut counts = Counts::new(&grid);
        counts.add(&grid, &sample);
        let counts = psi::bin_counts(&edges, &grid, &counts);
        let Sums { min, max, mean, whole, .. } = sums;
        Self { min, max, mean, whole, edges, counts, sample }
    }

    fn problem(&self) -> Option<&'static str> {
        let increasing = self.edges.windows(2).all(|pair| pair[0] < pair[1]);
        if self.sample.is_empty() {
            Some("has an empty sample")
        } else if !self.sample.is_sorted() {
            Some("has a sample that is not sorted")
        } else if !increasing || self.counts.len() != self.edges.len() + 1 {
            Some("has bins that are none")
        } else if self.counts.iter().try_fold(0_u64, |sum, &count| sum.checked_add(count))
            != Some(self.sample.len() as u64)
        {
            Some("has bins that do not hold its sample")
        } else {
            None
        }
    }
}

/// What is known of numbers without keeping them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums {
    pub n: u64,
    pub min: f64,
    pub max: f64,
    pub mean: f64,
    pub whole: bool,
}

impl Default for Sums {
    fn default() -> Self {
        Self { n: 0, min: f64::INFINITY, max: f64::NEG_INFINITY, mean: 0.0, whole: true }
    }
}

impl Sums {
    pub(crate) fn see(&mut self, value: f64) {
        self.n += 1;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        // Divided before subtracting, since the difference of two finite numbers may not be one.
        let n = self.n as f64;
        self.mean += value / n - self.mean / n;
        self.whole &= value.fract() == 0.0;
    }
}

/// Sees rows and makes a baseline of them.
#[derive(Debug)]
pub struct Builder<'a> {
    settings: &'a Settings,
    rows: u64,
    /// Rows whose input, and whose output, was captured.
    captured: [u64; 2],
    features: BTreeMap<String, Seen>,
    too_many: bool,
}

/// What was seen of a name whose kind is not settled yet.
#[derive(Debug)]
struct Seen {
    n: u64,
    numbers: Sums,
    sample: Reservoir,
    texts: u64,
    bools: u64,
    /// Absent once there are too many, or one is too long.
    categories: Option<BTreeMap<String, u64>>,
}

impl<'a> Builder<'a> {
    /// Nothing seen yet.
    pub fn new(settings: &'a Settings) -> Self {
        Self { settings, rows: 0, captured: [0; 2], features: BTreeMap::new(), too_many: false }
    }

    /// Sees a row.
    pub fn see(&mut self, row: &Row) {
        self.rows += 1;
        for (count, side) in self.captured.iter_mut().zip(Side::BOTH) {
            *count += u64::from(row.has(side));
        }
        for (name, value) in &row.values {
            if self.settings.ignore.contains(name) {
                continue;
            }
            if let Some(seen) = self.features.get_mut(name) {
                seen.see(value, self.settings);
            } else if self.features.len() < 4 * self.settings.most_features {
                // A text has three names until it is settled which of them are features.
                let mut seen = Seen::new(name, self.settings);
                seen.see(value, self.settings);
                self.features.insert(name.clone(), seen);
            } else {
                self.too_many = true;
            }
        }
    }

    /// What the rows looked like.
    ///
    /// # Errors
    /// When they looked like nothing.
    pub fn finish(self) -> Result<Baseline, NoBaseline> {
        let Self { settings, rows, captured, features: seen, too_many } = self;
        if rows == 0 {
            return Err(NoBaseline::NoRows);
        }
        let measured: Vec<String> = seen
            .iter()
            .filter(|(_, seen)| seen.texts > 0 && !seen.is_categorical())
            .map(|(name, _)| name.clone())
            .collect();
        let categorical: Vec<String> = seen
            .iter()
            .filter(|(_, seen)| seen.texts > 0 && seen.is_categorical())
            .flat_map(|(name, _)| [format!("{name}.chars"), format!("{name}.words")])
            .collect();
        let features: BTreeMap<String, Feature> = seen
            .into_iter()
            .filter(|(name, _)| !measured.contains(name) && !categorical.contains(name))
            .filter_map(|(name, seen)| {
                let rows = match Side::of(&name) {
                    Some(Side::Input) => captured[0],
                    Some(Side::Output) => captured[1],
                    None => rows,
                };
                seen.settle(rows, settings).map(|feature| (name, feature))
            })
            .collect();
        if too_many || features.len() > settings.most_features {
            return Err(NoBaseline::TooManyFeatures(settings.most_features));
        }
        if features.is_empty() {
            return Err(NoBaseline::NoFeatures);
        }
        Ok(Baseline { schema: SCHEMA.to_owned(), rows, features })
    }
}

impl Seen {
    fn new(name: &str, settings: &Settings) -> Self {
        Self {
            n: 0,
            numbers: Sums::default(),
            sample: Reservoir::new(name, settings.sample),
            texts: 0,
            bools: 0,
            categories: Some(BTreeMap::new()),
        }
    }

    fn see(&mut self, value: &Value, settings: &Settings) {
        self.n += 1;
        match value {
            Value::Number(number) => {
                self.numbers.see(*number);
                self.sample.see(*number);
            }
            Value::Bool(_) => self.bools += 1,
            Value::Text(_) => self.texts += 1,
        }
        let Some(categories) = &mut self.categories else { return };
        let category = value.category();
        if let Some(count) = categories.get_mut(&category) {
            *count += 1;
        } else if categories.len() < settings.categories
            && category.chars().count() <= settings.category_chars
        {
            categories.insert(category, 1);
        } else {
            self.categories = None;
        }
    }

    /// Whether a name that has texts or truth values is a category's.
    fn is_categorical(&self) -> bool {
        self.categories
            .as_ref()
            .is_some_and(|categories| self.texts == 0 || categories.len() as u64 * LEAST_REPEATS <= self.n)
    }

    fn settle(self, rows: u64, settings: &Settings) -> Option<Feature> {
        let categorical = self.texts + self.bools > 0 && self.is_categorical();
        let (n, values) = match self.categories {
            Some(counts) if categorical => (self.n, Values::Categorical(Categorical { counts })),
            _ if self.numbers.n > 0 => {
                let numeric = Numeric::of(self.sample.sorted(), self.numbers, settings.bins);
                (self.numbers.n, Values::Numeric(numeric))
            }
            _ => return None,
        };
        Some(Feature { n, nulls: rows.saturating_sub(self.n), values })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A row with an input and an output.
    pub(crate) fn row(values: &[(&str, Value)]) -> Row {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Row { has_input: true, has_output: true, values }
    }

    pub(crate) fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    pub(crate) fn build(settings: &Settings, rows: impl IntoIterator<Item = Row>) -> Baseline {
        let mut builder = Builder::new(settings);
        rows.into_iter().for_each(|row| builder.see(&row));
        builder.finish().unwrap()
    }

    fn kind<'a>(baseline: &'a Baseline, name: &str) -> &'a Values {
        &baseline.features[name].values
    }

    #[test]
    fn the_kind_of_a_feature_is_what_all_its_values_allow() {
        let rows = (0..200_u32).map(|i| {
            row(&[
                ("input.age", Value::Number(f64::from(i))),
                ("input.plan", text(["free", "paid"][i as usize % 2])),
                ("input.plan.chars", Value::Number(4.0)),
                ("input.vip", Value::Bool(i % 3 == 0)),
                ("input.prompt", text(&format!("question {i}"))),
                ("input.prompt.chars", Value::Number(f64::from(10 + i))),
                ("input.zero_or_one", Value::Number(f64::from(i % 2))),
            ])
        });
        let baseline = build(&Settings::default(), rows);
        let names: Vec<&str> = baseline.features.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["input.age", "input.plan", "input.prompt.chars", "input.vip", "input.zero_or_one"]
        );
        let Values::Categorical(plan) = kind(&baseline, "input.plan") else { panic!() };
        assert_eq!(plan.counts, [("free".to_owned(), 100), ("paid".to_owned(), 100)].into());
        let Values::Numeric(age) = kind(&baseline, "input.age") else { panic!() };
        assert_eq!((age.min, age.max, age.mean.round(), age.whole), (0.0, 199.0, 100.0, true));
        assert_eq!(age.counts, [20; 10]);
        assert!(matches!(kind(&baseline, "input.zero_or_one"), Values::Numeric(_)));
    }

    #[test]
    fn what_a_row_lacks_is_missing_only_where_its_side_was_captured() {
        let mut rows: Vec<Row> = (0..8)
            .map(|_| row(&[("input.a", Value::Number(1.0)), ("output.b", Value::Number(2.0))]))
            .collect();
        rows.push(Row { has_input: true, ..Row::default() });
        let baseline = build(&Settings::default(), rows);
        assert_eq!((baseline.features["input.a"].nulls, baseline.features["output.b"].nulls), (1, 0));
        assert_eq!(baseline.features["input.a"].null_rate(), 1.0 / 9.0);
    }

    #[test]
    fn a_stored_baseline_is_read_again_as_it_was() {
        let rows = (0..300)
            .map(|i| row(&[("input.a", Value::Number(f64::from(i) / 7.0)), ("input.c", Value::Bool(true))]));
        let baseline = build(&Settings { sample: 100, ..Settings::default() }, rows);
        let Values::Numeric(numeric) = kind(&baseline, "input.a") else { panic!() };
        assert_eq!((numeric.sample.len(), numeric.counts.iter().sum::<u64>()), (100, 100));
        assert_eq!(Baseline::parse(&baseline.to_json().unwrap()).unwrap(), baseline);
    }

    #[test]
    fn a_baseline_that_contradicts_itself_is_refused() {
        let rows = (0..20).map(|i| row(&[("input.a", Value::Number(f64::from(i)))]));
        let good = String::from_utf8(build(&Settings::default(), rows).to_json().unwrap()).unwrap();
        for (from, to, said) in [
            ("baseline/v1", "baseline/v2", "schema is `lockstep/baseline/v2`"),
            ("\"sample\":[0.0,1.0", "\"sample\":[1.0,0.0", "not sorted"),
            ("\"counts\":[2,", "\"counts\":[3,", "do not hold its sample"),
            ("\"edges\":[1.0,3.0", "\"edges\":[3.0,3.0", "bins that are none"),
            ("\"rows\"", "\"lines\"", "no baseline"),
        ] {
            assert!(good.contains(from), "{good}");
            let error = Baseline::parse(good.replace(from, to).as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn nothing_to_compare_with_is_no_baseline() {
        let settings = Settings { most_features: 2, ..Settings::default() };
        assert_eq!(Builder::new(&settings).finish(), Err(NoBaseline::NoRows));
        let mut empty = Builder::new(&settings);
        empty.see(&row(&[]));
        assert_eq!(empty.finish(), Err(NoBaseline::NoFeatures));
        let mut wide = Builder::new(&settings);
        for i in 0..30 {
            wide.see(&row(&[(&format!("input.{i}"), Value::Number(1.0))]));
        }
        assert_eq!(wide.finish(), Err(NoBaseline::TooManyFeatures(2)));
    }
}
