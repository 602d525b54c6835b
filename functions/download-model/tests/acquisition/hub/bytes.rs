//! Bytes, the ranges that are asked for of them, and the second host, which has those that are in LFS.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ::bytes::Bytes;
use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, Uri, header},
    response::Response,
};
use futures::{StreamExt as _, stream};

use super::{
    SIGNATURE, Sent, Shared,
    api::{plain_fault, refusal},
    commit::{File, git_blob, pointer},
    fault::{Fault, Place},
    lock,
};

/// Bytes that are handed on, and counted, at a time.
pub(super) const CHUNK: usize = 64 << 10;

/// A file of the second host, for whoever brings the signature.
pub(super) fn storage(shared: &Arc<Shared>, uri: &Uri, headers: &HeaderMap) -> Response {
    let value = |name: &str| {
        let query = uri.query().unwrap_or_default();
        let found = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let name = value("name");
    let commit = uri.path().trim_start_matches('/').split('/').next().unwrap_or_default();
    let Some(file) = shared.file(commit, &name).filter(|_| value("Signature") == SIGNATURE) else {
        return refusal(403, "", "AccessDenied");
    };
    let fault = shared.fault(&Place::Bytes(name.clone()));
    plain_fault(fault.as_ref()).unwrap_or_else(|| send(shared, &file, headers, fault))
}

/// The range that was asked for, or everything.
fn asked(headers: &HeaderMap, length: usize) -> Option<(usize, usize)> {
    let range = headers.get(header::RANGE)?.to_str().ok()?.strip_prefix("bytes=")?;
    let (start, end) = range.split_once('-')?;
    let start = start.parse().ok()?;
    let end = if end.is_empty() { length } else { end.parse::<usize>().ok()? + 1 };
    (start < end && start < length).then_some((start, end.min(length)))
}

/// A file's bytes, or those of the range that was asked for.
pub(super) fn send(shared: &Arc<Shared>, file: &File, headers: &HeaderMap, fault: Option<Fault>) -> Response {
    let mut content = file.content.clone();
    if matches!(fault, Some(Fault::Pointer)) {
        content = pointer(file.lfs_oid().unwrap_or("none"), content.len()).into();
    }
    let number = shared.answers.fetch_add(1, Ordering::Relaxed);
    let mut etag = file.etag.clone();
    if matches!(fault, Some(Fault::EtagChanges)) {
        etag = git_blob(&number.to_le_bytes());
    }
    let mut range = asked(headers, content.len());
    match fault {
        Some(Fault::WholeInsteadOfRange) => range = None,
        Some(Fault::OtherRange) => range = range.map(|(start, end)| (start + 1, end)),
        _ => {}
    }
    let (start, end) = range.unwrap_or((0, content.len()));
    let total = if matches!(fault, Some(Fault::OtherTotal)) { content.len() + 1 } else { content.len() };
    let mut body = content.slice(start..end);
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = body.to_vec();
        change(&mut bytes);
        Bytes::from(bytes)
    };
    body = match fault {
        Some(Fault::FlippedByte) => changed(&|bytes| {
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
        }),
        Some(Fault::Short | Fault::ShortUndeclared) => body.slice(..body.len().saturating_sub(1)),
        Some(Fault::Long | Fault::LongUndeclared) => changed(&|bytes| bytes.push(b'!')),
        _ => body,
    };
    let sent = Arc::new(AtomicU64::new(0));
    let told = Sent { epoch: shared.epoch.load(Ordering::Relaxed), start: start as u64, count: 0 };
    lock(&shared.sent).push((told, Arc::clone(&sent)));

    let declared = !matches!(fault, Some(Fault::ShortUndeclared | Fault::LongUndeclared));
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut response = Response::builder()
        .status(status)
        .header(header::ETAG, format!("\"{etag}\""))
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CONTENT_TYPE, "application/octet-stream");
    if declared {
        response = response.header(header::CONTENT_LENGTH, body.len());
    }
    if range.is_some() {
        response = response.header(header::CONTENT_RANGE, format!("bytes {start}-{}/{total}", end - 1));
    }
    response.body(stream_of(Arc::clone(shared), body, sent, fault)).unwrap()
}

/// The bytes a chunk at a time, in the time that they may take.
fn stream_of(shared: Arc<Shared>, body: Bytes, sent: Arc<AtomicU64>, fault: Option<Fault>) -> Body {
    let chunk = if matches!(fault, Some(Fault::Trickle(_))) { 1 } else { CHUNK };
    let breaks_at = if matches!(fault, Some(Fault::BreaksOff)) { body.len() / 2 } else { usize::MAX };
    let state = (shared, body, sent, fault, 0_usize);
    let chunks = stream::unfold(state, move |(shared, body, sent, fault, at)| async move {
        if at >= body.len() {
            return None;
        }
        if at >= breaks_at {
            // Ends the connection; the sleep lets what was sent before reach the other side first.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let broken = Err(std::io::Error::other("as planted"));
            return Some((broken, (shared, Bytes::new(), sent, fault, at)));
        }
        match &fault {
            Some(Fault::Stall) => std::future::pending::<()>().await,
            Some(Fault::Trickle(pause)) => tokio::time::sleep(*pause).await,
            _ => {}
        }
        let bytes = body.slice(at..(at + chunk).min(body.len()).min(breaks_at));
        if let Some(at) = shared.turn(bytes.len()) {
            tokio::time::sleep_until(at).await;
        }
        sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let at = at + bytes.len();
        Some((Ok(bytes), (shared, body, sent, fault, at)))
    });
    Body::from_stream(chunks.boxed())
}
