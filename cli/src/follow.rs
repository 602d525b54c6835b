//! Follows one execution through Step Functions' public API.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::HistoryEvent;
use contract::TransferTotal;

use crate::error::Error;
use crate::history::{self, End, Event, State, Status, Timeline, What};
use crate::screen::Screen;
use crate::transfer_progress::{self, TransferReader};

/// An execution that is followed.
pub(crate) struct Follower {
    client: Client,
    execution_arn: String,
    transfer: Option<TransferReader>,
    /// The statuses that were shown, by name, with the number of entries.
    shown: Vec<(String, Status, usize)>,
    is_cost_shown: bool,
}

impl Follower {
    /// Follows an execution.
    pub(crate) fn new(client: Client, execution_arn: &str) -> Self {
        Self {
            client,
            execution_arn: execution_arn.to_owned(),
            transfer: None,
            shown: Vec::new(),
            is_cost_shown: false,
        }
    }

    /// Shows how far the files are, too, while they are fetched.
    pub(crate) fn with_transfer(self, s3: aws_sdk_s3::Client) -> Self {
        Self { transfer: Some(TransferReader::new(s3)), ..self }
    }

    /// Asks how the execution stands, and shows it.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub(crate) async fn look(&mut self, screen: &Screen) -> Result<Timeline, Error> {
        let timeline = self.ask().await?;
        let total = match &mut self.transfer {
            Some(transfer) => transfer.ask(&timeline, screen).await,
            None => None,
        };
        self.show(&timeline, total.as_ref(), screen);
        Ok(timeline)
    }

    /// Asks how the execution stands.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub(crate) async fn ask(&self) -> Result<Timeline, Error> {
        // The status first: if it has ended, the history that is read after is whole.
        let described = self
            .client
            .describe_execution()
            .execution_arn(&self.execution_arn)
            .send()
            .await
            .map_err(Error::aws("DescribeExecution"))?;
        let mut timeline = history::read(&events(&self.client, &self.execution_arn).await?);
        match described.status().as_str() {
            "RUNNING" | "PENDING_REDRIVE" => timeline.end = None,
            status => {
                // History leaves the cause out where the last state could not be left; the description has it.
                let end = timeline.end.get_or_insert_with(|| End {
                    status: status.to_owned(),
                    error: None,
                    cause: None,
                });
                status.clone_into(&mut end.status);
                end.error = end.error.take().or_else(|| described.error().map(str::to_owned));
                end.cause = end.cause.take().or_else(|| described.cause().map(str::to_owned));
            }
        }
        Ok(timeline)
    }

    /// Shows what has ended since the last time, and what is running now.
    fn show(&mut self, timeline: &Timeline, transfer: Option<&TransferTotal>, screen: &Screen) {
        let mut ended: Vec<&State> = Vec::new();
        for state in &timeline.states {
            let now = (state.name.clone(), state.status, state.entries);
            let known = self.shown.iter().position(|(name, _, _)| *name == state.name);
            if state.status != Status::Running && known.is_none_or(|at| self.shown[at] != now) {
                ended.push(state);
            }
            match known {
                Some(at) => self.shown[at] = now,
                None => self.shown.push(now),
            }
        }
        // In the order in which they ended, the inner before the outer.
        let end = |state: &State| state.entered + state.seconds;
        ended.sort_by(|a, b| end(a).total_cmp(&end(b)).then(b.depth.cmp(&a.depth)));
        for state in ended {
            screen.state(state);
        }
        if !self.is_cost_shown && !timeline.cost.items.is_empty() {
            self.is_cost_shown = true;
            screen.aside(&format!("  at most {:.2} USD: {}", timeline.cost.usd(), timeline.cost));
        }
        let running = timeline.running();
        if timeline.end.is_some() || running.is_empty() {
            screen.idle();
        } else if let Some(total) = transfer {
            let said = transfer_progress::describe(total);
            screen.progress(total.stored_bytes, total.bytes, &said, &running.join(", "));
        } else {
            screen.doing(&running.join(", "));
        }
    }
}

async fn events(client: &Client, execution_arn: &str) -> Result<Vec<Event>, Error> {
    let mut pages = client
        .get_execution_history()
        .execution_arn(execution_arn)
        // The data says which run it is, and which states were left through a Catch. It is never shown.
        .include_execution_data(true)
        .max_results(1000)
        .into_paginator()
        .items()
        .send();
    let mut events = Vec::new();
    while let Some(event) = pages.next().await {
        events.push(translate(&event.map_err(Error::aws("GetExecutionHistory"))?));
    }
    Ok(events)
}

/// Step Functions' event as far as states are concerned.
fn translate(event: &HistoryEvent) -> Event {
    let kind = event.r#type().as_str();
    let what = if let Some(state) = kind.strip_suffix("StateEntered") {
        let details = event.state_entered_event_details();
        What::Entered {
            kind: state.to_owned(),
            name: details.map(|d| d.name().to_owned()).unwrap_or_default(),
            input: details.and_then(|d| d.input()).unwrap_or_default().to_owned(),
        }
    } else if kind.ends_with("StateExited") {
        let details = event.state_exited_event_details();
        What::Exited {
            name: details.map(|d| d.name().to_owned()).unwrap_or_default(),
            output: details.and_then(|d| d.output()).unwrap_or_default().to_owned(),
        }
    } else {
        match kind {
            "TaskScheduled" | "LambdaFunctionScheduled" | "ActivityScheduled" => What::Tried,
            "TaskFailed"
            | "TaskSubmitFailed"
            | "TaskStartFailed"
            | "TaskTimedOut"
            | "LambdaFunctionFailed"
            | "LambdaFunctionScheduleFailed"
            | "LambdaFunctionStartFailed"
            | "LambdaFunctionTimedOut" => What::Failed { error: failure(event).unwrap_or(kind).to_owned() },
            "ExecutionSucceeded" => end("SUCCEEDED", None, None),
            "ExecutionFailed" => {
                let details = event.execution_failed_event_details();
                end("FAILED", details.and_then(|d| d.error()), details.and_then(|d| d.cause()))
            }
            "ExecutionAborted" => {
                let details = event.execution_aborted_event_details();
                end("ABORTED", details.and_then(|d| d.error()), details.and_then(|d| d.cause()))
            }
            "ExecutionTimedOut" => {
                let details = event.execution_timed_out_event_details();
                end("TIMED_OUT", details.and_then(|d| d.error()), details.and_then(|d| d.cause()))
            }
            _ => What::Other,
        }
    };
    Event { id: event.id(), previous: event.previous_event_id(), at: event.timestamp().as_secs_f64(), what }
}

fn end(status: &str, error: Option<&str>, cause: Option<&str>) -> What {
    What::Ended(End {
        status: status.to_owned(),
        error: error.map(str::to_owned),
        cause: cause.map(str::to_owned),
    })
}

/// The error's name, from whichever of the details holds it.
fn failure(event: &HistoryEvent) -> Option<&str> {
    None.or_else(|| event.task_failed_event_details()?.error())
        .or_else(|| event.task_submit_failed_event_details()?.error())
        .or_else(|| event.task_start_failed_event_details()?.error())
        .or_else(|| event.task_timed_out_event_details()?.error())
        .or_else(|| event.lambda_function_failed_event_details()?.error())
        .or_else(|| event.lambda_function_schedule_failed_event_details()?.error())
        .or_else(|| event.lambda_function_start_failed_event_details()?.error())
        .or_else(|| event.lambda_function_timed_out_event_details()?.error())
}

#[cfg(test)]
mod tests {
    use aws_sdk_sfn::primitives::DateTime;
    use aws_sdk_sfn::types::{
        HistoryEventType, LambdaFunctionFailedEventDetails, StateEnteredEventDetails,
        TaskTimedOutEventDetails,
    };

    use super::*;

    fn event(kind: HistoryEventType) -> aws_sdk_sfn::types::builders::HistoryEventBuilder {
        HistoryEvent::builder().timestamp(DateTime::from_millis(1500)).r#type(kind).id(2).previous_event_id(1)
    }

    #[test]
    fn service_events_are_told_apart() {
        let details = StateEnteredEventDetails::builder().name("Train").input("{}").build().unwrap();
        let entered =
            event(HistoryEventType::TaskStateEntered).state_entered_event_details(details).build().unwrap();
        let what = What::Entered { kind: "Task".into(), name: "Train".into(), input: "{}".into() };
        assert_eq!(translate(&entered), Event { id: 2, previous: 1, at: 1.5, what });

        let details = LambdaFunctionFailedEventDetails::builder().error("DigestMismatch").build();
        let failed = event(HistoryEventType::LambdaFunctionFailed)
            .lambda_function_failed_event_details(details)
            .build()
            .unwrap();
        assert_eq!(translate(&failed).what, What::Failed { error: "DigestMismatch".into() });

        let details = TaskTimedOutEventDetails::builder()
            .resource_type("lambda")
            .resource("invoke")
            .error("States.Timeout");
        let late =
            event(HistoryEventType::TaskTimedOut).task_timed_out_event_details(details.build().unwrap());
        assert_eq!(translate(&late.build().unwrap()).what, What::Failed { error: "States.Timeout".into() });

        let started = event(HistoryEventType::ParallelStateStarted).build().unwrap();
        assert_eq!(translate(&started).what, What::Other);
    }
}
