//! Between SageMaker, SNS and approval.

use std::collections::BTreeMap;

use aws_sdk_sagemaker::{
    Client,
    operation::describe_model_package::DescribeModelPackageOutput,
    types::{
        InferenceSpecification, MetricsSource, ModelApprovalStatus, ModelCardStatus, ModelCompressionType,
        ModelDataSource, ModelMetrics, ModelPackageContainerDefinition, ModelPackageModelCard, ModelQuality,
        ProductionVariantInstanceType, S3ModelDataSource, S3ModelDataType, TransformInstanceType,
    },
};
use contract::{Artifact, Bound, Evaluation, RunId, RunPlan};
use runtime::{failed, is_missing};
use serde_json::Value;

use crate::{error::ApproveError, settings::Settings};

/// Customer metadata that bind a package to its run.
pub const RUN_ID: &str = "run_id";
/// The artefact's content digest.
pub const ARTIFACT: &str = "artifact_sha256";

/// Makes the package's group, unless it exists.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn ensure_group(sagemaker: &Client, group: &str) -> Result<(), ApproveError> {
    match sagemaker.describe_model_package_group().model_package_group_name(group).send().await {
        Ok(_) => return Ok(()),
        Err(error) => {
            let failure = failed("sagemaker:DescribeModelPackageGroup")(error);
            // SageMaker says "does not exist" of a group, where it says "not found" of a job.
            if !is_missing(&failure) && !failure.message.contains("does not exist") {
                return Err(failure.into());
            }
        }
    }
    let sent = sagemaker
        .create_model_package_group()
        .model_package_group_name(group)
        .model_package_group_description("Registered by Lockstep")
        .send()
        .await;
    match sent {
        Ok(_) => Ok(()),
        Err(error) => {
            let failure = failed("sagemaker:CreateModelPackageGroup")(error);
            // Another run made it in between.
            if failure.message.contains("already exists") { Ok(()) } else { Err(failure.into()) }
        }
    }
}

/// The run's package, if an earlier try registered it: what the run's metadata say is looked for among the
/// group's newest packages, since SageMaker's client token is forgotten after some hours.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn find(
    sagemaker: &Client,
    plan: &RunPlan,
) -> Result<Option<DescribeModelPackageOutput>, ApproveError> {
    let mut pages = sagemaker
        .list_model_packages()
        .model_package_group_name(&plan.request.registry.model_package_group)
        .sort_by(aws_sdk_sagemaker::types::ModelPackageSortBy::CreationTime)
        .sort_order(aws_sdk_sagemaker::types::SortOrder::Descending)
        .max_results(20)
        .into_paginator()
        .send();
    if let Some(page) = pages.next().await {
        let page = page.map_err(failed("sagemaker:ListModelPackages"))?;
        for summary in page.model_package_summary_list() {
            let Some(arn) = summary.model_package_arn() else { continue };
            let described = describe(sagemaker, arn).await?;
            let metadata = described.customer_metadata_properties();
            if metadata.and_then(|metadata| metadata.get(RUN_ID)).map(String::as_str)
                == Some(plan.run_id.as_str())
            {
                return Ok(Some(described));
            }
        }
    }
    Ok(None)
}

/// What the registry tells whoever is to approve.
pub struct Told<'a> {
    /// The package's card.
    pub card: &'a Value,
    /// The gates' verdicts.
    pub verdicts: BTreeMap<&'static str, String>,
}

/// Registers the package, waiting for approval.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn register(
    sagemaker: &Client,
    settings: &Settings,
    plan: &RunPlan,
    artifact: &Artifact,
    evaluation: &Evaluation,
    told: Told<'_>,
) -> Result<String, ApproveError> {
    let source = S3ModelDataSource::builder()
        .s3_uri(format!("s3://{}/{}", settings.work_bucket, artifact.prefix))
        .s3_data_type(S3ModelDataType::S3Prefix)
        .compression_type(ModelCompressionType::None);
    let container = ModelPackageContainerDefinition::builder()
        .image(&plan.image.uri)
        .image_digest(&plan.image.digest)
        .model_data_source(ModelDataSource::builder().s3_data_source(source.build()).build())
        .build();
    let instance_type = plan.request.endpoint.instance_type.as_str();
    let inference = InferenceSpecification::builder()
        .containers(container)
        .supported_content_types("application/json")
        .supported_response_mime_types("application/json")
        .supported_realtime_inference_instance_types(ProductionVariantInstanceType::from(instance_type))
        .supported_transform_instance_types(TransformInstanceType::from(instance_type));
    let statistics = MetricsSource::builder()
        .content_type("application/json")
        .s3_uri(format!("s3://{}/{}", evaluation.metrics.bucket, evaluation.metrics.key))
        .content_digest(format!("sha256:{}", evaluation.metrics.sha256));
    let quality = ModelQuality::builder().statistics(statistics.build()).build();
    let mut create = sagemaker
        .create_model_package()
        .model_package_group_name(&plan.request.registry.model_package_group)
        .model_package_description(description(plan))
        .model_approval_status(ModelApprovalStatus::PendingManualApproval)
        .inference_specification(inference.build())
        .model_card(
            ModelPackageModelCard::builder()
                .model_card_content(told.card.to_string())
                .model_card_status(ModelCardStatus::Pendingreview)
                .build(),
        )
        .model_metrics(ModelMetrics::builder().model_quality(quality).build())
        .customer_metadata_properties(RUN_ID, plan.run_id.as_str())
        .customer_metadata_properties(ARTIFACT, artifact.content_sha256.as_str())
        .customer_metadata_properties("image_digest", &plan.image.digest)
        .client_token(plan.run_id.as_str());
    for (when, score) in [("before", &evaluation.before), ("after", &evaluation.after)] {
        for (name, value) in score {
            create = create.customer_metadata_properties(format!("{when}_{name}"), value.to_string());
        }
    }
    for (gate, verdict) in told.verdicts {
        create = create.customer_metadata_properties(format!("gate_{gate}"), verdict);
    }
    for threshold in &plan.request.evaluation.thresholds {
        let name = format!("threshold_{}", threshold.metric);
        // Metadata take no `<` and no `>`.
        let bound = match threshold.bound {
            Bound::Below(bound) => format!("below {bound}"),
            Bound::Above(bound) => format!("above {bound}"),
        };
        create = create.customer_metadata_properties(name, bound);
    }
    let created = create.send().await.map_err(failed("sagemaker:CreateModelPackage"))?;
    Ok(created.model_package_arn.unwrap_or_default())
}

fn description(plan: &RunPlan) -> String {
    let words = &plan.request.registry.description;
    if words.is_empty() {
        format!("Lockstep run {}", plan.run_id)
    } else {
        words.chars().take(1024).collect()
    }
}

/// Describes a package.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn describe(sagemaker: &Client, arn: &str) -> Result<DescribeModelPackageOutput, ApproveError> {
    let described = sagemaker.describe_model_package().model_package_name(arn).send().await;
    Ok(described.map_err(failed("sagemaker:DescribeModelPackage"))?)
}

/// Makes the run's model card, unless it exists.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn ensure_card(sagemaker: &Client, run: &RunId, card: &Value) -> Result<(), ApproveError> {
    let sent = sagemaker
        .create_model_card()
        .model_card_name(run.serving_name())
        .content(card.to_string())
        .model_card_status(ModelCardStatus::Pendingreview)
        .send()
        .await;
    let Err(error) = sent else { return Ok(()) };
    let failure = failed("sagemaker:CreateModelCard")(error);
    // An earlier try of this run made it.
    if failure.code == "ConflictException" { Ok(()) } else { Err(failure.into()) }
}

/// The package still says what was registered: run, artefact, image and place.
///
/// # Errors
/// [`ApproveError::Altered`].
pub fn is_ours(
    package: &DescribeModelPackageOutput,
    settings: &Settings,
    plan: &RunPlan,
    artifact: &Artifact,
) -> Result<(), ApproveError> {
    let arn = package.model_package_arn().unwrap_or_default();
    let altered = |field| Err(ApproveError::Altered { package: arn.to_owned(), field });
    let metadata =
        |key: &str| package.customer_metadata_properties().and_then(|m| m.get(key)).map(String::as_str);
    if metadata(RUN_ID) != Some(plan.run_id.as_str()) {
        return altered("run");
    }
    if metadata(ARTIFACT) != Some(artifact.content_sha256.as_str()) {
        return altered("artefact digest");
    }
    let [container] = package.inference_specification().map(|i| i.containers()).unwrap_or_default() else {
        return altered("number of containers");
    };
    if container.image() != Some(plan.image.uri.as_str()) {
        return altered("image");
    }
    let place =
        container.model_data_source().and_then(|source| source.s3_data_source()).and_then(|s3| s3.s3_uri());
    if place != Some(format!("s3://{}/{}", settings.work_bucket, artifact.prefix).as_str()) {
        return altered("place of the model");
    }
    Ok(())
}

/// The endpoint configuration that serves now; `None` when there is no endpoint.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn serving(sagemaker: &Client, endpoint: &str) -> Result<Option<String>, ApproveError> {
    match sagemaker.describe_endpoint().endpoint_name(endpoint).send().await {
        Ok(described) => Ok(described.endpoint_config_name),
        Err(error) => {
            let failure = failed("sagemaker:DescribeEndpoint")(error);
            if is_missing(&failure) { Ok(None) } else { Err(failure.into()) }
        }
    }
}

/// Approves by the rule that policy permits.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn approve(sagemaker: &Client, arn: &str) -> Result<(), ApproveError> {
    sagemaker
        .update_model_package()
        .model_package_arn(arn)
        .model_approval_status(ModelApprovalStatus::Approved)
        .approval_description("Approved automatically: every threshold passed, and policy permits it")
        .send()
        .await
        .map_err(failed("sagemaker:UpdateModelPackage"))?;
    Ok(())
}
