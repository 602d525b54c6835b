//! May the caller do this? Asked, for the services that the front answers itself, of the evaluator that judges every
//! other call: MiniStack's.

use serde_json::{Value, json};

use crate::service::{AwsError, Caller, Service};
use crate::wire::{self, Wire};

use super::route::Credential;

/// What a call needs, as AWS's service authorization reference has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Permission {
    /// Such as `sagemaker:CreateModel`.
    pub(crate) action: String,
    /// An ARN, or `*` where the action knows no resource.
    pub(crate) resource: String,
    /// Condition keys and their values.
    pub(crate) context: Value,
}

/// Operations, and of each resource that they act on the type and the member that names it.
type Named = (&'static [&'static str], &'static [(&'static str, &'static str)]);

/// Source: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html>
const SAGEMAKER: [Named; 18] = [
    (
        &["CreateTrainingJob", "DescribeTrainingJob", "StopTrainingJob"],
        &[("training-job", "TrainingJobName")],
    ),
    (
        &["CreateProcessingJob", "DescribeProcessingJob", "StopProcessingJob"],
        &[("processing-job", "ProcessingJobName")],
    ),
    (
        &["CreateModelPackageGroup", "DescribeModelPackageGroup"],
        &[("model-package-group", "ModelPackageGroupName")],
    ),
    (&["DescribeModelPackage"], &[("model-package", "ModelPackageName")]),
    (&["UpdateModelPackage"], &[("model-package", "ModelPackageArn")]),
    (
        &["CreateModelCard", "DescribeModelCard", "UpdateModelCard", "ListModelCardVersions"],
        &[("model-card", "ModelCardName")],
    ),
    (&["DescribeArtifact", "UpdateArtifact", "DeleteArtifact"], &[("artifact", "ArtifactArn")]),
    (&["CreateAction", "DescribeAction", "UpdateAction", "DeleteAction"], &[("action", "ActionName")]),
    (&["CreateContext", "DescribeContext", "UpdateContext", "DeleteContext"], &[("context", "ContextName")]),
    (&["CreateExperiment", "DescribeExperiment"], &[("experiment", "ExperimentName")]),
    (&["CreateTrial"], &[("experiment", "ExperimentName"), ("experiment-trial", "TrialName")]),
    (&["DescribeTrial"], &[("experiment-trial", "TrialName")]),
    (
        &["CreateTrialComponent", "DescribeTrialComponent", "UpdateTrialComponent"],
        &[("experiment-trial-component", "TrialComponentName")],
    ),
    (
        &["AssociateTrialComponent", "DisassociateTrialComponent"],
        &[("experiment-trial", "TrialName"), ("experiment-trial-component", "TrialComponentName")],
    ),
    (&["CreateModel", "DescribeModel", "DeleteModel"], &[("model", "ModelName")]),
    (
        &["CreateEndpointConfig", "DescribeEndpointConfig", "DeleteEndpointConfig"],
        &[("endpoint-config", "EndpointConfigName")],
    ),
    (
        &["CreateEndpoint", "UpdateEndpoint"],
        &[("endpoint", "EndpointName"), ("endpoint-config", "EndpointConfigName")],
    ),
    (
        &["DescribeEndpoint", "DeleteEndpoint", "UpdateEndpointWeightsAndCapacities"],
        &[("endpoint", "EndpointName")],
    ),
];

/// The role by which Application Auto Scaling changes variants; it is made when the first one is registered.
const SCALING_ROLE: &str = "aws-service-role/sagemaker.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint";

/// Members that hand a role to SageMaker.
const PASSED_ROLES: [(&str, &str); 3] = [
    ("CreateTrainingJob", "RoleArn"),
    ("CreateProcessingJob", "RoleArn"),
    ("CreateModel", "ExecutionRoleArn"),
];

/// The permissions that an operation needs.
pub(crate) fn permissions(
    service: Service,
    operation: &str,
    input: &Value,
    region: &str,
    account: &str,
) -> Vec<Permission> {
    let text = |member: &str| input[member].as_str().unwrap_or_default();
    let need = |action: String, resource: String| Permission { action, resource, context: json!({}) };
    let arn = |kind: &str, name: &str| {
        if name.starts_with("arn:") {
            name.to_owned()
        } else {
            format!("arn:aws:sagemaker:{region}:{account}:{kind}/{}", name.to_ascii_lowercase())
        }
    };
    match service {
        Service::Ecr => {
            let names = match input["repositoryNames"].as_array() {
                Some(names) => names.iter().filter_map(Value::as_str).collect(),
                None => vec![text("repositoryName")],
            };
            names
                .into_iter()
                .map(|name| match name {
                    "" => "*".to_owned(),
                    name => format!("arn:aws:ecr:{region}:{account}:repository/{name}"),
                })
                .map(|resource| need(format!("ecr:{operation}"), resource))
                .collect()
        }
        Service::AutoScaling => {
            let resource = if operation.starts_with("Describe") {
                "*".to_owned()
            } else {
                format!("arn:aws:application-autoscaling:{region}:{account}:scalable-target/*")
            };
            let action = Permission {
                action: format!("application-autoscaling:{operation}"),
                resource,
                context: json!({"application-autoscaling:service-namespace": text("ServiceNamespace")}),
            };
            // What SageMaker's prerequisites ask of whoever configures scaling.
            // <https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html>
            let scaled = text("ResourceId");
            let endpoint = arn("endpoint", scaled.split('/').nth(1).unwrap_or_default());
            let alarms =
                || format!("arn:aws:cloudwatch:{region}:{account}:alarm:TargetTracking-{scaled}-Alarm");
            let mut needed = vec![action];
            match operation {
                "RegisterScalableTarget" => {
                    for action in ["DescribeEndpoint", "UpdateEndpointWeightsAndCapacities"] {
                        needed.push(need(format!("sagemaker:{action}"), endpoint.clone()));
                    }
                    needed.push(Permission {
                        action: "iam:CreateServiceLinkedRole".to_owned(),
                        resource: format!("arn:aws:iam::{account}:role/{SCALING_ROLE}"),
                        context: json!({"iam:AWSServiceName": "sagemaker.application-autoscaling.amazonaws.com"}),
                    });
                }
                "PutScalingPolicy" => {
                    for action in ["DescribeAlarms", "PutMetricAlarm"] {
                        needed.push(need(format!("cloudwatch:{action}"), alarms()));
                    }
                }
                "DeregisterScalableTarget" | "DeleteScalingPolicy" => {
                    needed.push(need("cloudwatch:DeleteAlarms".to_owned(), alarms()));
                }
                _ => {}
            }
            needed
        }
        Service::SageMakerMetrics => {
            let resource = arn("experiment-trial-component", text("TrialComponentName"));
            vec![need(format!("sagemaker:{operation}"), resource)]
        }
        Service::SageMaker => {
            let resources: Vec<String> = match operation {
                // A package has no version yet, and a listing names none.
                "CreateModelPackage" => {
                    let group = text("ModelPackageGroupName");
                    vec![arn("model-package", &format!("{group}/*")), arn("model-package-group", group)]
                }
                "ListModelPackages" => {
                    vec![arn("model-package", &format!("{}/*", text("ModelPackageGroupName")))]
                }
                "CreateArtifact" => vec![arn("artifact", "*")],
                "AddAssociation" | "DeleteAssociation" => {
                    vec![text("SourceArn").to_owned(), text("DestinationArn").to_owned()]
                }
                "AddTags" | "DeleteTags" | "ListTags" => vec![text("ResourceArn").to_owned()],
                _ => SAGEMAKER.iter().find(|(operations, _)| operations.contains(&operation)).map_or_else(
                    || vec!["*".to_owned()],
                    |(_, named)| named.iter().map(|(kind, member)| arn(kind, text(member))).collect(),
                ),
            };
            let tags = operation.starts_with("Create")
                && input["Tags"].as_array().is_some_and(|tags| !tags.is_empty());
            let tagged = tags.then(|| resources.first().cloned()).flatten();
            let passed = PASSED_ROLES.iter().find(|(passing, _)| *passing == operation);
            resources
                .into_iter()
                .map(|resource| need(format!("sagemaker:{operation}"), resource))
                .chain(tagged.map(|resource| need("sagemaker:AddTags".to_owned(), resource)))
                .chain(passed.map(|(_, member)| Permission {
                    action: "iam:PassRole".to_owned(),
                    resource: text(member).to_owned(),
                    context: json!({ "iam:PassedToService": "sagemaker.amazonaws.com" }),
                }))
                .collect()
        }
    }
}

/// The permission that it takes to delete an endpoint that is scaled: SageMaker takes it off autoscaling for its caller.
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-delete-with-scaling.html>
pub(crate) fn deregistration(region: &str, account: &str) -> Permission {
    Permission {
        action: "application-autoscaling:DeregisterScalableTarget".to_owned(),
        resource: format!("arn:aws:application-autoscaling:{region}:{account}:scalable-target/*"),
        context: json!({"application-autoscaling:service-namespace": "sagemaker"}),
    }
}

/// The permission that SageMaker Runtime's InvokeEndpoint needs.
pub(crate) fn invocation(endpoint: &str, region: &str, account: &str) -> Permission {
    Permission {
        action: "sagemaker:InvokeEndpoint".to_owned(),
        resource: format!("arn:aws:sagemaker:{region}:{account}:endpoint/{}", endpoint.to_ascii_lowercase()),
        context: json!({}),
    }
}

/// Asks, where policies are enforced.
#[derive(Debug)]
pub(crate) struct Authorizer {
    /// As whom MiniStack is asked; nobody, where whatever a caller asks is allowed.
    account: Option<Wire>,
    account_id: String,
}

impl Authorizer {
    pub(crate) fn new(account: Option<Wire>, account_id: &str) -> Self {
        Self { account, account_id: account_id.to_owned() }
    }

    /// Refuses unless the caller may do all that the operation needs; `on_scaled` says that it is about an endpoint that
    /// is registered for autoscaling.
    pub(crate) async fn operation(
        &self,
        credential: &Credential,
        caller: &Caller,
        (service, operation): (Service, &str),
        input: &Value,
        on_scaled: bool,
    ) -> Result<(), AwsError> {
        let mut needed = permissions(service, operation, input, &credential.region, &self.account_id);
        if on_scaled && operation == "DeleteEndpoint" {
            needed.push(deregistration(&credential.region, &self.account_id));
        }
        self.all(credential, caller, &needed).await
    }

    /// Refuses unless the caller may invoke the endpoint.
    pub(crate) async fn invocation(
        &self,
        credential: &Credential,
        caller: &Caller,
        endpoint: &str,
    ) -> Result<(), AwsError> {
        let needed = invocation(endpoint, &credential.region, &self.account_id);
        self.all(credential, caller, &[needed]).await
    }

    async fn all(
        &self,
        credential: &Credential,
        caller: &Caller,
        needed: &[Permission],
    ) -> Result<(), AwsError> {
        let Some(account) = &self.account else { return Ok(()) };
        if credential.access_key_id.is_empty() {
            return Err(AwsError {
                status: 403,
                code: "MissingAuthenticationTokenException".into(),
                message: "Missing Authentication Token".into(),
            });
        }
        if caller.arn.ends_with(":root") {
            return Ok(());
        }
        for permission in needed {
            let context = permission.context.to_string();
            let parameters = [
                ("AccessKeyId", credential.access_key_id.as_str()),
                ("Region", &credential.region),
                ("ForAction", &permission.action),
                ("Resource", &permission.resource),
                ("Context", &context),
            ];
            let answer = account
                .query("iam", "2010-05-08", "LockstepAuthorize", &parameters)
                .await
                .map_err(|problem| AwsError::internal(format!("nobody judged the call: {problem}")))?;
            // An answer without a verdict is no permission.
            let element = |name| wire::element(&answer, name, "LockstepAuthorize");
            match element("Code") {
                Ok(code) if code.is_empty() => {}
                Ok(code) => return Err(AwsError::client(code, element("Message").unwrap_or_default())),
                Err(problem) => return Err(AwsError::internal(problem.to_string())),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed(service: Service, operation: &str, input: Value) -> Vec<String> {
        permissions(service, operation, &input, "us-east-1", "000000000000")
            .into_iter()
            .map(|permission| format!("{} {}", permission.action, permission.resource))
            .collect()
    }

    #[test]
    fn starting_a_job_needs_the_job_its_tags_and_the_role() {
        let input = json!({
            "TrainingJobName": "Lockstep-1",
            "RoleArn": "arn:aws:iam::000000000000:role/lockstep-job",
            "Tags": [{ "Key": "run", "Value": "1" }],
        });
        assert_eq!(
            needed(Service::SageMaker, "CreateTrainingJob", input),
            [
                "sagemaker:CreateTrainingJob arn:aws:sagemaker:us-east-1:000000000000:training-job/lockstep-1",
                "sagemaker:AddTags arn:aws:sagemaker:us-east-1:000000000000:training-job/lockstep-1",
                "iam:PassRole arn:aws:iam::000000000000:role/lockstep-job",
            ]
        );
    }

    #[test]
    fn an_operation_on_two_resources_needs_both() {
        let input = json!({ "EndpointName": "tiny-lm", "EndpointConfigName": "lockstep-1" });
        assert_eq!(
            needed(Service::SageMaker, "UpdateEndpoint", input),
            [
                "sagemaker:UpdateEndpoint arn:aws:sagemaker:us-east-1:000000000000:endpoint/tiny-lm",
                "sagemaker:UpdateEndpoint arn:aws:sagemaker:us-east-1:000000000000:endpoint-config/lockstep-1",
            ]
        );
    }

    #[test]
    fn what_is_listed_or_unknown_is_asked_for_on_everything() {
        assert_eq!(needed(Service::SageMaker, "ListArtifacts", json!({})), ["sagemaker:ListArtifacts *"]);
        assert_eq!(needed(Service::SageMaker, "NewThing", json!({})), ["sagemaker:NewThing *"]);
    }

    #[test]
    fn a_scan_is_of_one_repository() {
        assert_eq!(
            needed(Service::Ecr, "StartImageScan", json!({ "repositoryName": "lockstep/model-container" })),
            ["ecr:StartImageScan arn:aws:ecr:us-east-1:000000000000:repository/lockstep/model-container"]
        );
    }
}
