//! Our side, in a process of its own: streams over the columns and never holds one.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ::drift::{
    Counts, Grid,
    ks::{self, Method},
    psi,
};
use clap::Args;

use super::programs::Measured;
use crate::error::Error;
use crate::screen::print;

/// Values that are read at once: as many as stay in the nearest cache beside what they are counted in.
const PIECE: usize = 2 * 1024;
/// Bytes of a value.
const SIZE: usize = size_of::<f64>();

/// What to compute; see [`Columns`](super::columns::Columns).
#[derive(Args, Debug)]
pub struct WorkerArgs {
    baseline: PathBuf,
    current: PathBuf,
    columns: usize,
    length: usize,
    sample: usize,
    bins: usize,
    threads: usize,
}

/// Computes, and prints [`Measured`].
///
/// # Errors
/// When a file cannot be read.
pub fn run(args: &WorkerArgs) -> Result<ExitCode, Error> {
    let (start, cpu) = (Instant::now(), processor());
    let files = Files { baseline: File::open(&args.baseline)?, current: File::open(&args.current)? };
    let figures = if args.columns >= args.threads {
        side_by_side(args, &files)?
    } else {
        (0..args.columns)
            .map(|column| compare(args, &files, column, args.threads))
            .collect::<Result<_, _>>()?
    };
    let measured = Measured {
        seconds: start.elapsed().as_secs_f64(),
        cpu_seconds: (processor() - cpu).as_secs_f64(),
        peak_kib: peak_kib(),
        figures,
    };
    print(&serde_json::to_string(&measured)?)?;
    Ok(ExitCode::SUCCESS)
}

struct Files {
    baseline: File,
    current: File,
}

/// Each thread takes the next column.
fn side_by_side(args: &WorkerArgs, files: &Files) -> Result<Vec<[f64; 3]>, Error> {
    let next = AtomicUsize::new(0);
    let take = || -> Result<Vec<(usize, [f64; 3])>, Error> {
        let mut done = Vec::new();
        loop {
            let column = next.fetch_add(1, Ordering::Relaxed);
            if column >= args.columns {
                return Ok(done);
            }
            done.push((column, compare(args, files, column, 1)?));
        }
    };
    let mut all = Vec::with_capacity(args.columns);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..args.threads).map(|_| scope.spawn(take)).collect();
        for thread in threads {
            all.extend(joined(thread.join())?);
        }
        Ok::<(), Error>(())
    })?;
    all.sort_unstable_by_key(|(column, _)| *column);
    Ok(all.into_iter().map(|(_, figures)| figures).collect())
}

/// A column's figures, counted by so many threads.
fn compare(args: &WorkerArgs, files: &Files, column: usize, threads: usize) -> Result<[f64; 3], Error> {
    let mut sample = vec![0.0; args.sample];
    let mut bytes = vec![0; args.sample * SIZE];
    read(&files.baseline, column * args.sample, &mut bytes, &mut sample)?;
    let edges = psi::quantile_edges(&sample, args.bins);
    let grid = Grid::new(sample.iter().chain(&edges).copied());
    let share = args.length.div_ceil(threads);
    let part = |thread: usize| {
        let first = (thread * share).min(args.length);
        count(&files.current, &grid, column * args.length + first, share.min(args.length - first))
    };
    let counts = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || part(thread))).collect();
        let mut counts = part(0)?;
        for other in others {
            counts.merge(&joined(other.join())?);
        }
        Ok::<Counts, Error>(counts)
    })?;
    let bins = Grid::new(edges.iter().copied());
    let mut before = Counts::new(&bins);
    before.add(&bins, &sample);
    let before = psi::bin_counts(&edges, &bins, &before);
    let now = psi::bin_counts(&edges, &grid, &counts);
    let ks = ks::of_counts(&sample, &grid, &counts, Method::Auto);
    let (d, p) = ks.map_or((f64::NAN, f64::NAN), |ks| (ks.d, ks.p));
    Ok([psi::of_counts(&before, &now), d, p])
}

fn count(file: &File, grid: &Grid, first: usize, length: usize) -> Result<Counts, Error> {
    let mut counts = Counts::new(grid);
    let mut bytes = vec![0; PIECE * SIZE];
    let mut values = vec![0.0; PIECE];
    let mut done = 0;
    while done < length {
        let piece = &mut values[..PIECE.min(length - done)];
        read(file, first + done, &mut bytes, piece)?;
        counts.add(grid, piece);
        done += piece.len();
    }
    Ok(counts)
}

/// Reads values from so many values into the file, through as many bytes.
fn read(file: &File, first: usize, bytes: &mut [u8], values: &mut [f64]) -> Result<(), Error> {
    let bytes = &mut bytes[..values.len() * SIZE];
    file.read_exact_at(bytes, (first * SIZE) as u64)?;
    for (value, bytes) in values.iter_mut().zip(bytes.as_chunks::<SIZE>().0) {
        *value = f64::from_le_bytes(*bytes);
    }
    Ok(())
}

fn joined<T>(result: std::thread::Result<Result<T, Error>>) -> Result<T, Error> {
    result.unwrap_or_else(|_| Err(Error::Drift { program: "ours", said: "a thread panicked".to_owned() }))
}

/// The processor's time so far, of all threads.
fn processor() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}
