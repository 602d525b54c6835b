//! A bucket whose objects are write-once and verified (invariant 1).

use std::collections::BTreeMap;

use aws_sdk_s3::{
    Client,
    primitives::ByteStream,
    types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, ServerSideEncryption},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use contract::Sha256Digest;

use crate::{
    buffers::Buffers,
    checkpoint::Part,
    error::{TransferError, store_failed},
    file::{File, Passage},
    uploads::Uploads,
};

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
    pub(crate) client: Client,
    pub(crate) bucket: String,
    pub(crate) kms_key: String,
    /// Whether the connection itself protects a body, so that it need not be hashed a second time to be signed.
    connection_protects: bool,
    pub(crate) uploads: Uploads,
    pub(crate) buffers: Buffers,
}

/// The user metadata under which the verified digest stands.
const SHA256_METADATA: &str = "sha256";
/// Bytes of parts that are held at a time; what a process needs beside them is about a third of that.
const MEMORY: usize = 48 << 20;

impl Warehouse {
    /// Over a bucket and the KMS key of its objects. `endpoint` is where the client sends its calls, if that is not
    /// AWS.
    pub fn new(client: Client, bucket: String, kms_key: String, endpoint: Option<&str>) -> Self {
        let connection_protects = endpoint.is_none_or(protects);
        let uploads = Uploads::new(client.clone(), bucket.clone());
        Self { client, bucket, kms_key, connection_protects, uploads, buffers: Buffers::new(MEMORY) }
    }

    /// What is stored under a key, if anything: this crate wrote the digest beside it after verifying.
    ///
    /// # Errors
    /// [`TransferError::Store`]; [`TransferError::Occupied`] when the object carries no digest.
    pub async fn find(&self, key: &str) -> Result<Option<Stored>, TransferError> {
        self.find_version(key, None).await
    }

    /// The same for a version; without one, for the latest.
    pub(crate) async fn find_version(
        &self,
        key: &str,
        version_id: Option<&str>,
    ) -> Result<Option<Stored>, TransferError> {
        let head = self.client.head_object().bucket(&self.bucket).key(key);
        let head = match head.set_version_id(version_id.map(str::to_owned)).send().await {
            Ok(head) => head,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => {
                return Ok(None);
            }
            Err(error) => return Err(store_failed("s3:HeadObject")(error)),
        };
        let text = head.metadata().and_then(|metadata| metadata.get(SHA256_METADATA)).cloned();
        let Some(sha256) = text.and_then(|text| Sha256Digest::try_from(text).ok()) else {
            return Err(self.occupied(key));
        };
        let size = u64::try_from(head.content_length().unwrap_or(0)).unwrap_or(0);
        Ok(Some(Stored { sha256, size, version_id: head.version_id }))
    }

    /// The keys under a prefix with their sizes in bytes: what is there was verified.
    ///
    /// # Errors
    /// [`TransferError::Store`].
    pub async fn list(&self, prefix: &str) -> Result<BTreeMap<String, u64>, TransferError> {
        let mut found = BTreeMap::new();
        let mut pages =
            self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).into_paginator().send();
        while let Some(page) = pages.next().await {
            for object in page.map_err(store_failed("s3:ListObjectsV2"))?.contents() {
                let size = u64::try_from(object.size().unwrap_or(0)).unwrap_or(0);
                found.insert(object.key().unwrap_or_default().to_owned(), size);
            }
        }
        Ok(found)
    }

    /// Stores bytes that this process made: a signature beside what it signs. What is there already stays, and must
    /// be looked at by the caller.
    ///
    /// # Errors
    /// [`TransferError::Store`], [`TransferError::Occupied`] when something else is there.
    pub async fn store_own(&self, key: &str, content: Bytes) -> Result<Stored, TransferError> {
        self.put(key, Sha256Digest::of(&content), content).await
    }

    /// Stores bytes that hash to `sha256`, all at once.
    pub(crate) async fn put(
        &self,
        key: &str,
        sha256: Sha256Digest,
        content: Bytes,
    ) -> Result<Stored, TransferError> {
        let size = content.len() as u64;
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .if_none_match("*")
            .metadata(SHA256_METADATA, sha256.as_str())
            .server_side_encryption(ServerSideEncryption::AwsKms)
            .ssekms_key_id(&self.kms_key)
            .checksum_crc32(as_s3_writes(crc32fast::hash(&content)))
            .body(ByteStream::from(content))
            .customize();
        let put = if self.connection_protects { put.disable_payload_signing() } else { put };
        match put.send().await {
            Ok(put) => Ok(Stored { sha256, size, version_id: put.version_id }),
            Err(error) => self.already_there(key, &sha256, store_failed("s3:PutObject")(error)).await,
        }
    }

    /// Begins a multipart upload.
    pub(crate) async fn create(&self, key: &str, sha256: &Sha256Digest) -> Result<String, TransferError> {
        let created = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .metadata(SHA256_METADATA, sha256.as_str())
            .server_side_encryption(ServerSideEncryption::AwsKms)
            .ssekms_key_id(&self.kms_key)
            // S3 can verify a CRC-64 of the whole object too, but the local account computes that one very slowly;
            // the whole object's SHA-256 is verified here.
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .checksum_type(ChecksumType::Composite)
            .send()
            .await
            .map_err(store_failed("s3:CreateMultipartUpload"))?;
        Ok(created.upload_id.unwrap_or_default())
    }

    /// Uploads a part, whose CRC-32 S3 verifies.
    pub(crate) async fn upload(
        &self,
        key: &str,
        upload_id: &str,
        number: i32,
        content: Bytes,
        crc32: u32,
    ) -> Result<Part, TransferError> {
        let crc32 = as_s3_writes(crc32);
        let part = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(upload_id)
            .part_number(number)
            .checksum_crc32(&crc32)
            .body(ByteStream::from(content))
            .customize();
        let part = if self.connection_protects { part.disable_payload_signing() } else { part };
        let sent = part.send().await.map_err(store_failed("s3:UploadPart"))?;
        Ok(Part { number, etag: sent.e_tag.unwrap_or_default(), crc32 })
    }

    /// Makes the object of these parts come to be, if nothing is under its key.
    pub(crate) async fn complete(
        &self,
        key: &str,
        upload_id: &str,
        parts: &[Part],
        sha256: Sha256Digest,
        size: u64,
    ) -> Result<Stored, TransferError> {
        let part = |part: &Part| {
            CompletedPart::builder()
                .part_number(part.number)
                .e_tag(&part.etag)
                .checksum_crc32(&part.crc32)
                .build()
        };
        let parts =
            CompletedMultipartUpload::builder().set_parts(Some(parts.iter().map(part).collect())).build();
        let done = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(upload_id)
            .if_none_match("*")
            .checksum_type(ChecksumType::Composite)
            .mpu_object_size(i64::try_from(size).unwrap_or(i64::MAX))
            .multipart_upload(parts)
            .send()
            .await;
        match done {
            Ok(done) => Ok(Stored { sha256, size, version_id: done.version_id }),
            Err(error) => {
                let error = store_failed("s3:CompleteMultipartUpload")(error);
                let stored = self.already_there(key, &sha256, error).await?;
                // Another run of the same commit was first; nobody needs this upload now.
                self.uploads.abort(key, upload_id).await?;
                Ok(stored)
            }
        }
    }

    /// Aborts what is open of a batch's files, by this invocation or an earlier one, since the model is refused. What
    /// cannot be aborted now is swept when the run is sealed, and then by the bucket's lifecycle rule.
    pub async fn abandon(&self, files: &[File], passage: &Passage) {
        // An upload that is just being created is known to nobody before its checkpoint is written.
        passage.begins.close();
        passage.begins.wait().await;
        for file in files.iter().filter(|file| file.goes_in_parts()) {
            let aborted = match passage.ledger.peek(&file.checkpoint).await {
                Ok(Some(kept)) if kept.key() == file.key => self.uploads.end(kept).await,
                Ok(_) => Ok(()),
                Err(error) => Err(error),
            };
            if let Err(error) = aborted {
                tracing::warn!(key = file.key, "{error}");
            }
        }
    }

    /// A refused conditional write is success when the same file is there: an earlier try of this run, or
    /// another run of the same commit, stored it.
    pub(crate) async fn already_there(
        &self,
        key: &str,
        sha256: &Sha256Digest,
        error: TransferError,
    ) -> Result<Stored, TransferError> {
        if !error.says(&["PreconditionFailed", "ConditionalRequestConflict", "NoSuchUpload"]) {
            return Err(error);
        }
        match self.find(key).await? {
            Some(stored) if stored.sha256 == *sha256 => Ok(stored),
            Some(_) => Err(self.occupied(key)),
            None => Err(error),
        }
    }

    fn occupied(&self, key: &str) -> TransferError {
        TransferError::Occupied { bucket: self.bucket.clone(), key: key.to_owned() }
    }
}

/// A CRC-32 (ISO-HDLC) as S3 writes it: base64 of the big-endian bytes.
fn as_s3_writes(crc32: u32) -> String {
    STANDARD.encode(crc32.to_be_bytes())
}

/// A signature covers the body too unless the connection does: TLS, or none that leaves this machine.
fn protects(endpoint: &str) -> bool {
    let Some((scheme, rest)) = endpoint.split_once("://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let loopback = ["127.0.0.1", "localhost", "[::1]"];
    scheme == "https"
        || loopback
            .iter()
            .any(|own| host == *own || host.strip_prefix(own).is_some_and(|port| port.starts_with(':')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_goes_unsigned_only_where_the_connection_protects_it() {
        for endpoint in [
            "https://s3.us-east-1.amazonaws.com",
            "http://127.0.0.1:4566",
            "http://localhost/",
            "http://[::1]:1",
        ] {
            assert!(protects(endpoint), "{endpoint}");
        }
        for endpoint in
            ["http://s3.internal", "http://127.0.0.1.example.com", "http://127.0.0.1@example.com", "s3", ""]
        {
            assert!(!protects(endpoint), "{endpoint}");
        }
    }

    #[test]
    fn a_parts_checksum_is_written_as_s3_writes_it() {
        // The check value of CRC-32/ISO-HDLC is 0xCBF43926.
        assert_eq!(as_s3_writes(crc32fast::hash(b"123456789")), "y/Q5Jg==");
    }
}
