//! What a described job means.

use aws_sdk_sagemaker::types::{SecondaryStatus, TrainingJobStatus};

use crate::error::TrainError;

/// Judges a job that must have ended.
///
/// # Errors
/// `TrainingStopped` for anything that was stopped, `TrainingFailed` for everything else but Completed.
pub fn ended_well(
    job: &str,
    status: Option<&TrainingJobStatus>,
    secondary: Option<&SecondaryStatus>,
    reason: Option<&str>,
) -> Result<(), TrainError> {
    let job = job.to_owned();
    let reason = |otherwise: &str| reason.filter(|text| !text.is_empty()).unwrap_or(otherwise).to_owned();
    match status {
        Some(TrainingJobStatus::Completed) => Ok(()),
        Some(TrainingJobStatus::Stopped | TrainingJobStatus::Stopping) => {
            Err(TrainError::Stopped { job, reason: reason(stopped_by(secondary)) })
        }
        Some(TrainingJobStatus::Failed) => Err(TrainError::Failed { job, reason: reason("no reason given") }),
        Some(TrainingJobStatus::InProgress) => {
            Err(TrainError::Failed { job, reason: "it did not end in time".to_owned() })
        }
        _ => Err(TrainError::Failed { job, reason: "its status is not known".to_owned() }),
    }
}

/// What ended it, and what to do.
fn stopped_by(secondary: Option<&SecondaryStatus>) -> &'static str {
    match secondary {
        Some(SecondaryStatus::MaxWaitTimeExceeded) => {
            "MaxWaitTimeExceeded: its spot capacity did not suffice until its wait was over; raise \
             `training.spot.max_wait_seconds`, or leave `training.spot` out"
        }
        Some(SecondaryStatus::MaxRuntimeExceeded) => {
            "MaxRuntimeExceeded: raise `training.max_runtime_seconds`"
        }
        _ => "somebody stopped it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_training_stopped_is_a_failure() {
        let judged = |status: &str| ended_well("j", Some(&TrainingJobStatus::from(status)), None, None);
        assert!(judged("Completed").is_ok());
        assert!(matches!(judged("Stopped"), Err(TrainError::Stopped { .. })));
        assert!(matches!(judged("Stopping"), Err(TrainError::Stopped { .. })));
        for status in ["Failed", "InProgress", "Deleting", "SomethingNew"] {
            assert!(matches!(judged(status), Err(TrainError::Failed { .. })), "{status}");
        }
        assert!(ended_well("j", None, None, None).is_err());
    }

    #[test]
    fn a_job_that_waited_in_vain_says_what_for() {
        let stopped = ended_well(
            "j",
            Some(&TrainingJobStatus::Stopped),
            Some(&SecondaryStatus::MaxWaitTimeExceeded),
            None,
        );
        let said = stopped.unwrap_err().to_string();
        assert!(said.contains("MaxWaitTimeExceeded") && said.contains("max_wait_seconds"), "{said}");
    }
}
