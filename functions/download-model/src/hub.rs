//! The Hugging Face Hub's HTTP API, with the traps that it sets.

use std::time::Duration;

use bytes::Bytes;
use contract::{Secret, Sha256Digest};
use futures::Stream;
use reqwest::{Response, StatusCode, Url, header};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    error::DownloadError,
    transfer_plan::{PlannedDigest, PlannedFile},
};

/// The Hub redirects a file once, to its storage; a few more are followed, a loop is not.
const REDIRECTS_MAX: usize = 5;
/// Pages of a tree; 1,000 entries each.
const PAGES_MAX: usize = 100;
/// An answer of the API is never longer.
const ANSWER_MAX: usize = 32 << 20;

/// What stands in a repository's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A folder; its files are listed too.
    Directory,
    /// A symlink or a submodule.
    Other,
}

/// An entry of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// What it is.
    pub kind: EntryKind,
    /// Where.
    pub path: String,
    /// Bytes of the content, not of an LFS pointer.
    pub size: u64,
    /// git's blob SHA-1; of the pointer, for LFS files.
    pub git_oid: String,
    /// The content's SHA-256, for LFS and Xet files. `xetHash` is not one and is not read.
    pub lfs_sha256: Option<Sha256Digest>,
}

#[derive(Deserialize)]
struct WireRevision {
    sha: String,
}

#[derive(Deserialize)]
struct WireEntry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    oid: String,
    lfs: Option<WireLfs>,
}

#[derive(Deserialize)]
struct WireLfs {
    oid: String,
    size: u64,
}

/// A body on its way in, or the news that the Hub does not have what it listed.
pub enum Fetched<S> {
    /// The bytes.
    Body(S),
    /// Listed, and absent.
    Absent,
}

/// A client of one Hub.
pub struct Hub {
    base: Url,
    client: reqwest::Client,
    token: Option<Secret>,
}

impl Hub {
    /// A client. The token goes to the Hub over https and nowhere else (invariant 10).
    ///
    /// # Errors
    /// `Misconfigured` when the address is no URL.
    pub fn new(base: &str, token: Option<Secret>) -> Result<Self, DownloadError> {
        let misconfigured =
            |error: String| runtime::Error::Misconfigured(format!("HF_ENDPOINT `{base}`: {error}"));
        let base = Url::parse(base).map_err(|error| misconfigured(error.to_string()))?;
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(60))
            .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| misconfigured(error.to_string()))?;
        Ok(Self { base, client, token })
    }

    /// Resolves a branch, tag or commit to a commit of 40 hex digits.
    ///
    /// # Errors
    /// `RevisionNotFound`, `AccessNotGranted`, `SourceMalformed`, `SourceUnavailable`.
    pub async fn resolve(&self, repo: &str, revision: &str) -> Result<String, DownloadError> {
        let url = self.url(&["api", "models"], repo, &["revision", revision])?;
        let answer = self.api(repo, revision, url).await?;
        let found: WireRevision = read_json(answer, "the revision").await?;
        if found.sha.len() == 40 && found.sha.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Ok(found.sha);
        }
        let reason = format!("`{}` is no commit of 40 hex digits", found.sha);
        Err(DownloadError::SourceMalformed { place: "the revision".to_owned(), reason })
    }

    /// Lists a commit's tree, all pages of it.
    ///
    /// # Errors
    /// As [`Hub::resolve`].
    pub async fn tree(&self, repo: &str, commit: &str) -> Result<Vec<TreeEntry>, DownloadError> {
        let mut url = self.url(&["api", "models"], repo, &["tree", commit])?;
        url.set_query(Some("recursive=true&expand=false"));
        let mut entries = Vec::new();
        for _ in 0..PAGES_MAX {
            let answer = self.api(repo, commit, url.clone()).await?;
            let next = answer.headers().get(header::LINK).and_then(|link| next_page(link.to_str().ok()?));
            let page: Vec<WireEntry> = read_json(answer, "the tree").await?;
            for entry in page {
                entries.push(read_entry(entry)?);
            }
            let Some(next) = next else { return Ok(entries) };
            url = url.join(&next).map_err(|error| malformed("the tree's next page", error))?;
            if url.origin() != self.base.origin() {
                return Err(malformed("the tree's next page", "it lies on another host"));
            }
        }
        Err(malformed("the tree", format!("more than {PAGES_MAX} pages")))
    }

    /// Fetches a file of a commit. The Hub's headers on the first hop must agree with the plan.
    ///
    /// # Errors
    /// `SourceChanged`, `RedirectRefused`, `AccessNotGranted`, `SourceUnavailable`.
    pub async fn fetch(
        &self,
        repo: &str,
        commit: &str,
        file: &PlannedFile,
    ) -> Result<Fetched<impl Stream<Item = reqwest::Result<Bytes>> + use<>>, DownloadError> {
        let mut url = self.url(&[], repo, &["resolve", commit])?;
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.extend(file.path.split('/'));
        }
        for hop in 0..=REDIRECTS_MAX {
            let response = self.get(&url, &file.path).await?;
            let status = response.status();
            if hop == 0 && (status.is_success() || status.is_redirection()) {
                check_promise(&response, file)?;
            }
            if status.is_redirection() {
                url = follow(&response, &url, &file.path)?;
                continue;
            }
            if status == StatusCode::NOT_FOUND || status == StatusCode::GONE {
                return Ok(Fetched::Absent);
            }
            if !status.is_success() {
                return Err(refused(repo, commit, &response));
            }
            return Ok(Fetched::Body(response.bytes_stream()));
        }
        let reason = "too many redirects";
        Err(DownloadError::RedirectRefused { path: file.path.clone(), target: shown(&url), reason })
    }

    fn url(&self, before: &[&str], repo: &str, after: &[&str]) -> Result<Url, DownloadError> {
        let mut url = self.base.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            // Each part is escaped, so that a revision such as `refs/pr/1` stays one part.
            parts.pop_if_empty().extend(before).extend(repo.split('/')).extend(after);
        }
        Ok(url)
    }

    async fn api(&self, repo: &str, revision: &str, url: Url) -> Result<Response, DownloadError> {
        let response = self.get(&url, repo).await?;
        if response.status().is_success() { Ok(response) } else { Err(refused(repo, revision, &response)) }
    }

    async fn get(&self, url: &Url, place: &str) -> Result<Response, DownloadError> {
        let mut request = self.client.get(url.clone());
        if let Some(token) = &self.token
            && may_have_token(url, &self.base)
        {
            request = request.bearer_auth(token.expose());
        }
        // The URL may hold a signature, so the error is stripped of it.
        request.send().await.map_err(|error| DownloadError::SourceUnavailable {
            place: place.to_owned(),
            reason: error.without_url().to_string(),
        })
    }
}

/// Only the Hub itself, and only over https (invariant 10).
fn may_have_token(url: &Url, hub: &Url) -> bool {
    url.scheme() == "https" && url.origin() == hub.origin()
}

/// 401 can mean "not found" and 403 a licence or the token's scope: neither is worth a retry.
fn refused(repo: &str, revision: &str, response: &Response) -> DownloadError {
    let status = response.status();
    let code = response.headers().get("x-error-code").and_then(|code| code.to_str().ok()).unwrap_or("");
    let (repo, said) = (repo.to_owned(), format!("{} {code}", status.as_u16()).trim_end().to_owned());
    match (status.as_u16(), code) {
        (403, _) | (401, "GatedRepo") => DownloadError::AccessNotGranted { repo, status: said },
        (401 | 404, _) => {
            DownloadError::RevisionNotFound { repo, revision: revision.to_owned(), status: said }
        }
        (408 | 429 | 500..=599, _) => DownloadError::SourceUnavailable { place: repo, reason: said },
        _ => DownloadError::SourceMalformed { place: repo, reason: format!("the Hub says {said}") },
    }
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

/// The next hop. https never becomes http; whether the token goes along is decided by the host.
fn follow(response: &Response, from: &Url, path: &str) -> Result<Url, DownloadError> {
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
    if from.scheme() == "https" && target.scheme() != "https" {
        return refuse(&shown(&target), "it would downgrade https to http");
    }
    Ok(target)
}

fn shown(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.host_str().unwrap_or("?"))
}

fn malformed(place: &str, reason: impl ToString) -> DownloadError {
    DownloadError::SourceMalformed { place: place.to_owned(), reason: reason.to_string() }
}

async fn read_json<T: DeserializeOwned>(mut response: Response, place: &str) -> Result<T, DownloadError> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(bytes)) if body.len() + bytes.len() <= ANSWER_MAX => body.extend_from_slice(&bytes),
            Ok(Some(_)) => return Err(malformed(place, format!("it is longer than {ANSWER_MAX} bytes"))),
            Ok(None) => break,
            Err(error) => {
                let (place, reason) = (place.to_owned(), error.without_url().to_string());
                return Err(DownloadError::SourceUnavailable { place, reason });
            }
        }
    }
    serde_json::from_slice(&body).map_err(|error| malformed(place, error))
}

fn read_entry(entry: WireEntry) -> Result<TreeEntry, DownloadError> {
    let kind = match entry.kind.as_str() {
        "file" => EntryKind::File,
        "directory" => EntryKind::Directory,
        _ => EntryKind::Other,
    };
    let (size, lfs_sha256) = match entry.lfs {
        Some(lfs) => {
            let sha256 = Sha256Digest::try_from(lfs.oid).map_err(|error| malformed(&entry.path, error))?;
            (lfs.size, Some(sha256))
        }
        None => (entry.size, None),
    };
    let sound_oid =
        entry.oid.len() == 40 && entry.oid.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if kind == EntryKind::File && lfs_sha256.is_none() && !sound_oid {
        return Err(malformed(&entry.path, "it has neither a SHA-256 nor a git blob SHA-1"));
    }
    Ok(TreeEntry { kind, path: entry.path, size, git_oid: entry.oid, lfs_sha256 })
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
    fn the_next_page_is_found_among_links() {
        assert_eq!(
            next_page("<https://h/a?cursor=x>; rel=\"next\""),
            Some("https://h/a?cursor=x".to_owned())
        );
        assert_eq!(next_page("<https://h/a>; rel=\"prev\""), None);
    }

    #[test]
    fn an_entry_without_a_usable_digest_is_refused() {
        let entry = |oid: &str, lfs: Option<&str>| WireEntry {
            kind: "file".into(),
            path: "a.json".into(),
            size: 1,
            oid: oid.into(),
            lfs: lfs.map(|oid| WireLfs { oid: oid.into(), size: 5 }),
        };
        assert!(read_entry(entry("", None)).is_err());
        assert!(read_entry(entry(&"0".repeat(40), Some("xyz"))).is_err());
        let lfs = read_entry(entry(&"0".repeat(40), Some(&"1".repeat(64)))).unwrap();
        assert_eq!(lfs.size, 5);
    }
}
