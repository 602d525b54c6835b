//! The gates of a run: each signs one link.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::RunId;

/// A step that decides something and signs what it decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// The request is valid and within policy.
    Admit,
    /// Every file of the commit was verified and stored.
    SealModel,
    /// The image's findings pass.
    JudgeFindings,
    /// The training job ended well on the pinned data.
    Train,
    /// What the job wrote was copied by version to a write-once place.
    SealArtifact,
    /// The metrics pass every threshold.
    JudgeMetrics,
    /// A person, or the rule that policy permits, approved this digest.
    Approve,
    /// The image's findings still pass after approval.
    RecheckImage,
    /// The endpoint serves the configuration that was asked for.
    Deploy,
}

impl Gate {
    /// Every gate, in the order of the state machine.
    pub const ALL: [Gate; 9] = [
        Gate::Admit,
        Gate::SealModel,
        Gate::JudgeFindings,
        Gate::Train,
        Gate::SealArtifact,
        Gate::JudgeMetrics,
        Gate::Approve,
        Gate::RecheckImage,
        Gate::Deploy,
    ];

    /// The gate's name, as it stands in keys and statements.
    pub fn as_str(self) -> &'static str {
        match self {
            Gate::Admit => "admit",
            Gate::SealModel => "seal-model",
            Gate::JudgeFindings => "judge-findings",
            Gate::Train => "train",
            Gate::SealArtifact => "seal-artifact",
            Gate::JudgeMetrics => "judge-metrics",
            Gate::Approve => "approve",
            Gate::RecheckImage => "recheck-image",
            Gate::Deploy => "deploy",
        }
    }

    /// The function whose key signs this gate's link.
    pub fn function(self) -> &'static str {
        match self {
            Gate::Admit => "admit-run",
            Gate::SealModel => "download-model",
            Gate::JudgeFindings | Gate::RecheckImage => "scan-gate",
            Gate::Train => "launch-training",
            Gate::SealArtifact => "seal-artifact",
            Gate::JudgeMetrics => "evaluate-model",
            Gate::Approve => "approve-package",
            Gate::Deploy => "deploy-endpoint",
        }
    }

    /// The gates whose links this one must name: the chain's fixed shape.
    pub fn predecessors(self) -> &'static [Gate] {
        match self {
            Gate::Admit => &[],
            Gate::SealModel | Gate::JudgeFindings => &[Gate::Admit],
            Gate::Train => &[Gate::SealModel, Gate::JudgeFindings],
            Gate::SealArtifact => &[Gate::Train],
            Gate::JudgeMetrics => &[Gate::SealArtifact],
            Gate::Approve => &[Gate::JudgeMetrics],
            Gate::RecheckImage => &[Gate::Approve],
            Gate::Deploy => &[Gate::RecheckImage],
        }
    }

    /// Where the gate's link lies below the run's prefix.
    pub fn path(self) -> String {
        format!("{}/{}.json", self.function(), self.as_str())
    }

    /// Where the gate's link lies in the evidence bucket.
    pub fn key(self, run: &RunId) -> String {
        format!("{}{}", run.prefix(), self.path())
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
