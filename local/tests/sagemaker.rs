//! SageMaker over MiniStack: the objects, the events, the logs and the metrics arrive where AWS would put them.
#![allow(clippy::unwrap_used, reason = "a test helper that cannot go on says so by panicking")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use local::ministack::{MiniStack, Settings};
use local::python::{Environment, MINISTACK};
use local::sagemaker::SageMaker;
use local::service::{Caller, Config, ImageStore, Service};
use local::wire::Wire;
use local::{ACCOUNT_ID, Faults, REGION, Silent};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Copies what it was given to its model: enough to see every byte go round.
const PROGRAM: &str = "#!/bin/sh
echo copying for $TRAINING_JOB_NAME
cp \"$SM_ML_ROOT\"/input/data/model/* \"$SM_ML_ROOT\"/input/data/training/* \"$SM_ML_ROOT\"/model/
";

struct Account {
    sagemaker: SageMaker,
    wire: Wire,
    http: reqwest::Client,
    url: String,
    digest: String,
    _ministack: MiniStack,
    _folder: TempDir,
}

async fn start() -> Account {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let python = Environment::prepare(&root.join(".lockstep"), MINISTACK, &Silent).await.unwrap().python();
    let folder = tempfile::tempdir().unwrap();
    let ministack = MiniStack::start(Settings {
        python: &python,
        state_dir: folder.path(),
        endpoint: "http://127.0.0.1:1",
        region: REGION,
        account_id: ACCOUNT_ID,
        enforce_policies: true,
        rehearsal: None,
    })
    .await
    .unwrap();
    let url = ministack.url().to_owned();
    let wire = Wire::new(&url, REGION, ACCOUNT_ID);

    let ecr = async |action: &str, body: Value| {
        wire.json("ecr", &format!("AmazonEC2ContainerRegistry_V20150921.{action}"), &body).await.unwrap()
    };
    let scanning = json!({"scanOnPush": true});
    ecr(
        "CreateRepository",
        json!({"repositoryName": "lockstep/model-container", "imageScanningConfiguration": scanning}),
    )
    .await;
    let manifest =
        json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": []});
    let pushed = ecr(
        "PutImage",
        json!({
            "repositoryName": "lockstep/model-container",
            "imageManifest": manifest.to_string(),
            "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
            "imageTag": "1.0",
        }),
    )
    .await;
    let digest = pushed["image"]["imageId"]["imageDigest"].as_str().unwrap().to_owned();

    let program = folder.path().join("model-container");
    std::fs::write(&program, PROGRAM).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let images = ImageStore::default();
    images.insert(digest.clone(), program);
    let sagemaker = SageMaker::new(Config {
        backend: url.clone(),
        state_dir: folder.path().to_owned(),
        region: REGION.into(),
        account_id: ACCOUNT_ID.into(),
        images,
        faults: Faults::default(),
        minute: Duration::from_secs(2),
    })
    .unwrap();
    Account {
        sagemaker,
        wire,
        http: reqwest::Client::new(),
        url,
        digest,
        _ministack: ministack,
        _folder: folder,
    }
}

impl Account {
    async fn s3(&self, method: reqwest::Method, path: &str, body: &str) -> (u16, String) {
        let answer = self
            .http
            .request(method, format!("{}/{path}", self.url))
            .header("authorization", format!("AWS4-HMAC-SHA256 Credential={ACCOUNT_ID}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=root"))
            .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn put(&self, path: &str, body: &str) {
        let (status, text) = self.s3(reqwest::Method::PUT, path, body).await;
        assert_eq!(status, 200, "{path}: {text}");
    }

    async fn call(&self, service: Service, action: &str, body: Value) -> Value {
        let caller = Caller {
            access_key_id: "AKIA".into(),
            principal_id: "AIDA".into(),
            arn: format!("arn:aws:iam::{ACCOUNT_ID}:user/tester"),
            name: "tester".into(),
        };
        self.sagemaker
            .call(caller, service, action, body)
            .await
            .unwrap_or_else(|error| panic!("{action}: {error}"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_training_job_goes_round_through_the_account() {
    let account = start().await;
    let key = account.wire.json("kms", "TrentService.CreateKey", &json!({})).await.unwrap();
    let key = key["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    account.put("lockstep-work", "").await;
    for n in 0..1005 {
        // More than one page of a listing, with names that need escaping.
        account.put(&format!("lockstep-work/models/abc/part%20{n:04}&.txt"), "x").await;
    }
    account.put("lockstep-work/datasets/training/tiny.jsonl", "{\"text\": \"hello\"}").await;

    let queue =
        account.wire.json("sqs", "AmazonSQS.CreateQueue", &json!({"QueueName": "events"})).await.unwrap();
    let queue_url = queue["QueueUrl"].as_str().unwrap().to_owned();
    let pattern = json!({"source": ["aws.sagemaker", "aws.ecr"]}).to_string();
    account
        .wire
        .json("events", "AWSEvents.PutRule", &json!({"Name": "all", "EventPattern": pattern}))
        .await
        .unwrap();
    let target = json!({"Id": "q", "Arn": format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:events")});
    account
        .wire
        .json("events", "AWSEvents.PutTargets", &json!({"Rule": "all", "Targets": [target]}))
        .await
        .unwrap();

    let image =
        format!("{ACCOUNT_ID}.dkr.ecr.{REGION}.amazonaws.com/lockstep/model-container@{}", account.digest);
    let channel = |name: &str, uri: &str| json!({"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}});
    account
        .call(
            Service::SageMaker,
            "CreateTrainingJob",
            json!({
                "TrainingJobName": "round",
                "RoleArn": format!("arn:aws:iam::{ACCOUNT_ID}:role/lockstep-job"),
                "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
                "InputDataConfig": [channel("model", "s3://lockstep-work/models/abc/"), channel("training", "s3://lockstep-work/datasets/training/tiny.jsonl")],
                "OutputDataConfig": {"S3OutputPath": "s3://lockstep-work/runs/1/", "KmsKeyId": key, "CompressionType": "NONE"},
                "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
                "StoppingCondition": {"MaxRuntimeInSeconds": 60},
                "EnableNetworkIsolation": true,
            }),
        )
        .await;
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let job = account
            .call(Service::SageMaker, "DescribeTrainingJob", json!({"TrainingJobName": "round"}))
            .await;
        if job["TrainingJobStatus"] == "Completed" {
            break;
        }
        assert!(job["TrainingJobStatus"] == "InProgress" && Instant::now() < deadline, "{job:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for file in ["tiny.jsonl", "part%200000&.txt", "part%201004&.txt"] {
        let (status, text) = account
            .s3(reqwest::Method::GET, &format!("lockstep-work/runs/1/round/output/model/{file}"), "")
            .await;
        assert_eq!(status, 200, "{file}: {text}");
    }

    let scanned = json!({"repositoryName": "lockstep/model-container", "imageId": {"imageTag": "1.0"}});
    account.call(Service::Ecr, "DescribeImageScanFindings", scanned).await;
    let mut seen = Vec::new();
    while !(seen.iter().any(|event: &Value| event["detail"]["TrainingJobStatus"] == "Completed")
        && seen.iter().any(|event: &Value| event["detail-type"] == "ECR Image Scan"))
    {
        assert!(Instant::now() < deadline, "{seen:#?}");
        let wait = json!({"QueueUrl": queue_url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1});
        let messages = account.wire.json("sqs", "AmazonSQS.ReceiveMessage", &wait).await.unwrap();
        for message in messages["Messages"].as_array().into_iter().flatten() {
            seen.push(serde_json::from_str(message["Body"].as_str().unwrap()).unwrap());
        }
    }
    let done = seen.iter().find(|event| event["detail"]["TrainingJobStatus"] == "Completed").unwrap();
    assert_eq!(done["source"], "aws.sagemaker");
    assert_eq!(done["detail-type"], "SageMaker Training Job State Change");

    let group = json!({"logGroupName": "/aws/sagemaker/TrainingJobs"});
    loop {
        let lines = account.wire.json("logs", "Logs_20140328.FilterLogEvents", &group).await;
        if lines.as_ref().is_ok_and(|lines| lines.to_string().contains("copying for round")) {
            break;
        }
        assert!(Instant::now() < deadline, "{lines:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    account.sagemaker.shutdown().await;
}
