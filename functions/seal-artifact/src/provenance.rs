//! How the artefact came to be, in SLSA's words.

use std::collections::BTreeMap;

use contract::{RunPlan, Training};
use evidence::{BuildDefinition, BuildMetadata, Builder, Provenance, ResourceDescriptor, RunDetails};

/// A training job of SageMaker's.
const BUILD_TYPE: &str =
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html";
/// Who runs it.
const BUILDER: &str = "https://docs.aws.amazon.com/sagemaker/latest/dg/how-it-works-training.html";

/// The provenance of what a job wrote. `code_revision` is that of Lockstep's own deployment; the container's code is
/// the image's digest.
pub fn of(plan: &RunPlan, training: &Training, code_revision: &str) -> Provenance {
    let asked = &plan.request.training;
    let mut external = BTreeMap::from([
        ("source".to_owned(), format!("{}@{}", plan.request.source.repo, plan.request.source.revision)),
        ("instance_type".to_owned(), asked.instance_type.clone()),
        ("instance_count".to_owned(), asked.instance_count.to_string()),
    ]);
    for (name, value) in &asked.hyperparameters {
        external.insert(format!("hyperparameter.{name}"), value.clone());
    }
    let image = plan.image.digest.trim_start_matches("sha256:");
    let dependencies = vec![
        ResourceDescriptor::new("base model", &training.model_location, training.model_sha256.as_str()),
        ResourceDescriptor::new("training data", asked.data.uri.to_string(), asked.data.sha256.as_str())
            .annotated("s3_version_id", &asked.data.version_id),
        ResourceDescriptor::new("image", &plan.image.uri, image),
    ];
    Provenance {
        build_definition: BuildDefinition {
            build_type: BUILD_TYPE.to_owned(),
            external_parameters: external,
            internal_parameters: BTreeMap::from([("code_revision".to_owned(), code_revision.to_owned())]),
            resolved_dependencies: dependencies,
        },
        run_details: RunDetails {
            builder: Builder { id: BUILDER.to_owned() },
            metadata: BuildMetadata {
                invocation_id: training.job_arn.clone(),
                started_on: training.started_at.clone(),
                finished_on: training.ended_at.clone(),
            },
        },
    }
}
