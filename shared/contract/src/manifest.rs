//! The list of a sealed prefix's files.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sha256Digest;

/// One file of a manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    /// Path below the prefix, with `/` between its parts.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Of the file's content.
    pub sha256: Sha256Digest,
    /// The S3 object version that was verified.
    pub version_id: Option<String>,
}

/// Every file of a model or an artefact, sorted by path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Where the files lie, `s3://bucket/prefix/`.
    pub location: String,
    /// The files, sorted by path.
    pub files: Vec<ManifestFile>,
    /// The signature that lies among them and covers them, in OpenSSF Model Signing form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<ManifestFile>,
}

impl Manifest {
    /// The digest of the content alone: paths and file digests, not places or versions, so that the same
    /// files have the same digest wherever they lie.
    pub fn content_digest(&self) -> Sha256Digest {
        let mut lines = String::new();
        for file in &self.files {
            lines.push_str(&format!("{}  {}\n", file.sha256, file.path));
        }
        Sha256Digest::of(lines)
    }
}
