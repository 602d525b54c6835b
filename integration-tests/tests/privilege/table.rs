//! What was reviewed by hand: permissions that no call shows, roles that services act under, and exceptions.

use std::collections::BTreeMap;

use serde::Deserialize;

/// `permissions.json`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Permissions that a service uses in the caller's name, where no call of the function's own shows it.
    implied: BTreeMap<String, Implied>,
    /// Actions that know no resource, so that a grant of them names `*`.
    without_resource: BTreeMap<String, String>,
    /// Roles that a service acts under, by their name after the prefix, and why no call shows what they use.
    services: BTreeMap<String, String>,
    /// Permissions that are not called as the operations that use them are: those, as `service:Operation`.
    shown_by: BTreeMap<String, Implied>,
    /// Grants that no scenario here demands, and why they stay.
    exceptions: Vec<Exception>,
}

/// A permission that calls imply.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Implied {
    /// The calls that need it; empty when every function does.
    pub by: Vec<String>,
    /// Why it cannot be seen.
    pub because: String,
}

/// A grant that stays though nothing demanded it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// The function.
    pub function: String,
    /// The statement.
    pub sid: String,
    /// The action.
    pub action: String,
    /// Why.
    pub because: String,
}

impl Table {
    /// The table of this test.
    pub fn read() -> Self {
        serde_json::from_str(include_str!("permissions.json")).expect("permissions.json follows its form")
    }

    /// Whether no call shows a permission, and which calls need it.
    pub fn implied(&self, action: &str) -> Option<&Implied> {
        self.implied.get(action)
    }

    /// Why a role's calls are not seen.
    pub fn service(&self, role: &str) -> Option<&str> {
        self.services.get(role.split_once('-')?.1).map(String::as_str)
    }

    /// Why a grant of an action names `*`.
    pub fn without_resource(&self, action: &str) -> Option<&str> {
        self.without_resource.get(action).map(String::as_str)
    }

    /// Operations of which one was seen where a permission was used.
    pub fn shown_by<'a>(&'a self, action: &'a str) -> impl Iterator<Item = &'a str> {
        let others = self.shown_by.get(action).into_iter().flat_map(|shown| &shown.by).map(String::as_str);
        std::iter::once(action).chain(others)
    }

    /// Exceptions of a role.
    pub fn exceptions(&self, role: &str) -> impl Iterator<Item = &Exception> {
        let function = role.split_once('-').map_or(role, |(_, function)| function).to_owned();
        self.exceptions.iter().filter(move |exception| exception.function == function)
    }

    /// Every line has a reason.
    pub fn reasons(&self) -> impl Iterator<Item = &str> {
        self.implied
            .values()
            .chain(self.shown_by.values())
            .map(|implied| implied.because.as_str())
            .chain(self.without_resource.values().map(String::as_str))
            .chain(self.services.values().map(String::as_str))
            .chain(self.exceptions.iter().map(|exception| exception.because.as_str()))
    }
}
