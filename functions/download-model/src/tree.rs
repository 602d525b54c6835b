//! What the Hub's API says of a revision and its files, believed only where it is sound.

use contract::Sha256Digest;
use serde::Deserialize;

use crate::{error::DownloadError, hub::malformed};

/// What stands in a repository's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A folder; its files are listed too.
    Directory,
    /// A symlink or a submodule.
    Other,
}

/// An entry of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Where.
    pub path: String,
    /// Bytes of the content, not of an LFS pointer.
    pub size: u64,
    /// git's blob SHA-1; of the pointer, for LFS files.
    pub git_oid: String,
    /// The content's SHA-256, for LFS and Xet files. `xetHash` is not one and is not read.
    pub lfs_sha256: Option<Sha256Digest>,
}

/// The Hub's description of a revision.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WireRevision {
    sha: String,
    #[serde(default)]
    card_data: Option<serde_json::Value>,
}

/// A resolved revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// 40 hex digits.
    pub commit: String,
    /// What the repository's card says of its licence; the card is the author's, so it is told and not believed.
    pub licence: Option<String>,
}

/// The Hub's description of an entry.
#[derive(Deserialize)]
pub struct WireEntry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    oid: String,
    lfs: Option<WireLfs>,
}

#[derive(Deserialize)]
struct WireLfs {
    oid: String,
    size: u64,
}

/// A revision's commit, 40 hex digits, and its licence.
///
/// # Errors
/// `SourceMalformed`.
pub fn read_revision(revision: WireRevision) -> Result<Revision, DownloadError> {
    if is_sha1(&revision.sha) {
        let licence = revision.card_data.as_ref().and_then(licence);
        return Ok(Revision { commit: revision.sha, licence });
    }
    Err(malformed("the revision", format!("`{}` is no commit of 40 hex digits", shortened(&revision.sha))))
}

/// `license` of a card's front matter: one identifier, or a list. `license_name` says what `other` stands for.
fn licence(card: &serde_json::Value) -> Option<String> {
    let text = |name: &str| match card.get(name)? {
        serde_json::Value::String(one) => Some(one.clone()),
        serde_json::Value::Array(several) => {
            Some(several.iter().filter_map(|one| one.as_str()).collect::<Vec<_>>().join(", "))
        }
        _ => None,
    };
    let licence = text("license").filter(|licence| licence != "other").or_else(|| text("license_name"));
    licence
        .or_else(|| text("license"))
        .map(|licence| shortened(&licence))
        .filter(|licence| !licence.is_empty())
}

/// A page of a tree.
///
/// # Errors
/// `SourceMalformed`.
pub fn read_page(page: Vec<WireEntry>) -> Result<Vec<Entry>, DownloadError> {
    page.into_iter().map(read_entry).collect()
}

fn read_entry(entry: WireEntry) -> Result<Entry, DownloadError> {
    let kind = match entry.kind.as_str() {
        "file" => EntryKind::File,
        "directory" => EntryKind::Directory,
        _ => EntryKind::Other,
    };
    let (size, lfs_sha256) = match entry.lfs {
        Some(lfs) => {
            let sha256 = Sha256Digest::try_from(lfs.oid).map_err(|error| malformed(&entry.path, error))?;
            (lfs.size, Some(sha256))
        }
        None => (entry.size, None),
    };
    if kind == EntryKind::File && lfs_sha256.is_none() && !is_sha1(&entry.oid) {
        return Err(malformed(&entry.path, "it has neither a SHA-256 nor a git blob SHA-1"));
    }
    Ok(Entry { kind, path: entry.path, size, git_oid: entry.oid, lfs_sha256 })
}

fn is_sha1(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_without_a_usable_digest_is_refused() {
        let entry = |oid: &str, lfs: Option<&str>| WireEntry {
            kind: "file".into(),
            path: "a.json".into(),
            size: 1,
            oid: oid.into(),
            lfs: lfs.map(|oid| WireLfs { oid: oid.into(), size: 5 }),
        };
        assert!(read_entry(entry("", None)).is_err());
        assert!(read_entry(entry(&"0".repeat(40), Some("xyz"))).is_err());
        let lfs = read_entry(entry(&"0".repeat(40), Some(&"1".repeat(64)))).unwrap();
        assert_eq!(lfs.size, 5);
    }

    #[test]
    fn trap_hub_only_a_commit_of_40_hex_digits_is_used() {
        let commit = |sha: &str| read_revision(WireRevision { sha: sha.into(), card_data: None });
        assert!(commit(&"a1".repeat(20)).is_ok());
        for sha in ["main", "", &"A1".repeat(20), &"a1".repeat(32)] {
            assert!(commit(sha).is_err(), "{sha}");
        }
    }

    #[test]
    fn the_licence_is_what_the_card_says() {
        use serde_json::json;
        let of = |card| licence(&card);
        assert_eq!(of(json!({"license": "apache-2.0"})).as_deref(), Some("apache-2.0"));
        assert_eq!(of(json!({"license": ["mit", "cc-by-4.0"]})).as_deref(), Some("mit, cc-by-4.0"));
        assert_eq!(of(json!({"license": "other", "license_name": "llama3"})).as_deref(), Some("llama3"));
        assert_eq!(of(json!({"license": "other"})).as_deref(), Some("other"));
        for none in [json!({}), json!({"license": 7}), json!({"license": ""}), json!("x")] {
            assert_eq!(of(none.clone()), None, "{none}");
        }
    }
}
