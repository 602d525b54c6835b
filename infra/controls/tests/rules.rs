//! Each rule is complete, lets its passing fixture through, and denies its failing one, where that says, and nothing
//! else does.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use controls::{Backend, Exceptions, Options, Plan, Report, controls, evaluate, read_backends};
use jiff::civil::date;
use serde::Deserialize;

/// What a failing fixture is denied for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// Each address at which its own control denies it.
    denied: BTreeSet<String>,
    /// Other controls that deny it too, and why they cannot but do so.
    #[serde(default)]
    also: BTreeMap<String, String>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

/// A fixture's plan, and the environments beside it, where the control reads those.
fn judge(control: &str, fixture: &str) -> Report {
    let folder = root().join("fixtures").join(control);
    let plan = Plan::read(&folder.join(format!("{fixture}.json"))).unwrap();
    let environments = folder.join(fixture);
    let backends: Vec<Backend> =
        if environments.is_dir() { read_backends(&environments).unwrap() } else { Vec::new() };
    let options = Options {
        exceptions: &Exceptions::default(),
        allow_destroy: &["aws_kms_key.retired".to_owned()],
        backends: Some(&backends),
        allow_unknown: false,
        today: date(2026, 11, 1),
    };
    evaluate(&plan, &options).unwrap_or_else(|error| panic!("{control}/{fixture}.json: {error}"))
}

#[test]
fn every_rule_says_what_it_serves_and_has_fixtures() {
    let rules = names(&root().join("rules"));
    let described: BTreeSet<_> = controls().unwrap().into_iter().map(|control| control.id).collect();
    assert_eq!(described, rules);
    assert_eq!(
        names(&root().join("fixtures")),
        rules,
        "each rule has a folder of fixtures, and each folder a rule"
    );
}

#[test]
fn what_passes_is_denied_by_nothing() {
    for control in controls().unwrap() {
        let report = judge(&control.id, "pass");
        assert!(report.denied.is_empty(), "{}/pass.json: {:#?}", control.id, report.denied);
    }
}

#[test]
fn what_fails_is_denied_where_it_fails_and_by_its_own_control() {
    for control in controls().unwrap() {
        let path = root().join("fixtures").join(&control.id).join("expected.json");
        let expected: Expected = serde_json::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!expected.denied.is_empty(), "{} must expect something", path.display());
        let denied = judge(&control.id, "fail").denied;
        let own: BTreeSet<_> = denied
            .iter()
            .filter(|violation| violation.control == control.id)
            .map(|violation| violation.address.clone())
            .collect();
        assert_eq!(own, expected.denied, "{}/fail.json: {denied:#?}", control.id);
        let others: BTreeSet<_> = denied
            .iter()
            .filter(|violation| violation.control != control.id)
            .map(|violation| violation.control.clone())
            .collect();
        assert_eq!(others, expected.also.into_keys().collect(), "{}/fail.json: {denied:#?}", control.id);
    }
}

#[test]
fn every_denial_says_what_to_do() {
    for control in controls().unwrap() {
        for violation in judge(&control.id, "fail").denied {
            assert!(!violation.message.is_empty() && !violation.remedy.is_empty(), "{violation:?}");
            assert!(!violation.message.ends_with('.') && !violation.remedy.ends_with('.'), "{violation:?}");
        }
    }
}
