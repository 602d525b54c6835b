//! The Hub: resolves, lists, redirects to a second host that serves ranges.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use contract::Sha256Digest;
use serde_json::json;
use sha1::Digest as _;

use super::content::Weights;
use super::line::{Line, PIECE};
use crate::http::{Exchange, serve};

/// The only commit of every repository.
const COMMIT: &str = "4c53b4f3a2d1e0f99887766554433221100ffeed";

/// What a file holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// An LFS file, behind a redirect.
    Weights(Weights),
    /// A file of git's, which the Hub sends itself.
    Text(Arc<Vec<u8>>),
}

/// A file of a repository.
#[derive(Clone, Debug)]
pub struct ModelFile {
    /// Its path.
    pub path: String,
    /// What it holds.
    pub content: Content,
}

impl ModelFile {
    /// Bytes.
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::Weights(weights) => weights.size,
            Content::Text(text) => text.len() as u64,
        }
    }

    /// What it hashes to.
    pub fn sha256(&self) -> io::Result<Sha256Digest> {
        match &self.content {
            Content::Weights(weights) => weights.digest(),
            Content::Text(text) => Ok(Sha256Digest::of(text.as_slice())),
        }
    }

    /// What a range of it hashes to.
    pub fn sha256_of(&self, from: u64, end: u64) -> io::Result<Sha256Digest> {
        match &self.content {
            Content::Weights(weights) => weights.digest_of(from, end),
            Content::Text(text) => {
                let place = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
                Ok(Sha256Digest::of(&text[place(from)..place(end)]))
            }
        }
    }

    /// git's blob SHA-1.
    pub fn git_oid(&self) -> String {
        match &self.content {
            // Of its LFS pointer; nobody has a use for it.
            Content::Weights(_) => "0".repeat(40),
            Content::Text(text) => {
                let mut hash = sha1::Sha1::default();
                hash.update(format!("blob {}\0", text.len()));
                hash.update(text.as_slice());
                hex::encode(hash.finalize())
            }
        }
    }
}

/// A repository.
#[derive(Clone, Debug)]
pub struct Model {
    /// `owner/name`.
    pub repo: String,
    /// Its files.
    pub files: Vec<ModelFile>,
}

impl Model {
    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        self.files.iter().map(ModelFile::size).sum()
    }

    /// Where a file is fetched.
    pub fn url(&self, hub: &str, file: &ModelFile) -> String {
        format!("{hub}/{}/resolve/{COMMIT}/{}", self.repo, file.path)
    }
}

/// What was sent of weights, and how much of it more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Bytes.
    pub bytes: u64,
    /// Bytes that had been sent before.
    pub again: u64,
}

#[derive(Debug, Default)]
struct Counter {
    sent: Sent,
    /// Ends by starts of what was sent; no two touch.
    ranges: BTreeMap<u64, u64>,
}

impl Counter {
    fn add(&mut self, from: u64, end: u64) {
        self.sent.bytes += end - from;
        let (mut first, mut last) = (from, end);
        let touching: Vec<(u64, u64)> = self
            .ranges
            .range(..=end)
            .rev()
            .take_while(|(_, known_end)| **known_end >= from)
            .map(|(start, end)| (*start, *end))
            .collect();
        for (start, known_end) in touching {
            self.sent.again += known_end.min(end).saturating_sub(start.max(from));
            self.ranges.remove(&start);
            first = first.min(start);
            last = last.max(known_end);
        }
        self.ranges.insert(first, last);
    }
}

struct Shared {
    models: RwLock<BTreeMap<String, Arc<Model>>>,
    line: RwLock<Arc<Line>>,
    counter: Mutex<Counter>,
    storage: RwLock<String>,
}

/// The Hub.
pub struct Source {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Source {
    /// Starts both hosts.
    pub fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared {
            models: RwLock::default(),
            line: RwLock::new(Arc::new(Line::unlimited())),
            counter: Mutex::default(),
            storage: RwLock::default(),
        });
        let second = Arc::clone(&shared);
        let storage = serve(move |exchange| second.store(exchange))?;
        *shared.storage.write().unwrap_or_else(PoisonError::into_inner) = format!("http://{storage}");
        let first = Arc::clone(&shared);
        let address = serve(move |exchange| first.hub(exchange))?;
        Ok(Self { shared, address })
    }

    /// What `HF_ENDPOINT` is set to.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Offers a model, and only this one; counting starts again.
    pub fn offer(&self, model: &Arc<Model>, line: Line) {
        let mut models = self.shared.models.write().unwrap_or_else(PoisonError::into_inner);
        models.clear();
        models.insert(model.repo.clone(), Arc::clone(model));
        *self.shared.line.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(line);
        *self.shared.counter() = Counter::default();
    }

    /// What was sent since the model was offered.
    pub fn sent(&self) -> Sent {
        self.shared.counter().sent
    }
}

impl Shared {
    fn counter(&self) -> MutexGuard<'_, Counter> {
        self.counter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self) -> Arc<Line> {
        Arc::clone(&self.line.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn model(&self, repo: &str) -> Option<Arc<Model>> {
        self.models.read().unwrap_or_else(PoisonError::into_inner).get(repo).cloned()
    }

    fn hub(&self, exchange: &mut Exchange<'_>) -> io::Result<()> {
        self.line().wait();
        let path = exchange.head.path.clone();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match parts.as_slice() {
            ["api", "models", owner, name, kind @ ("revision" | "tree"), ..] => {
                let Some(model) = self.model(&format!("{owner}/{name}")) else { return missing(exchange) };
                let body = if *kind == "revision" {
                    json!({ "sha": COMMIT, "id": model.repo })
                } else {
                    tree(&model)?
                };
                exchange.answer(200, &[("content-type", "application/json")], body.to_string().as_bytes())
            }
            [owner, name, "resolve", _, file @ ..] => {
                let repo = format!("{owner}/{name}");
                let path = file.join("/");
                let model = self.model(&repo);
                let file = model.as_ref().and_then(|model| model.files.iter().find(|file| file.path == path));
                match file {
                    None => missing(exchange),
                    Some(file) => self.resolve(exchange, &repo, file),
                }
            }
            _ => missing(exchange),
        }
    }

    fn resolve(&self, exchange: &mut Exchange<'_>, repo: &str, file: &ModelFile) -> io::Result<()> {
        let size = file.size().to_string();
        match &file.content {
            Content::Text(text) => {
                let etag = format!("\"{}\"", file.git_oid());
                let headers =
                    [("etag", etag.as_str()), ("x-repo-commit", COMMIT), ("accept-ranges", "bytes")];
                self.line().pace(text.len() as u64);
                exchange.answer(200, &headers, text)
            }
            Content::Weights(_) => {
                let etag = format!("\"{}\"", file.sha256()?);
                let storage = self.storage.read().unwrap_or_else(PoisonError::into_inner).clone();
                let location = format!(
                    "{storage}/{repo}/{}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=3600&X-Amz-Signature={}",
                    file.path,
                    "5".repeat(64)
                );
                let headers = [
                    ("location", location.as_str()),
                    ("etag", &etag),
                    ("x-linked-etag", &etag),
                    ("x-linked-size", &size),
                    ("x-repo-commit", COMMIT),
                    ("accept-ranges", "bytes"),
                ];
                exchange.answer(302, &headers, b"")
            }
        }
    }

    fn store(&self, exchange: &mut Exchange<'_>) -> io::Result<()> {
        let line = self.line();
        line.wait();
        let path = exchange.head.path.clone();
        let mut parts = path.trim_start_matches('/').splitn(3, '/');
        let repo = format!("{}/{}", parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let file = parts.next().unwrap_or_default();
        let model = self.model(&repo);
        let found = model.as_ref().and_then(|model| model.files.iter().find(|known| known.path == file));
        let Some(ModelFile { content: Content::Weights(weights), .. }) = found else {
            return missing(exchange);
        };
        let size = weights.size;
        let asked = exchange.head.header("range").map(|range| read_range(range, size));
        let (status, from, end) = match asked {
            None => (200, 0, size),
            Some(Some((from, end))) => (206, from, end),
            Some(None) => return exchange.answer(416, &[("content-range", &format!("bytes */{size}"))], b""),
        };
        let etag = format!("\"{}\"", weights.digest()?);
        let range = format!("bytes {from}-{}/{size}", end.saturating_sub(1));
        let mut headers = vec![
            ("etag", etag.as_str()),
            ("accept-ranges", "bytes"),
            ("content-type", "binary/octet-stream"),
            ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ];
        if status == 206 {
            headers.push(("content-range", &range));
        }
        exchange.begin(status, &headers, end - from)?;
        if exchange.head.method == "HEAD" {
            return Ok(());
        }
        let piece = line.rate.map(|_| PIECE);
        let pace = |bytes| line.pace(bytes);
        weights.send(exchange.stream, from, end, piece, &pace, &|from, end| self.counter().add(from, end))
    }
}

fn missing(exchange: &mut Exchange<'_>) -> io::Result<()> {
    exchange.answer(404, &[("x-error-code", "EntryNotFound")], b"")
}

fn tree(model: &Model) -> io::Result<serde_json::Value> {
    let mut entries = Vec::new();
    for file in &model.files {
        let (size, oid) = (file.size(), file.git_oid());
        let mut entry = json!({ "type": "file", "path": file.path, "size": size, "oid": oid });
        if let Content::Weights(_) = file.content {
            entry["lfs"] = json!({ "oid": file.sha256()?, "size": size, "pointerSize": 135 });
        }
        entries.push(entry);
    }
    Ok(entries.into())
}

/// `bytes=<first>-[<last>]` of a file of this size, as start and end.
fn read_range(text: &str, size: u64) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let first: u64 = first.parse().ok()?;
    let last: u64 = if last.is_empty() { size - 1 } else { last.parse().ok()? };
    (first < size && first <= last).then(|| (first, last.min(size - 1) + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_before_counts_as_sent_again() {
        let mut counter = Counter::default();
        for (from, end, again) in
            [(0, 10, 0), (20, 30, 0), (10, 20, 0), (5, 8, 3), (25, 40, 8), (100, 101, 8), (0, 200, 49)]
        {
            counter.add(from, end);
            assert_eq!(counter.sent.again, again, "{from}..{end}");
        }
        assert_eq!(counter.ranges, BTreeMap::from([(0, 200)]));
    }

    #[test]
    fn ranges_are_read_as_http_means_them() {
        assert_eq!(read_range("bytes=0-0", 10), Some((0, 1)));
        assert_eq!(read_range("bytes=5-", 10), Some((5, 10)));
        assert_eq!(read_range("bytes=5-100", 10), Some((5, 10)));
        assert_eq!(read_range("bytes=10-", 10), None);
    }
}
