//! Which request asks for what.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Shared;
use super::answers::{document, objects, parts, refuse, refuse_condition, uploads};
use super::store::{Object, Store, Upload};
use crate::http::Exchange;

impl Shared {
    pub(super) fn answer(&self, exchange: &mut Exchange<'_>) -> io::Result<()> {
        if let Some(target) = exchange.head.header("x-amz-target").map(str::to_owned) {
            return json_service(exchange, &target);
        }
        let place = exchange.head.path.trim_start_matches('/').to_owned();
        let (bucket, key) = place.split_once('/').unwrap_or((&place, ""));
        let upload = exchange.head.parameter("uploadId").map(str::to_owned);
        let part = exchange.head.parameter("partNumber").and_then(|number| number.parse().ok());
        let prefix = exchange.head.parameter("prefix").unwrap_or_default().to_owned();
        let starts = exchange.head.parameter("uploads").is_some();
        match (exchange.head.method.as_str(), upload, part) {
            ("PUT", Some(id), Some(number)) => self.upload_part(exchange, &id, number),
            ("POST", Some(id), _) => self.complete(exchange, &id),
            ("DELETE", Some(id), _) => {
                let known = self.store().uploads.remove(&id).is_some();
                if known { exchange.answer(204, &[], b"") } else { refuse(exchange, 404, "NoSuchUpload") }
            }
            ("GET", Some(id), _) => {
                let inside = self.store().uploads.get(&id).map(|upload| parts(upload, &id));
                match inside {
                    Some(inside) => document(exchange, "ListPartsResult", &inside),
                    None => refuse(exchange, 404, "NoSuchUpload"),
                }
            }
            ("POST", None, _) if starts => self.create(exchange, &place),
            ("GET", None, _) if starts => {
                let inside = uploads(&self.store(), bucket, &prefix);
                document(exchange, "ListMultipartUploadsResult", &inside)
            }
            ("GET", None, _) if key.is_empty() => {
                let inside = objects(&self.store(), bucket, &prefix);
                document(exchange, "ListBucketResult", &inside)
            }
            ("GET" | "HEAD", None, _) => self.get(exchange, &place),
            ("PUT", None, _) => self.put(exchange, &place),
            ("DELETE", None, _) => {
                self.store().objects.remove(&place);
                exchange.answer(204, &[], b"")
            }
            _ => refuse(exchange, 501, "NotImplemented"),
        }
    }

    fn get(&self, exchange: &mut Exchange<'_>, place: &str) -> io::Result<()> {
        let (body, size, etag, metadata) = {
            let store = self.store();
            match store.objects.get(place) {
                None => {
                    drop(store);
                    return refuse(exchange, 404, "NoSuchKey");
                }
                Some(object) => {
                    (object.body.clone(), object.size, object.etag.clone(), object.metadata.clone())
                }
            }
        };
        let size = size.to_string();
        let mut headers = vec![
            ("etag", etag.as_str()),
            ("content-length", &size),
            ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
            ("x-amz-version-id", "1"),
        ];
        headers.extend(metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        match body {
            _ if exchange.head.method == "HEAD" => exchange.answer(200, &headers, b""),
            Some(body) => exchange.answer(200, &headers, &body),
            // A model's bytes were thrown away.
            None => refuse(exchange, 501, "NotImplemented"),
        }
    }

    fn put(&self, exchange: &mut Exchange<'_>, place: &str) -> io::Result<()> {
        let none_match = exchange.head.header("if-none-match").map(str::to_owned);
        let matching = exchange.head.header("if-match").map(str::to_owned);
        let metadata = metadata(exchange);
        let is_model = place.contains("/models/");
        let (piece, body) =
            if is_model { (Some(self.take(exchange)?), None) } else { (None, Some(self.read(exchange)?)) };
        let stored = {
            let mut store = self.store();
            store.judge(place, none_match.as_deref(), matching.as_deref()).map(|()| match (piece, body) {
                (Some(piece), _) => {
                    let (size, etag) = (piece.size, piece.etag.clone());
                    let object =
                        Object { size, etag: etag.clone(), metadata, body: None, pieces: vec![piece] };
                    store.objects.insert(place.to_owned(), object);
                    etag
                }
                (None, body) => store.keep(place, body.unwrap_or_default()),
            })
        };
        match stored {
            Ok(etag) => exchange.answer(200, &[("etag", &etag), ("x-amz-version-id", "1")], b""),
            Err(condition) => refuse_condition(exchange, condition),
        }
    }

    fn create(&self, exchange: &mut Exchange<'_>, place: &str) -> io::Result<()> {
        let metadata = metadata(exchange);
        let id = {
            let mut store = self.store();
            let id = store.next_etag().trim_matches('"').to_owned();
            let upload = Upload { place: place.to_owned(), metadata, parts: Default::default() };
            store.uploads.insert(id.clone(), upload);
            id
        };
        let (bucket, key) = place.split_once('/').unwrap_or((place, ""));
        let inside = format!("<Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>{id}</UploadId>");
        document(exchange, "InitiateMultipartUploadResult", &inside)
    }

    fn upload_part(&self, exchange: &mut Exchange<'_>, id: &str, number: u32) -> io::Result<()> {
        let crc32 = exchange.head.header("x-amz-checksum-crc32").map(str::to_owned);
        let piece = self.take(exchange)?;
        let etag = piece.etag.clone();
        let known = match self.store().uploads.get_mut(id) {
            Some(upload) => {
                upload.parts.insert(number, piece);
                true
            }
            None => false,
        };
        if !known {
            return refuse(exchange, 404, "NoSuchUpload");
        }
        let mut headers = vec![("etag", etag.as_str())];
        headers.extend(crc32.as_deref().map(|crc32| ("x-amz-checksum-crc32", crc32)));
        exchange.answer(200, &headers, b"")
    }

    fn complete(&self, exchange: &mut Exchange<'_>, id: &str) -> io::Result<()> {
        let none_match = exchange.head.header("if-none-match").map(str::to_owned);
        let named = named_parts(&String::from_utf8_lossy(&exchange.read()?));
        let completed = {
            let mut store = self.store();
            match store.uploads.remove(id) {
                None => Err((404, "NoSuchUpload")),
                Some(upload) => {
                    let judged = store.judge(&upload.place, none_match.as_deref(), None);
                    let pieces = Store::parts(&upload, &named);
                    match (judged, pieces) {
                        (Ok(()), Ok(pieces)) => {
                            let size = pieces.iter().map(|piece| piece.size).sum();
                            let etag = store.next_etag();
                            let Upload { place, metadata, .. } = upload;
                            let object = Object { size, etag: etag.clone(), metadata, body: None, pieces };
                            store.objects.insert(place.clone(), object);
                            Ok((place, etag))
                        }
                        (judged, pieces) => {
                            store.uploads.insert(id.to_owned(), upload);
                            Err(pieces
                                .err()
                                .filter(|_| judged.is_ok())
                                .map_or((412, "PreconditionFailed"), |code| (400, code)))
                        }
                    }
                }
            }
        };
        match completed {
            Ok((place, etag)) => {
                let (bucket, key) = place.split_once('/').unwrap_or((&place, ""));
                let inside = format!("<Bucket>{bucket}</Bucket><Key>{key}</Key><ETag>{etag}</ETag>");
                document(exchange, "CompleteMultipartUploadResult", &inside)
            }
            Err((status, code)) => refuse(exchange, status, code),
        }
    }
}

fn metadata(exchange: &Exchange<'_>) -> Vec<(String, String)> {
    exchange
        .head
        .headers_under("x-amz-meta-")
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// `<Part>`'s number and ETag, in order.
fn named_parts(xml: &str) -> Vec<(u32, String)> {
    let inside = |text: &str, name: &str| {
        let after = text.split_once(&format!("<{name}>"))?.1;
        Some(after.split_once("</")?.0.replace("&quot;", "").trim_matches('"').to_owned())
    };
    xml.split("<Part>")
        .skip(1)
        .filter_map(|part| Some((inside(part, "PartNumber")?.parse().ok()?, inside(part, "ETag")?)))
        .collect()
}

/// KMS and Secrets Manager, as far as a transfer asks them.
fn json_service(exchange: &mut Exchange<'_>, target: &str) -> io::Result<()> {
    let asked: Value = serde_json::from_slice(&exchange.read()?).unwrap_or_default();
    let (status, body) = match target {
        // Any function of key and message that nobody else knows would do; nobody else is here.
        "TrentService.GenerateMac" => {
            let (key, message) = (asked["KeyId"].to_string(), asked["Message"].to_string());
            let mac = Sha256::new().chain_update("mac").chain_update(&key).chain_update(&message).finalize();
            let mac = STANDARD.encode(mac);
            (200, json!({ "KeyId": asked["KeyId"], "Mac": mac, "MacAlgorithm": "HMAC_SHA_256" }))
        }
        // Public models need no token.
        "secretsmanager.GetSecretValue" => {
            (400, json!({ "__type": "ResourceNotFoundException", "Message": "no value" }))
        }
        _ => (400, json!({ "__type": "UnknownOperationException", "Message": target })),
    };
    exchange.answer(status, &[("content-type", "application/x-amz-json-1.1")], body.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_completion_are_read_in_order() {
        let xml = "<CompleteMultipartUpload><Part><ETag>&quot;a&quot;</ETag><PartNumber>1</PartNumber></Part>\
                   <Part><PartNumber>2</PartNumber><ETag>\"b\"</ETag></Part></CompleteMultipartUpload>";
        assert_eq!(named_parts(xml), [(1, "a".to_owned()), (2, "b".to_owned())]);
    }
}
