//! What cannot be judged does not pass.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{fs, path::Path, process::Command};

use controls::{Error, Exceptions, Options, Plan, controls, evaluate};
use jiff::civil::date;
use serde_json::{Value, json};

fn plan() -> Value {
    json!({
        "format_version": "1.2",
        "resource_changes": [{
            "address": "aws_sqs_queue.q", "mode": "managed", "type": "aws_sqs_queue", "name": "q",
            "change": { "actions": ["create"], "before": null, "after": { "kms_master_key_id": null }, "after_unknown": {} },
        }],
    })
}

fn with(path: &str, value: Value) -> Value {
    let mut plan = plan();
    *plan.pointer_mut(path).unwrap() = value;
    plan
}

fn judge(plan: Value, exceptions: &Exceptions) -> Result<controls::Report, Error> {
    let options = Options {
        exceptions,
        allow_destroy: &[],
        backends: None,
        allow_unknown: false,
        today: date(2026, 11, 1),
    };
    evaluate(&Plan::new(plan)?, &options)
}

fn policy(text: &str) -> Value {
    json!({
        "format_version": "1.2",
        "resource_changes": [{
            "address": "aws_iam_role_policy.p", "mode": "managed", "type": "aws_iam_role_policy", "name": "p",
            "change": { "actions": ["create"], "before": null, "after": { "policy": text }, "after_unknown": {} },
        }],
    })
}

#[test]
fn a_plan_of_a_format_that_nobody_has_read_is_refused() {
    for version in ["1.3", "2.0", "0.2", "1", "1.x", ""] {
        let refused = Plan::new(with("/format_version", version.into()));
        assert!(matches!(refused, Err(Error::FormatUnknown { .. })), "{version}: {refused:?}");
    }
    assert!(matches!(Plan::new(json!({ "resource_changes": [] })), Err(Error::NotAPlan)));
    assert!(matches!(Plan::parse("Terraform will perform"), Err(Error::NotJson(_))));
}

#[test]
fn a_plan_of_nothing_is_refused() {
    assert!(matches!(Plan::new(json!({ "format_version": "1.2" })), Err(Error::PlanEmpty)));
    assert!(matches!(Plan::new(with("/resource_changes", json!([]))), Err(Error::PlanEmpty)));
}

#[test]
fn a_plan_that_leaves_something_out_is_refused() {
    let mut errored = plan();
    errored["errored"] = true.into();
    assert!(matches!(Plan::new(errored), Err(Error::PlanErrored)));
    let mut targeted = plan();
    targeted["complete"] = false.into();
    assert!(matches!(Plan::new(targeted), Err(Error::PlanPartial)));
    let odd = with("/resource_changes/0/type", Value::Null);
    assert!(matches!(Plan::new(odd), Err(Error::ChangeMalformed { index: 0, lacking: "type" })));
}

#[test]
fn a_policy_that_is_no_policy_ends_the_check_and_does_not_pass_it() {
    for text in ["not json", "[]", "{\"Version\":\"2012-10-17\"}", "{\"Statement\":[{\"Action\":\"s3:*\"}]}"]
    {
        let found = judge(policy(text), &Exceptions::default());
        assert!(found.is_err() || !found.as_ref().unwrap().denied.is_empty(), "{text} passes: {found:?}");
    }
}

#[test]
fn an_exception_covers_its_control_at_its_address_until_its_day() {
    let denied = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("exceptions.json");
        fs::write(&file, text).unwrap();
        let exceptions = Exceptions::read(&file, &controls().unwrap())?;
        judge(plan(), &exceptions).map(|report| report.denied.len())
    };
    let exception = |control: &str, address: &str, rest: &str| {
        format!(
            "[{{\"control\":\"{control}\",\"address\":\"{address}\",\"reason\":\"nothing of ours goes through it\"{rest}}}]"
        )
    };
    assert_eq!(denied("[]").unwrap(), 1);
    assert_eq!(denied(&exception("queue-key", "aws_sqs_queue.q", "")).unwrap(), 0);
    assert_eq!(denied(&exception("queue-key", "aws_sqs_queue.other", "")).unwrap(), 1);
    assert_eq!(denied(&exception("topic-key", "aws_sqs_queue.q", "")).unwrap(), 1);
    assert_eq!(denied(&exception("queue-key", "aws_sqs_queue.q", ",\"until\":\"2026-11-01\"")).unwrap(), 0);
    assert_eq!(denied(&exception("queue-key", "aws_sqs_queue.q", ",\"until\":\"2026-10-31\"")).unwrap(), 1);
    for refused in [
        exception("no-such-control", "aws_sqs_queue.q", ""),
        exception("queue-key", "*", ""),
        exception("queue-key", "module.*.*", ""),
        exception("queue-key", "aws_sqs_queue.q", ",\"untill\":\"2026-10-31\""),
        "[{\"control\":\"queue-key\",\"address\":\"aws_sqs_queue.q\",\"reason\":\"ok\"}]".to_owned(),
    ] {
        assert!(matches!(denied(&refused), Err(Error::ExceptionsMalformed { .. })), "{refused}");
    }
}

fn run(arguments: &[&Path]) -> (Option<i32>, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_controls")).args(arguments).output().unwrap();
    (done.status.code(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
}

#[test]
fn the_exit_code_tells_denied_from_unusable() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, plan: &Value| {
        let path = folder.path().join(name);
        fs::write(&path, plan.to_string()).unwrap();
        path
    };
    let key = json!("arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d");
    let clean = write("clean.json", &with("/resource_changes/0/change/after/kms_master_key_id", key));
    let (code, said) = run(&[&clean]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("NOT CHECKED: state-backend"), "{said}");

    let (code, said) = run(&[&write("bad.json", &plan())]);
    assert_eq!(code, Some(1), "{said}");
    for part in ["queue-key", "aws_sqs_queue.q", "kms_master_key_id", "SC-28"] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }

    let missing = folder.path().join("missing.json");
    let (code, said) = run(&[&missing]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("missing.json") && said.contains("terraform show -json plan.out"), "{said}");
}

#[test]
fn what_is_not_known_yet_is_listed_where_that_is_allowed_and_denied_elsewhere() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/unknown-document/fail.json");
    let (code, _) = run(&[&fixture]);
    assert_eq!(code, Some(1));
    let (code, said) = run(&[&fixture, Path::new("--allow-unknown")]);
    assert!(said.contains("not judged: aws_iam_role_policy.waits"), "{said}");
    assert_eq!(code, Some(0), "{said}");
}
