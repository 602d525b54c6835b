//! Do the metrics pass? The job that trains does not grade itself, and the job that grades is not believed
//! blindly either.

use std::collections::{BTreeMap, BTreeSet};

use contract::{EvaluationRequest, GroupMetrics, METRICS_SCHEMA, ModelMetrics, RunPlan, Score};
use drift::GroupSettings;
use evidence::{PASSED, ResourceDescriptor, TestResult};

use crate::error::EvaluateError;

/// exp(loss) and perplexity may differ by this much, relatively: they are computed in different precision.
const PERPLEXITY_TOLERANCE: f64 = 1e-3;

/// The most groups that are compared: a column with more names rows, and not groups of them.
const MOST_GROUPS: usize = 100;

/// Reads and judges the metrics.
///
/// # Errors
/// `MetricsInvalid`, or `ThresholdBreached` with every breach.
pub fn judge(json: &[u8], asked: &EvaluationRequest) -> Result<ModelMetrics, EvaluateError> {
    let thresholds = &asked.thresholds;
    // JSON has no NaN or infinity, so a job that writes one anyway is refused by the parser already.
    let metrics: ModelMetrics =
        serde_json::from_slice(json).map_err(|error| EvaluateError::MetricsInvalid(error.to_string()))?;
    if metrics.schema != METRICS_SCHEMA {
        return Err(EvaluateError::MetricsInvalid(format!("`schema` is `{}`", metrics.schema)));
    }
    believe("before", &metrics.before)?;
    believe("after", &metrics.after)?;
    let count = |score: &Score| score.get("samples").copied();
    if count(&metrics.before) != count(&metrics.after) {
        let reason = "`before` and `after` were not computed on the same samples".to_owned();
        return Err(EvaluateError::MetricsInvalid(reason));
    }
    if thresholds.is_empty() {
        return Err(EvaluateError::MetricsInvalid("there is no threshold to judge by".to_owned()));
    }
    let mut breaches = Vec::new();
    for threshold in thresholds {
        let Some(value) = metrics.after.get(&threshold.metric) else {
            return Err(EvaluateError::MetricsInvalid(format!("`{}` is missing", threshold.metric)));
        };
        if !threshold.bound.admits(*value) {
            breaches.push(format!("{} is {value:.4}, it must be {}", threshold.metric, threshold.bound));
        }
    }
    if let Some(groups) = &asked.groups {
        let values = by_group(&metrics, groups)?;
        for bound in &groups.bounds {
            let values =
                values.iter().filter_map(|(name, score)| Some((name.as_str(), *score.get(&bound.metric)?)));
            breaches.extend(bound.breach(values).map(|breach| breach.to_string()));
        }
    }
    if breaches.is_empty() { Ok(metrics) } else { Err(EvaluateError::ThresholdBreached(breaches)) }
}

/// The candidate's metrics by group, if they are whole: of the column that was asked for, of every row, with rows enough in
/// each group, and each metric that is bound.
fn by_group<'a>(
    metrics: &'a ModelMetrics,
    asked: &GroupSettings,
) -> Result<&'a BTreeMap<String, Score>, EvaluateError> {
    let column = &asked.column;
    let invalid = |reason: String| Err(EvaluateError::MetricsInvalid(reason));
    let Some(GroupMetrics { column: measured, before, after }) = &metrics.groups else {
        return invalid(format!(
            "`evaluation.groups` asks for groups by `{column}`, and the job wrote no `groups`: use an image that measures them"
        ));
    };
    if measured != column {
        return invalid(format!("the groups are by `{measured}`, and `{column}` was asked for"));
    }
    if after.is_empty() {
        return invalid(format!(
            "no row of the evaluation data has a field `{column}`: name one that its rows have"
        ));
    }
    if after.len() > MOST_GROUPS {
        let count = after.len();
        return invalid(format!(
            "`{column}` makes {count} groups, at most {MOST_GROUPS} are compared: choose another"
        ));
    }
    if after.len() < 2 {
        return invalid(format!(
            "`{column}` has one value in the evaluation data: there is nothing to compare"
        ));
    }
    for (side, whole, groups) in [("before", &metrics.before, before), ("after", &metrics.after, after)] {
        for (name, score) in groups {
            believe(&format!("groups.{side}.{name}"), score)?;
        }
        let rows: f64 = groups.values().filter_map(|score| score.get("samples")).sum();
        let all = whole.get("samples").copied().unwrap_or_default();
        if rows != all {
            return invalid(format!(
                "`groups.{side}`: {rows} of {all} rows belong to a group by `{column}`: write the field into each row"
            ));
        }
    }
    if !before.keys().eq(after.keys()) {
        return invalid("`groups.before` and `groups.after` are not of the same groups".to_owned());
    }
    for (name, score) in after {
        let samples = score.get("samples").copied().unwrap_or_default();
        if samples < asked.min_samples as f64 {
            return invalid(format!(
                "the group `{name}` by `{column}` has {samples} rows, {} are needed to say anything of it",
                asked.min_samples
            ));
        }
        if let Some(bound) = asked.bounds.iter().find(|bound| !score.contains_key(&bound.metric)) {
            return invalid(format!("`{}` of the group `{name}` is missing", bound.metric));
        }
    }
    Ok(after)
}

/// What evidence states of groups: the column, the bounds, and of each group its rows and each metric that is bound.
pub fn group_facts(metrics: &ModelMetrics, asked: &GroupSettings) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::from([("group_column".to_owned(), asked.column.clone())]);
    let bounds = asked.stated();
    let stated: BTreeSet<&str> = bounds.keys().copied().chain(["samples"]).collect();
    for (metric, bound) in &bounds {
        facts.insert(format!("group_bound.{metric}"), bound.clone());
    }
    for (name, score) in metrics.groups.iter().flat_map(|groups| &groups.after) {
        for (metric, value) in score.iter().filter(|(metric, _)| stated.contains(metric.as_str())) {
            facts.insert(format!("group.{name}.{metric}"), value.to_string());
        }
    }
    facts
}

/// The verdict in in-toto's words.
pub fn test_result(plan: &RunPlan, metrics: &ModelMetrics) -> TestResult {
    let evaluation = &plan.request.evaluation;
    let data = &evaluation.data;
    let between_groups = evaluation.groups.iter().flat_map(|groups| {
        let of_groups = move |metric: &str| {
            let all = metrics.groups.iter().flat_map(|groups| &groups.after);
            let told = all.filter_map(|(name, score)| Some(format!("{name} {}", score.get(metric)?)));
            told.collect::<Vec<_>>().join(", ")
        };
        groups.bounds.iter().map(move |bound| {
            let (metric, column, limit) = (&bound.metric, &groups.column, bound.limit);
            format!("{metric} by {column}: {} have {limit}", of_groups(metric))
        })
    });
    let passed = evaluation.thresholds.iter().map(|threshold| {
        let measured = metrics.after.get(&threshold.metric).copied().unwrap_or(f64::NAN);
        format!("{}: {measured} is {}", threshold.metric, threshold.bound)
    });
    TestResult {
        result: PASSED.to_owned(),
        configuration: vec![
            ResourceDescriptor::new("evaluation data", data.uri.to_string(), data.sha256.as_str())
                .annotated("s3_version_id", &data.version_id),
            ResourceDescriptor::new(
                "image",
                &plan.image.uri,
                plan.image.digest.trim_start_matches("sha256:"),
            ),
        ],
        passed_tests: passed.chain(between_groups).collect(),
        warned_tests: Vec::new(),
        failed_tests: Vec::new(),
    }
}

fn believe(side: &str, score: &Score) -> Result<(), EvaluateError> {
    let invalid = |reason: String| Err(EvaluateError::MetricsInvalid(format!("`{side}`: {reason}")));
    if let Some((name, value)) = score.iter().find(|(_, value)| !value.is_finite()) {
        return invalid(format!("`{name}` is {value}"));
    }
    match score.get("samples") {
        Some(samples) if *samples >= 1.0 => {}
        Some(samples) => return invalid(format!("`samples` is {samples}")),
        None => return invalid("`samples` is missing".to_owned()),
    }
    if let Some(loss) = score.get("eval_loss") {
        if *loss < 0.0 {
            return invalid(format!("`eval_loss` is {loss}, and a loss is not negative"));
        }
        if let Some(perplexity) = score.get("perplexity")
            && (loss.exp() - perplexity).abs() > PERPLEXITY_TOLERANCE * perplexity.abs()
        {
            return invalid(format!("`perplexity` is {perplexity}, and exp(eval_loss) is {}", loss.exp()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn asked(thresholds: Value) -> EvaluationRequest {
        serde_json::from_value(json!({
            "data": {"uri": "s3://w/e.jsonl", "version_id": "1", "sha256": "0".repeat(64)},
            "instance_type": "ml.m5.xlarge", "instance_count": 1, "volume_gib": 30, "max_runtime_seconds": 60,
            "thresholds": thresholds,
        }))
        .unwrap()
    }

    fn thresholds() -> EvaluationRequest {
        asked(json!([{"metric": "perplexity", "below": 20.0}, {"metric": "eval_loss", "below": 1.5}]))
    }

    fn groups(column: &str, min_samples: u64) -> EvaluationRequest {
        let groups = json!({"column": column, "min_samples": min_samples, "bounds": [
            {"metric": "eval_loss", "max_difference": 0.5}, {"metric": "eval_loss", "min_ratio": 0.1}]});
        EvaluationRequest { groups: serde_json::from_value(groups).unwrap(), ..thresholds() }
    }

    fn score(loss: f64) -> Value {
        json!({"eval_loss": loss, "perplexity": loss.exp(), "samples": 100, "tokens": 5000})
    }

    fn metrics(after: Value) -> Value {
        json!({"schema": METRICS_SCHEMA, "before": score(3.0), "after": after})
    }

    fn verdict(metrics: &Value) -> Result<ModelMetrics, EvaluateError> {
        judge(metrics.to_string().as_bytes(), &thresholds())
    }

    #[test]
    fn good_metrics_pass_and_each_breach_is_told() {
        verdict(&metrics(score(1.0))).unwrap();
        let refusal = verdict(&metrics(score(3.0))).unwrap_err().to_string();
        assert!(refusal.contains("perplexity") && refusal.contains("eval_loss"), "{refusal}");
        assert!(matches!(verdict(&metrics(score(1.5))), Err(EvaluateError::ThresholdBreached(_))));
    }

    #[test]
    fn trap_metrics_nan_infinity_negative_missing_and_zero_samples_refuse() {
        for (field, value) in [
            ("eval_loss", json!(-0.1)),
            ("eval_loss", Value::Null),
            ("eval_loss", json!("1.0")),
            ("samples", json!(0)),
            ("samples", Value::Null),
        ] {
            let mut after = score(1.0);
            after[field] = value.clone();
            let verdict = verdict(&metrics(after));
            assert!(matches!(verdict, Err(EvaluateError::MetricsInvalid(_))), "{field}={value}: {verdict:?}");
        }
        let mut missing = score(1.0);
        missing.as_object_mut().unwrap().remove("perplexity");
        assert!(matches!(verdict(&metrics(missing)), Err(EvaluateError::MetricsInvalid(_))));
        for text in ["NaN", "Infinity", "1e999"] {
            let json = metrics(score(1.0))
                .to_string()
                .replace("\"eval_loss\":1.0", &format!("\"eval_loss\":{text}"));
            assert!(
                matches!(judge(json.as_bytes(), &thresholds()), Err(EvaluateError::MetricsInvalid(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn trap_metrics_exp_loss_must_agree_with_perplexity() {
        let mut after = score(1.0);
        after["perplexity"] = json!(2.0);
        assert!(matches!(verdict(&metrics(after)), Err(EvaluateError::MetricsInvalid(_))));
    }

    #[test]
    fn no_threshold_and_another_data_set_refuse() {
        assert!(judge(metrics(score(1.0)).to_string().as_bytes(), &asked(json!([]))).is_err());
        let mut after = score(1.0);
        after["samples"] = json!(99);
        assert!(matches!(verdict(&metrics(after)), Err(EvaluateError::MetricsInvalid(_))));
    }

    /// As the job writes them: north and south, of `column`.
    fn grouped(north: f64, south: f64, rows: u64) -> Value {
        let of = |loss: f64, rows: u64| json!({"eval_loss": loss, "perplexity": loss.exp(), "samples": rows});
        let mut metrics = metrics(score(1.0));
        metrics["groups"] = json!({"column": "region",
            "before": {"north": of(3.0, 100 - rows), "south": of(3.0, rows)},
            "after": {"north": of(north, 100 - rows), "south": of(south, rows)}});
        metrics
    }

    #[test]
    fn a_group_that_is_served_worse_breaches_by_name_with_values_and_bound() {
        let verdict = |metrics: &Value| judge(metrics.to_string().as_bytes(), &groups("region", 20));
        let passed = verdict(&grouped(0.9, 1.2, 40)).unwrap();
        let facts = group_facts(&passed, &groups("region", 20).groups.unwrap());
        assert_eq!(facts["group.south.eval_loss"], "1.2");
        assert_eq!(facts["group_bound.eval_loss"], "a difference of at most 0.5 and a ratio of at least 0.1");
        let refusal = verdict(&grouped(0.5, 1.2, 40)).unwrap_err();
        assert!(matches!(refusal, EvaluateError::ThresholdBreached(_)), "{refusal}");
        assert_eq!(
            refusal.to_string(),
            "eval_loss is 1.2000 for the group `south` and 0.5000 for the group `north`, it may have a difference of at most 0.5"
        );
        // A threshold that is breached beside is told with it.
        let mut both = grouped(0.5, 1.2, 40);
        both["after"] = score(2.0);
        let told = verdict(&both).unwrap_err().to_string();
        assert!(told.contains("it must be < 1.5") && told.contains("`south`"), "{told}");
    }

    #[test]
    fn groups_that_are_missing_partial_small_or_impossible_are_refused() {
        let invalid = |metrics: &Value, asked: &EvaluationRequest, told: &str| {
            let refusal = judge(metrics.to_string().as_bytes(), asked).unwrap_err();
            assert!(matches!(refusal, EvaluateError::MetricsInvalid(_)), "{told}: {refusal}");
            assert!(refusal.to_string().contains(told), "{told}: {refusal}");
        };
        let asked = groups("region", 20);
        invalid(&metrics(score(1.0)), &asked, "wrote no `groups`");
        invalid(&grouped(1.0, 1.0, 40), &groups("language", 20), "`language` was asked for");
        invalid(&grouped(1.0, 1.0, 19), &asked, "the group `south` by `region` has 19 rows, 20 are needed");
        let mut unknown = grouped(1.0, 1.0, 40);
        (unknown["groups"]["before"], unknown["groups"]["after"]) = (json!({}), json!({}));
        invalid(&unknown, &asked, "no row of the evaluation data has a field `region`");
        let change = |pointer: &str, value: Value, told: &str| {
            let mut changed = grouped(1.0, 1.0, 40);
            *changed.pointer_mut(pointer).unwrap() = value;
            invalid(&changed, &asked, told);
        };
        change("/groups/after/south/samples", json!(39), "99 of 100 rows");
        change("/groups/after/south/eval_loss", json!(-1), "not negative");
        change("/groups/after/south/perplexity", json!(9), "exp(eval_loss)");
        change("/groups/after/south", json!({"samples": 40}), "`eval_loss` of the group `south` is missing");
        change("/groups/after", json!({"north": {"samples": 100, "eval_loss": 1.0}}), "nothing to compare");
        let text = grouped(1.0, 1.0, 40).to_string().replace("\"samples\":40", "\"samples\":NaN");
        assert!(matches!(judge(text.as_bytes(), &asked), Err(EvaluateError::MetricsInvalid(_))));
    }

    proptest::proptest! {
        #[test]
        fn groups_pass_exactly_when_every_bound_is_kept(north in 0.0..1.4_f64, south in 0.0..1.4_f64) {
            let passed = judge(grouped(north, south, 40).to_string().as_bytes(), &groups("region", 20)).is_ok();
            let (least, most) = (north.min(south), north.max(south));
            proptest::prop_assert_eq!(passed, most - least <= 0.5 && least / most >= 0.1);
        }

        #[test]
        fn whatever_the_job_writes_never_passes_by_panicking(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = judge(&bytes, &thresholds());
        }

        #[test]
        fn what_passes_keeps_every_bound(loss in -1.0..5.0_f64) {
            let passed = verdict(&metrics(score(loss))).is_ok();
            proptest::prop_assert_eq!(passed, (0.0..1.5).contains(&loss));
        }
    }
}
