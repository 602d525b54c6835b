//! Do the metrics pass? The job that trains does not grade itself, and the job that grades is not believed
//! blindly either.

use contract::{METRICS_SCHEMA, ModelMetrics, RunPlan, Score, Threshold};
use evidence::{PASSED, ResourceDescriptor, TestResult};

use crate::error::EvaluateError;

/// exp(loss) and perplexity may differ by this much, relatively: they are computed in different precision.
const PERPLEXITY_TOLERANCE: f64 = 1e-3;

/// Reads and judges the metrics.
///
/// # Errors
/// `MetricsInvalid`, or `ThresholdBreached` with every breach.
pub fn judge(json: &[u8], thresholds: &[Threshold]) -> Result<ModelMetrics, EvaluateError> {
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
    if breaches.is_empty() { Ok(metrics) } else { Err(EvaluateError::ThresholdBreached(breaches)) }
}

/// The verdict in in-toto's words.
pub fn test_result(plan: &RunPlan, metrics: &ModelMetrics, thresholds: &[Threshold]) -> TestResult {
    let data = &plan.request.evaluation.data;
    let passed = thresholds.iter().map(|threshold| {
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
        passed_tests: passed.collect(),
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
    use contract::Bound;
    use serde_json::{Value, json};

    fn thresholds() -> Vec<Threshold> {
        vec![
            Threshold { metric: "perplexity".into(), bound: Bound::Below(20.0) },
            Threshold { metric: "eval_loss".into(), bound: Bound::Below(1.5) },
        ]
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
        assert!(judge(metrics(score(1.0)).to_string().as_bytes(), &[]).is_err());
        let mut after = score(1.0);
        after["samples"] = json!(99);
        assert!(matches!(verdict(&metrics(after)), Err(EvaluateError::MetricsInvalid(_))));
    }

    proptest::proptest! {
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
