//! What a gate's link proves, in words.

use contract::Gate;
use evidence::{DOCUMENT, Link};

/// Hex digits of a digest that people compare.
const SHOWN: usize = 12;

/// One line.
pub(crate) fn of(gate: Gate, link: &Link) -> String {
    let fact = |name: &str| link.facts.get(name).map_or("?", String::as_str);
    let digest = |name: &str| shortened(fact(name));
    match gate {
        Gate::Admit => format!(
            "request {} of {} is within policy {}; image {}",
            digest("request"),
            fact("submitter"),
            shortened(link.policy_sha256.as_str()),
            digest("image")
        ),
        Gate::SealModel => format!(
            "{}@{}: all {} files, content {}",
            fact("source"),
            digest("commit"),
            fact("files"),
            digest("model")
        ),
        Gate::JudgeFindings | Gate::RecheckImage => format!(
            "image {} scanned {}: {} findings, none that policy refuses",
            digest("image"),
            fact("scanned_at"),
            fact("findings")
        ),
        Gate::Train => {
            let job = format!(
                "{}: model {} on data {} in image {}",
                fact("training_job"),
                digest("model"),
                digest("training_data"),
                digest("image")
            );
            match link.facts.get("promoted_run") {
                Some(run) => format!("{job}, taken over from run {run}, whose evidence holds"),
                None => job,
            }
        }
        Gate::SealArtifact => {
            format!("artefact {}: {} files that the job wrote", digest("artifact"), fact("files"))
        }
        Gate::JudgeMetrics => {
            let judged = link.facts.iter().filter_map(|(name, bound)| {
                let metric = name.strip_prefix("threshold.")?;
                Some(format!("{metric} {} {bound}", fact(&format!("after.{metric}"))))
            });
            format!("{} on data {}", judged.collect::<Vec<_>>().join(", "), digest("evaluation_data"))
        }
        Gate::Approve => {
            format!("{} approved artefact {}: \"{}\"", fact("approver"), digest("artifact"), fact("reason"))
        }
        Gate::Deploy => format!(
            "endpoint {} serves {} with artefact {}",
            fact("endpoint"),
            fact("endpoint_config"),
            digest("artifact")
        ),
    }
}

/// The standard statements among what a link carries.
pub(crate) fn carried(link: &Link) -> Vec<String> {
    let statements = link.carries.iter().filter(|carried| carried.kind != DOCUMENT);
    statements.map(|carried| format!("· {} ({})", carried.path, carried.kind)).collect()
}

fn shortened(digest: &str) -> String {
    digest.trim_start_matches("sha256:").chars().take(SHOWN).collect()
}
