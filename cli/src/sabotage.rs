//! What `--break` makes wrong: a fault of the local account, or a change of the request or of the decision.

use clap::ValueEnum;
use contract::ErrorName;
use local::Fault;
use serde_json::{Value, json};

/// One thing that is made wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Break {
    /// The Hub serves weights with one byte flipped: DigestMismatch.
    TamperedWeights,
    /// The Hub lists a file and then does not have it: ManifestIncomplete.
    MissingFile,
    /// A pickle named vocabulary.txt, with correct digests: UnsafeContent.
    PickleInDisguise,
    /// The image's scan reports a critical finding: ScanBlocked.
    CriticalFinding,
    /// The image's scan stays in progress: ScanIncomplete.
    ScanNeverFinishes,
    /// The training job crashes: TrainingFailed.
    TrainingCrash,
    /// Training that learns nothing: ThresholdBreached.
    BadMetrics,
    /// The approver rejects: ApprovalRejected.
    Rejected,
    /// The request asks for a looser threshold than policy.json: PolicyViolation.
    LooseRequest,
    /// The request expects an answer that the model does not give: SmokeTestFailed.
    WrongAnswers,
    /// The request caps its own cost below what its jobs could cost: CostCapExceeded.
    TooDear,
    /// The job's spot capacity is taken and does not come back: TrainingStopped.
    SpotNeverReturns,
    /// A good version serves; the next one fails to and is rolled back: DeploymentRolledBack.
    EndpointRollsBack,
    /// A good version serves; the next one answers errors to the traffic that its canary gets: DeploymentRolledBack.
    BadCanary,
}

/// How long `scan-never-finishes` waits for the scan. Fifteen minutes, the default, show nothing more.
const SHORT_SCAN_SECONDS: u32 = 20;

/// How long `spot-never-returns` waits for capacity.
const SHORT_WAIT_SECONDS: u32 = 30;

impl Break {
    /// The error that the run must end in.
    pub(crate) fn expected(self) -> ErrorName {
        match self {
            Break::TamperedWeights => ErrorName::DigestMismatch,
            Break::MissingFile => ErrorName::ManifestIncomplete,
            Break::PickleInDisguise => ErrorName::UnsafeContent,
            Break::CriticalFinding => ErrorName::ScanBlocked,
            Break::ScanNeverFinishes => ErrorName::ScanIncomplete,
            Break::TrainingCrash => ErrorName::TrainingFailed,
            Break::BadMetrics => ErrorName::ThresholdBreached,
            Break::Rejected => ErrorName::ApprovalRejected,
            Break::LooseRequest => ErrorName::PolicyViolation,
            Break::WrongAnswers => ErrorName::SmokeTestFailed,
            Break::TooDear => ErrorName::CostCapExceeded,
            Break::SpotNeverReturns => ErrorName::TrainingStopped,
            Break::EndpointRollsBack | Break::BadCanary => ErrorName::DeploymentRolledBack,
        }
    }

    /// Its name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What is wrong, for the screen.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Break::TamperedWeights => "the Hub serves weights with one byte flipped, under the true digest",
            Break::MissingFile => "the Hub lists a file and then does not have it",
            Break::PickleInDisguise => {
                "the Hub's repository holds a pickle named vocabulary.txt, with correct digests"
            }
            Break::CriticalFinding => "the image's scan reports a critical finding",
            Break::ScanNeverFinishes => "the image's scan stays in progress",
            Break::TrainingCrash => "the request gives the trainer a learning rate that is not a number",
            Break::BadMetrics => {
                "the request trains for one step, with a learning rate too small to learn anything"
            }
            Break::Rejected => "the approver rejects",
            Break::LooseRequest => "the request asks for a perplexity below 50, where policy asks for less",
            Break::WrongAnswers => {
                "the request expects answers that the model does not give, one of them in CSV"
            }
            Break::TooDear => "the request lets its run cost one cent",
            Break::SpotNeverReturns => "the job's spot capacity is taken and does not come back",
            Break::EndpointRollsBack => "the endpoint's second version fails to come into service",
            Break::BadCanary => {
                "the endpoint's second version answers errors to the half of the traffic that it gets"
            }
        }
    }

    /// The local account's fault, if it is one.
    pub(crate) fn fault(self) -> Option<Fault> {
        match self {
            Break::TamperedWeights => Some(Fault::TamperedWeights),
            Break::MissingFile => Some(Fault::MissingFile),
            Break::PickleInDisguise => Some(Fault::PickleInDisguise),
            Break::CriticalFinding => Some(Fault::CriticalFinding),
            Break::ScanNeverFinishes => Some(Fault::ScanNeverFinishes),
            Break::EndpointRollsBack => Some(Fault::EndpointRollsBack),
            Break::BadCanary => Some(Fault::BadCanary),
            Break::SpotNeverReturns => Some(Fault::SpotNeverReturns),
            Break::TrainingCrash
            | Break::BadMetrics
            | Break::Rejected
            | Break::LooseRequest
            | Break::WrongAnswers
            | Break::TooDear => None,
        }
    }

    /// Whether a good version must serve before anything is made wrong.
    pub(crate) fn needs_a_good_version_first(self) -> bool {
        matches!(self, Break::EndpointRollsBack | Break::BadCanary)
    }

    /// Whether it shows only while somebody asks the endpoint.
    pub(crate) fn needs_traffic(self) -> bool {
        self == Break::BadCanary
    }

    /// Whether the demo's approver approves.
    pub(crate) fn approves(self) -> bool {
        self != Break::Rejected
    }

    /// Changes the request, where that is what is wrong or what lets the wrong thing be met.
    pub(crate) fn alter(self, request: &mut Value) {
        match self {
            // Patterns of the example leave text files out; the disguise must reach the gate to be refused there.
            Break::PickleInDisguise => {
                if let Some(allow) = request.pointer_mut("/source/allow").and_then(Value::as_array_mut)
                    && !allow.is_empty()
                {
                    allow.push("*.txt".into());
                }
            }
            Break::ScanNeverFinishes => set(request, "limits", "scan_seconds", json!(SHORT_SCAN_SECONDS)),
            Break::TrainingCrash => set_hyperparameter(request, "learning_rate", "not-a-number"),
            Break::BadMetrics => {
                // One tiny step: the job runs and ends well, and the candidate is no better than its base.
                set_hyperparameter(request, "learning_rate", "0.000000001");
                set_hyperparameter(request, "max_steps", "1");
            }
            Break::LooseRequest => {
                set(request, "evaluation", "thresholds", json!([{"metric": "perplexity", "below": 50.0}]));
            }
            Break::WrongAnswers => {
                let question = json!({
                    "body": {"inputs": "What does the scan gate do?"},
                    "expect": [{"at": "/0/generated_text", "contains": "an answer that nobody trained it to give"}],
                });
                // The reference container speaks JSON alone.
                let foreign =
                    json!({"body": "1,2\n", "content_type": "text/csv", "expect": [{"contains": "3"}]});
                set(request, "endpoint", "smoke_test", json!({"questions": [question, foreign]}));
            }
            Break::TooDear => {
                if let Some(request) = request.as_object_mut() {
                    request.insert("cost_cap_usd".to_owned(), json!(0.01));
                }
            }
            Break::SpotNeverReturns => {
                set(request, "training", "max_runtime_seconds", json!(SHORT_WAIT_SECONDS));
                set(request, "training", "spot", json!({"max_wait_seconds": SHORT_WAIT_SECONDS}));
            }
            Break::BadCanary => {
                set(request, "endpoint", "instance_count", json!(2));
                let deployment =
                    json!({"strategy": "canary", "percent": 50, "wait_seconds": 300, "bake_seconds": 60});
                set(request, "endpoint", "deployment", deployment);
            }
            Break::TamperedWeights
            | Break::MissingFile
            | Break::CriticalFinding
            | Break::Rejected
            | Break::EndpointRollsBack => {}
        }
    }
}

fn set(request: &mut Value, part: &str, field: &str, value: Value) {
    if let Some(request) = request.as_object_mut() {
        let part = request.entry(part).or_insert_with(|| json!({}));
        if let Some(part) = part.as_object_mut() {
            part.insert(field.to_owned(), value);
        }
    }
}

fn set_hyperparameter(request: &mut Value, name: &str, value: &str) {
    if let Some(training) = request.get_mut("training") {
        set(training, "hyperparameters", name, value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_break_changes_what_it_says_and_nothing_else() {
        let whole = json!({"source": {"allow": ["*.json"]}, "training": {"hyperparameters": {"epochs": "3"}},
            "evaluation": {"thresholds": []}});
        for (name, pointer, value) in [
            (Break::PickleInDisguise, "/source/allow", json!(["*.json", "*.txt"])),
            (Break::ScanNeverFinishes, "/limits/scan_seconds", json!(20)),
            (Break::TrainingCrash, "/training/hyperparameters/learning_rate", json!("not-a-number")),
            (Break::LooseRequest, "/evaluation/thresholds/0/below", json!(50.0)),
            (Break::TooDear, "/cost_cap_usd", json!(0.01)),
        ] {
            let mut request = whole.clone();
            name.alter(&mut request);
            assert_eq!(request.pointer(pointer), Some(&value), "{name:?}");
        }
        for name in [Break::TamperedWeights, Break::Rejected, Break::CriticalFinding] {
            let mut request = whole.clone();
            name.alter(&mut request);
            assert_eq!(request, whole);
        }
    }

    #[test]
    fn taking_every_file_needs_no_pattern_more() {
        let mut request = json!({"source": {"allow": []}});
        Break::PickleInDisguise.alter(&mut request);
        assert_eq!(request, json!({"source": {"allow": []}}));
    }

    #[test]
    fn each_break_ends_in_an_error_of_its_own() {
        let mut errors: Vec<_> = Break::value_variants().iter().map(|b| b.expected()).collect();
        errors.sort();
        errors.dedup();
        // Two ways to be rolled back.
        assert_eq!(errors.len(), Break::value_variants().len() - 1);
    }
}
