//! A run's evidence as files: in the account's evidence bucket, or in an exported directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aws_sdk_s3::Client as S3;
use contract::RunId;
use evidence::{Files, TRUST_ROOT_KEY, TrustRoot, revocation_key, revocation_words};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::error::Error;

/// Objects that are read side by side.
const SIDE_BY_SIDE: usize = 16;
/// No file of a run is longer; what is, was not written by a gate.
const FILE_MAX: u64 = 64 << 20;

/// The evidence bucket: the one given, or the only one whose name tells.
///
/// # Errors
/// [`Error::NoBucket`], [`Error::Aws`].
pub(crate) async fn bucket(s3: &S3, given: Option<&str>) -> Result<String, Error> {
    match given {
        Some(given) => Ok(given.to_owned()),
        None => bucket_of(s3, "evidence").await,
    }
}

/// The only bucket whose name tells its purpose.
///
/// # Errors
/// [`Error::NoBucket`], [`Error::Aws`].
pub(crate) async fn bucket_of(s3: &S3, purpose: &'static str) -> Result<String, Error> {
    let listed = s3.list_buckets().send().await.map_err(Error::aws("ListBuckets"))?;
    let names = listed.buckets().iter().filter_map(|bucket| bucket.name());
    let mut found = names.filter(|name| name.contains(&format!("-{purpose}-")));
    match (found.next(), found.next()) {
        (Some(only), None) => Ok(only.to_owned()),
        (None, _) => Err(Error::NoBucket { count: "none", purpose }),
        (Some(_), Some(_)) => Err(Error::NoBucket { count: "several", purpose }),
    }
}

/// Everything under a run's prefix.
///
/// # Errors
/// [`Error::NoEvidence`] when there is nothing; [`Error::Aws`].
pub(crate) async fn from_bucket(s3: &S3, bucket: &str, run: &RunId) -> Result<Files, Error> {
    let prefix = run.prefix();
    let mut keys = Vec::new();
    let mut pages = s3.list_objects_v2().bucket(bucket).prefix(&prefix).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(Error::aws("ListObjectsV2"))?;
        keys.extend(page.contents().iter().filter_map(|object| object.key()).map(str::to_owned));
    }
    if keys.is_empty() {
        return Err(Error::NoEvidence { run_id: run.to_string(), bucket: bucket.to_owned() });
    }
    let reads = keys.into_iter().map(|key| {
        let prefix = &prefix;
        async move {
            let bytes = object(s3, bucket, &key).await?;
            Ok::<_, Error>((key.strip_prefix(prefix.as_str()).unwrap_or(&key).to_owned(), bytes))
        }
    });
    futures::stream::iter(reads).buffer_unordered(SIDE_BY_SIDE).try_collect().await
}

/// The trust root that the deployment put into the account.
///
/// # Errors
/// [`Error::Aws`].
pub(crate) async fn deployed_trust_root(s3: &S3, bucket: &str) -> Result<Vec<u8>, Error> {
    object(s3, bucket, TRUST_ROOT_KEY).await
}

/// Why a digest must not serve, in the words of the incident that revoked it; `None` when it may.
///
/// # Errors
/// [`Error::Aws`]: what cannot be looked up is not known to be good.
pub(crate) async fn revocation(s3: &S3, bucket: &str, digest: &str) -> Result<Option<String>, Error> {
    let object = match s3.get_object().bucket(bucket).key(revocation_key(digest)).send().await {
        Ok(object) => object,
        Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => {
            return Ok(None);
        }
        Err(error) => return Err(Error::aws("GetObject")(error)),
    };
    // Whatever lies there is a revocation: bytes that cannot be read are none the less one.
    let bytes = object.body.collect().await.map(|body| body.to_vec()).unwrap_or_default();
    Ok(Some(revocation_words(digest, &bytes)))
}

/// One object, whole.
///
/// # Errors
/// [`Error::Aws`].
pub(crate) async fn object(s3: &S3, bucket: &str, key: &str) -> Result<Vec<u8>, Error> {
    let object = s3.get_object().bucket(bucket).key(key).send().await.map_err(Error::aws("GetObject"))?;
    let broken = |error| Error::Aws { operation: "GetObject", reason: format!("{key}: {error}") };
    Ok(object.body.collect().await.map_err(broken)?.to_vec())
}

/// Everything in a directory. Links are not followed: what they lead to is not in it.
///
/// # Errors
/// [`Error::File`].
pub(crate) fn from_directory(directory: &Path) -> Result<Files, Error> {
    let mut files = BTreeMap::new();
    let mut open = vec![(directory.to_owned(), String::new())];
    while let Some((folder, prefix)) = open.pop() {
        for entry in std::fs::read_dir(&folder).map_err(Error::file("read", &folder))? {
            let entry = entry.map_err(Error::file("read", &folder))?;
            let path = entry.path();
            let metadata = std::fs::symlink_metadata(&path).map_err(Error::file("read", &path))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if metadata.is_dir() {
                open.push((path, format!("{name}/")));
            } else if metadata.is_file() && metadata.len() <= FILE_MAX {
                files.insert(name, std::fs::read(&path).map_err(Error::file("read", &path))?);
            } else {
                // Neither its content nor its absence may count for the run.
                files.insert(name, Vec::new());
            }
        }
    }
    Ok(files)
}

/// `DIR.trust.json`, beside the directory and never in it.
pub(crate) fn trust_beside(directory: &Path) -> PathBuf {
    let mut name = directory.file_name().unwrap_or_default().to_os_string();
    name.push(".trust.json");
    directory.with_file_name(name)
}

/// Reads a trust root from a file.
///
/// # Errors
/// [`Error::NoTrustRoot`], [`Error::TrustFile`].
pub(crate) fn trust_root(path: &Path) -> Result<TrustRoot, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::NoTrustRoot { path: path.to_owned(), source })?;
    TrustRoot::parse(&bytes).map_err(|invalid| Error::TrustFile { path: path.to_owned(), invalid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_read_with_its_folders_and_without_following_links() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        std::fs::write(folder.path().join("a/b/c.json"), "c").unwrap();
        std::fs::write(folder.path().join("record.json"), "r").unwrap();
        std::os::unix::fs::symlink(folder.path().join("record.json"), folder.path().join("link")).unwrap();
        let files = from_directory(folder.path()).unwrap();
        let found: Vec<_> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
        assert_eq!(found, [("a/b/c.json", &b"c"[..]), ("link", b""), ("record.json", b"r")]);
    }

    #[test]
    fn a_file_that_is_no_trust_root_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.json");
        let refused = trust_root(&path).unwrap_err();
        assert_eq!(refused.exit_code(), 2, "{refused}");
        std::fs::write(&path, "{}").unwrap();
        let refused = trust_root(&path).unwrap_err();
        assert_eq!(refused.exit_code(), 2, "{refused}");
        assert!(refused.to_string().contains("t.json"), "{refused}");
    }

    #[test]
    fn trusted_keys_lie_beside_the_directory() {
        for (directory, expected) in [("d", "d.trust.json"), ("/x/d.v1/", "/x/d.v1.trust.json")] {
            assert_eq!(trust_beside(Path::new(directory)), Path::new(expected));
        }
    }
}
