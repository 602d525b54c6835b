//! Describes whatever a wait is for, and stops it when nobody waits any more.

use aws_sdk_ecr::{
    operation::describe_image_scan_findings::DescribeImageScanFindingsError, types::ImageIdentifier,
};
use contract::{Wait, WaitKind};
use runtime::{AwsFailure, Error, failed, is_missing};

use crate::policy::Described;

/// The clients.
pub struct Resources {
    sagemaker: aws_sdk_sagemaker::Client,
    ecr: aws_sdk_ecr::Client,
    sfn: aws_sdk_sfn::Client,
}

fn absent_or(failure: AwsFailure) -> Result<Described, Error> {
    if is_missing(&failure) { Ok(Described::default()) } else { Err(failure.into()) }
}

impl Resources {
    /// Over a configuration.
    pub fn new(config: &aws_config::SdkConfig) -> Self {
        Self {
            sagemaker: aws_sdk_sagemaker::Client::new(config),
            ecr: aws_sdk_ecr::Client::new(config),
            sfn: aws_sdk_sfn::Client::new(config),
        }
    }

    /// Describes a wait's resource afresh.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn describe(&self, wait: &Wait) -> Result<Described, Error> {
        let name = &wait.resource;
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        match wait.kind {
            WaitKind::TrainingJob => {
                match self.sagemaker.describe_training_job().training_job_name(name).send().await {
                    Ok(job) => Ok(Described {
                        status: text(job.training_job_status().map(|status| status.as_str())),
                        // A job that was stopped has no reason: at which limit it was is its secondary status.
                        reason: text(
                            job.failure_reason().or(job.secondary_status().map(|status| status.as_str())),
                        ),
                        config: None,
                    }),
                    Err(error) => absent_or(failed("sagemaker:DescribeTrainingJob")(error)),
                }
            }
            WaitKind::ProcessingJob => {
                match self.sagemaker.describe_processing_job().processing_job_name(name).send().await {
                    Ok(job) => Ok(Described {
                        status: text(job.processing_job_status().map(|status| status.as_str())),
                        reason: text(job.exit_message().or(job.failure_reason())),
                        config: None,
                    }),
                    Err(error) => absent_or(failed("sagemaker:DescribeProcessingJob")(error)),
                }
            }
            WaitKind::ModelPackage => {
                match self.sagemaker.describe_model_package().model_package_name(name).send().await {
                    Ok(package) => Ok(Described {
                        status: text(package.model_approval_status().map(|status| status.as_str())),
                        reason: text(package.approval_description()),
                        config: None,
                    }),
                    Err(error) => absent_or(failed("sagemaker:DescribeModelPackage")(error)),
                }
            }
            WaitKind::Endpoint => match self.sagemaker.describe_endpoint().endpoint_name(name).send().await {
                Ok(endpoint) => Ok(Described {
                    status: text(endpoint.endpoint_status().map(|status| status.as_str())),
                    reason: text(endpoint.failure_reason()),
                    config: endpoint.endpoint_config_name().map(str::to_owned),
                }),
                Err(error) => absent_or(failed("sagemaker:DescribeEndpoint")(error)),
            },
            WaitKind::ImageScan => self.describe_scan(name).await,
        }
    }

    async fn describe_scan(&self, resource: &str) -> Result<Described, Error> {
        let (repository, digest) = resource.split_once('@').unwrap_or((resource, ""));
        let sent = self
            .ecr
            .describe_image_scan_findings()
            .repository_name(repository)
            .image_id(ImageIdentifier::builder().image_digest(digest).build())
            .send()
            .await;
        match sent {
            Ok(scan) => {
                let status = scan.image_scan_status().and_then(|status| status.status()).map(|s| s.as_str());
                Ok(Described { status: status.unwrap_or_default().to_owned(), ..Described::default() })
            }
            Err(error) => match error.as_service_error() {
                Some(
                    DescribeImageScanFindingsError::ScanNotFoundException(_)
                    | DescribeImageScanFindingsError::ImageNotFoundException(_),
                ) => Ok(Described::default()),
                _ => Err(failed("ecr:DescribeImageScanFindings")(error).into()),
            },
        }
    }

    /// Stops a job that belongs to an execution that is no longer running (invariant 9). Endpoints are taken
    /// down by `seal-run`, which knows whether another model served before.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn stop(&self, wait: &Wait) -> Result<(), Error> {
        let sent = match wait.kind {
            WaitKind::TrainingJob => self
                .sagemaker
                .stop_training_job()
                .training_job_name(&wait.resource)
                .send()
                .await
                .map(drop)
                .map_err(failed("sagemaker:StopTrainingJob")),
            WaitKind::ProcessingJob => self
                .sagemaker
                .stop_processing_job()
                .processing_job_name(&wait.resource)
                .send()
                .await
                .map(drop)
                .map_err(failed("sagemaker:StopProcessingJob")),
            WaitKind::ModelPackage | WaitKind::Endpoint | WaitKind::ImageScan => Ok(()),
        };
        match sent {
            // It ended in between.
            Err(failure) if failure.code == "ValidationException" || failure.code == "ResourceNotFound" => {
                Ok(())
            }
            other => Ok(other?),
        }
    }

    /// Whether an execution still runs. One that Step Functions no longer knows does not.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn is_running(&self, execution_arn: &str) -> Result<bool, Error> {
        match self.sfn.describe_execution().execution_arn(execution_arn).send().await {
            Ok(execution) => Ok(matches!(
                execution.status(),
                aws_sdk_sfn::types::ExecutionStatus::Running
                    | aws_sdk_sfn::types::ExecutionStatus::PendingRedrive
            )),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_execution_does_not_exist()) => {
                Ok(false)
            }
            Err(error) => Err(failed("states:DescribeExecution")(error).into()),
        }
    }
}
