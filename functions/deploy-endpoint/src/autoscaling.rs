//! Between Application Auto Scaling and deployment.
//!
//! A variant can be registered only once it is there, so this follows a deployment and is no part of Terraform. Both calls
//! overwrite what they find: after each deployment the settings are those that the infrastructure declares.
//! <https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html>

use aws_sdk_applicationautoscaling::{
    Client,
    types::{
        MetricType, PolicyType, PredefinedMetricSpecification, ScalableDimension, ServiceNamespace,
        TargetTrackingScalingPolicyConfiguration,
    },
};
use contract::VARIANT;
use runtime::failed;

use crate::{aws::as_i32, error::DeployError, settings::Autoscaling};

const DIMENSION: ScalableDimension = ScalableDimension::SageMakerVariantDesiredInstanceCount;

fn resource(endpoint: &str) -> String {
    format!("endpoint/{endpoint}/variant/{VARIANT}")
}

/// Keeps the endpoint's variant at so many invocations an instance.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn register(client: &Client, endpoint: &str, scaling: &Autoscaling) -> Result<(), DeployError> {
    let metric = PredefinedMetricSpecification::builder()
        .predefined_metric_type(MetricType::SageMakerVariantInvocationsPerInstance)
        .build()
        .map_err(|error| runtime::Error::Misconfigured(error.to_string()))?;
    let tracking = TargetTrackingScalingPolicyConfiguration::builder()
        .target_value(f64::from(scaling.invocations_per_instance))
        .predefined_metric_specification(metric)
        .scale_in_cooldown(as_i32(scaling.scale_in_cooldown))
        .scale_out_cooldown(as_i32(scaling.scale_out_cooldown))
        .build()
        .map_err(|error| runtime::Error::Misconfigured(error.to_string()))?;
    client
        .register_scalable_target()
        .service_namespace(ServiceNamespace::Sagemaker)
        .resource_id(resource(endpoint))
        .scalable_dimension(DIMENSION)
        .min_capacity(as_i32(scaling.min_capacity))
        .max_capacity(as_i32(scaling.max_capacity))
        .send()
        .await
        .map_err(failed("application-autoscaling:RegisterScalableTarget"))?;
    client
        .put_scaling_policy()
        .policy_name("invocations")
        .policy_type(PolicyType::TargetTrackingScaling)
        .service_namespace(ServiceNamespace::Sagemaker)
        .resource_id(resource(endpoint))
        .scalable_dimension(DIMENSION)
        .target_tracking_scaling_policy_configuration(tracking)
        .send()
        .await
        .map_err(failed("application-autoscaling:PutScalingPolicy"))?;
    Ok(())
}

/// Takes the variant off autoscaling: SageMaker refuses to change the instance type of one that is scaled.
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-update.html>
///
/// # Errors
/// `ServiceUnavailable`. A variant that is not registered is no error.
pub async fn deregister(client: &Client, endpoint: &str) -> Result<(), DeployError> {
    let sent = client
        .deregister_scalable_target()
        .service_namespace(ServiceNamespace::Sagemaker)
        .resource_id(resource(endpoint))
        .scalable_dimension(DIMENSION)
        .send()
        .await;
    match sent.map_err(failed("application-autoscaling:DeregisterScalableTarget")) {
        Err(failure) if failure.code != "ObjectNotFoundException" => Err(failure.into()),
        _ => Ok(()),
    }
}
