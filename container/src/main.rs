//! `model-container`: what SageMaker runs. This file only wires.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use container::layout::{self, Layout};
use container::limits::Limits;
use container::serve::Address;
use container::stop::Stop;
use container::{Error, evaluate, serve, train};

/// Reference model container: fine-tunes, evaluates and serves a small Llama-style model under SageMaker's contract.
///
/// Its tree is /opt/ml, or SM_ML_ROOT. It exits with 0 when done, 1 on failure (the reason is in output/failure or
/// output/message), 2 on wrong arguments, and 143 when SIGTERM ended it early.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Fine-tune input/data/model on input/data/training; write model/
    Train,
    /// Score processing/input/{candidate,base} on processing/input/data; write processing/output/metrics/metrics.json
    Evaluate {
        /// The field of the rows that names their group, to score each group too
        #[arg(long)]
        group_column: Option<String>,
    },
    /// Answer GET /ping and POST /invocations for model/ on SAGEMAKER_BIND_TO_PORT (8080) at MODEL_CONTAINER_HOST (0.0.0.0)
    Serve,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    let layout = Layout::from_environment();
    match command {
        Command::Train => job(layout.failure(), move |stop| train::train(&layout, stop)).await,
        Command::Evaluate { group_column } => {
            let run = move |stop: &Stop| evaluate::evaluate(&layout, group_column.as_deref(), stop);
            job(Layout::from_environment().message(), run).await
        }
        Command::Serve => {
            let settings =
                Address::from_environment().and_then(|address| Ok((address, Limits::from_environment()?)));
            let served = match settings {
                Ok((address, limits)) => serve::serve(&layout, address, limits).await,
                Err(error) => Err(error),
            };
            served.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
        }
    }
}

/// Runs a job beside the task that watches for SIGTERM, and leaves the reason where SageMaker looks if it fails.
async fn job(reason: PathBuf, work: impl FnOnce(&Stop) -> Result<(), Error> + Send + 'static) -> ExitCode {
    report_panics(reason.clone());
    let outcome = match Stop::on_signal() {
        Ok(stop) => tokio::task::spawn_blocking(move || work(&stop)).await,
        Err(error) => return explain(&reason, &error.to_string()),
    };
    match outcome {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error @ Error::Stopped { .. })) => failed(&error),
        Ok(Err(error)) => {
            explain(&reason, &error.to_string());
            failed(&error)
        }
        // The panic hook has already left the reason.
        Err(_) => ExitCode::FAILURE,
    }
}

/// A panic is a defect, but the job's owner still has to find a reason; release builds abort right after the hook.
fn report_panics(reason: PathBuf) {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        default(panic);
        let _ = layout::report(&reason, &format!("internal failure of the container: {panic}"));
    }));
}

fn explain(reason: &std::path::Path, text: &str) -> ExitCode {
    if let Err(error) = layout::report(reason, text) {
        eprintln!("{error}");
    }
    ExitCode::FAILURE
}

fn failed(error: &Error) -> ExitCode {
    eprintln!("{error}");
    ExitCode::from(error.exit_code())
}
