//! Updates that move traffic between two generations of processes.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::account::Account;
use super::endpoints::{account, ask, config, create, settled};
use super::{event, until};
use crate::service::Fault;

const STATE: &str = "SageMaker Endpoint State Change";
const STAGE: &str = "SageMaker Endpoint Deployment State Change";

/// An endpoint whose model `one` has four instances, and a configuration for `two` with as many.
async fn four_instances() -> Account {
    let account = account().await;
    for model in ["one", "two", "bad"] {
        let mut request = config(model, 4);
        request["EndpointConfigName"] = json!(format!("{model}-4"));
        account.call("CreateEndpointConfig", request).await;
    }
    create(&account, "one-4").await;
    account
}

fn update(config: &str, routing: Value, termination: u64) -> Value {
    json!({
        "EndpointName": "tiny-lm",
        "EndpointConfigName": config,
        "DeploymentConfig": {
            "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": termination},
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "lockstep-tiny-lm-5xx"}]},
        },
    })
}

fn canary(wait: u64) -> Value {
    let size = json!({"Type": "INSTANCE_COUNT", "Value": 1});
    json!({"Type": "CANARY", "WaitIntervalInSeconds": wait, "CanarySize": size})
}

async fn describe(account: &Account) -> Value {
    account.call("DescribeEndpoint", json!({"EndpointName": "tiny-lm"})).await
}

/// The deployment's stages, as events told of them.
fn stages(account: &Account) -> Vec<String> {
    account
        .events()
        .iter()
        .filter(|event| event["DetailType"] == STAGE)
        .map(|event| {
            let variant = &event["Detail"]["PendingDeploymentSummary"]["ProductionVariants"][0];
            variant["VariantStatus"][0]["StatusMessage"].as_str().unwrap().to_owned()
        })
        .collect()
}

async fn generation(account: &Account) -> String {
    let (status, _, answer) = ask(account, "{}").await;
    assert_eq!(status, 200, "{answer}");
    answer[0]["generated_text"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_generations_answer_during_a_canary_and_an_alarm_takes_it_back() {
    let account = four_instances().await;
    account.call("UpdateEndpoint", update("two-4", canary(3600), 0)).await;
    let endpoint = until(
        || describe(&account),
        |endpoint| endpoint["PendingDeploymentSummary"]["ProductionVariants"].is_array(),
    )
    .await;
    let pending = &endpoint["PendingDeploymentSummary"];
    assert_eq!(endpoint["EndpointConfigName"], "one-4");
    assert_eq!(pending["EndpointConfigName"], "two-4");
    assert_eq!(pending["ProductionVariants"][0]["CurrentInstanceCount"], 1);
    assert_eq!(pending["ProductionVariants"][0]["VariantStatus"][0]["Status"], "Baking");

    let mut new = 0;
    for _ in 0..40 {
        new += u32::from(generation(&account).await == "second");
    }
    assert_eq!(new, 10, "one instance of four takes a quarter");

    account.ring();
    event(&account, STATE, |endpoint| endpoint["EndpointStatus"] == "ROLLING_BACK").await;
    assert_eq!(generation(&account).await, "first");
    let endpoint = settled(&account).await;
    assert_eq!(endpoint["EndpointConfigName"], "one-4");
    assert!(endpoint["FailureReason"].as_str().unwrap().contains("lockstep-tiny-lm-5xx"));
    assert!(endpoint.get("PendingDeploymentSummary").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_moves_by_its_steps_and_stays_with_the_new_fleet() {
    for (routing, termination, expected) in [
        (
            canary(60),
            120,
            vec![
                "Baking for 60 seconds (WaitIntervalInSeconds) with traffic enabled on canary capacity of 1 instance(s).",
                "Baking for 120 seconds (TerminationWaitInSeconds) with traffic enabled on full capacity of 4 instance(s).",
            ],
        ),
        (
            json!({"Type": "LINEAR", "WaitIntervalInSeconds": 30, "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 50}}),
            0,
            vec![
                "Baking for 30 seconds (WaitIntervalInSeconds) with traffic enabled on linear step capacity of 2 instance(s).",
                "Baking for 0 seconds (TerminationWaitInSeconds) with traffic enabled on full capacity of 4 instance(s).",
            ],
        ),
    ] {
        let account = four_instances().await;
        let request = update("two-4", routing, termination);
        account.call("UpdateEndpoint", request.clone()).await;
        let endpoint = settled(&account).await;
        assert_eq!(endpoint["EndpointConfigName"], "two-4", "{endpoint:#}");
        assert_eq!(endpoint["LastDeploymentConfig"], request["DeploymentConfig"]);
        assert_eq!(generation(&account).await, "second");
        event(&account, STATE, |endpoint| endpoint["EndpointConfigName"] == "two-4").await;
        assert_eq!(stages(&account), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_after_the_last_step_takes_everything_back() {
    let account = four_instances().await;
    account.call("UpdateEndpoint", update("two-4", canary(0), 3600)).await;
    event(&account, STAGE, |endpoint| {
        endpoint["PendingDeploymentSummary"]["ProductionVariants"][0]["CurrentInstanceCount"] == 4
    })
    .await;
    for _ in 0..4 {
        assert_eq!(generation(&account).await, "second");
    }
    account.ring();
    assert_eq!(settled(&account).await["EndpointConfigName"], "one-4");
    assert_eq!(generation(&account).await, "first");
}

/// Requests at 200 a second until told to end; how many there were, and which of them failed.
fn load(account: &Arc<Account>) -> (tokio::sync::watch::Sender<bool>, tokio::task::JoinHandle<Vec<bool>>) {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let account = Arc::clone(account);
    let asking = tokio::spawn(async move {
        let mut answers = tokio::task::JoinSet::new();
        let mut due = tokio::time::interval(Duration::from_millis(5));
        while !*stopped.borrow() {
            due.tick().await;
            let account = Arc::clone(&account);
            answers.spawn(async move { ask(&account, "{}").await.0 != 200 });
        }
        answers.join_all().await
    });
    (stop, asking)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_fails_under_load_costs_its_share_and_nothing_after_its_rollback() {
    let account = Arc::new(four_instances().await);
    account.ring_on_errors();
    account.fault(Fault::BadCanary);
    let (stop, asking) = load(&account);
    account.call("UpdateEndpoint", update("two-4", canary(3600), 0)).await;
    let endpoint = settled(&account).await;
    stop.send(true).unwrap();
    let failed = asking.await.unwrap();
    assert_eq!(endpoint["EndpointConfigName"], "one-4", "{endpoint:#}");
    let failures = failed.iter().filter(|failed| **failed).count();
    assert!(failures > 0 && failures * 4 <= failed.len(), "{failures} of {}", failed.len());

    let (stop, asking) = load(&account);
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.send(true).unwrap();
    let failed = asking.await.unwrap();
    assert!(failed.len() > 10 && !failed.contains(&true), "none fails after a rollback");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_update_under_load_loses_no_request() {
    let account = Arc::new(four_instances().await);
    let (stop, asking) = load(&account);
    account.call("UpdateEndpoint", update("two-4", canary(120), 60)).await;
    let endpoint = settled(&account).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.send(true).unwrap();
    let failed = asking.await.unwrap();
    assert_eq!(endpoint["EndpointConfigName"], "two-4", "{endpoint:#}");
    assert!(failed.len() > 50 && !failed.contains(&true), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_under_way_on_the_old_fleet_ends_there() {
    let account = Arc::new(four_instances().await);
    let under_way = {
        let account = Arc::clone(&account);
        tokio::spawn(async move { ask(&account, "slow").await })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    account.call("UpdateEndpoint", json!({"EndpointName": "tiny-lm", "EndpointConfigName": "two-4"})).await;
    let (status, _, answer) = under_way.await.unwrap();
    assert_eq!((status, &answer[0]["generated_text"]), (200, &json!("first")));
    assert_eq!(settled(&account).await["EndpointConfigName"], "two-4");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_would_take_too_long_is_taken_back() {
    let account = four_instances().await;
    let mut request = update("two-4", canary(1), 600);
    request["DeploymentConfig"]["BlueGreenUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"] = json!(600);
    account.call("UpdateEndpoint", request).await;
    let endpoint = settled(&account).await;
    assert_eq!(endpoint["EndpointConfigName"], "one-4");
    assert!(endpoint["FailureReason"].as_str().unwrap().contains("within 600 seconds"), "{endpoint:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_version_stays_where_no_alarm_watches_and_its_errors_are_counted() {
    let account = four_instances().await;
    account.fault(Fault::BadCanary);
    account.call("UpdateEndpoint", json!({"EndpointName": "tiny-lm", "EndpointConfigName": "two-4"})).await;
    assert_eq!(settled(&account).await["EndpointConfigName"], "two-4");
    let (status, _, error) = ask(&account, "{}").await;
    assert_eq!((status, &error["OriginalStatusCode"]), (424, &json!(500)));
    let metric = |name: &'static str| {
        let named = move |metric: &Value| metric["MetricName"] == name;
        account.metrics().into_iter().find(named).map(|metric| metric["Values"].clone())
    };
    until(|| async { json!(metric("Invocation5XXErrors")) }, |values| *values == json!([1.0])).await;
    assert_eq!(metric("InvocationModelErrors"), Some(json!([1.0])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_is_refused_where_its_traffic_could_not_be_moved() {
    let account = four_instances().await;
    let mut renamed = config("two", 4);
    renamed["EndpointConfigName"] = json!("renamed");
    renamed["ProductionVariants"][0]["VariantName"] = json!("Other");
    account.call("CreateEndpointConfig", renamed).await;
    for (request, expected) in [
        (update("renamed", canary(60), 0), "must have the variant names"),
        (update("two", canary(60), 0), "at most 50%"),
        (update("two-4", canary(3601), 0), "less than or equal to 3600"),
        (update("two-4", canary(60), 3601), "less than or equal to 3600"),
        (
            update("two-4", json!({"Type": "CANARY", "WaitIntervalInSeconds": 1}), 0),
            "CanarySize must be present",
        ),
    ] {
        let error = account.refusal("UpdateEndpoint", request).await;
        assert!(error.message.contains(expected), "{}", error.message);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_and_capacities_change_without_a_deployment_and_are_kept_by_the_next() {
    let account = four_instances().await;
    let change = |variant: &str| {
        json!({
            "EndpointName": "tiny-lm",
            "DesiredWeightsAndCapacities": [{"VariantName": variant, "DesiredInstanceCount": 6}],
        })
    };
    let error = account.refusal("UpdateEndpointWeightsAndCapacities", change("none")).await;
    assert!(error.message.contains("Variant none not found"), "{}", error.message);
    account.call("UpdateEndpointWeightsAndCapacities", change("AllTraffic")).await;
    assert_eq!(settled(&account).await["ProductionVariants"][0]["CurrentInstanceCount"], 6);

    let mut request = update("two-4", canary(0), 0);
    request["RetainAllVariantProperties"] = json!(true);
    account.call("UpdateEndpoint", request).await;
    let endpoint = settled(&account).await;
    assert_eq!(endpoint["EndpointConfigName"], "two-4");
    assert_eq!(endpoint["ProductionVariants"][0]["CurrentInstanceCount"], 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_former_capture_is_kept_with_the_variants_properties_unless_it_is_excluded() {
    let account = four_instances().await;
    let mut elsewhere = config("two", 4);
    elsewhere["EndpointConfigName"] = json!("elsewhere");
    elsewhere["DataCaptureConfig"]["DestinationS3Uri"] = json!("s3://lockstep-work/elsewhere/");
    account.call("CreateEndpointConfig", elsewhere).await;
    for (excluded, destination) in [
        (json!([]), "s3://lockstep-work/capture/"),
        (json!([{"VariantPropertyType": "DataCaptureConfig"}]), "s3://lockstep-work/elsewhere/"),
    ] {
        let request = json!({
            "EndpointName": "tiny-lm", "EndpointConfigName": "elsewhere", "RetainAllVariantProperties": true,
            "ExcludeRetainedVariantProperties": excluded,
        });
        account.call("UpdateEndpoint", request).await;
        assert_eq!(settled(&account).await["DataCaptureConfig"]["DestinationS3Uri"], destination);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shadow_is_asked_and_captured_and_never_answers() {
    let account = account().await;
    let mut request = config("one", 1);
    request["EndpointConfigName"] = json!("shadowed");
    let mut shadow = config("two", 1)["ProductionVariants"][0].clone();
    shadow["VariantName"] = json!("Shadow");
    request["ShadowProductionVariants"] = json!([shadow]);
    account.call("CreateEndpointConfig", request).await;
    let endpoint = create(&account, "shadowed").await;
    assert_eq!(endpoint["ShadowProductionVariants"][0]["VariantName"], "Shadow");
    for _ in 0..10 {
        assert_eq!(generation(&account).await, "first");
    }
    account.call("DeleteEndpoint", json!({"EndpointName": "tiny-lm"})).await;
    for (variant, said) in [("AllTraffic", "first"), ("Shadow", "second")] {
        let lines = || async { json!(captured(&account, variant).len()) };
        until(lines, |count| *count == json!(10)).await;
        for line in captured(&account, variant) {
            let data = line["captureData"]["endpointOutput"]["data"].as_str().unwrap();
            assert!(data.contains(said), "{variant}: {data}");
        }
    }
}

/// The lines that are captured of a variant.
fn captured(account: &Account, variant: &str) -> Vec<Value> {
    let folder = format!("lockstep-work/capture/tiny-lm/{variant}/20");
    let objects = account.objects();
    let objects = objects.iter().filter(|object| object.starts_with(&folder));
    let texts: Vec<String> = objects.filter_map(|object| account.get(object)).collect();
    texts.iter().flat_map(|text| text.lines()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn captured_traffic_is_gathered_into_encrypted_objects() {
    let account = account().await;
    create(&account, "one").await;
    for _ in 0..50 {
        generation(&account).await;
    }
    account.call("DeleteEndpoint", json!({"EndpointName": "tiny-lm"})).await;
    until(|| async { json!(captured(&account, "AllTraffic").len()) }, |count| *count == json!(50)).await;
    let objects: Vec<String> =
        account.objects().into_iter().filter(|object| object.starts_with("lockstep-work/capture/")).collect();
    assert!(objects.len() < 50, "{objects:?}");
    for object in objects {
        assert_eq!(account.key_of(&object).as_deref(), Some("key-1"), "{object}");
    }
}
