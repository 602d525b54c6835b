//! Where a control does not hold, and why that is right.

use std::{collections::BTreeSet, fs, path::Path};

use jiff::civil::Date;
use serde::Deserialize;

use crate::{control::Control, error::Error};

/// One place where a control does not hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// The control.
    pub control: String,
    /// The resource's address. `*` stands for anything in it.
    pub address: String,
    /// Why that is right.
    pub reason: String,
    /// The last day on which it counts.
    pub until: Option<Date>,
}

/// Everything that is excepted.
#[derive(Debug, Clone, Default)]
pub struct Exceptions(Vec<Exception>);

impl Exceptions {
    /// Reads a list from a file.
    ///
    /// # Errors
    /// The file cannot be read, names a control that there is not, gives no reason, or excepts everything.
    pub fn read(path: &Path, controls: &[Control]) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|source| Error::Unreadable {
            path: path.to_owned(),
            source,
            hint: "",
        })?;
        let malformed = |reason: String| Error::ExceptionsMalformed { path: path.to_owned(), reason };
        let exceptions: Vec<Exception> =
            serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        let known: BTreeSet<&str> = controls.iter().map(|control| control.id.as_str()).collect();
        for exception in &exceptions {
            if let Some(reason) = exception.fault(&known) {
                return Err(malformed(reason));
            }
        }
        Ok(Self(exceptions))
    }

    /// The exception that covers what a control denies at an address.
    pub(crate) fn covering(&self, control: &str, address: &str, today: Date) -> Option<(usize, &Exception)> {
        self.0.iter().enumerate().find(|(_, exception)| {
            exception.control == control
                && exception.until.is_none_or(|until| today <= until)
                && covers(&exception.address, address)
        })
    }

    /// Each, in the file's order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Exception> {
        self.0.iter()
    }
}

impl FromIterator<Exception> for Exceptions {
    fn from_iter<I: IntoIterator<Item = Exception>>(exceptions: I) -> Self {
        Self(exceptions.into_iter().collect())
    }
}

impl Exception {
    fn fault(&self, known: &BTreeSet<&str>) -> Option<String> {
        let Self { control, address, reason, .. } = self;
        if !known.contains(control.as_str()) {
            return Some(format!("there is no control {control}"));
        }
        if reason.split_whitespace().count() < 4 {
            return Some(format!(
                "the exception from {control} at {address} needs a reason that explains it"
            ));
        }
        // The type and the name have to be said: an exception for everything is a rule that is gone.
        if address.trim_start_matches("module.").split('.').all(|part| part.trim_matches('*').is_empty()) {
            return Some(format!(
                "the exception from {control} at `{address}` covers everything: name the resource"
            ));
        }
        None
    }
}

fn covers(pattern: &str, address: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == address };
    let Some(mut left) = address.strip_prefix(first) else { return false };
    let mut pieces = rest.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return left.ends_with(piece);
        }
        match left.find(piece) {
            Some(at) => left = &left[at + piece.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_nothing_else_does() {
        assert!(covers("aws_s3_bucket.logs", "aws_s3_bucket.logs"));
        assert!(!covers("aws_s3_bucket.logs", "aws_s3_bucket.logs2"));
        assert!(covers("module.*.aws_s3_bucket.logs[*]", "module.audit.aws_s3_bucket.logs[0]"));
        assert!(!covers("module.*.aws_s3_bucket.logs", "module.audit.aws_s3_bucket.logs[0]"));
        assert!(covers(
            "*aws_lambda_function.this[\"download-model\"]",
            "aws_lambda_function.this[\"download-model\"]"
        ));
        assert!(!covers("a*a", "a"));
    }
}
