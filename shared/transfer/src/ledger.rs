//! Where checkpoints lie, and who may write the next one.
//!
//! Two invocations may have the same file in hand: Step Functions tries again while the first still runs, and a
//! Lambda can outlive its execution. Each write names the one before it (`If-Match`), so only one of the two gets
//! on; the other finds itself superseded and ends.

use aws_sdk_s3::{Client, primitives::ByteStream};
use bytes::Bytes;
use contract::RunId;

use crate::{
    checkpoint::{self, Checkpoint, MacKey, Progress},
    error::{TransferError, store_failed},
};

/// What says, for a whole run, that nothing more is to be begun.
const ENDED: &str = "ended.json";

/// The checkpoints of one run, `runs/<run id>/transfer/`.
#[derive(Clone, Debug)]
pub struct Ledger {
    client: Client,
    bucket: String,
    prefix: String,
    key: MacKey,
}

/// The state of a checkpoint's object that the next write replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// There is none yet.
    Absent,
    /// S3's ETag of it.
    At(String),
}

/// What an ended run's transfer left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// A multipart upload.
    Upload {
        /// Of the object.
        key: String,
        /// Of the upload.
        upload_id: String,
    },
    /// Perhaps one that was created since then, whose id was never kept.
    Creating {
        /// Of the object.
        key: String,
        /// Just before it was created.
        since: jiff::Timestamp,
    },
}

impl Kept {
    /// The object's key.
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::Upload { key, .. } | Self::Creating { key, .. } => key,
        }
    }
}

impl From<Checkpoint> for Kept {
    fn from(checkpoint: Checkpoint) -> Self {
        let Checkpoint { key, since, upload, .. } = checkpoint;
        match upload {
            Some(Progress { upload_id, .. }) => Self::Upload { key, upload_id },
            None => Self::Creating { key, since },
        }
    }
}

impl Ledger {
    /// Over a bucket; the key is derived for [`Ledger::purpose`].
    pub fn new(client: Client, bucket: String, run: &RunId, key: MacKey) -> Self {
        Self { client, bucket, prefix: folder(run), key }
    }

    /// What the key is derived for: each run has its own.
    pub fn purpose(run: &RunId) -> String {
        format!("lockstep/transfer/v1 {run}")
    }

    fn place(&self, name: &str) -> String {
        format!("{}/{}{name}", self.bucket, self.prefix)
    }

    /// The checkpoint of that name, if there is one.
    pub(crate) async fn load(
        &self,
        path: &str,
        name: &str,
    ) -> Result<(Option<Checkpoint>, Tag), TransferError> {
        let Some((bytes, tag)) = read(&self.client, &self.bucket, &format!("{}{name}", self.prefix)).await?
        else {
            return Ok((None, Tag::Absent));
        };
        let place = self.place(name);
        match checkpoint::read(&self.key, &place, &bytes) {
            Ok(Some(checkpoint)) => Ok((Some(checkpoint), tag)),
            Ok(None) => Err(TransferError::RunEnded { path: path.to_owned() }),
            Err(reason) => Err(TransferError::CursorInvalid { place, reason }),
        }
    }

    /// What a checkpoint tells of its upload, without any proof.
    pub(crate) async fn peek(&self, name: &str) -> Result<Option<Kept>, TransferError> {
        let read = read(&self.client, &self.bucket, &format!("{}{name}", self.prefix)).await?;
        Ok(read.and_then(|(bytes, _)| checkpoint::peek(&bytes)).map(Kept::from))
    }

    /// A checkpoint as it will lie in the bucket.
    pub(crate) fn encode(&self, name: &str, checkpoint: &Checkpoint) -> Bytes {
        checkpoint::write(&self.key, &self.place(name), checkpoint).into()
    }

    /// Writes the checkpoint that follows the one of that tag.
    ///
    /// A write whose answer was lost is tried again by the SDK and then finds its own bytes: that is success.
    pub(crate) async fn write(
        &self,
        path: &str,
        name: &str,
        checkpoint: Bytes,
        before: Tag,
    ) -> Result<Tag, TransferError> {
        let key = format!("{}{name}", self.prefix);
        let put = self.client.put_object().bucket(&self.bucket).key(&key).content_type("application/json");
        let put = match before {
            Tag::Absent => put.if_none_match("*"),
            Tag::At(tag) => put.if_match(tag),
        };
        let error = match put.body(ByteStream::from(checkpoint.clone())).send().await {
            Ok(put) => return Ok(Tag::At(put.e_tag.unwrap_or_default())),
            Err(error) => store_failed("s3:PutObject")(error),
        };
        if !error.says(&["PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"]) {
            return Err(error);
        }
        match read(&self.client, &self.bucket, &key).await? {
            Some((found, tag)) if found == checkpoint => Ok(tag),
            Some((found, _)) if found == checkpoint::write_ended() => {
                Err(TransferError::RunEnded { path: path.to_owned() })
            }
            _ => Err(TransferError::Superseded { path: path.to_owned() }),
        }
    }

    /// Whether the run has ended. Asked after an intent was written and before what it announces is done: either
    /// this sees that the run ended, or whoever ends it sees the intent.
    pub(crate) async fn has_ended(&self) -> Result<bool, TransferError> {
        let key = format!("{}{ENDED}", self.prefix);
        Ok(read(&self.client, &self.bucket, &key).await?.is_some())
    }

    /// Writes over the checkpoints of a run that has ended, so that whoever still transfers for it is stopped by its
    /// next write, and gives what they told of. Needs no key: it believes nothing of what it reads.
    pub(crate) async fn end(client: &Client, bucket: &str, run: &RunId) -> Result<Vec<Kept>, TransferError> {
        let prefix = &folder(run);
        overwrite(client, bucket, &format!("{prefix}{ENDED}")).await?;
        let mut left = Vec::new();
        let mut pages = client.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(store_failed("s3:ListObjectsV2"))?;
            for key in page.contents().iter().filter_map(|object| object.key()) {
                // Plans and progress lie here too; they are no checkpoints and stay.
                let Some((bytes, _)) = read(client, bucket, key).await? else { continue };
                let Some(checkpoint) = checkpoint::peek(&bytes) else { continue };
                overwrite(client, bucket, key).await?;
                left.push(checkpoint.into());
            }
        }
        Ok(left)
    }
}

fn folder(run: &RunId) -> String {
    format!("{}transfer/", run.prefix())
}

async fn overwrite(client: &Client, bucket: &str, key: &str) -> Result<(), TransferError> {
    let put = client.put_object().bucket(bucket).key(key).content_type("application/json");
    put.body(ByteStream::from(checkpoint::write_ended()))
        .send()
        .await
        .map_err(store_failed("s3:PutObject"))?;
    Ok(())
}

async fn read(client: &Client, bucket: &str, key: &str) -> Result<Option<(Vec<u8>, Tag)>, TransferError> {
    let object = match client.get_object().bucket(bucket).key(key).send().await {
        Ok(object) => object,
        Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => {
            return Ok(None);
        }
        Err(error) => return Err(store_failed("s3:GetObject")(error)),
    };
    let tag = Tag::At(object.e_tag.unwrap_or_default());
    let body = object.body.collect().await.map_err(|error| TransferError::Store {
        operation: "s3:GetObject",
        code: "BodyBroken".to_owned(),
        message: error.to_string(),
    })?;
    Ok(Some((body.to_vec(), tag)))
}
