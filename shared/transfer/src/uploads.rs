//! Multipart uploads that nobody will complete: S3 keeps, and bills, their parts until they are aborted.

use aws_sdk_s3::Client;
use contract::RunId;
use jiff::Timestamp;

use crate::{
    error::{TransferError, store_failed},
    ledger::{Kept, Ledger},
};

/// S3's answers to an abort of what is already gone.
const GONE: [&str; 2] = ["NoSuchUpload", "NotFound"];

/// The multipart uploads of a bucket.
#[derive(Clone, Debug)]
pub struct Uploads {
    client: Client,
    bucket: String,
}

impl Uploads {
    /// Over a bucket.
    pub fn new(client: Client, bucket: String) -> Self {
        Self { client, bucket }
    }

    /// Ends a run's transfers, whoever still runs them, and aborts what they left open. Nothing that was verified
    /// and stored is touched.
    ///
    /// # Errors
    /// [`TransferError::Store`].
    pub async fn end_run(&self, run: &RunId) -> Result<(), TransferError> {
        for kept in Ledger::end(&self.client, &self.bucket, run).await? {
            self.end(kept).await?;
        }
        Ok(())
    }

    /// Aborts what a checkpoint tells of.
    pub(crate) async fn end(&self, kept: Kept) -> Result<(), TransferError> {
        match kept {
            Kept::Upload { key, upload_id } => self.abort(&key, &upload_id).await,
            Kept::Creating { key, since } => self.abort_since(&key, since).await,
        }
    }

    /// Aborts an upload; one that is gone is what it wants.
    pub(crate) async fn abort(&self, key: &str, upload_id: &str) -> Result<(), TransferError> {
        let abort = self.client.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload_id);
        match abort.send().await.map_err(store_failed("s3:AbortMultipartUpload")) {
            Err(error) if !error.says(&GONE) => Err(error),
            _ => Ok(()),
        }
    }

    /// Aborts uploads of a key that were begun since then. An upload of another run of the same commit may be among
    /// them; it finds itself without and begins again, which costs time and harms nothing.
    pub(crate) async fn abort_since(&self, key: &str, since: Timestamp) -> Result<(), TransferError> {
        // S3 tells the time in whole seconds, by its own clock.
        let since = since.as_second() - 1;
        let mut marker: (Option<String>, Option<String>) = (None, None);
        loop {
            let page = self
                .client
                .list_multipart_uploads()
                .bucket(&self.bucket)
                .prefix(key)
                .set_key_marker(marker.0.take())
                .set_upload_id_marker(marker.1.take())
                .send()
                .await
                .map_err(store_failed("s3:ListMultipartUploads"))?;
            for upload in page.uploads() {
                let began = upload.initiated().map_or(i64::MAX, |time| time.secs());
                if let (Some(found), Some(upload_id)) = (upload.key(), upload.upload_id())
                    && found == key
                    && began >= since
                {
                    self.abort(key, upload_id).await?;
                }
            }
            if page.is_truncated() != Some(true) {
                return Ok(());
            }
            marker = (page.next_key_marker, page.next_upload_id_marker);
        }
    }
}
