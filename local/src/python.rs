//! The Python programs that the account runs, in environments made from pinned, hashed requirements.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::{Digest as _, Sha256};

use crate::progress::Progress;
use crate::turn;

/// The oldest Python that MiniStack's corrections were tried with.
const OLDEST: (u32, u32) = (3, 11);

/// Names under which a Python may be found, the system's choice first.
const NAMES: [&str; 5] = ["python3", "python3.14", "python3.13", "python3.12", "python3.11"];

/// A set of packages that belong together.
#[derive(Debug, Clone, Copy)]
pub struct Requirements {
    /// What they are for.
    pub name: &'static str,
    /// The requirements file: every package, transitive ones too, with its version and its files' digests.
    pub text: &'static str,
}

/// MiniStack, and the cryptography that its KMS needs.
pub const MINISTACK: Requirements =
    Requirements { name: "ministack", text: include_str!("../python/requirements/ministack.txt") };

/// What builds the zips that AWS runs: cargo-lambda, and the linker that it uses.
pub const BUILD: Requirements =
    Requirements { name: "build", text: include_str!("../python/requirements/build.txt") };

/// The public verifier of OpenSSF Model Signing, and what it loads; it uses pyOpenSSL and does not declare it.
pub const MODEL_SIGNING: Requirements =
    Requirements { name: "model-signing", text: include_str!("../python/requirements/model-signing.txt") };

/// numpy and scipy: what drift's figures are held to and measured against.
pub const SCIPY: Requirements =
    Requirements { name: "numpy and scipy", text: include_str!("../python/requirements/scipy.txt") };

/// botocore, for the models of AWS's services that it brings, and what reads requests and patterns as they are written.
pub const AWS_MODELS: Requirements =
    Requirements { name: "botocore", text: include_str!("../python/requirements/aws-models.txt") };

/// No environment could be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No Python is recent enough.
    #[error(
        "Python {}.{} or newer with the venv module is needed, and {found}; install it, e.g. `apt install python3 \
         python3-venv`, `brew install python`, or https://www.python.org/downloads/",
        OLDEST.0,
        OLDEST.1
    )]
    NotFound {
        /// What was found instead.
        found: String,
    },
    /// A file could not be written.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A step failed.
    #[error("making the Python environment `{set}` failed at `{step}`:\n{output}")]
    Step {
        /// The requirement set.
        set: &'static str,
        /// The step.
        step: &'static str,
        /// The end of what it printed.
        output: String,
    },
    /// The task that made it was lost.
    #[error("making a Python environment was interrupted")]
    Interrupted,
}

/// An environment that holds a requirement set.
#[derive(Debug, Clone)]
pub struct Environment {
    folder: PathBuf,
}

impl Environment {
    /// Its Python.
    pub fn python(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    /// Where its programs lie.
    pub fn programs(&self) -> PathBuf {
        self.folder.join("bin")
    }

    /// Makes the environment under `<lockstep>/venv-<digest>`, or finds it there.
    ///
    /// An environment cannot be moved once it is made, so a marker written last says that it is whole; one without
    /// a marker is made again. Processes that come at the same time wait for each other.
    pub async fn prepare(
        lockstep: &Path,
        requirements: Requirements,
        progress: &dyn Progress,
    ) -> Result<Self, Error> {
        let python = tokio::task::spawn_blocking(find).await.map_err(|_| Error::Interrupted)??;
        let digest = Sha256::new().chain_update(&python.version).chain_update(requirements.text).finalize();
        let folder = lockstep.join(format!("venv-{}", hex::encode(&digest[..8])));
        let environment = Self { folder };
        if environment.marker().is_file() {
            return Ok(environment);
        }
        std::fs::create_dir_all(lockstep)
            .map_err(|source| Error::File { path: lockstep.to_owned(), source })?;
        let lock = environment.folder.with_extension("lock");
        let _turn = turn::alone(&lock).await.map_err(|source| Error::File { path: lock.clone(), source })?;
        if environment.marker().is_file() {
            return Ok(environment); // Another process made it meanwhile.
        }
        progress.line(&format!("installing {} (pinned, from PyPI)", requirements.name));
        let folder = environment.folder.clone();
        tokio::task::spawn_blocking(move || make(&python.program, &folder, requirements))
            .await
            .map_err(|_| Error::Interrupted)??;
        Ok(environment)
    }

    fn marker(&self) -> PathBuf {
        marker(&self.folder)
    }
}

fn marker(folder: &Path) -> PathBuf {
    folder.join("whole")
}

struct Python {
    program: PathBuf,
    version: String,
}

/// Finds a Python that is recent enough.
fn find() -> Result<Python, Error> {
    let mut newest: Option<String> = None;
    for name in NAMES {
        let Ok(output) = Command::new(name)
            .args(["-I", "-c", "import sys, venv, ensurepip; print(sys.executable, *sys.version_info[:2])"])
            .output()
        else {
            continue;
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let mut words = text.trim().rsplitn(3, ' ');
        let (Some(minor), Some(major), Some(program)) = (words.next(), words.next(), words.next()) else {
            newest.get_or_insert_with(|| format!("{name} lacks the venv module"));
            continue;
        };
        let (Ok(major), Ok(minor)) = (major.parse::<u32>(), minor.parse::<u32>()) else { continue };
        if (major, minor) >= OLDEST {
            return Ok(Python { program: program.into(), version: format!("{major}.{minor}") });
        }
        newest.get_or_insert_with(|| format!("{name} is {major}.{minor}"));
    }
    Err(Error::NotFound { found: newest.unwrap_or_else(|| format!("none of {} exists", NAMES.join(", "))) })
}

fn make(python: &Path, folder: &Path, requirements: Requirements) -> Result<(), Error> {
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    };
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(file(folder))?;
    }

    let step = |step: &'static str, command: &mut Command| {
        command.env_remove("PYTHONPATH").env_remove("PYTHONHOME");
        let output = command.output().map_err(|problem| Error::Step {
            set: requirements.name,
            step,
            output: problem.to_string(),
        })?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::Step { set: requirements.name, step, output: end_of(&output) })
    };
    step("python -m venv", Command::new(python).args(["-I", "-m", "venv"]).arg(folder))?;
    let list = folder.join("requirements.txt");
    std::fs::write(&list, requirements.text).map_err(file(&list))?;
    step(
        "pip install --require-hashes",
        Command::new(folder.join("bin/python"))
            .args(["-I", "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"])
            .args(["--no-deps", "--require-hashes", "--only-binary", ":all:", "-r"])
            .arg(&list),
    )?;
    let whole = marker(folder);
    std::fs::write(&whole, "").map_err(file(&whole))
}

fn end_of(output: &Output) -> String {
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each `name==version` line, with the number of digests that follow it.
    fn pins(requirements: Requirements) -> Vec<(String, usize)> {
        let mut pins: Vec<(String, usize)> = Vec::new();
        for line in requirements.text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(digest) = line.strip_prefix("--hash=sha256:") {
                let last = pins.last_mut().expect("a digest belongs to a package");
                let digest = digest.trim_end_matches(['\\', ' ']);
                assert_eq!(digest.len(), 64, "{line}");
                last.1 += 1;
            } else {
                pins.push((line.trim_end_matches(['\\', ' ']).to_owned(), 0));
            }
        }
        pins
    }

    #[test]
    fn every_requirement_is_pinned_with_digests() {
        for requirements in [MINISTACK, BUILD, MODEL_SIGNING, SCIPY, AWS_MODELS] {
            let pins = pins(requirements);
            assert!(!pins.is_empty());
            for (pin, digests) in pins {
                assert!(pin.contains("=="), "{pin} of {} has no exact version", requirements.name);
                assert!(digests > 0, "{pin} of {} has no digest", requirements.name);
            }
        }
    }

    #[test]
    fn the_launcher_corrects_the_version_that_is_installed() {
        assert!(MINISTACK.text.contains("ministack==1.5.33"));
        assert!(include_str!("../python/ministack_local.py").contains("MiniStack 1.5.33"));
    }
}
