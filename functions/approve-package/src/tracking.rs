//! The run as a trial component: parameters and metrics, beside those of the same group's other runs.

use aws_sdk_sagemaker::{
    Client,
    types::{
        TrialComponentArtifact, TrialComponentParameterValue, TrialComponentPrimaryStatus,
        TrialComponentStatus,
    },
};
use contract::{Artifact, Evaluation, RunPlan};
use runtime::failed;

use crate::{error::ApproveError, lineage::exists};

/// SageMaker keeps this many parameters of a component.
const PARAMETERS_MAX: usize = 300;

/// Writes it down, unless an earlier try of this run has.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn record(
    sagemaker: &Client,
    plan: &RunPlan,
    artifact: &Artifact,
    evaluation: &Evaluation,
    work_bucket: &str,
) -> Result<(), ApproveError> {
    let group = &plan.request.registry.model_package_group;
    let name = plan.run_id.serving_name();
    ensure("sagemaker:CreateExperiment", sagemaker.create_experiment().experiment_name(group).send().await)?;
    let trial = sagemaker.create_trial().trial_name(&name).experiment_name(group);
    ensure("sagemaker:CreateTrial", trial.send().await)?;
    let status = TrialComponentStatus::builder().primary_status(TrialComponentPrimaryStatus::Completed);
    let mut component = sagemaker
        .create_trial_component()
        .trial_component_name(&name)
        .status(status.build())
        .input_artifacts("training-data", located(plan.request.training.data.uri.to_string()))
        .input_artifacts("evaluation-data", located(plan.request.evaluation.data.uri.to_string()))
        .output_artifacts("model", located(format!("s3://{work_bucket}/{}", artifact.prefix)));
    for (name, value) in parameters(plan, evaluation) {
        component = component.parameters(name, value);
    }
    ensure("sagemaker:CreateTrialComponent", component.send().await)?;
    let associated =
        sagemaker.associate_trial_component().trial_component_name(&name).trial_name(&name).send().await;
    associated.map_err(failed("sagemaker:AssociateTrialComponent"))?;
    Ok(())
}

/// Hyperparameters, and the metrics before and after: CreateTrialComponent takes no metrics.
fn parameters(
    plan: &RunPlan,
    evaluation: &Evaluation,
) -> impl Iterator<Item = (String, TrialComponentParameterValue)> {
    let number = TrialComponentParameterValue::NumberValue;
    let scores = [("before", &evaluation.before), ("after", &evaluation.after)];
    let metrics = scores.into_iter().flat_map(move |(when, score)| {
        score.iter().map(move |(name, value)| (format!("{when}.{name}"), number(*value)))
    });
    let chosen = plan.request.training.hyperparameters.iter();
    let chosen = chosen.map(|(name, value)| {
        let value = value.parse().map_or_else(
            |_| TrialComponentParameterValue::StringValue(value.clone()),
            TrialComponentParameterValue::NumberValue,
        );
        (name.clone(), value)
    });
    metrics.chain(chosen).take(PARAMETERS_MAX).collect::<Vec<_>>().into_iter()
}

fn located(uri: String) -> TrialComponentArtifact {
    TrialComponentArtifact::builder().value(uri).build()
}

/// That it is there already is as good as making it.
fn ensure<T, E>(
    operation: &'static str,
    sent: Result<T, aws_sdk_sagemaker::error::SdkError<E>>,
) -> Result<(), ApproveError>
where
    E: aws_sdk_sagemaker::error::ProvideErrorMetadata + std::error::Error + 'static,
{
    match sent {
        Ok(_) => Ok(()),
        Err(error) => {
            let failure = failed(operation)(error);
            if exists(&failure) { Ok(()) } else { Err(failure.into()) }
        }
    }
}
