//! The controls: their rules, which are part of the program, and what each rule says about itself.

use regorus::Engine;
use serde::{Deserialize, Serialize};

use crate::error::Error;

include!(concat!(env!("OUT_DIR"), "/rules.rs"));

/// How much harm there is in what a control denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Somebody from outside gets in, or evidence is lost.
    Critical,
    /// Somebody inside gets further than they should.
    High,
    /// One wall of several is missing.
    Medium,
    /// Operations suffer.
    Low,
}

/// What a rule says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Its name, and its file's.
    pub id: String,
    /// What holds where it denies nothing.
    pub title: String,
    /// How much harm there is in what it denies.
    pub severity: Severity,
    /// Controls of NIST SP 800-53, revision 5.
    pub nist_800_53: Vec<String>,
    /// Recommendations of the CIS AWS Foundations Benchmark 3.0.0; some controls serve none.
    pub cis_aws: Vec<String>,
    /// Entries of the OWASP Machine Learning Security Top Ten, 2023.
    pub owasp_ml: Vec<String>,
}

impl Control {
    /// The package of its rule.
    pub(crate) fn package(&self) -> String {
        format!("data.controls.{}", self.id.replace('-', "_"))
    }

    /// Every standard that it serves, in one line.
    pub fn standards(&self) -> String {
        let named = |name: &str, entries: &[String]| {
            (!entries.is_empty()).then(|| format!("{name} {}", entries.join(", ")))
        };
        [named("NIST", &self.nist_800_53), named("CIS", &self.cis_aws), named("OWASP", &self.owasp_ml)]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("; ")
    }

    fn fault(&self, file: &str) -> Option<String> {
        let numbered = |text: &str| text.split('.').all(|part| part.parse::<u8>().is_ok());
        if self.id != file {
            return Some(format!("names the id {}, and not the file's name", self.id));
        }
        if self.title.is_empty() || self.title.ends_with('.') {
            return Some("needs a `title`, without a full stop".to_owned());
        }
        if self.nist_800_53.is_empty() || self.nist_800_53.iter().any(|entry| !is_nist(entry)) {
            return Some("needs `nist_800_53` controls such as AC-6 or SC-8(1)".to_owned());
        }
        if let Some(entry) = self.cis_aws.iter().find(|entry| !numbered(entry)) {
            return Some(format!("names `cis_aws` {entry}, which is no recommendation's number"));
        }
        if self.owasp_ml.is_empty() || self.owasp_ml.iter().any(|entry| !is_owasp(entry)) {
            return Some("needs `owasp_ml` entries from ML01 to ML10".to_owned());
        }
        None
    }
}

fn is_nist(entry: &str) -> bool {
    let Some((family, rest)) = entry.split_once('-') else { return false };
    let (number, enhancement) = rest.split_once('(').unwrap_or((rest, "1)"));
    family.len() == 2
        && family.bytes().all(|byte| byte.is_ascii_uppercase())
        && number.parse::<u8>().is_ok()
        && enhancement.strip_suffix(')').is_some_and(|number| number.parse::<u8>().is_ok())
}

fn is_owasp(entry: &str) -> bool {
    entry
        .strip_prefix("ML")
        .filter(|number| number.len() == 2)
        .and_then(|number| number.parse::<u8>().ok())
        .is_some_and(|number| (1..=10).contains(&number))
}

/// An interpreter that holds every rule and no input.
pub(crate) fn engine() -> Result<Engine, Error> {
    let mut engine = Engine::new();
    // A builtin that is given what it cannot take would otherwise be undefined, and an undefined denial denies nothing.
    engine.set_strict_builtin_errors(true);
    for (name, source) in LIBRARY.iter().chain(RULES) {
        engine
            .add_policy(format!("{name}.rego"), (*source).to_owned())
            .map_err(|error| Error::RuleMalformed { rule: (*name).to_owned(), reason: error.to_string() })?;
    }
    Ok(engine)
}

/// Every control, by name.
///
/// # Errors
/// A rule cannot be read, or says too little about itself.
pub fn controls() -> Result<Vec<Control>, Error> {
    let mut engine = engine()?;
    RULES.iter().map(|(file, _)| describe(&mut engine, file)).collect()
}

fn describe(engine: &mut Engine, file: &str) -> Result<Control, Error> {
    let malformed = |reason: String| Error::MetadataMalformed { rule: file.to_owned(), reason };
    let metadata = engine
        .eval_rule(format!("data.controls.{}.metadata", file.replace('-', "_")))
        .and_then(|value| value.to_json_str())
        .map_err(|error| malformed(format!("cannot be evaluated: {error}")))?;
    let control: Control =
        serde_json::from_str(&metadata).map_err(|error| malformed(format!("is incomplete: {error}")))?;
    match control.fault(file) {
        Some(fault) => Err(malformed(fault)),
        None => Ok(control),
    }
}
