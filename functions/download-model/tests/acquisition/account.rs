//! What `download-model` needs of an account, and its steps run one after the other as the state machine does.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use contract::{
    FetchedBatch, Limits, LinkRef, ObjectRef, Request, ResolvedImage, ResolvedModel, RunContext, RunId,
    RunPlan, SealedModel, Sha256Digest,
};
use local::{
    ACCOUNT_ID, REGION, Silent,
    ministack::{MiniStack, Settings},
    python::{Environment, MINISTACK},
    wire::Wire,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Answer, Function};
use tokio::sync::OnceCell;

use crate::{
    hub::{self, Hub, SIGNATURE},
    tls::Authority,
};

/// An invocation's time where it is not what is tested.
pub const LONG: Duration = Duration::from_secs(60);
/// The Hub's token, which must turn up in no log and no error.
pub const TOKEN: &str = "hf_TokenOfTheAcquisitionTests";
/// More invocations than any batch here needs.
const INVOCATIONS_MAX: usize = 40;

/// The account that all tests share. It ends with this process.
pub struct Account {
    ministack: MiniStack,
    state: TempDir,
    /// Signs for the hosts that speak https.
    pub authority: Authority,
    signing_key: String,
    checkpoint_key: String,
    data_key: String,
}

/// The account, started by whoever asks first.
pub async fn account() -> &'static Account {
    static ACCOUNT: OnceCell<Account> = OnceCell::const_new();
    ACCOUNT.get_or_init(Account::start).await
}

/// The repository's own folder for what is downloaded and may be used again.
pub fn lockstep() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.lockstep")
}

impl Account {
    async fn start() -> Self {
        let python = Environment::prepare(&lockstep(), MINISTACK, &Silent).await.unwrap().python();
        let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let ministack = MiniStack::start(Settings {
            python: &python,
            state_dir: state.path(),
            endpoint: "http://127.0.0.1:1",
            region: REGION,
            account_id: ACCOUNT_ID,
            enforce_policies: false,
            rehearsal: None,
        })
        .await
        .unwrap();
        let wire = Wire::new(ministack.url(), REGION, "test");
        let key = async |settings: Value| {
            let made = wire.json("kms", "TrentService.CreateKey", &settings).await.unwrap();
            made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
        };
        let authority = Authority::new();
        authority.write(&state.path().join("authority.pem"));
        Self {
            signing_key: key(json!({ "KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY" })).await,
            checkpoint_key: key(json!({ "KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC" })).await,
            data_key: key(json!({})).await,
            ministack,
            state,
            authority,
        }
    }

    /// The public half of the signing key, in DER.
    pub async fn signing_key_der(&self) -> Vec<u8> {
        use base64::Engine as _;
        let wire = Wire::new(self.url(), REGION, "test");
        let asked = json!({ "KeyId": self.signing_key });
        let key = wire.json("kms", "TrentService.GetPublicKey", &asked).await.unwrap();
        base64::engine::general_purpose::STANDARD.decode(key["PublicKey"].as_str().unwrap()).unwrap()
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        self.ministack.url()
    }

    async fn secret(&self, name: &str, value: Option<&str>) -> String {
        let mut settings = json!({ "Name": name, "ClientRequestToken": "0".repeat(32) });
        if let Some(value) = value {
            settings["SecretString"] = value.into();
        }
        let wire = Wire::new(self.url(), REGION, "test");
        let made = wire.json("secretsmanager", "secretsmanager.CreateSecret", &settings).await;
        made.unwrap()["ARN"].as_str().unwrap().to_owned()
    }
}

/// A bucket, spoken to plainly.
#[derive(Clone)]
pub struct Bucket {
    http: reqwest::Client,
    url: String,
    /// Its name.
    pub name: String,
}

impl Bucket {
    async fn create(account: &Account, http: &reqwest::Client, name: String) -> Self {
        let bucket = Self { http: http.clone(), url: format!("{}/{name}", account.ministack.url()), name };
        bucket.send(reqwest::Method::PUT, "", Bytes::new()).await;
        let versioned = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
            <Status>Enabled</Status></VersioningConfiguration>";
        bucket.send(reqwest::Method::PUT, "?versioning", versioned.into()).await;
        bucket
    }

    async fn send(&self, method: reqwest::Method, rest: &str, body: Bytes) -> reqwest::Response {
        self.send_with(method, rest, &[], body).await
    }

    async fn send_with(
        &self,
        method: reqwest::Method,
        rest: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> reqwest::Response {
        let credential = format!("AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/s3/aws4_request");
        let request = self
            .http
            .request(method, format!("{}{rest}", self.url))
            .header("authorization", format!("{credential}, SignedHeaders=host, Signature=none"))
            .body(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = request.send().await.unwrap();
        let status = response.status();
        assert!(status.is_success(), "{rest} of {}: {status}", self.name);
        response
    }

    /// Writes an object; gives its version.
    pub async fn put(&self, key: &str, body: impl Into<Bytes>) -> String {
        let response = self.send(reqwest::Method::PUT, &format!("/{key}"), body.into()).await;
        response.headers()["x-amz-version-id"].to_str().unwrap().to_owned()
    }

    /// Writes an object with metadata that says what it hashes to; gives its version.
    pub async fn put_claiming(&self, key: &str, body: Bytes, sha256: &str) -> String {
        let headers = [("x-amz-meta-sha256", sha256)];
        let response = self.send_with(reqwest::Method::PUT, &format!("/{key}"), &headers, body).await;
        response.headers()["x-amz-version-id"].to_str().unwrap().to_owned()
    }

    /// Reads an object.
    pub async fn get(&self, key: &str) -> Bytes {
        self.send(reqwest::Method::GET, &format!("/{key}"), Bytes::new()).await.bytes().await.unwrap()
    }

    /// Deletes an object, as who knows no versions does.
    pub async fn delete(&self, key: &str) {
        self.send(reqwest::Method::DELETE, &format!("/{key}"), Bytes::new()).await;
    }

    async fn listing(&self, query: &str) -> String {
        self.send(reqwest::Method::GET, query, Bytes::new()).await.text().await.unwrap()
    }

    /// The keys under a prefix.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        let (mut keys, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.listing(&format!("?list-type=2&prefix={prefix}&start-after={after}")).await;
            keys.extend(texts(&page, "Key"));
            if !page.contains("<IsTruncated>true") {
                return keys;
            }
            after = keys.last().unwrap().clone();
        }
    }

    /// Multipart uploads that are open: key and id of each.
    pub async fn uploads(&self) -> Vec<(String, String)> {
        let page = self.listing("?uploads").await;
        texts(&page, "Key").into_iter().zip(texts(&page, "UploadId")).collect()
    }

    /// Aborts a multipart upload.
    pub async fn abort(&self, (key, id): &(String, String)) {
        self.send(reqwest::Method::DELETE, &format!("/{key}?uploadId={id}"), Bytes::new()).await;
    }

    /// Removes every version of everything: the account keeps them in memory.
    pub async fn empty(&self) {
        let page = self.listing("?versions").await;
        let versions = texts(&page, "Key").into_iter().zip(texts(&page, "VersionId"));
        for (key, version) in versions {
            self.send(reqwest::Method::DELETE, &format!("/{key}?versionId={version}"), Bytes::new()).await;
        }
    }
}

/// The text of every element of that name; enough for the flat lists that are read here.
fn texts(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let found = xml.split(&open).skip(1).filter_map(|rest| rest.split_once(&close));
    found.map(|(text, _)| text.to_owned()).collect()
}

/// What a run asks for.
#[derive(Clone, Copy, Default)]
pub struct Asked<'a> {
    /// `main` if empty.
    pub revision: &'a str,
    /// Patterns of the files to take.
    pub allow: &'a [&'a str],
    /// Patterns of files to leave out.
    pub deny: &'a [&'a str],
    /// What the secret of the Hub's token holds.
    pub token: Option<&'a str>,
}

/// An admitted run, in buckets of its own.
pub struct Run {
    account: &'static Account,
    http: reqwest::Client,
    /// Where models go.
    pub work: Bucket,
    /// Where links go.
    pub evidence: Bucket,
    /// What every step is told.
    pub context: RunContext,
    /// The function's environment.
    pub environment: BTreeMap<String, String>,
}

impl Run {
    /// A run that takes all of a Hub's `main`.
    pub async fn of(hub: &Hub) -> Self {
        Self::asking(hub, Asked::default()).await
    }

    /// A run.
    pub async fn asking(hub: &Hub, asked: Asked<'_>) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (account, number) = (account().await, COUNT.fetch_add(1, Ordering::Relaxed));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let work = Bucket::create(account, &http, format!("work-{number}")).await;
        let evidence = Bucket::create(account, &http, format!("evidence-{number}")).await;
        let version = evidence.put("policy/policy.json", testkit::POLICY).await;
        let policy_sha256 = Sha256Digest::of(testkit::POLICY);
        let secret = account.secret(&format!("hub-token-{number}"), asked.token).await;
        let certificates = account.state.path().join("authority.pem");
        let environment = [
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", REGION),
            ("AWS_ENDPOINT_URL", account.ministack.url()),
            ("SSL_CERT_FILE", certificates.to_str().unwrap()),
            ("LOCKSTEP_WORK_BUCKET", &work.name),
            ("LOCKSTEP_EVIDENCE_BUCKET", &evidence.name),
            ("LOCKSTEP_POLICY_VERSION_ID", &version),
            ("LOCKSTEP_POLICY_SHA256", policy_sha256.as_str()),
            ("LOCKSTEP_SIGNING_KEY", &account.signing_key),
            ("LOCKSTEP_DATA_KEY", &account.data_key),
            ("LOCKSTEP_CHECKPOINT_KEY", &account.checkpoint_key),
            ("LOCKSTEP_HUB_TOKEN_SECRET", &secret),
            ("HF_ENDPOINT", hub.url()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let context = admitted(&work, &format!("{number}"), asked, policy_sha256).await;
        Self { account, http, work, evidence, context, environment }
    }

    /// Another run of the same request, in the same buckets.
    pub async fn again(&self, asked: Asked<'_>) -> Self {
        let id = format!("{} again", self.context.run_id);
        let context = admitted(&self.work, &id, asked, self.context.policy_sha256.clone()).await;
        let (http, environment) = (self.http.clone(), self.environment.clone());
        let (work, evidence) = (self.work.clone(), self.evidence.clone());
        Self { account: self.account, http, work, evidence, context, environment }
    }

    /// Its steps.
    pub fn steps(&self) -> Steps<'_> {
        Steps { run: self, function: self.function(), time: LONG }
    }

    /// An execution environment of the function.
    pub fn function(&self) -> Function {
        Function::new(env!("CARGO_BIN_EXE_download-model"), self.environment.clone())
    }

    /// All steps of the download.
    pub async fn acquire(&self) -> Result<SealedModel, Refused> {
        self.steps().acquire().await
    }

    /// Keys that readers of models see.
    pub async fn visible(&self) -> Vec<String> {
        self.work.keys("models/").await
    }

    /// The objects of a sealed or fetched model: path and SHA-256 of what a reader gets.
    pub async fn digests(&self, prefix: &str) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for key in self.work.keys(prefix).await {
            found.insert(key[prefix.len()..].to_owned(), hub::sha256(&self.work.get(&key).await));
        }
        found
    }

    /// Where its checkpoints, progress and plan lie.
    pub fn transfer(&self) -> String {
        format!("{}transfer/", self.context.run_id.prefix())
    }
}

async fn admitted(work: &Bucket, id: &str, asked: Asked<'_>, policy_sha256: Sha256Digest) -> RunContext {
    let mut request: Value = serde_json::from_str(testkit::REQUEST).unwrap();
    let revision = if asked.revision.is_empty() { "main" } else { asked.revision };
    request["source"] =
        json!({ "repo": hub::REPO, "revision": revision, "allow": asked.allow, "deny": asked.deny });
    let run_id = RunId::of(&[&work.name, id]);
    let execution_arn = format!("arn:aws:states:{REGION}:{ACCOUNT_ID}:execution:lockstep:{run_id}");
    let digest = format!("sha256:{}", "3".repeat(64));
    let plan = RunPlan {
        run_id: run_id.clone(),
        execution_arn: execution_arn.clone(),
        request: Request::parse(request.to_string().as_bytes()).unwrap(),
        request_sha256: Sha256Digest::of(request.to_string()),
        policy_sha256: policy_sha256.clone(),
        submitter: None,
        image: ResolvedImage {
            registry_id: ACCOUNT_ID.to_owned(),
            repository: "lockstep/model-container".to_owned(),
            uri: format!("{ACCOUNT_ID}.dkr.ecr.{REGION}.amazonaws.com/lockstep/model-container@{digest}"),
            digest,
        },
        cause: None,
        cost_usd: 1.0,
        cost_items: Vec::new(),
    };
    let (key, bytes) = (format!("{}plan.json", run_id.prefix()), serde_json::to_vec(&plan).unwrap());
    let plan = ObjectRef { bucket: work.name.clone(), key: key.clone(), sha256: Sha256Digest::of(&bytes) };
    work.put(&key, bytes).await;
    let limits = Limits {
        scan_seconds: 900,
        training_seconds: 3600,
        evaluation_seconds: 1800,
        approval_seconds: 86400,
        smoke_test_seconds: 3600,
        deployment_seconds: 3600,
        heartbeat_seconds: 900,
    };
    let link =
        LinkRef { key: format!("{}admit-run/link.json", run_id.prefix()), sha256: Sha256Digest::of("link") };
    RunContext {
        run_id,
        execution_arn,
        plan,
        policy_sha256,
        endpoint: "tiny-lm".to_owned(),
        promoted: false,
        smoke_tested: false,
        limits,
        link,
    }
}

/// How a step ended a run.
#[derive(Debug)]
pub struct Refused {
    /// The step.
    pub step: &'static str,
    /// The name that the state machine matches.
    pub name: String,
    /// For people.
    pub message: String,
}

impl Refused {
    /// Whether the state machine asks again by itself.
    pub fn is_retried(&self) -> bool {
        matches!(self.name.as_str(), "SourceUnavailable" | "ServiceUnavailable")
    }
}

/// The download's steps, by one execution environment of the function.
pub struct Steps<'a> {
    run: &'a Run,
    /// Which environment.
    pub function: Function,
    /// Each invocation's time.
    pub time: Duration,
}

impl Steps<'_> {
    async fn invoke<T: DeserializeOwned>(&mut self, step: &'static str, rest: Value) -> Result<T, Refused> {
        let payload = self.payload(step, rest);
        let answer = self.function.invoke(&payload, self.time).await.unwrap();
        let log = self.function.log();
        // Invariant 7, whatever a test is about.
        for secret in [TOKEN, SIGNATURE] {
            assert!(!log.contains(secret) && !format!("{answer:?}").contains(secret), "{secret} was told");
        }
        match answer {
            Answer::Success(output) => Ok(serde_json::from_value(output).unwrap()),
            Answer::Failure { error_type: name, error_message: message } => {
                Err(Refused { step, name, message })
            }
            other => panic!("{step}: {other:?}\n{log}"),
        }
    }

    /// What the state machine would invoke a step with.
    pub fn payload(&self, step: &str, rest: Value) -> Value {
        let mut payload = rest;
        payload["step"] = step.into();
        payload["run"] = json!(self.run.context);
        payload
    }

    /// What the state machine would invoke FetchBatch with.
    pub fn fetch_payload(&self, resolved: &ResolvedModel, batch: usize) -> Value {
        self.payload("FetchBatch", json!({ "transfer": resolved.transfer, "batch": batch }))
    }

    /// ResolveModel.
    pub async fn resolve(&mut self) -> Result<ResolvedModel, Refused> {
        let resolved: ResolvedModel = self.invoke("ResolveModel", json!({})).await?;
        assert!(resolved.batches.len() <= 40, "{} batches", resolved.batches.len());
        Ok(resolved)
    }

    /// FetchBatch, once.
    pub async fn fetch_once(
        &mut self,
        resolved: &ResolvedModel,
        batch: usize,
    ) -> Result<FetchedBatch, Refused> {
        self.invoke("FetchBatch", json!({ "transfer": resolved.transfer, "batch": batch })).await
    }

    /// FetchBatch until the batch is done; gives how many invocations that took.
    pub async fn fetch(&mut self, resolved: &ResolvedModel, batch: usize) -> Result<usize, Refused> {
        for count in 1..=INVOCATIONS_MAX {
            if self.fetch_once(resolved, batch).await?.done {
                return Ok(count);
            }
        }
        panic!("batch {batch} is not done after {INVOCATIONS_MAX} invocations\n{}", self.function.log());
    }

    /// SealModel.
    pub async fn seal(&mut self, resolved: &ResolvedModel) -> Result<SealedModel, Refused> {
        self.invoke("SealModel", json!({ "transfer": resolved.transfer })).await
    }

    /// All of them.
    pub async fn acquire(&mut self) -> Result<SealedModel, Refused> {
        let resolved = self.resolve().await?;
        for batch in resolved.batches.clone() {
            self.fetch(&resolved, batch).await?;
        }
        self.seal(&resolved).await
    }
}
