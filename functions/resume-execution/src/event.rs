//! Which resource an event is about. Nothing else of it is believed: the resource is described afresh.

use contract::WaitKind;
use serde_json::Value;

/// What the function was invoked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The schedule.
    Sweep,
    /// A state change of one resource.
    Changed(WaitKind, String),
}

/// Reads an event.
pub fn parse(event: &Value) -> Option<Occasion> {
    if event.get("sweep") == Some(&Value::Bool(true)) {
        return Some(Occasion::Sweep);
    }
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let changed = match text("/detail-type")?.as_str() {
        "SageMaker Training Job State Change" => (WaitKind::TrainingJob, text("/detail/TrainingJobName")?),
        "SageMaker Processing Job State Change" => {
            (WaitKind::ProcessingJob, text("/detail/ProcessingJobName")?)
        }
        "SageMaker Model Package State Change" => (WaitKind::ModelPackage, text("/detail/ModelPackageArn")?),
        "SageMaker Endpoint State Change" => {
            // Older events carry only the ARN.
            let name = text("/detail/EndpointName").or_else(|| {
                text("/detail/EndpointArn").and_then(|arn| arn.rsplit('/').next().map(str::to_owned))
            })?;
            (WaitKind::Endpoint, name)
        }
        "ECR Image Scan" => {
            let resource = format!("{}@{}", text("/detail/repository-name")?, text("/detail/image-digest")?);
            (WaitKind::ImageScan, resource)
        }
        "Inspector2 Scan" => {
            // The repository comes as an ARN: arn:aws:ecr:<region>:<account>:repository/<name>.
            let arn = text("/detail/repository-name")?;
            let name = arn.split_once(":repository/").map_or(arn.as_str(), |(_, name)| name);
            (WaitKind::ImageScan, format!("{name}@{}", text("/detail/image-digest")?))
        }
        _ => return None,
    };
    Some(Occasion::Changed(changed.0, changed.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_event_names_its_resource() {
        for (detail_type, detail, expected) in [
            (
                "SageMaker Training Job State Change",
                json!({"TrainingJobName": "j", "TrainingJobStatus": "Completed"}),
                (WaitKind::TrainingJob, "j"),
            ),
            (
                "SageMaker Processing Job State Change",
                json!({"ProcessingJobName": "j"}),
                (WaitKind::ProcessingJob, "j"),
            ),
            (
                "SageMaker Model Package State Change",
                json!({"ModelPackageArn": "arn:p", "ModelPackageName": "g/1"}),
                (WaitKind::ModelPackage, "arn:p"),
            ),
            (
                "SageMaker Endpoint State Change",
                json!({"EndpointArn": "arn:aws:sagemaker:r:1:endpoint/e"}),
                (WaitKind::Endpoint, "e"),
            ),
            (
                "ECR Image Scan",
                json!({"repository-name": "a/b", "image-digest": "sha256:0"}),
                (WaitKind::ImageScan, "a/b@sha256:0"),
            ),
            (
                "Inspector2 Scan",
                json!({"repository-name": "arn:aws:ecr:r:1:repository/a/b", "image-digest": "sha256:0"}),
                (WaitKind::ImageScan, "a/b@sha256:0"),
            ),
        ] {
            let event = json!({"detail-type": detail_type, "detail": detail});
            assert_eq!(
                parse(&event),
                Some(Occasion::Changed(expected.0, expected.1.to_owned())),
                "{detail_type}"
            );
        }
        assert_eq!(parse(&json!({"sweep": true})), Some(Occasion::Sweep));
        for nothing in
            [json!({}), json!({"sweep": "yes"}), json!({"detail-type": "ECR Image Scan", "detail": {}})]
        {
            assert_eq!(parse(&nothing), None, "{nothing}");
        }
    }
}
