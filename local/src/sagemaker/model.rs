//! Models: a container and the place of what it serves.

use serde_json::{Value, json};

use super::backend::Location;
use super::listing::{Listing, page};
use super::validation::{Member, Object, Shape, check, flag, may, must, required, shapes, validation};
use super::{Inner, now, set, some};
use crate::service::AwsError;

pub(super) const NAME: Shape =
    Shape::Text { min: 1, max: 63, pattern: Some("[a-zA-Z0-9]([\\-a-zA-Z0-9]*[a-zA-Z0-9])?") };
const CONTAINER: Shape = Shape::Structure(&[
    may("ContainerHostname", &shapes::NAME),
    may("Image", &shapes::IMAGE),
    may("ImageConfig", &Shape::Free),
    may("Mode", &Shape::OneOf(&["SingleModel", "MultiModel"])),
    may("ModelDataUrl", &shapes::S3_URI),
    may("ModelDataSource", &shapes::MODEL_DATA_SOURCE),
    may("Environment", &shapes::ENVIRONMENT),
    may("ModelPackageName", &shapes::NAME_OR_ARN),
]);
const CREATE: &[Member] = &[
    must("ModelName", &NAME),
    may("PrimaryContainer", &CONTAINER),
    may("Containers", &Shape::List { min: 0, max: 15, of: &CONTAINER }),
    may("ExecutionRoleArn", &shapes::ROLE_ARN),
    may("Tags", &shapes::TAGS),
    may("VpcConfig", &shapes::VPC_CONFIG),
    may("EnableNetworkIsolation", &Shape::Flag),
];
const NAMED: &[Member] = &[must("ModelName", &NAME)];
const LIST: &[Member] = &[
    may("NextToken", &shapes::ANY_TEXT),
    may("MaxResults", &shapes::MAX_RESULTS),
    may("NameContains", &shapes::NAME_CONTAINS),
    may("SortBy", &Shape::OneOf(&["Name", "CreationTime"])),
    may("SortOrder", &shapes::SORT_ORDER),
];
const LISTING: Listing = Listing { items: "Models", name: "ModelName", status: None, newest_first: true };

impl Inner {
    pub(super) async fn create_model(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(CREATE, body)?;
        let name = required(&request, "ModelName").to_owned();
        let arn = self.arn(&format!("model/{name}"));
        let exists = || validation(format!("Cannot create already existing model \"{arn}\"."));
        if self.state().models.contains_key(&name) {
            return Err(exists());
        }
        let container = only_container(&request)?;
        if !request.contains_key("ExecutionRoleArn") {
            return Err(validation(
                "ExecutionRoleArn must be present: the endpoint reads the model's files with it.",
            ));
        }
        refuse_data_source(container)?;
        let image = container["Image"].as_str().ok_or_else(|| validation("The container needs an Image."))?;
        self.image(image).await?;

        let mut record = request.clone();
        record.remove("Tags");
        set(&mut record, "ModelArn", arn.as_str());
        set(&mut record, "CreationTime", now());
        let isolated = flag(&record, "EnableNetworkIsolation");
        set(&mut record, "EnableNetworkIsolation", isolated);
        let mut state = self.state();
        if state.models.contains_key(&name) {
            return Err(exists());
        }
        state.tag_new(&arn, &request);
        state.models.insert(name, record);
        Ok(json!({"ModelArn": arn}))
    }

    pub(super) fn describe_model(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(NAMED, body)?;
        let name = required(&request, "ModelName");
        let state = self.state();
        let model = state.models.get(name).ok_or_else(|| self.no_model(name))?;
        Ok(Value::Object(model.clone()))
    }

    /// What an endpoint runs keeps running: it was copied when the endpoint was made.
    pub(super) fn delete_model(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(NAMED, body)?;
        let name = required(&request, "ModelName");
        let mut state = self.state();
        state.models.remove(name).ok_or_else(|| self.no_model(name))?;
        let arn = self.arn(&format!("model/{name}"));
        state.tags.remove(&arn);
        Ok(json!({}))
    }

    pub(super) fn list_models(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(LIST, body)?;
        let members = ["ModelName", "ModelArn", "CreationTime"];
        let summaries = self.state().models.values().map(|model| some(model, &members)).collect();
        page(&request, summaries, &LISTING)
    }

    pub(super) fn no_model(&self, name: &str) -> AwsError {
        validation(format!("Could not find model \"{}\".", self.arn(&format!("model/{name}"))))
    }
}

/// The container of a model that has one.
pub(super) fn only_container(request: &Object) -> Result<&Value, AwsError> {
    match (request.get("PrimaryContainer"), request.get("Containers").and_then(Value::as_array)) {
        (Some(primary), None) => Ok(primary),
        (None, Some(containers)) if containers.len() == 1 => Ok(&containers[0]),
        (None, None) => Err(validation("A model needs a PrimaryContainer.")),
        _ => Err(validation(
            "The local account has models of one container: name it as PrimaryContainer alone.",
        )),
    }
}

fn refuse_data_source(container: &Value) -> Result<(), AwsError> {
    if container.get("ModelPackageName").is_some() {
        return Err(validation(
            "The local account does not make models from ModelPackageName: name the package's Image and ModelDataSource.",
        ));
    }
    let source = container.get("ModelDataSource").and_then(|source| source.get("S3DataSource"));
    let uri = match (source, container["ModelDataUrl"].as_str()) {
        (Some(_), Some(_)) => {
            return Err(validation(
                "Only one of ModelDataUrl and ModelDataSource can be present in a container.",
            ));
        }
        (Some(source), None) => {
            let uri = source["S3Uri"].as_str().unwrap_or_default();
            match (source["S3DataType"].as_str(), source["CompressionType"].as_str()) {
                (Some("S3Prefix"), Some("None")) if !uri.ends_with('/') => {
                    return Err(validation(format!(
                        "S3Uri {uri} must end with a forward slash when S3DataType is S3Prefix and CompressionType is None."
                    )));
                }
                (Some("S3Prefix"), Some("Gzip")) => {
                    return Err(validation("CompressionType Gzip needs S3DataType S3Object."));
                }
                _ => uri,
            }
        }
        (None, Some(url)) => url,
        // An image may hold its own model.
        (None, None) => return Ok(()),
    };
    Location::parse(uri).map(drop).map_err(|error| validation(error.to_string()))
}
