//! Trial components: what one step of a trial was given, what it made of it, and how it went.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::experiment::{BY_NAME_OR_TIME, key};
use super::listing::{Listing, page};
use super::validation::{
    Member, Object, Shape, check, may, must, not_found, required, shapes, text, validation,
};
use super::{Inner, last_part, now, set, some, user_context};
use crate::service::{AwsError, Caller};

/// A component has at most so many parameters.
const MOST_PARAMETERS: usize = 300;

/// A component has at most so many artifacts on either side.
const MOST_ARTIFACTS: usize = 60;

const STATUS: Shape = Shape::Structure(&[
    may("PrimaryStatus", &Shape::OneOf(&["InProgress", "Completed", "Failed", "Stopping", "Stopped"])),
    may("Message", &Shape::Text { min: 0, max: 1024, pattern: None }),
]);
const PARAMETERS: Shape = Shape::Table {
    max: MOST_PARAMETERS,
    key: &Shape::Text { min: 0, max: 320, pattern: None },
    value: &Shape::Structure(&[
        may("StringValue", &Shape::Text { min: 0, max: 2500, pattern: None }),
        may("NumberValue", &Shape::Number { min: f64::MIN }),
    ]),
};
const ARTIFACTS: Shape = Shape::Table {
    max: MOST_ARTIFACTS,
    key: &Shape::Text { min: 0, max: 128, pattern: None },
    value: &Shape::Structure(&[
        may("MediaType", &Shape::Text { min: 0, max: 64, pattern: Some("[-\\w]+\\/[-\\w+]+") }),
        must("Value", &Shape::Text { min: 0, max: 2048, pattern: None }),
    ]),
};
const KEYS: Shape =
    Shape::List { min: 0, max: usize::MAX, of: &Shape::Text { min: 0, max: 256, pattern: None } };
const CREATE: &[Member] = &[
    must("TrialComponentName", &shapes::ENTITY_NAME),
    may("DisplayName", &shapes::ENTITY_NAME),
    may("Status", &STATUS),
    may("StartTime", &shapes::TIME),
    may("EndTime", &shapes::TIME),
    may("Parameters", &PARAMETERS),
    may("InputArtifacts", &ARTIFACTS),
    may("OutputArtifacts", &ARTIFACTS),
    may("MetadataProperties", &shapes::METADATA_PROPERTIES),
    may("Tags", &shapes::TAGS),
];
const UPDATE: &[Member] = &[
    must("TrialComponentName", &shapes::ENTITY_NAME),
    may("DisplayName", &shapes::ENTITY_NAME),
    may("Status", &STATUS),
    may("StartTime", &shapes::TIME),
    may("EndTime", &shapes::TIME),
    may("Parameters", &PARAMETERS),
    may("ParametersToRemove", &KEYS),
    may("InputArtifacts", &ARTIFACTS),
    may("InputArtifactsToRemove", &KEYS),
    may("OutputArtifacts", &ARTIFACTS),
    may("OutputArtifactsToRemove", &KEYS),
];
const DESCRIBE: &[Member] = &[must("TrialComponentName", &shapes::ENTITY_NAME_OR_ARN)];
const LIST: &[Member] = &[
    may("ExperimentName", &shapes::ENTITY_NAME),
    may("TrialName", &shapes::ENTITY_NAME),
    may("SourceArn", &Shape::Text { min: 0, max: 256, pattern: None }),
    may("CreatedAfter", &shapes::TIME),
    may("CreatedBefore", &shapes::TIME),
    may("SortBy", &BY_NAME_OR_TIME),
    may("SortOrder", &shapes::SORT_ORDER),
    may("MaxResults", &shapes::MAX_RESULTS),
    may("NextToken", &shapes::ANY_TEXT),
];
const MEMBERSHIP: &[Member] =
    &[must("TrialComponentName", &shapes::ENTITY_NAME), must("TrialName", &shapes::ENTITY_NAME)];
const LISTING: Listing = Listing {
    items: "TrialComponentSummaries",
    name: "TrialComponentName",
    status: None,
    newest_first: true,
};

impl Inner {
    pub(super) fn create_trial_component(&self, caller: &Caller, body: &Value) -> Result<Value, AwsError> {
        let request = check(CREATE, body)?;
        check_parameters(&request)?;
        let mut state = self.state();
        let arn = self.create_named(&mut state.experiments.components, caller, &request)?;
        state.tag_new(&arn, &request);
        Ok(json!({"TrialComponentArn": arn}))
    }

    pub(super) fn update_trial_component(&self, caller: &Caller, body: &Value) -> Result<Value, AwsError> {
        let request = check(UPDATE, body)?;
        check_parameters(&request)?;
        let mut state = self.state();
        let component = state.experiments.components.get_mut(required(&request, "TrialComponentName"))?;
        let mut changed = component.clone();
        changed.extend(some(&request, &["DisplayName", "Status", "StartTime", "EndTime"]));
        for (member, most) in [
            ("Parameters", MOST_PARAMETERS),
            ("InputArtifacts", MOST_ARTIFACTS),
            ("OutputArtifacts", MOST_ARTIFACTS),
        ] {
            merge(&mut changed, &request, member, most)?;
        }
        set(&mut changed, "LastModifiedTime", now());
        set(&mut changed, "LastModifiedBy", user_context(caller));
        *component = changed;
        Ok(json!({"TrialComponentArn": component.get("TrialComponentArn")}))
    }

    pub(super) fn describe_trial_component(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(DESCRIBE, body)?;
        let given = required(&request, "TrialComponentName");
        let name = last_part(given);
        let state = self.state();
        let mut component = state.experiments.components.get(name)?.clone();
        if given.starts_with("arn:") && text(&component, "TrialComponentArn") != Some(given) {
            return Err(not_found(format!("Trial component '{given}' does not exist.")));
        }
        let arn = required(&component, "TrialComponentArn").to_owned();
        let metrics = state.experiments.metrics.get(&key(name));
        set(&mut component, "Metrics", metrics.map_or_else(Vec::new, |metrics| metrics.shown(&arn)));
        Ok(Value::Object(component))
    }

    pub(super) fn list_trial_components(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(LIST, body)?;
        let given = ["ExperimentName", "TrialName", "SourceArn"];
        if given.iter().filter(|member| request.contains_key(**member)).count() > 1 {
            return Err(validation("Only one of ExperimentName, TrialName and SourceArn can be specified."));
        }
        let members = [
            "TrialComponentName",
            "TrialComponentArn",
            "DisplayName",
            "Status",
            "StartTime",
            "EndTime",
            "CreationTime",
            "CreatedBy",
            "LastModifiedTime",
            "LastModifiedBy",
        ];
        let state = self.state();
        let experiments = &state.experiments;
        let trials = match (text(&request, "ExperimentName"), text(&request, "TrialName")) {
            (Some(experiment), _) => Some(experiments.trials_of(experiment)?),
            (None, Some(trial)) => {
                experiments.trials.get(trial)?;
                Some(BTreeSet::from([key(trial)]))
            }
            (None, None) => None,
        };
        let summaries = experiments
            .components
            .all()
            // A source is the job that a component was made for, and here none is.
            .filter(|_| !request.contains_key("SourceArn"))
            .filter(|component| {
                let component = key(required(component, "TrialComponentName"));
                trials.as_ref().is_none_or(|trials| {
                    experiments
                        .memberships
                        .iter()
                        .any(|(trial, member)| *member == component && trials.contains(trial))
                })
            })
            .map(|component| some(component, &members))
            .collect();
        page(&request, summaries, &LISTING)
    }

    pub(super) fn associate_trial_component(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(MEMBERSHIP, body)?;
        let (component, trial) = (required(&request, "TrialComponentName"), required(&request, "TrialName"));
        let mut state = self.state();
        let experiments = &mut state.experiments;
        let answer = json!({
            "TrialComponentArn": experiments.components.arn(component)?,
            "TrialArn": experiments.trials.arn(trial)?,
        });
        experiments.memberships.insert((key(trial), key(component)));
        Ok(answer)
    }

    pub(super) fn disassociate_trial_component(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(MEMBERSHIP, body)?;
        let (component, trial) = (required(&request, "TrialComponentName"), required(&request, "TrialName"));
        let mut state = self.state();
        let experiments = &mut state.experiments;
        let answer = json!({
            "TrialComponentArn": experiments.components.arn(component)?,
            "TrialArn": experiments.trials.arn(trial)?,
        });
        if !experiments.memberships.remove(&(key(trial), key(component))) {
            return Err(not_found(format!(
                "Trial component '{component}' is not associated with trial '{trial}'."
            )));
        }
        Ok(answer)
    }
}

fn check_parameters(request: &Object) -> Result<(), AwsError> {
    for (name, value) in request.get("Parameters").and_then(Value::as_object).into_iter().flatten() {
        let given = ["StringValue", "NumberValue"].iter().filter(|kind| !value[**kind].is_null()).count();
        if given != 1 {
            return Err(validation(format!(
                "Exactly one of StringValue and NumberValue must be specified for parameter '{name}'."
            )));
        }
    }
    Ok(())
}

/// Takes away what a request removes from a map, and puts in what it gives: the rest stays.
fn merge(record: &mut Object, request: &Object, member: &str, most: usize) -> Result<(), AwsError> {
    let removed = request.get(&format!("{member}ToRemove"));
    let added = request.get(member).and_then(Value::as_object);
    if removed.is_none() && added.is_none() {
        return Ok(());
    }
    let mut entries = record.get(member).and_then(Value::as_object).cloned().unwrap_or_default();
    for gone in removed.and_then(Value::as_array).into_iter().flatten() {
        entries.remove(gone.as_str().unwrap_or_default());
    }
    entries.extend(added.cloned().unwrap_or_default());
    if entries.len() > most {
        return Err(validation(format!(
            "{member} can have at most {most} entries; it would have {}.",
            entries.len()
        )));
    }
    set(record, member, entries);
    Ok(())
}
