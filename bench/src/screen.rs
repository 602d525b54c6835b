//! Progress goes to standard error, the result to standard output.

use std::io::{self, Write as _};

/// One line of progress.
pub fn say(line: &str) {
    // Nobody who listens: nothing to be done.
    let _ = writeln!(io::stderr(), "{line}");
}

/// The result.
///
/// # Errors
/// When standard output is closed.
pub fn print(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}
