//! Between SageMaker, S3 and training.

use aws_sdk_sagemaker::{
    Client,
    operation::describe_training_job::DescribeTrainingJobOutput,
    types::{
        AlgorithmSpecification, Channel, CheckpointConfig, DataSource, OutputCompressionType,
        OutputDataConfig, ResourceConfig, S3DataDistribution, S3DataSource, S3DataType, StoppingCondition,
        Tag, TrainingInputMode, TrainingInstanceType, VpcConfig,
    },
};
use contract::{Acquired, RunPlan, takes_volume_key};
use runtime::{failed, is_missing};

use crate::{error::TrainError, settings::Settings};

fn channel(name: &str, uri: String) -> Channel {
    let source = S3DataSource::builder()
        .s3_data_type(S3DataType::S3Prefix)
        .s3_uri(uri)
        .s3_data_distribution_type(S3DataDistribution::FullyReplicated)
        .build();
    Channel::builder()
        .channel_name(name)
        .input_mode(TrainingInputMode::File)
        .data_source(DataSource::builder().s3_data_source(source).build())
        .build()
}

/// The key prefix of what the job writes, uncompressed so that each file can be hashed by version.
pub fn output_prefix(plan: &RunPlan) -> String {
    format!("{}training/{}/output/model/", plan.run_id.prefix(), plan.run_id.training_job())
}

/// The key prefix of what a spot job keeps, to go on from after an interruption: a place of the run's own, empty when the
/// job begins. It lies outside `runs/` so that the bucket's lifecycle can forget it.
pub fn checkpoint_prefix(plan: &RunPlan) -> String {
    format!("checkpoints/{}/", plan.run_id)
}

fn checkpoint_uri(settings: &Settings, plan: &RunPlan) -> Option<String> {
    let is_spot = plan.request.training.spot.is_some();
    is_spot.then(|| format!("s3://{}/{}", settings.work_bucket, checkpoint_prefix(plan)))
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
) -> Result<(), TrainError> {
    let training = &plan.request.training;
    let instance_type = TrainingInstanceType::from(training.instance_type.as_str());
    let as_i32 = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let mut resources = ResourceConfig::builder()
        .instance_type(instance_type)
        .instance_count(as_i32(training.instance_count))
        .volume_size_in_gb(as_i32(training.volume_gib));
    if takes_volume_key(&training.instance_type) {
        resources = resources.volume_kms_key_id(&settings.data_key);
    }
    let mut stopping =
        StoppingCondition::builder().max_runtime_in_seconds(as_i32(training.max_runtime_seconds));
    if let Some(spot) = &training.spot {
        stopping = stopping.max_wait_time_in_seconds(as_i32(spot.max_wait_seconds));
    }
    // Written under the bucket's own key, since SageMaker takes none here.
    let checkpoints =
        checkpoint_uri(settings, plan).map(|uri| CheckpointConfig::builder().s3_uri(uri).build());
    let vpc = VpcConfig::builder()
        .set_subnets(Some(settings.subnets.clone()))
        .set_security_group_ids(Some(settings.security_groups.clone()));
    let output = OutputDataConfig::builder()
        .s3_output_path(format!("s3://{}/{}training/", settings.work_bucket, plan.run_id.prefix()))
        .kms_key_id(&settings.data_key)
        .compression_type(OutputCompressionType::None);
    let algorithm = AlgorithmSpecification::builder()
        .training_image(&plan.image.uri)
        .training_input_mode(TrainingInputMode::File)
        .build();
    let sent = sagemaker
        .create_training_job()
        .training_job_name(plan.run_id.training_job())
        .algorithm_specification(algorithm)
        .role_arn(&settings.role_arn)
        .set_hyper_parameters(Some(training.hyperparameters.clone().into_iter().collect()))
        .input_data_config(channel(
            "model",
            format!("s3://{}/{}", settings.work_bucket, acquired.model.prefix),
        ))
        .input_data_config(channel("training", training.data.uri.to_string()))
        .output_data_config(output.build())
        .resource_config(resources.build())
        .vpc_config(vpc.build())
        .enable_network_isolation(true)
        .enable_inter_container_traffic_encryption(true)
        .enable_managed_spot_training(training.spot.is_some())
        .stopping_condition(stopping.build())
        .set_checkpoint_config(checkpoints)
        .tags(Tag::builder().key("lockstep:run").value(plan.run_id.as_str()).build())
        .send()
        .await;
    match sent {
        Ok(_) => Ok(()),
        Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_in_use()) => Ok(()),
        Err(error) => Err(failed("sagemaker:CreateTrainingJob")(error).into()),
    }
}

/// Describes the job; `None` when there is none.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn describe(
    sagemaker: &Client,
    job: &str,
) -> Result<Option<DescribeTrainingJobOutput>, TrainError> {
    match sagemaker.describe_training_job().training_job_name(job).send().await {
        Ok(described) => Ok(Some(described)),
        Err(error) => {
            let failure = failed("sagemaker:DescribeTrainingJob")(error);
            if is_missing(&failure) { Ok(None) } else { Err(failure.into()) }
        }
    }
}

/// The job is the one that this run asked for: image, inputs and what it may go on from (invariants 3 and 11).
///
/// # Errors
/// [`TrainError::Foreign`].
pub fn is_ours(
    job: &DescribeTrainingJobOutput,
    settings: &Settings,
    plan: &RunPlan,
    acquired: &Acquired,
) -> Result<(), TrainError> {
    let foreign = |field| Err(TrainError::Foreign { job: plan.run_id.training_job(), field });
    let image = job.algorithm_specification().and_then(|algorithm| algorithm.training_image());
    if image != Some(plan.image.uri.as_str()) {
        return foreign("image");
    }
    let mut expected = vec![
        format!("s3://{}/{}", settings.work_bucket, acquired.model.prefix),
        plan.request.training.data.uri.to_string(),
    ];
    let mut inputs: Vec<String> = job
        .input_data_config()
        .iter()
        .filter_map(|channel| Some(channel.data_source()?.s3_data_source()?.s3_uri()?.to_owned()))
        .collect();
    expected.sort();
    inputs.sort();
    if inputs != expected {
        return foreign("input");
    }
    let checkpoints = job.checkpoint_config().and_then(|config| config.s3_uri());
    if checkpoints != checkpoint_uri(settings, plan).as_deref() {
        return foreign("place of checkpoints");
    }
    if job.enable_network_isolation() != Some(true) {
        return foreign("network isolation");
    }
    Ok(())
}
