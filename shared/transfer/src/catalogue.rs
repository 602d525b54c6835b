//! A file that is stored already, under another commit, is copied within S3 and not fetched again.
//!
//! Beside what it stores, the warehouse leaves a note by digest of where it lies. The note only points: what it points
//! to must carry the promised digest, which is written where the bytes were verified and never changed after.

use aws_sdk_s3::{
    primitives::ByteStream,
    types::{MetadataDirective, ServerSideEncryption},
};
use contract::ContentKind;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::{
    error::{TransferError, store_failed},
    expected::ExpectedDigest,
    file::File,
    warehouse::{Stored, Warehouse},
};

/// What S3 copies in one call, in bytes; a larger file is fetched again.
const COPY_MAX: u64 = 5 << 30;
/// What stays as it is in a copy's source.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    key: String,
    version_id: String,
}

/// Where the notes lie, below a root where only verified files are.
const NOTES: &str = "by-digest/";

/// Where the note of a file lies. What its name claims belongs to it, since that is what its content was checked as.
fn place(root: &str, file: &File) -> Option<String> {
    match (&file.expected.digest, ContentKind::of(&file.path)) {
        (ExpectedDigest::Sha256(sha256), Some(kind))
            if file.goes_in_parts() && file.expected.size <= COPY_MAX =>
        {
            Some(format!("{root}{NOTES}{sha256}.{kind}"))
        }
        _ => None,
    }
}

impl Warehouse {
    /// Leaves a note of a file that is stored, for those that come later.
    ///
    /// # Errors
    /// [`TransferError::Store`].
    pub async fn note(&self, root: &str, file: &File, stored: &Stored) -> Result<(), TransferError> {
        let (Some(place), Some(version_id)) = (place(root, file), stored.version_id.clone()) else {
            return Ok(());
        };
        let note = serde_json::to_vec(&Note { key: file.key.clone(), version_id }).unwrap_or_default();
        let put = self.client.put_object().bucket(&self.bucket).key(place).if_none_match("*");
        match put.body(ByteStream::from(note)).send().await.map_err(store_failed("s3:PutObject")) {
            Err(error) if !error.says(&["PreconditionFailed", "ConditionalRequestConflict"]) => Err(error),
            _ => Ok(()),
        }
    }

    /// Copies a file that is known by its note; `None` where it has to be fetched. It is looked for below `root` only,
    /// such as `models/`: elsewhere, others write, and could claim any digest.
    ///
    /// # Errors
    /// [`TransferError`], when what is found under the file's own key is not the file.
    pub async fn copy_known(&self, root: &str, file: &File) -> Result<Option<Stored>, TransferError> {
        let Some(place) = place(root, file) else { return Ok(None) };
        let ExpectedDigest::Sha256(promised) = &file.expected.digest else { return Ok(None) };
        let Some(note) = self.read_note(&place).await? else { return Ok(None) };
        if !note.key.starts_with(root) || note.key.starts_with(&format!("{root}{NOTES}")) {
            tracing::warn!(place, "it points to where no verified file is; the file is fetched");
            return Ok(None);
        }
        let known = self.find_version(&note.key, Some(&note.version_id)).await;
        if !known.is_ok_and(|known| {
            known.is_some_and(|known| known.sha256 == *promised && known.size == file.expected.size)
        }) {
            tracing::warn!(place, "it points to what is not that file any more; it is fetched");
            return Ok(None);
        }
        let key = utf8_percent_encode(&note.key, ENCODED);
        let copied = self
            .client
            .copy_object()
            .bucket(&self.bucket)
            .key(&file.key)
            .copy_source(format!("{}/{key}?versionId={}", self.bucket, note.version_id))
            .metadata_directive(MetadataDirective::Copy)
            .if_none_match("*")
            .server_side_encryption(ServerSideEncryption::AwsKms)
            .ssekms_key_id(&self.kms_key)
            .send()
            .await;
        let (sha256, size) = (promised.clone(), file.expected.size);
        match copied {
            Ok(copied) => Ok(Some(Stored { sha256, size, version_id: copied.version_id })),
            Err(error) => {
                let error = store_failed("s3:CopyObject")(error);
                match self.already_there(&file.key, promised, error).await {
                    Ok(stored) => Ok(Some(stored)),
                    Err(occupied @ TransferError::Occupied { .. }) => Err(occupied),
                    Err(error) => {
                        tracing::warn!(path = file.path, "it is fetched, since it cannot be copied: {error}");
                        Ok(None)
                    }
                }
            }
        }
    }

    async fn read_note(&self, place: &str) -> Result<Option<Note>, TransferError> {
        let object = match self.client.get_object().bucket(&self.bucket).key(place).send().await {
            Ok(object) => object,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => {
                return Ok(None);
            }
            Err(error) => return Err(store_failed("s3:GetObject")(error)),
        };
        // Whatever is wrong with a note, the file itself can be fetched.
        Ok(object.body.collect().await.ok().and_then(|body| serde_json::from_slice(&body.into_bytes()).ok()))
    }
}

#[cfg(test)]
mod tests {
    use contract::Sha256Digest;

    use super::*;
    use crate::Expected;

    #[test]
    fn only_what_can_be_copied_and_was_checked_as_the_same_kind_has_a_note() {
        let file = |path: &str, size: u64| File {
            path: path.into(),
            key: format!("models/a/{path}"),
            checkpoint: "0.json".into(),
            expected: Expected { size, digest: ExpectedDigest::Sha256(Sha256Digest::of("x")) },
        };
        let at = |path: &str, size: u64| place("models/", &file(path, size));
        let weights = at("model.safetensors", 1 << 30).unwrap();
        assert!(weights.ends_with(".safetensors"), "{weights}");
        assert_ne!(at("model.txt", 1 << 30).unwrap(), weights);
        assert_eq!(at("model.safetensors", 1000), None, "quicker fetched");
        assert_eq!(at("model.safetensors", COPY_MAX + 1), None);
        assert_eq!(at("model.bin", 1 << 30), None);
    }
}
