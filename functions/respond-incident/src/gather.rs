//! Gathers what is known of a configuration: its run's evidence, verified again, and what SageMaker would serve with it.

use contract::{Gate, Manifest, RunId};
use evidence::{
    Envelope, Files, Link, PassedOver, RunStatus, Statement, TrustRoot, VerifiedRun, link_path, verify_run,
};
use runtime::{Evidence, Inputs};

use crate::{
    aws::Services,
    error::RespondError,
    policy::{self, Candidate, Deployed},
};

/// Earlier configurations that are looked at, at most: each is a run whose whole evidence is read.
const MOST: usize = 10;
/// Where a run's evidence has the list of what it sealed.
const SEALED: &str = "seal-artifact/manifest.json";

/// Reads what there is.
pub struct Gatherer<'a> {
    /// SageMaker.
    pub services: &'a Services,
    /// Evidence of runs.
    pub evidence: &'a Evidence,
    /// What artefacts hold.
    pub inputs: &'a Inputs,
    /// Whose signatures count.
    pub trust: &'a TrustRoot,
    /// Where artefacts lie.
    pub work_bucket: &'a str,
}

/// What is known of a configuration.
#[derive(Debug)]
pub struct Known {
    /// What is decided on.
    pub candidate: Candidate,
    /// Its run.
    pub run: Option<RunId>,
    /// The configuration that served before it, as its approver was told.
    pub before: Option<String>,
    /// What its links name, verified or not: to revoke too much is the safe side.
    pub named: Deployed,
}

impl Gatherer<'_> {
    /// What is known of a configuration.
    ///
    /// # Errors
    /// `ServiceUnavailable`. Evidence that does not hold is no error: it is what is to be known.
    pub async fn known(&self, config: &str) -> Result<Known, RespondError> {
        let Some(run) = RunId::of_serving_name(config) else {
            let evidence = Err("it is not named after a run".to_owned());
            let candidate = Candidate { config: config.to_owned(), evidence, changed: None, revoked: None };
            return Ok(Known { candidate, run: None, before: None, named: named(&Files::new()) });
        };
        let files = self.evidence.whole(&run).await?;
        let named = named(&files);
        let before = said(&files, Gate::Approve, "serving").filter(|serving| !serving.is_empty());
        let evidence = match verify_run(&files, self.trust) {
            Ok(verified) if verified.record.run_id == run => Ok(deployed(&verified)),
            Ok(verified) => Err(format!("it is that of run {}", verified.record.run_id)),
            Err(broken) => Err(broken.to_string()),
        };
        let (mut changed, mut revoked) = (None, None);
        if let Ok(deployed) = &evidence
            && deployed.succeeded
        {
            changed = self.changed(config, &files, deployed).await?;
            for digest in [&deployed.artifact, &deployed.image] {
                if revoked.is_none() {
                    revoked = self.evidence.revocation(digest).await?;
                }
            }
        }
        let candidate = Candidate { config: config.to_owned(), evidence, changed, revoked };
        Ok(Known { candidate, run: Some(run), before, named })
    }

    /// How what SageMaker would serve differs from what was deployed.
    async fn changed(
        &self,
        config: &str,
        files: &Files,
        deployed: &Deployed,
    ) -> Result<Option<String>, RespondError> {
        let Some(serving) = self.services.serving(config).await? else {
            return Ok(Some("its configuration or its model was deleted".to_owned()));
        };
        if serving.models.is_empty() || serving.models.iter().any(|model| model != config) {
            return Ok(Some(format!("it serves {:?} now, and not its own model", serving.models)));
        }
        if !serving.image.ends_with(&format!("@{}", deployed.image)) {
            return Ok(Some(format!("its model has the image {} now", serving.image)));
        }
        let prefix = said(files, Gate::SealArtifact, "prefix").unwrap_or_default();
        if serving.place != format!("s3://{}/{prefix}", self.work_bucket) {
            return Ok(Some(format!("its model lies at {} now", serving.place)));
        }
        let sealed = files.get(SEALED).and_then(|bytes| serde_json::from_slice::<Manifest>(bytes).ok());
        let Some(sealed) = sealed else { return Ok(Some(format!("`{SEALED}` cannot be read"))) };
        let change = self.inputs.prefix_change(self.work_bucket, &prefix, &sealed).await?;
        Ok(change.map(|change| change.to_string()))
    }

    /// Walks back over what served before, run by run, to the latest configuration that is safe.
    ///
    /// # Errors
    /// `ServiceUnavailable`.
    pub async fn walk(
        &self,
        serving: &Known,
        endpoint: &str,
        shunned: Option<&str>,
    ) -> Result<(Option<String>, Vec<PassedOver>), RespondError> {
        let mut passed_over: Vec<PassedOver> = Vec::new();
        let mut next = serving.before.clone();
        while let Some(config) = next {
            let seen = passed_over.iter().any(|one| one.config == config);
            if seen || config == serving.candidate.config || passed_over.len() == MOST {
                break;
            }
            let known = self.known(&config).await?;
            match policy::unsafe_because(&known.candidate, endpoint, shunned) {
                None => return Ok((Some(config), passed_over)),
                Some(reason) => passed_over.push(PassedOver { config, reason }),
            }
            next = known.before;
        }
        Ok((None, passed_over))
    }
}

/// What a gate's link says, unverified.
fn said(files: &Files, gate: Gate, fact: &str) -> Option<String> {
    let envelope = Envelope::parse(files.get(&link_path(gate))?).ok()?;
    envelope.unverified::<Statement<Link>>().ok()?.predicate.facts.get(fact).cloned()
}

fn named(files: &Files) -> Deployed {
    let fact = |gate, name| said(files, gate, name).unwrap_or_default();
    Deployed {
        succeeded: false,
        endpoint: fact(Gate::Deploy, "endpoint"),
        artifact: fact(Gate::SealArtifact, "artifact"),
        image: fact(Gate::Admit, "image"),
        package: fact(Gate::Approve, "package"),
    }
}

/// What verified links say; the verifier holds the gates to one artefact and one image.
fn deployed(verified: &VerifiedRun) -> Deployed {
    let fact = |gate, name| verified.chain.fact(gate, name).unwrap_or_default().to_owned();
    Deployed {
        succeeded: verified.record.status == RunStatus::Succeeded,
        endpoint: fact(Gate::Deploy, "endpoint"),
        artifact: fact(Gate::SealArtifact, "artifact"),
        image: fact(Gate::Admit, "image"),
        package: fact(Gate::Approve, "package"),
    }
}
