//! `lockstep rerun`: the same inputs again, from a run's own record, and whether the same came out.

use std::collections::BTreeMap;

use contract::{Gate, ModelMetrics, Request, RunId, RunPlan, Score};
use evidence::Files;
use serde_json::Value;

use crate::args::{RerunArgs, WatchArgs, Watched};
use crate::connection::Target;
use crate::demo::Ended;
use crate::error::Error;
use crate::run_files;
use crate::screen::Screen;
use crate::table;
use crate::trigger;
use crate::verify;
use crate::watch;

/// Where the evaluation's metrics lie in a run's evidence.
const METRICS: &str = "evaluate-model/metrics.json";

/// Repeats a run and compares the metrics of both.
///
/// # Errors
/// [`Error::Broken`] when the run's evidence does not hold; [`Error::NotRepeatable`] when it was never admitted; a failing call.
pub(crate) async fn run(args: &RerunArgs, account: &Target, screen: &Screen) -> Result<Ended, Error> {
    let s3 = account.s3();
    let bucket = run_files::bucket(&s3, args.evidence_bucket.as_deref()).await?;
    // What is repeated must be what was run.
    let (files, verified) = verify::deployed(&s3, &bucket, &args.run).await?;
    let commit = verified.chain.fact(Gate::SealModel, "commit").ok().map(str::to_owned);
    let request = again(&args.run, &files, commit, &trigger::nonce("rerun"))?;
    let started = trigger::start(account, "rerun", &request, screen).await?;
    let repeated = started.run_id;
    screen.say(&format!(
        "  run {repeated} repeats {}; if it waits for approval: lockstep approve {repeated} --reason \"...\"",
        args.run
    ));
    let target = Watched::Execution(started.execution);
    let watched = WatchArgs { target, state_machine: None, account: args.account.clone() };
    let has_succeeded = watch::watch(&watched, account, screen).await?;

    let repeated = run_files::from_bucket(&s3, &bucket, &repeated).await?;
    screen.heading("Metrics");
    screen.say(&table::compared(&compared(&score(&files), &score(&repeated))));
    Ok(if has_succeeded { Ended::Succeeded } else { Ended::Refused })
}

/// The request of a run with everything pinned that was resolved then: commit and image.
fn again(run: &RunId, files: &Files, commit: Option<String>, nonce: &str) -> Result<Value, Error> {
    let not_repeatable = |reason: String| Error::NotRepeatable { run_id: run.to_string(), reason };
    let plan = files.get("admit-run/plan.json");
    let plan = plan.ok_or_else(|| not_repeatable("it was never admitted".to_owned()))?;
    let plan: RunPlan = serde_json::from_slice(plan).map_err(|error| not_repeatable(error.to_string()))?;
    let mut request: Request = plan.request;
    request.nonce = Some(nonce.to_owned());
    request.image = plan.image.uri;
    if let Some(commit) = commit {
        request.source.revision = commit;
    }
    serde_json::to_value(&request).map_err(|error| not_repeatable(error.to_string()))
}

/// The candidate's metrics; none of a run that was refused before they were judged.
fn score(files: &Files) -> Score {
    let metrics = files.get(METRICS).and_then(|bytes| serde_json::from_slice::<ModelMetrics>(bytes).ok());
    metrics.map(|metrics| metrics.after).unwrap_or_default()
}

/// Each metric of either run, then and now.
fn compared(then: &Score, now: &Score) -> BTreeMap<String, (Option<f64>, Option<f64>)> {
    let names = then.keys().chain(now.keys());
    names.map(|name| (name.clone(), (then.get(name).copied(), now.get(name).copied()))).collect()
}

#[cfg(test)]
mod tests {
    use contract::Sha256Digest;

    use super::*;

    #[test]
    fn a_rerun_pins_what_was_resolved_and_is_another_run() {
        let request: Value = serde_json::from_slice(include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../shared/testkit/fixtures/request.json"
        )))
        .unwrap();
        let plan = serde_json::json!({
            "run_id": RunId::of(&["x"]), "execution_arn": "a", "request": request,
            "request_sha256": Sha256Digest::of("r"), "policy_sha256": Sha256Digest::of("p"), "submitter": null,
            "image": {"registry_id": "1", "repository": "r", "digest": "sha256:1", "uri": "r@sha256:1"}, "cost_usd": 1.0,
        });
        let files = Files::from([("admit-run/plan.json".to_owned(), plan.to_string().into_bytes())]);
        let run = RunId::of(&["x"]);
        let commit = "a".repeat(40);
        let again = again(&run, &files, Some(commit.clone()), "rerun-1").unwrap();
        assert_eq!(again["source"]["revision"], commit);
        assert_eq!((&again["image"], &again["nonce"]), (&"r@sha256:1".into(), &"rerun-1".into()));
        assert_eq!(again["training"]["data"], request["training"]["data"]);
        let refused = super::again(&run, &Files::new(), None, "n").unwrap_err();
        assert!(refused.to_string().contains("never admitted"));
    }

    #[test]
    fn a_metric_that_only_one_run_has_is_shown() {
        let score = |name: &str, value| Score::from([(name.to_owned(), value)]);
        let rows = compared(&score("a", 1.0), &score("b", 2.0));
        assert_eq!(rows["a"], (Some(1.0), None));
        assert_eq!(rows["b"], (None, Some(2.0)));
    }
}
