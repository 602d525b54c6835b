//! What a described resource means for the state that waits for it.

use contract::{ErrorName, WaitKind};

/// A resource, described afresh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// Its status, as AWS writes it; empty when it does not exist.
    pub status: String,
    /// Why, in AWS's words.
    pub reason: String,
    /// The endpoint configuration that serves, for endpoints.
    pub config: Option<String>,
}

/// What to tell the waiting state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Go on: the next state judges.
    Go,
    /// The resource is still at work.
    Heartbeat,
    /// The resource ended in a way that has a name.
    Refuse(ErrorName, String),
}

/// Decides. Whatever is not known to be in progress goes on to the recheck, which judges and never passes what
/// it does not know.
pub fn answer(kind: WaitKind, resource: &str, now: &Described, expected: Option<&str>) -> Answer {
    let said = |what: &str| {
        let reason = if now.reason.is_empty() { "no reason given" } else { &now.reason };
        format!("{what} `{resource}` {reason}")
    };
    match (kind, now.status.as_str()) {
        (WaitKind::TrainingJob | WaitKind::ProcessingJob, "InProgress" | "Stopping") => Answer::Heartbeat,
        (WaitKind::TrainingJob, "Failed") => Answer::Refuse(ErrorName::TrainingFailed, said("training job")),
        (WaitKind::TrainingJob, "Stopped") => {
            Answer::Refuse(ErrorName::TrainingStopped, said("training job"))
        }
        (WaitKind::ProcessingJob, "Failed" | "Stopped") => {
            Answer::Refuse(ErrorName::EvaluationFailed, said("evaluation job"))
        }
        (WaitKind::ModelPackage, "PendingManualApproval") => Answer::Heartbeat,
        (WaitKind::ModelPackage, "Rejected") => {
            Answer::Refuse(ErrorName::ApprovalRejected, said("model package"))
        }
        (WaitKind::Endpoint, "Creating" | "Updating" | "SystemUpdating" | "RollingBack") => Answer::Heartbeat,
        (WaitKind::Endpoint, "Failed") => Answer::Refuse(ErrorName::DeploymentFailed, said("endpoint")),
        // In service is not success: a silent rollback leaves the former configuration in service.
        (WaitKind::Endpoint, "InService" | "UpdateRollbackFailed") if now.config.as_deref() != expected => {
            Answer::Refuse(ErrorName::DeploymentRolledBack, said("endpoint"))
        }
        (WaitKind::ImageScan, "IN_PROGRESS" | "PENDING") => Answer::Heartbeat,
        _ => Answer::Go,
    }
}

/// Whether the resource runs no more, so that its wait may be dropped.
pub fn is_terminal(kind: WaitKind, now: &Described) -> bool {
    match kind {
        WaitKind::TrainingJob | WaitKind::ProcessingJob => {
            matches!(now.status.as_str(), "" | "Completed" | "Failed" | "Stopped")
        }
        WaitKind::Endpoint => matches!(now.status.as_str(), "" | "InService" | "Failed" | "OutOfService"),
        // Neither a package nor a scan runs or costs anything.
        WaitKind::ModelPackage | WaitKind::ImageScan => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(kind: WaitKind, status: &str, config: Option<&str>) -> Answer {
        let now =
            Described { status: status.into(), reason: String::new(), config: config.map(str::to_owned) };
        answer(kind, "r", &now, (kind == WaitKind::Endpoint).then_some("ours"))
    }

    fn refused(answer: Answer) -> Option<ErrorName> {
        match answer {
            Answer::Refuse(name, _) => Some(name),
            _ => None,
        }
    }

    #[test]
    fn work_in_progress_gets_a_heartbeat() {
        for (kind, status) in [
            (WaitKind::TrainingJob, "InProgress"),
            (WaitKind::TrainingJob, "Stopping"),
            (WaitKind::ProcessingJob, "InProgress"),
            (WaitKind::ModelPackage, "PendingManualApproval"),
            (WaitKind::Endpoint, "Creating"),
            (WaitKind::Endpoint, "RollingBack"),
            (WaitKind::ImageScan, "IN_PROGRESS"),
        ] {
            assert_eq!(answered(kind, status, None), Answer::Heartbeat, "{kind} {status}");
        }
    }

    #[test]
    fn endings_have_their_names() {
        for (kind, status, name) in [
            (WaitKind::TrainingJob, "Failed", ErrorName::TrainingFailed),
            (WaitKind::TrainingJob, "Stopped", ErrorName::TrainingStopped),
            (WaitKind::ProcessingJob, "Failed", ErrorName::EvaluationFailed),
            (WaitKind::ModelPackage, "Rejected", ErrorName::ApprovalRejected),
            (WaitKind::Endpoint, "Failed", ErrorName::DeploymentFailed),
        ] {
            assert_eq!(refused(answered(kind, status, None)), Some(name), "{kind} {status}");
        }
    }

    #[test]
    fn trap_deployment_in_service_with_the_former_configuration_is_a_rollback() {
        assert_eq!(answered(WaitKind::Endpoint, "InService", Some("ours")), Answer::Go);
        let back = answered(WaitKind::Endpoint, "InService", Some("old"));
        assert_eq!(refused(back), Some(ErrorName::DeploymentRolledBack));
    }

    #[test]
    fn what_is_not_known_goes_to_the_recheck_and_is_never_waited_for_in_vain() {
        for kind in
            [WaitKind::TrainingJob, WaitKind::ProcessingJob, WaitKind::ModelPackage, WaitKind::ImageScan]
        {
            assert_eq!(answered(kind, "", None), Answer::Go, "{kind}");
            assert_eq!(answered(kind, "SomethingNew", None), Answer::Go, "{kind}");
        }
        assert_eq!(answered(WaitKind::ImageScan, "ACTIVE", None), Answer::Go);
        assert_eq!(answered(WaitKind::ImageScan, "FAILED", None), Answer::Go);
    }
}
