//! Secrets that are known, looked for in everything that an account wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use aho_corasick::AhoCorasick;
use aws_sdk_s3::config::Credentials;
use base64::{Engine as _, engine::general_purpose};
use contract::Sha256Digest;
use local::{
    Connection, Identity,
    wire::{self, Wire},
};
use serde_json::{Value, json};

/// The Hub's token, as it is planted: nothing else is called so. A sign that a URL escapes is in it.
pub const HUB_TOKEN: &str = "hf_CanaryOfTheRehearsal+/1";

/// Files of an account that hold no output of anything: keys that are its users' own, and programs.
const NOT_WRITTEN: [&str; 4] = ["account.json", "zips", "image", "tmp"];

/// What an account writes, each of which must have been looked at.
pub const WRITTEN: [&str; 8] = [
    "the object",
    "the metadata of",
    "the execution",
    "the history of",
    "the log",
    "a message of",
    "an item of",
    "the file",
];

/// What the name of a user's own key begins with.
pub const USERS_KEY: &str = "the key of";

/// Secrets by name.
pub type Secrets = BTreeMap<String, String>;

/// The credentials of every function, as the launcher of the local account derives them.
pub fn credentials(connection: &Connection) -> Secrets {
    let state = std::fs::read(connection.state_dir.join("terraform.tfstate")).expect("Terraform's state");
    let state: Value = serde_json::from_slice(&state).expect("JSON");
    let calls = std::fs::read_to_string(connection.state_dir.join("calls.jsonl")).expect("the calls");
    let mut secrets = Secrets::new();
    for resource in state["resources"].as_array().into_iter().flatten() {
        if resource["type"] != "aws_lambda_function" {
            continue;
        }
        for instance in resource["instances"].as_array().into_iter().flatten() {
            let text = |name: &str| instance["attributes"][name].as_str().unwrap_or_default();
            let digest = Sha256Digest::of(format!("{}:{}", text("arn"), text("role")).as_bytes());
            let key = format!("ASIA{}", digest.as_str()[..16].to_uppercase());
            // Else the launcher has come to derive them otherwise, and these are nobody's.
            assert!(calls.contains(&key), "{} never called anything as {key}", text("function_name"));
            for kind in ["secret", "token"] {
                let value = Sha256Digest::of(format!("{kind}:{}", digest.as_str()).as_bytes());
                let name = format!("the {kind} of the credentials of {}", text("function_name"));
                secrets.insert(name, value.as_str().to_owned());
            }
        }
    }
    for who in [Identity::Submitter, Identity::Approver, Identity::DataSteward] {
        let keys = connection.keys(who);
        secrets.insert(format!("{USERS_KEY} {}", keys.arn), keys.secret_access_key.clone());
    }
    secrets
}

/// Task tokens of the waits that an account's table holds now.
pub async fn task_tokens(root: &Wire) -> BTreeSet<String> {
    let items = items(root, "lockstep-coordination").await.unwrap_or_default();
    items.iter().filter_map(|item| Some(item["token"]["S"].as_str()?.to_owned())).collect()
}

/// Every form in which a text may lie in another: as it is, escaped in a URL, in hexadecimal, and within base64, where a
/// third of its forms starts at each of three places in a group.
fn forms(secret: &str) -> BTreeSet<Vec<u8>> {
    let bytes = secret.as_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let escaped: String = bytes
        .iter()
        .map(|&byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let slashes = escaped.replace("%2F", "/");
    let lower = escaped.replace("%2B", "%2b").replace("%2F", "%2f").replace("%3D", "%3d");
    let json = secret.replace('/', r"\/");
    let mut forms: BTreeSet<Vec<u8>> =
        [secret.to_owned(), hex.to_uppercase(), hex, escaped, slashes, lower, json]
            .map(String::into_bytes)
            .into();
    for before in 0..3 {
        let mut group = vec![0; before];
        group.extend(bytes);
        // Characters that hold bits of the secret alone.
        let (first, last) = ((before * 8).div_ceil(6), group.len() * 8 / 6);
        for engine in [general_purpose::STANDARD, general_purpose::URL_SAFE] {
            let encoded = engine.encode(&group);
            forms.insert(encoded.as_bytes()[first..last].to_vec());
            forms.insert(encoded[first..last].replace('+', "%2B").replace('/', "%2F").into_bytes());
        }
    }
    forms
}

/// Looks for secrets.
pub struct Search {
    names: Vec<String>,
    patterns: AhoCorasick,
    /// Where which secret was found.
    pub found: BTreeSet<String>,
    /// Places that were looked at, by what they belong to, and their bytes.
    pub looked_at: BTreeMap<&'static str, (usize, usize)>,
}

impl Search {
    /// For these.
    pub fn of(secrets: &Secrets) -> Self {
        let (mut names, mut patterns) = (Vec::new(), Vec::new());
        for (name, secret) in secrets {
            assert!(secret.len() >= 16, "{name} is too short to be told from other text");
            for form in forms(secret) {
                names.push(name.clone());
                patterns.push(form);
            }
        }
        let patterns = AhoCorasick::new(patterns).expect("patterns");
        Self { names, patterns, found: BTreeSet::new(), looked_at: BTreeMap::new() }
    }

    /// Looks at what lies at a place.
    pub fn look(&mut self, kind: &'static str, place: &str, bytes: &[u8]) {
        let (places, total) = self.looked_at.entry(kind).or_default();
        *places += 1;
        *total += bytes.len();
        for found in self.patterns.find_overlapping_iter(bytes) {
            self.found.insert(format!("{} is in {kind} {place}", self.names[found.pattern().as_usize()]));
        }
    }

    /// Looks at everything that an account keeps, and at its logs.
    pub async fn account(&mut self, connection: &Connection) {
        let root = Wire::new(&connection.endpoint, &connection.region, "test");
        self.objects(connection).await;
        self.executions(&root).await;
        self.function_logs(&root).await;
        self.queues(&root).await;
        self.tables(&root).await;
        self.files(&connection.state_dir);
    }

    async fn objects(&mut self, connection: &Connection) {
        let config = connection.sdk_config(Identity::Submitter).await;
        let keys = Credentials::new("test", "test", None, None, "the account's root");
        let config = aws_sdk_s3::config::Builder::from(&config).credentials_provider(keys);
        let s3 = aws_sdk_s3::Client::from_conf(config.force_path_style(true).build());
        let buckets = s3.list_buckets().send().await.expect("buckets can be listed");
        for bucket in buckets.buckets().iter().filter_map(|bucket| bucket.name()) {
            let (mut key_marker, mut version_marker) = (None, None);
            loop {
                let page = s3.list_object_versions().bucket(bucket);
                let page = page.set_key_marker(key_marker).set_version_id_marker(version_marker);
                let page = page.send().await.expect("versions can be listed");
                for version in page.versions() {
                    let (key, id) = (version.key().expect("a key"), version.version_id());
                    let get = s3.get_object().bucket(bucket).key(key).set_version_id(id.map(str::to_owned));
                    let object = get.send().await.expect("an object can be read");
                    let place = format!("{bucket}/{key} {}", id.unwrap_or_default());
                    self.look("the metadata of", &place, format!("{key} {:?}", object.metadata()).as_bytes());
                    let bytes = object.body.collect().await.expect("its bytes").into_bytes();
                    self.look("the object", &place, &bytes);
                }
                if page.is_truncated() != Some(true) {
                    break;
                }
                key_marker = page.next_key_marker;
                version_marker = page.next_version_id_marker;
            }
        }
    }

    async fn executions(&mut self, root: &Wire) {
        let states = async |operation: &str, input: Value| {
            root.json("states", &format!("AWSStepFunctions.{operation}"), &input).await.expect("an answer")
        };
        for machine in members(&states("ListStateMachines", json!({})).await, "stateMachines") {
            let listed =
                states("ListExecutions", json!({ "stateMachineArn": machine["stateMachineArn"] })).await;
            for execution in members(&listed, "executions") {
                let arn = json!({ "executionArn": execution["executionArn"] });
                let place = execution["name"].as_str().unwrap_or_default().to_owned();
                let described = states("DescribeExecution", arn.clone()).await;
                self.look("the execution", &place, described.to_string().as_bytes());
                let mut ask = arn;
                loop {
                    let page = states("GetExecutionHistory", ask.clone()).await;
                    for event in members(&page, "events") {
                        self.look("the history of", &place, event.to_string().as_bytes());
                    }
                    ask["nextToken"] = page["nextToken"].clone();
                    if ask["nextToken"].is_null() {
                        break;
                    }
                }
            }
        }
    }

    async fn function_logs(&mut self, root: &Wire) {
        let logs = async |operation: &str, input: Value| {
            root.json("logs", &format!("Logs_20140328.{operation}"), &input).await.expect("an answer")
        };
        for group in members(&logs("DescribeLogGroups", json!({})).await, "logGroups") {
            let name = group["logGroupName"].as_str().unwrap_or_default().to_owned();
            let mut ask = json!({ "logGroupName": name });
            loop {
                let page = logs("FilterLogEvents", ask.clone()).await;
                for event in members(&page, "events") {
                    self.look("the log", &name, event["message"].as_str().unwrap_or_default().as_bytes());
                }
                ask["nextToken"] = page["nextToken"].clone();
                if ask["nextToken"].is_null() {
                    break;
                }
            }
        }
    }

    /// Notifications that the account keeps, and dead letters.
    async fn queues(&mut self, root: &Wire) {
        let sqs = async |operation: &str, input: Value| {
            root.json("sqs", &format!("AmazonSQS.{operation}"), &input).await.expect("an answer")
        };
        for url in members(&sqs("ListQueues", json!({})).await, "QueueUrls") {
            let ask = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 600 });
            loop {
                let received = sqs("ReceiveMessage", ask.clone()).await;
                let messages = members(&received, "Messages");
                if messages.is_empty() {
                    break;
                }
                for message in messages {
                    self.look(
                        "a message of",
                        url.as_str().unwrap_or_default(),
                        message.to_string().as_bytes(),
                    );
                }
            }
        }
    }

    /// All but the task tokens of waits, which have their place there.
    async fn tables(&mut self, root: &Wire) {
        let listed = root.json("dynamodb", "DynamoDB_20120810.ListTables", &json!({})).await;
        for table in members(&listed.expect("tables can be listed"), "TableNames") {
            let table = table.as_str().unwrap_or_default();
            for mut item in items(root, table).await.expect("a table can be read") {
                if let Some(attributes) = item.as_object_mut()
                    && attributes.get("pk") == Some(&json!({ "S": "wait" }))
                {
                    attributes.remove("token");
                }
                self.look("an item of", table, item.to_string().as_bytes());
            }
        }
    }

    /// Looks at every file below a folder.
    pub fn files(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).expect("the account's folder").flatten() {
            let path = entry.path();
            if NOT_WRITTEN.contains(&entry.file_name().to_string_lossy().as_ref()) {
                continue;
            }
            if path.is_dir() {
                self.files(&path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                self.look("the file", &path.display().to_string(), &bytes);
            }
        }
    }
}

fn members(answer: &Value, name: &str) -> Vec<Value> {
    answer[name].as_array().cloned().unwrap_or_default()
}

async fn items(root: &Wire, table: &str) -> Result<Vec<Value>, wire::Error> {
    let mut ask = json!({ "TableName": table, "ConsistentRead": true });
    let mut items = Vec::new();
    loop {
        let page = root.json("dynamodb", "DynamoDB_20120810.Scan", &ask).await?;
        items.extend(members(&page, "Items"));
        ask["ExclusiveStartKey"] = page["LastEvaluatedKey"].clone();
        if ask["ExclusiveStartKey"].is_null() {
            return Ok(items);
        }
    }
}

#[test]
fn a_secret_is_found_in_every_form() {
    let secrets: Secrets = [("the token".to_owned(), HUB_TOKEN.to_owned())].into();
    let standard = &general_purpose::STANDARD;
    let mut hidden: Vec<String> = (0..6)
        .map(|before| standard.encode(format!("{}{HUB_TOKEN}{}", "x".repeat(before), "y".repeat(before))))
        .collect();
    hidden.push(general_purpose::URL_SAFE_NO_PAD.encode(format!("Bearer {HUB_TOKEN}")));
    hidden.push("hf_CanaryOfTheRehearsal%2B%2F1".to_owned());
    hidden.push("hf_CanaryOfTheRehearsal%2b%2f1".to_owned());
    hidden.push(json!({ "token": HUB_TOKEN }).to_string());
    for text in hidden {
        let mut search = Search::of(&secrets);
        search.look("the log", "x", format!("before {text} after").as_bytes());
        assert_eq!(search.found.len(), 1, "{text}");
    }
    let mut search = Search::of(&secrets);
    search.look("the log", "x", b"hf_CanaryOfTheRehearsa and aGZfQ2FuYXJ5T2");
    assert!(search.found.is_empty());
}
