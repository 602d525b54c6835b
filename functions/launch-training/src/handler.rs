//! The story of training: record the wait, start the job once, and describe it afresh when it has ended.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_sagemaker::types::TrainingJobStatus;
use contract::{
    Acquired, Gate, Manifest, RunContext, RunPlan, TaskToken, TrainInput, Training, Wait, WaitKind,
};
use evidence::{DOCUMENT, PROMOTED_PATH, Promoted, Subject};
use runtime::{Attestor, Callback, Environment, Evidence, Inputs, Objects, Passed, failed};
use serde::Serialize;

use crate::{aws, error::TrainError, policy, settings::Settings};

/// The function.
pub struct LaunchTraining {
    settings: Settings,
    sagemaker: aws_sdk_sagemaker::Client,
    inputs: Inputs,
    objects: Objects,
    evidence: Evidence,
    attestor: Attestor,
    callback: Callback,
}

/// What a step answers.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Output {
    /// The wait is recorded, or answered at once.
    Waiting {},
    /// The job ended well.
    Trained(Box<Training>),
}

impl LaunchTraining {
    /// From the environment.
    ///
    /// # Errors
    /// [`runtime::Error::Misconfigured`].
    pub fn new(config: &SdkConfig) -> Result<Self, runtime::Error> {
        let mut environment = Environment::of("launch-training");
        let s3 = aws_sdk_s3::Client::new(config);
        let attestor = Attestor::read(&mut environment, config);
        let function = Self {
            settings: Settings::read(&mut environment),
            sagemaker: aws_sdk_sagemaker::Client::new(config),
            objects: Objects::new(s3.clone()),
            evidence: Evidence::new(s3.clone(), attestor.bucket().to_owned()),
            attestor,
            callback: Callback::read(&mut environment, config),
            inputs: Inputs::new(s3),
        };
        environment.finish(function)
    }

    /// One step.
    pub async fn handle(&self, input: TrainInput) -> Result<Output, TrainError> {
        match input {
            TrainInput::Train { run, acquired, task_token } => {
                self.launch(run, &acquired, task_token).await.map(|()| Output::Waiting {})
            }
            TrainInput::RecheckTraining { run, acquired } => {
                self.recheck(&run, &acquired).await.map(|training| Output::Trained(Box::new(training)))
            }
            TrainInput::CarryTraining { run, acquired } => {
                self.carry(&run, &acquired).await.map(|training| Output::Trained(Box::new(training)))
            }
        }
    }

    async fn launch(&self, run: RunContext, acquired: &Acquired, token: TaskToken) -> Result<(), TrainError> {
        self.settings.policy.check(&run)?;
        let plan = self.objects.plan(&run).await?;
        self.inputs_unchanged(&plan, acquired).await?;
        let job = run.run_id.training_job();
        let wait = Wait {
            kind: WaitKind::TrainingJob,
            resource: job.clone(),
            run_id: run.run_id,
            execution_arn: run.execution_arn,
            token,
            expected: None,
        };
        self.nothing_to_go_on_from(&plan, &job).await?;
        // The wait first: the job's event may come before this function returns.
        self.callback.coordination().put_wait(&wait).await?;
        aws::start(&self.sagemaker, &self.settings, &plan, acquired).await?;
        let described = aws::describe(&self.sagemaker, &job).await?;
        let status = described.as_ref().and_then(|job| job.training_job_status());
        if matches!(
            status,
            Some(TrainingJobStatus::Completed | TrainingJobStatus::Failed | TrainingJobStatus::Stopped)
        ) {
            // A retry found the job already ended; its event may be long gone.
            self.callback.succeed(&wait).await?;
        }
        Ok(())
    }

    async fn recheck(&self, run: &RunContext, acquired: &Acquired) -> Result<Training, TrainError> {
        self.settings.policy.check(run)?;
        let plan = self.objects.plan(run).await?;
        let name = run.run_id.training_job();
        let Some(job) = aws::describe(&self.sagemaker, &name).await? else {
            return Err(TrainError::Failed { job: name, reason: "it does not exist".to_owned() });
        };
        if job.training_job_status() == Some(&TrainingJobStatus::InProgress) {
            self.stop(&name).await?;
        }
        policy::ended_well(&name, job.training_job_status(), job.secondary_status(), job.failure_reason())?;
        aws::is_ours(&job, &self.settings, &plan, acquired)?;
        self.inputs_unchanged(&plan, acquired).await?;

        let output_prefix = aws::output_prefix(&plan);
        let training = &plan.request.training;
        let mut facts = BTreeMap::from([
            ("training_job".to_owned(), name.clone()),
            ("training_job_arn".to_owned(), job.training_job_arn().unwrap_or_default().to_owned()),
            ("image".to_owned(), plan.image.digest.clone()),
            ("model".to_owned(), acquired.model.content_sha256.to_string()),
            ("training_data".to_owned(), training.data.sha256.to_string()),
            ("training_data_version".to_owned(), training.data.version_id.clone()),
            ("output_prefix".to_owned(), output_prefix.clone()),
        ]);
        for (name, value) in &training.hyperparameters {
            facts.insert(format!("hyperparameter.{name}"), value.clone());
        }
        let subject = Subject::new(&name, &training.data.sha256);
        let before = [&acquired.model.link, &acquired.image.link];
        let billable_seconds = i64::from(job.billable_time_in_seconds().unwrap_or(0));
        facts.insert("billable_seconds".to_owned(), billable_seconds.to_string());
        let passed = Passed { gate: Gate::Train, subject, predecessors: &before, facts, carries: Vec::new() };
        let link = self.attestor.pass(&run.run_id, &run.policy_sha256, passed).await?;
        let time = |at: Option<&aws_sdk_sagemaker::primitives::DateTime>| at.map(ToString::to_string);
        Ok(Training {
            job_name: name,
            job_arn: job.training_job_arn().unwrap_or_default().to_owned(),
            started_at: time(job.training_start_time()),
            ended_at: time(job.training_end_time()),
            model_location: format!("s3://{}/{}", self.settings.work_bucket, acquired.model.prefix),
            model_sha256: acquired.model.content_sha256.clone(),
            output_bucket: self.settings.work_bucket.clone(),
            output_prefix,
            artifact_sha256: None,
            billable_seconds,
            link,
        })
    }

    /// Takes over what a promoted run trained, if its evidence holds and is about this very source, image and training.
    async fn carry(&self, run: &RunContext, acquired: &Acquired) -> Result<Training, TrainError> {
        self.settings.policy.check(run)?;
        let plan = self.objects.plan(run).await?;
        let promotion = plan.request.promotion.as_ref().ok_or(TrainError::NotPromoting)?;
        let place = &promotion.evidence;
        let bundle = self.objects.bytes(place.bucket(), place.key(), None).await?.unwrap_or_default();
        let trust = self.evidence.trust_root(&self.settings.trust).await?;
        let promoted = Promoted::open(&bundle, promotion, &trust)?;
        promoted.suits(&plan)?;
        let ours = &acquired.model.content_sha256;
        let theirs = promoted.fact(Gate::Train, "model").unwrap_or_default();
        if theirs != ours.as_str() {
            return Err(TrainError::OtherModel { theirs: theirs.to_owned(), ours: ours.clone() });
        }

        let output_prefix = promotion.artifact_prefix();
        let mut facts = promoted.training_facts();
        let fact = |name: &str| facts.get(name).cloned().unwrap_or_default();
        let (job_name, job_arn) = (fact("training_job"), fact("training_job_arn"));
        facts.extend([
            ("output_prefix".to_owned(), output_prefix.clone()),
            // It was billed where it ran.
            ("billable_seconds".to_owned(), "0".to_owned()),
            ("promoted_run".to_owned(), promotion.run_id.to_string()),
            ("promoted_evidence".to_owned(), promotion.evidence_sha256.to_string()),
        ]);
        facts.extend(promoted.training_rows().map(|rows| ("training_rows".to_owned(), rows.to_owned())));
        let subject = Subject::new(&job_name, &plan.request.training.data.sha256);
        let carried = self.attestor.carry_as_it_is(&run.run_id, PROMOTED_PATH, DOCUMENT, &bundle).await?;
        let before = [&acquired.model.link, &acquired.image.link];
        let passed =
            Passed { gate: Gate::Train, subject, predecessors: &before, facts, carries: vec![carried] };
        let link = self.attestor.pass(&run.run_id, &run.policy_sha256, passed).await?;
        let times = promoted.provenance().map(|provenance| provenance.run_details.metadata);
        Ok(Training {
            job_name,
            job_arn,
            started_at: times.as_ref().and_then(|times| times.started_on.clone()),
            ended_at: times.and_then(|times| times.finished_on),
            model_location: format!("s3://{}/{}", self.settings.work_bucket, acquired.model.prefix),
            model_sha256: ours.clone(),
            output_bucket: place.bucket().to_owned(),
            output_prefix,
            artifact_sha256: promoted.artifact(),
            billable_seconds: 0,
            link,
        })
    }

    /// Checked before the job starts and after it has ended: SageMaker reads whenever it gets to it.
    async fn inputs_unchanged(&self, plan: &RunPlan, acquired: &Acquired) -> Result<(), TrainError> {
        let sealed: Manifest = self.objects.read(&acquired.model.manifest).await?;
        let bucket = &self.settings.work_bucket;
        let changes = [
            self.inputs.pin_change(&plan.request.training.data).await?,
            self.inputs.prefix_change(bucket, &acquired.model.prefix, &sealed).await?,
        ];
        match changes.into_iter().flatten().next() {
            Some(change) => Err(TrainError::DataChanged(change)),
            None => Ok(()),
        }
    }

    /// A job reads what lies in its checkpoints' place before it begins: nothing may lie there that it did not leave
    /// itself (invariant 11).
    async fn nothing_to_go_on_from(&self, plan: &RunPlan, job: &str) -> Result<(), TrainError> {
        if plan.request.training.spot.is_none() || aws::describe(&self.sagemaker, job).await?.is_some() {
            return Ok(());
        }
        let prefix = aws::checkpoint_prefix(plan);
        let found = self.inputs.latest_versions(&self.settings.work_bucket, &prefix).await?;
        match found.into_keys().next() {
            None => Ok(()),
            Some(path) => {
                let object = format!("s3://{}/{prefix}{path}", self.settings.work_bucket);
                Err(TrainError::CheckpointPlanted { object })
            }
        }
    }

    async fn stop(&self, job: &str) -> Result<(), TrainError> {
        self.sagemaker
            .stop_training_job()
            .training_job_name(job)
            .send()
            .await
            .map_err(failed("sagemaker:StopTrainingJob"))?;
        Ok(())
    }
}
