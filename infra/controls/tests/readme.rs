//! The README's tables are generated from the rules' metadata and from `seeds/faults.json`. Write them anew with
//! `LOCKSTEP_WRITE_CONTROLS=1 cargo test -p controls --test readme`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{fmt::Write as _, fs, path::PathBuf};

use controls::controls;
use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn controls_table() -> String {
    let mut table = "| control | severity | what holds | NIST | CIS | OWASP |\n|-|-|-|-|-|-|\n".to_owned();
    for control in controls().unwrap() {
        let severity = format!("{:?}", control.severity).to_lowercase();
        writeln!(
            table,
            "| [`{id}`](rules/{id}.rego) | {severity} | {} | {} | {} | {} |",
            control.title,
            control.nist_800_53.join(", "),
            if control.cis_aws.is_empty() { "none".to_owned() } else { control.cis_aws.join(", ") },
            control.owasp_ml.join(", "),
            id = control.id,
        )
        .unwrap();
    }
    table
}

fn faults_table() -> String {
    let faults: Vec<Value> =
        serde_json::from_str(&fs::read_to_string(root().join("seeds/faults.json")).unwrap()).unwrap();
    let mut table = "| fault | seeded in | rule | checkov | parliament |\n|-|-|-|-|-|\n".to_owned();
    for fault in faults {
        let text = |name: &str| fault[name].as_str().unwrap().to_owned();
        let checks = |name: &str| {
            let checks: Vec<_> =
                fault[name].as_array().unwrap().iter().map(|check| check.as_str().unwrap()).collect();
            if checks.is_empty() { "-".to_owned() } else { checks.join(", ") }
        };
        writeln!(
            table,
            "| {} | `{}/{}` | `{}` | {} | {} |",
            text("fault"),
            text("place"),
            text("file"),
            text("control"),
            checks("checkov"),
            checks("parliament"),
        )
        .unwrap();
    }
    table
}

/// The text with a table between its marks.
fn with_table(text: &str, mark: &str, table: &str) -> String {
    let (open, close) = (format!("<!-- {mark} -->\n"), format!("<!-- /{mark} -->"));
    let (before, rest) = text.split_once(&open).unwrap();
    let (_, after) = rest.split_once(&close).unwrap();
    format!("{before}{open}{table}{close}{after}")
}

#[test]
fn the_readme_tells_what_the_rules_say() {
    let path = root().join("README.md");
    let committed = fs::read_to_string(&path).unwrap();
    let text = with_table(&committed, "controls", &controls_table());
    let text = with_table(&text, "faults", &faults_table());
    if std::env::var_os("LOCKSTEP_WRITE_CONTROLS").is_some() {
        fs::write(&path, &text).unwrap();
    } else {
        assert_eq!(committed, text, "{} has drifted; see this test's head", path.display());
    }
}
