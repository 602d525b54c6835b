//! What must be installed before anything is started: what is missing is named at once, all of it together.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// A program that is missing, or older than it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// What is needed.
    pub needed: &'static str,
    /// What was found instead.
    pub found: String,
    /// How to get it.
    pub remedy: &'static str,
}

impl Missing {
    /// All that is missing, a paragraph.
    pub(crate) fn report(all: &[Missing]) -> String {
        let mut text = "something that is needed is missing:".to_owned();
        for Missing { needed, found, remedy } in all {
            text.push_str(&format!("\n  {needed}: {found}\n    {remedy}"));
        }
        text
    }
}

const CARGO: (&str, &str) = (
    "cargo",
    "install Rust from https://rustup.rs; the repository's rust-version says how recent it must be",
);
const PYTHON: (&str, &str) = (
    "python3 3.11 or newer, with venv",
    "install it, e.g. `apt install python3 python3-venv`, `brew install python`, or https://www.python.org/downloads/",
);
const TERRAFORM: (&str, &str) =
    ("terraform 1.11 or newer", "install it from https://developer.hashicorp.com/terraform/install");
const PROVIDER: (&str, &str) = (
    "Terraform's AWS provider",
    "allow registry.terraform.io, or name a mirror that holds registry.terraform.io/hashicorp/aws in TF_PLUGIN_MIRROR \
     (`terraform providers mirror <folder>` makes one)",
);

/// Names under which a Python may be found, the system's choice first.
const PYTHONS: [&str; 5] = ["python3", "python3.14", "python3.13", "python3.12", "python3.11"];

/// Checks everything, side by side.
///
/// # Errors
/// Everything that is missing or too old.
pub(crate) async fn check() -> Result<(), Vec<Missing>> {
    let (cargo, python, terraform, provider) = tokio::join!(cargo(), python(), terraform(), provider());
    let missing: Vec<Missing> = [cargo, python, terraform, provider].into_iter().flatten().collect();
    if missing.is_empty() { Ok(()) } else { Err(missing) }
}

async fn cargo() -> Option<Missing> {
    let (needed, remedy) = CARGO;
    // `cargo run` says which cargo it is.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let found = output(Command::new(cargo).arg("--version")).await.err()?;
    Some(Missing { needed, found, remedy })
}

async fn python() -> Option<Missing> {
    let (needed, remedy) = PYTHON;
    let mut first = None;
    for name in PYTHONS {
        // Importing is the only way to know that venv can really make an environment: Debian ships it apart.
        let script = "import sys, venv, ensurepip; print('%d.%d.%d' % sys.version_info[:3])";
        let found = match output(Command::new(name).args(["-c", script])).await {
            Ok(version) if at_least(&version, (3, 11)) => return None,
            Ok(version) => format!("{name} is {version}"),
            Err(reason) => reason,
        };
        first.get_or_insert(found);
    }
    Some(Missing { needed, found: first.unwrap_or_default(), remedy })
}

async fn terraform() -> Option<Missing> {
    let (needed, remedy) = TERRAFORM;
    let found = match output(Command::new("terraform").args(["version", "-json"])).await {
        Ok(text) => {
            let version = serde_json::from_str::<serde_json::Value>(&text).ok();
            let version = version.as_ref().and_then(|v| v["terraform_version"].as_str()).unwrap_or("unknown");
            if at_least(version, (1, 11)) {
                return None;
            }
            format!("terraform is {version}")
        }
        Err(reason) => reason,
    };
    Some(Missing { needed, found, remedy })
}

async fn provider() -> Option<Missing> {
    let (needed, remedy) = PROVIDER;
    if mirrors().iter().any(|folder| holds_provider(folder)) {
        return None;
    }
    let registry = "https://registry.terraform.io/.well-known/terraform.json";
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().ok()?;
    match client.get(registry).send().await.and_then(reqwest::Response::error_for_status) {
        Ok(_) => None,
        Err(_) => Some(Missing {
            needed,
            found: "no mirror holds it, and registry.terraform.io cannot be reached".into(),
            remedy,
        }),
    }
}

fn holds_provider(folder: &Path) -> bool {
    folder.join("registry.terraform.io/hashicorp/aws").is_dir()
}

/// Where a mirror may lie: the one that is named, those that Terraform looks into by itself, and the folders
/// right under /opt.
fn mirrors() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::env::var_os("TF_PLUGIN_MIRROR").map(PathBuf::from).into_iter().collect();
    let home = std::env::home_dir();
    let data_home = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    folders.extend(home.as_ref().map(|home| home.join(".terraform.d/plugins")));
    folders.extend(home.as_ref().map(|home| home.join("Library/Application Support/io.terraform/plugins")));
    let data_home = data_home.or_else(|| home.map(|home| home.join(".local/share")));
    let data_folders =
        std::env::var_os("XDG_DATA_DIRS").unwrap_or_else(|| "/usr/local/share:/usr/share".into());
    for folder in data_home.into_iter().chain(std::env::split_paths(&data_folders)) {
        folders.push(folder.join("terraform/plugins"));
    }
    if let Ok(entries) = std::fs::read_dir("/opt") {
        folders.extend(entries.flatten().map(|entry| entry.path()));
    }
    folders
}

/// What a program prints, or why it cannot be had.
async fn output(command: &mut Command) -> Result<String, String> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let run = command.stdin(Stdio::null()).kill_on_drop(true).output();
    match tokio::time::timeout(Duration::from_secs(20), run).await {
        Err(_) => Err(format!("{name} does not answer")),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(format!("{name} is not installed"))
        }
        Ok(Err(error)) => Err(format!("{name} cannot be run: {error}")),
        Ok(Ok(done)) if done.status.success() => Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned()),
        Ok(Ok(done)) => {
            let said = String::from_utf8_lossy(&done.stderr);
            Err(format!("{name} fails: {}", said.trim().lines().last().unwrap_or("it says nothing")))
        }
    }
}

/// Whether `1.11.4`, or `v1.11.0-rc1`, is at least a major and minor version.
fn at_least(version: &str, least: (u32, u32)) -> bool {
    let mut parts = version.trim().trim_start_matches('v').split(['.', '-']).map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= least,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        for good in ["3.11.0", "3.12", "v4.0", "3.14.0-rc1"] {
            assert!(at_least(good, (3, 11)), "{good}");
        }
        for bad in ["3.9.1", "2.99", "", "three", "3"] {
            assert!(!at_least(bad, (3, 11)), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let found = output(&mut Command::new("no-such-program-of-lockstep")).await.unwrap_err();
        assert_eq!(found, "no-such-program-of-lockstep is not installed");
    }

    #[test]
    fn a_mirror_is_known_by_the_provider_in_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!holds_provider(folder.path()));
        std::fs::create_dir_all(folder.path().join("registry.terraform.io/hashicorp/aws")).unwrap();
        assert!(holds_provider(folder.path()));
    }

    #[test]
    fn the_report_names_what_and_how() {
        let (needed, remedy) = TERRAFORM;
        let text = Missing::report(&[Missing { needed, found: "terraform is not installed".into(), remedy }]);
        assert!(
            text.contains("terraform 1.11") && text.contains("not installed") && text.contains("https://"),
            "{text}"
        );
    }
}
