//! How fast SHA-256 alone is: nothing that verifies a file can use less.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};
use testkit::Process;

use super::content::Weights;
use super::lab::{GIB, Lab, MIB, size_name};
use super::measured::Measured;
use crate::error::Error;
use crate::screen::say;
use crate::summary::{Better, Row};

/// Memory that is a file system, on every Linux.
const MEMORY: &str = "/dev/shm";

/// Hashes the same bytes by programs that do nothing else.
///
/// # Errors
/// When sha256sum is not there, or memory has no room.
pub async fn measure(lab: &mut Lab) -> Result<(), Error> {
    let size = if lab.quick { 256 * MIB } else { GIB };
    let gib = size as f64 / GIB as f64;
    let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(MEMORY)?;
    let path = folder.path().join("model.safetensors");
    Weights { size }.write(&mut File::create(&path)?)?;
    let programs: [(&str, &[&str]); 2] = [("sha256sum", &[]), ("openssl", &["dgst", "-sha256"])];
    for (program, args) in programs {
        let mut measured = Vec::new();
        for _ in 0..lab.rounds {
            match hash(program, args, &path).await {
                Ok(once) => measured.push(once),
                // The first is coreutils', the second may be missing.
                Err(_) if program == "openssl" => break,
                Err(error) => return Err(error),
            }
        }
        if measured.is_empty() {
            say(&format!("  {program} is not here"));
            continue;
        }
        let cpu: Vec<f64> = measured.iter().map(|once| once.cpu / gib).collect();
        let wall: Vec<f64> = measured.iter().map(|once| once.wall / gib).collect();
        say(&format!("  {program}: {cpu:.2?} s CPU per GiB, {wall:.2?} s per GiB of {}", size_name(size)));
        push(lab, &format!("`{program}` of the same bytes"), &cpu);
    }
    let own: Vec<f64> = (0..lab.rounds)
        .map(|_| {
            let start = thread_cpu();
            Weights { size }.digest_of(0, size)?;
            Ok((thread_cpu() - start) / gib)
        })
        .collect::<std::io::Result<_>>()?;
    say(&format!("  the function's SHA-256 in one thread: {own:.2?} s CPU per GiB"));
    push(lab, "the function's own SHA-256 of the same bytes in memory", &own);
    Ok(())
}

fn push(lab: &mut Lab, peer: &str, cpu: &[f64]) {
    let name = format!("The limit: transfer's CPU seconds per GiB; peer: {peer}");
    lab.rows.push(Row::new(name, "s/GiB", Better::Lower, &lab.cpu_per_gib, cpu));
}

/// Seconds that this thread has used.
fn thread_cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

async fn hash(program: &str, args: &[&str], path: &Path) -> Result<Measured, Error> {
    let start = Instant::now();
    let mut process = Process::start(Command::new(program).args(args).arg(path))?;
    match process.ended().await {
        Some((status, usage)) if status.success() => Ok(Measured::new(start.elapsed(), usage)),
        _ => Err(Error::Program(format!("{program}: {}", process.log()))),
    }
}
