//! What the user sees while it happens: phases and states, one line each, with their seconds.

use std::io::IsTerminal as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

use crate::history::{State, Status};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const WARN: Style = AnsiColor::Yellow.on_default();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// The moving line while something is waited for, and while it is known how far that is.
const WAITING: &str = "  {spinner} {wide_msg}";
const ADVANCING: &str = "  {spinner} {bar:16} {wide_msg}";

/// How often progress is said where the moving line is not all that there is.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// The terminal, or whatever stands in its place. `anstream` leaves colours out where there is no terminal or
/// NO_COLOR is set; the moving line is drawn on a terminal only.
pub(crate) struct Screen {
    spinner: ProgressBar,
    phase: Mutex<Option<Phase>>,
    /// While there is a bar: when progress was last said, or the bar begun.
    bar: Mutex<Option<Instant>>,
}

struct Phase {
    name: String,
    began: Instant,
}

impl Screen {
    /// A screen with nothing on it.
    pub(crate) fn new() -> Self {
        let screen =
            Self { spinner: ProgressBar::new_spinner(), phase: Mutex::new(None), bar: Mutex::new(None) };
        screen.draw_as(WAITING);
        screen
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
        self.remove_bar();
        self.spinner.enable_steady_tick(Duration::from_millis(120));
        self.spinner.set_message(text.to_owned());
    }

    /// How far it is what is being waited for: a bar on a terminal. Where the output goes elsewhere too, a line
    /// from time to time, the first after a while, since what is short needs none.
    pub(crate) fn progress(&self, done: u64, of: u64, said: &str, doing: &str) {
        self.spinner.set_length(of);
        self.spinner.set_position(done);
        self.spinner.set_message(format!("{said} · {doing}"));
        let mut bar = locked(&self.bar);
        let since = *bar.get_or_insert_with(|| {
            self.draw_as(ADVANCING);
            Instant::now()
        });
        self.spinner.enable_steady_tick(Duration::from_millis(120));
        let is_seen = !self.spinner.is_hidden() && std::io::stdout().is_terminal();
        if !is_seen && since.elapsed() >= SAID_EVERY {
            *bar = Some(Instant::now());
            self.say(&format!("  {said}"));
        }
    }

    /// Nothing is being waited for.
    pub(crate) fn idle(&self) {
        self.remove_bar();
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

    fn remove_bar(&self) {
        if locked(&self.bar).take().is_some() {
            self.draw_as(WAITING);
        }
    }

    fn draw_as(&self, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.spinner.set_style(style);
        }
    }

    fn phase(&self) -> MutexGuard<'_, Option<Phase>> {
        locked(&self.phase)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
