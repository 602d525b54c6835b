//! A model repository as the Hub sees it: files with their git and LFS digests, under one commit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use axum::body::Bytes;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// Files longer than this are kept in LFS, as weights of any length are.
const LFS_FROM: usize = 1024 * 1024;

/// A name and a content that do not belong together: a pickle that runs a command when it is loaded. The command is
/// harmless, and nothing here ever loads it.
const DISGUISED_PICKLE: &[u8] = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.";

/// Under which name the pickle hides.
pub(crate) const DISGUISED_NAME: &str = "vocabulary.txt";

/// A file of a repository.
#[derive(Debug, Clone)]
pub(crate) struct RepositoryFile {
    pub(crate) bytes: Bytes,
    /// The git blob's SHA-1: of the content, or of the pointer when the content is in LFS.
    pub(crate) blob: String,
    pub(crate) lfs: Option<Lfs>,
}

/// Where git keeps a pointer in place of content.
#[derive(Debug, Clone)]
pub(crate) struct Lfs {
    pub(crate) sha256: String,
    pub(crate) pointer_size: usize,
}

impl RepositoryFile {
    fn new(name: &str, bytes: Bytes) -> Self {
        let lfs = (name.ends_with(".safetensors") || bytes.len() > LFS_FROM).then(|| {
            let sha256 = hex::encode(Sha256::digest(&bytes));
            let pointer = pointer(&sha256, bytes.len());
            (pointer.clone(), Lfs { sha256, pointer_size: pointer.len() })
        });
        let blob = match &lfs {
            Some((pointer, _)) => git_blob(pointer.as_bytes()),
            None => git_blob(&bytes),
        };
        Self { bytes, blob, lfs: lfs.map(|(_, lfs)| lfs) }
    }
}

fn pointer(sha256: &str, size: usize) -> String {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n")
}

fn git_blob(content: &[u8]) -> String {
    let header = format!("blob {}\0", content.len());
    hex::encode(Sha1::new().chain_update(header).chain_update(content).finalize())
}

/// One state of a repository.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) files: BTreeMap<String, RepositoryFile>,
    /// Forty hex digits that depend on nothing but the files.
    pub(crate) commit: String,
}

impl Snapshot {
    fn new(files: BTreeMap<String, RepositoryFile>) -> Self {
        let mut hash = Sha1::new();
        for (name, file) in &files {
            hash.update(format!("{}\0{name}\0", file.blob));
        }
        Self { commit: hex::encode(hash.finalize()), files }
    }

    /// The licence in the card's front matter, which the Hub reads as YAML: here, one plain line of it.
    pub(crate) fn licence(&self) -> Option<&str> {
        let card = std::str::from_utf8(&self.files.get("README.md")?.bytes).ok()?;
        let (front, _) = card.strip_prefix("---\n")?.split_once("\n---")?;
        front.lines().find_map(|line| line.strip_prefix("license:")).map(str::trim)
    }

    /// Every folder that holds a file, and its id.
    pub(crate) fn folders(&self) -> BTreeMap<String, String> {
        let names: BTreeSet<String> = self
            .files
            .keys()
            .flat_map(|name| name.match_indices('/').map(|(end, _)| name[..end].to_owned()))
            .collect();
        names
            .into_iter()
            .map(|folder| {
                let mut hash = Sha1::new();
                for (name, file) in
                    self.files.iter().filter(|(name, _)| name.starts_with(&format!("{folder}/")))
                {
                    hash.update(format!("{}\0{name}\0", file.blob));
                }
                (folder, hex::encode(hash.finalize()))
            })
            .collect()
    }
}

/// A repository in its two states.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    pub(crate) plain: Snapshot,
    /// With one file more, whose content is not what its name says.
    pub(crate) disguised: Snapshot,
}

impl Repository {
    /// Reads a model's folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, (PathBuf, std::io::Error)> {
        let mut files = BTreeMap::new();
        read_into(&mut files, folder, "")?;
        let mut disguised = files.clone();
        disguised.insert(
            DISGUISED_NAME.to_owned(),
            RepositoryFile::new(DISGUISED_NAME, Bytes::from_static(DISGUISED_PICKLE)),
        );
        Ok(Self { plain: Snapshot::new(files), disguised: Snapshot::new(disguised) })
    }
}

fn read_into(
    files: &mut BTreeMap<String, RepositoryFile>,
    folder: &Path,
    prefix: &str,
) -> Result<(), (PathBuf, std::io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| (path, source)
    };
    for entry in std::fs::read_dir(folder).map_err(at(folder))? {
        let entry = entry.map_err(at(folder))?;
        let path = entry.path();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if path.is_dir() {
            read_into(files, &path, &format!("{name}/"))?;
        } else {
            let bytes = std::fs::read(&path).map_err(at(&path))?;
            let file = RepositoryFile::new(&name, Bytes::from(bytes));
            files.insert(name, file);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_are_what_git_says() {
        // printf 'hello\n' | git hash-object --stdin
        assert_eq!(git_blob(b"hello\n"), "ce013625030ba8dba906f756967f9e9ca394464a");
    }

    #[test]
    fn a_commit_depends_on_the_files_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        std::fs::write(folder.path().join("sub/config.json"), "{}").unwrap();
        let first = Repository::read(folder.path()).unwrap();
        let second = Repository::read(folder.path()).unwrap();
        assert_eq!(first.plain.commit, second.plain.commit);
        assert_eq!(first.plain.commit.len(), 40);
        assert_ne!(first.plain.commit, first.disguised.commit);
        assert_eq!(first.plain.folders().keys().collect::<Vec<_>>(), ["sub"]);
    }
}
