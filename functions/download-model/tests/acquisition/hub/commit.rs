//! What a commit holds, and what the tree says of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

/// A file of the repository.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) content: Bytes,
    /// What it is served under.
    pub(super) etag: String,
    /// What the tree says of it, but for its path.
    pub(super) promise: Value,
}

impl File {
    fn in_git(content: Bytes) -> Self {
        let oid = git_blob(&content);
        let promise = json!({ "type": "file", "oid": oid, "size": content.len() });
        Self { content, etag: oid, promise }
    }

    fn in_lfs(content: Bytes) -> Self {
        let (oid, size) = (sha256(&content), content.len());
        let pointer = pointer(&oid, size);
        let promise = json!({
            "type": "file", "oid": git_blob(&pointer), "size": size,
            // A SHA-256's length of hex digits, and yet none of the content.
            "xetHash": sha256(&pointer),
            "lfs": { "oid": oid, "size": size, "pointerSize": pointer.len() },
        });
        // As with the real store, no digest that the Hub announced.
        Self { content, etag: oid[..32].to_owned(), promise }
    }

    fn entry(&self, path: &str) -> Value {
        let mut entry = self.promise.clone();
        entry["path"] = path.into();
        entry
    }

    pub(super) fn lfs_oid(&self) -> Option<&str> {
        self.promise["lfs"]["oid"].as_str()
    }
}

/// What a commit holds.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    pub(super) files: BTreeMap<String, File>,
    extra: Vec<Value>,
}

impl Commit {
    /// A file that git itself holds.
    pub fn file(mut self, path: &str, content: impl Into<Bytes>) -> Self {
        self.files.insert(path.to_owned(), File::in_git(content.into()));
        self
    }

    /// A file in LFS.
    pub fn lfs(mut self, path: &str, content: impl Into<Bytes>) -> Self {
        self.files.insert(path.to_owned(), File::in_lfs(content.into()));
        self
    }

    /// An entry of the tree that nothing stands behind.
    pub fn entry(mut self, entry: Value) -> Self {
        self.extra.push(entry);
        self
    }

    /// Each file with its content.
    pub fn contents(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.files.iter().map(|(path, file)| (path.as_str(), &file.content))
    }

    /// Forty hex digits that depend on nothing but what it holds.
    pub(super) fn id(&self) -> String {
        let entries = self.files.iter().map(|(path, file)| file.entry(path));
        let text: String = entries.chain(self.extra.iter().cloned()).map(|entry| entry.to_string()).collect();
        git_blob(text.as_bytes())
    }

    pub(super) fn tree(&self) -> Vec<Value> {
        let mut folders: Vec<&str> =
            self.files.keys().flat_map(|path| path.match_indices('/').map(|(end, _)| &path[..end])).collect();
        folders.sort_unstable();
        folders.dedup();
        let folders = folders.into_iter().map(
            |path| json!({ "type": "directory", "oid": git_blob(path.as_bytes()), "size": 0, "path": path }),
        );
        folders
            .chain(self.files.iter().map(|(path, file)| file.entry(path)))
            .chain(self.extra.iter().cloned())
            .collect()
    }
}

/// SHA-256 in hex.
pub fn sha256(content: &[u8]) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(content))
}

/// git's own digest of a blob, in hex.
pub fn git_blob(content: &[u8]) -> String {
    use sha1::Digest as _;
    let head = format!("blob {}\0", content.len());
    hex::encode(sha1::Sha1::new().chain_update(head).chain_update(content).finalize())
}

pub(super) fn pointer(oid: &str, size: usize) -> Vec<u8> {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n").into_bytes()
}
