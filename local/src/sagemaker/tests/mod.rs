//! The services over a small account of the tests' own, with a container that is this test program itself.

mod account;
mod approvals;
mod cards;
mod container;
mod deployments;
mod endpoints;
mod evaluation;
mod experiments;
mod lineage;
mod scaling;
mod scans;
mod training;

use std::future::Future;
use std::time::Duration;

use serde_json::{Value, json};

use self::account::Account;
use crate::service::{AwsError, Caller, Service};

const ROLE: &str = "arn:aws:iam::000000000000:role/lockstep-job";

fn caller(name: &str) -> Caller {
    Caller {
        access_key_id: format!("AKIA{name}"),
        principal_id: format!("AIDA{name}"),
        arn: format!("arn:aws:iam::000000000000:user/{name}"),
        name: name.to_owned(),
    }
}

impl Account {
    async fn try_call(&self, action: &str, body: Value) -> Result<Value, AwsError> {
        self.sagemaker.call(caller("submitter"), Service::SageMaker, action, body).await
    }

    async fn call(&self, action: &str, body: Value) -> Value {
        self.try_call(action, body).await.unwrap_or_else(|error| panic!("{action}: {error}"))
    }

    async fn refusal(&self, action: &str, body: Value) -> AwsError {
        self.try_call(action, body).await.unwrap_err()
    }
}

/// Everything that a listing holds, and on how many pages, one item after the other.
async fn all_pages(account: &Account, action: &str, items: &str, mut request: Value) -> (Vec<Value>, usize) {
    let (mut all, mut pages) = (Vec::new(), 0);
    loop {
        let answer = account.call(action, request.clone()).await;
        all.extend(answer[items].as_array().unwrap().iter().cloned());
        pages += 1;
        match answer.get("NextToken") {
            Some(token) => request["NextToken"] = token.clone(),
            None => return (all, pages),
        }
    }
}

/// Asks again until the answer is the one waited for.
async fn until<F: Future<Output = Value>>(
    mut ask: impl FnMut() -> F,
    good: impl Fn(&Value) -> bool,
) -> Value {
    let mut last = Value::Null;
    for _ in 0..1000 {
        last = ask().await;
        if good(&last) {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("still {last:#}");
}

/// Waits for an event of this kind whose detail is good.
async fn event(account: &Account, detail_type: &str, good: impl Fn(&Value) -> bool) -> Value {
    let wanted = |event: &Value| event["DetailType"] == detail_type && good(&event["Detail"]);
    let found = until(
        || async { Value::Array(account.events()) },
        |events| events.as_array().unwrap().iter().any(&wanted),
    )
    .await;
    found.as_array().unwrap().iter().find(|event| wanted(event)).cloned().unwrap()
}

#[tokio::test]
async fn an_operation_that_is_not_there_says_so() {
    let account = Account::start().await;
    let error = account.refusal("CreateHubContentReference", json!({})).await;
    assert_eq!(error.code, "UnknownOperationException");
    assert!(error.message.contains("CreateHubContentReference"), "{}", error.message);
}

#[tokio::test]
async fn tags_belong_to_resources_that_exist() {
    let account = Account::start().await;
    let group = account
        .call(
            "CreateModelPackageGroup",
            json!({"ModelPackageGroupName": "tiny-lm", "Tags": [{"Key": "run", "Value": "1"}]}),
        )
        .await;
    let arn = &group["ModelPackageGroupArn"];
    account.call("AddTags", json!({"ResourceArn": arn, "Tags": [{"Key": "team", "Value": "ml"}]})).await;
    account.call("DeleteTags", json!({"ResourceArn": arn, "TagKeys": ["run"]})).await;
    let tags = account.call("ListTags", json!({"ResourceArn": arn})).await;
    assert_eq!(tags["Tags"], json!([{"Key": "team", "Value": "ml"}]));
    let other = "arn:aws:sagemaker:us-east-1:000000000000:model/nobody";
    let error = account.refusal("AddTags", json!({"ResourceArn": other, "Tags": []})).await;
    assert!(error.message.contains(other));
}
