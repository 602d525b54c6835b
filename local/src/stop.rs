//! The signals that ask this process to end.

use tokio::signal::unix::{SignalKind, signal};

/// Waits for Ctrl-C, a termination, or the terminal's end; answers the exit status that says so.
///
/// Whoever runs an [`Account`](crate::Account) waits for its work and for this together, and shuts the account down
/// either way. Without it the account still dies, since its supervisors see their parent end; it then leaves its
/// folder behind, which the next account removes.
pub async fn asked() -> i32 {
    let number = |kind: SignalKind| 128 + kind.as_raw_value();
    let wait = |kind: SignalKind| async move {
        match signal(kind) {
            Ok(mut signal) => {
                signal.recv().await;
                number(kind)
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        status = wait(SignalKind::interrupt()) => status,
        status = wait(SignalKind::terminate()) => status,
        status = wait(SignalKind::hangup()) => status,
    }
}
