//! Between AWS's services and incidents.

use aws_sdk_cloudwatch::types::StateValue;
use aws_sdk_ecr::{
    operation::describe_image_scan_findings::DescribeImageScanFindingsError, types::ImageIdentifier,
};
use aws_sdk_sagemaker::types::{
    BlueGreenUpdatePolicy, DeploymentConfig, ModelApprovalStatus, TrafficRoutingConfig,
    TrafficRoutingConfigType,
};
use contract::Severity;
use runtime::{AwsFailure, failed, is_missing};

use crate::{error::RespondError, policy::EndpointState};

/// The clients.
pub struct Services {
    cloudwatch: aws_sdk_cloudwatch::Client,
    ecr: aws_sdk_ecr::Client,
    sagemaker: aws_sdk_sagemaker::Client,
}

/// What SageMaker would serve with a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serving {
    /// The model of each variant.
    pub models: Vec<String>,
    /// The image of each of its containers.
    pub image: String,
    /// Where its artefact lies, `s3://...`.
    pub place: String,
}

fn present<T>(sent: Result<T, AwsFailure>) -> Result<Option<T>, RespondError> {
    match sent {
        Ok(described) => Ok(Some(described)),
        Err(failure) if is_missing(&failure) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

impl Services {
    /// Over a configuration.
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        Self {
            cloudwatch: aws_sdk_cloudwatch::Client::new(config),
            ecr: aws_sdk_ecr::Client::new(config),
            sagemaker: aws_sdk_sagemaker::Client::new(config),
        }
    }

    /// Whether an alarm is in ALARM now.
    ///
    /// # Errors
    /// `ServiceUnavailable`.
    pub async fn is_ringing(&self, alarm: &str) -> Result<bool, RespondError> {
        let sent = self.cloudwatch.describe_alarms().alarm_names(alarm).send().await;
        let described = sent.map_err(failed("cloudwatch:DescribeAlarms"))?;
        Ok(described.metric_alarms().iter().any(|alarm| alarm.state_value() == Some(&StateValue::Alarm)))
    }

    /// The findings of an image's latest scan, by name; none of an image that was never scanned or is gone.
    ///
    /// # Errors
    /// `ServiceUnavailable`.
    pub async fn findings(
        &self,
        repository: &str,
        digest: &str,
    ) -> Result<Vec<(String, Severity)>, RespondError> {
        let mut found = Vec::new();
        let mut token = None;
        loop {
            let sent = self
                .ecr
                .describe_image_scan_findings()
                .repository_name(repository)
                .image_id(ImageIdentifier::builder().image_digest(digest).build())
                .set_next_token(token.take())
                .send()
                .await;
            let page = match sent {
                Ok(page) => page,
                Err(error) => match error.as_service_error() {
                    Some(
                        DescribeImageScanFindingsError::ScanNotFoundException(_)
                        | DescribeImageScanFindingsError::ImageNotFoundException(_),
                    ) => return Ok(found),
                    _ => return Err(failed("ecr:DescribeImageScanFindings")(error).into()),
                },
            };
            if let Some(findings) = page.image_scan_findings() {
                found.extend(findings.findings().iter().map(|finding| {
                    let severity = finding.severity().map(|severity| severity.as_str());
                    (finding.name().unwrap_or("unnamed").to_owned(), rank(severity))
                }));
                found.extend(findings.enhanced_findings().iter().map(|finding| {
                    let id = finding
                        .package_vulnerability_details()
                        .and_then(|details| details.vulnerability_id())
                        .or(finding.finding_arn());
                    (id.unwrap_or("unnamed").to_owned(), rank(finding.severity()))
                }));
            }
            token = page.next_token;
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    /// Scans an image anew. ECR's basic scan takes one a day; under continuous scanning ECR refuses to be told to.
    ///
    /// # Errors
    /// `ServiceUnavailable`.
    pub async fn rescan(&self, repository: &str, digest: &str) -> Result<(), RespondError> {
        let image = ImageIdentifier::builder().image_digest(digest).build();
        let sent = self.ecr.start_image_scan().repository_name(repository).image_id(image).send().await;
        let Err(error) = sent else { return Ok(()) };
        let needless = error.as_service_error().is_some_and(|error| {
            error.is_limit_exceeded_exception()
                || error.is_validation_exception()
                || error.is_unsupported_image_type_exception()
        });
        if needless { Ok(()) } else { Err(failed("ecr:StartImageScan")(error).into()) }
    }

    /// Describes an endpoint; `None` when there is none.
    ///
    /// # Errors
    /// `ServiceUnavailable`.
    pub async fn endpoint(&self, name: &str) -> Result<Option<EndpointState>, RespondError> {
        let sent = self.sagemaker.describe_endpoint().endpoint_name(name).send().await;
        let Some(described) = present(sent.map_err(failed("sagemaker:DescribeEndpoint")))? else {
            return Ok(None);
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
            reason: described.failure_reason().map(str::to_owned),
            images,
        }))
    }

    /// What SageMaker would serve with a configuration; `None` when it, or its model, is gone.
    ///
    /// # Errors
    /// `ServiceUnavailable`.
    pub async fn serving(&self, config: &str) -> Result<Option<Serving>, RespondError> {
        let sent = self.sagemaker.describe_endpoint_config().endpoint_config_name(config).send().await;
        let Some(described) = present(sent.map_err(failed("sagemaker:DescribeEndpointConfig")))? else {
            return Ok(None);
        };
        let variants = described.production_variants().iter();
        let models: Vec<String> =
            variants.map(|variant| variant.model_name().unwrap_or_default().to_owned()).collect();
        let Some(name) = models.first() else { return Ok(Some(Serving::default())) };
        let sent = self.sagemaker.describe_model().model_name(name).send().await;
        let Some(model) = present(sent.map_err(failed("sagemaker:DescribeModel")))? else { return Ok(None) };
        let container = model.primary_container();
        let place = container
            .and_then(|container| container.model_data_source())
            .and_then(|source| source.s3_data_source())
            .and_then(|source| source.s3_uri());
        Ok(Some(Serving {
            image: container.and_then(|container| container.image()).unwrap_or_default().to_owned(),
            place: place.unwrap_or_default().to_owned(),
            models,
        }))
    }

    /// Has an endpoint serve an earlier configuration: all at once, with the capacity that it has now. No alarm rolls
    /// this back: what it would go back to is what is bad.
    ///
    /// # Errors
    /// `ServiceUnavailable`.
    pub async fn update(&self, endpoint: &str, config: &str) -> Result<(), RespondError> {
        let routing = TrafficRoutingConfig::builder()
            .r#type(TrafficRoutingConfigType::AllAtOnce)
            .wait_interval_in_seconds(0)
            .build();
        let blue_green = BlueGreenUpdatePolicy::builder()
            .traffic_routing_configuration(routing)
            .termination_wait_in_seconds(0)
            .maximum_execution_timeout_in_seconds(3600);
        let deployment = DeploymentConfig::builder().blue_green_update_policy(blue_green.build());
        let sent = self
            .sagemaker
            .update_endpoint()
            .endpoint_name(endpoint)
            .endpoint_config_name(config)
            .retain_all_variant_properties(true)
            .deployment_config(deployment.build())
            .send()
            .await;
        sent.map_err(failed("sagemaker:UpdateEndpoint"))?;
        Ok(())
    }

    /// Stops serving. An endpoint that is gone is what this wants.
    ///
    /// # Errors
    /// `ServiceUnavailable`.
    pub async fn delete(&self, endpoint: &str) -> Result<(), RespondError> {
        let sent = self.sagemaker.delete_endpoint().endpoint_name(endpoint).send().await;
        present(sent.map_err(failed("sagemaker:DeleteEndpoint")))?;
        Ok(())
    }

    /// Withdraws a package's approval.
    ///
    /// # Errors
    /// `ServiceUnavailable`.
    pub async fn reject(&self, package: &str, reason: &str) -> Result<(), RespondError> {
        let sent = self
            .sagemaker
            .update_model_package()
            .model_package_arn(package)
            .model_approval_status(ModelApprovalStatus::Rejected)
            .approval_description(reason.chars().take(1024).collect::<String>())
            .send()
            .await;
        present(sent.map_err(failed("sagemaker:UpdateModelPackage")))?;
        Ok(())
    }
}

/// ECR's severity by its wire name; only critical ones are asked for here.
fn rank(severity: Option<&str>) -> Severity {
    match severity {
        Some("CRITICAL") => Severity::Critical,
        Some("HIGH") => Severity::High,
        Some("MEDIUM") => Severity::Medium,
        Some("LOW") => Severity::Low,
        Some("INFORMATIONAL") => Severity::Informational,
        _ => Severity::Undefined,
    }
}

/// A resolved image's repository and digest: `<registry>/<repository>@<digest>`.
pub fn split(image: &str) -> Option<(&str, &str)> {
    image.split_once('/')?.1.split_once('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolved_image_names_its_repository_and_digest() {
        let image = "111122223333.dkr.ecr.us-east-1.amazonaws.com/lockstep/model-container@sha256:ab";
        assert_eq!(split(image), Some(("lockstep/model-container", "sha256:ab")));
        assert_eq!(split("model-container:1.0"), None);
    }
}
