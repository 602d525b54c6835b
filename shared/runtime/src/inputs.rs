//! What a job reads is write-once, or is listed by version before it starts and found unchanged after it ends
//! (invariant 11).

use std::{collections::BTreeMap, fmt};

use aws_sdk_s3::Client;
use contract::{DataPin, Manifest};

use crate::{Error, failed};

/// An input that is not what was pinned or sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    place: String,
    reason: String,
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` changed: {}", self.place, self.reason)
    }
}

/// The inputs of jobs.
#[derive(Clone, Debug)]
pub struct Inputs {
    client: Client,
}

impl Inputs {
    /// Over a client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Whether the pinned version is still the latest, so that it is what SageMaker reads or has read.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn pin_change(&self, pin: &DataPin) -> Result<Option<Change>, Error> {
        let changed = |reason: String| Ok(Some(Change { place: pin.uri.to_string(), reason }));
        match self.client.head_object().bucket(pin.uri.bucket()).key(pin.uri.key()).send().await {
            Ok(head) if head.version_id() == Some(pin.version_id.as_str()) => {}
            Ok(head) => {
                let latest = head.version_id().unwrap_or("unknown");
                return changed(format!(
                    "its latest version is {latest}, the request pinned {}",
                    pin.version_id
                ));
            }
            Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => {
                return changed("it was deleted".to_owned());
            }
            Err(error) => return Err(failed("s3:HeadObject")(error).into()),
        }
        // The job's channel is a prefix: another object whose key starts with the pinned one's would be read too.
        let listed = self
            .client
            .list_objects_v2()
            .bucket(pin.uri.bucket())
            .prefix(pin.uri.key())
            .send()
            .await
            .map_err(failed("s3:ListObjectsV2"))?;
        match listed.contents().iter().filter_map(|object| object.key()).find(|key| *key != pin.uri.key()) {
            Some(other) => changed(format!("`{other}` starts with its key, so the job would read it too")),
            None => Ok(None),
        }
    }

    /// Whether a prefix holds exactly the sealed versions.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn prefix_change(
        &self,
        bucket: &str,
        prefix: &str,
        sealed: &Manifest,
    ) -> Result<Option<Change>, Error> {
        let changed = |path: &str, reason: &str| {
            Ok(Some(Change { place: format!("s3://{bucket}/{prefix}{path}"), reason: reason.to_owned() }))
        };
        let mut latest = self.latest_versions(bucket, prefix).await?;
        for file in sealed.files.iter().chain(&sealed.signature) {
            match latest.remove(&file.path) {
                Some(version) if version.id == file.version_id => {}
                Some(_) => return changed(&file.path, "it was replaced after it was sealed"),
                None => return changed(&file.path, "it was deleted after it was sealed"),
            }
        }
        match latest.keys().next() {
            Some(extra) => changed(extra, "it was not there when the prefix was sealed"),
            None => Ok(None),
        }
    }

    /// The latest version of each object under a prefix, by path below it.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn latest_versions(
        &self,
        bucket: &str,
        prefix: &str,
    ) -> Result<BTreeMap<String, LatestVersion>, Error> {
        let mut latest = BTreeMap::new();
        let mut markers: (Option<String>, Option<String>) = (None, None);
        loop {
            let page = self
                .client
                .list_object_versions()
                .bucket(bucket)
                .prefix(prefix)
                .set_key_marker(markers.0.take())
                .set_version_id_marker(markers.1.take())
                .send()
                .await
                .map_err(failed("s3:ListObjectVersions"))?;
            for version in page.versions().iter().filter(|version| version.is_latest() == Some(true)) {
                let path = version.key().and_then(|key| key.strip_prefix(prefix)).unwrap_or_default();
                let size = u64::try_from(version.size().unwrap_or(0)).unwrap_or(0);
                latest.insert(
                    path.to_owned(),
                    LatestVersion { id: version.version_id().map(str::to_owned), size },
                );
            }
            if page.is_truncated() != Some(true) {
                return Ok(latest);
            }
            markers = (page.next_key_marker, page.next_version_id_marker);
        }
    }
}

/// An object's latest version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatestVersion {
    /// Its id.
    pub id: Option<String>,
    /// Bytes.
    pub size: u64,
}
