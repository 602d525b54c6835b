use serde_json::{Value, json};

use super::account::Account;
use super::{ROLE, event, until};

fn job(account: &Account, name: &str) -> Value {
    let input = |name: &str, uri: &str| {
        json!({"InputName": name, "S3Input": {
            "S3Uri": uri, "LocalPath": format!("/opt/ml/processing/input/{name}"), "S3DataType": "S3Prefix", "S3InputMode": "File",
        }})
    };
    json!({
        "ProcessingJobName": name,
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": account.image(), "ContainerEntrypoint": ["/usr/local/bin/model-container", "evaluate"]},
        "ProcessingInputs": [
            input("candidate", "s3://lockstep-work/artifacts/abc/"),
            input("data", "s3://lockstep-work/datasets/evaluation/held-out.jsonl"),
        ],
        "ProcessingOutputConfig": {"KmsKeyId": "key-1", "Outputs": [{"OutputName": "metrics", "S3Output": {
            "S3Uri": "s3://lockstep-work/runs/1/evaluation/", "LocalPath": "/opt/ml/processing/output/metrics", "S3UploadMode": "EndOfJob",
        }}]},
        "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30}},
        "NetworkConfig": {"EnableNetworkIsolation": true, "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}},
    })
}

async fn account() -> Account {
    let account = Account::start().await;
    account.put("lockstep-work/artifacts/abc/model.safetensors", "tuned");
    account.put("lockstep-work/datasets/evaluation/held-out.jsonl", "{\"eval_loss\": 1.0}");
    account
}

async fn ended(account: &Account, name: &str) -> Value {
    until(
        || account.call("DescribeProcessingJob", json!({"ProcessingJobName": name})),
        |job| matches!(job["ProcessingJobStatus"].as_str(), Some("Completed" | "Failed" | "Stopped")),
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_go_where_the_request_wants_them() {
    let account = account().await;
    account.call("CreateProcessingJob", job(&account, "evaluate")).await;
    let job = ended(&account, "evaluate").await;
    assert_eq!(job["ProcessingJobStatus"], "Completed", "{job:#}");
    assert_eq!(account.get("lockstep-work/runs/1/evaluation/metrics.json").unwrap(), "{\"eval_loss\": 1.0}");
    assert_eq!(account.key_of("lockstep-work/runs/1/evaluation/metrics.json").as_deref(), Some("key-1"));
    let done = event(&account, "SageMaker Processing Job State Change", |job| {
        job["ProcessingJobStatus"] == "Completed"
    })
    .await;
    assert_eq!(done["Detail"]["ProcessingJobName"], "evaluate");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exit_message_says_what_the_container_said() {
    let account = account().await;
    let mut request = job(&account, "fails");
    request["Environment"] = json!({"FAKE_MODE": "fail"});
    account.call("CreateProcessingJob", request).await;
    let job = ended(&account, "fails").await;
    assert_eq!(job["ProcessingJobStatus"], "Failed");
    assert_eq!(job["ExitMessage"], "no samples in the held-out data");
    assert!(job["FailureReason"].as_str().unwrap().ends_with("exit code: 1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_is_not_in_the_image_cannot_start() {
    let account = account().await;
    let mut request = job(&account, "no-program");
    request["AppSpecification"]["ContainerEntrypoint"] = json!(["/bin/sh", "-c", "true"]);
    account.call("CreateProcessingJob", request).await;
    let job = ended(&account, "no-program").await;
    assert!(job["FailureReason"].as_str().unwrap().contains("CannotStartContainerError. /bin/sh"), "{job:#}");
}

#[tokio::test]
async fn paths_stay_under_processing() {
    let account = account().await;
    for path in ["/opt/ml/input", "/opt/ml/processing/../model", "/tmp", "/opt/ml/processing-other"] {
        let mut request = job(&account, "paths");
        request["ProcessingInputs"][0]["S3Input"]["LocalPath"] = json!(path);
        let error = account.refusal("CreateProcessingJob", request).await;
        assert!(error.message.contains("LocalPath must be under /opt/ml/processing"), "{}", error.message);
    }
}

#[tokio::test]
async fn an_unknown_job_is_named() {
    let account = account().await;
    let error = account.refusal("DescribeProcessingJob", json!({"ProcessingJobName": "never"})).await;
    assert_eq!(error.message, "Could not find requested job with name: never");
}
