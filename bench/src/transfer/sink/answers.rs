//! How S3 words its answers.

use std::io;

use super::store::{Condition, Store, Upload};
use crate::http::Exchange;

const XML: &[(&str, &str)] = &[("content-type", "application/xml")];

/// Answers with a document.
pub fn document(exchange: &mut Exchange<'_>, name: &str, inside: &str) -> io::Result<()> {
    let namespace = "http://s3.amazonaws.com/doc/2006-03-01/";
    let body = format!("<?xml version=\"1.0\"?><{name} xmlns=\"{namespace}\">{inside}</{name}>");
    exchange.answer(200, XML, body.as_bytes())
}

/// Refuses.
pub fn refuse(exchange: &mut Exchange<'_>, status: u16, code: &str) -> io::Result<()> {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{code}</Message></Error>");
    exchange.answer(status, XML, body.as_bytes())
}

/// Refuses a write whose condition does not hold.
pub fn refuse_condition(exchange: &mut Exchange<'_>, condition: Condition) -> io::Result<()> {
    match condition {
        Condition::Failed => refuse(exchange, 412, "PreconditionFailed"),
        Condition::NoSuchKey => refuse(exchange, 404, "NoSuchKey"),
    }
}

/// The inside of ListObjectsV2's answer.
pub fn objects(store: &Store, bucket: &str, prefix: &str) -> String {
    let under = format!("{bucket}/{prefix}");
    let mut inside =
        format!("<Name>{bucket}</Name><Prefix>{prefix}</Prefix><IsTruncated>false</IsTruncated>");
    for (place, object) in store.objects.iter().filter(|(place, _)| place.starts_with(&under)) {
        let (key, etag, size) = (&place[bucket.len() + 1..], &object.etag, object.size);
        inside.push_str(&format!(
            "<Contents><Key>{key}</Key><ETag>{etag}</ETag><Size>{size}</Size></Contents>"
        ));
    }
    inside
}

/// The inside of ListMultipartUploads' answer.
pub fn uploads(store: &Store, bucket: &str, prefix: &str) -> String {
    let under = format!("{bucket}/{prefix}");
    let mut inside = format!("<Bucket>{bucket}</Bucket><IsTruncated>false</IsTruncated>");
    for (id, upload) in store.uploads.iter().filter(|(_, upload)| upload.place.starts_with(&under)) {
        let key = &upload.place[bucket.len() + 1..];
        inside.push_str(&format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId></Upload>"));
    }
    inside
}

/// The inside of ListParts' answer.
pub fn parts(upload: &Upload, id: &str) -> String {
    let mut inside = format!("<UploadId>{id}</UploadId><IsTruncated>false</IsTruncated>");
    for (number, piece) in &upload.parts {
        let (etag, size) = (&piece.etag, piece.size);
        inside.push_str(&format!(
            "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag><Size>{size}</Size></Part>"
        ));
    }
    inside
}
