//! The shipped modules are denied nothing, and a fault that is seeded in one of them is caught by the control that
//! claims it. The plans come from `render`, and need Terraform and the provider but no account.
//!
//! With `LOCKSTEP_CHECKERS=1`, checkov and parliament have to find what `seeds/faults.json` says of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use controls::{Exceptions, Options, Plan, Report, Violation, controls, evaluate, read_backends};
use serde::Deserialize;
use tempfile::TempDir;

/// One edit of one file, and who must notice.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    fault: String,
    place: String,
    file: String,
    find: String,
    replace: String,
    control: String,
    address: String,
    checkov: BTreeSet<String>,
    parliament: BTreeSet<String>,
}

/// What a checker found.
#[derive(Deserialize, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    checker: String,
    check: String,
    place: String,
}

/// How `render` says that Terraform or the provider cannot be had.
const NOT_TO_BE_HAD: i32 = 3;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn infra() -> PathBuf {
    root().join("..")
}

fn faults() -> Vec<Fault> {
    serde_json::from_str(&fs::read_to_string(root().join("seeds/faults.json")).unwrap()).unwrap()
}

/// The rendered plan of a module's folder, if there is a provider to render it with.
fn render(module: &Path) -> Option<String> {
    // Terraform takes the machine's memory and processors: one at a time.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("plan.json");
    let done = Command::new("python3").arg(root().join("render")).arg(module).arg(&plan).output().unwrap();
    if done.status.code() == Some(NOT_TO_BE_HAD) {
        return None;
    }
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(fs::read_to_string(plan).unwrap())
}

fn judge(plan: &str, environments: Option<&Path>, exceptions: &Exceptions) -> Report {
    let backends = environments.map(|folder| read_backends(folder).unwrap());
    let options = Options {
        exceptions,
        allow_destroy: &[],
        backends: backends.as_deref(),
        allow_unknown: false,
        today: jiff::Zoned::now().date(),
    };
    evaluate(&Plan::parse(plan).unwrap(), &options).unwrap()
}

/// A plan in which nothing is wrong, for what is not read from plans.
const HARMLESS: &str = r#"{"format_version": "1.2", "resource_changes": [{"address": "terraform_data.x", "mode": "managed",
    "type": "terraform_data", "name": "x", "change": {"actions": ["create"], "before": null, "after": {}, "after_unknown": {}}}]}"#;

fn exceptions() -> Exceptions {
    Exceptions::read(&root().join("exceptions.json"), &controls().unwrap()).unwrap()
}

fn modules() -> Vec<PathBuf> {
    let mut modules: Vec<_> =
        fs::read_dir(infra().join("modules")).unwrap().map(|entry| entry.unwrap().path()).collect();
    modules.sort();
    modules
}

#[test]
fn the_modules_are_denied_nothing() {
    let exceptions = exceptions();
    let mut denied = Vec::new();
    for module in modules() {
        let Some(plan) = render(&module) else {
            eprintln!(
                "NOT RUN: the controls over the modules: need terraform and the provider hashicorp/aws"
            );
            return;
        };
        let name = module.file_name().unwrap().to_string_lossy().into_owned();
        for Violation { control, address, message, .. } in judge(&plan, None, &exceptions).denied {
            denied.push(format!("{name}: {control} at {address}: {message}"));
        }
    }
    assert!(denied.is_empty(), "{}", denied.join("\n"));
}

#[test]
fn the_environments_keep_their_state_locked_and_encrypted() {
    let report = judge(HARMLESS, Some(&infra().join("environments")), &exceptions());
    assert!(report.denied.is_empty(), "{:#?}", report.denied);
}

#[test]
fn each_seeded_fault_is_caught_by_the_control_that_claims_it() {
    let mut places: BTreeMap<String, Vec<Fault>> = BTreeMap::new();
    for fault in faults() {
        places.entry(fault.place.clone()).or_default().push(fault);
    }
    for (place, faults) in places {
        let (_folder, copy) = seeded(&faults);
        let (clean, faulty) = (infra().join(&place), copy.join(&place));
        if place == "environments" {
            let before = judge(HARMLESS, Some(&clean), &Exceptions::default());
            let after = judge(HARMLESS, Some(&faulty), &Exceptions::default());
            check(&faults, &before, &after);
            continue;
        }
        let (Some(before), Some(after)) = (render(&clean), render(&faulty)) else {
            eprintln!("NOT RUN: the seeded faults of {place}: need terraform and the provider hashicorp/aws");
            continue;
        };
        check(
            &faults,
            &judge(&before, None, &Exceptions::default()),
            &judge(&after, None, &Exceptions::default()),
        );
        if std::env::var_os("LOCKSTEP_CHECKERS").is_some() {
            check_checkers(&faults, &find(&clean, &before), &find(&faulty, &after));
        } else {
            eprintln!(
                "NOT RUN: checkov and parliament over the seeded faults of {place}: set LOCKSTEP_CHECKERS=1"
            );
        }
    }
}

/// A copy of the infrastructure with the faults in it.
fn seeded(faults: &[Fault]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("infra");
    for part in ["infra/modules", "infra/environments", "statemachine"] {
        copy_files(&infra().join("..").join(part), &folder.path().join(part));
    }
    for fault in faults {
        let path = copy.join(&fault.place).join(&fault.file);
        let text = fs::read_to_string(&path).unwrap();
        let count = text.matches(&fault.find).count();
        assert_eq!(
            count, 1,
            "seeds/faults.json, {}: {} must hold what is replaced once",
            fault.fault, fault.file
        );
        fs::write(&path, text.replace(&fault.find, &fault.replace)).unwrap();
    }
    (folder, copy)
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if name == ".terraform" {
            continue;
        }
        if path.is_dir() {
            copy_files(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

fn check(faults: &[Fault], before: &Report, after: &Report) {
    let denied = |report: &Report, fault: &Fault| {
        report
            .denied
            .iter()
            .any(|violation| violation.control == fault.control && violation.address == fault.address)
    };
    for fault in faults {
        let name = &fault.fault;
        assert!(!denied(before, fault), "{name}: {} denies {} without it too", fault.control, fault.address);
        assert!(
            denied(after, fault),
            "{name}: {} does not deny {}:\n{:#?}",
            fault.control,
            fault.address,
            after.denied
        );
    }
}

fn find(module: &Path, plan: &str) -> BTreeSet<Finding> {
    let folder = tempfile::tempdir().unwrap();
    let (rendered, found) = (folder.path().join("plan.json"), folder.path().join("findings.json"));
    fs::write(&rendered, plan).unwrap();
    let mut lint = Command::new(root().join("lint"));
    lint.arg("--findings").arg(&found).arg("--plan").arg(&rendered).arg(module);
    let done = lint.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_str(&fs::read_to_string(found).unwrap()).unwrap()
}

fn check_checkers(faults: &[Fault], before: &BTreeSet<Finding>, after: &BTreeSet<Finding>) {
    // checkov names a resource and parliament an instance of it.
    let unindexed = |address: &str| address.split('[').next().unwrap_or_default().to_owned();
    let mut wrong = Vec::new();
    for fault in faults {
        for (checker, expected) in [("checkov", &fault.checkov), ("parliament", &fault.parliament)] {
            let found: BTreeSet<String> = after
                .difference(before)
                .filter(|finding| {
                    finding.checker == checker
                        && (finding.place == fault.address
                            || checker == "checkov" && unindexed(&finding.place) == unindexed(&fault.address))
                })
                .map(|finding| finding.check.clone())
                .collect();
            // Another check that also sees it changes nothing; one that alone sees it belongs into the table.
            if !expected.is_subset(&found) || expected.is_empty() != found.is_empty() {
                wrong.push(format!("{}: {checker} finds {found:?}, and not {expected:?}", fault.fault));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
