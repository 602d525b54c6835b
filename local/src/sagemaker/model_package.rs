//! The model registry: groups, their versions, and who approved which.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::events::{Event, milliseconds};
use super::listing::{Listing, page};
use super::validation::{Member, Object, Shape, check, may, must, required, shapes, text, validation};
use super::{Inner, PHASE, last_part, now, set, some, user_context};
use crate::service::{AwsError, Caller};

const APPROVAL: Shape = Shape::OneOf(&["Approved", "Rejected", "PendingManualApproval"]);
const CLIENT_TOKEN: Shape = Shape::Text { min: 1, max: 36, pattern: Some("[a-zA-Z0-9-]+") };
const PACKAGE_ARN: Shape = Shape::Text {
    min: 1,
    max: 2048,
    pattern: Some("arn:aws[a-z\\-]*:sagemaker:[a-z0-9\\-]{9,16}:[0-9]{12}:model-package/[\\S]{1,2048}"),
};
const METADATA: Shape = Shape::Table {
    max: 50,
    key: &Shape::Text { min: 1, max: 128, pattern: None },
    value: &Shape::Text { min: 1, max: 256, pattern: None },
};
const INFERENCE: Shape = Shape::Structure(&[
    must(
        "Containers",
        &Shape::List {
            min: 1,
            max: 15,
            of: &Shape::Structure(&[
                may("ContainerHostname", &shapes::NAME),
                may("Image", &shapes::IMAGE),
                may(
                    "ImageDigest",
                    &Shape::Text { min: 0, max: 72, pattern: Some("[Ss][Hh][Aa]256:[0-9a-fA-F]{64}") },
                ),
                may("ModelDataUrl", &shapes::S3_URI),
                may("ModelDataSource", &shapes::MODEL_DATA_SOURCE),
                may("Environment", &shapes::ENVIRONMENT),
            ]),
        },
    ),
    may("SupportedTransformInstanceTypes", &Shape::List { min: 1, max: 200, of: &shapes::ANY_TEXT }),
    may("SupportedRealtimeInferenceInstanceTypes", &Shape::List { min: 0, max: 400, of: &shapes::ANY_TEXT }),
    may("SupportedContentTypes", &Shape::List { min: 0, max: 100, of: &shapes::ANY_TEXT }),
    may("SupportedResponseMIMETypes", &Shape::List { min: 0, max: 100, of: &shapes::ANY_TEXT }),
]);
const CARD: Shape = Shape::Structure(&[
    may("ModelCardContent", &shapes::ANY_TEXT),
    may("ModelCardStatus", &Shape::OneOf(&["Draft", "PendingReview", "Approved", "Archived"])),
]);
const LIFE_CYCLE: Shape = Shape::Structure(&[
    must("Stage", &shapes::NAME),
    must("StageStatus", &shapes::NAME),
    may("StageDescription", &shapes::DESCRIPTION),
]);

const CREATE_GROUP: &[Member] = &[
    must("ModelPackageGroupName", &shapes::NAME),
    may("ModelPackageGroupDescription", &shapes::DESCRIPTION),
    may("Tags", &shapes::TAGS),
];
const GROUP_NAMED: &[Member] = &[must("ModelPackageGroupName", &shapes::NAME_OR_ARN)];
const LIST_GROUPS: &[Member] = &[
    may("NextToken", &shapes::ANY_TEXT),
    may("MaxResults", &shapes::MAX_RESULTS),
    may("NameContains", &shapes::NAME_CONTAINS),
    may("SortBy", &Shape::OneOf(&["Name", "CreationTime"])),
    may("SortOrder", &shapes::SORT_ORDER),
];
const CREATE: &[Member] = &[
    may("ModelPackageName", &shapes::NAME),
    may("ModelPackageGroupName", &shapes::NAME_OR_ARN),
    may("ModelPackageDescription", &shapes::DESCRIPTION),
    may("ModelPackageRegistrationType", &Shape::OneOf(&["Logged", "Registered"])),
    may("InferenceSpecification", &INFERENCE),
    may("SourceAlgorithmSpecification", &Shape::Free),
    may("CertifyForMarketplace", &Shape::Flag),
    may("Tags", &shapes::TAGS),
    may("ModelApprovalStatus", &APPROVAL),
    may("MetadataProperties", &shapes::METADATA_PROPERTIES),
    may("ModelMetrics", &Shape::Free),
    may("ClientToken", &CLIENT_TOKEN),
    may("CustomerMetadataProperties", &METADATA),
    may("SkipModelValidation", &Shape::OneOf(&["All", "None"])),
    may("SourceUri", &shapes::DESCRIPTION),
    may("SecurityConfig", &Shape::Structure(&[must("KmsKeyId", &shapes::KMS_KEY)])),
    may("ModelCard", &CARD),
    may("ModelLifeCycle", &LIFE_CYCLE),
];
const NAMED: &[Member] = &[must("ModelPackageName", &shapes::NAME_OR_ARN)];
const UPDATE: &[Member] = &[
    must("ModelPackageArn", &PACKAGE_ARN),
    may("ModelApprovalStatus", &APPROVAL),
    may("ModelPackageRegistrationType", &Shape::OneOf(&["Logged", "Registered"])),
    may("ApprovalDescription", &shapes::DESCRIPTION),
    may("CustomerMetadataProperties", &METADATA),
    may(
        "CustomerMetadataPropertiesToRemove",
        &Shape::List { min: 0, max: 50, of: &Shape::Text { min: 1, max: 128, pattern: None } },
    ),
    may("InferenceSpecification", &INFERENCE),
    may("SourceUri", &shapes::DESCRIPTION),
    may("ModelCard", &CARD),
    may("ModelLifeCycle", &LIFE_CYCLE),
    may("ClientToken", &CLIENT_TOKEN),
];
const LIST: &[Member] = &[
    may("NextToken", &shapes::ANY_TEXT),
    may("MaxResults", &shapes::MAX_RESULTS),
    may("NameContains", &shapes::NAME_CONTAINS),
    may("ModelApprovalStatus", &APPROVAL),
    may("ModelPackageGroupName", &shapes::NAME_OR_ARN),
    may("ModelPackageType", &Shape::OneOf(&["Versioned", "Unversioned", "Both"])),
    may("SortBy", &Shape::OneOf(&["Name", "CreationTime"])),
    may("SortOrder", &shapes::SORT_ORDER),
];
const GROUP_LISTING: Listing = Listing {
    items: "ModelPackageGroupSummaryList",
    name: "ModelPackageGroupName",
    status: None,
    newest_first: false,
};
const LISTING: Listing = Listing {
    items: "ModelPackageSummaryList",
    name: "ModelPackageGroupName",
    status: None,
    newest_first: false,
};

/// Every package, by ARN, and the tokens under which they were created.
#[derive(Debug, Default)]
pub(super) struct Packages {
    by_arn: BTreeMap<String, Object>,
    tokens: BTreeMap<String, (Object, String)>,
}

impl Packages {
    pub(super) fn arns(&self) -> impl Iterator<Item = &str> {
        self.by_arn.keys().map(String::as_str)
    }

    fn next_version(&self, group: &str) -> u64 {
        1 + self
            .by_arn
            .values()
            .filter(|package| text(package, "ModelPackageGroupName") == Some(group))
            .filter_map(|package| package.get("ModelPackageVersion").and_then(Value::as_u64))
            .max()
            .unwrap_or(0)
    }
}

impl Inner {
    pub(super) fn create_model_package_group(
        &self,
        caller: &Caller,
        body: &Value,
    ) -> Result<Value, AwsError> {
        let request = check(CREATE_GROUP, body)?;
        let name = required(&request, "ModelPackageGroupName").to_owned();
        let arn = self.arn(&format!("model-package-group/{name}"));
        let mut state = self.state();
        if state.package_groups.contains_key(&name) {
            return Err(validation(format!("Model Package Group already exists: {arn}")));
        }
        let mut record = some(&request, &["ModelPackageGroupName", "ModelPackageGroupDescription"]);
        set(&mut record, "ModelPackageGroupArn", arn.as_str());
        set(&mut record, "CreationTime", now());
        set(&mut record, "CreatedBy", user_context(caller));
        set(&mut record, "ModelPackageGroupStatus", "Completed");
        state.tag_new(&arn, &request);
        state.package_groups.insert(name, record);
        Ok(json!({"ModelPackageGroupArn": arn}))
    }

    pub(super) fn describe_model_package_group(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(GROUP_NAMED, body)?;
        let name = last_part(required(&request, "ModelPackageGroupName"));
        let state = self.state();
        let group = state.package_groups.get(name).ok_or_else(|| self.no_group(name))?;
        Ok(Value::Object(group.clone()))
    }

    pub(super) fn list_model_package_groups(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(LIST_GROUPS, body)?;
        let members = [
            "ModelPackageGroupName",
            "ModelPackageGroupArn",
            "ModelPackageGroupDescription",
            "CreationTime",
            "ModelPackageGroupStatus",
        ];
        let summaries = self.state().package_groups.values().map(|group| some(group, &members)).collect();
        page(&request, summaries, &GROUP_LISTING)
    }

    pub(super) async fn create_model_package(
        self: &Arc<Self>,
        caller: &Caller,
        body: &Value,
    ) -> Result<Value, AwsError> {
        let mut request = check(CREATE, body)?;
        let token = request.remove("ClientToken").and_then(|token| token.as_str().map(str::to_owned));
        let asked = request.clone();
        if let Some(answer) = self.created_before(token.as_deref(), &asked)? {
            return Ok(answer);
        }
        let group = match (text(&request, "ModelPackageName"), text(&request, "ModelPackageGroupName")) {
            (None, Some(group)) => Some(last_part(group).to_owned()),
            (Some(_), None) => None,
            _ => {
                return Err(validation(
                    "Exactly one of ModelPackageName and ModelPackageGroupName must be present: a version belongs to a \
                     group and is numbered by it.",
                ));
            }
        };
        if request.get("InferenceSpecification").is_none()
            && request.get("SourceAlgorithmSpecification").is_none()
        {
            return Err(validation(
                "Either InferenceSpecification or SourceAlgorithmSpecification must be present.",
            ));
        }
        self.resolve_containers(&mut request).await?;

        let created = now();
        let arn = {
            let mut state = self.state();
            // A retry that came while the image was looked up must not make a second version.
            if let Some(answer) = state.packages.created_before(token.as_deref(), &asked)? {
                return Ok(answer);
            }
            let arn = match &group {
                Some(group) => {
                    if !state.package_groups.contains_key(group) {
                        return Err(self.no_group(group));
                    }
                    let version = state.packages.next_version(group);
                    set(&mut request, "ModelPackageGroupName", group.as_str());
                    set(&mut request, "ModelPackageVersion", version);
                    if !request.contains_key("ModelApprovalStatus") {
                        set(&mut request, "ModelApprovalStatus", "PendingManualApproval");
                    }
                    // The answer's shape wants a name, and a version has none of its own.
                    set(&mut request, "ModelPackageName", group.as_str());
                    self.arn(&format!("model-package/{group}/{version}"))
                }
                None => self.arn(&format!("model-package/{}", required(&request, "ModelPackageName"))),
            };
            if state.packages.by_arn.contains_key(&arn) {
                return Err(validation(format!("Model Package already exists: {arn}")));
            }
            let mut record = request.clone();
            record.remove("Tags");
            set(&mut record, "ModelPackageArn", arn.as_str());
            set(&mut record, "CreationTime", created);
            set(&mut record, "CreatedBy", user_context(caller));
            set(&mut record, "ModelPackageStatus", "Pending");
            set(
                &mut record,
                "ModelPackageStatusDetails",
                json!({"ValidationStatuses": [], "ImageScanStatuses": []}),
            );
            state.tag_new(&arn, &request);
            state.packages.by_arn.insert(arn.clone(), record);
            if let Some(token) = token {
                state.packages.tokens.insert(token, (asked, arn.clone()));
            }
            arn
        };
        self.announce_model_package(&arn);
        let (inner, completing) = (Arc::clone(self), arn.clone());
        tokio::spawn(async move {
            for status in ["InProgress", "Completed"] {
                tokio::time::sleep(PHASE).await;
                if let Some(package) = inner.state().packages.by_arn.get_mut(&completing) {
                    set(package, "ModelPackageStatus", status);
                }
                inner.announce_model_package(&completing);
            }
        });
        Ok(json!({"ModelPackageArn": arn}))
    }

    fn created_before(&self, token: Option<&str>, asked: &Object) -> Result<Option<Value>, AwsError> {
        self.state().packages.created_before(token, asked)
    }

    /// The image of every container is pinned by its digest, as the registry does.
    async fn resolve_containers(&self, request: &mut Object) -> Result<(), AwsError> {
        let Some(Value::Array(containers)) =
            request.get_mut("InferenceSpecification").and_then(|inference| inference.get_mut("Containers"))
        else {
            return Ok(());
        };
        for container in containers {
            let Some(image) = container["Image"].as_str().map(str::to_owned) else {
                return Err(validation("Every container of InferenceSpecification needs an Image."));
            };
            let found = self.image(&image).await?;
            if let Some(digest) = container["ImageDigest"].as_str()
                && digest != found.digest
            {
                return Err(validation(format!(
                    "Image {image} has the digest {}, not {digest}.",
                    found.digest
                )));
            }
            container["ImageDigest"] = json!(found.digest);
        }
        Ok(())
    }

    pub(super) fn describe_model_package(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(NAMED, body)?;
        let arn = self.package_arn(required(&request, "ModelPackageName"));
        let state = self.state();
        let package = state.packages.by_arn.get(&arn).ok_or_else(|| no_package(&arn))?;
        Ok(Value::Object(package.clone()))
    }

    pub(super) fn update_model_package(&self, caller: &Caller, body: &Value) -> Result<Value, AwsError> {
        let request = check(UPDATE, body)?;
        let arn = required(&request, "ModelPackageArn").to_owned();
        {
            let mut state = self.state();
            let package = state.packages.by_arn.get_mut(&arn).ok_or_else(|| no_package(&arn))?;
            for member in [
                "ModelApprovalStatus",
                "ModelPackageRegistrationType",
                "ApprovalDescription",
                "InferenceSpecification",
                "SourceUri",
                "ModelCard",
                "ModelLifeCycle",
            ] {
                if let Some(value) = request.get(member) {
                    set(package, member, value.clone());
                }
            }
            let mut metadata = package
                .get("CustomerMetadataProperties")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default();
            if let Some(Value::Object(added)) = request.get("CustomerMetadataProperties") {
                metadata.extend(added.clone());
            }
            for gone in request
                .get("CustomerMetadataPropertiesToRemove")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                metadata.remove(gone.as_str().unwrap_or_default());
            }
            if !metadata.is_empty() || package.contains_key("CustomerMetadataProperties") {
                set(package, "CustomerMetadataProperties", metadata);
            }
            set(package, "LastModifiedTime", now());
            set(package, "LastModifiedBy", user_context(caller));
        }
        // AWS says that it may send several events for one change; here it always does.
        self.announce_model_package(&arn);
        self.announce_model_package(&arn);
        Ok(json!({"ModelPackageArn": arn}))
    }

    pub(super) fn list_model_packages(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(LIST, body)?;
        let members = [
            "ModelPackageName",
            "ModelPackageGroupName",
            "ModelPackageVersion",
            "ModelPackageArn",
            "ModelPackageDescription",
            "CreationTime",
            "ModelPackageStatus",
            "ModelApprovalStatus",
            "ModelLifeCycle",
            "ModelPackageRegistrationType",
        ];
        let group = text(&request, "ModelPackageGroupName").map(last_part);
        let approval = text(&request, "ModelApprovalStatus");
        let kind = text(&request, "ModelPackageType").unwrap_or(if group.is_some() {
            "Versioned"
        } else {
            "Unversioned"
        });
        let state = self.state();
        if let Some(group) = group
            && !state.package_groups.contains_key(group)
        {
            return Err(self.no_group(group));
        }
        let summaries = state
            .packages
            .by_arn
            .values()
            .filter(|package| group.is_none_or(|group| text(package, "ModelPackageGroupName") == Some(group)))
            .filter(|package| {
                approval.is_none_or(|status| text(package, "ModelApprovalStatus") == Some(status))
            })
            .filter(|package| match kind {
                "Versioned" => package.contains_key("ModelPackageVersion"),
                "Unversioned" => !package.contains_key("ModelPackageVersion"),
                _ => true,
            })
            .map(|package| some(package, &members))
            .collect();
        page(&request, summaries, &LISTING)
    }

    fn package_arn(&self, name: &str) -> String {
        if name.starts_with("arn:") { name.to_owned() } else { self.arn(&format!("model-package/{name}")) }
    }

    fn no_group(&self, name: &str) -> AwsError {
        validation(format!(
            "Model Package Group {} does not exist.",
            self.arn(&format!("model-package-group/{name}"))
        ))
    }

    fn announce_model_package(&self, arn: &str) {
        let detail = {
            let state = self.state();
            let Some(package) = state.packages.by_arn.get(arn) else { return };
            let mut detail = package.clone();
            for time in ["CreationTime", "LastModifiedTime"] {
                if let Some(at) = package.get(time).and_then(Value::as_f64) {
                    set(&mut detail, time, milliseconds(at));
                }
            }
            set(&mut detail, "Tags", state.tags_of(arn));
            detail
        };
        self.events.send(Event {
            source: "aws.sagemaker",
            detail_type: "SageMaker Model Package State Change",
            resource: arn.to_owned(),
            detail: Value::Object(detail),
        });
    }
}

impl Packages {
    /// The answer that the same token got, if it asked for the same.
    fn created_before(&self, token: Option<&str>, asked: &Object) -> Result<Option<Value>, AwsError> {
        match token.and_then(|token| self.tokens.get(token)) {
            None => Ok(None),
            Some((before, arn)) if before == asked => Ok(Some(json!({"ModelPackageArn": arn}))),
            Some((_, arn)) => Err(AwsError::client(
                "ConflictException",
                format!(
                    "The ClientToken was used for another request, which created {arn}. Use a token once."
                ),
            )),
        }
    }
}

fn no_package(arn: &str) -> AwsError {
    validation(format!("ModelPackage {arn} does not exist."))
}
