//! Nothing with a running cost outlives a run that did not succeed (invariant 9).

use aws_config::SdkConfig;
use aws_sdk_sagemaker::{operation::describe_endpoint::DescribeEndpointOutput, types::EndpointStatus};
use contract::RunId;
use runtime::{AwsFailure, Error, FormerVersion, failed, is_missing};

/// Takes down what a run started.
pub struct Cleanup {
    sagemaker: aws_sdk_sagemaker::Client,
}

/// A resource that is gone, or that is already ending, is what cleaning up wants.
fn gone_is_fine(sent: Result<(), AwsFailure>) -> Result<(), Error> {
    match sent {
        Err(failure) if is_missing(&failure) || failure.code == "ValidationException" => Ok(()),
        other => Ok(other?),
    }
}

/// Whether SageMaker refuses to touch it now.
fn is_in_motion(described: &DescribeEndpointOutput) -> bool {
    let status = described.endpoint_status().map(EndpointStatus::as_str).unwrap_or_default();
    matches!(status, "Creating" | "Updating" | "SystemUpdating" | "RollingBack" | "Deleting")
}

impl Cleanup {
    /// Over a configuration.
    pub fn new(config: &SdkConfig) -> Self {
        Self { sagemaker: aws_sdk_sagemaker::Client::new(config) }
    }

    /// Stops the run's jobs. Their names are derived from the run, so no list is needed that could be lost.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn stop_jobs(&self, run: &RunId) -> Result<(), Error> {
        let sent = self.sagemaker.stop_training_job().training_job_name(run.training_job()).send().await;
        gone_is_fine(sent.map(drop).map_err(failed("sagemaker:StopTrainingJob")))?;
        let sent =
            self.sagemaker.stop_processing_job().processing_job_name(run.evaluation_job()).send().await;
        gone_is_fine(sent.map(drop).map_err(failed("sagemaker:StopProcessingJob")))
    }

    /// Removes the temporary endpoint of the run's smoke test, its configuration and its model. Returns whether
    /// everything is in its final state.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn withdraw_smoke_test(&self, run: &RunId) -> Result<bool, Error> {
        let name = run.smoke_test_name();
        if let Some(described) = self.describe(&name).await? {
            if is_in_motion(&described) {
                return Ok(false);
            }
            self.delete_endpoint(&name).await?;
        }
        self.delete_version(&name).await.map(|()| true)
    }

    /// Removes a configuration, and its model, that served an endpoint before the last two. Returns whether it is no
    /// longer to be looked after: what serves again, since somebody rolled back, stays.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn remove_former(&self, former: &FormerVersion) -> Result<bool, Error> {
        if let Some(described) = self.describe(&former.endpoint).await? {
            if is_in_motion(&described) {
                return Ok(false);
            }
            if described.endpoint_config_name() == Some(former.config.as_str()) {
                return Ok(true);
            }
        }
        self.delete_version(&former.config).await.map(|()| true)
    }

    async fn describe(&self, endpoint: &str) -> Result<Option<DescribeEndpointOutput>, Error> {
        match self.sagemaker.describe_endpoint().endpoint_name(endpoint).send().await {
            Ok(described) => Ok(Some(described)),
            Err(error) => match failed("sagemaker:DescribeEndpoint")(error) {
                failure if is_missing(&failure) => Ok(None),
                failure => Err(failure.into()),
            },
        }
    }

    async fn delete_endpoint(&self, name: &str) -> Result<(), Error> {
        let sent = self.sagemaker.delete_endpoint().endpoint_name(name).send().await;
        gone_is_fine(sent.map(drop).map_err(failed("sagemaker:DeleteEndpoint")))
    }

    /// A configuration and the model of the same name.
    async fn delete_version(&self, name: &str) -> Result<(), Error> {
        let sent = self.sagemaker.delete_endpoint_config().endpoint_config_name(name).send().await;
        gone_is_fine(sent.map(drop).map_err(failed("sagemaker:DeleteEndpointConfig")))?;
        let sent = self.sagemaker.delete_model().model_name(name).send().await;
        gone_is_fine(sent.map(drop).map_err(failed("sagemaker:DeleteModel")))
    }

    /// Removes the run's configuration and model from an endpoint that does not serve them, and the endpoint
    /// itself when this run made it. Returns whether everything is in its final state.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn withdraw(&self, run: &RunId, endpoint: &str, served_before: bool) -> Result<bool, Error> {
        let ours = run.serving_name();
        if let Some(described) = self.describe(endpoint).await? {
            if is_in_motion(&described) {
                // SageMaker refuses to touch it now; the sweep comes back.
                return Ok(false);
            }
            if described.endpoint_config_name() == Some(ours.as_str()) {
                if served_before && described.endpoint_status() == Some(&EndpointStatus::InService) {
                    // The update went through before the run was stopped: taking it down would leave nothing.
                    return Ok(true);
                }
                self.delete_endpoint(endpoint).await?;
            }
        }
        self.delete_version(&ours).await.map(|()| true)
    }
}
