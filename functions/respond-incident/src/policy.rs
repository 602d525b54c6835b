//! What is done about an incident: pure, from what was gathered.

use std::collections::BTreeSet;

use contract::{Severity, Waiver};
use evidence::PassedOver;

use crate::event::Cause;

/// The endpoint as SageMaker describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointState {
    /// Its status, as SageMaker writes it.
    pub status: String,
    /// The configuration that serves.
    pub config: String,
    /// The configuration that it is being updated with, while it is.
    pub pending: Option<String>,
    /// Why it failed or went back.
    pub reason: Option<String>,
    /// `ResolvedImage` of every variant.
    pub images: Vec<String>,
}

/// What an endpoint's status lets one do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can be updated.
    Serves,
    /// A deployment is under way, and its own guardrails act.
    Deploys,
    /// It is about to be gone.
    Leaves,
    /// Nobody can update it, SageMaker's own included.
    Lies,
}

impl EndpointState {
    /// What its status lets one do.
    pub fn standing(&self) -> Standing {
        match self.status.as_str() {
            "InService" => Standing::Serves,
            "Creating" | "Updating" | "SystemUpdating" | "RollingBack" => Standing::Deploys,
            "Deleting" => Standing::Leaves,
            _ => Standing::Lies,
        }
    }

    /// Whether a variant serves this image.
    pub fn serves_image(&self, digest: &str) -> bool {
        self.images.iter().any(|image| image.ends_with(&format!("@{digest}")))
    }
}

/// What a run's verified evidence says that it deployed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// Whether the run ended well.
    pub succeeded: bool,
    /// Where it deployed to.
    pub endpoint: String,
    /// The artefact's content digest.
    pub artifact: String,
    /// The image's digest, `sha256:...`.
    pub image: String,
    /// The model package.
    pub package: String,
}

/// A configuration that might serve again, and all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub config: String,
    /// What its run's evidence proves, or why it proves nothing.
    pub evidence: Result<Deployed, String>,
    /// What SageMaker would serve with it, against what was deployed; none when that is the same.
    pub changed: Option<String>,
    /// Why it must not serve.
    pub revoked: Option<String>,
}

/// Why a configuration is not rolled back to; none when it is safe. `shunned` is an image with critical findings.
pub fn unsafe_because(candidate: &Candidate, endpoint: &str, shunned: Option<&str>) -> Option<String> {
    let deployed = match &candidate.evidence {
        Err(broken) => return Some(format!("its evidence does not verify: {broken}")),
        Ok(deployed) => deployed,
    };
    if !deployed.succeeded {
        return Some("its run did not succeed".to_owned());
    }
    if deployed.endpoint != endpoint {
        return Some(format!("its run deployed to `{}`", deployed.endpoint));
    }
    if let Some(reason) = &candidate.revoked {
        return Some(reason.clone());
    }
    if shunned == Some(deployed.image.as_str()) {
        return Some("it shares the image that has the critical findings".to_owned());
    }
    candidate.changed.clone()
}

/// What is done about an endpoint that serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Serve this configuration again.
    RollBack(String),
    /// Serve nothing.
    Isolate,
    /// Leave it to people.
    Note,
}

/// Decides. `safe` is the latest earlier configuration that is safe, and `intact` whether what serves still verifies.
///
/// GuardDuty and CloudTrail tell of somebody in the account, and not of a model: what serves is verified again, and only
/// where that fails is it treated as bad.
pub fn decide(cause: &Cause, safe: Option<&str>, intact: bool) -> Decision {
    let back = safe.map(|config| Decision::RollBack(config.to_owned()));
    match cause {
        Cause::Threat { .. } | Cause::Access { .. } if intact => Decision::Note,
        Cause::Hand(asked) if !asked.isolate => back.unwrap_or(Decision::Note),
        _ => back.unwrap_or(Decision::Isolate),
    }
}

/// Critical findings that nobody answered for by a day, by name.
pub fn unanswered(
    findings: &[(String, Severity)],
    waivers: &[Waiver],
    today: jiff::civil::Date,
) -> BTreeSet<String> {
    let answered = |id: &str| waivers.iter().any(|waiver| waiver.id == id && today <= waiver.until);
    findings
        .iter()
        .filter(|(id, severity)| *severity == Severity::Critical && !answered(id))
        .map(|(id, _)| id.clone())
        .collect()
}

/// Each configuration with its reason, for a sentence.
pub fn listed(passed_over: &[PassedOver]) -> String {
    if passed_over.is_empty() {
        return "none was deployed before".to_owned();
    }
    let each = passed_over.iter().map(|one| format!("`{}`: {}", one.config, one.reason));
    each.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ByHand;

    const IMAGE: &str = "sha256:a";

    fn candidate() -> Candidate {
        Candidate {
            config: "before".into(),
            evidence: Ok(Deployed {
                succeeded: true,
                endpoint: "e".into(),
                artifact: "1".into(),
                image: IMAGE.into(),
                package: "p".into(),
            }),
            changed: None,
            revoked: None,
        }
    }

    fn alarm() -> Cause {
        Cause::Alarm { name: "e-5xx".into() }
    }

    fn by_hand(isolate: bool) -> Cause {
        Cause::Hand(ByHand { endpoint: "e".into(), to: None, reason: "r".into(), isolate })
    }

    #[test]
    fn only_a_configuration_that_is_proven_and_unchanged_serves_again() {
        assert_eq!(unsafe_because(&candidate(), "e", None), None);
        assert_eq!(unsafe_because(&candidate(), "e", Some("sha256:b")), None, "another image was found bad");
        let with = |change: fn(&mut Candidate)| {
            let mut candidate = candidate();
            change(&mut candidate);
            unsafe_because(&candidate, "e", Some("sha256:b")).expect("it is not safe")
        };
        assert!(with(|c| c.evidence = Err("altered".into())).contains("altered"));
        assert!(with(|c| c.evidence.as_mut().unwrap().succeeded = false).contains("did not succeed"));
        assert!(with(|c| c.evidence.as_mut().unwrap().endpoint = "other".into()).contains("`other`"));
        assert!(with(|c| c.evidence.as_mut().unwrap().image = "sha256:b".into()).contains("shares"));
        assert!(with(|c| c.revoked = Some("incident 1".into())).contains("incident 1"));
        assert!(with(|c| c.changed = Some("its model is gone".into())).contains("gone"));
    }

    #[test]
    fn an_alarm_rolls_back_and_isolates_where_nothing_is_safe() {
        assert_eq!(decide(&alarm(), Some("before"), true), Decision::RollBack("before".into()));
        assert_eq!(decide(&alarm(), None, true), Decision::Isolate);
    }

    #[test]
    fn a_threat_changes_nothing_while_what_serves_still_verifies() {
        let threat = Cause::Threat { kind: "T".into(), severity: 9.0 };
        let access = Cause::Access { action: "a".into(), principal: "p".into(), denied: false };
        for cause in [threat, access] {
            assert_eq!(decide(&cause, Some("before"), true), Decision::Note);
            assert_eq!(decide(&cause, Some("before"), false), Decision::RollBack("before".into()));
            assert_eq!(decide(&cause, None, false), Decision::Isolate);
        }
    }

    #[test]
    fn a_person_who_asks_for_a_rollback_does_not_get_an_end_instead() {
        assert_eq!(decide(&by_hand(false), None, true), Decision::Note);
        assert_eq!(decide(&by_hand(true), None, true), Decision::Isolate);
        assert_eq!(decide(&by_hand(true), Some("before"), true), Decision::RollBack("before".into()));
    }

    #[test]
    fn a_finding_that_somebody_answered_for_is_no_incident_until_their_day_is_over() {
        let waiver = Waiver { id: "CVE-1".into(), until: "2026-12-31".parse().unwrap(), reason: "r".into() };
        let found = [("CVE-1".to_owned(), Severity::Critical), ("CVE-2".to_owned(), Severity::High)];
        let waivers = std::slice::from_ref(&waiver);
        assert!(unanswered(&found, waivers, "2026-12-31".parse().unwrap()).is_empty());
        assert_eq!(
            unanswered(&found, waivers, "2027-01-01".parse().unwrap()),
            BTreeSet::from(["CVE-1".to_owned()])
        );
    }

    #[test]
    fn a_deployment_under_way_is_left_to_its_own_guardrails() {
        let standing =
            |status: &str| EndpointState { status: status.into(), ..EndpointState::default() }.standing();
        for status in ["Creating", "Updating", "SystemUpdating", "RollingBack"] {
            assert_eq!(standing(status), Standing::Deploys, "{status}");
        }
        assert_eq!(standing("InService"), Standing::Serves);
        for status in ["Failed", "OutOfService", "UpdateRollbackFailed", "SomethingNew"] {
            assert_eq!(standing(status), Standing::Lies, "{status}");
        }
    }

    #[test]
    fn an_image_is_told_by_its_whole_digest() {
        let state = EndpointState { images: vec!["r/i@sha256:ab".into()], ..EndpointState::default() };
        assert!(state.serves_image("sha256:ab"));
        assert!(!state.serves_image("b") && !state.serves_image("sha256:b"));
    }
}
