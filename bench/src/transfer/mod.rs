//! The transfer from the Hub to S3: the release function against Python, and against hashing alone.

mod build;
mod cases;
mod content;
mod lab;
mod limit;
mod line;
mod measured;
mod ours;
mod peer;
pub mod sink;
mod source;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use self::lab::Lab;
use crate::error::Error;
use crate::machine::Machine;
use crate::screen::{print, say};
use crate::summary::Summary;

/// What to measure.
#[derive(Args, Debug)]
pub struct TransferArgs {
    /// Write the figures as JSON to this file too.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Measure only these; every case but `huge`, if none is named.
    #[arg(long = "case", value_name = "NAME", value_enum, num_args = 1..)]
    cases: Vec<Case>,
    /// Rounds of each measurement, of which the median counts.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Smaller files and fewer kills: whether it works, in a minute. The figures mean little.
    #[arg(long)]
    quick: bool,
    /// Measure this `bootstrap` instead of building the release of `download-model`.
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// One file of 2 GiB, as fast as it goes.
    #[value(name = "unthrottled-2gib")]
    Unthrottled,
    /// One file over lines of 100 MB/s and 400 Mbit/s with 30 ms to each answer.
    Throttled,
    /// 500 files of 8 KiB.
    #[value(name = "small-500")]
    Small,
    /// The most memory at 2 and at 8 GiB.
    Memory,
    /// 50 kills at random points.
    Kill,
    /// SHA-256 of the same bytes by sha256sum and others: the limit.
    Sha256sum,
    /// 64 GiB in invocations of at most 20 s.
    Huge,
}

impl Case {
    const DEFAULT: [Self; 6] =
        [Self::Unthrottled, Self::Throttled, Self::Small, Self::Memory, Self::Kill, Self::Sha256sum];

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Measures, and shows what was measured; failure when a case could not be measured.
///
/// # Errors
/// When nothing can be measured at all, or the summary cannot be written.
pub async fn run(args: TransferArgs) -> Result<ExitCode, Error> {
    let cases = if args.cases.is_empty() { Case::DEFAULT.to_vec() } else { args.cases };
    let binary = match args.binary {
        Some(binary) => binary.canonicalize()?,
        None => build::download_model().await?,
    };
    let mut lab = Lab::open(binary, args.rounds, args.quick).await?;
    let mut code = ExitCode::SUCCESS;
    for case in cases {
        say(&format!("{}:", case.name()));
        let measured = match case {
            Case::Unthrottled => cases::unthrottled::measure(&mut lab).await,
            Case::Throttled => cases::throttled::measure(&mut lab).await,
            Case::Small => cases::small::measure(&mut lab).await,
            Case::Memory => cases::memory::measure(&mut lab).await,
            Case::Kill => cases::kill::measure(&mut lab).await,
            Case::Sha256sum => limit::measure(&mut lab).await,
            Case::Huge => cases::huge::measure(&mut lab).await,
        };
        if let Err(error) = measured {
            say(&format!("  not measured: {error}"));
            code = ExitCode::FAILURE;
        }
    }
    let summary = Summary { rows: lab.rows, machine: Machine::this() };
    print(&summary.table())?;
    if let Some(path) = args.summary {
        summary.write(&path)?;
    }
    Ok(code)
}
