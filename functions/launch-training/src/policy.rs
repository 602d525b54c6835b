//! What a described job means.

use aws_sdk_sagemaker::types::TrainingJobStatus;

use crate::error::TrainError;

/// Judges a job that must have ended.
///
/// # Errors
/// `TrainingStopped` for anything that was stopped, `TrainingFailed` for everything else but Completed.
pub fn ended_well(
    job: &str,
    status: Option<&TrainingJobStatus>,
    reason: Option<&str>,
) -> Result<(), TrainError> {
    let job = job.to_owned();
    let reason = |otherwise: &str| reason.filter(|text| !text.is_empty()).unwrap_or(otherwise).to_owned();
    match status {
        Some(TrainingJobStatus::Completed) => Ok(()),
        Some(TrainingJobStatus::Stopped | TrainingJobStatus::Stopping) => {
            Err(TrainError::Stopped { job, reason: reason("by somebody, or at its runtime's limit") })
        }
        Some(TrainingJobStatus::Failed) => Err(TrainError::Failed { job, reason: reason("no reason given") }),
        Some(TrainingJobStatus::InProgress) => {
            Err(TrainError::Failed { job, reason: "it did not end in time".to_owned() })
        }
        _ => Err(TrainError::Failed { job, reason: "its status is not known".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_training_stopped_is_a_failure() {
        let judged = |status: &str| ended_well("j", Some(&TrainingJobStatus::from(status)), None);
        assert!(judged("Completed").is_ok());
        assert!(matches!(judged("Stopped"), Err(TrainError::Stopped { .. })));
        assert!(matches!(judged("Stopping"), Err(TrainError::Stopped { .. })));
        for status in ["Failed", "InProgress", "Deleting", "SomethingNew"] {
            assert!(matches!(judged(status), Err(TrainError::Failed { .. })), "{status}");
        }
        assert!(ended_well("j", None, None).is_err());
    }
}
