//! `lockstep`: the pipeline's command line.

mod approve;
mod args;
mod carry;
mod check;
mod connection;
mod demo;
mod drift;
mod error;
mod export;
mod findings;
mod follow;
mod forget;
mod history;
mod local_account;
mod prerequisites;
mod promote;
mod proof;
mod recover;
mod repository;
mod rerun;
mod rollback;
mod run_files;
mod sabotage;
mod screen;
mod staging;
mod summary;
mod table;
mod traffic;
mod transfer_progress;
mod trigger;
mod verify;
mod watch;
mod ways;

use std::process::ExitCode;

use clap::Parser as _;
use local::Identity;

use crate::approve::Decision;
use crate::args::{Cli, Command, DecideArgs, WatchArgs};
use crate::demo::Ended;
use crate::error::Error;
use crate::local_account::Outcome;
use crate::screen::Screen;

/// The run was refused.
const REFUSED: u8 = 3;
/// What was to be deleted is there again, or cannot be searched.
const INCOMPLETE: u8 = 5;

#[tokio::main]
async fn main() -> ExitCode {
    let command = Cli::parse().command;
    let screen = Screen::new();
    match run(command, &screen).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            screen.idle();
            anstream::eprintln!("{} {error}", screen::verdict("error:", false));
            ExitCode::from(error.exit_code())
        }
    }
}

/// Does what was asked; the exit code.
async fn run(command: Command, screen: &Screen) -> Result<u8, Error> {
    let outcome = match command {
        Command::Demo(args) => demo::run(args, screen).await?,
        Command::Local(args) => match local_account::run(args, screen).await? {
            Outcome::Finished(()) => Outcome::Finished(Ended::Succeeded),
            Outcome::Stopped(status) => Outcome::Stopped(status),
        },
        Command::Check(args) => Outcome::Finished(check::run(&args, screen)?),
        Command::Watch(args) => Outcome::Finished(watch(&args, screen).await?),
        Command::Approve(args) => decide(&args, Decision::Approve, screen).await?,
        Command::Verify(args) => {
            verify::run(&args, screen).await?;
            Outcome::Finished(Ended::Succeeded)
        }
        Command::Export(args) => {
            let root = repository::find().ok();
            let account = connection::connect(&args.account, root.as_deref(), Identity::Submitter).await?;
            export::run(&args, &account, screen).await?;
            Outcome::Finished(Ended::Succeeded)
        }
        Command::Rerun(args) => {
            let root = repository::find().ok();
            let account = connection::connect(&args.account, root.as_deref(), Identity::Submitter).await?;
            Outcome::Finished(rerun::run(&args, &account, screen).await?)
        }
        Command::Promote(args) => {
            let root = repository::find().ok();
            let from = connection::connect(&args.account, root.as_deref(), Identity::Submitter).await?;
            let to = connection::destination(&args.to, root.as_deref()).await?;
            Outcome::Finished(promote::run(&args, &from, to.as_ref().unwrap_or(&from), screen).await?)
        }
        Command::Rollback(args) => {
            let root = repository::find().ok();
            let account = connection::connect(&args.account, root.as_deref(), Identity::Submitter).await?;
            Outcome::Finished(rollback::run(&args, &account, screen).await?)
        }
        Command::Recover(args) => {
            let root = repository::find().ok();
            let from = connection::connect(&args.account, root.as_deref(), Identity::Submitter).await?;
            let to = connection::destination(&args.to, root.as_deref()).await?;
            Outcome::Finished(recover::run(&args, &from, to.as_ref().unwrap_or(&from), screen).await?)
        }
        Command::Forget(args) => {
            let root = repository::find().ok();
            let account = connection::as_forgetter(&args.account, root.as_deref(), &args.name).await?;
            Outcome::Finished(forget::run(&args, &account, screen).await?)
        }
        Command::Reject(args) => decide(&args, Decision::Reject, screen).await?,
    };
    Ok(match outcome {
        Outcome::Finished(Ended::Succeeded) => 0,
        Outcome::Finished(Ended::Refused) => REFUSED,
        Outcome::Finished(Ended::Incomplete) => INCOMPLETE,
        Outcome::Stopped(status) => u8::try_from(status).unwrap_or(1),
    })
}

async fn watch(args: &WatchArgs, screen: &Screen) -> Result<Ended, Error> {
    let root = repository::find().ok();
    let account = connection::connect(&args.account, root.as_deref(), Identity::Submitter).await?;
    let has_succeeded = watch::watch(args, &account, screen).await?;
    Ok(if has_succeeded { Ended::Succeeded } else { Ended::Refused })
}

async fn decide(args: &DecideArgs, decision: Decision, screen: &Screen) -> Result<Outcome<Ended>, Error> {
    let root = repository::find().ok();
    let account = connection::connect(&args.account, root.as_deref(), Identity::Approver).await?;
    approve::run(args, decision, &account, screen).await?;
    Ok(Outcome::Finished(Ended::Succeeded))
}
