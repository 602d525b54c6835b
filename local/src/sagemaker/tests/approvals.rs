use serde_json::{Value, json};

use super::account::{Account, DIGEST};
use super::{caller, event, until};
use crate::service::Service;

fn package(account: &Account, token: &str) -> Value {
    json!({
        "ModelPackageGroupName": "tiny-lm",
        "ClientToken": token,
        "InferenceSpecification": {"Containers": [{
            "Image": account.image(),
            "ModelDataSource": {"S3DataSource": {
                "S3Uri": "s3://lockstep-work/artifacts/abc/", "S3DataType": "S3Prefix", "CompressionType": "None",
            }},
        }]},
        "CustomerMetadataProperties": {"run_id": "1"},
    })
}

async fn account() -> Account {
    let account = Account::start().await;
    account.call("CreateModelPackageGroup", json!({"ModelPackageGroupName": "tiny-lm"})).await;
    account
}

#[tokio::test]
async fn versions_count_up_and_wait_for_approval() {
    let account = account().await;
    let first = account.call("CreateModelPackage", package(&account, "one")).await;
    let second = account.call("CreateModelPackage", package(&account, "two")).await;
    assert_eq!(first["ModelPackageArn"], "arn:aws:sagemaker:us-east-1:000000000000:model-package/tiny-lm/1");
    assert_eq!(second["ModelPackageArn"], "arn:aws:sagemaker:us-east-1:000000000000:model-package/tiny-lm/2");
    let described = until(
        || account.call("DescribeModelPackage", json!({"ModelPackageName": first["ModelPackageArn"]})),
        |package| package["ModelPackageStatus"] == "Completed",
    )
    .await;
    assert_eq!(described["ModelApprovalStatus"], "PendingManualApproval");
    assert_eq!(described["ModelPackageVersion"], 1);
    assert_eq!(described["InferenceSpecification"]["Containers"][0]["ImageDigest"], DIGEST);
    assert_eq!(described["CreatedBy"]["IamIdentity"]["PrincipalId"], "AIDAsubmitter");
    assert!(described.get("LastModifiedBy").is_none());
}

#[tokio::test]
async fn a_token_creates_one_version() {
    let account = account().await;
    let first = account.call("CreateModelPackage", package(&account, "same")).await;
    let again = account.call("CreateModelPackage", package(&account, "same")).await;
    assert_eq!(first, again);
    let mut other = package(&account, "same");
    other["CustomerMetadataProperties"]["run_id"] = json!("2");
    assert_eq!(account.refusal("CreateModelPackage", other).await.code, "ConflictException");
    let list = account.call("ListModelPackages", json!({"ModelPackageGroupName": "tiny-lm"})).await;
    assert_eq!(list["ModelPackageSummaryList"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_approver_is_recorded_and_announced_more_than_once() {
    let account = account().await;
    let arn = account.call("CreateModelPackage", package(&account, "one")).await["ModelPackageArn"].clone();
    account
        .sagemaker
        .call(
            caller("approver"),
            Service::SageMaker,
            "UpdateModelPackage",
            json!({"ModelPackageArn": arn, "ModelApprovalStatus": "Approved", "ApprovalDescription": "Looks good"}),
        )
        .await
        .unwrap();
    let package = account.call("DescribeModelPackage", json!({"ModelPackageName": arn})).await;
    assert_eq!(package["ModelApprovalStatus"], "Approved");
    assert_eq!(package["ApprovalDescription"], "Looks good");
    assert_eq!(package["LastModifiedBy"]["IamIdentity"]["PrincipalId"], "AIDAapprover");
    assert_eq!(package["LastModifiedBy"]["IamIdentity"]["Arn"], "arn:aws:iam::000000000000:user/approver");
    assert_eq!(package["CreatedBy"]["IamIdentity"]["PrincipalId"], "AIDAsubmitter");

    let approved = |event: &Value| event["Detail"]["ModelApprovalStatus"] == "Approved";
    event(&account, "SageMaker Model Package State Change", |package| {
        package["ModelApprovalStatus"] == "Approved"
    })
    .await;
    until(
        || async { Value::Array(account.events()) },
        |events| events.as_array().unwrap().iter().filter(|event| approved(event)).count() >= 2,
    )
    .await;
    let list = account
        .call(
            "ListModelPackages",
            json!({"ModelPackageGroupName": "tiny-lm", "ModelApprovalStatus": "Approved"}),
        )
        .await;
    assert_eq!(list["ModelPackageSummaryList"][0]["ModelPackageArn"], arn);
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let account = account().await;
    let mut request = package(&account, "x");
    request["ModelPackageGroupName"] = json!("other");
    let error = account.refusal("CreateModelPackage", request).await;
    assert_eq!(
        error.message,
        "Model Package Group arn:aws:sagemaker:us-east-1:000000000000:model-package-group/other does not exist."
    );
    let arn = "arn:aws:sagemaker:us-east-1:000000000000:model-package/tiny-lm/9";
    let error = account
        .refusal("UpdateModelPackage", json!({"ModelPackageArn": arn, "ModelApprovalStatus": "Approved"}))
        .await;
    assert_eq!(error.message, format!("ModelPackage {arn} does not exist."));
    let error = account.refusal("CreateModelPackageGroup", json!({"ModelPackageGroupName": "tiny-lm"})).await;
    assert!(error.message.starts_with("Model Package Group already exists:"));
    let error = account
        .refusal("UpdateModelPackage", json!({"ModelPackageArn": arn, "ModelApprovalStatus": "Maybe"}))
        .await;
    assert!(error.message.contains("[Approved, Rejected, PendingManualApproval]"));
}

#[tokio::test]
async fn a_card_is_json_and_is_made_once() {
    let account = account().await;
    let card = json!({"ModelCardName": "lockstep-1", "Content": "{\"model_overview\": {}}", "ModelCardStatus": "Draft"});
    account.call("CreateModelCard", card.clone()).await;
    assert_eq!(account.refusal("CreateModelCard", card.clone()).await.code, "ConflictException");
    let described = account.call("DescribeModelCard", json!({"ModelCardName": "lockstep-1"})).await;
    assert_eq!(described["Content"], card["Content"]);
    let mut other = card;
    other["ModelCardName"] = json!("lockstep-2");
    other["Content"] = json!("not json");
    assert!(account.refusal("CreateModelCard", other).await.message.contains("Content must be a model card"));
    assert_eq!(
        account.refusal("DescribeModelCard", json!({"ModelCardName": "no"})).await.code,
        "ResourceNotFound"
    );
}
