//! Every environment variable of the functions, declared and documented once. A test holds this list and
//! Terraform's together.

use std::collections::BTreeMap;

use crate::Error;

/// One variable.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub meaning: &'static str,
    /// The functions that have it.
    pub functions: &'static [&'static str],
}

/// Who attests, and whoever is named beside.
macro_rules! attesting_and {
    ($($more:literal),*) => {
        &[
            "admit-run",
            "download-model",
            "scan-gate",
            "launch-training",
            "seal-artifact",
            "evaluate-model",
            "approve-package",
            "deploy-endpoint",
            "seal-run",
            "respond-incident",
            $($more),*
        ]
    };
}

const ATTESTING: &[&str] = attesting_and!();
const ATTESTING_OR_MONITORING: &[&str] = attesting_and!("monitor-drift");
const JUDGING: &[&str] = &[
    "admit-run",
    "download-model",
    "scan-gate",
    "launch-training",
    "seal-artifact",
    "evaluate-model",
    "approve-package",
    "deploy-endpoint",
    "respond-incident",
];
const COORDINATING: &[&str] = &[
    "admit-run",
    "scan-gate",
    "launch-training",
    "evaluate-model",
    "approve-package",
    "deploy-endpoint",
    "resume-execution",
    "seal-run",
    "respond-incident",
];
const ENCRYPTING: &[&str] =
    &["download-model", "launch-training", "seal-artifact", "evaluate-model", "deploy-endpoint"];
const VERIFYING: &[&str] = &["launch-training", "deploy-endpoint", "respond-incident"];
const NETWORKED: &[&str] = &["launch-training", "evaluate-model", "deploy-endpoint"];

macro_rules! variables {
    ($($constant:ident = $name:literal, $functions:expr, $meaning:literal;)*) => {
        /// The variables by constant.
        pub mod var {
            use super::*;
            $(#[doc = $meaning] pub const $constant: Variable =
                Variable { name: $name, meaning: $meaning, functions: $functions };)*
        }
        /// Every variable.
        pub const VARIABLES: &[Variable] = &[$(var::$constant),*];
    };
}

variables! {
    WORK_BUCKET = "LOCKSTEP_WORK_BUCKET", ATTESTING_OR_MONITORING, "Bucket of models, artefacts, data and run files.";
    EVIDENCE_BUCKET = "LOCKSTEP_EVIDENCE_BUCKET", ATTESTING_OR_MONITORING, "Bucket of links, records and the policy.";
    TABLE = "LOCKSTEP_TABLE", COORDINATING, "Coordination table: claims, waits and leases.";
    POLICY_VERSION_ID = "LOCKSTEP_POLICY_VERSION_ID", JUDGING, "S3 version of policy/policy.json.";
    POLICY_SHA256 = "LOCKSTEP_POLICY_SHA256", JUDGING, "SHA-256 of policy/policy.json; another digest refuses.";
    SIGNING_KEY = "LOCKSTEP_SIGNING_KEY", ATTESTING, "ARN of the function's own signing key.";
    DATA_KEY = "LOCKSTEP_DATA_KEY", ENCRYPTING, "ARN of the KMS key for data at rest.";
    INTAKE_BUCKET = "LOCKSTEP_INTAKE_BUCKET", &["admit-run"], "Bucket of uploaded requests.";
    SWEEP_SECONDS = "LOCKSTEP_SWEEP_SECONDS", &["admit-run"], "Seconds between sweeps; heartbeats last three.";
    ENDPOINTS = "LOCKSTEP_ENDPOINTS", &["admit-run", "deploy-endpoint", "monitor-drift", "respond-incident"], "Declared endpoints, their alarms and autoscaling, JSON.";
    DRIFT_WINDOW_MINUTES = "LOCKSTEP_DRIFT_WINDOW_MINUTES", &["monitor-drift"], "Minutes of traffic that are compared with the baseline.";
    HUB_TOKEN_SECRET = "LOCKSTEP_HUB_TOKEN_SECRET", &["download-model"], "ARN of the secret with the Hub's token.";
    CHECKPOINT_KEY = "LOCKSTEP_CHECKPOINT_KEY", &["download-model", "seal-artifact"], "ARN of the HMAC key behind transfer checkpoints.";
    HF_ENDPOINT = "HF_ENDPOINT", &["download-model"], "The Hub's address.";
    JOB_ROLE_ARN = "LOCKSTEP_JOB_ROLE_ARN", &["launch-training", "evaluate-model"], "Execution role of jobs.";
    SUBNET_IDS = "LOCKSTEP_SUBNET_IDS", NETWORKED, "Private subnets, comma separated.";
    SECURITY_GROUP_IDS = "LOCKSTEP_SECURITY_GROUP_IDS", NETWORKED, "Security groups, comma separated.";
    ENDPOINT_ROLE_ARN = "LOCKSTEP_ENDPOINT_ROLE_ARN", &["deploy-endpoint"], "Execution role of the model.";
    CODE_REVISION = "LOCKSTEP_CODE_REVISION", &["seal-artifact"], "Git revision of the deployed code, for provenance.";
    TRUST_ROOT_VERSION_ID = "LOCKSTEP_TRUST_ROOT_VERSION_ID", VERIFYING, "S3 version of policy/trust-root.json.";
    TRUST_ROOT_SHA256 = "LOCKSTEP_TRUST_ROOT_SHA256", VERIFYING, "SHA-256 of policy/trust-root.json; another digest refuses.";
    TOPIC_ARN = "LOCKSTEP_TOPIC_ARN", &["approve-package", "seal-run"], "Topic of notifications.";
    ALERTS_TOPIC_ARN = "LOCKSTEP_ALERTS_TOPIC_ARN", &["respond-incident"], "Topic of alerts: what alarms, rules and incidents tell.";
    BAKE_SECONDS = "LOCKSTEP_BAKE_SECONDS", &["deploy-endpoint"], "Seconds that a new version serves before those before its predecessor are removed.";
    COOLDOWN_SECONDS = "LOCKSTEP_INCIDENT_COOLDOWN_SECONDS", &["respond-incident"], "Seconds in which an endpoint is not rolled back twice.";
    RUNBOOKS_URL = "LOCKSTEP_RUNBOOKS_URL", &["respond-incident"], "Where the runbooks are, without a slash at its end.";
}

/// Reads a function's variables and collects every problem, so that one look at the log mends them all.
#[derive(Debug)]
pub struct Environment {
    function: &'static str,
    values: BTreeMap<String, String>,
    problems: Vec<String>,
}

impl Environment {
    /// The process's environment, as the given function may see it.
    pub fn of(function: &'static str) -> Self {
        Self::from_values(function, std::env::vars().collect())
    }

    /// The same for given values.
    pub fn from_values(function: &'static str, values: BTreeMap<String, String>) -> Self {
        Self { function, values, problems: Vec::new() }
    }

    /// A variable's text; empty, and a problem noted, when it is not set.
    pub fn text(&mut self, variable: &Variable) -> String {
        if !variable.functions.contains(&self.function) {
            self.problems.push(format!("{} is not declared for {}", variable.name, self.function));
        }
        match self.values.get(variable.name) {
            Some(value) if !value.is_empty() => value.clone(),
            _ => {
                self.problems.push(format!("{} is not set ({})", variable.name, variable.meaning));
                String::new()
            }
        }
    }

    /// A variable that `read` understands; its complaint becomes a problem.
    pub fn parsed<T: Default, E: std::fmt::Display>(
        &mut self,
        variable: &Variable,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> T {
        let text = self.text(variable);
        if text.is_empty() {
            return T::default();
        }
        read(&text).unwrap_or_else(|error| {
            self.problems.push(format!("{} is not usable: {error}", variable.name));
            T::default()
        })
    }

    /// A comma-separated list.
    pub fn list(&mut self, variable: &Variable) -> Vec<String> {
        self.text(variable)
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] with every problem.
    pub fn finish<T>(self, settings: T) -> Result<T, Error> {
        if self.problems.is_empty() {
            Ok(settings)
        } else {
            Err(Error::Misconfigured(self.problems.join("; ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_reported_together() {
        let mut environment = Environment::from_values("admit-run", BTreeMap::new());
        environment.text(&var::WORK_BUCKET);
        environment.text(&var::TABLE);
        let message = environment.finish(()).unwrap_err().to_string();
        assert!(message.contains("LOCKSTEP_WORK_BUCKET") && message.contains("LOCKSTEP_TABLE"), "{message}");
    }

    #[test]
    fn a_variable_of_another_function_is_a_problem() {
        let values = BTreeMap::from([("LOCKSTEP_TRUST_ROOT_SHA256".to_owned(), "00".to_owned())]);
        let mut environment = Environment::from_values("admit-run", values);
        environment.text(&var::TRUST_ROOT_SHA256);
        assert!(environment.finish(()).is_err());
    }
}
