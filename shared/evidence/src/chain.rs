//! The verifier of a run's whole evidence (invariant 2).

use std::collections::{BTreeMap, BTreeSet};

use contract::{Gate, LinkRef, RunId, Sha256Digest};

use crate::{
    envelope::{Envelope, EnvelopeInvalid},
    statement::{LINK_PREDICATE, Link, STATEMENT_TYPE, Statement, Verdict},
    trust::TrustRoot,
};

/// A link as it was read, not believed yet.
pub struct LoadedLink {
    /// The gate that it is said to be of.
    pub gate: Gate,
    /// The place and digest that the state carried.
    pub reference: LinkRef,
    /// The bytes that lie there; `None` when there are none.
    pub bytes: Option<Vec<u8>>,
}

/// Why the evidence does not hold. Each is refused as `EvidenceBroken`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceBroken {
    /// A gate's link is not there.
    #[error("the link of gate `{0}` is missing")]
    Missing(Gate),
    /// A link lies elsewhere than its gate writes.
    #[error("the link of gate `{0}` lies at `{1}`, where that gate does not write")]
    Misplaced(Gate, String),
    /// A link's bytes are not those that the state names.
    #[error("the link of gate `{0}` was altered")]
    Altered(Gate),
    /// The trust root has no key for the gate's function.
    #[error("the trust root has no key for `{0}`")]
    Untrusted(&'static str),
    /// The envelope is refused.
    #[error("the link of gate `{0}`: {1}")]
    Envelope(Gate, EnvelopeInvalid),
    /// Signed, but for another gate, run, policy or predicate type.
    #[error("the link of gate `{0}` is for another {1}")]
    Foreign(Gate, &'static str),
    /// It names other predecessors than the links at hand.
    #[error("the link of gate `{0}` does not build on the links before it")]
    Detached(Gate),
    /// Two links disagree about a digest that binds them.
    #[error("gates `{0}` and `{1}` disagree about `{2}`")]
    Disagree(Gate, Gate, &'static str),
    /// A link lacks a fact that binds it.
    #[error("the link of gate `{0}` does not say `{1}`")]
    Silent(Gate, &'static str),
}

/// A link that verified.
#[derive(Debug, Clone)]
pub struct VerifiedLink {
    /// Its predicate.
    pub link: Link,
    /// Of the envelope's bytes.
    pub sha256: Sha256Digest,
}

/// The chain up to a gate, all of it verified.
#[derive(Debug, Clone)]
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

/// Verifies every link that `last` builds on, and `last` itself: place, digest, signature by the right key,
/// gate, run, policy, predecessors, and that the links agree on what they bind.
///
/// # Errors
/// The first break found, as [`EvidenceBroken`].
pub fn verify_chain(
    run: &RunId,
    policy: &Sha256Digest,
    last: Gate,
    links: &[LoadedLink],
    trust: &TrustRoot,
) -> Result<VerifiedChain, EvidenceBroken> {
    let mut needed = BTreeSet::new();
    let mut open = vec![last];
    while let Some(gate) = open.pop() {
        if needed.insert(gate) {
            open.extend(gate.predecessors());
        }
    }
    let mut verified = BTreeMap::new();
    for gate in needed {
        let loaded = links.iter().find(|loaded| loaded.gate == gate).ok_or(EvidenceBroken::Missing(gate))?;
        verified.insert(gate, verify_link(run, policy, loaded, trust)?);
    }
    for (gate, link) in &verified {
        let mut expected: Vec<_> =
            gate.predecessors().iter().map(|before| verified[before].sha256.clone()).collect();
        expected.sort();
        if link.link.predecessors != expected {
            return Err(EvidenceBroken::Detached(*gate));
        }
    }
    let chain = VerifiedChain(verified);
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
    Ok(chain)
}

fn verify_link(
    run: &RunId,
    policy: &Sha256Digest,
    loaded: &LoadedLink,
    trust: &TrustRoot,
) -> Result<VerifiedLink, EvidenceBroken> {
    let gate = loaded.gate;
    if loaded.reference.key != gate.key(run) {
        return Err(EvidenceBroken::Misplaced(gate, loaded.reference.key.clone()));
    }
    let bytes = loaded.bytes.as_deref().ok_or(EvidenceBroken::Missing(gate))?;
    let sha256 = Sha256Digest::of(bytes);
    if sha256 != loaded.reference.sha256 {
        return Err(EvidenceBroken::Altered(gate));
    }
    let key = trust.key(gate.function()).ok_or(EvidenceBroken::Untrusted(gate.function()))?;
    let statement: Statement<Link> = Envelope::parse(bytes)
        .and_then(|envelope| envelope.verify(key, gate.function()))
        .map_err(|error| EvidenceBroken::Envelope(gate, error))?;
    let link = statement.predicate;
    let foreign = |what| Err(EvidenceBroken::Foreign(gate, what));
    if statement.kind != STATEMENT_TYPE || statement.predicate_type != LINK_PREDICATE {
        return foreign("predicate type");
    }
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
        Verdict::Passed => Ok(VerifiedLink { link, sha256 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{envelope::Unsigned, statement::Subject};
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use p256::{
        ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner},
        pkcs8::EncodePublicKey,
    };

    /// Keys by function, and links that can be signed, altered and verified.
    struct Bench {
        keys: BTreeMap<&'static str, SigningKey>,
        run: RunId,
        policy: Sha256Digest,
        links: Vec<LoadedLink>,
    }

    const UP_TO_DEPLOY: Gate = Gate::RecheckImage;

    impl Bench {
        fn new() -> Self {
            let mut bench = Self {
                keys: BTreeMap::new(),
                run: RunId::of(&["test"]),
                policy: Sha256Digest::of("policy"),
                links: Vec::new(),
            };
            for (number, gate) in Gate::ALL.into_iter().enumerate() {
                bench
                    .keys
                    .entry(gate.function())
                    .or_insert_with(|| SigningKey::from_slice(&[number as u8 + 1; 32]).unwrap());
            }
            for gate in Gate::ALL {
                bench.sign(gate, |_| {}, gate.function());
            }
            bench
        }

        /// Signs (again) a gate's link, after `change`, with the key of `signer`.
        fn sign(&mut self, gate: Gate, change: impl FnOnce(&mut Link), signer: &str) {
            let facts = ["image", "model", "training_job", "artifact", "training_data", "evaluation_data"];
            let mut link = Link {
                run_id: self.run.clone(),
                gate,
                verdict: Verdict::Passed,
                policy_sha256: self.policy.clone(),
                predecessors: gate
                    .predecessors()
                    .iter()
                    .map(|g| self.find(*g).reference.sha256.clone())
                    .collect(),
                facts: facts.iter().map(|name| ((*name).to_owned(), "same".to_owned())).collect(),
                at: "2026-11-21T00:00:00Z".to_owned(),
            };
            change(&mut link);
            let statement = Statement::link(vec![Subject::new("x", &Sha256Digest::of("x"))], link);
            let unsigned = Unsigned::new(&statement).unwrap();
            let signature: Signature = self.keys[signer].sign_prehash(&unsigned.digest()).unwrap();
            let bytes = unsigned.sign(signer, signature.to_der().as_bytes());
            let reference = LinkRef { key: gate.key(&self.run), sha256: Sha256Digest::of(&bytes) };
            self.links.retain(|loaded| loaded.gate != gate);
            self.links.push(LoadedLink { gate, reference, bytes: Some(bytes) });
        }

        fn find(&mut self, gate: Gate) -> &mut LoadedLink {
            self.links.iter_mut().find(|loaded| loaded.gate == gate).unwrap()
        }

        fn verify(&self) -> Result<VerifiedChain, EvidenceBroken> {
            let keys: BTreeMap<_, _> = self
                .keys
                .iter()
                .map(|(name, key)| {
                    (*name, STANDARD.encode(key.verifying_key().to_public_key_der().unwrap().as_bytes()))
                })
                .collect();
            let trust = TrustRoot::parse(&serde_json::to_string(&keys).unwrap()).unwrap();
            verify_chain(&self.run, &self.policy, UP_TO_DEPLOY, &self.links, &trust)
        }
    }

    #[test]
    fn invariant_02_a_whole_chain_verifies() {
        let chain = Bench::new().verify().unwrap();
        assert_eq!(chain.links().len(), 8);
        assert_eq!(chain.fact(Gate::Approve, "artifact").unwrap(), "same");
    }

    #[test]
    fn invariant_02_a_missing_link_of_any_gate_breaks_the_chain() {
        for gate in Gate::ALL.into_iter().filter(|gate| *gate != Gate::Deploy) {
            let mut bench = Bench::new();
            bench.find(gate).bytes = None;
            assert_eq!(bench.verify().unwrap_err(), EvidenceBroken::Missing(gate));
        }
    }

    #[test]
    fn invariant_02_an_altered_link_of_any_gate_breaks_the_chain() {
        for gate in Gate::ALL.into_iter().filter(|gate| *gate != Gate::Deploy) {
            let mut bench = Bench::new();
            bench.find(gate).bytes.as_mut().unwrap()[20] ^= 1;
            assert_eq!(bench.verify().unwrap_err(), EvidenceBroken::Altered(gate));
        }
    }

    #[test]
    fn a_link_signed_with_another_gates_key_is_refused() {
        let mut bench = Bench::new();
        bench.sign(Gate::RecheckImage, |_| {}, "launch-training");
        assert!(matches!(bench.verify(), Err(EvidenceBroken::Envelope(Gate::RecheckImage, _))));
    }

    #[test]
    fn a_link_of_another_run_policy_or_gate_is_refused() {
        let mut bench = Bench::new();
        bench.sign(Gate::RecheckImage, |link| link.run_id = RunId::of(&["other"]), "scan-gate");
        assert_eq!(bench.verify().unwrap_err(), EvidenceBroken::Foreign(Gate::RecheckImage, "run"));
        let mut bench = Bench::new();
        bench.sign(Gate::RecheckImage, |link| link.policy_sha256 = Sha256Digest::of("other"), "scan-gate");
        assert_eq!(bench.verify().unwrap_err(), EvidenceBroken::Foreign(Gate::RecheckImage, "policy"));
        // scan-gate signs two gates: its earlier verdict must not stand in for the later one.
        let mut bench = Bench::new();
        bench.sign(Gate::RecheckImage, |link| link.gate = Gate::JudgeFindings, "scan-gate");
        assert_eq!(bench.verify().unwrap_err(), EvidenceBroken::Foreign(Gate::RecheckImage, "gate"));
    }

    #[test]
    fn a_link_that_was_signed_again_detaches_what_built_on_it() {
        let mut bench = Bench::new();
        bench.sign(Gate::JudgeMetrics, |link| link.at = "2027-01-01T00:00:00Z".to_owned(), "evaluate-model");
        assert_eq!(bench.verify().unwrap_err(), EvidenceBroken::Detached(Gate::Approve));
    }

    #[test]
    fn invariant_03_gates_that_disagree_about_a_digest_break_the_chain() {
        for (fact, _) in BINDINGS {
            let mut bench = Bench::new();
            let gates = [Gate::SealModel, Gate::SealArtifact, Gate::JudgeMetrics, Gate::Train];
            // Change one gate that states the fact, then sign everything after it so that only the fact is off.
            let odd =
                gates.into_iter().find(|gate| BINDINGS.iter().any(|(f, g)| f == &fact && g.contains(gate)));
            let odd = odd.unwrap();
            for gate in Gate::ALL {
                let change = |link: &mut Link| {
                    if gate == odd {
                        link.facts.insert(fact.to_owned(), "other".to_owned());
                    }
                };
                bench.sign(gate, change, gate.function());
            }
            assert!(
                matches!(bench.verify(), Err(EvidenceBroken::Disagree(_, _, name)) if name == fact),
                "{fact}"
            );
        }
    }
}
