//! Where things are: state payloads carry places and digests, never content.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Sha256Digest;

/// An `s3://bucket/key` address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct S3Uri {
    bucket: String,
    key: String,
}

/// The text is not `s3://bucket/key`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an S3 address: write s3://bucket/key")]
pub struct S3UriInvalid(pub String);

impl S3Uri {
    /// Puts an address together.
    pub fn new(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), key: key.into() }
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The object's key, or a prefix.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl TryFrom<String> for S3Uri {
    type Error = S3UriInvalid;
    fn try_from(text: String) -> Result<Self, S3UriInvalid> {
        match text.strip_prefix("s3://").and_then(|rest| rest.split_once('/')) {
            Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => Ok(Self::new(bucket, key)),
            _ => Err(S3UriInvalid(text)),
        }
    }
}

impl From<S3Uri> for String {
    fn from(uri: S3Uri) -> Self {
        uri.to_string()
    }
}

impl fmt::Display for S3Uri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "s3://{}/{}", self.bucket, self.key)
    }
}

/// An object that is believed only if its bytes hash to `sha256`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectRef {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// What its bytes hash to.
    pub sha256: Sha256Digest,
}

/// A gate's signed link in the evidence bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkRef {
    /// The envelope's key.
    pub key: String,
    /// What the envelope's bytes hash to; later links name it as a predecessor.
    pub sha256: Sha256Digest,
}

/// Training or evaluation data, pinned by object version and digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataPin {
    /// One JSON Lines object in the work bucket.
    pub uri: S3Uri,
    /// The object version to use. It must still be the latest when the job reads it, because SageMaker
    /// reads the latest.
    pub version_id: String,
    /// What that version's bytes hash to.
    pub sha256: Sha256Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_scheme_bucket_and_key() {
        assert_eq!(S3Uri::try_from("s3://b/k/l".to_owned()).unwrap(), S3Uri::new("b", "k/l"));
        for bad in ["b/k", "s3://b", "s3://b/", "s3:///k", "https://b/k"] {
            assert!(S3Uri::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
