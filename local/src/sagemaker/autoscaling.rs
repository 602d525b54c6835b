//! Application Auto Scaling: targets and policies are kept and given back; nothing scales.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::validation::{Member, Object, Shape, check, may, must, required, shapes, text, validation};
use super::{Inner, now, set};
use crate::service::AwsError;

const NAMESPACE: Shape = Shape::OneOf(&["sagemaker"]);
const DIMENSION: Shape = Shape::OneOf(&["sagemaker:variant:DesiredInstanceCount"]);
const RESOURCE: Shape = Shape::Text { min: 1, max: 1600, pattern: Some("endpoint/[^/]+/variant/[^/]+") };
const CAPACITY: Shape = Shape::Integer { min: 0, max: 1_000_000 };
const REGISTER: &[Member] = &[
    must("ServiceNamespace", &NAMESPACE),
    must("ResourceId", &RESOURCE),
    must("ScalableDimension", &DIMENSION),
    may("MinCapacity", &CAPACITY),
    may("MaxCapacity", &CAPACITY),
    may("RoleARN", &shapes::ANY_TEXT),
    may(
        "SuspendedState",
        &Shape::Structure(&[
            may("DynamicScalingInSuspended", &Shape::Flag),
            may("DynamicScalingOutSuspended", &Shape::Flag),
            may("ScheduledScalingSuspended", &Shape::Flag),
        ]),
    ),
    may("Tags", &Shape::Table { max: 50, key: &shapes::ANY_TEXT, value: &shapes::ANY_TEXT }),
];
const TARGET: &[Member] = &[
    must("ServiceNamespace", &NAMESPACE),
    must("ResourceId", &RESOURCE),
    must("ScalableDimension", &DIMENSION),
];
const DESCRIBE_TARGETS: &[Member] = &[
    must("ServiceNamespace", &NAMESPACE),
    may("ResourceIds", &Shape::List { min: 0, max: 50, of: &shapes::ANY_TEXT }),
    may("ScalableDimension", &DIMENSION),
    may("MaxResults", &Shape::Integer { min: 1, max: 50 }),
    may("NextToken", &shapes::ANY_TEXT),
];
const PUT_POLICY: &[Member] = &[
    must("PolicyName", &Shape::Text { min: 1, max: 256, pattern: None }),
    must("ServiceNamespace", &NAMESPACE),
    must("ResourceId", &RESOURCE),
    must("ScalableDimension", &DIMENSION),
    may("PolicyType", &Shape::OneOf(&["StepScaling", "TargetTrackingScaling", "PredictiveScaling"])),
    may("StepScalingPolicyConfiguration", &Shape::Free),
    may(
        "TargetTrackingScalingPolicyConfiguration",
        &Shape::Structure(&[must("TargetValue", &Shape::Number { min: 0.0 })]),
    ),
];
const POLICY: &[Member] = &[
    must("PolicyName", &Shape::Text { min: 1, max: 256, pattern: None }),
    must("ServiceNamespace", &NAMESPACE),
    must("ResourceId", &RESOURCE),
    must("ScalableDimension", &DIMENSION),
];
const DESCRIBE_POLICIES: &[Member] = &[
    may("PolicyNames", &Shape::List { min: 0, max: 50, of: &shapes::ANY_TEXT }),
    must("ServiceNamespace", &NAMESPACE),
    may("ResourceId", &RESOURCE),
    may("ScalableDimension", &DIMENSION),
    may("MaxResults", &Shape::Integer { min: 1, max: 50 }),
    may("NextToken", &shapes::ANY_TEXT),
];
const LIST_TAGS: &[Member] = &[must("ResourceARN", &shapes::ANY_TEXT)];

/// Targets by resource, policies by resource and name.
#[derive(Debug, Default)]
pub(super) struct Scaling {
    targets: BTreeMap<String, Object>,
    policies: BTreeMap<(String, String), Object>,
    tags: BTreeMap<String, Value>,
}

impl Scaling {
    /// Whether a variant of the endpoint is registered.
    pub(super) fn is_scaled(&self, endpoint: &str) -> bool {
        let of = format!("endpoint/{endpoint}/");
        self.targets.keys().any(|resource| resource.starts_with(&of))
    }

    /// Whether this variant of the endpoint is.
    pub(super) fn has(&self, endpoint: &str, variant: &str) -> bool {
        self.targets.contains_key(&format!("endpoint/{endpoint}/variant/{variant}"))
    }

    /// Forgets the variants of an endpoint that is deleted, as SageMaker has them deregistered.
    pub(super) fn forget(&mut self, endpoint: &str) {
        let of = format!("endpoint/{endpoint}/");
        let gone: Vec<Object> = self
            .targets
            .extract_if(.., |resource, _| resource.starts_with(&of))
            .map(|(_, target)| target)
            .collect();
        for target in gone {
            self.tags.remove(required(&target, "ScalableTargetARN"));
        }
        self.policies.retain(|(resource, _), _| !resource.starts_with(&of));
    }
}

impl Inner {
    pub(super) fn register_scalable_target(&self, body: &Value) -> Result<Value, AwsError> {
        let mut request = check(REGISTER, body)?;
        let resource = required(&request, "ResourceId").to_owned();
        let tags = request.remove("Tags");
        let mut state = self.state();
        let mut target = match state.scaling.targets.get(&resource) {
            Some(target) => target.clone(),
            None => {
                if !request.contains_key("MinCapacity") || !request.contains_key("MaxCapacity") {
                    return Err(validation(
                        "MinCapacity and MaxCapacity must be present when a target is registered.",
                    ));
                }
                let mut parts = resource.split('/').skip(1).step_by(2);
                let (endpoint, variant) =
                    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                let known = state.endpoints.get(endpoint).and_then(|endpoint| endpoint.fleet.as_ref());
                if !known.is_some_and(|fleet| fleet.variants.iter().any(|known| known.name == variant)) {
                    return Err(validation(format!(
                        "ECS, SageMaker or other service resource doesn't exist: {resource}"
                    )));
                }
                let mut target = Object::new();
                let id = uuid::Uuid::new_v4().simple();
                set(
                    &mut target,
                    "ScalableTargetARN",
                    format!(
                        "arn:aws:application-autoscaling:{}:{}:scalable-target/{id}",
                        self.config.region, self.config.account_id
                    ),
                );
                set(&mut target, "CreationTime", now());
                set(
                    &mut target,
                    "RoleARN",
                    format!(
                        "arn:aws:iam::{}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
                        self.config.account_id
                    ),
                );
                set(
                    &mut target,
                    "SuspendedState",
                    json!({
                        "DynamicScalingInSuspended": false,
                        "DynamicScalingOutSuspended": false,
                        "ScheduledScalingSuspended": false,
                    }),
                );
                target
            }
        };
        // A service-linked role is what SageMaker's variants always get.
        request.remove("RoleARN");
        target.extend(request);
        let bound = |member: &str| target.get(member).and_then(Value::as_i64).unwrap_or(0);
        if bound("MinCapacity") > bound("MaxCapacity") {
            return Err(validation("MinCapacity must not be greater than MaxCapacity."));
        }
        let arn = required(&target, "ScalableTargetARN").to_owned();
        if let Some(tags) = tags {
            state.scaling.tags.insert(arn.clone(), tags);
        }
        state.scaling.targets.insert(resource, target);
        Ok(json!({"ScalableTargetARN": arn}))
    }

    pub(super) fn describe_scalable_targets(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(DESCRIBE_TARGETS, body)?;
        let named = request.get("ResourceIds").and_then(Value::as_array);
        let state = self.state();
        let found: Vec<&Object> = state
            .scaling
            .targets
            .iter()
            .filter(|(resource, _)| {
                named.is_none_or(|named| named.iter().any(|name| name == resource.as_str()))
            })
            .map(|(_, target)| target)
            .collect();
        Ok(json!({"ScalableTargets": found}))
    }

    pub(super) fn deregister_scalable_target(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(TARGET, body)?;
        let resource = required(&request, "ResourceId");
        let mut state = self.state();
        let gone = state.scaling.targets.remove(resource).ok_or_else(|| no_target(resource))?;
        state.scaling.policies.retain(|(of, _), _| of != resource);
        state.scaling.tags.remove(required(&gone, "ScalableTargetARN"));
        Ok(json!({}))
    }

    pub(super) fn put_scaling_policy(&self, body: &Value) -> Result<Value, AwsError> {
        let mut request = check(PUT_POLICY, body)?;
        let resource = required(&request, "ResourceId").to_owned();
        let name = required(&request, "PolicyName").to_owned();
        let mut state = self.state();
        if !state.scaling.targets.contains_key(&resource) {
            return Err(no_target(&resource));
        }
        let before = state.scaling.policies.get(&(resource.clone(), name.clone()));
        let (arn, created) = match before {
            Some(policy) => (required(policy, "PolicyARN").to_owned(), policy.get("CreationTime").cloned()),
            None => {
                let id = uuid::Uuid::new_v4();
                let arn = format!(
                    "arn:aws:autoscaling:{}:{}:scalingPolicy:{id}:resource/sagemaker/{resource}:policyName/{name}",
                    self.config.region, self.config.account_id
                );
                (arn, None)
            }
        };
        let kind = text(&request, "PolicyType")
            .map(str::to_owned)
            .or_else(|| before.and_then(|policy| text(policy, "PolicyType")).map(str::to_owned));
        set(&mut request, "PolicyType", kind.unwrap_or_else(|| "StepScaling".into()));
        set(&mut request, "PolicyARN", arn.as_str());
        set(&mut request, "CreationTime", created.unwrap_or_else(|| json!(now())));
        set(&mut request, "Alarms", json!([]));
        state.scaling.policies.insert((resource, name), request);
        Ok(json!({"PolicyARN": arn, "Alarms": []}))
    }

    pub(super) fn describe_scaling_policies(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(DESCRIBE_POLICIES, body)?;
        let names = request.get("PolicyNames").and_then(Value::as_array).filter(|names| !names.is_empty());
        let resource = text(&request, "ResourceId");
        let state = self.state();
        let found: Vec<&Object> = state
            .scaling
            .policies
            .iter()
            .filter(|((of, name), _)| {
                resource.is_none_or(|resource| resource == of)
                    && names.is_none_or(|names| names.iter().any(|wanted| wanted == name.as_str()))
            })
            .map(|(_, policy)| policy)
            .collect();
        Ok(json!({"ScalingPolicies": found}))
    }

    pub(super) fn delete_scaling_policy(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(POLICY, body)?;
        let (resource, name) = (required(&request, "ResourceId"), required(&request, "PolicyName"));
        let key = (resource.to_owned(), name.to_owned());
        self.state().scaling.policies.remove(&key).map(|_| json!({})).ok_or_else(|| {
            AwsError::client(
                "ObjectNotFoundException",
                format!("No scaling policy found for {resource} named {name}"),
            )
        })
    }

    pub(super) fn scaling_tags(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(LIST_TAGS, body)?;
        let tags = self.state().scaling.tags.get(required(&request, "ResourceARN")).cloned();
        Ok(json!({"Tags": tags.unwrap_or_else(|| json!({}))}))
    }
}

fn no_target(resource: &str) -> AwsError {
    AwsError::client(
        "ObjectNotFoundException",
        format!("No scalable target registered for service namespace: sagemaker, resource ID: {resource}"),
    )
}
