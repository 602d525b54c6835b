//! `lockstep recover`: what served in an environment that is gone, verified from its copies and deployed in another.
//!
//! The copies are believed no more than what anybody carries: the receiving account's own trust root says whose runs count,
//! and every byte of a model is hashed. Which run served last is read from the copies, and then proven.

use std::time::Instant;

use aws_sdk_s3::Client as S3;
use contract::{Gate, RunId, RunPlan};
use evidence::{
    Envelope, Files, Incident, IncidentAction, NotTrusted, Record, RunBroken, RunStatus, Statement,
    TrustRoot, VerifiedRun, revocation_key, verify_incident, verify_run,
};
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use crate::args::{PromoteArgs, RecoverArgs};
use crate::connection::Target;
use crate::demo::Ended;
use crate::error::Error;
use crate::findings;
use crate::promote::{self, Source};
use crate::run_files;
use crate::screen::Screen;

/// Runs that are looked at side by side.
const SIDE_BY_SIDE: usize = 16;

/// A run that was deployed, as its unverified record says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Deployed {
    run: RunId,
    endpoint: String,
    sealed_at: String,
}

/// A run that proved itself.
struct Recovered {
    endpoint: String,
    files: Files,
    verified: VerifiedRun,
}

/// Recovers every endpoint, or those that are named, one after the other.
///
/// # Errors
/// [`Error::Broken`] when a copy does not verify; [`Error::NotRecoverable`]; a failing call.
pub(crate) async fn run(
    args: &RecoverArgs,
    from: &Target,
    to: &Target,
    screen: &Screen,
) -> Result<Ended, Error> {
    screen.aside(&format!("copies from {}", from.shown));
    screen.aside(&format!("to {}", to.shown));
    let begun = Instant::now();
    let (copies, target) = (from.s3(), to.s3());
    let own = run_files::bucket_of(&target, "evidence").await?;
    let trust = TrustRoot::parse(&run_files::deployed_trust_root(&target, &own).await?)?;
    let all = deployed(&copies, &args.evidence_bucket).await?;
    let mut chosen = Vec::new();
    for endpoint in endpoints(args, &all)? {
        screen.doing(&format!("verifying what served at {endpoint}"));
        chosen.push(choose(args, &copies, &trust, &all, &endpoint).await?);
    }
    for one in &chosen {
        let record = &one.verified.record;
        screen.say(&format!(
            "  {}: run {}, sealed {}, verifies",
            one.endpoint, record.run_id, record.sealed_at
        ));
    }
    screen.say(&format!("  found and verified in {:.1} s", begun.elapsed().as_secs_f64()));
    if args.dry_run {
        return Ok(Ended::Succeeded);
    }
    let mut ended = Ended::Succeeded;
    for Recovered { endpoint, files, verified } in chosen {
        let begun = Instant::now();
        let promotion = PromoteArgs {
            run: verified.record.run_id.clone(),
            endpoint: None,
            group: None,
            evaluation_data: args.evaluation_data.clone(),
            write: None,
            evidence_bucket: None,
            account: args.account.clone(),
            to: args.to.clone(),
        };
        let source = Source { s3: copies.clone(), files, verified, copies: Some(args.work_bucket.clone()) };
        if promote::carry(&promotion, &source, to, screen).await? != Ended::Succeeded {
            screen.say(&format!("  {endpoint} was not recovered"));
            ended = Ended::Refused;
            continue;
        }
        screen.say(&format!("  {endpoint} serves again after {:.1} s", begun.elapsed().as_secs_f64()));
        if let Some(question) = &args.question {
            ask(to, &endpoint, question, screen).await?;
        }
    }
    Ok(ended)
}

async fn ask(to: &Target, endpoint: &str, question: &str, screen: &Screen) -> Result<(), Error> {
    let begun = Instant::now();
    let sagemaker = aws_sdk_sagemaker::Client::new(&to.config);
    let runtime = aws_sdk_sagemakerruntime::Client::new(&to.config);
    let asked = findings::endpoint(&sagemaker, &runtime, endpoint, question).await?;
    let lacking = Error::Incomplete { operation: "InvokeEndpoint", lacking: "an answer" };
    let answer = asked.answer.ok_or(lacking)?;
    screen.say(&format!("  {endpoint} answers: {answer}"));
    screen.say(&format!("  answered in {:.1} s", begun.elapsed().as_secs_f64()));
    Ok(())
}

/// Those that are named, else all that ever served.
fn endpoints(args: &RecoverArgs, all: &[Deployed]) -> Result<Vec<String>, Error> {
    let mut known: Vec<&String> = all.iter().map(|one| &one.endpoint).collect();
    known.sort();
    known.dedup();
    if let Some(unknown) = args.endpoints.iter().find(|endpoint| !known.contains(endpoint)) {
        let reason = format!("no run in s3://{} deployed it", args.evidence_bucket);
        return Err(Error::NotRecoverable { endpoint: unknown.clone(), reason });
    }
    if known.is_empty() {
        let reason = format!("no run in s3://{} was deployed", args.evidence_bucket);
        return Err(Error::NotRecoverable { endpoint: "any endpoint".to_owned(), reason });
    }
    let named =
        if args.endpoints.is_empty() { known.into_iter().cloned().collect() } else { args.endpoints.clone() };
    Ok(named)
}

/// Every run whose record says that it was deployed. Nothing of this is believed yet; what cannot be read is no reason to
/// take an older run.
async fn deployed(s3: &S3, bucket: &str) -> Result<Vec<Deployed>, Error> {
    let mut prefixes = Vec::new();
    let mut pages =
        s3.list_objects_v2().bucket(bucket).prefix("runs/").delimiter("/").into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(Error::aws("ListObjectsV2"))?;
        prefixes
            .extend(page.common_prefixes().iter().filter_map(|prefix| prefix.prefix()).map(str::to_owned));
    }
    let reads = prefixes.into_iter().map(|prefix| async move { record(s3, bucket, &prefix).await });
    let found: Vec<Option<Deployed>> =
        futures::stream::iter(reads).buffer_unordered(SIDE_BY_SIDE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

async fn record(s3: &S3, bucket: &str, prefix: &str) -> Result<Option<Deployed>, Error> {
    let unreadable = |reason: String| Error::NotRecoverable {
        endpoint: format!("s3://{bucket}/{prefix}"),
        reason: format!("its record cannot be read: {reason}"),
    };
    let Some(bytes) = bytes(s3, bucket, &format!("{prefix}record.json")).await? else { return Ok(None) };
    let said = Envelope::parse(&bytes).and_then(|envelope| envelope.unverified::<Statement<Record>>());
    let record = said.map_err(|error| unreadable(error.to_string()))?.predicate;
    if record.status != RunStatus::Succeeded {
        return Ok(None);
    }
    let plan = run_files::object(s3, bucket, &format!("{prefix}admit-run/plan.json")).await?;
    let plan: RunPlan = serde_json::from_slice(&plan).map_err(|error| unreadable(error.to_string()))?;
    let (run, sealed_at) = (record.run_id, record.sealed_at);
    Ok(Some(Deployed { run, endpoint: plan.request.endpoint.name, sealed_at }))
}

async fn bytes(s3: &S3, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, Error> {
    match s3.head_object().bucket(bucket).key(key).send().await {
        Ok(_) => run_files::object(s3, bucket, key).await.map(Some),
        Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => Ok(None),
        Err(error) => Err(Error::aws("HeadObject")(error)),
    }
}

/// What served last: the run that was deployed last, or what an incident rolled back to since.
async fn choose(
    args: &RecoverArgs,
    s3: &S3,
    trust: &TrustRoot,
    all: &[Deployed],
    endpoint: &str,
) -> Result<Recovered, Error> {
    let refused = |reason: String| Error::NotRecoverable { endpoint: endpoint.to_owned(), reason };
    let latest = all.iter().filter(|one| one.endpoint == endpoint).max_by_key(|one| instant(&one.sealed_at));
    let latest = latest.ok_or_else(|| refused("no run deployed it".to_owned()))?;
    let incidents = incidents(s3, &args.evidence_bucket, trust, endpoint).await?;
    let run = match (&args.run, served_since(latest, &incidents)) {
        (Some(run), _) => run.clone(),
        (None, Ok(run)) => run,
        (None, Err(reason)) => return Err(refused(reason)),
    };
    let files = run_files::from_bucket(s3, &args.evidence_bucket, &run).await?;
    let verified = verify(&files, trust, &run)?;
    let plan: RunPlan =
        serde_json::from_slice(files.get("admit-run/plan.json").map(Vec::as_slice).unwrap_or_default())
            .map_err(|error| refused(format!("the plan of run {run}: {error}")))?;
    if plan.request.endpoint.name != endpoint {
        return Err(refused(format!("run {run} deployed {}", plan.request.endpoint.name)));
    }
    let artifact = verified.chain.fact(Gate::SealArtifact, "artifact");
    let artifact = artifact.map_err(|broken| refused(broken.to_string()))?;
    for digest in [artifact, &plan.image.digest] {
        if bytes(s3, &args.evidence_bucket, &revocation_key(digest)).await?.is_some() {
            return Err(refused(format!(
                "run {run} deployed {digest}, which was revoked: name an earlier run with --run, or train again"
            )));
        }
    }
    Ok(Recovered { endpoint: endpoint.to_owned(), files, verified })
}

/// The run that the latest deployment or the latest rollback since put into service.
fn served_since(latest: &Deployed, incidents: &[Incident]) -> Result<RunId, String> {
    let changing = |incident: &&Incident| {
        instant(&incident.recorded_at) > instant(&latest.sealed_at)
            && matches!(incident.action, IncidentAction::RolledBack | IncidentAction::Isolated)
    };
    let last = incidents.iter().filter(changing).max_by_key(|one| instant(&one.recorded_at));
    match last {
        None => Ok(latest.run.clone()),
        Some(Incident { action: IncidentAction::Isolated, incident_id, .. }) => Err(format!(
            "incident {incident_id} isolated it, so nothing served: name a run with --run if one shall"
        )),
        Some(Incident { to, incident_id, .. }) => to.as_deref().and_then(RunId::of_serving_name).ok_or_else(|| {
            format!("incident {incident_id} rolled it back to a configuration of no run: name a run with --run")
        }),
    }
}

/// Fractions of a second come in any number of digits, so text does not compare.
fn instant(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// What was done about an endpoint, as the lost environment signed it.
async fn incidents(s3: &S3, bucket: &str, trust: &TrustRoot, endpoint: &str) -> Result<Vec<Incident>, Error> {
    let mut incidents = Vec::new();
    let prefix = format!("incidents/{endpoint}/");
    let mut pages = s3.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(Error::aws("ListObjectsV2"))?;
        let keys = page.contents().iter().filter_map(|object| object.key());
        for key in keys.filter(|key| key.ends_with("/record.json")) {
            let bytes = run_files::object(s3, bucket, key).await?;
            let mut verified =
                trust.promotes_from().iter().chain([trust]).map(|root| verify_incident(&bytes, root));
            let incident = verified.find(|verified| !matches!(verified, Err(NotTrusted::UnknownKey(_))));
            let incident = incident.unwrap_or(Err(NotTrusted::UnknownKey(key.to_owned())));
            incidents.push(incident.map_err(|error| Error::NotRecoverable {
                endpoint: endpoint.to_owned(),
                reason: format!("{key} does not verify: {error}"),
            })?);
        }
    }
    Ok(incidents)
}

/// Verifies a run by the environment that it says it is of, if the receiving account promotes from that.
fn verify(files: &Files, trust: &TrustRoot, run: &RunId) -> Result<VerifiedRun, Error> {
    let broken = |broken| Error::Broken { what: run.to_string(), broken };
    for root in trust.promotes_from().iter().chain([trust]) {
        match verify_run(files, root) {
            Err(RunBroken::Record(NotTrusted::UnknownKey(_))) => {}
            Err(other) => return Err(broken(other)),
            Ok(verified) if verified.record.run_id == *run => return Ok(verified),
            Ok(verified) => {
                let (found, expected) = (verified.record.run_id.to_string(), run.to_string());
                return Err(broken(RunBroken::OtherRun { found, expected }));
            }
        }
    }
    Err(Error::NotRecoverable {
        endpoint: format!("run {run}"),
        reason: "nobody signed it whom the receiving account promotes from: add the lost environment's trust root to \
                 `promotes_from` there"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use contract::Sha256Digest;
    use evidence::IncidentSeverity;

    use super::*;

    fn run(name: &str) -> RunId {
        RunId::of(&[name])
    }

    fn incident(at: &str, action: IncidentAction, to: Option<String>) -> Incident {
        Incident {
            incident_id: run(at),
            endpoint: "e".to_owned(),
            severity: IncidentSeverity::High,
            cause: String::new(),
            event_sha256: Sha256Digest::of("e"),
            action,
            because: String::new(),
            from: None,
            to,
            passed_over: Vec::new(),
            timeline: Vec::new(),
            runbook: String::new(),
            recorded_at: at.to_owned(),
        }
    }

    #[test]
    fn what_was_rolled_back_to_since_is_what_served() {
        let latest = Deployed {
            run: run("second"),
            endpoint: "e".to_owned(),
            sealed_at: "2026-01-02T00:00:00Z".to_owned(),
        };
        let back = |at| incident(at, IncidentAction::RolledBack, Some(run("first").serving_name()));
        let isolated = |at| incident(at, IncidentAction::Isolated, None);
        let before = "2026-01-01T00:00:00Z";
        assert_eq!(served_since(&latest, &[]), Ok(run("second")));
        assert_eq!(served_since(&latest, &[back(before), isolated(before)]), Ok(run("second")));
        assert_eq!(served_since(&latest, &[back("2026-01-03T00:00:00Z")]), Ok(run("first")));
        let noted = incident("2026-01-04T00:00:00Z", IncidentAction::Noted, None);
        assert_eq!(served_since(&latest, &[back("2026-01-03T00:00:00Z"), noted]), Ok(run("first")));
        assert!(
            served_since(&latest, &[back("2026-01-03T00:00:00Z"), isolated("2026-01-04T00:00:00Z")]).is_err()
        );
    }
}
