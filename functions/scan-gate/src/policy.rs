//! Do the findings pass?

use contract::{ImagePolicy, Severity};
use evidence::{ScanMetadata, Scanner, SeverityScore, Vulnerability, Vulns};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::error::ScanError;

/// Whose findings they are.
const SCANNER: &str = "https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning.html";

/// Where a scan stands, as Lockstep sees ECR's ten statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanStatus {
    /// COMPLETE: a basic scan, or one on push, has ended.
    Complete,
    /// ACTIVE: continuous scanning has judged the image and goes on for ever; it settles as Complete does.
    Active,
    /// IN_PROGRESS or PENDING: it may yet settle.
    Running,
    /// No scan was ever started.
    Absent,
    /// UNSUPPORTED_IMAGE and IMAGE_ARCHIVED: it will never be scanned.
    Unsupported,
    /// FAILED, SCAN_ELIGIBILITY_EXPIRED, FINDINGS_UNAVAILABLE, LIMIT_EXCEEDED and whatever AWS adds.
    Unusable,
}

impl ScanStatus {
    /// Reads ECR's status by its wire name, so that a status that is new to the SDK refuses.
    pub fn parse(status: &str) -> Self {
        match status {
            "COMPLETE" => Self::Complete,
            "ACTIVE" => Self::Active,
            "IN_PROGRESS" | "PENDING" => Self::Running,
            "UNSUPPORTED_IMAGE" | "IMAGE_ARCHIVED" => Self::Unsupported,
            _ => Self::Unusable,
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Such as `CVE-2026-1234`.
    pub id: String,
    /// In Lockstep's own order.
    pub severity: Severity,
}

/// ECR's severity by its wire name. What is not known counts as undefined, which is worse than critical.
pub fn severity(name: &str) -> Severity {
    match name {
        "INFORMATIONAL" => Severity::Informational,
        "LOW" => Severity::Low,
        "MEDIUM" => Severity::Medium,
        "HIGH" => Severity::High,
        "CRITICAL" => Severity::Critical,
        _ => Severity::Undefined,
    }
}

/// A whole scan: every page of its findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Where it stands.
    pub status: ScanStatus,
    /// ECR's own word for it, for the message.
    pub said: String,
    /// When it last judged the image.
    pub completed_at: Option<Timestamp>,
    /// Every finding.
    pub findings: Vec<Finding>,
    /// What ECR counted; fewer findings than this were read means that pages are missing.
    pub counted: usize,
}

impl Scan {
    /// The scan in in-toto's words: every finding, those that policy let pass included.
    pub fn vulns(&self) -> Vulns {
        let result = self.findings.iter().map(|finding| Vulnerability {
            id: finding.id.clone(),
            severity: vec![SeverityScore {
                method: SCANNER.to_owned(),
                score: finding.severity.as_str().to_owned(),
            }],
        });
        let mut result: Vec<_> = result.collect();
        result.sort_by(|left, right| left.id.cmp(&right.id));
        let scan_finished_on = self.completed_at.map(|at| at.to_string());
        Vulns {
            scanner: Scanner { uri: SCANNER.to_owned(), result },
            metadata: ScanMetadata { scan_finished_on },
        }
    }
}

/// Judges a scan.
///
/// # Errors
/// `ScanIncomplete`, `ScanUnsupported` or `ScanBlocked`.
pub fn judge(image: &str, scan: &Scan, policy: &ImagePolicy, now: Timestamp) -> Result<(), ScanError> {
    let incomplete = |reason: String| Err(ScanError::Incomplete { image: image.to_owned(), reason });
    match scan.status {
        ScanStatus::Complete | ScanStatus::Active => {}
        ScanStatus::Unsupported => {
            return Err(ScanError::Unsupported { image: image.to_owned(), reason: scan.said.clone() });
        }
        ScanStatus::Running | ScanStatus::Absent | ScanStatus::Unusable => {
            return incomplete(format!("its status is {}", scan.said));
        }
    }
    let Some(completed_at) = scan.completed_at else {
        return incomplete("it does not say when it ended".to_owned());
    };
    let max_age = SignedDuration::from_secs(i64::try_from(policy.max_scan_age_seconds).unwrap_or(i64::MAX));
    let age = now.duration_since(completed_at);
    if age > max_age {
        return incomplete(format!("it is from {completed_at}, policy asks for one within {max_age:#}"));
    }
    if scan.findings.len() < scan.counted {
        let read = scan.findings.len();
        return incomplete(format!("{read} of its {} findings could be read", scan.counted));
    }
    let today = now.to_zoned(TimeZone::UTC).date();
    let waived = |finding: &&Finding| {
        !policy.waivers.iter().any(|waiver| waiver.id == finding.id && today <= waiver.until)
    };
    let mut worst: Vec<_> = scan
        .findings
        .iter()
        .filter(|finding| finding.severity > policy.max_severity)
        .filter(waived)
        .collect();
    if worst.is_empty() {
        return Ok(());
    }
    worst.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let shown: Vec<_> = worst.iter().take(5).map(|f| format!("{} ({:?})", f.id, f.severity)).collect();
    let more = worst.len().saturating_sub(shown.len());
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    Err(ScanError::Blocked { image: image.to_owned(), findings: shown.join(", ") + &tail })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> ImagePolicy {
        let policy: contract::Policy = serde_json::from_str(testkit::POLICY).unwrap();
        policy.images
    }

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn scan(findings: &[(&str, Severity)]) -> Scan {
        Scan {
            status: ScanStatus::Complete,
            said: "COMPLETE".into(),
            completed_at: Some("2026-11-21T11:00:00Z".parse().unwrap()),
            findings: findings
                .iter()
                .map(|(id, severity)| Finding { id: (*id).into(), severity: *severity })
                .collect(),
            counted: findings.len(),
        }
    }

    fn verdict(scan: &Scan) -> Result<(), ScanError> {
        judge("sha256:x", scan, &policy(), now())
    }

    #[test]
    fn critical_and_high_each_block_and_medium_passes() {
        verdict(&scan(&[("A", Severity::Medium), ("B", Severity::Low)])).unwrap();
        for severity in [Severity::High, Severity::Critical] {
            assert!(matches!(verdict(&scan(&[("A", severity)])), Err(ScanError::Blocked { .. })));
        }
    }

    #[test]
    fn trap_ecr_undefined_severity_is_not_low() {
        for name in ["UNDEFINED", "UNTRIAGED", "SOMETHING_NEW"] {
            assert!(
                matches!(verdict(&scan(&[("A", severity(name))])), Err(ScanError::Blocked { .. })),
                "{name}"
            );
        }
    }

    #[test]
    fn trap_ecr_of_ten_statuses_all_but_settled_ones_refuse() {
        let statuses = [
            "IN_PROGRESS",
            "COMPLETE",
            "FAILED",
            "UNSUPPORTED_IMAGE",
            "ACTIVE",
            "PENDING",
            "SCAN_ELIGIBILITY_EXPIRED",
            "FINDINGS_UNAVAILABLE",
            "LIMIT_EXCEEDED",
            "IMAGE_ARCHIVED",
            "A_NEW_ONE",
        ];
        for said in statuses {
            let mut scan = scan(&[]);
            scan.status = ScanStatus::parse(said);
            scan.said = said.to_owned();
            assert_eq!(verdict(&scan).is_ok(), matches!(said, "COMPLETE" | "ACTIVE"), "{said}");
        }
    }

    #[test]
    fn trap_ecr_missing_pages_undated_and_old_scans_refuse() {
        let mut partial = scan(&[("A", Severity::Low)]);
        partial.counted = 2;
        let mut undated = scan(&[]);
        undated.completed_at = None;
        let mut old = scan(&[]);
        old.completed_at = Some("2026-11-20T11:00:00Z".parse().unwrap());
        for scan in [partial, undated, old] {
            assert!(matches!(verdict(&scan), Err(ScanError::Incomplete { .. })));
        }
    }

    #[test]
    fn a_waiver_holds_to_its_last_day_and_no_longer() {
        let waived = scan(&[("CVE-2026-0001", Severity::Critical)]);
        verdict(&waived).unwrap();
        let mut later = waived.clone();
        later.completed_at = Some("2027-01-01T00:00:00Z".parse().unwrap());
        let after = judge("x", &later, &policy(), "2027-01-01T01:00:00Z".parse().unwrap());
        assert!(matches!(after, Err(ScanError::Blocked { .. })));
    }
}
