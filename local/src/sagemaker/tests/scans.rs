use serde_json::{Value, json};

use super::account::{Account, DIGEST, INDEX, REPOSITORY};
use super::{caller, event, until};
use crate::service::{AwsError, Fault, Service};

async fn try_ecr(account: &Account, action: &str, body: Value) -> Result<Value, AwsError> {
    account.sagemaker.call(caller("scan-gate"), Service::Ecr, action, body).await
}

fn image(digest: &str) -> Value {
    json!({"repositoryName": REPOSITORY, "imageId": {"imageDigest": digest}})
}

async fn complete(account: &Account) -> Value {
    until(
        || async { try_ecr(account, "DescribeImageScanFindings", image(DIGEST)).await.unwrap() },
        |answer| answer["imageScanStatus"]["status"] == "COMPLETE",
    )
    .await
}

#[tokio::test]
async fn an_image_that_was_never_scanned_has_no_scan() {
    let account = Account::start().await;
    let error = try_ecr(&account, "DescribeImageScanFindings", image(DIGEST)).await.unwrap_err();
    assert_eq!(error.code, "ScanNotFoundException");
    assert!(error.message.contains(DIGEST));
}

#[tokio::test]
async fn a_scan_can_be_started_once_a_day_and_ends_with_an_event() {
    let account = Account::start().await;
    let started = try_ecr(&account, "StartImageScan", image(DIGEST)).await.unwrap();
    assert_eq!(started["imageScanStatus"]["status"], "IN_PROGRESS");
    assert_eq!(
        try_ecr(&account, "StartImageScan", image(DIGEST)).await.unwrap_err().code,
        "LimitExceededException"
    );
    let running = try_ecr(&account, "DescribeImageScanFindings", image(DIGEST)).await.unwrap();
    assert_eq!(running["imageScanStatus"]["status"], "IN_PROGRESS");
    assert!(running.get("imageScanFindings").is_none());
    let done = complete(&account).await;
    let counts = json!({"MEDIUM": 1, "LOW": 2, "INFORMATIONAL": 1});
    assert_eq!(done["imageScanFindings"]["findingSeverityCounts"], counts);
    assert_eq!(done["imageScanFindings"]["findings"][0]["attributes"][0]["key"], "package_name");
    let event = event(&account, "ECR Image Scan", |_| true).await;
    assert_eq!(event["Source"], "aws.ecr");
    assert_eq!(event["Detail"]["scan-status"], "COMPLETE");
    assert_eq!(event["Detail"]["image-digest"], DIGEST);
    assert_eq!(event["Detail"]["repository-name"], REPOSITORY);
    assert_eq!(event["Detail"]["finding-severity-counts"], counts);
}

#[tokio::test]
async fn a_repository_that_scans_on_push_needs_no_start() {
    let account = Account::start().await;
    account.scan_on_push();
    complete(&account).await;
    assert_eq!(
        try_ecr(&account, "StartImageScan", image(DIGEST)).await.unwrap_err().code,
        "LimitExceededException"
    );
}

#[tokio::test]
async fn findings_come_in_pages() {
    let account = Account::start().await;
    account.scan_on_push();
    complete(&account).await;
    let (mut names, mut token) = (Vec::new(), Value::Null);
    loop {
        let mut request = image(DIGEST);
        request["maxResults"] = json!(3);
        request["nextToken"] = token;
        let page = try_ecr(&account, "DescribeImageScanFindings", request).await.unwrap();
        names.extend(
            page["imageScanFindings"]["findings"]
                .as_array()
                .unwrap()
                .iter()
                .map(|finding| finding["name"].clone()),
        );
        match page.get("nextToken") {
            Some(next) => token = next.clone(),
            None => break,
        }
    }
    assert_eq!(names.len(), 4);
    let mut request = image(DIGEST);
    request["nextToken"] = json!("none");
    assert_eq!(
        try_ecr(&account, "DescribeImageScanFindings", request).await.unwrap_err().code,
        "InvalidParameterException"
    );
}

#[tokio::test]
async fn a_critical_finding_appears_while_its_fault_is_in_force() {
    let account = Account::start().await;
    account.fault(Fault::CriticalFinding);
    try_ecr(&account, "StartImageScan", image(DIGEST)).await.unwrap();
    let done = complete(&account).await;
    assert_eq!(done["imageScanFindings"]["findingSeverityCounts"]["CRITICAL"], 1);
    account.faults.clear(Fault::CriticalFinding);
    assert!(complete(&account).await["imageScanFindings"]["findingSeverityCounts"].get("CRITICAL").is_none());
}

#[tokio::test]
async fn a_scan_that_never_finishes_sends_no_event() {
    let account = Account::start().await;
    account.fault(Fault::ScanNeverFinishes);
    try_ecr(&account, "StartImageScan", image(DIGEST)).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(900)).await;
    let answer = try_ecr(&account, "DescribeImageScanFindings", image(DIGEST)).await.unwrap();
    assert_eq!(answer["imageScanStatus"]["status"], "IN_PROGRESS");
    assert!(account.events().is_empty());
}

#[tokio::test]
async fn an_index_cannot_be_scanned_and_what_is_missing_is_missing() {
    let account = Account::start().await;
    account.scan_on_push();
    let code = async |action: &str, body: Value| try_ecr(&account, action, body).await.unwrap_err().code;
    assert_eq!(code("StartImageScan", image(INDEX)).await, "UnsupportedImageTypeException");
    assert_eq!(code("DescribeImageScanFindings", image(INDEX)).await, "ScanNotFoundException");
    assert_eq!(code("StartImageScan", image("sha256:33")).await, "ImageNotFoundException");
    let elsewhere = json!({"repositoryName": "elsewhere", "imageId": {"imageDigest": DIGEST}});
    assert_eq!(code("StartImageScan", elsewhere).await, "RepositoryNotFoundException");
    let unnamed = json!({"repositoryName": REPOSITORY, "imageId": {}});
    assert_eq!(code("StartImageScan", unnamed).await, "InvalidParameterException");
}

#[tokio::test]
async fn the_registry_scans_basically() {
    let account = Account::start().await;
    let answer = try_ecr(&account, "GetRegistryScanningConfiguration", json!({})).await.unwrap();
    assert_eq!(answer["scanningConfiguration"]["scanType"], "BASIC");
    let error = try_ecr(&account, "PutRegistryScanningConfiguration", json!({"scanType": "ENHANCED"}))
        .await
        .unwrap_err();
    assert_eq!(error.code, "InvalidParameterException");
}
