//! A file that a job wrote, read by version.

use std::{io, ops::Range, pin::Pin};

use runtime::{AwsFailure, failed};
use tokio::io::AsyncBufRead;
use transfer::{Retry, Source};

/// One version of an object.
#[derive(Clone)]
pub struct Written {
    /// The client.
    pub s3: aws_sdk_s3::Client,
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The version, so that what is read twice is the same.
    pub version_id: Option<String>,
}

impl Source for Written {
    type Error = AwsFailure;
    type Body = Pin<Box<dyn AsyncBufRead + Send>>;

    async fn range(&self, range: Range<u64>) -> Result<Self::Body, AwsFailure> {
        let get = self.s3.get_object().bucket(&self.bucket).key(&self.key);
        let get = get.range(format!("bytes={}-{}", range.start, range.end - 1));
        let object =
            get.set_version_id(self.version_id.clone()).send().await.map_err(failed("s3:GetObject"))?;
        Ok(Box::pin(object.body.into_async_read()))
    }

    fn broken(&self, error: io::Error) -> AwsFailure {
        AwsFailure { operation: "s3:GetObject", code: "BodyBroken".to_owned(), message: error.to_string() }
    }

    /// The SDK has tried again already; only a body that broke off is worth another call.
    fn retry(error: &AwsFailure) -> Retry {
        if error.code == "BodyBroken" { Retry::Soon } else { Retry::Never }
    }
}
