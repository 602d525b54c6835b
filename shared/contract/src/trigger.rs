//! What can start a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{DriftCause, RunId, S3Uri, Sha256Digest};

/// The `source` of Lockstep's own events.
pub const EVENT_SOURCE: &str = "lockstep";
/// The `detail-type` of the event that tells of drift.
pub const DRIFT_EVENT: &str = "Model Drift Detected";

/// The `detail` of [`DRIFT_EVENT`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriftDetail {
    /// Made of the endpoint, the run and the hour, so that an event that is told twice starts one run. EventBridge's own id
    /// differs each time.
    pub event_id: String,
    /// The endpoint.
    pub endpoint: String,
    /// The run whose model serves it.
    pub run_id: RunId,
    /// Whether that run's request asks for a run like it.
    pub retrain: bool,
    /// What drifted, for people.
    pub features: Vec<String>,
    /// The report, in the work bucket.
    pub report: S3Uri,
    /// Of the report's bytes.
    pub report_sha256: Sha256Digest,
}

/// The schedule that started a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleTrigger {
    /// The schedule's name.
    pub name: String,
    /// `<aws.scheduler.scheduled-time>`: the time that it was due, the same when it is delivered twice.
    pub time: String,
}

/// An execution's input, told apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// S3 told EventBridge of an upload.
    Upload {
        /// The object.
        uri: S3Uri,
        /// The uploaded version.
        version_id: Option<String>,
    },
    /// The request stands in the input.
    Inline(Value),
    /// The input names where the request lies.
    Reference {
        /// The object.
        uri: S3Uri,
        /// The version, if the caller wants one.
        version_id: Option<String>,
    },
    /// The monitor found drift.
    Drift(DriftCause),
    /// A schedule names where the request lies.
    Schedule {
        /// Which schedule, and when.
        schedule: ScheduleTrigger,
        /// The object.
        uri: S3Uri,
    },
}

/// The input is none of the triggers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TriggerUnknown {
    /// No form matches.
    #[error(
        "the execution's input starts nothing: give {{\"request\": {{...}}}}, {{\"request_uri\": \"s3://...\"}}, \
         an S3 Object Created event, or {{\"schedule\": {{\"name\", \"time\"}}, \"request_uri\": \"s3://...\"}}"
    )]
    NoForm,
    /// A form matches, but one of its fields is wrong.
    #[error("`{field}` of the execution's input: {reason}")]
    Field {
        /// The field's path.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Direct {
    #[serde(default)]
    request: Option<Value>,
    #[serde(default)]
    request_uri: Option<String>,
    #[serde(default)]
    version_id: Option<String>,
    #[serde(default)]
    schedule: Option<ScheduleTrigger>,
}

impl Trigger {
    /// Tells the triggers apart.
    ///
    /// # Errors
    /// [`TriggerUnknown`] when the input is none of them.
    pub fn parse(input: &Value) -> Result<Self, TriggerUnknown> {
        if input.get("detail-type").is_some() {
            return Self::parse_event(input);
        }
        let direct: Direct = serde_json::from_value(input.clone()).map_err(|_| TriggerUnknown::NoForm)?;
        let uri = |text: String| {
            S3Uri::try_from(text)
                .map_err(|error| TriggerUnknown::Field { field: "request_uri", reason: error.to_string() })
        };
        match direct {
            Direct { request: Some(request), request_uri: None, version_id: None, schedule: None } => {
                Ok(Self::Inline(request))
            }
            Direct { request: None, request_uri: Some(text), version_id, schedule: None } => {
                Ok(Self::Reference { uri: uri(text)?, version_id })
            }
            Direct { request: None, request_uri: Some(text), version_id: None, schedule: Some(schedule) } => {
                Ok(Self::Schedule { schedule, uri: uri(text)? })
            }
            _ => Err(TriggerUnknown::NoForm),
        }
    }

    fn parse_event(event: &Value) -> Result<Self, TriggerUnknown> {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
        if text("/source") == Some(EVENT_SOURCE) && text("/detail-type") == Some(DRIFT_EVENT) {
            let wrong = |field, reason: &str| TriggerUnknown::Field { field, reason: reason.to_owned() };
            let detail: DriftDetail = serde_json::from_value(event["detail"].clone())
                .map_err(|error| wrong("detail", &error.to_string()))?;
            return Ok(Self::Drift(DriftCause {
                event_id: detail.event_id,
                endpoint: detail.endpoint,
                run_id: detail.run_id,
                report: detail.report,
                report_sha256: detail.report_sha256,
            }));
        }
        if text("/source") != Some("aws.s3") || text("/detail-type") != Some("Object Created") {
            return Err(TriggerUnknown::NoForm);
        }
        let missing = |field| TriggerUnknown::Field { field, reason: "is missing".to_owned() };
        let bucket = text("/detail/bucket/name").ok_or(missing("detail.bucket.name"))?;
        let key = text("/detail/object/key").ok_or(missing("detail.object.key"))?;
        Ok(Self::Upload {
            uri: S3Uri::new(bucket, key),
            version_id: text("/detail/object/version-id").map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_triggers_are_told_apart() {
        let upload = json!({"source": "aws.s3", "detail-type": "Object Created",
            "detail": {"bucket": {"name": "b"}, "object": {"key": "requests/u/r.json", "version-id": "v"}}});
        assert_eq!(
            Trigger::parse(&upload).unwrap(),
            Trigger::Upload { uri: S3Uri::new("b", "requests/u/r.json"), version_id: Some("v".into()) }
        );
        assert!(matches!(Trigger::parse(&json!({"request": {}})), Ok(Trigger::Inline(_))));
        assert!(matches!(Trigger::parse(&json!({"request_uri": "s3://b/k"})), Ok(Trigger::Reference { .. })));
        let drift = json!({"source": "lockstep", "detail-type": "Model Drift Detected", "id": "1",
            "detail": {"event_id": "e-1", "endpoint": "e", "run_id": "0a".repeat(16), "retrain": true, "features": ["output.x"],
                "report": "s3://w/drift/e/report.json", "report_sha256": "0".repeat(64)}});
        assert!(matches!(Trigger::parse(&drift), Ok(Trigger::Drift(cause)) if cause.event_id == "e-1"));
        let schedule = json!({"schedule": {"name": "n", "time": "t"}, "request_uri": "s3://b/k"});
        assert!(matches!(Trigger::parse(&schedule), Ok(Trigger::Schedule { .. })));
    }

    #[test]
    fn anything_else_starts_nothing() {
        for bad in [
            json!({}),
            json!([]),
            json!({"request": {}, "request_uri": "s3://b/k"}),
            json!({"request_uri": "b/k"}),
            json!({"detail-type": "Object Deleted", "source": "aws.s3"}),
            json!({"detail-type": "Object Created", "source": "aws.s3"}),
            json!({"request": {}, "extra": 1}),
        ] {
            assert!(Trigger::parse(&bad).is_err(), "{bad}");
        }
    }
}
