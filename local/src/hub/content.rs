//! Bytes: ranges of them, and the second host that serves what is in LFS to holders of a signed address.

use std::ops::Range;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::service::Fault;

use super::Shared;

/// How long a signed address may be used.
const VALID_SECONDS: i64 = 3600;

/// Something that nobody outside this process can know.
pub(super) fn secret() -> [u8; 32] {
    use std::hash::{BuildHasher as _, RandomState};
    let mut hash = Sha256::new();
    for part in 0..4 {
        // Each state is keyed by the system's random source.
        hash.update(RandomState::new().hash_one(part).to_le_bytes());
    }
    hash.finalize().into()
}

/// The address under which the second host serves a file for a while.
pub(super) fn signed_address(shared: &Shared, repository: &str, sha256: &str) -> String {
    let expires = Timestamp::now().as_second() + VALID_SECONDS;
    let path = format!("/repos/{repository}/{sha256}");
    let signature = signature(shared, &path, expires);
    format!("{}{path}?Expires={expires}&Signature={signature}&Key-Pair-Id=local", shared.content_url)
}

fn signature(shared: &Shared, path: &str, expires: i64) -> String {
    let digest = Sha256::new()
        .chain_update(shared.secret)
        .chain_update(path)
        .chain_update(expires.to_le_bytes())
        .chain_update(shared.secret)
        .finalize();
    hex::encode(digest)
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().route("/repos/{owner}/{name}/{sha256}", get(serve)).with_state(shared)
}

async fn serve(
    State(shared): State<Arc<Shared>>,
    Path((owner, name, sha256)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    // What stores objects behind the real Hub refuses two proofs at once; a token sent here has leaked.
    if headers.contains_key(header::AUTHORIZATION) {
        let message = "Only one auth mechanism allowed; only the Signature query string parameter or the \
                       Authorization header should be specified";
        return (StatusCode::BAD_REQUEST, message).into_response();
    }
    let query = query.unwrap_or_default();
    let value = |name: &str| {
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    };
    let expires: i64 = value("Expires").parse().unwrap_or(0);
    let expected = signature(&shared, &format!("/repos/{owner}/{name}/{sha256}"), expires);
    if value("Signature") != expected || expires < Timestamp::now().as_second() {
        return (StatusCode::FORBIDDEN, "AccessDenied").into_response();
    }
    let file = shared.repositories.get(&format!("{owner}/{name}")).and_then(|repository| {
        let mut files = repository.plain.files.iter().chain(&repository.disguised.files);
        files.find(|(_, file)| file.lfs.as_ref().is_some_and(|lfs| lfs.sha256 == sha256))
    });
    let Some((name, file)) = file else { return (StatusCode::NOT_FOUND, "NoSuchKey").into_response() };
    let mut bytes = file.bytes.clone();
    if name.ends_with(".safetensors") && shared.faults.has(Fault::TamperedWeights) {
        bytes = with_a_byte_flipped(&bytes);
    }
    // As with the real store, this tag is no digest that the Hub announced.
    respond(bytes, &headers, &format!("\"{}\"", &sha256[..32.min(sha256.len())]), "application/octet-stream")
}

/// The last byte changed: of the weights, a value that is as good a number as the true one.
fn with_a_byte_flipped(bytes: &Bytes) -> Bytes {
    let mut changed = bytes.to_vec();
    if let Some(last) = changed.last_mut() {
        *last ^= 1;
    }
    Bytes::from(changed)
}

/// Answers with the bytes, or the one range of them that was asked for.
pub(super) fn respond(bytes: Bytes, headers: &HeaderMap, tag: &str, content_type: &'static str) -> Response {
    let length = bytes.len();
    let unchanged = headers.get(header::IF_RANGE).is_none_or(|value| value.as_bytes() == tag.as_bytes());
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok()).filter(|_| unchanged);
    let (status, body, content_range) = match asked.map(|range| parse_range(range, length)) {
        None | Some(Asked::Whole) => (StatusCode::OK, bytes, None),
        Some(Asked::Part(part)) => {
            let content_range = format!("bytes {}-{}/{length}", part.start, part.end - 1);
            (StatusCode::PARTIAL_CONTENT, bytes.slice(part), Some(content_range))
        }
        Some(Asked::Nothing) => {
            (StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new(), Some(format!("bytes */{length}")))
        }
    };
    let mut response = Response::new(Body::from(body.clone()));
    *response.status_mut() = status;
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    for (name, value) in [(header::ETAG, Some(tag.to_owned())), (header::CONTENT_RANGE, content_range)] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            answer.insert(name, value);
        }
    }
    response
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Whole,
    Part(Range<usize>),
    Nothing,
}

/// One range; a list of ranges, or what is no range at all, is answered with the whole, as the standard allows.
fn parse_range(text: &str, length: usize) -> Asked {
    let Some((start, end)) =
        text.strip_prefix("bytes=").filter(|spec| !spec.contains(',')).and_then(|spec| spec.split_once('-'))
    else {
        return Asked::Whole;
    };
    let range = match (start.parse::<usize>(), end.parse::<usize>()) {
        (Ok(start), Ok(end)) if start <= end => start..end.saturating_add(1).min(length),
        (Ok(start), Err(_)) if end.is_empty() => start..length,
        (Err(_), Ok(last)) if start.is_empty() => length.saturating_sub(last)..length,
        _ => return Asked::Whole,
    };
    if range.start < range.end { Asked::Part(range) } else { Asked::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        assert_eq!(parse_range("bytes=0-0", 10), Asked::Part(0..1));
        assert_eq!(parse_range("bytes=2-", 10), Asked::Part(2..10));
        assert_eq!(parse_range("bytes=-3", 10), Asked::Part(7..10));
        assert_eq!(parse_range("bytes=5-99", 10), Asked::Part(5..10));
        assert_eq!(parse_range("bytes=10-", 10), Asked::Nothing);
        assert_eq!(parse_range("bytes=3-2", 10), Asked::Whole);
        assert_eq!(parse_range("bytes=0-1,4-5", 10), Asked::Whole);
    }
}
