//! The record of what the functions send, for a test that holds it against the services' own models: one JSON object a line.
//!
//! It leaves out what is secret or large: signatures, session tokens, task tokens, secrets, the values of items in tables, and
//! the bodies of objects and invocations. What a rule on lengths needs of a value that is left out is kept: a text has as many
//! letters `A` in its place.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Mutex;

use axum::http::request::Parts;
use axum::http::{Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;

use crate::service::Caller;

use super::route::{Credential, target};

/// JSON members whose text is never written.
const SECRET_MEMBERS: [&str; 4] = ["taskToken", "SecretString", "SecretBinary", "Plaintext"];

/// Members that hold an item's values in DynamoDB's JSON; waits, and with them task tokens, are items.
const ITEM_VALUES: [&str; 4] = ["S", "B", "SS", "BS"];

/// Headers, and parameters of a presigned request, that prove who calls.
const PROOFS: [&str; 8] = [
    "authorization",
    "cookie",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "proxy-authorization",
];

/// How a request's body is written, which says how it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Cbor,
    /// Of the query protocol, or XML: text without a secret.
    Text,
}

/// The form of a body that holds an operation's members; none of one that is an object's or an invocation's content.
fn form(parts: &Parts, credential: &Credential) -> Option<Form> {
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default();
    if credential.service == "s3" {
        let query = parts.uri.query().unwrap_or_default();
        let asks = |name: &str| url::form_urlencoded::parse(query.as_bytes()).any(|(asked, _)| asked == name);
        let is_described = match parts.method {
            Method::POST => asks("uploadId") || asks("delete"),
            Method::PUT => asks("tagging") || asks("retention") || asks("legal-hold"),
            _ => false,
        };
        return is_described.then_some(Form::Text);
    }
    if target(&parts.headers).is_some() || parts.uri.path() == "/BatchPutMetrics" {
        Some(Form::Json)
    } else if content_type.starts_with("application/cbor") {
        Some(Form::Cbor)
    } else if content_type.starts_with("application/x-www-form-urlencoded") {
        Some(Form::Text)
    } else {
        None
    }
}

/// Whether the body is needed to tell what was sent.
pub(crate) fn wants_body(parts: &Parts, credential: &Credential) -> bool {
    form(parts, credential).is_some()
}

/// What was sent.
#[derive(Debug, Serialize)]
pub(crate) struct Sent {
    service: String,
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cbor: Option<String>,
    /// Of a body that is content, or too long to be read, or not of the form that it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<&'static str>,
}

impl Sent {
    /// `body` is none where it streams through unread.
    pub(crate) fn new(parts: &Parts, credential: &Credential, body: Option<&[u8]>) -> Self {
        let is_kept = |name: &str| !PROOFS.contains(&name.to_ascii_lowercase().as_str());
        let query = parts.uri.query().unwrap_or_default();
        let headers = parts.headers.iter().filter(|(name, _)| is_kept(name.as_str()));
        let mut sent = Self {
            service: credential.service.clone(),
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: url::form_urlencoded::parse(query.as_bytes())
                .filter(|(name, _)| is_kept(name))
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
            headers: headers
                .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
                .collect(),
            json: None,
            text: None,
            cbor: None,
            left_out: None,
        };
        match (form(parts, credential), body) {
            (None, _) => sent.left_out = Some("content"),
            (Some(_), None) => sent.left_out = Some("too long to be read"),
            (Some(Form::Json), Some(body)) => match serde_json::from_slice(body) {
                Ok(mut input) => {
                    hide(&mut input, credential.service == "dynamodb");
                    sent.json = Some(input);
                }
                Err(_) => sent.left_out = Some("no JSON"),
            },
            (Some(Form::Cbor), Some(body)) => sent.cbor = Some(STANDARD.encode(body)),
            (Some(Form::Text), Some(body)) => match str::from_utf8(body) {
                Ok(text) => sent.text = Some(text.to_owned()),
                Err(_) => sent.left_out = Some("no text"),
            },
        }
        sent
    }
}

/// Puts letters in the place of what is secret, wherever it stands.
fn hide(value: &mut Value, is_item: bool) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.as_str();
                if SECRET_MEMBERS.contains(&name) || (is_item && ITEM_VALUES.contains(&name)) {
                    blot(member);
                }
                hide(member, is_item);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, is_item)),
        _ => {}
    }
}

fn blot(value: &mut Value) {
    match value {
        Value::String(text) => *text = "A".repeat(text.chars().count()),
        Value::Array(items) => items.iter_mut().for_each(blot),
        _ => {}
    }
}

/// The record's file.
#[derive(Debug)]
pub(crate) struct RequestLog(Mutex<File>);

impl RequestLog {
    /// Several accounts, one after the other, may write to one file.
    pub(crate) fn append(path: &Path) -> std::io::Result<Self> {
        Ok(Self(Mutex::new(File::options().create(true).append(true).mode(0o600).open(path)?)))
    }

    /// Only what sessions of roles send: functions, and not the people and the infrastructure.
    pub(crate) fn write(&self, sent: &Sent, caller: &Caller) {
        #[derive(Serialize)]
        struct Line<'a> {
            role: &'a str,
            #[serde(flatten)]
            sent: &'a Sent,
        }
        let Some((_, session)) = caller.arn.split_once(":assumed-role/") else { return };
        let role = session.split('/').next().unwrap_or_default();
        let Ok(mut text) = serde_json::to_string(&Line { role, sent }) else { return };
        text.push('\n');
        if let Ok(mut file) = self.0.lock() {
            let _ = file.write_all(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;

    fn sent(request: axum::http::request::Builder, service: &str, body: Option<&str>) -> String {
        let (parts, _) = request.body(Body::empty()).unwrap().into_parts();
        let credential = Credential { service: service.into(), ..Credential::default() };
        serde_json::to_string(&Sent::new(&parts, &credential, body.map(str::as_bytes))).unwrap()
    }

    fn json(target: &str) -> axum::http::request::Builder {
        Request::post("/").header("x-amz-target", target)
    }

    #[test]
    fn secrets_are_left_out_and_their_lengths_stay() {
        let answered = sent(
            json("AWSStepFunctions.SendTaskSuccess").header("x-amz-security-token", "hidden"),
            "states",
            Some(r#"{"taskToken":"hidden","output":"{}"}"#),
        );
        let wait =
            r#"{"Item":{"token":{"S":"hidden"},"more":{"M":{"a":{"SS":["hidden"]}}}},"TableName":"t"}"#;
        let stored = sent(json("DynamoDB_20120810.PutItem"), "dynamodb", Some(wait));
        for line in [&answered, &stored] {
            assert!(!line.contains("hidden") && line.contains("AAAAAA"), "{line}");
        }
        let presigned = Request::get("/b/k?X-Amz-Signature=hidden&X-Amz-Credential=hidden&versionId=v");
        let presigned = sent(presigned.header("authorization", "hidden"), "s3", None);
        assert!(!presigned.contains("hidden") && presigned.contains("versionId"), "{presigned}");
    }

    #[test]
    fn an_objects_content_is_left_out_and_what_describes_one_is_not() {
        let parts =
            |request: axum::http::request::Builder| request.body(Body::empty()).unwrap().into_parts().0;
        let s3 = Credential { service: "s3".into(), ..Credential::default() };
        assert!(!wants_body(&parts(Request::put("/b/k")), &s3));
        assert!(wants_body(&parts(Request::post("/b/k?uploadId=u")), &s3));
        let put = Request::put("/b/k").header("x-amz-checksum-sha256", "c");
        assert!(sent(put, "s3", None).contains(r#""left_out":"content""#));
        assert!(sent(json("TrentService.Sign"), "kms", None).contains(r#""left_out":"too long to be read""#));
    }
}
