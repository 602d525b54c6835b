//! Processing jobs: any argument of the container's program, with inputs and outputs of the request's choosing.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::backend::Location;
use super::container::{self, Finish, strings};
use super::events::{Event, milliseconds};
use super::images::{Image, PROGRAM};
use super::instance_types::{Use, has_local_nvme};
use super::listing::{Listing, page};
use super::staging::{StagingError, download_prefix, upload_folder};
use super::validation::{Member, Object, Shape, check, may, must, required, shapes, text, validation};
use super::{Inner, Job, PHASE, now, set, some};
use crate::jobs::process::Launch;
use crate::jobs::tree::Tree;
use crate::service::AwsError;

const CREATE: &[Member] = &[
    may(
        "ProcessingInputs",
        &Shape::List {
            min: 0,
            max: 10,
            of: &Shape::Structure(&[
                must("InputName", &shapes::ANY_TEXT),
                may("AppManaged", &Shape::Flag),
                may(
                    "S3Input",
                    &Shape::Structure(&[
                        must("S3Uri", &shapes::S3_URI),
                        may("LocalPath", &LOCAL_PATH),
                        must("S3DataType", &Shape::OneOf(&["ManifestFile", "S3Prefix"])),
                        may("S3InputMode", &Shape::OneOf(&["Pipe", "File"])),
                        may("S3DataDistributionType", &Shape::OneOf(&["FullyReplicated", "ShardedByS3Key"])),
                        may("S3CompressionType", &Shape::OneOf(&["None", "Gzip"])),
                    ]),
                ),
                may("DatasetDefinition", &Shape::Free),
            ]),
        },
    ),
    may(
        "ProcessingOutputConfig",
        &Shape::Structure(&[
            must(
                "Outputs",
                &Shape::List {
                    min: 0,
                    max: 10,
                    of: &Shape::Structure(&[
                        must("OutputName", &shapes::ANY_TEXT),
                        may("AppManaged", &Shape::Flag),
                        may(
                            "S3Output",
                            &Shape::Structure(&[
                                must("S3Uri", &shapes::S3_URI),
                                may("LocalPath", &LOCAL_PATH),
                                must("S3UploadMode", &Shape::OneOf(&["Continuous", "EndOfJob"])),
                            ]),
                        ),
                        may("FeatureStoreOutput", &Shape::Free),
                    ]),
                },
            ),
            may("KmsKeyId", &shapes::KMS_KEY),
        ]),
    ),
    must("ProcessingJobName", &shapes::NAME),
    must(
        "ProcessingResources",
        &Shape::Structure(&[must(
            "ClusterConfig",
            &Shape::Structure(&[
                must("InstanceCount", &Shape::Integer { min: 1, max: 100 }),
                must("InstanceType", &Shape::InstanceType(Use::Processing)),
                must("VolumeSizeInGB", &Shape::Integer { min: 1, max: 16_384 }),
                may("VolumeKmsKeyId", &shapes::KMS_KEY),
            ]),
        )]),
    ),
    may(
        "StoppingCondition",
        &Shape::Structure(&[must("MaxRuntimeInSeconds", &Shape::Integer { min: 1, max: 777_600 })]),
    ),
    must(
        "AppSpecification",
        &Shape::Structure(&[
            must("ImageUri", &Shape::Text { min: 0, max: 255, pattern: None }),
            may("ContainerEntrypoint", &shapes::ARGUMENTS),
            may("ContainerArguments", &shapes::ARGUMENTS),
        ]),
    ),
    may("Environment", &shapes::ENVIRONMENT),
    may(
        "NetworkConfig",
        &Shape::Structure(&[
            may("EnableInterContainerTrafficEncryption", &Shape::Flag),
            may("EnableNetworkIsolation", &Shape::Flag),
            may("VpcConfig", &shapes::VPC_CONFIG),
        ]),
    ),
    must("RoleArn", &shapes::ROLE_ARN),
    may("Tags", &shapes::TAGS),
];
const LOCAL_PATH: Shape = Shape::Text { min: 0, max: 256, pattern: None };
const NAMED: &[Member] = &[must("ProcessingJobName", &shapes::NAME)];
const LIST: &[Member] = &[
    may("NextToken", &shapes::ANY_TEXT),
    may("MaxResults", &shapes::MAX_RESULTS),
    may("NameContains", &shapes::ANY_TEXT),
    may("StatusEquals", &Shape::OneOf(&["InProgress", "Completed", "Failed", "Stopping", "Stopped"])),
    may("SortBy", &Shape::OneOf(&["Name", "CreationTime", "Status"])),
    may("SortOrder", &shapes::SORT_ORDER),
];
const LISTING: Listing = Listing {
    items: "ProcessingJobSummaries",
    name: "ProcessingJobName",
    status: Some("ProcessingJobStatus"),
    newest_first: false,
};
/// Inputs and outputs live here, and SageMaker refuses them elsewhere.
const PROCESSING: &str = "/opt/ml/processing";
const DEFAULT_RUNTIME: u64 = 86_400;

#[derive(Debug)]
enum End {
    Completed,
    Stopped,
    Failed(String),
}

#[derive(Debug)]
struct Plan {
    name: String,
    request: Object,
    image: Image,
    stop: watch::Receiver<bool>,
}

impl Inner {
    pub(super) async fn create_processing_job(self: &Arc<Self>, body: &Value) -> Result<Value, AwsError> {
        let request = check(CREATE, body)?;
        let name = required(&request, "ProcessingJobName").to_owned();
        let arn = self.arn(&format!("processing-job/{name}"));
        let in_use = || {
            AwsError::client(
                "ResourceInUse",
                format!(
                    "Job name must be unique within an AWS account and region, and a job with this name already exists \
                     ({arn})"
                ),
            )
        };
        if self.state().processing_jobs.contains_key(&name) {
            return Err(in_use());
        }
        refuse_what_contradicts(&request)?;
        let image = self.image(request["AppSpecification"]["ImageUri"].as_str().unwrap_or_default()).await?;
        let created = now();
        let mut record = request.clone();
        record.remove("Tags");
        set(&mut record, "ProcessingJobArn", arn.as_str());
        set(&mut record, "ProcessingJobStatus", "InProgress");
        set(&mut record, "CreationTime", created);
        set(&mut record, "LastModifiedTime", created);
        let (stop, stopped) = watch::channel(false);
        {
            let mut state = self.state();
            if state.processing_jobs.contains_key(&name) {
                return Err(in_use());
            }
            state.tag_new(&arn, &request);
            state.processing_jobs.insert(name.clone(), Job { record, stop });
        }
        self.announce_processing_job(&name);
        let plan = Plan { name, request, image, stop: stopped };
        let inner = Arc::clone(self);
        tokio::spawn(async move { inner.run_processing_job(plan).await });
        Ok(json!({"ProcessingJobArn": arn}))
    }

    pub(super) fn describe_processing_job(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(NAMED, body)?;
        let name = required(&request, "ProcessingJobName");
        let state = self.state();
        let job = state.processing_jobs.get(name).ok_or_else(|| not_found(name))?;
        Ok(Value::Object(job.record.clone()))
    }

    pub(super) fn stop_processing_job(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(NAMED, body)?;
        let name = required(&request, "ProcessingJobName");
        {
            let mut state = self.state();
            let job = state.processing_jobs.get_mut(name).ok_or_else(|| not_found(name))?;
            match text(&job.record, "ProcessingJobStatus") {
                Some("InProgress") => {}
                Some("Stopping") => return Ok(json!({})),
                status => {
                    return Err(validation(format!(
                        "The request was rejected because the processing job is in status {}.",
                        status.unwrap_or_default()
                    )));
                }
            }
            set(&mut job.record, "ProcessingJobStatus", "Stopping");
            set(&mut job.record, "LastModifiedTime", now());
        }
        self.announce_processing_job(name);
        if let Some(job) = self.state().processing_jobs.get(name) {
            job.stop.send_replace(true);
        }
        Ok(json!({}))
    }

    pub(super) fn list_processing_jobs(&self, body: &Value) -> Result<Value, AwsError> {
        let request = check(LIST, body)?;
        let members = [
            "ProcessingJobName",
            "ProcessingJobArn",
            "CreationTime",
            "ProcessingEndTime",
            "LastModifiedTime",
            "ProcessingJobStatus",
            "FailureReason",
            "ExitMessage",
        ];
        let summaries =
            self.state().processing_jobs.values().map(|job| some(&job.record, &members)).collect();
        page(&request, summaries, &LISTING)
    }

    async fn run_processing_job(&self, mut plan: Plan) {
        let end = self.process(&mut plan).await;
        {
            let mut state = self.state();
            let Some(job) = state.processing_jobs.get_mut(&plan.name) else { return };
            let record = &mut job.record;
            let stopping = text(record, "ProcessingJobStatus") == Some("Stopping");
            let status = match end {
                End::Failed(reason) => {
                    set(record, "FailureReason", reason.chars().take(1024).collect::<String>());
                    "Failed"
                }
                End::Completed if !stopping => "Completed",
                End::Completed | End::Stopped => "Stopped",
            };
            let ended = now();
            set(record, "ProcessingJobStatus", status);
            set(record, "ProcessingEndTime", ended);
            set(record, "LastModifiedTime", ended);
        }
        self.announce_processing_job(&plan.name);
    }

    async fn process(&self, plan: &mut Plan) -> End {
        let mut stop = plan.stop.clone();
        let folder = self.config.state_dir.join("jobs").join(&plan.name);
        let tree = match self.lay_out_processing(&folder, plan) {
            Ok(tree) => tree,
            Err(error) => return End::Failed(format!("InternalServerError: the job's folders: {error}")),
        };
        let prepared = async {
            tokio::time::sleep(PHASE).await;
            self.download_inputs(plan, &tree).await
        };
        tokio::select! {
            result = prepared => if let Err(error) = result {
                return End::Failed(format!("ClientError: Data download failed: {error}"));
            },
            () = container::asked(&mut stop) => return End::Stopped,
        }

        let application = &plan.request["AppSpecification"];
        let entrypoint = strings(application.get("ContainerEntrypoint"));
        if let Some(program) = entrypoint.first().filter(|program| *program != PROGRAM) {
            return End::Failed(format!(
                "AlgorithmError: CannotStartContainerError. {program} is not in the image, whose program is {PROGRAM}"
            ));
        }
        let mut args: Vec<String> = entrypoint.into_iter().skip(1).collect();
        args.extend(strings(application.get("ContainerArguments")));
        let stream = format!("{}/algo-1-{}", plan.name, milliseconds(now()));
        let log = match self.log(&folder, "/aws/sagemaker/ProcessingJobs", stream) {
            Ok(log) => log,
            Err(error) => return End::Failed(format!("InternalServerError: the job's log: {error}")),
        };
        let mut env =
            self.environment(tree.root(), plan.request.get("Environment").and_then(Value::as_object));
        env.insert("PROCESSING_JOB_NAME".into(), plan.name.clone());
        env.insert("PROCESSING_JOB_ARN".into(), self.arn(&format!("processing-job/{}", plan.name)));
        let network = plan.request.get("NetworkConfig").cloned().unwrap_or_default();
        let launch = Launch {
            program: plan.image.program.clone(),
            args,
            env,
            directory: tree.root().to_owned(),
            isolated: network["EnableNetworkIsolation"].as_bool().unwrap_or(false),
            log,
        };
        let process = match self.spawner.spawn(&launch).await {
            Ok(process) => process,
            Err(error) => return End::Failed(format!("AlgorithmError: CannotStartContainerError. {error}")),
        };
        if let Some(job) = self.state().processing_jobs.get_mut(&plan.name) {
            set(&mut job.record, "ProcessingStartTime", now());
        }
        let seconds = plan
            .request
            .get("StoppingCondition")
            .and_then(|condition| condition["MaxRuntimeInSeconds"].as_u64())
            .unwrap_or(DEFAULT_RUNTIME);
        let finish = container::watch(&process, &mut stop, Duration::from_secs(seconds)).await;

        if let Some(message) = tree.message("output/message")
            && let Some(job) = self.state().processing_jobs.get_mut(&plan.name)
        {
            set(&mut job.record, "ExitMessage", message);
        }
        // Results go up however the container ended: that is when they are wanted most.
        let uploaded = self.upload_outputs(plan, &tree).await;
        match finish {
            Finish::Stopped => End::Stopped,
            Finish::OutOfTime => End::Failed(format!(
                "ClientError: Processing job exceeded its MaxRuntimeInSeconds of {seconds}."
            )),
            Finish::Exited(exit) if exit.code() != 0 => End::Failed(format!(
                "AlgorithmError: See job logs for more information, exit code: {}",
                exit.code()
            )),
            Finish::Exited(_) => match uploaded {
                Ok(()) => End::Completed,
                Err(error) => End::Failed(format!("ClientError: Artifact upload failed: {error}")),
            },
        }
    }

    fn lay_out_processing(&self, folder: &std::path::Path, plan: &Plan) -> std::io::Result<Tree> {
        let tree = Tree::create(folder.join("ml"))?;
        let mut config = plan.request.clone();
        set(&mut config, "ProcessingJobArn", self.arn(&format!("processing-job/{}", plan.name)));
        tree.write_json("config/processingjobconfig.json", &Value::Object(config))?;
        tree.write_json(
            "config/resourceconfig.json",
            &json!({"current_host": "algo-1", "hosts": ["algo-1"]}),
        )?;
        for (_, path) in outputs(&plan.request) {
            if let Some(place) = tree.place(path) {
                std::fs::create_dir_all(place)?;
            }
        }
        Ok(tree)
    }

    async fn download_inputs(&self, plan: &Plan, tree: &Tree) -> Result<(), StagingError> {
        for input in list(plan.request.get("ProcessingInputs")) {
            let path = input["S3Input"]["LocalPath"].as_str().unwrap_or_default();
            let uri = input["S3Input"]["S3Uri"].as_str().unwrap_or_default();
            if let Some(place) = tree.place(path) {
                download_prefix(&self.backend, uri, &place).await?;
            }
        }
        Ok(())
    }

    async fn upload_outputs(&self, plan: &Plan, tree: &Tree) -> Result<(), StagingError> {
        let kms = plan.request.get("ProcessingOutputConfig").and_then(|config| config["KmsKeyId"].as_str());
        for (uri, path) in outputs(&plan.request) {
            if let Some(place) = tree.place(path) {
                upload_folder(&self.backend, &place, &Location::parse(uri)?, kms).await?;
            }
        }
        Ok(())
    }

    fn announce_processing_job(&self, name: &str) {
        let (arn, detail) = {
            let state = self.state();
            let Some(job) = state.processing_jobs.get(name) else { return };
            let arn = required(&job.record, "ProcessingJobArn").to_owned();
            let mut detail = job.record.clone();
            for time in ["CreationTime", "ProcessingStartTime", "ProcessingEndTime", "LastModifiedTime"] {
                if let Some(at) = job.record.get(time).and_then(Value::as_f64) {
                    set(&mut detail, time, milliseconds(at));
                }
            }
            set(&mut detail, "Tags", state.tags_of(&arn));
            (arn, detail)
        };
        self.events.send(Event {
            source: "aws.sagemaker",
            detail_type: "SageMaker Processing Job State Change",
            resource: arn,
            detail: Value::Object(detail),
        });
    }
}

fn not_found(name: &str) -> AwsError {
    validation(format!("Could not find requested job with name: {name}"))
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Where each output goes, and where the container leaves it.
fn outputs(request: &Object) -> Vec<(&str, &str)> {
    list(request.get("ProcessingOutputConfig").and_then(|config| config.get("Outputs")))
        .iter()
        .filter_map(|output| {
            Some((output["S3Output"]["S3Uri"].as_str()?, output["S3Output"]["LocalPath"].as_str()?))
        })
        .collect()
}

fn refuse_what_contradicts(request: &Object) -> Result<(), AwsError> {
    let cluster = &request["ProcessingResources"]["ClusterConfig"];
    let instance = cluster["InstanceType"].as_str().unwrap_or_default();
    if has_local_nvme(instance) && cluster["VolumeKmsKeyId"].as_str().is_some_and(|key| !key.is_empty()) {
        return Err(validation(format!(
            "VolumeKmsKeyId is not supported for instance type {instance}: its local NVMe storage is encrypted by the \
             hardware. Leave VolumeKmsKeyId out."
        )));
    }
    let mut names = std::collections::BTreeSet::new();
    for input in list(request.get("ProcessingInputs")) {
        let name = input["InputName"].as_str().unwrap_or_default();
        if !names.insert(name) {
            return Err(validation(format!("Input name {name} is used more than once in ProcessingInputs.")));
        }
        let Some(source) = input.get("S3Input") else {
            return Err(validation(format!(
                "Input {name} needs an S3Input: the local account has no dataset definitions."
            )));
        };
        if source["S3DataType"] != "S3Prefix" || source["S3InputMode"] == "Pipe" {
            return Err(validation(format!(
                "Input {name}: the local account has S3DataType S3Prefix in mode File."
            )));
        }
        refuse_path(name, source["LocalPath"].as_str())?;
        Location::parse(source["S3Uri"].as_str().unwrap_or_default())
            .map_err(|error| validation(error.to_string()))?;
    }
    for output in list(request.get("ProcessingOutputConfig").and_then(|config| config.get("Outputs"))) {
        let name = output["OutputName"].as_str().unwrap_or_default();
        let Some(target) = output.get("S3Output") else {
            return Err(validation(format!(
                "Output {name} needs an S3Output: the local account has no feature store."
            )));
        };
        refuse_path(name, target["LocalPath"].as_str())?;
        Location::parse(target["S3Uri"].as_str().unwrap_or_default())
            .map_err(|error| validation(error.to_string()))?;
    }
    Ok(())
}

fn refuse_path(name: &str, path: Option<&str>) -> Result<(), AwsError> {
    let good = path.is_some_and(|path| {
        path.strip_prefix(PROCESSING).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            && !path.split('/').any(|part| part == "..")
    });
    if good {
        return Ok(());
    }
    Err(validation(format!(
        "LocalPath '{}' of '{name}' is not allowed. LocalPath must be under {PROCESSING}.",
        path.unwrap_or_default()
    )))
}
