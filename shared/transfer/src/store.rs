//! Streams a file into S3 so that the object exists only if every byte was verified (invariant 1).

use aws_sdk_s3::{
    Client,
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart, ServerSideEncryption},
};
use bytes::{Bytes, BytesMut};
use contract::Sha256Digest;
use futures::{Stream, StreamExt as _, stream::FuturesUnordered};

use crate::{
    content::Inspector,
    error::{TransferError, store_failed},
    expected::{Expected, ExpectedDigest, Hasher},
};

/// Up to this size a file is held whole and put in one call.
const WHOLE: u64 = 8 << 20;
/// A git blob's SHA-1 gives no SHA-256 before the last byte, so such files are always held whole.
const GIT_BLOB_MAX: u64 = 64 << 20;
/// S3 takes 10,000 parts; some are left over.
const PARTS_MAX: u64 = 9_000;
/// Parts in flight: memory is this many parts and one more.
const PARTS_IN_FLIGHT: usize = 4;

/// A file that is stored and matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Of its content.
    pub sha256: Sha256Digest,
    /// Bytes.
    pub size: u64,
    /// The object's version.
    pub version_id: Option<String>,
}

/// A bucket whose objects are write-once and verified.
#[derive(Clone, Debug)]
pub struct Warehouse {
    client: Client,
    bucket: String,
    kms_key: String,
}

/// The user metadata under which the verified digest stands.
const SHA256_METADATA: &str = "sha256";

impl Warehouse {
    /// Over a bucket and the KMS key of its objects.
    pub fn new(client: Client, bucket: String, kms_key: String) -> Self {
        Self { client, bucket, kms_key }
    }

    /// What is stored under a key, if anything: this crate wrote the digest beside it after verifying.
    ///
    /// # Errors
    /// [`TransferError::Store`]; [`TransferError::Occupied`] when the object carries no digest.
    pub async fn find(&self, key: &str) -> Result<Option<Stored>, TransferError> {
        let head = match self.client.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(head) => head,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => {
                return Ok(None);
            }
            Err(error) => return Err(store_failed("s3:HeadObject")(error)),
        };
        let text = head.metadata().and_then(|metadata| metadata.get(SHA256_METADATA)).cloned();
        let Some(sha256) = text.and_then(|text| Sha256Digest::try_from(text).ok()) else {
            return Err(TransferError::Occupied { bucket: self.bucket.clone(), key: key.to_owned() });
        };
        let size = u64::try_from(head.content_length().unwrap_or(0)).unwrap_or(0);
        Ok(Some(Stored { sha256, size, version_id: head.version_id }))
    }

    /// Stores a file whose bytes come from `body`.
    ///
    /// # Errors
    /// [`TransferError`]; no object exists under `key` then, and no upload stays open.
    pub async fn store<E: std::fmt::Display>(
        &self,
        key: &str,
        path: &str,
        expected: &Expected,
        body: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<Stored, TransferError> {
        let intake = Intake::new(path, expected, body);
        match &expected.digest {
            ExpectedDigest::Sha256(promised) if expected.size > WHOLE => {
                self.store_in_parts(key, promised, expected.size, intake).await
            }
            ExpectedDigest::GitBlob(_) if expected.size > GIT_BLOB_MAX => Err(TransferError::SizeMismatch {
                path: path.to_owned(),
                expected: GIT_BLOB_MAX,
                found: expected.size,
            }),
            _ => self.store_whole(key, intake).await,
        }
    }

    async fn store_whole<S, E>(&self, key: &str, mut intake: Intake<'_, S>) -> Result<Stored, TransferError>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: std::fmt::Display,
    {
        let content = intake.take(usize::MAX).await?;
        let (sha256, size) = intake.finish()?;
        let sent = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .if_none_match("*")
            .metadata(SHA256_METADATA, sha256.as_str())
            .server_side_encryption(ServerSideEncryption::AwsKms)
            .ssekms_key_id(&self.kms_key)
            .body(ByteStream::from(content))
            .send()
            .await;
        match sent {
            Ok(put) => Ok(Stored { sha256, size, version_id: put.version_id }),
            Err(error) => self.already_there(key, &sha256, store_failed("s3:PutObject")(error)).await,
        }
    }

    async fn store_in_parts<S, E>(
        &self,
        key: &str,
        promised: &Sha256Digest,
        size: u64,
        intake: Intake<'_, S>,
    ) -> Result<Stored, TransferError>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: std::fmt::Display,
    {
        let upload = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .metadata(SHA256_METADATA, promised.as_str())
            .server_side_encryption(ServerSideEncryption::AwsKms)
            .ssekms_key_id(&self.kms_key)
            .send()
            .await
            .map_err(store_failed("s3:CreateMultipartUpload"))?
            .upload_id
            .unwrap_or_default();
        match self.upload_parts(key, &upload, size, intake).await {
            Ok(stored) => Ok(stored),
            Err(error) => {
                let abort =
                    self.client.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(&upload);
                if let Err(abort) = abort.send().await {
                    // The bucket's lifecycle rule sweeps it; the reason for the refusal matters more.
                    tracing::warn!("{}", store_failed("s3:AbortMultipartUpload")(abort));
                }
                match error {
                    TransferError::Store { .. } => self.already_there(key, promised, error).await,
                    _ => Err(error),
                }
            }
        }
    }

    async fn upload_parts<S, E>(
        &self,
        key: &str,
        upload: &str,
        size: u64,
        mut intake: Intake<'_, S>,
    ) -> Result<Stored, TransferError>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: std::fmt::Display,
    {
        let part_size = usize::try_from(WHOLE.max(size.div_ceil(PARTS_MAX))).unwrap_or(usize::MAX);
        let mut in_flight = FuturesUnordered::new();
        let mut parts = Vec::new();
        let mut number = 0;
        loop {
            let content = intake.take(part_size).await?;
            let last = content.len() < part_size;
            if !content.is_empty() {
                number += 1;
                in_flight.push(self.upload_part(key, upload, number, content));
            }
            while in_flight.len() >= PARTS_IN_FLIGHT || (last && !in_flight.is_empty()) {
                if let Some(part) = in_flight.next().await {
                    parts.push(part?);
                }
            }
            if last {
                break;
            }
        }
        // Only now, with every byte hashed and inspected, may the object come to be.
        let (sha256, size) = intake.finish()?;
        parts.sort_by_key(CompletedPart::part_number);
        let done = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(upload)
            .if_none_match("*")
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .send()
            .await
            .map_err(store_failed("s3:CompleteMultipartUpload"))?;
        Ok(Stored { sha256, size, version_id: done.version_id })
    }

    async fn upload_part(
        &self,
        key: &str,
        upload: &str,
        number: i32,
        content: Bytes,
    ) -> Result<CompletedPart, TransferError> {
        let part = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(upload)
            .part_number(number)
            .body(ByteStream::from(content))
            .send()
            .await
            .map_err(store_failed("s3:UploadPart"))?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(part.e_tag)
            .set_checksum_crc32(part.checksum_crc32)
            .set_checksum_crc64_nvme(part.checksum_crc64_nvme)
            .build())
    }

    /// A refused conditional write is success when the same file is there: an earlier try of this run, or
    /// another run of the same commit, stored it.
    async fn already_there(
        &self,
        key: &str,
        sha256: &Sha256Digest,
        error: TransferError,
    ) -> Result<Stored, TransferError> {
        let conditional = matches!(&error, TransferError::Store { code, .. }
            if code == "PreconditionFailed" || code == "ConditionalRequestConflict");
        if !conditional {
            return Err(error);
        }
        match self.find(key).await? {
            Some(stored) if stored.sha256 == *sha256 => Ok(stored),
            Some(_) => Err(TransferError::Occupied { bucket: self.bucket.clone(), key: key.to_owned() }),
            None => Err(error),
        }
    }
}

/// A body on its way in: counted, hashed and inspected before anybody else sees it.
struct Intake<'a, S> {
    path: &'a str,
    expected: &'a Expected,
    body: std::pin::Pin<Box<S>>,
    rest: Bytes,
    count: u64,
    hasher: Hasher,
    inspector: Inspector,
}

impl<'a, S, E> Intake<'a, S>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: std::fmt::Display,
{
    fn new(path: &'a str, expected: &'a Expected, body: S) -> Self {
        Self {
            path,
            expected,
            body: Box::pin(body),
            rest: Bytes::new(),
            count: 0,
            hasher: Hasher::new(expected),
            inspector: Inspector::new(path, expected.size),
        }
    }

    /// The next `wanted` bytes; fewer at the end.
    async fn take(&mut self, wanted: usize) -> Result<Bytes, TransferError> {
        let mut content = BytesMut::new();
        while content.len() < wanted {
            if self.rest.is_empty() {
                match self.body.next().await {
                    None => break,
                    Some(Err(error)) => {
                        let (path, reason) = (self.path.to_owned(), error.to_string());
                        return Err(TransferError::Source { path, reason });
                    }
                    Some(Ok(bytes)) => self.admit(bytes)?,
                }
            }
            let taken = self.rest.split_to(self.rest.len().min(wanted - content.len()));
            content.extend_from_slice(&taken);
        }
        Ok(content.freeze())
    }

    fn admit(&mut self, bytes: Bytes) -> Result<(), TransferError> {
        self.count += bytes.len() as u64;
        if self.count > self.expected.size {
            return Err(self.wrong_size());
        }
        self.hasher.update(&bytes);
        self.inspector.feed(&bytes);
        self.rest = bytes;
        Ok(())
    }

    fn wrong_size(&self) -> TransferError {
        let (expected, found) = (self.expected.size, self.count);
        TransferError::SizeMismatch { path: self.path.to_owned(), expected, found }
    }

    /// Digest first: a file that is not what was promised is not worth describing further.
    fn finish(self) -> Result<(Sha256Digest, u64), TransferError> {
        if self.count != self.expected.size {
            return Err(self.wrong_size());
        }
        let path = || self.path.to_owned();
        let sha256 = self
            .hasher
            .finish(&self.expected.digest)
            .map_err(|(expected, found)| TransferError::DigestMismatch { path: path(), expected, found })?;
        self.inspector.finish().map_err(|reason| TransferError::UnsafeContent { path: path(), reason })?;
        Ok((sha256, self.count))
    }
}
