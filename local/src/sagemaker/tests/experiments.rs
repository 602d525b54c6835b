use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::account::Account;
use super::{all_pages, caller};
use crate::service::{AwsError, Service};

const PREFIX: &str = "arn:aws:sagemaker:us-east-1:000000000000";

/// An experiment with two trials, and a component in each.
async fn account() -> Account {
    let account = Account::start().await;
    account.call("CreateExperiment", json!({"ExperimentName": "Tiny-LM"})).await;
    for n in 1..=2 {
        let (trial, component) = (format!("run-{n}"), format!("train-{n}"));
        account.call("CreateTrial", json!({"TrialName": trial, "ExperimentName": "tiny-lm"})).await;
        account.call("CreateTrialComponent", json!({"TrialComponentName": component})).await;
        let membership = json!({"TrialName": trial, "TrialComponentName": component});
        account.call("AssociateTrialComponent", membership).await;
    }
    account
}

async fn names(account: &Account, action: &str, request: Value) -> Vec<String> {
    let answer = account.call(action, request).await;
    let (items, name) = match action {
        "ListExperiments" => ("ExperimentSummaries", "ExperimentName"),
        "ListTrials" => ("TrialSummaries", "TrialName"),
        _ => ("TrialComponentSummaries", "TrialComponentName"),
    };
    let items = answer[items].as_array().unwrap();
    let mut names: Vec<String> = items.iter().map(|item| item[name].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

async fn put_metrics(account: &Account, body: Value) -> Result<Value, AwsError> {
    account.sagemaker.call(caller("submitter"), Service::SageMakerMetrics, "BatchPutMetrics", body).await
}

#[tokio::test]
async fn names_are_unique_and_not_case_sensitive() {
    let account = account().await;
    let experiment = account.call("DescribeExperiment", json!({"ExperimentName": "tiny-lm"})).await;
    assert_eq!(experiment["ExperimentName"], "Tiny-LM");
    assert_eq!(experiment["DisplayName"], "Tiny-LM");
    assert_eq!(experiment["ExperimentArn"], format!("{PREFIX}:experiment/Tiny-LM"));
    assert_eq!(experiment["CreatedBy"]["IamIdentity"]["PrincipalId"], "AIDAsubmitter");
    let trial = account.call("DescribeTrial", json!({"TrialName": "run-1"})).await;
    assert_eq!(trial["TrialArn"], format!("{PREFIX}:experiment-trial/run-1"));
    assert_eq!(trial["ExperimentName"], "Tiny-LM");
    for (action, request) in [
        ("CreateExperiment", json!({"ExperimentName": "TINY-lm"})),
        ("CreateTrial", json!({"TrialName": "RUN-1", "ExperimentName": "tiny-lm"})),
        ("CreateTrialComponent", json!({"TrialComponentName": "Train-1"})),
    ] {
        let error = account.refusal(action, request).await;
        assert_eq!(error.code, "ValidationException", "{action}");
        assert!(error.message.contains("already exists"), "{action}: {}", error.message);
    }
}

#[tokio::test]
async fn a_component_records_a_step_from_its_start_to_its_end() {
    let account = Account::start().await;
    let made = account
        .call(
            "CreateTrialComponent",
            json!({
                "TrialComponentName": "train-1",
                "DisplayName": "Training",
                "Status": {"PrimaryStatus": "InProgress", "Message": "has begun"},
                "StartTime": 1000.5,
                "Parameters": {"rate": {"NumberValue": 0.1}, "optimizer": {"StringValue": "adam"}, "old": {"NumberValue": 1}},
                "InputArtifacts": {"weights": {"Value": "s3://lockstep-work/weights/", "MediaType": "s3/uri"}},
                "Tags": [{"Key": "run", "Value": "1"}],
            }),
        )
        .await;
    let arn = format!("{PREFIX}:experiment-trial-component/train-1");
    assert_eq!(made["TrialComponentArn"], arn);
    account
        .call(
            "UpdateTrialComponent",
            json!({
                "TrialComponentName": "train-1",
                "Status": {"PrimaryStatus": "Completed"},
                "EndTime": 2000,
                "Parameters": {"rate": {"NumberValue": 0.2}, "steps": {"NumberValue": 7}},
                "ParametersToRemove": ["old"],
                "InputArtifactsToRemove": ["weights"],
                "OutputArtifacts": {"model": {"Value": "s3://lockstep-work/model/"}},
            }),
        )
        .await;
    let component = account.call("DescribeTrialComponent", json!({"TrialComponentName": arn})).await;
    assert_eq!(component["DisplayName"], "Training");
    assert_eq!(component["Status"], json!({"PrimaryStatus": "Completed"}));
    assert_eq!((&component["StartTime"], &component["EndTime"]), (&json!(1000.5), &json!(2000)));
    assert_eq!(
        component["Parameters"],
        json!({"rate": {"NumberValue": 0.2}, "optimizer": {"StringValue": "adam"}, "steps": {"NumberValue": 7}})
    );
    assert_eq!(component["InputArtifacts"], json!({}));
    assert_eq!(component["OutputArtifacts"], json!({"model": {"Value": "s3://lockstep-work/model/"}}));
    assert_eq!(component["Metrics"], json!([]));
    let list = account.call("ListTrialComponents", json!({})).await;
    let summary = &list["TrialComponentSummaries"][0];
    assert_eq!(summary["Status"]["PrimaryStatus"], "Completed");
    assert!(summary.get("Parameters").is_none());
    let tags = account.call("ListTags", json!({"ResourceArn": arn})).await;
    assert_eq!(tags["Tags"], json!([{"Key": "run", "Value": "1"}]));
}

#[tokio::test]
async fn lists_show_what_belongs_together() {
    let account = account().await;
    account.call("CreateExperiment", json!({"ExperimentName": "other"})).await;
    account.call("CreateTrial", json!({"TrialName": "elsewhere", "ExperimentName": "other"})).await;
    account.call("CreateTrialComponent", json!({"TrialComponentName": "alone"})).await;

    assert_eq!(names(&account, "ListExperiments", json!({})).await, ["Tiny-LM", "other"]);
    assert_eq!(names(&account, "ListTrials", json!({"ExperimentName": "TINY-LM"})).await, ["run-1", "run-2"]);
    assert_eq!(names(&account, "ListTrials", json!({"TrialComponentName": "train-2"})).await, ["run-2"]);
    let both = json!({"TrialComponentName": "train-2", "ExperimentName": "other"});
    assert_eq!(names(&account, "ListTrials", both).await, [""; 0]);
    let components = async |request: Value| names(&account, "ListTrialComponents", request).await;
    assert_eq!(components(json!({})).await, ["alone", "train-1", "train-2"]);
    assert_eq!(components(json!({"ExperimentName": "tiny-lm"})).await, ["train-1", "train-2"]);
    assert_eq!(components(json!({"TrialName": "run-1"})).await, ["train-1"]);
    assert_eq!(components(json!({"SourceArn": format!("{PREFIX}:training-job/x")})).await, [""; 0]);
    let error = account
        .refusal("ListTrialComponents", json!({"TrialName": "run-1", "ExperimentName": "tiny-lm"}))
        .await;
    assert!(error.message.starts_with("Only one of"), "{}", error.message);

    // A component may belong to several trials, and leaves them one by one.
    let membership = json!({"TrialName": "RUN-2", "TrialComponentName": "TRAIN-1"});
    let answer = account.call("AssociateTrialComponent", membership.clone()).await;
    assert_eq!(
        answer,
        json!({
            "TrialArn": format!("{PREFIX}:experiment-trial/run-2"),
            "TrialComponentArn": format!("{PREFIX}:experiment-trial-component/train-1"),
        })
    );
    assert_eq!(
        names(&account, "ListTrials", json!({"TrialComponentName": "train-1"})).await,
        ["run-1", "run-2"]
    );
    account.call("DisassociateTrialComponent", membership.clone()).await;
    assert_eq!(names(&account, "ListTrials", json!({"TrialComponentName": "train-1"})).await, ["run-1"]);
    let error = account.refusal("DisassociateTrialComponent", membership).await;
    assert_eq!(error.code, "ResourceNotFound");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let account = account().await;
    for n in 0..8 {
        account.call("CreateExperiment", json!({"ExperimentName": format!("e{n}")})).await;
        account.call("CreateTrial", json!({"TrialName": format!("t{n}"), "ExperimentName": "e0"})).await;
        account.call("CreateTrialComponent", json!({"TrialComponentName": format!("c{n}")})).await;
    }
    for (action, items, all) in [
        ("ListExperiments", "ExperimentSummaries", 9),
        ("ListTrials", "TrialSummaries", 10),
        ("ListTrialComponents", "TrialComponentSummaries", 10),
    ] {
        let (listed, pages) = all_pages(&account, action, items, json!({"MaxResults": 4})).await;
        assert_eq!((listed.len(), pages), (all, 3), "{action}");
        let (by_name, _) =
            all_pages(&account, action, items, json!({"SortBy": "Name", "SortOrder": "Ascending"})).await;
        assert_eq!(by_name.len(), all, "{action}");
    }
}

#[tokio::test]
async fn unknown_names_and_bad_values_of_experiments_are_refused() {
    let account = account().await;
    for (action, request) in [
        ("DescribeExperiment", json!({"ExperimentName": "nobody"})),
        ("CreateTrial", json!({"TrialName": "t", "ExperimentName": "nobody"})),
        ("DescribeTrial", json!({"TrialName": "nobody"})),
        ("ListTrials", json!({"ExperimentName": "nobody"})),
        ("ListTrials", json!({"TrialComponentName": "nobody"})),
        ("DescribeTrialComponent", json!({"TrialComponentName": "nobody"})),
        ("DescribeTrialComponent", json!({"TrialComponentName": format!("{PREFIX}:experiment/train-1")})),
        ("UpdateTrialComponent", json!({"TrialComponentName": "nobody"})),
        ("ListTrialComponents", json!({"ExperimentName": "nobody"})),
        ("ListTrialComponents", json!({"TrialName": "nobody"})),
        ("AssociateTrialComponent", json!({"TrialComponentName": "nobody", "TrialName": "run-1"})),
        ("AssociateTrialComponent", json!({"TrialComponentName": "train-1", "TrialName": "nobody"})),
        ("DisassociateTrialComponent", json!({"TrialComponentName": "train-1", "TrialName": "run-2"})),
    ] {
        assert_eq!(
            account.refusal(action, request.clone()).await.code,
            "ResourceNotFound",
            "{action} {request}"
        );
    }
    let many = |from: usize, to: usize| {
        let entries: BTreeMap<String, Value> =
            (from..to).map(|n| (format!("p{n}"), json!({"NumberValue": n}))).collect();
        json!(entries)
    };
    let with = |member: &str, value: Value| {
        let mut request = json!({"TrialComponentName": "train-1"});
        request[member] = value;
        request
    };
    for (request, at) in [
        (with("Status", json!({"PrimaryStatus": "Done"})), "'status.primaryStatus'"),
        (with("Parameters", json!({"a": {"NumberValue": 1, "StringValue": "1"}})), "Exactly one of"),
        (with("Parameters", json!({"a": {}})), "parameter 'a'"),
        (with("Parameters", json!({"a": {"NumberValue": "1"}})), "can not be converted to a Float"),
        (with("Parameters", many(0, 301)), "'parameters'"),
        (with("InputArtifacts", json!({"a": {"MediaType": "text/csv"}})), "'inputArtifacts.a.member.value'"),
        (with("OutputArtifacts", json!({"a": {"Value": "x", "MediaType": "csv"}})), "mediaType"),
    ] {
        let error = account.refusal("UpdateTrialComponent", request).await;
        assert!(error.message.contains(at), "{at}: {}", error.message);
    }
    // What one request may give, two together may not.
    account.call("UpdateTrialComponent", with("Parameters", many(0, 200))).await;
    let error = account.refusal("UpdateTrialComponent", with("Parameters", many(200, 301))).await;
    assert!(error.message.contains("at most 300"), "{}", error.message);
    account.call("UpdateTrialComponent", with("Parameters", many(100, 300))).await;
    let error = account.refusal("CreateExperiment", json!({"ExperimentName": "under_score"})).await;
    assert!(error.message.contains("'experimentName'"), "{}", error.message);
}

#[tokio::test]
async fn metrics_are_read_where_the_component_is_described() {
    let account = account().await;
    let data: Vec<Value> = [(10, 4.0), (30, 1.0), (20, 2.5)]
        .map(|(at, value)| json!({"MetricName": "loss", "Timestamp": at, "Step": at, "Value": value}))
        .into();
    let answer = put_metrics(&account, json!({"TrialComponentName": "train-1", "MetricData": data})).await;
    assert_eq!(answer.unwrap(), json!({}));
    let one = json!([{"MetricName": "accuracy", "Timestamp": 1, "Value": 0.5}]);
    put_metrics(&account, json!({"TrialComponentName": "train-1", "MetricData": one})).await.unwrap();
    let described = account.call("DescribeTrialComponent", json!({"TrialComponentName": "train-1"})).await;
    let metrics = described["Metrics"].as_array().unwrap();
    assert_eq!(metrics.len(), 2);
    assert_eq!(metrics[0]["MetricName"], "accuracy");
    let loss = &metrics[1];
    assert_eq!(loss["SourceArn"], described["TrialComponentArn"]);
    for (member, value) in
        [("Count", 3.0), ("Min", 1.0), ("Max", 4.0), ("Avg", 2.5), ("Last", 1.0), ("TimeStamp", 30.0)]
    {
        assert_eq!(loss[member].as_f64(), Some(value), "{member}");
    }
    assert!((loss["StdDev"].as_f64().unwrap() - 1.5_f64.sqrt()).abs() < 1e-12);

    let refusal = async |body: Value| put_metrics(&account, body).await.unwrap_err();
    let point = json!({"MetricName": "loss", "Timestamp": 1, "Value": 1});
    let unknown = json!({"TrialComponentName": "nobody", "MetricData": [point]});
    assert_eq!(refusal(unknown).await.code, "ResourceNotFound");
    let upper = json!({"TrialComponentName": "Train-1", "MetricData": [point]});
    assert!(refusal(upper).await.message.contains("'trialComponentName'"));
    let eleven = json!({"TrialComponentName": "train-1", "MetricData": vec![point; 11]});
    assert!(refusal(eleven).await.message.contains("'metricData'"));
}

#[tokio::test]
async fn a_component_is_part_of_lineage_and_two_of_experiments_are_not_joined() {
    let account = account().await;
    let source = json!({"Source": {"SourceUri": "s3://lockstep-work/model/"}, "ArtifactType": "Model"});
    let model = account.call("CreateArtifact", source).await["ArtifactArn"].clone();
    let component = format!("{PREFIX}:experiment-trial-component/train-1");
    let experiment = format!("{PREFIX}:experiment/Tiny-LM");
    account.call("AddAssociation", json!({"SourceArn": component, "DestinationArn": model})).await;
    account.call("AddAssociation", json!({"SourceArn": experiment, "DestinationArn": model})).await;
    let query =
        json!({"StartArns": [model], "Filters": {"LineageTypes": ["TrialComponent"]}, "IncludeEdges": true});
    let found = account.call("QueryLineage", query).await;
    assert_eq!(found["Vertices"].as_array().unwrap().len(), 2);
    assert_eq!(
        found["Vertices"][1],
        json!({"Arn": component, "Type": "TrialComponent", "LineageType": "TrialComponent"})
    );
    assert_eq!(found["Edges"], json!([{"SourceArn": component, "DestinationArn": model}]));
    let error = account
        .refusal("AddAssociation", json!({"SourceArn": component, "DestinationArn": experiment}))
        .await;
    assert!(error.message.contains("two experiment entities"), "{}", error.message);
}
