//! What the gates after admission signed must be what the plan asked for, and must pass what it and the policy demand.
//!
//! A link says what its gate did; whether that is what was asked is judged here again, from the plan and the policy
//! that admission signed. A gate that was taken over can lie about what it saw, but not about what was asked.

use std::collections::BTreeMap;

use contract::{Gate, Policy, RunId, RunPlan, Score, Severity, Sha256Digest, bounds, same_principal};
use jiff::tz::TimeZone;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    chain::{EvidenceBroken, Files, VerifiedChain},
    envelope::Envelope,
    predicates::{Provenance, Vulns},
    promotion::{self, PROMOTED_PATH, Promoted},
    smoke_test::{SMOKE_TEST_PATH, check_smoke_test},
    statement::{Link, Statement},
    time::instant,
    trust::TrustRoot,
};

/// Checks every link at hand against the plan and the policy.
///
/// # Errors
/// [`EvidenceBroken`], naming the first gate that did something else.
pub(crate) fn check(
    run: &RunId,
    policy_sha256: &Sha256Digest,
    chain: &VerifiedChain,
    files: &Files,
    trust: &TrustRoot,
) -> Result<(), EvidenceBroken> {
    if !chain.links().contains_key(&Gate::Admit) {
        return Ok(());
    }
    let plan: RunPlan = document(files, "admit-run/plan.json")?;
    let policy: Policy = document(files, "admit-run/policy.json")?;
    if plan.run_id != *run || plan.policy_sha256 != *policy_sha256 {
        return Err(EvidenceBroken::Foreign(Gate::Admit, "run's plan"));
    }
    let checker = Checker { chain, plan: &plan };
    checker.stated()?;
    checker.resolved()?;
    checker.trained()?;
    checker.promoted(files, trust)?;
    checker.came_from(files)?;
    for gate in [Gate::JudgeFindings, Gate::RecheckImage] {
        checker.scanned(gate, &policy, files)?;
    }
    checker.passed()?;
    checker.approved(&policy)?;
    checker.smoke_tested(files, trust)
}

fn document<T: DeserializeOwned>(files: &Files, path: &str) -> Result<T, EvidenceBroken> {
    let bytes = files.get(path).map(Vec::as_slice).unwrap_or_default();
    serde_json::from_slice(bytes).map_err(|error| EvidenceBroken::Carried {
        gate: Gate::Admit,
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

/// What a statement says whose signature was verified already.
fn carried<P: Serialize + DeserializeOwned>(
    files: &Files,
    gate: Gate,
    path: &str,
) -> Result<P, EvidenceBroken> {
    let bytes = files.get(path).map(Vec::as_slice).unwrap_or_default();
    let statement = Envelope::parse(bytes).and_then(|envelope| envelope.unverified::<Statement<P>>());
    statement.map(|statement| statement.predicate).map_err(|error| EvidenceBroken::Carried {
        gate,
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

struct Checker<'a> {
    chain: &'a VerifiedChain,
    plan: &'a RunPlan,
}

impl Checker<'_> {
    /// The facts that bind the other gates are the plan's.
    fn stated(&self) -> Result<(), EvidenceBroken> {
        let request = &self.plan.request;
        self.demand(Gate::Admit, "request", self.plan.request_sha256.as_str())?;
        self.demand(Gate::Admit, "image", &self.plan.image.digest)?;
        self.demand(Gate::Admit, "training_data", request.training.data.sha256.as_str())?;
        self.demand(Gate::Admit, "evaluation_data", request.evaluation.data.sha256.as_str())?;
        let submitter = self.plan.submitter.as_deref().unwrap_or("unknown");
        self.demand(Gate::Admit, "submitter", submitter)?;
        self.demand(Gate::Approve, "submitter", submitter)?;
        match &self.plan.cause {
            Some(cause) => self.demand(Gate::Admit, "drift_event", &cause.event_id),
            None => Ok(()),
        }
    }

    /// The model is the one that was asked for; a revision that was a commit already is that commit.
    fn resolved(&self) -> Result<(), EvidenceBroken> {
        let source = &self.plan.request.source;
        self.demand(Gate::SealModel, "source", &source.repo)?;
        let is_commit =
            source.revision.len() == 40 && source.revision.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_commit { self.demand(Gate::SealModel, "commit", &source.revision) } else { Ok(()) }
    }

    fn trained(&self) -> Result<(), EvidenceBroken> {
        let request = &self.plan.request;
        self.demand(Gate::Train, "training_data_version", &request.training.data.version_id)?;
        self.demand(Gate::JudgeMetrics, "evaluation_data_version", &request.evaluation.data.version_id)?;
        let Some(verified) = self.chain.links().get(&Gate::Train) else { return Ok(()) };
        let used = verified.link.facts.iter();
        let used: BTreeMap<&str, &str> = used
            .filter_map(|(name, value)| Some((name.strip_prefix("hyperparameter.")?, value.as_str())))
            .collect();
        let asked = request.training.hyperparameters.iter();
        let asked: BTreeMap<&str, &str> =
            asked.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if used == asked { Ok(()) } else { Err(EvidenceBroken::Unasked(Gate::Train, "hyperparameters")) }
    }

    /// The training was a promoted run's exactly where the plan says so, and that run proves what it is promoted for.
    fn promoted(&self, files: &Files, trust: &TrustRoot) -> Result<(), EvidenceBroken> {
        let Some(verified) = self.chain.links().get(&Gate::Train) else { return Ok(()) };
        let link = &verified.link;
        let Some(promotion) = &self.plan.request.promotion else {
            let unasked = EvidenceBroken::Unasked(Gate::Train, "promotion");
            return if promotion::is_promoting(link) { Err(unasked) } else { Ok(()) };
        };
        if !link.carries.iter().any(|carried| carried.path == PROMOTED_PATH) {
            return Err(EvidenceBroken::Bare(Gate::Train, PROMOTED_PATH));
        }
        let bytes = files.get(PROMOTED_PATH).map(Vec::as_slice).unwrap_or_default();
        let opened = Promoted::open(bytes, promotion, trust);
        let promoted = opened.and_then(|promoted| promoted.suits(self.plan).map(|()| promoted));
        let promoted = promoted.map_err(|broken| EvidenceBroken::Carried {
            gate: Gate::Train,
            path: PROMOTED_PATH.to_owned(),
            reason: broken.to_string(),
        })?;
        if !promoted.is_stated_by(link) {
            return Err(EvidenceBroken::Unasked(Gate::Train, "training"));
        }
        let artifact = promoted.artifact().ok_or(EvidenceBroken::Silent(Gate::SealArtifact, "artifact"))?;
        self.demand(Gate::SealArtifact, "artifact", artifact.as_str())
    }

    /// The artefact's provenance names the model and the data that the training gate names, and the plan's image.
    fn came_from(&self, files: &Files) -> Result<(), EvidenceBroken> {
        if !self.chain.links().contains_key(&Gate::SealArtifact) {
            return Ok(());
        }
        let provenance: Provenance = carried(files, Gate::SealArtifact, "seal-artifact/provenance.json")?;
        let dependencies = provenance.build_definition.resolved_dependencies;
        let facts = ["model", "training_data", "image"].map(|fact| self.chain.fact(Gate::Train, fact));
        for fact in facts {
            let digest = fact?.trim_start_matches("sha256:");
            if !dependencies.iter().any(|one| one.has(digest)) {
                return Err(EvidenceBroken::Unasked(Gate::SealArtifact, "provenance"));
            }
        }
        Ok(())
    }

    /// Every finding is judged again, by the policy's severity and by what it waived on that day.
    fn scanned(&self, gate: Gate, policy: &Policy, files: &Files) -> Result<(), EvidenceBroken> {
        let Some(verified) = self.chain.links().get(&gate) else { return Ok(()) };
        let vulns: Vulns = carried(files, gate, &format!("scan-gate/{gate}.vulns.json"))?;
        let day = instant(&verified.link.at).to_zoned(TimeZone::UTC).date();
        let allowed = policy.images.max_severity;
        for found in &vulns.scanner.result {
            let is_allowed = found.severity.iter().all(|one| {
                let severity = serde_json::from_value::<Severity>(one.score.clone().into());
                severity.is_ok_and(|severity| severity <= allowed)
            });
            let is_waived =
                policy.images.waivers.iter().any(|waiver| waiver.id == found.id && day <= waiver.until);
            if !(is_allowed && !found.severity.is_empty() || is_waived) {
                return Err(EvidenceBroken::Unasked(gate, "severity of its findings"));
            }
        }
        Ok(())
    }

    /// Every threshold is judged again, on what the gate says that was measured.
    fn passed(&self) -> Result<(), EvidenceBroken> {
        let Some(verified) = self.chain.links().get(&Gate::JudgeMetrics) else { return Ok(()) };
        let thresholds = &self.plan.request.evaluation.thresholds;
        let fact = |name: String| verified.link.facts.get(&name);
        for (metric, asked) in bounds(thresholds) {
            if fact(format!("threshold.{metric}")).is_none_or(|stated| *stated != asked) {
                return Err(EvidenceBroken::Unasked(Gate::JudgeMetrics, "thresholds"));
            }
        }
        for threshold in thresholds {
            let measured = fact(format!("after.{}", threshold.metric)).and_then(|value| value.parse().ok());
            if measured.is_none_or(|measured: f64| !threshold.bound.admits(measured)) {
                return Err(EvidenceBroken::Unasked(Gate::JudgeMetrics, "metrics"));
            }
        }
        self.passed_by_group(&verified.link)
    }

    /// The same for what may lie between groups.
    fn passed_by_group(&self, judged: &Link) -> Result<(), EvidenceBroken> {
        let Some(groups) = &self.plan.request.evaluation.groups else { return Ok(()) };
        let unasked = |what| Err(EvidenceBroken::Unasked(Gate::JudgeMetrics, what));
        if judged.facts.get("group_column") != Some(&groups.column) {
            return unasked("group column");
        }
        for (metric, asked) in groups.stated() {
            if judged.facts.get(&format!("group_bound.{metric}")) != Some(&asked) {
                return unasked("bounds between groups");
            }
        }
        let of_groups = |metric: &str| -> Vec<(&str, f64)> {
            let suffix = format!(".{metric}");
            let facts = judged.facts.iter().filter_map(|(name, value)| {
                let group = name.strip_prefix("group.")?.strip_suffix(&suffix)?;
                Some((group, value.parse().unwrap_or(f64::NAN)))
            });
            facts.collect()
        };
        let samples = of_groups("samples");
        let enough = |(_, samples): &(&str, f64)| *samples >= groups.min_samples as f64;
        if samples.len() < 2 || !samples.iter().all(enough) {
            return unasked("samples of groups");
        }
        for bound in &groups.bounds {
            let values = of_groups(&bound.metric);
            if values.len() != samples.len() || bound.breach(values).is_some() {
                return unasked("metrics of groups");
            }
        }
        Ok(())
    }

    /// Where policy asks for two people, two people it was.
    fn approved(&self, policy: &Policy) -> Result<(), EvidenceBroken> {
        if !policy.approval.approver_must_differ || !self.chain.links().contains_key(&Gate::Approve) {
            return Ok(());
        }
        if self.chain.fact(Gate::Approve, "automatic")? == "true" {
            let by_rule = policy.approval.automatic.as_ref();
            let by_rule =
                by_rule.is_some_and(|rule| rule.admits(&self.plan.request.endpoint.name, &self.after()));
            return if by_rule { Ok(()) } else { Err(EvidenceBroken::Unasked(Gate::Approve, "rule")) };
        }
        let approver = self.chain.fact(Gate::Approve, "approver")?;
        let differ = match (approver, self.plan.submitter.as_deref()) {
            ("unknown" | "", _) | (_, None) => false,
            (approver, Some(submitter)) => !same_principal(approver, submitter),
        };
        if differ { Ok(()) } else { Err(EvidenceBroken::Unasked(Gate::Approve, "approver")) }
    }

    /// What serves answered as the request expects, exactly where it expects anything.
    fn smoke_tested(&self, files: &Files, trust: &TrustRoot) -> Result<(), EvidenceBroken> {
        let Some(verified) = self.chain.links().get(&Gate::Deploy) else { return Ok(()) };
        let is_carried = verified.link.carries.iter().any(|carried| carried.path == SMOKE_TEST_PATH);
        if is_carried && self.plan.request.endpoint.smoke_test.is_none() {
            return Err(EvidenceBroken::Unasked(Gate::Deploy, "smoke test"));
        }
        let bytes = files.get(SMOKE_TEST_PATH).filter(|_| is_carried);
        let artifact = self.chain.fact(Gate::Deploy, "artifact")?.to_owned();
        let artifact = Sha256Digest::try_from(artifact)
            .map_err(|_| EvidenceBroken::Unasked(Gate::Deploy, "artifact"))?;
        check_smoke_test(self.plan, &artifact, bytes.map(Vec::as_slice), trust)
    }

    /// The candidate's metrics as the gate signed them.
    fn after(&self) -> Score {
        let link = self.chain.links().get(&Gate::JudgeMetrics).map(|verified| &verified.link);
        link.map(Link::reached).unwrap_or_default()
    }

    /// A gate that is there says this.
    fn demand(&self, gate: Gate, fact: &'static str, asked: &str) -> Result<(), EvidenceBroken> {
        if !self.chain.links().contains_key(&gate) || self.chain.fact(gate, fact)? == asked {
            return Ok(());
        }
        Err(EvidenceBroken::Unasked(gate, fact))
    }
}
