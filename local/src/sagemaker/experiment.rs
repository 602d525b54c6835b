//! Experiments, and the trials that they consist of. Trial components are in `trial_component.rs`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::lineage::Entity;
use super::listing::{Listing, page};
use super::trial_metrics::Metrics;
use super::validation::{
    Member, Object, Shape, check, may, must, not_found, required, shapes, text, validation,
};
use super::{Inner, now, set, some, user_context};
use crate::service::{AwsError, Caller};

const CREATE: &[Member] = &[
    must("ExperimentName", &shapes::ENTITY_NAME),
    may("DisplayName", &shapes::ENTITY_NAME),
    may("Description", &shapes::ENTITY_DESCRIPTION),
    may("Tags", &shapes::TAGS),
];
const NAMED: &[Member] = &[must("ExperimentName", &shapes::ENTITY_NAME)];
const LIST: &[Member] = &[
    may("CreatedAfter", &shapes::TIME),
    may("CreatedBefore", &shapes::TIME),
    may("SortBy", &BY_NAME_OR_TIME),
    may("SortOrder", &shapes::SORT_ORDER),
    may("NextToken", &shapes::ANY_TEXT),
    may("MaxResults", &shapes::MAX_RESULTS),
];
const CREATE_TRIAL: &[Member] = &[
    must("TrialName", &shapes::ENTITY_NAME),
    may("DisplayName", &shapes::ENTITY_NAME),
    must("ExperimentName", &shapes::ENTITY_NAME),
    may("MetadataProperties", &shapes::METADATA_PROPERTIES),
    may("Tags", &shapes::TAGS),
];
const TRIAL_NAMED: &[Member] = &[must("TrialName", &shapes::ENTITY_NAME)];
const LIST_TRIALS: &[Member] = &[
    may("ExperimentName", &shapes::ENTITY_NAME),
    may("TrialComponentName", &shapes::ENTITY_NAME),
    may("CreatedAfter", &shapes::TIME),
    may("CreatedBefore", &shapes::TIME),
    may("SortBy", &BY_NAME_OR_TIME),
    may("SortOrder", &shapes::SORT_ORDER),
    may("MaxResults", &shapes::MAX_RESULTS),
    may("NextToken", &shapes::ANY_TEXT),
];
pub(super) const BY_NAME_OR_TIME: Shape = Shape::OneOf(&["Name", "CreationTime"]);
const LISTING: Listing =
    Listing { items: "ExperimentSummaries", name: "ExperimentName", status: None, newest_first: true };
const TRIAL_LISTING: Listing =
    Listing { items: "TrialSummaries", name: "TrialName", status: None, newest_first: true };

/// What is called by a name that is not case-sensitive.
#[derive(Debug)]
pub(super) struct Kind {
    /// What its ARN calls it.
    resource: &'static str,
    /// What messages call it.
    noun: &'static str,
    name: &'static str,
    arn: &'static str,
}

const EXPERIMENT: Kind =
    Kind { resource: "experiment", noun: "Experiment", name: "ExperimentName", arn: "ExperimentArn" };
const TRIAL: Kind = Kind { resource: "experiment-trial", noun: "Trial", name: "TrialName", arn: "TrialArn" };
pub(super) const COMPONENT: Kind = Kind {
    resource: "experiment-trial-component",
    noun: "Trial component",
    name: "TrialComponentName",
    arn: "TrialComponentArn",
};

/// Everything of one kind.
#[derive(Debug)]
pub(super) struct Named {
    kind: Kind,
    by_name: BTreeMap<String, Object>,
}

impl Named {
    const fn new(kind: Kind) -> Self {
        Self { kind, by_name: BTreeMap::new() }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Object> {
        self.by_name.values()
    }

    pub(super) fn get(&self, name: &str) -> Result<&Object, AwsError> {
        self.by_name.get(&key(name)).ok_or_else(|| self.kind.missing(name))
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Result<&mut Object, AwsError> {
        self.by_name.get_mut(&key(name)).ok_or_else(|| self.kind.missing(name))
    }

    /// The ARN of the one with this name.
    pub(super) fn arn(&self, name: &str) -> Result<String, AwsError> {
        Ok(required(self.get(name)?, self.kind.arn).to_owned())
    }

    fn arns(&self) -> impl Iterator<Item = &str> {
        self.all().filter_map(|record| text(record, self.kind.arn))
    }

    fn with_arn(&self, arn: &str) -> Option<&Object> {
        self.all().find(|record| text(record, self.kind.arn) == Some(arn))
    }
}

impl Kind {
    fn missing(&self, name: &str) -> AwsError {
        not_found(format!("{} '{name}' does not exist.", self.noun))
    }
}

/// Names are not case-sensitive.
pub(super) fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Experiments, their trials, and the components of those.
#[derive(Debug)]
pub(super) struct Experiments {
    experiments: Named,
    pub(super) trials: Named,
    pub(super) components: Named,
    /// The keys of a trial and of a component of it.
    pub(super) memberships: BTreeSet<(String, String)>,
    /// By the key of the component.
    pub(super) metrics: BTreeMap<String, Metrics>,
}

impl Default for Experiments {
    fn default() -> Self {
        Self {
            experiments: Named::new(EXPERIMENT),
            trials: Named::new(TRIAL),
            components: Named::new(COMPONENT),
            memberships: BTreeSet::new(),
            metrics: BTreeMap::new(),
        }
    }
}

impl Experiments {
    pub(super) fn arns(&self) -> impl Iterator<Item = &str> {
        self.experiments.arns().chain(self.trials.arns()).chain(self.components.arns())
    }

    /// What an association can begin or end with; a trial is not among them.
    pub(super) fn entity(&self, arn: &str) -> Option<Entity<'_>> {
        let experiment = self.experiments.with_arn(arn).map(|record| Entity {
            record,
            name: text(record, "ExperimentName"),
            of_type: "Experiment",
            lineage_type: None,
        });
        experiment.or_else(|| {
            self.components.with_arn(arn).map(|record| Entity {
                record,
                name: text(record, "TrialComponentName"),
                of_type: "TrialComponent",
                lineage_type: Some("TrialComponent"),
            })
        })
    }

    /// The keys of an experiment's trials.
    pub(super) fn trials_of(&self, experiment: &str) -> Result<BTreeSet<String>, AwsError> {
        self.experiments.get(experiment)?;
        Ok(self
            .trials
            .all()
            .filter(|trial| key(required(trial, "ExperimentName")) == key(experiment))
            .map(|trial| key(required(trial, "TrialName")))
            .collect())
    }
}

impl Inner {
    pub(super) fn create_experiment(&self, caller: &Caller, body: &Value) -> Result<Value, AwsError> {
        let request = check(CREATE, body)?;
        let mut state = self.state();
        let arn = self.create_named(&mut state.experiments.experiments, caller, &request)?;
        state.tag_new(&arn, &request);
        Ok(json!({"ExperimentArn": arn}))
    }

    pub(super) fn describe_experiment(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(NAMED, body)?;
        let state = self.state();
        let experiment = state.experiments.experiments.get(required(&request, "ExperimentName"))?;
        Ok(Value::Object(experiment.clone()))
    }

    pub(super) fn list_experiments(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(LIST, body)?;
        let members = ["ExperimentArn", "ExperimentName", "DisplayName", "CreationTime", "LastModifiedTime"];
        let summaries =
            self.state().experiments.experiments.all().map(|experiment| some(experiment, &members)).collect();
        page(&request, summaries, &LISTING)
    }

    pub(super) fn create_trial(&self, caller: &Caller, body: &Value) -> Result<Value, AwsError> {
        let mut request = check(CREATE_TRIAL, body)?;
        let mut state = self.state();
        let experiment = state.experiments.experiments.get(required(&request, "ExperimentName"))?;
        // However the request spells it.
        let name = required(experiment, "ExperimentName").to_owned();
        set(&mut request, "ExperimentName", name);
        let arn = self.create_named(&mut state.experiments.trials, caller, &request)?;
        state.tag_new(&arn, &request);
        Ok(json!({"TrialArn": arn}))
    }

    pub(super) fn describe_trial(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(TRIAL_NAMED, body)?;
        let state = self.state();
        let trial = state.experiments.trials.get(required(&request, "TrialName"))?;
        Ok(Value::Object(trial.clone()))
    }

    pub(super) fn list_trials(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(LIST_TRIALS, body)?;
        let members = ["TrialArn", "TrialName", "DisplayName", "CreationTime", "LastModifiedTime"];
        let state = self.state();
        let experiments = &state.experiments;
        let of_experiment =
            text(&request, "ExperimentName").map(|name| experiments.trials_of(name)).transpose()?;
        let of_component = match text(&request, "TrialComponentName") {
            Some(name) => {
                experiments.components.get(name)?;
                Some(key(name))
            }
            None => None,
        };
        let summaries = experiments
            .trials
            .all()
            .filter(|trial| {
                let trial = key(required(trial, "TrialName"));
                of_experiment.as_ref().is_none_or(|trials| trials.contains(&trial))
                    && of_component
                        .as_ref()
                        .is_none_or(|component| experiments.memberships.contains(&(trial, component.clone())))
            })
            .map(|trial| some(trial, &members))
            .collect();
        page(&request, summaries, &TRIAL_LISTING)
    }

    /// Keeps what a checked request describes, under its name, and answers its ARN.
    pub(super) fn create_named(
        &self,
        family: &mut Named,
        caller: &Caller,
        request: &Object,
    ) -> Result<String, AwsError> {
        let Kind { resource, noun, name: name_member, arn: arn_member } = family.kind;
        let name = required(request, name_member);
        if family.by_name.contains_key(&key(name)) {
            return Err(validation(format!(
                "{noun} names must be unique within an AWS account and region. {noun} with name ({name}) already exists."
            )));
        }
        let arn = self.arn(&format!("{resource}/{name}"));
        let mut record = request.clone();
        record.remove("Tags");
        set(&mut record, arn_member, arn.as_str());
        if !record.contains_key("DisplayName") {
            set(&mut record, "DisplayName", name);
        }
        let created = now();
        for member in ["CreationTime", "LastModifiedTime"] {
            set(&mut record, member, created);
        }
        for member in ["CreatedBy", "LastModifiedBy"] {
            set(&mut record, member, user_context(caller));
        }
        family.by_name.insert(key(name), record);
        Ok(arn)
    }
}
