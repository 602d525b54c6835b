//! As much of an account as the services ask for: objects, images, alarms, and what they send.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::SageMaker;
use crate::service::{Config, Fault, Faults, ImageStore};

pub(super) const REPOSITORY: &str = "lockstep/model-container";
pub(super) const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
pub(super) const INDEX: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

#[derive(Debug, Default)]
struct Held {
    /// By `bucket/key`, with the key that encrypts it.
    objects: BTreeMap<String, (Vec<u8>, Option<String>)>,
    events: Vec<Value>,
    log_lines: Vec<String>,
    metrics: Vec<Value>,
    scan_on_push: bool,
    ringing: bool,
    rings_on_errors: bool,
}

type Shared = Arc<Mutex<Held>>;

/// The services, and the account behind them.
pub(super) struct Account {
    pub(super) sagemaker: SageMaker,
    pub(super) faults: Faults,
    pub(super) folder: TempDir,
    held: Shared,
}

impl Account {
    pub(super) async fn start() -> Self {
        let held: Shared = Arc::default();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&held));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let backend = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });

        let folder = tempfile::tempdir().unwrap();
        let images = ImageStore::default();
        images.insert(DIGEST, super::container::program(folder.path()));
        let faults = Faults::default();
        let sagemaker = SageMaker::new(Config {
            backend,
            state_dir: folder.path().to_owned(),
            region: "us-east-1".into(),
            account_id: "000000000000".into(),
            images,
            faults: faults.clone(),
            minute: std::time::Duration::from_millis(200),
        })
        .unwrap();
        Self { sagemaker, faults, folder, held }
    }

    pub(super) fn image(&self) -> String {
        format!("000000000000.dkr.ecr.us-east-1.amazonaws.com/{REPOSITORY}@{DIGEST}")
    }

    pub(super) fn put(&self, object: &str, content: &str) {
        self.held.lock().unwrap().objects.insert(object.into(), (content.into(), None));
    }

    pub(super) fn get(&self, object: &str) -> Option<String> {
        let held = self.held.lock().unwrap();
        held.objects.get(object).map(|(content, _)| String::from_utf8_lossy(content).into_owned())
    }

    pub(super) fn key_of(&self, object: &str) -> Option<String> {
        self.held.lock().unwrap().objects.get(object).and_then(|(_, key)| key.clone())
    }

    pub(super) fn objects(&self) -> Vec<String> {
        self.held.lock().unwrap().objects.keys().cloned().collect()
    }

    pub(super) fn events(&self) -> Vec<Value> {
        self.held.lock().unwrap().events.clone()
    }

    pub(super) fn log_lines(&self) -> Vec<String> {
        self.held.lock().unwrap().log_lines.clone()
    }

    pub(super) fn metrics(&self) -> Vec<Value> {
        self.held.lock().unwrap().metrics.clone()
    }

    pub(super) fn scan_on_push(&self) {
        self.held.lock().unwrap().scan_on_push = true;
    }

    pub(super) fn ring(&self) {
        self.held.lock().unwrap().ringing = true;
    }

    /// From now on the alarms ring once a server error was counted.
    pub(super) fn ring_on_errors(&self) {
        self.held.lock().unwrap().rings_on_errors = true;
    }

    pub(super) fn fault(&self, fault: Fault) {
        self.faults.set(fault);
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

async fn answer(State(held): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    assert!(parts.headers["authorization"].to_str().unwrap().contains("Credential=000000000000/"));
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    let path = parts.uri.path().trim_start_matches('/').to_owned();
    if let Some(target) = parts.headers.get("x-amz-target").map(|target| target.to_str().unwrap().to_owned())
    {
        let asked: Value = serde_json::from_slice(&bytes).unwrap();
        return operate(&mut held.lock().unwrap(), target.rsplit('.').next().unwrap(), &asked);
    }
    let mut held = held.lock().unwrap();
    match parts.method.as_str() {
        "PUT" => {
            let kms = parts.headers.get("x-amz-server-side-encryption-aws-kms-key-id");
            let kms = kms.map(|key| key.to_str().unwrap().to_owned());
            held.objects.insert(path, (bytes.to_vec(), kms));
            respond(200, String::new())
        }
        "GET" if path.ends_with('/') => list(&held, &path, parts.uri.query().unwrap_or_default()),
        _ => match held.objects.get(&path) {
            Some((content, _)) => Response::new(Body::from(content.clone())),
            None => respond(404, "<Error><Code>NoSuchKey</Code><Message>no</Message></Error>".into()),
        },
    }
}

/// Two keys a page, so that every listing of three follows a token.
fn list(held: &Held, bucket: &str, query: &str) -> Response {
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let prefix = format!("{bucket}{}", query["prefix"]);
    let after = query.get("continuation-token").cloned().unwrap_or_default();
    let keys: Vec<&String> =
        held.objects.keys().filter(|key| key.starts_with(&prefix) && **key > after).collect();
    let mut xml = String::from("<ListBucketResult>");
    for key in keys.iter().take(2) {
        xml.push_str(&format!("<Contents><Key>{}</Key><Size>1</Size></Contents>", &key[bucket.len()..]));
    }
    xml.push_str(&format!("<IsTruncated>{}</IsTruncated>", keys.len() > 2));
    if keys.len() > 2 {
        xml.push_str(&format!("<NextContinuationToken>{}</NextContinuationToken>", keys[1]));
    }
    respond(200, xml + "</ListBucketResult>")
}

fn operate(held: &mut Held, action: &str, asked: &Value) -> Response {
    let answer = match action {
        "PutEvents" => {
            for entry in asked["Entries"].as_array().unwrap() {
                let mut entry = entry.clone();
                entry["Detail"] = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
                held.events.push(entry);
            }
            json!({"FailedEntryCount": 0})
        }
        "PutLogEvents" => {
            for line in asked["logEvents"].as_array().unwrap() {
                held.log_lines.push(line["message"].as_str().unwrap().to_owned());
            }
            json!({})
        }
        "PutMetricData" => {
            held.metrics.extend(asked["MetricData"].as_array().unwrap().iter().cloned());
            json!({})
        }
        "BatchGetImage" => {
            if asked["repositoryName"] != REPOSITORY {
                return respond(
                    400,
                    json!({"__type": "RepositoryNotFoundException", "message": "no"}).to_string(),
                );
            }
            let id = &asked["imageIds"][0];
            let (digest, manifest) = if id["imageDigest"] == DIGEST || id["imageTag"] == "1.0" {
                (DIGEST, json!({"layers": []}))
            } else if id["imageDigest"] == INDEX {
                (INDEX, json!({"manifests": []}))
            } else {
                return respond(200, json!({"images": [], "failures": [{}]}).to_string());
            };
            json!({"images": [{"imageId": {"imageDigest": digest}, "imageManifest": manifest.to_string()}]})
        }
        "DescribeRepositories" => {
            json!({"repositories": [{"imageScanningConfiguration": {"scanOnPush": held.scan_on_push}}]})
        }
        "DescribeAlarms" => {
            let errors = held.metrics.iter().any(|metric| {
                metric["MetricName"] == "Invocation5XXErrors"
                    && metric["Values"].as_array().unwrap().contains(&json!(1.0))
            });
            let state = if held.ringing || (held.rings_on_errors && errors) { "ALARM" } else { "OK" };
            json!({"MetricAlarms": [{"AlarmName": asked["AlarmNames"][0], "StateValue": state}]})
        }
        _ => json!({}),
    };
    respond(200, answer.to_string())
}

fn respond(status: u16, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = axum::http::StatusCode::from_u16(status).unwrap();
    response
}
