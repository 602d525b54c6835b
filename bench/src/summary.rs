//! What was measured, as a table and as JSON.

use std::path::Path;

use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde::Serialize;

use crate::machine::Machine;

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Less of it.
    Lower,
    /// More of it.
    Higher,
}

/// One figure. Of several rounds it is the median.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What.
    pub name: String,
    /// In what.
    pub unit: &'static str,
    /// The function's; absent where only a limit is measured.
    pub ours: Option<f64>,
    /// The other's; absent where it cannot do this.
    pub peer: Option<f64>,
    /// How many times better ours is: above 1 it is better than the peer, whichever way is better.
    pub ratio: Option<f64>,
    /// Which way is better.
    pub better: Better,
    /// What this project holds itself to, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bar: Option<Bar>,
    /// Every round's.
    pub ours_rounds: Vec<f64>,
    /// Every round's.
    pub peer_rounds: Vec<f64>,
}

/// What this project holds itself to.
#[derive(Clone, Debug, Serialize)]
pub struct Bar {
    /// In words.
    pub text: String,
    /// Whether it is reached.
    pub met: bool,
}

impl Row {
    /// A figure of one round or of several.
    pub fn new(
        name: impl Into<String>,
        unit: &'static str,
        better: Better,
        ours: &[f64],
        peer: &[f64],
    ) -> Self {
        let (mine, others) = (median(ours), median(peer));
        let ratio = match (mine, others, better) {
            (Some(mine), Some(others), Better::Lower) if mine > 0.0 => Some(others / mine),
            (Some(mine), Some(others), Better::Higher) if others > 0.0 => Some(mine / others),
            _ => None,
        };
        let (ours_rounds, peer_rounds) = (ours.to_vec(), peer.to_vec());
        Self {
            name: name.into(),
            unit,
            ours: mine,
            peer: others,
            ratio,
            better,
            bar: None,
            ours_rounds,
            peer_rounds,
        }
    }

    /// With a bar for the ratio.
    pub fn at_least(mut self, ratio: f64) -> Self {
        let met = self.ratio.is_some_and(|found| found >= ratio);
        self.bar = Some(Bar { text: format!("ratio >= {ratio:.2}"), met });
        self
    }

    /// With a bar for our own figure.
    pub fn within(mut self, bar: f64) -> Self {
        let (sign, met) = match self.better {
            Better::Lower => ("<=", self.ours.is_some_and(|found| found <= bar)),
            Better::Higher => (">=", self.ours.is_some_and(|found| found >= bar)),
        };
        self.bar = Some(Bar { text: format!("ours {sign} {bar}"), met });
        self
    }
}

/// The middle one, or the mean of the middle two.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The figures.
    pub rows: Vec<Row>,
    /// On what.
    pub machine: Machine,
}

impl Summary {
    /// For people.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(comfy_table::presets::NOTHING);
        table.set_style(comfy_table::TableComponent::HeaderLines, '─');
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["", "unit", "ours", "peer", "ratio", "bar"]);
        for row in &self.rows {
            let number = |value: Option<f64>| value.map_or("-".to_owned(), shown);
            let ratio = row.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
            let bar = row.bar.as_ref().map_or(String::new(), |bar| {
                format!("{} {}", bar.text, if bar.met { "met" } else { "MISSED" })
            });
            table.add_row([
                row.name.clone(),
                row.unit.to_owned(),
                number(row.ours),
                number(row.peer),
                ratio,
                bar,
            ]);
        }
        for column in 2..5 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let Machine { cpu, cores, memory_mib, kernel, os, rustc, sha_extensions } = &self.machine;
        let sha = if *sha_extensions { "with" } else { "without" };
        format!(
            "{}\nratio: how many times better ours is than the peer; medians of all rounds\n{cpu} ({sha} SHA \
             extensions), {cores} cores, {memory_mib} MiB, {os}, Linux {kernel}, {rustc}",
            table.trim_fmt()
        )
    }

    /// For programs.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(path, text)
    }
}

fn shown(value: f64) -> String {
    match value {
        value if value == value.trunc() && value.abs() < 1e6 => format!("{value:.0}"),
        value if value.abs() >= 100.0 => format!("{value:.0}"),
        value if value.abs() >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_says_how_many_times_better_ours_is() {
        assert_eq!(Row::new("wall", "s", Better::Lower, &[1.0], &[2.0]).ratio, Some(2.0));
        assert_eq!(Row::new("line", "%", Better::Higher, &[50.0], &[100.0]).ratio, Some(0.5));
        assert_eq!(Row::new("kills", "MiB", Better::Lower, &[1.0], &[]).ratio, None);
        assert!(Row::new("wall", "s", Better::Lower, &[1.0], &[2.0]).at_least(1.3).bar.unwrap().met);
        assert!(!Row::new("rss", "MiB", Better::Lower, &[81.0], &[]).within(80.0).bar.unwrap().met);
    }

    #[test]
    fn one_slow_round_does_not_move_the_figure() {
        assert_eq!(median(&[1.0, 9.0, 1.2]), Some(1.2));
        assert_eq!(median(&[1.0, 2.0]), Some(1.5));
        assert_eq!(median(&[]), None);
    }
}
