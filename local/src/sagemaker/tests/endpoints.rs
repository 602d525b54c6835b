use axum::body::to_bytes;
use axum::http::HeaderMap;
use bytes::Bytes;
use serde_json::{Value, json};

use super::account::Account;
use super::{event, until};
use crate::service::Fault;

pub(super) async fn account() -> Account {
    let account = Account::start().await;
    for (digest, weights) in [("one", "first"), ("two", "second"), ("bad", "broken")] {
        account.put(&format!("lockstep-work/artifacts/{digest}/model.safetensors"), weights);
        let source = json!({"S3Uri": format!("s3://lockstep-work/artifacts/{digest}/"), "S3DataType": "S3Prefix", "CompressionType": "None"});
        account
            .call(
                "CreateModel",
                json!({
                    "ModelName": digest,
                    "ExecutionRoleArn": "arn:aws:iam::000000000000:role/lockstep-endpoint",
                    "PrimaryContainer": {"Image": account.image(), "ModelDataSource": {"S3DataSource": source}},
                    "EnableNetworkIsolation": true,
                }),
            )
            .await;
        account.call("CreateEndpointConfig", config(digest, 1)).await;
    }
    account
}

pub(super) fn config(name: &str, instances: u64) -> Value {
    json!({
        "EndpointConfigName": name,
        "ProductionVariants": [{
            "VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": instances,
        }],
        "KmsKeyId": "key-1",
        "DataCaptureConfig": {
            "EnableCapture": true, "InitialSamplingPercentage": 100, "DestinationS3Uri": "s3://lockstep-work/capture/",
            "KmsKeyId": "key-1", "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
        },
    })
}

pub(super) async fn settled(account: &Account) -> Value {
    until(
        || account.call("DescribeEndpoint", json!({"EndpointName": "tiny-lm"})),
        |endpoint| matches!(endpoint["EndpointStatus"].as_str(), Some("InService" | "Failed")),
    )
    .await
}

pub(super) async fn create(account: &Account, config: &str) -> Value {
    account.call("CreateEndpoint", json!({"EndpointName": "tiny-lm", "EndpointConfigName": config})).await;
    settled(account).await
}

fn update(config: &str) -> Value {
    json!({
        "EndpointName": "tiny-lm",
        "EndpointConfigName": config,
        "RetainAllVariantProperties": true,
        "DeploymentConfig": {
            "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 60}},
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "lockstep-tiny-lm-5xx"}]},
        },
    })
}

pub(super) async fn ask(account: &Account, body: &'static str) -> (u16, HeaderMap, Value) {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().unwrap());
    let response =
        account.sagemaker.invoke_endpoint("tiny-lm", headers, Bytes::from_static(body.as_bytes())).await;
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status.as_u16(), parts.headers, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_serves_its_model_and_keeps_what_was_said() {
    let account = account().await;
    let endpoint = create(&account, "one").await;
    assert_eq!(endpoint["EndpointStatus"], "InService", "{endpoint:#}");
    let variant = &endpoint["ProductionVariants"][0];
    assert_eq!(variant["DeployedImages"][0]["ResolvedImage"], account.image());
    assert_eq!(variant["CurrentInstanceCount"], 1);
    event(&account, "SageMaker Endpoint State Change", |endpoint| endpoint["EndpointStatus"] == "CREATING")
        .await;
    event(&account, "SageMaker Endpoint State Change", |endpoint| endpoint["EndpointStatus"] == "IN_SERVICE")
        .await;

    let (status, headers, answer) = ask(&account, "{\"inputs\": \"x\"}").await;
    assert_eq!((status, &answer[0]["generated_text"]), (200, &json!("first")));
    assert_eq!(headers["x-amzn-invoked-production-variant"], "AllTraffic");
    let object = until(
        || async {
            json!(
                account
                    .objects()
                    .into_iter()
                    .find(|object| object.starts_with("lockstep-work/capture/tiny-lm/AllTraffic/20"))
            )
        },
        Value::is_string,
    )
    .await;
    let line: Value = serde_json::from_str(&account.get(object.as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(line["captureData"]["endpointInput"]["data"], "{\"inputs\": \"x\"}");
    assert_eq!(line["captureData"]["endpointInput"]["encoding"], "JSON");
    assert_eq!(line["captureData"]["endpointOutput"]["mode"], "OUTPUT");
    assert_eq!(line["eventVersion"], "0");
    until(|| async { json!(account.metrics().len()) }, |count| count.as_u64() >= Some(4)).await;

    account.call("DeleteEndpoint", json!({"EndpointName": "tiny-lm"})).await;
    until(
        || async {
            json!(account.try_call("DescribeEndpoint", json!({"EndpointName": "tiny-lm"})).await.is_err())
        },
        |gone| *gone == json!(true),
    )
    .await;
    let (status, headers, _) = ask(&account, "{}").await;
    assert_eq!(status, 400);
    assert_eq!(headers["x-amzn-errortype"], "ValidationError");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_container_refuses_is_a_model_error() {
    let account = account().await;
    create(&account, "one").await;
    let (status, headers, error) = ask(&account, "bad").await;
    assert_eq!(status, 424);
    assert_eq!(headers["x-amzn-errortype"], "ModelError");
    assert_eq!(error["OriginalStatusCode"], 400);
    assert_eq!(error["OriginalMessage"], "{\"error\": \"inputs is missing\"}");
    assert!(account.objects().iter().all(|object| !object.starts_with("lockstep-work/capture/")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_creation_can_only_fail() {
    let account = account().await;
    let endpoint = create(&account, "bad").await;
    assert_eq!(endpoint["EndpointStatus"], "Failed");
    assert!(
        endpoint["FailureReason"].as_str().unwrap().contains("did not pass the ping health check"),
        "{endpoint:#}"
    );
    let error = account.refusal("UpdateEndpoint", update("one")).await;
    assert!(error.message.contains("in status Failed"));
    account.call("DeleteEndpoint", json!({"EndpointName": "tiny-lm"})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_moves_the_traffic_once_the_new_fleet_is_good() {
    let account = account().await;
    create(&account, "one").await;
    account.call("UpdateEndpoint", update("two")).await;
    let error = account.refusal("UpdateEndpoint", update("one")).await;
    assert!(error.message.starts_with("Cannot update in-progress endpoint"), "{}", error.message);
    assert!(
        account
            .refusal("DeleteEndpoint", json!({"EndpointName": "tiny-lm"}))
            .await
            .message
            .contains("in-progress")
    );
    assert_eq!(ask(&account, "{}").await.2[0]["generated_text"], "first");
    let endpoint = settled(&account).await;
    assert_eq!(
        (endpoint["EndpointStatus"].as_str(), endpoint["EndpointConfigName"].as_str()),
        (Some("InService"), Some("two"))
    );
    assert!(endpoint.get("FailureReason").is_none());
    assert_eq!(ask(&account, "{}").await.2[0]["generated_text"], "second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_is_in_service_with_the_former_configuration() {
    for cause in ["fault", "alarm", "crash"] {
        let account = account().await;
        create(&account, "one").await;
        match cause {
            "fault" => account.fault(Fault::EndpointRollsBack),
            "alarm" => account.ring(),
            _ => {}
        }
        account.call("UpdateEndpoint", update(if cause == "crash" { "bad" } else { "two" })).await;
        let endpoint = settled(&account).await;
        assert_eq!(endpoint["EndpointStatus"], "InService", "{cause}");
        assert_eq!(endpoint["EndpointConfigName"], "one", "{cause}");
        let reason = endpoint["FailureReason"].as_str().unwrap();
        assert!(
            reason.contains(if cause == "crash" { "ping health check" } else { "lockstep-tiny-lm-5xx" }),
            "{reason}"
        );
        event(&account, "SageMaker Endpoint State Change", |endpoint| {
            endpoint["EndpointStatus"] == "ROLLING_BACK"
        })
        .await;
        assert_eq!(ask(&account, "{}").await.2[0]["generated_text"], "first", "{cause}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_alarms_nothing_rolls_back_by_itself() {
    let account = account().await;
    create(&account, "one").await;
    account.fault(Fault::EndpointRollsBack);
    account.call("UpdateEndpoint", json!({"EndpointName": "tiny-lm", "EndpointConfigName": "two"})).await;
    assert_eq!(settled(&account).await["EndpointConfigName"], "two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_serves_outlives_the_deletion_of_its_description() {
    let account = account().await;
    create(&account, "one").await;
    account.call("DeleteEndpointConfig", json!({"EndpointConfigName": "one"})).await;
    account.call("DeleteModel", json!({"ModelName": "one"})).await;
    assert_eq!(ask(&account, "{}").await.2[0]["generated_text"], "first");
    let error = account.refusal("DescribeModel", json!({"ModelName": "one"})).await;
    assert_eq!(error.message, "Could not find model \"arn:aws:sagemaker:us-east-1:000000000000:model/one\".");
}

#[tokio::test]
async fn configurations_are_refused_where_the_service_refuses_them() {
    let account = account().await;
    let with = |pointer: &str, value: Value| {
        let mut request = config("one", 1);
        request["EndpointConfigName"] = json!("other");
        *request.pointer_mut(pointer).unwrap() = value;
        request
    };
    for (request, expected) in [
        (
            with("/ProductionVariants/0/InstanceType", json!("ml.g5.xlarge")),
            "KmsKeyId is not supported for instance type ml.g5.xlarge",
        ),
        (with("/ProductionVariants/0/ModelName", json!("none")), "Could not find model"),
        (with("/EndpointConfigName", json!("one")), "Cannot create already existing endpoint configuration"),
        (with("/ProductionVariants/0/InstanceType", json!("ml.q1.large")), "enum value set"),
        (with("/DataCaptureConfig/InitialSamplingPercentage", json!(101)), "less than or equal to 100"),
    ] {
        let error = account.refusal("CreateEndpointConfig", request).await;
        assert!(error.message.contains(expected), "{}", error.message);
    }
    let error =
        account.refusal("CreateEndpoint", json!({"EndpointName": "e", "EndpointConfigName": "none"})).await;
    assert!(error.message.starts_with("Could not find endpoint configuration"));
    let error = account.refusal("UpdateEndpoint", update("one")).await;
    assert!(error.message.starts_with("Could not find endpoint \"arn:"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutting_down_ends_what_serves() {
    let account = account().await;
    create(&account, "one").await;
    account.sagemaker.shutdown().await;
    assert_eq!(ask(&account, "{}").await.0, 424);
}
