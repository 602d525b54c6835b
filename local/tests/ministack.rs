//! MiniStack as it is started here: what it corrects, and that nothing of it stays.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use local::ministack::{MiniStack, Settings};
use local::python::{Environment, MINISTACK};
use local::wire::Wire;
use local::{ACCOUNT_ID, REGION, Silent};
use serde_json::{Value, json};
use tempfile::TempDir;

async fn start() -> (MiniStack, Wire, TempDir) {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let python = Environment::prepare(&root.join(".lockstep"), MINISTACK, &Silent).await.unwrap().python();
    let state_dir = tempfile::tempdir().unwrap();
    let ministack = MiniStack::start(Settings {
        python: &python,
        state_dir: state_dir.path(),
        endpoint: "http://127.0.0.1:1",
        region: REGION,
        account_id: ACCOUNT_ID,
        enforce_policies: false,
        rehearsal: None,
    })
    .await
    .unwrap();
    let wire = Wire::new(ministack.url(), REGION, "test");
    (ministack, wire, state_dir)
}

async fn states(wire: &Wire, operation: &str, input: Value) -> Value {
    wire.json("states", &format!("AWSStepFunctions.{operation}"), &input).await.unwrap()
}

async fn machine(wire: &Wire, name: &str, definition: Value) -> String {
    let made = states(
        wire,
        "CreateStateMachine",
        json!({ "name": name, "definition": definition.to_string(), "roleArn": "arn:aws:iam::000000000000:role/r" }),
    )
    .await;
    made["stateMachineArn"].as_str().unwrap().to_owned()
}

async fn run(wire: &Wire, machine: &str, input: Value) -> String {
    let started =
        states(wire, "StartExecution", json!({ "stateMachineArn": machine, "input": input.to_string() }))
            .await;
    started["executionArn"].as_str().unwrap().to_owned()
}

async fn ended(wire: &Wire, execution: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let described = states(wire, "DescribeExecution", json!({ "executionArn": execution })).await;
        if described["status"] != "RUNNING" {
            return described;
        }
        assert!(Instant::now() < deadline, "{execution} still runs");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A function that writes a line to its log.
async fn function(ministack: &MiniStack, name: &str) {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("speaks.py", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(b"def handler(event, context):\n    print('a line of the log')\n    return 'said'\n")
        .unwrap();
    let code = base64::engine::general_purpose::STANDARD.encode(zip.finish().unwrap().into_inner());
    let made = reqwest::Client::new()
        .post(format!("{}/2015-03-31/functions", ministack.url()))
        .header("authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request")
        .body(
            json!({
                "FunctionName": name,
                "Runtime": "python3.11",
                "Handler": "speaks.handler",
                "Role": "arn:aws:iam::000000000000:role/r",
                "Code": { "ZipFile": code },
            })
            .to_string(),
        )
        .send()
        .await
        .unwrap();
    assert!(made.status().is_success(), "{}", made.text().await.unwrap());
}

/// A wait for a task token that nobody will answer.
fn wait(next: &[(&str, Value)]) -> Value {
    let mut state = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {
            "QueueUrl": "http://127.0.0.1/000000000000/tokens",
            "MessageBody": { "token.$": "$$.Task.Token" },
        },
        "End": true,
    });
    for (name, value) in next {
        state[*name] = value.clone();
    }
    state
}

async fn queue(wire: &Wire) -> String {
    let made = wire.json("sqs", "AmazonSQS.CreateQueue", &json!({ "QueueName": "tokens" })).await.unwrap();
    made["QueueUrl"].as_str().unwrap().to_owned()
}

/// Takes the next task token from the queue.
async fn token(wire: &Wire, queue: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let answer =
            wire.json("sqs", "AmazonSQS.ReceiveMessage", &json!({ "QueueUrl": queue })).await.unwrap();
        if let Some(message) = answer["Messages"].as_array().and_then(|messages| messages.first()) {
            wire.json(
                "sqs",
                "AmazonSQS.DeleteMessage",
                &json!({ "QueueUrl": queue, "ReceiptHandle": message["ReceiptHandle"] }),
            )
            .await
            .unwrap();
            let body: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
            return body["token"].as_str().unwrap().to_owned();
        }
        assert!(Instant::now() < deadline, "no token came");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn it_stops_with_every_process_and_its_port() {
    let (ministack, _wire, _state) = start().await;
    let address = ministack.url().to_owned();
    let port = address.rsplit(':').next().unwrap().to_owned();
    drop(ministack);
    let again = std::net::TcpListener::bind(format!("127.0.0.1:{port}"));
    assert!(again.is_ok(), "{again:?}");
}

#[tokio::test]
async fn timeouts_and_heartbeats_by_path_are_enforced() {
    let (_ministack, wire, _state) = start().await;
    queue(&wire).await;
    let heartbeat = wait(&[
        ("TimeoutSecondsPath", json!("$.limits.total")),
        ("HeartbeatSecondsPath", json!("$.limits.beat")),
    ]);
    let machine = machine(&wire, "beat", json!({ "StartAt": "Wait", "States": { "Wait": heartbeat } })).await;
    let begun = Instant::now();
    let beat = run(&wire, &machine, json!({ "limits": { "total": 15, "beat": 1 } })).await;
    let ended_beat = ended(&wire, &beat).await;
    assert_eq!(
        (ended_beat["status"].as_str(), ended_beat["error"].as_str()),
        (Some("FAILED"), Some("States.Timeout"))
    );
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    let wrong = run(&wire, &machine, json!({ "limits": { "total": "soon", "beat": 1 } })).await;
    assert_eq!(ended(&wire, &wrong).await["error"], "States.Runtime");
}

#[tokio::test]
async fn a_stopped_execution_stays_aborted_and_starts_no_further_state() {
    let (_ministack, wire, _state) = start().await;
    let queue = queue(&wire).await;
    let iteration = json!({
        "StartAt": "First",
        "States": { "First": wait(&[("End", Value::Null), ("Next", json!("Second"))]), "Second": wait(&[]) },
    });
    let mut iteration = iteration;
    iteration["States"]["First"].as_object_mut().unwrap().remove("End");
    let machine = machine(
        &wire,
        "map",
        json!({ "StartAt": "Each", "States": { "Each": {
            "Type": "Map", "ItemProcessor": iteration, "End": true,
            "Retry": [{ "ErrorEquals": ["States.ALL"] }],
        } } }),
    )
    .await;
    let execution = run(&wire, &machine, json!([1])).await;
    let first = token(&wire, &queue).await;
    states(&wire, "StopExecution", json!({ "executionArn": execution })).await;
    let late = wire
        .json("states", "AWSStepFunctions.SendTaskSuccess", &json!({ "taskToken": first, "output": "{}" }))
        .await
        .unwrap_err();
    assert!(late.to_string().contains("TaskTimedOut"), "{late}");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let answer = wire.json("sqs", "AmazonSQS.ReceiveMessage", &json!({ "QueueUrl": queue })).await.unwrap();
    assert!(answer["Messages"].as_array().is_none_or(Vec::is_empty), "a second state began: {answer}");
    assert_eq!(ended(&wire, &execution).await["status"], "ABORTED");
}

#[tokio::test]
async fn a_failing_branch_ends_the_wait_of_its_sibling() {
    let (_ministack, wire, _state) = start().await;
    let queue = queue(&wire).await;
    let machine = machine(
        &wire,
        "parallel",
        json!({ "StartAt": "Both", "States": {
            "Both": {
                "Type": "Parallel",
                "Branches": [
                    { "StartAt": "Long", "States": { "Long": wait(&[]) } },
                    { "StartAt": "Short", "States": { "Short": wait(&[]) } },
                ],
                "Catch": [{ "ErrorEquals": ["ScanBlocked"], "Next": "Caught" }],
                "End": true,
            },
            "Caught": { "Type": "Succeed" },
        } }),
    )
    .await;
    let execution = run(&wire, &machine, json!({})).await;
    let (_one, other) = (token(&wire, &queue).await, token(&wire, &queue).await);
    let begun = Instant::now();
    states(
        &wire,
        "SendTaskFailure",
        json!({ "taskToken": other, "error": "ScanBlocked", "cause": "critical" }),
    )
    .await;
    assert_eq!(ended(&wire, &execution).await["status"], "SUCCEEDED");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_machines_timeout_ends_its_execution() {
    let (_ministack, wire, _state) = start().await;
    queue(&wire).await;
    let machine = machine(
        &wire,
        "late",
        json!({ "StartAt": "Wait", "TimeoutSeconds": 1, "States": { "Wait": wait(&[]) } }),
    )
    .await;
    let execution = run(&wire, &machine, json!({})).await;
    assert_eq!(ended(&wire, &execution).await["status"], "TIMED_OUT");
}

#[tokio::test]
async fn the_same_name_and_input_is_the_same_execution() {
    let (_ministack, wire, _state) = start().await;
    queue(&wire).await;
    let machine = machine(&wire, "once", json!({ "StartAt": "Wait", "States": { "Wait": wait(&[]) } })).await;
    let start = |input: &str| json!({ "stateMachineArn": machine, "name": "run-1", "input": input });
    let first = states(&wire, "StartExecution", start("{}")).await;
    let again = states(&wire, "StartExecution", start("{}")).await;
    assert_eq!(first["executionArn"], again["executionArn"]);
    let other = wire.json("states", "AWSStepFunctions.StartExecution", &start("[]")).await.unwrap_err();
    assert!(other.to_string().contains("ExecutionAlreadyExists"), "{other}");
}

#[tokio::test]
async fn a_token_is_answered_once() {
    let (_ministack, wire, _state) = start().await;
    let queue = queue(&wire).await;
    let machine =
        machine(&wire, "token", json!({ "StartAt": "Wait", "States": { "Wait": wait(&[]) } })).await;
    let execution = run(&wire, &machine, json!({})).await;
    let token = token(&wire, &queue).await;
    let answer = json!({ "taskToken": token, "output": "{\"ok\":true}" });
    states(&wire, "SendTaskSuccess", answer.clone()).await;
    assert_eq!(ended(&wire, &execution).await["output"], "{\"ok\": true}");
    let refused = |problem: local::wire::Error| problem.to_string();
    let second = wire.json("states", "AWSStepFunctions.SendTaskSuccess", &answer).await.map_err(refused);
    assert!(second.is_err_and(|text| text.contains("TaskTimedOut")));
    let unknown = json!({ "taskToken": "nobody's", "output": "{}" });
    let third = wire.json("states", "AWSStepFunctions.SendTaskSuccess", &unknown).await.map_err(refused);
    assert!(third.is_err_and(|text| text.contains("InvalidToken")));
}

/// A function may end after its log group is gone, and must not bring it back.
#[tokio::test]
async fn a_functions_log_goes_to_a_group_that_exists_and_makes_none() {
    let (ministack, wire, _state) = start().await;
    let groups = async || {
        wire.json("logs", "Logs_20140328.DescribeLogGroups", &json!({})).await.unwrap()["logGroups"].clone()
    };
    function(&ministack, "speaks").await;
    assert_eq!(wire.invoke_function("speaks", &json!({})).await.unwrap(), "\"said\"");
    assert_eq!(groups().await, json!([]));
    let group = json!({ "logGroupName": "/aws/lambda/speaks" });
    wire.json("logs", "Logs_20140328.CreateLogGroup", &group).await.unwrap();
    assert_eq!(wire.invoke_function("speaks", &json!({})).await.unwrap(), "\"said\"");
    let events = wire.json("logs", "Logs_20140328.FilterLogEvents", &group).await.unwrap();
    assert!(events.to_string().contains("a line of the log"), "{events}");
}

async fn monitor(wire: &Wire, operation: &str, input: Value) -> Value {
    wire.json("monitoring", &format!("GraniteServiceVersion20100801.{operation}"), &input).await.unwrap()
}

async fn alarm(wire: &Wire, name: &str, changes: Value) {
    let mut request = json!({
        "AlarmName": name, "Namespace": "AWS/SageMaker", "MetricName": "Invocation5XXErrors", "Statistic": "Sum",
        "Dimensions": [{"Name": "EndpointName", "Value": "a"}], "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "Threshold": 1, "Period": 10, "EvaluationPeriods": 1, "TreatMissingData": "notBreaching",
    });
    for (member, value) in changes.as_object().unwrap() {
        request[member] = value.clone();
    }
    monitor(wire, "PutMetricAlarm", request).await;
}

/// Puts values of a metric of endpoint `a`, as old as that.
async fn put(wire: &Wire, metric: &str, values: Value, age: i64) {
    let at = jiff::Timestamp::now().as_second() - age;
    let datum = json!({
        "MetricName": metric, "Dimensions": [{"Name": "EndpointName", "Value": "a"}], "Timestamp": at, "Values": values,
    });
    monitor(wire, "PutMetricData", json!({ "Namespace": "AWS/SageMaker", "MetricData": [datum] })).await;
}

async fn state_of(wire: &Wire, alarm: &str) -> String {
    let described = monitor(wire, "DescribeAlarms", json!({ "AlarmNames": [alarm] })).await;
    described["MetricAlarms"][0]["StateValue"].as_str().unwrap().to_owned()
}

async fn becomes(wire: &Wire, alarm: &str, state: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while state_of(wire, alarm).await != state {
        assert!(Instant::now() < deadline, "{alarm} is {} and not {state}", state_of(wire, alarm).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn an_alarm_rings_for_its_own_endpoint_and_ends_when_its_cause_does() {
    let (_ministack, wire, _state) = start().await;
    alarm(&wire, "own", json!({})).await;
    alarm(&wire, "other", json!({ "Dimensions": [{"Name": "EndpointName", "Value": "b"}] })).await;
    alarm(&wire, "unknown", json!({ "MetricName": "Nothing", "TreatMissingData": "missing" })).await;
    alarm(&wire, "twice", json!({ "EvaluationPeriods": 3, "DatapointsToAlarm": 2 })).await;
    let slow = json!({
        "MetricName": "ModelLatency", "ExtendedStatistic": "p99", "Statistic": null, "Threshold": 500,
    });
    alarm(&wire, "slow", slow).await;
    for (name, state) in [("own", "OK"), ("other", "OK"), ("unknown", "INSUFFICIENT_DATA"), ("slow", "OK")] {
        becomes(&wire, name, state).await;
    }
    put(&wire, "Invocation5XXErrors", json!([0, 1]), 3).await;
    assert_eq!(state_of(&wire, "own").await, "ALARM");
    assert_eq!(state_of(&wire, "other").await, "OK");
    assert_eq!(state_of(&wire, "twice").await, "OK");
    put(&wire, "Invocation5XXErrors", json!([1]), 13).await;
    assert_eq!(state_of(&wire, "twice").await, "ALARM");
    put(&wire, "ModelLatency", json!([100, 900]), 0).await;
    assert_eq!(state_of(&wire, "slow").await, "ALARM");
    becomes(&wire, "own", "OK").await;
    becomes(&wire, "twice", "OK").await;
}

#[tokio::test]
async fn a_change_of_an_alarms_state_is_an_event() {
    let (_ministack, wire, _state) = start().await;
    let queue = queue(&wire).await;
    let pattern = json!({ "source": ["aws.cloudwatch"], "detail": { "state": { "value": ["ALARM"] } } });
    let rule = json!({ "Name": "alarms", "EventPattern": pattern.to_string() });
    wire.json("events", "AWSEvents.PutRule", &rule).await.unwrap();
    let name = queue.rsplit('/').next().unwrap();
    let target = json!({ "Id": "q", "Arn": format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}") });
    let targets = json!({ "Rule": "alarms", "Targets": [target] });
    wire.json("events", "AWSEvents.PutTargets", &targets).await.unwrap();
    alarm(&wire, "errors", json!({})).await;
    becomes(&wire, "errors", "OK").await;
    put(&wire, "Invocation5XXErrors", json!([1]), 0).await;
    let receive = json!({ "QueueUrl": queue, "WaitTimeSeconds": 10 });
    let message = wire.json("sqs", "AmazonSQS.ReceiveMessage", &receive).await.unwrap();
    let event: Value = serde_json::from_str(message["Messages"][0]["Body"].as_str().unwrap()).unwrap();
    assert_eq!(event["detail-type"], "CloudWatch Alarm State Change");
    assert_eq!(event["detail"]["alarmName"], "errors");
    assert_eq!(event["detail"]["previousState"]["value"], "OK");
    // What a person set stays for a period, though nothing caused it.
    alarm(&wire, "set", json!({ "Period": 60 })).await;
    let set = json!({ "AlarmName": "set", "StateValue": "ALARM", "StateReason": "to see who is told" });
    monitor(&wire, "SetAlarmState", set).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(state_of(&wire, "set").await, "ALARM");
}
