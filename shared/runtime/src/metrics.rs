//! CloudWatch metrics as log lines, in the Embedded Metric Format (CloudWatch's user guide, "Specification:
//! Embedded metric format"): Lambda's log goes to CloudWatch Logs, which takes the numbers out.
//!
//! `metrics_cloudwatch_embedded` and `metrique` are well kept, but the one brings a global recorder and the other
//! a writer with a dozen dependencies, where one struct and one line do.
//!
//! Every metric lies in the namespace `Lockstep` under one dimension, `Function` or `Endpoint`. A run or a batch is never a
//! dimension, since each combination of dimension values is a metric that is billed: they are properties, which
//! Logs Insights finds in the same line.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use serde_json::Value;

/// Where the metrics lie.
const NAMESPACE: &str = "Lockstep";

/// A unit, of CloudWatch's own list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Bytes a second.
    #[serde(rename = "Bytes/Second")]
    BytesPerSecond,
    /// A number of things.
    Count,
    /// Thousandths of a second.
    Milliseconds,
    /// No unit.
    None,
}

/// A measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Its name, such as `BytesFetched`.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// How much, in that unit.
    pub value: f64,
}

/// Measurements of one moment, which make one line.
#[derive(Clone, Debug)]
pub struct Measured<'a> {
    /// The dimension: `Function` and the function's name, or `Endpoint` and the endpoint's.
    pub dimension: (&'static str, &'a str),
    /// What else is known, such as the run. A property never hides a metric or the dimension.
    pub properties: &'a [(&'a str, Value)],
    /// At most 100, each name once.
    pub metrics: &'a [Metric],
}

impl Measured<'_> {
    /// Writes the line to standard output. A measurement that cannot be written is lost: it is never worth the
    /// work that it measures.
    pub fn emit(&self) {
        let _ = self.write(&mut io::stdout().lock(), SystemTime::now());
    }

    /// One write, so that a line is whole beside the log's: both go through standard output's lock.
    fn write(&self, out: &mut impl Write, at: SystemTime) -> io::Result<()> {
        let since_1970 = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut members: BTreeMap<&str, Value> = self.properties.iter().cloned().collect();
        members.extend(self.metrics.iter().map(|metric| (metric.name, Value::from(metric.value))));
        let (dimension, value) = self.dimension;
        members.insert(dimension, Value::from(value));
        let metrics =
            self.metrics.iter().map(|metric| Definition { name: metric.name, unit: metric.unit }).collect();
        let mut line = serde_json::to_vec(&Line {
            aws: Metadata {
                timestamp: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
                directives: [Directive { namespace: NAMESPACE, dimensions: [[dimension]], metrics }],
            },
            members,
        })?;
        line.push(b'\n');
        out.write_all(&line)
    }
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "_aws")]
    aws: Metadata,
    #[serde(flatten)]
    members: BTreeMap<&'a str, Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    /// Milliseconds since 1970.
    timestamp: u64,
    #[serde(rename = "CloudWatchMetrics")]
    directives: [Directive; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [[&'static str; 1]; 1],
    metrics: Vec<Definition>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: &'static str,
    unit: Unit,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn line(measured: &Measured<'_>) -> Value {
        let mut out = Vec::new();
        measured.write(&mut out, UNIX_EPOCH + Duration::from_millis(1_565_375_354_953)).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.find('\n'), Some(text.len() - 1), "one line, nothing before or after the object");
        serde_json::from_str(&text).unwrap()
    }

    const METRICS: &[Metric] = &[
        Metric { name: "BytesFetched", unit: Unit::Bytes, value: 8_388_608.0 },
        Metric { name: "FetchRate", unit: Unit::BytesPerSecond, value: 4_194_304.0 },
        Metric { name: "FilesStored", unit: Unit::Count, value: 0.0 },
        Metric { name: "Duration", unit: Unit::Milliseconds, value: 2000.5 },
    ];

    /// The rules of the specification's schema and prose.
    #[test]
    fn cloudwatch_finds_every_metric_that_a_line_announces() {
        let properties = [("run_id", json!("ab")), ("batch", json!(3))];
        let line = line(&Measured {
            dimension: ("Function", "download-model"),
            properties: &properties,
            metrics: METRICS,
        });
        assert_eq!(line["_aws"]["Timestamp"], json!(1_565_375_354_953_u64));
        assert_eq!(line["_aws"].as_object().unwrap().len(), 2, "objects have no members but the specified");
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        assert_eq!(directives.len(), 1);
        for directive in directives {
            assert_eq!(directive.as_object().unwrap().len(), 3);
            assert_eq!(directive["Namespace"], "Lockstep");
            let sets = directive["Dimensions"].as_array().unwrap();
            assert!(!sets.is_empty());
            for set in sets {
                let set = set.as_array().unwrap();
                assert!((1..=30).contains(&set.len()));
                for dimension in set {
                    let value = line[dimension.as_str().unwrap()].as_str().unwrap();
                    assert!((1..=1024).contains(&value.len()));
                }
            }
            let metrics = directive["Metrics"].as_array().unwrap();
            assert!((1..=100).contains(&metrics.len()));
            for metric in metrics {
                assert_eq!(metric.as_object().unwrap().len(), 2);
                assert!(line[metric["Name"].as_str().unwrap()].is_number());
                let units = ["Bytes", "Bytes/Second", "Count", "Milliseconds", "None"];
                assert!(units.contains(&metric["Unit"].as_str().unwrap()));
            }
        }
        assert_eq!(line["BytesFetched"], 8_388_608.0);
        assert_eq!((&line["run_id"], &line["batch"]), (&json!("ab"), &json!(3)));
    }

    #[test]
    fn a_property_hides_neither_a_metric_nor_the_dimension() {
        let properties = [("FetchRate", json!("fast")), ("Function", json!(1))];
        let line = line(&Measured {
            dimension: ("Function", "download-model"),
            properties: &properties,
            metrics: METRICS,
        });
        assert_eq!(line["FetchRate"], 4_194_304.0);
        assert_eq!(line["Function"], "download-model");
    }

    #[test]
    fn a_line_is_written_at_once() {
        struct Writes(usize);
        impl Write for Writes {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 += 1;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut writes = Writes(0);
        let measured =
            Measured { dimension: ("Function", "download-model"), properties: &[], metrics: METRICS };
        measured.write(&mut writes, SystemTime::now()).unwrap();
        assert_eq!(writes.0, 1);
    }
}
