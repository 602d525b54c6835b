//! One line at a time on stdout, which SageMaker ships to CloudWatch Logs.

use std::fmt::Arguments;
use std::io::Write;

/// Prints one line. A reader that went away is no reason to stop training, so a failed write is ignored.
pub fn line(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}
