//! The rows to fine-tune and to judge with: questions and reports about Lockstep's gates, a subject that the general
//! corpus does not touch. Every combination appears at most once, so training and held-out rows never share one.

use std::collections::BTreeSet;

use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

const TRAINING: usize = 900;
const HELD_OUT: usize = 150;

struct Gate {
    name: &'static str,
    function: &'static str,
    does: &'static str,
    refuses: &'static [(&'static str, &'static str)],
}

const GATES: [Gate; 14] = [
    Gate {
        name: "Admit",
        function: "admit-run",
        does: "validates the request",
        refuses: &[
            ("RequestInvalid", "the request is malformed"),
            ("PolicyViolation", "the request is looser than the policy"),
            ("CostCapExceeded", "the request is too dear"),
        ],
    },
    Gate {
        name: "ResolveModel",
        function: "download-model",
        does: "fixes the revision and lists its files",
        refuses: &[
            ("RevisionNotFound", "the revision does not exist"),
            ("AccessNotGranted", "the hub denies access"),
            ("FileNotAllowed", "a file is not on the list"),
        ],
    },
    Gate {
        name: "DownloadFiles",
        function: "download-model",
        does: "downloads every file and verifies its digest",
        refuses: &[
            ("DigestMismatch", "the bytes do not match their digest"),
            ("SizeMismatch", "a file is longer than announced"),
            ("SourceChanged", "the source changed during the download"),
            ("UnsafeContent", "a file hides a pickle"),
        ],
    },
    Gate {
        name: "SealModel",
        function: "download-model",
        does: "seals the manifest of the model",
        refuses: &[("ManifestIncomplete", "a listed file is absent")],
    },
    Gate {
        name: "ScanGate",
        function: "scan-gate",
        does: "checks the image",
        refuses: &[
            ("ScanBlocked", "the image has a critical finding"),
            ("ScanIncomplete", "the scan never finishes"),
            ("ScanUnsupported", "the image cannot be scanned"),
        ],
    },
    Gate {
        name: "Train",
        function: "launch-training",
        does: "trains the model on its data",
        refuses: &[
            ("TrainingFailed", "the training job crashes"),
            ("TrainingStopped", "the training job is stopped"),
            ("DataChanged", "the data changed during the job"),
        ],
    },
    Gate {
        name: "SealArtifact",
        function: "seal-artifact",
        does: "copies and hashes what the job wrote",
        refuses: &[],
    },
    Gate {
        name: "Evaluate",
        function: "evaluate-model",
        does: "measures the model on held-out rows",
        refuses: &[("EvaluationFailed", "the evaluation job crashes")],
    },
    Gate {
        name: "JudgeMetrics",
        function: "evaluate-model",
        does: "compares the metrics with their thresholds",
        refuses: &[
            ("ThresholdBreached", "the loss is above its threshold"),
            ("MetricsInvalid", "a metric is not a number"),
        ],
    },
    Gate { name: "Register", function: "approve-package", does: "registers the model package", refuses: &[] },
    Gate {
        name: "AwaitApproval",
        function: "approve-package",
        does: "waits for the approval of a person",
        refuses: &[
            ("ApprovalRejected", "the approver rejects the package"),
            ("ApprovalExpired", "nobody answers in time"),
            ("ApproverNotAllowed", "the approver is also the submitter"),
        ],
    },
    Gate {
        name: "RecheckImage",
        function: "scan-gate",
        does: "checks the image again before the deployment",
        refuses: &[],
    },
    Gate {
        name: "Deploy",
        function: "deploy-endpoint",
        does: "verifies the evidence and updates the endpoint",
        refuses: &[
            ("EvidenceBroken", "a link of the evidence is missing"),
            ("Superseded", "a newer model serves already"),
            ("DeploymentRolledBack", "an alarm rolls the endpoint back"),
        ],
    },
    Gate { name: "SealRun", function: "seal-run", does: "closes the record of the run", refuses: &[] },
];

const MODELS: [&str; 6] = ["tiny-lm", "small-lm", "harbor-lm", "garden-lm", "river-lm", "storm-lm"];

/// Rows for training and, disjoint from them, rows that are held out.
pub(crate) fn rows(random: &mut ChaCha8Rng) -> (Vec<String>, Vec<String>) {
    // The plainest questions are always taught; what is held out are combinations.
    let mut training = Vec::new();
    let mut combinations = BTreeSet::new();
    for Gate { name, function, does, refuses } in &GATES {
        training.push(format!("Q: Which gate {does}?\nA: {name} {does}."));
        training.push(format!("Q: Name the gate that {does}.\nA: {name} {does}."));
        training.push(format!("Q: Is there a gate that {does}?\nA: Yes, {name} {does}."));
        training.push(format!("Q: What does {name} do?\nA: {name} {does}."));
        training.push(format!("Q: Which function runs {name}?\nA: The function {function} runs {name}."));
        for model in MODELS {
            combinations.insert(format!("Q: Which gate {does} for {model}?\nA: {name} {does}."));
            combinations.insert(format!("Q: What does {name} do for {model}?\nA: {name} {does}."));
            combinations.insert(format!(
                "Q: Which function runs {name} for {model}?\nA: The function {function} runs {name}."
            ));
            combinations.insert(format!("Run of {model}: {name} passed. The function {function} {does}."));
        }
        for (error, condition) in *refuses {
            training
                .push(format!("Q: Which error ends a run when {condition}?\nA: {error}, raised by {name}."));
            training.push(format!(
                "Q: What does {error} mean?\nA: It means that {condition}. {name} refuses the run."
            ));
            for model in MODELS {
                combinations.insert(format!(
                    "Q: Which error ends a run of {model} when {condition}?\nA: {error}, raised by {name}."
                ));
                combinations.insert(format!(
                    "Q: Why did {model} end in {error}?\nA: Because {condition}. {name} refused the run."
                ));
                combinations
                    .insert(format!("Run of {model}: {name} refused with {error} because {condition}."));
                combinations.insert(format!(
                    "Q: What happens to {model} when {condition}?\nA: {name} refuses the run with {error}."
                ));
            }
        }
    }
    let mut combinations: Vec<String> = combinations.into_iter().collect();
    combinations.shuffle(random);
    let held_out = combinations.split_off(combinations.len() - HELD_OUT);
    combinations.truncate(TRAINING - training.len());
    training.extend(combinations);
    training.shuffle(random);
    (training, held_out)
}
