//! What lineage is made of: artifacts that have an address, actions that were taken, contexts that hold them together.
//!
//! The three kinds have the same operations and differ in the names of their members, so each is a [`Kind`] and the
//! operations are written once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::listing::{Listing, page};
use super::validation::{
    Member, Object, Shape, check, may, must, not_found, required, shapes, text, validation,
};
use super::{Inner, State, now, set, some, user_context};
use crate::service::{AwsError, Caller};

const SOURCE_URI: Shape = Shape::Text { min: 1, max: 2048, pattern: None };
const TEXT_256: Shape = Shape::Text { min: 0, max: 256, pattern: None };
const PROPERTY: Shape = Shape::Text { min: 0, max: 2500, pattern: None };
const PROPERTIES: Shape = Shape::Table { max: 30, key: &PROPERTY, value: &PROPERTY };
const ARTIFACT_PROPERTIES: Shape =
    Shape::Table { max: 30, key: &PROPERTY, value: &Shape::Text { min: 0, max: 4096, pattern: None } };
const PROPERTY_KEYS: Shape = Shape::List { min: 0, max: usize::MAX, of: &PROPERTY };
const STATUS: Shape = Shape::OneOf(&["Unknown", "InProgress", "Completed", "Failed", "Stopping", "Stopped"]);
const ARTIFACT_ARN: Shape = Shape::Text {
    min: 0,
    max: 256,
    pattern: Some("arn:aws[a-z\\-]*:sagemaker:[a-z0-9\\-]*:[0-9]{12}:artifact/.*"),
};
const ARTIFACT_SOURCE: Shape = Shape::Structure(&[
    must("SourceUri", &SOURCE_URI),
    may(
        "SourceTypes",
        &Shape::List {
            min: 0,
            max: usize::MAX,
            of: &Shape::Structure(&[
                must("SourceIdType", &Shape::OneOf(&["MD5Hash", "S3ETag", "S3Version", "Custom"])),
                must("Value", &TEXT_256),
            ]),
        },
    ),
]);
const SOURCE: Shape = Shape::Structure(&[
    must("SourceUri", &SOURCE_URI),
    may("SourceType", &TEXT_256),
    may("SourceId", &TEXT_256),
]);
const CONTEXT_NAME: Shape =
    Shape::Text { min: 1, max: 120, pattern: Some("[a-zA-Z0-9]([-_]*[a-zA-Z0-9]){0,119}") };
const CONTEXT_NAME_OR_ARN: Shape = Shape::Text {
    min: 1,
    max: 256,
    pattern: Some(
        "(arn:aws[a-z\\-]*:sagemaker:[a-z0-9\\-]*:[0-9]{12}:context\\/)?([a-zA-Z0-9]([-_]*[a-zA-Z0-9]){0,119})",
    ),
};
const BY_NAME_OR_TIME: Shape = Shape::OneOf(&["Name", "CreationTime"]);

/// One kind of entity: what its operations are given, and what its members are called.
#[derive(Debug)]
pub(super) struct Kind {
    /// What its ARN calls it.
    resource: &'static str,
    /// What messages call it.
    noun: &'static str,
    /// What a query calls it.
    lineage_type: &'static str,
    name: &'static str,
    arn: &'static str,
    of_type: &'static str,
    /// The member that says which one an operation means.
    key: &'static str,
    /// An account can make this many.
    most: usize,
    create: &'static [Member],
    describe: &'static [Member],
    update: &'static [Member],
    delete: &'static [Member],
    list: &'static [Member],
    listing: Listing,
}

/// Something that has an address. Its ARN ends in an id, and its name is only a label.
pub(super) static ARTIFACT: Kind = Kind {
    resource: "artifact",
    noun: "Artifact",
    lineage_type: "Artifact",
    name: "ArtifactName",
    arn: "ArtifactArn",
    of_type: "ArtifactType",
    key: "ArtifactArn",
    most: 6000,
    create: &[
        may("ArtifactName", &shapes::ENTITY_NAME),
        must("Source", &ARTIFACT_SOURCE),
        must("ArtifactType", &TEXT_256),
        may("Properties", &ARTIFACT_PROPERTIES),
        may("MetadataProperties", &shapes::METADATA_PROPERTIES),
        may("Tags", &shapes::TAGS),
    ],
    describe: &[must("ArtifactArn", &ARTIFACT_ARN)],
    update: &[
        must("ArtifactArn", &ARTIFACT_ARN),
        may("ArtifactName", &shapes::ENTITY_NAME),
        may("Properties", &ARTIFACT_PROPERTIES),
        may("PropertiesToRemove", &PROPERTY_KEYS),
    ],
    delete: &[may("ArtifactArn", &ARTIFACT_ARN), may("Source", &ARTIFACT_SOURCE)],
    list: &[
        may("SourceUri", &SOURCE_URI),
        may("ArtifactType", &TEXT_256),
        may("CreatedAfter", &shapes::TIME),
        may("CreatedBefore", &shapes::TIME),
        may("SortBy", &Shape::OneOf(&["CreationTime"])),
        may("SortOrder", &shapes::SORT_ORDER),
        may("NextToken", &shapes::ANY_TEXT),
        may("MaxResults", &shapes::MAX_RESULTS),
    ],
    // Not every artifact has a name.
    listing: Listing { items: "ArtifactSummaries", name: "ArtifactArn", status: None, newest_first: true },
};

/// Something that was done.
pub(super) static ACTION: Kind = Kind {
    resource: "action",
    noun: "Action",
    lineage_type: "Action",
    name: "ActionName",
    arn: "ActionArn",
    of_type: "ActionType",
    key: "ActionName",
    most: 3000,
    create: &[
        must("ActionName", &shapes::ENTITY_NAME),
        must("Source", &SOURCE),
        must("ActionType", &TEXT_256),
        may("Description", &shapes::ENTITY_DESCRIPTION),
        may("Status", &STATUS),
        may("Properties", &PROPERTIES),
        may("MetadataProperties", &shapes::METADATA_PROPERTIES),
        may("Tags", &shapes::TAGS),
    ],
    describe: &[must("ActionName", &shapes::ENTITY_NAME_OR_ARN)],
    update: &[
        must("ActionName", &shapes::ENTITY_NAME),
        may("Description", &shapes::ENTITY_DESCRIPTION),
        may("Status", &STATUS),
        may("Properties", &PROPERTIES),
        may("PropertiesToRemove", &PROPERTY_KEYS),
    ],
    delete: &[must("ActionName", &shapes::ENTITY_NAME)],
    list: &[
        may("SourceUri", &SOURCE_URI),
        may("ActionType", &TEXT_256),
        may("CreatedAfter", &shapes::TIME),
        may("CreatedBefore", &shapes::TIME),
        may("SortBy", &BY_NAME_OR_TIME),
        may("SortOrder", &shapes::SORT_ORDER),
        may("NextToken", &shapes::ANY_TEXT),
        may("MaxResults", &shapes::MAX_RESULTS),
    ],
    listing: Listing { items: "ActionSummaries", name: "ActionName", status: None, newest_first: true },
};

/// Something that others belong to.
pub(super) static CONTEXT: Kind = Kind {
    resource: "context",
    noun: "Context",
    lineage_type: "Context",
    name: "ContextName",
    arn: "ContextArn",
    of_type: "ContextType",
    key: "ContextName",
    most: 500,
    create: &[
        must("ContextName", &CONTEXT_NAME),
        must("Source", &SOURCE),
        must("ContextType", &TEXT_256),
        may("Description", &shapes::ENTITY_DESCRIPTION),
        may("Properties", &PROPERTIES),
        may("Tags", &shapes::TAGS),
    ],
    describe: &[must("ContextName", &CONTEXT_NAME_OR_ARN)],
    update: &[
        must("ContextName", &CONTEXT_NAME),
        may("Description", &shapes::ENTITY_DESCRIPTION),
        may("Properties", &PROPERTIES),
        may("PropertiesToRemove", &PROPERTY_KEYS),
    ],
    delete: &[must("ContextName", &CONTEXT_NAME)],
    list: &[
        may("SourceUri", &SOURCE_URI),
        may("ContextType", &TEXT_256),
        may("CreatedAfter", &shapes::TIME),
        may("CreatedBefore", &shapes::TIME),
        may("SortBy", &BY_NAME_OR_TIME),
        may("SortOrder", &shapes::SORT_ORDER),
        may("NextToken", &shapes::ANY_TEXT),
        may("MaxResults", &shapes::MAX_RESULTS),
    ],
    listing: Listing { items: "ContextSummaries", name: "ContextName", status: None, newest_first: true },
};

impl Kind {
    fn has(&self, arn: &str) -> bool {
        let resource = arn.split(':').nth(5).and_then(|resource| resource.split('/').next());
        resource == Some(self.resource)
    }

    fn missing(&self, which: &str) -> AwsError {
        not_found(format!("{} '{which}' does not exist.", self.noun))
    }

    fn exists(&self, entity: &Object) -> AwsError {
        validation(format!("{} {} already exists.", self.noun, required(entity, self.arn)))
    }
}

/// Entities, and what is said of two of them.
#[derive(Debug, Default)]
pub(super) struct Lineage {
    /// By ARN.
    entities: BTreeMap<String, Object>,
    /// By the ARNs of source and destination; an association has no name of its own.
    pub(super) associations: BTreeMap<(String, String), Object>,
}

impl Lineage {
    pub(super) fn arns(&self) -> impl Iterator<Item = &str> {
        self.entities.keys().map(String::as_str)
    }

    fn of<'a>(&'a self, kind: &'static Kind) -> impl Iterator<Item = &'a Object> {
        self.entities.iter().filter(|(arn, _)| kind.has(arn)).map(|(_, entity)| entity)
    }

    fn find(&self, kind: &'static Kind, arn: &str) -> Option<&Object> {
        self.entities.get(arn).filter(|_| kind.has(arn))
    }
}

/// An entity as associations and queries see it, whether it is lineage's or an experiment's.
#[derive(Debug)]
pub(super) struct Entity<'a> {
    pub(super) record: &'a Object,
    pub(super) name: Option<&'a str>,
    pub(super) of_type: &'a str,
    /// Experiments have none.
    pub(super) lineage_type: Option<&'static str>,
}

impl State {
    /// What an association can begin or end with.
    pub(super) fn entity(&self, arn: &str) -> Result<Entity<'_>, AwsError> {
        let lineage = [&ARTIFACT, &ACTION, &CONTEXT].into_iter().find_map(|kind| {
            self.lineage.find(kind, arn).map(|record| Entity {
                record,
                name: text(record, kind.name),
                of_type: required(record, kind.of_type),
                lineage_type: Some(kind.lineage_type),
            })
        });
        lineage
            .or_else(|| self.experiments.entity(arn))
            .ok_or_else(|| not_found(format!("Entity '{arn}' does not exist.")))
    }
}

impl Inner {
    pub(super) fn create_lineage(
        &self,
        kind: &'static Kind,
        caller: &Caller,
        body: &Value,
    ) -> Result<Value, AwsError> {
        let request = check(kind.create, body)?;
        let name = text(&request, kind.name);
        let mut state = self.state();
        let same = |entity: &&Object| {
            let named = name.is_some() && text(entity, kind.name) == name;
            // What an artifact is, is where it lies.
            named || (kind.key == kind.arn && source_uri(entity) == source_uri(&request))
        };
        if let Some(entity) = state.lineage.of(kind).find(same) {
            return Err(kind.exists(entity));
        }
        if state.lineage.of(kind).count() >= kind.most {
            return Err(AwsError::client(
                "ResourceLimitExceeded",
                format!("The account has {} of {}, which is the limit.", kind.most, kind.resource),
            ));
        }
        let id = match name {
            Some(name) if kind.key == kind.name => name.to_owned(),
            _ => uuid::Uuid::new_v4().simple().to_string(),
        };
        let arn = self.arn(&format!("{}/{id}", kind.resource));
        let mut record = request.clone();
        record.remove("Tags");
        set(&mut record, kind.arn, arn.as_str());
        let created = now();
        for member in ["CreationTime", "LastModifiedTime"] {
            set(&mut record, member, created);
        }
        for member in ["CreatedBy", "LastModifiedBy"] {
            set(&mut record, member, user_context(caller));
        }
        state.tag_new(&arn, &request);
        state.lineage.entities.insert(arn.clone(), record);
        Ok(json!({kind.arn: arn}))
    }

    pub(super) fn describe_lineage(&self, kind: &'static Kind, body: &Value) -> Result<Value, AwsError> {
        let request = check(kind.describe, body)?;
        let which = required(&request, kind.key);
        let state = self.state();
        let entity = state.lineage.find(kind, &self.lineage_arn(kind, which));
        Ok(Value::Object(entity.ok_or_else(|| kind.missing(which))?.clone()))
    }

    pub(super) fn list_lineage(&self, kind: &'static Kind, body: &Value) -> Result<Value, AwsError> {
        let request = check(kind.list, body)?;
        let members =
            [kind.arn, kind.name, "Source", kind.of_type, "Status", "CreationTime", "LastModifiedTime"];
        let source = text(&request, "SourceUri");
        let of_type = text(&request, kind.of_type);
        let summaries = self
            .state()
            .lineage
            .of(kind)
            .filter(|entity| source.is_none() || source_uri(entity) == source)
            .filter(|entity| of_type.is_none() || text(entity, kind.of_type) == of_type)
            .map(|entity| some(entity, &members))
            .collect();
        page(&request, summaries, &kind.listing)
    }

    pub(super) fn update_lineage(
        &self,
        kind: &'static Kind,
        caller: &Caller,
        body: &Value,
    ) -> Result<Value, AwsError> {
        let request = check(kind.update, body)?;
        let which = required(&request, kind.key);
        let arn = self.lineage_arn(kind, which);
        let mut state = self.state();
        let name = text(&request, kind.name);
        let taken = |entity: &&Object| {
            name.is_some() && text(entity, kind.name) == name && text(entity, kind.arn) != Some(&arn)
        };
        if let Some(entity) = state.lineage.of(kind).find(taken) {
            return Err(kind.exists(entity));
        }
        let entity = state
            .lineage
            .entities
            .get_mut(&arn)
            .filter(|_| kind.has(&arn))
            .ok_or_else(|| kind.missing(which))?;
        // A given list of properties takes the place of the whole list before.
        entity.extend(some(&request, &[kind.name, "Description", "Status", "Properties"]));
        if let Some(Value::Object(properties)) = entity.get_mut("Properties") {
            for gone in request.get("PropertiesToRemove").and_then(Value::as_array).into_iter().flatten() {
                properties.remove(gone.as_str().unwrap_or_default());
            }
        }
        set(entity, "LastModifiedTime", now());
        set(entity, "LastModifiedBy", user_context(caller));
        Ok(json!({kind.arn: arn}))
    }

    pub(super) fn delete_lineage(&self, kind: &'static Kind, body: &Value) -> Result<Value, AwsError> {
        let request = check(kind.delete, body)?;
        let mut state = self.state();
        let arn = match (text(&request, kind.key), source_uri(&request)) {
            (Some(which), None) => {
                let arn = self.lineage_arn(kind, which);
                state.lineage.find(kind, &arn).ok_or_else(|| kind.missing(which))?;
                arn
            }
            (None, Some(uri)) => {
                let entity = state.lineage.of(kind).find(|entity| source_uri(entity) == Some(uri));
                required(entity.ok_or_else(|| kind.missing(uri))?, kind.arn).to_owned()
            }
            _ => return Err(validation("Either ArtifactArn or Source must be specified.")),
        };
        let ends = |(source, destination): &&(String, String)| *source == arn || *destination == arn;
        let associations = state.lineage.associations.keys().filter(ends).count();
        if associations > 0 {
            return Err(validation(format!(
                "{} {arn} has {associations} association(s); delete them first.",
                kind.noun
            )));
        }
        state.lineage.entities.remove(&arn);
        state.tags.remove(&arn);
        Ok(json!({kind.arn: arn}))
    }

    fn lineage_arn(&self, kind: &'static Kind, which: &str) -> String {
        if which.starts_with("arn:") {
            which.to_owned()
        } else {
            self.arn(&format!("{}/{which}", kind.resource))
        }
    }
}

fn source_uri(entity: &Object) -> Option<&str> {
    entity.get("Source")?.get("SourceUri")?.as_str()
}
