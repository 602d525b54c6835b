//! Why the function runs: the state machine's last step, an execution that reached no Catch, or the sweep.

use contract::SealRunInput;
use evidence::RunStatus;
use serde_json::Value;

/// An ended execution and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The execution.
    pub execution_arn: String,
    /// How.
    pub status: RunStatus,
    /// The error's name.
    pub error: Option<String>,
    /// What it said.
    pub cause: Option<String>,
}

/// Why the function runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// One execution ended, or is about to.
    Ended(Ending),
    /// Look for ended executions that lack a record.
    Sweep,
}

/// A cause is written by whatever failed; a record keeps this much of it.
const CAUSE_MAX: usize = 2_048;

/// Lambda's cause is a JSON object whose `errorMessage` is what a reader wants.
pub fn readable_cause(cause: &str) -> String {
    let message = serde_json::from_str::<Value>(cause)
        .ok()
        .and_then(|cause| cause.get("errorMessage").and_then(Value::as_str).map(str::to_owned));
    message.unwrap_or_else(|| cause.to_owned()).chars().take(CAUSE_MAX).collect()
}

/// How an execution ended, in Step Functions' words; `None` while it runs, or when it succeeded, since a
/// success is sealed by its own last step.
pub fn ended_badly(status: &str) -> Option<RunStatus> {
    match status {
        "FAILED" => Some(RunStatus::Failed),
        "ABORTED" => Some(RunStatus::Aborted),
        "TIMED_OUT" => Some(RunStatus::TimedOut),
        _ => None,
    }
}

/// Reads the input.
pub fn parse(input: Value) -> Option<Occasion> {
    if input.get("sweep") == Some(&Value::Bool(true)) {
        return Some(Occasion::Sweep);
    }
    if input.get("step").is_some() {
        let SealRunInput::SealRun { execution_arn, state } = serde_json::from_value(input).ok()?;
        let text = |pointer: &str| state.pointer(pointer).and_then(Value::as_str);
        let error = text("/error/Error").map(str::to_owned);
        return Some(Occasion::Ended(Ending {
            execution_arn,
            status: if error.is_some() { RunStatus::Failed } else { RunStatus::Succeeded },
            cause: text("/error/Cause").map(readable_cause),
            error,
        }));
    }
    let text = |pointer: &str| input.pointer(pointer).and_then(Value::as_str);
    if text("/detail-type") != Some("Step Functions Execution Status Change") {
        return None;
    }
    let status = ended_badly(text("/detail/status")?)?;
    Some(Occasion::Ended(Ending {
        execution_arn: text("/detail/executionArn")?.to_owned(),
        status,
        error: text("/detail/error").map(str::to_owned),
        cause: text("/detail/cause").map(readable_cause),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_step_succeeds_unless_something_was_caught() {
        let step = |state| parse(json!({"step": "SealRun", "execution_arn": "a", "state": state})).unwrap();
        let Occasion::Ended(good) = step(json!({"run": {}})) else { panic!("an ending") };
        assert_eq!((good.status, good.error), (RunStatus::Succeeded, None));
        let caught = json!({"error": {"Error": "ScanBlocked", "Cause": "{\"errorMessage\": \"why\"}"}});
        let Occasion::Ended(bad) = step(caught) else { panic!("an ending") };
        assert_eq!((bad.status, bad.error.as_deref()), (RunStatus::Failed, Some("ScanBlocked")));
        assert_eq!(bad.cause.as_deref(), Some("why"));
    }

    #[test]
    fn trap_step_functions_aborted_and_timed_out_reach_no_catch_and_are_sealed_by_their_event() {
        for (status, expected) in [
            ("ABORTED", RunStatus::Aborted),
            ("TIMED_OUT", RunStatus::TimedOut),
            ("FAILED", RunStatus::Failed),
        ] {
            let event = json!({"detail-type": "Step Functions Execution Status Change",
                "detail": {"executionArn": "a", "status": status}});
            let Some(Occasion::Ended(ending)) = parse(event) else { panic!("an ending") };
            assert_eq!(ending.status, expected);
        }
        let running = json!({"detail-type": "Step Functions Execution Status Change",
            "detail": {"executionArn": "a", "status": "RUNNING"}});
        assert_eq!(parse(running), None);
    }
}
