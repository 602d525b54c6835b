//! A model that one account deployed, promoted into another, which verifies it again and trains nothing.

use std::{fs, path::Path};

use aws_sdk_sfn::types::ExecutionStatus;
use integration_tests::{Demo, Evidence, Kept, LocalAccount, PATIENCE, lockstep, promote, said};
use local::{Connection, Identity};
use serde_json::{Value, json};

#[test]
fn a_run_is_promoted_where_its_account_is_trusted_and_nowhere_else() {
    let dev: Kept = Demo::new(&[]).keep();
    let run = dev.summary["run_id"].as_str().expect("a run").to_owned();
    let staging = LocalAccount::beside(
        &dev,
        &json!({ "network": null, "observability": null, "dead_letters": false, "bake_seconds": 0,
            "promotes_from": [trust_root(&dev.connection, &run)] }),
    );
    let (from, to) = (&dev.connection, &staging.connection);

    let (code, told) = promote(&run, from, to);
    assert_eq!(code, Some(0), "{told}");
    let promoted =
        told.split("run ").nth(2).and_then(|rest| rest.split(' ').next()).expect("a run").to_owned();
    let shown = lockstep(&["verify", &promoted, "--endpoint-url", &to.endpoint]);
    assert!(
        shown.status.success() && said(&shown).contains(&format!("taken over from run {run}")),
        "{}",
        said(&shown)
    );
    let calls = fs::read_to_string(to.state_dir.join("calls.jsonl")).expect("the calls");
    assert!(calls.contains("CreateProcessingJob"), "nothing was evaluated there");
    assert!(!calls.contains("CreateTrainingJob"), "something was trained there");

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for _ in 0..2 {
        let (code, told) = promote(&run, from, to);
        assert_eq!(code, Some(0), "{told}");
    }
    runtime.block_on(what_no_rollback_goes_back_to_is_removed(to, &promoted));

    let (code, told) = promote(&promoted, to, from);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("PromotionRefused") && told.contains("promotes_from"), "{told}");

    runtime.block_on(async {
        let account = Evidence::of(to, Identity::Submitter).await;
        what_was_touched_on_its_way_is_refused(&account, from, to, &run).await;
    });
}

/// Two versions came since, and in this account a version has baked at once: the first is removed, the one before the
/// latest stays.
async fn what_no_rollback_goes_back_to_is_removed(to: &Connection, first: &str) {
    let account = Evidence::of(to, Identity::Submitter).await;
    let configs = async || {
        let listed = account.sagemaker.list_endpoint_configs().send().await.expect("the configurations");
        let names = listed.endpoint_configs().iter().filter_map(|config| config.endpoint_config_name());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let first = format!("lockstep-{first}");
    let begun = std::time::Instant::now();
    loop {
        let left = configs().await;
        if !left.contains(&first) {
            assert_eq!(left.len(), 2, "{left:?}");
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{left:?}");
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

/// What `lockstep export` hands on beside the evidence.
fn trust_root(account: &Connection, run: &str) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let export = folder.path().join("d");
    let exported = lockstep(&["export", run, &path(&export), "--endpoint-url", &account.endpoint]);
    assert!(exported.status.success(), "{}", said(&exported));
    let trust = fs::read(folder.path().join("d.trust.json")).expect("the trust root");
    serde_json::from_slice(&trust).expect("JSON")
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// A carrier may replace what they carry; each way ends in a refusal that says so.
async fn what_was_touched_on_its_way_is_refused(
    account: &Evidence,
    from: &Connection,
    to: &Connection,
    run: &str,
) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("request.json");
    let written = lockstep(&[
        "promote",
        run,
        "--endpoint-url",
        &from.endpoint,
        "--to-endpoint-url",
        &to.endpoint,
        "--write",
        &path(&file),
    ]);
    assert!(written.status.success(), "{}", said(&written));
    let request: Value = serde_json::from_slice(&fs::read(&file).expect("a request")).expect("JSON");
    let carried = format!("promotions/{}/{run}/", to.submitter.user_id);

    let mut other = request.clone();
    other["training"]["hyperparameters"]["epochs"] = json!("99");
    refused(account, to, "other-training.json", &other, "another training").await;

    let mut other = request.clone();
    other["promotion"]["evidence_sha256"] = json!("0".repeat(64));
    refused(account, to, "other-digest.json", &other, "promote again").await;

    let intake = account.bucket("intake").await;
    let weights = format!("{carried}artifact/model.safetensors");
    let put = account.s3.put_object().bucket(&intake).key(&weights).body(b"other weights".to_vec().into());
    put.send().await.expect("the carrier may write there");
    refused(account, to, "other-weights.json", &request, "the promoted run sealed").await;
}

async fn refused(account: &Evidence, to: &Connection, name: &str, request: &Value, why: &str) {
    let before = account.executions().await.len();
    let intake = account.bucket("intake").await;
    let key = format!("requests/{}/{name}", to.submitter.user_id);
    let body = request.to_string().into_bytes().into();
    account.s3.put_object().bucket(intake).key(key).body(body).send().await.expect("the upload");
    let execution = account.wait_for_executions(before + 1).await[0].execution_arn().to_owned();
    let (status, _) = account.wait_for_end(&execution).await;
    let described =
        account.sfn.describe_execution().execution_arn(&execution).send().await.expect("it ended");
    assert_eq!(status, ExecutionStatus::Failed, "{name}");
    assert_eq!(described.error(), Some("PromotionRefused"), "{name}: {:?}", described.cause());
    assert!(described.cause().is_some_and(|cause| cause.contains(why)), "{name}: {:?}", described.cause());
}
