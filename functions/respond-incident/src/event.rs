//! What the function was woken for. Of an event only what it is about is believed; how that is, is asked afresh.

use contract::RunId;
use evidence::IncidentSeverity;
use serde::Deserialize;
use serde_json::Value;

/// What the function was woken for.
#[derive(Clone, Debug, PartialEq)]
pub enum Occasion {
    /// Something is wrong, or somebody says so.
    Signal(Signal),
    /// An endpoint has come to rest: what was asked for may be there.
    Settled(String),
    /// Once a day: scan what serves, where no service does it continuously.
    Rescan,
}

/// Something is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// The event's id; the same when it is delivered again.
    pub id: String,
    /// When it happened, as the event says.
    pub at: Option<String>,
    /// What.
    pub cause: Cause,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Cause {
    /// A guardrail alarm went off.
    Alarm {
        /// Its name.
        name: String,
    },
    /// An image has a critical finding.
    Finding {
        /// Its repository.
        repository: String,
        /// Its digest, `sha256:...`.
        digest: String,
    },
    /// GuardDuty found something.
    Threat {
        /// Such as `UnauthorizedAccess:IAMUser/MaliciousIPCaller`.
        kind: String,
        /// Its severity, 1 to 10.
        severity: f64,
    },
    /// Somebody did, or tried, what only the pipeline may do.
    Access {
        /// Such as `sagemaker.amazonaws.com:UpdateEndpoint`.
        action: String,
        /// Who.
        principal: String,
        /// Whether AWS refused it.
        denied: bool,
    },
    /// A person says so.
    Hand(ByHand),
}

/// `{"rollback": {...}}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByHand {
    /// The endpoint.
    pub endpoint: String,
    /// The run whose configuration shall serve; none for the latest that is safe.
    #[serde(default)]
    pub to: Option<RunId>,
    /// Why.
    pub reason: String,
    /// Whether to isolate where nothing is safe. Not by default: whoever asks for a rollback does not ask for an end.
    #[serde(default)]
    pub isolate: bool,
}

impl Cause {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::Alarm { name } => format!("alarm {name} went off"),
            Self::Finding { repository, digest } => {
                format!("the image {repository}@{digest} has critical findings")
            }
            Self::Threat { kind, .. } => format!("GuardDuty found {kind}"),
            Self::Access { action, principal, denied: true } => {
                format!("{principal} tried {action}, and was denied")
            }
            Self::Access { action, principal, denied: false } => format!("{principal} did {action}"),
            Self::Hand(asked) => format!("somebody asked for it: {}", asked.reason),
        }
    }

    /// How bad it is before anything is done about it.
    pub fn severity(&self) -> IncidentSeverity {
        match self {
            Self::Alarm { .. } => IncidentSeverity::High,
            Self::Finding { .. } => IncidentSeverity::Critical,
            // GuardDuty's own bands: low below 4, medium below 7, high below 9.
            Self::Threat { severity, .. } if *severity >= 9.0 => IncidentSeverity::Critical,
            Self::Threat { severity, .. } if *severity >= 7.0 => IncidentSeverity::High,
            Self::Threat { severity, .. } if *severity >= 4.0 => IncidentSeverity::Medium,
            Self::Threat { .. } => IncidentSeverity::Low,
            Self::Access { denied: true, .. } => IncidentSeverity::High,
            Self::Access { denied: false, .. } => IncidentSeverity::Critical,
            Self::Hand(_) => IncidentSeverity::Medium,
        }
    }

    /// The page that says what to do, without its ending.
    pub fn runbook(&self) -> &'static str {
        match self {
            Self::Alarm { name } if name.ends_with("-latency") => "latency",
            Self::Alarm { .. } => "endpoint-errors",
            Self::Finding { .. } => "critical-finding",
            Self::Threat { .. } | Self::Access { .. } => "unauthorised-access",
            Self::Hand(_) => "rollback",
        }
    }
}

/// Reads an event; `None` for one that no rule sends. `request_id` stands in for the id that a call by hand lacks.
pub fn parse(event: &Value, request_id: &str) -> Option<Occasion> {
    if event.get("rescan") == Some(&Value::Bool(true)) {
        return Some(Occasion::Rescan);
    }
    let signal =
        |id: &str, at: Option<String>, cause| Some(Occasion::Signal(Signal { id: id.to_owned(), at, cause }));
    if let Some(asked) = event.get("rollback") {
        let asked = ByHand::deserialize(asked).ok().filter(|asked| !asked.reason.trim().is_empty())?;
        return signal(request_id, None, Cause::Hand(asked));
    }
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let owned = |pointer: &str| text(pointer).map(str::to_owned);
    let cause = match text("/detail-type")? {
        "SageMaker Endpoint State Change" => {
            // Older events carry only the ARN.
            let name = text("/detail/EndpointName")
                .or_else(|| text("/detail/EndpointArn").and_then(|arn| arn.rsplit('/').next()))?;
            return Some(Occasion::Settled(name.to_owned()));
        }
        "CloudWatch Alarm State Change" => Cause::Alarm { name: owned("/detail/alarmName")? },
        "ECR Image Scan" => Cause::Finding {
            repository: owned("/detail/repository-name")?,
            digest: owned("/detail/image-digest")?,
        },
        "Inspector2 Finding" => {
            let image = "/detail/resources/0/details/awsEcrContainerImage";
            Cause::Finding {
                repository: owned(&format!("{image}/repositoryName"))?,
                digest: owned(&format!("{image}/imageHash"))?,
            }
        }
        "GuardDuty Finding" => Cause::Threat {
            kind: owned("/detail/type")?,
            severity: event.pointer("/detail/severity").and_then(Value::as_f64)?,
        },
        "AWS API Call via CloudTrail" => Cause::Access {
            action: format!("{}:{}", text("/detail/eventSource")?, text("/detail/eventName")?),
            principal: text("/detail/userIdentity/arn").unwrap_or("somebody unknown").to_owned(),
            denied: text("/detail/errorCode").is_some(),
        },
        _ => return None,
    };
    signal(text("/id")?, owned("/time"), cause)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cause(detail_type: &str, detail: Value) -> Option<Cause> {
        let event = json!({ "id": "e-1", "time": "2026-01-01T00:00:00Z", "detail-type": detail_type, "detail": detail });
        match parse(&event, "r")? {
            Occasion::Signal(signal) => {
                assert_eq!((signal.id.as_str(), signal.at.as_deref()), ("e-1", Some("2026-01-01T00:00:00Z")));
                Some(signal.cause)
            }
            _ => None,
        }
    }

    #[test]
    fn each_event_says_what_is_wrong() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let finding = Some(Cause::Finding { repository: "a/b".into(), digest: digest.clone() });
        assert_eq!(
            cause(
                "CloudWatch Alarm State Change",
                json!({ "alarmName": "n", "state": { "value": "ALARM" } })
            ),
            Some(Cause::Alarm { name: "n".into() })
        );
        let scan = json!({ "repository-name": "a/b", "image-digest": digest });
        assert_eq!(cause("ECR Image Scan", scan), finding);
        let image = json!({ "awsEcrContainerImage": { "repositoryName": "a/b", "imageHash": digest } });
        assert_eq!(cause("Inspector2 Finding", json!({ "resources": [{ "details": image }] })), finding);
        assert_eq!(
            cause("GuardDuty Finding", json!({ "type": "T", "severity": 8 })),
            Some(Cause::Threat { kind: "T".into(), severity: 8.0 })
        );
        let call = json!({ "eventSource": "s", "eventName": "E", "userIdentity": { "arn": "a" }, "errorCode": "AccessDenied" });
        assert_eq!(
            cause("AWS API Call via CloudTrail", call),
            Some(Cause::Access { action: "s:E".into(), principal: "a".into(), denied: true })
        );
    }

    #[test]
    fn a_call_by_hand_needs_a_reason_and_isolates_only_when_it_says_so() {
        let asked = |rollback: Value| parse(&json!({ "rollback": rollback }), "r");
        let Some(Occasion::Signal(signal)) = asked(json!({ "endpoint": "e", "reason": "wrong answers" }))
        else {
            panic!("it is understood")
        };
        assert_eq!(signal.id, "r");
        let Cause::Hand(by_hand) = signal.cause else { panic!("it is by hand") };
        assert!(!by_hand.isolate && by_hand.to.is_none());
        for nonsense in [
            json!({ "endpoint": "e" }),
            json!({ "endpoint": "e", "reason": " " }),
            json!({ "endpoint": "e", "reason": "r", "to": "latest" }),
            json!({ "endpoint": "e", "reason": "r", "force": true }),
        ] {
            assert_eq!(asked(nonsense.clone()), None, "{nonsense}");
        }
    }

    #[test]
    fn an_endpoint_that_came_to_rest_is_no_incident_and_anything_else_is_refused() {
        let settled = json!({ "detail-type": "SageMaker Endpoint State Change", "detail": { "EndpointArn": "arn:x:endpoint/e" } });
        assert_eq!(parse(&settled, "r"), Some(Occasion::Settled("e".into())));
        assert_eq!(parse(&json!({ "rescan": true }), "r"), Some(Occasion::Rescan));
        for nothing in [json!({}), json!({ "rescan": "yes" }), json!({ "detail-type": "Scheduled Event" })] {
            assert_eq!(parse(&nothing, "r"), None, "{nothing}");
        }
        assert_eq!(cause("CloudWatch Alarm State Change", json!({})), None);
    }

    #[test]
    fn guardduty_s_own_bands_say_how_bad_a_threat_is() {
        for (severity, expected) in [
            (2.0, IncidentSeverity::Low),
            (5.0, IncidentSeverity::Medium),
            (8.0, IncidentSeverity::High),
            (9.5, IncidentSeverity::Critical),
        ] {
            assert_eq!(Cause::Threat { kind: String::new(), severity }.severity(), expected);
        }
    }
}
