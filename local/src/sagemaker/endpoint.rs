//! Endpoints: the container's program really serves, one process for each production variant.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::endpoint_config::variants;
use super::events::{Event, milliseconds};
use super::images::Image;
use super::invocation::Capture;
use super::listing::{Listing, page};
use super::model::only_container;
use super::staging::{download_archive, download_prefix};
use super::validation::{Member, Object, Shape, check, flag, may, must, required, shapes, validation};
use super::{GRACE, Inner, PHASE, now, set};
use crate::jobs::process::{Launch, Process};
use crate::jobs::tree::Tree;
use crate::service::{AwsError, Fault};

const CAPACITY: Shape = Shape::Structure(&[
    must("Type", &Shape::OneOf(&["INSTANCE_COUNT", "CAPACITY_PERCENT"])),
    must("Value", &Shape::Integer { min: 1, max: i64::MAX }),
]);
const SECONDS: Shape = Shape::Integer { min: 0, max: 3600 };
const DEPLOYMENT: Shape = Shape::Structure(&[
    may(
        "BlueGreenUpdatePolicy",
        &Shape::Structure(&[
            must(
                "TrafficRoutingConfiguration",
                &Shape::Structure(&[
                    must("Type", &Shape::OneOf(&["ALL_AT_ONCE", "CANARY", "LINEAR"])),
                    must("WaitIntervalInSeconds", &SECONDS),
                    may("CanarySize", &CAPACITY),
                    may("LinearStepSize", &CAPACITY),
                ]),
            ),
            may("TerminationWaitInSeconds", &SECONDS),
            may("MaximumExecutionTimeoutInSeconds", &Shape::Integer { min: 600, max: 28_800 }),
        ]),
    ),
    may(
        "RollingUpdatePolicy",
        &Shape::Structure(&[
            must("MaximumBatchSize", &CAPACITY),
            must("WaitIntervalInSeconds", &SECONDS),
            may("MaximumExecutionTimeoutInSeconds", &Shape::Integer { min: 600, max: 28_800 }),
            may("RollbackMaximumBatchSize", &CAPACITY),
        ]),
    ),
    may(
        "AutoRollbackConfiguration",
        &Shape::Structure(&[may(
            "Alarms",
            &Shape::List {
                min: 1,
                max: 10,
                of: &Shape::Structure(&[may("AlarmName", &Shape::Text { min: 1, max: 255, pattern: None })]),
            },
        )]),
    ),
]);
const CREATE: &[Member] = &[
    must("EndpointName", &shapes::NAME),
    must("EndpointConfigName", &shapes::NAME),
    may("DeploymentConfig", &DEPLOYMENT),
    may("Tags", &shapes::TAGS),
];
const UPDATE: &[Member] = &[
    must("EndpointName", &shapes::NAME),
    must("EndpointConfigName", &shapes::NAME),
    may("RetainAllVariantProperties", &Shape::Flag),
    may(
        "ExcludeRetainedVariantProperties",
        &Shape::List {
            min: 0,
            max: 3,
            of: &Shape::Structure(&[must(
                "VariantPropertyType",
                &Shape::OneOf(&["DesiredInstanceCount", "DesiredWeight", "DataCaptureConfig"]),
            )]),
        },
    ),
    may("DeploymentConfig", &DEPLOYMENT),
    may("RetainDeploymentConfig", &Shape::Flag),
];
const NAMED: &[Member] = &[must("EndpointName", &shapes::NAME)];
const LIST: &[Member] = &[
    may("NextToken", &shapes::ANY_TEXT),
    may("MaxResults", &shapes::MAX_RESULTS),
    may("NameContains", &shapes::NAME_CONTAINS),
    may(
        "StatusEquals",
        &Shape::OneOf(&[
            "OutOfService",
            "Creating",
            "Updating",
            "SystemUpdating",
            "RollingBack",
            "InService",
            "Deleting",
            "Failed",
            "UpdateRollbackFailed",
        ]),
    ),
    may("SortBy", &Shape::OneOf(&["Name", "CreationTime", "Status"])),
    may("SortOrder", &shapes::SORT_ORDER),
];
const LISTING: Listing =
    Listing { items: "Endpoints", name: "EndpointName", status: Some("EndpointStatus"), newest_first: true };

/// How long a new fleet is watched before it counts as good. AWS waits `WaitIntervalInSeconds`; minutes, usually.
const BAKING: Duration = Duration::from_millis(100);
/// What AWS waits for the first good answer to `/ping`, unless the configuration says otherwise.
const STARTUP: Duration = Duration::from_secs(240);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Creating,
    InService,
    Updating,
    RollingBack,
    Failed,
    Deleting,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::InService => "InService",
            Self::Updating => "Updating",
            Self::RollingBack => "RollingBack",
            Self::Failed => "Failed",
            Self::Deleting => "Deleting",
        }
    }

    /// Events spell it differently from the API.
    fn name_in_events(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::InService => "IN_SERVICE",
            Self::Updating => "UPDATING",
            Self::RollingBack => "ROLLING_BACK",
            Self::Failed => "FAILED",
            Self::Deleting => "DELETING",
        }
    }
}

/// An endpoint, and what serves it now.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) arn: String,
    config_name: String,
    pub(super) status: Status,
    failure: Option<String>,
    created: f64,
    modified: f64,
    pub(super) fleet: Option<Arc<Fleet>>,
    pending: Option<(String, f64)>,
    last_deployment: Option<Value>,
}

/// What serves one endpoint configuration.
#[derive(Debug)]
pub(super) struct Fleet {
    config_name: String,
    pub(super) variants: Vec<Variant>,
    pub(super) capture: Option<Capture>,
}

/// One process, which stands for all of a variant's instances.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) name: String,
    pub(super) weight: f64,
    count: u64,
    image: Image,
    resolved_at: f64,
    pub(super) port: u16,
    pub(super) log_stream: String,
    process: Process,
}

/// What a fleet is started from: taken when the request came, so that a later deletion changes nothing.
#[derive(Debug)]
struct Blueprint {
    config_name: String,
    config: Object,
    models: BTreeMap<String, Object>,
    /// Instance counts that are kept from the fleet before, by variant.
    counts: BTreeMap<String, u64>,
    weights: BTreeMap<String, f64>,
}

impl Inner {
    pub(super) fn create_endpoint(self: &Arc<Self>, body: &Value) -> Result<Value, AwsError> {
        let request = check(CREATE, body)?;
        let name = required(&request, "EndpointName").to_owned();
        let arn = self.arn(&format!("endpoint/{name}"));
        let config_name = required(&request, "EndpointConfigName").to_owned();
        let blueprint;
        {
            let mut state = self.state();
            if state.endpoints.contains_key(&name) {
                return Err(validation(format!("Cannot create already existing endpoint \"{arn}\".")));
            }
            blueprint = self.blueprint(&state, &config_name)?;
            refuse_deployment(request.get("DeploymentConfig"), &blueprint)?;
            state.tag_new(&arn, &request);
            let at = now();
            state.endpoints.insert(
                name.clone(),
                Endpoint {
                    arn: arn.clone(),
                    config_name,
                    status: Status::Creating,
                    failure: None,
                    created: at,
                    modified: at,
                    fleet: None,
                    pending: None,
                    last_deployment: request.get("DeploymentConfig").cloned(),
                },
            );
        }
        self.announce_endpoint(&name);
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            match inner.start_fleet(&name, &blueprint).await {
                Ok(fleet) => inner.settle(&name, Status::InService, None, Some(Arc::new(fleet))),
                // Nothing served before, so there is nothing to roll back to.
                Err(reason) => inner.settle(&name, Status::Failed, Some(reason), None),
            }
        });
        Ok(json!({"EndpointArn": arn}))
    }

    pub(super) fn update_endpoint(self: &Arc<Self>, body: &Value) -> Result<Value, AwsError> {
        let request = check(UPDATE, body)?;
        let name = required(&request, "EndpointName").to_owned();
        let config_name = required(&request, "EndpointConfigName").to_owned();
        let (arn, mut blueprint, deployment, before);
        {
            let mut state = self.state();
            let found = state.endpoints.get(&name).ok_or_else(|| self.no_endpoint(&name))?;
            arn = found.arn.clone();
            match found.status {
                Status::InService => {}
                Status::Failed => {
                    return Err(validation(format!(
                        "Cannot update endpoint \"{arn}\" in status Failed. Delete it and create it again."
                    )));
                }
                _ => return Err(validation(format!("Cannot update in-progress endpoint \"{arn}\"."))),
            }
            blueprint = self.blueprint(&state, &config_name)?;
            before = found.fleet.clone();
            deployment = match (request.get("DeploymentConfig"), flag(&request, "RetainDeploymentConfig")) {
                (Some(given), _) => Some(given.clone()),
                (None, true) => found.last_deployment.clone(),
                (None, false) => None,
            };
            if flag(&request, "RetainAllVariantProperties") {
                blueprint.retain(before.as_deref(), &request);
            }
            refuse_deployment(deployment.as_ref(), &blueprint)?;
            let at = now();
            if let Some(endpoint) = state.endpoints.get_mut(&name) {
                endpoint.status = Status::Updating;
                endpoint.failure = None;
                endpoint.modified = at;
                endpoint.pending = Some((config_name, at));
            }
        }
        self.announce_endpoint(&name);
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            inner.replace_fleet(&name, &blueprint, deployment, before).await;
        });
        Ok(json!({"EndpointArn": arn}))
    }

    pub(super) fn describe_endpoint(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(NAMED, body)?;
        let name = required(&request, "EndpointName");
        let state = self.state();
        let endpoint = state.endpoints.get(name).ok_or_else(|| self.no_endpoint(name))?;
        let mut answer = json!({
            "EndpointName": name,
            "EndpointArn": endpoint.arn,
            "EndpointConfigName": endpoint.config_name,
            "EndpointStatus": endpoint.status.name(),
            "CreationTime": endpoint.created,
            "LastModifiedTime": endpoint.modified,
        });
        if let Some(fleet) = &endpoint.fleet {
            answer["ProductionVariants"] = fleet.variants.iter().map(Variant::summary).collect();
            if let Some(capture) = &fleet.capture {
                answer["DataCaptureConfig"] = capture.summary();
            }
        }
        if let Some(reason) = &endpoint.failure {
            answer["FailureReason"] = json!(reason);
        }
        if let Some(deployment) = &endpoint.last_deployment {
            answer["LastDeploymentConfig"] = deployment.clone();
        }
        if let Some((config, started)) = &endpoint.pending {
            answer["PendingDeploymentSummary"] = json!({"EndpointConfigName": config, "StartTime": started});
        }
        Ok(answer)
    }

    pub(super) fn delete_endpoint(self: &Arc<Self>, body: &Value) -> Result<Value, AwsError> {
        let request = check(NAMED, body)?;
        let name = required(&request, "EndpointName").to_owned();
        let fleet = {
            let mut state = self.state();
            let endpoint = state.endpoints.get_mut(&name).ok_or_else(|| self.no_endpoint(&name))?;
            match endpoint.status {
                Status::InService | Status::Failed => {}
                Status::Deleting => return Ok(json!({})),
                _ => {
                    return Err(validation(format!(
                        "Cannot update in-progress endpoint \"{}\".",
                        endpoint.arn
                    )));
                }
            }
            endpoint.status = Status::Deleting;
            endpoint.modified = now();
            endpoint.fleet.take()
        };
        self.announce_endpoint(&name);
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            if let Some(fleet) = fleet {
                fleet.stop().await;
            }
            let _ = tokio::fs::remove_dir_all(inner.config.state_dir.join("endpoints").join(&name)).await;
            let mut state = inner.state();
            if let Some(gone) = state.endpoints.remove(&name) {
                state.tags.remove(&gone.arn);
            }
        });
        Ok(json!({}))
    }

    pub(super) fn list_endpoints(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(LIST, body)?;
        let summaries = self
            .state()
            .endpoints
            .iter()
            .map(|(name, endpoint)| {
                let mut summary = Object::new();
                set(&mut summary, "EndpointName", name.as_str());
                set(&mut summary, "EndpointArn", endpoint.arn.as_str());
                set(&mut summary, "CreationTime", endpoint.created);
                set(&mut summary, "LastModifiedTime", endpoint.modified);
                set(&mut summary, "EndpointStatus", endpoint.status.name());
                summary
            })
            .collect();
        page(&request, summaries, &LISTING)
    }

    fn no_endpoint(&self, name: &str) -> AwsError {
        validation(format!("Could not find endpoint \"{}\".", self.arn(&format!("endpoint/{name}"))))
    }

    fn blueprint(&self, state: &super::State, config_name: &str) -> Result<Blueprint, AwsError> {
        let config = state
            .endpoint_configs
            .get(config_name)
            .ok_or_else(|| self.no_endpoint_config(config_name))?
            .clone();
        let mut models = BTreeMap::new();
        for variant in variants(&config) {
            let model = variant["ModelName"].as_str().unwrap_or_default();
            models.insert(
                model.to_owned(),
                state.models.get(model).ok_or_else(|| self.no_model(model))?.clone(),
            );
        }
        let counts = variants(&config)
            .iter()
            .map(|variant| (named(variant), variant["InitialInstanceCount"].as_u64().unwrap_or(1)))
            .collect();
        let weights = variants(&config)
            .iter()
            .map(|variant| (named(variant), variant["InitialVariantWeight"].as_f64().unwrap_or(1.0)))
            .collect();
        Ok(Blueprint { config_name: config_name.to_owned(), config, models, counts, weights })
    }

    /// Starts the new fleet beside the old one, watches it, and moves the traffic or takes it all back.
    async fn replace_fleet(
        &self,
        name: &str,
        blueprint: &Blueprint,
        deployment: Option<Value>,
        before: Option<Arc<Fleet>>,
    ) {
        let started = self.start_fleet(name, blueprint).await;
        let outcome = match started {
            Err(reason) => Err((None, reason)),
            Ok(fleet) => match self.bake(deployment.as_ref()).await {
                None => Ok(fleet),
                Some(reason) => Err((Some(fleet), reason)),
            },
        };
        match outcome {
            Ok(fleet) => {
                self.settle(name, Status::InService, None, Some(Arc::new(fleet)));
                if let Some(endpoint) = self.state().endpoints.get_mut(name) {
                    endpoint.last_deployment = deployment;
                }
                if let Some(old) = before {
                    old.stop().await;
                }
            }
            Err((fleet, reason)) => {
                if let Some(endpoint) = self.state().endpoints.get_mut(name) {
                    endpoint.status = Status::RollingBack;
                    endpoint.modified = now();
                }
                self.announce_endpoint(name);
                if let Some(fleet) = fleet {
                    fleet.stop().await;
                }
                tokio::time::sleep(PHASE).await;
                // In service again, with the former configuration: that is all that tells a rollback from a success.
                self.settle(name, Status::InService, Some(reason), before);
            }
        }
    }

    /// Why the new fleet must go, if an alarm says so. No alarms, no rollback.
    async fn bake(&self, deployment: Option<&Value>) -> Option<String> {
        tokio::time::sleep(BAKING).await;
        let alarms: Vec<String> = deployment?["AutoRollbackConfiguration"]["Alarms"]
            .as_array()?
            .iter()
            .filter_map(|alarm| alarm["AlarmName"].as_str().map(str::to_owned))
            .collect();
        if self.config.faults.has(Fault::EndpointRollsBack) {
            return Some(alarmed(&alarms));
        }
        let body = json!({"AlarmNames": alarms});
        match self.backend.json("monitoring", "GraniteServiceVersion20100801.DescribeAlarms", &body).await {
            Ok(answer) => {
                let ringing: Vec<String> = answer["MetricAlarms"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(|alarm| alarm["StateValue"] == "ALARM")
                    .filter_map(|alarm| alarm["AlarmName"].as_str().map(str::to_owned))
                    .collect();
                (!ringing.is_empty()).then(|| alarmed(&ringing))
            }
            Err(error) => {
                tracing::warn!(%error, "the alarms of a deployment could not be read");
                None
            }
        }
    }

    fn settle(&self, name: &str, status: Status, failure: Option<String>, fleet: Option<Arc<Fleet>>) {
        if let Some(endpoint) = self.state().endpoints.get_mut(name) {
            endpoint.status = status;
            endpoint.failure = failure;
            endpoint.modified = now();
            endpoint.pending = None;
            if let Some(fleet) = &fleet {
                endpoint.config_name.clone_from(&fleet.config_name);
            }
            endpoint.fleet = fleet;
        }
        self.announce_endpoint(name);
    }

    async fn start_fleet(&self, endpoint: &str, blueprint: &Blueprint) -> Result<Fleet, String> {
        let mut fleet = Fleet {
            config_name: blueprint.config_name.clone(),
            variants: Vec::new(),
            capture: blueprint.config.get("DataCaptureConfig").and_then(Capture::of),
        };
        for variant in variants(&blueprint.config) {
            match self.start_variant(endpoint, blueprint, variant).await {
                Ok(started) => fleet.variants.push(started),
                Err(reason) => {
                    fleet.stop().await;
                    return Err(reason);
                }
            }
        }
        Ok(fleet)
    }

    async fn start_variant(
        &self,
        endpoint: &str,
        blueprint: &Blueprint,
        variant: &Value,
    ) -> Result<Variant, String> {
        let name = named(variant);
        let model_name = variant["ModelName"].as_str().unwrap_or_default();
        let model = blueprint.models.get(model_name).ok_or_else(|| format!("Model {model_name} is gone."))?;
        let container = only_container(model).map_err(|error| error.message)?;
        let image = self.image(container["Image"].as_str().unwrap_or_default()).await.map_err(|error| {
            format!("The image of production variant {name} cannot be used: {}", error.message)
        })?;
        let resolved_at = now();

        let folder = self
            .config
            .state_dir
            .join("endpoints")
            .join(endpoint)
            .join(format!("{}-{}", blueprint.config_name, uuid::Uuid::new_v4().simple()))
            .join(&name);
        let internal = |error: std::io::Error| format!("InternalServerError: variant {name}: {error}");
        let tree = Tree::create(folder.join("ml")).map_err(internal)?;
        let patience =
            variant["ModelDataDownloadTimeoutInSeconds"].as_u64().map_or(STARTUP, Duration::from_secs);
        tokio::time::timeout(patience, self.download_model(container, &tree))
            .await
            .map_err(|_| "timed out".to_owned())
            .and_then(|result| result)
            .map_err(|reason| {
                format!("Failed to download model data for production variant {name}: {reason}")
            })?;

        let port = free_port().map_err(internal)?;
        let log_stream = format!("{name}/i-{}", &uuid::Uuid::new_v4().simple().to_string()[..17]);
        let log = self
            .log(&folder, &format!("/aws/sagemaker/Endpoints/{endpoint}"), log_stream.clone())
            .map_err(internal)?;
        let mut env = self.environment(tree.root(), container.get("Environment").and_then(Value::as_object));
        env.insert("MODEL_CONTAINER_HOST".into(), "127.0.0.1".into());
        env.insert("SAGEMAKER_BIND_TO_PORT".into(), port.to_string());
        let isolated = flag(model, "EnableNetworkIsolation");
        if isolated {
            log.line("[local] network isolation: a container that serves keeps this machine's network, on which it is asked");
        }
        let launch = Launch {
            program: image.program.clone(),
            args: vec!["serve".into()],
            env,
            directory: tree.root().to_owned(),
            isolated: false,
            log,
        };
        let process = self.spawner.spawn(&launch).await.map_err(|error| {
            format!("The primary container for production variant {name} did not start: {error}")
        })?;
        let patience = variant["ContainerStartupHealthCheckTimeoutInSeconds"]
            .as_u64()
            .map_or(STARTUP, Duration::from_secs);
        if !self.answers_ping(&process, port, patience).await {
            process.stop(GRACE).await;
            return Err(format!(
                "The primary container for production variant {name} did not pass the ping health check. Please check \
                 CloudWatch logs for this endpoint."
            ));
        }
        Ok(Variant {
            weight: blueprint.weights.get(&name).copied().unwrap_or(1.0),
            count: blueprint.counts.get(&name).copied().unwrap_or(1),
            name,
            image,
            resolved_at,
            port,
            log_stream,
            process,
        })
    }

    async fn download_model(&self, container: &Value, tree: &Tree) -> Result<(), String> {
        let folder = tree.root().join("model");
        let source = &container["ModelDataSource"]["S3DataSource"];
        let (uri, packed) = match (source["S3Uri"].as_str(), container["ModelDataUrl"].as_str()) {
            (Some(uri), _) => (uri, source["CompressionType"] == "Gzip"),
            (None, Some(url)) => (url, true),
            (None, None) => return Ok(()),
        };
        let done = if packed {
            download_archive(&self.backend, uri, &folder).await
        } else {
            download_prefix(&self.backend, uri, &folder).await
        };
        done.map_err(|error| error.to_string())
    }

    async fn answers_ping(&self, process: &Process, port: u16, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while process.exit().is_none() && Instant::now() < deadline {
            let ping =
                self.containers.get(format!("http://127.0.0.1:{port}/ping")).timeout(Duration::from_secs(2));
            if ping.send().await.is_ok_and(|answer| answer.status() == 200) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }

    fn announce_endpoint(&self, name: &str) {
        let (arn, detail) = {
            let state = self.state();
            let Some(endpoint) = state.endpoints.get(name) else { return };
            let variants: Vec<Value> = endpoint
                .fleet
                .iter()
                .flat_map(|fleet| &fleet.variants)
                .map(|variant| {
                    json!({
                        "VariantName": variant.name,
                        "DesiredWeight": variant.weight,
                        "DesiredInstanceCount": variant.count,
                    })
                })
                .collect();
            let mut detail = json!({
                "EndpointName": name,
                "EndpointArn": endpoint.arn,
                "EndpointConfigName": endpoint.config_name,
                "ProductionVariants": variants,
                "EndpointStatus": endpoint.status.name_in_events(),
                "CreationTime": milliseconds(endpoint.created),
                "LastModifiedTime": milliseconds(endpoint.modified),
                "Tags": state.tags_of(&endpoint.arn),
            });
            if let Some(reason) = &endpoint.failure {
                detail["FailureReason"] = json!(reason);
            }
            (endpoint.arn.clone(), detail)
        };
        self.events.send(Event {
            source: "aws.sagemaker",
            detail_type: "SageMaker Endpoint State Change",
            resource: arn,
            detail,
        });
    }
}

impl Blueprint {
    /// Keeps what scaling or an operator set on the fleet before, but what the request excludes.
    fn retain(&mut self, before: Option<&Fleet>, request: &Object) {
        let excluded: Vec<&str> = request
            .get("ExcludeRetainedVariantProperties")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|property| property["VariantPropertyType"].as_str())
            .collect();
        for variant in before.iter().flat_map(|fleet| &fleet.variants) {
            if !excluded.contains(&"DesiredInstanceCount")
                && let Some(count) = self.counts.get_mut(&variant.name)
            {
                *count = variant.count;
            }
            if !excluded.contains(&"DesiredWeight")
                && let Some(weight) = self.weights.get_mut(&variant.name)
            {
                *weight = variant.weight;
            }
        }
    }
}

impl Fleet {
    async fn stop(&self) {
        futures::future::join_all(self.variants.iter().map(|variant| variant.process.stop(GRACE))).await;
    }
}

impl Variant {
    fn summary(&self) -> Value {
        json!({
            "VariantName": self.name,
            "DeployedImages": [{
                "SpecifiedImage": self.image.specified,
                "ResolvedImage": self.image.resolved,
                "ResolutionTime": self.resolved_at,
            }],
            "CurrentWeight": self.weight,
            "DesiredWeight": self.weight,
            "CurrentInstanceCount": self.count,
            "DesiredInstanceCount": self.count,
        })
    }
}

fn named(variant: &Value) -> String {
    variant["VariantName"].as_str().unwrap_or_default().to_owned()
}

fn alarmed(alarms: &[String]) -> String {
    format!(
        "One or more alarms went into ALARM state during the deployment and it was rolled back: {}",
        alarms.join(", ")
    )
}

fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// What a deployment's members allow and its fleet does not.
fn refuse_deployment(deployment: Option<&Value>, blueprint: &Blueprint) -> Result<(), AwsError> {
    let Some(deployment) = deployment else { return Ok(()) };
    let policy = deployment.get("BlueGreenUpdatePolicy");
    if policy.is_some() && deployment.get("RollingUpdatePolicy").is_some() {
        return Err(validation("Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be present."));
    }
    let Some(routing) = policy.map(|policy| &policy["TrafficRoutingConfiguration"]) else { return Ok(()) };
    let kind = routing["Type"].as_str().unwrap_or_default();
    let (size, member) = match kind {
        "CANARY" => (&routing["CanarySize"], "CanarySize"),
        "LINEAR" => (&routing["LinearStepSize"], "LinearStepSize"),
        _ => return Ok(()),
    };
    let Some(value) = size["Value"].as_u64() else {
        return Err(validation(format!("{member} must be present when the traffic routing type is {kind}.")));
    };
    let instances: u64 = blueprint.counts.values().sum();
    let fits = if size["Type"] == "INSTANCE_COUNT" {
        value * 2 <= instances
    } else {
        // Half a fleet of one instance is none.
        value <= 50 && instances >= 2
    };
    if fits {
        return Ok(());
    }
    Err(validation(format!(
        "{member} must be at most 50% of the fleet, which has {instances} instance(s): use more instances or ALL_AT_ONCE."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet_of(instances: u64) -> Blueprint {
        Blueprint {
            config_name: "c".into(),
            config: Object::new(),
            models: BTreeMap::new(),
            counts: BTreeMap::from([("AllTraffic".into(), instances)]),
            weights: BTreeMap::from([("AllTraffic".into(), 1.0)]),
        }
    }

    #[test]
    fn a_canary_takes_at_most_half_the_fleet() {
        let canary = |kind: &str, value: u64| {
            json!({"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {
                "Type": "CANARY", "WaitIntervalInSeconds": 60, "CanarySize": {"Type": kind, "Value": value},
            }}})
        };
        for (kind, value, instances, good) in [
            ("INSTANCE_COUNT", 1, 1, false),
            ("INSTANCE_COUNT", 1, 2, true),
            ("INSTANCE_COUNT", 2, 3, false),
            ("CAPACITY_PERCENT", 50, 1, false),
            ("CAPACITY_PERCENT", 50, 2, true),
            ("CAPACITY_PERCENT", 60, 4, false),
        ] {
            let answer = refuse_deployment(Some(&canary(kind, value)), &fleet_of(instances));
            assert_eq!(answer.is_ok(), good, "{kind} {value} of {instances}");
        }
    }
}
