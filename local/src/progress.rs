//! What the account tells whoever waits for it.

/// Told what the account is doing.
pub trait Progress: Send + Sync {
    /// A phase begins, e.g. `build`; it ends when the next one begins, or when the call returns.
    fn phase(&self, name: &str);
    /// One line of detail within the phase.
    fn line(&self, text: &str);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn phase(&self, _name: &str) {}
    fn line(&self, _text: &str) {}
}
