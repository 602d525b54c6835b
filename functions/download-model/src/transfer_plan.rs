//! What will be fetched: every file of one commit with its size and promised digest, in batches.

use contract::Sha256Digest;
use serde::{Deserialize, Serialize};
use transfer::{Expected, ExpectedDigest, File};

/// A Map over more would near the execution history's 25,000 events.
const BATCHES_MAX: usize = 40;
/// A batch of this many bytes is worth an invocation of its own.
const BATCH_BYTES: u64 = 256 << 20;

/// One file to fetch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedFile {
    /// Path in the repository.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// The promised digest.
    pub digest: PlannedDigest,
}

/// As the Hub's tree promises it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedDigest {
    /// `lfs.oid`.
    Sha256(Sha256Digest),
    /// `oid` of a file that is not in LFS.
    GitBlob(String),
}

impl PlannedFile {
    /// For the transfer.
    pub fn expected(&self) -> Expected {
        let digest = match &self.digest {
            PlannedDigest::Sha256(digest) => ExpectedDigest::Sha256(digest.clone()),
            PlannedDigest::GitBlob(digest) => ExpectedDigest::GitBlob(digest.clone()),
        };
        Expected { size: self.size, digest }
    }

    /// Whether a file of this SHA-256 can be it, as far as the promise tells: a git blob's is not a SHA-256.
    pub fn may_be(&self, sha256: &Sha256Digest) -> bool {
        match &self.digest {
            PlannedDigest::Sha256(promised) => promised == sha256,
            PlannedDigest::GitBlob(_) => true,
        }
    }

    /// The promised digest in hex.
    pub fn digest_text(&self) -> &str {
        match &self.digest {
            PlannedDigest::Sha256(digest) => digest.as_str(),
            PlannedDigest::GitBlob(digest) => digest,
        }
    }
}

/// The whole transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferPlan {
    /// `owner/name`.
    pub repo: String,
    /// 40 hex digits.
    pub commit: String,
    /// What the repository's card says of its licence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// `models/<digest>/`.
    pub prefix: String,
    /// Indices into `files`.
    pub batches: Vec<Vec<usize>>,
    /// Sorted by path.
    pub files: Vec<PlannedFile>,
}

impl TransferPlan {
    /// Plans the transfer. The prefix is derived from source, commit and promised digests, so that a second
    /// run of the same commit finds what the first stored, and a changed promise lies elsewhere.
    pub fn new(repo: &str, commit: &str, mut files: Vec<PlannedFile>) -> Self {
        files.sort_by(|left, right| left.path.cmp(&right.path));
        let mut identity = format!("{repo}\n{commit}\n");
        for file in &files {
            identity.push_str(&format!("{} {} {}\n", file.digest_text(), file.size, file.path));
        }
        let prefix = format!("models/{}/", Sha256Digest::of(identity));
        let batches = batches(&files.iter().map(|file| file.size).collect::<Vec<_>>());
        let (repo, commit) = (repo.to_owned(), commit.to_owned());
        Self { repo, commit, licence: None, prefix, batches, files }
    }

    /// The files of a batch, as the transfer takes them.
    pub fn batch(&self, batch: usize) -> Vec<(&PlannedFile, File)> {
        let indices = self.batches.get(batch).map(Vec::as_slice).unwrap_or_default();
        let planned = indices.iter().filter_map(|index| Some((*index, self.files.get(*index)?)));
        planned
            .map(|(index, file)| {
                let checkpoint = format!("{index}.json");
                let (path, key) = (file.path.clone(), self.key(file));
                (file, File { path, key, checkpoint, expected: file.expected() })
            })
            .collect()
    }

    /// Where the model's signature goes.
    pub fn signature_key(&self) -> String {
        format!("{}{}", self.prefix, evidence::SIGNATURE_FILE)
    }

    /// Where a file goes.
    pub fn key(&self, file: &PlannedFile) -> String {
        format!("{}{}", self.prefix, file.path)
    }
}

/// Shares files out to as few batches as their bytes ask for, the largest first to the emptiest batch.
fn batches(sizes: &[u64]) -> Vec<Vec<usize>> {
    if sizes.is_empty() {
        return Vec::new();
    }
    let total: u64 = sizes.iter().sum();
    let wanted = usize::try_from(total.div_ceil(BATCH_BYTES)).unwrap_or(BATCHES_MAX);
    let count = wanted.clamp(1, BATCHES_MAX.min(sizes.len()));
    let mut batches = vec![(0_u64, Vec::new()); count];
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(sizes[*index]));
    for index in order {
        if let Some(emptiest) = batches.iter_mut().min_by_key(|(bytes, files)| (*bytes, files.len())) {
            emptiest.0 += sizes[index];
            emptiest.1.push(index);
        }
    }
    batches.into_iter().map(|(_, files)| files).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_in_exactly_one_of_at_most_forty_batches() {
        for sizes in [vec![], vec![1], vec![1; 2000], vec![200 << 30], vec![1 << 30; 500]] {
            let batches = batches(&sizes);
            assert!(batches.len() <= BATCHES_MAX);
            let mut all: Vec<_> = batches.concat();
            all.sort_unstable();
            assert_eq!(all, (0..sizes.len()).collect::<Vec<_>>());
            assert!(batches.iter().all(|batch| !batch.is_empty()));
        }
    }

    #[test]
    fn another_promise_lies_elsewhere_and_the_same_one_in_the_same_place() {
        let file = |digest: &str| PlannedFile {
            path: "config.json".to_owned(),
            size: 2,
            digest: PlannedDigest::GitBlob(digest.to_owned()),
        };
        let plan = |digest| TransferPlan::new("a/b", "c", vec![file(digest)]).prefix;
        assert_eq!(plan("1"), plan("1"));
        assert_ne!(plan("1"), plan("2"));
    }
}
