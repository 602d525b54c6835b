//! A person's records go from every version, rows of others stay, a receipt proves it; and the evidence, from which nothing
//! can be deleted, holds nobody's rows.

use std::collections::BTreeMap;

use aws_sdk_s3::Client as S3;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use integration_tests::{Demo, Evidence, Kept, lockstep, root, said};
use local::{Identity, wire::Wire};
use serde_json::{Value, json};

/// Who is in the rows that the run was trained, graded and asked with.
const IN_THE_EXAMPLE: &str = "harbor-lm";
const ADA: &str = "ada@example.com";

#[test]
fn a_subject_is_forgotten_in_every_version_and_the_evidence_never_held_them() {
    let kept: Kept = Demo::new(&["--drift"]).keep();
    assert_eq!(kept.summary["status"], "SUCCEEDED", "{}", kept.summary);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let submitter = Evidence::of(&kept.connection, Identity::Submitter).await;
        let (work, evidence) = (submitter.bucket("work").await, submitter.bucket("evidence").await);
        the_evidence_holds_no_content(&submitter.s3, &work, &evidence).await;
        ada_goes_and_bob_stays(&kept, &submitter.s3, &work, &evidence).await;
        each_grant_is_needed(&kept, &submitter.s3, &work).await;
        the_runs_that_learned_from_them_are_told(&kept, &submitter.s3, &work).await;
        what_cannot_be_searched_is_no_success(&kept, &submitter.s3, &work).await;
    });
}

/// Runs `lockstep forget`; its exit code and what it said.
fn forget(kept: &Kept, arguments: &[&str]) -> (Option<i32>, String) {
    let all = [&["forget"], arguments, &["--endpoint-url", &kept.connection.endpoint]].concat();
    let output = lockstep(&all);
    (output.status.code(), said(&output))
}

/// Every version of every object below a prefix, by key and version.
async fn versions(s3: &S3, bucket: &str, prefix: &str) -> BTreeMap<(String, String), Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut marker = (None, None);
    loop {
        let page = s3.list_object_versions().bucket(bucket).prefix(prefix);
        let page = page.set_key_marker(marker.0).set_version_id_marker(marker.1).send().await;
        let page = page.expect("versions can be listed");
        for version in page.versions() {
            let (key, id) = (version.key().expect("a key"), version.version_id().expect("a version"));
            let object = s3.get_object().bucket(bucket).key(key).version_id(id).send().await;
            let bytes = object.expect("it can be read").body.collect().await.expect("its bytes").to_vec();
            all.insert((key.to_owned(), id.to_owned()), bytes);
        }
        if page.is_truncated() != Some(true) {
            return all;
        }
        marker = (page.next_key_marker, page.next_version_id_marker);
    }
}

/// What nobody writes but this test, once the demo has ended.
async fn data(s3: &S3, work: &str) -> BTreeMap<(String, String), Vec<u8>> {
    let mut all = BTreeMap::new();
    for prefix in ["capture/tiny-lm/AllTraffic/2026/01/01/", "datasets/", "labels/"] {
        all.extend(versions(s3, work, prefix).await);
    }
    all
}

/// A file as it is, and all that is encoded in it: statements in envelopes, and bundles of those.
fn decoded(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        for leaf in leaves(&value) {
            text.push('\n');
            text.push_str(leaf);
            if let Ok(inner) = STANDARD.decode(leaf)
                && inner.len() > 16
            {
                text.push('\n');
                text.push_str(&decoded(&inner));
            }
        }
    }
    text
}

fn leaves(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        Value::Object(members) => members.values().flat_map(leaves).collect(),
        _ => Vec::new(),
    }
}

async fn the_evidence_holds_no_content(s3: &S3, work: &str, evidence: &str) {
    let mut rows = Vec::new();
    for file in ["training.jsonl", "evaluation.jsonl"] {
        let text = std::fs::read_to_string(root().join("examples/data").join(file)).expect("the rows");
        for row in text.lines() {
            let row: Value = serde_json::from_str(row).expect("a row");
            let lines = row["text"].as_str().expect("a text").lines().map(str::to_owned);
            rows.extend(lines.filter(|line| line.len() > 20));
        }
    }
    let captured = versions(s3, work, "capture/").await;
    assert!(!captured.is_empty(), "no traffic was captured");
    for bytes in captured.values() {
        for line in String::from_utf8_lossy(bytes).lines() {
            let line: Value = serde_json::from_str(line).expect("a line");
            for side in ["endpointInput", "endpointOutput"] {
                rows.extend(line["captureData"][side]["data"].as_str().map(str::to_owned));
            }
        }
    }
    rows.sort();
    rows.dedup();
    assert!(rows.len() > 100, "{} rows only", rows.len());
    let holds = |bytes: &[u8]| {
        let text = decoded(bytes);
        rows.iter().find(|row| text.contains(row.as_str())).cloned()
    };
    // The search finds rows where they are.
    let graded = versions(s3, work, "runs/").await;
    assert!(
        graded.iter().any(|((key, _), bytes)| key.ends_with("predictions.jsonl") && holds(bytes).is_some())
    );
    let files = versions(s3, evidence, "").await;
    assert!(files.keys().any(|(key, _)| key.ends_with("/record.json")));
    for ((key, _), bytes) in &files {
        assert_eq!(holds(bytes), None, "{key} holds a row");
        assert!(!key.ends_with("baseline.json") && !key.ends_with("drift-report.json"), "{key}");
        // A sample of rows' values is content, too.
        assert!(!decoded(bytes).contains("lockstep/baseline/v1"), "{key} holds a baseline");
    }
}

async fn put(s3: &S3, bucket: &str, key: &str, body: String) -> String {
    let put = s3.put_object().bucket(bucket).key(key).body(body.into_bytes().into()).send().await;
    put.expect("it is written").version_id.expect("a version")
}

async fn ada_goes_and_bob_stays(kept: &Kept, s3: &S3, work: &str, evidence: &str) {
    let people = "datasets/training/people.jsonl";
    let row = |who: &str| json!({ "user": who, "text": "t" }).to_string();
    let (ada, bob) = (row(ADA), row("bob@example.com"));
    put(s3, work, people, format!("{ada}\n{bob}\n")).await;
    let before = put(s3, work, people, format!("{bob}\n")).await;
    put(s3, work, people, format!("{bob}\n{ada}\n{}\n", row("xada@example.com"))).await;
    // The latest is without her, older ones are not: where an interruption left it.
    let half = "datasets/training/half.jsonl";
    put(s3, work, half, format!("{ada}\n{bob}\n")).await;
    put(s3, work, half, format!("{bob}\n")).await;
    let deleted = "datasets/training/deleted.jsonl";
    put(s3, work, deleted, format!("{ada}\n")).await;
    s3.delete_object().bucket(work).key(deleted).send().await.expect("it is deleted");
    let captured = |who: &str, event: &str| {
        let data = STANDARD.encode(json!({ "who": who }).to_string());
        json!({ "captureData": { "endpointInput": { "data": data, "encoding": "BASE64", "mode": "INPUT" } },
            "eventMetadata": { "eventId": event }, "eventVersion": "0" })
        .to_string()
    };
    let capture = "capture/tiny-lm/AllTraffic/2026/01/01/00/x.jsonl";
    put(s3, work, capture, format!("{}\n{}\n", captured(ADA, "e-1"), captured("bob@example.com", "e-2")))
        .await;
    let label = |event: &str| {
        json!({ "groundTruthData": { "data": "1", "encoding": "CSV" }, "eventMetadata": { "eventId": event } })
            .to_string()
    };
    // Labels are their writers' alone to bring.
    let steward = Evidence::of(&kept.connection, Identity::DataSteward).await;
    put(&steward.s3, work, "labels/tiny-lm/x.jsonl", format!("{}\n{}\n", label("e-1"), label("e-2"))).await;

    let all = data(s3, work).await;
    for arguments in [&[ADA][..], &[ADA, "--dry-run"]] {
        let (code, told) = forget(kept, arguments);
        assert_eq!(code, Some(0), "{told}");
        assert!(
            told.contains(people) && told.contains(capture) && told.contains("nothing was changed"),
            "{told}"
        );
    }
    assert!(all == data(s3, work).await, "a dry run changes something");

    let (code, told) = forget(kept, &[ADA, "--yes"]);
    assert_eq!(code, Some(0), "{told}");
    let left = data(s3, work).await;
    let of = |key: &str| -> Vec<String> {
        let of_key = left.iter().filter(|((found, _), _)| found == key);
        of_key.map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect()
    };
    let mut remaining = of(people);
    remaining.sort();
    assert_eq!(remaining, [format!("{bob}\n"), format!("{bob}\n{}\n", row("xada@example.com"))]);
    assert!(left.contains_key(&(people.to_owned(), before)), "a version without her stays");
    assert_eq!(of(half), [format!("{bob}\n")]);
    assert!(of(deleted).is_empty());
    assert_eq!(of(capture), [format!("{}\n", captured("bob@example.com", "e-2"))]);
    assert_eq!(of("labels/tiny-lm/x.jsonl"), [format!("{}\n", label("e-2"))]);
    let untouched = |all: &BTreeMap<(String, String), Vec<u8>>| -> Vec<(String, String)> {
        let is_touched =
            |key: &str| key.contains("people") || key.contains("half") || key.ends_with("/x.jsonl");
        all.keys().filter(|(key, _)| !is_touched(key) && key != deleted).cloned().collect()
    };
    assert_eq!(untouched(&all), untouched(&left));

    let receipts = versions(s3, evidence, "forgotten/").await;
    assert_eq!(receipts.len(), 2, "a note before, and a receipt after");
    for ((key, _), bytes) in &receipts {
        assert!(!key.contains("ada") && !decoded(bytes).contains("ada@"), "{key} names her");
    }
    the_receipt_proves_it(kept, evidence, &receipts);
    let forged = s3.put_object().bucket(evidence).key("forgotten/x/y.json").if_none_match("*").send().await;
    assert!(forged.is_err(), "anybody may write a receipt");
}

fn the_receipt_proves_it(kept: &Kept, evidence: &str, receipts: &BTreeMap<(String, String), Vec<u8>>) {
    let receipt = receipts.iter().find(|((key, _), _)| !key.contains("-begun"));
    let ((key, _), bytes) = receipt.expect("a receipt");
    let place = format!("s3://{evidence}/{key}");
    for arguments in [&["--verify", &place][..], &[ADA, "--verify", &place]] {
        let (code, told) = forget(kept, arguments);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("0 held the subject"), "{told}");
    }
    let (code, told) = forget(kept, &["bob@example.com", "--verify", &place]);
    assert_eq!(code, Some(4), "{told}");
    assert!(told.contains("somebody else"), "{told}");

    let mut envelope: Value = serde_json::from_slice(bytes).expect("an envelope");
    let payload = STANDARD.decode(envelope["payload"].as_str().expect("a payload")).expect("base64");
    let other = String::from_utf8(payload).expect("JSON").replace("\"found\":0", "\"found\":1");
    envelope["payload"] = json!(STANDARD.encode(other));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("receipt.json");
    std::fs::write(&file, envelope.to_string()).expect("it is written");
    let (code, told) = forget(kept, &["--verify", &file.display().to_string()]);
    assert_eq!(code, Some(4), "{told}");
    let (code, told) = forget(kept, &["ada"]);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("--field"), "{told}");
    let (code, told) = forget(kept, &[ADA, "--bucket", "no-such-bucket"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("no-such-bucket") && told.contains("ListObjectVersions"), "{told}");
}

async fn the_runs_that_learned_from_them_are_told(kept: &Kept, s3: &S3, work: &str) {
    let run = kept.summary["run_id"].as_str().expect("a run");
    let others = |bytes: &[u8]| -> Vec<String> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.lines().filter(|line| !line.contains(IN_THE_EXAMPLE)).map(str::to_owned).collect()
    };
    let file = std::fs::read(root().join("examples/data/training.jsonl")).expect("the rows");
    let (code, told) = forget(kept, &[IN_THE_EXAMPLE, "--yes"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        told.contains(&format!("run {run} names")) && told.contains("was trained with the subject"),
        "{told}"
    );
    assert!(told.contains("requests that name") && told.contains("rollback tiny-lm --isolate"), "{told}");
    for prefix in ["capture/", "datasets/", "labels/", "drift/", "baselines/"] {
        for ((key, _), bytes) in versions(s3, work, prefix).await {
            assert!(!decoded(&bytes).contains("harbor-lm"), "{key} still holds them");
        }
    }
    let left = versions(s3, work, "datasets/training/training.jsonl").await;
    let left: Vec<_> = left.values().map(|bytes| others(bytes)).collect();
    assert_eq!(left, [others(&file)], "rows of others are lost");
    let shown = lockstep(&["verify", run, "--endpoint-url", &kept.connection.endpoint]);
    assert!(shown.status.success(), "the run's evidence still verifies: {}", said(&shown));
}

async fn what_cannot_be_searched_is_no_success(kept: &Kept, s3: &S3, work: &str) {
    let key = "datasets/training/people.parquet";
    let body = b"PAR1\x00\xff\xfe".to_vec();
    s3.put_object().bucket(work).key(key).body(body.into()).send().await.expect("it is written");
    let (code, told) = forget(kept, &["bob@example.com", "--yes"]);
    assert_eq!(code, Some(5), "{told}");
    assert!(told.contains(key) && told.contains("no text in UTF-8"), "{told}");
    for ((key, _), bytes) in versions(s3, work, "datasets/").await {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(
            !text.contains("\"bob@example.com\""),
            "{key}: what can be searched is forgotten all the same"
        );
    }
}

/// Without any one of its grants the role fails: it has none too many. Two are for AWS alone, which asks S3's callers for the
/// data key in their own name, and for `s3:GetObject` who writes on the condition that nobody else did.
async fn each_grant_is_needed(kept: &Kept, s3: &S3, work: &str) {
    const CLEO: &str = "cleo@example.com";
    let connection = &kept.connection;
    let state = std::fs::read(connection.state_dir.join("terraform.tfstate")).expect("the state");
    let state: Value = serde_json::from_slice(&state).expect("JSON");
    let resources = state["resources"].as_array().expect("resources").iter();
    let mut instances = resources
        .filter(|resource| resource["type"] == "aws_iam_role_policy")
        .flat_map(|resource| resource["instances"].as_array().expect("instances"));
    let role =
        instances.find(|instance| instance["attributes"]["role"] == "lockstep-forget").expect("the role");
    let text = role["attributes"]["policy"].as_str().expect("a policy");
    let policy: Value = serde_json::from_str(text).expect("JSON");
    let root = Wire::new(&connection.endpoint, &connection.region, "test");
    let grant = async |document: &Value| {
        let document = document.to_string();
        let parameters =
            [("RoleName", "lockstep-forget"), ("PolicyName", "permissions"), ("PolicyDocument", &document)];
        root.query("iam", "2010-05-08", "PutRolePolicy", &parameters).await.expect("the policy is replaced");
    };
    let row = |who: &str| json!({ "user": who }).to_string();
    let mut tried = 0;
    for (index, statement) in policy["Statement"].as_array().expect("statements").iter().enumerate() {
        let actions: Vec<&str> = match &statement["Action"] {
            Value::Array(actions) => actions.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect(),
        };
        for action in &actions {
            let sid = statement["Sid"].as_str().expect("a Sid");
            if sid == "UseTheDataKeyThroughS3" || (sid, *action) == ("ReadEveryVersion", "s3:GetObject") {
                continue;
            }
            put(s3, work, "datasets/training/cleo.jsonl", format!("{}\n", row("bob@example.com"))).await;
            put(s3, work, "datasets/training/cleo.jsonl", format!("{}\n", row(CLEO))).await;
            let both = format!("{}\n{}\n", row(CLEO), row("bob@example.com"));
            put(s3, work, "datasets/training/both.jsonl", both).await;
            let mut without = policy.clone();
            let left: Vec<&&str> = actions.iter().filter(|other| *other != action).collect();
            match left.is_empty() {
                true => drop(without["Statement"].as_array_mut().expect("statements").remove(index)),
                false => without["Statement"][index]["Action"] = json!(left),
            }
            grant(&without).await;
            let (code, told) = forget(kept, &[CLEO, "--yes"]);
            assert_eq!(code, Some(1), "{sid} {action}: {told}");
            assert!(told.contains("AccessDenied"), "{sid} {action}: {told}");
            tried += 1;
        }
    }
    assert!(tried > 8, "{tried} grants only");
    grant(&policy).await;
    let (code, told) = forget(kept, &[CLEO, "--yes"]);
    assert_eq!(code, Some(0), "what was begun so often is not finished: {told}");
    for ((key, _), bytes) in versions(s3, work, "datasets/").await {
        assert!(!String::from_utf8_lossy(&bytes).contains(CLEO), "{key}");
    }
}
