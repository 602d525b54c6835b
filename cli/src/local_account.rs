//! A local account around a piece of work: started before it, gone after it, whatever happened.

use std::path::{Path, PathBuf};
use std::pin::pin;

use local::{Account, Faults, Options, Outputs, Profile};

use crate::args::{DeployArgs, LocalArgs};
use crate::error::Error;
use crate::prerequisites;
use crate::repository;
use crate::screen::Screen;
use crate::staging::Draft;
use crate::ways::{self, StagedFiles};

/// The request that is run or staged where none is given.
const EXAMPLE: &str = "examples/requests/tiny-lm.json";

/// How work with an account ended.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    /// It was done.
    Finished(T),
    /// A signal ended it; the exit status that says so.
    Stopped(i32),
}

/// What was checked before anything is started.
pub(crate) struct Ground {
    /// The repository.
    pub root: PathBuf,
    /// The request.
    pub draft: Draft,
    /// Which binaries are deployed.
    pub profile: Profile,
    /// Variables of the infrastructure.
    pub var_file: Option<PathBuf>,
}

/// Checks what is needed and reads the request, so that nothing is started in vain.
///
/// # Errors
/// [`Error::NoRepository`], [`Error::Prerequisites`], [`Error::Staging`], [`Error::VarFile`].
pub(crate) async fn prepare(request: Option<PathBuf>, deployed: &DeployArgs) -> Result<Ground, Error> {
    let root = repository::find()?;
    let draft = Draft::read(&request.unwrap_or_else(|| root.join(EXAMPLE)))?;
    prerequisites::check().await.map_err(Error::Prerequisites)?;
    let profile = if deployed.release { Profile::Release } else { Profile::Debug };
    let var_file = deployed.var_file.as_deref().map(absolute).transpose()?;
    Ok(Ground { root, draft, profile, var_file })
}

/// Terraform runs in a folder of its own.
fn absolute(path: &Path) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(|source| Error::VarFile { path: path.to_owned(), source })
}

/// Starts an account, deploys to it, does the work, and ends everything; a signal ends it too.
///
/// # Errors
/// The account's, or the work's own. The account's logs are then kept, and the screen says where.
pub(crate) async fn with_account<T>(
    ground: &Ground,
    screen: &Screen,
    work: impl AsyncFnOnce(&Account, &Outputs) -> Result<T, Error>,
) -> Result<Outcome<T>, Error> {
    // One listener for all of it: a signal between two waits would otherwise be lost.
    let mut stop = pin!(local::stop::asked());
    let options = Options {
        root: ground.root.clone(),
        profile: ground.profile,
        faults: Faults::default(),
        var_file: ground.var_file.clone(),
    };
    let account = tokio::select! {
        account = Account::start(options, screen) => account.inspect_err(|_| screen.abandon())?,
        status = &mut stop => {
            screen.abandon();
            return Ok(Outcome::Stopped(status));
        }
    };
    let done = async {
        let outputs = account.apply(screen).await.inspect_err(|_| screen.abandon())?;
        screen.end();
        work(&account, outputs).await
    };
    let outcome = tokio::select! {
        done = done => done.map(Outcome::Finished),
        status = &mut stop => Ok(Outcome::Stopped(status)),
    };
    screen.abandon();
    if outcome.is_ok() {
        screen.doing("stopping the account");
        account.shutdown().await;
    } else {
        let logs = account.shutdown_keeping_logs().await;
        screen.aside(&format!("the account's logs are kept in {} for an hour", logs.display()));
    }
    screen.idle();
    outcome
}

/// `lockstep local`: the account, with everything deployed, until a signal ends it.
///
/// # Errors
/// As [`with_account`].
pub(crate) async fn run(args: LocalArgs, screen: &Screen) -> Result<Outcome<()>, Error> {
    let ground = prepare(args.request, &args.deploy).await?;
    let mut is_ready = false;
    let outcome = with_account(&ground, screen, async |account: &Account, outputs: &Outputs| {
        let request = stage(&ground.draft, account, outputs).await?;
        let files = StagedFiles::write(account.state_dir(), &request)?;
        screen.say(&format!("\n{}", ways::describe(account, outputs, &files)));
        screen.heading("Ctrl-C stops it.");
        is_ready = true;
        std::future::pending::<Result<(), Error>>().await
    })
    .await?;
    // Ctrl-C is how this is meant to end, once it is up.
    Ok(if is_ready { Outcome::Finished(()) } else { outcome })
}

/// Uploads the request's data, each part as who may write it.
///
/// # Errors
/// As [`Draft::stage`].
pub(crate) async fn stage(
    draft: &Draft,
    account: &Account,
    outputs: &Outputs,
) -> Result<serde_json::Value, Error> {
    use crate::staging::Data;
    let submitter = aws_sdk_s3::Client::from_conf(s3_config(account, local::Identity::Submitter).await);
    let steward = aws_sdk_s3::Client::from_conf(s3_config(account, local::Identity::DataSteward).await);
    let client_of = |data| match data {
        Data::Training => submitter.clone(),
        Data::Evaluation => steward.clone(),
    };
    draft.stage(&outputs.work_bucket, client_of).await
}

/// The local account has no name for each bucket's host: buckets are addressed by path.
pub(crate) async fn s3_config(account: &Account, who: local::Identity) -> aws_sdk_s3::Config {
    aws_sdk_s3::config::Builder::from(&account.sdk_config(who).await).force_path_style(true).build()
}
