//! Benchmarks: the release binaries against what else does their work, in one run and on one machine.

#[cfg(target_os = "linux")]
mod drift;
#[cfg(target_os = "linux")]
mod error;
#[cfg(target_os = "linux")]
mod http;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod screen;
#[cfg(target_os = "linux")]
mod summary;
#[cfg(target_os = "linux")]
mod transfer;

use std::process::ExitCode;

/// Measures Lockstep's release binaries against what else does their work.
///
/// Progress goes to standard error, the table to standard output.
/// Exit codes: 0 measured; 1 something could not be measured; 2 the command line is wrong.
#[cfg(target_os = "linux")]
#[derive(Debug, clap::Parser)]
#[command(name = "bench", version)]
enum Benchmark {
    /// The verified transfer from the Hub to S3, against Python
    Transfer(transfer::TransferArgs),
    /// PSI and KS over many values, against numpy and scipy
    Drift(drift::DriftArgs),
    /// What is measured of `drift`: a process of its own
    #[command(hide = true)]
    DriftWorker(drift::worker::WorkerArgs),
}

#[cfg(target_os = "linux")]
#[tokio::main]
async fn main() -> ExitCode {
    let measured = match clap::Parser::parse() {
        Benchmark::Transfer(args) => transfer::run(args).await,
        Benchmark::Drift(args) => drift::run(args).await,
        Benchmark::DriftWorker(args) => drift::worker::run(&args),
    };
    measured.unwrap_or_else(|error| {
        screen::say(&format!("error: {error}"));
        ExitCode::FAILURE
    })
}

/// What is measured is read from `/proc`, and the bytes are sent as Linux sends them.
#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    ExitCode::FAILURE
}
