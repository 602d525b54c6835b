//! Terraform, applied to the account without leaving anything in the repository.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::follow;
use crate::ministack::tail;
use crate::progress::Progress;
use crate::supervised::{self, Program, Supervised};
use crate::turn;

/// The oldest Terraform whose providers and language the infrastructure uses.
const OLDEST: (u32, u32) = (1, 11);

/// The provider that a mirror must hold to count as one.
const PROVIDER: &str = "registry.terraform.io/hashicorp/aws";

/// The environment that describes this account.
const ENVIRONMENT: &str = "infra/environments/local";

/// The infrastructure could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no Terraform, or an old one.
    #[error(
        "Terraform {}.{} or newer is needed, and {found}; install it from \
         https://developer.hashicorp.com/terraform/install",
        OLDEST.0,
        OLDEST.1
    )]
    NotFound {
        /// What was found instead.
        found: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Terraform could not be started.
    #[error(transparent)]
    Supervised(#[from] supervised::Error),
    /// A step failed.
    #[error("terraform {step} failed:\n{message}")]
    Step {
        /// The step.
        step: &'static str,
        /// What Terraform said.
        message: String,
    },
    /// The state is not what Terraform writes.
    #[error("{path} holds no outputs: {source}", path = .path.display())]
    State {
        /// The state.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}

/// How Terraform is run.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// The repository.
    pub root: &'a Path,
    /// The folder for what outlives a run: what `init` fetched.
    pub lockstep: &'a Path,
    /// The folder for this run's state and logs.
    pub state_dir: &'a Path,
    /// The Python that runs the supervisor.
    pub python: &'a Path,
    /// The account's endpoint.
    pub endpoint: &'a str,
    /// The account's region.
    pub region: &'a str,
    /// Variables that stand above those that `apply` is given.
    pub var_file: Option<&'a Path>,
}

/// Checks that Terraform is there and recent enough; answers where.
pub fn find() -> Result<PathBuf, Error> {
    #[derive(Deserialize)]
    struct Version {
        terraform_version: String,
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = std::env::split_paths(&path)
        .map(|folder| folder.join("terraform"))
        .find(|program| program.is_file())
        .ok_or_else(|| Error::NotFound { found: "there is no `terraform` on the PATH".into() })?;
    let output = Command::new(&program)
        .args(["version", "-json"])
        .env("CHECKPOINT_DISABLE", "1")
        .env_remove("TF_CLI_CONFIG_FILE")
        .output()
        .map_err(file(&program))?;
    let version: Version = serde_json::from_slice(&output.stdout)
        .map_err(|_| Error::NotFound { found: format!("{} does not say its version", program.display()) })?;
    let mut numbers = version.terraform_version.split('.').map_while(|part| part.parse::<u32>().ok());
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < OLDEST {
        return Err(Error::NotFound {
            found: format!("{} is {}", program.display(), version.terraform_version),
        });
    }
    Ok(program)
}

/// The folder that serves the provider without a registry, if there is one.
pub fn mirror() -> Option<PathBuf> {
    let named = std::env::var_os("TF_PLUGIN_MIRROR").map(PathBuf::from);
    mirror_among(named, implied_mirrors(), Path::new("/opt"))
}

fn mirror_among(named: Option<PathBuf>, implied: Vec<PathBuf>, opt: &Path) -> Option<PathBuf> {
    if named.is_some() {
        return named; // Terraform says what is wrong with it, if anything is.
    }
    let mut under_opt: Vec<PathBuf> = std::fs::read_dir(opt)
        .map(|folders| folders.filter_map(Result::ok).map(|entry| entry.path()).collect())
        .unwrap_or_default();
    under_opt.sort();
    implied.into_iter().chain(under_opt).find(|folder| folder.join(PROVIDER).is_dir())
}

/// The folders that Terraform itself would look into without a configuration.
fn implied_mirrors() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Some(home) = std::env::var_os("HOME").map(PathBuf::from) {
        folders.push(home.join(".terraform.d/plugins"));
        if cfg!(target_os = "macos") {
            folders.push(home.join("Library/Application Support/io.terraform/plugins"));
        }
        let data = std::env::var_os("XDG_DATA_HOME").map_or_else(|| home.join(".local/share"), PathBuf::from);
        folders.push(data.join("terraform/plugins"));
    }
    if cfg!(target_os = "macos") {
        folders.push("/Library/Application Support/io.terraform/plugins".into());
    }
    let shared = std::env::var_os("XDG_DATA_DIRS").unwrap_or_else(|| "/usr/local/share:/usr/share".into());
    folders.extend(std::env::split_paths(&shared).map(|folder| folder.join("terraform/plugins")));
    folders
}

/// Initialises where it must, applies, and answers the outputs.
pub async fn apply(
    settings: Settings<'_>,
    variables: &Map<String, Value>,
    progress: &dyn Progress,
) -> Result<Map<String, Value>, Error> {
    let variables_path = settings.state_dir.join(VARIABLES);
    let text = Value::Object(variables.clone()).to_string();
    std::fs::write(&variables_path, text).map_err(file(&variables_path))?;
    apply_again(settings, progress).await
}

/// Applies with the variables of the last time, and answers the outputs.
pub async fn apply_again(
    settings: Settings<'_>,
    progress: &dyn Progress,
) -> Result<Map<String, Value>, Error> {
    run(settings, "apply", &["-auto-approve"], progress).await?;
    outputs(&settings.state_dir.join(STATE))
}

/// What another `apply` would change, with the variables of the last time.
pub async fn plan(settings: Settings<'_>, progress: &dyn Progress) -> Result<Vec<Change>, Error> {
    run(settings, "plan", &[], progress).await?;
    let log = settings.state_dir.join("terraform-plan.log");
    let text = std::fs::read_to_string(&log).map_err(file(&log))?;
    Ok(text.lines().filter_map(Change::planned).collect())
}

/// Destroys what was applied, with the variables of the last time.
pub async fn destroy(settings: Settings<'_>, progress: &dyn Progress) -> Result<(), Error> {
    run(settings, "destroy", &["-auto-approve"], progress).await
}

/// A resource that an `apply` would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The resource's address.
    pub address: String,
    /// Its type, such as `aws_s3_bucket`.
    pub kind: String,
    /// `create`, `update`, `replace` or `delete`.
    pub action: String,
}

impl Change {
    /// Of a line of Terraform's machine-readable output.
    fn planned(line: &str) -> Option<Self> {
        let message: Value = serde_json::from_str(line).ok()?;
        let text = |pointer| message.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        (message["type"] == "planned_change").then_some(())?;
        Some(Self {
            address: text("/change/resource/addr")?,
            kind: text("/change/resource/resource_type")?,
            action: text("/change/action")?,
        })
    }
}

/// Where the state lies, and the variables, both in the account's folder.
const STATE: &str = "terraform.tfstate";
const VARIABLES: &str = "lockstep.tfvars.json";

async fn run(
    settings: Settings<'_>,
    step: &'static str,
    arguments: &[&str],
    progress: &dyn Progress,
) -> Result<(), Error> {
    let program = find()?;
    let run = Run::prepare(settings, program)?;
    // Held until the end: nobody may initialise anew what this run still reads.
    let _initialised = run.initialise(progress).await?;
    let mut all = vec![
        OsString::from("-json"),
        "-input=false".into(),
        "-lock=false".into(),
        // MiniStack answers at once; what takes long is the provider's own waiting.
        "-parallelism=40".into(),
        concat_os("-state=", &settings.state_dir.join(STATE)),
        concat_os("-var-file=", &settings.state_dir.join(VARIABLES)),
    ];
    all.extend(settings.var_file.map(|path| concat_os("-var-file=", path)));
    all.extend(arguments.iter().map(OsString::from));
    run.step(step, &all, progress).await
}

fn concat_os(prefix: &str, path: &Path) -> OsString {
    let mut text = OsString::from(prefix);
    text.push(path);
    text
}

/// The outputs as the state holds them: another Terraform process would only print the same.
fn outputs(state: &Path) -> Result<Map<String, Value>, Error> {
    #[derive(Deserialize)]
    struct State {
        outputs: std::collections::BTreeMap<String, Output>,
    }
    #[derive(Deserialize)]
    struct Output {
        value: Value,
    }
    let text = std::fs::read(state).map_err(file(state))?;
    let parsed: State =
        serde_json::from_slice(&text).map_err(|source| Error::State { path: state.to_owned(), source })?;
    Ok(parsed.outputs.into_iter().map(|(name, output)| (name, output.value)).collect())
}

struct Run<'a> {
    settings: Settings<'a>,
    program: PathBuf,
    folder: PathBuf,
    data: PathBuf,
    config: PathBuf,
}

impl<'a> Run<'a> {
    fn prepare(settings: Settings<'a>, program: PathBuf) -> Result<Self, Error> {
        let data = settings.lockstep.join("terraform");
        std::fs::create_dir_all(&data).map_err(file(&data))?;
        let config = settings.state_dir.join("terraform.rc");
        std::fs::write(&config, configuration(mirror().as_deref())).map_err(file(&config))?;
        Ok(Self { settings, program, folder: settings.root.join(ENVIRONMENT), data, config })
    }

    /// Runs `init` unless it ran for the same lock, the same modules and the same mirror; answers a lock that others
    /// share who only read what it made.
    async fn initialise(&self, progress: &dyn Progress) -> Result<File, Error> {
        let stamp_path = self.data.join("initialised");
        let lock_path = self.settings.lockstep.join("terraform.lock");
        let stamp = self.stamp()?;
        let is_done = || std::fs::read_to_string(&stamp_path).is_ok_and(|known| known == stamp);
        let reader = turn::shared(&lock_path).await.map_err(file(&lock_path))?;
        if is_done() {
            return Ok(reader);
        }
        // Alone, once those who read what a former `init` made are through with it. The lock is given up first: two
        // who waited with it in hand would wait for each other.
        drop(reader);
        let writer = turn::alone(&lock_path).await.map_err(file(&lock_path))?;
        if is_done() {
            writer.lock_shared().map_err(file(&lock_path))?;
            return Ok(writer);
        }
        progress.line("terraform init");
        let mut arguments = vec![OsString::from("-input=false"), "-no-color".into()];
        if self.folder.join(".terraform.lock.hcl").is_file() {
            // What the lock names is what is used, and the repository stays as it is.
            arguments.push("-lockfile=readonly".into());
        }
        self.step("init", &arguments, progress).await?;
        std::fs::write(&stamp_path, stamp).map_err(file(&stamp_path))?;
        writer.lock_shared().map_err(file(&lock_path))?;
        Ok(writer)
    }

    /// Changes whenever `init` would do something else.
    fn stamp(&self) -> Result<String, Error> {
        let mut hash = Sha256::new();
        hash.update(std::fs::read(&self.config).map_err(file(&self.config))?);
        hash.update(self.program.as_os_str().as_encoded_bytes());
        let mut sources = Vec::new();
        collect(&self.settings.root.join("infra"), &mut sources).map_err(file(&self.folder))?;
        sources.sort();
        for source in sources {
            hash.update(source.as_os_str().as_encoded_bytes());
            hash.update(std::fs::read(&source).map_err(file(&source))?);
        }
        Ok(hex::encode(hash.finalize()))
    }

    async fn step(
        &self,
        step: &'static str,
        arguments: &[OsString],
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let log = self.settings.state_dir.join(format!("terraform-{step}.log"));
        let change_folder = concat_os("-chdir=", &self.folder);
        let mut command: Vec<&OsStr> = vec![self.program.as_os_str(), &change_folder, OsStr::new(step)];
        command.extend(arguments.iter().map(OsString::as_os_str));
        let process = Supervised::start(Program {
            python: self.settings.python,
            state_dir: self.settings.state_dir,
            command,
            environment: self.environment(),
            directory: self.settings.root,
            log: &log,
        })?;
        let mut errors: Vec<String> = Vec::new();
        follow::until_end(&process, &log, 0, |line| match said(line) {
            Some(Said::Done(text)) => progress.line(&text),
            Some(Said::Error(text)) => errors.push(text),
            None => {}
        })
        .await;
        if process.ended().is_some_and(|status| status.success()) {
            return Ok(());
        }
        let message = if errors.is_empty() { tail(&log, 40) } else { errors.join("\n") };
        Err(Error::Step { step, message })
    }

    /// Nothing of the user's AWS configuration reaches Terraform: it can only speak to this account.
    fn environment(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.display().to_string();
        let state_dir = self.settings.state_dir;
        let mut environment: Vec<(String, String)> = [
            ("AWS_ENDPOINT_URL", self.settings.endpoint.to_owned()),
            ("AWS_REGION", self.settings.region.to_owned()),
            ("AWS_ACCESS_KEY_ID", crate::account::ROOT_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", crate::account::ROOT_KEY.to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_CONFIG_FILE", text(&state_dir.join("no-aws-config"))),
            ("AWS_SHARED_CREDENTIALS_FILE", text(&state_dir.join("no-aws-credentials"))),
            ("TF_CLI_CONFIG_FILE", text(&self.config)),
            ("TF_DATA_DIR", text(&self.data)),
            ("TF_IN_AUTOMATION", "1".to_owned()),
            ("CHECKPOINT_DISABLE", "1".to_owned()),
            ("HOME", text(&state_dir.join("home"))),
            ("TMPDIR", text(&state_dir.join("tmp"))),
            ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        // `init` may have to reach a registry through the user's proxy; the account itself is on this machine.
        for name in
            ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"]
        {
            if let Ok(value) = std::env::var(name) {
                environment.push((name.to_owned(), value));
            }
        }
        environment.push(("NO_PROXY".to_owned(), "127.0.0.1,localhost".to_owned()));
        environment
    }
}

/// The command line's configuration: from the mirror where there is one, from the registry otherwise.
fn configuration(mirror: Option<&Path>) -> String {
    match mirror {
        None => String::from("# Providers come from the registry.\n"),
        Some(folder) => {
            let path = serde_json::Value::from(folder.display().to_string());
            format!(
                "provider_installation {{\n  filesystem_mirror {{\n    path    = {path}\n    include = [\"{PROVIDER}\"]\n  }}\n  \
                 direct {{\n    exclude = [\"{PROVIDER}\"]\n  }}\n}}\n"
            )
        }
    }
}

fn collect(folder: &Path, sources: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "tf" || extension == "hcl") {
            sources.push(path);
        }
    }
    Ok(())
}

/// A line of Terraform's machine-readable output that is told on.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Done(String),
    Error(String),
}

fn said(line: &str) -> Option<Said> {
    let message: Value = serde_json::from_str(line).ok()?;
    let text = message["@message"].as_str().unwrap_or_default();
    if message["@level"] == "error" {
        let part = |pointer| message.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let parts = [text, part("/diagnostic/address"), part("/diagnostic/detail")];
        return Some(Said::Error(parts.join("\n").trim().to_owned()));
    }
    matches!(message["type"].as_str(), Some("apply_complete" | "change_summary"))
        .then(|| Said::Done(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding_the_provider(parent: &Path, name: &str) -> PathBuf {
        let folder = parent.join(name);
        std::fs::create_dir_all(folder.join(PROVIDER)).unwrap();
        folder
    }

    #[test]
    fn the_mirror_that_is_named_wins_then_the_implied_then_opt() {
        let folder = tempfile::tempdir().unwrap();
        let opt = folder.path().join("opt");
        std::fs::create_dir_all(opt.join("another-program")).unwrap();
        assert_eq!(mirror_among(None, vec![], &opt), None);
        let under_opt = holding_the_provider(&opt, "plugins");
        assert_eq!(mirror_among(None, vec![folder.path().join("absent")], &opt), Some(under_opt));
        let implied = holding_the_provider(folder.path(), "implied");
        assert_eq!(mirror_among(None, vec![implied.clone()], &opt), Some(implied.clone()));
        let named = folder.path().join("named");
        assert_eq!(mirror_among(Some(named.clone()), vec![implied], &opt), Some(named));
    }

    #[test]
    fn a_planned_change_is_told_from_everything_else() {
        let line = r#"{"type":"planned_change","change":{"resource":{"addr":"module.a.aws_s3_bucket.b","resource_type":"aws_s3_bucket"},"action":"update"}}"#;
        let change = Change::planned(line).unwrap();
        assert_eq!((change.kind.as_str(), change.action.as_str()), ("aws_s3_bucket", "update"));
        assert_eq!(Change::planned(r#"{"type":"resource_drift","change":{"action":"update"}}"#), None);
    }

    #[test]
    fn what_is_done_and_what_failed_is_told() {
        let error = r#"{"@level":"error","@message":"Error: no bucket","type":"diagnostic","diagnostic":{"detail":"gone","address":"aws_s3_bucket.x"}}"#;
        assert_eq!(said(error), Some(Said::Error("Error: no bucket\naws_s3_bucket.x\ngone".into())));
        let done = r#"{"@level":"info","@message":"made","type":"apply_complete"}"#;
        assert_eq!(said(done), Some(Said::Done("made".into())));
        assert_eq!(said("not json"), None);
    }
}
