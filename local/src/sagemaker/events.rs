//! The events that SageMaker and ECR send when something changes.

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::backend::Backend;

/// One event, before the account gives it an id and a time.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) source: &'static str,
    pub(super) detail_type: &'static str,
    pub(super) resource: String,
    pub(super) detail: Value,
}

/// Sends events one after another, so that a job's `Completed` is not overtaken by its `Training`.
#[derive(Debug, Clone)]
pub(super) struct Events(mpsc::UnboundedSender<Event>);

impl Events {
    /// Starts the task that sends them.
    pub(super) fn start(backend: Backend) -> Self {
        let (sender, mut queue) = mpsc::unbounded_channel::<Event>();
        tokio::spawn(async move {
            while let Some(event) = queue.recv().await {
                deliver(&backend, &event).await;
            }
        });
        Self(sender)
    }

    pub(super) fn send(&self, event: Event) {
        // Without a receiver the account is shutting down, and nobody is left to hear it.
        let _ = self.0.send(event);
    }
}

async fn deliver(backend: &Backend, event: &Event) {
    let body = json!({"Entries": [{
        "Source": event.source,
        "DetailType": event.detail_type,
        "Resources": [event.resource],
        "Detail": event.detail.to_string(),
    }]});
    for attempt in 1..=3u64 {
        match backend.json("events", "AWSEvents.PutEvents", &body).await {
            Ok(answer) if answer["FailedEntryCount"].as_u64().unwrap_or(0) == 0 => return,
            Ok(answer) => {
                tracing::warn!(detail_type = event.detail_type, error = %answer["Entries"][0]["ErrorCode"], "event refused");
            }
            Err(error) => tracing::warn!(detail_type = event.detail_type, %error, "event not delivered"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(100 * attempt)).await;
    }
}

/// Events carry times in milliseconds, where the API has seconds.
pub(super) fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}
