//! What is arranged in the child between fork and exec: it dies with its parent, and may have no network.

use tokio::process::Command;

/// Makes the command's process die when the thread that spawned it ends, and, if `isolated`, start in a network
/// namespace of its own, which has no interface but a loopback that is down.
#[cfg(target_os = "linux")]
pub(super) fn prepare(command: &mut Command, isolated: bool) {
    use rustix::process::{Signal, set_parent_process_death_signal};
    use rustix::thread::{UnshareFlags, unshare_unsafe};

    #[allow(unsafe_code, reason = "pre_exec is the only way to run something between fork and exec")]
    // SAFETY: the closure runs in the forked child and makes three system calls: it takes no lock and allocates
    // nothing, which is what fork in a process with threads asks for. Neither namespace flag affects memory.
    unsafe {
        command.pre_exec(move || {
            if isolated {
                // A user namespace gives the right to make the network namespace without being root. Files are
                // still reached under the same user: only the capabilities change.
                unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNET)?;
            }
            // After the namespaces, because a change of credentials clears it.
            set_parent_process_death_signal(Some(Signal::KILL))?;
            Ok(())
        });
    }
}

/// Elsewhere there is neither: the process is ended by its handle alone.
#[cfg(not(target_os = "linux"))]
pub(super) fn prepare(_command: &mut Command, _isolated: bool) {}

/// Whether this system has network namespaces at all.
pub(super) const SUPPORTED: bool = cfg!(target_os = "linux");
