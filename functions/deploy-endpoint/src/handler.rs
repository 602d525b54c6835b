//! The story of deployment: nothing is created before the whole evidence verified (invariant 2).

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use contract::{
    Artifact, Chain, DeployInput, Deployment, Gate, LinkRef, Manifest, Package, RunContext, RunPlan,
    Sha256Digest, SmokeTest, TaskToken, Wait, WaitKind,
};
use evidence::{
    Carried, SMOKE_TEST_PATH, Subject, TEST_RESULT_PREDICATE, TrustRoot, VerifiedChain, check_smoke_test,
    smoke_test_result, smoke_test_subject, verify_chain,
};
use runtime::{Attestor, Callback, Environment, Evidence, Inputs, Lease, Objects, Passed};
use serde::Serialize;

use crate::{
    autoscaling, aws,
    error::DeployError,
    policy::{self, Action, EndpointState},
    replay, rollout,
    settings::{Autoscaling, Settings},
    smoke_test,
};

/// The function.
pub struct DeployEndpoint {
    settings: Settings,
    sagemaker: aws_sdk_sagemaker::Client,
    runtime: aws_sdk_sagemakerruntime::Client,
    scaling: aws_sdk_applicationautoscaling::Client,
    s3: aws_sdk_s3::Client,
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
    /// The model answered as expected, and its temporary endpoint is gone.
    SmokeTested {},
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
            runtime: aws_sdk_sagemakerruntime::Client::new(config),
            scaling: aws_sdk_applicationautoscaling::Client::new(config),
            objects: Objects::new(s3.clone()),
            evidence: Evidence::new(s3.clone(), attestor.bucket().to_owned()),
            inputs: Inputs::new(s3.clone()),
            s3,
            attestor,
            callback: Callback::read(&mut environment, config),
        };
        environment.finish(function)
    }

    /// One step.
    pub async fn handle(&self, input: DeployInput) -> Result<Output, DeployError> {
        match input {
            DeployInput::StartSmokeTest { run, artifact, package, chain, task_token } => self
                .start_smoke_test(run, &artifact, &package, &chain, task_token)
                .await
                .map(|()| Output::Waiting {}),
            DeployInput::JudgeSmokeTest { run, artifact } => {
                self.judge_smoke_test(&run, &artifact).await.map(|()| Output::SmokeTested {})
            }
            DeployInput::Deploy { run, artifact, package, chain, task_token } => {
                self.deploy(run, &artifact, &package, &chain, task_token).await.map(|()| Output::Waiting {})
            }
            DeployInput::RecheckEndpoint { run, artifact, chain } => {
                self.recheck(&run, &artifact, &chain).await.map(Output::Deployed)
            }
        }
    }

    /// An endpoint configuration is made here too, so the evidence comes first here too (invariant 2).
    async fn start_smoke_test(
        &self,
        run: RunContext,
        artifact: &Artifact,
        package: &Package,
        chain: &Chain,
        token: TaskToken,
    ) -> Result<(), DeployError> {
        let (plan, _, _) = self.deployable(&run, artifact, package, chain).await?;
        let name = run.run_id.smoke_test_name();
        let now = aws::describe(&self.sagemaker, &name).await?;
        let wait = wait_for(&run, &name, &name, token);
        self.callback.coordination().put_wait(&wait).await?;
        aws::create_model(&self.sagemaker, &self.settings, &plan, artifact, &name).await?;
        aws::create_smoke_test_config(&self.sagemaker, &self.settings, &plan).await?;
        match now {
            None => aws::create_endpoint(&self.sagemaker, &plan, &name, &name).await?,
            Some(state) => self.answer_if_at_rest(&state, &wait).await?,
        }
        Ok(())
    }

    /// Asks, signs, and takes the temporary endpoint down, whatever was answered.
    async fn judge_smoke_test(&self, run: &RunContext, artifact: &Artifact) -> Result<(), DeployError> {
        self.settings.policy.check(run)?;
        let plan = self.objects.plan(run).await?;
        let name = run.run_id.smoke_test_name();
        // A retry after signing finds the statement, and maybe no endpoint any more. Deploy verifies it.
        if self.smoke_test_statement(run).await?.is_none() {
            let asked = plan.request.endpoint.smoke_test.as_ref().ok_or(DeployError::Unbound("plan"))?;
            match self.answers_as_expected(&plan, asked, &name).await {
                Ok(()) => self.sign_smoke_test(&plan, asked, artifact).await?,
                // Nothing was judged, and asking again may help: the endpoint stays. Should nobody ask, seal-run takes it down.
                Err(error @ DeployError::Runtime(_)) => return Err(error),
                Err(error) => {
                    if let Err(left) = aws::remove_smoke_test(&self.sagemaker, &name).await {
                        tracing::warn!(endpoint = name, "left to seal-run: {left}");
                    }
                    return Err(error);
                }
            }
        }
        aws::remove_smoke_test(&self.sagemaker, &name).await
    }

    async fn answers_as_expected(
        &self,
        plan: &RunPlan,
        asked: &SmokeTest,
        name: &str,
    ) -> Result<(), DeployError> {
        let now = aws::describe(&self.sagemaker, name).await?;
        policy::serves(name, now.as_ref(), name, &plan.image.digest)?;
        smoke_test::judge_answers(&self.runtime, name, &asked.questions).await?;
        let Some(replay) = &asked.replay else { return Ok(()) };
        let endpoint = &plan.request.endpoint.name;
        // Nobody has asked a first version anything.
        if aws::describe(&self.sagemaker, endpoint).await?.is_none() {
            return Ok(());
        }
        let most = usize::try_from(replay.questions).unwrap_or(usize::MAX);
        let captured = replay::captured(&self.s3, &self.settings.work_bucket, endpoint, most).await?;
        smoke_test::judge_replay(&self.runtime, name, replay, captured).await
    }

    async fn sign_smoke_test(
        &self,
        plan: &RunPlan,
        asked: &SmokeTest,
        artifact: &Artifact,
    ) -> Result<(), DeployError> {
        let subject = smoke_test_subject(plan, &artifact.content_sha256);
        let result = smoke_test_result(plan, asked);
        let (run, kind) = (&plan.run_id, TEST_RESULT_PREDICATE);
        self.attestor.carry(run, SMOKE_TEST_PATH, subject, kind, result).await?;
        Ok(())
    }

    async fn smoke_test_statement(&self, run: &RunContext) -> Result<Option<Vec<u8>>, DeployError> {
        let key = format!("{}{SMOKE_TEST_PATH}", run.run_id.prefix());
        Ok(self.objects.bytes(self.attestor.bucket(), &key, None).await?)
    }

    async fn deploy(
        &self,
        run: RunContext,
        artifact: &Artifact,
        package: &Package,
        chain: &Chain,
        token: TaskToken,
    ) -> Result<(), DeployError> {
        let (plan, verified, trust) = self.deployable(&run, artifact, package, chain).await?;
        let tested = self.smoke_test_statement(&run).await?;
        check_smoke_test(&plan, &artifact.content_sha256, tested.as_deref(), &trust)?;

        let endpoint = &run.endpoint;
        let ours = run.run_id.serving_name();
        if let Lease::Busy(other) = self.callback.coordination().lease(endpoint, &run.run_id).await? {
            let reason = format!("run {other} is deploying to it");
            return Err(DeployError::Superseded { endpoint: endpoint.clone(), reason });
        }
        let now = aws::describe(&self.sagemaker, endpoint).await?;
        let seen = verified.fact(Gate::Approve, "serving")?;
        let action = policy::decide(endpoint, now.as_ref(), (!seen.is_empty()).then_some(seen), &ours)?;

        let wait = wait_for(&run, endpoint, &ours, token);
        // The wait first: the endpoint's event may come before this function returns.
        self.callback.coordination().put_wait(&wait).await?;
        aws::create_model(&self.sagemaker, &self.settings, &plan, artifact, &ours).await?;
        aws::create_config(&self.sagemaker, &self.settings, &plan).await?;
        match (action, now) {
            (Action::Create, _) => {
                aws::create_endpoint(&self.sagemaker, &plan, endpoint, &ours).await?;
            }
            (Action::Update, now) => {
                let now = now.unwrap_or_default();
                self.free_instance_type(&plan, &now).await?;
                let rollout = rollout::plan(&plan.request.endpoint, now.instances);
                aws::update_endpoint(&self.sagemaker, &self.settings, &plan, &rollout).await?;
            }
            // A retry: what the first try asked for may be there already, its event long gone.
            (Action::Nothing, Some(state)) => self.answer_if_at_rest(&state, &wait).await?,
            (Action::Nothing, None) => {}
        }
        Ok(())
    }

    async fn answer_if_at_rest(&self, state: &EndpointState, wait: &Wait) -> Result<(), DeployError> {
        if matches!(state.status.as_str(), "InService" | "Failed") {
            self.callback.succeed(wait).await?;
        }
        Ok(())
    }

    /// SageMaker updates no variant that is scaled to another instance type. It is registered again once that serves.
    async fn free_instance_type(&self, plan: &RunPlan, now: &EndpointState) -> Result<(), DeployError> {
        let asked = &plan.request.endpoint;
        if self.autoscaling(&asked.name).is_none()
            || aws::instance_type(&self.sagemaker, &now.config).await? == asked.instance_type
        {
            return Ok(());
        }
        autoscaling::deregister(&self.scaling, &asked.name).await
    }

    fn autoscaling(&self, endpoint: &str) -> Option<&Autoscaling> {
        self.settings.endpoints.get(endpoint).and_then(|declared| declared.autoscaling.as_ref())
    }

    /// The whole evidence verifies, its package is approved still, and neither the artefact changed nor was it revoked.
    async fn deployable(
        &self,
        run: &RunContext,
        artifact: &Artifact,
        package: &Package,
        chain: &Chain,
    ) -> Result<(RunPlan, VerifiedChain, TrustRoot), DeployError> {
        self.settings.policy.check(run)?;
        let plan = self.objects.plan(run).await?;
        let (verified, trust) = self.verify(run, &plan, artifact, package, chain).await?;
        self.still_approved(package).await?;
        self.artifact_unchanged(&verified, artifact).await?;
        self.not_revoked(&plan, artifact).await?;
        Ok((plan, verified, trust))
    }

    /// Verifies every link, and that they are about what would be deployed.
    async fn verify(
        &self,
        run: &RunContext,
        plan: &RunPlan,
        artifact: &Artifact,
        package: &Package,
        chain: &Chain,
    ) -> Result<(VerifiedChain, TrustRoot), DeployError> {
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
        Ok((verified, trust))
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
        if let Some(scaling) = self.autoscaling(&run.endpoint) {
            autoscaling::register(&self.scaling, &run.endpoint, scaling).await?;
        }
        let approved = self.evidence.said(&run.run_id, Gate::Approve).await?;
        let replaced = approved.facts.get("serving").filter(|serving| !serving.is_empty());
        let (coordination, bake) = (self.callback.coordination(), self.settings.bake_seconds);
        coordination.note_serving(&run.endpoint, &ours, replaced.map(String::as_str), bake).await?;
        let facts = BTreeMap::from([
            ("endpoint".to_owned(), run.endpoint.clone()),
            ("endpoint_config".to_owned(), ours.clone()),
            ("artifact".to_owned(), artifact.content_sha256.to_string()),
            ("image".to_owned(), plan.image.digest.clone()),
        ]);
        let subject = Subject::new(&ours, &artifact.content_sha256);
        let before = [&chain.recheck_image];
        let tested = self.smoke_test_statement(run).await?.map(|bytes| Carried {
            path: SMOKE_TEST_PATH.to_owned(),
            sha256: Sha256Digest::of(bytes),
            kind: TEST_RESULT_PREDICATE.to_owned(),
        });
        let carries = Vec::from_iter(tested);
        let passed = Passed { gate: Gate::Deploy, subject, predecessors: &before, facts, carries };
        let link = self.attestor.pass(&run.run_id, &run.policy_sha256, passed).await?;
        Ok(Deployment { endpoint_name: run.endpoint.clone(), endpoint_config_name: ours, link })
    }
}

fn wait_for(run: &RunContext, endpoint: &str, config: &str, token: TaskToken) -> Wait {
    Wait {
        kind: WaitKind::Endpoint,
        resource: endpoint.to_owned(),
        run_id: run.run_id.clone(),
        execution_arn: run.execution_arn.clone(),
        token,
        expected: Some(config.to_owned()),
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
