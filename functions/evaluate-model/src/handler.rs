//! The story of evaluation: record the wait, start the job once, read what it wrote, and judge.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_sagemaker::types::ProcessingJobStatus;
use contract::{
    Acquired, Artifact, EvaluateInput, Evaluation, Gate, Manifest, ObjectRef, RunContext, RunPlan,
    Sha256Digest, TaskToken, Wait, WaitKind, bounds,
};
use evidence::{DOCUMENT, Subject, TEST_RESULT_PREDICATE};
use runtime::{Attestor, Callback, Environment, Inputs, Objects, Passed, failed};
use serde::Serialize;

use crate::{aws, baseline, error::EvaluateError, policy, settings::Settings};

/// The function.
pub struct EvaluateModel {
    settings: Settings,
    sagemaker: aws_sdk_sagemaker::Client,
    inputs: Inputs,
    objects: Objects,
    attestor: Attestor,
    callback: Callback,
}

/// What a step answers.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Output {
    /// The wait is recorded, or answered at once.
    Waiting {},
    /// The metrics pass.
    Judged(Evaluation),
}

impl EvaluateModel {
    /// From the environment.
    ///
    /// # Errors
    /// [`runtime::Error::Misconfigured`].
    pub fn new(config: &SdkConfig) -> Result<Self, runtime::Error> {
        let mut environment = Environment::of("evaluate-model");
        let s3 = aws_sdk_s3::Client::new(config);
        let function = Self {
            settings: Settings::read(&mut environment),
            sagemaker: aws_sdk_sagemaker::Client::new(config),
            objects: Objects::new(s3.clone()),
            inputs: Inputs::new(s3),
            attestor: Attestor::read(&mut environment, config),
            callback: Callback::read(&mut environment, config),
        };
        environment.finish(function)
    }

    /// One step.
    pub async fn handle(&self, input: EvaluateInput) -> Result<Output, EvaluateError> {
        match input {
            EvaluateInput::Evaluate { run, acquired, artifact, task_token } => {
                self.launch(run, &acquired, &artifact, task_token).await.map(|()| Output::Waiting {})
            }
            EvaluateInput::JudgeMetrics { run, artifact } => {
                self.judge(&run, &artifact).await.map(Output::Judged)
            }
        }
    }

    async fn launch(
        &self,
        run: RunContext,
        acquired: &Acquired,
        artifact: &Artifact,
        token: TaskToken,
    ) -> Result<(), EvaluateError> {
        self.settings.policy.check(&run)?;
        let plan = self.objects.plan(&run).await?;
        self.inputs_unchanged(&plan, artifact).await?;
        let job = run.run_id.evaluation_job();
        let wait = Wait {
            kind: WaitKind::ProcessingJob,
            resource: job.clone(),
            run_id: run.run_id,
            execution_arn: run.execution_arn,
            token,
            expected: None,
        };
        // The wait first: the job's event may come before this function returns.
        self.callback.coordination().put_wait(&wait).await?;
        aws::start(&self.sagemaker, &self.settings, &plan, acquired, artifact).await?;
        let described = aws::describe(&self.sagemaker, &job).await?;
        let status = described.as_ref().map(|job| job.processing_job_status().cloned()).unwrap_or_default();
        if matches!(
            status,
            Some(ProcessingJobStatus::Completed | ProcessingJobStatus::Failed | ProcessingJobStatus::Stopped)
        ) {
            // A retry found the job already ended; its event may be long gone.
            self.callback.succeed(&wait).await?;
        }
        Ok(())
    }

    async fn judge(&self, run: &RunContext, artifact: &Artifact) -> Result<Evaluation, EvaluateError> {
        self.settings.policy.check(run)?;
        let plan = self.objects.plan(run).await?;
        let billable_seconds = self.job_ended_well(&plan, artifact).await?;
        self.inputs_unchanged(&plan, artifact).await?;

        let bucket = &self.settings.work_bucket;
        let key = aws::metrics_key(&plan);
        let Some(bytes) = self.objects.bytes(bucket, &key, None).await? else {
            return Err(EvaluateError::MetricsInvalid(format!("the job wrote no s3://{bucket}/{key}")));
        };
        let thresholds = &plan.request.evaluation.thresholds;
        let metrics = policy::judge(&bytes, &plan.request.evaluation)?;

        let sha256 = Sha256Digest::of(&bytes);
        let mut facts = BTreeMap::from([
            ("artifact".to_owned(), artifact.content_sha256.to_string()),
            ("image".to_owned(), plan.image.digest.clone()),
            ("evaluation_job".to_owned(), run.run_id.evaluation_job()),
            ("evaluation_data".to_owned(), plan.request.evaluation.data.sha256.to_string()),
            ("evaluation_data_version".to_owned(), plan.request.evaluation.data.version_id.clone()),
            ("metrics".to_owned(), sha256.to_string()),
            ("billable_seconds".to_owned(), billable_seconds.to_string()),
        ]);
        for (name, value) in &metrics.before {
            facts.insert(format!("before.{name}"), value.to_string());
        }
        for (name, value) in &metrics.after {
            facts.insert(format!("after.{name}"), value.to_string());
        }
        for (metric, bound) in bounds(thresholds) {
            facts.insert(format!("threshold.{metric}"), bound);
        }
        if let Some(groups) = &plan.request.evaluation.groups {
            facts.extend(policy::group_facts(&metrics, groups));
        }
        let attestor = &self.attestor;
        let measured = "evaluate-model/metrics.json";
        let result = "evaluate-model/test-result.json";
        let tested = Subject::new(&artifact.prefix, &artifact.content_sha256);
        let statement = policy::test_result(&plan, &metrics);
        let carries = vec![
            attestor.carry_as_it_is(&run.run_id, measured, DOCUMENT, &bytes).await?,
            attestor.carry(&run.run_id, result, tested, TEST_RESULT_PREDICATE, statement).await?,
        ];
        if let Some(baseline) = self.baseline(&plan).await? {
            // It samples rows: the evidence, which nobody can delete from, has its digest alone.
            let key = run.run_id.baseline_key();
            let stored = self.objects.write_bytes(&self.settings.work_bucket, &key, &baseline).await?;
            facts.insert("baseline".to_owned(), stored.sha256.to_string());
        }
        let passed = Passed {
            gate: Gate::JudgeMetrics,
            subject: Subject::new("metrics.json", &sha256),
            predecessors: &[&artifact.link],
            facts,
            carries,
        };
        let link = attestor.pass(&run.run_id, &run.policy_sha256, passed).await?;
        let place = ObjectRef { bucket: bucket.clone(), key, sha256 };
        Ok(Evaluation { before: metrics.before, after: metrics.after, metrics: place, link })
    }

    /// What traffic will be compared with, if the job answered held-out rows.
    async fn baseline(&self, plan: &RunPlan) -> Result<Option<Vec<u8>>, EvaluateError> {
        let key = aws::predictions_key(plan);
        let predictions = self.objects.bytes(&self.settings.work_bucket, &key, None).await?;
        let monitoring = plan.request.monitoring.clone().unwrap_or_default();
        Ok(predictions.and_then(|predictions| baseline::of(&predictions, &monitoring.settings)))
    }

    /// The seconds that it is billed for: SageMaker bills a processing job from its start to its end.
    async fn job_ended_well(&self, plan: &RunPlan, artifact: &Artifact) -> Result<i64, EvaluateError> {
        let name = plan.run_id.evaluation_job();
        let failed = |reason: String| Err(EvaluateError::Failed { job: name.clone(), reason });
        let Some(job) = aws::describe(&self.sagemaker, &name).await? else {
            return failed("it does not exist".to_owned());
        };
        match job.processing_job_status() {
            Some(ProcessingJobStatus::Completed) => {
                aws::is_ours(&job, &self.settings, plan, artifact)?;
                let times = job.processing_start_time().zip(job.processing_end_time());
                Ok(times.map_or(0, |(start, end)| end.secs() - start.secs()))
            }
            Some(ProcessingJobStatus::InProgress) => {
                self.stop(&name).await?;
                failed("it did not end in time".to_owned())
            }
            status => {
                let said = job.exit_message().or(job.failure_reason()).unwrap_or("no reason given");
                failed(format!(
                    "its status is {}: {said}",
                    status.map_or("unknown", |status| status.as_str())
                ))
            }
        }
    }

    /// Checked before the job starts and after it has ended (invariant 11).
    async fn inputs_unchanged(&self, plan: &RunPlan, artifact: &Artifact) -> Result<(), EvaluateError> {
        let sealed: Manifest = self.objects.read(&artifact.manifest).await?;
        let bucket = &self.settings.work_bucket;
        let changes = [
            self.inputs.pin_change(&plan.request.evaluation.data).await?,
            self.inputs.prefix_change(bucket, &artifact.prefix, &sealed).await?,
        ];
        match changes.into_iter().flatten().next() {
            Some(change) => Err(EvaluateError::DataChanged(change)),
            None => Ok(()),
        }
    }

    async fn stop(&self, job: &str) -> Result<(), EvaluateError> {
        self.sagemaker
            .stop_processing_job()
            .processing_job_name(job)
            .send()
            .await
            .map_err(failed("sagemaker:StopProcessingJob"))?;
        Ok(())
    }
}
