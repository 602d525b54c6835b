//! The first host: the API, and where each file is.

use std::sync::Arc;

use ::bytes::Bytes;
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use futures::stream;
use serde_json::{Value, json};

use super::{
    Host, NAME, REPO, SIGNATURE, STORAGE_NAME, Seen, Shared,
    bytes::{self, CHUNK},
    commit::Commit,
    fault::{Fault, Place, resolve},
    lock,
};

/// Entries on a page of the tree; fewer than the real Hub's, so that there are pages.
const PAGE: usize = 500;

/// Answers as whichever host was asked.
pub(super) async fn answer(State((shared, host)): State<(Arc<Shared>, Host)>, request: Request) -> Response {
    let (uri, headers) = (request.uri().clone(), request.headers().clone());
    let (host, proxied) = match (host, uri.host()) {
        (Host::Stranger, Some(NAME)) => (Host::First, true),
        (Host::Stranger, Some(STORAGE_NAME)) => (Host::Second, true),
        _ => (host, false),
    };
    let target = uri.path_and_query().map_or(String::new(), ToString::to_string);
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let authorization = value.map(str::to_owned);
    lock(&shared.seen).push(Seen { host, proxied, target, authorization: authorization.clone() });
    match host {
        Host::Stranger => refusal(502, "", "no such host"),
        // As the stores behind the real Hub do: two proofs at once are refused.
        Host::Second | Host::Plain if authorization.is_some() => {
            refusal(400, "", "only one auth mechanism allowed")
        }
        Host::Second | Host::Plain => bytes::storage(&shared, &uri, &headers),
        Host::First => {
            let known = authorization.as_deref().and_then(|value| value.strip_prefix("Bearer "));
            if shared.token.is_some() && shared.token.as_deref() != known {
                return refusal(401, "RepoNotFound", "Invalid username or password.");
            }
            first(&shared, &uri, &headers)
        }
    }
}

pub(super) fn refusal(status: u16, code: &str, message: &str) -> Response {
    let mut response =
        (StatusCode::from_u16(status).unwrap(), axum::Json(json!({ "error": message }))).into_response();
    if !code.is_empty() {
        response.headers_mut().insert("x-error-code", code.parse().unwrap());
    }
    response
}

/// The faults that any place may show.
pub(super) fn plain_fault(fault: Option<&Fault>) -> Option<Response> {
    match fault? {
        Fault::Status(status) => Some(refusal(*status, "", "as planted")),
        Fault::Refusal(status, code) => Some(refusal(*status, code, "as planted")),
        Fault::RateLimited(seconds) => {
            let mut response = refusal(429, "", "too many requests");
            response.headers_mut().insert(header::RETRY_AFTER, (*seconds).into());
            Some(response)
        }
        _ => None,
    }
}

fn first(shared: &Arc<Shared>, uri: &Uri, headers: &HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let not_found = || refusal(404, "EntryNotFound", "Entry not found");
    let (api, plain) = (format!("api/models/{REPO}/"), format!("{REPO}/resolve/"));
    let cache = format!("api/resolve-cache/models/{REPO}/");
    let decoded = |text: &str| {
        let pairs = format!("={}", text.replace('+', "%2B").replace('&', "%26"));
        url::form_urlencoded::parse(pairs.as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    if let Some(revision) = path.strip_prefix(&api).and_then(|rest| rest.strip_prefix("revision/")) {
        return revision_of(shared, &decoded(revision));
    }
    if let Some(commit) = path.strip_prefix(&api).and_then(|rest| rest.strip_prefix("tree/")) {
        return tree(shared, &decoded(commit), uri.query().unwrap_or_default());
    }
    if let Some((commit, file)) = path.strip_prefix(&plain).and_then(|rest| rest.split_once('/')) {
        return resolve_hop(shared, uri, commit, &decoded(file));
    }
    if let Some((commit, file)) = path.strip_prefix(&cache).and_then(|rest| rest.split_once('/')) {
        let name = decoded(file);
        let fault = shared.fault(&Place::Bytes(name.clone()));
        return match shared.file(commit, &name) {
            Some(file) => {
                plain_fault(fault.as_ref()).unwrap_or_else(|| bytes::send(shared, &file, headers, fault))
            }
            None => not_found(),
        };
    }
    not_found()
}

fn revision_of(shared: &Shared, revision: &str) -> Response {
    let fault = shared.fault(&Place::Revision);
    if let Some(response) = plain_fault(fault.as_ref()) {
        return response;
    }
    let commits = lock(&shared.commits);
    let refs = lock(&shared.refs);
    // The real Hub takes the start of a commit's digits too.
    let short = || commits.keys().find(|commit| revision.len() >= 7 && commit.starts_with(revision));
    let Some(commit) = refs.get(revision).or_else(short) else {
        return refusal(404, "RevisionNotFound", "Invalid rev id");
    };
    json_answer(json!({ "id": REPO, "sha": commit, "siblings": [] }), fault)
}

fn json_answer(value: Value, fault: Option<Fault>) -> Response {
    let text = match fault {
        Some(Fault::EndlessJson) => {
            let more = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; CHUNK])));
            return Body::from_stream(more).into_response();
        }
        Some(Fault::Answer(other)) => other.to_string(),
        Some(Fault::TruncatedJson) => {
            let text = value.to_string();
            text[..text.len() / 2].to_owned()
        }
        _ => value.to_string(),
    };
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], text).into_response()
}

fn tree(shared: &Shared, commit: &str, query: &str) -> Response {
    let fault = shared.fault(&Place::Tree);
    if let Some(response) = plain_fault(fault.as_ref()) {
        return response;
    }
    let Some(entries) = lock(&shared.commits).get(commit).map(Commit::tree) else {
        return refusal(404, "RevisionNotFound", "Invalid rev id");
    };
    let cursor = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "cursor");
    let start: usize = cursor.map_or(0, |(_, value)| value.parse().unwrap());
    let (start, endless) = (start.min(entries.len()), matches!(fault, Some(Fault::EndlessPages)));
    let end = (start + PAGE).min(entries.len());
    let elsewhere = matches!(fault, Some(Fault::NextPageElsewhere));
    let host = &shared.addresses[usize::from(elsewhere)];
    let mut response = json_answer(json!(entries[start..end]), fault);
    if end < entries.len() || endless || elsewhere {
        let next =
            format!("<{host}/api/models/{REPO}/tree/{commit}?recursive=true&cursor={end}>; rel=\"next\"");
        response.headers_mut().insert(header::LINK, next.parse().unwrap());
    }
    response
}

fn resolve_hop(shared: &Shared, uri: &Uri, commit: &str, path: &str) -> Response {
    let fault = shared.fault(&resolve(path));
    if let Some(response) = plain_fault(fault.as_ref()) {
        return response;
    }
    let Some(file) = shared.file(commit, path) else {
        return refusal(404, "EntryNotFound", "Entry not found");
    };
    let key = file.lfs_oid().map(str::to_owned);
    let address = |host: usize, key: &str| {
        let name: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
        format!("{}/{commit}/{key}?name={name}&Signature={SIGNATURE}", shared.addresses[host])
    };
    let honest = match &key {
        Some(key) => address(1, key),
        // As the real Hub has it, what is not in LFS lies behind a redirect to the same host.
        None => uri.path().replacen(
            &format!("/{REPO}/resolve/"),
            &format!("/api/resolve-cache/models/{REPO}/"),
            1,
        ),
    };
    let location = match &fault {
        Some(Fault::RedirectLoop) => Some(uri.to_string()),
        Some(Fault::RedirectTo(target)) => Some(target.clone()),
        Some(Fault::RedirectNowhere) => None,
        Some(Fault::RedirectToHttp) => Some(address(2, key.as_deref().unwrap_or("none"))),
        _ => Some(honest),
    };
    let other =
        |text: String| if matches!(fault, Some(Fault::OtherEtag)) { "0".repeat(text.len()) } else { text };
    let length = file.promise["size"].as_u64().unwrap();
    let promised = key.clone().unwrap_or_else(|| file.promise["oid"].as_str().unwrap().to_owned());
    let length = if matches!(fault, Some(Fault::OtherSize)) { length + 1 } else { length };
    let status = if key.is_some() { StatusCode::FOUND } else { StatusCode::TEMPORARY_REDIRECT };
    let mut response = status.into_response();
    let headers = response.headers_mut();
    headers.insert("x-repo-commit", commit.parse().unwrap());
    headers.insert("x-linked-etag", format!("\"{}\"", other(promised)).parse().unwrap());
    headers.insert("x-linked-size", length.into());
    headers.insert("x-xet-hash", "f".repeat(64).parse().unwrap());
    headers.insert(header::ACCEPT_RANGES, "bytes".parse().unwrap());
    if let Some(location) = location {
        headers.insert(header::LOCATION, location.parse().unwrap());
    }
    response
}
