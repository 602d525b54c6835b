//! The story of an incident: is it still so, whose turn is it, what is safe, do it, record it, tell it.

use std::time::Duration;

use aws_config::SdkConfig;
use contract::{RunId, Sha256Digest};
use evidence::{
    Incident, IncidentAction, IncidentSeverity, Moment, Outcome, PassedOver, Revocation, Statement,
    incident_prefix, revocation_key,
};
use jiff::Timestamp;
use runtime::{
    Attestor, Coordination, Environment, Evidence, Inputs, Invocation, Lease, Objects, Phase, Response, Turn,
    failed,
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    aws::{self, Services},
    error::RespondError,
    event::{self, ByHand, Cause, Occasion, Signal},
    gather::{Gatherer, Known},
    policy::{self, Decision, EndpointState, Standing},
    post_mortem,
    settings::Settings,
};

/// Longer than an invocation may take: whoever has not answered by then never will.
const CLAIM: Duration = Duration::from_secs(180);
/// How often, a second apart, a delivery looks whether the one that is at it has answered.
const PATIENCE: u32 = 25;

/// The function.
pub struct RespondIncident {
    settings: Settings,
    services: Services,
    sns: aws_sdk_sns::Client,
    objects: Objects,
    evidence: Evidence,
    inputs: Inputs,
    attestor: Attestor,
    coordination: Coordination,
}

/// What was done about one endpoint.
#[derive(Debug, Serialize)]
pub struct Answer {
    endpoint: String,
    /// None when there was nothing to do.
    action: Option<IncidentAction>,
    incident_id: Option<RunId>,
    from: Option<String>,
    to: Option<String>,
    /// Where the record lies.
    record: Option<String>,
    /// In words.
    said: String,
}

/// What the function answers.
#[derive(Debug, Serialize)]
pub struct Output {
    answers: Vec<Answer>,
}

/// What subscribers are sent.
#[derive(Serialize)]
struct Notification<'a> {
    kind: &'static str,
    incident_id: &'a str,
    endpoint: &'a str,
    severity: IncidentSeverity,
    /// What happened and what was done, in words.
    said: &'a str,
    runbook: &'a str,
    record: String,
    post_mortem: String,
}

/// One delivery of a signal, about one endpoint.
struct Case<'a> {
    endpoint: &'a str,
    signal: &'a Signal,
    event_sha256: &'a Sha256Digest,
    holder: &'a str,
    received_at: String,
}

impl Answer {
    fn nothing(endpoint: &str, said: String) -> Self {
        let endpoint = endpoint.to_owned();
        tracing::info!(endpoint, "{said}");
        Self { endpoint, action: None, incident_id: None, from: None, to: None, record: None, said }
    }
}

impl Case<'_> {
    fn by_hand(&self) -> Option<&ByHand> {
        match &self.signal.cause {
            Cause::Hand(asked) => Some(asked),
            _ => None,
        }
    }

    fn incident(&self) -> RunId {
        RunId::of(&["incident", self.endpoint, &self.signal.id])
    }
}

fn now() -> String {
    Timestamp::now().to_string()
}

impl RespondIncident {
    /// From the environment.
    ///
    /// # Errors
    /// [`runtime::Error::Misconfigured`].
    pub fn new(config: &SdkConfig) -> Result<Self, runtime::Error> {
        let mut environment = Environment::of("respond-incident");
        let s3 = aws_sdk_s3::Client::new(config);
        let attestor = Attestor::read(&mut environment, config);
        let function = Self {
            settings: Settings::read(&mut environment),
            services: Services::new(config),
            sns: aws_sdk_sns::Client::new(config),
            objects: Objects::new(s3.clone()),
            evidence: Evidence::new(s3.clone(), attestor.bucket().to_owned()),
            inputs: Inputs::new(s3),
            attestor,
            coordination: Coordination::read(&mut environment, config),
        };
        environment.finish(function)
    }

    /// One event, or one call by hand.
    pub async fn handle(&self, event: Value, invocation: &Invocation) -> Result<Output, RespondError> {
        let received_at = now();
        let holder = invocation.request_id();
        match event::parse(&event, holder).ok_or(RespondError::EventUnknown)? {
            Occasion::Rescan => self.rescan().await,
            Occasion::Settled(endpoint) => Ok(Output { answers: vec![self.settle(&endpoint).await?] }),
            Occasion::Signal(signal) => {
                let event_sha256 = &Sha256Digest::of(event.to_string());
                let mut answers = Vec::new();
                let mut failures = Vec::new();
                let concerned = self.concerned(&signal.cause).await?;
                for endpoint in &concerned {
                    let received_at = received_at.clone();
                    let case = Case { endpoint, signal: &signal, event_sha256, holder, received_at };
                    // One endpoint's trouble must not keep the others from being answered for.
                    match self.answer(&case).await {
                        Ok(answer) => answers.push(answer),
                        Err(error) => failures.push(error),
                    }
                }
                match (failures.len(), failures.pop()) {
                    (_, None) => Ok(Output { answers }),
                    (_, Some(only)) if concerned.len() == 1 => Err(only),
                    (failed, Some(last)) => {
                        Err(RespondError::Partial { failed, all: concerned.len(), last: Box::new(last) })
                    }
                }
            }
        }
    }

    /// The endpoints that something is wrong with, asked afresh; none when it is over.
    async fn concerned(&self, cause: &Cause) -> Result<Vec<String>, RespondError> {
        let declared = &self.settings.endpoints;
        match cause {
            Cause::Alarm { name } => {
                let guarded = self.settings.guarded_by(name);
                let endpoint = guarded.ok_or_else(|| RespondError::Undeclared(name.clone()))?;
                if self.services.is_ringing(name).await? {
                    return Ok(vec![endpoint.to_owned()]);
                }
                tracing::info!(alarm = name, "it is not in ALARM any more");
                Ok(Vec::new())
            }
            Cause::Finding { repository, digest } => {
                let mut serving = Vec::new();
                for name in declared.keys() {
                    let state = self.services.endpoint(name).await?;
                    if state.is_some_and(|state| state.serves_image(digest)) {
                        serving.push(name.clone());
                    }
                }
                if serving.is_empty() {
                    return Ok(serving);
                }
                let found = self.services.findings(repository, digest).await?;
                let policy = self.objects.policy(self.attestor.bucket(), &self.settings.policy).await?;
                let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
                let unanswered = policy::unanswered(&found, &policy.images.waivers, today);
                tracing::info!(digest, ?unanswered, "critical findings that nobody answered for");
                Ok(if unanswered.is_empty() { Vec::new() } else { serving })
            }
            Cause::Threat { .. } | Cause::Access { .. } => Ok(declared.keys().cloned().collect()),
            Cause::Hand(asked) if declared.contains_key(&asked.endpoint) => Ok(vec![asked.endpoint.clone()]),
            Cause::Hand(asked) => Err(RespondError::Undeclared(asked.endpoint.clone())),
        }
    }

    async fn answer(&self, case: &Case<'_>) -> Result<Answer, RespondError> {
        let endpoint = case.endpoint;
        let trust = self.evidence.trust_root(&self.settings.trust).await?;
        let gatherer = Gatherer {
            services: &self.services,
            evidence: &self.evidence,
            inputs: &self.inputs,
            trust: &trust,
            work_bucket: &self.settings.work_bucket,
        };
        let response = self.coordination.response(endpoint).await?;
        // A retry of this very invocation: what it decided stands, and so does what it did.
        if let Some(response) = response.as_ref().filter(|response| response.holder == case.holder) {
            let incident = decided(response)?;
            return match response.phase {
                Phase::Claimed => self.carry_out(case, &gatherer, incident).await,
                Phase::Done | Phase::Settled => self.record(incident).await,
            };
        }
        let Some(state) = self.services.endpoint(endpoint).await? else {
            return match &case.signal.cause {
                Cause::Hand(_) => Err(RespondError::NoEndpoint(endpoint.to_owned())),
                Cause::Threat { .. } | Cause::Access { .. } => {
                    self.note(case, None, "nothing serves there").await
                }
                Cause::Alarm { .. } | Cause::Finding { .. } => {
                    Ok(Answer::nothing(endpoint, "the endpoint does not exist".to_owned()))
                }
            };
        };
        let is_about_somebody = matches!(case.signal.cause, Cause::Threat { .. } | Cause::Access { .. });
        if let Some(response) = response
            && !is_about_somebody
            && let Some(answer) = self.is_answered(case, response, &state).await?
        {
            return Ok(answer);
        }
        match state.standing() {
            Standing::Serves => self.decide(case, &gatherer, &state).await,
            _ if case.by_hand().is_some() => {
                let status = state.status.clone();
                Err(RespondError::NotInService { endpoint: endpoint.to_owned(), status })
            }
            Standing::Deploys if matches!(case.signal.cause, Cause::Alarm { .. }) => {
                let action = IncidentAction::LeftToTheDeployment;
                let because = "a deployment is under way, and its own guardrails act".to_owned();
                let incident = self.incident(case, action, because, Some(state.config), None, Vec::new());
                self.record(incident).await
            }
            Standing::Deploys => {
                let because = "a deployment is under way: look once it has ended";
                self.note(case, Some(&state), because).await
            }
            Standing::Leaves => Ok(Answer::nothing(endpoint, "the endpoint is being deleted".to_owned())),
            Standing::Lies => {
                let because = format!("the endpoint is {}, and nobody can update it so", state.status);
                self.note(case, Some(&state), &because).await
            }
        }
    }

    /// Whether another delivery answers, or did so a short while ago.
    async fn is_answered(
        &self,
        case: &Case<'_>,
        mut response: Response,
        state: &EndpointState,
    ) -> Result<Option<Answer>, RespondError> {
        let endpoint = case.endpoint;
        let is_person = case.by_hand().is_some();
        for _ in 0..PATIENCE {
            let bars = response.bars(&state.config, Timestamp::now().as_second());
            if !bars || (is_person && response.phase != Phase::Claimed) {
                return Ok(None);
            }
            if response.phase != Phase::Claimed {
                let until = Timestamp::from_second(response.ends_at).map(|at| at.to_string());
                let said = format!(
                    "incident {} answered for `{endpoint}` already, and nothing more is done before {}",
                    response.incident,
                    until.unwrap_or_default()
                );
                return Ok(Some(Answer::nothing(endpoint, said)));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            let Some(newer) = self.coordination.response(endpoint).await? else { return Ok(None) };
            response = newer;
        }
        Err(RespondError::InHand(endpoint.to_owned()))
    }

    async fn decide(
        &self,
        case: &Case<'_>,
        gatherer: &Gatherer<'_>,
        state: &EndpointState,
    ) -> Result<Answer, RespondError> {
        let endpoint = case.endpoint;
        let cause = &case.signal.cause;
        let serving = gatherer.known(&state.config).await?;
        let is_bad = policy::unsafe_because(&serving.candidate, endpoint, None);
        let shunned = match cause {
            Cause::Finding { digest, .. } => Some(digest.as_str()),
            _ => None,
        };
        let chosen = case.by_hand().and_then(|asked| asked.to.as_ref());
        let (safe, passed_over) = match chosen {
            Some(run) => (Some(self.chosen(case, gatherer, run, state).await?), Vec::new()),
            None => gatherer.walk(&serving, endpoint, shunned).await?,
        };
        let decision = policy::decide(cause, safe.as_deref(), is_bad.is_none());
        let (action, because, to) = match decision {
            Decision::Note if case.by_hand().is_some() => {
                let reasons = policy::listed(&passed_over);
                return Err(RespondError::NothingSafe { endpoint: endpoint.to_owned(), reasons });
            }
            Decision::Note => {
                let because = "what serves was verified again, and holds: people decide about the rest";
                return self.note(case, Some(state), because).await;
            }
            Decision::RollBack(to) => {
                let because = match chosen {
                    Some(_) => "its run was asked for, and its evidence verifies".to_owned(),
                    None => format!("`{to}` is the latest that served before and still verifies"),
                };
                (IncidentAction::RolledBack, because, Some(to))
            }
            Decision::Isolate => {
                let reasons = policy::listed(&passed_over);
                (IncidentAction::Isolated, format!("no earlier configuration is safe ({reasons})"), None)
            }
        };
        let mut incident = self.incident(case, action, because, Some(state.config.clone()), to, passed_over);
        if let Some(broken) = is_bad {
            let what = format!("`{}`, which serves, does not hold itself: {broken}", state.config);
            incident.timeline.push(Moment { at: now(), what });
        }
        if self.claim(case, &incident).await? == Turn::Theirs {
            let Some(response) = self.coordination.response(endpoint).await? else {
                return Err(RespondError::InHand(endpoint.to_owned()));
            };
            let answered = self.is_answered(case, response, state).await?;
            return answered.ok_or_else(|| RespondError::InHand(endpoint.to_owned()));
        }
        self.carry_out(case, gatherer, incident).await
    }

    /// The configuration that a person chose.
    async fn chosen(
        &self,
        case: &Case<'_>,
        gatherer: &Gatherer<'_>,
        run: &RunId,
        state: &EndpointState,
    ) -> Result<String, RespondError> {
        let config = run.serving_name();
        if config == state.config {
            return Err(RespondError::ServesAlready { endpoint: case.endpoint.to_owned(), config });
        }
        let known = gatherer.known(&config).await?;
        match policy::unsafe_because(&known.candidate, case.endpoint, None) {
            None => Ok(config),
            Some(reason) => Err(RespondError::NotSafe { config, reason }),
        }
    }

    async fn claim(&self, case: &Case<'_>, incident: &Incident) -> Result<Turn, RespondError> {
        let unwritable = |error: serde_json::Error| runtime::Error::Unreadable {
            place: "the decision".to_owned(),
            reason: error.to_string(),
        };
        let seconds = i64::try_from(CLAIM.as_secs()).unwrap_or(i64::MAX);
        let response = Response {
            incident: incident.incident_id.clone(),
            from: incident.from.clone().unwrap_or_default(),
            to: incident.to.clone(),
            decision: serde_json::to_string(incident).map_err(unwritable)?,
            holder: case.holder.to_owned(),
            phase: Phase::Claimed,
            ends_at: Timestamp::now().as_second().saturating_add(seconds),
        };
        let cooldown = case.by_hand().is_none();
        Ok(self.coordination.claim_response(case.endpoint, &response, cooldown).await?)
    }

    /// Does what was decided. Every step may have been done by an earlier try.
    async fn carry_out(
        &self,
        case: &Case<'_>,
        gatherer: &Gatherer<'_>,
        mut incident: Incident,
    ) -> Result<Answer, RespondError> {
        let endpoint = case.endpoint;
        let id = incident.incident_id.clone();
        // The same lease as a deployment's: neither starts while the other is at it.
        if let Lease::Busy(run) = self.coordination.lease(endpoint, &id).await? {
            self.coordination.drop_response(endpoint, &id).await?;
            return Err(RespondError::Deploying { endpoint: endpoint.to_owned(), run });
        }
        let done = match (&incident.from, &incident.to) {
            (Some(from), Some(to)) => self.roll_back(endpoint, from, to).await,
            (Some(from), None) => self.isolate(&incident, gatherer, from).await,
            (None, _) => Ok(Vec::new()),
        };
        // SageMaker itself refuses a second update from here on.
        self.coordination.release(endpoint, &id).await?;
        incident.timeline.extend(done?);
        let phase = if incident.to.is_some() { Phase::Done } else { Phase::Settled };
        let answer = self.record(incident).await?;
        self.coordination.advance_response(endpoint, &id, phase, self.settings.cooldown).await?;
        Ok(answer)
    }

    async fn roll_back(&self, endpoint: &str, from: &str, to: &str) -> Result<Vec<Moment>, RespondError> {
        let state = self.services.endpoint(endpoint).await?;
        let is_as_before =
            |state: &EndpointState| state.standing() == Standing::Serves && state.config == from;
        if state.as_ref().is_some_and(is_as_before) {
            self.services.update(endpoint, to).await?;
        }
        Ok(vec![Moment {
            at: now(),
            what: format!("SageMaker was asked to serve `{to}` again, all at once"),
        }])
    }

    /// Revoked first: whatever fails after that, no later run deploys it.
    async fn isolate(
        &self,
        incident: &Incident,
        gatherer: &Gatherer<'_>,
        from: &str,
    ) -> Result<Vec<Moment>, RespondError> {
        let Known { candidate, run, named, .. } = gatherer.known(from).await?;
        let deployed = candidate.evidence.unwrap_or(named);
        let mut timeline = Vec::new();
        if let Some(run) = run {
            // What has the findings is the image; the weights may serve again from a mended one.
            let (what, digest) = match incident.runbook.ends_with("critical-finding.md") {
                true => ("image", deployed.image.trim_start_matches("sha256:")),
                false => ("artifact", deployed.artifact.as_str()),
            };
            if let Ok(sha256) = Sha256Digest::try_from(digest.to_owned()) {
                let revocation = Revocation {
                    incident_id: incident.incident_id.clone(),
                    endpoint: incident.endpoint.clone(),
                    run_id: run,
                    reason: incident.cause.clone(),
                    at: now(),
                };
                let statement = revocation.into_statement(what, &sha256);
                // What is revoked already is, whichever incident did it.
                let any = |_: &Statement<Revocation>| true;
                self.attestor.store_once(&revocation_key(digest), &statement, any).await?;
                timeline.push(Moment { at: now(), what: format!("the {what} {digest} was revoked") });
            }
        }
        if !deployed.package.is_empty() {
            let reason = format!("Incident {}: {}", incident.incident_id, incident.cause);
            self.services.reject(&deployed.package, &reason).await?;
            timeline.push(Moment { at: now(), what: format!("{} was rejected", deployed.package) });
        }
        self.services.delete(&incident.endpoint).await?;
        timeline.push(Moment { at: now(), what: "the endpoint was deleted: nothing answers".to_owned() });
        Ok(timeline)
    }

    /// Records what nothing is done about, and tells it.
    async fn note(
        &self,
        case: &Case<'_>,
        state: Option<&EndpointState>,
        because: &str,
    ) -> Result<Answer, RespondError> {
        let from = state.map(|state| state.config.clone());
        let incident = self.incident(case, IncidentAction::Noted, because.to_owned(), from, None, Vec::new());
        self.record(incident).await
    }

    fn incident(
        &self,
        case: &Case<'_>,
        action: IncidentAction,
        because: String,
        from: Option<String>,
        to: Option<String>,
        passed_over: Vec<PassedOver>,
    ) -> Incident {
        let cause = &case.signal.cause;
        let mut timeline: Vec<Moment> =
            case.signal.at.iter().map(|at| Moment { at: at.clone(), what: cause.words() }).collect();
        timeline.push(Moment { at: case.received_at.clone(), what: "respond-incident was woken".to_owned() });
        timeline.push(Moment { at: now(), what: format!("it decided: {action:?}, since {because}") });
        let severity = match action {
            IncidentAction::Isolated => IncidentSeverity::Critical,
            _ => cause.severity(),
        };
        Incident {
            incident_id: case.incident(),
            endpoint: case.endpoint.to_owned(),
            severity,
            cause: cause.words(),
            event_sha256: case.event_sha256.clone(),
            action,
            because,
            from,
            to,
            passed_over,
            timeline,
            runbook: format!("{}/{}.md", self.settings.runbooks_url, cause.runbook()),
            recorded_at: now(),
        }
    }

    /// Signs the record, once, and tells it; a later delivery finds what an earlier one wrote.
    async fn record(&self, mut incident: Incident) -> Result<Answer, RespondError> {
        incident.recorded_at = now();
        let prefix = incident_prefix(&incident.endpoint, &incident.incident_id);
        let page = post_mortem::page(&incident);
        let statement = incident.clone().into_statement();
        let mut stored = incident.clone();
        let of_this = |found: &Statement<Incident>| {
            stored.clone_from(&found.predicate);
            found.predicate.incident_id == incident.incident_id
        };
        self.attestor.store_once(&format!("{prefix}record.json"), &statement, of_this).await?;
        let said = in_words(&stored);
        if stored.action != IncidentAction::LeftToTheDeployment {
            self.attestor
                .keep_text(&format!("{prefix}post-mortem.md"), "text/markdown; charset=utf-8", &page)
                .await?;
            self.tell("recorded", &stored, stored.severity, &said).await?;
        }
        tracing::info!(endpoint = stored.endpoint, action = ?stored.action, "{said}");
        Ok(Answer {
            record: Some(format!("s3://{}/{prefix}record.json", self.attestor.bucket())),
            endpoint: stored.endpoint,
            action: Some(stored.action),
            incident_id: Some(stored.incident_id),
            from: stored.from,
            to: stored.to,
            said,
        })
    }

    /// At least once: noted after publishing. Readers tell repeats apart by incident.
    async fn tell(
        &self,
        what: &str,
        incident: &Incident,
        severity: IncidentSeverity,
        said: &str,
    ) -> Result<(), RespondError> {
        let id = &incident.incident_id;
        if self.coordination.was_notified(id, what).await? {
            return Ok(());
        }
        let place = format!("s3://{}/{}", self.attestor.bucket(), incident_prefix(&incident.endpoint, id));
        let notification = Notification {
            kind: "Incident",
            incident_id: id.as_str(),
            endpoint: &incident.endpoint,
            severity,
            said,
            runbook: &incident.runbook,
            record: format!("{place}record.json"),
            post_mortem: format!("{place}post-mortem.md"),
        };
        let unreadable =
            |reason: String| runtime::Error::Unreadable { place: "the notification".to_owned(), reason };
        let message = serde_json::to_string(&notification).map_err(|error| unreadable(error.to_string()))?;
        let attribute = |value: &str| {
            aws_sdk_sns::types::MessageAttributeValue::builder()
                .data_type("String")
                .string_value(value)
                .build()
                .map_err(|error| unreadable(error.to_string()))
        };
        // SNS takes a hundred characters, and an endpoint's name may have 63.
        self.sns
            .publish()
            .topic_arn(&self.settings.topic_arn)
            .subject(format!("Lockstep: {} incident at {}", severity.as_str(), incident.endpoint))
            .message(message)
            .message_attributes("kind", attribute("Incident")?)
            .message_attributes("severity", attribute(severity.as_str())?)
            .send()
            .await
            .map_err(failed("sns:Publish"))?;
        Ok(self.coordination.note_notified(id, what).await?)
    }

    /// Closes an incident once its endpoint has come to rest.
    async fn settle(&self, endpoint: &str) -> Result<Answer, RespondError> {
        let nothing = |said: &str| Ok(Answer::nothing(endpoint, said.to_owned()));
        let Some(response) = self.coordination.response(endpoint).await? else {
            return nothing("no incident waits for it");
        };
        let Some(to) = response.to.clone().filter(|_| response.phase == Phase::Done) else {
            return nothing("no incident waits for it");
        };
        let state = self.services.endpoint(endpoint).await?;
        let (restored, said) = match &state {
            None => (false, "the endpoint does not exist any more".to_owned()),
            Some(state) if matches!(state.standing(), Standing::Deploys | Standing::Leaves) => {
                return nothing("it has not come to rest");
            }
            Some(state) => {
                let reason = state.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
                let said = format!("the endpoint is {} with `{}`{reason}", state.status, state.config);
                (state.standing() == Standing::Serves && state.config == to, said)
            }
        };
        let incident = decided(&response)?;
        let prefix = incident_prefix(endpoint, &response.incident);
        let key = format!("{prefix}record.json");
        let Some(record) = self.objects.bytes(self.attestor.bucket(), &key, None).await? else {
            return nothing("its incident is not recorded yet");
        };
        let outcome = Outcome {
            incident_id: response.incident.clone(),
            endpoint: endpoint.to_owned(),
            restored,
            said: said.clone(),
            at: now(),
        };
        let statement = outcome.into_statement(&Sha256Digest::of(&record));
        let of_this = |found: &Statement<Outcome>| found.predicate.incident_id == response.incident;
        self.attestor.store_once(&format!("{prefix}outcome.json"), &statement, of_this).await?;
        let severity = if restored { IncidentSeverity::Low } else { IncidentSeverity::Critical };
        let words = if restored {
            format!("the rollback of `{endpoint}` is done: {said}")
        } else {
            format!("the rollback of `{endpoint}` did NOT bring `{to}` back: {said}")
        };
        self.tell("settled", &incident, severity, &words).await?;
        let left = response.ends_at.saturating_sub(Timestamp::now().as_second());
        let left = Duration::from_secs(u64::try_from(left).unwrap_or(0));
        self.coordination.advance_response(endpoint, &response.incident, Phase::Settled, left).await?;
        Ok(Answer::nothing(endpoint, words))
    }

    /// Has ECR look again at what serves: a finding that is new since the last scan then comes as an event.
    async fn rescan(&self) -> Result<Output, RespondError> {
        let mut answers = Vec::new();
        for endpoint in self.settings.endpoints.keys() {
            let images =
                self.services.endpoint(endpoint).await?.map(|state| state.images).unwrap_or_default();
            for (repository, digest) in images.iter().filter_map(|image| aws::split(image)) {
                self.services.rescan(repository, digest).await?;
                answers.push(Answer::nothing(endpoint, format!("{repository}@{digest} is scanned anew")));
            }
        }
        Ok(Output { answers })
    }
}

/// What whoever claimed an answer had decided.
fn decided(response: &Response) -> Result<Incident, RespondError> {
    serde_json::from_str(&response.decision).map_err(|error| {
        runtime::Error::Unreadable { place: "the decision".to_owned(), reason: error.to_string() }.into()
    })
}

/// What happened and what was done, in a sentence.
fn in_words(incident: &Incident) -> String {
    let Incident { endpoint, cause, because, from, to, .. } = incident;
    let from = from.as_deref().unwrap_or("nothing");
    match (incident.action, to) {
        (IncidentAction::RolledBack, Some(to)) => {
            format!("{cause}: `{endpoint}` is going back from `{from}` to `{to}`, since {because}")
        }
        (IncidentAction::Isolated, _) => {
            format!("{cause}: `{endpoint}` was deleted, and what `{from}` served is revoked, since {because}")
        }
        _ => format!("{cause}: nothing was done to `{endpoint}`, since {because}"),
    }
}
