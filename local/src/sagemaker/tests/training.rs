use std::time::Duration;

use serde_json::{Value, json};

use super::account::{Account, DIGEST, INDEX};
use super::{ROLE, event, until};
use crate::service::Fault;

fn job(account: &Account, name: &str) -> Value {
    json!({
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": account.image(), "TrainingInputMode": "File"},
        "HyperParameters": {"epochs": "3"},
        "InputDataConfig": [
            channel("model", "s3://lockstep-work/models/abc/"),
            channel("training", "s3://lockstep-work/datasets/training/tiny.jsonl"),
        ],
        "OutputDataConfig": {"S3OutputPath": "s3://lockstep-work/runs/1/training/", "KmsKeyId": "key-1", "CompressionType": "NONE"},
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30, "VolumeKmsKeyId": "key-1"},
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    })
}

fn channel(name: &str, uri: &str) -> Value {
    json!({"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}})
}

async fn account() -> Account {
    let account = Account::start().await;
    account.put("lockstep-work/models/abc/config.json", "{}");
    account.put("lockstep-work/models/abc/vocabulary/words.txt", "a b c");
    account.put("lockstep-work/models/abc/model.safetensors", "base");
    account.put("lockstep-work/datasets/training/tiny.jsonl", "{\"text\": \"hello\"}");
    account
}

async fn ended(account: &Account, name: &str) -> Value {
    until(
        || account.call("DescribeTrainingJob", json!({"TrainingJobName": name})),
        |job| matches!(job["TrainingJobStatus"].as_str(), Some("Completed" | "Failed" | "Stopped")),
    )
    .await
}

async fn running(account: &Account, name: &str) {
    let file = account.path().join("jobs").join(name).join("ml/model/partial.bin");
    until(|| async { json!(file.exists()) }, |there| *there == json!(true)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_reads_its_channels_and_leaves_its_model_under_its_name() {
    let account = account().await;
    let arn =
        account.call("CreateTrainingJob", job(&account, "lockstep-1-train")).await["TrainingJobArn"].clone();
    assert_eq!(arn, "arn:aws:sagemaker:us-east-1:000000000000:training-job/lockstep-1-train");
    let job = ended(&account, "lockstep-1-train").await;
    assert_eq!(job["TrainingJobStatus"], "Completed", "{job:#}");
    let model = "lockstep-work/runs/1/training/lockstep-1-train/output/model";
    assert_eq!(job["ModelArtifacts"]["S3ModelArtifacts"], format!("s3://{model}/"));
    assert_eq!(account.get(&format!("{model}/deep/model.safetensors")).unwrap(), "{\"text\": \"hello\"}");
    assert_eq!(account.get(&format!("{model}/words.txt")).unwrap(), "a b c");
    let parameters: Value =
        serde_json::from_str(&account.get(&format!("{model}/config.json")).unwrap()).unwrap();
    assert_eq!(parameters, json!({"epochs": "3"}));
    assert_eq!(account.key_of(&format!("{model}/words.txt")).as_deref(), Some("key-1"));
    let statuses: Vec<&str> = job["SecondaryStatusTransitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|transition| transition["Status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["Starting", "Downloading", "Training", "Uploading", "Completed"]);

    let done =
        event(&account, "SageMaker Training Job State Change", |job| job["TrainingJobStatus"] == "Completed")
            .await;
    assert_eq!(done["Source"], "aws.sagemaker");
    assert_eq!(done["Resources"], json!([arn]));
    assert!(done["Detail"]["TrainingEndTime"].as_i64().unwrap() > 1_000_000_000_000);
    let order: Vec<String> = account
        .events()
        .iter()
        .map(|event| event["Detail"]["SecondaryStatus"].as_str().unwrap().into())
        .collect();
    assert_eq!(order, ["Starting", "Downloading", "Training", "Uploading", "Completed"]);
    until(
        || async { json!(account.log_lines()) },
        |lines| lines.to_string().contains("training as lockstep-1-train"),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_container_says_of_its_failure_is_the_reason() {
    let account = account().await;
    let mut request = job(&account, "fails");
    request["Environment"] = json!({"FAKE_MODE": "fail"});
    account.call("CreateTrainingJob", request).await;
    let job = ended(&account, "fails").await;
    assert_eq!(job["TrainingJobStatus"], "Failed");
    assert_eq!(job["SecondaryStatus"], "Failed");
    assert_eq!(job["FailureReason"], "AlgorithmError: learning_rate 'x' is not a number, exit code: 1");
    assert!(account.objects().iter().all(|object| !object.contains("/output/")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_without_objects_fails_the_job() {
    let account = account().await;
    let mut request = job(&account, "no-data");
    request["InputDataConfig"][0] = channel("model", "s3://lockstep-work/models/none/");
    account.call("CreateTrainingJob", request).await;
    let job = ended(&account, "no-data").await;
    assert!(
        job["FailureReason"]
            .as_str()
            .unwrap()
            .starts_with("ClientError: Data download failed: No S3 objects found")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_job_ends_its_process_and_keeps_what_was_saved() {
    let account = account().await;
    let mut request = job(&account, "stopped");
    request["Environment"] = json!({"FAKE_MODE": "endless"});
    account.call("CreateTrainingJob", request).await;
    running(&account, "stopped").await;
    account.call("StopTrainingJob", json!({"TrainingJobName": "stopped"})).await;
    let job = ended(&account, "stopped").await;
    assert_eq!(
        (job["TrainingJobStatus"].as_str(), job["SecondaryStatus"].as_str()),
        (Some("Stopped"), Some("Stopped"))
    );
    assert!(account.get("lockstep-work/runs/1/training/stopped/output/model/partial.bin").is_some());
    event(&account, "SageMaker Training Job State Change", |job| job["TrainingJobStatus"] == "Stopping")
        .await;
    let error = account.refusal("StopTrainingJob", json!({"TrainingJobName": "stopped"})).await;
    assert!(error.message.contains("in status Stopped"), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_runs_too_long_is_stopped() {
    let account = account().await;
    let mut request = job(&account, "slow");
    request["Environment"] = json!({"FAKE_MODE": "endless"});
    request["StoppingCondition"]["MaxRuntimeInSeconds"] = json!(1);
    account.call("CreateTrainingJob", request).await;
    let job = ended(&account, "slow").await;
    assert_eq!(job["TrainingJobStatus"], "Stopped");
    assert_eq!(job["SecondaryStatus"], "MaxRuntimeExceeded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_isolated_job_sees_no_network_where_the_system_allows_it() {
    let account = account().await;
    let mut request = job(&account, "isolated");
    request["EnableNetworkIsolation"] = json!(true);
    request["Environment"] = json!({"FAKE_MODE": "network"});
    account.call("CreateTrainingJob", request).await;
    let job = ended(&account, "isolated").await;
    assert_eq!(job["TrainingJobStatus"], "Completed", "{job:#}");
    let log = std::fs::read_to_string(account.path().join("jobs/isolated/container.log")).unwrap();
    if log.contains("namespace of its own") {
        let interfaces =
            account.get("lockstep-work/runs/1/training/isolated/output/model/interfaces").unwrap();
        let names: Vec<&str> =
            interfaces.lines().skip(2).filter_map(|line| line.split(':').next()).map(str::trim).collect();
        assert!(
            names.iter().all(|name| matches!(*name, "lo" | "sit0" | "tunl0" | "ip6tnl0" | "gre0")),
            "{interfaces}"
        );
    } else {
        assert!(log.contains("network isolation is not available"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_model_is_one_archive() {
    let account = account().await;
    let mut request = job(&account, "packed");
    request["OutputDataConfig"] = json!({"S3OutputPath": "s3://lockstep-work/runs/2"});
    account.call("CreateTrainingJob", request).await;
    let job = ended(&account, "packed").await;
    assert_eq!(
        job["ModelArtifacts"]["S3ModelArtifacts"], "s3://lockstep-work/runs/2/packed/output/model.tar.gz",
        "{job:#}"
    );
    assert!(account.get("lockstep-work/runs/2/packed/output/model.tar.gz").is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_used_once() {
    let account = account().await;
    account.call("CreateTrainingJob", job(&account, "once")).await;
    let error = account.refusal("CreateTrainingJob", job(&account, "once")).await;
    assert_eq!(error.code, "ResourceInUse");
    assert!(error.message.ends_with("(arn:aws:sagemaker:us-east-1:000000000000:training-job/once)"));
    let error = account.refusal("DescribeTrainingJob", json!({"TrainingJobName": "never"})).await;
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        ("ValidationException", "Requested resource not found.")
    );
}

#[tokio::test]
async fn contradictions_are_refused_before_anything_starts() {
    let account = account().await;
    let registry = "000000000000.dkr.ecr.us-east-1.amazonaws.com";
    let cases: Vec<(&str, Value, &str)> = vec![
        (
            "/ResourceConfig/InstanceType",
            json!("ml.g5.xlarge"),
            "VolumeKmsKeyId is not supported for instance type ml.g5.xlarge",
        ),
        ("/StoppingCondition/MaxWaitTimeInSeconds", json!(7200), "only if EnableManagedSpotTraining"),
        ("/EnableManagedSpotTraining", json!(true), "Invalid MaxWaitTimeInSeconds"),
        ("/VpcConfig/Subnets", json!([]), "at 'vpcConfig.subnets'"),
        (
            "/AlgorithmSpecification/TrainingImage",
            json!(format!("{registry}/lockstep/model-container@{INDEX}")),
            "Unsupported manifest media type",
        ),
        (
            "/AlgorithmSpecification/TrainingImage",
            json!(format!("{registry}/lockstep/model-container@sha256:33")),
            "Cannot find Image",
        ),
        (
            "/AlgorithmSpecification/TrainingImage",
            json!(format!("{registry}/other@{DIGEST}")),
            "Cannot find repository: other",
        ),
        ("/AlgorithmSpecification/TrainingImage", json!("busybox"), "Using non-ECR image"),
        ("/TrainingJobName", json!("a_b"), "at 'trainingJobName' failed to satisfy constraint"),
        ("/RoleArn", json!("job"), "at 'roleArn'"),
        ("/ResourceConfig/InstanceCount", json!(0), "InstanceCount must be at least 1"),
        ("/InputDataConfig/1/ChannelName", json!("model"), "used more than once"),
        ("/OutputDataConfig/S3OutputPath", json!("https://lockstep-work/x"), "is not an S3 URI"),
    ];
    for (member, value, expected) in cases {
        let mut request = job(&account, "refused");
        match request.pointer_mut(member) {
            Some(place) => *place = value,
            None => {
                let (parent, name) = member.rsplit_once('/').unwrap();
                let parent =
                    if parent.is_empty() { &mut request } else { request.pointer_mut(parent).unwrap() };
                parent[name] = value;
            }
        }
        let error = account.refusal("CreateTrainingJob", request).await;
        assert_eq!(error.code, "ValidationException");
        assert!(error.message.contains(expected), "{member}: {}", error.message);
    }
    assert_eq!(account.call("ListTrainingJobs", json!({})).await["TrainingJobSummaries"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spot_needs_a_wait_that_covers_the_run() {
    let account = account().await;
    let mut request = job(&account, "spot");
    request["EnableManagedSpotTraining"] = json!(true);
    request["StoppingCondition"]["MaxWaitTimeInSeconds"] = json!(3599);
    assert!(
        account
            .refusal("CreateTrainingJob", request.clone())
            .await
            .message
            .starts_with("Invalid MaxWaitTimeInSeconds")
    );
    request["StoppingCondition"]["MaxWaitTimeInSeconds"] = json!(3600);
    account.call("CreateTrainingJob", request).await;
    assert_eq!(ended(&account, "spot").await["TrainingJobStatus"], "Completed");
}

fn spot(account: &Account, name: &str, wait: u32) -> Value {
    let mut request = job(account, name);
    request["EnableManagedSpotTraining"] = json!(true);
    request["StoppingCondition"] = json!({"MaxRuntimeInSeconds": wait, "MaxWaitTimeInSeconds": wait});
    request["CheckpointConfig"] = json!({"S3Uri": "s3://lockstep-work/checkpoints/1/"});
    request["Environment"] = json!({"FAKE_MODE": "spot"});
    request
}

fn statuses(job: &Value) -> Vec<&str> {
    let transitions = job["SecondaryStatusTransitions"].as_array().unwrap();
    transitions.iter().map(|transition| transition["Status"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spot_job_that_is_interrupted_starts_again_on_an_empty_disk_with_its_checkpoints() {
    let account = account().await;
    account.fault(Fault::SpotInterrupted);
    account.call("CreateTrainingJob", spot(&account, "interrupted", 600)).await;
    let job = ended(&account, "interrupted").await;
    assert_eq!(job["TrainingJobStatus"], "Completed", "{job:#}");
    assert_eq!(
        statuses(&job),
        [
            "Starting",
            "Downloading",
            "Training",
            "Interrupted",
            "Starting",
            "Downloading",
            "Training",
            "Uploading",
            "Completed"
        ]
    );
    assert_eq!(account.get("lockstep-work/checkpoints/1/step").unwrap(), "7");
    let model = "lockstep-work/runs/1/training/interrupted/output/model";
    assert_eq!(account.get(&format!("{model}/step")).unwrap(), "7");
    assert!(job["BillableTimeInSeconds"].as_i64() <= job["TrainingTimeInSeconds"].as_i64());
    event(&account, "SageMaker Training Job State Change", |job| job["SecondaryStatus"] == "Interrupted")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spot_job_without_capacity_ends_when_its_wait_is_over() {
    let account = account().await;
    account.fault(Fault::SpotNeverReturns);
    account.call("CreateTrainingJob", spot(&account, "waits", 3)).await;
    let job = ended(&account, "waits").await;
    assert_eq!(
        (job["TrainingJobStatus"].as_str(), job["SecondaryStatus"].as_str()),
        (Some("Stopped"), Some("MaxWaitTimeExceeded")),
        "{job:#}"
    );
    assert_eq!(account.get("lockstep-work/checkpoints/1/step").unwrap(), "7");
    assert!(job["BillableTimeInSeconds"].as_i64() < job["TrainingTimeInSeconds"].as_i64(), "{job:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutting_down_leaves_no_process() {
    let account = account().await;
    let mut request = job(&account, "left");
    request["Environment"] = json!({"FAKE_MODE": "endless"});
    request["EnableNetworkIsolation"] = json!(true);
    account.call("CreateTrainingJob", request).await;
    running(&account, "left").await;
    let tree = account.path().join("jobs/left/ml").to_string_lossy().into_owned();
    let before = account.call("DescribeTrainingJob", json!({"TrainingJobName": "left"})).await;
    assert_eq!(processes_in(&tree).len(), 1, "{before:#}");
    account.sagemaker.shutdown().await;
    assert_eq!(processes_in(&tree), Vec::<String>::new());
    account.call("CreateTrainingJob", job(&account, "too-late")).await;
    let late = ended(&account, "too-late").await;
    assert!(late["FailureReason"].as_str().unwrap().contains("shutting down"), "{late:#}");
}

/// Processes that work in a folder, from the kernel's list.
fn processes_in(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        if let Ok(place) = std::fs::read_link(entry.path().join("cwd"))
            && place.to_string_lossy() == folder
        {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_follow_their_filters() {
    let account = account().await;
    for name in ["a-train", "b-train", "c-other"] {
        account.call("CreateTrainingJob", job(&account, name)).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        ended(&account, name).await;
    }
    let answer = account
        .call("ListTrainingJobs", json!({"NameContains": "train", "StatusEquals": "Completed", "SortOrder": "Descending", "MaxResults": 1}))
        .await;
    assert_eq!(answer["TrainingJobSummaries"][0]["TrainingJobName"], "b-train");
    let next = account
        .call("ListTrainingJobs", json!({"NameContains": "train", "SortOrder": "Descending", "MaxResults": 1, "NextToken": answer["NextToken"]}))
        .await;
    assert_eq!(next["TrainingJobSummaries"][0]["TrainingJobName"], "a-train");
    assert!(next.get("NextToken").is_none());
}
