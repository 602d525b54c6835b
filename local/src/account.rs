//! The whole local account: started, deployed to, and gone when it is dropped.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use crate::connection::{Connection, Identity, Keys};
use crate::front::{self, Front};
use crate::hub::{self, Hub};
use crate::image::{self, Image};
use crate::ministack::{self, MiniStack};
use crate::notifications::Notifications;
use crate::outputs::{self, Outputs};
use crate::package::{self, Architecture, Package, Profile};
use crate::progress::Progress;
use crate::python::{self, Environment, MINISTACK};
use crate::sagemaker::SageMaker;
use crate::service::{self, Fault, Faults, ImageStore};
use crate::terraform;
use crate::wire::{self, Wire};

/// The region of every local account.
pub const REGION: &str = "us-east-1";

/// The id of every local account.
pub const ACCOUNT_ID: &str = "000000000000";

/// The key of the account's root, and its secret: what applies the infrastructure and makes users.
pub(crate) const ROOT_KEY: &str = "test";

/// The time between two sweeps: the rule that AWS fires every five minutes is too slow to wait for here.
pub const SWEEP_SECONDS: u64 = 5;

/// The tag under which the container is pushed.
const IMAGE_TAG: &str = "1.0";

/// Set to `0`, whatever a caller asks is allowed; otherwise the policies of roles, users and buckets are enforced.
const ENFORCE_VARIABLE: &str = "LOCKSTEP_ENFORCE_POLICIES";
/// A URL that is asked before a function is invoked, and when it failed whether to invoke it once more.
const REHEARSAL_VARIABLE: &str = "LOCKSTEP_REHEARSAL_URL";

/// A file to which what functions send is appended, for a test to judge.
const REQUESTS_VARIABLE: &str = "LOCKSTEP_RECORD_REQUESTS";

/// Seconds that a minute of what deployments wait lasts here; fractions too.
const MINUTE_VARIABLE: &str = "LOCKSTEP_SECONDS_PER_MINUTE";
/// Long enough for an alarm to ring in a wait of a minute: metrics arrive every second.
const MINUTE: Duration = Duration::from_secs(3);

/// `interrupted` or `never-returns`: what happens to the capacity of spot jobs. See [`Fault`].
const SPOT_VARIABLE: &str = "LOCKSTEP_SPOT";

/// Marks a folder whose logs were asked for.
const KEPT: &str = "kept";

/// How long such a folder stays.
const KEPT_FOR: Duration = Duration::from_secs(3600);

/// The policy of the environment that describes this account.
const POLICY: &str = "infra/environments/local/policy.json";

/// The functions that the sweep's rule invokes.
const SWEEPERS: [&str; 2] = ["lockstep-resume-execution", "lockstep-seal-run"];

/// The account could not be started, deployed to, or asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the account's could not be written.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no Python to run MiniStack.
    #[error(transparent)]
    Python(#[from] python::Error),
    /// MiniStack did not start.
    #[error(transparent)]
    MiniStack(#[from] ministack::Error),
    /// The endpoint did not start.
    #[error(transparent)]
    Front(#[from] front::Error),
    /// SageMaker did not start.
    #[error("SageMaker did not start: {0}")]
    SageMaker(#[from] service::AwsError),
    /// The Hub did not start.
    #[error(transparent)]
    Hub(#[from] hub::Error),
    /// The programs could not be built.
    #[error(transparent)]
    Package(#[from] package::Error),
    /// The infrastructure could not be applied.
    #[error(transparent)]
    Terraform(#[from] terraform::Error),
    /// The infrastructure lacks an output.
    #[error(transparent)]
    Outputs(#[from] outputs::Error),
    /// The image could not be pushed.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// The account refused something that it is asked for at its start.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// It was deployed to before.
    #[error("the account was applied to already; start another")]
    AppliedAlready,
}

fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}

/// What is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The repository.
    pub root: PathBuf,
    /// Which binaries are deployed.
    pub profile: Profile,
    /// What is wrong from the start.
    pub faults: Faults,
    /// Terraform variables that stand above this account's own, as `terraform apply -var-file` takes them.
    pub var_file: Option<PathBuf>,
}

/// How long each phase took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Compiling and zipping.
    pub build: Duration,
    /// Starting every service.
    pub start: Duration,
    /// Applying the infrastructure and pushing the image.
    pub apply: Duration,
}

/// A running local account. Dropping it ends everything that it started; [`Account::shutdown`] also removes its
/// folder.
#[derive(Debug)]
pub struct Account {
    options: Options,
    lockstep: PathBuf,
    python: PathBuf,
    connection: Connection,
    images: ImageStore,
    notifications: Notifications,
    started: Duration,
    deployed: OnceLock<Deployed>,
    // In the order in which they end: what calls, before what is called.
    sagemaker: SageMaker,
    front: Front,
    hub: Hub,
    ministack: MiniStack,
}

#[derive(Debug)]
struct Deployed {
    outputs: Outputs,
    timings: Timings,
    _sweep: Sweep,
}

/// The sweep's clock, which stops when it is dropped.
#[derive(Debug)]
struct Sweep(JoinHandle<()>);

impl Drop for Sweep {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Account {
    /// Starts every service and makes the users; deploys nothing yet.
    pub async fn start(options: Options, progress: &dyn Progress) -> Result<Self, Error> {
        let begun = Instant::now();
        progress.phase("start");
        let lockstep = options.root.join(".lockstep");
        let environment = Environment::prepare(&lockstep, MINISTACK, progress).await?;
        let python = environment.python();
        let accounts = lockstep.join("accounts");
        remove_leftovers(&accounts);
        let state_dir = accounts.join(name());
        for folder in ["", "sagemaker", "home", "tmp"] {
            let folder = state_dir.join(folder);
            std::fs::create_dir_all(&folder).map_err(file(&folder))?;
        }

        let hub = Hub::serve(
            &options.root.join("examples/models"),
            options.faults.clone(),
            std::collections::BTreeMap::new(),
        )
        .await?;
        let address = front::Address::take().await?;
        let endpoint = address.url();
        progress.line("starting MiniStack");
        let ministack = MiniStack::start(ministack::Settings {
            python: &python,
            state_dir: &state_dir,
            endpoint: &endpoint,
            region: REGION,
            account_id: ACCOUNT_ID,
            enforce_policies: enforces_policies(),
            rehearsal: std::env::var(REHEARSAL_VARIABLE).ok().as_deref(),
        })
        .await?;
        if let Some(fault) = spot() {
            options.faults.set(fault);
        }
        let images = ImageStore::default();
        let sagemaker = SageMaker::new(service::Config {
            backend: ministack.url().to_owned(),
            state_dir: state_dir.join("sagemaker"),
            region: REGION.to_owned(),
            account_id: ACCOUNT_ID.to_owned(),
            images: images.clone(),
            faults: options.faults.clone(),
            minute: minute(),
        })?;
        let judge = enforces_policies().then(|| Wire::new(ministack.url(), REGION, ROOT_KEY));
        let calls = state_dir.join("calls.jsonl");
        let requests = std::env::var_os(REQUESTS_VARIABLE).map(PathBuf::from);
        let front =
            Front::serve(address, ministack.url(), sagemaker.clone(), judge, &calls, requests.as_deref())?;

        let root = Wire::new(&endpoint, REGION, ROOT_KEY);
        let connection = Connection {
            endpoint: endpoint.clone(),
            hub: hub.url().to_owned(),
            region: REGION.to_owned(),
            account_id: ACCOUNT_ID.to_owned(),
            process: std::process::id(),
            submitter: make_user(&root, Identity::Submitter).await?,
            approver: make_user(&root, Identity::Approver).await?,
            data_steward: make_user(&root, Identity::DataSteward).await?,
            state_dir,
        };
        let notifications = Notifications::open(root).await?;
        connection.announce(&lockstep).map_err(|(path, source)| Error::File { path, source })?;
        progress.line(&format!("the account answers at {endpoint}, the Hub at {}", connection.hub));
        Ok(Self {
            options,
            lockstep,
            python,
            connection,
            images,
            notifications,
            started: begun.elapsed(),
            deployed: OnceLock::new(),
            sagemaker,
            front,
            hub,
            ministack,
        })
    }

    /// Builds the programs, applies the infrastructure, pushes the image and starts the sweep's clock.
    pub async fn apply(&self, progress: &dyn Progress) -> Result<&Outputs, Error> {
        if self.deployed.get().is_some() {
            return Err(Error::AppliedAlready);
        }
        terraform::find()?; // Said before minutes of compiling, not after.
        progress.phase("build");
        let begun = Instant::now();
        let package = self.build(progress).await?;
        let built = begun.elapsed();

        progress.phase("apply");
        let begun = Instant::now();
        let variables = self.variables(&package).await?;
        let applied = terraform::apply(self.terraform(), &variables, progress).await?;
        let outputs = Outputs::read(&applied)?;
        progress.line("pushing the model container");
        self.push(&package, &outputs).await?;
        self.notifications.subscribe(&outputs.topic_arn).await?;
        let sweep = Sweep(tokio::spawn(sweep(self.root_wire())));
        let timings = Timings { build: built, start: self.started, apply: begun.elapsed() };
        let deployed = Deployed { outputs, timings, _sweep: sweep };
        self.deployed.set(deployed).map_err(|_| Error::AppliedAlready)?;
        self.outputs().ok_or(Error::AppliedAlready)
    }

    /// How Terraform is run for this account.
    pub fn terraform(&self) -> terraform::Settings<'_> {
        terraform::Settings {
            root: &self.options.root,
            lockstep: &self.lockstep,
            state_dir: self.state_dir(),
            python: &self.python,
            endpoint: self.endpoint(),
            region: REGION,
            var_file: self.options.var_file.as_deref(),
        }
    }

    async fn build(&self, progress: &dyn Progress) -> Result<Package, Error> {
        let settings = package::Settings {
            root: &self.options.root,
            lockstep: &self.lockstep,
            profile: self.options.profile,
            architecture: Architecture::of_this_machine(),
            log: &self.state_dir().join("build.log"),
            python: &self.python,
            state_dir: self.state_dir(),
        };
        Ok(package::build(settings, progress).await?)
    }

    /// The infrastructure's variables: all that makes this account another than one on AWS.
    async fn variables(&self, package: &Package) -> Result<Map<String, Value>, Error> {
        let account = self.root_wire();
        let subnets = account
            .query(
                "ec2",
                "2016-11-15",
                "DescribeSubnets",
                &[("Filter.1.Name", "default-for-az"), ("Filter.1.Value.1", "true")],
            )
            .await?;
        let groups = account
            .query(
                "ec2",
                "2016-11-15",
                "DescribeSecurityGroups",
                &[("Filter.1.Name", "group-name"), ("Filter.1.Value.1", "default")],
            )
            .await?;
        let variables = json!({
            "zips_dir": package.zips,
            "architecture": Architecture::of_this_machine().name(),
            "hf_endpoint": self.hub(),
            "sweep_seconds": SWEEP_SECONDS,
            "subnet_ids": wire::elements(&subnets, "subnetId"),
            "security_group_ids": unique(wire::elements(&groups, "groupId")),
            "evaluation_writers": [self.connection.data_steward.user_id],
            "label_writers": [self.connection.data_steward.user_id],
            "forgetters": [self.connection.data_steward.arn],
            "policy_path": self.policy()?,
            "code_revision": code_revision(&self.options.root).await,
        });
        Ok(variables.as_object().cloned().unwrap_or_default())
    }

    /// The environment's policy with the one thing that is known only here: the data steward's id. The
    /// infrastructure demands that policy and bucket name the same writers.
    fn policy(&self) -> Result<PathBuf, Error> {
        let (path, written) = (self.options.root.join(POLICY), self.state_dir().join("policy.json"));
        let text = std::fs::read(&path).map_err(file(&path))?;
        let mut policy: Value = serde_json::from_slice(&text)
            .map_err(|problem| Error::File { path: path.clone(), source: problem.into() })?;
        policy["data"]["evaluation_writers"] = json!([self.connection.data_steward.user_id]);
        std::fs::write(&written, policy.to_string()).map_err(file(&written))?;
        Ok(written)
    }

    async fn push(&self, package: &Package, outputs: &Outputs) -> Result<(), Error> {
        let (binary, folder) = (package.container.clone(), self.state_dir().join("image"));
        let (image, kept) =
            tokio::task::spawn_blocking(move || Image::of(&binary, &folder, Architecture::of_this_machine()))
                .await
                .unwrap_or_else(|_| {
                    Err(image::Error::File {
                        path: package.container.clone(),
                        source: std::io::Error::other("interrupted"),
                    })
                })?;
        Ok(image.push(&self.root_wire(), outputs.repository(), IMAGE_TAG, &self.images, kept).await?)
    }

    fn root_wire(&self) -> Wire {
        Wire::new(self.endpoint(), REGION, ROOT_KEY)
    }

    /// The one endpoint of every AWS service.
    pub fn endpoint(&self) -> &str {
        &self.connection.endpoint
    }

    /// The Hub, for `HF_ENDPOINT`.
    pub fn hub(&self) -> &str {
        self.hub.url()
    }

    /// Where the account is, and the users' keys.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// A user's keys.
    pub fn keys(&self, who: Identity) -> &Keys {
        self.connection.keys(who)
    }

    /// Configuration for SDK clients in a user's name.
    pub async fn sdk_config(&self, who: Identity) -> aws_config::SdkConfig {
        self.connection.sdk_config(who).await
    }

    /// What can be made wrong, now or later.
    pub fn faults(&self) -> &Faults {
        &self.options.faults
    }

    /// What the infrastructure answered, once it is applied.
    pub fn outputs(&self) -> Option<&Outputs> {
        self.deployed.get().map(|deployed| &deployed.outputs)
    }

    /// How long each phase took, once all are over.
    pub fn timings(&self) -> Option<Timings> {
        self.deployed.get().map(|deployed| deployed.timings)
    }

    /// The folder that holds the account's state and logs.
    pub fn state_dir(&self) -> &Path {
        &self.connection.state_dir
    }

    /// The record of who called what, one JSON object a line.
    pub fn calls(&self) -> PathBuf {
        self.state_dir().join("calls.jsonl")
    }

    /// Everything that the topic sent so far, in order of arrival.
    pub async fn notifications(&self) -> Result<Vec<Value>, Error> {
        Ok(self.notifications.all().await?)
    }

    /// Ends every process and removes the account's folder.
    pub async fn shutdown(self) {
        let state_dir = self.state_dir().to_owned();
        self.end().await;
        let _ = std::fs::remove_dir_all(state_dir);
    }

    /// Ends every process and keeps the logs; answers where they are. Accounts that start an hour later or more
    /// remove them.
    pub async fn shutdown_keeping_logs(self) -> PathBuf {
        let state_dir = self.state_dir().to_owned();
        self.end().await;
        for large in ["tmp", "image", "home", "zips", "sagemaker"] {
            let _ = std::fs::remove_dir_all(state_dir.join(large));
        }
        let _ = std::fs::write(state_dir.join(KEPT), "");
        state_dir
    }

    async fn end(mut self) {
        // The sweep first: it would otherwise call a function that is going away.
        drop(self.deployed.take());
        self.sagemaker.shutdown().await;
        self.connection.withdraw(&self.lockstep);
        let Self { front, hub, ministack, .. } = self;
        front.stop().await;
        hub.stop().await;
        ministack.stop();
    }
}

/// Invokes the sweep at its time, one after the other, as long as it runs.
async fn sweep(account: Wire) {
    let mut clock = tokio::time::interval(Duration::from_secs(SWEEP_SECONDS));
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        for function in SWEEPERS {
            if let Err(problem) = account.invoke_function(function, &json!({ "sweep": true })).await {
                tracing::warn!(%problem, function, "a sweep failed");
            }
        }
    }
}

fn enforces_policies() -> bool {
    std::env::var(ENFORCE_VARIABLE).map_or(true, |value| value != "0")
}

fn spot() -> Option<Fault> {
    match std::env::var(SPOT_VARIABLE).ok()?.as_str() {
        "interrupted" => Some(Fault::SpotInterrupted),
        "never-returns" => Some(Fault::SpotNeverReturns),
        _ => None,
    }
}

fn minute() -> Duration {
    let seconds = std::env::var(MINUTE_VARIABLE).ok().and_then(|value| value.parse::<f64>().ok());
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(MINUTE)
}

async fn make_user(account: &Wire, who: Identity) -> Result<Keys, Error> {
    let name = who.user_name();
    let user = account.query("iam", "2010-05-08", "CreateUser", &[("UserName", name)]).await?;
    let key = account.query("iam", "2010-05-08", "CreateAccessKey", &[("UserName", name)]).await?;
    // What a user may do is bounded where it matters: by the bucket policies that are deployed.
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }],
    })
    .to_string();
    let grant = [("UserName", name), ("PolicyName", "local-account"), ("PolicyDocument", &policy)];
    account.query("iam", "2010-05-08", "PutUserPolicy", &grant).await?;
    Ok(Keys {
        user_id: wire::element(&user, "UserId", "CreateUser")?,
        arn: wire::element(&user, "Arn", "CreateUser")?,
        access_key_id: wire::element(&key, "AccessKeyId", "CreateAccessKey")?,
        secret_access_key: wire::element(&key, "SecretAccessKey", "CreateAccessKey")?,
    })
}

fn unique(mut ids: Vec<&str>) -> Vec<&str> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// A folder's name for an account of this process; a process may have several, one after the other or at once.
fn name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Removes what accounts left whose process was killed before it could, and logs that were kept long enough.
fn remove_leftovers(accounts: &Path) {
    let Ok(folders) = std::fs::read_dir(accounts) else { return };
    for folder in folders.filter_map(Result::ok) {
        let name = folder.file_name();
        let process = name.to_string_lossy().split('-').next().and_then(|text| text.parse().ok());
        let age = folder.path().join(KEPT).metadata().and_then(|kept| kept.modified()).map(|at| at.elapsed());
        let is_kept = age.is_ok_and(|age| age.is_ok_and(|age| age < KEPT_FOR));
        if !is_kept && process.is_some_and(|process| !crate::connection::is_alive(process)) {
            let _ = std::fs::remove_dir_all(folder.path());
        }
    }
}
/// The commit that is checked out, and whether the tree differs from it; a copy without git has none.
async fn code_revision(root: &Path) -> String {
    let git = async |arguments: &[&str]| {
        let output = tokio::process::Command::new("git").arg("-C").arg(root).args(arguments).output().await;
        let output = output.ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "HEAD"]).await else { return "unknown".to_owned() };
    match git(&["status", "--porcelain"]).await.as_deref() {
        Some("") => commit,
        _ => format!("{commit}-dirty"),
    }
}
