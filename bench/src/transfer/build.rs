//! The binary that is measured is the one that is deployed.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::error::Error;
use crate::screen::say;

const PACKAGE: &str = "download-model";

/// Builds the release of `download-model`; its path.
///
/// # Errors
/// When the build fails; Cargo says why on standard error.
pub async fn download_model() -> Result<PathBuf, Error> {
    say("building the release of download-model");
    let output = Command::new("cargo")
        .args([
            "build",
            "--release",
            "--locked",
            "-p",
            PACKAGE,
            "--message-format",
            "json-render-diagnostics",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .await?;
    if !output.status.success() {
        return Err(Error::Build(output.status.to_string()));
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == PACKAGE)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| Error::Build("it made no binary".to_owned()))
}
