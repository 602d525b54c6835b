//! A plan, as `terraform show -json` writes it, once it is known to be whole.

use std::{fs, path::Path};

use serde_json::{Map, Value};

use crate::{configuration, error::Error};

/// The newest minor version of format 1 that the rules were written for.
const NEWEST_MINOR: u32 = 2;

/// A plan that is whole and of a known format.
#[derive(Debug, Clone)]
pub struct Plan {
    document: Value,
}

impl Plan {
    /// Reads a plan from a file.
    ///
    /// # Errors
    /// The file cannot be read, or is no whole plan of a known format.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|source| Error::Unreadable {
            path: path.to_owned(),
            source,
            hint: "make a plan with `terraform plan -out plan.out && terraform show -json plan.out > plan.json`",
        })?;
        Self::parse(&text)
    }

    /// Takes a plan from its text.
    ///
    /// # Errors
    /// It is no whole plan of a known format.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::new(serde_json::from_str(text).map_err(Error::NotJson)?)
    }

    /// Takes a plan that was parsed already.
    ///
    /// # Errors
    /// It is no whole plan of a known format.
    pub fn new(document: Value) -> Result<Self, Error> {
        let version = document["format_version"].as_str().ok_or(Error::NotAPlan)?;
        let is_known = version
            .split_once('.')
            .and_then(|(major, minor)| Some((major, minor.parse::<u32>().ok()?)))
            .is_some_and(|(major, minor)| major == "1" && minor <= NEWEST_MINOR);
        if !is_known {
            return Err(Error::FormatUnknown { found: version.to_owned(), newest: NEWEST_MINOR });
        }
        if document["errored"] == Value::Bool(true) {
            return Err(Error::PlanErrored);
        }
        if document["complete"] == Value::Bool(false) {
            return Err(Error::PlanPartial);
        }
        let changes = document["resource_changes"].as_array().filter(|changes| !changes.is_empty());
        for (index, change) in changes.ok_or(Error::PlanEmpty)?.iter().enumerate() {
            for lacking in ["address", "mode", "type", "name"] {
                if !change[lacking].is_string() {
                    return Err(Error::ChangeMalformed { index, lacking });
                }
            }
            if !change["change"]["actions"].is_array() {
                return Err(Error::ChangeMalformed { index, lacking: "change.actions" });
            }
        }
        Ok(Self { document })
    }

    /// What the rules know as `input`.
    pub(crate) fn document(&self) -> &Value {
        &self.document
    }

    /// The expressions that the configuration has for each resource, with what they refer to.
    pub(crate) fn configured(&self) -> Map<String, Value> {
        configuration::resolve(&self.document)
    }
}
