//! May the endpoint be changed, and did the change come about?

use crate::error::DeployError;

/// The endpoint as SageMaker describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointState {
    /// Its status, as SageMaker writes it.
    pub status: String,
    /// The configuration that serves.
    pub config: String,
    /// The configuration that it is being created or updated with, while it is.
    pub pending: Option<String>,
    /// Why it failed or rolled back.
    pub reason: Option<String>,
    /// Instances of the variant.
    pub instances: u32,
    /// `ResolvedImage` of every variant.
    pub images: Vec<String>,
}

/// What to do with an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// There is none.
    Create,
    /// It serves what the approver saw.
    Update,
    /// An earlier try of this run has already asked for it.
    Nothing,
}

/// Decides (invariant 12): an older approval never replaces a newer model.
///
/// # Errors
/// `Superseded`, or `DeploymentFailed` for an endpoint that cannot be updated.
pub fn decide(
    endpoint: &str,
    now: Option<&EndpointState>,
    seen_by_approver: Option<&str>,
    ours: &str,
) -> Result<Action, DeployError> {
    let superseded = |reason: String| Err(DeployError::Superseded { endpoint: endpoint.to_owned(), reason });
    match (now, seen_by_approver) {
        (Some(state), _) if state.config == ours || state.pending.as_deref() == Some(ours) => {
            Ok(Action::Nothing)
        }
        (None, None) => Ok(Action::Create),
        (None, Some(seen)) => {
            superseded(format!("`{seen}` served when approval was asked for, and nothing does now"))
        }
        (Some(state), None) => {
            superseded(format!("nothing served when approval was asked for, `{}` does now", state.config))
        }
        (Some(state), Some(seen)) if state.config != seen => {
            superseded(format!("`{seen}` served when approval was asked for, `{}` does now", state.config))
        }
        (Some(state), Some(_)) if state.status != "InService" => {
            let reason = format!("it is {}, and only an endpoint in service can be updated", state.status);
            Err(DeployError::Failed { endpoint: endpoint.to_owned(), reason })
        }
        (Some(_), Some(_)) => Ok(Action::Update),
    }
}

/// Judges an endpoint that must serve `ours` by now. In service is not enough: a silent rollback is a failure.
///
/// # Errors
/// `DeploymentRolledBack`, `DeploymentFailed`.
pub fn serves(
    endpoint: &str,
    now: Option<&EndpointState>,
    ours: &str,
    image: &str,
) -> Result<(), DeployError> {
    let name = endpoint.to_owned();
    let Some(state) = now else {
        return Err(DeployError::Failed { endpoint: name, reason: "it does not exist".to_owned() });
    };
    let said = state.reason.clone().unwrap_or_else(|| "no reason given".to_owned());
    match state.status.as_str() {
        "InService" if state.config != ours => {
            Err(DeployError::RolledBack { endpoint: name, config: state.config.clone(), reason: said })
        }
        "InService" => {
            let other = state.images.iter().find(|resolved| !resolved.ends_with(image));
            match other {
                _ if state.images.is_empty() => {
                    let reason = "it does not say which image it serves".to_owned();
                    Err(DeployError::Failed { endpoint: name, reason })
                }
                Some(other) => {
                    let reason = format!("it serves the image {other}, not {image}");
                    Err(DeployError::Failed { endpoint: name, reason })
                }
                None => Ok(()),
            }
        }
        "UpdateRollbackFailed" | "RollingBack" => {
            Err(DeployError::RolledBack { endpoint: name, config: state.config.clone(), reason: said })
        }
        "Failed" => Err(DeployError::Failed { endpoint: name, reason: said }),
        status => Err(DeployError::Failed { endpoint: name, reason: format!("it is still {status}") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(status: &str, config: &str) -> EndpointState {
        EndpointState {
            status: status.into(),
            config: config.into(),
            pending: None,
            reason: None,
            instances: 1,
            images: vec!["r/i@sha256:a".into()],
        }
    }

    #[test]
    fn invariant_12_an_older_approval_never_replaces_a_newer_model() {
        let decided = |now: Option<&EndpointState>, seen| decide("e", now, seen, "ours");
        assert_eq!(decided(None, None).unwrap(), Action::Create);
        assert_eq!(decided(Some(&state("InService", "old")), Some("old")).unwrap(), Action::Update);
        assert_eq!(decided(Some(&state("Updating", "ours")), Some("old")).unwrap(), Action::Nothing);
        for (now, seen) in [
            (Some(state("InService", "newer")), Some("old")),
            (Some(state("InService", "newer")), None),
            (None, Some("old")),
        ] {
            let refusal = decided(now.as_ref(), seen);
            assert!(matches!(refusal, Err(DeployError::Superseded { .. })), "{now:?} {seen:?}");
        }
        let updating = state("Updating", "old");
        assert!(matches!(decided(Some(&updating), Some("old")), Err(DeployError::Failed { .. })));
    }

    #[test]
    fn invariant_06_a_second_delivery_finds_its_own_update_under_way() {
        let mut updating = state("Updating", "old");
        updating.pending = Some("ours".into());
        assert_eq!(decide("e", Some(&updating), Some("old"), "ours").unwrap(), Action::Nothing);
        updating.pending = Some("theirs".into());
        assert!(decide("e", Some(&updating), Some("old"), "ours").is_err());
    }

    #[test]
    fn trap_deployment_a_silent_rollback_is_a_failure() {
        serves("e", Some(&state("InService", "ours")), "ours", "sha256:a").unwrap();
        let back = serves("e", Some(&state("InService", "old")), "ours", "sha256:a");
        assert!(matches!(back, Err(DeployError::RolledBack { .. })));
        for status in ["Failed", "Creating", "Updating", "OutOfService", "SomethingNew"] {
            let refusal = serves("e", Some(&state(status, "ours")), "ours", "sha256:a");
            assert!(matches!(refusal, Err(DeployError::Failed { .. })), "{status}");
        }
        assert!(serves("e", None, "ours", "sha256:a").is_err());
    }

    #[test]
    fn invariant_03_the_resolved_image_agrees() {
        assert!(serves("e", Some(&state("InService", "ours")), "ours", "sha256:b").is_err());
        let mut silent = state("InService", "ours");
        silent.images.clear();
        assert!(serves("e", Some(&silent), "ours", "sha256:a").is_err());
    }
}
