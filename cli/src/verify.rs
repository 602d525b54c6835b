//! `lockstep verify`: whether a run's evidence holds, and what it proves.

use std::path::{Path, PathBuf};

use contract::Gate;
use evidence::{Files, Record, RunStatus, TrustRoot, VerifiedChain, VerifiedRun, verify_run};

use crate::args::{Verified, VerifyArgs};
use crate::connection;
use crate::error::Error;
use crate::proof;
use crate::repository;
use crate::run_files;
use crate::screen::{self, Screen};

/// Verifies every target, shows each, and fails on the first that does not hold once all were looked at.
///
/// # Errors
/// [`Error::Broken`] when the evidence does not hold; what could not be read.
pub(crate) async fn run(args: &VerifyArgs, screen: &Screen) -> Result<(), Error> {
    let mut first_broken = None;
    for target in &args.targets {
        let outcome = match target {
            Verified::Directory(directory) => in_directory(directory, args.trust.as_deref()),
            Verified::Run(run) => in_account(args, run, screen).await,
        };
        match outcome {
            Ok(verified) if args.targets.len() == 1 => {
                screen.say(&headline(&verified.record));
                screen.say(&tree(&verified.chain));
            }
            Ok(verified) => screen.say(&headline(&verified.record)),
            Err(Error::Broken { what, broken }) if args.targets.len() > 1 => {
                screen.say(&format!("{} {what}: {broken}", screen::verdict("broken", false)));
                first_broken = first_broken.or(Some(Error::Broken { what, broken }));
            }
            Err(error) => return Err(error),
        }
    }
    first_broken.map_or(Ok(()), Err)
}

fn in_directory(directory: &Path, trust: Option<&Path>) -> Result<VerifiedRun, Error> {
    let beside: PathBuf = trust.map_or_else(|| run_files::trust_beside(directory), Path::to_owned);
    let trust = run_files::trust_root(&beside)?;
    check(&directory.display().to_string(), &run_files::from_directory(directory)?, &trust)
}

async fn in_account(args: &VerifyArgs, run: &contract::RunId, screen: &Screen) -> Result<VerifiedRun, Error> {
    let root = repository::find().ok();
    let account = connection::connect(&args.account, root.as_deref(), local::Identity::Submitter).await?;
    screen.aside(&format!("using {}", account.shown));
    let s3 = account.s3();
    let bucket = run_files::bucket(&s3, args.evidence_bucket.as_deref()).await?;
    let files = run_files::from_bucket(&s3, &bucket, run).await?;
    let trust = match &args.trust {
        Some(path) => run_files::trust_root(path)?,
        None => TrustRoot::parse(&run_files::deployed_trust_root(&s3, &bucket).await?)?,
    };
    let verified = check(run.as_str(), &files, &trust)?;
    if verified.record.run_id != *run {
        let (found, expected) = (verified.record.run_id.to_string(), run.to_string());
        let broken = evidence::RunBroken::OtherRun { found, expected };
        return Err(Error::Broken { what: run.to_string(), broken });
    }
    Ok(verified)
}

/// A run of an account, verified by the trust root that is deployed there, and its files.
///
/// # Errors
/// [`Error::Broken`] when the evidence does not hold; [`Error::NoEvidence`]; a failing call.
pub(crate) async fn deployed(
    s3: &aws_sdk_s3::Client,
    evidence_bucket: &str,
    run: &contract::RunId,
) -> Result<(Files, VerifiedRun), Error> {
    let files = run_files::from_bucket(s3, evidence_bucket, run).await?;
    let trust = TrustRoot::parse(&run_files::deployed_trust_root(s3, evidence_bucket).await?)?;
    let verified = check(run.as_str(), &files, &trust)?;
    Ok((files, verified))
}

/// Verifies one run.
///
/// # Errors
/// [`Error::Broken`].
pub(crate) fn check(what: &str, files: &Files, trust: &TrustRoot) -> Result<VerifiedRun, Error> {
    verify_run(files, trust).map_err(|broken| Error::Broken { what: what.to_owned(), broken })
}

fn headline(record: &Record) -> String {
    format!(
        "{} run {} {}, sealed {}",
        screen::verdict("verified", true),
        record.run_id,
        outcome(record),
        record.sealed_at
    )
}

/// How the run ended, in a word or two.
pub(crate) fn outcome(record: &Record) -> String {
    let error = record.error.as_deref().unwrap_or("no error's name");
    match record.status {
        RunStatus::Succeeded => "deployed".to_owned(),
        RunStatus::Failed => format!("refused: {error}"),
        RunStatus::Aborted => "aborted".to_owned(),
        RunStatus::TimedOut => "timed out".to_owned(),
    }
}

/// The links, each above those that it builds on.
fn tree(chain: &VerifiedChain) -> String {
    let links = chain.links();
    if links.is_empty() {
        return "  no gate signed anything".to_owned();
    }
    let is_built_on = |gate: Gate| links.keys().any(|later| later.predecessors().contains(&gate));
    let mut lines = Vec::new();
    for &gate in links.keys().rev().filter(|gate| !is_built_on(**gate)) {
        branch(chain, gate, "", "", &mut lines);
    }
    lines.join("\n")
}

fn branch(chain: &VerifiedChain, gate: Gate, lead: &str, below: &str, lines: &mut Vec<String>) {
    let Some(verified) = chain.links().get(&gate) else { return };
    // Gates side by side build on the same one: it is told once.
    if lines.iter().any(|line| line.contains(&format!(" {gate}: "))) {
        lines.push(format!("  {lead}{gate} (as above)"));
        return;
    }
    lines.push(format!("  {lead} {gate}: {}", proof::of(gate, &verified.link)));
    let before = gate.predecessors();
    let bar = if before.is_empty() { "  " } else { "│ " };
    for line in proof::carried(&verified.link) {
        lines.push(format!("  {below}{bar}  {line}"));
    }
    for (index, predecessor) in before.iter().enumerate() {
        let (fork, bar) = if index + 1 == before.len() { ("└─", "  ") } else { ("├─", "│ ") };
        branch(chain, *predecessor, &format!("{below}{fork}"), &format!("{below}{bar}"), lines);
    }
}
