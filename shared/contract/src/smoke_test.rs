//! Questions that a model answers on an endpoint of its own before traffic comes to it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Captured questions at most, for the same reason.
const REPLAYED_MAX: u32 = 100;
/// Questions at most: each is asked once, one after the other, within one invocation.
const QUESTIONS_MAX: usize = 20;
/// Bytes of a question at most. A request is a document that people read.
const BODY_MAX: usize = 64 * 1024;

/// What a temporary endpoint with the approved model and image must answer before traffic comes to the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SmokeTest {
    /// At most 20, asked in this order; one at least, unless questions are replayed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<SmokeQuestion>,
    /// Real questions that are asked too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
}

/// Questions that callers asked the version that serves now, of the last 24 hours, the latest first. Nothing is replayed for
/// an endpoint's first version; where a version serves and nothing was captured, the test fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// At most so many, 1 to 100.
    pub questions: u32,
    /// So many of them may be answered with an error.
    #[serde(default)]
    pub max_unanswered: u32,
}

/// One question, and what its answer must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SmokeQuestion {
    /// What is sent: text as it is, any other value as JSON. At most 64 KiB.
    pub body: Value,
    /// `application/json`, unless it says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// One or more. That the model answers at all, with a status of 200, is always expected.
    pub expect: Vec<Expectation>,
}

/// What an answer must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Wire", into = "Wire")]
#[schemars(with = "Wire")]
pub struct Expectation {
    /// Where in the answer's JSON, as a JSON pointer (RFC 6901); the whole body, as text, when left out.
    pub at: Option<String>,
    /// What is expected there.
    pub expected: Expected,
}

/// What is expected of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// It is this value.
    Equals(Value),
    /// It is a text that holds this one.
    Contains(String),
    /// It is a number, this one or greater.
    AtLeast(f64),
    /// It is a number, this one or smaller.
    AtMost(f64),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wire {
    /// Where in the answer's JSON, as a JSON pointer (RFC 6901); the whole body, as text, when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// The value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    equals: Option<Value>,
    /// A part of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contains: Option<String>,
    /// The least number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_least: Option<f64>,
    /// The greatest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_most: Option<f64>,
}

/// An expectation that names nothing to expect, or more than one thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expectation at `{0}`: give exactly one of `equals`, `contains` (some text), `at_least` and `at_most`, and write `at` as a JSON pointer such as `/0/generated_text`"
)]
pub struct ExpectationInvalid(String);

impl TryFrom<Wire> for Expectation {
    type Error = ExpectationInvalid;
    fn try_from(wire: Wire) -> Result<Self, ExpectationInvalid> {
        let invalid = || ExpectationInvalid(wire.at.clone().unwrap_or_default());
        let expected = match (wire.equals.clone(), wire.contains.clone(), wire.at_least, wire.at_most) {
            (Some(value), None, None, None) => Expected::Equals(value),
            (None, Some(text), None, None) if !text.is_empty() => Expected::Contains(text),
            (None, None, Some(least), None) if least.is_finite() => Expected::AtLeast(least),
            (None, None, None, Some(most)) if most.is_finite() => Expected::AtMost(most),
            _ => return Err(invalid()),
        };
        // RFC 6901: a pointer is empty, or begins with a slash.
        if wire.at.as_ref().is_some_and(|at| !at.is_empty() && !at.starts_with('/')) {
            return Err(invalid());
        }
        Ok(Self { at: wire.at, expected })
    }
}

impl From<Expectation> for Wire {
    fn from(expectation: Expectation) -> Self {
        let mut wire =
            Self { at: expectation.at, equals: None, contains: None, at_least: None, at_most: None };
        match expectation.expected {
            Expected::Equals(value) => wire.equals = Some(value),
            Expected::Contains(text) => wire.contains = Some(text),
            Expected::AtLeast(least) => wire.at_least = Some(least),
            Expected::AtMost(most) => wire.at_most = Some(most),
        }
        wire
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = match self.at.as_deref() {
            None => "the body",
            Some("") => "the answer",
            Some(pointer) => pointer,
        };
        match &self.expected {
            Expected::Equals(value) => write!(formatter, "{at} equals {value}"),
            Expected::Contains(text) => write!(formatter, "{at} contains {text:?}"),
            Expected::AtLeast(least) => write!(formatter, "{at} is at least {least}"),
            Expected::AtMost(most) => write!(formatter, "{at} is at most {most}"),
        }
    }
}

impl Expectation {
    /// Whether an answer's body is as expected. What cannot be read is not.
    pub fn is_met_by(&self, body: &[u8]) -> bool {
        let found = match &self.at {
            None => std::str::from_utf8(body).ok().map(|text| Value::from(text.to_owned())),
            Some(pointer) => {
                serde_json::from_slice::<Value>(body).ok().and_then(|answer| answer.pointer(pointer).cloned())
            }
        };
        let Some(found) = found else { return false };
        match &self.expected {
            Expected::Equals(value) => found == *value,
            Expected::Contains(text) => found.as_str().is_some_and(|found| found.contains(text)),
            // A number beyond what JSON's doubles hold is read as none, and passes nothing.
            Expected::AtLeast(least) => found.as_f64().is_some_and(|found| found >= *least),
            Expected::AtMost(most) => found.as_f64().is_some_and(|found| found <= *most),
        }
    }
}

impl SmokeQuestion {
    /// The bytes that are sent.
    pub fn bytes(&self) -> Vec<u8> {
        match &self.body {
            Value::String(text) => text.clone().into_bytes(),
            other => other.to_string().into_bytes(),
        }
    }

    /// Their media type.
    pub fn content_type(&self) -> &str {
        self.content_type.as_deref().unwrap_or("application/json")
    }
}

impl SmokeTest {
    /// What is wrong with it: a value, and what to write.
    pub(crate) fn problem(&self) -> Option<(String, &'static str)> {
        if let Some(replay) = &self.replay {
            if !(1..=REPLAYED_MAX).contains(&replay.questions) {
                return Some((replay.questions.to_string(), "replay 1 to 100 questions"));
            }
            if replay.max_unanswered >= replay.questions {
                let remedy = "let fewer of the replayed questions go unanswered, or nothing could fail";
                return Some((replay.max_unanswered.to_string(), remedy));
            }
        }
        if self.questions.is_empty() && self.replay.is_none() || self.questions.len() > QUESTIONS_MAX {
            return Some((self.questions.len().to_string(), "ask 1 to 20 questions"));
        }
        for (index, question) in self.questions.iter().enumerate() {
            let said = |what: &str| format!("{what} in question {}", index + 1);
            if question.expect.is_empty() {
                return Some((said("no `expect`"), "say what an answer must be, or nothing could fail"));
            }
            if question.bytes().len() > BODY_MAX {
                return Some((said("a body over 64 KiB"), "send less"));
            }
        }
        None
    }

    /// Each test in words, as evidence states it: `1: /0/generated_text contains "x"`.
    pub fn stated(&self) -> Vec<String> {
        let tests = self.questions.iter().enumerate().flat_map(|(index, question)| {
            question.expect.iter().map(move |expected| format!("{}: {expected}", index + 1))
        });
        let replayed = self.replay.iter().map(|replay| {
            let (most, unanswered) = (replay.questions, replay.max_unanswered);
            format!("of at most {most} captured questions, at most {unanswered} unanswered")
        });
        tests.chain(replayed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn expectation(value: Value) -> Expectation {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_answer_is_judged_where_the_expectation_points() {
        let body = br#"[{"generated_text": "Paris is", "score": 0.9}]"#;
        for (expected, met) in [
            (json!({"at": "/0/generated_text", "contains": "Paris"}), true),
            (json!({"at": "/0/generated_text", "contains": "Rome"}), false),
            (json!({"at": "/0/generated_text", "equals": "Paris is"}), true),
            (json!({"at": "/0/score", "at_least": 0.9}), true),
            (json!({"at": "/0/score", "at_most": 0.5}), false),
            (json!({"contains": "\"score\""}), true),
            (json!({"at": "/1/score", "at_least": 0.0}), false),
            (json!({"at": "/0/generated_text", "at_least": 0.0}), false),
            (json!({"at": "/0/score", "contains": "0"}), false),
        ] {
            assert_eq!(expectation(expected.clone()).is_met_by(body), met, "{expected}");
        }
    }

    #[test]
    fn what_cannot_be_read_meets_nothing() {
        assert!(!expectation(json!({"at": "/x", "equals": 1})).is_met_by(b"not JSON"));
        assert!(!expectation(json!({"contains": "a"})).is_met_by(&[0xff, b'a']));
        assert!(!expectation(json!({"at": "/x", "at_most": 1})).is_met_by(br#"{"x": null}"#));
    }

    #[test]
    fn an_expectation_expects_exactly_one_thing() {
        for bad in [
            json!({}),
            json!({"at": "/x"}),
            json!({"at": "/x", "equals": 1, "at_least": 1}),
            json!({"at": "x", "equals": 1}),
            json!({"at": "/x", "contains": ""}),
            json!({"at": "/x", "is": 1}),
        ] {
            assert!(serde_json::from_value::<Expectation>(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_test_that_could_not_fail_is_none() {
        let question = |expect: Value| json!({"body": {"inputs": "x"}, "expect": expect});
        let problem = |questions: Value| {
            let test: SmokeTest = serde_json::from_value(json!({"questions": questions})).unwrap();
            test.problem()
        };
        let replayed = |replay: Value| {
            let test: SmokeTest = serde_json::from_value(json!({"replay": replay})).unwrap();
            test.problem()
        };
        assert!(replayed(json!({"questions": 10})).is_none());
        assert!(replayed(json!({"questions": 0})).is_some());
        assert!(replayed(json!({"questions": 101})).is_some());
        assert!(replayed(json!({"questions": 10, "max_unanswered": 10})).is_some());
        assert!(problem(json!([])).is_some());
        assert!(problem(json!([question(json!([]))])).is_some());
        assert!(problem(json!([{"body": "x".repeat(70_000), "expect": [{"contains": "x"}]}])).is_some());
        assert!(problem(json!([question(json!([{"contains": "x"}]))])).is_none());
    }

    #[test]
    fn text_is_sent_as_it_is_and_anything_else_as_json() {
        let question = |body: Value| SmokeQuestion { body, content_type: None, expect: Vec::new() };
        assert_eq!(question("1,2\n".into()).bytes(), b"1,2\n");
        assert_eq!(question(json!({"inputs": "x"})).bytes(), br#"{"inputs":"x"}"#);
    }
}
