//! Groups and labels: what held-out rows show of a group before deployment, and what labels show of it after.

use std::{collections::BTreeMap, fs, path::Path};

use integration_tests::{Demo, Evidence, Kept, root};
use local::{Identity, wire::Wire};
use serde_json::{Value, json};

const ENDPOINT: &str = "tiny-lm";
/// Questions of each group in a window.
const EACH: usize = 30;

/// A request file with changes, beside its data.
fn request(folder: &Path, change: impl Fn(&mut Value), row: impl Fn(usize, &mut Value)) -> String {
    let examples = root().join("examples");
    let read = |name: &str| fs::read_to_string(examples.join(name)).expect("an example");
    let mut request: Value = serde_json::from_str(&read("requests/tiny-lm.json")).expect("a request");
    let mut rows = String::new();
    for (number, line) in read("data/evaluation.jsonl").lines().enumerate() {
        let mut value: Value = serde_json::from_str(line).expect("a row");
        row(number, &mut value);
        rows += &format!("{value}\n");
    }
    fs::write(folder.join("evaluation.jsonl"), rows).expect("the rows are written");
    fs::copy(examples.join("data/training.jsonl"), folder.join("training.jsonl"))
        .expect("the rows are copied");
    request["training"]["data"] = json!({ "file": "training.jsonl" });
    request["evaluation"]["data"] = json!({ "file": "evaluation.jsonl" });
    change(&mut request);
    let path = folder.join("request.json");
    fs::write(&path, request.to_string()).expect("the request is written");
    path.display().to_string()
}

/// A real measurement: every fifth row is of another region and gibberish. All rows together keep every threshold.
#[test]
fn a_group_whose_rows_the_model_does_badly_ends_in_threshold_breached_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let request = request(
        folder.path(),
        |request| {
            request["evaluation"]["groups"] = json!({
                "column": "region", "min_samples": 20, "bounds": [{ "metric": "eval_loss", "max_difference": 1.0 }],
            });
        },
        |number, row| {
            row["region"] = if number % 5 == 0 { "south" } else { "north" }.into();
            if number % 5 == 0 {
                let text: String = row["text"].as_str().unwrap_or_default().chars().rev().collect();
                row["text"] = text.into();
            }
        },
    );
    let finished = Demo::new(&["--request", &request]).run();
    assert_eq!(finished.summary["error"], "ThresholdBreached", "{}", finished.output);
    assert!(finished.output.contains("for the group `south`"), "{}", finished.output);
    assert!(finished.output.contains("a difference of at most 1"), "{}", finished.output);
    assert_eq!(finished.summary["left"]["endpoints"], 0, "{}", finished.output);
}

/// Asks the endpoint, half of the questions for each region, and gives the answers by identifier.
async fn ask(kept: &Kept, window: &str) -> BTreeMap<String, String> {
    let config = kept.connection.sdk_config(Identity::Submitter).await;
    let runtime = aws_sdk_sagemakerruntime::Client::new(&config);
    let mut answers = BTreeMap::new();
    for number in 0..2 * EACH {
        let region = ["north", "south"][number % 2];
        let id = format!("{window}-{region}-{number}");
        let body = json!({
            "inputs": format!("Q: Which gate checks the image for {region}-{number}?\nA:"), "attributes": { "region": region },
            "parameters": { "max_new_tokens": 4 },
        });
        let call = runtime.invoke_endpoint().endpoint_name(ENDPOINT).content_type("application/json");
        let call = call.inference_id(&id).body(body.to_string().into_bytes().into());
        let answer = call.send().await.expect("it answers").body.expect("a body").into_inner();
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        answers.insert(id, answer[0]["generated_text"].as_str().expect("a text").to_owned());
    }
    // Captures are gathered before they are stored, and a window ends at a whole second.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    answers
}

/// Brings labels, and gives what the monitor says then with its report.
async fn judge(kept: &Kept, window: &str, labels: &BTreeMap<String, String>) -> (Value, Value) {
    let steward = Evidence::of(&kept.connection, Identity::DataSteward).await;
    let line = |(id, label): (&String, &String)| {
        let data = json!({ "data": json!(label).to_string(), "encoding": "JSON" });
        json!({ "groundTruthData": data, "eventMetadata": { "eventId": id }, "eventVersion": "0" })
            .to_string()
            + "\n"
    };
    let lines: String = labels.iter().map(line).collect();
    let hour = jiff::Timestamp::now().strftime("%Y/%m/%d/%H").to_string();
    let key = format!("labels/{ENDPOINT}/{hour}/{window}.jsonl");
    let work = steward.bucket("work").await;
    let put = steward.s3.put_object().bucket(&work).key(key).body(lines.into_bytes().into());
    put.send().await.expect("the labels are brought");
    let wire = Wire::new(&kept.connection.endpoint, &kept.connection.region, "test");
    let asked = json!({ "step": "Monitor", "endpoint": ENDPOINT });
    let said = wire.invoke_function("lockstep-monitor-drift", &asked).await.expect("the monitor answers");
    let said: Value = serde_json::from_str(&said).expect("JSON");
    let place = said[0]["report"].as_str().expect("a report").to_owned();
    let key = place.strip_prefix(&format!("s3://{work}/")).expect("in the work bucket");
    let report = steward.s3.get_object().bucket(&work).key(key).send().await.expect("the report can be read");
    let report = report.body.collect().await.expect("it can be read").into_bytes();
    (said[0].clone(), serde_json::from_slice(&report).expect("JSON"))
}

#[test]
fn labels_that_contradict_the_predictions_drift_and_the_group_that_is_served_worse_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let monitoring = |request: &mut Value| {
        request["monitoring"] = json!({ "settings": {
            // Inputs are not what this is about.
            "min_samples": 20, "drifted_features": 100_000,
            "outcomes": {
                "prediction": "output.generated_text", "task": { "kind": "multiclass" },
                "labels": { "delay_hours": 0 }, "at_least": { "accuracy": 0.9 },
                "groups": { "column": "input.attributes.region", "min_samples": 10, "bounds": [{ "metric": "accuracy", "max_difference": 0.2 }] },
            },
        }});
    };
    let request = request(folder.path(), monitoring, |_, _| ());
    let kept = Demo::new(&["--request", &request]).keep();
    assert_eq!(kept.summary["status"], "SUCCEEDED", "{}", kept.summary);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        // No label yet: that is told, and is no good news.
        let answers = ask(&kept, "first").await;
        let nothing = BTreeMap::from([("nobody".to_owned(), "x".to_owned())]);
        let (said, report) = judge(&kept, "none", &nothing).await;
        assert_eq!(
            (&said["quality"], &report["quality"]["labels"]["unmatched"]),
            (&"not_evaluated".into(), &1.into()),
            "{said}"
        );

        // The same predictions once their labels have come.
        let (said, report) = judge(&kept, "first", &answers).await;
        let quality = &report["quality"];
        assert_eq!(
            (&said["quality"], &said["labelled"]),
            (&"stable".into(), &(2 * EACH).into()),
            "{quality}"
        );
        assert_eq!(quality["labels"]["joined"], 2 * EACH, "{quality}");

        // They were judged: the next verdict is on other predictions, though their labels lie there still.
        let answers = ask(&kept, "second").await;
        let wrong = answers.into_iter().map(|(id, answer)| {
            let label = if id.contains("south") { "something else".to_owned() } else { answer };
            (id, label)
        });
        let (said, report) = judge(&kept, "second", &wrong.collect()).await;
        let quality = &report["quality"];
        assert_eq!((&said["verdict"], &said["quality"]), (&"drifted".into(), &"drifted".into()), "{quality}");
        let told = said["features"].as_array().expect("features");
        for name in ["quality.accuracy", "groups.accuracy"] {
            assert!(told.contains(&name.into()), "{said}");
        }
        assert!(said["event_id"].is_string(), "{said}");
        assert_eq!(quality["labels"]["joined"], 2 * EACH, "{quality}");
        assert_eq!(quality["predictions"]["all"]["metrics"]["accuracy"], 0.5, "{quality}");
        let between = &quality["findings"][1]["between"];
        assert_eq!(
            (&between["least"], &between["greatest"]),
            (&json!(["south", 0.0]), &json!(["north", 1.0])),
            "{quality}"
        );
    });
}
