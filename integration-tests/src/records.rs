//! Looks at a kept account as an auditor would: executions, records, notifications.

use std::time::{Duration, Instant};

use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus};
use local::{Connection, Identity};
use serde_json::Value;

/// How long anything is waited for. It bounds a test that would never end, and measures nothing: machines differ.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// Clients in a user's name, and what the tests ask of them.
pub struct Evidence {
    /// S3.
    pub s3: aws_sdk_s3::Client,
    /// Step Functions.
    pub sfn: aws_sdk_sfn::Client,
    /// SageMaker.
    pub sagemaker: aws_sdk_sagemaker::Client,
    /// The state machine.
    pub state_machine: String,
}

impl Evidence {
    /// Over an account.
    pub async fn of(connection: &Connection, who: Identity) -> Self {
        let config = connection.sdk_config(who).await;
        Self {
            s3: aws_sdk_s3::Client::new(&config),
            sfn: aws_sdk_sfn::Client::new(&config),
            sagemaker: aws_sdk_sagemaker::Client::new(&config),
            state_machine: format!(
                "arn:aws:states:{}:{}:stateMachine:lockstep-pipeline",
                connection.region, connection.account_id
            ),
        }
    }

    /// Every execution of the pipeline.
    pub async fn executions(&self) -> Vec<ExecutionListItem> {
        let listed = self.sfn.list_executions().state_machine_arn(&self.state_machine).send().await;
        listed.expect("executions can be listed").executions
    }

    /// Waits until `count` executions were started, and gives the newest first.
    pub async fn wait_for_executions(&self, count: usize) -> Vec<ExecutionListItem> {
        let start = Instant::now();
        loop {
            let mut executions = self.executions().await;
            if executions.len() >= count {
                executions.sort_by_key(|execution| std::cmp::Reverse(execution.start_date));
                return executions;
            }
            assert!(start.elapsed() < PATIENCE, "only {} executions started", executions.len());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until an execution has ended, and gives its status and output.
    pub async fn wait_for_end(&self, arn: &str) -> (ExecutionStatus, Value) {
        let start = Instant::now();
        loop {
            let described =
                self.sfn.describe_execution().execution_arn(arn).send().await.expect("it is described");
            if *described.status() != ExecutionStatus::Running {
                let output = described.output().and_then(|output| serde_json::from_str(output).ok());
                return (described.status().clone(), output.unwrap_or_default());
            }
            assert!(start.elapsed() < PATIENCE, "`{arn}` does not end");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until an execution has entered a state.
    pub async fn wait_for_state(&self, arn: &str, state: &str) {
        let start = Instant::now();
        loop {
            let history = self.sfn.get_execution_history().execution_arn(arn).max_results(1000).send().await;
            let entered = history.expect("it has a history").events.iter().any(|event| {
                event.state_entered_event_details().is_some_and(|details| details.name() == state)
            });
            if entered {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "`{arn}` never enters {state}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The execution that a run was admitted in, once it was.
    pub async fn execution_of(&self, run: &str) -> String {
        let bucket = self.bucket("work").await;
        let start = Instant::now();
        loop {
            let plan = self.s3.get_object().bucket(&bucket).key(format!("runs/{run}/plan.json")).send().await;
            if let Ok(plan) = plan {
                let bytes = plan.body.collect().await.expect("the plan's bytes").to_vec();
                let plan: Value = serde_json::from_slice(&bytes).expect("the plan is JSON");
                return plan["execution_arn"].as_str().expect("the plan names its execution").to_owned();
            }
            assert!(start.elapsed() < PATIENCE, "run {run} was not admitted");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The run that an execution admitted: what Admit answered stands in the history.
    pub async fn run_of(&self, execution: &str) -> String {
        let history = self.sfn.get_execution_history().execution_arn(execution).max_results(100).send().await;
        let events = history.expect("it has a history").events;
        let outputs = events.iter().filter_map(|event| event.state_exited_event_details()?.output());
        let runs = outputs.filter_map(|output| {
            let output: Value = serde_json::from_str(output).ok()?;
            Some(output.pointer("/run/run_id")?.as_str()?.to_owned())
        });
        runs.into_iter().next().expect("a run was admitted")
    }

    /// Approves a run's package, once there is one to decide about.
    pub async fn approve(&self, approver: &aws_sdk_sagemaker::Client, run: &str) {
        let start = Instant::now();
        loop {
            let listed = approver.list_model_packages().model_package_group_name("tiny-lm").send().await;
            for package in listed.expect("packages can be listed").model_package_summary_list() {
                let Some(arn) = package.model_package_arn() else { continue };
                let described = approver.describe_model_package().model_package_name(arn).send().await;
                let described = described.expect("it is described");
                let of = described.customer_metadata_properties().and_then(|all| all.get("run_id"));
                if of.is_none_or(|of| of != run) {
                    continue;
                }
                let update = approver
                    .update_model_package()
                    .model_package_arn(arn)
                    .model_approval_status(aws_sdk_sagemaker::types::ModelApprovalStatus::Approved)
                    .approval_description("looks good");
                update.send().await.expect("the approver may approve");
                return;
            }
            assert!(start.elapsed() < PATIENCE, "run {run} has no package");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The records in the evidence bucket, by key.
    pub async fn records(&self) -> Vec<String> {
        let bucket = self.bucket("evidence").await;
        let mut keys = Vec::new();
        let mut pages = self.s3.list_objects_v2().bucket(bucket).prefix("runs/").into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.expect("the evidence can be listed");
            keys.extend(page.contents().iter().filter_map(|o| o.key()).map(str::to_owned));
        }
        keys.retain(|key| key.ends_with("/record.json"));
        keys
    }

    /// Waits until there are `count` records.
    pub async fn wait_for_records(&self, count: usize) -> Vec<String> {
        let start = Instant::now();
        loop {
            let records = self.records().await;
            if records.len() >= count {
                return records;
            }
            assert!(start.elapsed() < PATIENCE, "only {} records were sealed", records.len());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// One of the three buckets.
    pub async fn bucket(&self, purpose: &str) -> String {
        let listed = self.s3.list_buckets().send().await.expect("buckets can be listed");
        let prefix = format!("lockstep-{purpose}-");
        let named =
            listed.buckets().iter().filter_map(|bucket| bucket.name()).find(|name| name.starts_with(&prefix));
        named.expect("the bucket exists").to_owned()
    }

    /// Training jobs that run.
    pub async fn jobs_running(&self) -> usize {
        let listed = self
            .sagemaker
            .list_training_jobs()
            .status_equals(aws_sdk_sagemaker::types::TrainingJobStatus::InProgress)
            .send()
            .await;
        listed.expect("training jobs can be listed").training_job_summaries().len()
    }
}
