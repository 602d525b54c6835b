//! Associations: what contributed to what, came of it, or belongs with it.

use serde_json::{Value, json};

use super::lineage::Entity;
use super::listing::{Listing, page};
use super::validation::{Member, Shape, check, may, must, not_found, required, shapes, text, validation};
use super::{Inner, now, set, some, user_context};
use crate::service::{AwsError, Caller};

/// The ARN of what an association can begin or end with; trials are not among them.
pub(super) const ENTITY_ARN: Shape = Shape::Text {
    min: 0,
    max: 256,
    pattern: Some(
        "arn:aws[a-z\\-]*:sagemaker:[a-z0-9\\-]*:[0-9]{12}:(experiment|experiment-trial-component|artifact|action|context)/.*",
    ),
};
const TYPE: Shape = Shape::OneOf(&["ContributedTo", "AssociatedWith", "DerivedFrom", "Produced", "SameAs"]);
const ENTITY_TYPE: Shape = Shape::Text { min: 0, max: 256, pattern: None };
const ADD: &[Member] =
    &[must("SourceArn", &ENTITY_ARN), must("DestinationArn", &ENTITY_ARN), may("AssociationType", &TYPE)];
const DELETE: &[Member] = &[must("SourceArn", &ENTITY_ARN), must("DestinationArn", &ENTITY_ARN)];
const LIST: &[Member] = &[
    may("SourceArn", &ENTITY_ARN),
    may("DestinationArn", &ENTITY_ARN),
    may("SourceType", &ENTITY_TYPE),
    may("DestinationType", &ENTITY_TYPE),
    may("AssociationType", &TYPE),
    may("CreatedAfter", &shapes::TIME),
    may("CreatedBefore", &shapes::TIME),
    may(
        "SortBy",
        &Shape::OneOf(&["SourceArn", "DestinationArn", "SourceType", "DestinationType", "CreationTime"]),
    ),
    may("SortOrder", &shapes::SORT_ORDER),
    may("NextToken", &shapes::ANY_TEXT),
    may("MaxResults", &shapes::MAX_RESULTS),
];
const LISTING: Listing =
    Listing { items: "AssociationSummaries", name: "SourceArn", status: None, newest_first: true };

/// An account can make this many.
const MOST: usize = 6000;

impl Inner {
    pub(super) fn add_association(&self, caller: &Caller, body: &Value) -> Result<Value, AwsError> {
        let request = check(ADD, body)?;
        let (source, destination) = (required(&request, "SourceArn"), required(&request, "DestinationArn"));
        let mut state = self.state();
        let experiments = [state.entity(source)?, state.entity(destination)?]
            .iter()
            .filter(|end| end.is_experiment())
            .count();
        if experiments == 2 {
            return Err(validation(format!(
                "An association can't be created between two experiment entities: {source} and {destination}."
            )));
        }
        let key = (source.to_owned(), destination.to_owned());
        if state.lineage.associations.contains_key(&key) {
            return Err(validation(format!("Association from {source} to {destination} already exists.")));
        }
        if state.lineage.associations.len() >= MOST {
            return Err(AwsError::client(
                "ResourceLimitExceeded",
                format!("The account has {MOST} associations, which is the limit."),
            ));
        }
        let mut record = some(&request, &["SourceArn", "DestinationArn", "AssociationType"]);
        set(&mut record, "CreationTime", now());
        set(&mut record, "CreatedBy", user_context(caller));
        state.lineage.associations.insert(key, record);
        Ok(json!({"SourceArn": source, "DestinationArn": destination}))
    }

    pub(super) fn delete_association(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(DELETE, body)?;
        let (source, destination) = (required(&request, "SourceArn"), required(&request, "DestinationArn"));
        let key = (source.to_owned(), destination.to_owned());
        self.state().lineage.associations.remove(&key).ok_or_else(|| {
            not_found(format!("Association from '{source}' to '{destination}' does not exist."))
        })?;
        Ok(json!({"SourceArn": source, "DestinationArn": destination}))
    }

    pub(super) fn list_associations(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(LIST, body)?;
        let state = self.state();
        for end in ["SourceArn", "DestinationArn"] {
            if let Some(arn) = text(&request, end) {
                state.entity(arn)?;
            }
        }
        let mut summaries = Vec::new();
        for association in state.lineage.associations.values() {
            let mut summary = association.clone();
            for (arn, name, of_type) in [
                ("SourceArn", "SourceName", "SourceType"),
                ("DestinationArn", "DestinationName", "DestinationType"),
            ] {
                let entity = state.entity(required(association, arn))?;
                set(&mut summary, of_type, entity.of_type);
                if let Some(given) = entity.name {
                    set(&mut summary, name, given);
                }
            }
            let asked = ["SourceArn", "DestinationArn", "SourceType", "DestinationType", "AssociationType"];
            if asked.iter().all(|member| {
                text(&request, member).is_none_or(|wanted| text(&summary, member) == Some(wanted))
            }) {
                summaries.push(summary);
            }
        }
        page(&request, summaries, &LISTING)
    }
}

impl Entity<'_> {
    fn is_experiment(&self) -> bool {
        self.lineage_type.is_none_or(|lineage_type| lineage_type == "TrialComponent")
    }
}
