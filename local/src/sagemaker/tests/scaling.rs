use serde_json::{Value, json};

use super::account::Account;
use super::{caller, until};
use crate::service::{AwsError, Service};

const RESOURCE: &str = "endpoint/tiny-lm/variant/AllTraffic";

async fn call(account: &Account, action: &str, body: Value) -> Result<Value, AwsError> {
    account.sagemaker.call(caller("operator"), Service::AutoScaling, action, body).await
}

fn target() -> Value {
    json!({
        "ServiceNamespace": "sagemaker",
        "ResourceId": RESOURCE,
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variant_is_registered_described_and_forgotten() {
    let account = Account::start().await;
    let mut register = target();
    register["MinCapacity"] = json!(1);
    register["MaxCapacity"] = json!(2);
    let error = call(&account, "RegisterScalableTarget", register.clone()).await.unwrap_err();
    assert!(error.message.contains("resource doesn't exist"), "{}", error.message);

    account.put("lockstep-work/artifacts/one/model.safetensors", "first");
    let source = json!({"S3Uri": "s3://lockstep-work/artifacts/one/", "S3DataType": "S3Prefix", "CompressionType": "None"});
    let container = json!({"Image": account.image(), "ModelDataSource": {"S3DataSource": source}});
    let role = "arn:aws:iam::000000000000:role/lockstep-endpoint";
    account
        .call(
            "CreateModel",
            json!({"ModelName": "one", "ExecutionRoleArn": role, "PrimaryContainer": container}),
        )
        .await;
    let variant = json!({"VariantName": "AllTraffic", "ModelName": "one", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1});
    account
        .call("CreateEndpointConfig", json!({"EndpointConfigName": "one", "ProductionVariants": [variant]}))
        .await;
    account.call("CreateEndpoint", json!({"EndpointName": "tiny-lm", "EndpointConfigName": "one"})).await;
    until(
        || account.call("DescribeEndpoint", json!({"EndpointName": "tiny-lm"})),
        |endpoint| endpoint["EndpointStatus"] == "InService",
    )
    .await;

    let mut policy = target();
    policy["PolicyName"] = json!("requests");
    policy["PolicyType"] = json!("TargetTrackingScaling");
    policy["TargetTrackingScalingPolicyConfiguration"] = json!({"TargetValue": 70.0});
    assert_eq!(
        call(&account, "PutScalingPolicy", policy.clone()).await.unwrap_err().code,
        "ObjectNotFoundException"
    );
    let registered = call(&account, "RegisterScalableTarget", register.clone()).await.unwrap();
    let again = call(&account, "RegisterScalableTarget", register).await.unwrap();
    assert_eq!(registered, again);
    let first = call(&account, "PutScalingPolicy", policy.clone()).await.unwrap();
    assert_eq!(call(&account, "PutScalingPolicy", policy).await.unwrap(), first);
    let named = json!({"ServiceNamespace": "sagemaker", "ResourceIds": [RESOURCE]});
    let targets = call(&account, "DescribeScalableTargets", named.clone()).await.unwrap();
    assert_eq!(targets["ScalableTargets"][0]["MaxCapacity"], 2);
    let policies =
        call(&account, "DescribeScalingPolicies", json!({"ServiceNamespace": "sagemaker"})).await.unwrap();
    assert_eq!(policies["ScalingPolicies"][0]["PolicyARN"], first["PolicyARN"]);
    call(&account, "DeregisterScalableTarget", target()).await.unwrap();
    assert_eq!(call(&account, "DescribeScalableTargets", named).await.unwrap()["ScalableTargets"], json!([]));
    let policies =
        call(&account, "DescribeScalingPolicies", json!({"ServiceNamespace": "sagemaker"})).await.unwrap();
    assert_eq!(policies["ScalingPolicies"], json!([]));

    // What is scaled keeps its instance type, and is forgotten with its endpoint.
    let mut register = target();
    register["MinCapacity"] = json!(1);
    register["MaxCapacity"] = json!(2);
    call(&account, "RegisterScalableTarget", register).await.unwrap();
    let variant = json!({"VariantName": "AllTraffic", "ModelName": "one", "InstanceType": "ml.m5.xlarge", "InitialInstanceCount": 1});
    account
        .call("CreateEndpointConfig", json!({"EndpointConfigName": "two", "ProductionVariants": [variant]}))
        .await;
    let update = json!({"EndpointName": "tiny-lm", "EndpointConfigName": "two"});
    let refused =
        account.sagemaker.call(caller("operator"), Service::SageMaker, "UpdateEndpoint", update).await;
    assert!(refused.unwrap_err().message.contains("deregister it"));
    account.call("DeleteEndpoint", json!({"EndpointName": "tiny-lm"})).await;
    let targets =
        call(&account, "DescribeScalableTargets", json!({"ServiceNamespace": "sagemaker"})).await.unwrap();
    assert_eq!(targets["ScalableTargets"], json!([]));
}
