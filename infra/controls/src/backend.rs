//! Where the environments keep their state. A plan does not say.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hcl::{Body, Expression};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::Error;

/// Where one environment keeps its state, as one of its files says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Backend {
    /// The file that says so, or the folder, where none does.
    pub file: String,
    /// The backend's type; `local`, where none is named.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its settings: those of the block, and over them those of one `*.hcl` file that `init -backend-config` takes.
    pub settings: Map<String, Value>,
}

/// The backends of the environments in a folder, or of the one that the folder is.
///
/// # Errors
/// A file cannot be read or is not HCL, or there is no environment at all.
pub fn read_backends(folder: &Path) -> Result<Vec<Backend>, Error> {
    let mut environments: Vec<PathBuf> =
        entries(folder)?.into_iter().filter(|entry| entry.is_dir() && has_terraform(entry)).collect();
    if has_terraform(folder) {
        environments.push(folder.to_owned());
    }
    if environments.is_empty() {
        return Err(Error::NoEnvironment(folder.to_owned()));
    }
    let mut backends = Vec::new();
    for environment in environments {
        backends.extend(backends_of(&environment)?);
    }
    Ok(backends)
}

fn has_terraform(folder: &Path) -> bool {
    entries(folder).is_ok_and(|entries| entries.iter().any(|entry| ends_with(entry, ".tf")))
}

fn backends_of(environment: &Path) -> Result<Vec<Backend>, Error> {
    let files = entries(environment)?;
    for file in files.iter().filter(|file| ends_with(file, ".tf")) {
        let body = parse(file)?;
        let blocks = body.blocks().filter(|block| block.identifier.as_str() == "terraform");
        for block in blocks.flat_map(|terraform| terraform.body.blocks()) {
            match block.identifier.as_str() {
                "backend" => {
                    let kind = block.labels.first().map_or("", |label| label.as_str()).to_owned();
                    return configured(&files, file, kind, &settings(&block.body));
                }
                "cloud" => {
                    return Ok(vec![Backend {
                        file: name(file),
                        kind: "cloud".to_owned(),
                        settings: Map::new(),
                    }]);
                }
                _ => {}
            }
        }
    }
    Ok(vec![Backend { file: name(environment), kind: "local".to_owned(), settings: Map::new() }])
}

/// One backend for each file of settings. Where there is none yet, the example speaks for it: that is what gets copied.
fn configured(
    files: &[PathBuf],
    block: &Path,
    kind: String,
    of_block: &Map<String, Value>,
) -> Result<Vec<Backend>, Error> {
    let mut partial: Vec<&PathBuf> =
        files.iter().filter(|file| ends_with(file, ".hcl") && !ends_with(file, ".lock.hcl")).collect();
    if partial.is_empty() {
        partial = files.iter().filter(|file| ends_with(file, ".hcl.example")).collect();
    }
    if partial.is_empty() {
        return Ok(vec![Backend { file: name(block), kind, settings: of_block.clone() }]);
    }
    partial
        .into_iter()
        .map(|file| {
            let mut merged = of_block.clone();
            merged.extend(settings(&parse(file)?));
            Ok(Backend { file: name(file), kind: kind.clone(), settings: merged })
        })
        .collect()
}

/// The constants; Terraform allows nothing else in a backend.
fn settings(body: &Body) -> Map<String, Value> {
    body.attributes()
        .filter_map(|attribute| {
            let value = match &attribute.expr {
                Expression::Bool(value) => Value::from(*value),
                Expression::String(value) => Value::from(value.as_str()),
                _ => return None,
            };
            Some((attribute.key.as_str().to_owned(), value))
        })
        .collect()
}

fn parse(file: &Path) -> Result<Body, Error> {
    let text = fs::read_to_string(file).map_err(unreadable(file))?;
    hcl::parse(&text)
        .map_err(|error| Error::BackendMalformed { path: file.to_owned(), reason: error.to_string() })
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut entries = fs::read_dir(folder)
        .and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
        })
        .map_err(unreadable(folder))?;
    entries.sort();
    Ok(entries)
}

fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Unreadable { path, source, hint: "" }
}

fn ends_with(path: &Path, ending: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ending))
}

/// The environment's folder and the file: the same on every machine.
fn name(path: &Path) -> String {
    let parts: Vec<_> = path.components().rev().take(if path.is_dir() { 1 } else { 2 }).collect();
    parts.into_iter().rev().collect::<PathBuf>().display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let environment = folder.path().join("prod");
        fs::create_dir(&environment).unwrap();
        for (name, text) in files {
            fs::write(environment.join(name), text).unwrap();
        }
        (folder, environment)
    }

    #[test]
    fn the_settings_of_the_block_and_of_the_file_beside_it_are_one() {
        let (folder, _) = environment(&[
            ("backend.tf", "terraform {\n  backend \"s3\" {\n    encrypt = true\n  }\n}\n"),
            ("backend.hcl", "bucket       = \"state\"\nuse_lockfile = true\n"),
            ("backend.hcl.example", "bucket = \"example\"\n"),
        ]);
        let backends = read_backends(folder.path()).unwrap();
        assert_eq!(backends.len(), 1);
        assert_eq!(backends[0].file, "prod/backend.hcl");
        assert_eq!(backends[0].kind, "s3");
        assert_eq!(backends[0].settings["encrypt"], true);
        assert_eq!(backends[0].settings["use_lockfile"], true);
    }

    #[test]
    fn an_environment_without_a_backend_keeps_its_state_locally() {
        let (folder, _) = environment(&[("main.tf", "terraform {\n  required_version = \">= 1.11\"\n}\n")]);
        let backends = read_backends(folder.path()).unwrap();
        assert_eq!((backends[0].file.as_str(), backends[0].kind.as_str()), ("prod", "local"));
    }

    #[test]
    fn a_folder_without_environments_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read_backends(folder.path()), Err(Error::NoEnvironment(_))));
    }

    #[test]
    fn a_file_that_is_no_hcl_is_refused() {
        let (folder, _) = environment(&[("backend.tf", "terraform {\n  backend \"s3\" {\n")]);
        assert!(matches!(read_backends(folder.path()), Err(Error::BackendMalformed { .. })));
    }
}
