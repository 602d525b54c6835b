//! Puts every rule to a plan.

use jiff::civil::Date;
use regorus::{Engine, Value as RegoValue};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    backend::Backend,
    control::{Control, controls, engine},
    error::Error,
    exception::Exceptions,
    plan::Plan,
};

/// Reads backends and not the plan.
const STATE_BACKEND: &str = "state-backend";

/// Says which documents no rule can read yet.
const UNKNOWN_DOCUMENT: &str = "unknown-document";

const ACTIONS: &str = include_str!("../actions-without-resource.json");

/// What one control denies at one address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Violation {
    /// The control.
    pub control: String,
    /// The resource, as the plan spells it.
    pub address: String,
    /// What is wrong.
    #[serde(rename = "msg")]
    pub message: String,
    /// What mends it.
    pub remedy: String,
    /// The standards that the control serves.
    pub standards: String,
}

/// What a control denies, where that is right.
#[derive(Debug, Clone, Serialize)]
pub struct Excepted {
    /// What it denies.
    pub violation: Violation,
    /// Why that is right.
    pub reason: String,
}

/// How a plan is to be judged.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// Where controls do not hold.
    pub exceptions: &'a Exceptions,
    /// Addresses that may be destroyed although they are protected.
    pub allow_destroy: &'a [String],
    /// Where the environments keep their state; none, where that is not to be judged.
    pub backends: Option<&'a [Backend]>,
    /// Whether policies that are not known until they are applied are listed and not denied.
    pub allow_unknown: bool,
    /// The day by which exceptions are out of date.
    pub today: Date,
}

/// What the rules say about a plan.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// What stops the apply.
    pub denied: Vec<Violation>,
    /// What would, were it not excepted.
    pub excepted: Vec<Excepted>,
    /// What nobody can judge before it is applied.
    pub unjudged: Vec<Violation>,
    /// Exceptions that cover nothing in this plan.
    pub unused: Vec<String>,
    /// Controls that were not put to it.
    pub skipped: Vec<String>,
}

/// What a rule yields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Denial {
    address: String,
    msg: String,
    remedy: String,
}

/// Puts every rule to a plan.
///
/// # Errors
/// A rule cannot be read or evaluated. A plan is judged by all of them or not at all.
pub fn evaluate(plan: &Plan, options: &Options<'_>) -> Result<Report, Error> {
    let controls = controls()?;
    let mut engine = prepare(plan, options)?;
    let mut report = Report::default();
    let mut used = vec![false; options.exceptions.iter().count()];
    for control in &controls {
        if control.id == STATE_BACKEND && options.backends.is_none() {
            report.skipped.push(control.id.clone());
            continue;
        }
        for violation in denials(&mut engine, control)? {
            match options.exceptions.covering(&control.id, &violation.address, options.today) {
                Some((nth, exception)) => {
                    used[nth] = true;
                    report.excepted.push(Excepted { violation, reason: exception.reason.clone() });
                }
                None if options.allow_unknown && control.id == UNKNOWN_DOCUMENT => {
                    report.unjudged.push(violation)
                }
                None => report.denied.push(violation),
            }
        }
    }
    report.unused = options
        .exceptions
        .iter()
        .zip(used)
        .filter(|(_, used)| !used)
        .map(|(exception, _)| format!("{} at {}", exception.control, exception.address))
        .collect();
    Ok(report)
}

fn prepare(plan: &Plan, options: &Options<'_>) -> Result<Engine, Error> {
    let mut engine = engine()?;
    let actions: serde_json::Value = serde_json::from_str(ACTIONS).map_err(Error::ActionsMalformed)?;
    let data = json!({
        "configured": plan.configured(),
        "backends": options.backends.unwrap_or_default(),
        "allow_destroy": options.allow_destroy,
        "actions_without_resource": actions,
    });
    let failed = |reason: String| Error::RuleFailed { control: "(input)".to_owned(), reason };
    let value = |document: &serde_json::Value| {
        RegoValue::from_json_str(&document.to_string()).map_err(|error| failed(error.to_string()))
    };
    engine.add_data(value(&data)?).map_err(|error| failed(error.to_string()))?;
    engine.set_input(value(plan.document())?);
    Ok(engine)
}

fn denials(engine: &mut Engine, control: &Control) -> Result<Vec<Violation>, Error> {
    let failed = |reason: String| Error::RuleFailed { control: control.id.clone(), reason };
    let found = engine
        .eval_rule(format!("{}.deny", control.package()))
        .and_then(|value| value.to_json_str())
        .map_err(|error| failed(error.to_string()))?;
    // A rule that yields something else, undefined included, has not judged.
    let denials: Vec<Denial> = serde_json::from_str(&found)
        .map_err(|error| failed(format!("it yields no list of {{address, msg, remedy}}: {error}")))?;
    Ok(denials
        .into_iter()
        .map(|Denial { address, msg, remedy }| Violation {
            control: control.id.clone(),
            address,
            message: msg,
            remedy,
            standards: control.standards(),
        })
        .collect())
}
