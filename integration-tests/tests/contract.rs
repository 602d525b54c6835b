//! The ASL, Rust and Terraform agree on steps, payload keys, error names, environment variables and timeouts.

#![allow(clippy::unwrap_used, reason = "in a test file every function is a test or its part")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use contract::{
    AdmitInput, ApproveInput, DeployInput, DownloadInput, ErrorName, EvaluateInput, Policy, Request,
    ScanInput, SealArtifactInput, SealRunInput, TrainInput,
};
use integration_tests::root;
use runtime::VARIABLES;
use serde_json::{Map, Value, json};

fn definition() -> Value {
    let text = fs::read_to_string(root().join("statemachine/pipeline.asl.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Every state with its name and whether it stands at the top level.
fn states(definition: &Value) -> Vec<(String, Value, bool)> {
    fn walk(machine: &Value, top: bool, found: &mut Vec<(String, Value, bool)>) {
        for (name, state) in machine["States"].as_object().unwrap() {
            found.push((name.clone(), state.clone(), top));
            for branch in state["Branches"].as_array().into_iter().flatten() {
                walk(branch, false, found);
            }
            if let Some(processor) = state.get("ItemProcessor") {
                walk(processor, false, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(definition, true, &mut found);
    found
}

fn is_waiting(state: &Value) -> bool {
    state["Resource"].as_str().is_some_and(|resource| resource.ends_with(".waitForTaskToken"))
}

/// A Task's function, as the placeholder names it, and its payload.
fn call(state: &Value) -> (String, Map<String, Value>) {
    let parameters = &state["Parameters"];
    let (function, payload) = if is_waiting(state) {
        (&parameters["FunctionName"], &parameters["Payload"])
    } else {
        (&state["Resource"], parameters)
    };
    let function =
        function.as_str().unwrap().trim_start_matches("${").trim_end_matches('}').replace('_', "-");
    (function, payload.as_object().unwrap().clone())
}

/// A value of the type that a payload key stands for.
fn sample(key: &str) -> Value {
    let sha = "0".repeat(64);
    let link = json!({"key": "k", "sha256": sha});
    let object = json!({"bucket": "b", "key": "k", "sha256": sha});
    let run = json!({"run_id": "0".repeat(32), "execution_arn": "e", "plan": object, "policy_sha256": sha,
        "endpoint": "e", "promoted": false, "smoke_tested": false, "link": link, "limits": {"scan_seconds": 1, "training_seconds": 1, "evaluation_seconds": 1,
        "approval_seconds": 1, "smoke_test_seconds": 1, "deployment_seconds": 1, "heartbeat_seconds": 1}});
    match key {
        "execution_arn" | "task_token" => json!("t"),
        "trigger" | "state" => json!({}),
        "batch" => json!(0),
        "run" => run,
        "transfer" => object,
        "acquired" => json!({
            "model": {"prefix": "p", "commit": "c", "manifest": object, "content_sha256": sha, "link": link},
            "image": {"digest": "d", "findings": 0, "link": link}}),
        "training" => {
            json!({"job_name": "j", "job_arn": "a", "model_location": "l", "model_sha256": sha, "output_bucket": "b",
                "output_prefix": "o", "billable_seconds": 1, "link": link})
        }
        "artifact" => json!({"prefix": "p", "manifest": object, "content_sha256": sha, "link": link}),
        "evaluation" => json!({"before": {}, "after": {}, "metrics": object, "link": link}),
        "package" => json!({"arn": "a", "digest": sha, "card": object, "serving": null}),
        "approval" => json!({"approver": null, "reason": "", "link": link}),
        other => panic!("no state's input has a key `{other}`"),
    }
}

#[test]
fn every_tasks_payload_is_what_its_function_takes() {
    for (name, state, _) in states(&definition()) {
        if state["Type"] != "Task" {
            continue;
        }
        let (function, payload) = call(&state);
        let mut input = Map::new();
        for (key, value) in &payload {
            let plain = key.trim_end_matches(".$");
            let value = match plain {
                "step" => value.clone(),
                "chain" => {
                    let links = value.as_object().unwrap().keys();
                    let link = json!({"key": "k", "sha256": "0".repeat(64)});
                    Value::Object(
                        links.map(|gate| (gate.trim_end_matches(".$").to_owned(), link.clone())).collect(),
                    )
                }
                _ => sample(plain),
            };
            input.insert(plain.to_owned(), value);
        }
        assert_eq!(input["step"], name.as_str(), "a step is named as its state");
        let input = Value::Object(input);
        let read = |outcome: Result<(), serde_json::Error>| {
            outcome.unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        match function.as_str() {
            "admit-run" => read(serde_json::from_value::<AdmitInput>(input).map(drop)),
            "download-model" => read(serde_json::from_value::<DownloadInput>(input).map(drop)),
            "scan-gate" => read(serde_json::from_value::<ScanInput>(input).map(drop)),
            "launch-training" => read(serde_json::from_value::<TrainInput>(input).map(drop)),
            "seal-artifact" => read(serde_json::from_value::<SealArtifactInput>(input).map(drop)),
            "evaluate-model" => read(serde_json::from_value::<EvaluateInput>(input).map(drop)),
            "approve-package" => read(serde_json::from_value::<ApproveInput>(input).map(drop)),
            "deploy-endpoint" => read(serde_json::from_value::<DeployInput>(input).map(drop)),
            "seal-run" => read(serde_json::from_value::<SealRunInput>(input).map(drop)),
            other => panic!("{name} calls `{other}`, which is no function"),
        }
    }
}

#[test]
fn top_level_states_catch_to_seal_run_and_inner_ones_do_not_leave_their_scope() {
    let definition = definition();
    for (name, state, top) in states(&definition) {
        let kind = state["Type"].as_str().unwrap();
        let catches: Vec<&Value> = state["Catch"].as_array().into_iter().flatten().collect();
        if top && matches!(kind, "Task" | "Parallel" | "Map") && name != "SealRun" {
            let last = catches.last().unwrap_or_else(|| panic!("{name} catches nothing"));
            assert_eq!(last["ErrorEquals"], json!(["States.ALL"]), "{name}");
            assert_eq!(last["Next"], "SealRun", "{name}");
            assert_eq!(last["ResultPath"], "$.error", "{name}");
        }
        if !top {
            assert!(catches.iter().all(|catch| catch["Next"] != "SealRun"), "{name} would leave its scope");
        }
        if kind == "Task" {
            assert!(
                state["Retry"].as_array().is_some_and(|retry| !retry.is_empty()),
                "{name} retries nothing"
            );
        }
    }
    let top = &definition["States"];
    assert_eq!(top["SealRun"]["Next"], "Outcome");
    assert_eq!(top["Refused"]["Type"], "Fail");
    assert_eq!(top["Refused"]["ErrorPath"], "$.error.Error");
}

#[test]
fn every_waiting_state_has_its_limits_and_a_recheck_after_both_timeouts() {
    let waiting: Vec<_> =
        states(&definition()).into_iter().filter(|(_, state, _)| is_waiting(state)).collect();
    assert_eq!(waiting.len(), 6);
    for (name, state, _) in waiting {
        assert!(state["TimeoutSecondsPath"].as_str().unwrap().starts_with("$.run.limits."), "{name}");
        assert_eq!(state["HeartbeatSecondsPath"], "$.run.limits.heartbeat_seconds", "{name}");
        let catch = &state["Catch"][0];
        assert_eq!(catch["ErrorEquals"], json!(["States.Timeout", "States.HeartbeatTimeout"]), "{name}");
        assert_eq!(catch["Next"], state["Next"], "{name}: success and silence lead to the same recheck");
    }
}

#[test]
fn the_error_names_of_the_asl_are_those_of_the_contract() {
    for (name, state, _) in states(&definition()) {
        for rule in state["Retry"].as_array().into_iter().chain(state["Catch"].as_array()).flatten() {
            for error in rule["ErrorEquals"].as_array().unwrap() {
                let error = error.as_str().unwrap();
                let of_aws =
                    ["States.", "Lambda.", "Sandbox.", "Runtime."].iter().any(|own| error.starts_with(own));
                assert!(of_aws || ErrorName::parse(error).is_some(), "{name} names `{error}`");
            }
        }
    }
}

/// `functions = { verb = { timeout = N ... environment = [...] } }` of the pipeline module.
fn terraform_functions() -> BTreeMap<String, (u64, BTreeSet<String>)> {
    let text = fs::read_to_string(root().join("infra/modules/pipeline/functions.tf")).unwrap();
    let block = text.split_once("functions = {").unwrap().1;
    let block = block.split_once("\n  }\n").unwrap().0;
    let mut functions = BTreeMap::new();
    for entry in block.split("\n    }").filter(|entry| entry.contains("environment")) {
        let head = entry.split_once("= {").unwrap().0;
        let verb = head.split_whitespace().last().unwrap().to_owned();
        let timeout = entry.split_once("timeout").unwrap().1.trim_start_matches([' ', '=']);
        let timeout = timeout.split_whitespace().next().unwrap().parse().unwrap();
        let environment = entry.split_once("environment").unwrap().1;
        let names = environment.split('"').skip(1).step_by(2).map(str::to_owned).collect();
        functions.insert(verb, (timeout, names));
    }
    functions
}

#[test]
fn terraform_gives_each_function_exactly_the_variables_that_rust_declares() {
    let functions = terraform_functions();
    let crates: BTreeSet<_> = fs::read_dir(root().join("functions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(functions.keys().cloned().collect::<BTreeSet<_>>(), crates, "functions/ and Terraform");
    for (verb, (_, given)) in functions {
        let declared: BTreeSet<_> = VARIABLES
            .iter()
            .filter(|variable| variable.functions.contains(&verb.as_str()))
            .map(|variable| variable.name.to_owned())
            .collect();
        assert_eq!(given, declared, "{verb}");
    }
}

#[test]
fn a_functions_timeout_ends_before_its_states() {
    let functions = terraform_functions();
    for (name, state, _) in states(&definition()) {
        if state["Type"] == "Task" && !is_waiting(&state) {
            let (function, _) = call(&state);
            let seconds = state["TimeoutSeconds"].as_u64().unwrap();
            assert!(
                functions[&function].0 < seconds,
                "{name}: {function} may run longer than its state waits"
            );
        }
    }
}

#[test]
fn both_public_validators_accept_the_definition() {
    let checked = Command::new(root().join("statemachine/validators/run")).output().unwrap();
    let said =
        String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}");
}

#[test]
fn the_shipped_policies_and_the_fixtures_are_read() {
    for environment in ["local", "dev"] {
        let path = root().join(format!("infra/environments/{environment}/policy.json"));
        let policy = serde_json::from_slice::<Policy>(&fs::read(&path).unwrap());
        policy.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    serde_json::from_str::<Policy>(testkit::POLICY).unwrap();
    Request::parse(testkit::REQUEST.as_bytes()).unwrap();
}

#[test]
fn every_refusal_is_explained_in_the_docs() {
    let page = fs::read_to_string(root().join("docs/refusals.md")).unwrap();
    for name in ErrorName::ALL {
        let row = format!("| `{name}` | {} |", name.meaning());
        assert!(page.contains(&row), "docs/refusals.md lacks: {row}");
    }
}
