//! A window of traffic, counted against a baseline.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    Baseline, Counts, Grid, Outcomes,
    baseline::{Categorical, Feature, Numeric, Sums, Values, share},
    capture::{BadLine, Capture},
    ks::{self, Ks, Method},
    psi,
    row::{self, Row, Side, Value},
    settings::Settings,
    verdict::{
        Check, FeatureReport, Finding, Histogram, Kind, Outcome, Pair, Report, SCHEMA, Skipped, Violations,
    },
};

/// How many bad lines are told by their words.
const EXAMPLES: usize = 10;
/// Bars of a numeric feature's histogram.
const BARS: usize = 20;
/// The share of the baseline in each of a histogram's open end bars.
const END_BARS: f64 = 0.01;

/// Counts a window of traffic against a baseline, row by row. Its memory is the baseline's, however long the window.
#[derive(Debug)]
pub struct Window<'a> {
    baseline: &'a Baseline,
    settings: &'a Settings,
    rows: u64,
    features: Vec<(&'a str, &'a Feature, Counter<'a>)>,
    outcomes: Option<Outcomes<'a>>,
    skipped: Skipped,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

#[derive(Debug)]
struct Counter<'a> {
    nulls: u64,
    mismatched: u64,
    values: CounterValues<'a>,
}

#[derive(Debug)]
enum CounterValues<'a> {
    Numeric(Box<NumericCounter<'a>>),
    Categorical { baseline: &'a Categorical, counts: BTreeMap<&'a str, u64>, unseen: u64 },
}

#[derive(Debug)]
struct NumericCounter<'a> {
    baseline: &'a Numeric,
    grid: Grid,
    counts: Counts,
    sums: Sums,
    outside: u64,
    fractional: u64,
    bars: Vec<f64>,
}

impl<'a> Window<'a> {
    /// An empty window.
    pub fn new(baseline: &'a Baseline, settings: &'a Settings) -> Self {
        let features = baseline
            .features
            .iter()
            .filter(|(name, _)| !settings.ignore.contains(name))
            .map(|(name, feature)| (name.as_str(), feature, Counter::new(feature)))
            .collect();
        Self {
            baseline,
            settings,
            rows: 0,
            features,
            outcomes: Outcomes::new(settings),
            skipped: Skipped::default(),
            from: None,
            until: None,
        }
    }

    /// Sees what a line of the capture holds; one that cannot be used is counted.
    pub fn see(&mut self, capture: Result<Capture, BadLine>) {
        let capture = match capture {
            Ok(capture) => capture,
            Err(bad) => return self.skip(&bad.to_string()),
        };
        let rows = match row::rows(&capture, &self.settings.columns) {
            Ok(rows) => rows,
            Err(problem) => return self.skip(&format!("event {}: {problem}", capture.event_id)),
        };
        if let Some(time) = capture.time {
            self.from = Some(self.from.map_or(time, |from| from.min(time)));
            self.until = Some(self.until.map_or(time, |until| until.max(time)));
        }
        rows.iter().for_each(|row| self.see_row(row));
        if let Some(outcomes) = &mut self.outcomes {
            outcomes.see(&rows, None);
        }
    }

    fn skip(&mut self, problem: &str) {
        self.skipped.count += 1;
        if self.skipped.examples.len() < EXAMPLES {
            self.skipped.examples.push(problem.to_owned());
        }
    }

    /// Sees a row.
    pub fn see_row(&mut self, row: &Row) {
        self.rows += 1;
        let mut known = 0;
        for (name, _, counter) in &mut self.features {
            match row.values.get(*name) {
                Some(value) => {
                    known += 1;
                    counter.see(value);
                }
                None if Side::of(name).is_none_or(|side| row.has(side)) => counter.nulls += 1,
                None => {}
            }
        }
        self.skipped.unknown_values += row.values.len() as u64 - known;
    }

    /// What is to be said about it.
    pub fn judge(self) -> Report {
        let settings = self.settings;
        let mut features: Vec<FeatureReport> = self
            .features
            .into_iter()
            .map(|(name, feature, counter)| {
                let is_score = settings.score.as_deref() == Some(name);
                counter.judge(name, feature, is_score, settings)
            })
            .collect();
        // Stable, so that names stay in order.
        features.sort_by_key(|feature| (!feature.drifted, !feature.is_score));
        let (predictions, findings) = self.outcomes.map(Outcomes::judge_rates).unzip();
        let findings = findings.unwrap_or_default();
        let drifted = features.iter().filter(|feature| feature.drifted).count();
        let score = features.iter().any(|feature| feature.drifted && feature.is_score);
        let outcome = if drifted >= settings.drifted_features || score || !findings.is_empty() {
            Outcome::Drifted
        } else if self.rows < settings.min_samples {
            Outcome::TooFewRows
        } else {
            Outcome::Stable
        };
        Report {
            schema: SCHEMA.to_owned(),
            outcome,
            findings,
            rows: self.rows,
            baseline_rows: self.baseline.rows,
            skipped: self.skipped,
            from: self.from,
            until: self.until,
            features,
            predictions,
            quality: None,
            settings: settings.clone(),
        }
    }
}

impl<'a> Counter<'a> {
    fn new(feature: &'a Feature) -> Self {
        let values = match &feature.values {
            Values::Numeric(baseline) => CounterValues::Numeric(Box::new(NumericCounter::new(baseline))),
            Values::Categorical(baseline) => {
                let counts = baseline.counts.keys().map(|category| (category.as_str(), 0)).collect();
                CounterValues::Categorical { baseline, counts, unseen: 0 }
            }
        };
        Self { nulls: 0, mismatched: 0, values }
    }

    fn see(&mut self, value: &Value) {
        match &mut self.values {
            CounterValues::Numeric(counter) => match value.number() {
                Some(number) => counter.see(number),
                None => self.mismatched += 1,
            },
            CounterValues::Categorical { counts, unseen, .. } => {
                match counts.get_mut(value.category().as_str()) {
                    Some(count) => *count += 1,
                    None => *unseen += 1,
                }
            }
        }
    }

    fn judge(self, name: &str, feature: &Feature, is_score: bool, settings: &Settings) -> FeatureReport {
        let Judged { kind, n, baseline_n, mean, psi, ks, outside, fractional, unseen, histogram } =
            match self.values {
                CounterValues::Numeric(counter) => counter.judge(),
                CounterValues::Categorical { baseline, counts, unseen } => {
                    judge_categories(baseline, &counts, unseen)
                }
            };
        let present = n + self.mismatched;
        let rows = present + self.nulls;
        let violations = Violations {
            mismatched: share(self.mismatched, present),
            outside: share(outside, n),
            fractional: share(fractional, n),
            unseen: share(unseen, n),
        };
        let null_rate = Pair { baseline: feature.null_rate(), current: share(self.nulls, rows) };

        let enough = |count: u64| count >= settings.min_samples;
        // Whether values come at all can be told without values; how they are spread cannot.
        let (rows_judged, judged) =
            (enough(rows) && enough(feature.n + feature.nulls), enough(n) && enough(baseline_n));
        let mut why = Vec::new();
        let mut check = |applies: bool, check: Check, value: Option<f64>, limit: f64| {
            if let Some(value) = value.filter(|value| applies && *value > limit) {
                why.push(Finding { check, metric: None, value, limit, between: None });
            }
        };
        check(judged, Check::Psi, psi, settings.psi);
        let distance = ks.filter(|ks| ks.p < settings.ks_p && ks.d >= settings.ks_d);
        // The distance itself is judged above; it may equal its limit.
        if let Some(Ks { d, .. }) = distance.filter(|_| judged) {
            why.push(Finding {
                check: Check::Ks,
                metric: None,
                value: d,
                limit: settings.ks_d,
                between: None,
            });
        }
        let mut check = |applies: bool, check: Check, value: f64, limit: f64| {
            if applies && value > limit {
                why.push(Finding { check, metric: None, value, limit, between: None });
            }
        };
        let change = (null_rate.current - null_rate.baseline).abs();
        check(rows_judged, Check::NullRate, change, settings.null_rate);
        check(enough(present), Check::MismatchedRate, violations.mismatched, settings.violation_rate);
        check(judged, Check::UnseenRate, violations.unseen, settings.unseen_rate);
        check(judged, Check::OutsideRate, violations.outside, settings.violation_rate);
        check(judged, Check::FractionalRate, violations.fractional, settings.violation_rate);

        FeatureReport {
            name: name.to_owned(),
            kind,
            is_score,
            n: Pair { baseline: feature.n, current: n },
            mean,
            psi,
            ks_d: ks.map(|ks| ks.d),
            ks_p: ks.map(|ks| ks.p),
            null_rate,
            violations,
            judged: judged || rows_judged,
            drifted: !why.is_empty(),
            why,
            histogram,
        }
    }
}

/// What is known of a feature's values.
struct Judged {
    kind: Kind,
    n: u64,
    /// How many values of the baseline it was compared with.
    baseline_n: u64,
    mean: Option<Pair<Option<f64>>>,
    psi: Option<f64>,
    ks: Option<Ks>,
    outside: u64,
    fractional: u64,
    unseen: u64,
    histogram: Histogram,
}

impl<'a> NumericCounter<'a> {
    fn new(baseline: &'a Numeric) -> Self {
        let bars = bars(&baseline.sample);
        let grid = Grid::new(baseline.sample.iter().chain(&baseline.edges).chain(&bars).copied());
        let counts = Counts::new(&grid);
        Self { baseline, grid, counts, sums: Sums::default(), outside: 0, fractional: 0, bars }
    }

    fn see(&mut self, number: f64) {
        self.counts.add(&self.grid, &[number]);
        self.sums.see(number);
        self.outside += u64::from(number < self.baseline.min || number > self.baseline.max);
        self.fractional += u64::from(self.baseline.whole && number.fract() != 0.0);
    }

    fn judge(self) -> Judged {
        let Self { baseline, grid, counts, sums, outside, fractional, bars } = self;
        let n = counts.total();
        let current = psi::bin_counts(&baseline.edges, &grid, &counts);
        let bar_grid = Grid::new(bars.iter().copied());
        let mut before = Counts::new(&bar_grid);
        before.add(&bar_grid, &baseline.sample);
        let shares =
            |counts: Vec<u64>, total: u64| counts.into_iter().map(|count| share(count, total)).collect();
        Judged {
            kind: Kind::Numeric,
            n,
            baseline_n: baseline.sample.len() as u64,
            mean: Some(Pair { baseline: Some(baseline.mean), current: (n > 0).then_some(sums.mean) }),
            psi: (n > 0).then(|| psi::of_counts(&baseline.counts, &current)),
            ks: ks::of_counts(&baseline.sample, &grid, &counts, Method::Auto),
            outside,
            fractional,
            unseen: 0,
            histogram: Histogram {
                bins: ranges(&bars),
                baseline: shares(psi::bin_counts(&bars, &bar_grid, &before), baseline.sample.len() as u64),
                current: shares(psi::bin_counts(&bars, &grid, &counts), n),
            },
        }
    }
}

fn judge_categories(baseline: &Categorical, counts: &BTreeMap<&str, u64>, unseen: u64) -> Judged {
    // Unseen categories are a bin of their own, which is empty in the baseline.
    let before: Vec<u64> = baseline.counts.values().copied().chain([0]).collect();
    let now: Vec<u64> = counts.values().copied().chain([unseen]).collect();
    let (baseline_n, n): (u64, u64) = (before.iter().sum(), now.iter().sum());
    Judged {
        kind: Kind::Categorical,
        n,
        baseline_n,
        mean: None,
        psi: (n > 0).then(|| psi::of_counts(&before, &now)),
        ks: None,
        outside: 0,
        fractional: 0,
        unseen,
        histogram: Histogram {
            bins: baseline.counts.keys().cloned().chain(["(unseen)".to_owned()]).collect(),
            baseline: before.iter().map(|&count| share(count, baseline_n)).collect(),
            current: now.iter().map(|&count| share(count, n)).collect(),
        },
    }
}

/// Edges of a histogram's bars: of one width, but for the open ones at the ends.
fn bars(sorted: &[f64]) -> Vec<f64> {
    let at = |share: f64| sorted.get((share * sorted.len().saturating_sub(1) as f64) as usize).copied();
    let (Some(low), Some(high)) = (at(END_BARS), at(1.0 - END_BARS)) else { return Vec::new() };
    if high <= low || !(high - low).is_finite() {
        return psi::quantile_edges(&[low], 2);
    }
    let inner = BARS - 2;
    let mut edges: Vec<f64> =
        (0..=inner).map(|step| low + (high - low) * (step as f64 / inner as f64)).collect();
    edges.dedup();
    edges
}

/// What a histogram's bars are called.
fn ranges(edges: &[f64]) -> Vec<String> {
    let Some((first, last)) = edges.first().zip(edges.last()) else { return vec!["all".to_owned()] };
    let mut names = vec![format!("up to {}", short(*first))];
    names.extend(edges.windows(2).map(|pair| format!("{} to {}", short(pair[0]), short(pair[1]))));
    names.push(format!("above {}", short(*last)));
    names
}

/// A number in about four digits.
pub(crate) fn short(number: f64) -> String {
    let size = number.abs();
    if number == 0.0 || (1e-3..1e6).contains(&size) {
        let digits = if size >= 1000.0 { 0 } else { 3 };
        let text = format!("{number:.digits$}");
        let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
        return text.to_owned();
    }
    format!("{number:.2e}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::baseline::tests::{build, row, text};

    fn number(name: &str, value: f64) -> Row {
        row(&[(name, Value::Number(value))])
    }

    /// Evenly over the range.
    fn even(n: u32, low: f64, high: f64) -> impl Iterator<Item = f64> {
        (0..n).map(move |i| low + (high - low) * f64::from(i) / f64::from(n - 1))
    }

    fn judge(baseline: &Baseline, settings: &Settings, rows: impl IntoIterator<Item = Row>) -> Report {
        let mut window = Window::new(baseline, settings);
        rows.into_iter().for_each(|row| window.see_row(&row));
        window.judge()
    }

    fn checks(report: &Report, name: &str) -> Vec<Check> {
        let feature = report.features.iter().find(|feature| feature.name == name).unwrap();
        assert_eq!(feature.drifted, !feature.why.is_empty());
        feature.why.iter().map(|finding| finding.check).collect()
    }

    #[test]
    fn the_same_traffic_is_stable_and_shifted_traffic_drifts() {
        let settings = Settings::default();
        let baseline = build(&settings, even(1000, 0.0, 1.0).map(|value| number("input.a", value)));
        let same = judge(&baseline, &settings, even(500, 0.0, 1.0).map(|value| number("input.a", value)));
        assert_eq!((same.outcome, checks(&same, "input.a")), (Outcome::Stable, vec![]));
        let moved = judge(&baseline, &settings, even(500, 0.3, 1.3).map(|value| number("input.a", value)));
        assert_eq!(moved.outcome, Outcome::Drifted);
        assert_eq!(checks(&moved, "input.a"), [Check::Psi, Check::Ks, Check::OutsideRate]);
        let feature = &moved.features[0];
        assert!((feature.ks_d.unwrap() - 0.3).abs() < 0.01 && feature.ks_p.unwrap() < 1e-9);
        assert!((feature.histogram.current.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!(feature.histogram.bins.len(), feature.histogram.baseline.len());
    }

    #[test]
    fn a_difference_that_is_only_significant_is_no_drift() {
        let settings = Settings::default();
        let baseline = build(&settings, even(10_000, 0.0, 1.0).map(|value| number("input.a", value)));
        let report =
            judge(&baseline, &settings, even(50_000, 0.03, 1.0).map(|value| number("input.a", value)));
        assert!(report.features[0].ks_p.unwrap() < 1e-3, "{:?}", report.features[0].ks_p);
        assert_eq!(report.outcome, Outcome::Stable);
    }

    #[test]
    fn a_handful_of_rows_is_not_judged() {
        let settings = Settings::default();
        let baseline = build(&settings, even(1000, 0.0, 1.0).map(|value| number("input.a", value)));
        let report = judge(&baseline, &settings, even(99, 5.0, 6.0).map(|value| number("input.a", value)));
        assert_eq!((report.outcome, report.features[0].judged), (Outcome::TooFewRows, false));
    }

    #[test]
    fn categories_that_shift_or_are_new_drift() {
        let settings = Settings::default();
        let plan = |paid: bool| row(&[("input.plan", text(if paid { "paid" } else { "free" }))]);
        let baseline = build(&settings, (0..1000).map(|i| plan(i % 2 == 0)));
        let shifted = judge(&baseline, &settings, (0..500).map(|i| plan(i % 10 == 0)));
        assert_eq!(checks(&shifted, "input.plan"), [Check::Psi]);
        let new = (0..500)
            .map(|i| if i % 10 == 0 { row(&[("input.plan", text("trial"))]) } else { plan(i % 2 == 0) });
        let new = judge(&baseline, &settings, new);
        assert!(checks(&new, "input.plan").contains(&Check::UnseenRate), "{:?}", new.features[0].why);
        assert_eq!(new.features[0].histogram.bins, ["free", "paid", "(unseen)"]);
    }

    #[test]
    fn values_that_stop_coming_or_change_their_type_drift() {
        let settings = Settings::default();
        let baseline = build(&settings, (0..1000).map(|i| number("input.count", f64::from(i % 50))));
        let missing =
            (0..200).map(|i| if i % 2 == 0 { row(&[]) } else { number("input.count", f64::from(i % 50)) });
        assert!(checks(&judge(&baseline, &settings, missing), "input.count").contains(&Check::NullRate));
        let gone = judge(&baseline, &settings, (0..200).map(|_| row(&[])));
        assert_eq!((checks(&gone, "input.count"), gone.outcome), (vec![Check::NullRate], Outcome::Drifted));
        let texts = judge(&baseline, &settings, (0..200).map(|_| row(&[("input.count", text("many"))])));
        assert_eq!(checks(&texts, "input.count"), [Check::MismatchedRate]);
        let halves =
            judge(&baseline, &settings, (0..500).map(|i| number("input.count", f64::from(i % 50) * 0.98)));
        assert!(checks(&halves, "input.count").contains(&Check::FractionalRate));
    }

    #[test]
    fn the_score_drifts_on_its_own() {
        let settings =
            Settings { score: Some("output.score".to_owned()), drifted_features: 2, ..Settings::default() };
        let both = |a: f64, score: f64| {
            row(&[("input.a", Value::Number(a)), ("output.score", Value::Number(score))])
        };
        let baseline = build(&settings, even(500, 0.0, 1.0).map(|value| both(value, value)));
        let feature = judge(&baseline, &settings, even(500, 0.0, 1.0).map(|value| both(value + 1.0, value)));
        assert_eq!(feature.outcome, Outcome::Stable);
        let score = judge(&baseline, &settings, even(500, 0.0, 1.0).map(|value| both(value, value + 1.0)));
        assert_eq!((score.outcome, score.features[0].name.as_str()), (Outcome::Drifted, "output.score"));
    }

    #[test]
    fn lines_that_cannot_be_used_are_counted_and_told() {
        let settings = Settings::default();
        let baseline = build(&settings, even(200, 0.0, 1.0).map(|value| number("input.0", value)));
        let mut window = Window::new(&baseline, &settings);
        let line = |data: &str| {
            format!(
                r#"{{"captureData":{{"endpointInput":{{"observedContentType":"text/csv","mode":"INPUT","data":"{data}","encoding":"CSV"}}}},
                "eventMetadata":{{"eventId":"e","inferenceTime":"2026-11-14T06:27:33Z"}},"eventVersion":"0"}}"#
            )
            .replace('\n', "")
        };
        let text = format!("{}\nnonsense\n{}", line("0.5,9"), line("0.7"));
        crate::capture::read(text.as_bytes(), 1 << 20, |capture| window.see(capture)).unwrap();
        let report = window.judge();
        assert_eq!((report.rows, report.skipped.count, report.skipped.unknown_values), (2, 1, 1));
        assert!(report.skipped.examples[0].starts_with("line 2"), "{:?}", report.skipped.examples);
        assert_eq!(report.from.unwrap().to_string(), "2026-11-14T06:27:33Z");
        assert_eq!(Report::parse(&report.to_json().unwrap()).unwrap(), report);
    }

    #[test]
    fn numbers_are_told_in_a_few_digits() {
        let told = [0.0, 0.25, -3.5, 12345.678, 1e-9, 2.5e12].map(short);
        assert_eq!(told, ["0", "0.25", "-3.5", "12346", "1.00e-9", "2.50e12"]);
    }

    proptest! {
        #[test]
        fn the_baselines_own_rows_never_drift(values in prop::collection::vec(prop_oneof![any::<f64>(), (-5..5_i32).prop_map(f64::from)], 1..400)) {
            let values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
            prop_assume!(!values.is_empty());
            let settings = Settings { min_samples: 2, ..Settings::default() };
            let rows = || values.iter().map(|&value| number("input.a", value));
            let report = judge(&build(&settings, rows()), &settings, rows());
            prop_assert_eq!(report.drifted().count(), 0);
            let feature = &report.features[0];
            prop_assert_eq!((feature.psi, feature.ks_d, feature.ks_p), (Some(0.0), Some(0.0), Some(1.0)));
        }
    }
}
