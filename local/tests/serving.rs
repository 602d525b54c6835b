//! A canary over the whole account: requests through the front, metrics and alarms in MiniStack.
#![allow(clippy::unwrap_used, reason = "a test helper that cannot go on says so by panicking")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use local::front::{Address, Front};
use local::ministack::{MiniStack, Settings};
use local::python::{Environment, MINISTACK};
use local::sagemaker::SageMaker;
use local::service::{Config, ImageStore};
use local::wire::Wire;
use local::{ACCOUNT_ID, Fault, Faults, REGION, Silent};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Answers what SageMaker's hosting contract asks for.
const PROGRAM: &str = r#"
import http.server, os
class Model(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def do_GET(self):
        self.answer(b"")
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.answer(b'[{"generated_text": "x"}]')
    def answer(self, body):
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Model).serve_forever()
"#;

struct Account {
    sagemaker: SageMaker,
    faults: Faults,
    /// The front, as the account's root.
    wire: Wire,
    url: String,
    http: reqwest::Client,
    image: String,
    _front: Front,
    _ministack: MiniStack,
    _folder: TempDir,
}

async fn start() -> Account {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let python = Environment::prepare(&root.join(".lockstep"), MINISTACK, &Silent).await.unwrap().python();
    let folder = tempfile::tempdir().unwrap();
    let address = Address::take().await.unwrap();
    let url = address.url();
    let ministack = MiniStack::start(Settings {
        python: &python,
        state_dir: folder.path(),
        endpoint: &url,
        region: REGION,
        account_id: ACCOUNT_ID,
        enforce_policies: true,
        rehearsal: None,
    })
    .await
    .unwrap();
    let ecr = Wire::new(ministack.url(), REGION, "test");
    let call = async |action: &str, body: Value| {
        ecr.json("ecr", &format!("AmazonEC2ContainerRegistry_V20150921.{action}"), &body).await.unwrap()
    };
    call("CreateRepository", json!({"repositoryName": "lockstep/model-container"})).await;
    let media = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": media, "layers": []}).to_string();
    let pushed = call(
        "PutImage",
        json!({"repositoryName": "lockstep/model-container", "imageManifest": manifest, "imageManifestMediaType": media}),
    )
    .await;
    let digest = pushed["image"]["imageId"]["imageDigest"].as_str().unwrap().to_owned();

    let server = folder.path().join("server.py");
    std::fs::write(&server, PROGRAM).unwrap();
    let program = folder.path().join("model-container");
    let script = format!("#!/bin/sh\nexec '{}' '{}'\n", python.display(), server.display());
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let images = ImageStore::default();
    images.insert(digest.clone(), program);
    let faults = Faults::default();
    let sagemaker = SageMaker::new(Config {
        backend: ministack.url().to_owned(),
        state_dir: folder.path().to_owned(),
        region: REGION.into(),
        account_id: ACCOUNT_ID.into(),
        images,
        faults: faults.clone(),
        minute: Duration::from_millis(200),
    })
    .unwrap();
    let judge = Wire::new(ministack.url(), REGION, "test");
    let calls = folder.path().join("calls.jsonl");
    let front = Front::serve(address, ministack.url(), sagemaker.clone(), Some(judge), &calls, None).unwrap();
    Account {
        sagemaker,
        faults,
        wire: Wire::new(&url, REGION, "test"),
        url,
        http: reqwest::Client::new(),
        image: format!("{ACCOUNT_ID}.dkr.ecr.{REGION}.amazonaws.com/lockstep/model-container@{digest}"),
        _front: front,
        _ministack: ministack,
        _folder: folder,
    }
}

impl Account {
    async fn call(&self, action: &str, body: Value) -> Value {
        self.wire.json("sagemaker", &format!("SageMaker.{action}"), &body).await.unwrap()
    }

    async fn settled(&self) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let endpoint = self.call("DescribeEndpoint", json!({"EndpointName": "tiny-lm"})).await;
            if endpoint["EndpointStatus"] == "InService" {
                return endpoint;
            }
            assert!(Instant::now() < deadline, "{endpoint:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn ask(&self) -> u16 {
        let scope = format!("test/20260101/{REGION}/sagemaker/aws4_request");
        let request = self
            .http
            .post(format!("{}/endpoints/tiny-lm/invocations", self.url))
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=root"),
            )
            .header("content-type", "application/json")
            .body("{}");
        request.send().await.map_or(0, |answer| answer.status().as_u16())
    }

    async fn alarm(&self, name: &str, changes: Value) {
        let mut request = json!({
            "AlarmName": name,
            "Namespace": "AWS/SageMaker",
            "Dimensions": [{"Name": "EndpointName", "Value": "tiny-lm"}, {"Name": "VariantName", "Value": "primary"}],
            "Period": 60,
            "EvaluationPeriods": 1,
            "TreatMissingData": "notBreaching",
        });
        for (member, value) in changes.as_object().unwrap() {
            request[member] = value.clone();
        }
        let target = "GraniteServiceVersion20100801.PutMetricAlarm";
        self.wire.json("monitoring", target, &request).await.unwrap();
    }
}

/// Every answer's status to 200 requests a second, until told to end.
async fn load(account: Arc<Account>, stopped: tokio::sync::watch::Receiver<bool>) -> Vec<u16> {
    let mut answers = tokio::task::JoinSet::new();
    let mut due = tokio::time::interval(Duration::from_millis(5));
    while !*stopped.borrow() {
        due.tick().await;
        let account = Arc::clone(&account);
        answers.spawn(async move { account.ask().await });
    }
    answers.join_all().await
}

/// With the alarms of `infra/modules/serving`, their period of a minute included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alarm_on_real_metrics_takes_a_bad_canary_back_under_load() {
    let account = Arc::new(start().await);
    let errors = json!({
        "MetricName": "Invocation5XXErrors", "Statistic": "Sum", "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    });
    account.alarm("lockstep-tiny-lm-5xx", errors).await;
    let latency = json!({
        "MetricName": "ModelLatency", "ExtendedStatistic": "p99", "Statistic": null, "Threshold": 30_000_000,
        "ComparisonOperator": "GreaterThanThreshold",
    });
    account.alarm("lockstep-tiny-lm-latency", latency).await;
    let role = format!("arn:aws:iam::{ACCOUNT_ID}:role/lockstep-endpoint");
    for name in ["one", "two"] {
        let container = json!({"Image": account.image});
        let model = json!({"ModelName": name, "ExecutionRoleArn": role, "PrimaryContainer": container});
        account.call("CreateModel", model).await;
        let variant = json!({
            "VariantName": "primary", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 4,
        });
        let config = json!({"EndpointConfigName": name, "ProductionVariants": [variant]});
        account.call("CreateEndpointConfig", config).await;
    }
    account.call("CreateEndpoint", json!({"EndpointName": "tiny-lm", "EndpointConfigName": "one"})).await;
    account.settled().await;

    account.faults.set(Fault::BadCanary);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let asking = tokio::spawn(load(Arc::clone(&account), stopped));
    let size = json!({"Type": "CAPACITY_PERCENT", "Value": 25});
    let routing = json!({"Type": "CANARY", "WaitIntervalInSeconds": 3600, "CanarySize": size});
    let alarms = json!([{"AlarmName": "lockstep-tiny-lm-5xx"}, {"AlarmName": "lockstep-tiny-lm-latency"}]);
    let deployment = json!({
        "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing},
        "AutoRollbackConfiguration": {"Alarms": alarms},
    });
    let update =
        json!({"EndpointName": "tiny-lm", "EndpointConfigName": "two", "DeploymentConfig": deployment});
    account.call("UpdateEndpoint", update).await;
    let endpoint = account.settled().await;
    stop.send(true).unwrap();
    let answers = asking.await.unwrap();
    assert_eq!(endpoint["EndpointConfigName"], "one", "{endpoint:#}");
    let reason = endpoint["FailureReason"].as_str().unwrap();
    assert!(reason.ends_with("lockstep-tiny-lm-5xx"), "{reason}");
    let failed = answers.iter().filter(|status| **status == 424).count();
    let served = answers.iter().filter(|status| **status == 200).count();
    assert_eq!(failed + served, answers.len(), "{answers:?}");
    assert!(failed > 0 && failed * 4 <= answers.len(), "{failed} of {}", answers.len());

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let asking = tokio::spawn(load(Arc::clone(&account), stopped));
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.send(true).unwrap();
    let answers = asking.await.unwrap();
    assert!(answers.len() > 10 && answers.iter().all(|status| *status == 200), "{answers:?}");
    account.sagemaker.shutdown().await;
}
