//! Each role starts with nothing, and is given a grant only once its function failed for want of it.
//!
//! The account asks before it invokes a function, and when one failed. A function that was denied a call is given the
//! grant that would have let it through, and invoked once more. So a grant that is given at the end was demanded: without
//! it, and with every other that was needed until then, the function had failed with `AccessDenied`. A grant that is not
//! given at the end was never demanded.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::{Json, Router, extract::State, routing::post};
use local::wire::Wire;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::grants::{Call, Grant, Policy};
use crate::secrets;
use crate::table::Table;

/// What a role was seen to need.
#[derive(Debug, Default)]
pub struct Role {
    /// As Terraform deployed it.
    pub policy: Option<Policy>,
    /// Grants without which its function failed.
    pub demanded: BTreeSet<Grant>,
    /// Calls that were let through.
    pub calls: BTreeSet<Call>,
    /// Calls that no grant of the policy would let through.
    pub missing: BTreeSet<Call>,
    /// Calls whose denial the function did not answer by failing with `AccessDenied`, and what it answered.
    pub swallowed: BTreeSet<(Call, String)>,
}

#[derive(Debug, Default)]
struct Account {
    root: Option<Wire>,
    decisions: PathBuf,
    /// Bytes of the decisions that were read.
    read: u64,
    /// Denials that no failure has explained yet, by role.
    denied: BTreeMap<String, BTreeSet<Call>>,
}

/// The rehearsal of every account that was started with its URL.
#[derive(Debug)]
pub struct Rehearsal {
    table: Table,
    state: Mutex<(Account, BTreeMap<String, Role>)>,
    /// Every task token that was seen in the table of waits.
    task_tokens: Mutex<BTreeSet<String>>,
}

#[derive(Deserialize)]
struct Question {
    function: String,
    moment: String,
    error: Option<String>,
    decisions: PathBuf,
    endpoint: String,
}

impl Rehearsal {
    /// Listens on a free port; the URL that an account is started with.
    pub async fn start(table: Table) -> (Arc<Self>, String) {
        let rehearsal = Arc::new(Self { table, state: Mutex::default(), task_tokens: Mutex::default() });
        let listener =
            tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let router = Router::new().route("/", post(asked)).with_state(Arc::clone(&rehearsal));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (rehearsal, url)
    }

    /// What every role needed, once no account asks any more.
    pub async fn roles(&self) -> BTreeMap<String, Role> {
        let mut state = self.state.lock().await;
        let (account, roles) = &mut *state;
        settle(account, roles);
        std::mem::take(roles)
    }

    /// Every task token that a function recorded so far.
    pub async fn task_tokens(&self) -> BTreeSet<String> {
        self.task_tokens.lock().await.clone()
    }

    async fn answer(&self, question: Question) -> &'static str {
        if question.moment == "succeeded" {
            // Before the wait ends: a token lies in the table for no longer than that.
            let root = Wire::new(&question.endpoint, local::REGION, "test");
            self.task_tokens.lock().await.extend(secrets::task_tokens(&root).await);
            // A launcher that is repeated when its resource is ready answers by itself.
            ready(&question).await;
        }
        let mut state = self.state.lock().await;
        let (account, roles) = &mut *state;
        if account.decisions != question.decisions {
            settle(account, roles);
            *account = Account {
                root: Some(Wire::new(&question.endpoint, local::REGION, "test")),
                decisions: question.decisions.clone(),
                ..Account::default()
            };
            for (role, policy) in deployed(&question.decisions.with_file_name("terraform.tfstate")) {
                roles.entry(role.clone()).or_default().policy = Some(policy);
                if self.table.service(&role).is_none() {
                    self.put(account, roles, &role).await;
                }
            }
        }
        read(account, roles);
        let role = &question.function;
        match question.moment.as_str() {
            "failed" => {
                self.failed(account, roles, role, question.error.as_deref().unwrap_or_default()).await
            }
            // AWS delivers twice: the second finds what the first made, and needs other calls for it.
            "succeeded" => "again",
            _ => "",
        }
    }

    async fn failed(
        &self,
        account: &mut Account,
        roles: &mut BTreeMap<String, Role>,
        name: &str,
        error: &str,
    ) -> &'static str {
        let denied = account.denied.remove(name).unwrap_or_default();
        let Some(role) = roles.get_mut(name) else { return "" };
        let Some(policy) = role.policy.clone() else { return "" };
        let mut given = false;
        for call in denied {
            if error != "AccessDenied" {
                role.swallowed.insert((call.clone(), error.to_owned()));
            }
            let letting = policy.letting(&call);
            match letting.iter().find(|grant| !role.demanded.contains(grant)) {
                Some(grant) => given |= role.demanded.insert(grant.clone()),
                // Denied for another reason than the want of a grant.
                None if letting.is_empty() => drop(role.missing.insert(call)),
                None => {}
            }
        }
        if given {
            self.put(account, roles, name).await;
        }
        if given { "again" } else { "" }
    }

    /// Gives the role what was demanded, and what nobody can see being used.
    async fn put(&self, account: &Account, roles: &BTreeMap<String, Role>, name: &str) {
        let Some(role) = roles.get(name) else { return };
        let (Some(policy), Some(root)) = (&role.policy, &account.root) else { return };
        let document =
            policy.only(|grant| role.demanded.contains(grant) || self.table.implied(&grant.action).is_some());
        let document = document.to_string();
        let parameters = [("RoleName", name), ("PolicyName", "permissions"), ("PolicyDocument", &document)];
        root.query("iam", "2010-05-08", "PutRolePolicy", &parameters)
            .await
            .expect("the role's policy is replaced");
    }
}

/// Waits until nothing that a launcher starts is in progress any more.
async fn ready(question: &Question) {
    let lists = match question.function.split_once('-').map(|(_, verb)| verb) {
        Some("launch-training") => ("ListTrainingJobs", "TrainingJobSummaries", "InProgress"),
        Some("evaluate-model") => ("ListProcessingJobs", "ProcessingJobSummaries", "InProgress"),
        Some("deploy-endpoint") => ("ListEndpoints", "Endpoints", "Creating"),
        _ => return,
    };
    let (operation, member, status) = lists;
    let root = Wire::new(&question.endpoint, local::REGION, "test");
    for _ in 0..600 {
        let target = format!("SageMaker.{operation}");
        let listed = root.json("sagemaker", &target, &serde_json::json!({ "StatusEquals": status })).await;
        if listed.is_ok_and(|listed| listed[member].as_array().is_none_or(Vec::is_empty)) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

async fn asked(State(rehearsal): State<Arc<Rehearsal>>, Json(question): Json<Question>) -> &'static str {
    rehearsal.answer(question).await
}

/// Reads the decisions since the last time.
fn read(account: &mut Account, roles: &mut BTreeMap<String, Role>) {
    let Ok(mut file) = std::fs::File::open(&account.decisions) else { return };
    if file.seek(SeekFrom::Start(account.read)).is_err() {
        return;
    }
    let mut lines = BufReader::new(file);
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|count| count > 0 && line.ends_with('\n')) {
        account.read += line.len() as u64;
        if let Ok(decision) = serde_json::from_str::<Value>(&line) {
            let text = |member: &str| decision[member].as_str().unwrap_or_default().to_owned();
            let role = text("principal").split('/').nth(1).unwrap_or_default().to_owned();
            let call = Call { action: text("action"), resource: text("resource") };
            if decision["allowed"] == true {
                roles.entry(role).or_default().calls.insert(call);
            } else {
                account.denied.entry(role).or_default().insert(call);
            }
        }
        line.clear();
    }
}

/// Denials that no function failed for were swallowed.
fn settle(account: &mut Account, roles: &mut BTreeMap<String, Role>) {
    read(account, roles);
    for (role, calls) in std::mem::take(&mut account.denied) {
        let role = roles.entry(role).or_default();
        role.swallowed.extend(calls.into_iter().map(|call| (call, "nothing".to_owned())));
    }
}

/// The policy of every role, from Terraform's own state.
fn deployed(state: &Path) -> Vec<(String, Policy)> {
    let state: Value = std::fs::read(state)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_else(|| panic!("Terraform's state cannot be read: {}", state.display()));
    state["resources"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|resource| resource["type"] == "aws_iam_role_policy")
        .flat_map(|resource| resource["instances"].as_array().into_iter().flatten())
        .map(|instance| {
            let attribute = |name: &str| instance["attributes"][name].as_str().unwrap_or_default();
            let document = serde_json::from_str(attribute("policy")).expect("a policy is JSON");
            (attribute("role").to_owned(), Policy::of(&document))
        })
        .collect()
}
