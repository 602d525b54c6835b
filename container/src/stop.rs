//! SIGTERM, seen between two steps. As process 1 of its container the binary gets no default handler for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Error;

/// Whether the platform asked the process to end.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A stop that SIGTERM and SIGINT ask for; needs the runtime that is to watch for them.
    pub fn on_signal() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let stop = Self::default();
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let asked = stop.clone();
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            asked.ask();
        });
        Ok(stop)
    }

    /// Asks for the end.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Fails once the end was asked for; `during` says what was interrupted.
    pub fn check(&self, during: impl FnOnce() -> String) -> Result<(), Error> {
        if self.0.load(Ordering::Relaxed) { Err(Error::Stopped { during: during() }) } else { Ok(()) }
    }
}
