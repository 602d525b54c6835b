//! Labels that came later, held until their predictions are seen.

use std::collections::{HashMap, hash_map::Entry};

use serde::{Deserialize, Serialize};

use crate::{
    capture::{BadLine, Label},
    row::{self, Value},
};

/// The most characters of an identifier: SageMaker takes no longer `InferenceId`, and its own are shorter.
/// <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html>
pub const LONGEST_ID: usize = 64;
/// The most bytes of labels that are held, by an estimate; beyond them nothing is judged.
pub const MOST_BYTES: usize = 128 * 1024 * 1024;
/// What an entry costs beside its texts.
const ENTRY: usize = 96;
/// How many bad lines are told by their words.
const EXAMPLES: usize = 10;

/// What became of the labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelCounts {
    /// Lines that are labels.
    pub read: u64,
    /// Lines that are none, or name what can be no identifier.
    pub bad: u64,
    /// Why, for the first of them.
    pub examples: Vec<String>,
    /// Labels that were told again, the same: used once.
    pub duplicates: u64,
    /// Identifiers that were told different labels: none of them is used.
    pub contradicting: u64,
    /// Identifiers of no invocation in the window: unknown, or of another time.
    pub unmatched: u64,
    /// Invocations in the window that share an identifier with an earlier one: the first has the label.
    pub repeated: u64,
    /// Labels that do not fit their prediction: another number of rows, or a value that the task has no use for.
    pub unusable: u64,
    /// Invocations that have their label.
    pub joined: u64,
}

/// Labels by the identifier of their invocation.
#[derive(Debug, Default)]
pub struct Labels {
    held: HashMap<String, Held>,
    counts: LabelCounts,
    bytes: usize,
    most_bytes: Option<usize>,
}

#[derive(Debug)]
enum Held {
    Waiting(Vec<Option<Value>>),
    Contradicted,
    Used,
}

impl Labels {
    /// Takes what a line holds. One that cannot be used is counted.
    pub fn see(&mut self, label: Result<Label, BadLine>) {
        let label = match label {
            Ok(label) => label,
            Err(bad) => return self.skip(&bad.to_string()),
        };
        if label.id.is_empty() || label.id.chars().count() > LONGEST_ID {
            let begin: String = label.id.chars().take(LONGEST_ID).collect();
            return self.skip(&format!("event {begin}...: an identifier has 1 to {LONGEST_ID} characters"));
        }
        let values = match row::labels(&label.payload) {
            Ok(values) => values,
            Err(problem) => return self.skip(&format!("event {}: {problem}", label.id)),
        };
        self.counts.read += 1;
        if self.is_full() {
            return;
        }
        let texts: usize = values.iter().flatten().map(weight).sum();
        let cost = ENTRY + label.id.len() + texts;
        match self.held.entry(label.id) {
            Entry::Vacant(entry) => {
                entry.insert(Held::Waiting(values));
                self.bytes += cost;
            }
            Entry::Occupied(mut entry) => match entry.get() {
                Held::Waiting(known) if *known == values => self.counts.duplicates += 1,
                Held::Waiting(_) => {
                    self.counts.contradicting += 1;
                    entry.insert(Held::Contradicted);
                }
                Held::Contradicted | Held::Used => {}
            },
        }
    }

    /// Whether there were more labels than can be held, so that not all are.
    pub fn is_full(&self) -> bool {
        self.bytes > self.most_bytes.unwrap_or(MOST_BYTES)
    }

    /// The label of each of an invocation's rows, once.
    pub fn take(&mut self, id: &str, rows: usize) -> Option<Vec<Option<Value>>> {
        let held = self.held.get_mut(id)?;
        match std::mem::replace(held, Held::Used) {
            Held::Waiting(values) if values.len() == rows => {
                self.counts.joined += 1;
                Some(values)
            }
            Held::Waiting(_) => {
                self.counts.unusable += 1;
                None
            }
            Held::Contradicted => {
                *held = Held::Contradicted;
                None
            }
            Held::Used => {
                self.counts.repeated += 1;
                None
            }
        }
    }

    /// A label that was taken did not fit its prediction.
    pub fn unusable(&mut self) {
        self.counts.unusable += 1;
    }

    /// What became of them.
    pub fn counts(self) -> LabelCounts {
        let unmatched = self.held.values().filter(|held| matches!(held, Held::Waiting(_))).count() as u64;
        LabelCounts { unmatched, ..self.counts }
    }

    fn skip(&mut self, problem: &str) {
        self.counts.bad += 1;
        if self.counts.examples.len() < EXAMPLES {
            self.counts.examples.push(problem.to_owned());
        }
    }
}

fn weight(value: &Value) -> usize {
    size_of::<Option<Value>>()
        + match value {
            Value::Text(text) => text.len(),
            Value::Number(_) | Value::Bool(_) => 0,
        }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{capture::read, lines::LONGEST};

    fn line(id: &str, label: &str) -> String {
        serde_json::json!({
            "groundTruthData": {"data": label, "encoding": "CSV"}, "eventMetadata": {"eventId": id}, "eventVersion": "0",
        })
        .to_string()
            + "\n"
    }

    fn of(text: &[u8]) -> Labels {
        let mut labels = Labels::default();
        read(text, LONGEST, |label| labels.see(label)).unwrap();
        labels
    }

    const ONE: Option<Value> = Some(Value::Number(1.0));

    #[test]
    fn a_label_is_joined_once_and_what_is_odd_about_labels_is_counted() {
        let text = [
            line("a", "1"),
            line("b", "1"),
            line("b", "1"),
            line("c", "1"),
            line("c", "0"),
            line("c", "1"),
            line("nobody", "1"),
            line("two rows", "1\n0"),
            line(&"x".repeat(65), "1"),
            line("", "1"),
            "no JSON\n".to_owned(),
        ]
        .concat();
        let mut labels = of(text.as_bytes());
        assert_eq!(labels.take("a", 1), Some(vec![ONE]));
        assert_eq!(labels.take("a", 1), None, "an identifier that comes twice has its label once");
        assert_eq!(labels.take("b", 1), Some(vec![ONE]));
        assert_eq!(labels.take("c", 1), None, "of labels that contradict each other none is believed");
        assert_eq!(labels.take("two rows", 1), None);
        assert_eq!(labels.take("without a label", 1), None);
        let counts = labels.counts();
        assert!(counts.examples[0].contains("1 to 64 characters"), "{:?}", counts.examples);
        let LabelCounts {
            read, bad, duplicates, contradicting, unmatched, repeated, unusable, joined, ..
        } = counts;
        assert_eq!((read, bad, duplicates, contradicting), (8, 3, 1, 1));
        assert_eq!((unmatched, repeated, unusable, joined), (1, 1, 1, 2));
    }

    #[test]
    fn memory_is_bounded_and_that_it_ran_out_is_known() {
        let mut labels = Labels { most_bytes: Some(1000), ..Labels::default() };
        let text: String = (0..100).map(|n| line(&n.to_string(), "1")).collect();
        read(text.as_bytes(), LONGEST, |label| labels.see(label)).unwrap();
        assert!(labels.is_full() && labels.held.len() < 12, "{}", labels.held.len());
        assert_eq!(labels.counts.read, 100);
    }

    proptest! {
        #[test]
        fn every_line_is_counted_once_whatever_it_holds(
            lines in prop::collection::vec(
                prop_oneof![
                    ("[ab]{0,2}", "[01]").prop_map(|(id, label)| line(&id, &label)),
                    ("\\PC{0,80}", "\\PC{0,20}").prop_map(|(id, label)| line(&id, &label)),
                    "[^\n]{1,60}".prop_filter("blank lines are none", |text| !text.trim().is_empty())
                        .prop_filter("only what is no label", |text| !text.trim_start().starts_with('{'))
                        .prop_map(|text| text + "\n"),
                ],
                0..40,
            ),
            asked in prop::collection::vec("[ab]{0,2}", 0..20),
        ) {
            let mut labels = of(lines.concat().as_bytes());
            let mut taken = 0;
            for id in &asked {
                taken += u64::from(labels.take(id, 1).is_some());
            }
            let distinct = labels.held.len() as u64;
            let counts = labels.counts();
            prop_assert_eq!(counts.read + counts.bad, lines.len() as u64);
            prop_assert_eq!(counts.joined, taken);
            prop_assert!(counts.unmatched + counts.joined + counts.contradicting <= distinct);
            prop_assert!(distinct + counts.duplicates <= counts.read);
        }

        #[test]
        fn no_bytes_make_it_panic_or_join_what_is_no_label(noise in prop::collection::vec(any::<u8>(), 0..300), huge in 65..5000_usize) {
            let mut labels = of(&noise);
            prop_assert_eq!(labels.take("a", 1), None);
            let id = "i".repeat(huge);
            let mut labels = of(line(&id, "1").as_bytes());
            prop_assert_eq!(labels.take(&id, 1), None);
            prop_assert_eq!(labels.counts().bad, 1);
        }
    }
}
