//! SageMaker, ECR image scans and Application Auto Scaling, as far as Lockstep uses them; see `README.md` beside this
//! file for what is emulated and what departs from AWS.

mod association;
mod autoscaling;
mod backend;
mod capture;
mod checkpoints;
mod container;
mod deployment;
mod endpoint;
mod endpoint_config;
mod events;
mod experiment;
mod fleet;
mod image_scan;
mod images;
mod instance_types;
mod invocation;
mod lineage;
mod lineage_query;
mod listing;
mod logs;
mod metrics;
mod model;
mod model_card;
mod model_package;
mod processing_job;
mod rollout;
mod staging;
mod tags;
#[cfg(test)]
mod tests;
mod traffic;
mod training_job;
mod trial_component;
mod trial_metrics;
mod validation;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;

use self::backend::Backend;
use self::capture::Captures;
use self::events::Events;
use self::lineage::{ACTION, ARTIFACT, CONTEXT};
use self::metrics::Metrics;
use self::validation::Object;
use crate::jobs::process::Spawner;
use crate::service::{AwsError, Caller, Config, Fault, Service};

/// What SageMaker grants a container between the wish that it end and the kill; AWS grants two minutes.
const GRACE: Duration = Duration::from_secs(5);

/// How long a phase takes that does nothing here (finding instances, pulling an image).
const PHASE: Duration = Duration::from_millis(20);

/// The services, with everything that runs in them. Clones are the same account.
#[derive(Debug, Clone)]
pub struct SageMaker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    backend: Backend,
    events: Events,
    metrics: Metrics,
    captures: Captures,
    spawner: Spawner,
    /// Speaks to containers that serve.
    containers: reqwest::Client,
    invocations: AtomicU64,
    state: Mutex<State>,
}

/// Everything there is, in memory only: the account ends with the process.
#[derive(Debug, Default)]
struct State {
    training_jobs: BTreeMap<String, Job>,
    processing_jobs: BTreeMap<String, Job>,
    package_groups: BTreeMap<String, Object>,
    packages: model_package::Packages,
    cards: BTreeMap<String, Vec<Object>>,
    lineage: lineage::Lineage,
    experiments: experiment::Experiments,
    models: BTreeMap<String, Object>,
    endpoint_configs: BTreeMap<String, Object>,
    endpoints: BTreeMap<String, endpoint::Endpoint>,
    scans: image_scan::Scans,
    scaling: autoscaling::Scaling,
    tags: BTreeMap<String, BTreeMap<String, String>>,
}

/// A job: what Describe answers, and the wish that it stop.
#[derive(Debug)]
struct Job {
    record: Object,
    stop: watch::Sender<bool>,
}

impl State {
    /// The ARN of every resource that can be tagged.
    fn arns(&self) -> impl Iterator<Item = &str> {
        fn arn<'a>(object: &'a Object, member: &str) -> Option<&'a str> {
            object.get(member).and_then(Value::as_str)
        }
        self.training_jobs
            .values()
            .filter_map(|job| arn(&job.record, "TrainingJobArn"))
            .chain(self.processing_jobs.values().filter_map(|job| arn(&job.record, "ProcessingJobArn")))
            .chain(self.package_groups.values().filter_map(|group| arn(group, "ModelPackageGroupArn")))
            .chain(self.packages.arns())
            .chain(self.cards.values().flatten().filter_map(|card| arn(card, "ModelCardArn")))
            .chain(self.lineage.arns())
            .chain(self.experiments.arns())
            .chain(self.models.values().filter_map(|model| arn(model, "ModelArn")))
            .chain(self.endpoint_configs.values().filter_map(|config| arn(config, "EndpointConfigArn")))
            .chain(self.endpoints.values().map(|endpoint| endpoint.arn.as_str()))
    }
}

impl SageMaker {
    /// An empty account. Must be called inside a Tokio runtime, which is the one that the jobs run on.
    pub fn new(config: Config) -> Result<Self, AwsError> {
        // All that is asked is on this machine, whatever proxy the environment names.
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(|error| AwsError::internal(format!("no HTTP client: {error}")))?;
        let spawner = Spawner::start().map_err(|error| {
            AwsError::internal(format!("the thread that starts containers did not start: {error}"))
        })?;
        let backend = Backend::new(http.clone(), &config.backend, &config.region, &config.account_id);
        Ok(Self(Arc::new(Inner {
            config,
            events: Events::start(backend.clone()),
            metrics: Metrics::start(backend.clone()),
            captures: Captures::start(backend.clone()),
            backend,
            spawner,
            containers: http,
            invocations: AtomicU64::new(0),
            state: Mutex::default(),
        })))
    }

    /// Twelve digits.
    pub fn account_id(&self) -> &str {
        &self.0.config.account_id
    }

    /// Whether the request is about an endpoint that is registered for autoscaling.
    pub(crate) fn is_scaled(&self, input: &Value) -> bool {
        input["EndpointName"].as_str().is_some_and(|name| self.0.state().scaling.is_scaled(name))
    }

    /// Performs one operation. The front has authenticated and authorized the caller.
    pub async fn call(
        &self,
        caller: Caller,
        service: Service,
        action: &str,
        body: Value,
    ) -> Result<Value, AwsError> {
        let inner = &self.0;
        match (service, action) {
            (Service::SageMaker, "CreateTrainingJob") => inner.create_training_job(&body).await,
            (Service::SageMaker, "DescribeTrainingJob") => inner.describe_training_job(&body),
            (Service::SageMaker, "StopTrainingJob") => inner.stop_training_job(&body),
            (Service::SageMaker, "ListTrainingJobs") => inner.list_training_jobs(&body),
            (Service::SageMaker, "CreateProcessingJob") => inner.create_processing_job(&body).await,
            (Service::SageMaker, "DescribeProcessingJob") => inner.describe_processing_job(&body),
            (Service::SageMaker, "StopProcessingJob") => inner.stop_processing_job(&body),
            (Service::SageMaker, "ListProcessingJobs") => inner.list_processing_jobs(&body),
            (Service::SageMaker, "CreateModelPackageGroup") => {
                inner.create_model_package_group(&caller, &body)
            }
            (Service::SageMaker, "DescribeModelPackageGroup") => inner.describe_model_package_group(&body),
            (Service::SageMaker, "ListModelPackageGroups") => inner.list_model_package_groups(&body),
            (Service::SageMaker, "CreateModelPackage") => inner.create_model_package(&caller, &body).await,
            (Service::SageMaker, "DescribeModelPackage") => inner.describe_model_package(&body),
            (Service::SageMaker, "UpdateModelPackage") => inner.update_model_package(&caller, &body),
            (Service::SageMaker, "ListModelPackages") => inner.list_model_packages(&body),
            (Service::SageMaker, "CreateModelCard") => inner.create_model_card(&caller, &body),
            (Service::SageMaker, "DescribeModelCard") => inner.describe_model_card(&body),
            (Service::SageMaker, "UpdateModelCard") => inner.update_model_card(&caller, &body),
            (Service::SageMaker, "ListModelCards") => inner.list_model_cards(&body),
            (Service::SageMaker, "ListModelCardVersions") => inner.list_model_card_versions(&body),
            (Service::SageMaker, "CreateArtifact") => inner.create_lineage(&ARTIFACT, &caller, &body),
            (Service::SageMaker, "DescribeArtifact") => inner.describe_lineage(&ARTIFACT, &body),
            (Service::SageMaker, "ListArtifacts") => inner.list_lineage(&ARTIFACT, &body),
            (Service::SageMaker, "UpdateArtifact") => inner.update_lineage(&ARTIFACT, &caller, &body),
            (Service::SageMaker, "DeleteArtifact") => inner.delete_lineage(&ARTIFACT, &body),
            (Service::SageMaker, "CreateAction") => inner.create_lineage(&ACTION, &caller, &body),
            (Service::SageMaker, "DescribeAction") => inner.describe_lineage(&ACTION, &body),
            (Service::SageMaker, "ListActions") => inner.list_lineage(&ACTION, &body),
            (Service::SageMaker, "UpdateAction") => inner.update_lineage(&ACTION, &caller, &body),
            (Service::SageMaker, "DeleteAction") => inner.delete_lineage(&ACTION, &body),
            (Service::SageMaker, "CreateContext") => inner.create_lineage(&CONTEXT, &caller, &body),
            (Service::SageMaker, "DescribeContext") => inner.describe_lineage(&CONTEXT, &body),
            (Service::SageMaker, "ListContexts") => inner.list_lineage(&CONTEXT, &body),
            (Service::SageMaker, "UpdateContext") => inner.update_lineage(&CONTEXT, &caller, &body),
            (Service::SageMaker, "DeleteContext") => inner.delete_lineage(&CONTEXT, &body),
            (Service::SageMaker, "AddAssociation") => inner.add_association(&caller, &body),
            (Service::SageMaker, "DeleteAssociation") => inner.delete_association(&body),
            (Service::SageMaker, "ListAssociations") => inner.list_associations(&body),
            (Service::SageMaker, "QueryLineage") => inner.query_lineage(&body),
            (Service::SageMaker, "CreateExperiment") => inner.create_experiment(&caller, &body),
            (Service::SageMaker, "DescribeExperiment") => inner.describe_experiment(&body),
            (Service::SageMaker, "ListExperiments") => inner.list_experiments(&body),
            (Service::SageMaker, "CreateTrial") => inner.create_trial(&caller, &body),
            (Service::SageMaker, "DescribeTrial") => inner.describe_trial(&body),
            (Service::SageMaker, "ListTrials") => inner.list_trials(&body),
            (Service::SageMaker, "CreateTrialComponent") => inner.create_trial_component(&caller, &body),
            (Service::SageMaker, "UpdateTrialComponent") => inner.update_trial_component(&caller, &body),
            (Service::SageMaker, "DescribeTrialComponent") => inner.describe_trial_component(&body),
            (Service::SageMaker, "ListTrialComponents") => inner.list_trial_components(&body),
            (Service::SageMaker, "AssociateTrialComponent") => inner.associate_trial_component(&body),
            (Service::SageMaker, "DisassociateTrialComponent") => inner.disassociate_trial_component(&body),
            (Service::SageMakerMetrics, "BatchPutMetrics") => inner.batch_put_metrics(&body),
            (Service::SageMaker, "CreateModel") => inner.create_model(&body).await,
            (Service::SageMaker, "DescribeModel") => inner.describe_model(&body),
            (Service::SageMaker, "DeleteModel") => inner.delete_model(&body),
            (Service::SageMaker, "ListModels") => inner.list_models(&body),
            (Service::SageMaker, "CreateEndpointConfig") => inner.create_endpoint_config(&body),
            (Service::SageMaker, "DescribeEndpointConfig") => inner.describe_endpoint_config(&body),
            (Service::SageMaker, "DeleteEndpointConfig") => inner.delete_endpoint_config(&body),
            (Service::SageMaker, "ListEndpointConfigs") => inner.list_endpoint_configs(&body),
            (Service::SageMaker, "CreateEndpoint") => inner.create_endpoint(&body),
            (Service::SageMaker, "UpdateEndpoint") => inner.update_endpoint(&body),
            (Service::SageMaker, "UpdateEndpointWeightsAndCapacities") => {
                inner.update_endpoint_weights_and_capacities(&body)
            }
            (Service::SageMaker, "DescribeEndpoint") => inner.describe_endpoint(&body),
            (Service::SageMaker, "DeleteEndpoint") => inner.delete_endpoint(&body),
            (Service::SageMaker, "ListEndpoints") => inner.list_endpoints(&body),
            (Service::SageMaker, "AddTags") => inner.add_tags(&body),
            (Service::SageMaker, "DeleteTags") => inner.delete_tags(&body),
            (Service::SageMaker, "ListTags") => inner.list_tags(&body),
            (Service::Ecr, "StartImageScan") => inner.start_image_scan(&body).await,
            (Service::Ecr, "DescribeImageScanFindings") => inner.describe_image_scan_findings(&body).await,
            (Service::Ecr, "GetRegistryScanningConfiguration") => Ok(inner.registry_scanning_configuration()),
            (Service::Ecr, "PutRegistryScanningConfiguration") => {
                inner.put_registry_scanning_configuration(&body)
            }
            (Service::Ecr, "BatchGetRepositoryScanningConfiguration") => {
                inner.repository_scanning_configuration(&body).await
            }
            (Service::AutoScaling, "RegisterScalableTarget") => inner.register_scalable_target(&body),
            (Service::AutoScaling, "DescribeScalableTargets") => inner.describe_scalable_targets(&body),
            (Service::AutoScaling, "DeregisterScalableTarget") => inner.deregister_scalable_target(&body),
            (Service::AutoScaling, "PutScalingPolicy") => inner.put_scaling_policy(&body),
            (Service::AutoScaling, "DescribeScalingPolicies") => inner.describe_scaling_policies(&body),
            (Service::AutoScaling, "DeleteScalingPolicy") => inner.delete_scaling_policy(&body),
            (Service::AutoScaling, "ListTagsForResource") => inner.scaling_tags(&body),
            (_, unknown) => Err(AwsError::client(
                "UnknownOperationException",
                format!("The local account does not have {service:?}'s {unknown}."),
            )),
        }
    }

    /// What a test asks of the account itself: `SetFault` and `ClearFault` of `{"Fault": NAME}`, and `AgeScans`, after which
    /// every scan is a day older.
    pub fn control(&self, action: &str, body: &[u8]) -> Result<(), AwsError> {
        let fault = || -> Result<Fault, AwsError> {
            let asked: Value = serde_json::from_slice(body).unwrap_or_default();
            serde_json::from_value(asked["Fault"].clone())
                .map_err(|error| AwsError::client("ValidationException", format!("Fault: {error}")))
        };
        match action {
            "SetFault" => self.0.config.faults.set(fault()?),
            "ClearFault" => self.0.config.faults.clear(fault()?),
            "AgeScans" => self.0.state().scans.age(),
            unknown => {
                return Err(AwsError::client(
                    "UnknownOperationException",
                    format!("The account knows SetFault, ClearFault and AgeScans, and not {unknown}."),
                ));
            }
        }
        Ok(())
    }

    /// SageMaker Runtime's `InvokeEndpoint`.
    pub async fn invoke_endpoint(&self, name: &str, headers: HeaderMap, body: Bytes) -> Response {
        self.0.invoke_endpoint(name, &headers, body).await
    }

    /// Kills every process that was started and starts none from now on. Captured traffic is written first.
    pub async fn shutdown(&self) {
        self.0.captures.flush().await;
        self.0.spawner.shutdown().await;
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arn(&self, resource: &str) -> String {
        format!("arn:aws:sagemaker:{}:{}:{resource}", self.config.region, self.config.account_id)
    }
}

/// Seconds since the epoch, to the millisecond, as AWS's JSON has times.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |age| age.as_millis() as f64 / 1000.0)
}

/// Who did something, as the registry records it.
fn user_context(caller: &Caller) -> Value {
    json!({"IamIdentity": {"Arn": caller.arn, "PrincipalId": caller.principal_id}})
}

/// Sets a member.
fn set(object: &mut Object, member: &str, value: impl Into<Value>) {
    object.insert(member.to_owned(), value.into());
}

/// Some of a record's members, those that are there.
fn some(record: &Object, members: &[&str]) -> Object {
    members.iter().filter_map(|name| Some(((*name).to_owned(), record.get(*name)?.clone()))).collect()
}

/// The name at the end of an ARN, or the name itself.
fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}
