//! May drift start a run now? A cooldown and a budget end what would otherwise train for ever on noise.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Bound, RunId, Score, Sha256Digest, Threshold};

/// When drift may start a run, by endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrainingPolicy {
    /// Seconds from one such run to the next.
    pub cooldown_seconds: u32,
    /// Days that the two limits below look back on.
    pub window_days: u32,
    /// Such runs in that time at most.
    pub max_runs: u32,
    /// US dollars that their jobs may cost together, by each run's estimate at admission.
    pub budget_usd: f64,
}

/// What made a run start that nobody asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriftCause {
    /// The event's own id: the same when it is told twice.
    pub event_id: String,
    /// The endpoint whose traffic drifted.
    pub endpoint: String,
    /// The run whose model served it, and whose request this one repeats.
    pub run_id: RunId,
    /// The report that found it, in the work bucket.
    pub report: crate::S3Uri,
    /// Of the report's bytes.
    pub report_sha256: Sha256Digest,
}

/// A run that drift started before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retrained {
    /// The run.
    pub run_id: RunId,
    /// When it was admitted.
    pub at: Timestamp,
    /// US dollars that it costs at most.
    pub cost_usd: f64,
}

/// Why drift starts no run now.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RetrainingRefused {
    /// Policy lets drift start nothing.
    #[error("policy has no `retraining`: add it by review, or start the run by hand")]
    NotAllowed,
    /// The last one is too young.
    #[error("drift started run {run_id} at {at}, and policy asks for {seconds} s in between")]
    Cooldown {
        /// The last run.
        run_id: RunId,
        /// When it was admitted.
        at: Timestamp,
        /// Policy's `cooldown_seconds`.
        seconds: u32,
    },
    /// There were too many.
    #[error(
        "drift started {runs} runs within {days} days, policy allows {most}: find out why retraining does not help"
    )]
    Runs {
        /// So many.
        runs: usize,
        /// Policy's `window_days`.
        days: u32,
        /// Policy's `max_runs`.
        most: u32,
    },
    /// They would cost too much.
    #[error(
        "the runs that drift started within {days} days could cost {spent:.2} USD with this one, policy allows {budget:.2}"
    )]
    Budget {
        /// With this one.
        spent: f64,
        /// Policy's `window_days`.
        days: u32,
        /// Policy's `budget_usd`.
        budget: f64,
    },
}

impl RetrainingPolicy {
    /// The runs that still count, and this one, if it may start. A run that is among them already may go on: its
    /// admission is tried again.
    ///
    /// # Errors
    /// [`RetrainingRefused`].
    pub fn admit(&self, before: &[Retrained], this: Retrained) -> Result<Vec<Retrained>, RetrainingRefused> {
        let window = SignedDuration::from_hours(24 * i64::from(self.window_days));
        let is_recent = |run: &&Retrained| this.at.duration_since(run.at) < window;
        let mut counted: Vec<Retrained> = before.iter().filter(is_recent).cloned().collect();
        if counted.iter().any(|run| run.run_id == this.run_id) {
            return Ok(counted);
        }
        let cooldown = SignedDuration::from_secs(i64::from(self.cooldown_seconds));
        if let Some(last) = counted.iter().max_by_key(|run| run.at)
            && this.at.duration_since(last.at) < cooldown
        {
            let (run_id, at) = (last.run_id.clone(), last.at);
            return Err(RetrainingRefused::Cooldown { run_id, at, seconds: self.cooldown_seconds });
        }
        if counted.len() >= self.max_runs as usize {
            let (runs, days, most) = (counted.len(), self.window_days, self.max_runs);
            return Err(RetrainingRefused::Runs { runs, days, most });
        }
        let spent = this.cost_usd + counted.iter().map(|run| run.cost_usd).sum::<f64>();
        // Written so that a budget or a cost that is no number refuses.
        let is_within = spent <= self.budget_usd;
        if !is_within {
            return Err(RetrainingRefused::Budget { spent, days: self.window_days, budget: self.budget_usd });
        }
        counted.push(this);
        Ok(counted)
    }
}

/// Bounds that a challenger keeps exactly when it is not worse than the champion, on each metric that is judged.
pub fn not_worse_than(champion: &Score, judged: &[Threshold]) -> Vec<Threshold> {
    let bounds = judged.iter().filter_map(|threshold| {
        let reached = *champion.get(&threshold.metric)?;
        // A bound excludes itself: the next number lets in what is equal.
        let bound = match threshold.bound {
            Bound::Below(_) => Bound::Below(reached.next_up()),
            Bound::Above(_) => Bound::Above(reached.next_down()),
        };
        Some(Threshold { metric: threshold.metric.clone(), bound })
    });
    bounds.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetrainingPolicy =
        RetrainingPolicy { cooldown_seconds: 3600, window_days: 30, max_runs: 3, budget_usd: 10.0 };

    fn run(name: &str, at: &str, cost_usd: f64) -> Retrained {
        Retrained { run_id: RunId::of(&[name]), at: at.parse().unwrap(), cost_usd }
    }

    #[test]
    fn trap_drift_retraining_has_a_cooldown() {
        let first = run("a", "2026-11-21T00:00:00Z", 1.0);
        let counted = POLICY.admit(&[], first.clone()).unwrap();
        assert_eq!(counted, std::slice::from_ref(&first));
        let early = POLICY.admit(&counted, run("b", "2026-11-21T00:59:59Z", 1.0));
        assert!(matches!(early, Err(RetrainingRefused::Cooldown { .. })));
        assert_eq!(POLICY.admit(&counted, run("b", "2026-11-21T01:00:00Z", 1.0)).unwrap().len(), 2);
        // The same run again, as after a function that died: neither refused nor counted twice.
        assert_eq!(POLICY.admit(&counted, run("a", "2026-11-21T00:00:01Z", 1.0)).unwrap(), [first]);
    }

    #[test]
    fn runs_and_their_cost_are_bounded_within_a_window_that_moves() {
        let day = |day: u32, cost| run(&day.to_string(), &format!("2026-11-{day:02}T00:00:00Z"), cost);
        let before = [day(1, 1.0), day(2, 1.0), day(3, 1.0)];
        assert!(matches!(POLICY.admit(&before, day(4, 1.0)), Err(RetrainingRefused::Runs { runs: 3, .. })));
        assert_eq!(POLICY.admit(&before, run("x", "2026-12-01T00:00:00Z", 1.0)).unwrap().len(), 3);
        let dear = POLICY.admit(&before[..1], day(2, 9.5));
        assert!(matches!(dear, Err(RetrainingRefused::Budget { .. })));
        assert!(POLICY.admit(&[], day(1, f64::NAN)).is_err());
    }

    #[test]
    fn a_challenger_may_equal_the_champion_and_not_be_worse() {
        let judged: Vec<Threshold> = serde_json::from_str(
            r#"[{"metric": "loss", "below": 2.0}, {"metric": "accuracy", "above": 0.5}, {"metric": "other", "below": 1}]"#,
        )
        .unwrap();
        let champion = Score::from([("loss".to_owned(), 1.25), ("accuracy".to_owned(), 0.75)]);
        let bounds = not_worse_than(&champion, &judged);
        assert_eq!(bounds.len(), 2);
        for (threshold, equal, worse) in [(&bounds[0], 1.25, 1.26), (&bounds[1], 0.75, 0.74)] {
            assert!(threshold.bound.admits(equal) && !threshold.bound.admits(worse), "{threshold:?}");
        }
    }
}
