//! The tables at the end of a demo: gates, metrics.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, ContentArrangement, Table};
use contract::Gate;

use crate::screen;
use crate::summary::{Metrics, Score};

/// A gate, as its evidence shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GateRow {
    /// The gate.
    pub gate: Gate,
    /// What was decided.
    pub verdict: Verdict,
    /// Where the evidence lies.
    pub evidence: Option<String>,
}

/// What a gate decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As its link says, whose signature verified.
    Signed(String),
    /// There is a link, but it does not verify.
    Unverified(String),
    /// It signed nothing, and the run ended here, with this error.
    Refused(String),
    /// It signed nothing, because the run ended before.
    NotReached,
}

/// The gates' table.
pub(crate) fn gates(rows: &[GateRow]) -> String {
    let mut table = plain();
    table.set_header(["gate", "verdict", "evidence"]);
    for row in rows {
        let verdict = match &row.verdict {
            Verdict::Signed(verdict) => verdict.clone(),
            Verdict::Unverified(reason) => format!("Unverified: {reason}"),
            Verdict::Refused(error) => format!("Refused: {error}"),
            Verdict::NotReached => "not reached".to_owned(),
        };
        table.add_row([row.gate.as_str(), &verdict, row.evidence.as_deref().unwrap_or("-")]);
    }
    coloured(&table.trim_fmt())
}

/// Versions of objects that hold somebody to be forgotten: where, which, how many rows, how many of others.
pub(crate) fn to_forget(rows: &[(String, String, String, String)]) -> String {
    let mut table = plain();
    table.set_header(["object", "version", "rows", "rows of others, kept"]);
    for (place, version, rows, others) in rows {
        table.add_row([place, version, rows, others]);
    }
    table.trim_fmt()
}

/// The metrics of a run and of its repetition.
pub(crate) fn compared(rows: &BTreeMap<String, (Option<f64>, Option<f64>)>) -> String {
    let mut table = plain();
    table.set_header(["held-out metric", "then", "now", ""]);
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    for (name, (then, now)) in rows {
        let verdict = match (then, now) {
            (Some(then), Some(now)) if then == now => "the same".to_owned(),
            (Some(then), Some(now)) => format!("{:+.3e}", now - then),
            _ => "not measured".to_owned(),
        };
        table.add_row([name.clone(), shown(*then), shown(*now), verdict]);
    }
    coloured(&table.trim_fmt())
}

/// The metrics' table; nothing if nothing was measured.
pub(crate) fn metrics(metrics: &Metrics) -> Option<String> {
    let (before, after) = (metrics.before.as_ref()?, metrics.after.as_ref()?);
    let mut table = plain();
    table.set_header(["held-out metric", "before", "after"]);
    for (name, get) in
        [("eval_loss", (|s| s.eval_loss) as fn(&Score) -> Option<f64>), ("perplexity", |s| s.perplexity)]
    {
        table.add_row([name.to_owned(), number(get(before)), number(get(after))]);
    }
    for column in [1, 2] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    Some(table.trim_fmt())
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
}

/// A line under the header, and no other.
const LINES: &str = "     ──            ";

/// Lines are never broken: an address that is to be copied stays in one piece.
fn plain() -> Table {
    let mut table = Table::new();
    table.load_preset(LINES).set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// Colours go in after the columns are laid out, since they have no width on the screen.
fn coloured(table: &str) -> String {
    let mut text = table.replace("Passed", &screen::verdict("Passed", true));
    for bad in ["Refused:", "Unverified:"] {
        text = text.replace(bad, &screen::verdict(bad, false));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gate_has_a_verdict_and_a_place() {
        let rows = [
            GateRow {
                gate: Gate::Admit,
                verdict: Verdict::Signed("Passed".into()),
                evidence: Some("s3://lockstep-evidence-000000000000/runs/0a/admit-run/admit.json".into()),
            },
            GateRow {
                gate: Gate::SealModel,
                verdict: Verdict::Refused("DigestMismatch".into()),
                evidence: None,
            },
            GateRow { gate: Gate::Deploy, verdict: Verdict::NotReached, evidence: None },
        ];
        let text = anstream::adapter::strip_str(&gates(&rows)).to_string();
        for part in ["admit.json", "Refused: DigestMismatch", "not reached", "seal-model"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn metrics_are_shown_only_if_both_were_measured() {
        assert_eq!(metrics(&Metrics::default()), None);
        let score = |loss: f64| Some(Score { eval_loss: Some(loss), perplexity: Some(loss.exp()) });
        let text = metrics(&Metrics { before: score(3.0), after: score(1.0) }).unwrap();
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.contains("2.7183") && text.contains("3.0000"), "{text}");
    }
}
