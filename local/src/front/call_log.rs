//! The record of who called what: one JSON object a line, without bodies, secrets or tokens.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

use axum::http::Method;
use axum::http::request::Parts;
use serde::Serialize;
use serde_json::Value;

use crate::service::Caller;

use super::route::{Credential, target};

/// Input members that name what an operation acts on. Task tokens, secrets and payloads are not among them.
const RESOURCE_MEMBERS: [&str; 29] = [
    "TrainingJobName",
    "ProcessingJobName",
    "ModelPackageName",
    "ModelPackageGroupName",
    "EndpointName",
    "EndpointConfigName",
    "ModelName",
    "ModelCardName",
    "ArtifactArn",
    "ActionName",
    "ContextName",
    "TrialComponentName",
    "TrialName",
    "ExperimentName",
    "ResourceArn",
    "repositoryName",
    "TableName",
    "SecretId",
    "KeyId",
    "executionArn",
    "stateMachineArn",
    "QueueUrl",
    "TopicArn",
    "ResourceId",
    "RoleName",
    "PolicyArn",
    "UserName",
    "Name",
    "name",
];

/// One request.
#[derive(Debug, Serialize)]
pub(crate) struct Call {
    time: String,
    service: String,
    action: String,
    resource: String,
    pub(crate) status: u16,
    pub(crate) milliseconds: u128,
}

impl Call {
    pub(crate) fn new(parts: &Parts, credential: &Credential, body: &[u8]) -> Self {
        let (action, resource) = if let Some((_, action)) = target(&parts.headers) {
            (action.to_owned(), resource_of_json(body))
        } else if credential.service == "s3" {
            (s3_action(parts), parts.uri.path().to_owned())
        } else if let Some(action) = form_value(body, "Action") {
            let resource =
                RESOURCE_MEMBERS.iter().find_map(|name| form_value(body, name)).unwrap_or_default();
            (action, resource)
        } else if credential.service == "sagemaker" && parts.uri.path() == "/BatchPutMetrics" {
            ("BatchPutMetrics".to_owned(), resource_of_json(body))
        } else if credential.service == "lambda" && parts.uri.path().ends_with("/invocations") {
            ("InvokeFunction".to_owned(), parts.uri.path().split('/').nth(3).unwrap_or_default().to_owned())
        } else {
            (format!("{} {}", parts.method, parts.uri.path()), String::new())
        };
        Self {
            time: jiff::Timestamp::now().to_string(),
            service: credential.service.clone(),
            action,
            resource,
            status: 0,
            milliseconds: 0,
        }
    }
}

fn resource_of_json(body: &[u8]) -> String {
    let Ok(Value::Object(input)) = serde_json::from_slice(body) else { return String::new() };
    RESOURCE_MEMBERS
        .iter()
        .find_map(|name| input.get(*name).and_then(Value::as_str))
        .unwrap_or_default()
        .to_owned()
}

fn form_value(body: &[u8], name: &str) -> Option<String> {
    url::form_urlencoded::parse(body).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The IAM-like name of an S3 request.
fn s3_action(parts: &Parts) -> String {
    let query: Vec<String> = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .map(|(name, _)| name.into_owned())
        .collect();
    let asks = |name: &str| query.iter().any(|asked| asked == name);
    let path = parts.uri.path().trim_start_matches('/');
    let is_object = path.split_once('/').is_some_and(|(_, key)| !key.is_empty());
    let copies = parts.headers.contains_key("x-amz-copy-source");
    let name = match (&parts.method, is_object) {
        (&Method::POST, true) if asks("uploads") => "CreateMultipartUpload",
        (&Method::POST, true) if asks("uploadId") => "CompleteMultipartUpload",
        (&Method::PUT, true) if asks("partNumber") && copies => "UploadPartCopy",
        (&Method::PUT, true) if asks("partNumber") => "UploadPart",
        (&Method::DELETE, true) if asks("uploadId") => "AbortMultipartUpload",
        (&Method::GET, true) if asks("uploadId") => "ListParts",
        (&Method::GET, true) if asks("attributes") => "GetObjectAttributes",
        (&Method::PUT, true) if copies => "CopyObject",
        (&Method::PUT, true) => "PutObject",
        (&Method::GET, true) => "GetObject",
        (&Method::HEAD, true) => "HeadObject",
        (&Method::DELETE, true) => "DeleteObject",
        (&Method::POST, false) if asks("delete") => "DeleteObjects",
        (&Method::GET, false) if asks("versions") => "ListObjectVersions",
        (&Method::GET, false) if asks("uploads") => "ListMultipartUploads",
        (&Method::GET, false) if asks("list-type") || asks("prefix") => "ListObjectsV2",
        (&Method::HEAD, false) => "HeadBucket",
        (&Method::PUT, false) if query.is_empty() => "CreateBucket",
        (&Method::DELETE, false) if query.is_empty() => "DeleteBucket",
        (method, _) => {
            return format!("{method}{}", query.first().map_or_else(String::new, |sub| format!(" ?{sub}")));
        }
    };
    // Tags, locks and lists of an object are operations of their own.
    match ["tagging", "retention", "legal-hold", "acl"].into_iter().find(|sub| asks(sub)) {
        Some(sub) if is_object => format!("{name} ?{sub}"),
        _ => name.to_owned(),
    }
}

/// The log's file.
#[derive(Debug)]
pub(crate) struct CallLog(Mutex<File>);

impl CallLog {
    pub(crate) fn create(path: &Path) -> std::io::Result<Self> {
        Ok(Self(Mutex::new(File::options().create(true).append(true).open(path)?)))
    }

    pub(crate) fn write(&self, call: &Call, caller: &Caller) {
        #[derive(Serialize)]
        struct Line<'a> {
            access_key_id: &'a str,
            principal: &'a str,
            #[serde(flatten)]
            call: &'a Call,
        }
        let line = Line { access_key_id: &caller.access_key_id, principal: &caller.arn, call };
        let Ok(mut text) = serde_json::to_string(&line) else { return };
        text.push('\n');
        if let Ok(mut file) = self.0.lock() {
            // One write for each line, so that lines of calls side by side do not mix.
            let _ = file.write_all(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;

    fn call(method: &str, path: &str, service: &str, headers: &[(&str, &str)], body: &str) -> Call {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, _) = request.body(Body::empty()).unwrap().into_parts();
        let credential = Credential { service: service.into(), ..Credential::default() };
        Call::new(&parts, &credential, body.as_bytes())
    }

    #[test]
    fn operations_have_their_names() {
        assert_eq!(call("PUT", "/b/k?partNumber=1&uploadId=u", "s3", &[], "").action, "UploadPart");
        assert_eq!(call("PUT", "/b/k", "s3", &[("x-amz-copy-source", "b/o")], "").action, "CopyObject");
        assert_eq!(call("GET", "/b?list-type=2", "s3", &[], "").action, "ListObjectsV2");
        assert_eq!(call("POST", "/", "iam", &[], "Action=CreateRole&RoleName=r").resource, "r");
        let put = call("PUT", "/BatchPutMetrics", "sagemaker", &[], r#"{"TrialComponentName": "train-1"}"#);
        assert_eq!((put.action.as_str(), put.resource.as_str()), ("BatchPutMetrics", "train-1"));
        let call = call("POST", "/2015-03-31/functions/lockstep-admit-run/invocations", "lambda", &[], "{}");
        assert_eq!((call.action.as_str(), call.resource.as_str()), ("InvokeFunction", "lockstep-admit-run"));
    }

    #[test]
    fn a_task_token_is_never_recorded() {
        let call = call(
            "POST",
            "/",
            "states",
            &[("x-amz-target", "AWSStepFunctions.SendTaskSuccess")],
            r#"{"taskToken":"hidden","output":"{}"}"#,
        );
        assert!(!serde_json::to_string(&call).unwrap().contains("hidden"));
    }
}
