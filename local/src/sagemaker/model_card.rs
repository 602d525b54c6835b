//! Model cards.

use serde_json::{Value, json};

use super::validation::{Member, Shape, check, may, must, required, shapes, validation};
use super::{Inner, now, set, some, user_context};
use crate::service::{AwsError, Caller};

const CREATE: &[Member] = &[
    must("ModelCardName", &shapes::NAME),
    may("SecurityConfig", &Shape::Structure(&[may("KmsKeyId", &shapes::KMS_KEY)])),
    must("Content", &shapes::ANY_TEXT),
    must("ModelCardStatus", &Shape::OneOf(&["Draft", "PendingReview", "Approved", "Archived"])),
    may("Tags", &shapes::TAGS),
];
const NAMED: &[Member] = &[
    must("ModelCardName", &shapes::NAME_OR_ARN),
    may("ModelCardVersion", &Shape::Integer { min: 1, max: 1 }),
];

impl Inner {
    pub(super) fn create_model_card(&self, caller: &Caller, body: &Value) -> Result<Value, AwsError> {
        let request = check(CREATE, body)?;
        let content: Option<Value> = serde_json::from_str(required(&request, "Content")).ok();
        if !content.is_some_and(|content| content.is_object()) {
            return Err(validation(
                "Content must be a model card in JSON, as a string that holds an object.",
            ));
        }
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
        state.cards.insert(name, record);
        Ok(json!({"ModelCardArn": arn}))
    }

    pub(super) fn describe_model_card(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(NAMED, body)?;
        let given = required(&request, "ModelCardName");
        let name = given.rsplit('/').next().unwrap_or(given);
        let state = self.state();
        let card = state.cards.get(name).ok_or_else(|| {
            AwsError::client(
                "ResourceNotFound",
                format!("Model card {name} does not exist in this account and region."),
            )
        })?;
        Ok(Value::Object(card.clone()))
    }
}
