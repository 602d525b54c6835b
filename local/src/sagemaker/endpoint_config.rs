//! Endpoint configurations.

use serde_json::{Value, json};

use super::backend::Location;
use super::instance_types::{Use, has_local_nvme};
use super::listing::{Listing, page};
use super::validation::{Member, Object, Shape, check, may, must, required, shapes, validation};
use super::{Inner, model, now, set, some};
use crate::service::AwsError;

const VARIANTS: Shape = Shape::List {
    min: 1,
    max: 10,
    of: &Shape::Structure(&[
        must("VariantName", &shapes::NAME),
        may("ModelName", &model::NAME),
        may("InitialInstanceCount", &Shape::Integer { min: 1, max: 1000 }),
        may("InstanceType", &Shape::InstanceType(Use::Hosting)),
        may("InitialVariantWeight", &Shape::Number { min: 0.0 }),
        may("ServerlessConfig", &Shape::Free),
        may("VolumeSizeInGB", &Shape::Integer { min: 1, max: 512 }),
        may("ModelDataDownloadTimeoutInSeconds", &Shape::Integer { min: 60, max: 3600 }),
        may("ContainerStartupHealthCheckTimeoutInSeconds", &Shape::Integer { min: 60, max: 3600 }),
        may("EnableSSMAccess", &Shape::Flag),
    ]),
};
const CONTENT_TYPES: Shape = Shape::List {
    min: 1,
    max: 10,
    of: &Shape::Text {
        min: 1,
        max: 256,
        pattern: Some("[a-zA-Z0-9](-*[a-zA-Z0-9])*\\/[a-zA-Z0-9](-*[a-zA-Z0-9.])*"),
    },
};
const CREATE: &[Member] = &[
    must("EndpointConfigName", &shapes::NAME),
    must("ProductionVariants", &VARIANTS),
    may("ShadowProductionVariants", &VARIANTS),
    may(
        "DataCaptureConfig",
        &Shape::Structure(&[
            may("EnableCapture", &Shape::Flag),
            must("InitialSamplingPercentage", &Shape::Integer { min: 0, max: 100 }),
            must(
                "DestinationS3Uri",
                &Shape::Text { min: 0, max: 512, pattern: Some("(https|s3)://([^/])/?(.*)") },
            ),
            may("KmsKeyId", &shapes::KMS_KEY),
            must(
                "CaptureOptions",
                &Shape::List {
                    min: 1,
                    max: 32,
                    of: &Shape::Structure(&[must(
                        "CaptureMode",
                        &Shape::OneOf(&["Input", "Output", "InputAndOutput"]),
                    )]),
                },
            ),
            may(
                "CaptureContentTypeHeader",
                &Shape::Structure(&[
                    may("CsvContentTypes", &CONTENT_TYPES),
                    may("JsonContentTypes", &CONTENT_TYPES),
                ]),
            ),
        ]),
    ),
    may("Tags", &shapes::TAGS),
    may("KmsKeyId", &shapes::KMS_KEY),
    may("ExecutionRoleArn", &shapes::ROLE_ARN),
    may("VpcConfig", &shapes::VPC_CONFIG),
    may("EnableNetworkIsolation", &Shape::Flag),
];
const NAMED: &[Member] = &[must("EndpointConfigName", &shapes::NAME)];
const LIST: &[Member] = &[
    may("NextToken", &shapes::ANY_TEXT),
    may("MaxResults", &shapes::MAX_RESULTS),
    may("NameContains", &shapes::NAME_CONTAINS),
    may("SortBy", &Shape::OneOf(&["Name", "CreationTime"])),
    may("SortOrder", &shapes::SORT_ORDER),
];
const LISTING: Listing =
    Listing { items: "EndpointConfigs", name: "EndpointConfigName", status: None, newest_first: true };

impl Inner {
    pub(super) fn create_endpoint_config(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(CREATE, body)?;
        let name = required(&request, "EndpointConfigName").to_owned();
        let arn = self.arn(&format!("endpoint-config/{name}"));
        let mut state = self.state();
        if state.endpoint_configs.contains_key(&name) {
            return Err(validation(format!(
                "Cannot create already existing endpoint configuration \"{arn}\"."
            )));
        }
        refuse_what_contradicts(&request)?;
        for variant in variants(&request).iter().chain(shadows(&request)) {
            let model = variant["ModelName"].as_str().unwrap_or_default();
            if !state.models.contains_key(model) {
                return Err(self.no_model(model));
            }
        }
        let mut record = request.clone();
        record.remove("Tags");
        set(&mut record, "EndpointConfigArn", arn.as_str());
        set(&mut record, "CreationTime", now());
        state.tag_new(&arn, &request);
        state.endpoint_configs.insert(name, record);
        Ok(json!({"EndpointConfigArn": arn}))
    }

    pub(super) fn describe_endpoint_config(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(NAMED, body)?;
        let name = required(&request, "EndpointConfigName");
        let state = self.state();
        let config = state.endpoint_configs.get(name).ok_or_else(|| self.no_endpoint_config(name))?;
        Ok(Value::Object(config.clone()))
    }

    pub(super) fn delete_endpoint_config(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(NAMED, body)?;
        let name = required(&request, "EndpointConfigName");
        let mut state = self.state();
        state.endpoint_configs.remove(name).ok_or_else(|| self.no_endpoint_config(name))?;
        let arn = self.arn(&format!("endpoint-config/{name}"));
        state.tags.remove(&arn);
        Ok(json!({}))
    }

    pub(super) fn list_endpoint_configs(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(LIST, body)?;
        let members = ["EndpointConfigName", "EndpointConfigArn", "CreationTime"];
        let summaries = self.state().endpoint_configs.values().map(|config| some(config, &members)).collect();
        page(&request, summaries, &LISTING)
    }

    pub(super) fn no_endpoint_config(&self, name: &str) -> AwsError {
        validation(format!(
            "Could not find endpoint configuration \"{}\".",
            self.arn(&format!("endpoint-config/{name}"))
        ))
    }
}

/// The production variants of a configuration.
pub(super) fn variants(config: &Object) -> &[Value] {
    config.get("ProductionVariants").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Those that are asked what it is asked, and whose answers nobody gets.
pub(super) fn shadows(config: &Object) -> &[Value] {
    config.get("ShadowProductionVariants").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn refuse_what_contradicts(request: &Object) -> Result<(), AwsError> {
    let key = request.get("KmsKeyId").and_then(Value::as_str).filter(|key| !key.is_empty());
    let mut names = std::collections::BTreeSet::new();
    if !shadows(request).is_empty() && (shadows(request).len() > 1 || variants(request).len() > 1) {
        return Err(validation(
            "When ShadowProductionVariants is given, there must be one production variant and one shadow variant.",
        ));
    }
    for variant in variants(request).iter().chain(shadows(request)) {
        let name = variant["VariantName"].as_str().unwrap_or_default();
        if !names.insert(name) {
            return Err(validation(format!("Variant name {name} is used more than once.")));
        }
        if variant.get("ModelName").is_none() {
            return Err(validation(format!("Variant {name} needs a ModelName.")));
        }
        if variant.get("ServerlessConfig").is_some() {
            return Err(validation(format!("Variant {name}: the local account has no serverless variants.")));
        }
        let Some(instance) = variant["InstanceType"].as_str() else {
            return Err(validation(format!("Variant {name} needs an InstanceType.")));
        };
        if variant.get("InitialInstanceCount").is_none() {
            return Err(validation(format!("Variant {name} needs an InitialInstanceCount.")));
        }
        if key.is_some() && has_local_nvme(instance) {
            return Err(validation(format!(
                "KmsKeyId is not supported for instance type {instance} of variant {name}: its local NVMe storage is \
                 encrypted by the hardware. Leave KmsKeyId out."
            )));
        }
        if has_local_nvme(instance) && variant.get("VolumeSizeInGB").is_some() {
            return Err(validation(format!(
                "VolumeSizeInGB is not supported for instance type {instance} of variant {name}, which has local storage."
            )));
        }
    }
    if let Some(capture) = request.get("DataCaptureConfig") {
        Location::parse(capture["DestinationS3Uri"].as_str().unwrap_or_default())
            .map_err(|error| validation(error.to_string()))?;
    }
    Ok(())
}
