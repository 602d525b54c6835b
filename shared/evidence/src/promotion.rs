//! A run that another account deployed, taken over instead of training: what it must prove, and of what.
//!
//! The whole evidence of the promoted run lies in the new run's evidence, so that who verifies the new run verifies
//! the old one too. Whose runs may be promoted is said by the trust root, never by what was carried over.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use contract::{Gate, Promotion, RunPlan, Sha256Digest};
use serde::{Deserialize, Serialize};

use crate::{
    chain::Files,
    envelope::Envelope,
    predicates::Provenance,
    record::RunStatus,
    run::{RunBroken, VerifiedRun, verify_run},
    statement::{Link, Statement},
    trust::{NotTrusted, TrustRoot},
};

/// The `schema` of [`bundle`]'s documents.
pub const BUNDLE_SCHEMA: &str = "lockstep/evidence-bundle/v1";
/// Where the training gate keeps the promoted run's evidence, below the run's prefix.
pub const PROMOTED_PATH: &str = "launch-training/promoted.json";
/// Bytes of a bundle at most. A run that was promoted several times holds a bundle in a bundle, each a third larger.
pub const MAX_BUNDLE_BYTES: usize = 64 << 20;

/// Facts of the training gate that are the new run's own; all others are the promoted run's.
const OWN_FACTS: [&str; 5] =
    ["billable_seconds", "output_prefix", "promoted_evidence", "promoted_run", "training_rows"];

/// A run's evidence in one document.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    schema: String,
    /// Base64 by path below the run's prefix.
    files: BTreeMap<String, String>,
}

/// Writes a run's evidence as one document; the same files give the same bytes.
///
/// # Errors
/// [`PromotionBroken::Bundle`] when it is larger than [`MAX_BUNDLE_BYTES`].
pub fn bundle(files: &Files) -> Result<Vec<u8>, PromotionBroken> {
    let files = files.iter().map(|(path, bytes)| (path.clone(), STANDARD.encode(bytes))).collect();
    let bytes = serde_json::to_vec(&Bundle { schema: BUNDLE_SCHEMA.to_owned(), files });
    let bytes = bytes.map_err(|error| PromotionBroken::Bundle(error.to_string()))?;
    if bytes.len() > MAX_BUNDLE_BYTES {
        let reason = format!("it has {} bytes, more than {MAX_BUNDLE_BYTES}", bytes.len());
        return Err(PromotionBroken::Bundle(reason));
    }
    Ok(bytes)
}

fn unbundle(bytes: &[u8]) -> Result<Files, PromotionBroken> {
    let broken = |reason: String| PromotionBroken::Bundle(reason);
    if bytes.len() > MAX_BUNDLE_BYTES {
        return Err(broken(format!("it has {} bytes, more than {MAX_BUNDLE_BYTES}", bytes.len())));
    }
    let bundle: Bundle = serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))?;
    if bundle.schema != BUNDLE_SCHEMA {
        return Err(broken(format!("its schema is `{}`, not {BUNDLE_SCHEMA}", bundle.schema)));
    }
    let decode = |(path, text): (String, String)| match STANDARD.decode(text) {
        Ok(bytes) => Ok((path, bytes)),
        Err(error) => Err(broken(format!("`{path}`: {error}"))),
    };
    bundle.files.into_iter().map(decode).collect()
}

/// Why a run is not promoted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromotionBroken {
    /// The document is none.
    #[error("the promoted run's evidence cannot be read: {0}")]
    Bundle(String),
    /// The document is another one than the request names.
    #[error(
        "the promoted run's evidence has the digest {found}, the request names {expected}: promote again"
    )]
    Altered {
        /// Of its bytes.
        found: Sha256Digest,
        /// In the request.
        expected: Sha256Digest,
    },
    /// Nobody whom the trust root knows signed it.
    #[error(
        "the promoted run was sealed by nobody that the trust root promotes from: \
         add its account's trust root to `promotes_from`"
    )]
    Stranger,
    /// The evidence does not hold.
    #[error("the promoted run's evidence does not hold: {0}")]
    Run(Box<RunBroken>),
    /// It is the evidence of another run.
    #[error("the evidence is of run {found}, and run {expected} is to be promoted")]
    OtherRun {
        /// Whose it is.
        found: String,
        /// Which was asked for.
        expected: String,
    },
    /// The run was not deployed.
    #[error("run {0} was not deployed where it comes from: only what serves is promoted")]
    NotDeployed(String),
    /// The request, or the new run, is about something else.
    #[error("the promoted run has another {0} than the request")]
    Differs(&'static str),
}

/// A promoted run whose evidence holds.
#[derive(Debug, Clone)]
pub struct Promoted {
    run: VerifiedRun,
    plan: RunPlan,
    files: Files,
}

impl Promoted {
    /// Verifies the run that a request promotes. `bytes` are those of the document that the request names.
    ///
    /// # Errors
    /// [`PromotionBroken`].
    pub fn open(bytes: &[u8], promotion: &Promotion, trust: &TrustRoot) -> Result<Self, PromotionBroken> {
        let found = Sha256Digest::of(bytes);
        if found != promotion.evidence_sha256 {
            return Err(PromotionBroken::Altered { found, expected: promotion.evidence_sha256.clone() });
        }
        let files = unbundle(bytes)?;
        let run = verify_by_one_of(&files, trust)?;
        if run.record.run_id != promotion.run_id {
            let (found, expected) = (run.record.run_id.to_string(), promotion.run_id.to_string());
            return Err(PromotionBroken::OtherRun { found, expected });
        }
        if run.record.status != RunStatus::Succeeded {
            return Err(PromotionBroken::NotDeployed(promotion.run_id.to_string()));
        }
        let plan = files.get("admit-run/plan.json").map(Vec::as_slice).unwrap_or_default();
        let plan =
            serde_json::from_slice(plan).map_err(|error| PromotionBroken::Bundle(error.to_string()))?;
        Ok(Self { run, plan, files })
    }

    /// Whether the run did what a new run's plan says of it: the same source, image and training.
    ///
    /// # Errors
    /// [`PromotionBroken::Differs`].
    pub fn suits(&self, plan: &RunPlan) -> Result<(), PromotionBroken> {
        let (asked, done) = (&plan.request, &self.plan.request);
        let differs = |what| Err(PromotionBroken::Differs(what));
        if asked.training != done.training {
            return differs("training");
        }
        if asked.source.repo != done.source.repo {
            return differs("source.repo");
        }
        if Some(asked.source.revision.as_str()) != self.fact(Gate::SealModel, "commit") {
            return differs("commit (`source.revision`)");
        }
        if plan.image.digest != self.plan.image.digest {
            return differs("image digest");
        }
        Ok(())
    }

    /// The facts of the new run's training gate that are the promoted run's.
    pub fn training_facts(&self) -> BTreeMap<String, String> {
        let link = self.run.chain.links().get(&Gate::Train).map(|verified| &verified.link);
        let facts = link.into_iter().flat_map(|link| &link.facts);
        let theirs = facts.filter(|(name, _)| !OWN_FACTS.contains(&name.as_str()));
        theirs.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Rows that the model was trained on, as they were counted when the training was admitted.
    pub fn training_rows(&self) -> Option<&str> {
        let counted = self.fact(Gate::Admit, "training_rows");
        counted.or_else(|| self.fact(Gate::Train, "training_rows"))
    }

    /// The content digest of the trained model.
    pub fn artifact(&self) -> Option<Sha256Digest> {
        let stated = self.fact(Gate::SealArtifact, "artifact")?;
        Sha256Digest::try_from(stated.to_owned()).ok()
    }

    /// A fact that a gate of the promoted run stated.
    pub fn fact(&self, gate: Gate, name: &'static str) -> Option<&str> {
        self.run.chain.fact(gate, name).ok()
    }

    /// How the model came to be, as the promoted run's artefact has it.
    pub fn provenance(&self) -> Option<Provenance> {
        let bytes = self.files.get("seal-artifact/provenance.json")?;
        let statement = Envelope::parse(bytes).ok()?.unverified::<Statement<Provenance>>().ok()?;
        Some(statement.predicate)
    }

    /// Whether a training gate's link states what the promoted run's does, and nothing else.
    pub(crate) fn is_stated_by(&self, link: &Link) -> bool {
        let stated: BTreeMap<_, _> =
            link.facts.iter().filter(|(name, _)| !OWN_FACTS.contains(&name.as_str())).collect();
        let run = link.facts.get("promoted_run").map(String::as_str);
        stated == self.training_facts().iter().collect() && run == Some(self.run.record.run_id.as_str())
    }
}

/// The run's own account may be any that the trust root promotes from, this one too.
fn verify_by_one_of(files: &Files, trust: &TrustRoot) -> Result<VerifiedRun, PromotionBroken> {
    for root in std::iter::once(trust).chain(trust.promotes_from()) {
        match verify_run(files, root) {
            Err(RunBroken::Record(NotTrusted::UnknownKey(_))) => {}
            Err(broken) => return Err(PromotionBroken::Run(Box::new(broken))),
            Ok(run) => return Ok(run),
        }
    }
    Err(PromotionBroken::Stranger)
}

/// Whether a training gate's link says that it promotes.
pub(crate) fn is_promoting(link: &Link) -> bool {
    link.facts.contains_key("promoted_run")
        || link.carries.iter().any(|carried| carried.path == PROMOTED_PATH)
}
