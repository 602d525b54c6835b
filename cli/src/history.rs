//! Turns an execution's history into its states, with times. Pure: no client, no clock.

use std::collections::BTreeMap;

use contract::{CostItem, Estimate, ResolvedModel};
use serde::Deserialize as _;
use serde_json::Value;

/// What an event of a history says, as far as states are concerned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// A state begins.
    Entered {
        /// `Task`, `Parallel`, `Map`, `Choice`, `Succeed`, `Fail`, `Pass` or `Wait`.
        kind: String,
        /// The state's name.
        name: String,
        /// Its input, JSON.
        input: String,
    },
    /// A state ends; when it failed and was caught, too.
    Exited {
        /// The state's name.
        name: String,
        /// Its output, JSON.
        output: String,
    },
    /// A task is tried, for the first time or again.
    Tried,
    /// A try failed or timed out.
    Failed {
        /// The error's name.
        error: String,
    },
    /// The execution ended.
    Ended(End),
    /// Anything else; it only carries the chain of previous events on.
    Other,
}

/// An event of a history.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    /// From 1 on.
    pub id: i64,
    /// The event that this one follows; 0 where the service does not say.
    pub previous: i64,
    /// Seconds since 1970.
    pub at: f64,
    /// What it says.
    pub what: What,
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// `SUCCEEDED`, `FAILED`, `ABORTED` or `TIMED_OUT`.
    pub status: String,
    /// The error's name, if it did not succeed.
    pub error: Option<String>,
    /// The error's own words.
    pub cause: Option<String>,
}

/// How a state stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// It ended well.
    Succeeded,
    /// It was stopped because something beside or around it failed.
    Aborted,
    /// Its time was up; a recheck follows.
    TimedOut,
    /// It failed.
    Failed,
    /// It has not ended.
    Running,
}

impl Status {
    /// As Step Functions writes it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Status::Succeeded => "SUCCEEDED",
            Status::Aborted => "ABORTED",
            Status::TimedOut => "TIMED_OUT",
            Status::Failed => "FAILED",
            Status::Running => "RUNNING",
        }
    }
}

/// A state of the definition, all its entries taken together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    /// Its name.
    pub name: String,
    /// How many states surround it.
    pub depth: usize,
    /// How it stands.
    pub status: Status,
    /// The error that it failed with.
    pub error: Option<String>,
    /// Seconds since 1970 of its first entry.
    pub entered: f64,
    /// From its first entry to its last exit; to the last event while it runs.
    pub seconds: f64,
    /// How often it was entered: a loop and each item of a Map enter again.
    pub entries: usize,
    /// Tries beyond the first of each entry.
    pub retries: usize,
}

/// An execution, read from its history.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Timeline {
    /// The states, in the order in which they were first entered.
    pub states: Vec<State>,
    /// What AWS bills: each state entered, and each retry.
    pub transitions: usize,
    /// The run, once admission named it.
    pub run_id: Option<String>,
    /// What is fetched, once ResolveModel said so.
    pub resolved: Option<ResolvedModel>,
    /// What the run could cost at most, once admission said so.
    pub cost: Estimate,
    /// How it ended, if it has.
    pub end: Option<End>,
}

impl Timeline {
    /// The state of this name, if it was entered.
    pub(crate) fn state(&self, name: &str) -> Option<&State> {
        self.states.iter().find(|state| state.name == name)
    }

    /// The names of the innermost states that are running.
    pub(crate) fn running(&self) -> Vec<&str> {
        let deepest =
            self.states.iter().filter(|s| s.status == Status::Running).map(|s| s.depth).max().unwrap_or(0);
        let running = self.states.iter().filter(|s| s.status == Status::Running);
        running.filter(|s| s.depth == deepest || !is_container(&s.name)).map(|s| s.name.as_str()).collect()
    }
}

/// The states of the pipeline that hold others; shown only while nothing inside them runs.
fn is_container(name: &str) -> bool {
    matches!(name, "Acquire" | "DownloadFiles")
}

/// One entry of a state.
struct Instance {
    name: String,
    kind: String,
    parent: Option<usize>,
    depth: usize,
    entered: f64,
    left: Option<f64>,
    status: Status,
    error: Option<String>,
    /// The error of the latest try, until a later one is seen to succeed.
    failing: Option<String>,
    tries: usize,
    /// Keys of the input: an `error` that came in is not this state's own.
    had_error: bool,
    had_overdue: bool,
}

/// Reads the events of one execution, in order.
pub(crate) fn read(events: &[Event]) -> Timeline {
    let mut reader = Reader::default();
    for event in events {
        reader.take(event);
    }
    reader.finish(events.last().map_or(0.0, |event| event.at))
}

#[derive(Default)]
struct Reader {
    instances: Vec<Instance>,
    /// For each event, the instance that it belongs to.
    owners: BTreeMap<i64, Option<usize>>,
    transitions: usize,
    run_id: Option<String>,
    resolved: Option<ResolvedModel>,
    cost: Estimate,
    end: Option<End>,
}

impl Reader {
    fn take(&mut self, event: &Event) {
        let before = self.owners.get(&event.previous).copied().flatten();
        let owner = match &event.what {
            What::Entered { kind, name, input } => Some(self.enter(event, before, kind, name, input)),
            What::Exited { name, output } => self.exit(event, before, name, output),
            What::Tried => {
                let owner = self.task(before);
                if let Some(index) = owner {
                    let instance = &mut self.instances[index];
                    instance.tries += 1;
                    // The first try belongs to the state's own transition.
                    self.transitions += usize::from(instance.tries > 1);
                    instance.failing = None;
                }
                owner
            }
            What::Failed { error } => {
                let owner = self.task(before);
                if let Some(index) = owner {
                    self.instances[index].failing = Some(error.clone());
                }
                owner
            }
            What::Ended(end) => {
                self.end = Some(end.clone());
                None
            }
            What::Other => before,
        };
        self.owners.insert(event.id, owner);
    }

    fn enter(&mut self, event: &Event, before: Option<usize>, kind: &str, name: &str, input: &str) -> usize {
        self.transitions += 1;
        let parent = match before {
            // After a state that still runs, this one is inside it; after one that ended, beside it.
            Some(index) if self.instances[index].left.is_none() => Some(index),
            Some(index) => self.instances[index].parent,
            // A service that does not chain its events: the outermost open state that can hold others.
            None => self.instances.iter().position(|i| i.left.is_none() && holds_states(&i.kind)),
        };
        let input = serde_json::from_str(input).unwrap_or(Value::Null);
        self.note(&input);
        self.instances.push(Instance {
            name: name.to_owned(),
            kind: kind.to_owned(),
            parent,
            depth: parent.map_or(0, |index| self.instances[index].depth + 1),
            entered: event.at,
            left: None,
            status: Status::Running,
            error: None,
            failing: None,
            tries: 0,
            had_error: input.get("error").is_some(),
            had_overdue: input.get("overdue").is_some(),
        });
        self.instances.len() - 1
    }

    fn exit(&mut self, event: &Event, before: Option<usize>, name: &str, output: &str) -> Option<usize> {
        let index = self.entry_of(before, name)?;
        let output = serde_json::from_str(output).unwrap_or(Value::Null);
        self.note(&output);
        let instance = &mut self.instances[index];
        let caught = if instance.had_error { None } else { output.get("error") };
        instance.left = Some(event.at);
        if let Some(error) = caught {
            instance.status = Status::Failed;
            instance.error = error.get("Error").and_then(Value::as_str).map(str::to_owned);
        } else if output.get("overdue").is_some() && !instance.had_overdue {
            instance.status = Status::TimedOut;
            instance.error = instance.failing.take();
        } else {
            instance.status = Status::Succeeded;
        }
        self.close_inside(index, event.at);
        Some(index)
    }

    /// The open entry that an exit belongs to: up the chain, else the latest of that name.
    fn entry_of(&self, before: Option<usize>, name: &str) -> Option<usize> {
        let mut next = before;
        while let Some(index) = next {
            let instance = &self.instances[index];
            if instance.name == name && instance.left.is_none() {
                return Some(index);
            }
            next = instance.parent;
        }
        self.instances.iter().rposition(|i| i.name == name && i.left.is_none()).or_else(|| {
            // Closed by inference, because what surrounds it ended first.
            self.instances.iter().rposition(|i| i.name == name && i.status == Status::Aborted)
        })
    }

    /// The task that a try or a failure belongs to: by the chain, else the only open one.
    fn task(&self, before: Option<usize>) -> Option<usize> {
        if let Some(index) = before.filter(|&index| self.instances[index].kind == "Task") {
            return Some(index);
        }
        let mut open = self
            .instances
            .iter()
            .enumerate()
            .filter(|(_, i)| i.left.is_none() && i.kind == "Task")
            .map(|(n, _)| n);
        open.next().filter(|_| open.next().is_none())
    }

    /// What is still open inside a state that ended will not end by itself.
    fn close_inside(&mut self, ended: usize, at: f64) {
        for index in 0..self.instances.len() {
            if self.instances[index].left.is_none() && self.is_inside(index, ended) {
                self.close(index, at, Status::Aborted);
            }
        }
    }

    fn is_inside(&self, index: usize, outer: usize) -> bool {
        let mut next = self.instances[index].parent;
        while let Some(parent) = next {
            if parent == outer {
                return true;
            }
            next = self.instances[parent].parent;
        }
        false
    }

    /// Ends an instance that has no exit of its own.
    fn close(&mut self, index: usize, at: f64, status: Status) {
        let instance = &mut self.instances[index];
        instance.left = Some(at);
        instance.error = instance.failing.take();
        instance.status = if instance.error.is_some() { Status::Failed } else { status };
    }

    /// Keeps what a state's data says of the run.
    fn note(&mut self, data: &Value) {
        if self.run_id.is_none() {
            let places = ["/run/run_id", "/run_id", "/sealed/run_id"];
            let id = places.iter().find_map(|place| data.pointer(place));
            self.run_id = id.and_then(Value::as_str).map(str::to_owned);
        }
        if self.cost.items.is_empty()
            && let Some(items) = data.get("cost_items")
        {
            self.cost.items = Vec::<CostItem>::deserialize(items).unwrap_or_default();
        }
        if self.resolved.is_none() {
            self.resolved = data.get("resolved").and_then(|data| ResolvedModel::deserialize(data).ok());
        }
    }

    fn finish(mut self, last: f64) -> Timeline {
        if let Some(end) = self.end.clone() {
            for index in 0..self.instances.len() {
                if self.instances[index].left.is_some() {
                    continue;
                }
                let status = match end.status.as_str() {
                    "TIMED_OUT" => Status::TimedOut,
                    "FAILED" if self.instances[index].kind == "Fail" => Status::Failed,
                    "FAILED" if self.instances[index].kind == "Task" => Status::Failed,
                    _ => Status::Aborted,
                };
                self.close(index, last, status);
                if self.instances[index].kind == "Fail" {
                    self.instances[index].error.clone_from(&end.error);
                }
            }
        }
        Timeline {
            states: merge(&self.instances, last),
            transitions: self.transitions,
            run_id: self.run_id,
            resolved: self.resolved,
            cost: self.cost,
            end: self.end,
        }
    }
}

fn holds_states(kind: &str) -> bool {
    matches!(kind, "Parallel" | "Map")
}

/// Takes the entries of each name together.
fn merge(instances: &[Instance], last: f64) -> Vec<State> {
    let mut states: Vec<State> = Vec::new();
    for instance in instances {
        let until = instance.left.unwrap_or(last);
        let retries = instance.tries.saturating_sub(1);
        match states.iter_mut().find(|state| state.name == instance.name) {
            Some(state) => {
                state.seconds = state.seconds.max(until - state.entered);
                state.entries += 1;
                state.retries += retries;
                if instance.status >= state.status {
                    state.status = instance.status;
                    state.error = instance.error.clone().or(state.error.take());
                }
            }
            None => states.push(State {
                name: instance.name.clone(),
                depth: instance.depth,
                status: instance.status,
                error: instance.error.clone(),
                entered: instance.entered,
                seconds: (until - instance.entered).max(0.0),
                entries: 1,
                retries,
            }),
        }
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds histories: `(id, previous, at, what)`.
    fn history(events: Vec<(i64, i64, f64, What)>) -> Timeline {
        let events: Vec<Event> =
            events.into_iter().map(|(id, previous, at, what)| Event { id, previous, at, what }).collect();
        read(&events)
    }

    fn entered(kind: &str, name: &str, input: &str) -> What {
        What::Entered { kind: kind.into(), name: name.into(), input: input.into() }
    }

    fn exited(name: &str, output: &str) -> What {
        What::Exited { name: name.into(), output: output.into() }
    }

    fn failed(error: &str) -> What {
        What::Failed { error: error.into() }
    }

    fn ended(status: &str, error: Option<&str>) -> What {
        What::Ended(End { status: status.into(), error: error.map(Into::into), cause: None })
    }

    fn shape(timeline: &Timeline) -> Vec<(&str, usize, Status, f64)> {
        timeline.states.iter().map(|s| (s.name.as_str(), s.depth, s.status, s.seconds)).collect()
    }

    #[test]
    fn a_retry_is_a_transition_and_leaves_the_state_succeeded() {
        let timeline = history(vec![
            (1, 0, 0.0, What::Other),
            (2, 1, 0.0, entered("Task", "Admit", "{}")),
            (3, 2, 0.0, What::Tried),
            (4, 3, 1.0, failed("ServiceUnavailable")),
            (5, 4, 3.0, What::Tried),
            (6, 5, 4.0, What::Other),
            (7, 6, 4.0, exited("Admit", r#"{"duplicate":false,"run_id":"ab"}"#)),
            (8, 7, 4.0, entered("Choice", "IsDuplicate", "{}")),
            (9, 8, 4.0, exited("IsDuplicate", "{}")),
        ]);
        assert_eq!(
            shape(&timeline),
            [("Admit", 0, Status::Succeeded, 4.0), ("IsDuplicate", 0, Status::Succeeded, 0.0)]
        );
        assert_eq!(timeline.transitions, 3);
        assert_eq!(timeline.states[0].retries, 1);
        assert_eq!(timeline.run_id.as_deref(), Some("ab"));
        assert_eq!(timeline.end, None);
    }

    #[test]
    fn branches_and_items_stand_inside_and_are_taken_together() {
        let timeline = history(vec![
            (1, 0, 0.0, What::Other),
            (2, 1, 0.0, entered("Parallel", "Acquire", "{}")),
            (3, 2, 0.0, What::Other),
            (4, 3, 0.0, entered("Map", "DownloadFiles", "{}")),
            (5, 3, 0.0, entered("Task", "ScanGate", "{}")),
            (6, 4, 0.0, What::Other),
            (7, 6, 1.0, entered("Task", "FetchBatch", "{}")),
            (8, 6, 2.0, entered("Task", "FetchBatch", "{}")),
            (9, 7, 4.0, exited("FetchBatch", "{}")),
            (10, 8, 6.0, exited("FetchBatch", "{}")),
            (11, 10, 6.0, What::Other),
            (12, 11, 6.0, exited("DownloadFiles", "{}")),
            (13, 12, 6.0, entered("Task", "SealModel", "{}")),
            (14, 13, 7.0, exited("SealModel", "{}")),
        ]);
        assert_eq!(
            shape(&timeline),
            [
                ("Acquire", 0, Status::Running, 7.0),
                ("DownloadFiles", 1, Status::Succeeded, 6.0),
                ("ScanGate", 1, Status::Running, 7.0),
                ("FetchBatch", 2, Status::Succeeded, 5.0),
                ("SealModel", 1, Status::Succeeded, 1.0),
            ]
        );
        assert_eq!(timeline.state("FetchBatch").unwrap().entries, 2);
        assert_eq!(timeline.running(), ["ScanGate"]);
    }

    #[test]
    fn a_caught_failure_names_its_error_and_aborts_what_ran_beside_it() {
        let output = r#"{"error":{"Error":"DigestMismatch","Cause":"..."}}"#;
        let timeline = history(vec![
            (1, 0, 0.0, entered("Parallel", "Acquire", "{}")),
            (2, 1, 0.0, What::Other),
            (3, 2, 0.0, entered("Task", "FetchBatch", "{}")),
            (4, 2, 0.0, entered("Task", "ScanGate", "{}")),
            (5, 3, 0.0, What::Tried),
            (6, 5, 1.0, failed("DigestMismatch")),
            (7, 6, 1.0, What::Other),
            (8, 7, 1.0, exited("Acquire", output)),
            (9, 8, 1.0, entered("Task", "SealRun", output)),
            (10, 9, 2.0, exited("SealRun", output)),
            (11, 10, 2.0, entered("Fail", "Refused", output)),
            (12, 11, 2.0, ended("FAILED", Some("DigestMismatch"))),
        ]);
        let status: Vec<_> =
            timeline.states.iter().map(|s| (s.name.as_str(), s.status, s.error.as_deref())).collect();
        assert_eq!(
            status,
            [
                ("Acquire", Status::Failed, Some("DigestMismatch")),
                ("FetchBatch", Status::Failed, Some("DigestMismatch")),
                ("ScanGate", Status::Aborted, None),
                ("SealRun", Status::Succeeded, None),
                ("Refused", Status::Failed, Some("DigestMismatch")),
            ]
        );
        assert_eq!(timeline.end.unwrap().status, "FAILED");
    }

    #[test]
    fn what_is_fetched_is_known_once_it_is_resolved() {
        let output = r#"{"run":{},"resolved":{"commit":"c","transfer":{"bucket":"work","key":"k","sha256":
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"batches":[0,1],"files":3,
            "bytes":94371840}}"#;
        let resolve = (1, 0, 0.0, entered("Task", "ResolveModel", r#"{"run":{}}"#));
        assert_eq!(history(vec![resolve.clone()]).resolved, None);
        let resolved = history(vec![resolve, (2, 1, 1.0, exited("ResolveModel", output))]).resolved.unwrap();
        assert_eq!((resolved.files, resolved.bytes), (3, 94_371_840));
        assert_eq!(resolved.transfer.bucket, "work");
    }

    #[test]
    fn an_overdue_wait_is_not_a_refusal() {
        let timeline = history(vec![
            (1, 0, 0.0, entered("Task", "Train", "{}")),
            (2, 1, 0.0, What::Tried),
            (3, 2, 9.0, failed("States.Timeout")),
            (4, 3, 9.0, exited("Train", r#"{"overdue":{"Error":"States.Timeout"}}"#)),
        ]);
        assert_eq!(timeline.states[0].status, Status::TimedOut);
        assert_eq!(timeline.states[0].error.as_deref(), Some("States.Timeout"));
    }

    #[test]
    fn events_without_a_chain_are_matched_by_name() {
        let timeline = history(vec![
            (1, 0, 0.0, entered("Parallel", "Acquire", "{}")),
            (2, 0, 0.0, entered("Map", "DownloadFiles", "{}")),
            (3, 0, 0.0, entered("Task", "ScanGate", "{}")),
            (4, 0, 1.0, exited("DownloadFiles", "{}")),
            (5, 0, 2.0, exited("ScanGate", "{}")),
            (6, 0, 3.0, exited("Acquire", "{}")),
            (7, 0, 3.0, entered("Task", "Train", "{}")),
            (8, 0, 3.0, What::Tried),
            (9, 0, 4.0, failed("TrainingFailed")),
            (10, 0, 5.0, ended("ABORTED", None)),
        ]);
        assert_eq!(
            shape(&timeline),
            [
                ("Acquire", 0, Status::Succeeded, 3.0),
                ("DownloadFiles", 1, Status::Succeeded, 1.0),
                ("ScanGate", 1, Status::Succeeded, 2.0),
                ("Train", 0, Status::Failed, 2.0),
            ]
        );
    }

    #[test]
    fn an_aborted_execution_leaves_nothing_running() {
        let timeline = history(vec![
            (1, 0, 0.0, entered("Task", "Train", "{}")),
            (2, 1, 0.0, What::Tried),
            (3, 0, 5.0, ended("ABORTED", None)),
        ]);
        assert_eq!(timeline.states[0].status, Status::Aborted);
        assert_eq!(timeline.states[0].seconds, 5.0);
    }
}
