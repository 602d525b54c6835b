//! Fills a model card from the request and from what the gates signed.

use std::collections::BTreeMap;

use contract::{Artifact, Evaluation, RunPlan};
use evidence::Link;
use serde_json::Value;

use crate::card::{self, CardFacts};

/// How every model of the pipeline is made.
const ALGORITHM: &str = "Supervised fine-tuning of a causal language model";

/// What the gates before said.
pub struct Said {
    /// Admission's link.
    pub admit: Link,
    /// The base model's.
    pub seal_model: Link,
    /// The image's findings'.
    pub judge_findings: Link,
    /// The training job's.
    pub train: Link,
    /// The artefact's.
    pub seal_artifact: Link,
    /// The metrics'.
    pub judge_metrics: Link,
}

impl Said {
    /// Each gate's verdict and when it signed, for whoever is to approve.
    pub fn verdicts(&self) -> BTreeMap<&'static str, String> {
        let links = [
            &self.admit,
            &self.seal_model,
            &self.judge_findings,
            &self.train,
            &self.seal_artifact,
            &self.judge_metrics,
        ];
        links
            .into_iter()
            .map(|link| (link.gate.as_str(), format!("{:?} {}", link.verdict, link.at)))
            .collect()
    }
}

/// The cards of a candidate.
pub struct Cards {
    /// For `CreateModelCard`.
    pub whole: Value,
    /// For `CreateModelPackage`, whose cards know less.
    pub of_package: Value,
}

/// Fills both.
pub fn cards(
    plan: &RunPlan,
    said: &Said,
    artifact: &Artifact,
    evaluation: &Evaluation,
    work_bucket: &str,
) -> Cards {
    let fact = |link: &Link, name: &str| link.facts.get(name).cloned().unwrap_or_default();
    let rows = |name: &str| fact(&said.admit, name).parse().unwrap_or(0);
    // A promoted run's were counted where it was trained.
    let trained_rows =
        said.admit.facts.get("training_rows").or_else(|| said.train.facts.get("training_rows"));
    let trained_rows = trained_rows.and_then(|rows| rows.parse().ok()).unwrap_or(0);
    let request = &plan.request;
    let (training, evaluated) = (&request.training, &request.evaluation);
    let thresholds: Vec<_> = evaluated
        .thresholds
        .iter()
        .map(|threshold| (threshold.metric.clone(), threshold.bound.to_string()))
        .collect();
    let notes = request.registry.card.clone().unwrap_or_default();
    let (commit, job_arn) = (fact(&said.seal_model, "commit"), fact(&said.train, "training_job_arn"));
    let (artifact_uri, metrics_uri) = (
        format!("s3://{work_bucket}/{}", artifact.prefix),
        format!("s3://{}/{}", evaluation.metrics.bucket, evaluation.metrics.key),
    );
    let (training_uri, evaluation_uri) = (training.data.uri.to_string(), evaluated.data.uri.to_string());
    let facts = CardFacts {
        run_id: plan.run_id.as_str(),
        model_name: &request.registry.model_package_group,
        base_model: &request.source.repo,
        commit: &commit,
        licence: said.seal_model.facts.get("licence").map(String::as_str),
        artifact_sha256: artifact.content_sha256.as_str(),
        artifact_uri: &artifact_uri,
        image_uri: &plan.image.uri,
        algorithm: ALGORITHM,
        training_job_arn: &job_arn,
        training_data_uri: &training_uri,
        training_data_sha256: training.data.sha256.as_str(),
        training_rows: trained_rows,
        hyperparameters: &training.hyperparameters,
        // The gate signed right after the job had ended.
        trained_on: said.train.at.get(..10).unwrap_or_default(),
        evaluation_job: &plan.run_id.evaluation_job(),
        evaluation_data_uri: &evaluation_uri,
        evaluation_data_sha256: evaluated.data.sha256.as_str(),
        evaluation_rows: rows("evaluation_rows"),
        metrics_uri: &metrics_uri,
        before: &evaluation.before,
        after: &evaluation.after,
        thresholds: &thresholds,
        intended_use: notes.intended_use.as_deref(),
        limitations: notes.limitations.as_deref(),
        ethical_considerations: notes.ethical_considerations.as_deref(),
        safety: notes.safety.as_deref(),
        submitter: plan.submitter.as_deref(),
    };
    Cards { whole: card::card(&facts), of_package: card::package_card(&facts) }
}
