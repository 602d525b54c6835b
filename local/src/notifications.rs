//! What the topic sends, kept for whoever asks: an e-mail's stand-in.

use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::wire::{Error, Wire};

/// The queue that stands in for subscribers.
const QUEUE: &str = "lockstep-notifications";

#[derive(Debug)]
pub(crate) struct Notifications {
    account: Wire,
    queue_url: String,
    received: Mutex<Vec<Value>>,
}

impl Notifications {
    /// Makes the queue.
    pub(crate) async fn open(account: Wire) -> Result<Self, Error> {
        let answer = account.json("sqs", "AmazonSQS.CreateQueue", &json!({ "QueueName": QUEUE })).await?;
        let queue_url = text(&answer, "/QueueUrl", "CreateQueue")?;
        Ok(Self { account, queue_url, received: Mutex::default() })
    }

    /// Has the topic send to the queue.
    pub(crate) async fn subscribe(&self, topic: &str) -> Result<(), Error> {
        let asked = json!({ "QueueUrl": self.queue_url, "AttributeNames": ["QueueArn"] });
        let answer = self.account.json("sqs", "AmazonSQS.GetQueueAttributes", &asked).await?;
        let queue = text(&answer, "/Attributes/QueueArn", "GetQueueAttributes")?;
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "Service": "sns.amazonaws.com" },
                "Action": "sqs:SendMessage",
                "Resource": queue,
                "Condition": { "ArnEquals": { "aws:SourceArn": topic } },
            }],
        });
        let granted = json!({ "QueueUrl": self.queue_url, "Attributes": { "Policy": policy.to_string() } });
        self.account.json("sqs", "AmazonSQS.SetQueueAttributes", &granted).await?;
        self.account
            .query(
                "sns",
                "2010-03-31",
                "Subscribe",
                &[("TopicArn", topic), ("Protocol", "sqs"), ("Endpoint", &queue)],
            )
            .await?;
        Ok(())
    }

    /// Everything that arrived so far: SNS envelopes, each message's own JSON read.
    pub(crate) async fn all(&self) -> Result<Vec<Value>, Error> {
        let mut received = self.received.lock().await;
        loop {
            let asked =
                json!({ "QueueUrl": self.queue_url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0 });
            let answer = self.account.json("sqs", "AmazonSQS.ReceiveMessage", &asked).await?;
            let messages = answer["Messages"].as_array().cloned().unwrap_or_default();
            if messages.is_empty() {
                return Ok(received.clone());
            }
            for message in messages {
                let body = message["Body"].as_str().unwrap_or_default();
                received.push(read(body));
                let done = json!({ "QueueUrl": self.queue_url, "ReceiptHandle": message["ReceiptHandle"] });
                self.account.json("sqs", "AmazonSQS.DeleteMessage", &done).await?;
            }
        }
    }
}

fn text(answer: &Value, pointer: &str, operation: &str) -> Result<String, Error> {
    answer
        .pointer(pointer)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| Error::Incomplete { operation: operation.to_owned(), missing: "the queue" })
}

/// An SNS envelope with its message read where the message is JSON.
fn read(body: &str) -> Value {
    let mut envelope: Value = serde_json::from_str(body).unwrap_or_else(|_| json!({ "Message": body }));
    if let Some(message) =
        envelope["Message"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok())
    {
        envelope["Message"] = message;
    }
    envelope
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_messages_own_json_is_read() {
        let envelope = read(r#"{"Subject":"Lockstep","Message":"{\"run_id\":\"1\"}"}"#);
        assert_eq!(envelope["Message"]["run_id"], "1");
        assert_eq!(read("plain")["Message"], "plain");
    }
}
