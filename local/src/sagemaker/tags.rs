//! Tags of any resource.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::validation::{Member, Object, Shape, check, may, must, required, shapes, validation};
use super::{Inner, State};
use crate::service::AwsError;

const ARN: Shape =
    Shape::Text { min: 0, max: 256, pattern: Some("arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:[0-9]{12}:.+") };
const ADD: &[Member] = &[must("ResourceArn", &ARN), must("Tags", &shapes::TAGS)];
const DELETE: &[Member] = &[
    must("ResourceArn", &ARN),
    must("TagKeys", &Shape::List { min: 1, max: 50, of: &Shape::Text { min: 1, max: 128, pattern: None } }),
];
const LIST: &[Member] = &[
    must("ResourceArn", &ARN),
    may("NextToken", &shapes::ANY_TEXT),
    may("MaxResults", &Shape::Integer { min: 50, max: 50 }),
];

/// A resource can have this many.
const MOST: usize = 50;

impl State {
    /// Keeps the tags that a request to create something brought along.
    pub(super) fn tag_new(&mut self, arn: &str, request: &Object) {
        let tags = read(request);
        if !tags.is_empty() {
            self.tags.insert(arn.to_owned(), tags);
        }
    }

    /// A resource's tags, as events carry them.
    pub(super) fn tags_of(&self, arn: &str) -> Value {
        self.tags.get(arn).map_or_else(|| json!({}), |tags| json!(tags))
    }
}

fn read(request: &Object) -> BTreeMap<String, String> {
    let tags = request.get("Tags").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    tags.iter()
        .map(|tag| {
            (
                tag["Key"].as_str().unwrap_or_default().to_owned(),
                tag["Value"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect()
}

fn shown(tags: &BTreeMap<String, String>) -> Value {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

impl Inner {
    pub(super) fn add_tags(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(ADD, body)?;
        let mut state = self.state();
        let arn = state.known(required(&request, "ResourceArn"))?;
        let tags = state.tags.entry(arn).or_default();
        let mut changed = tags.clone();
        changed.extend(read(&request));
        if changed.len() > MOST {
            return Err(validation(format!(
                "A resource can have at most {MOST} tags; it would have {}.",
                changed.len()
            )));
        }
        *tags = changed;
        Ok(json!({"Tags": shown(tags)}))
    }

    pub(super) fn delete_tags(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(DELETE, body)?;
        let mut state = self.state();
        let arn = state.known(required(&request, "ResourceArn"))?;
        let keys = request.get("TagKeys").and_then(Value::as_array).cloned().unwrap_or_default();
        if let Some(tags) = state.tags.get_mut(&arn) {
            tags.retain(|key, _| !keys.iter().any(|gone| gone.as_str() == Some(key)));
        }
        Ok(json!({}))
    }

    pub(super) fn list_tags(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(LIST, body)?;
        let state = self.state();
        let arn = state.known(required(&request, "ResourceArn"))?;
        Ok(json!({"Tags": state.tags.get(&arn).map_or_else(|| json!([]), shown)}))
    }
}

impl State {
    /// The ARN, if there is such a resource.
    fn known(&self, arn: &str) -> Result<String, AwsError> {
        let found = self.arns().any(|known| known == arn);
        if found { Ok(arn.to_owned()) } else { Err(validation(format!("Could not find resource {arn}."))) }
    }
}
