use serde_json::{Value, json};

use super::account::Account;
use super::{all_pages, caller};
use crate::service::Service;

async fn account() -> Account {
    let account = Account::start().await;
    let card = json!({"ModelCardName": "tiny-lm", "Content": "{\"a\": 1}", "ModelCardStatus": "Draft"});
    account.call("CreateModelCard", card).await;
    account
}

#[tokio::test]
async fn every_update_is_a_version_and_the_older_ones_stay() {
    let account = account().await;
    let approved = account
        .sagemaker
        .call(
            caller("approver"),
            Service::SageMaker,
            "UpdateModelCard",
            json!({"ModelCardName": "tiny-lm", "ModelCardStatus": "Approved"}),
        )
        .await
        .unwrap();
    let arn = "arn:aws:sagemaker:us-east-1:000000000000:model-card/tiny-lm";
    assert_eq!(approved["ModelCardArn"], arn);
    account.call("UpdateModelCard", json!({"ModelCardName": arn, "Content": "{\"a\": 2}"})).await;

    let latest = account.call("DescribeModelCard", json!({"ModelCardName": "tiny-lm"})).await;
    assert_eq!(latest["ModelCardVersion"], 3);
    assert_eq!(latest["ModelCardStatus"], "Approved");
    assert_eq!(latest["Content"], "{\"a\": 2}");
    assert_eq!(latest["CreatedBy"]["IamIdentity"]["PrincipalId"], "AIDAsubmitter");
    let second =
        account.call("DescribeModelCard", json!({"ModelCardName": arn, "ModelCardVersion": 2})).await;
    assert_eq!(second["Content"], "{\"a\": 1}");
    assert_eq!(second["LastModifiedBy"]["IamIdentity"]["PrincipalId"], "AIDAapprover");
    let first = account.call("DescribeModelCard", json!({"ModelCardName": arn, "ModelCardVersion": 1})).await;
    assert_eq!(first["ModelCardStatus"], "Draft");
    assert!(first.get("LastModifiedTime").is_none());

    let cards = account.call("ListModelCards", json!({"NameContains": "tiny"})).await;
    assert_eq!(cards["ModelCardSummaries"].as_array().unwrap().len(), 1);
    assert_eq!(cards["ModelCardSummaries"][0]["ModelCardStatus"], "Approved");
    let drafts = account.call("ListModelCards", json!({"ModelCardStatus": "Draft"})).await;
    assert_eq!(drafts["ModelCardSummaries"], json!([]));
    // Tags are the card's, not a version's.
    account.call("AddTags", json!({"ResourceArn": arn, "Tags": [{"Key": "a", "Value": "b"}]})).await;
}

#[tokio::test]
async fn versions_are_listed_by_number() {
    let account = account().await;
    for n in 2..=12 {
        account
            .call(
                "UpdateModelCard",
                json!({"ModelCardName": "tiny-lm", "Content": format!("{{\"a\": {n}}}")}),
            )
            .await;
    }
    let request = json!({"ModelCardName": "tiny-lm", "MaxResults": 5, "SortOrder": "Descending"});
    let (versions, pages) =
        all_pages(&account, "ListModelCardVersions", "ModelCardVersionSummaryList", request).await;
    let numbers: Vec<u64> =
        versions.iter().map(|version| version["ModelCardVersion"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=12).rev().collect::<Vec<_>>());
    assert_eq!(pages, 3);
}

#[tokio::test]
async fn an_update_that_is_not_one_is_refused() {
    let account = account().await;
    let refusal = async |change: Value| {
        let mut request = json!({"ModelCardName": "tiny-lm"});
        request.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        account.refusal("UpdateModelCard", request).await
    };
    let both = refusal(json!({"Content": "{}", "ModelCardStatus": "Draft"})).await;
    assert!(both.message.contains("cannot both be updated"), "{both}");
    assert_eq!(refusal(json!({})).await.code, "ValidationException");
    assert!(refusal(json!({"Content": "[]"})).await.message.contains("Content must be a model card"));
    assert!(refusal(json!({"ModelCardStatus": "Maybe"})).await.message.contains("'modelCardStatus'"));
    assert_eq!(refusal(json!({"ModelCardName": "no", "Content": "{}"})).await.code, "ResourceNotFound");
    for action in ["DescribeModelCard", "ListModelCardVersions"] {
        let error = account.refusal(action, json!({"ModelCardName": "no"})).await;
        assert_eq!(error.code, "ResourceNotFound", "{action}");
    }
    let error = account
        .refusal("DescribeModelCard", json!({"ModelCardName": "tiny-lm", "ModelCardVersion": 2}))
        .await;
    assert_eq!(error.code, "ResourceNotFound");
}
