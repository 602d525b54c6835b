//! Objects from one account's bucket to another's, when no role may touch both: through a file of this machine.

use aws_sdk_s3::Client as S3;
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use contract::{S3Uri, Sha256Digest};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::error::Error;

/// Bytes of a part. S3 takes 10,000, and objects of 5 TiB: files of up to 625 GiB.
const PART: u64 = 64 << 20;
/// The metadata that says what an object's bytes hash to, so that what was carried before is not carried again.
const DIGEST: &str = "sha256";

/// One version of an object, and what its bytes must be.
pub(crate) struct Version {
    /// Where it lies.
    pub place: S3Uri,
    /// Which version; the latest where the bucket told none.
    pub version_id: Option<String>,
    /// Bytes.
    pub size: u64,
    /// What they hash to.
    pub sha256: Sha256Digest,
}

/// The latest version of an object.
pub(crate) struct Latest {
    /// Its version.
    pub version_id: String,
    /// What its bytes hash to.
    pub sha256: Sha256Digest,
}

/// Reads and hashes the latest version of an object; `None` where there is none.
///
/// # Errors
/// [`Error::Aws`]; [`Error::Incomplete`] from a bucket that keeps no versions.
pub(crate) async fn latest(s3: &S3, place: &S3Uri) -> Result<Option<Latest>, Error> {
    let object = match s3.get_object().bucket(place.bucket()).key(place.key()).send().await {
        Ok(object) => object,
        Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => {
            return Ok(None);
        }
        Err(error) => return Err(Error::aws("GetObject")(error)),
    };
    let lacking =
        Error::Incomplete { operation: "GetObject", lacking: "a version: is the bucket versioned?" };
    let version_id = object.version_id().ok_or(lacking)?.to_owned();
    let (_, sha256) = drain(object.body, place, &mut std::io::sink()).await?;
    Ok(Some(Latest { version_id, sha256 }))
}

/// Carries one version of an object, unless it lies there already.
///
/// # Errors
/// [`Error::Carried`] when its bytes are not what they must be; [`Error::Aws`], [`Error::File`].
pub(crate) async fn object(source: &S3, from: &Version, target: &S3, to: &S3Uri) -> Result<(), Error> {
    if lies_there(target, to, from).await? {
        return Ok(());
    }
    let place = &from.place;
    let object = source.get_object().bucket(place.bucket()).key(place.key());
    let object =
        object.set_version_id(from.version_id.clone()).send().await.map_err(Error::aws("GetObject"))?;
    let mut file = NamedTempFile::new().map_err(Error::file("write", &std::env::temp_dir()))?;
    let (size, found) = drain(object.body, place, file.as_file_mut()).await?;
    if found != from.sha256 || size != from.size {
        return Err(Error::Carried { place: place.to_string(), found, expected: from.sha256.clone() });
    }
    if size > PART {
        return put_parts(target, to, &file, from).await;
    }
    let body = ByteStream::from_path(file.path()).await.map_err(|error| unreadable(&file, &error))?;
    let put = target.put_object().bucket(to.bucket()).key(to.key()).body(body);
    put.metadata(DIGEST, from.sha256.as_str()).send().await.map_err(Error::aws("PutObject"))?;
    Ok(())
}

/// Stores a document.
///
/// # Errors
/// [`Error::Aws`].
pub(crate) async fn put(s3: &S3, place: &S3Uri, bytes: Vec<u8>) -> Result<(), Error> {
    let put = s3.put_object().bucket(place.bucket()).key(place.key()).content_type("application/json");
    put.body(ByteStream::from(bytes)).send().await.map_err(Error::aws("PutObject"))?;
    Ok(())
}

/// Whether an earlier try carried it. It saves a transfer and is not believed: the receiving account hashes all bytes.
async fn lies_there(s3: &S3, place: &S3Uri, expected: &Version) -> Result<bool, Error> {
    match s3.head_object().bucket(place.bucket()).key(place.key()).send().await {
        Ok(head) => {
            let digest = head.metadata().and_then(|metadata| metadata.get(DIGEST));
            let is_same = digest.is_some_and(|digest| digest == expected.sha256.as_str());
            Ok(is_same
                && head.content_length().and_then(|size| u64::try_from(size).ok()) == Some(expected.size))
        }
        Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => Ok(false),
        // Who may write there may not always look.
        Err(error) if error.raw_response().is_some_and(|answer| answer.status().as_u16() == 403) => Ok(false),
        Err(error) => Err(Error::aws("HeadObject")(error)),
    }
}

/// Reads a body to its end; bytes, and what they hash to.
///
/// # Errors
/// [`Error::Aws`], [`Error::File`].
pub(crate) async fn drain(
    mut body: ByteStream,
    place: &S3Uri,
    into: &mut impl std::io::Write,
) -> Result<(u64, Sha256Digest), Error> {
    let broken = |reason: String| Error::Aws { operation: "GetObject", reason: format!("{place}: {reason}") };
    let (mut hash, mut size) = (Sha256::new(), 0);
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(|error| broken(error.to_string()))?;
        hash.update(&bytes);
        size += bytes.len() as u64;
        into.write_all(&bytes).map_err(Error::file("write", &std::env::temp_dir()))?;
    }
    into.flush().map_err(Error::file("write", &std::env::temp_dir()))?;
    Ok((size, Sha256Digest::from_bytes(&hash.finalize().into())))
}

/// Puts a file in an object's place, if that is what it was; its version and digest, or `None` where somebody wrote it
/// meanwhile.
///
/// # Errors
/// [`Error::Aws`], [`Error::File`].
pub(crate) async fn replace(
    s3: &S3,
    place: &S3Uri,
    file: &NamedTempFile,
    etag: Option<&str>,
    content_type: Option<String>,
) -> Result<Option<(String, Sha256Digest)>, Error> {
    let body = ByteStream::from_path(file.path()).await.map_err(|error| unreadable(file, &error))?;
    let (size, sha256) = drain(body, place, &mut std::io::sink()).await?;
    let is_changed = |status: Option<u16>| matches!(status, Some(404 | 409 | 412));
    let version = if size > PART {
        let create = s3.create_multipart_upload().bucket(place.bucket()).key(place.key());
        let created = create.set_content_type(content_type).send().await;
        let created = created.map_err(Error::aws("CreateMultipartUpload"))?;
        let lacking = Error::Incomplete { operation: "CreateMultipartUpload", lacking: "an upload's id" };
        let id = created.upload_id().ok_or(lacking)?;
        let parts = put_each_part(s3, place, id, file, size).await?;
        let all = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = s3.complete_multipart_upload().bucket(place.bucket()).key(place.key()).upload_id(id);
        match complete.multipart_upload(all).set_if_match(etag.map(str::to_owned)).send().await {
            Ok(completed) => completed.version_id,
            Err(error) if is_changed(error.raw_response().map(|answer| answer.status().as_u16())) => {
                return Ok(None);
            }
            Err(error) => return Err(Error::aws("CompleteMultipartUpload")(error)),
        }
    } else {
        let body = ByteStream::from_path(file.path()).await.map_err(|error| unreadable(file, &error))?;
        let put = s3.put_object().bucket(place.bucket()).key(place.key()).body(body);
        let put = put.set_content_type(content_type).set_if_match(etag.map(str::to_owned));
        match put.send().await {
            Ok(stored) => stored.version_id,
            Err(error) if is_changed(error.raw_response().map(|answer| answer.status().as_u16())) => {
                return Ok(None);
            }
            Err(error) => return Err(Error::aws("PutObject")(error)),
        }
    };
    let lacking =
        Error::Incomplete { operation: "PutObject", lacking: "a version: is the bucket versioned?" };
    Ok(Some((version.ok_or(lacking)?, sha256)))
}

async fn put_parts(s3: &S3, to: &S3Uri, file: &NamedTempFile, from: &Version) -> Result<(), Error> {
    let create = s3.create_multipart_upload().bucket(to.bucket()).key(to.key());
    let created = create.metadata(DIGEST, from.sha256.as_str()).send().await;
    let created = created.map_err(Error::aws("CreateMultipartUpload"))?;
    let lacking = Error::Incomplete { operation: "CreateMultipartUpload", lacking: "an upload's id" };
    let id = created.upload_id().ok_or(lacking)?;
    match put_each_part(s3, to, id, file, from.size).await {
        Ok(parts) => {
            let all = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
            let complete = s3.complete_multipart_upload().bucket(to.bucket()).key(to.key()).upload_id(id);
            let sent = complete.multipart_upload(all).send().await;
            sent.map(drop).map_err(Error::aws("CompleteMultipartUpload"))
        }
        Err(error) => {
            // Parts that nobody completes would be paid for; the bucket's lifecycle catches what this cannot.
            let abort = s3.abort_multipart_upload().bucket(to.bucket()).key(to.key()).upload_id(id);
            drop(abort.send().await);
            Err(error)
        }
    }
}

async fn put_each_part(
    s3: &S3,
    to: &S3Uri,
    id: &str,
    file: &NamedTempFile,
    size: u64,
) -> Result<Vec<CompletedPart>, Error> {
    let mut parts = Vec::new();
    for (number, offset) in (1..).zip((0..size).step_by(PART as usize)) {
        let length = Length::Exact(PART.min(size - offset));
        let body = ByteStream::read_from().path(file.path()).offset(offset).length(length).build().await;
        let body = body.map_err(|error| unreadable(file, &error))?;
        let put = s3.upload_part().bucket(to.bucket()).key(to.key()).upload_id(id).part_number(number);
        let sent = put.body(body).send().await.map_err(Error::aws("UploadPart"))?;
        let part = CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag().map(str::to_owned));
        parts.push(part.build());
    }
    Ok(parts)
}

fn unreadable(file: &NamedTempFile, error: &impl ToString) -> Error {
    Error::File {
        action: "read",
        path: file.path().to_owned(),
        source: std::io::Error::other(error.to_string()),
    }
}
