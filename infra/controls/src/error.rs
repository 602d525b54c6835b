//! Why a plan could not be judged.

use std::path::PathBuf;

/// Why a plan could not be judged. A violation is no error: it is what the rules are for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read.
    #[error("cannot read {path}: {source}{}", what_to_do(.hint))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
        /// What to do about it, where that is known.
        hint: &'static str,
    },
    /// The plan is not JSON.
    #[error(
        "the plan is not JSON ({0}): make one with `terraform plan -out plan.out && terraform show -json plan.out`"
    )]
    NotJson(serde_json::Error),
    /// The JSON is not a plan's.
    #[error(
        "this is no plan, for it has no `format_version`: make one with `terraform plan -out plan.out && terraform show -json plan.out`"
    )]
    NotAPlan,
    /// The plan's format is not one that the rules were written for.
    #[error(
        "the plan's format_version is {found}, and the rules read 1.0 to 1.{newest}: see what Terraform changed, then raise NEWEST_MINOR"
    )]
    FormatUnknown {
        /// The plan's version.
        found: String,
        /// The newest minor version that is read.
        newest: u32,
    },
    /// The plan ended in an error.
    #[error("the plan is what Terraform had when it failed (`errored` is true): mend that first")]
    PlanErrored,
    /// The plan leaves something out.
    #[error(
        "the plan is not complete (`complete` is false): make it without -target, and without deferred changes"
    )]
    PlanPartial,
    /// Nothing is planned, so there is nothing to judge.
    #[error(
        "the plan has no resource_changes: one of nothing passes nothing; was it made in the right folder?"
    )]
    PlanEmpty,
    /// An entry of the plan lacks what every entry has.
    #[error("resource_changes[{index}] of the plan has no `{lacking}`")]
    ChangeMalformed {
        /// Which entry.
        index: usize,
        /// What it lacks.
        lacking: &'static str,
    },
    /// A rule cannot be compiled.
    #[error("{rule}.rego: {reason}")]
    RuleMalformed {
        /// The rule's file.
        rule: String,
        /// The interpreter's words.
        reason: String,
    },
    /// A rule's metadata is incomplete.
    #[error("{rule}.rego: its metadata {reason}")]
    MetadataMalformed {
        /// The rule's file.
        rule: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A rule could not be evaluated. That is never a pass.
    #[error("control {control} could not be evaluated: {reason}")]
    RuleFailed {
        /// The control.
        control: String,
        /// The interpreter's words.
        reason: String,
    },
    /// The list of exceptions cannot be used.
    #[error("{path}: {reason}", path = .path.display())]
    ExceptionsMalformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The list of actions that know no resource cannot be used.
    #[error("actions-without-resource.json: {0}")]
    ActionsMalformed(serde_json::Error),
    /// A file that should say where state is kept is not HCL.
    #[error("{path} is not HCL: {reason}", path = .path.display())]
    BackendMalformed {
        /// The file.
        path: PathBuf,
        /// The parser's words.
        reason: String,
    },
    /// There is no environment to look for a backend in.
    #[error("{0} holds no environment: name a folder with Terraform files, or one with such folders in it")]
    NoEnvironment(PathBuf),
}

fn what_to_do(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!("; {hint}") }
}
