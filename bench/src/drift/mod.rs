//! PSI and KS of current values against a stored baseline: the drift crate against numpy and scipy.

mod columns;
mod programs;
pub mod worker;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use self::columns::Columns;
use self::programs::{FIGURES, Measured, Program, Programs};
use crate::error::Error;
use crate::machine::Machine;
use crate::screen::{print, say};
use crate::summary::{Better, Row, Summary};

/// How far the figures may lie apart.
const TOLERANCE: f64 = 1e-9;
/// What this project holds itself to.
const TIMES_FASTER: f64 = 10.0;
/// A quarter of the memory.
const TIMES_SMALLER: f64 = 4.0;

/// What to measure.
#[derive(Args, Debug)]
pub struct DriftArgs {
    /// Write the figures as JSON to this file too.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Measure only these; both, if none is named.
    #[arg(long = "case", value_name = "NAME", value_enum, num_args = 1..)]
    cases: Vec<Case>,
    /// Rounds of each measurement, of which the median counts.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// A tenth of the columns and of the rows: whether it works. The figures mean little.
    #[arg(long)]
    quick: bool,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Case {
    /// One column of 10 million scores.
    #[value(name = "scores-10m")]
    Scores,
    /// 200 features of a million rows.
    #[value(name = "features-200x1m")]
    Features,
}

impl Case {
    fn name(self) -> &'static str {
        match self {
            Self::Scores => "10 million scores",
            Self::Features => "200 features x 1 million rows",
        }
    }

    /// Columns and rows.
    fn shape(self, quick: bool) -> (usize, usize) {
        let scale = if quick { 10 } else { 1 };
        match self {
            Self::Scores => (1, 10_000_000 / scale),
            Self::Features => (200 / scale, 1_000_000 / scale),
        }
    }
}

/// Measures, and shows what was measured; failure when a case could not be measured.
///
/// # Errors
/// When nothing can be measured at all, or the summary cannot be written.
pub async fn run(args: DriftArgs) -> Result<ExitCode, Error> {
    let cases = if args.cases.is_empty() { vec![Case::Scores, Case::Features] } else { args.cases };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lockstep = root.parent().unwrap_or(root).join(".lockstep");
    say("preparing Python with numpy and scipy (pinned)");
    let programs = Programs::prepare(&lockstep).await?;
    let mut rows = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for case in cases {
        say(&format!("{}:", case.name()));
        match measure(case, &programs, &lockstep, args.rounds, args.quick).await {
            Ok(measured) => rows.extend(measured),
            Err(error) => {
                say(&format!("  not measured: {error}"));
                code = ExitCode::FAILURE;
            }
        }
    }
    let summary = Summary { rows, machine: Machine::this() };
    print(&summary.table())?;
    if let Some(path) = args.summary {
        summary.write(&path)?;
    }
    Ok(code)
}

async fn measure(
    case: Case,
    programs: &Programs,
    lockstep: &Path,
    rounds: u32,
    quick: bool,
) -> Result<Vec<Row>, Error> {
    let (count, length) = case.shape(quick);
    say(&format!("  writing {count} x {length} values (not measured)"));
    let columns = Columns::write(lockstep, count, length)?;
    let [mut ours, mut scipy, mut numpy] = [const { Vec::<Measured>::new() }; 3];
    for _ in 0..rounds {
        for (program, results) in
            [(Program::Ours, &mut ours), (Program::Scipy, &mut scipy), (Program::Numpy, &mut numpy)]
        {
            let measured = programs.run(program, &columns).await?;
            let (seconds, mib) = (measured.seconds, measured.mib());
            say(&format!("  {}: {seconds:.3} s, {mib:.0} MiB at most", program.name()));
            results.push(measured);
        }
    }
    for (results, program) in [(&scipy, Program::Scipy), (&numpy, Program::Numpy)] {
        for (own, other) in ours.iter().zip(results) {
            agree(own, other, program)?;
        }
    }
    let all = |results: &[Measured], figure: fn(&Measured) -> f64| -> Vec<f64> {
        results.iter().map(figure).collect()
    };
    let row = |what: &str, unit, peer: &[Measured], figure: fn(&Measured) -> f64| {
        let name = format!("{}: {what}", case.name());
        Row::new(name, unit, Better::Lower, &all(&ours, figure), &all(peer, figure))
    };
    Ok(vec![
        row("wall, scipy", "s", &scipy, |measured| measured.seconds).at_least(TIMES_FASTER),
        row("processor, scipy", "s", &scipy, |measured| measured.cpu_seconds),
        row("peak memory, scipy", "MiB", &scipy, Measured::mib).at_least(TIMES_SMALLER),
        row("wall, numpy by hand", "s", &numpy, |measured| measured.seconds),
        row("processor, numpy by hand", "s", &numpy, |measured| measured.cpu_seconds),
        row("peak memory, numpy by hand", "MiB", &numpy, Measured::mib),
    ])
}

fn agree(ours: &Measured, theirs: &Measured, program: Program) -> Result<(), Error> {
    for (column, (own, other)) in ours.figures.iter().zip(&theirs.figures).enumerate() {
        for ((&ours, &theirs), figure) in own.iter().zip(other).zip(FIGURES) {
            let apart = (ours - theirs).abs();
            if apart > TOLERANCE || apart.is_nan() {
                return Err(Error::Disagree { column, figure, ours, theirs, program: program.name() });
            }
        }
    }
    Ok(())
}
