//! The account through its one endpoint, as clients use it; nothing is deployed to it here.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use aws_sdk_s3::primitives::ByteStream;
use local::{Account, Connection, Faults, Identity, Options, Profile, Silent};
use serde_json::Value;

async fn account() -> Account {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let options = Options { root, profile: Profile::Debug, faults: Faults::default(), var_file: None };
    Account::start(options, &Silent).await.unwrap()
}

#[tokio::test]
async fn objects_pass_through_the_endpoint_as_they_are() {
    let account = account().await;
    let config = account.sdk_config(Identity::Submitter).await;
    let client = aws_sdk_s3::Client::new(&config);
    client.create_bucket().bucket("bucket").send().await.unwrap();

    // Long enough not to be held in memory by accident, and a key that no proxy may normalise.
    let body: Vec<u8> = (0..30_000_000_u32).map(|index| (index % 251) as u8).collect();
    let key = "folder/../odd key+%2F//ä.bin";
    let put = client.put_object().bucket("bucket").key(key).body(ByteStream::from(body.clone()));
    put.send().await.unwrap();
    let got = client.get_object().bucket("bucket").key(key).send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), body);

    let part = client.get_object().bucket("bucket").key(key).range("bytes=250-252").send().await.unwrap();
    assert_eq!(part.body.collect().await.unwrap().into_bytes().as_ref(), [250, 0, 1]);
    let missing = client.get_object().bucket("bucket").key("none").send().await.unwrap_err();
    assert!(missing.into_service_error().is_no_such_key());

    let calls = std::fs::read_to_string(account.calls()).unwrap();
    let put: Value = calls
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|call| call["action"] == "PutObject")
        .unwrap();
    assert_eq!(put["principal"], account.keys(Identity::Submitter).arn.as_str());
    assert!(!calls.contains(&account.keys(Identity::Submitter).secret_access_key));
    account.shutdown().await;
}

#[tokio::test]
async fn another_process_finds_it_until_it_ends() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let account = account().await;
    let (endpoint, folder) = (account.endpoint().to_owned(), account.state_dir().to_owned());
    let found: Connection =
        serde_json::from_slice(&std::fs::read(folder.join("account.json")).unwrap()).unwrap();
    assert_eq!(&found, account.connection());
    account.shutdown().await;
    assert!(!folder.exists());
    assert!(Connection::find(root).is_none_or(|found| found.endpoint != endpoint));
    let port = endpoint.rsplit(':').next().unwrap();
    assert!(std::net::TcpListener::bind(format!("127.0.0.1:{port}")).is_ok());
}

#[tokio::test]
async fn users_are_who_their_keys_say() {
    let account = account().await;
    for who in [Identity::Submitter, Identity::Approver, Identity::DataSteward] {
        let keys = account.keys(who);
        let wire = local::wire::Wire::new(account.endpoint(), "us-east-1", &keys.access_key_id);
        let answer = wire.query("sts", "2011-06-15", "GetCallerIdentity", &[]).await.unwrap();
        assert!(answer.contains(&format!("<UserId>{}</UserId>", keys.user_id)), "{answer}");
        assert!(keys.arn.ends_with(&format!("user/{}", who.user_name())));
    }
    account.shutdown().await;
}

#[tokio::test]
async fn a_bucket_policy_tells_the_steward_from_the_submitter() {
    let account = account().await;
    let root = aws_sdk_s3::Client::new(&account.sdk_config(Identity::Approver).await);
    root.create_bucket().bucket("walls").send().await.unwrap();
    let steward = &account.keys(Identity::DataSteward).user_id;
    let policy = serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [
            { "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::walls/evaluation/*",
              "Condition": { "StringNotLike": { "aws:userid": [steward] } } },
            { "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
              "NotResource": ["arn:aws:s3:::walls/requests/${aws:userid}/*", "arn:aws:s3:::walls/evaluation/*", "arn:aws:s3:::walls/models/*"] },
            { "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::walls/models/*",
              "Condition": { "Null": { "s3:if-none-match": "true" }, "Bool": { "s3:ObjectCreationOperation": "true" } } },
            { "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::walls/*",
              "Condition": { "Bool": { "aws:SecureTransport": "false" } } },
        ],
    });
    root.put_bucket_policy().bucket("walls").policy(policy.to_string()).send().await.unwrap();

    let put = async |who: Identity, key: String, once: bool| {
        let client = aws_sdk_s3::Client::new(&account.sdk_config(who).await);
        let put = client.put_object().bucket("walls").key(key).body(ByteStream::from_static(b"x"));
        let put = if once { put.if_none_match("*") } else { put };
        put.send().await.is_ok()
    };
    let own = format!("requests/{}/a.json", account.keys(Identity::Submitter).user_id);
    assert!(put(Identity::Submitter, own.clone(), false).await);
    assert!(!put(Identity::Approver, own, false).await, "a request under another's id");
    assert!(put(Identity::DataSteward, "evaluation/a.jsonl".into(), false).await);
    assert!(
        !put(Identity::Submitter, "evaluation/b.jsonl".into(), false).await,
        "evaluation data by a submitter"
    );
    assert!(put(Identity::Approver, "models/a".into(), true).await);
    assert!(!put(Identity::Approver, "models/b".into(), false).await, "a model that may be replaced");
    account.shutdown().await;
}
