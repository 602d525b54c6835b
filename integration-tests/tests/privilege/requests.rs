//! What functions send, held against the services' own models as AWS publishes them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::{root, said};
use local::{
    Silent,
    python::{AWS_MODELS, Environment},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Where accounts append what functions send, until it is dropped.
#[derive(Debug)]
pub struct Recording {
    folder: tempfile::TempDir,
}

/// What was found.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Requests that break a rule: function, service, operation, member, value and rule.
    pub faults: Vec<String>,
    /// What could not be judged, and why.
    pub unchecked: Vec<String>,
    /// By role, the operations of which requests were judged, and how many.
    pub seen: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Recording {
    /// An empty one.
    pub fn start() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    /// Its file, for `LOCKSTEP_RECORD_REQUESTS`.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("requests.jsonl")
    }

    /// Judges every request.
    pub async fn judge(&self) -> Verdict {
        judge(&self.path()).await
    }
}

async fn judge(requests: &Path) -> Verdict {
    let made = Environment::prepare(&root().join(".lockstep"), AWS_MODELS, &Silent).await;
    let judged = Command::new(made.expect("an environment").python())
        .arg("-I")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/privilege/check_requests.py"))
        .arg(requests)
        .output()
        .expect("Python starts");
    assert!(judged.status.success(), "{}", said(&judged));
    serde_json::from_slice(&judged.stdout).expect("a verdict")
}

#[derive(Deserialize)]
struct Wrong {
    fault: String,
    request: Value,
}

/// Each differs from a sound request in one thing.
#[test]
fn a_request_that_breaks_a_rule_is_refused_by_service_operation_member_value_and_rule() {
    let wrong: Vec<Wrong> =
        serde_json::from_str(include_str!("wrong_requests.json")).expect("the fixture follows its form");
    let recording = Recording::start();
    let lines: Vec<String> = wrong
        .iter()
        .map(|wrong| {
            let mut request = wrong.request.clone();
            request["role"] = json!("lockstep-wrong");
            for (member, absent) in [("query", json!([])), ("headers", json!([])), ("path", json!("/"))] {
                if request[member].is_null() {
                    request[member] = absent;
                }
            }
            request.to_string()
        })
        .collect();
    std::fs::write(recording.path(), lines.join("\n")).expect("the requests are written");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let verdict = runtime.block_on(recording.judge());
    let told: BTreeSet<&str> = verdict.faults.iter().chain(&verdict.unchecked).map(String::as_str).collect();
    let expected: Vec<String> =
        wrong.iter().map(|wrong| format!("lockstep-wrong: {}", wrong.fault)).collect();
    let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
    assert_eq!(told, expected);
}
