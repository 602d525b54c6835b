//! The folders that SageMaker lays out for a container under `/opt/ml`.

use std::io;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

/// Where the tree is inside a real container.
pub const CONTAINER_ROOT: &str = "/opt/ml";

/// A tree of its own for one job, which the program is told by `SM_ML_ROOT`.
#[derive(Debug, Clone)]
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Makes the tree in a folder, with the directories that a container of any kind finds.
    pub fn create(root: PathBuf) -> io::Result<Self> {
        for folder in ["input/config", "input/data", "model", "output/data", "config", "processing"] {
            std::fs::create_dir_all(root.join(folder))?;
        }
        Ok(Self { root })
    }

    /// The folder that stands for `/opt/ml`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a path of the container lies on this disk, if it is under `/opt/ml`.
    pub fn place(&self, in_container: &str) -> Option<PathBuf> {
        let rest = Path::new(in_container).strip_prefix(CONTAINER_ROOT).ok()?;
        rest.components().all(|part| matches!(part, Component::Normal(_))).then(|| self.root.join(rest))
    }

    /// Writes one of the configuration files.
    pub fn write_json(&self, relative: &str, value: &Value) -> io::Result<()> {
        let path = self.root.join(relative);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, serde_json::to_vec_pretty(value)?)
    }

    /// The beginning of a message file, if the program left one. SageMaker reads 1024 characters.
    pub fn message(&self, relative: &str) -> Option<String> {
        let bytes = std::fs::read(self.root.join(relative)).ok()?;
        let text: String = String::from_utf8_lossy(&bytes).trim().chars().take(1024).collect();
        (!text.is_empty()).then_some(text)
    }
}

/// Where the object `key` goes below a channel's folder, for a channel that names `prefix`.
///
/// A prefix that is the whole key gives the file's own name; a prefix without a final slash is a mere beginning of
/// keys, so `models/a` also brings `models/ab/x`, which keeps its folder. Folder markers and keys that would leave
/// the channel's folder have no place.
pub fn place_of_key(prefix: &str, key: &str) -> Option<PathBuf> {
    let rest = key.strip_prefix(prefix)?;
    let relative =
        if rest.is_empty() || !(prefix.is_empty() || prefix.ends_with('/') || rest.starts_with('/')) {
            let folder = prefix.rfind('/').map_or(0, |slash| slash + 1);
            &key[folder..]
        } else {
            rest.trim_start_matches('/')
        };
    if relative.is_empty() || relative.ends_with('/') {
        return None;
    }
    let path = PathBuf::from(relative);
    path.components().all(|part| matches!(part, Component::Normal(_))).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_find_their_place_below_the_channel() {
        for (prefix, key, expected) in [
            ("models/a/", "models/a/config.json", Some("config.json")),
            ("models/a/", "models/a/deep/x.bin", Some("deep/x.bin")),
            ("models/a", "models/a/config.json", Some("config.json")),
            ("models/a", "models/ab/config.json", Some("ab/config.json")),
            ("datasets/training/x.jsonl", "datasets/training/x.jsonl", Some("x.jsonl")),
            ("", "top.txt", Some("top.txt")),
            ("models/a/", "models/a/", None),
            ("models/a/", "models/a/folder/", None),
            ("models/a/", "models/a/../../etc/passwd", None),
            ("models/a/", "other/x", None),
        ] {
            assert_eq!(place_of_key(prefix, key), expected.map(PathBuf::from), "{prefix} {key}");
        }
    }

    #[test]
    fn only_paths_under_opt_ml_have_a_place() {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::create(folder.path().to_owned()).unwrap();
        assert_eq!(
            tree.place("/opt/ml/processing/input/data"),
            Some(folder.path().join("processing/input/data"))
        );
        assert_eq!(tree.place("/etc/passwd"), None);
        assert_eq!(tree.place("/opt/ml/../../etc"), None);
    }
}
