//! The verifier of a run's links (invariant 2). Deployment and users share it.

use std::collections::{BTreeMap, BTreeSet};

use contract::{Gate, LinkRef, Manifest, RunId, Sha256Digest};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    oms::OmsStatement,
    plan,
    predicates::{
        MODEL_SIGNATURE_PREDICATE, PASSED, PROVENANCE_PREDICATE, Provenance, TEST_RESULT_PREDICATE,
        TestResult, VULNS_PREDICATE, Vulns,
    },
    promotion::PROMOTED_PATH,
    smoke_test::SMOKE_TEST_PATH,
    statement::{Carried, DOCUMENT, LINK_PREDICATE, Link, Statement, Subject, Verdict},
    time::is_before,
    trust::{NotTrusted, TrustRoot, TrustedKey},
};

/// A run's evidence: bytes by path below the run's prefix. Nothing of it is believed yet.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Why the evidence does not hold. Each is refused as `EvidenceBroken`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceBroken {
    /// A link is not there.
    #[error("the link of gate `{0}` is missing")]
    Missing(Gate),
    /// A link lies elsewhere than its gate writes.
    #[error("the link of gate `{0}` lies at `{1}`, where that gate does not write")]
    Misplaced(Gate, String),
    /// A link's bytes are not those that the state names.
    #[error("the link of gate `{0}` was altered")]
    Altered(Gate),
    /// Not signed by whom it should be, or not as it should be.
    #[error("the link of gate `{0}`: {1}")]
    NotTrusted(Gate, NotTrusted),
    /// Signed, but for another gate, run or policy.
    #[error("the link of gate `{0}` is for another {1}")]
    Foreign(Gate, &'static str),
    /// It names other predecessors than the links at hand.
    #[error("the link of gate `{0}` does not build on the links before it")]
    Detached(Gate),
    /// Signed before what it builds on.
    #[error("the link of gate `{0}` was signed before that of `{1}`, on which it builds")]
    Early(Gate, Gate),
    /// Two links disagree about a digest that binds them.
    #[error("gates `{0}` and `{1}` disagree about `{2}`")]
    Disagree(Gate, Gate, &'static str),
    /// A link lacks a fact that binds it.
    #[error("the link of gate `{0}` does not say `{1}`")]
    Silent(Gate, &'static str),
    /// A link does not carry what its gate decides on.
    #[error("the link of gate `{0}` does not carry `{1}`")]
    Bare(Gate, &'static str),
    /// A gate did something else than the plan and the policy ask for.
    #[error("the link of gate `{0}` states another {1} than the run's plan and policy ask for")]
    Unasked(Gate, &'static str),
    /// What a link carries does not hold.
    #[error("the link of gate `{gate}` carries `{path}`: {reason}")]
    Carried {
        /// The gate.
        gate: Gate,
        /// Below the run's prefix.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

/// A link that verified.
#[derive(Debug, Clone)]
pub struct VerifiedLink {
    /// Its predicate.
    pub link: Link,
    /// Of the envelope's bytes.
    pub sha256: Sha256Digest,
}

/// Links that verified, closed under their predecessors.
#[derive(Debug, Clone, Default)]
pub struct VerifiedChain(BTreeMap<Gate, VerifiedLink>);

impl VerifiedChain {
    /// A fact of a gate's link.
    ///
    /// # Errors
    /// [`EvidenceBroken`] when the gate is not in the chain or does not say.
    pub fn fact(&self, gate: Gate, name: &'static str) -> Result<&str, EvidenceBroken> {
        let verified = self.0.get(&gate).ok_or(EvidenceBroken::Missing(gate))?;
        verified.link.facts.get(name).map(String::as_str).ok_or(EvidenceBroken::Silent(gate, name))
    }

    /// The verified links by gate.
    pub fn links(&self) -> &BTreeMap<Gate, VerifiedLink> {
        &self.0
    }
}

/// The digests on which gates must agree: each row is a fact and the gates that state it.
const BINDINGS: [(&str, &[Gate]); 6] = [
    (
        "image",
        &[
            Gate::Admit,
            Gate::JudgeFindings,
            Gate::Train,
            Gate::JudgeMetrics,
            Gate::RecheckImage,
            Gate::Deploy,
        ],
    ),
    ("model", &[Gate::SealModel, Gate::Train]),
    ("training_job", &[Gate::Train, Gate::SealArtifact]),
    ("artifact", &[Gate::SealArtifact, Gate::JudgeMetrics, Gate::Approve, Gate::Deploy]),
    ("training_data", &[Gate::Admit, Gate::Train]),
    ("evaluation_data", &[Gate::Admit, Gate::JudgeMetrics]),
];

/// What each gate's link must carry: the file's name in the gate's place, its kind, and the fact that holds the digest
/// of its bytes, where there is one.
const CARRIED: [(Gate, &str, &str, Option<&str>); 12] = [
    (Gate::Admit, "admit-run/plan.json", DOCUMENT, Some("plan")),
    (Gate::Admit, "admit-run/policy.json", DOCUMENT, Some("policy")),
    (Gate::Admit, "admit-run/request.json", DOCUMENT, Some("request")),
    (Gate::SealModel, "download-model/manifest.json", DOCUMENT, Some("manifest")),
    (Gate::SealModel, "download-model/model.sig", MODEL_SIGNATURE_PREDICATE, Some("model_sig")),
    (Gate::JudgeFindings, "scan-gate/judge-findings.vulns.json", VULNS_PREDICATE, None),
    (Gate::SealArtifact, "seal-artifact/manifest.json", DOCUMENT, Some("manifest")),
    (Gate::SealArtifact, "seal-artifact/provenance.json", PROVENANCE_PREDICATE, None),
    (Gate::JudgeMetrics, "evaluate-model/metrics.json", DOCUMENT, Some("metrics")),
    (Gate::JudgeMetrics, "evaluate-model/test-result.json", TEST_RESULT_PREDICATE, None),
    (Gate::Approve, "approve-package/model-card.json", DOCUMENT, Some("model_card")),
    (Gate::RecheckImage, "scan-gate/recheck-image.vulns.json", VULNS_PREDICATE, None),
];

/// Where a gate's link lies below the run's prefix.
pub fn link_path(gate: Gate) -> String {
    gate.path()
}

/// The gate whose link this is, or carries it.
pub(crate) fn gate_of(path: &str) -> Option<Gate> {
    let carried = CARRIED.iter().find(|(_, carried, ..)| *carried == path).map(|(gate, ..)| *gate);
    let carried = carried.or_else(|| (path == PROMOTED_PATH).then_some(Gate::Train));
    let carried = carried.or_else(|| (path == SMOKE_TEST_PATH).then_some(Gate::Deploy));
    carried.or_else(|| Gate::ALL.into_iter().find(|gate| link_path(*gate) == path))
}

/// Verifies the links that `last` builds on, and `last` itself, which the state named by place and digest.
///
/// # Errors
/// The first break found, as [`EvidenceBroken`].
pub fn verify_chain(
    run: &RunId,
    policy: &Sha256Digest,
    last: Gate,
    named: &BTreeMap<Gate, LinkRef>,
    files: &Files,
    trust: &TrustRoot,
) -> Result<VerifiedChain, EvidenceBroken> {
    let mut needed = BTreeSet::new();
    let mut open = vec![last];
    while let Some(gate) = open.pop() {
        if needed.insert(gate) {
            open.extend(gate.predecessors());
        }
    }
    for gate in &needed {
        let reference = named.get(gate).ok_or(EvidenceBroken::Missing(*gate))?;
        if reference.key != gate.key(run) {
            return Err(EvidenceBroken::Misplaced(*gate, reference.key.clone()));
        }
        let bytes = files.get(&link_path(*gate)).ok_or(EvidenceBroken::Missing(*gate))?;
        if Sha256Digest::of(bytes) != reference.sha256 {
            return Err(EvidenceBroken::Altered(*gate));
        }
    }
    verify_links(run, policy, &needed, files, trust)
}

/// Verifies these gates' links: signed by the right key for the right gate, run and policy; building on each other;
/// agreeing on what binds them; doing what the plan asked for; and all that they carry.
///
/// # Errors
/// The first break found, in the order of the gates, as [`EvidenceBroken`].
pub fn verify_links(
    run: &RunId,
    policy: &Sha256Digest,
    gates: &BTreeSet<Gate>,
    files: &Files,
    trust: &TrustRoot,
) -> Result<VerifiedChain, EvidenceBroken> {
    let mut chain = VerifiedChain::default();
    for &gate in gates {
        let (verified, key) = verify_link(run, policy, gate, files, trust)?;
        let mut expected = Vec::new();
        for before in gate.predecessors() {
            let earlier = chain.0.get(before).ok_or(EvidenceBroken::Missing(*before))?;
            if is_before(&verified.link.at, &earlier.link.at) {
                return Err(EvidenceBroken::Early(gate, *before));
            }
            expected.push(earlier.sha256.clone());
        }
        expected.sort();
        if verified.link.predecessors != expected {
            return Err(EvidenceBroken::Detached(gate));
        }
        let link = Reader { gate, link: &verified.link, files, trust };
        key.check_date(&verified.link.at).map_err(|error| EvidenceBroken::NotTrusted(gate, error))?;
        link.verify_carried()?;
        chain.0.insert(gate, verified);
    }
    check_bindings(&chain)?;
    plan::check(run, policy, &chain, files, trust)?;
    Ok(chain)
}

fn verify_link<'a>(
    run: &RunId,
    policy: &Sha256Digest,
    gate: Gate,
    files: &Files,
    trust: &'a TrustRoot,
) -> Result<(VerifiedLink, &'a TrustedKey), EvidenceBroken> {
    let bytes = files.get(&link_path(gate)).ok_or(EvidenceBroken::Missing(gate))?;
    let (statement, key) = trust
        .open::<Link>(gate.function(), LINK_PREDICATE, bytes)
        .map_err(|error| EvidenceBroken::NotTrusted(gate, error))?;
    let link = statement.predicate;
    let foreign = |what| Err(EvidenceBroken::Foreign(gate, what));
    if link.gate != gate {
        return foreign("gate");
    }
    if link.run_id != *run {
        return foreign("run");
    }
    if link.policy_sha256 != *policy {
        return foreign("policy");
    }
    match link.verdict {
        Verdict::Passed => Ok((VerifiedLink { link, sha256: Sha256Digest::of(bytes) }, key)),
    }
}

fn check_bindings(chain: &VerifiedChain) -> Result<(), EvidenceBroken> {
    for (fact, gates) in BINDINGS {
        let mut first: Option<(Gate, &str)> = None;
        for &gate in gates.iter().filter(|gate| chain.0.contains_key(gate)) {
            let value = chain.fact(gate, fact)?;
            match first {
                Some((other, known)) if known != value => {
                    return Err(EvidenceBroken::Disagree(other, gate, fact));
                }
                _ => first = Some((gate, value)),
            }
        }
    }
    Ok(())
}

/// A link whose signature verified, and the files that it carries.
struct Reader<'a> {
    gate: Gate,
    link: &'a Link,
    files: &'a Files,
    trust: &'a TrustRoot,
}

impl Reader<'_> {
    fn verify_carried(&self) -> Result<(), EvidenceBroken> {
        for carried in &self.link.carries {
            let in_place = carried.path.strip_prefix(self.gate.function()).is_some_and(|rest| {
                rest.strip_prefix('/').is_some_and(|name| !name.is_empty() && !name.contains('/'))
            });
            if !in_place {
                return Err(self.broken(carried, "its gate does not write there"));
            }
            let bytes = self.files.get(&carried.path).ok_or_else(|| self.broken(carried, "it is missing"))?;
            if Sha256Digest::of(bytes) != carried.sha256 {
                return Err(self.broken(carried, "it was altered"));
            }
        }
        for (gate, path, kind, fact) in CARRIED {
            if gate != self.gate {
                continue;
            }
            let carried = self.link.carries.iter().find(|carried| carried.path == path);
            let carried = carried.ok_or(EvidenceBroken::Bare(gate, path))?;
            if carried.kind != kind {
                return Err(self.broken(carried, "it is of another kind"));
            }
            if let Some(fact) = fact {
                let stated = self.link.facts.get(fact).ok_or(EvidenceBroken::Silent(gate, fact))?;
                if stated != carried.sha256.as_str() {
                    return Err(self.broken(carried, "the link states another digest of it"));
                }
            }
            self.verify_kind(carried)?;
        }
        Ok(())
    }

    /// What a carried file says must be about what its link is about.
    fn verify_kind(&self, carried: &Carried) -> Result<(), EvidenceBroken> {
        let fact = |name: &'static str| {
            self.link.facts.get(name).map(String::as_str).ok_or(EvidenceBroken::Silent(self.gate, name))
        };
        let is_about = |subject: &[Subject], digest: &str| {
            let digest = digest.trim_start_matches("sha256:");
            matches!(subject, [only] if only.digest.get("sha256").is_some_and(|stated| stated == digest))
        };
        let about = |subject: &[Subject], digest: &str| {
            if is_about(subject, digest) {
                Ok(())
            } else {
                Err(self.broken(carried, "it is about something else"))
            }
        };
        match carried.kind.as_str() {
            VULNS_PREDICATE => {
                let vulns = self.open::<Vulns>(carried)?;
                about(&vulns.subject, fact("image")?)?;
                if vulns.predicate.scanner.result.len().to_string() != fact("findings")? {
                    return Err(
                        self.broken(carried, "it lists another number of findings than the link states")
                    );
                }
                Ok(())
            }
            PROVENANCE_PREDICATE => about(&self.open::<Provenance>(carried)?.subject, fact("artifact")?),
            TEST_RESULT_PREDICATE => {
                let tested = self.open::<TestResult>(carried)?;
                about(&tested.subject, fact("artifact")?)?;
                if tested.predicate.result != PASSED || !tested.predicate.failed_tests.is_empty() {
                    return Err(self.broken(carried, "it tells of a failure, and the gate let the run pass"));
                }
                Ok(())
            }
            MODEL_SIGNATURE_PREDICATE => self.verify_model_signature(carried, fact("source")?),
            _ if carried.path.ends_with("/manifest.json") => {
                let stated = fact(if self.gate == Gate::SealModel { "model" } else { "artifact" })?;
                if self.manifest()?.content_digest().as_str() != stated {
                    return Err(self.broken(carried, "it lists other content than the link states"));
                }
                Ok(())
            }
            _ if carried.path.ends_with("/policy.json") && carried.sha256 != self.link.policy_sha256 => {
                Err(self.broken(carried, "it is another policy than the run was judged by"))
            }
            _ => Ok(()),
        }
    }

    fn open<P: Serialize + DeserializeOwned>(
        &self,
        carried: &Carried,
    ) -> Result<Statement<P>, EvidenceBroken> {
        let bytes = self.files.get(&carried.path).map(Vec::as_slice).unwrap_or_default();
        let opened = self.trust.open::<P>(self.gate.function(), &carried.kind, bytes);
        let (statement, key) = opened.map_err(|error| self.broken(carried, error))?;
        key.check_date(&self.link.at).map_err(|error| self.broken(carried, error))?;
        Ok(statement)
    }

    fn manifest(&self) -> Result<Manifest, EvidenceBroken> {
        let path = format!("{}/manifest.json", self.gate.function());
        let bytes = self.files.get(&path).map(Vec::as_slice).unwrap_or_default();
        serde_json::from_slice(bytes).map_err(|error| EvidenceBroken::Carried {
            gate: self.gate,
            path,
            reason: error.to_string(),
        })
    }

    /// The signature beside the weights may be an earlier run's, made with a key that has been replaced since.
    fn verify_model_signature(&self, carried: &Carried, source: &str) -> Result<(), EvidenceBroken> {
        let manifest = self.manifest()?;
        let files = manifest.files.iter().map(|file| (file.path.as_str(), &file.sha256));
        let statement = OmsStatement::new(source, files).map_err(|error| self.broken(carried, error))?;
        let bytes = self.files.get(&carried.path).map(Vec::as_slice).unwrap_or_default();
        let mut reason = "the trust root has no key for it".to_owned();
        for key in self.trust.keys(self.gate.function(), MODEL_SIGNATURE_PREDICATE) {
            match statement.verify_bundle(bytes, key) {
                Ok(()) => return Ok(()),
                Err(error) => reason = error.to_string(),
            }
        }
        Err(self.broken(carried, reason))
    }

    fn broken(&self, carried: &Carried, reason: impl ToString) -> EvidenceBroken {
        EvidenceBroken::Carried { gate: self.gate, path: carried.path.clone(), reason: reason.to_string() }
    }
}
