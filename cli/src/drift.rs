//! `lockstep demo --drift`: traffic changes, the monitor notices, and a run that nobody asked for trains the next version.

use std::path::Path;
use std::time::Duration;

use local::wire::Wire;
use local::{Account, Identity, Outputs};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Error;
use crate::screen::Screen;
use crate::traffic::{Asked, Traffic};

/// Questions of each kind: the monitor wants a hundred to say anything.
const QUESTIONS: usize = 150;
/// The least share of answers that are what the row has, to the letter.
const LEAST_ACCURACY: f64 = 0.1;
/// SageMaker gathers captures before it stores them.
const GATHERED: Duration = Duration::from_millis(500);
/// How often captures are looked for.
const TRIES: usize = 120;

/// What the monitor says of an endpoint.
#[derive(Debug, Deserialize)]
pub(crate) struct Judgement {
    /// `stable`, `drifted`, `too_few_rows`, `not_serving` or `no_baseline`.
    pub verdict: String,
    /// Invocations that were compared.
    pub rows: u64,
    /// Features that drifted.
    pub features: Vec<String>,
    /// What labels say of earlier predictions: `stable`, `drifted` or `not_evaluated`.
    pub quality: Option<String>,
    /// Predictions that have a label.
    pub labelled: u64,
    /// Where the report lies.
    pub report: Option<String>,
    /// The event that told of drift.
    pub event_id: Option<String>,
}

/// Real questions that the next version is asked before traffic comes to it.
const REPLAYED: usize = 10;

/// Makes a request ask for another run when its traffic drifts, whose model answers what callers asked the one before.
pub(crate) fn ask_for_retraining(request: &mut Value) {
    request["endpoint"]["smoke_test"]["replay"] = json!({ "questions": REPLAYED });
    request["monitoring"] = json!({
        "settings": { "outcomes": {
            "prediction": "output.generated_text",
            "task": { "kind": "multiclass" },
            "labels": { "delay_hours": 0 },
            "at_least": { "accuracy": LEAST_ACCURACY },
            "groups": { "column": "input.attributes.kind", "min_samples": 20, "bounds": [{ "metric": "accuracy", "max_difference": 1 }] },
        }},
        "retrain": true,
    });
}

/// Shows the monitor the traffic that it expects, and then other traffic; the event that this made.
///
/// # Errors
/// [`Error::DriftMissed`] when it says otherwise than it should.
pub(crate) async fn shift(
    account: &Account,
    outputs: &Outputs,
    traffic: &Traffic,
    endpoint: &str,
    screen: &Screen,
) -> Result<String, Error> {
    let captures = Captures::of(account, outputs, endpoint).await;
    screen.heading("Traffic like the evaluation's");
    screen.doing("asking questions like those that the model was graded on");
    let before = captures.count().await?;
    let asked = traffic.like(QUESTIONS).await?;
    captures.wait_for(before + QUESTIONS).await?;
    screen.doing("bringing what turned out to be true of them");
    bring_labels(account, outputs, endpoint, &asked).await?;
    let judged = judge(account, endpoint).await?;
    show(&judged, screen);
    // Labels are judged once: an invocation that was delivered twice has nothing left to say of them.
    for found in std::iter::once(&judged.verdict).chain(&judged.quality) {
        if found != "stable" {
            return Err(Error::DriftMissed { expected: "stable", found: found.clone() });
        }
    }
    screen.heading("Other traffic");
    screen.doing("asking questions of another kind");
    traffic.unlike(QUESTIONS).await?;
    captures.wait_for(before + 2 * QUESTIONS).await?;
    let judged = judge(account, endpoint).await?;
    show(&judged, screen);
    match judged.event_id {
        Some(event) => Ok(event),
        None => Err(Error::DriftMissed { expected: "drifted", found: judged.verdict }),
    }
}

fn show(judged: &Judgement, screen: &Screen) {
    let features =
        if judged.features.is_empty() { String::new() } else { format!(": {}", judged.features.join(", ")) };
    screen.say(&format!("  {} over {} invocations{features}", judged.verdict, judged.rows));
    if let Some(quality) = &judged.quality {
        screen.say(&format!("  model quality: {quality} by {} labels", judged.labelled));
    }
    if let Some(report) = &judged.report {
        let page = Path::new(report).with_extension("html");
        screen.aside(&format!("  report {report}, page {}", page.display()));
    }
}

/// Brings labels in SageMaker's form to the hour in which it does so.
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-merge.html>
async fn bring_labels(
    account: &Account,
    outputs: &Outputs,
    endpoint: &str,
    asked: &[Asked],
) -> Result<(), Error> {
    let line = |asked: &Asked| {
        let label = json!(asked.truth).to_string();
        let data = json!({ "data": label, "encoding": "JSON" });
        json!({ "groundTruthData": data, "eventMetadata": { "eventId": asked.id }, "eventVersion": "0" })
    };
    let lines: String = asked.iter().map(|asked| line(asked).to_string() + "\n").collect();
    let hour = jiff::Timestamp::now().strftime("%Y/%m/%d/%H").to_string();
    let config = crate::local_account::s3_config(account, Identity::DataSteward).await;
    let key = format!("labels/{endpoint}/{hour}/labels.jsonl");
    let put = aws_sdk_s3::Client::from_conf(config).put_object().bucket(&outputs.work_bucket).key(key);
    put.body(lines.into_bytes().into()).send().await.map_err(Error::aws("PutObject"))?;
    Ok(())
}

/// Invokes the monitor as its schedule would.
async fn judge(account: &Account, endpoint: &str) -> Result<Judgement, Error> {
    let failed = |reason: String| Error::Aws { operation: "Invoke monitor-drift", reason };
    let wire = Wire::new(account.endpoint(), local::REGION, "test");
    let payload = json!({ "step": "Monitor", "endpoint": endpoint });
    let answer = wire.invoke_function("lockstep-monitor-drift", &payload).await;
    let answer = answer.map_err(|error| failed(error.to_string()))?;
    let judged: Vec<Judgement> = serde_json::from_str(&answer).map_err(|error| failed(error.to_string()))?;
    judged.into_iter().next().ok_or_else(|| failed("it judged no endpoint".to_owned()))
}

/// What was captured of an endpoint.
struct Captures {
    s3: aws_sdk_s3::Client,
    bucket: String,
    prefix: String,
}

impl Captures {
    async fn of(account: &Account, outputs: &Outputs, endpoint: &str) -> Self {
        let config = crate::local_account::s3_config(account, Identity::Submitter).await;
        let prefix = format!("capture/{endpoint}/");
        Self { s3: aws_sdk_s3::Client::from_conf(config), bucket: outputs.work_bucket.clone(), prefix }
    }

    async fn count(&self) -> Result<usize, Error> {
        let listed = self.s3.list_objects_v2().bucket(&self.bucket).prefix(&self.prefix).send().await;
        let listed = listed.map_err(Error::aws("ListObjectsV2"))?;
        let mut count = 0;
        for key in listed.contents().iter().filter_map(|object| object.key()) {
            let object = self.s3.get_object().bucket(&self.bucket).key(key).send().await;
            let body = object.map_err(Error::aws("GetObject"))?.body.collect().await;
            let broken = |error| Error::Aws { operation: "GetObject", reason: format!("{key}: {error}") };
            count += body.map_err(broken)?.to_vec().iter().filter(|byte| **byte == b'\n').count();
        }
        Ok(count)
    }

    async fn wait_for(&self, count: usize) -> Result<(), Error> {
        for _ in 0..TRIES {
            if self.count().await? >= count {
                return Ok(());
            }
            tokio::time::sleep(GATHERED).await;
        }
        Err(Error::DriftMissed { expected: "all invocations captured", found: "some are missing".to_owned() })
    }
}
