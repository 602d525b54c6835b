//! What the user sees while it happens: phases and states, one line each, with their seconds.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

use crate::history::{State, Status};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const WARN: Style = AnsiColor::Yellow.on_default();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// The terminal, or whatever stands in its place. `anstream` leaves colours out where there is no terminal or
/// NO_COLOR is set; the moving line is drawn on a terminal only.
pub(crate) struct Screen {
    spinner: ProgressBar,
    phase: Mutex<Option<Phase>>,
}

struct Phase {
    name: String,
    began: Instant,
}

impl Screen {
    /// A screen with nothing on it.
    pub(crate) fn new() -> Self {
        let spinner = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {wide_msg}") {
            spinner.set_style(style);
        }
        Self { spinner, phase: Mutex::new(None) }
    }

    /// A line of its own.
    pub(crate) fn say(&self, text: &str) {
        self.spinner.suspend(|| anstream::println!("{text}"));
    }

    /// A heading, after an empty line.
    pub(crate) fn heading(&self, text: &str) {
        self.say(&format!("\n{BOLD}{text}{BOLD:#}"));
    }

    /// A line that is less important than the others.
    pub(crate) fn aside(&self, text: &str) {
        self.say(&format!("{DIM}{text}{DIM:#}"));
    }

    /// What is being waited for, on a terminal.
    pub(crate) fn doing(&self, text: &str) {
        self.spinner.enable_steady_tick(Duration::from_millis(120));
        self.spinner.set_message(text.to_owned());
    }

    /// Nothing is being waited for.
    pub(crate) fn idle(&self) {
        self.spinner.disable_steady_tick();
        self.spinner.set_message("");
        // Clears the line; the bar draws again as soon as it ticks.
        self.spinner.suspend(|| {});
    }

    /// A phase begins; the former one ends well.
    pub(crate) fn begin(&self, name: &str) {
        self.end();
        *self.phase() = Some(Phase { name: name.to_owned(), began: Instant::now() });
        self.doing(name);
    }

    /// The current phase ends well.
    pub(crate) fn end(&self) {
        let ended = self.phase().take();
        if let Some(Phase { name, began }) = ended {
            self.say(&line(GOOD, "✓", 0, &name, began.elapsed().as_secs_f64(), ""));
        }
        self.idle();
    }

    /// The current phase fails.
    pub(crate) fn abandon(&self) {
        let ended = self.phase().take();
        if let Some(Phase { name, began }) = ended {
            self.say(&line(BAD, "✗", 0, &name, began.elapsed().as_secs_f64(), "failed"));
        }
        self.idle();
    }

    /// A state that has ended.
    pub(crate) fn state(&self, state: &State) {
        let (style, mark) = match state.status {
            Status::Succeeded => (GOOD, "✓"),
            Status::Failed => (BAD, "✗"),
            Status::TimedOut | Status::Aborted => (WARN, "!"),
            Status::Running => (DIM, "…"),
        };
        let mut note = match state.status {
            Status::Succeeded => String::new(),
            other => other.as_str().to_owned(),
        };
        if let Some(error) = &state.error {
            note = format!("{note} {error}");
        }
        if state.entries > 1 {
            note = format!("{note} ×{}", state.entries);
        }
        if state.retries > 0 {
            note = format!("{note} ({} retried)", state.retries);
        }
        self.say(&line(style, mark, state.depth, &state.name, state.seconds, note.trim()));
    }

    fn phase(&self) -> std::sync::MutexGuard<'_, Option<Phase>> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl local::Progress for Screen {
    fn phase(&self, name: &str) {
        self.begin(name);
    }

    fn line(&self, text: &str) {
        let shown =
            self.phase().as_ref().map_or_else(|| text.to_owned(), |phase| format!("{}: {text}", phase.name));
        self.doing(&shown);
    }
}

fn line(style: Style, mark: &str, depth: usize, name: &str, seconds: f64, note: &str) -> String {
    let indent = "  ".repeat(depth);
    let name = format!("{indent}{name}");
    let text = format!("  {style}{mark}{style:#} {name:<24}{seconds:>8.1} s  {style}{note}{style:#}");
    // An empty note would leave spaces at the end of the line.
    if note.is_empty() { format!("  {style}{mark}{style:#} {name:<24}{seconds:>8.1} s") } else { text }
}

/// A verdict, coloured.
pub(crate) fn verdict(text: &str, good: bool) -> String {
    let style = if good { GOOD } else { BAD };
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_name_seconds_and_note() {
        let shown =
            anstream::adapter::strip_str(&line(BAD, "✗", 1, "FetchBatch", 1.25, "FAILED DigestMismatch"))
                .to_string();
        assert_eq!(shown, "  ✗   FetchBatch                 1.2 s  FAILED DigestMismatch");
        let shown = anstream::adapter::strip_str(&line(GOOD, "✓", 0, "Admit", 0.5, "")).to_string();
        assert!(shown.ends_with("0.5 s"), "{shown}");
    }
}
