//! Nothing with a running cost outlives a run that did not succeed (invariant 9).

use aws_config::SdkConfig;
use contract::RunId;
use runtime::{AwsFailure, Error, failed, is_missing};

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

    /// Removes the run's configuration and model from an endpoint that does not serve them, and the endpoint
    /// itself when this run made it. Returns whether everything is in its final state.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn withdraw(&self, run: &RunId, endpoint: &str, served_before: bool) -> Result<bool, Error> {
        let ours = run.serving_name();
        let described = match self.sagemaker.describe_endpoint().endpoint_name(endpoint).send().await {
            Ok(described) => Some(described),
            Err(error) => {
                let failure = failed("sagemaker:DescribeEndpoint")(error);
                if !is_missing(&failure) {
                    return Err(failure.into());
                }
                None
            }
        };
        if let Some(described) = described {
            let status =
                described.endpoint_status().map(|status| status.as_str()).unwrap_or_default().to_owned();
            if matches!(
                status.as_str(),
                "Creating" | "Updating" | "SystemUpdating" | "RollingBack" | "Deleting"
            ) {
                // SageMaker refuses to touch it now; the sweep comes back.
                return Ok(false);
            }
            if described.endpoint_config_name() == Some(ours.as_str()) {
                if served_before && status == "InService" {
                    // The update went through before the run was stopped: taking it down would leave nothing.
                    return Ok(true);
                }
                let sent = self.sagemaker.delete_endpoint().endpoint_name(endpoint).send().await;
                gone_is_fine(sent.map(drop).map_err(failed("sagemaker:DeleteEndpoint")))?;
            }
        }
        let sent = self.sagemaker.delete_endpoint_config().endpoint_config_name(&ours).send().await;
        gone_is_fine(sent.map(drop).map_err(failed("sagemaker:DeleteEndpointConfig")))?;
        let sent = self.sagemaker.delete_model().model_name(&ours).send().await;
        gone_is_fine(sent.map(drop).map_err(failed("sagemaker:DeleteModel")))?;
        Ok(true)
    }
}
