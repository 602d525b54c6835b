//! `lockstep promote`: a deployed run's model and evidence, carried to where they are verified again.
//!
//! What is carried is believed by nobody because of who carried it. The receiving account verifies the run's evidence
//! by its own trust root, and takes only files whose digests that evidence states.

use contract::{DataPin, Gate, Manifest, Promotion, Request, RunPlan, S3Uri, Sha256Digest};
use evidence::{Files, RunStatus, VerifiedRun};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::args::{PromoteArgs, WatchArgs, Watched};
use crate::carry::{self, Version};
use crate::connection::Target;
use crate::demo::Ended;
use crate::error::Error;
use crate::run_files;
use crate::screen::Screen;
use crate::trigger;
use crate::verify;
use crate::watch;

/// Carries a run from one account to another, or to the same, and follows the run that it starts there.
///
/// # Errors
/// [`Error::Broken`] when the run's evidence does not hold; [`Error::NotPromotable`]; a failing call.
pub(crate) async fn run(
    args: &PromoteArgs,
    from: &Target,
    to: &Target,
    screen: &Screen,
) -> Result<Ended, Error> {
    screen.aside(&format!("from {}", from.shown));
    screen.aside(&format!("to {}", to.shown));
    let source = from.s3();
    let bucket = run_files::bucket(&source, args.evidence_bucket.as_deref()).await?;
    let (files, verified) = verify::deployed(&source, &bucket, &args.run).await?;
    Former::read(args, &files, &verified)?.is_not_revoked(args, &source, &bucket).await?;
    carry(args, &Source { s3: source, files, verified, copies: None }, to, screen).await
}

/// A run that verified, and where its model lies.
pub(crate) struct Source {
    /// Reads it.
    pub s3: aws_sdk_s3::Client,
    /// The run's evidence.
    pub files: Files,
    /// What it proves.
    pub verified: VerifiedRun,
    /// The bucket that has copies of the model, where its own is gone.
    pub copies: Option<String>,
}

/// Carries a run that verified, and follows the run that it starts.
///
/// # Errors
/// As [`run`].
pub(crate) async fn carry(
    args: &PromoteArgs,
    source: &Source,
    to: &Target,
    screen: &Screen,
) -> Result<Ended, Error> {
    let files = &source.files;
    let run = Former::read(args, files, &source.verified)?;
    let target = to.s3();
    let intake = run_files::bucket_of(&target, "intake").await?;
    let data = evaluation_data(args, &run, &target).await?;
    let folder = Promotion::folder(&to.user_id().await?, &args.run);
    let bundle = evidence::bundle(files).map_err(|broken| not_promotable(args, broken.to_string()))?;
    let promotion = Promotion {
        run_id: args.run.clone(),
        evidence: S3Uri::new(&intake, Promotion::evidence_key(&folder)),
        evidence_sha256: Sha256Digest::of(&bundle),
    };
    let request = run.request(args, promotion.clone(), data)?;

    carry_artifact(&run, source, &target, &promotion, screen).await?;
    carry::put(&target, &promotion.evidence, bundle).await?;
    screen.say(&format!("  carried run {} to s3://{intake}/{folder}", args.run));
    if let Some(path) = &args.write {
        std::fs::write(path, trigger::pretty(&request)).map_err(Error::file("write", path))?;
        screen.say(&format!(
            "  wrote {}: upload it to s3://{intake}/requests/<your aws:userid>/ to start the run",
            path.display()
        ));
        return Ok(Ended::Succeeded);
    }
    let started = trigger::start(to, "promote", &request, screen).await?;
    let named = &started.run_id;
    screen.say(&format!(
        "  run {named} promotes {}; if it waits for approval: lockstep approve {named} --reason \"...\"",
        args.run
    ));
    let target = Watched::Execution(started.execution);
    let watched = WatchArgs { target, state_machine: None, account: args.to.account() };
    let has_succeeded = watch::watch(&watched, to, screen).await?;
    Ok(if has_succeeded { Ended::Succeeded } else { Ended::Refused })
}

fn not_promotable(args: &PromoteArgs, reason: String) -> Error {
    Error::NotPromotable { run_id: args.run.to_string(), reason }
}

/// What is needed of the run that is promoted.
struct Former {
    plan: RunPlan,
    /// As it was asked for, without the thresholds that policy added.
    request: Request,
    commit: String,
    manifest: Manifest,
    /// The artefact's digest, as it was sealed.
    artifact: String,
}

impl Former {
    fn read(args: &PromoteArgs, files: &Files, verified: &VerifiedRun) -> Result<Self, Error> {
        if verified.record.status != RunStatus::Succeeded {
            return Err(not_promotable(args, "it was not deployed: only what serves is promoted".to_owned()));
        }
        let commit = verified.chain.fact(Gate::SealModel, "commit");
        let commit = commit.map_err(|broken| not_promotable(args, broken.to_string()))?.to_owned();
        let artifact = verified.chain.fact(Gate::SealArtifact, "artifact");
        let artifact = artifact.map_err(|broken| not_promotable(args, broken.to_string()))?.to_owned();
        Ok(Self {
            plan: document(args, files, "admit-run/plan.json")?,
            request: document(args, files, "admit-run/request.json")?,
            commit,
            artifact,
            manifest: document(args, files, "seal-artifact/manifest.json")?,
        })
    }

    /// What an incident of this account revoked is not carried to another, whose own revocations know nothing of it.
    async fn is_not_revoked(
        &self,
        args: &PromoteArgs,
        source: &aws_sdk_s3::Client,
        bucket: &str,
    ) -> Result<(), Error> {
        for (what, digest) in [("artefact", &self.artifact), ("image", &self.plan.image.digest)] {
            if let Some(said) = run_files::revocation(source, bucket, digest).await? {
                let reason = format!(
                    "its {what} {digest} is revoked: {said}; mend what the incident found, and promote a run that was \
                     made since"
                );
                return Err(not_promotable(args, reason));
            }
        }
        Ok(())
    }

    /// What the receiving account is asked for: all that was resolved is pinned, and the training is the run's own.
    fn request(&self, args: &PromoteArgs, promotion: Promotion, data: DataPin) -> Result<Value, Error> {
        let mut request = self.request.clone();
        request.nonce = Some(trigger::nonce("promote"));
        request.source.revision.clone_from(&self.commit);
        request.image = format!("{}@{}", self.plan.image.repository, self.plan.image.digest);
        request.evaluation.data = data;
        if let Some(endpoint) = &args.endpoint {
            request.endpoint.name.clone_from(endpoint);
        }
        if let Some(group) = &args.group {
            request.registry.model_package_group.clone_from(group);
        }
        request.promotion = Some(promotion);
        let refused = |reason: String| not_promotable(args, reason);
        request.check().map_err(|invalid| refused(invalid.to_string()))?;
        serde_json::to_value(&request).map_err(|error| refused(error.to_string()))
    }
}

fn document<T: DeserializeOwned>(args: &PromoteArgs, files: &Files, path: &str) -> Result<T, Error> {
    let bytes = files.get(path).map(Vec::as_slice).unwrap_or_default();
    serde_json::from_slice(bytes).map_err(|error| not_promotable(args, format!("its {path}: {error}")))
}

/// The rows that the receiving account grades on: those named, else those at the same key there.
async fn evaluation_data(
    args: &PromoteArgs,
    run: &Former,
    target: &aws_sdk_s3::Client,
) -> Result<DataPin, Error> {
    let uri = match &args.evaluation_data {
        Some(uri) => uri.clone(),
        None => {
            let work = run_files::bucket_of(target, "work").await?;
            S3Uri::new(work, run.request.evaluation.data.uri.key())
        }
    };
    let Some(latest) = carry::latest(target, &uri).await? else {
        let reason = format!(
            "there is no {uri} to grade it on: let whoever may write evaluation data there upload it, \
             or name another object with --evaluation-data"
        );
        return Err(not_promotable(args, reason));
    };
    Ok(DataPin { uri, version_id: latest.version_id, sha256: latest.sha256 })
}

/// Every file of the model, by version, each hashed on its way.
async fn carry_artifact(
    run: &Former,
    source: &Source,
    target: &aws_sdk_s3::Client,
    promotion: &Promotion,
    screen: &Screen,
) -> Result<(), Error> {
    let manifest = &run.manifest;
    let location = S3Uri::try_from(manifest.location.clone());
    let location = location.map_err(|_| Error::Incomplete {
        operation: "the run's manifest",
        lacking: "a location: s3://bucket/prefix/",
    })?;
    let all: u64 = manifest.files.iter().map(|file| file.size).sum();
    let mut done = 0;
    let bucket = source.copies.as_deref().unwrap_or(location.bucket());
    for file in &manifest.files {
        screen.progress(done, all, &file.path, "carrying the model");
        let from = Version {
            place: S3Uri::new(bucket, format!("{}{}", location.key(), file.path)),
            // A copy may have another version's id; what it holds is hashed either way.
            version_id: file.version_id.clone().filter(|_| source.copies.is_none()),
            size: file.size,
            sha256: file.sha256.clone(),
        };
        let to = format!("{}{}", promotion.artifact_prefix(), file.path);
        carry::object(&source.s3, &from, target, &S3Uri::new(promotion.evidence.bucket(), to)).await?;
        done += file.size;
    }
    screen.idle();
    Ok(())
}
