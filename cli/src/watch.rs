//! `lockstep watch`: any execution, a state at a time.

use std::time::Duration;

use aws_sdk_sfn::Client;
use contract::{ErrorName, RunId};

use crate::args::{WatchArgs, Watched};
use crate::connection;
use crate::error::Error;
use crate::follow::Follower;
use crate::history::Timeline;
use crate::screen::Screen;

/// The state machine that Terraform makes, where the name is not changed.
const STATE_MACHINE: &str = "lockstep-pipeline";

/// Executions that a run id is looked for in, newest first.
const LOOK_BACK: usize = 200;

/// How long to wait between two questions: AWS counts them, the local account does not.
pub(crate) fn interval(local: bool) -> Duration {
    if local { Duration::from_millis(300) } else { Duration::from_secs(2) }
}

/// Shows an execution until it ends; true if it succeeded.
///
/// # Errors
/// As [`Error`] says: the target is neither form, nothing is found, or a call fails.
pub(crate) async fn watch(
    args: &WatchArgs,
    account: &connection::Target,
    screen: &Screen,
) -> Result<bool, Error> {
    screen.aside(&format!("watching {}", account.shown));
    let client = Client::new(&account.config);
    let arn = match &args.target {
        Watched::Execution(arn) => arn.clone(),
        Watched::Run(run) => {
            let state_machine = state_machine(args, &client).await?;
            find(&client, &state_machine, run).await?
        }
        Watched::Latest => {
            let state_machine = state_machine(args, &client).await?;
            latest(&client, &state_machine).await?
        }
    };
    screen.aside(&arn);
    let mut follower = Follower::new(client, &arn).with_transfer(account.s3());
    loop {
        let timeline = follower.look(screen).await?;
        if timeline.end.is_some() {
            return Ok(conclude(&timeline, screen));
        }
        tokio::time::sleep(interval(account.local)).await;
    }
}

/// Shows how an execution ended; true if it succeeded.
pub(crate) fn conclude(timeline: &Timeline, screen: &Screen) -> bool {
    let Some(end) = &timeline.end else { return false };
    let run = timeline.run_id.as_deref().unwrap_or("which was never admitted");
    if end.status == "SUCCEEDED" {
        let duplicate = timeline.state("AlreadyRunning").is_some();
        let what = if duplicate { "is a duplicate: another execution has it" } else { "succeeded" };
        screen.say(&format!("\n{} run {run} {what}", crate::screen::verdict("SUCCEEDED", true)));
        return true;
    }
    screen.say(&format!("\n{} run {run}", crate::screen::verdict(&end.status, false)));
    if let Some(error) = &end.error {
        let meaning = ErrorName::parse(error).map(|name| format!(": {}", name.meaning())).unwrap_or_default();
        screen.say(&format!("  {error}{meaning}"));
    }
    if let Some(cause) = &end.cause {
        screen.say(&format!("  {}", readable(cause)));
    }
    false
}

/// Lambda puts its error into a JSON object; the message is what a person reads.
pub(crate) fn readable(cause: &str) -> String {
    serde_json::from_str::<serde_json::Value>(cause)
        .ok()
        .and_then(|value| value["errorMessage"].as_str().map(str::to_owned))
        .unwrap_or_else(|| cause.to_owned())
}

async fn state_machine(args: &WatchArgs, client: &Client) -> Result<String, Error> {
    match &args.state_machine {
        Some(arn) => Ok(arn.clone()),
        None => find_state_machine(client).await,
    }
}

async fn latest(client: &Client, state_machine: &str) -> Result<String, Error> {
    let newest = client
        .list_executions()
        .state_machine_arn(state_machine)
        .send()
        .await
        .map_err(Error::aws("ListExecutions"))?;
    // The order is AWS's promise of newest first, and not every endpoint keeps it.
    let newest = newest.executions().iter().max_by_key(|execution| execution.start_date().as_nanos());
    newest
        .map(|execution| execution.execution_arn().to_owned())
        .ok_or_else(|| Error::NoExecution(state_machine.to_owned()))
}

/// The pipeline's state machine.
///
/// # Errors
/// [`Error::NoStateMachine`], [`Error::Aws`].
pub(crate) async fn find_state_machine(client: &Client) -> Result<String, Error> {
    let mut machines = client.list_state_machines().into_paginator().items().send();
    while let Some(machine) = machines.next().await {
        let machine = machine.map_err(Error::aws("ListStateMachines"))?;
        if machine.name() == STATE_MACHINE {
            return Ok(machine.state_machine_arn().to_owned());
        }
    }
    Err(Error::NoStateMachine(STATE_MACHINE))
}

/// The execution that has a run. Executions that EventBridge starts are named by it, so the run is looked for in
/// what admission answered.
async fn find(client: &Client, state_machine: &str, run: &RunId) -> Result<String, Error> {
    let mut executions =
        client.list_executions().state_machine_arn(state_machine).into_paginator().items().send();
    let mut duplicate = None;
    let mut seen = 0;
    while let Some(execution) = executions.next().await {
        let arn = execution.map_err(Error::aws("ListExecutions"))?.execution_arn().to_owned();
        let timeline = Follower::new(client.clone(), &arn).ask().await?;
        if timeline.run_id.as_deref() == Some(run.as_str()) || RunId::of_execution(&arn) == *run {
            if timeline.state("AlreadyRunning").is_none() {
                return Ok(arn);
            }
            duplicate = Some(arn);
        }
        seen += 1;
        if seen == LOOK_BACK {
            break;
        }
    }
    duplicate
        .ok_or_else(|| Error::RunUnknown { run_id: run.to_string(), state_machine: state_machine.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lambdas_cause_is_shown_as_its_message() {
        assert_eq!(
            readable(r#"{"errorType":"X","errorMessage":"config.json differs"}"#),
            "config.json differs"
        );
        assert_eq!(readable("plain"), "plain");
    }
}
