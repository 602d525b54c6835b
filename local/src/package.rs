//! The programs that are deployed: each function's zip, and the model container's binary.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Seek, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::follow;
use crate::progress::Progress;
use crate::python::{self, BUILD, Environment};
use crate::supervised::{self, Program, Supervised};
use crate::turn;

/// The container's package and its binary.
const CONTAINER_PACKAGE: &str = "container";
const CONTAINER_BINARY: &str = "model-container";

/// Which binaries are deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// What `cargo build` makes: quick to make again, slow and large.
    Debug,
    /// The very zips that are deployed to AWS, made by cargo-lambda.
    Release,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

/// The instruction set of the functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Architecture {
    /// Intel and AMD; what is deployed unless said otherwise.
    #[default]
    X86_64,
    /// Graviton.
    Arm64,
}

impl Architecture {
    /// This machine's own: the local account runs what it deploys.
    pub fn of_this_machine() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::X86_64 }
    }

    /// Lambda's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }

    fn cargo_lambda_flag(self) -> &'static str {
        match self {
            Self::X86_64 => "--x86-64",
            Self::Arm64 => "--arm64",
        }
    }
}

/// The programs could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Cargo could not be started.
    #[error(transparent)]
    Supervised(#[from] supervised::Error),
    /// The build failed.
    #[error("`{command}` failed; the end of {log}:\n{tail}", log = .log.display())]
    Build {
        /// The command.
        command: String,
        /// Its log.
        log: PathBuf,
        /// The end of its log.
        tail: String,
    },
    /// A binary that every build makes is not there.
    #[error("the build made no binary `{name}`; is it a member of the workspace?")]
    NoBinary {
        /// The binary.
        name: String,
    },
    /// A zip could not be written.
    #[error("{path}: {source}", path = .path.display())]
    Zip {
        /// The zip.
        path: PathBuf,
        /// Why.
        source: zip::result::ZipError,
    },
    /// cargo-lambda could not be installed.
    #[error(transparent)]
    Python(#[from] python::Error),
    /// A task was lost.
    #[error("packaging was interrupted")]
    Interrupted,
}

fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}

/// What was made.
#[derive(Debug, Clone)]
pub struct Package {
    /// Holds one `<verb>.zip` for each function.
    pub zips: PathBuf,
    /// The model container's binary.
    pub container: PathBuf,
}

/// What is made, and where.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// The workspace.
    pub root: &'a Path,
    /// The folder for what is made: `<root>/.lockstep`.
    pub lockstep: &'a Path,
    /// Which binaries.
    pub profile: Profile,
    /// For which instruction set.
    pub architecture: Architecture,
    /// Where Cargo's output goes.
    pub log: &'a Path,
    /// The Python that runs the supervisor.
    pub python: &'a Path,
    /// Where the supervisor's source is written.
    pub state_dir: &'a Path,
}

/// Builds every function and the container, and zips what changed.
pub async fn build(settings: Settings<'_>, progress: &dyn Progress) -> Result<Package, Error> {
    let functions = functions(settings.root)?;
    let zips = settings.lockstep.join(settings.profile.folder()).join("zips");
    std::fs::create_dir_all(&zips).map_err(file(&zips))?;
    let deployed = settings.state_dir.join("zips");
    std::fs::create_dir_all(&deployed).map_err(file(&deployed))?;
    match settings.profile {
        Profile::Debug => {
            // All members at once resolve to the features that `cargo run` resolved to: one build serves both.
            let binaries = cargo(settings, &["build", "--workspace", "--bins"], &[], progress).await?;
            let jobs: Vec<(PathBuf, PathBuf)> = functions
                .iter()
                .map(|verb| Ok((binary(&binaries, verb)?, zips.join(format!("{verb}.zip")))))
                .collect::<Result<_, Error>>()?;
            progress.line("zipping the functions");
            let _turn = turn(&zips).await?;
            zip_all(jobs).await?;
            keep(&functions, &zips, &deployed)?;
            Ok(Package { zips: deployed, container: binary(&binaries, CONTAINER_BINARY)? })
        }
        Profile::Release => {
            let environment = Environment::prepare(settings.lockstep, BUILD, progress).await?;
            let output = settings.lockstep.join("release/lambda");
            let output_text = output.display().to_string();
            let mut arguments = vec!["lambda", "build", "--release", "--output-format", "zip"];
            arguments.extend(["--lambda-dir", &output_text, settings.architecture.cargo_lambda_flag()]);
            for verb in &functions {
                arguments.extend(["--package", verb]);
            }
            // cargo-lambda and the Python that holds its linker come first on the path.
            let path = std::env::var("PATH").unwrap_or_default();
            let path = format!("{}:{path}", environment.programs().display());
            // What the linker keeps for the next time stays in the repository's folder too.
            let cache = settings.lockstep.join("release/cache").display().to_string();
            let environment = [
                ("PATH", path.as_str()),
                ("XDG_CACHE_HOME", &cache),
                ("ZIG_GLOBAL_CACHE_DIR", &cache),
                ("ZIG_LOCAL_CACHE_DIR", &cache),
            ];
            cargo(settings, &arguments, &environment, progress).await?;
            let turn = turn(&zips).await?;
            for verb in &functions {
                let from = output.join(verb).join("bootstrap.zip");
                let (partial, to) = (zips.join(format!("{verb}.partial")), zips.join(format!("{verb}.zip")));
                std::fs::copy(&from, &partial).map_err(file(&from))?;
                std::fs::rename(&partial, &to).map_err(file(&to))?;
            }
            keep(&functions, &zips, &deployed)?;
            drop(turn);
            let container = ["build", "--release", "--package", CONTAINER_PACKAGE];
            let binaries = cargo(settings, &container, &[], progress).await?;
            Ok(Package { zips: deployed, container: binary(&binaries, CONTAINER_BINARY)? })
        }
    }
}

/// Waits until no other process writes zips: two accounts may be made from one repository at once.
async fn turn(zips: &Path) -> Result<File, Error> {
    let path = zips.with_extension("lock");
    turn::alone(&path).await.map_err(file(&path))
}

/// Links the zips to where this account's Terraform reads them, so that a later build changes none of them.
fn keep(functions: &[String], zips: &Path, deployed: &Path) -> Result<(), Error> {
    for verb in functions {
        let (from, to) = (zips.join(format!("{verb}.zip")), deployed.join(format!("{verb}.zip")));
        let _ = std::fs::remove_file(&to);
        std::fs::hard_link(&from, &to)
            .or_else(|_| std::fs::copy(&from, &to).map(|_| ()))
            .map_err(file(&to))?;
    }
    Ok(())
}

/// The verbs: every folder of `functions/` that is a package.
fn functions(root: &Path) -> Result<Vec<String>, Error> {
    let folder = root.join("functions");
    let mut verbs = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(file(&folder))? {
        let path = entry.map_err(file(&folder))?.path();
        if path.join("Cargo.toml").is_file() {
            verbs.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    verbs.sort();
    Ok(verbs)
}

fn binary(binaries: &BTreeMap<String, PathBuf>, name: &str) -> Result<PathBuf, Error> {
    binaries.get(name).cloned().ok_or_else(|| Error::NoBinary { name: name.to_owned() })
}

/// Runs Cargo, tells its progress, and answers the binaries that it made or found up to date.
async fn cargo(
    settings: Settings<'_>,
    arguments: &[&str],
    environment: &[(&str, &str)],
    progress: &dyn Progress,
) -> Result<BTreeMap<String, PathBuf>, Error> {
    #[derive(Deserialize)]
    struct Message {
        reason: String,
        executable: Option<PathBuf>,
        target: Option<Target>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }

    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command: Vec<&OsStr> = vec![OsStr::new(&program)];
    command.extend(arguments.iter().map(OsStr::new));
    if arguments.first() == Some(&"build") {
        command.push(OsStr::new("--message-format=json-render-diagnostics"));
    }
    // Building is the user's own affair: it has the user's environment.
    let mut variables: BTreeMap<String, String> = std::env::vars().collect();
    variables.extend(environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let position = settings.log.metadata().map_or(0, |metadata| metadata.len());
    let process = Supervised::start(Program {
        python: settings.python,
        state_dir: settings.state_dir,
        command,
        environment: variables.into_iter().collect(),
        directory: settings.root,
        log: settings.log,
    })?;
    let mut binaries = BTreeMap::new();
    let mut said = Vec::new();
    follow::until_end(&process, settings.log, position, |line| {
        if let Ok(message) = serde_json::from_str::<Message>(line) {
            if let ("compiler-artifact", Some(path), Some(target)) =
                (message.reason.as_str(), message.executable, message.target)
            {
                binaries.insert(target.name, path);
            }
            return;
        }
        if let Some(what) = line.trim_start().strip_prefix("Compiling ") {
            progress.line(&format!("compiling {}", what.split(" (").next().unwrap_or(what)));
        }
        said.push(line.to_owned());
    })
    .await;
    if process.ended().is_some_and(|status| status.success()) {
        return Ok(binaries);
    }
    let tail = said[said.len().saturating_sub(40)..].join("\n");
    Err(Error::Build {
        command: format!("cargo {}", arguments.join(" ")),
        log: settings.log.to_owned(),
        tail,
    })
}

/// Zips side by side whatever changed since it was zipped.
async fn zip_all(jobs: Vec<(PathBuf, PathBuf)>) -> Result<(), Error> {
    let tasks: Vec<_> = jobs
        .into_iter()
        .map(|(binary, zip)| tokio::task::spawn_blocking(move || zip_if_changed(&binary, &zip)))
        .collect();
    for task in tasks {
        task.await.map_err(|_| Error::Interrupted)??;
    }
    Ok(())
}

/// A binary's length and time of change are kept beside its zip: Cargo leaves both alone when nothing changed.
fn zip_if_changed(binary: &Path, zip: &Path) -> Result<(), Error> {
    let metadata = binary.metadata().map_err(file(binary))?;
    let changed = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .map_or(0, |age| age.as_nanos());
    let stamp = format!("{} {changed}", metadata.len());
    let stamp_path = zip.with_extension("stamp");
    if zip.is_file() && std::fs::read_to_string(&stamp_path).is_ok_and(|known| known == stamp) {
        return Ok(());
    }
    let partial = zip.with_extension("partial");
    let output = BufWriter::new(File::create(&partial).map_err(file(&partial))?);
    write_zip(binary, output, &partial)?;
    std::fs::rename(&partial, zip).map_err(file(zip))?;
    std::fs::write(&stamp_path, stamp).map_err(file(&stamp_path))
}

/// A zip that depends on the binary's bytes alone, so that the same code is the same deployment.
fn write_zip(binary: &Path, output: impl Write + Seek, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Zip { path: path.to_owned(), source };
    let options = SimpleFileOptions::default()
        // Terraform sends zips base64-encoded: the quickest level takes most of what there is to take.
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(1))
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o755);
    let mut writer = ZipWriter::new(output);
    writer.start_file("bootstrap", options).map_err(failed)?;
    let mut input = BufReader::new(File::open(binary).map_err(file(binary))?);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = input.read(&mut buffer).map_err(file(binary))?;
        if read == 0 {
            break;
        }
        writer.write_all(&buffer[..read]).map_err(file(path))?;
    }
    writer.finish().map_err(failed)?.flush().map_err(file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn the_same_binary_makes_the_same_zip() {
        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("admit-run");
        std::fs::write(&binary, vec![7; 600_000]).unwrap();
        let zip = |at: std::time::SystemTime| {
            File::options().append(true).open(&binary).unwrap().set_modified(at).unwrap();
            let mut output = Cursor::new(Vec::new());
            write_zip(&binary, &mut output, Path::new("x.zip")).unwrap();
            output.into_inner()
        };
        let first = zip(std::time::UNIX_EPOCH);
        assert_eq!(first, zip(std::time::SystemTime::now()));

        let mut archive = zip::ZipArchive::new(Cursor::new(first)).unwrap();
        assert_eq!(archive.len(), 1);
        let entry = archive.by_name("bootstrap").unwrap();
        assert_eq!(entry.unix_mode().unwrap() & 0o777, 0o755);
        assert_eq!(entry.size(), 600_000);
    }

    #[test]
    fn a_zip_is_made_again_only_when_its_binary_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (binary, zip) = (folder.path().join("verb"), folder.path().join("verb.zip"));
        std::fs::write(&binary, "one").unwrap();
        zip_if_changed(&binary, &zip).unwrap();
        let first = zip.metadata().unwrap().modified().unwrap();
        zip_if_changed(&binary, &zip).unwrap();
        assert_eq!(first, zip.metadata().unwrap().modified().unwrap());
        std::fs::write(&binary, "three").unwrap();
        zip_if_changed(&binary, &zip).unwrap();
        let mut archive = zip::ZipArchive::new(File::open(&zip).unwrap()).unwrap();
        assert_eq!(archive.by_index(0).unwrap().size(), 5);
    }
}
