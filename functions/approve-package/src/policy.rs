//! Does the decision count?

use aws_sdk_sagemaker::types::ModelApprovalStatus;
use contract::{ApprovalPolicy, same_principal};
use jiff::{SignedDuration, Timestamp};

use crate::error::ApproveError;

/// What SageMaker says about the package, described afresh.
#[derive(Debug)]
pub struct Decision<'a> {
    /// The package.
    pub package: &'a str,
    /// When it was last changed: when somebody decided.
    pub decided_at: Option<Timestamp>,
    /// Its approval status.
    pub status: Option<&'a ModelApprovalStatus>,
    /// `LastModifiedBy.IamIdentity.PrincipalId`: nothing of ours updates the package before this is read.
    pub approver: Option<&'a str>,
    /// `ApprovalDescription`.
    pub reason: &'a str,
    /// `aws:userid` of the submitter, if known.
    pub submitter: Option<&'a str>,
}

/// Judges a decision.
///
/// # Errors
/// `ApprovalRejected`, `ApprovalExpired`, `ApproverNotAllowed`.
pub fn judge(decision: &Decision<'_>, policy: &ApprovalPolicy, now: Timestamp) -> Result<(), ApproveError> {
    let package = decision.package.to_owned();
    let approver = decision.approver.unwrap_or("unknown").to_owned();
    match decision.status {
        Some(ModelApprovalStatus::Approved) => {}
        Some(ModelApprovalStatus::Rejected) => {
            let reason = if decision.reason.is_empty() { "no reason given" } else { decision.reason };
            return Err(ApproveError::Rejected { package, approver, reason: reason.to_owned() });
        }
        _ => return Err(ApproveError::Expired { package }),
    }
    // What was approved long ago was approved on what was known then. Not to know when counts as long ago.
    let valid = SignedDuration::from_secs(i64::from(policy.max_seconds));
    if decision.decided_at.is_none_or(|at| now.duration_since(at) > valid) {
        return Err(ApproveError::Stale { package });
    }
    if policy.approver_must_differ {
        let refuse = |reason| Err(ApproveError::NotAllowed { package, approver, reason });
        match (decision.approver, decision.submitter) {
            (None, _) => {
                return refuse("policy asks for a known approver, and SageMaker does not say who it was");
            }
            (_, None) => return refuse("policy asks for a known submitter: start the run by an upload"),
            (Some(approver), Some(submitter)) if same_principal(approver, submitter) => {
                return refuse("policy asks for somebody else than the submitter");
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(approver_must_differ: bool) -> ApprovalPolicy {
        ApprovalPolicy { automatic: None, approver_must_differ, max_seconds: 60 }
    }

    fn verdict(
        status: &str,
        approver: Option<&str>,
        submitter: Option<&str>,
        differ: bool,
    ) -> Result<(), ApproveError> {
        let status = ModelApprovalStatus::from(status);
        verdict_at(status, approver, submitter, differ, Some(30))
    }

    /// With the seconds since the decision.
    fn verdict_at(
        status: ModelApprovalStatus,
        approver: Option<&str>,
        submitter: Option<&str>,
        differ: bool,
        age: Option<i64>,
    ) -> Result<(), ApproveError> {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let decided_at = age.map(|age| Timestamp::from_second(1_000_000 - age).unwrap());
        let status = Some(&status);
        let decision = Decision { package: "p", decided_at, status, approver, reason: "", submitter };
        judge(&decision, &policy(differ), now)
    }

    #[test]
    fn an_approval_expires_and_one_of_unknown_age_has_expired() {
        let of_age = |age| verdict_at(ModelApprovalStatus::Approved, None, None, false, age);
        of_age(Some(60)).unwrap();
        for age in [Some(61), None] {
            assert!(matches!(of_age(age), Err(ApproveError::Stale { .. })), "{age:?}");
        }
    }

    #[test]
    fn only_approved_is_approval() {
        verdict("Approved", None, None, false).unwrap();
        assert!(matches!(verdict("Rejected", None, None, false), Err(ApproveError::Rejected { .. })));
        for status in ["PendingManualApproval", "SomethingNew"] {
            assert!(
                matches!(verdict(status, None, None, false), Err(ApproveError::Expired { .. })),
                "{status}"
            );
        }
    }

    #[test]
    fn where_policy_asks_for_it_approver_and_submitter_differ_and_both_are_known() {
        verdict("Approved", Some("AIDAAPPROVER"), Some("AIDASUBMITTER"), true).unwrap();
        for (approver, submitter) in [
            (Some("AIDASAME"), Some("AIDASAME")),
            (Some("AROATEAM:jo"), Some("AROATEAM:al")),
            (None, Some("AIDASUBMITTER")),
            (Some("AIDAAPPROVER"), None),
        ] {
            let refusal = verdict("Approved", approver, submitter, true);
            assert!(matches!(refusal, Err(ApproveError::NotAllowed { .. })), "{approver:?} {submitter:?}");
        }
    }
}
