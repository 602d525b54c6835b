//! Between SageMaker and deployment.

use aws_sdk_sagemaker::{
    Client,
    types::{
        Alarm, AutoRollbackConfig, BlueGreenUpdatePolicy, CapacitySize, CapacitySizeType,
        CaptureContentTypeHeader, CaptureMode, CaptureOption, ContainerDefinition, DataCaptureConfig,
        DeploymentConfig, ModelCompressionType, ModelDataSource, ProductionVariant,
        ProductionVariantInstanceType, S3ModelDataSource, S3ModelDataType, Tag, TrafficRoutingConfig,
        TrafficRoutingConfigType, VariantProperty, VariantPropertyType, VpcConfig,
    },
};
use contract::{Artifact, RunPlan, VARIANT, takes_volume_key};
use runtime::{AwsFailure, failed, is_missing};

use crate::{
    error::DeployError,
    policy::EndpointState,
    rollout::{Rollout, Steps},
    settings::Settings,
};

/// Describes the endpoint; `None` when there is none.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn describe(sagemaker: &Client, endpoint: &str) -> Result<Option<EndpointState>, DeployError> {
    let described = match sagemaker.describe_endpoint().endpoint_name(endpoint).send().await {
        Ok(described) => described,
        Err(error) => {
            let failure = failed("sagemaker:DescribeEndpoint")(error);
            return if is_missing(&failure) { Ok(None) } else { Err(failure.into()) };
        }
    };
    let images = described
        .production_variants()
        .iter()
        .flat_map(|variant| variant.deployed_images())
        .filter_map(|image| image.resolved_image().map(str::to_owned))
        .collect();
    Ok(Some(EndpointState {
        status: described.endpoint_status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
        config: described.endpoint_config_name().unwrap_or_default().to_owned(),
        pending: described
            .pending_deployment_summary()
            .and_then(|pending| pending.endpoint_config_name())
            .map(str::to_owned),
        instances: described
            .production_variants()
            .iter()
            .filter_map(|variant| variant.current_instance_count())
            .filter_map(|count| u32::try_from(count).ok())
            .sum(),
        reason: described.failure_reason().map(str::to_owned),
        images,
    }))
}

/// The approval status of a package now.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn approval_status(sagemaker: &Client, package: &str) -> Result<String, DeployError> {
    let described = sagemaker
        .describe_model_package()
        .model_package_name(package)
        .send()
        .await
        .map_err(failed("sagemaker:DescribeModelPackage"))?;
    Ok(described.model_approval_status().map(|status| status.as_str().to_owned()).unwrap_or_default())
}

/// A name that is derived from the run and exists was made by an earlier try.
fn made_before(failure: &AwsFailure) -> bool {
    failure.code == "ValidationException" && failure.message.contains("already existing")
}

fn tag(plan: &RunPlan) -> Tag {
    Tag::builder().key("lockstep:run").value(plan.run_id.as_str()).build()
}

/// Makes a model: the approved artefact by its write-once place, the image by digest.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn create_model(
    sagemaker: &Client,
    settings: &Settings,
    plan: &RunPlan,
    artifact: &Artifact,
    name: &str,
) -> Result<(), DeployError> {
    let source = S3ModelDataSource::builder()
        .s3_uri(format!("s3://{}/{}", settings.work_bucket, artifact.prefix))
        .s3_data_type(S3ModelDataType::S3Prefix)
        .compression_type(ModelCompressionType::None);
    let container = ContainerDefinition::builder()
        .image(&plan.image.uri)
        .model_data_source(ModelDataSource::builder().s3_data_source(source.build()).build());
    let vpc = VpcConfig::builder()
        .set_subnets(Some(settings.subnets.clone()))
        .set_security_group_ids(Some(settings.security_groups.clone()));
    let sent = sagemaker
        .create_model()
        .model_name(name)
        .primary_container(container.build())
        .execution_role_arn(&settings.role_arn)
        .enable_network_isolation(true)
        .vpc_config(vpc.build())
        .tags(tag(plan))
        .send()
        .await;
    tolerate(sent.map(drop).map_err(failed("sagemaker:CreateModel")))
}

fn tolerate(sent: Result<(), AwsFailure>) -> Result<(), DeployError> {
    match sent {
        Err(failure) if !made_before(&failure) => Err(failure.into()),
        _ => Ok(()),
    }
}

fn variant(plan: &RunPlan, model: &str, instances: u32) -> ProductionVariant {
    ProductionVariant::builder()
        .variant_name(VARIANT)
        .model_name(model)
        .instance_type(ProductionVariantInstanceType::from(plan.request.endpoint.instance_type.as_str()))
        .initial_instance_count(as_i32(instances))
        .initial_variant_weight(1.0)
        .build()
}

/// Makes the endpoint configuration: immutable, encrypted, capturing.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn create_config(
    sagemaker: &Client,
    settings: &Settings,
    plan: &RunPlan,
) -> Result<(), DeployError> {
    let endpoint = &plan.request.endpoint;
    let variant = variant(plan, &plan.run_id.serving_name(), endpoint.instance_count);
    let capture = DataCaptureConfig::builder()
        .enable_capture(endpoint.capture_percent > 0)
        .initial_sampling_percentage(as_i32(endpoint.capture_percent))
        .destination_s3_uri(format!("s3://{}/capture/", settings.work_bucket))
        .kms_key_id(&settings.data_key)
        .capture_options(CaptureOption::builder().capture_mode(CaptureMode::Input).build())
        .capture_options(CaptureOption::builder().capture_mode(CaptureMode::Output).build())
        .capture_content_type_header(
            CaptureContentTypeHeader::builder().json_content_types("application/json").build(),
        );
    let mut create = sagemaker
        .create_endpoint_config()
        .endpoint_config_name(plan.run_id.serving_name())
        .production_variants(variant)
        .data_capture_config(capture.build())
        .tags(tag(plan));
    if takes_volume_key(&endpoint.instance_type) {
        create = create.kms_key_id(&settings.data_key);
    }
    tolerate(create.send().await.map(drop).map_err(failed("sagemaker:CreateEndpointConfig")))
}

/// Makes the configuration of the smoke test's endpoint: the same instance type, one instance, nothing captured, since what
/// it is asked stands in the request.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn create_smoke_test_config(
    sagemaker: &Client,
    settings: &Settings,
    plan: &RunPlan,
) -> Result<(), DeployError> {
    let name = plan.run_id.smoke_test_name();
    let mut create = sagemaker
        .create_endpoint_config()
        .endpoint_config_name(&name)
        .production_variants(variant(plan, &name, 1))
        .tags(tag(plan));
    if takes_volume_key(&plan.request.endpoint.instance_type) {
        create = create.kms_key_id(&settings.data_key);
    }
    tolerate(create.send().await.map(drop).map_err(failed("sagemaker:CreateEndpointConfig")))
}

/// Deletes the smoke test's endpoint, configuration and model. What is gone already is no error.
///
/// # Errors
/// `ServiceUnavailable`, as which an endpoint counts that SageMaker is still creating.
pub async fn remove_smoke_test(sagemaker: &Client, name: &str) -> Result<(), DeployError> {
    let gone = |sent: Result<(), AwsFailure>| match sent {
        Err(failure) if !is_missing(&failure) => Err(DeployError::from(failure)),
        _ => Ok(()),
    };
    let sent = sagemaker.delete_endpoint().endpoint_name(name).send().await;
    gone(sent.map(drop).map_err(failed("sagemaker:DeleteEndpoint")))?;
    let sent = sagemaker.delete_endpoint_config().endpoint_config_name(name).send().await;
    gone(sent.map(drop).map_err(failed("sagemaker:DeleteEndpointConfig")))?;
    let sent = sagemaker.delete_model().model_name(name).send().await;
    gone(sent.map(drop).map_err(failed("sagemaker:DeleteModel")))
}

/// The instance type that a configuration gives the variant.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn instance_type(sagemaker: &Client, config: &str) -> Result<String, DeployError> {
    let sent = sagemaker.describe_endpoint_config().endpoint_config_name(config).send().await;
    let described = sent.map_err(failed("sagemaker:DescribeEndpointConfig"))?;
    let variant = described.production_variants().iter().find(|one| one.variant_name() == Some(VARIANT));
    let kind = variant.and_then(|variant| variant.instance_type()).map(|kind| kind.as_str().to_owned());
    Ok(kind.unwrap_or_default())
}

/// Creates an endpoint.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn create_endpoint(
    sagemaker: &Client,
    plan: &RunPlan,
    name: &str,
    config: &str,
) -> Result<(), DeployError> {
    let sent = sagemaker
        .create_endpoint()
        .endpoint_name(name)
        .endpoint_config_name(config)
        .tags(tag(plan))
        .send()
        .await;
    tolerate(sent.map(drop).map_err(failed("sagemaker:CreateEndpoint")))
}

/// As the SDK takes numbers.
pub fn as_i32(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn property(kind: VariantPropertyType) -> VariantProperty {
    VariantProperty::builder().variant_property_type(kind).build()
}

fn routing(rollout: &Rollout) -> TrafficRoutingConfig {
    let size = |instances| {
        CapacitySize::builder().r#type(CapacitySizeType::InstanceCount).value(as_i32(instances)).build()
    };
    let routing = TrafficRoutingConfig::builder().wait_interval_in_seconds(as_i32(rollout.wait_seconds));
    match rollout.steps {
        Steps::AllAtOnce => routing.r#type(TrafficRoutingConfigType::AllAtOnce),
        Steps::Canary { instances } => {
            routing.r#type(TrafficRoutingConfigType::Canary).canary_size(size(instances))
        }
        Steps::Linear { instances } => {
            routing.r#type(TrafficRoutingConfigType::Linear).linear_step_size(size(instances))
        }
    }
    .build()
}

/// Updates the endpoint, blue/green: the old fleet serves until the new one is healthy and no alarm fires.
/// Without alarms SageMaker does not roll back by itself.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn update_endpoint(
    sagemaker: &Client,
    settings: &Settings,
    plan: &RunPlan,
    rollout: &Rollout,
) -> Result<(), DeployError> {
    let endpoint = &plan.request.endpoint;
    let alarms =
        settings.endpoints.get(&endpoint.name).map(|declared| declared.alarms.clone()).unwrap_or_default();
    let rollback = AutoRollbackConfig::builder()
        .set_alarms(Some(alarms.into_iter().map(|name| Alarm::builder().alarm_name(name).build()).collect()));
    let blue_green = BlueGreenUpdatePolicy::builder()
        .traffic_routing_configuration(routing(rollout))
        .termination_wait_in_seconds(as_i32(rollout.bake_seconds))
        .maximum_execution_timeout_in_seconds(as_i32(rollout.timeout_seconds));
    let deployment = DeploymentConfig::builder()
        .blue_green_update_policy(blue_green.build())
        .auto_rollback_configuration(rollback.build());
    let mut update = sagemaker
        .update_endpoint()
        .endpoint_name(&endpoint.name)
        .endpoint_config_name(plan.run_id.serving_name())
        .retain_all_variant_properties(true)
        // What is captured is the request's to say, and retained properties would keep the former's.
        .exclude_retained_variant_properties(property(VariantPropertyType::DataCaptureConfig))
        .deployment_config(deployment.build());
    if !rollout.keeps_fleet {
        update =
            update.exclude_retained_variant_properties(property(VariantPropertyType::DesiredInstanceCount));
    }
    update.send().await.map_err(failed("sagemaker:UpdateEndpoint"))?;
    Ok(())
}
