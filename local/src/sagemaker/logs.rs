//! What jobs print, in CloudWatch Logs.

use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::backend::Backend;
use crate::jobs::log::Line;

/// How many lines one call takes; the service's own bound is 10 000.
const BATCH: usize = 1000;

/// A listener that carries lines to a log stream, made when the first line comes. Lost lines are in the job's file.
pub(super) fn stream(backend: Backend, group: String, stream: String) -> UnboundedSender<Line> {
    let (sender, lines) = unbounded_channel();
    tokio::spawn(carry(backend, group, stream, lines));
    sender
}

async fn carry(backend: Backend, group: String, stream: String, mut lines: UnboundedReceiver<Line>) {
    let mut batch = Vec::new();
    let mut made = false;
    while lines.recv_many(&mut batch, BATCH).await > 0 {
        if !made {
            for (target, body) in [
                ("Logs_20140328.CreateLogGroup", json!({"logGroupName": group})),
                ("Logs_20140328.CreateLogStream", json!({"logGroupName": group, "logStreamName": stream})),
            ] {
                // That it exists already is the usual answer for the group.
                let _ = backend.json("logs", target, &body).await;
            }
            made = true;
        }
        let events: Vec<_> =
            batch.drain(..).map(|line| json!({"timestamp": line.at, "message": line.text})).collect();
        let body = json!({"logGroupName": group, "logStreamName": stream, "logEvents": events});
        if let Err(error) = backend.json("logs", "Logs_20140328.PutLogEvents", &body).await {
            tracing::debug!(group, stream, %error, "log lines not delivered");
        }
        // A little patience makes one call of what a busy program prints.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
