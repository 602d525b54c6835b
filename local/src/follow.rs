//! Reading a log while a program writes it.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::supervised::Supervised;

/// How often a log is looked at.
const PERIOD: Duration = Duration::from_millis(200);

/// The whole lines of a file, each once, as they appear.
#[derive(Debug)]
struct Lines {
    path: PathBuf,
    position: u64,
    rest: Vec<u8>,
}

impl Lines {
    /// The lines that appeared since the last call.
    fn next(&mut self) -> Vec<String> {
        let mut read = Vec::new();
        let length = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.position))?;
            file.read_to_end(&mut read)
        });
        self.position += length.unwrap_or(0) as u64;
        self.rest.extend(read);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect()
    }
}

/// Tells every line that a program writes to its log, from `position` on, until the program ends.
pub(crate) async fn until_end(
    process: &Supervised,
    log: &Path,
    position: u64,
    mut tell: impl FnMut(&str) + Send,
) {
    let mut lines = Lines { path: log.to_owned(), position, rest: Vec::new() };
    while process.ended().is_none() {
        lines.next().iter().for_each(|line| tell(line));
        tokio::select! {
            _ = process.wait() => {}
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
    lines.next().iter().for_each(|line| tell(line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_once_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut lines = Lines { path: path.clone(), position: 0, rest: Vec::new() };
        assert!(lines.next().is_empty());
        std::fs::write(&path, "one\ntw").unwrap();
        assert_eq!(lines.next(), ["one"]);
        std::fs::write(&path, "one\ntwo\n").unwrap();
        assert_eq!(lines.next(), ["two"]);
        assert!(lines.next().is_empty());
    }
}
