//! ECR's basic image scans, which MiniStack's registry does not have.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::Inner;
use super::backend::BackendError;
use super::events::Event;
use super::images::{is_index, media_type};
use super::now;
use super::validation::{Member, Object, Shape, check, may, must, required, shapes};
use crate::service::{AwsError, Fault};

const REPOSITORY: Shape = Shape::Text {
    min: 2,
    max: 256,
    pattern: Some("[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(\\/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*"),
};
const IMAGE_ID: Shape = Shape::Structure(&[
    may("imageDigest", &shapes::ANY_TEXT),
    may("imageTag", &Shape::Text { min: 1, max: 300, pattern: None }),
]);
const REGISTRY: Shape = Shape::Text { min: 12, max: 12, pattern: Some("[0-9]{12}") };
const START: &[Member] =
    &[may("registryId", &REGISTRY), must("repositoryName", &REPOSITORY), must("imageId", &IMAGE_ID)];
const DESCRIBE: &[Member] = &[
    may("registryId", &REGISTRY),
    must("repositoryName", &REPOSITORY),
    must("imageId", &IMAGE_ID),
    may("nextToken", &shapes::ANY_TEXT),
    may("maxResults", &Shape::Integer { min: 1, max: 1000 }),
];
const REPOSITORIES: &[Member] = &[must("repositoryNames", &Shape::List { min: 1, max: 25, of: &REPOSITORY })];
const PUT_REGISTRY: &[Member] = &[
    may("scanType", &Shape::OneOf(&["BASIC", "ENHANCED"])),
    may(
        "rules",
        &Shape::List {
            min: 0,
            max: 2,
            of: &Shape::Structure(&[
                must("scanFrequency", &Shape::OneOf(&["SCAN_ON_PUSH", "CONTINUOUS_SCAN", "MANUAL"])),
                must(
                    "repositoryFilters",
                    &Shape::List {
                        min: 0,
                        max: 100,
                        of: &Shape::Structure(&[
                            must("filter", &shapes::ANY_TEXT),
                            must("filterType", &Shape::OneOf(&["WILDCARD"])),
                        ]),
                    },
                ),
            ]),
        },
    ),
];

/// How long a scan takes.
const SCANNING: Duration = Duration::from_millis(400);
/// An image can be scanned once in this many seconds.
const DAY: f64 = 86_400.0;
const DEFAULT_PAGE: usize = 100;

/// Every scan, by repository and manifest digest.
#[derive(Debug, Default)]
pub(super) struct Scans {
    scans: BTreeMap<(String, String), Scan>,
    registry: Option<Value>,
}

#[derive(Debug, Clone)]
struct Scan {
    started: f64,
    completed: Option<f64>,
    tags: Vec<String>,
}

/// An image as the registry has it.
#[derive(Debug)]
struct Found {
    repository: String,
    digest: String,
    tag: Option<String>,
    index: bool,
}

impl Found {
    fn id(&self) -> Value {
        let mut id = json!({"imageDigest": self.digest});
        if let Some(tag) = &self.tag {
            id["imageTag"] = json!(tag);
        }
        id
    }

    fn key(&self) -> (String, String) {
        (self.repository.clone(), self.digest.clone())
    }
}

impl Inner {
    pub(super) async fn start_image_scan(self: &Arc<Self>, body: &Value) -> Result<Value, AwsError> {
        let request = checked(START, body)?;
        let found = self.find(&request).await?;
        if found.index {
            return Err(AwsError::client(
                "UnsupportedImageTypeException",
                format!(
                    "The image {} is a list of platforms' images, which cannot be scanned: name one platform's manifest.",
                    found.digest
                ),
            ));
        }
        self.scan_of_push(&found).await?;
        {
            let mut state = self.state();
            if state.scans.scans.get(&found.key()).is_some_and(|scan| now() - scan.started < DAY) {
                return Err(AwsError::client(
                    "LimitExceededException",
                    "The scan quota per image has been exceeded. Wait and try again.",
                ));
            }
            state.scans.begin(&found);
        }
        self.finish_later(found.key());
        Ok(json!({
            "registryId": self.config.account_id,
            "repositoryName": found.repository,
            "imageId": found.id(),
            "imageScanStatus": {"status": "IN_PROGRESS"},
        }))
    }

    pub(super) async fn describe_image_scan_findings(
        self: &Arc<Self>,
        body: &Value,
    ) -> Result<Value, AwsError> {
        let request = checked(DESCRIBE, body)?;
        let found = self.find(&request).await?;
        if !found.index {
            self.scan_of_push(&found).await?;
        }
        let scan = self.state().scans.scans.get(&found.key()).cloned();
        let Some(scan) = scan else {
            return Err(AwsError::client(
                "ScanNotFoundException",
                format!(
                    "Image scan does not exist for the image with '{{imageDigest:'{}', imageTag:'{}'}}' in the repository \
                     with name '{}' in the registry with id '{}'",
                    found.digest,
                    found.tag.as_deref().unwrap_or("null"),
                    found.repository,
                    self.config.account_id
                ),
            ));
        };
        let mut answer = json!({
            "registryId": self.config.account_id,
            "repositoryName": found.repository,
            "imageId": found.id(),
        });
        let Some(completed) = scan.completed else {
            answer["imageScanStatus"] = json!({"status": "IN_PROGRESS"});
            return Ok(answer);
        };
        answer["imageScanStatus"] =
            json!({"status": "COMPLETE", "description": "The scan was completed successfully."});
        let findings = self.findings()?;
        let from = match request.get("nextToken").and_then(Value::as_str) {
            None => 0,
            Some(token) => token.parse().ok().filter(|from| *from < findings.len()).ok_or_else(|| {
                AwsError::client("InvalidParameterException", "nextToken must come from an earlier answer.")
            })?,
        };
        let size =
            request.get("maxResults").and_then(Value::as_u64).map_or(DEFAULT_PAGE, |size| size as usize);
        let to = findings.len().min(from + size);
        answer["imageScanFindings"] = json!({
            "findings": findings[from..to],
            "imageScanCompletedAt": completed,
            "vulnerabilitySourceUpdatedAt": scan.started - 3600.0,
            "findingSeverityCounts": counted(&findings),
        });
        if to < findings.len() {
            answer["nextToken"] = json!(to.to_string());
        }
        Ok(answer)
    }

    pub(super) fn registry_scanning_configuration(&self) -> Value {
        let configuration =
            self.state().scans.registry.clone().unwrap_or_else(|| json!({"scanType": "BASIC", "rules": []}));
        json!({"registryId": self.config.account_id, "scanningConfiguration": configuration})
    }

    pub(super) fn put_registry_scanning_configuration(&self, body: &Value) -> Result<Value, AwsError> {
        let request = checked(PUT_REGISTRY, body)?;
        let scan_type = request.get("scanType").cloned().unwrap_or_else(|| json!("BASIC"));
        if scan_type == "ENHANCED" {
            return Err(AwsError::client(
                "InvalidParameterException",
                "The local account has basic scanning only: leave scanType out or set it to BASIC.",
            ));
        }
        let rules = request.get("rules").cloned().unwrap_or_else(|| json!([]));
        let configuration = json!({"scanType": scan_type, "rules": rules});
        self.state().scans.registry = Some(configuration.clone());
        Ok(json!({"registryScanningConfiguration": configuration}))
    }

    pub(super) async fn repository_scanning_configuration(&self, body: &Value) -> Result<Value, AwsError> {
        let request = checked(REPOSITORIES, body)?;
        let (mut configurations, mut failures) = (Vec::new(), Vec::new());
        for name in request.get("repositoryNames").and_then(Value::as_array).into_iter().flatten() {
            match self.ask_ecr("DescribeRepositories", &json!({"repositoryNames": [name]})).await {
                Ok(answer) => {
                    let repository = &answer["repositories"][0];
                    let on_push = repository["imageScanningConfiguration"]["scanOnPush"] == true;
                    configurations.push(json!({
                        "repositoryArn": repository["repositoryArn"],
                        "repositoryName": name,
                        "scanOnPush": on_push,
                        "scanFrequency": if on_push { "SCAN_ON_PUSH" } else { "MANUAL" },
                        "appliedScanFilters": [],
                    }));
                }
                Err(error) if error.code == "RepositoryNotFoundException" => failures.push(json!({
                    "repositoryName": name,
                    "failureCode": "REPOSITORY_NOT_FOUND",
                    "failureReason": error.message,
                })),
                Err(error) => return Err(error),
            }
        }
        Ok(json!({"scanningConfigurations": configurations, "failures": failures}))
    }

    async fn ask_ecr(&self, action: &str, body: &Value) -> Result<Value, AwsError> {
        self.backend
            .json("ecr", &format!("AmazonEC2ContainerRegistry_V20150921.{action}"), body)
            .await
            .map_err(|error| match error {
                BackendError::Refused { status, code, message } => AwsError { status, code, message },
                other => AwsError::internal(format!("the registry did not answer: {other}")),
            })
    }

    async fn find(&self, request: &Object) -> Result<Found, AwsError> {
        let repository = required(request, "repositoryName").to_owned();
        let id = &request["imageId"];
        let (digest, tag) = (id["imageDigest"].as_str(), id["imageTag"].as_str());
        if digest.is_none() && tag.is_none() {
            return Err(AwsError::client(
                "InvalidParameterException",
                "Invalid parameter at 'imageId' failed to satisfy constraint: 'imageDigest or imageTag must be present'",
            ));
        }
        let body = json!({"repositoryName": repository, "imageIds": [id]});
        let answer = self.ask_ecr("BatchGetImage", &body).await?;
        let Some(image) = answer["images"].get(0) else {
            return Err(AwsError::client(
                "ImageNotFoundException",
                format!(
                    "The image with imageId {{imageDigest:'{}', imageTag:'{}'}} does not exist within the repository with \
                     name '{repository}' in the registry with id '{}'",
                    digest.unwrap_or("null"),
                    tag.unwrap_or("null"),
                    self.config.account_id
                ),
            ));
        };
        Ok(Found {
            repository,
            digest: image["imageId"]["imageDigest"].as_str().unwrap_or_default().to_owned(),
            tag: tag.map(str::to_owned),
            index: is_index(&media_type(image)),
        })
    }

    /// A repository that scans on push has a scan of each of its images. The registry does not tell of pushes, so
    /// the scan begins when the image is first asked about.
    async fn scan_of_push(self: &Arc<Self>, found: &Found) -> Result<(), AwsError> {
        if self.state().scans.scans.contains_key(&found.key()) {
            return Ok(());
        }
        let body = json!({"repositoryNames": [found.repository]});
        let answer = self.ask_ecr("DescribeRepositories", &body).await?;
        if answer["repositories"][0]["imageScanningConfiguration"]["scanOnPush"] != true {
            return Ok(());
        }
        {
            let mut state = self.state();
            if state.scans.scans.contains_key(&found.key()) {
                return Ok(());
            }
            state.scans.begin(found);
        }
        self.finish_later(found.key());
        Ok(())
    }

    fn finish_later(self: &Arc<Self>, key: (String, String)) {
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(SCANNING).await;
            while inner.config.faults.has(Fault::ScanNeverFinishes) {
                tokio::time::sleep(SCANNING).await;
            }
            let tags = {
                let mut state = inner.state();
                let Some(scan) = state.scans.scans.get_mut(&key) else { return };
                scan.completed = Some(now());
                scan.tags.clone()
            };
            let (repository, digest) = key;
            let counts = inner.findings().map(|findings| counted(&findings)).unwrap_or_default();
            inner.events.send(Event {
                source: "aws.ecr",
                detail_type: "ECR Image Scan",
                resource: format!(
                    "arn:aws:ecr:{}:{}:repository/{repository}",
                    inner.config.region, inner.config.account_id
                ),
                detail: json!({
                    "scan-status": "COMPLETE",
                    "repository-name": repository,
                    "image-digest": digest,
                    "image-tags": tags,
                    "finding-severity-counts": counts,
                }),
            });
        });
    }

    /// What a scan finds now: a fault that is set later is a vulnerability that became known later.
    fn findings(&self) -> Result<Vec<Value>, AwsError> {
        let file: Value = serde_json::from_str(include_str!("findings.json"))
            .map_err(|error| AwsError::internal(format!("findings.json: {error}")))?;
        let mut findings = file["findings"].as_array().cloned().unwrap_or_default();
        if self.config.faults.has(Fault::CriticalFinding) {
            findings.push(file["critical"].clone());
        }
        Ok(findings)
    }
}

impl Scans {
    /// Lets a day pass for every scan.
    pub(super) fn age(&mut self) {
        for scan in self.scans.values_mut() {
            scan.started -= DAY;
        }
    }

    fn begin(&mut self, found: &Found) {
        let scan = Scan { started: now(), completed: None, tags: found.tag.iter().cloned().collect() };
        self.scans.insert(found.key(), scan);
    }
}

/// ECR names its own error where a member is wrong.
fn checked(members: &'static [Member], body: &Value) -> Result<Object, AwsError> {
    check(members, body).map_err(|mut error| {
        if error.code == "ValidationException" {
            error.code = "InvalidParameterException".into();
        }
        error
    })
}

fn counted(findings: &[Value]) -> Value {
    let mut counts = json!({});
    for finding in findings {
        let severity = finding["severity"].as_str().unwrap_or("UNDEFINED");
        counts[severity] = json!(counts[severity].as_u64().unwrap_or(0) + 1);
    }
    counts
}
