//! The story of approval: register, ask, and sign who approved which digest.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use aws_sdk_sagemaker::types::ModelApprovalStatus;
use contract::{
    Approval, ApproveInput, Artifact, Evaluation, Gate, Package, Policy, RunContext, RunPlan, TaskToken,
    Wait, WaitKind,
};
use evidence::{Carried, DOCUMENT, Subject};
use jiff::Timestamp;
use runtime::{Attestor, Callback, Environment, Evidence, Objects, Passed, failed};
use serde::Serialize;

use crate::{
    aws,
    card_facts::{self, Said},
    error::ApproveError,
    lineage,
    policy::{self, Decision},
    settings::Settings,
    tracking,
};

/// Where the model card lies below the run's prefix.
const CARD: &str = "approve-package/model-card.json";

/// The function.
pub struct ApprovePackage {
    settings: Settings,
    sagemaker: aws_sdk_sagemaker::Client,
    sns: aws_sdk_sns::Client,
    objects: Objects,
    evidence: Evidence,
    attestor: Attestor,
    callback: Callback,
}

/// What a step answers.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Output {
    /// The package is registered.
    Registered(Package),
    /// The wait is recorded, or answered at once.
    Waiting {},
    /// The package is approved.
    Approved(Approval),
}

/// What the approver is sent: the digest to approve and the verdicts so far. No secret, no task token.
#[derive(Serialize)]
struct ApprovalRequest<'a> {
    kind: &'static str,
    run_id: &'a str,
    package: &'a str,
    artifact_sha256: &'a str,
    image: &'a str,
    endpoint: &'a str,
    serving: Option<&'a str>,
    source: String,
    before: &'a contract::Score,
    after: &'a contract::Score,
    thresholds: &'a [contract::Threshold],
    verdicts: BTreeMap<&'static str, String>,
    how: String,
}

impl ApprovePackage {
    /// From the environment.
    ///
    /// # Errors
    /// [`runtime::Error::Misconfigured`].
    pub fn new(config: &SdkConfig) -> Result<Self, runtime::Error> {
        let mut environment = Environment::of("approve-package");
        let s3 = aws_sdk_s3::Client::new(config);
        let attestor = Attestor::read(&mut environment, config);
        let function = Self {
            settings: Settings::read(&mut environment),
            sagemaker: aws_sdk_sagemaker::Client::new(config),
            sns: aws_sdk_sns::Client::new(config),
            objects: Objects::new(s3.clone()),
            evidence: Evidence::new(s3, attestor.bucket().to_owned()),
            attestor,
            callback: Callback::read(&mut environment, config),
        };
        environment.finish(function)
    }

    /// One step.
    pub async fn handle(&self, input: ApproveInput) -> Result<Output, ApproveError> {
        match input {
            ApproveInput::Register { run, artifact, evaluation } => {
                self.register(&run, &artifact, &evaluation).await.map(Output::Registered)
            }
            ApproveInput::AwaitApproval { run, artifact, evaluation, package, task_token } => {
                self.ask(run, &artifact, &evaluation, &package, task_token).await.map(|()| Output::Waiting {})
            }
            ApproveInput::RecheckApproval { run, artifact, evaluation, package } => {
                self.recheck(&run, &artifact, &evaluation, &package).await.map(Output::Approved)
            }
        }
    }

    async fn register(
        &self,
        run: &RunContext,
        artifact: &Artifact,
        evaluation: &Evaluation,
    ) -> Result<Package, ApproveError> {
        self.settings.policy.check(run)?;
        let plan = self.objects.plan(run).await?;
        aws::ensure_group(&self.sagemaker, &plan.request.registry.model_package_group).await?;
        let said = self.said(run).await?;
        let cards = card_facts::cards(&plan, &said, artifact, evaluation, &self.settings.work_bucket);
        let (card, _) = self.attestor.carry_value(&run.run_id, CARD, &cards.whole).await?;
        aws::ensure_card(&self.sagemaker, &run.run_id, &cards.whole).await?;
        let arn = match aws::find(&self.sagemaker, &plan).await? {
            Some(earlier) => earlier.model_package_arn.unwrap_or_default(),
            None => {
                let told = aws::Told { card: &cards.of_package, verdicts: said.verdicts() };
                aws::register(&self.sagemaker, &self.settings, &plan, artifact, evaluation, told).await?
            }
        };
        let bucket = &self.settings.work_bucket;
        let deeds = lineage::until_registered(&plan, &said, artifact, &arn, bucket);
        lineage::record(&self.sagemaker, &deeds).await?;
        tracking::record(&self.sagemaker, &plan, artifact, evaluation, bucket).await?;
        let serving = aws::serving(&self.sagemaker, &run.endpoint).await?;
        Ok(Package { arn, digest: artifact.content_sha256.clone(), card, serving })
    }

    async fn said(&self, run: &RunContext) -> Result<Said, ApproveError> {
        let said = |gate| self.evidence.said(&run.run_id, gate);
        let (admit, seal_model, judge_findings, train, seal_artifact, judge_metrics) = tokio::try_join!(
            said(Gate::Admit),
            said(Gate::SealModel),
            said(Gate::JudgeFindings),
            said(Gate::Train),
            said(Gate::SealArtifact),
            said(Gate::JudgeMetrics),
        )?;
        Ok(Said { admit, seal_model, judge_findings, train, seal_artifact, judge_metrics })
    }

    async fn ask(
        &self,
        run: RunContext,
        artifact: &Artifact,
        evaluation: &Evaluation,
        package: &Package,
        token: TaskToken,
    ) -> Result<(), ApproveError> {
        self.settings.policy.check(&run)?;
        let plan = self.objects.plan(&run).await?;
        let policy = self.objects.policy(self.attestor.bucket(), &self.settings.policy).await?;
        let wait = Wait {
            kind: WaitKind::ModelPackage,
            resource: package.arn.clone(),
            run_id: run.run_id.clone(),
            execution_arn: run.execution_arn.clone(),
            token,
            expected: None,
        };
        // The wait first: somebody may approve before this function returns.
        self.callback.coordination().put_wait(&wait).await?;
        self.notify(&run, &plan, artifact, evaluation, package).await?;
        let described = aws::describe(&self.sagemaker, &package.arn).await?;
        match described.model_approval_status() {
            Some(ModelApprovalStatus::Approved | ModelApprovalStatus::Rejected) => {
                self.callback.succeed(&wait).await?;
            }
            _ if is_automatic(&policy, &run, evaluation) => {
                aws::approve(&self.sagemaker, &package.arn).await?;
            }
            _ => {}
        }
        Ok(())
    }

    async fn notify(
        &self,
        run: &RunContext,
        plan: &RunPlan,
        artifact: &Artifact,
        evaluation: &Evaluation,
        package: &Package,
    ) -> Result<(), ApproveError> {
        let coordination = self.callback.coordination();
        if coordination.was_notified(&run.run_id, "approval").await? {
            return Ok(());
        }
        let request = ApprovalRequest {
            kind: "ApprovalRequested",
            run_id: run.run_id.as_str(),
            package: &package.arn,
            artifact_sha256: artifact.content_sha256.as_str(),
            image: &plan.image.digest,
            endpoint: &run.endpoint,
            serving: package.serving.as_deref(),
            source: format!("{}@{}", plan.request.source.repo, plan.request.source.revision),
            before: &evaluation.before,
            after: &evaluation.after,
            thresholds: &plan.request.evaluation.thresholds,
            verdicts: self.said(run).await?.verdicts(),
            how: format!(
                "lockstep approve {} --digest {} --reason \"...\"",
                run.run_id, artifact.content_sha256
            ),
        };
        let message = serde_json::to_string(&request).map_err(|error| runtime::Error::Unreadable {
            place: "the notification".to_owned(),
            reason: error.to_string(),
        })?;
        self.sns
            .publish()
            .topic_arn(&self.settings.topic_arn)
            .subject(format!("Lockstep: approve {}?", plan.request.registry.model_package_group))
            .message(message)
            .message_attributes("kind", attribute("ApprovalRequested")?)
            .message_attributes("run_id", attribute(run.run_id.as_str())?)
            .send()
            .await
            .map_err(failed("sns:Publish"))?;
        // Noted after publishing, so it goes out at least once; readers tell repeats apart by run_id.
        Ok(coordination.note_notified(&run.run_id, "approval").await?)
    }

    async fn recheck(
        &self,
        run: &RunContext,
        artifact: &Artifact,
        evaluation: &Evaluation,
        package: &Package,
    ) -> Result<Approval, ApproveError> {
        self.settings.policy.check(run)?;
        let plan = self.objects.plan(run).await?;
        let policy = self.objects.policy(self.attestor.bucket(), &self.settings.policy).await?;
        let described = aws::describe(&self.sagemaker, &package.arn).await?;
        let approver = described
            .last_modified_by()
            .and_then(|by| by.iam_identity())
            .and_then(|identity| identity.principal_id());
        let reason = described.approval_description().unwrap_or_default();
        let decided_at = described.last_modified_time().and_then(|at| Timestamp::from_second(at.secs()).ok());
        let decision = Decision {
            package: &package.arn,
            decided_at,
            status: described.model_approval_status(),
            approver,
            reason,
            submitter: plan.submitter.as_deref(),
        };
        // A rule's approval has no approver to compare; policy said so when it permitted the rule.
        let is_automatic = is_automatic(&policy, run, evaluation);
        let mut rules = policy.approval.clone();
        rules.approver_must_differ &= !is_automatic;
        policy::judge(&decision, &rules, Timestamp::now())?;
        aws::is_ours(&described, &self.settings, &plan, artifact)?;

        let mut facts = BTreeMap::from([
            ("artifact".to_owned(), artifact.content_sha256.to_string()),
            ("package".to_owned(), package.arn.clone()),
            ("approver".to_owned(), approver.unwrap_or("unknown").to_owned()),
            ("submitter".to_owned(), plan.submitter.clone().unwrap_or_else(|| "unknown".to_owned())),
            ("reason".to_owned(), reason.to_owned()),
            ("serving".to_owned(), package.serving.clone().unwrap_or_default()),
        ]);
        facts.extend(decided_at.map(|at| ("decided_at".to_owned(), at.to_string())));
        facts.insert("automatic".to_owned(), is_automatic.to_string());
        let subject = Subject::new(&package.arn, &artifact.content_sha256);
        facts.insert("model_card".to_owned(), package.card.sha256.to_string());
        let card =
            Carried { path: CARD.to_owned(), sha256: package.card.sha256.clone(), kind: DOCUMENT.to_owned() };
        let passed = Passed {
            gate: Gate::Approve,
            subject,
            predecessors: &[&evaluation.link],
            facts,
            carries: vec![card],
        };
        let link = self.attestor.pass(&run.run_id, &run.policy_sha256, passed).await?;
        let deed = lineage::approval(&plan, artifact, &package.arn, approver.unwrap_or("unknown"), reason);
        lineage::record(&self.sagemaker, &[deed]).await?;
        Ok(Approval { approver: approver.map(str::to_owned), reason: reason.to_owned(), link })
    }
}

/// Whether policy lets the pipeline itself approve this candidate.
fn is_automatic(policy: &Policy, run: &RunContext, evaluation: &Evaluation) -> bool {
    policy.approval.automatic.as_ref().is_some_and(|rule| rule.admits(&run.endpoint, &evaluation.after))
}

fn attribute(value: &str) -> Result<aws_sdk_sns::types::MessageAttributeValue, ApproveError> {
    aws_sdk_sns::types::MessageAttributeValue::builder()
        .data_type("String")
        .string_value(value)
        .build()
        .map_err(|error| runtime::Error::Misconfigured(error.to_string()).into())
}
