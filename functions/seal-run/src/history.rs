//! The execution's history, copied out before Step Functions forgets it after 90 days.
//!
//! Events are asked for without execution data, and of each only what is named here is kept: parameters hold task
//! tokens (invariant 7).

use aws_sdk_sfn::{primitives::DateTime, types::HistoryEvent};
use evidence::StateTimes;
use runtime::failed;
use serde::Serialize;

/// An event, redacted.
#[derive(Debug, Serialize)]
pub struct Event {
    id: i64,
    #[serde(rename = "type")]
    kind: String,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Reads the whole history as far as it goes; none of an execution that Step Functions no longer knows.
///
/// # Errors
/// Step Functions' own.
pub async fn read(sfn: &aws_sdk_sfn::Client, execution_arn: &str) -> Result<Vec<Event>, runtime::Error> {
    let mut pages = sfn
        .get_execution_history()
        .execution_arn(execution_arn)
        .include_execution_data(false)
        .max_results(1000)
        .into_paginator()
        .send();
    let mut events = Vec::new();
    while let Some(page) = pages.next().await {
        match page {
            Ok(page) => events.extend(page.events().iter().map(redact)),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_execution_does_not_exist()) => break,
            Err(error) => return Err(failed("states:GetExecutionHistory")(error).into()),
        }
    }
    Ok(events)
}

fn redact(event: &HistoryEvent) -> Event {
    let entered = event.state_entered_event_details().map(|details| details.name());
    let left = event.state_exited_event_details().map(|details| details.name());
    let errors = [
        event.task_failed_event_details().and_then(|details| details.error()),
        event.task_timed_out_event_details().and_then(|details| details.error()),
        event.lambda_function_failed_event_details().and_then(|details| details.error()),
        event.execution_failed_event_details().and_then(|details| details.error()),
        event.execution_aborted_event_details().and_then(|details| details.error()),
        event.execution_timed_out_event_details().and_then(|details| details.error()),
    ];
    Event {
        id: event.id(),
        kind: event.r#type().as_str().to_owned(),
        timestamp: time(event.timestamp()),
        state: entered.or(left).map(str::to_owned),
        error: errors.into_iter().flatten().next().map(str::to_owned),
    }
}

/// RFC 3339 with milliseconds, as AWS has it.
fn time(at: &DateTime) -> String {
    at.to_millis()
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
        .map_or_else(|| at.to_string(), |at| at.to_string())
}

/// The stays in each state, in the order in which they began.
pub fn states(events: &[Event]) -> Vec<StateTimes> {
    let mut states: Vec<StateTimes> = Vec::new();
    for event in events {
        let Some(name) = &event.state else { continue };
        if event.kind.ends_with("StateEntered") {
            let (name, entered_at) = (name.clone(), event.timestamp.clone());
            states.push(StateTimes { name, entered_at, left_at: None });
        } else if event.kind.ends_with("StateExited") {
            // Iterations of a Map stay in one state side by side; which of them left does not show here.
            let open = states.iter_mut().find(|state| state.name == *name && state.left_at.is_none());
            if let Some(open) = open {
                open.left_at = Some(event.timestamp.clone());
            }
        }
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, state: &str, at: &str) -> Event {
        Event { id: 1, kind: kind.into(), timestamp: at.into(), state: Some(state.into()), error: None }
    }

    #[test]
    fn a_state_that_was_never_left_says_so() {
        let events = [
            event("TaskStateEntered", "Admit", "1"),
            event("TaskStateExited", "Admit", "2"),
            event("TaskStateEntered", "Train", "3"),
        ];
        let states: Vec<_> = states(&events).into_iter().map(|s| (s.name, s.entered_at, s.left_at)).collect();
        let expected = [("Admit", "1", Some("2")), ("Train", "3", None)];
        let expected = expected.map(|(n, e, l)| (n.to_owned(), e.to_owned(), l.map(str::to_owned)));
        assert_eq!(states, expected);
    }

    #[test]
    fn invariant_07_a_kept_event_holds_no_parameters_and_no_token() {
        use aws_sdk_sfn::types::{HistoryEventType, TaskScheduledEventDetails};
        let details = TaskScheduledEventDetails::builder()
            .resource_type("lambda")
            .resource("invoke.waitForTaskToken")
            .region("us-east-1")
            .parameters(r#"{"task_token": "sesame"}"#)
            .build()
            .unwrap();
        let event = HistoryEvent::builder()
            .id(1)
            .r#type(HistoryEventType::TaskScheduled)
            .timestamp(DateTime::from_secs(1))
            .task_scheduled_event_details(details)
            .build()
            .unwrap();
        let kept = serde_json::to_string(&redact(&event)).unwrap();
        assert_eq!(kept, r#"{"id":1,"type":"TaskScheduled","timestamp":"1970-01-01T00:00:01Z"}"#);
    }
}
