//! One file of a commit, read by ranges from wherever the Hub redirects to.

use std::{
    io,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use http::{HeaderValue, StatusCode, header};
use transfer::{Retry, Source, TransferError};
use url::Url;

use crate::{
    error::DownloadError,
    http_client::Body,
    hub::{Hub, Response, broken, failing, follow, is_absent, malformed, refused, shown},
    transfer_plan::{PlannedDigest, PlannedFile},
};

/// The Hub redirects a file once, to its storage; a few more are followed, a loop is not.
const REDIRECTS_MAX: usize = 5;

/// A file of a commit.
pub struct HubFile {
    hub: Arc<Hub>,
    repo: String,
    commit: String,
    file: PlannedFile,
    /// Where its bytes are: an address that the storage accepts for some time.
    address: tokio::sync::Mutex<Option<Url>>,
    /// The ETag that the storage gives its bytes.
    tag: Mutex<Option<String>>,
}

impl HubFile {
    /// A file that was planned.
    pub fn new(hub: Arc<Hub>, repo: &str, commit: &str, file: &PlannedFile) -> Self {
        Self {
            hub,
            repo: repo.to_owned(),
            commit: commit.to_owned(),
            file: file.clone(),
            address: tokio::sync::Mutex::new(None),
            tag: Mutex::new(None),
        }
    }

    async fn ask(&self, url: &Url, range: &Range<u64>) -> Result<Response, DownloadError> {
        let mut request = self.hub.request(url);
        if !self.is_whole(range) {
            let bytes = format!("bytes={}-{}", range.start, range.end - 1);
            request.headers.extend(HeaderValue::from_str(&bytes).map(|bytes| (header::RANGE, bytes)));
        }
        self.hub.send(request, &self.file.path).await
    }

    fn is_whole(&self, range: &Range<u64>) -> bool {
        *range == (0..self.file.size)
    }

    /// Asks the Hub where the bytes are. Its headers on the first hop must agree with the plan.
    async fn locate(&self, range: &Range<u64>) -> Result<(Url, Response), DownloadError> {
        let mut url = self.hub.url(&[], &self.repo, &["resolve", &self.commit]);
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.extend(self.file.path.split('/'));
        }
        for hop in 0..=REDIRECTS_MAX {
            let response = self.ask(&url, range).await?;
            let status = response.status();
            if hop == 0 && (status.is_success() || status.is_redirection()) {
                check_promise(&response, &self.file)?;
            }
            if !status.is_redirection() {
                return Ok((url, response));
            }
            url = follow(&response, &url, &self.file.path)?;
        }
        Err(self.redirect_refused(&url, "too many redirects"))
    }

    /// The answer to a range: from the known address, or from a fresh one where that is not known or has expired.
    async fn answer(&self, range: &Range<u64>) -> Result<(Url, Response), DownloadError> {
        let mut address = self.address.lock().await;
        if let Some(known) = address.clone() {
            drop(address);
            let response = self.ask(&known, range).await?;
            if response.status() != StatusCode::FORBIDDEN || self.hub.owns(&known) {
                return Ok((known, response));
            }
            address = self.address.lock().await;
            if address.as_ref() != Some(&known)
                && let Some(fresh) = address.clone()
            {
                drop(address);
                let response = self.ask(&fresh, range).await?;
                return Ok((fresh, response));
            }
        }
        // The others wait, so that the Hub is asked once.
        let located = self.locate(range).await?;
        *address = located.1.status().is_success().then(|| located.0.clone());
        Ok(located)
    }

    fn check_status(&self, url: &Url, response: &Response, range: &Range<u64>) -> Result<(), DownloadError> {
        let status = response.status();
        let wanted = if self.is_whole(range) { StatusCode::OK } else { StatusCode::PARTIAL_CONTENT };
        if status == wanted {
            return Ok(());
        }
        if status.is_success() {
            let reason =
                format!("it was answered with {} where {} was due", status.as_u16(), wanted.as_u16());
            return Err(malformed(&self.file.path, reason));
        }
        if status == StatusCode::RANGE_NOT_SATISFIABLE {
            return Err(self.wrong_size(total(response).unwrap_or(range.start)));
        }
        if is_absent(response) {
            return Err(DownloadError::Absent { path: self.file.path.clone() });
        }
        if self.hub.owns(url) {
            return Err(refused(&self.file.path, &self.repo, &self.commit, response));
        }
        match status {
            StatusCode::UNAUTHORIZED => Err(self.redirect_refused(url, "it asks for the token")),
            // A signed address that has expired, or that the storage has not yet heard of.
            StatusCode::FORBIDDEN => Err(DownloadError::SourceUnavailable {
                place: self.file.path.clone(),
                reason: format!("{} says 403", shown(url)),
                retry_after: None,
            }),
            _ => Err(failing(&self.file.path, &shown(url), status.as_u16().to_string(), response)),
        }
    }

    /// Lengths, as far as the headers tell them: what they promise wrongly is not worth reading.
    fn check_length(&self, response: &Response, range: &Range<u64>) -> Result<(), DownloadError> {
        if let Some(encoding) = text(response, header::CONTENT_ENCODING)
            && encoding != "identity"
        {
            return Err(malformed(&self.file.path, format!("it comes encoded as {encoding}")));
        }
        if !self.is_whole(range) {
            let promised = text(response, header::CONTENT_RANGE).unwrap_or_default();
            if let Some(total) = total(response)
                && total != self.file.size
            {
                return Err(self.wrong_size(total));
            }
            if promised != format!("bytes {}-{}/{}", range.start, range.end - 1, self.file.size) {
                let reason = format!(
                    "bytes {}-{} were asked for, and `Content-Range: {promised}` came",
                    range.start,
                    range.end - 1
                );
                return Err(malformed(&self.file.path, reason));
            }
        }
        match length(response) {
            Some(length) if length != range.end - range.start => Err(self.wrong_size(range.start + length)),
            _ => Ok(()),
        }
    }

    /// The storage's ETag is no digest, but it must stay.
    fn check_tag(&self, response: &Response) -> Result<(), DownloadError> {
        let Some(found) = text(response, header::ETAG) else { return Ok(()) };
        let mut tag = self.tag();
        match &*tag {
            Some(known) if *known != found => Err(DownloadError::SourceChanged {
                path: self.file.path.clone(),
                expected: known.clone(),
                found: found.to_owned(),
            }),
            _ => {
                *tag = Some(found.to_owned());
                Ok(())
            }
        }
    }

    fn tag(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.tag.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn redirect_refused(&self, url: &Url, reason: &'static str) -> DownloadError {
        DownloadError::RedirectRefused { path: self.file.path.clone(), target: shown(url), reason }
    }

    fn wrong_size(&self, found: u64) -> DownloadError {
        let (path, expected) = (self.file.path.clone(), self.file.size);
        DownloadError::Transfer(TransferError::SizeMismatch { path, expected, found })
    }
}

impl Source for HubFile {
    type Error = DownloadError;
    type Body = Body;

    async fn range(&self, range: Range<u64>) -> Result<Self::Body, DownloadError> {
        let (url, response) = self.answer(&range).await?;
        self.check_status(&url, &response, &range)?;
        self.check_length(&response, &range)?;
        self.check_tag(&response)?;
        Ok(response.into_body())
    }

    fn broken(&self, error: io::Error) -> DownloadError {
        broken(&self.file.path, &error)
    }

    fn validator(&self) -> Option<String> {
        self.tag().clone()
    }

    fn expect_validator(&self, validator: Option<String>) {
        if validator.is_some() {
            *self.tag() = validator;
        }
    }

    fn retry(error: &DownloadError) -> Retry {
        error.retry()
    }
}

fn text(response: &Response, name: header::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// The body's length, as the head tells it.
fn length(response: &Response) -> Option<u64> {
    text(response, header::CONTENT_LENGTH)?.parse().ok()
}

/// The file's length, as `Content-Range` tells it.
fn total(response: &Response) -> Option<u64> {
    text(response, header::CONTENT_RANGE)?.rsplit_once('/')?.1.parse().ok()
}

/// `X-Linked-Etag` and `X-Linked-Size` speak of the content on the first hop, before the redirect; a weak or
/// quoted ETag is read plainly. `X-Xet-Hash` is no SHA-256 and is not looked at.
fn check_promise(response: &Response, file: &PlannedFile) -> Result<(), DownloadError> {
    let plain = |name: &str| {
        let value = response.headers().get(name)?.to_str().ok()?;
        Some(value.trim_start_matches("W/").trim_matches('"').to_owned())
    };
    let changed = |expected: &str, found: String| {
        Err(DownloadError::SourceChanged { path: file.path.clone(), expected: expected.to_owned(), found })
    };
    let linked = plain("x-linked-etag");
    let etag = match &file.digest {
        PlannedDigest::Sha256(_) => linked,
        PlannedDigest::GitBlob(_) => linked.or_else(|| plain("etag")),
    };
    if let Some(etag) = etag
        && etag != file.digest_text()
    {
        return changed(file.digest_text(), etag);
    }
    if let Some(size) = plain("x-linked-size")
        && size != file.size.to_string()
    {
        return changed(&file.size.to_string(), size);
    }
    Ok(())
}
