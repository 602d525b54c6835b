//! The three triggers, a trigger that is delivered twice, and an execution that is stopped in mid-training.

use std::{collections::BTreeSet, process::Command, time::Duration};

use aws_sdk_sfn::types::ExecutionStatus;
use integration_tests::{Demo, Evidence, Kept, root};
use local::{Connection, Identity};
use serde_json::{Value, json};

/// The staged request that a kept account leaves to copy, a moment after its summary.
fn staged(connection: &Connection) -> Value {
    let file = connection.state_dir.join("request.json");
    for _ in 0..100 {
        if let Ok(request) =
            std::fs::read(&file).map_err(drop).and_then(|text| serde_json::from_slice(&text).map_err(drop))
        {
            return request;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("no staged request at {}", file.display());
}

async fn upload(submitter: &Evidence, connection: &Connection, name: &str, request: &Value) -> String {
    let bucket = submitter.bucket("intake").await;
    let key = format!("requests/{}/{name}", connection.submitter.user_id);
    let body = request.to_string().into_bytes().into();
    submitter.s3.put_object().bucket(&bucket).key(&key).body(body).send().await.expect("the upload");
    format!("s3://{bucket}/{key}")
}

/// As an approver does in another terminal, with the approver's own keys.
fn approve(connection: &Connection, run: &str) {
    let program = std::env::current_exe().expect("a path");
    let program = program.ancestors().nth(2).expect("the target folder").join("lockstep");
    let approved = Command::new(program)
        .args(["approve", run, "--reason", "the metrics are good", "--endpoint-url", &connection.endpoint])
        .env("AWS_ACCESS_KEY_ID", &connection.approver.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &connection.approver.secret_access_key)
        .env("AWS_REGION", &connection.region)
        .current_dir(root())
        .output()
        .expect("the program starts");
    assert!(approved.status.success(), "{}", String::from_utf8_lossy(&approved.stderr));
}

/// Takes an execution from AwaitApproval to its end, as an approver in another terminal does.
async fn approve_and_finish(
    account: &Evidence,
    connection: &Connection,
    execution: &str,
    run: &str,
) -> Value {
    account.wait_for_state(execution, "AwaitApproval").await;
    // The wait's own function runs just after the state is entered.
    tokio::time::sleep(Duration::from_millis(500)).await;
    approve(connection, run);
    let (status, output) = account.wait_for_end(execution).await;
    assert_eq!(status, ExecutionStatus::Succeeded, "{output}");
    output
}

#[test]
fn every_trigger_starts_one_run_and_a_stopped_one_leaves_nothing() {
    let kept: Kept = Demo::new(&[]).keep();
    assert_eq!(kept.summary["status"], "SUCCEEDED");
    let (before, after) = (&kept.summary["metrics"]["before"], &kept.summary["metrics"]["after"]);
    let loss = |score: &Value| score["eval_loss"].as_f64().expect("a loss");
    assert!(loss(after) < loss(before) && loss(after) < 1.5, "{before} {after}");
    assert!(kept.summary["endpoint"]["answer"].as_str().is_some_and(|answer| !answer.trim().is_empty()));

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let account = Evidence::of(&kept.connection, Identity::Submitter).await;
        let request = staged(&kept.connection);
        invariant_06_the_same_upload_twice_is_one_run_and_another_nonce_another(
            &account,
            &kept.connection,
            &request,
        )
        .await;
        start_execution_takes_a_reference(&account, &kept.connection, &request).await;
        a_schedule_starts_a_run(&account, &kept.connection, &request).await;
        invariant_09_a_stopped_execution_leaves_no_job_and_one_record(&account, &request).await;
        invariant_05_every_run_has_one_record_and_was_told_of(&account, &kept.connection).await;
    });
    nothing_outlives_the_command(kept);
}

async fn invariant_06_the_same_upload_twice_is_one_run_and_another_nonce_another(
    account: &Evidence,
    connection: &Connection,
    request: &Value,
) {
    let records = account.records().await.len();
    let executions = account.executions().await.len();
    let mut first = request.clone();
    first["nonce"] = json!("twice");
    upload(account, connection, "twice.json", &first).await;
    let started = account.wait_for_executions(executions + 1).await[0].execution_arn().to_owned();
    account.wait_for_state(&started, "Acquire").await;
    upload(account, connection, "twice.json", &first).await;
    let again = account.wait_for_executions(executions + 2).await[0].execution_arn().to_owned();
    let (status, output) = account.wait_for_end(&again).await;
    assert_eq!(status, ExecutionStatus::Succeeded);
    assert_eq!(output["duplicate"], true, "{output}");

    // Refused by another state, so that it need not be trained: a run of its own all the same.
    let mut other = first.clone();
    other["nonce"] = json!("another");
    other["endpoint"]["name"] = json!("not-declared");
    upload(account, connection, "twice.json", &other).await;
    let third = account.wait_for_executions(executions + 3).await[0].execution_arn().to_owned();
    assert_eq!(account.wait_for_end(&third).await.0, ExecutionStatus::Failed);

    let run = output["run_id"].as_str().expect("the run's id");
    let output = approve_and_finish(account, connection, &started, run).await;
    assert_eq!(output["run"]["run_id"], run);
    assert_eq!(account.wait_for_records(records + 2).await.len(), records + 2, "one record a run");
}

async fn start_execution_takes_a_reference(account: &Evidence, connection: &Connection, request: &Value) {
    let records = account.records().await.len();
    let mut referred = request.clone();
    referred["nonce"] = json!("referred");
    referred["evaluation"]["thresholds"] = json!([{"metric": "perplexity", "below": 1.0}]);
    let executions = account.executions().await.len();
    let uri = upload(account, connection, "referred.json", &referred).await;
    // The upload itself starts a run, too; both are refused by the threshold.
    account.wait_for_executions(executions + 1).await;
    let input = json!({"request_uri": uri}).to_string();
    let started =
        account.sfn.start_execution().state_machine_arn(&account.state_machine).input(input).send().await;
    let started = started.expect("the execution starts");
    let (status, _) = account.wait_for_end(started.execution_arn()).await;
    assert_eq!(status, ExecutionStatus::Failed);
    let described = account.sfn.describe_execution().execution_arn(started.execution_arn()).send().await;
    assert_eq!(described.expect("it is described").error(), Some("ThresholdBreached"));
    account.wait_for_records(records + 2).await;
}

async fn a_schedule_starts_a_run(account: &Evidence, connection: &Connection, request: &Value) {
    let executions = account.executions().await.len();
    let mut scheduled = request.clone();
    // Refused at admission: what is shown is that the clock starts a run that is judged.
    scheduled["source"]["repo"] = json!("stranger/model");
    let uri = upload(account, connection, "scheduled.json", &scheduled).await;
    account.wait_for_executions(executions + 1).await;
    let input =
        json!({"schedule": {"name": "soon", "time": "<aws.scheduler.scheduled-time>"}, "request_uri": uri});
    let schedule = json!({
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ScheduleExpression": "rate(1 minutes)",
        "Target": {
            "Arn": account.state_machine,
            "RoleArn": format!("arn:aws:iam::{}:role/lockstep-scheduler", connection.account_id),
            "Input": input.to_string(),
        },
    });
    let scope = format!(
        "{}/20260101/{}/scheduler/aws4_request",
        connection.submitter.access_key_id, connection.region
    );
    let sent = reqwest::Client::new()
        .post(format!("{}/schedules/soon", connection.endpoint))
        .header(
            "Authorization",
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
        )
        .json(&schedule)
        .send()
        .await
        .expect("the schedule is sent");
    assert!(sent.status().is_success(), "{}", sent.text().await.unwrap_or_default());
    let newest = account.wait_for_executions(executions + 2).await[0].execution_arn().to_owned();
    let (status, _) = account.wait_for_end(&newest).await;
    assert_eq!(status, ExecutionStatus::Failed);
    let described =
        account.sfn.describe_execution().execution_arn(&newest).send().await.expect("it is described");
    assert_eq!(described.error(), Some("PolicyViolation"));
}

async fn invariant_09_a_stopped_execution_leaves_no_job_and_one_record(account: &Evidence, request: &Value) {
    let records = account.records().await.len();
    let input = json!({"request": request}).to_string();
    let started =
        account.sfn.start_execution().state_machine_arn(&account.state_machine).input(input).send().await;
    let started = started.expect("the execution starts");
    account.wait_for_state(started.execution_arn(), "Train").await;
    while account.jobs_running().await == 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    account.sfn.stop_execution().execution_arn(started.execution_arn()).send().await.expect("it is stopped");
    assert_eq!(account.wait_for_end(started.execution_arn()).await.0, ExecutionStatus::Aborted);
    assert_eq!(account.wait_for_records(records + 1).await.len(), records + 1);
    for _ in 0..150 {
        if account.jobs_running().await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("the training job of a stopped execution still runs");
}

async fn invariant_05_every_run_has_one_record_and_was_told_of(account: &Evidence, connection: &Connection) {
    let sealed: BTreeSet<String> = account
        .records()
        .await
        .iter()
        .filter_map(|key| key.strip_prefix("runs/")?.strip_suffix("/record.json").map(str::to_owned))
        .collect();
    let mut told = BTreeSet::new();
    let queue = sqs(connection, "GetQueueUrl", &json!({"QueueName": "lockstep-notifications"})).await;
    for _ in 0..100 {
        let asked = json!({"QueueUrl": queue["QueueUrl"], "MaxNumberOfMessages": 10});
        let answer = sqs(connection, "ReceiveMessage", &asked).await;
        for message in answer["Messages"].as_array().into_iter().flatten() {
            let body: Value =
                serde_json::from_str(message["Body"].as_str().expect("a body")).expect("an envelope");
            let text = body["Message"].as_str().expect("a message");
            assert!(!text.contains("task_token"), "a notification must not hold a task token: {text}");
            let notification: Value = serde_json::from_str(text).expect("JSON");
            if notification["kind"] == "RunSealed" {
                told.insert(notification["run_id"].as_str().expect("a run").to_owned());
            }
        }
        if sealed.is_subset(&told) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(told, sealed, "runs with a notification, and runs with a record");
}

async fn sqs(connection: &Connection, action: &str, body: &Value) -> Value {
    let scope =
        format!("{}/20260101/{}/sqs/aws4_request", connection.submitter.access_key_id, connection.region);
    let sent = reqwest::Client::new()
        .post(&connection.endpoint)
        .header("X-Amz-Target", format!("AmazonSQS.{action}"))
        .header("Content-Type", "application/x-amz-json-1.0")
        .header(
            "Authorization",
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
        )
        .body(body.to_string())
        .send()
        .await
        .expect("the queue answers");
    sent.json().await.expect("JSON")
}

fn nothing_outlives_the_command(kept: Kept) {
    let endpoint = kept.connection.endpoint.clone();
    let state_dir = kept.connection.state_dir.clone();
    kept.interrupt();
    let address = endpoint.trim_start_matches("http://").to_owned();
    assert!(std::net::TcpStream::connect(&address).is_err(), "{endpoint} still answers");
    let marker = state_dir.to_string_lossy().into_owned();
    for entry in std::fs::read_dir("/proc").expect("processes").flatten() {
        let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        for bytes in [read("cmdline"), read("environ")] {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert!(!text.contains(&marker), "process {:?} outlives the command", entry.file_name());
        }
    }
}
