//! What the record tells of a run, read from the run's own evidence. `seal-run` writes it down unverified; whoever
//! verifies the links reads it again, and compares.

use std::collections::BTreeMap;

use contract::{Gate, Policy, RunPlan, Sha256Digest};

use crate::{
    chain::{Files, link_path},
    envelope::Envelope,
    record::{GateVerdict, Identities, JobCost},
    statement::{Link, Statement},
};

/// The facts that name what went in, by gate.
const INPUTS: [(Gate, &[&str]); 6] = [
    (
        Gate::Admit,
        &[
            "request",
            "plan",
            "policy",
            "image",
            "training_data",
            "evaluation_data",
            "drift_event",
            "drift_report",
        ],
    ),
    (Gate::SealModel, &["source", "commit", "model"]),
    (Gate::Train, &["training_data_version"]),
    (Gate::SealArtifact, &["artifact"]),
    (Gate::JudgeMetrics, &["evaluation_data_version", "metrics"]),
    (Gate::Approve, &["package"]),
];

/// What the record tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The policy that the run was judged by.
    pub policy_sha256: Option<Sha256Digest>,
    /// Who was involved.
    pub identities: Identities,
    /// What the gates decided.
    pub verdicts: Vec<GateVerdict>,
    /// What went in.
    pub inputs: BTreeMap<String, String>,
    /// What the jobs cost.
    pub costs: Vec<JobCost>,
}

impl Account {
    /// Reads a run's links and plan.
    pub fn of(files: &Files) -> Self {
        let links: BTreeMap<Gate, Link> = Gate::ALL
            .into_iter()
            .filter_map(|gate| {
                let envelope = Envelope::parse(files.get(&link_path(gate))?).ok()?;
                Some((gate, envelope.unverified::<Statement<Link>>().ok()?.predicate))
            })
            .collect();
        let fact = |gate: Gate, name: &str| links.get(&gate).and_then(|link| link.facts.get(name)).cloned();
        let known = |identity: Option<String>| identity.filter(|identity| identity != "unknown");
        let mut inputs = BTreeMap::new();
        for (gate, names) in INPUTS {
            for name in names {
                inputs.extend(fact(gate, name).map(|value| ((*name).to_owned(), value)));
            }
        }
        let verdict = |(gate, link): (&Gate, &Link)| GateVerdict {
            gate: *gate,
            verdict: link.verdict,
            at: link.at.clone(),
        };
        Self {
            policy_sha256: links.values().next().map(|link| link.policy_sha256.clone()),
            identities: Identities {
                submitter: known(fact(Gate::Admit, "submitter")),
                approver: known(fact(Gate::Approve, "approver")),
            },
            verdicts: links.iter().map(verdict).collect(),
            inputs,
            costs: costs(files, &fact),
        }
    }
}

/// Billed seconds at policy's prices; a job without a price, or whose gate signed nothing, is left out.
fn costs(files: &Files, fact: &dyn Fn(Gate, &str) -> Option<String>) -> Vec<JobCost> {
    let plan =
        files.get("admit-run/plan.json").and_then(|bytes| serde_json::from_slice::<RunPlan>(bytes).ok());
    let policy =
        files.get("admit-run/policy.json").and_then(|bytes| serde_json::from_slice::<Policy>(bytes).ok());
    let (Some(plan), Some(policy)) = (plan, policy) else { return Vec::new() };
    let (training, evaluation) = (&plan.request.training, &plan.request.evaluation);
    let jobs = [
        (Gate::Train, "training_job", &training.instance_type, training.instance_count),
        (Gate::JudgeMetrics, "evaluation_job", &evaluation.instance_type, evaluation.instance_count),
    ];
    let cost = |(gate, name, instance_type, count): (Gate, &str, &String, u32)| {
        let seconds = fact(gate, "billable_seconds")?;
        let price = policy.prices_usd_per_hour.get(instance_type)?;
        let usd = price * f64::from(count) * seconds.parse::<f64>().ok()? / 3600.0;
        Some(JobCost { job: fact(gate, name)?, seconds, usd: format!("{usd:.4}") })
    };
    jobs.into_iter().filter_map(cost).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Subject, Unsigned, Verdict};
    use contract::RunId;

    fn link(gate: Gate, facts: &[(&str, &str)]) -> (String, Vec<u8>) {
        let facts = facts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let link = Link {
            run_id: RunId::of(&["x"]),
            gate,
            verdict: Verdict::Passed,
            policy_sha256: Sha256Digest::of("policy"),
            predecessors: Vec::new(),
            carries: Vec::new(),
            facts,
            at: "2026-01-01T00:00:00Z".to_owned(),
        };
        let statement = Statement::link(vec![Subject::new("x", &Sha256Digest::of("x"))], link);
        (link_path(gate), Unsigned::new(&statement).unwrap().sign("k", b""))
    }

    #[test]
    fn a_run_that_was_never_admitted_has_nothing_to_tell() {
        assert_eq!(Account::of(&Files::new()), Account::default());
    }

    #[test]
    fn verdicts_identities_and_inputs_are_those_of_the_links() {
        let files = Files::from([
            link(Gate::Admit, &[("submitter", "AIDASUBMITTER"), ("request", "11")]),
            link(Gate::SealModel, &[("commit", "22")]),
            link(Gate::Approve, &[("approver", "unknown")]),
        ]);
        let account = Account::of(&files);
        assert_eq!(account.identities.submitter.as_deref(), Some("AIDASUBMITTER"));
        assert_eq!(account.identities.approver, None);
        let gates: Vec<_> = account.verdicts.iter().map(|verdict| verdict.gate).collect();
        assert_eq!(gates, [Gate::Admit, Gate::SealModel, Gate::Approve]);
        assert_eq!(account.inputs.get("commit").map(String::as_str), Some("22"));
        assert_eq!(account.policy_sha256, Some(Sha256Digest::of("policy")));
    }
}
