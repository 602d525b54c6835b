//! The names that Rust declares and the state machine matches.

/// Why a run was refused. The variant's name is the Lambda `errorType`, the ASL's `ErrorEquals` and the
/// failed execution's `error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each name is explained by `meaning`, which users see too")]
pub enum ErrorName {
    RequestInvalid,
    PolicyViolation,
    CostCapExceeded,
    RetrainingRefused,
    PolicyChanged,
    RevisionNotFound,
    AccessNotGranted,
    FileNotAllowed,
    UnsafePath,
    SourceMalformed,
    DigestMismatch,
    SizeMismatch,
    SourceChanged,
    RedirectRefused,
    UnsafeContent,
    CursorInvalid,
    SourceUnavailable,
    ManifestIncomplete,
    ScanBlocked,
    ScanIncomplete,
    ScanUnsupported,
    TrainingFailed,
    TrainingStopped,
    PromotionRefused,
    DataChanged,
    EvaluationFailed,
    ThresholdBreached,
    MetricsInvalid,
    ApprovalRejected,
    ApprovalExpired,
    ApproverNotAllowed,
    EvidenceBroken,
    ModelRevoked,
    SmokeTestFailed,
    Superseded,
    DeploymentRolledBack,
    DeploymentFailed,
    ServiceUnavailable,
    AccessDenied,
    Misconfigured,
}

impl ErrorName {
    /// Every name, in the order of the state machine.
    pub const ALL: [ErrorName; 40] = [
        ErrorName::RequestInvalid,
        ErrorName::PolicyViolation,
        ErrorName::CostCapExceeded,
        ErrorName::RetrainingRefused,
        ErrorName::PolicyChanged,
        ErrorName::RevisionNotFound,
        ErrorName::AccessNotGranted,
        ErrorName::FileNotAllowed,
        ErrorName::UnsafePath,
        ErrorName::SourceMalformed,
        ErrorName::DigestMismatch,
        ErrorName::SizeMismatch,
        ErrorName::SourceChanged,
        ErrorName::RedirectRefused,
        ErrorName::UnsafeContent,
        ErrorName::CursorInvalid,
        ErrorName::SourceUnavailable,
        ErrorName::ManifestIncomplete,
        ErrorName::ScanBlocked,
        ErrorName::ScanIncomplete,
        ErrorName::ScanUnsupported,
        ErrorName::TrainingFailed,
        ErrorName::TrainingStopped,
        ErrorName::PromotionRefused,
        ErrorName::DataChanged,
        ErrorName::EvaluationFailed,
        ErrorName::ThresholdBreached,
        ErrorName::MetricsInvalid,
        ErrorName::ApprovalRejected,
        ErrorName::ApprovalExpired,
        ErrorName::ApproverNotAllowed,
        ErrorName::EvidenceBroken,
        ErrorName::ModelRevoked,
        ErrorName::SmokeTestFailed,
        ErrorName::Superseded,
        ErrorName::DeploymentRolledBack,
        ErrorName::DeploymentFailed,
        ErrorName::ServiceUnavailable,
        ErrorName::AccessDenied,
        ErrorName::Misconfigured,
    ];

    /// The name as Step Functions sees it.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorName::RequestInvalid => "RequestInvalid",
            ErrorName::PolicyViolation => "PolicyViolation",
            ErrorName::CostCapExceeded => "CostCapExceeded",
            ErrorName::RetrainingRefused => "RetrainingRefused",
            ErrorName::PolicyChanged => "PolicyChanged",
            ErrorName::RevisionNotFound => "RevisionNotFound",
            ErrorName::AccessNotGranted => "AccessNotGranted",
            ErrorName::FileNotAllowed => "FileNotAllowed",
            ErrorName::UnsafePath => "UnsafePath",
            ErrorName::SourceMalformed => "SourceMalformed",
            ErrorName::DigestMismatch => "DigestMismatch",
            ErrorName::SizeMismatch => "SizeMismatch",
            ErrorName::SourceChanged => "SourceChanged",
            ErrorName::RedirectRefused => "RedirectRefused",
            ErrorName::UnsafeContent => "UnsafeContent",
            ErrorName::CursorInvalid => "CursorInvalid",
            ErrorName::SourceUnavailable => "SourceUnavailable",
            ErrorName::ManifestIncomplete => "ManifestIncomplete",
            ErrorName::ScanBlocked => "ScanBlocked",
            ErrorName::ScanIncomplete => "ScanIncomplete",
            ErrorName::ScanUnsupported => "ScanUnsupported",
            ErrorName::TrainingFailed => "TrainingFailed",
            ErrorName::TrainingStopped => "TrainingStopped",
            ErrorName::PromotionRefused => "PromotionRefused",
            ErrorName::DataChanged => "DataChanged",
            ErrorName::EvaluationFailed => "EvaluationFailed",
            ErrorName::ThresholdBreached => "ThresholdBreached",
            ErrorName::MetricsInvalid => "MetricsInvalid",
            ErrorName::ApprovalRejected => "ApprovalRejected",
            ErrorName::ApprovalExpired => "ApprovalExpired",
            ErrorName::ApproverNotAllowed => "ApproverNotAllowed",
            ErrorName::EvidenceBroken => "EvidenceBroken",
            ErrorName::ModelRevoked => "ModelRevoked",
            ErrorName::SmokeTestFailed => "SmokeTestFailed",
            ErrorName::Superseded => "Superseded",
            ErrorName::DeploymentRolledBack => "DeploymentRolledBack",
            ErrorName::DeploymentFailed => "DeploymentFailed",
            ErrorName::ServiceUnavailable => "ServiceUnavailable",
            ErrorName::AccessDenied => "AccessDenied",
            ErrorName::Misconfigured => "Misconfigured",
        }
    }

    /// Finds a name as Step Functions reports it; `None` for one that is not Lockstep's.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    /// The name under which a run ends when an AWS call failed with this error code. Asking again helps against every
    /// failure but a denial, whose code differs by service.
    pub fn of_aws_code(code: &str) -> Self {
        const DENIALS: [&str; 6] = [
            "AccessDenied",
            "AccessDeniedException",
            "AuthorizationError",
            "AuthorizationErrorException",
            "UnauthorizedOperation",
            "Forbidden",
        ];
        if DENIALS.contains(&code) { ErrorName::AccessDenied } else { ErrorName::ServiceUnavailable }
    }

    /// One sentence that tells a user what was refused.
    pub fn meaning(self) -> &'static str {
        match self {
            ErrorName::RequestInvalid => "the request cannot be read or does not follow its schema",
            ErrorName::PolicyViolation => "the request asks for more than policy.json allows",
            ErrorName::CostCapExceeded => "the run could cost more than its own cap or policy.json allows",
            ErrorName::RetrainingRefused => "drift may not start a run now",
            ErrorName::PolicyChanged => "the policy is not the one that this deployment or run was made with",
            ErrorName::RevisionNotFound => "the Hub has no such repository or revision",
            ErrorName::AccessNotGranted => "the Hub refused access: token, licence or gating",
            ErrorName::FileNotAllowed => "the repository holds what policy does not let in",
            ErrorName::UnsafePath => "a file's path would leave its folder",
            ErrorName::SourceMalformed => "the Hub's answer cannot be trusted",
            ErrorName::DigestMismatch => "a file's bytes are not those that the Hub promised",
            ErrorName::SizeMismatch => "a file's length is not what the Hub promised",
            ErrorName::SourceChanged => "the Hub now describes a file differently than when it was resolved",
            ErrorName::RedirectRefused => "the Hub redirected to where a download must not go",
            ErrorName::UnsafeContent => "a file holds what could run code when loaded",
            ErrorName::CursorInvalid => "the download's own notes were altered",
            ErrorName::SourceUnavailable => "the Hub did not answer",
            ErrorName::ManifestIncomplete => "a listed file is missing, or one that is not listed is there",
            ErrorName::ScanBlocked => "the image has findings that policy does not allow",
            ErrorName::ScanIncomplete => "the image has no complete, fresh scan",
            ErrorName::ScanUnsupported => "the image cannot be scanned",
            ErrorName::TrainingFailed => "the training job failed",
            ErrorName::TrainingStopped => "the training job was stopped",
            ErrorName::PromotionRefused => "the run to promote does not prove what it is promoted for",
            ErrorName::DataChanged => "the data is not what the request pinned",
            ErrorName::EvaluationFailed => "the evaluation job failed",
            ErrorName::ThresholdBreached => "a metric is on the wrong side of its threshold",
            ErrorName::MetricsInvalid => "the metrics are missing, impossible or contradict each other",
            ErrorName::ApprovalRejected => "the approver rejected the model package",
            ErrorName::ApprovalExpired => "nobody decided in time",
            ErrorName::ApproverNotAllowed => "policy does not let this principal approve",
            ErrorName::EvidenceBroken => "the evidence does not verify, so nothing is deployed",
            ErrorName::ModelRevoked => {
                "the model or its image was revoked by an incident, so it is not deployed"
            }
            ErrorName::SmokeTestFailed => {
                "the model did not answer as the request expects, so it is not deployed"
            }
            ErrorName::Superseded => "what serves is no longer what the approver saw",
            ErrorName::DeploymentRolledBack => "the endpoint went back to its former configuration",
            ErrorName::DeploymentFailed => "the endpoint did not come into service",
            ErrorName::ServiceUnavailable => "an AWS service kept failing",
            ErrorName::AccessDenied => {
                "a role, bucket or key policy does not let the function do what it has to"
            }
            ErrorName::Misconfigured => "the function's environment is not complete",
        }
    }
}

impl std::fmt::Display for ErrorName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_the_variants_own_and_parses_back() {
        for name in ErrorName::ALL {
            assert_eq!(format!("{name:?}"), name.as_str());
            assert_eq!(ErrorName::parse(name.as_str()), Some(name));
            assert!(!name.meaning().is_empty());
        }
        assert_eq!(ErrorName::parse("States.Timeout"), None);
    }

    #[test]
    fn a_denial_is_told_from_a_service_that_fails() {
        for denial in ["AccessDenied", "AccessDeniedException", "AuthorizationError", "Forbidden"] {
            assert_eq!(ErrorName::of_aws_code(denial), ErrorName::AccessDenied);
        }
        for failure in ["ThrottlingException", "InternalFailure", "TimeoutError", "NoSuchBucket"] {
            assert_eq!(ErrorName::of_aws_code(failure), ErrorName::ServiceUnavailable);
        }
    }
}
