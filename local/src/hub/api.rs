//! The Hub's first host: what a model is, what it holds, and where its files are.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::service::Fault;

use super::repository::{RepositoryFile, Snapshot};
use super::{Access, Shared, content};

/// Entries on a page of a listing, as on the real Hub.
const PAGE: usize = 1000;

/// The date of every commit: what is listed must not depend on when.
const DATE: &str = "2026-01-01T00:00:00.000Z";

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/models/{owner}/{name}", get(model))
        .route("/api/models/{owner}/{name}/revision/{revision}", get(model_at))
        .route("/api/models/{owner}/{name}/refs", get(refs))
        .route("/api/models/{owner}/{name}/tree/{revision}", get(tree))
        .route("/api/models/{owner}/{name}/tree/{revision}/{*folder}", get(tree_of_folder))
        .route("/{owner}/{name}/resolve/{revision}/{*file}", get(resolve))
        .fallback(|| async {
            Refusal::new(StatusCode::NOT_FOUND, "", "Sorry, we can't find the page you are looking for.")
        })
        .with_state(shared)
}

/// An error, with the headers by which clients tell one from another.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    commit: Option<String>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), commit: None }
    }
}

impl axum::response::IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(json!({ "error": self.message }))).into_response();
        let headers = response.headers_mut();
        put(headers, "x-error-code", self.code);
        put(headers, "x-error-message", &self.message);
        if let Some(commit) = &self.commit {
            put(headers, "x-repo-commit", commit);
        }
        response
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value)
        && !value.is_empty()
    {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// A repository that the caller may know of.
struct Found<'a> {
    id: String,
    snapshot: &'a Snapshot,
    access: Option<&'a Access>,
}

impl Shared {
    fn find<'a>(&'a self, owner: &str, name: &str, headers: &HeaderMap) -> Result<Found<'a>, Refusal> {
        let id = format!("{owner}/{name}");
        let token = token(headers);
        let access = self.access.get(&id);
        let known = self.repositories.get(&id).filter(|_| match access {
            Some(Access::Private(tokens)) => {
                token.is_some_and(|token| tokens.iter().any(|known| known == token))
            }
            _ => true,
        });
        let Some(repository) = known else {
            // The Hub does not say whether a private repository exists: without a token, one that does not exist
            // answers as a private one does.
            let status = if token.is_some() { StatusCode::NOT_FOUND } else { StatusCode::UNAUTHORIZED };
            let message =
                if token.is_some() { "Repository not found" } else { "Invalid username or password." };
            return Err(Refusal::new(status, "RepoNotFound", message));
        };
        let snapshot =
            if self.faults.has(Fault::PickleInDisguise) { &repository.disguised } else { &repository.plain };
        Ok(Found { id, snapshot, access })
    }

    /// The file that is listed and then is not there: the tokenizer, or else whatever comes first.
    fn is_missing(&self, snapshot: &Snapshot, file: &str) -> bool {
        let chosen = if snapshot.files.contains_key("tokenizer.json") {
            Some("tokenizer.json")
        } else {
            snapshot.files.keys().next().map(String::as_str)
        };
        self.faults.has(Fault::MissingFile) && chosen == Some(file)
    }
}

impl Found<'_> {
    fn at(&self, revision: &str) -> Result<(), Refusal> {
        if revision == "main" || revision == "refs/heads/main" || revision == self.snapshot.commit {
            return Ok(());
        }
        Err(Refusal::new(StatusCode::NOT_FOUND, "RevisionNotFound", format!("Invalid rev id: {revision}")))
    }

    fn permits_reading(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(Access::Gated(tokens)) = self.access else { return Ok(()) };
        let (status, message) = match token(headers) {
            Some(token) if tokens.iter().any(|known| known == token) => return Ok(()),
            Some(_) => (
                StatusCode::FORBIDDEN,
                format!("Access to model {} is restricted and you are not in the authorized list.", self.id),
            ),
            None => (
                StatusCode::UNAUTHORIZED,
                format!(
                    "Access to model {} is restricted. You must have access to it and be authenticated to access it. \
                     Please log in.",
                    self.id
                ),
            ),
        };
        Err(Refusal::new(status, "GatedRepo", message))
    }

    fn describe(&self, blobs: bool) -> Value {
        let siblings: Vec<Value> = self
            .snapshot
            .files
            .iter()
            .map(|(name, file)| {
                let mut sibling = json!({ "rfilename": name });
                if blobs {
                    sibling["size"] = json!(file.bytes.len());
                    sibling["blobId"] = json!(file.blob);
                    if let Some(lfs) = &file.lfs {
                        sibling["lfs"] = json!({ "sha256": lfs.sha256, "size": file.bytes.len(), "pointerSize": lfs.pointer_size });
                    }
                }
                sibling
            })
            .collect();
        let gated = matches!(self.access, Some(Access::Gated(_)));
        let card = self.snapshot.licence().map(|licence| json!({ "license": licence }));
        json!({
            "cardData": card.unwrap_or_default(),
            "_id": &self.snapshot.commit[..24],
            "id": self.id,
            "modelId": self.id,
            "author": super::OWNER,
            "sha": self.snapshot.commit,
            "lastModified": DATE,
            "createdAt": DATE,
            "private": matches!(self.access, Some(Access::Private(_))),
            "gated": if gated { json!("manual") } else { json!(false) },
            "disabled": false,
            "downloads": 0,
            "likes": 0,
            "tags": ["safetensors"],
            "siblings": siblings,
        })
    }
}

fn token(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn query_value(query: &Option<String>, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_deref().unwrap_or_default().as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

fn is_set(query: &Option<String>, name: &str) -> bool {
    query_value(query, name).is_some_and(|value| matches!(value.as_str(), "true" | "True" | "1"))
}

async fn model(
    State(shared): State<Arc<Shared>>,
    Path((owner, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let found = shared.find(&owner, &name, &headers)?;
    Ok(axum::Json(found.describe(is_set(&query, "blobs"))).into_response())
}

async fn model_at(
    State(shared): State<Arc<Shared>>,
    Path((owner, name, revision)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let found = shared.find(&owner, &name, &headers)?;
    found.at(&revision)?;
    Ok(axum::Json(found.describe(is_set(&query, "blobs"))).into_response())
}

async fn refs(
    State(shared): State<Arc<Shared>>,
    Path((owner, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let found = shared.find(&owner, &name, &headers)?;
    Ok(axum::Json(json!({
        "branches": [{ "name": "main", "ref": "refs/heads/main", "targetCommit": found.snapshot.commit }],
        "converts": [],
        "tags": [],
    }))
    .into_response())
}

async fn tree(
    State(shared): State<Arc<Shared>>,
    Path((owner, name, revision)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    list(&shared, (&owner, &name, &revision), "", &query, &headers)
}

async fn tree_of_folder(
    State(shared): State<Arc<Shared>>,
    Path((owner, name, revision, folder)): Path<(String, String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    list(&shared, (&owner, &name, &revision), folder.trim_end_matches('/'), &query, &headers)
}

fn list(
    shared: &Shared,
    (owner, name, revision): (&str, &str, &str),
    folder: &str,
    query: &Option<String>,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let found = shared.find(owner, name, headers)?;
    found.at(revision)?;
    let folders = found.snapshot.folders();
    if !folder.is_empty() && !folders.contains_key(folder) {
        let message = format!("{folder} does not exist on \"{revision}\"");
        return Err(Refusal::new(StatusCode::NOT_FOUND, "EntryNotFound", message));
    }
    let (recursive, expand) = (is_set(query, "recursive"), is_set(query, "expand"));
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let is_listed = |path: &str| {
        path.strip_prefix(&prefix).is_some_and(|rest| !rest.is_empty() && (recursive || !rest.contains('/')))
    };
    let mut entries: Vec<(&str, Value)> = folders
        .iter()
        .map(|(path, id)| (path.as_str(), json!({ "type": "directory", "oid": id, "size": 0, "path": path })))
        .chain(found.snapshot.files.iter().map(|(path, file)| (path.as_str(), entry(path, file))))
        .filter(|(path, _)| is_listed(path))
        .collect();
    entries.sort_by(|left, right| left.0.cmp(right.0));
    if expand {
        for (_, entry) in &mut entries {
            entry["lastCommit"] = json!({ "id": found.snapshot.commit, "title": "Add model", "date": DATE });
        }
    }

    // The cursor is the last path of the page before.
    let limit = query_value(query, "limit").and_then(|text| text.parse().ok()).unwrap_or(PAGE).clamp(1, PAGE);
    let after = query_value(query, "cursor").unwrap_or_default();
    let rest: Vec<(&str, Value)> = entries.into_iter().filter(|(path, _)| *path > after.as_str()).collect();
    let next = (rest.len() > limit).then(|| {
        let parameters = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("recursive", if recursive { "true" } else { "false" })
            .append_pair("expand", if expand { "true" } else { "false" })
            .append_pair("limit", &limit.to_string())
            .append_pair("cursor", rest[limit - 1].0)
            .finish();
        let folder = if folder.is_empty() { String::new() } else { format!("/{folder}") };
        format!("<{}/api/models/{}/tree/{revision}{folder}?{parameters}>; rel=\"next\"", shared.url, found.id)
    });
    let page: Vec<Value> = rest.into_iter().take(limit).map(|(_, entry)| entry).collect();
    let mut response = axum::Json(page).into_response();
    if let Some(next) = next {
        put(response.headers_mut(), "link", &next);
    }
    put(response.headers_mut(), "x-repo-commit", &found.snapshot.commit);
    Ok(response)
}

fn entry(path: &str, file: &RepositoryFile) -> Value {
    let mut entry = json!({ "type": "file", "oid": file.blob, "size": file.bytes.len(), "path": path });
    if let Some(lfs) = &file.lfs {
        entry["lfs"] =
            json!({ "oid": lfs.sha256, "size": file.bytes.len(), "pointerSize": lfs.pointer_size });
    }
    entry
}

async fn resolve(
    State(shared): State<Arc<Shared>>,
    Path((owner, name, revision, file)): Path<(String, String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let found = shared.find(&owner, &name, &headers)?;
    found.at(&revision)?;
    found.permits_reading(&headers)?;
    let commit = &found.snapshot.commit;
    let present = found.snapshot.files.get(&file).filter(|_| !shared.is_missing(found.snapshot, &file));
    let Some(entry) = present else {
        let mut refusal = Refusal::new(StatusCode::NOT_FOUND, "EntryNotFound", "Entry not found");
        refusal.commit = Some(commit.clone());
        return Err(refusal);
    };
    let mut response = match &entry.lfs {
        Some(lfs) => {
            let address = content::signed_address(&shared, &found.id, &lfs.sha256);
            let text = format!("Found. Redirecting to {address}");
            let mut response = (StatusCode::FOUND, text).into_response();
            put(response.headers_mut(), "location", &address);
            put(response.headers_mut(), "x-linked-etag", &format!("\"{}\"", lfs.sha256));
            put(response.headers_mut(), "x-linked-size", &entry.bytes.len().to_string());
            put(response.headers_mut(), "accept-ranges", "bytes");
            response
        }
        None => content::respond(
            entry.bytes.clone(),
            &headers,
            &format!("\"{}\"", entry.blob),
            "text/plain; charset=utf-8",
        ),
    };
    put(response.headers_mut(), "x-repo-commit", commit);
    Ok(response)
}
