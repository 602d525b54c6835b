//! Traffic drifts, and the next version serves: from the monitor's verdict to a record that names what caused it.

use std::fs;

use evidence::{Record, RunStatus, TrustRoot, verify_run};
use integration_tests::{Demo, Finished, Kept, root};
use local::wire::Wire;
use serde_json::Value;

#[test]
fn drift_starts_a_run_whose_record_names_the_event_and_the_report() {
    let folder = tempfile::tempdir().expect("a folder");
    let export = folder.path().join("d");
    let watched = root().join("integration-tests/watched.tfvars");
    let arguments =
        ["--drift", "--export", &export.display().to_string(), "--var-file", &watched.display().to_string()];
    let kept = Demo::whole(&arguments).keep();
    let alarm = state_of_the_alarm(&kept);
    let summary = kept.summary.clone();
    let (_, output) = kept.interrupt();
    let finished = Finished { code: None, summary, output };
    assert_eq!(finished.summary["status"], "SUCCEEDED", "{}", finished.output);
    // What the monitor logs is a metric, and the deployed alarm looks at it.
    assert!(alarm.contains("<StateValue>ALARM</StateValue>"), "{alarm}");
    for told in ["stable over", "model quality: stable by 150 labels", "drifted over"] {
        assert!(finished.output.contains(told), "{told}: {}", finished.output);
    }
    assert!(finished.summary["endpoint"]["answer"].is_string(), "{}", finished.output);

    let files = read(&export);
    let trust = fs::read(folder.path().join("d.trust.json")).expect("the trust root");
    let verified = verify_run(&files, &TrustRoot::parse(&trust).expect("a trust root")).expect("it verifies");
    let Record { status, inputs, .. } = verified.record;
    assert_eq!(status, RunStatus::Succeeded);
    let event = inputs.get("drift_event").expect("the record names the event");
    assert!(finished.output.contains(&format!("event {event} started")), "{}", finished.output);
    assert!(inputs.get("drift_report").is_some_and(|digest| digest.len() == 64), "{inputs:?}");
    let request: Value = serde_json::from_slice(&files["admit-run/request.json"]).expect("the request");
    let thresholds = request["evaluation"]["thresholds"].as_array().expect("thresholds");
    let below = |value: &Value| value["below"].as_f64().is_some_and(|below| below < 0.5);
    assert!(
        thresholds.iter().any(|one| one["metric"] == "eval_loss" && below(one)),
        "the champion sets no bound: {thresholds:?}"
    );
}

fn state_of_the_alarm(kept: &Kept) -> String {
    let root = Wire::new(&kept.connection.endpoint, &kept.connection.region, "test");
    let parameters = [("AlarmNames.member.1", "lockstep-endpoint-tiny-lm-drift")];
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let asked = runtime.block_on(root.query("monitoring", "2010-08-01", "DescribeAlarms", &parameters));
    asked.expect("the alarm is described")
}

fn read(directory: &std::path::Path) -> evidence::Files {
    let mut files = evidence::Files::new();
    for folder in fs::read_dir(directory).expect("it can be listed").flatten() {
        let folder = folder.path();
        let within: Vec<_> = if folder.is_dir() {
            fs::read_dir(&folder).expect("it can be listed").flatten().map(|entry| entry.path()).collect()
        } else {
            vec![folder]
        };
        for path in within {
            let name = path.strip_prefix(directory).expect("below it").to_string_lossy().into_owned();
            files.insert(name, fs::read(path).expect("it can be read"));
        }
    }
    files
}
