//! The story of the gate: wait for a settled scan, judge it, and judge it again after approval.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use contract::{
    Gate, ImageVerdict, LinkRef, ResolvedImage, RunContext, ScanInput, Sha256Digest, TaskToken, Wait,
    WaitKind,
};
use evidence::{Subject, VULNS_PREDICATE};
use jiff::Timestamp;
use runtime::{Attestor, Callback, Environment, Objects, Passed};
use serde::Serialize;

use crate::{aws, error::ScanError, policy, policy::ScanStatus, settings::Settings};

/// The function.
pub struct ScanGate {
    settings: Settings,
    ecr: aws_sdk_ecr::Client,
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
    /// The verdict.
    Judged(ImageVerdict),
}

impl ScanGate {
    /// From the environment.
    ///
    /// # Errors
    /// [`runtime::Error::Misconfigured`].
    pub fn new(config: &SdkConfig) -> Result<Self, runtime::Error> {
        let mut environment = Environment::of("scan-gate");
        let function = Self {
            settings: Settings::read(&mut environment),
            ecr: aws_sdk_ecr::Client::new(config),
            objects: Objects::new(aws_sdk_s3::Client::new(config)),
            attestor: Attestor::read(&mut environment, config),
            callback: Callback::read(&mut environment, config),
        };
        environment.finish(function)
    }

    /// One step.
    pub async fn handle(&self, input: ScanInput) -> Result<Output, ScanError> {
        match input {
            ScanInput::ScanGate { run, task_token } => {
                self.await_scan(run, task_token).await.map(|()| Output::Waiting {})
            }
            ScanInput::JudgeFindings { run } => {
                self.judge(Gate::JudgeFindings, &run, &run.link).await.map(Output::Judged)
            }
            ScanInput::RecheckImage { run, approval } => {
                self.judge(Gate::RecheckImage, &run, &approval.link).await.map(Output::Judged)
            }
        }
    }

    /// Records the wait first, so that no event between the two calls is lost.
    async fn await_scan(&self, run: RunContext, token: TaskToken) -> Result<(), ScanError> {
        self.settings.policy.check(&run)?;
        let image = self.objects.plan(&run).await?.image;
        let wait = Wait {
            kind: WaitKind::ImageScan,
            resource: format!("{}@{}", image.repository, image.digest),
            run_id: run.run_id,
            execution_arn: run.execution_arn,
            token,
            expected: None,
        };
        self.callback.coordination().put_wait(&wait).await?;
        match aws::read_scan(&self.ecr, &image).await?.status {
            // Describe before starting: a basic scan can be started once in 24 hours.
            ScanStatus::Absent => aws::start_scan(&self.ecr, &image).await?,
            ScanStatus::Running => {}
            // Settled or hopeless: the next state judges which.
            _ => self.callback.succeed(&wait).await?,
        }
        Ok(())
    }

    async fn judge(&self, gate: Gate, run: &RunContext, before: &LinkRef) -> Result<ImageVerdict, ScanError> {
        self.settings.policy.check(run)?;
        let image = self.objects.plan(run).await?.image;
        let policy = self.objects.policy(self.attestor.bucket(), &self.settings.policy).await?;
        let scan = aws::read_scan(&self.ecr, &image).await?;
        policy::judge(&image.digest, &scan, &policy.images, Timestamp::now())?;
        let findings = scan.findings.len();
        let link = self.sign(gate, run, &image, &scan, before).await?;
        Ok(ImageVerdict { digest: image.digest, findings, link })
    }

    async fn sign(
        &self,
        gate: Gate,
        run: &RunContext,
        image: &ResolvedImage,
        scan: &policy::Scan,
        before: &LinkRef,
    ) -> Result<LinkRef, ScanError> {
        let hex = image.digest.trim_start_matches("sha256:").to_owned();
        let digest = Sha256Digest::try_from(hex).map_err(|error| ScanError::Unsupported {
            image: image.digest.clone(),
            reason: error.to_string(),
        })?;
        let mut facts = BTreeMap::from([
            ("image".to_owned(), image.digest.clone()),
            ("repository".to_owned(), image.repository.clone()),
            ("scan_status".to_owned(), scan.said.clone()),
            ("findings".to_owned(), scan.findings.len().to_string()),
        ]);
        if let Some(at) = scan.completed_at {
            facts.insert("scanned_at".to_owned(), at.to_string());
        }
        let subject = Subject::new(&image.repository, &digest);
        let path = format!("scan-gate/{gate}.vulns.json");
        let found = scan.vulns();
        let carried =
            self.attestor.carry(&run.run_id, &path, subject.clone(), VULNS_PREDICATE, found).await?;
        let passed = Passed { gate, subject, predecessors: &[before], facts, carries: vec![carried] };
        Ok(self.attestor.pass(&run.run_id, &run.policy_sha256, passed).await?)
    }
}
