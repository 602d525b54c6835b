//! The story of admission.

use std::collections::{BTreeMap, BTreeSet};

use aws_config::SdkConfig;
use contract::{
    Admission, AdmitInput, Circumstances, CostItem, DriftCause, Gate, ImageName, Promotion, Request,
    Retrained, RetrainingPolicy, RunContext, RunId, RunPlan, S3Uri, Sha256Digest, Trigger,
};
use evidence::{Carried, DOCUMENT, Subject};
use runtime::{Attestor, Claim, Coordination, Environment, Evidence, Objects, Passed};

use crate::{data, error::AdmitError, image, retrain, settings::Settings};

/// The function.
pub struct AdmitRun {
    settings: Settings,
    s3: aws_sdk_s3::Client,
    ecr: aws_sdk_ecr::Client,
    objects: Objects,
    evidence: Evidence,
    attestor: Attestor,
    coordination: Coordination,
}

/// The request's bytes, and what is known of where they came from.
struct Arrival {
    run_id: RunId,
    request: Result<Vec<u8>, AdmitError>,
    submitter: Option<String>,
    cause: Option<DriftCause>,
}

/// A request that was read, and how it came.
struct Asked {
    request: Request,
    bytes: Vec<u8>,
    submitter: Option<String>,
    cause: Option<DriftCause>,
}

impl AdmitRun {
    /// From the environment.
    ///
    /// # Errors
    /// [`runtime::Error::Misconfigured`].
    pub fn new(config: &SdkConfig) -> Result<Self, runtime::Error> {
        let mut environment = Environment::of("admit-run");
        let s3 = aws_sdk_s3::Client::new(config);
        let attestor = Attestor::read(&mut environment, config);
        let function = Self {
            settings: Settings::read(&mut environment),
            ecr: aws_sdk_ecr::Client::new(config),
            objects: Objects::new(s3.clone()),
            evidence: Evidence::new(s3.clone(), attestor.bucket().to_owned()),
            attestor,
            coordination: Coordination::read(&mut environment, config),
            s3,
        };
        environment.finish(function)
    }

    /// Claims the run, then judges the request.
    pub async fn handle(&self, input: AdmitInput) -> Result<Admission, AdmitError> {
        let AdmitInput::Admit { execution_arn, trigger } = input;
        let arrival = self.receive(&execution_arn, &trigger).await?;
        let run_id = arrival.run_id;
        // Claimed before it is judged, so that a refused run, too, is one run with one record.
        if self.coordination.claim(&run_id, &execution_arn).await? == Claim::Taken {
            tracing::info!(%run_id, "another execution has this run");
            return Ok(Admission { duplicate: true, run_id, run: None, cost_items: Vec::new() });
        }
        let bytes = arrival.request?;
        let request = Request::parse(&bytes)?;
        let asked = Asked { request, bytes, submitter: arrival.submitter, cause: arrival.cause };
        let (run, cost_items) = self.admit(run_id.clone(), execution_arn, asked).await?;
        Ok(Admission { duplicate: false, run_id, run: Some(run), cost_items })
    }

    /// Finds the request, and the identity of what started the run.
    async fn receive(&self, execution_arn: &str, trigger: &serde_json::Value) -> Result<Arrival, AdmitError> {
        let of_execution = RunId::of_execution(execution_arn);
        let trigger = match Trigger::parse(trigger) {
            Ok(trigger) => trigger,
            Err(unknown) => return Ok(Self::refused(of_execution, unknown)),
        };
        let (uri, version, named) = match trigger {
            Trigger::Inline(request) => {
                let request = Ok(request.to_string().into_bytes());
                return Ok(Arrival { run_id: of_execution, request, submitter: None, cause: None });
            }
            Trigger::Drift(cause) => return self.receive_drift(cause).await,
            Trigger::Reference { uri, version_id } => (uri, version_id, Some(of_execution.clone())),
            Trigger::Schedule { schedule, uri } => {
                (uri, None, Some(RunId::of(&["schedule", &schedule.name, &schedule.time])))
            }
            Trigger::Upload { uri, version_id } => (uri, version_id, None),
        };
        let Some(submitter) = self.submitter_of(&uri) else {
            let refusal =
                AdmitError::Place { place: uri.to_string(), intake: self.settings.intake_bucket.clone() };
            return Ok(Self::refused(named.unwrap_or(of_execution), refusal));
        };
        let bytes = self.objects.bytes(uri.bucket(), uri.key(), version.as_deref()).await?;
        let Some(bytes) = bytes else {
            return Ok(Self::refused(
                named.unwrap_or(of_execution),
                AdmitError::RequestMissing(uri.to_string()),
            ));
        };
        let content = Sha256Digest::of(&bytes);
        let run_id = named.unwrap_or_else(|| RunId::of(&["upload", uri.key(), content.as_str()]));
        Ok(Arrival { run_id, request: Ok(bytes), submitter: Some(submitter), cause: None })
    }

    /// The request that drift makes of the one that serves. Who asked for that is this run's submitter, too.
    async fn receive_drift(&self, cause: DriftCause) -> Result<Arrival, AdmitError> {
        let run_id = RunId::of(&["drift", &cause.event_id]);
        match self.challenge(&cause).await {
            Ok((request, submitter)) => {
                let request = serde_json::to_vec(&request).map_err(|error| AdmitError::NotRetrainable {
                    run: cause.run_id.clone(),
                    reason: error.to_string(),
                });
                Ok(Arrival { run_id, request, submitter, cause: Some(cause) })
            }
            // AWS that fails is asked again, and a refusal is the run's own.
            Err(AdmitError::Runtime(error)) => Err(AdmitError::Runtime(error)),
            Err(refusal) => Ok(Self::refused(run_id, refusal)),
        }
    }

    async fn challenge(&self, cause: &DriftCause) -> Result<(Request, Option<String>), AdmitError> {
        let bucket = self.attestor.bucket();
        let policy = self.objects.policy(bucket, &self.settings.policy).await?;
        retrain::allowed(&policy)?;
        let champion = retrain::champion(&self.evidence, cause).await?;
        Ok((champion.challenge(&self.s3, &policy).await?, champion.submitter))
    }

    fn refused(run_id: RunId, refusal: impl Into<AdmitError>) -> Arrival {
        Arrival { run_id, request: Err(refusal.into()), submitter: None, cause: None }
    }

    /// `requests/<userid>/...` in the intake bucket: the bucket's policy ties that prefix to the caller's
    /// `${aws:userid}`, which is how the submitter is known.
    fn submitter_of(&self, uri: &S3Uri) -> Option<String> {
        let (userid, file) = uri.key().strip_prefix("requests/")?.split_once('/')?;
        let known = uri.bucket() == self.settings.intake_bucket && !userid.is_empty() && !file.is_empty();
        known.then(|| userid.to_owned())
    }

    async fn admit(
        &self,
        run_id: RunId,
        execution_arn: String,
        asked: Asked,
    ) -> Result<(RunContext, Vec<CostItem>), AdmitError> {
        let Asked { request, bytes, submitter, cause } = asked;
        let policy = self.objects.policy(self.attestor.bucket(), &self.settings.policy).await?;
        let name = ImageName::parse(&request.image)?;
        let around = Circumstances {
            endpoints: self.settings.endpoints.keys().map(String::as_str).collect::<BTreeSet<_>>(),
            submitter: submitter.as_deref(),
            work_bucket: &self.settings.work_bucket,
            repository: &name.repository,
        };
        let estimate = contract::judge(&request, &policy, &around)?;
        let cost_usd = estimate.usd();
        let image = image::resolve(&self.ecr, &request.image, &name).await?;
        let training_rows = match &request.promotion {
            Some(promotion) => {
                self.is_carried(promotion).await?;
                None
            }
            None => {
                let pin = &request.training.data;
                Some(data::check(&self.s3, "training.data", pin, &policy.data).await?)
            }
        };
        let evaluation_rows =
            data::check(&self.s3, "evaluation.data", &request.evaluation.data, &policy.data).await?;

        if cause.is_some() {
            self.count_retraining(&run_id, &request.endpoint.name, retrain::allowed(&policy)?, cost_usd)
                .await?;
        }
        let limits = contract::limits(&request, &policy, self.settings.sweep_seconds);
        let mut request = request;
        request.evaluation.thresholds = contract::thresholds(&request, &policy);
        request.evaluation.groups = contract::groups(&request, &policy);
        let request_sha256 = Sha256Digest::of(&bytes);
        let plan = RunPlan {
            run_id: run_id.clone(),
            execution_arn: execution_arn.clone(),
            request,
            request_sha256: request_sha256.clone(),
            policy_sha256: self.settings.policy.sha256().map_err(AdmitError::Runtime)?,
            submitter: submitter.clone(),
            image,
            cause,
            cost_usd,
            cost_items: estimate.items,
        };
        let place = self
            .objects
            .write(&self.settings.work_bucket, &format!("{}plan.json", run_id.prefix()), &plan)
            .await?;
        let carries = self.carry(&plan, &bytes).await?;
        let request = &plan.request;
        let mut facts = BTreeMap::from([
            ("request".to_owned(), request_sha256.to_string()),
            ("plan".to_owned(), place.sha256.to_string()),
            ("policy".to_owned(), plan.policy_sha256.to_string()),
            ("image".to_owned(), plan.image.digest.clone()),
            ("training_data".to_owned(), request.training.data.sha256.to_string()),
            ("evaluation_data".to_owned(), request.evaluation.data.sha256.to_string()),
            ("evaluation_rows".to_owned(), evaluation_rows.to_string()),
            ("submitter".to_owned(), submitter.unwrap_or_else(|| "unknown".to_owned())),
            ("cost_usd".to_owned(), format!("{cost_usd:.2}")),
        ]);
        facts.extend(training_rows.map(|rows| ("training_rows".to_owned(), rows.to_string())));
        if let Some(cause) = &plan.cause {
            facts.insert("drift_event".to_owned(), cause.event_id.clone());
            facts.insert("drift_report".to_owned(), cause.report_sha256.to_string());
            facts.insert("drifted_run".to_owned(), cause.run_id.to_string());
        }
        let subject = Subject::new("request", &request_sha256);
        let passed = Passed { gate: Gate::Admit, subject, predecessors: &[], facts, carries };
        let link = self.attestor.pass(&run_id, &plan.policy_sha256, passed).await?;
        let run = RunContext {
            run_id,
            execution_arn,
            plan: place,
            policy_sha256: plan.policy_sha256,
            promoted: plan.request.promotion.is_some(),
            smoke_tested: plan.request.endpoint.smoke_test.is_some(),
            endpoint: plan.request.endpoint.name,
            limits,
            link,
        };
        Ok((run, plan.cost_items))
    }

    /// The evidence of a run to promote is where the request says, byte for byte. What it proves is for the gate that
    /// takes the training over.
    async fn is_carried(&self, promotion: &Promotion) -> Result<(), AdmitError> {
        let refuse = |remedy: String| AdmitError::Promotion { value: promotion.evidence.to_string(), remedy };
        let (bucket, intake) = (promotion.evidence.bucket(), &self.settings.intake_bucket);
        if bucket != intake {
            return Err(refuse(format!("carry it to s3://{intake}/ with `lockstep promote`")));
        }
        let Some(bytes) = self.objects.bytes(bucket, promotion.evidence.key(), None).await? else {
            return Err(refuse("it does not exist: carry it there with `lockstep promote`".to_owned()));
        };
        let found = Sha256Digest::of(&bytes);
        if found != promotion.evidence_sha256 {
            let expected = &promotion.evidence_sha256;
            return Err(refuse(format!(
                "its digest is {found}, and {expected} was asked for: promote again"
            )));
        }
        Ok(())
    }

    /// What the run was asked for, what was made of it, and what it is judged by: copies for whoever verifies later,
    /// when requests have been deleted and policies changed.
    async fn carry(&self, plan: &RunPlan, request: &[u8]) -> Result<Vec<Carried>, AdmitError> {
        let policy = self.objects.policy_bytes(self.attestor.bucket(), &self.settings.policy).await?;
        let (run, attestor) = (&plan.run_id, &self.attestor);
        if let Some(cause) = &plan.cause {
            self.check_report(cause).await?;
        }
        Ok(vec![
            attestor.carry_value(run, "admit-run/plan.json", plan).await?.1,
            attestor.carry_as_it_is(run, "admit-run/policy.json", DOCUMENT, &policy).await?,
            attestor.carry_as_it_is(run, "admit-run/request.json", DOCUMENT, request).await?,
        ])
    }

    /// What the monitor found must be what the event names. The evidence has its digest alone: the report names what
    /// traffic said.
    async fn check_report(&self, cause: &DriftCause) -> Result<(), AdmitError> {
        let refuse = |reason: String| AdmitError::NotRetrainable { run: cause.run_id.clone(), reason };
        let place = &cause.report;
        if place.bucket() != self.settings.work_bucket {
            return Err(refuse(format!("the report {place} lies outside the work bucket")));
        }
        let bytes = self.objects.bytes(place.bucket(), place.key(), None).await?;
        let bytes = bytes.ok_or_else(|| refuse(format!("the report {place} does not exist")))?;
        if Sha256Digest::of(&bytes) != cause.report_sha256 {
            return Err(refuse(format!("the report {place} is another one than the event names")));
        }
        Ok(())
    }

    /// Counts this run among those that drift started at its endpoint, if policy has room for it.
    async fn count_retraining(
        &self,
        run: &RunId,
        endpoint: &str,
        policy: &RetrainingPolicy,
        cost_usd: f64,
    ) -> Result<(), AdmitError> {
        let before = self.coordination.retrained(endpoint).await?;
        let this = Retrained { run_id: run.clone(), at: jiff::Timestamp::now(), cost_usd };
        let counted = policy.admit(&before.runs, this)?;
        self.coordination.note_retrained(endpoint, &before, &counted).await?;
        Ok(())
    }
}
