//! Endpoints: the container's program really serves, one process for each variant.

use std::sync::Arc;

use serde_json::{Value, json};

use super::deployment::{DEPLOYMENT, Plan, Step};
use super::events::{Event, milliseconds};
use super::fleet::{Capacity, Fleet, Variant};
use super::listing::{Listing, page};
use super::rollout::Rollout;
use super::traffic::Shift;
use super::validation::{Member, Object, Shape, check, flag, may, must, required, shapes, validation};
use super::{Inner, PHASE, now, set};
use crate::service::{AwsError, Fault};

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
const WEIGHTS: &[Member] = &[
    must("EndpointName", &shapes::NAME),
    must(
        "DesiredWeightsAndCapacities",
        &Shape::List {
            min: 1,
            max: 10,
            of: &Shape::Structure(&[
                must("VariantName", &shapes::NAME),
                may("DesiredWeight", &Shape::Number { min: 0.0 }),
                may("DesiredInstanceCount", &Shape::Integer { min: 0, max: 1000 }),
            ]),
        },
    ),
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
    pub(super) failure: Option<String>,
    created: f64,
    pub(super) modified: f64,
    pub(super) fleet: Option<Arc<Fleet>>,
    /// Traffic that goes to another fleet already.
    pub(super) shift: Option<Shift>,
    /// Where the deployment is, and since when.
    pub(super) stage: Option<(Step, f64)>,
    pending: Option<(String, f64)>,
    pub(super) last_deployment: Option<Value>,
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
            Plan::of(request.get("DeploymentConfig"), &blueprint.counts())?;
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
                    shift: None,
                    stage: None,
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
        let (arn, mut blueprint, plan, deployment, before);
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
            // <https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-update.html>
            let serving = before.as_ref().and_then(|fleet| state.endpoint_configs.get(&fleet.config_name));
            if let Some(variant) =
                blueprint.changed_type(serving, |variant| state.scaling.has(&name, variant))
            {
                return Err(validation(format!(
                    "Variant {variant} of endpoint \"{arn}\" is a target of autoscaling: deregister it before its \
                     instance type is changed."
                )));
            }
            deployment = match (request.get("DeploymentConfig"), flag(&request, "RetainDeploymentConfig")) {
                (Some(given), _) => Some(given.clone()),
                (None, true) => found.last_deployment.clone(),
                (None, false) => None,
            };
            if flag(&request, "RetainAllVariantProperties") {
                blueprint.retain(before.as_deref(), &request);
            }
            if deployment.is_some() && !same_variants(before.as_deref(), &blueprint.counts()) {
                return Err(validation(format!(
                    "Endpoint configuration {config_name} must have the variant names of the one that serves when a \
                     DeploymentConfig is given."
                )));
            }
            plan = Plan::of(deployment.as_ref(), &blueprint.counts())?;
            blueprint.spoilt = self.config.faults.has(Fault::BadCanary);
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
        let rollout = Rollout { endpoint: name, blueprint, plan, deployment, before };
        tokio::spawn(async move { inner.roll_out(rollout).await });
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
            answer["ProductionVariants"] = fleet.variants.iter().map(|variant| variant.summary()).collect();
            if !fleet.shadows.is_empty() {
                answer["ShadowProductionVariants"] =
                    fleet.shadows.iter().map(|shadow| shadow.summary()).collect();
            }
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
        if let Some(pending) = endpoint.pending_deployment(|seconds| json!(seconds)) {
            answer["PendingDeploymentSummary"] = pending;
        }
        Ok(answer)
    }

    pub(super) fn update_endpoint_weights_and_capacities(
        self: &Arc<Self>,
        body: &Value,
    ) -> Result<Value, AwsError> {
        let request = check(WEIGHTS, body)?;
        let name = required(&request, "EndpointName").to_owned();
        let wanted = request.get("DesiredWeightsAndCapacities").and_then(Value::as_array);
        let (arn, mut changes) = (self.arn(&format!("endpoint/{name}")), Vec::new());
        {
            let mut state = self.state();
            let endpoint = state.endpoints.get_mut(&name).ok_or_else(|| self.no_endpoint(&name))?;
            if endpoint.status != Status::InService {
                return Err(validation(format!("Cannot update in-progress endpoint \"{arn}\".")));
            }
            for desired in wanted.into_iter().flatten() {
                let variant = desired["VariantName"].as_str().unwrap_or_default();
                let found = endpoint
                    .fleet
                    .iter()
                    .flat_map(|fleet| &fleet.variants)
                    .find(|known| known.name == variant)
                    .ok_or_else(|| {
                        validation(format!("Variant {variant} not found for endpoint \"{arn}\"."))
                    })?;
                let Capacity { weight, count } = found.capacity();
                let capacity = Capacity {
                    weight: desired["DesiredWeight"].as_f64().unwrap_or(weight),
                    count: desired["DesiredInstanceCount"].as_u64().unwrap_or(count),
                };
                changes.push((Arc::clone(found), capacity));
            }
            endpoint.status = Status::Updating;
            endpoint.modified = now();
        }
        self.announce_endpoint(&name);
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(PHASE).await;
            for (variant, capacity) in changes {
                variant.set_capacity(capacity);
            }
            let fleet = inner.state().endpoints.get(&name).and_then(|endpoint| endpoint.fleet.clone());
            inner.settle(&name, Status::InService, None, fleet);
        });
        Ok(json!({"EndpointArn": arn}))
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
            let fleet = endpoint.fleet.take();
            state.scaling.forget(&name);
            fleet
        };
        self.announce_endpoint(&name);
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            if let Some(fleet) = fleet {
                fleet.retire().await;
            }
            inner.captures.flush().await;
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

    pub(super) fn settle(
        &self,
        name: &str,
        status: Status,
        failure: Option<String>,
        fleet: Option<Arc<Fleet>>,
    ) {
        if let Some(endpoint) = self.state().endpoints.get_mut(name) {
            endpoint.status = status;
            endpoint.failure = failure;
            endpoint.modified = now();
            endpoint.pending = None;
            endpoint.shift = None;
            endpoint.stage = None;
            if let Some(fleet) = &fleet {
                endpoint.config_name.clone_from(&fleet.config_name);
            }
            endpoint.fleet = fleet;
        }
        self.announce_endpoint(name);
    }

    pub(super) fn announce_endpoint(&self, name: &str) {
        self.announce(name, "SageMaker Endpoint State Change");
    }

    /// Says that a deployment came to its next stage.
    pub(super) fn announce_deployment(&self, name: &str) {
        self.announce(name, "SageMaker Endpoint Deployment State Change");
    }

    fn announce(&self, name: &str, detail_type: &'static str) {
        let (arn, detail) = {
            let state = self.state();
            let Some(endpoint) = state.endpoints.get(name) else { return };
            (endpoint.arn.clone(), endpoint.detail(name, state.tags_of(&endpoint.arn)))
        };
        self.events.send(Event { source: "aws.sagemaker", detail_type, resource: arn, detail });
    }
}

impl Endpoint {
    /// What events say of it.
    fn detail(&self, name: &str, tags: Value) -> Value {
        let variants: Vec<Value> = self
            .fleet
            .iter()
            .flat_map(|fleet| &fleet.variants)
            .map(|variant| {
                let Capacity { weight, count } = variant.capacity();
                json!({
                    "VariantName": variant.name,
                    "CurrentWeight": weight,
                    "DesiredWeight": weight,
                    "CurrentInstanceCount": count,
                    "DesiredInstanceCount": count,
                })
            })
            .collect();
        let mut detail = json!({
            "EndpointName": name,
            "EndpointArn": self.arn,
            "EndpointConfigName": self.config_name,
            "ProductionVariants": variants,
            "EndpointStatus": self.status.name_in_events(),
            "CreationTime": milliseconds(self.created),
            "LastModifiedTime": milliseconds(self.modified),
            "Tags": tags,
        });
        if let Some(reason) = &self.failure {
            detail["FailureReason"] = json!(reason);
        }
        if let Some(pending) = self.pending_deployment(|seconds| json!(milliseconds(seconds))) {
            detail["PendingDeploymentSummary"] = pending;
        }
        detail
    }

    /// What is under way, with times as the API has them or as events do.
    fn pending_deployment(&self, time: impl Fn(f64) -> Value) -> Option<Value> {
        let (config, started) = self.pending.as_ref()?;
        let mut pending = json!({"EndpointConfigName": config, "StartTime": time(*started)});
        if let (Some((step, since)), Some(shift)) = (&self.stage, &self.shift) {
            let variants =
                shift.fleet.variants.iter().map(|variant| pending_variant(variant, step, time(*since)));
            pending["ProductionVariants"] = variants.collect();
        }
        Some(pending)
    }
}

fn pending_variant(variant: &Variant, step: &Step, since: Value) -> Value {
    let Capacity { weight, count } = variant.capacity();
    let active = step.active.get(&variant.name).map_or(0, |portion| portion.active);
    json!({
        "VariantName": variant.name,
        "CurrentWeight": weight,
        "DesiredWeight": weight,
        "CurrentInstanceCount": active,
        "DesiredInstanceCount": count,
        "VariantStatus": [{
            "Status": "Baking",
            "StatusMessage": format!(
                "Baking for {} seconds ({}) with traffic enabled on {} capacity of {active} instance(s).",
                step.wait.as_secs(), step.member, step.part
            ),
            "StartTime": since,
        }],
    })
}

/// The guide asks for the same names in both configurations; traffic of one variant would have nowhere to go.
fn same_variants(before: Option<&Fleet>, counts: &std::collections::BTreeMap<String, u64>) -> bool {
    before.is_none_or(|fleet| {
        fleet.variants.len() == counts.len()
            && fleet.variants.iter().all(|variant| counts.contains_key(&variant.name))
    })
}
