//! What the service itself asks of the account behind it: objects, events, logs, images.

use std::path::Path;

use futures::StreamExt as _;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use url::Url;

/// Why something that SageMaker wanted of the account could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum BackendError {
    #[error("the account did not answer: {0}")]
    Unreachable(#[from] reqwest::Error),
    #[error("{code} ({status}): {message}")]
    Refused { status: u16, code: String, message: String },
    #[error("{0}")]
    Disk(#[from] std::io::Error),
    #[error("the account's address {base:?} cannot be used: {source}")]
    Address { base: String, source: url::ParseError },
    #[error("the address {0} is not an S3 URI; use s3://bucket/key")]
    NotS3(String),
}

/// An S3 address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) bucket: String,
    pub(super) key: String,
}

impl Location {
    /// Reads `s3://bucket/key`.
    pub(super) fn parse(uri: &str) -> Result<Self, BackendError> {
        let rest = uri.strip_prefix("s3://").ok_or_else(|| BackendError::NotS3(uri.into()))?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(BackendError::NotS3(uri.into()));
        }
        Ok(Self { bucket: bucket.into(), key: key.into() })
    }

    /// The address below this one, whether or not it ends in a slash.
    pub(super) fn below(&self, path: &str) -> Self {
        let folder = self.key.trim_end_matches('/');
        let key = if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") };
        Self { bucket: self.bucket.clone(), key }
    }

    pub(super) fn uri(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

/// The account, as its own root.
#[derive(Debug, Clone)]
pub(super) struct Backend {
    http: reqwest::Client,
    base: String,
    region: String,
    account_id: String,
}

impl Backend {
    pub(super) fn new(http: reqwest::Client, base: &str, region: &str, account_id: &str) -> Self {
        Self { http, base: base.into(), region: region.into(), account_id: account_id.into() }
    }

    fn base(&self) -> Result<Url, BackendError> {
        Url::parse(&self.base).map_err(|source| BackendError::Address { base: self.base.clone(), source })
    }

    /// The account's number is the key id of its root, whose signature is not looked at.
    fn signed(&self, service: &str, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        let scope = format!("{}/20260101/{}/{service}/aws4_request", self.account_id, self.region);
        request
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=root"),
            )
            .header("x-amz-date", "20260101T000000Z")
            .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    }

    /// Calls an operation of a service that speaks JSON.
    pub(super) async fn json(
        &self,
        service: &str,
        target: &str,
        body: &Value,
    ) -> Result<Value, BackendError> {
        let request = self
            .http
            .post(self.base()?)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", target)
            .body(body.to_string());
        let answer = checked(self.signed(service, request).send().await?).await?;
        let bytes = answer.bytes().await?;
        Ok(serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    fn object(&self, bucket: &str, key: &str) -> Result<Url, BackendError> {
        let mut url = self.base()?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().push(bucket);
            for part in key.split('/') {
                path.push(part);
            }
        }
        Ok(url)
    }

    /// Every key that begins like this one, with its size.
    pub(super) async fn list(&self, prefix: &Location) -> Result<Vec<(String, u64)>, BackendError> {
        let mut found = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut url = self.object(&prefix.bucket, "")?;
            url.query_pairs_mut().append_pair("list-type", "2").append_pair("prefix", &prefix.key);
            if let Some(token) = &after {
                url.query_pairs_mut().append_pair("continuation-token", token);
            }
            let text = checked(self.signed("s3", self.http.get(url)).send().await?).await?.text().await?;
            for object in text.split("<Contents>").skip(1) {
                if let Some(key) = element(object, "Key") {
                    found
                        .push((key, element(object, "Size").and_then(|size| size.parse().ok()).unwrap_or(0)));
                }
            }
            after = element(&text, "NextContinuationToken");
            if element(&text, "IsTruncated").as_deref() != Some("true") || after.is_none() {
                return Ok(found);
            }
        }
    }

    /// Copies an object to a file.
    pub(super) async fn download(&self, object: &Location, file: &Path) -> Result<(), BackendError> {
        let request = self.http.get(self.object(&object.bucket, &object.key)?);
        let answer = checked(self.signed("s3", request).send().await?).await?;
        if let Some(folder) = file.parent() {
            tokio::fs::create_dir_all(folder).await?;
        }
        let mut out = tokio::fs::File::create(file).await?;
        let mut body = answer.bytes_stream();
        while let Some(chunk) = body.next().await {
            out.write_all(&chunk?).await?;
        }
        out.flush().await?;
        Ok(())
    }

    /// Copies a file to an object, encrypted under a key if one is named.
    pub(super) async fn upload(
        &self,
        file: &Path,
        object: &Location,
        kms: Option<&str>,
    ) -> Result<(), BackendError> {
        let length = tokio::fs::metadata(file).await?.len();
        let body = reqwest::Body::from(tokio::fs::File::open(file).await?);
        self.put(object, kms, length, body).await
    }

    /// Writes a small object.
    pub(super) async fn write(
        &self,
        bytes: Vec<u8>,
        object: &Location,
        kms: Option<&str>,
    ) -> Result<(), BackendError> {
        self.put(object, kms, bytes.len() as u64, bytes.into()).await
    }

    async fn put(
        &self,
        object: &Location,
        kms: Option<&str>,
        length: u64,
        body: reqwest::Body,
    ) -> Result<(), BackendError> {
        let mut request = self
            .http
            .put(self.object(&object.bucket, &object.key)?)
            .header("content-length", length)
            .body(body);
        if let Some(key) = kms.filter(|key| !key.is_empty()) {
            request = request
                .header("x-amz-server-side-encryption", "aws:kms")
                .header("x-amz-server-side-encryption-aws-kms-key-id", key);
        }
        checked(self.signed("s3", request).send().await?).await?;
        Ok(())
    }
}

/// Turns an error's answer into what it says, in either of the two ways that AWS says it.
async fn checked(answer: reqwest::Response) -> Result<reqwest::Response, BackendError> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap_or_default();
    let json: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let code = json["__type"].as_str().map(str::to_owned).or_else(|| element(&text, "Code"));
    let message = json["message"].as_str().or(json["Message"].as_str()).map(str::to_owned);
    Err(BackendError::Refused {
        status,
        code: code
            .map_or_else(|| "Unknown".into(), |code| code.rsplit('#').next().unwrap_or_default().to_owned()),
        message: message.or_else(|| element(&text, "Message")).unwrap_or_default(),
    })
}

/// The text of the first such element. S3's answers are flat and written by a machine: no parser is needed.
fn element(xml: &str, name: &str) -> Option<String> {
    let start = xml.find(&format!("<{name}>"))? + name.len() + 2;
    let end = xml[start..].find(&format!("</{name}>"))? + start;
    let text = xml[start..end]
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&#39;", "'")
        .replace("&amp;", "&");
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_read_and_joined() {
        let folder = Location::parse("s3://lockstep-work/runs/1/training/").unwrap();
        assert_eq!(
            folder.below("job/output/model/x").uri(),
            "s3://lockstep-work/runs/1/training/job/output/model/x"
        );
        assert_eq!(Location::parse("s3://lockstep-work").unwrap().below("x").uri(), "s3://lockstep-work/x");
        assert!(Location::parse("https://lockstep-work/x").is_err());
        assert!(Location::parse("s3:///x").is_err());
    }

    #[test]
    fn elements_are_unescaped_once() {
        assert_eq!(element("<A><Key>a&amp;lt;b</Key></A>", "Key").as_deref(), Some("a&lt;b"));
        assert_eq!(element("<A/>", "Key"), None);
    }
}
