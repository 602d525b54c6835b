//! Every version of every object where people's data may be: searched, rewritten, deleted.

use std::collections::BTreeMap;

use aws_sdk_s3::Client as S3;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use contract::{S3Uri, Sha256Digest};
use tempfile::NamedTempFile;

use crate::carry;
use crate::error::Error;
use crate::forget::content::{self, Content};
use crate::forget::mention::Subject;

/// A version of an object, or a delete marker.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    /// Its id.
    pub id: String,
    /// Whether it is what a reader gets who names no version.
    pub is_latest: bool,
    /// Whether it only says that the object is gone.
    pub is_marker: bool,
    /// Of its bytes; none of a marker, or of a version that does not hold the subject.
    pub held: Option<Held>,
}

/// What a version holds of the subject.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// Of its bytes.
    pub sha256: Sha256Digest,
    /// Rows of the subject.
    pub rows: u64,
    /// Rows of others.
    pub others: u64,
}

/// An object with every version that it has.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    /// Where it lies.
    pub place: S3Uri,
    /// Markers included.
    pub versions: Vec<Version>,
}

/// Places that were searched.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// Objects of which a version holds the subject.
    pub objects: Vec<Object>,
    /// Versions that cannot be searched, and why not.
    pub unsearchable: Vec<String>,
    /// Versions that were read.
    pub versions: u64,
    /// Bodies in rows that could not be searched.
    pub opaque: u64,
}

impl Object {
    /// Versions that hold the subject.
    pub(crate) fn held(&self) -> impl Iterator<Item = (&Version, &Held)> {
        self.versions.iter().filter_map(|version| Some((version, version.held.as_ref()?)))
    }
}

/// Searches all versions below a prefix whose key `is_wanted`, and notes the subject's captured invocations.
///
/// # Errors
/// [`Error::Aws`], [`Error::File`].
pub(crate) async fn search(
    s3: &S3,
    place: &S3Uri,
    is_wanted: impl Fn(&str) -> bool,
    subject: &mut Subject,
    found: &mut Search,
) -> Result<(), Error> {
    for (key, mut versions) in list(s3, place).await? {
        if !is_wanted(&key) {
            continue;
        }
        let place = S3Uri::new(place.bucket(), key);
        for version in versions.iter_mut().filter(|version| !version.is_marker) {
            found.versions += 1;
            let Some((content, sha256)) = read(s3, &place, &version.id, subject).await? else {
                // It went between the listing and now.
                continue;
            };
            found.opaque += content.opaque;
            let is_named = subject.in_key(place.key());
            if content.is_unsearchable && !is_named {
                let why = match content.theirs {
                    0 => "it is no text in UTF-8: compressed, or in another format",
                    _ => "it holds the subject, and is no row a line: its owner has to rewrite it",
                };
                found.unsearchable.push(format!("{place} (version {}): {why}", version.id));
                continue;
            }
            if place.key().starts_with("capture/") {
                subject.events.extend(content.events);
            }
            if is_named {
                version.held = Some(Held { sha256, rows: content.theirs.max(1), others: 0 });
            } else if content.theirs > 0 {
                version.held = Some(Held { sha256, rows: content.theirs, others: content.others });
            }
        }
        let object = Object { place, versions };
        if object.held().next().is_some() {
            found.objects.push(object);
        }
    }
    Ok(())
}

/// All versions and markers below a prefix, by key.
async fn list(s3: &S3, place: &S3Uri) -> Result<BTreeMap<String, Vec<Version>>, Error> {
    let mut all: BTreeMap<String, Vec<Version>> = BTreeMap::new();
    let (mut key_marker, mut version_marker) = (None, None);
    loop {
        let page = s3.list_object_versions().bucket(place.bucket()).prefix(place.key());
        let page = page.set_key_marker(key_marker).set_version_id_marker(version_marker).send().await;
        let page = page.map_err(|error| Error::aws("ListObjectVersions")(error).at(place))?;
        let versions =
            page.versions().iter().map(|one| (one.key(), one.version_id(), one.is_latest(), false));
        let markers =
            page.delete_markers().iter().map(|one| (one.key(), one.version_id(), one.is_latest(), true));
        for (key, id, is_latest, is_marker) in versions.chain(markers) {
            let (Some(key), Some(id)) = (key, id) else {
                let lacking = "a version's id: is the bucket versioned?";
                return Err(Error::Incomplete { operation: "ListObjectVersions", lacking });
            };
            let version =
                Version { id: id.to_owned(), is_latest: is_latest == Some(true), is_marker, held: None };
            all.entry(key.to_owned()).or_default().push(version);
        }
        if page.is_truncated() != Some(true) {
            return Ok(all);
        }
        (key_marker, version_marker) = (page.next_key_marker, page.next_version_id_marker);
    }
}

async fn get(s3: &S3, place: &S3Uri, version: &str) -> Result<Option<GetObjectOutput>, Error> {
    let sent = s3.get_object().bucket(place.bucket()).key(place.key()).version_id(version).send().await;
    match sent {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 404) => Ok(None),
        Err(error) => Err(Error::aws("GetObject")(error)),
    }
}

async fn read(
    s3: &S3,
    place: &S3Uri,
    version: &str,
    subject: &Subject,
) -> Result<Option<(Content, Sha256Digest)>, Error> {
    let Some(object) = get(s3, place, version).await? else { return Ok(None) };
    let temporary = || std::env::temp_dir();
    let mut file = tempfile::tempfile().map_err(Error::file("write", &temporary()))?;
    let (_, sha256) = carry::drain(object.body, place, &mut file).await?;
    let content = content::without(subject, place.key(), &mut file, &mut std::io::sink());
    Ok(Some((content.map_err(Error::file("read", &temporary()))?, sha256)))
}

/// What was written in an object's place.
pub(crate) struct Rewritten {
    /// The new version.
    pub version_id: String,
    /// Of its bytes.
    pub sha256: Sha256Digest,
}

/// Takes the subject out of an object: writes what is left, and only then deletes each version that held them. What an
/// interruption leaves is found and finished by the next call.
///
/// # Errors
/// [`Error::ChangedMeanwhile`] when somebody wrote the object since it was searched; [`Error::Aws`], [`Error::File`].
pub(crate) async fn remove(s3: &S3, object: &Object, subject: &Subject) -> Result<Option<Rewritten>, Error> {
    let place = &object.place;
    let mut rewritten = None;
    let keeps = object.versions.iter().any(|version| !version.is_marker && version.held.is_none());
    if let Some((latest, held)) = object.held().find(|(version, _)| version.is_latest) {
        if held.others > 0 {
            rewritten = Some(rewrite(s3, place, latest, subject).await?);
        } else if keeps {
            // Without a marker an older version would come back.
            let marked = s3.delete_object().bucket(place.bucket()).key(place.key()).send().await;
            marked.map_err(Error::aws("DeleteObject"))?;
        }
    }
    let is_emptied = !keeps && rewritten.is_none();
    for version in &object.versions {
        if version.held.is_some() || (is_emptied && version.is_marker) {
            let delete = s3.delete_object().bucket(place.bucket()).key(place.key()).version_id(&version.id);
            delete.send().await.map_err(Error::aws("DeleteObject"))?;
        }
    }
    Ok(rewritten)
}

async fn rewrite(s3: &S3, place: &S3Uri, latest: &Version, subject: &Subject) -> Result<Rewritten, Error> {
    let changed = || Error::ChangedMeanwhile { place: place.to_string() };
    let object = get(s3, place, &latest.id).await?.ok_or_else(changed)?;
    let (etag, content_type) = (object.e_tag.clone(), object.content_type.clone());
    let temporary = std::env::temp_dir();
    let mut whole = tempfile::tempfile().map_err(Error::file("write", &temporary))?;
    let mut left = NamedTempFile::new().map_err(Error::file("write", &temporary))?;
    carry::drain(object.body, place, &mut whole).await?;
    content::without(subject, place.key(), &mut whole, left.as_file_mut())
        .map_err(Error::file("write", &temporary))?;
    let replaced = carry::replace(s3, place, &left, etag.as_deref(), content_type).await?;
    let (version_id, sha256) = replaced.ok_or_else(changed)?;
    Ok(Rewritten { version_id, sha256 })
}
