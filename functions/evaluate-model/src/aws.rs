//! Between SageMaker and evaluation.

use aws_sdk_sagemaker::{
    Client,
    operation::describe_processing_job::DescribeProcessingJobOutput,
    types::{
        AppSpecification, NetworkConfig, ProcessingClusterConfig, ProcessingInput, ProcessingInstanceType,
        ProcessingOutput, ProcessingOutputConfig, ProcessingResources, ProcessingS3DataType,
        ProcessingS3Input, ProcessingS3InputMode, ProcessingS3Output, ProcessingS3UploadMode,
        ProcessingStoppingCondition, Tag, VpcConfig,
    },
};
use contract::{Acquired, Artifact, RunPlan, takes_volume_key};
use runtime::{failed, is_missing};

use crate::{error::EvaluateError, settings::Settings};

/// The container's program; an image that is not ours says its own in its contract.
const ENTRYPOINT: [&str; 2] = ["/usr/local/bin/model-container", "evaluate"];
const ROOT: &str = "/opt/ml/processing";

fn input(name: &str, uri: String) -> ProcessingInput {
    let source = ProcessingS3Input::builder()
        .s3_uri(uri)
        .local_path(format!("{ROOT}/input/{name}"))
        .s3_data_type(ProcessingS3DataType::S3Prefix)
        .s3_input_mode(ProcessingS3InputMode::File)
        .build();
    ProcessingInput::builder().input_name(name).s3_input(source).build()
}

/// The key of what the job writes.
pub fn metrics_key(plan: &RunPlan) -> String {
    format!("{}evaluation/metrics.json", plan.run_id.prefix())
}

/// The key of what the candidate answered, beside the metrics.
pub fn predictions_key(plan: &RunPlan) -> String {
    format!("{}evaluation/predictions.jsonl", plan.run_id.prefix())
}

/// What the program is told beside: which field of the rows names their group.
fn arguments(plan: &RunPlan) -> Option<Vec<String>> {
    let groups = plan.request.evaluation.groups.as_ref()?;
    Some(vec![format!("--group-column={}", groups.column)])
}

/// Starts the job; that it exists already is no failure, since its name is derived from the run.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn start(
    sagemaker: &Client,
    settings: &Settings,
    plan: &RunPlan,
    acquired: &Acquired,
    artifact: &Artifact,
) -> Result<(), EvaluateError> {
    let evaluation = &plan.request.evaluation;
    let as_i32 = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let mut cluster = ProcessingClusterConfig::builder()
        .instance_type(ProcessingInstanceType::from(evaluation.instance_type.as_str()))
        .instance_count(as_i32(evaluation.instance_count))
        .volume_size_in_gb(as_i32(evaluation.volume_gib));
    if takes_volume_key(&evaluation.instance_type) {
        cluster = cluster.volume_kms_key_id(&settings.data_key);
    }
    let vpc = VpcConfig::builder()
        .set_subnets(Some(settings.subnets.clone()))
        .set_security_group_ids(Some(settings.security_groups.clone()));
    let network = NetworkConfig::builder()
        .enable_network_isolation(true)
        .enable_inter_container_traffic_encryption(true)
        .vpc_config(vpc.build());
    let mut app = AppSpecification::builder().image_uri(&plan.image.uri);
    for part in ENTRYPOINT {
        app = app.container_entrypoint(part);
    }
    app = app.set_container_arguments(arguments(plan));
    let written = ProcessingS3Output::builder()
        .s3_uri(format!("s3://{}/{}evaluation/", settings.work_bucket, plan.run_id.prefix()))
        .local_path(format!("{ROOT}/output/metrics"))
        .s3_upload_mode(ProcessingS3UploadMode::EndOfJob)
        .build();
    let output = ProcessingOutput::builder().output_name("metrics").s3_output(written).build();
    let outputs = ProcessingOutputConfig::builder().outputs(output).kms_key_id(&settings.data_key);
    let stopping =
        ProcessingStoppingCondition::builder().max_runtime_in_seconds(as_i32(evaluation.max_runtime_seconds));
    let sent = sagemaker
        .create_processing_job()
        .processing_job_name(plan.run_id.evaluation_job())
        .role_arn(&settings.role_arn)
        .app_specification(app.build())
        .processing_inputs(input("candidate", format!("s3://{}/{}", settings.work_bucket, artifact.prefix)))
        .processing_inputs(input("base", format!("s3://{}/{}", settings.work_bucket, acquired.model.prefix)))
        .processing_inputs(input("data", evaluation.data.uri.to_string()))
        .processing_output_config(outputs.build())
        .processing_resources(ProcessingResources::builder().cluster_config(cluster.build()).build())
        .network_config(network.build())
        .stopping_condition(stopping.build())
        .tags(Tag::builder().key("lockstep:run").value(plan.run_id.as_str()).build())
        .send()
        .await;
    match sent {
        Ok(_) => Ok(()),
        Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_in_use()) => Ok(()),
        Err(error) => Err(failed("sagemaker:CreateProcessingJob")(error).into()),
    }
}

/// Describes the job; `None` when there is none.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn describe(
    sagemaker: &Client,
    job: &str,
) -> Result<Option<DescribeProcessingJobOutput>, EvaluateError> {
    match sagemaker.describe_processing_job().processing_job_name(job).send().await {
        Ok(described) => Ok(Some(described)),
        Err(error) => {
            let failure = failed("sagemaker:DescribeProcessingJob")(error);
            if is_missing(&failure) { Ok(None) } else { Err(failure.into()) }
        }
    }
}

/// The job is the one that this run asked for: image, inputs and program (invariant 3).
///
/// # Errors
/// [`EvaluateError::Failed`].
pub fn is_ours(
    job: &DescribeProcessingJobOutput,
    settings: &Settings,
    plan: &RunPlan,
    artifact: &Artifact,
) -> Result<(), EvaluateError> {
    let foreign = |field: &str| {
        let reason = format!("it exists with another {field}");
        Err(EvaluateError::Failed { job: plan.run_id.evaluation_job(), reason })
    };
    let app = job.app_specification();
    if app.and_then(|app| app.image_uri()) != Some(plan.image.uri.as_str()) {
        return foreign("image");
    }
    if app.map(|app| app.container_entrypoint()) != Some(ENTRYPOINT.map(str::to_owned).as_slice()) {
        return foreign("program");
    }
    let told = app.map(|app| app.container_arguments()).unwrap_or_default();
    if told != arguments(plan).unwrap_or_default() {
        return foreign("arguments");
    }
    let source = |name: &str| {
        let input = job.processing_inputs().iter().find(|input| input.input_name() == Some(name))?;
        input.s3_input()?.s3_uri()
    };
    if source("candidate") != Some(format!("s3://{}/{}", settings.work_bucket, artifact.prefix).as_str())
        || source("data") != Some(plan.request.evaluation.data.uri.to_string().as_str())
    {
        return foreign("input");
    }
    Ok(())
}
