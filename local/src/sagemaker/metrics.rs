//! The metrics of invocations that alarms watch, gathered for a second and then put.
//!
//! Source: the developer guide's page on monitoring SageMaker with CloudWatch.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::backend::Backend;

/// Requests that come faster than this share a put.
const GATHERED: Duration = Duration::from_secs(1);
/// What one metric may hold in values that differ, and one put in metrics.
const MOST_VALUES: usize = 150;
const MOST_METRICS: usize = 1000;

/// One invocation, as the service saw it.
#[derive(Debug, Clone)]
pub(super) struct Invocation {
    pub(super) endpoint: String,
    pub(super) config: String,
    pub(super) variant: String,
    /// Instances of the variant then.
    pub(super) instances: u64,
    /// What the container answered; none if it did not.
    pub(super) status: Option<u16>,
    /// The container's time.
    pub(super) model: Duration,
    /// The service's own.
    pub(super) overhead: Duration,
}

/// Where invocations are counted.
#[derive(Debug, Clone)]
pub(super) struct Metrics(mpsc::UnboundedSender<Message>);

#[derive(Debug)]
enum Message {
    Count(Invocation),
    Flush(oneshot::Sender<()>),
}

impl Metrics {
    /// Starts the task that puts them.
    pub(super) fn start(backend: Backend) -> Self {
        let (sender, queue) = mpsc::unbounded_channel();
        tokio::spawn(gather(backend, queue));
        Self(sender)
    }

    pub(super) fn count(&self, invocation: Invocation) {
        // Without a receiver the account is shutting down, and no alarm is left to ring.
        let _ = self.0.send(Message::Count(invocation));
    }

    /// Returns once all that was counted before has been put.
    pub(super) async fn flush(&self) {
        let (done, put) = oneshot::channel();
        if self.0.send(Message::Flush(done)).is_ok() {
            let _ = put.await;
        }
    }
}

async fn gather(backend: Backend, mut queue: mpsc::UnboundedReceiver<Message>) {
    let mut gathered = Gathered::default();
    let mut tick = tokio::time::interval(GATHERED);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let waiting = tokio::select! {
            message = queue.recv() => match message {
                Some(Message::Count(invocation)) => {
                    gathered.add(&invocation);
                    continue;
                }
                Some(Message::Flush(done)) => Some(done),
                None => return,
            },
            _ = tick.tick() => None,
        };
        let data = std::mem::take(&mut gathered).data();
        for part in data.chunks(MOST_METRICS) {
            let body = json!({"Namespace": "AWS/SageMaker", "MetricData": part});
            let put = backend.json("monitoring", "GraniteServiceVersion20100801.PutMetricData", &body).await;
            if let Err(error) = put {
                tracing::warn!(%error, "metrics of invocations were lost");
            }
        }
        if let Some(done) = waiting {
            let _ = done.send(());
        }
    }
}

/// A metric's name and unit.
type Named = (&'static str, &'static str);
/// Its dimensions: endpoint, variant, and configuration where it has that one too.
type Dimensions = (String, String, Option<String>);

/// How often each value came, by metric. Values are kept by their bits: all are positive, so their order is the same.
#[derive(Debug, Default)]
struct Gathered(BTreeMap<(Dimensions, Named), BTreeMap<u64, u64>>);

impl Gathered {
    fn add(&mut self, invocation: &Invocation) {
        let status = invocation.status.unwrap_or(500);
        let flag = |raised: bool| if raised { 1.0 } else { 0.0 };
        let values = [
            (("Invocations", "None"), 1.0),
            (("InvocationsPerInstance", "None"), 1.0 / invocation.instances.max(1) as f64),
            (("Invocation4XXErrors", "None"), flag((400..500).contains(&status))),
            (("Invocation5XXErrors", "None"), flag((500..600).contains(&status))),
            (("InvocationModelErrors", "None"), flag(!(200..300).contains(&status))),
            (("ModelLatency", "Microseconds"), invocation.model.as_micros() as f64),
            (("OverheadLatency", "Microseconds"), invocation.overhead.as_micros() as f64),
        ];
        // The configuration is a dimension too: an alarm can watch the new fleet alone.
        for config in [None, Some(invocation.config.clone())] {
            let dimensions = (invocation.endpoint.clone(), invocation.variant.clone(), config);
            for (named, value) in values {
                let counts = self.0.entry((dimensions.clone(), named)).or_default();
                *counts.entry(f64::to_bits(value)).or_default() += 1;
            }
        }
    }

    /// Values and their counts, since statistics alone would leave an alarm on a percentile nothing to see.
    fn data(self) -> Vec<Value> {
        let mut data = Vec::new();
        for (((endpoint, variant, config), (name, unit)), counts) in self.0 {
            let mut dimensions = vec![
                json!({"Name": "EndpointName", "Value": endpoint}),
                json!({"Name": "VariantName", "Value": variant}),
            ];
            dimensions.extend(config.map(|config| json!({"Name": "EndpointConfigName", "Value": config})));
            let counts: Vec<(f64, u64)> =
                counts.into_iter().map(|(value, count)| (f64::from_bits(value), count)).collect();
            for part in counts.chunks(MOST_VALUES) {
                let (values, counts): (Vec<f64>, Vec<u64>) = part.iter().copied().unzip();
                data.push(json!({
                    "MetricName": name, "Dimensions": dimensions, "Unit": unit, "Values": values, "Counts": counts,
                }));
            }
        }
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(status: Option<u16>, model: u64) -> Invocation {
        Invocation {
            endpoint: "tiny-lm".into(),
            config: "one".into(),
            variant: "primary".into(),
            instances: 2,
            status,
            model: Duration::from_millis(model),
            overhead: Duration::from_micros(7),
        }
    }

    fn metric<'a>(data: &'a [Value], name: &str) -> &'a Value {
        let named = |datum: &&Value| {
            datum["MetricName"] == name && datum["Dimensions"].as_array().unwrap().len() == 2
        };
        data.iter().find(named).unwrap()
    }

    #[test]
    fn a_second_of_requests_is_one_datum_a_metric() {
        let mut gathered = Gathered::default();
        for status in [Some(200), Some(200), Some(413), Some(500), None] {
            gathered.add(&asked(status, 3));
        }
        let data = gathered.data();
        assert_eq!(data.len(), 14);
        for (name, values, counts) in [
            ("Invocations", json!([1.0]), json!([5])),
            ("InvocationsPerInstance", json!([0.5]), json!([5])),
            ("Invocation4XXErrors", json!([0.0, 1.0]), json!([4, 1])),
            ("Invocation5XXErrors", json!([0.0, 1.0]), json!([3, 2])),
            ("InvocationModelErrors", json!([0.0, 1.0]), json!([2, 3])),
            ("ModelLatency", json!([3000.0]), json!([5])),
            ("OverheadLatency", json!([7.0]), json!([5])),
        ] {
            let datum = metric(&data, name);
            assert_eq!((&datum["Values"], &datum["Counts"]), (&values, &counts), "{name}");
        }
        assert_eq!(metric(&data, "ModelLatency")["Unit"], "Microseconds");
    }

    #[test]
    fn more_values_than_a_datum_takes_are_several() {
        let mut gathered = Gathered::default();
        for model in 0..400 {
            gathered.add(&asked(Some(200), model));
        }
        let data = gathered.data();
        let lengths: Vec<_> = data
            .iter()
            .filter(|datum| datum["MetricName"] == "ModelLatency")
            .map(|datum| datum["Values"].as_array().unwrap().len())
            .collect();
        assert_eq!(lengths, [150, 150, 100, 150, 150, 100]);
    }
}
