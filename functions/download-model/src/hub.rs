//! A client of the Hugging Face Hub, with the traps that it sets: who gets the token, which redirects are followed,
//! what a status means.

use std::time::Duration;

use backon::Retryable as _;
use contract::Secret;
use http::{
    HeaderMap, StatusCode,
    header::{self, HeaderValue},
};
use jiff::{Timestamp, fmt::rfc2822};
use serde::de::DeserializeOwned;
use tokio::io::AsyncReadExt as _;
use transfer::Retry;
use url::Url;

use crate::{
    error::DownloadError,
    http_client::{Body, HttpClient, Request},
    tree,
};

/// Pages of a tree; 1,000 entries each.
const PAGES_MAX: usize = 100;
/// An answer of the API is never longer.
const ANSWER_MAX: u64 = 32 << 20;

/// An answer, whose body is yet to be read.
pub(crate) type Response = http::Response<Body>;

/// A client of one Hub.
pub struct Hub {
    base: Url,
    client: HttpClient,
    token: Option<HeaderValue>,
}

impl Hub {
    /// A client. The token goes to the Hub over https and nowhere else (invariant 10).
    ///
    /// # Errors
    /// `Misconfigured` when the address is no URL, or the token cannot be sent.
    pub fn new(base: &str, token: Option<Secret>) -> Result<Self, DownloadError> {
        let misconfigured =
            |error: String| runtime::Error::Misconfigured(format!("HF_ENDPOINT `{base}`: {error}"));
        let token = token.map(bearer).transpose()?;
        let base = Url::parse(base).map_err(|error| misconfigured(error.to_string()))?;
        if names_a_user(&base) {
            let remedy = "it names a user; store the Hub's token as a secret instead".to_owned();
            return Err(runtime::Error::Misconfigured(format!("HF_ENDPOINT: {remedy}")).into());
        }
        let client = HttpClient::new().map_err(|error| misconfigured(error.to_string()))?;
        Ok(Self { base, client, token })
    }

    /// Resolves a branch, tag or commit to a commit of 40 hex digits.
    ///
    /// # Errors
    /// `RevisionNotFound`, `AccessNotGranted`, `SourceMalformed`, `SourceUnavailable`.
    pub async fn resolve(&self, repo: &str, revision: &str) -> Result<tree::Revision, DownloadError> {
        let url = self.url(&["api", "models"], repo, &["revision", revision]);
        let (found, _) = self.api(repo, revision, &url, "the revision").await?;
        tree::read_revision(found)
    }

    /// Lists a commit's tree, all pages of it.
    ///
    /// # Errors
    /// As [`Hub::resolve`].
    pub async fn tree(&self, repo: &str, commit: &str) -> Result<Vec<tree::Entry>, DownloadError> {
        let mut url = self.url(&["api", "models"], repo, &["tree", commit]);
        url.set_query(Some("recursive=true&expand=false"));
        let mut entries = Vec::new();
        for _ in 0..PAGES_MAX {
            let (page, next) = self.api(repo, commit, &url, "the tree").await?;
            entries.extend(tree::read_page(page)?);
            let Some(next) = next else { return Ok(entries) };
            url = url.join(&next).map_err(|error| malformed("the tree's next page", error))?;
            if url.origin() != self.base.origin() {
                return Err(malformed("the tree's next page", "it lies on another host"));
            }
        }
        Err(malformed("the tree", format!("more than {PAGES_MAX} pages")))
    }

    /// `<base>/<before>/<owner>/<name>/<after>`. Each part is escaped, so that a revision such as `refs/pr/1` stays
    /// one part.
    pub(crate) fn url(&self, before: &[&str], repo: &str, after: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(before).extend(repo.split('/')).extend(after);
        }
        url
    }

    /// Whether a URL is the Hub's own.
    pub(crate) fn owns(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// A request, with the token where it may go.
    pub(crate) fn request(&self, url: &Url) -> Request {
        let mut headers = HeaderMap::new();
        // What is hashed is what the file holds, so it must not come compressed.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(token) = &self.token
            && may_have_token(url, &self.base)
        {
            headers.insert(header::AUTHORIZATION, token.clone());
        }
        Request { url: url.clone(), headers }
    }

    /// Sends a request.
    pub(crate) async fn send(&self, request: Request, place: &str) -> Result<Response, DownloadError> {
        self.client.get(request).await.map_err(|error| broken(place, &*error))
    }

    /// One JSON answer of the API and its next page, asked for again while that may help.
    async fn api<T: DeserializeOwned>(
        &self,
        repo: &str,
        revision: &str,
        url: &Url,
        place: &str,
    ) -> Result<(T, Option<String>), DownloadError> {
        let ask = || async {
            let response = self.send(self.request(url), repo).await?;
            if !response.status().is_success() {
                return Err(refused(repo, repo, revision, &response));
            }
            let next = response.headers().get(header::LINK).and_then(|link| next_page(link.to_str().ok()?));
            Ok((read_json(response, place).await?, next))
        };
        ask.retry(transfer::delays())
            .when(|error| error.retry() != Retry::Never)
            .adjust(|error, own| error.retry().wait(own))
            .await
    }
}

/// The token as it is sent; a line end that was stored along with it is not part of it.
fn bearer(token: Secret) -> Result<HeaderValue, DownloadError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose().trim())).map_err(|_| {
        runtime::Error::Misconfigured("the Hub's token holds what no token can: store it again".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// A connection that broke. What went wrong stands in the causes; the error itself says only at what.
pub(crate) fn broken(place: &str, error: &(dyn std::error::Error + 'static)) -> DownloadError {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let reason = causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"));
    DownloadError::SourceUnavailable { place: place.to_owned(), reason, retry_after: None }
}

/// Only the Hub itself, and only over https (invariant 10).
fn may_have_token(url: &Url, hub: &Url) -> bool {
    url.scheme() == "https" && url.origin() == hub.origin()
}

/// 401 can mean "not found" and 403 a licence or the token's scope: neither is worth a retry.
pub(crate) fn refused(place: &str, repo: &str, revision: &str, response: &Response) -> DownloadError {
    let status = response.status();
    let code = response.headers().get("x-error-code").and_then(|code| code.to_str().ok()).unwrap_or("");
    let said = format!("{} {code}", status.as_u16()).trim_end().to_owned();
    match (status.as_u16(), code) {
        (403, _) | (401, "GatedRepo") => {
            DownloadError::AccessNotGranted { place: place.to_owned(), status: said }
        }
        (401 | 404, _) => {
            let (repo, revision) = (repo.to_owned(), revision.to_owned());
            DownloadError::RevisionNotFound { repo, revision, status: said }
        }
        _ => failing(place, "the Hub", said, response),
    }
}

/// A status that says nothing of the repository: a server in trouble, or one that does not speak as it should.
pub(crate) fn failing(place: &str, who: &str, said: String, response: &Response) -> DownloadError {
    let (place, reason) = (place.to_owned(), format!("{who} says {said}"));
    match response.status().as_u16() {
        408 | 429 | 500..=599 => {
            let retry_after = retry_after(response, Timestamp::now());
            DownloadError::SourceUnavailable { place, reason, retry_after }
        }
        _ => DownloadError::SourceMalformed { place, reason },
    }
}

/// `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3).
fn retry_after(response: &Response, now: Timestamp) -> Option<Duration> {
    read_retry_after(response.headers().get(header::RETRY_AFTER)?.to_str().ok()?, now)
}

fn read_retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

/// The next hop. https never becomes http; whether the token goes along is decided by the host.
pub(crate) fn follow(response: &Response, from: &Url, path: &str) -> Result<Url, DownloadError> {
    let refuse = |target: &str, reason| {
        Err(DownloadError::RedirectRefused { path: path.to_owned(), target: target.to_owned(), reason })
    };
    let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
    let Some(location) = location else { return refuse("nowhere", "it has no Location") };
    let Ok(target) = from.join(location) else {
        return refuse("an unreadable URL", "its Location is no URL");
    };
    if !matches!(target.scheme(), "http" | "https") {
        return refuse(&shown(&target), "only http and https are followed");
    }
    if names_a_user(&target) {
        return refuse(&shown(&target), "it names a user");
    }
    if from.scheme() == "https" && target.scheme() != "https" {
        return refuse(&shown(&target), "it would downgrade https to http");
    }
    Ok(target)
}

/// `https://user:password@host/`: logins stand in no address that is followed, and one that looks like a host is a trick.
fn names_a_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Scheme and host only; the rest may be a signature.
pub(crate) fn shown(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.host_str().unwrap_or("?"))
}

/// Whether a file that was listed is not there.
pub(crate) fn is_absent(response: &Response) -> bool {
    let code = response.headers().get("x-error-code").and_then(|code| code.to_str().ok());
    let of_the_repository = matches!(code, Some("RepoNotFound" | "RevisionNotFound"));
    matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::GONE) && !of_the_repository
}

pub(crate) fn malformed(place: &str, reason: impl ToString) -> DownloadError {
    DownloadError::SourceMalformed { place: place.to_owned(), reason: reason.to_string() }
}

async fn read_json<T: DeserializeOwned>(response: Response, place: &str) -> Result<T, DownloadError> {
    let mut body = Vec::new();
    let read = response.into_body().take(ANSWER_MAX + 1).read_to_end(&mut body).await;
    read.map_err(|error| broken(place, &error))?;
    if body.len() as u64 > ANSWER_MAX {
        return Err(malformed(place, format!("it is longer than {ANSWER_MAX} bytes")));
    }
    serde_json::from_slice(&body).map_err(|error| malformed(place, error))
}

/// `<url>; rel="next"` of a Link header.
fn next_page(link: &str) -> Option<String> {
    link.split(',').find_map(|part| {
        let (url, rest) = part.trim().strip_prefix('<')?.split_once('>')?;
        rest.contains("rel=\"next\"").then(|| url.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_10_the_token_goes_to_the_hub_over_https_and_to_no_other_host() {
        let hub = Url::parse("https://huggingface.co").unwrap();
        let may = |text: &str| may_have_token(&Url::parse(text).unwrap(), &hub);
        assert!(may("https://huggingface.co/a/b/resolve/main/x"));
        for other in [
            "http://huggingface.co/a",
            "https://cdn.huggingface.co/a",
            "https://huggingface.co.evil.example/",
        ] {
            assert!(!may(other), "{other}");
        }
        let plain = Url::parse("http://127.0.0.1:1").unwrap();
        assert!(!may_have_token(&plain, &plain));
    }

    #[test]
    fn an_endpoint_with_a_login_is_refused_without_repeating_it() {
        let refused = Hub::new("https://user:hunter2@hub.example", None).err().unwrap().to_string();
        assert!(refused.contains("HF_ENDPOINT") && !refused.contains("hunter2"), "{refused}");
    }

    #[test]
    fn the_next_page_is_found_among_links() {
        assert_eq!(
            next_page("<https://h/a?cursor=x>; rel=\"next\""),
            Some("https://h/a?cursor=x".to_owned())
        );
        assert_eq!(next_page("<https://h/a>; rel=\"prev\""), None);
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(read_retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(read_retry_after("Thu, 01 Jan 2026 00:00:09 GMT", now), Some(Duration::from_secs(9)));
        assert_eq!(read_retry_after("Wed, 31 Dec 2025 00:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(read_retry_after("soon", now), None);
    }
}
