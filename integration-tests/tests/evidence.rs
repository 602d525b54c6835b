//! What a run's evidence is worth: it verifies as it was sealed and not otherwise, and nothing is deployed on evidence
//! that was touched between two states.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use aws_sdk_sagemaker::types::{Direction, TrialComponentParameterValue};
use aws_sdk_sfn::types::ExecutionStatus;
use contract::{Gate, RunId};
use evidence::{Files, TrustRoot, link_path, verify_run};
use integration_tests::{Demo, Evidence, lockstep, root, said};
use local::{
    Connection, Identity, Silent,
    python::{Environment, MODEL_SIGNING},
};
use serde_json::{Value, json};

fn read(directory: &Path) -> Files {
    let mut files = Files::new();
    let mut open = vec![directory.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("it can be listed").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path.strip_prefix(directory).expect("below it").to_string_lossy().into_owned();
            files.insert(name, fs::read(&path).expect("it can be read"));
        }
    }
    files
}

/// An export that was written anew, with its trusted keys beside it.
struct Copy(tempfile::TempDir);

impl Copy {
    fn of(files: &Files, trust: &[u8]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, bytes) in files {
            let place = folder.path().join("d").join(path);
            fs::create_dir_all(place.parent().expect("a folder")).expect("a folder");
            fs::write(place, bytes).expect("a file");
        }
        fs::write(folder.path().join("d.trust.json"), trust).expect("a file");
        Self(folder)
    }

    fn directory(&self) -> PathBuf {
        self.0.path().join("d")
    }

    fn verify(&self) -> Output {
        lockstep(&["verify", &self.directory().display().to_string()])
    }
}

#[test]
fn a_deployed_run_verifies_offline_and_no_change_to_it_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("exported");
    let export = directory.display().to_string();
    let kept = Demo::new(&["--export", &export]).keep();
    assert_eq!(kept.summary["status"], "SUCCEEDED");
    let run = kept.summary["run_id"].as_str().expect("a run").to_owned();

    let verified = lockstep(&["verify", &export]);
    assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
    for gate in Gate::ALL {
        assert!(said(&verified).contains(gate.as_str()), "{gate} is not told");
    }
    let files = read(&directory);
    let trust = fs::read(folder.path().join("exported.trust.json")).expect("the keys lie beside it");
    public_tools_agree(&files, &trust);
    every_change_is_refused(&files, &trust);
    changes_are_told_by_their_link(&files, &trust);

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let account = Evidence::of(&kept.connection, Identity::Submitter).await;
        the_registry_tells_the_same_story(&account, &run, &kept.summary).await;
        a_run_that_is_repeated_from_its_record_measures_the_same(&account, &kept.connection, &run).await;
        invariant_02_no_link_can_be_broken_between_states_and_the_model_deployed(&account, &kept.connection)
            .await;
    });
    let again = lockstep(&["verify", &run, "--endpoint-url", &kept.connection.endpoint]);
    assert_eq!(again.status.code(), Some(0), "in the account too: {}", said(&again));
    kept.interrupt();
}

/// The script of docs/evidence.md, which knows nothing of ours: securesystemslib and in-toto-attestation.
fn public_tools_agree(files: &Files, trust: &[u8]) {
    let lockstep = root().join(".lockstep");
    let made = Environment::prepare(&lockstep, MODEL_SIGNING, &Silent);
    let python =
        tokio::runtime::Runtime::new().expect("a runtime").block_on(made).expect("an environment").python();
    let verify = |files: &Files| {
        let copy = Copy::of(files, trust);
        Command::new(&python)
            .arg(root().join("docs/verify_with_public_tools.py"))
            .args([copy.directory(), copy.0.path().join("d.trust.json")])
            .output()
            .expect("Python starts")
    };
    let verified = verify(files);
    assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
    let mut changed = files.clone();
    changed.get_mut("launch-training/train.json").expect("a link")[30] ^= 1;
    let refused = verify(&changed);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
}

fn every_change_is_refused(files: &Files, trust: &[u8]) {
    let trust = TrustRoot::parse(trust).expect("a trust root");
    verify_run(files, &trust).expect("as it was sealed");
    let refused = |changed: Files, what: &str, path: &str| {
        assert!(verify_run(&changed, &trust).is_err(), "{path} {what}, and it still verifies");
    };
    for (path, bytes) in files {
        // Every byte of a file of some kilobytes takes too long; every 97th meets each field somewhere.
        for at in (0..bytes.len()).step_by(97) {
            let mut changed = files.clone();
            changed.get_mut(path).expect("it is there")[at] ^= 1;
            refused(changed, "had a byte flipped", path);
        }
        let mut changed = files.clone();
        changed.get_mut(path).expect("it is there").pop();
        refused(changed, "was cut short", path);
        let mut changed = files.clone();
        changed.remove(path);
        refused(changed, "was removed", path);
        let mut changed = files.clone();
        changed.insert(format!("{path}.copy"), bytes.clone());
        refused(changed, "was copied", path);
        let mut changed = files.clone();
        let other = files.iter().find(|(other, _)| *other != path).expect("several files").1.clone();
        changed.insert(path.clone(), other);
        refused(changed, "was replaced by another of the run", path);
    }
}

fn changes_are_told_by_their_link(files: &Files, trust: &[u8]) {
    for gate in Gate::ALL {
        let mut changed = files.clone();
        changed.get_mut(&link_path(gate)).expect("its link")[30] ^= 1;
        let refused = Copy::of(&changed, trust).verify();
        assert_eq!(refused.status.code(), Some(4), "{}", said(&refused));
        assert!(said(&refused).contains(&format!("`{gate}`")), "{gate}: {}", said(&refused));
    }
    let refused = Copy::of(files, br#"{"schema":"lockstep/trust-root/v1","keys":[]}"#).verify();
    assert_eq!(refused.status.code(), Some(4), "with no key to trust: {}", said(&refused));
    let whole = Copy::of(files, trust);
    fs::remove_file(whole.0.path().join("d.trust.json")).expect("it was there");
    assert_eq!(whole.verify().status.code(), Some(2), "without keys nothing is said of the evidence");
}

#[test]
fn a_refused_run_verifies_as_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let export = folder.path().join("exported").display().to_string();
    let refused = Demo::new(&["--break", "critical-finding", "--export", &export]).run();
    assert_eq!(refused.code, Some(3), "{}", refused.output);
    let verified = lockstep(&["verify", &export]);
    assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
    assert!(said(&verified).contains("refused: ScanBlocked"), "{}", said(&verified));
    let occupied = lockstep(&["export", &"0".repeat(32), &export, "--endpoint-url", "http://127.0.0.1:9"]);
    assert_ne!(occupied.status.code(), Some(0), "nothing is written over");
}

/// Card, lineage and trial component of a run that was deployed.
async fn the_registry_tells_the_same_story(account: &Evidence, run: &str, summary: &Value) {
    let name = format!("lockstep-{run}");
    let card = account.sagemaker.describe_model_card().model_card_name(&name).send().await.expect("a card");
    let card: Value = serde_json::from_str(card.content().unwrap_or_default()).expect("JSON");
    assert!(card.to_string().contains("apache-2.0"), "the Hub's licence: {card}");
    assert!(card.to_string().contains("not evaluated"), "what nobody looked at: {card}");

    let component = account.sagemaker.describe_trial_component().trial_component_name(&name).send().await;
    let component = component.expect("a trial component");
    let loss = component.parameters().and_then(|all| all.get("after.eval_loss")).expect("the metric");
    let TrialComponentParameterValue::NumberValue(loss) = loss else { panic!("a number: {loss:?}") };
    let shown = summary["metrics"]["after"]["eval_loss"].as_f64().expect("a loss");
    assert!((loss - shown).abs() < 1e-9, "{loss} and {shown}");

    let packages = account.sagemaker.list_model_packages().model_package_group_name("tiny-lm").send().await;
    let packages = packages.expect("packages can be listed");
    let arn = packages.model_package_summary_list().first().and_then(|one| one.model_package_arn());
    let package = account.sagemaker.describe_model_package().set_model_package_name(arn.map(str::to_owned));
    let package = package.send().await.expect("it is described");
    let told = package.customer_metadata_properties().expect("metadata");
    for gate in ["admit", "seal-model", "judge-findings", "train", "seal-artifact", "judge-metrics"] {
        let verdict = told.get(&format!("gate_{gate}")).expect("the approver sees each verdict");
        assert!(verdict.starts_with("Passed "), "{gate}: {verdict}");
    }
    let card = package.model_card().and_then(|card| card.model_card_content());
    assert!(card.is_some_and(|card| card.contains("lockstep/tiny-lm")), "the package has its card: {card:?}");

    let packages = account.sagemaker.list_artifacts().artifact_type("ModelPackage").send().await;
    let packages = packages.expect("artifacts can be listed");
    let package =
        packages.artifact_summaries().first().and_then(|one| one.artifact_arn()).expect("the package");
    let query = account.sagemaker.query_lineage().start_arns(package).direction(Direction::Ascendants);
    let found = query.send().await.expect("lineage can be asked");
    let kinds: Vec<_> = found.vertices().iter().filter_map(|vertex| vertex.r#type()).collect();
    for kind in ["ModelTraining", "Evaluation", "Approval", "DataSet", "Model", "Image"] {
        assert!(kinds.contains(&kind), "{kind} is no ancestor of the package: {kinds:?}");
    }
}

async fn a_run_that_is_repeated_from_its_record_measures_the_same(
    account: &Evidence,
    connection: &Connection,
    run: &str,
) {
    let arguments =
        ["rerun".to_owned(), run.to_owned(), "--endpoint-url".to_owned(), connection.endpoint.clone()];
    let before = account.executions().await.len();
    let repeating = tokio::task::spawn_blocking(move || {
        lockstep(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    });
    let execution = account.wait_for_executions(before + 1).await[0].execution_arn().to_owned();
    account.wait_for_state(&execution, "AwaitApproval").await;
    let repeated = account.run_of(&execution).await;
    let approver = aws_sdk_sagemaker::Client::new(&connection.sdk_config(Identity::Approver).await);
    account.approve(&approver, &repeated).await;
    let output = repeating.await.expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let rows: Vec<_> =
        said(&output).lines().filter(|line| line.contains("the same")).map(str::to_owned).collect();
    assert_eq!(rows.len(), 4, "the same seed on the same data: {}", said(&output));
}

/// Whoever can write to the bucket past its policy, as the account's administrator can.
async fn administrator(connection: &Connection) -> aws_sdk_s3::Client {
    let config = connection.sdk_config(Identity::Submitter).await;
    let keys = aws_sdk_s3::config::Credentials::new("test", "test", None, None, "the account's root");
    let config = aws_sdk_s3::config::Builder::from(&config).credentials_provider(keys).force_path_style(true);
    aws_sdk_s3::Client::from_conf(config.build())
}

async fn invariant_02_no_link_can_be_broken_between_states_and_the_model_deployed(
    account: &Evidence,
    connection: &Connection,
) {
    let bucket = account.bucket("evidence").await;
    let intake = account.bucket("intake").await;
    let administrator = administrator(connection).await;
    administrator.delete_bucket_policy().bucket(&bucket).send().await.expect("root may change policies");
    let gates = Gate::ALL.into_iter().filter(|gate| *gate != Gate::Deploy);
    let request = fs::read(connection.state_dir.join("request.json")).expect("the staged request");
    let request: Value = serde_json::from_slice(&request).expect("JSON");
    let mut runs = BTreeMap::new();
    for gate in gates {
        let mut request = request.clone();
        request["nonce"] = json!(format!("broken-{gate}"));
        let key = format!("requests/{}/broken-{gate}.json", connection.submitter.user_id);
        let body = request.to_string().into_bytes();
        let run = RunId::of(&["upload", &key, contract::Sha256Digest::of(&body).as_str()]);
        let sent = account.s3.put_object().bucket(&intake).key(&key).body(body.into()).send().await;
        sent.expect("the upload");
        runs.insert(gate, run);
    }
    let approvals = connection.sdk_config(Identity::Approver).await;
    let approver = aws_sdk_sagemaker::Client::new(&approvals);
    for (gate, run) in &runs {
        let execution = account.execution_of(run.as_str()).await;
        account.wait_for_state(&execution, "AwaitApproval").await;
        let key = gate.key(run);
        let link = administrator.get_object().bucket(&bucket).key(&key).send().await;
        let broken = match link {
            Ok(link) => {
                let mut bytes = link.body.collect().await.expect("its bytes").to_vec();
                bytes[30] ^= 1;
                bytes
            }
            // The gate has not signed yet: it finds something else in its place.
            Err(_) => b"{}".to_vec(),
        };
        let put = administrator.put_object().bucket(&bucket).key(&key).body(broken.into()).send().await;
        put.expect("root may write");
        account.approve(&approver, run.as_str()).await;
        let (status, _) = account.wait_for_end(&execution).await;
        assert_eq!(status, ExecutionStatus::Failed, "the run whose `{gate}` was broken");
        let ended =
            account.sfn.describe_execution().execution_arn(&execution).send().await.expect("described");
        assert_eq!(ended.error(), Some("EvidenceBroken"), "`{gate}`: {:?}", ended.cause());
    }
    let calls = fs::read_to_string(connection.state_dir.join("calls.jsonl")).expect("the recorded calls");
    for (gate, run) in &runs {
        let created: Vec<_> = calls
            .lines()
            .filter(|call| call.contains(run.as_str()))
            .filter(|call| call.contains("\"CreateEndpointConfig\"") || call.contains("\"CreateModel\""))
            .collect();
        assert!(created.is_empty(), "`{gate}` was broken, and yet: {created:?}");
    }
    assert!(calls.contains("\"CreateEndpointConfig\""), "the calls are recorded: the first run's is there");
}
