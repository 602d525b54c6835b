//! Model cards, whose every change is a version of its own.

use serde_json::{Value, json};

use super::listing::{Listing, page};
use super::validation::{
    Member, Object, Shape, check, may, must, not_found, required, shapes, text, validation,
};
use super::{Inner, last_part, now, set, some, user_context};
use crate::service::{AwsError, Caller};

const STATUS: Shape = Shape::OneOf(&["Draft", "PendingReview", "Approved", "Archived"]);
const NAME_OR_ARN: Shape = Shape::Text {
    min: 1,
    max: 256,
    pattern: Some(
        "(arn:aws[a-z\\-]*:sagemaker:[a-z0-9\\-]*:[0-9]{12}:model-card/.*)?([a-zA-Z0-9](-*[a-zA-Z0-9]){0,62})",
    ),
};
const CREATE: &[Member] = &[
    must("ModelCardName", &shapes::NAME),
    may("SecurityConfig", &Shape::Structure(&[may("KmsKeyId", &shapes::KMS_KEY)])),
    must("Content", &shapes::ANY_TEXT),
    must("ModelCardStatus", &STATUS),
    may("Tags", &shapes::TAGS),
];
const UPDATE: &[Member] = &[
    must("ModelCardName", &NAME_OR_ARN),
    may("Content", &shapes::ANY_TEXT),
    may("ModelCardStatus", &STATUS),
];
const NAMED: &[Member] = &[
    must("ModelCardName", &NAME_OR_ARN),
    may("ModelCardVersion", &Shape::Integer { min: i64::MIN, max: i64::MAX }),
];
const LIST: &[Member] = &[
    may("CreationTimeAfter", &shapes::TIME),
    may("CreationTimeBefore", &shapes::TIME),
    may("MaxResults", &shapes::MAX_RESULTS),
    may("NameContains", &shapes::NAME),
    may("ModelCardStatus", &STATUS),
    may("NextToken", &shapes::ANY_TEXT),
    may("SortBy", &Shape::OneOf(&["Name", "CreationTime"])),
    may("SortOrder", &shapes::SORT_ORDER),
];
const LIST_VERSIONS: &[Member] = &[
    must("ModelCardName", &NAME_OR_ARN),
    may("CreationTimeAfter", &shapes::TIME),
    may("CreationTimeBefore", &shapes::TIME),
    may("MaxResults", &shapes::MAX_RESULTS),
    may("ModelCardStatus", &STATUS),
    may("NextToken", &shapes::ANY_TEXT),
    may("SortBy", &Shape::OneOf(&["Version"])),
    may("SortOrder", &shapes::SORT_ORDER),
];
const LISTING: Listing =
    Listing { items: "ModelCardSummaries", name: "ModelCardName", status: None, newest_first: false };
const VERSION_LISTING: Listing = Listing {
    items: "ModelCardVersionSummaryList",
    name: "ModelCardName",
    status: None,
    newest_first: false,
};

impl Inner {
    pub(super) fn create_model_card(&self, caller: &Caller, body: &Value) -> Result<Value, AwsError> {
        let request = check(CREATE, body)?;
        check_content(&request)?;
        let name = required(&request, "ModelCardName").to_owned();
        let arn = self.arn(&format!("model-card/{name}"));
        let mut state = self.state();
        if state.cards.contains_key(&name) {
            return Err(AwsError::client("ConflictException", format!("Model card {arn} already exists.")));
        }
        let mut record = some(&request, &["ModelCardName", "SecurityConfig", "Content", "ModelCardStatus"]);
        set(&mut record, "ModelCardArn", arn.as_str());
        set(&mut record, "ModelCardVersion", 1);
        set(&mut record, "CreationTime", now());
        set(&mut record, "CreatedBy", user_context(caller));
        state.tag_new(&arn, &request);
        state.cards.insert(name, vec![record]);
        Ok(json!({"ModelCardArn": arn}))
    }

    pub(super) fn update_model_card(&self, caller: &Caller, body: &Value) -> Result<Value, AwsError> {
        let request = check(UPDATE, body)?;
        match (request.get("Content"), request.get("ModelCardStatus")) {
            (Some(_), None) => check_content(&request)?,
            (None, Some(_)) => {}
            (Some(_), Some(_)) => {
                return Err(validation(
                    "Content and ModelCardStatus cannot both be updated in a single call.",
                ));
            }
            (None, None) => return Err(validation("Either Content or ModelCardStatus must be present.")),
        }
        let mut state = self.state();
        let name = last_part(required(&request, "ModelCardName"));
        let versions = state.cards.get_mut(name).ok_or_else(|| no_card(name))?;
        let mut record = versions.last().cloned().unwrap_or_default();
        record.extend(some(&request, &["Content", "ModelCardStatus"]));
        set(&mut record, "ModelCardVersion", versions.len() + 1);
        set(&mut record, "LastModifiedTime", now());
        set(&mut record, "LastModifiedBy", user_context(caller));
        let arn = required(&record, "ModelCardArn").to_owned();
        versions.push(record);
        Ok(json!({"ModelCardArn": arn}))
    }

    pub(super) fn describe_model_card(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(NAMED, body)?;
        let name = last_part(required(&request, "ModelCardName"));
        let state = self.state();
        let versions = state.cards.get(name).ok_or_else(|| no_card(name))?;
        let record = match request.get("ModelCardVersion") {
            None => versions.last(),
            Some(version) => versions.iter().find(|record| record.get("ModelCardVersion") == Some(version)),
        };
        let record =
            record.ok_or_else(|| not_found(format!("Model card {name} does not have this version.")))?;
        Ok(Value::Object(record.clone()))
    }

    pub(super) fn list_model_cards(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(LIST, body)?;
        let members =
            ["ModelCardName", "ModelCardArn", "ModelCardStatus", "CreationTime", "LastModifiedTime"];
        let summaries = self
            .state()
            .cards
            .values()
            .filter_map(|versions| versions.last())
            .filter(|record| has_status(&request, record))
            .map(|record| some(record, &members))
            .collect();
        page(&request, summaries, &LISTING)
    }

    pub(super) fn list_model_card_versions(&self, body: &Value) -> Result<Value, AwsError> {
        let mut request = check(LIST_VERSIONS, body)?;
        set(&mut request, "SortBy", "Version");
        let members = [
            "ModelCardName",
            "ModelCardArn",
            "ModelCardStatus",
            "ModelCardVersion",
            "CreationTime",
            "LastModifiedTime",
        ];
        let name = last_part(required(&request, "ModelCardName"));
        let state = self.state();
        let versions = state.cards.get(name).ok_or_else(|| no_card(name))?;
        let summaries = versions
            .iter()
            .filter(|record| has_status(&request, record))
            .map(|record| {
                let mut summary = some(record, &members);
                // A version never changes: it was made when the card was last modified.
                if let Some(modified) = record.get("LastModifiedTime") {
                    set(&mut summary, "CreationTime", modified.clone());
                }
                summary
            })
            .collect();
        page(&request, summaries, &VERSION_LISTING)
    }
}

fn no_card(name: &str) -> AwsError {
    not_found(format!("Model card {name} does not exist in this account and region."))
}

fn check_content(request: &Object) -> Result<(), AwsError> {
    let content: Option<Value> = serde_json::from_str(required(request, "Content")).ok();
    if content.is_some_and(|content| content.is_object()) {
        return Ok(());
    }
    Err(validation("Content must be a model card in JSON, as a string that holds an object."))
}

fn has_status(request: &Object, record: &Object) -> bool {
    text(request, "ModelCardStatus").is_none_or(|status| text(record, "ModelCardStatus") == Some(status))
}
