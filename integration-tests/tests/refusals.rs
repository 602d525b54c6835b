//! Each gate refuses what it is there for: the shipped ASL, binaries and Terraform, run as a user runs them.

use integration_tests::{Demo, Finished};

/// What holds after every refusal: the name, exit 3, nothing left running, one record.
fn refused(sabotage: &str, error: &str) -> Finished {
    let finished = Demo::new(&["--break", sabotage]).run();
    let Finished { code, summary, output } = &finished;
    assert_eq!(summary["status"], "FAILED", "{output}");
    assert_eq!(summary["error"], error, "{output}");
    assert_eq!(*code, Some(3), "{output}");
    assert_eq!(summary["left"]["jobs_running"], 0, "{output}");
    assert!(output.contains("/record.json"), "no sealed record is told of:\n{output}");
    let sealed = summary["states"].as_array().into_iter().flatten().find(|state| state["name"] == "SealRun");
    assert_eq!(sealed.expect("SealRun ran")["status"], "SUCCEEDED", "{output}");
    finished
}

fn refused_without_endpoint(sabotage: &str, error: &str) {
    let finished = refused(sabotage, error);
    assert_eq!(finished.summary["left"]["endpoints"], 0, "{}", finished.output);
    assert_eq!(finished.summary["left"]["models"], 0, "{}", finished.output);
}

#[test]
fn tampered_weights_end_in_digest_mismatch() {
    refused_without_endpoint("tampered-weights", "DigestMismatch");
}

#[test]
fn a_file_that_is_listed_and_absent_ends_in_manifest_incomplete() {
    refused_without_endpoint("missing-file", "ManifestIncomplete");
}

#[test]
fn a_pickle_in_disguise_ends_in_unsafe_content() {
    refused_without_endpoint("pickle-in-disguise", "UnsafeContent");
}

#[test]
fn a_critical_finding_ends_in_scan_blocked() {
    refused_without_endpoint("critical-finding", "ScanBlocked");
}

#[test]
fn a_scan_that_never_finishes_ends_in_scan_incomplete() {
    refused_without_endpoint("scan-never-finishes", "ScanIncomplete");
}

#[test]
fn a_training_crash_ends_in_training_failed_and_names_the_cause() {
    let finished = refused("training-crash", "TrainingFailed");
    assert!(finished.output.contains("learning_rate"), "{}", finished.output);
}

#[test]
fn bad_metrics_end_in_threshold_breached() {
    refused_without_endpoint("bad-metrics", "ThresholdBreached");
}

#[test]
fn a_rejected_package_ends_in_approval_rejected() {
    refused_without_endpoint("rejected", "ApprovalRejected");
}

#[test]
fn a_request_that_is_looser_than_policy_ends_in_policy_violation() {
    let finished = refused("loose-request", "PolicyViolation");
    assert!(finished.output.contains("evaluation.thresholds"), "{}", finished.output);
}

#[test]
fn trap_deployment_a_model_that_answers_wrongly_is_found_on_a_temporary_endpoint() {
    let finished = refused("wrong-answers", "SmokeTestFailed");
    for told in
        ["question 1: /0/generated_text contains", "question 2: an answer, and the container sent status 415"]
    {
        assert!(finished.output.contains(told), "{told}: {}", finished.output);
    }
    assert_eq!(finished.summary["left"]["endpoints"], 0, "{}", finished.output);
    assert_eq!(finished.summary["left"]["models"], 0, "{}", finished.output);
}

#[test]
fn a_run_that_could_cost_more_than_its_request_allows_ends_in_cost_cap_exceeded() {
    let finished = refused("too-dear", "CostCapExceeded");
    for told in [
        "could cost 0.46 USD",
        "allows 0.01",
        "training 0.23 USD",
        "evaluation 0.12 USD",
        "smoke test 0.12 USD",
    ] {
        assert!(finished.output.contains(told), "{told}: {}", finished.output);
    }
}

/// What it left to go on from stays, for the bucket's lifecycle to forget.
#[test]
fn a_job_whose_spot_capacity_does_not_come_back_ends_in_training_stopped() {
    let finished = refused("spot-never-returns", "TrainingStopped");
    assert!(finished.output.contains("MaxWaitTimeExceeded"), "{}", finished.output);
    assert_eq!(finished.summary["left"]["endpoints"], 0, "{}", finished.output);
    assert_eq!(finished.summary["left"]["models"], 0, "{}", finished.output);
}

#[test]
fn trap_deployment_an_endpoint_that_rolls_back_keeps_serving_what_it_served() {
    let finished = refused("endpoint-rolls-back", "DeploymentRolledBack");
    assert_eq!(finished.summary["endpoint"]["status"], "InService", "{}", finished.output);
    // The good run's model and endpoint, and nothing of the one that was rolled back.
    assert_eq!(finished.summary["left"]["models"], 1, "{}", finished.output);
    assert_eq!(finished.summary["left"]["endpoints"], 1, "{}", finished.output);
}

/// The canary takes half of the traffic for as long as it takes the alarm to fire, and none after.
#[test]
fn trap_deployment_a_canary_that_answers_errors_is_undone_and_the_old_version_serves_on() {
    let finished = refused("bad-canary", "DeploymentRolledBack");
    assert_eq!(finished.summary["endpoint"]["status"], "InService", "{}", finished.output);
    assert!(finished.summary["endpoint"]["answer"].is_string(), "{}", finished.output);
    let told =
        finished.output.lines().find(|line| line.contains("questions were answered")).expect("a tally");
    let counts: Vec<usize> =
        told.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
    assert!(counts[0] > counts[1] && counts[1] > 0, "{told}");
    assert_eq!(finished.summary["left"]["models"], 1, "{}", finished.output);
}
