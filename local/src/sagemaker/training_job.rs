//! Training jobs: the container's program really trains, in folders laid out as SageMaker lays them out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::backend::Location;
use super::checkpoints::Checkpoints;
use super::container::{self, Finish, strings};
use super::events::{Event, milliseconds};
use super::images::{Image, PROGRAM};
use super::instance_types::{Use, has_local_nvme};
use super::listing::{Listing, page};
use super::staging::{StagingError, download_prefix, upload_archive, upload_folder};
use super::validation::{Member, Object, Shape, check, flag, may, must, required, shapes, text, validation};
use super::{GRACE, Inner, Job, PHASE, now, set, some};
use crate::jobs::process::{Launch, Process};
use crate::jobs::tree::Tree;
use crate::service::{AwsError, Fault};

const CREATE: &[Member] = &[
    must("TrainingJobName", &shapes::NAME),
    must("RoleArn", &shapes::ROLE_ARN),
    may(
        "HyperParameters",
        &Shape::Table {
            max: 100,
            key: &Shape::Text { min: 0, max: 256, pattern: None },
            value: &Shape::Text { min: 0, max: 2500, pattern: None },
        },
    ),
    must(
        "AlgorithmSpecification",
        &Shape::Structure(&[
            may("TrainingImage", &Shape::Text { min: 0, max: 255, pattern: None }),
            may("AlgorithmName", &shapes::NAME_OR_ARN),
            must("TrainingInputMode", &INPUT_MODE),
            may("ContainerEntrypoint", &shapes::ARGUMENTS),
            may("ContainerArguments", &shapes::ARGUMENTS),
        ]),
    ),
    may(
        "InputDataConfig",
        &Shape::List {
            min: 1,
            max: 20,
            of: &Shape::Structure(&[
                must("ChannelName", &Shape::Text { min: 1, max: 64, pattern: Some("[A-Za-z0-9\\.\\-_]+") }),
                must(
                    "DataSource",
                    &Shape::Structure(&[
                        may(
                            "S3DataSource",
                            &Shape::Structure(&[
                                must(
                                    "S3DataType",
                                    &Shape::OneOf(&[
                                        "ManifestFile",
                                        "S3Prefix",
                                        "AugmentedManifestFile",
                                        "Converse",
                                    ]),
                                ),
                                must("S3Uri", &shapes::S3_URI),
                                may(
                                    "S3DataDistributionType",
                                    &Shape::OneOf(&["FullyReplicated", "ShardedByS3Key"]),
                                ),
                            ]),
                        ),
                        may("FileSystemDataSource", &Shape::Free),
                    ]),
                ),
                may("ContentType", &Shape::Text { min: 0, max: 256, pattern: None }),
                may("CompressionType", &Shape::OneOf(&["None", "Gzip"])),
                may("RecordWrapperType", &Shape::OneOf(&["None", "RecordIO"])),
                may("InputMode", &INPUT_MODE),
            ]),
        },
    ),
    must(
        "OutputDataConfig",
        &Shape::Structure(&[
            may("KmsKeyId", &shapes::KMS_KEY),
            must("S3OutputPath", &shapes::S3_URI),
            may("CompressionType", &Shape::OneOf(&["GZIP", "NONE"])),
        ]),
    ),
    must(
        "ResourceConfig",
        &Shape::Structure(&[
            may("InstanceType", &Shape::InstanceType(Use::Training)),
            may("InstanceCount", &Shape::Integer { min: 0, max: 1000 }),
            may("VolumeSizeInGB", &Shape::Integer { min: 0, max: 16_384 }),
            may("VolumeKmsKeyId", &shapes::KMS_KEY),
            may("KeepAlivePeriodInSeconds", &Shape::Integer { min: 0, max: 21_600 }),
        ]),
    ),
    may("VpcConfig", &shapes::VPC_CONFIG),
    may(
        "StoppingCondition",
        &Shape::Structure(&[
            may("MaxRuntimeInSeconds", &Shape::Integer { min: 1, max: LONGEST }),
            may("MaxWaitTimeInSeconds", &Shape::Integer { min: 1, max: i64::MAX }),
            may("MaxPendingTimeInSeconds", &Shape::Integer { min: 7200, max: 2_419_200 }),
        ]),
    ),
    may("Tags", &shapes::TAGS),
    may("EnableNetworkIsolation", &Shape::Flag),
    may("EnableInterContainerTrafficEncryption", &Shape::Flag),
    may("EnableManagedSpotTraining", &Shape::Flag),
    may(
        "CheckpointConfig",
        &Shape::Structure(&[must("S3Uri", &shapes::S3_URI), may("LocalPath", &shapes::ANY_TEXT)]),
    ),
    may("Environment", &shapes::ENVIRONMENT),
    may(
        "RetryStrategy",
        &Shape::Structure(&[must("MaximumRetryAttempts", &Shape::Integer { min: 1, max: 30 })]),
    ),
];
const INPUT_MODE: Shape = Shape::OneOf(&["Pipe", "File", "FastFile"]);
/// 28 days.
const LONGEST: i64 = 2_419_200;
const DEFAULT_RUNTIME: i64 = 86_400;

const NAMED: &[Member] = &[must("TrainingJobName", &shapes::NAME)];
const LIST: &[Member] = &[
    may("NextToken", &shapes::ANY_TEXT),
    may("MaxResults", &shapes::MAX_RESULTS),
    may("NameContains", &shapes::NAME_CONTAINS),
    may(
        "StatusEquals",
        &Shape::OneOf(&["InProgress", "Completed", "Failed", "Stopping", "Stopped", "Deleting"]),
    ),
    may("SortBy", &Shape::OneOf(&["Name", "CreationTime", "Status"])),
    may("SortOrder", &shapes::SORT_ORDER),
];
const LISTING: Listing = Listing {
    items: "TrainingJobSummaries",
    name: "TrainingJobName",
    status: Some("TrainingJobStatus"),
    newest_first: false,
};

/// How a job ends.
#[derive(Debug)]
enum End {
    Completed,
    Stopped,
    MaxRuntimeExceeded,
    MaxWaitTimeExceeded,
    Failed(String),
}

/// What a job needs once it was accepted.
#[derive(Debug)]
struct Plan {
    name: String,
    request: Object,
    image: Image,
    stop: watch::Receiver<bool>,
    /// When a spot job's time, waiting included, is over.
    until: Option<Instant>,
    /// How long it ran, which is what `MaxRuntimeInSeconds` bounds.
    ran: Duration,
    /// How long it waited for capacity after an interruption, which is not billed.
    waited: Duration,
    /// An instance was taken from it.
    was_interrupted: bool,
}

/// How a job fared on one instance.
#[derive(Debug)]
enum Attempt {
    /// It came to its end there.
    Ended(End),
    /// The instance was taken from it.
    Interrupted,
}

impl From<End> for Attempt {
    fn from(end: End) -> Self {
        Self::Ended(end)
    }
}

impl Inner {
    pub(super) async fn create_training_job(self: &Arc<Self>, body: &Value) -> Result<Value, AwsError> {
        let mut request = check(CREATE, body)?;
        let name = required(&request, "TrainingJobName").to_owned();
        let arn = self.arn(&format!("training-job/{name}"));
        let in_use = || {
            AwsError::client(
                "ResourceInUse",
                format!(
                    "Training job names must be unique within an AWS account and region, and a training job with this name \
                     already exists ({arn})"
                ),
            )
        };
        if self.state().training_jobs.contains_key(&name) {
            return Err(in_use());
        }
        refuse_what_contradicts(&request)?;
        let image = self
            .image(request["AlgorithmSpecification"]["TrainingImage"].as_str().unwrap_or_default())
            .await?;

        if !request.contains_key("StoppingCondition") {
            set(&mut request, "StoppingCondition", json!({}));
        }
        if request["StoppingCondition"].get("MaxRuntimeInSeconds").is_none() {
            request["StoppingCondition"]["MaxRuntimeInSeconds"] = json!(DEFAULT_RUNTIME);
        }
        let created = now();
        let mut record = request.clone();
        record.remove("Tags");
        set(&mut record, "TrainingJobArn", arn.as_str());
        set(&mut record, "TrainingJobStatus", "InProgress");
        set(&mut record, "SecondaryStatus", "Starting");
        set(&mut record, "CreationTime", created);
        set(&mut record, "LastModifiedTime", created);
        for switch in
            ["EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining"]
        {
            let on = flag(&record, switch);
            set(&mut record, switch, on);
        }
        set(
            &mut record,
            "SecondaryStatusTransitions",
            json!([{"Status": "Starting", "StartTime": created, "StatusMessage": "Starting the training job"}]),
        );
        let (stop, stopped) = watch::channel(false);
        {
            let mut state = self.state();
            if state.training_jobs.contains_key(&name) {
                return Err(in_use());
            }
            state.tag_new(&arn, &request);
            state.training_jobs.insert(name.clone(), Job { record, stop });
        }
        self.announce_training_job(&name);
        let until = request["StoppingCondition"]["MaxWaitTimeInSeconds"]
            .as_u64()
            .map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let (ran, waited) = (Duration::ZERO, Duration::ZERO);
        let plan = Plan { name, request, image, stop: stopped, until, ran, waited, was_interrupted: false };
        let inner = Arc::clone(self);
        tokio::spawn(async move { inner.run_training_job(plan).await });
        Ok(json!({"TrainingJobArn": arn}))
    }

    pub(super) fn describe_training_job(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(NAMED, body)?;
        let state = self.state();
        let job = state.training_jobs.get(required(&request, "TrainingJobName")).ok_or_else(not_found)?;
        Ok(Value::Object(job.record.clone()))
    }

    pub(super) fn stop_training_job(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(NAMED, body)?;
        let name = required(&request, "TrainingJobName");
        {
            let mut state = self.state();
            let job = state.training_jobs.get_mut(name).ok_or_else(not_found)?;
            match text(&job.record, "TrainingJobStatus") {
                Some("InProgress") => {}
                Some("Stopping") => return Ok(json!({})),
                status => {
                    return Err(validation(format!(
                        "The request was rejected because the training job is in status {}.",
                        status.unwrap_or_default()
                    )));
                }
            }
            advance(&mut job.record, Some("Stopping"), "Stopping", "Stopping the training job");
        }
        self.announce_training_job(name);
        if let Some(job) = self.state().training_jobs.get(name) {
            job.stop.send_replace(true);
        }
        Ok(json!({}))
    }

    pub(super) fn list_training_jobs(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(LIST, body)?;
        let members = [
            "TrainingJobName",
            "TrainingJobArn",
            "CreationTime",
            "TrainingEndTime",
            "LastModifiedTime",
            "TrainingJobStatus",
            "SecondaryStatus",
        ];
        let summaries = self.state().training_jobs.values().map(|job| some(&job.record, &members)).collect();
        page(&request, summaries, &LISTING)
    }

    async fn run_training_job(&self, mut plan: Plan) {
        let end = self.train(&mut plan).await;
        {
            let mut state = self.state();
            let Some(job) = state.training_jobs.get_mut(&plan.name) else { return };
            let record = &mut job.record;
            // A stop that came while the results were going up still makes it a stopped job.
            let stopping = text(record, "TrainingJobStatus") == Some("Stopping");
            let (status, secondary, message) = match &end {
                End::Failed(_) => ("Failed", "Failed", "Training job failed"),
                End::MaxRuntimeExceeded => {
                    ("Stopped", "MaxRuntimeExceeded", "Training job runtime exceeded MaxRuntimeInSeconds")
                }
                End::MaxWaitTimeExceeded => (
                    "Stopped",
                    "MaxWaitTimeExceeded",
                    "Training job exceeded MaxWaitTimeInSeconds, waiting for spot capacity included",
                ),
                End::Stopped => ("Stopped", "Stopped", "Training job stopped"),
                End::Completed if stopping => ("Stopped", "Stopped", "Training job stopped"),
                End::Completed => ("Completed", "Completed", "Training job completed"),
            };
            let ended = now();
            if let Some(started) = record.get("TrainingStartTime").and_then(Value::as_f64) {
                let seconds = (ended - started).ceil().max(1.0) as i64;
                set(record, "TrainingTimeInSeconds", seconds);
                // Waiting for capacity is not billed.
                let billable = (ended - started - plan.waited.as_secs_f64()).ceil().max(1.0) as i64;
                set(record, "BillableTimeInSeconds", billable);
            }
            set(record, "TrainingEndTime", ended);
            if let End::Failed(reason) = end {
                set(record, "FailureReason", reason.chars().take(1024).collect::<String>());
            }
            advance(record, Some(status), secondary, message);
        }
        self.announce_training_job(&plan.name);
    }

    fn move_on(&self, plan: &Plan, secondary: &str, message: &str) {
        {
            let mut state = self.state();
            let Some(job) = state.training_jobs.get_mut(&plan.name) else { return };
            if text(&job.record, "TrainingJobStatus") != Some("InProgress") {
                return;
            }
            if secondary == "Training" && !job.record.contains_key("TrainingStartTime") {
                set(&mut job.record, "TrainingStartTime", now());
            }
            advance(&mut job.record, None, secondary, message);
        }
        self.announce_training_job(&plan.name);
    }

    /// Runs the job on one instance after another, until it ends or its time is over.
    async fn train(&self, plan: &mut Plan) -> End {
        loop {
            match self.attempt(plan).await {
                Attempt::Ended(end) => return end,
                Attempt::Interrupted => {}
            }
            let taken = Instant::now();
            self.move_on(plan, "Interrupted", "The spot capacity was taken; waiting for capacity");
            let mut stop = plan.stop.clone();
            let back = async {
                tokio::time::sleep(PHASE).await;
                while self.config.faults.has(Fault::SpotNeverReturns) {
                    tokio::time::sleep(PHASE).await;
                }
            };
            let end = tokio::select! {
                () = back => None,
                () = container::asked(&mut stop) => Some(End::Stopped),
                () = over(plan.until) => Some(End::MaxWaitTimeExceeded),
            };
            plan.waited += taken.elapsed();
            if let Some(end) = end {
                return end;
            }
            self.move_on(plan, "Starting", "Starting the training job");
        }
    }

    /// Runs the job on one instance, whose disk holds nothing but what is brought there.
    async fn attempt(&self, plan: &mut Plan) -> Attempt {
        let mut stop = plan.stop.clone();
        let folder = self.config.state_dir.join("jobs").join(&plan.name);
        let tree = match lay_out(&folder, plan) {
            Ok(tree) => tree,
            Err(error) => {
                return End::Failed(format!("InternalServerError: the job's folders: {error}")).into();
            }
        };
        let mut checkpoints = match Checkpoints::of(&plan.request, &tree, &self.backend) {
            Ok(checkpoints) => checkpoints,
            Err(error) => return End::Failed(format!("ClientError: CheckpointConfig: {error}")).into(),
        };
        let prepared = async {
            tokio::time::sleep(PHASE).await;
            self.move_on(plan, "Downloading", "Downloading input data");
            if let Some(checkpoints) = &mut checkpoints {
                checkpoints.restore().await?;
            }
            self.download_channels(plan, &tree).await
        };
        tokio::select! {
            result = prepared => if let Err(error) = result {
                return End::Failed(format!("ClientError: Data download failed: {error}")).into();
            },
            () = container::asked(&mut stop) => return End::Stopped.into(),
        }

        self.move_on(plan, "Training", "Training image download completed. Training in progress.");
        let algorithm = &plan.request["AlgorithmSpecification"];
        let entrypoint = strings(algorithm.get("ContainerEntrypoint"));
        if let Some(program) = entrypoint.first().filter(|program| *program != PROGRAM) {
            return End::Failed(format!(
                "AlgorithmError: CannotStartContainerError. {program} is not in the image, whose program is {PROGRAM}"
            )).into();
        }
        let mut args: Vec<String> = entrypoint.into_iter().skip(1).collect();
        args.extend(strings(algorithm.get("ContainerArguments")));
        if args.is_empty() {
            args.push("train".into());
        }
        let log = match self.log(
            &folder,
            "/aws/sagemaker/TrainingJobs",
            format!("{}/algo-1-{}", plan.name, milliseconds(now())),
        ) {
            Ok(log) => log,
            Err(error) => return End::Failed(format!("InternalServerError: the job's log: {error}")).into(),
        };
        let mut env =
            self.environment(tree.root(), plan.request.get("Environment").and_then(Value::as_object));
        env.insert("TRAINING_JOB_NAME".into(), plan.name.clone());
        env.insert("TRAINING_JOB_ARN".into(), self.arn(&format!("training-job/{}", plan.name)));
        let launch = Launch {
            program: plan.image.program.clone(),
            args,
            env,
            directory: tree.root().to_owned(),
            isolated: flag(&plan.request, "EnableNetworkIsolation"),
            log,
        };
        let process = match self.spawner.spawn(&launch).await {
            Ok(process) => process,
            Err(error) => {
                return End::Failed(format!("AlgorithmError: CannotStartContainerError. {error}")).into();
            }
        };
        let finish = self.watch(plan, &process, &mut stop, &mut checkpoints).await;
        if let Some(checkpoints) = &mut checkpoints
            && let Err(error) = checkpoints.copy().await
        {
            tracing::warn!(%error, job = plan.name, "the last checkpoint was not copied");
        }
        let Some(finish) = finish else { return Attempt::Interrupted };
        if let Finish::Exited(exit) = finish
            && exit.code() != 0
        {
            let message = tree.message("output/failure").unwrap_or_default();
            return End::Failed(format!("AlgorithmError: {message}, exit code: {}", exit.code())).into();
        }

        // A stopped job keeps what its algorithm saved, as in AWS.
        self.move_on(plan, "Uploading", "Uploading generated training model");
        if let Err(error) = self.upload_results(plan, &tree).await {
            return End::Failed(format!("ClientError: Artifact upload failed: {error}")).into();
        }
        let end = match finish {
            Finish::Exited(_) => End::Completed,
            Finish::Stopped => End::Stopped,
            Finish::OutOfTime if plan.until.is_some_and(|until| until <= Instant::now()) => {
                End::MaxWaitTimeExceeded
            }
            Finish::OutOfTime => End::MaxRuntimeExceeded,
        };
        end.into()
    }

    /// Waits for the container's end, while its checkpoints are copied; `None` when the instance is taken from it,
    /// which it is told, as of any other end, by SIGTERM.
    async fn watch(
        &self,
        plan: &mut Plan,
        process: &Process,
        stop: &mut watch::Receiver<bool>,
        checkpoints: &mut Option<Checkpoints>,
    ) -> Option<Finish> {
        let runtime = plan.request["StoppingCondition"]["MaxRuntimeInSeconds"].as_u64();
        let runtime = Duration::from_secs(runtime.unwrap_or(DEFAULT_RUNTIME as u64)).saturating_sub(plan.ran);
        let wait = plan.until.map(|until| until.saturating_duration_since(Instant::now()));
        let most = wait.map_or(runtime, |wait| wait.min(runtime));
        let faults = &self.config.faults;
        let is_taken = flag(&plan.request, "EnableManagedSpotTraining")
            && !plan.was_interrupted
            && (faults.has(Fault::SpotInterrupted) || faults.has(Fault::SpotNeverReturns));
        let begun = Instant::now();
        let beside = async {
            match checkpoints {
                Some(checkpoints) => {
                    checkpoints.first().await;
                    if !is_taken {
                        checkpoints.keep_copying().await;
                    }
                }
                None if is_taken => tokio::time::sleep(PHASE * 10).await,
                None => std::future::pending().await,
            }
        };
        let finish = tokio::select! {
            finish = container::watch(process, stop, most) => Some(finish),
            () = beside => None,
        };
        if finish.is_none() {
            plan.was_interrupted = true;
            process.stop(GRACE).await;
        }
        plan.ran += begun.elapsed();
        finish
    }

    async fn download_channels(&self, plan: &Plan, tree: &Tree) -> Result<(), StagingError> {
        for channel in channels(&plan.request) {
            let folder =
                tree.root().join("input/data").join(channel["ChannelName"].as_str().unwrap_or_default());
            let uri = channel["DataSource"]["S3DataSource"]["S3Uri"].as_str().unwrap_or_default();
            download_prefix(&self.backend, uri, &folder).await?;
        }
        Ok(())
    }

    async fn upload_results(&self, plan: &Plan, tree: &Tree) -> Result<(), StagingError> {
        let output = &plan.request["OutputDataConfig"];
        let kms = output["KmsKeyId"].as_str();
        let below = Location::parse(output["S3OutputPath"].as_str().unwrap_or_default())?
            .below(&format!("{}/output", plan.name));
        let (model, data) = (tree.root().join("model"), tree.root().join("output/data"));
        let artifacts = if output["CompressionType"] == "NONE" {
            upload_folder(&self.backend, &model, &below.below("model"), kms).await?;
            upload_folder(&self.backend, &data, &below.below("data"), kms).await?;
            format!("{}/", below.below("model").uri())
        } else {
            let archive = below.below("model.tar.gz");
            upload_archive(&self.backend, &model, &archive, kms).await?;
            upload_archive(&self.backend, &data, &below.below("output.tar.gz"), kms).await?;
            archive.uri()
        };
        if let Some(job) = self.state().training_jobs.get_mut(&plan.name) {
            set(&mut job.record, "ModelArtifacts", json!({"S3ModelArtifacts": artifacts}));
        }
        Ok(())
    }

    fn announce_training_job(&self, name: &str) {
        let (arn, detail) = {
            let state = self.state();
            let Some(job) = state.training_jobs.get(name) else { return };
            let arn = required(&job.record, "TrainingJobArn").to_owned();
            let mut detail = some(
                &job.record,
                &[
                    "TrainingJobName",
                    "TrainingJobArn",
                    "TrainingJobStatus",
                    "SecondaryStatus",
                    "FailureReason",
                    "HyperParameters",
                    "AlgorithmSpecification",
                    "RoleArn",
                    "InputDataConfig",
                    "OutputDataConfig",
                    "ResourceConfig",
                    "VpcConfig",
                    "StoppingCondition",
                    "CheckpointConfig",
                    "ModelArtifacts",
                    "EnableNetworkIsolation",
                    "EnableInterContainerTrafficEncryption",
                    "EnableManagedSpotTraining",
                ],
            );
            for time in ["CreationTime", "TrainingStartTime", "TrainingEndTime", "LastModifiedTime"] {
                if let Some(at) = job.record.get(time).and_then(Value::as_f64) {
                    set(&mut detail, time, milliseconds(at));
                }
            }
            let transitions = job.record.get("SecondaryStatusTransitions").and_then(Value::as_array).cloned();
            let transitions: Vec<Value> =
                transitions.unwrap_or_default().into_iter().map(in_milliseconds).collect();
            set(&mut detail, "SecondaryStatusTransitions", transitions);
            set(&mut detail, "Tags", state.tags_of(&arn));
            (arn, detail)
        };
        self.events.send(Event {
            source: "aws.sagemaker",
            detail_type: "SageMaker Training Job State Change",
            resource: arn,
            detail: Value::Object(detail),
        });
    }
}

/// Waits until then; for ever where there is no such time.
async fn over(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn not_found() -> AwsError {
    validation("Requested resource not found.")
}

fn channels(request: &Object) -> &[Value] {
    request.get("InputDataConfig").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// What each member allows and the request as a whole does not.
fn refuse_what_contradicts(request: &Object) -> Result<(), AwsError> {
    let algorithm = &request["AlgorithmSpecification"];
    match (algorithm["TrainingImage"].as_str(), algorithm["AlgorithmName"].as_str()) {
        (Some(_), None) => {}
        (None, Some(name)) => {
            return Err(validation(format!(
                "The local account has no algorithm {name}: name a TrainingImage."
            )));
        }
        _ => {
            return Err(validation(
                "Only one of TrainingImage or AlgorithmName must be present in AlgorithmSpecification.",
            ));
        }
    }
    let resources = &request["ResourceConfig"];
    let Some(instance) = resources["InstanceType"].as_str() else {
        return Err(validation(
            "ResourceConfig.InstanceType must be present: the local account has no instance groups.",
        ));
    };
    if resources["InstanceCount"].as_i64().unwrap_or(0) < 1 {
        return Err(validation("ResourceConfig.InstanceCount must be at least 1."));
    }
    if resources["VolumeSizeInGB"].as_i64().unwrap_or(0) < 1 {
        return Err(validation("ResourceConfig.VolumeSizeInGB must be at least 1."));
    }
    if has_local_nvme(instance) && resources["VolumeKmsKeyId"].as_str().is_some_and(|key| !key.is_empty()) {
        return Err(validation(format!(
            "VolumeKmsKeyId is not supported for instance type {instance}: its local NVMe storage is encrypted by the \
             hardware. Leave VolumeKmsKeyId out."
        )));
    }
    let stopping = request.get("StoppingCondition").cloned().unwrap_or_else(|| json!({}));
    let runtime = stopping["MaxRuntimeInSeconds"].as_i64().unwrap_or(DEFAULT_RUNTIME);
    match (flag(request, "EnableManagedSpotTraining"), stopping["MaxWaitTimeInSeconds"].as_i64()) {
        (true, Some(wait)) if wait >= runtime => {}
        (true, _) => {
            return Err(validation(
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds",
            ));
        }
        (false, Some(_)) => {
            return Err(validation(
                "MaxWaitTimeInSeconds above 0 is supported only if EnableManagedSpotTraining is set to true",
            ));
        }
        (false, None) => {}
    }
    let mut names = std::collections::BTreeSet::new();
    for channel in channels(request) {
        let name = channel["ChannelName"].as_str().unwrap_or_default();
        if !names.insert(name) {
            return Err(validation(format!(
                "Channel name {name} is used more than once in InputDataConfig."
            )));
        }
        let Some(source) = channel["DataSource"].get("S3DataSource") else {
            return Err(validation(format!(
                "Channel {name} needs an S3DataSource: the local account has no file systems."
            )));
        };
        if source["S3DataType"] != "S3Prefix" {
            return Err(validation(format!(
                "Channel {name}: the local account reads S3DataType S3Prefix, not {}.",
                source["S3DataType"]
            )));
        }
        let mode = channel["InputMode"].as_str().or(algorithm["TrainingInputMode"].as_str());
        if mode == Some("Pipe") {
            return Err(validation(format!(
                "Channel {name}: the local account has the input modes File and FastFile."
            )));
        }
        Location::parse(source["S3Uri"].as_str().unwrap_or_default())
            .map_err(|error| validation(error.to_string()))?;
    }
    if let Some(config) = request.get("CheckpointConfig") {
        Location::parse(config["S3Uri"].as_str().unwrap_or_default())
            .map_err(|error| validation(error.to_string()))?;
    }
    Location::parse(request["OutputDataConfig"]["S3OutputPath"].as_str().unwrap_or_default())
        .map_err(|error| validation(error.to_string()))?;
    Ok(())
}

fn lay_out(folder: &std::path::Path, plan: &Plan) -> std::io::Result<Tree> {
    let root: PathBuf = folder.join("ml");
    if root.exists() {
        std::fs::remove_dir_all(&root)?;
    }
    let tree = Tree::create(root)?;
    let parameters = plan.request.get("HyperParameters").cloned().unwrap_or_else(|| json!({}));
    tree.write_json("input/config/hyperparameters.json", &parameters)?;
    let mode = &plan.request["AlgorithmSpecification"]["TrainingInputMode"];
    let channels: Map<String, Value> = channels(&plan.request)
        .iter()
        .map(|channel| {
            let source = &channel["DataSource"]["S3DataSource"];
            let described = json!({
                "TrainingInputMode": channel.get("InputMode").unwrap_or(mode),
                "ContentType": channel.get("ContentType"),
                "S3DistributionType": source.get("S3DataDistributionType").cloned().unwrap_or_else(|| json!("FullyReplicated")),
                "RecordWrapperType": channel.get("RecordWrapperType").cloned().unwrap_or_else(|| json!("None")),
            });
            (channel["ChannelName"].as_str().unwrap_or_default().to_owned(), described)
        })
        .collect();
    tree.write_json("input/config/inputdataconfig.json", &Value::Object(channels))?;
    tree.write_json(
        "input/config/resourceconfig.json",
        &json!({
            "current_host": "algo-1",
            "current_instance_type": plan.request["ResourceConfig"]["InstanceType"],
            "current_group_name": "homogeneousCluster",
            "hosts": ["algo-1"],
            "instance_groups": [{
                "instance_group_name": "homogeneousCluster",
                "instance_type": plan.request["ResourceConfig"]["InstanceType"],
                "hosts": ["algo-1"],
            }],
            "network_interface_name": "eth0",
        }),
    )?;
    Ok(tree)
}

/// Moves a job to its next status and closes the one before.
fn advance(record: &mut Object, status: Option<&str>, secondary: &str, message: &str) {
    let at = now();
    if let Some(status) = status {
        set(record, "TrainingJobStatus", status);
    }
    set(record, "SecondaryStatus", secondary);
    set(record, "LastModifiedTime", at);
    if let Some(Value::Array(transitions)) = record.get_mut("SecondaryStatusTransitions") {
        if let Some(last) = transitions.last_mut() {
            last["EndTime"] = json!(at);
        }
        let mut next = json!({"Status": secondary, "StartTime": at, "StatusMessage": message});
        if matches!(
            secondary,
            "Completed" | "Failed" | "Stopped" | "MaxRuntimeExceeded" | "MaxWaitTimeExceeded"
        ) {
            next["EndTime"] = json!(at);
        }
        transitions.push(next);
    }
}

fn in_milliseconds(mut transition: Value) -> Value {
    for time in ["StartTime", "EndTime"] {
        if let Some(at) = transition[time].as_f64() {
            transition[time] = json!(milliseconds(at));
        }
    }
    transition
}
