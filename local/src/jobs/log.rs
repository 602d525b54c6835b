//! A job's log: one file on this disk, and whoever else listens line by line.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc::UnboundedSender;

/// One line that a job wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// What, without its line end.
    pub text: String,
}

/// Where a job's lines go; clones write to the same place.
#[derive(Debug, Clone)]
pub struct Log {
    file: Arc<Mutex<File>>,
    listener: Option<UnboundedSender<Line>>,
}

impl Log {
    /// Opens the file, which is appended to. The listener may go away at any time.
    pub fn open(path: &Path, listener: Option<UnboundedSender<Line>>) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file: Arc::new(Mutex::new(file)), listener })
    }

    /// Writes one line. A full disk loses the line rather than the job.
    pub fn line(&self, text: impl Into<String>) {
        let text = text.into();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(file, "{text}");
        drop(file);
        if let Some(listener) = &self.listener {
            let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis() as i64);
            let _ = listener.send(Line { at, text });
        }
    }
}
