//! An earlier window of predictions, judged by the labels that have come since.

use jiff::Timestamp;

use crate::{
    Outcomes,
    capture::{BadLine, Capture, Label},
    labels::Labels,
    outcomes::Judged,
    row,
    settings::Settings,
    verdict::{Quality, QualityVerdict, Skipped},
};

/// How many bad lines are told by their words.
const EXAMPLES: usize = 10;

/// Joins labels with the predictions of a window.
///
/// Labels are put in first: memory is bounded by them and by the predictions that have one.
#[derive(Debug)]
pub struct Labelled<'a> {
    settings: &'a Settings,
    outcomes: Outcomes<'a>,
    labels: Labels,
    from: Timestamp,
    until: Timestamp,
    skipped: Skipped,
}

impl<'a> Labelled<'a> {
    /// The predictions from one moment until right before another. Absent unless the settings say that labels come.
    pub fn new(settings: &'a Settings, from: Timestamp, until: Timestamp) -> Option<Self> {
        settings.outcomes.as_ref()?.labels.as_ref()?;
        let (outcomes, labels) = (Outcomes::new(settings)?, Labels::default());
        Some(Self { settings, outcomes, labels, from, until, skipped: Skipped::default() })
    }

    /// Takes what a line of labels holds.
    pub fn label(&mut self, label: Result<Label, BadLine>) {
        self.labels.see(label);
    }

    /// Sees what a line of the capture holds. Those of another time are passed over, and one without a time is counted
    /// as one that cannot be used.
    pub fn see(&mut self, capture: Result<Capture, BadLine>) {
        let capture = match capture {
            Ok(capture) => capture,
            Err(bad) => return self.skip(bad.to_string()),
        };
        match capture.time {
            Some(time) if (self.from..self.until).contains(&time) => {}
            Some(_) => return,
            None => return self.skip(format!("event {}: it has no time", capture.event_id)),
        }
        let rows = match row::rows(&capture, &self.settings.columns) {
            Ok(rows) => rows,
            Err(problem) => return self.skip(format!("event {}: {problem}", capture.event_id)),
        };
        let labels = self.labels.take(capture.id(), rows.len());
        for _ in 0..self.outcomes.see(&rows, labels.as_deref()) {
            self.labels.unusable();
        }
    }

    fn skip(&mut self, problem: String) {
        self.skipped.count += 1;
        if self.skipped.examples.len() < EXAMPLES {
            self.skipped.examples.push(problem);
        }
    }

    /// What is to be said about it.
    pub fn judge(self) -> Quality {
        let is_full = self.labels.is_full();
        let Judged { mut predictions, mut findings, mut metrics, mut groups } =
            self.outcomes.judge_labelled();
        if is_full {
            // A part of the labels may be any part.
            predictions.not_judged.push("there are more labels than can be held: ask for less time in `labels.most_hours`, or bring a sample".to_owned());
            findings.clear();
            metrics = metrics.map(|_| QualityVerdict::NotEvaluated);
            groups = groups.map(|_| QualityVerdict::NotEvaluated);
        }
        let verdicts = [metrics, groups];
        let has = |verdict| verdicts.contains(&Some(verdict));
        let verdict = if has(QualityVerdict::Drifted) {
            QualityVerdict::Drifted
        } else if has(QualityVerdict::Stable) && !has(QualityVerdict::NotEvaluated) {
            QualityVerdict::Stable
        } else {
            QualityVerdict::NotEvaluated
        };
        Quality {
            verdict,
            metrics,
            groups,
            findings,
            from: self.from,
            until: self.until,
            labels: self.labels.counts(),
            skipped: self.skipped,
            predictions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{capture::read, lines::LONGEST};

    fn settings() -> Settings {
        serde_json::from_str(
            r#"{"min_samples": 4, "outcomes": {"prediction": "output.0", "task": {"kind": "multiclass"}, "labels": {},
                "at_least": {"accuracy": 0.9}, "groups": {"column": "input.0", "min_samples": 2,
                "bounds": [{"metric": "accuracy", "min_ratio": 0.8}]}}}"#,
        )
        .unwrap()
    }

    fn capture(id: &str, inference: Option<&str>, group: &str, answer: &str, time: &str) -> String {
        let side = |data: &str| serde_json::json!({"observedContentType": "text/csv", "mode": "X", "data": data, "encoding": "CSV"});
        serde_json::json!({
            "captureData": {"endpointInput": side(group), "endpointOutput": side(answer)},
            "eventMetadata": {"eventId": id, "inferenceId": inference, "inferenceTime": time}, "eventVersion": "0",
        })
        .to_string()
            + "\n"
    }

    fn label(id: &str, label: &str) -> String {
        serde_json::json!({"groundTruthData": {"data": label, "encoding": "CSV"}, "eventMetadata": {"eventId": id}, "eventVersion": "0"})
            .to_string()
            + "\n"
    }

    fn judged(labels: &str, captures: &str) -> Quality {
        let settings = settings();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut window =
            Labelled::new(&settings, at("2026-11-20T00:00:00Z"), at("2026-11-21T00:00:00Z")).unwrap();
        read(labels.as_bytes(), LONGEST, |line| window.label(line)).unwrap();
        read(captures.as_bytes(), LONGEST, |line| window.see(line)).unwrap();
        window.judge()
    }

    const NOON: &str = "2026-11-20T12:00:00Z";

    #[test]
    fn labels_are_joined_by_the_callers_identifier_and_else_by_sagemakers() {
        let captures = [
            capture("e1", Some("mine-1"), "north", "yes", NOON),
            capture("e2", Some("mine-2"), "north", "yes", NOON),
            capture("e3", None, "south", "yes", NOON),
            capture("e4", None, "south", "no", NOON),
        ];
        let labels = [label("mine-1", "yes"), label("mine-2", "yes"), label("e3", "yes"), label("e4", "no")];
        let good = judged(&labels.concat(), &captures.concat());
        assert_eq!((good.verdict, good.labels.joined), (QualityVerdict::Stable, 4));
        // The event's own id is no name for an invocation to which the caller gave another.
        let by_event = [label("e1", "yes"), label("e2", "yes"), label("e3", "yes"), label("e4", "no")];
        let by_event = judged(&by_event.concat(), &captures.concat());
        assert_eq!((by_event.verdict, by_event.labels.joined), (QualityVerdict::NotEvaluated, 2));
        assert_eq!(by_event.labels.unmatched, 2);
    }

    #[test]
    fn labels_that_contradict_the_predictions_drift_and_the_worse_group_is_named() {
        let captures: String =
            (0..8).map(|n| capture(&n.to_string(), None, ["north", "south"][n % 2], "yes", NOON)).collect();
        let labels: String = (0..8).map(|n| label(&n.to_string(), ["yes", "no"][n % 2])).collect();
        let bad = judged(&labels, &captures);
        assert_eq!(bad.verdict, QualityVerdict::Drifted);
        let told: Vec<String> = bad.findings.iter().map(ToString::to_string).collect();
        assert_eq!(told[0], "below its bound: accuracy 0.500, limit 0.9");
        assert!(told[1].contains("`south` has 0.000 and `north` 1.000"), "{told:?}");
    }

    #[test]
    fn predictions_of_another_time_are_not_judged() {
        let times = ["2026-11-19T23:59:59Z", NOON, "2026-11-21T00:00:00Z", "no time"];
        let captures: String = times.iter().map(|time| capture(time, None, "north", "yes", time)).collect();
        let labels: String = times.iter().map(|time| label(time, "no")).collect();
        let judged = judged(&labels, &captures);
        assert_eq!((judged.predictions.all.n, judged.labels.joined, judged.skipped.count), (1, 1, 1));
        assert_eq!(judged.verdict, QualityVerdict::NotEvaluated);
    }
}
