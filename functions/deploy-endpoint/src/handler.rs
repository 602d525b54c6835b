//! The story of deployment: nothing is created before the whole evidence verified (invariant 2).

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use contract::{
    Artifact, Chain, DeployInput, Deployment, Gate, LinkRef, Manifest, Package, RunContext, RunPlan,
    TaskToken, Wait, WaitKind,
};
use evidence::{Subject, VerifiedChain, verify_chain};
use runtime::{Attestor, Callback, Environment, Evidence, Inputs, Lease, Objects, Passed};
use serde::Serialize;

use crate::{
    aws,
    error::DeployError,
    policy::{self, Action},
    rollout,
    settings::Settings,
};

/// The function.
pub struct DeployEndpoint {
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
    /// The endpoint serves the model.
    Deployed(Deployment),
}

impl DeployEndpoint {
    /// From the environment.
    ///
    /// # Errors
    /// [`runtime::Error::Misconfigured`].
    pub fn new(config: &SdkConfig) -> Result<Self, runtime::Error> {
        let mut environment = Environment::of("deploy-endpoint");
        let s3 = aws_sdk_s3::Client::new(config);
        let attestor = Attestor::read(&mut environment, config);
        let function = Self {
            settings: Settings::read(&mut environment),
            sagemaker: aws_sdk_sagemaker::Client::new(config),
            objects: Objects::new(s3.clone()),
            evidence: Evidence::new(s3.clone(), attestor.bucket().to_owned()),
            inputs: Inputs::new(s3),
            attestor,
            callback: Callback::read(&mut environment, config),
        };
        environment.finish(function)
    }

    /// One step.
    pub async fn handle(&self, input: DeployInput) -> Result<Output, DeployError> {
        match input {
            DeployInput::Deploy { run, artifact, package, chain, task_token } => {
                self.deploy(run, &artifact, &package, &chain, task_token).await.map(|()| Output::Waiting {})
            }
            DeployInput::RecheckEndpoint { run, artifact, chain } => {
                self.recheck(&run, &artifact, &chain).await.map(Output::Deployed)
            }
        }
    }

    async fn deploy(
        &self,
        run: RunContext,
        artifact: &Artifact,
        package: &Package,
        chain: &Chain,
        token: TaskToken,
    ) -> Result<(), DeployError> {
        self.settings.policy.check(&run)?;
        let plan = self.objects.plan(&run).await?;
        let verified = self.verify(&run, &plan, artifact, package, chain).await?;
        self.still_approved(package).await?;
        self.artifact_unchanged(&verified, artifact).await?;
        self.not_revoked(&plan, artifact).await?;

        let endpoint = &run.endpoint;
        let ours = run.run_id.serving_name();
        if let Lease::Busy(other) = self.callback.coordination().lease(endpoint, &run.run_id).await? {
            let reason = format!("run {other} is deploying to it");
            return Err(DeployError::Superseded { endpoint: endpoint.clone(), reason });
        }
        let now = aws::describe(&self.sagemaker, endpoint).await?;
        let seen = verified.fact(Gate::Approve, "serving")?;
        let action = policy::decide(endpoint, now.as_ref(), (!seen.is_empty()).then_some(seen), &ours)?;

        let wait = Wait {
            kind: WaitKind::Endpoint,
            resource: endpoint.clone(),
            run_id: run.run_id.clone(),
            execution_arn: run.execution_arn.clone(),
            token,
            expected: Some(ours.clone()),
        };
        // The wait first: the endpoint's event may come before this function returns.
        self.callback.coordination().put_wait(&wait).await?;
        aws::create_model(&self.sagemaker, &self.settings, &plan, artifact).await?;
        aws::create_config(&self.sagemaker, &self.settings, &plan).await?;
        match action {
            Action::Create => aws::create_endpoint(&self.sagemaker, &plan).await?,
            Action::Update => {
                let instances_now = now.map_or(0, |state| state.instances);
                let rollout = rollout::plan(&plan.request.endpoint, instances_now);
                aws::update_endpoint(&self.sagemaker, &self.settings, &plan, &rollout).await?;
            }
            // A retry: what the first try asked for may be there already, its event long gone.
            Action::Nothing => {
                if now.is_some_and(|state| matches!(state.status.as_str(), "InService" | "Failed")) {
                    self.callback.succeed(&wait).await?;
                }
            }
        }
        Ok(())
    }

    /// Verifies every link, and that they are about what would be deployed.
    async fn verify(
        &self,
        run: &RunContext,
        plan: &RunPlan,
        artifact: &Artifact,
        package: &Package,
        chain: &Chain,
    ) -> Result<VerifiedChain, DeployError> {
        let began = std::time::Instant::now();
        let named = by_gate(chain);
        let (files, trust) = tokio::try_join!(
            self.evidence.load(&run.run_id, &named),
            self.evidence.trust_root(&self.settings.trust)
        )?;
        let (id, policy) = (&run.run_id, &run.policy_sha256);
        let verified = verify_chain(id, policy, Gate::RecheckImage, &named, &files, &trust)?;
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(milliseconds, files = files.len(), "the evidence holds");
        let bound = [
            (Gate::Admit, "plan", run.plan.sha256.as_str(), "plan"),
            (Gate::Admit, "image", plan.image.digest.as_str(), "image"),
            (Gate::SealArtifact, "artifact", artifact.content_sha256.as_str(), "artefact"),
            (Gate::SealArtifact, "manifest", artifact.manifest.sha256.as_str(), "manifest"),
            (Gate::SealArtifact, "prefix", artifact.prefix.as_str(), "place of the artefact"),
            (Gate::Approve, "artifact", package.digest.as_str(), "approved digest"),
            (Gate::Approve, "package", package.arn.as_str(), "package"),
        ];
        for (gate, fact, value, what) in bound {
            if verified.fact(gate, fact)? != value {
                return Err(DeployError::Unbound(what));
            }
        }
        if plan.run_id != run.run_id || plan.request.endpoint.name != run.endpoint {
            return Err(DeployError::Unbound("run"));
        }
        Ok(verified)
    }

    async fn still_approved(&self, package: &Package) -> Result<(), DeployError> {
        let status = aws::approval_status(&self.sagemaker, &package.arn).await?;
        if status == "Approved" {
            return Ok(());
        }
        Err(DeployError::NoLongerApproved { package: package.arn.clone(), status })
    }

    async fn artifact_unchanged(
        &self,
        verified: &VerifiedChain,
        artifact: &Artifact,
    ) -> Result<(), DeployError> {
        let sealed: Manifest = self.objects.read(&artifact.manifest).await?;
        if sealed.content_digest().as_str() != verified.fact(Gate::SealArtifact, "artifact")? {
            return Err(DeployError::Unbound("manifest"));
        }
        match self.inputs.prefix_change(&self.settings.work_bucket, &artifact.prefix, &sealed).await? {
            Some(change) => Err(DeployError::ArtifactChanged(change)),
            None => Ok(()),
        }
    }

    /// What an incident revoked is deployed by no run, promoted and repeated ones included.
    async fn not_revoked(&self, plan: &RunPlan, artifact: &Artifact) -> Result<(), DeployError> {
        let of = [
            (format!("artefact {}", artifact.content_sha256), artifact.content_sha256.as_str()),
            (format!("image {}", plan.image.digest), plan.image.digest.as_str()),
        ];
        for (what, digest) in of {
            if let Some(reason) = self.evidence.revocation(digest).await? {
                return Err(DeployError::Revoked { what, reason });
            }
        }
        Ok(())
    }

    async fn recheck(
        &self,
        run: &RunContext,
        artifact: &Artifact,
        chain: &Chain,
    ) -> Result<Deployment, DeployError> {
        self.settings.policy.check(run)?;
        let plan = self.objects.plan(run).await?;
        let ours = run.run_id.serving_name();
        let now = aws::describe(&self.sagemaker, &run.endpoint).await?;
        policy::serves(&run.endpoint, now.as_ref(), &ours, &plan.image.digest)?;
        let facts = BTreeMap::from([
            ("endpoint".to_owned(), run.endpoint.clone()),
            ("endpoint_config".to_owned(), ours.clone()),
            ("artifact".to_owned(), artifact.content_sha256.to_string()),
            ("image".to_owned(), plan.image.digest.clone()),
        ]);
        let subject = Subject::new(&ours, &artifact.content_sha256);
        let before = [&chain.recheck_image];
        let carries = Vec::new();
        let passed = Passed { gate: Gate::Deploy, subject, predecessors: &before, facts, carries };
        let link = self.attestor.pass(&run.run_id, &run.policy_sha256, passed).await?;
        Ok(Deployment { endpoint_name: run.endpoint.clone(), endpoint_config_name: ours, link })
    }
}

fn by_gate(chain: &Chain) -> BTreeMap<Gate, LinkRef> {
    let links = [
        (Gate::Admit, &chain.admit),
        (Gate::SealModel, &chain.seal_model),
        (Gate::JudgeFindings, &chain.judge_findings),
        (Gate::Train, &chain.train),
        (Gate::SealArtifact, &chain.seal_artifact),
        (Gate::JudgeMetrics, &chain.judge_metrics),
        (Gate::Approve, &chain.approve),
        (Gate::RecheckImage, &chain.recheck_image),
    ];
    links.into_iter().map(|(gate, link)| (gate, link.clone())).collect()
}
