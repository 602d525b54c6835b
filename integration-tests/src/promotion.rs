//! Promotes a run as two people do: one carries it, another approves it.

use std::{thread, time::Duration};

use aws_sdk_sagemaker::types::ModelApprovalStatus;
use local::{Connection, Identity};

use crate::{lockstep, said};

/// Promotes a run from an account to another, or to the same, approves the run that this starts there, and gives the
/// exit code and what was said. Nothing else may wait for approval there.
pub fn promote(run: &str, from: &Connection, to: &Connection) -> (Option<i32>, String) {
    let arguments = ["promote", run, "--endpoint-url", &from.endpoint, "--to-endpoint-url", &to.endpoint];
    approving(&arguments, to)
}

/// Runs the program and approves whatever waits for that meanwhile.
pub fn approving(arguments: &[&str], to: &Connection) -> (Option<i32>, String) {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let carried = thread::spawn(move || lockstep(&arguments.iter().map(String::as_str).collect::<Vec<_>>()));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    while !carried.is_finished() {
        if let Some(package) = runtime.block_on(waiting_package(to)) {
            lockstep(&["approve", &package, "--reason", "as before", "--endpoint-url", &to.endpoint]);
        }
        thread::sleep(Duration::from_millis(500));
    }
    let output = carried.join().expect("the program was run");
    (output.status.code(), said(&output))
}

async fn waiting_package(account: &Connection) -> Option<String> {
    let config = account.sdk_config(Identity::Approver).await;
    let listed = aws_sdk_sagemaker::Client::new(&config)
        .list_model_packages()
        .model_package_group_name("tiny-lm")
        .model_approval_status(ModelApprovalStatus::PendingManualApproval)
        .send()
        .await;
    listed.ok()?.model_package_summary_list().first()?.model_package_arn().map(str::to_owned)
}
