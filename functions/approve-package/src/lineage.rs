//! The run's lineage: what came from what, as SageMaker's registry and Studio show it.
//!
//! It tells people what the evidence proves, and proves nothing itself.

use std::collections::BTreeMap;

use aws_sdk_sagemaker::{
    Client,
    types::{ActionSource, ActionStatus, ArtifactSource, AssociationEdgeType},
};
use contract::{Artifact, DataPin, RunPlan, Sha256Digest};
use runtime::{AwsFailure, failed};

use crate::{card_facts::Said, error::ApproveError};

/// A thing: weights, data, an image, a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// `Model`, `DataSet`, `Image`, `ModelPackage`.
    kind: &'static str,
    /// Where it lies; SageMaker keeps one artifact for each place.
    uri: String,
    /// Of its content.
    digest: String,
}

/// Something that was done, by a name of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    name: String,
    /// `ModelTraining`, `Evaluation`, `Approval`.
    kind: &'static str,
    /// The job's or the package's ARN.
    source: String,
    /// What went in.
    from: Vec<Thing>,
    /// What came out.
    to: Vec<Thing>,
    properties: BTreeMap<String, String>,
}

/// What was done until the package was registered.
pub fn until_registered(
    plan: &RunPlan,
    said: &Said,
    artifact: &Artifact,
    package: &str,
    work_bucket: &str,
) -> Vec<Deed> {
    let fact = |name: &str| said.train.facts.get(name).cloned().unwrap_or_default();
    let request = &plan.request;
    let thing = |kind, uri: String, digest: &str| Thing { kind, uri, digest: digest.to_owned() };
    let (training, evaluation) = (&request.training.data, &request.evaluation.data);
    let prefix = said.seal_model.facts.get("prefix").cloned().unwrap_or_default();
    let base = thing("Model", format!("s3://{work_bucket}/{prefix}"), &fact("model"));
    let image = thing("Image", plan.image.uri.clone(), &plan.image.digest);
    let candidate = candidate(artifact, work_bucket);
    let name = plan.run_id.serving_name();
    vec![
        Deed {
            name: format!("{name}-train"),
            kind: "ModelTraining",
            source: fact("training_job_arn"),
            from: vec![base, data_set(training), image.clone()],
            to: vec![candidate.clone()],
            properties: request.training.hyperparameters.clone(),
        },
        Deed {
            name: format!("{name}-evaluate"),
            kind: "Evaluation",
            source: plan.run_id.evaluation_job(),
            from: vec![candidate, data_set(evaluation), image],
            to: vec![self::package(package, artifact)],
            properties: BTreeMap::new(),
        },
    ]
}

/// Who approved.
pub fn approval(plan: &RunPlan, artifact: &Artifact, package: &str, approver: &str, reason: &str) -> Deed {
    Deed {
        name: format!("{}-approve", plan.run_id.serving_name()),
        kind: "Approval",
        source: package.to_owned(),
        from: Vec::new(),
        to: vec![self::package(package, artifact)],
        properties: BTreeMap::from([
            ("approver".to_owned(), approver.to_owned()),
            ("reason".to_owned(), reason.chars().take(256).collect()),
        ]),
    }
}

fn data_set(pin: &DataPin) -> Thing {
    let uri = format!("{}?versionId={}", pin.uri, pin.version_id);
    Thing { kind: "DataSet", uri, digest: pin.sha256.to_string() }
}

fn candidate(artifact: &Artifact, work_bucket: &str) -> Thing {
    let uri = format!("s3://{work_bucket}/{}", artifact.prefix);
    Thing { kind: "Model", uri, digest: artifact.content_sha256.to_string() }
}

fn package(arn: &str, artifact: &Artifact) -> Thing {
    Thing { kind: "ModelPackage", uri: arn.to_owned(), digest: artifact.content_sha256.to_string() }
}

/// Writes it down. What an earlier try of this run, or another run, has written is found and used.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn record(sagemaker: &Client, deeds: &[Deed]) -> Result<(), ApproveError> {
    for deed in deeds {
        let action = ensure_action(sagemaker, deed).await?;
        for thing in &deed.from {
            let artifact = ensure_artifact(sagemaker, thing).await?;
            associate(sagemaker, &artifact, &action, AssociationEdgeType::ContributedTo).await?;
        }
        for thing in &deed.to {
            let artifact = ensure_artifact(sagemaker, thing).await?;
            associate(sagemaker, &action, &artifact, AssociationEdgeType::Produced).await?;
        }
    }
    Ok(())
}

async fn ensure_action(sagemaker: &Client, deed: &Deed) -> Result<String, ApproveError> {
    let source = ActionSource::builder().source_uri(&deed.source).source_type(deed.kind);
    let sent = sagemaker
        .create_action()
        .action_name(&deed.name)
        .action_type(deed.kind)
        .source(source.build())
        .status(ActionStatus::Completed)
        .set_properties(Some(deed.properties.clone().into_iter().collect()))
        .send()
        .await;
    let failure = match sent {
        Ok(created) => return Ok(created.action_arn.unwrap_or_default()),
        Err(error) => failed("sagemaker:CreateAction")(error),
    };
    if !exists(&failure) {
        return Err(failure.into());
    }
    let found = sagemaker.describe_action().action_name(&deed.name).send().await;
    Ok(found.map_err(failed("sagemaker:DescribeAction"))?.action_arn.unwrap_or_default())
}

async fn ensure_artifact(sagemaker: &Client, thing: &Thing) -> Result<String, ApproveError> {
    let listed = sagemaker.list_artifacts().source_uri(&thing.uri).max_results(1).send().await;
    let listed = listed.map_err(failed("sagemaker:ListArtifacts"))?;
    if let Some(arn) = listed.artifact_summaries().iter().find_map(|known| known.artifact_arn()) {
        return Ok(arn.to_owned());
    }
    let source = ArtifactSource::builder().source_uri(&thing.uri);
    // Names are unique, and so is the place.
    let name = format!("{}-{}", thing.kind, &Sha256Digest::of(&thing.uri).as_str()[..16]);
    let sent = sagemaker
        .create_artifact()
        .artifact_name(name)
        .artifact_type(thing.kind)
        .source(source.build())
        .properties("digest", &thing.digest)
        .send()
        .await;
    match sent {
        Ok(created) => Ok(created.artifact_arn.unwrap_or_default()),
        Err(error) => Err(failed("sagemaker:CreateArtifact")(error).into()),
    }
}

async fn associate(
    sagemaker: &Client,
    source: &str,
    destination: &str,
    kind: AssociationEdgeType,
) -> Result<(), ApproveError> {
    let sent = sagemaker
        .add_association()
        .source_arn(source)
        .destination_arn(destination)
        .association_type(kind)
        .send()
        .await;
    match sent {
        Ok(_) => Ok(()),
        Err(error) => {
            let failure = failed("sagemaker:AddAssociation")(error);
            if exists(&failure) { Ok(()) } else { Err(failure.into()) }
        }
    }
}

/// AWS documents no code of its own for what is there already.
pub fn exists(failure: &AwsFailure) -> bool {
    failure.message.contains("already exists")
}
