//! An environment is gone, and another, made by the shipped infrastructure, serves what it served: from copies alone, verified.

use std::{fs, time::Instant};

use integration_tests::{Demo, Evidence, Kept, LocalAccount, Replicas, approving, lockstep, replicate, said};
use local::{Connection, Identity};
use serde_json::{Value, json};

/// What the demo asks its endpoint.
const QUESTION: &str = "Q: Which error ends a run of tiny-lm when a file hides a pickle?\nA:";

#[test]
fn what_served_serves_again_from_copies_alone() {
    let begun = Instant::now();
    let first: Kept = Demo::new(&[]).keep();
    let run = first.summary["run_id"].as_str().expect("a run").to_owned();
    let answer = first.summary["endpoint"]["answer"].as_str().expect("an answer").to_owned();
    let trust = trust_root(&first.connection, &run);
    phase("the first environment serves", begun);

    let begun = Instant::now();
    let second = LocalAccount::beside(
        &first,
        &json!({ "network": null, "observability": null, "dead_letters": false, "promotes_from": [trust] }),
    );
    let to = second.connection.clone();
    phase("the second environment is made", begun);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let begun = Instant::now();
    let replicas = runtime.block_on(replicate(&first.connection, &to));
    phase("copied", begun);
    let gone = first.connection.endpoint.clone();
    first.interrupt();
    assert!(reqwest_fails(&gone), "the first environment is still there");

    let account = runtime.block_on(Evidence::of(&to, Identity::Submitter));
    let weights = runtime.block_on(tamper_with_weights(&account, &replicas.work));
    let (code, told) = recover(&to, &replicas, &[]);
    assert_eq!(code, Some(4), "{told}");
    assert!(told.contains("it was changed after it was sealed"), "{told}");
    runtime.block_on(async {
        let (key, version) = weights;
        let delete = account.s3.delete_object().bucket(&replicas.work).key(key).version_id(version);
        delete.send().await.expect("the copy is as it was");
    });
    assert!(runtime.block_on(account.executions()).is_empty(), "a run was started with what does not verify");

    let begun = Instant::now();
    let (code, told) = recover(&to, &replicas, &["--question", QUESTION]);
    assert_eq!(code, Some(0), "{told}");
    phase("recovered, approval included", begun);
    for line in told.lines().filter(|line| line.ends_with(" s")) {
        phase(line.trim(), begun);
    }
    assert!(told.contains(&format!("tiny-lm: run {run}")) && told.contains("verifies"), "{told}");
    assert!(told.contains(&format!("tiny-lm answers: {answer}")), "`{answer}` was answered before: {told}");
    let calls = fs::read_to_string(to.state_dir.join("calls.jsonl")).expect("the calls");
    assert!(!calls.contains("CreateTrainingJob"), "something was trained");

    runtime.block_on(async {
        let key = format!("runs/{run}/seal-artifact/manifest.json");
        let put = account.s3.put_object().bucket(&replicas.evidence).key(key).body(b"{}".to_vec().into());
        put.send().await.expect("somebody writes the copy");
    });
    let (code, told) = recover(&to, &replicas, &["--dry-run"]);
    assert_eq!(code, Some(4), "{told}");
    assert!(told.contains("was altered"), "{told}");
    let (code, told) = recover(&to, &replicas, &["--endpoint", "another"]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("no run in"), "{told}");
}

#[expect(clippy::print_stdout, reason = "the drill's times are for whoever runs it")]
fn phase(what: &str, begun: Instant) {
    println!("{what}: {:.1} s", begun.elapsed().as_secs_f64());
}

fn reqwest_fails(endpoint: &str) -> bool {
    let address = endpoint.trim_start_matches("http://").trim_end_matches('/');
    std::net::TcpStream::connect(address).is_err()
}

fn recover(to: &Connection, replicas: &Replicas, more: &[&str]) -> (Option<i32>, String) {
    let all = [
        "recover",
        "--evidence-bucket",
        &replicas.evidence,
        "--work-bucket",
        &replicas.work,
        "--endpoint-url",
        &to.endpoint,
    ];
    approving(&[&all[..], more].concat(), to)
}

/// Other bytes at the key of the model's weights; the key and their version.
async fn tamper_with_weights(account: &Evidence, bucket: &str) -> (String, String) {
    let listed = account.s3.list_objects_v2().bucket(bucket).prefix("artifacts/").send().await;
    let listed = listed.expect("the copies can be listed");
    let keys = listed.contents().iter().filter_map(|object| object.key());
    let key = keys.into_iter().find(|key| key.ends_with(".safetensors")).expect("weights").to_owned();
    let put = account.s3.put_object().bucket(bucket).key(&key).body(b"other weights".to_vec().into());
    let put = put.send().await.expect("somebody writes the copy");
    (key, put.version_id.expect("a version"))
}

/// As the receiving environment is told it: from the first one's infrastructure, and never from the copies.
fn trust_root(account: &Connection, run: &str) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let export = folder.path().join("d").display().to_string();
    let exported = lockstep(&["export", run, &export, "--endpoint-url", &account.endpoint]);
    assert!(exported.status.success(), "{}", said(&exported));
    let trust = fs::read(folder.path().join("d.trust.json")).expect("the trust root");
    serde_json::from_slice(&trust).expect("JSON")
}
