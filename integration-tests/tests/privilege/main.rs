//! Least privilege, proven: what a role may do is what its function was seen to need.
//!
//! Since every call of every function is made here, two more things are shown of all of them: what they send follows the
//! services' own models, and none of it, nor anything else that is written, holds a secret.

mod grants;
mod rehearsal;
mod requests;
mod secrets;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::{Demo, Evidence, Finished, Kept, lockstep, promote, root, said};
use local::{Identity, wire::Wire};
use serde_json::{Value, json};

use crate::grants::{Grant, Policy};
use crate::rehearsal::{Rehearsal, Role};
use crate::requests::{Recording, Verdict};
use crate::secrets::{HUB_TOKEN, Search};
use crate::table::Table;

/// Runs that together go through every call, beside one that serves and is promoted: something else happens in each.
const SCENARIOS: [(&[&str], Option<&str>); 3] = [
    (&["--break", "tampered-weights"], Some("DigestMismatch")),
    (&["--break", "endpoint-rolls-back"], Some("DeploymentRolledBack")),
    (&["--break", "training-crash"], Some("TrainingFailed")),
];

/// A wait may run out while the function that keeps it alive is being denied one call after the other. What was
/// demanded stays given, so the same run fares better the next time.
const TRIES: usize = 3;

#[test]
fn invariant_08_what_a_role_may_do_is_what_its_function_needs() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (rehearsal, url) = runtime.block_on(Rehearsal::start(Table::read()));
    let stage = Stage { runtime: &runtime, rehearsal: &rehearsal, url, recording: Recording::start() };
    let served = (1..TRIES).map(|_| serve_and_promote(&stage)).find(Result::is_ok);
    let mut faults = served
        .unwrap_or_else(|| serve_and_promote(&stage))
        .expect("a run serves, is promoted, rolled back and isolated");
    for (scenario, error) in SCENARIOS {
        let run = || stage.on(Demo::new(scenario)).run();
        let ended = |finished: &Finished| finished.summary["error"].as_str() == error;
        let last = (1..TRIES).map(|_| run()).find(&ended).unwrap_or_else(run);
        assert!(ended(&last), "{scenario:?}\n{}", last.output);
    }
    let roles = runtime.block_on(rehearsal.roles());
    let table = Table::read();
    let report: BTreeMap<&String, Value> =
        roles.iter().filter_map(|(name, role)| Some((name, report(&table, name, role)?))).collect();
    let path = root().join("target/least-privilege.json");
    let text = serde_json::to_string_pretty(&report).expect("a report");
    std::fs::create_dir_all(root().join("target")).expect("the target folder");
    std::fs::write(&path, text + "\n").expect("the report is written");

    let verdict = runtime.block_on(stage.recording.judge());
    faults.extend(unsound(&table, &verdict, &roles));
    for (role, report) in &report {
        for kind in ["unused", "missing", "swallowed", "wildcards", "idle_exceptions"] {
            for fault in report[kind].as_array().into_iter().flatten() {
                faults.push(format!("{role}: {kind}: {fault}"));
            }
        }
    }
    assert!(faults.is_empty(), "{} (the whole report: target/least-privilege.json)", faults.join("\n"));
}

/// What every account here is started with.
struct Stage<'a> {
    runtime: &'a tokio::runtime::Runtime,
    rehearsal: &'a Rehearsal,
    url: String,
    recording: Recording,
}

impl Stage<'_> {
    fn on(&self, demo: Demo) -> Demo {
        demo.with("LOCKSTEP_REHEARSAL_URL", &self.url)
            .with("LOCKSTEP_RECORD_REQUESTS", &self.recording.path().display().to_string())
    }
}

/// A run that serves, one that its traffic's drift starts, one that takes its model over, and what happens when that goes
/// wrong. What is found of the secrets that were planted meanwhile.
fn serve_and_promote(stage: &Stage<'_>) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let variables = folder.path().join("planted.tfvars");
    let small = std::fs::read_to_string(root().join("integration-tests/small.tfvars")).expect("variables");
    let planted = format!("{small}\nhub_token = \"{HUB_TOKEN}\"\nhub_token_version = 1\n");
    std::fs::write(&variables, planted).expect("the variables are written");
    let demo = Demo::whole(&["--drift", "--var-file", &variables.display().to_string()]);
    let kept = stage.on(demo).keep();
    if kept.summary["status"] != "SUCCEEDED" {
        return Err(kept.summary.to_string());
    }
    let run = kept.summary["run_id"].as_str().unwrap_or_default().to_owned();
    let (code, mut told) = promote(&run, &kept.connection, &kept.connection);
    if code != Some(0) {
        return Err(told);
    }
    told += &stage.runtime.block_on(go_wrong(&kept, &run))?;
    Ok(secrets_in_what_was_written(stage, kept, &run, &told))
}

/// The Hub's token, task tokens and credentials, in whatever the account and the program wrote.
fn secrets_in_what_was_written(stage: &Stage<'_>, kept: Kept, run: &str, told: &str) -> Vec<String> {
    let connection = kept.connection.clone();
    let tokens = stage.runtime.block_on(stage.rehearsal.task_tokens());
    // Five kinds of waits, each replaced when its launcher is repeated.
    assert!(tokens.len() >= 5, "only {} task tokens were seen", tokens.len());
    let mut planted = secrets::credentials(&connection);
    planted.insert("the Hub's token".to_owned(), HUB_TOKEN.to_owned());
    planted
        .extend(tokens.into_iter().enumerate().map(|(place, token)| (format!("task token {place}"), token)));

    let mut search = Search::of(&planted);
    stage.runtime.block_on(search.account(&connection));
    let folder = tempfile::tempdir().expect("a folder");
    let export = folder.path().join("exported");
    let exported =
        lockstep(&["export", run, &export.display().to_string(), "--endpoint-url", &connection.endpoint]);
    assert!(exported.status.success(), "{}", said(&exported));
    search.files(folder.path());
    let requests = std::fs::read(stage.recording.path()).expect("the requests");
    search.look("what functions sent", "", &requests);
    let (_, printed) = kept.interrupt();
    // A kept account shows its users' own keys to whoever runs it.
    planted.retain(|name, _| !name.starts_with(secrets::USERS_KEY));
    let mut shown = Search::of(&planted);
    shown.look("what the program printed", "", format!("{printed}{told}{}", said(&exported)).as_bytes());
    for kind in secrets::WRITTEN {
        let (places, bytes) = search.looked_at.get(kind).copied().unwrap_or_default();
        assert!(places > 0 && bytes > 0, "{kind} was not looked at: {:?}", search.looked_at);
    }
    search.found.into_iter().chain(shown.found).collect()
}

/// Requests that AWS would refuse or that nobody judged, and permissions without which a function failed though no request
/// that was judged needs them.
fn unsound(table: &Table, verdict: &Verdict, roles: &BTreeMap<String, Role>) -> Vec<String> {
    let mut faults: Vec<String> = verdict.faults.iter().map(|fault| format!("request: {fault}")).collect();
    faults.extend(verdict.unchecked.iter().map(|what| format!("request that nobody judged: {what}")));
    for (name, role) in roles {
        let seen = verdict.seen.get(name);
        let actions: BTreeSet<&str> = role.demanded.iter().map(|grant| grant.action.as_str()).collect();
        for action in actions {
            let mut shown = table.shown_by(action);
            if !shown.any(|operation| seen.is_some_and(|seen| seen.contains_key(operation))) {
                faults
                    .push(format!("{name}: {action} was demanded, and no request that needs it was judged"));
            }
        }
    }
    faults
}

/// What serves is scanned anew, found to be bad, rolled back, and isolated by hand.
/// What the program said.
async fn go_wrong(kept: &Kept, first: &str) -> Result<String, String> {
    const FUNCTION: &str = "lockstep-respond-incident";
    const ALARM: &str = "lockstep-tiny-lm-5xx";
    let connection = &kept.connection;
    let account = Evidence::of(connection, Identity::Submitter).await;
    let root = Wire::new(&connection.endpoint, &connection.region, "test");
    let invoke = async |event: Value| {
        root.invoke_function(FUNCTION, &event).await.map(drop).map_err(|error| error.to_string())
    };
    invoke(json!({ "rescan": true })).await?;
    let described = account.sagemaker.describe_endpoint().endpoint_name("tiny-lm").send().await;
    let described = described.map_err(|error| format!("{error:?}"))?;
    let image = described.production_variants().iter().flat_map(|variant| variant.deployed_images()).next();
    let image = image.and_then(|image| image.resolved_image()).unwrap_or_default();
    let (repository, digest) =
        image.split_once('/').and_then(|(_, rest)| rest.split_once('@')).unwrap_or_default();
    let event = |kind: &str, detail: Value| json!({ "id": kind, "detail-type": kind, "detail": detail });
    invoke(event("ECR Image Scan", json!({ "repository-name": repository, "image-digest": digest }))).await?;
    let ring = [("AlarmName", ALARM), ("StateValue", "ALARM"), ("StateReason", "a test says so")];
    root.query("monitoring", "2010-08-01", "SetAlarmState", &ring)
        .await
        .map_err(|error| error.to_string())?;
    invoke(event("CloudWatch Alarm State Change", json!({ "alarmName": ALARM }))).await?;
    let serves = async || {
        let described = account.sagemaker.describe_endpoint().endpoint_name("tiny-lm").send().await.ok()?;
        (described.endpoint_status()?.as_str() == "InService").then_some(described.endpoint_config_name?)
    };
    let mut left = Some(format!("lockstep-{first}"));
    let mut told = String::new();
    for _ in 0..600 {
        let now = serves().await;
        if now.is_some() && now == left {
            // It goes back once more, to the version before the drift, and from there to nothing.
            let asked =
                ["rollback", "tiny-lm", "--isolate", "--reason", "r", "--endpoint-url", &connection.endpoint];
            let output = lockstep(&asked);
            if !output.status.success() {
                return Err(said(&output));
            }
            told = said(&output);
            left = None;
        } else if left.is_none() && now.is_some() {
            left = now;
        } else if left.is_none()
            && account.sagemaker.describe_endpoint().endpoint_name("tiny-lm").send().await.is_err()
        {
            return Ok(told);
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Err("the endpoint was not rolled back, and then isolated".to_owned())
}

#[test]
fn every_line_of_the_table_has_a_reason() {
    assert!(Table::read().reasons().all(|reason| reason.len() > 20));
}

/// What is granted, used, unused, missing and excepted, for a role.
fn report(table: &Table, name: &str, role: &Role) -> Option<Value> {
    let policy = role.policy.as_ref()?;
    let granted: BTreeSet<Grant> = policy.grants().collect();
    let wildcards: Vec<String> = granted
        .iter()
        .filter(|grant| {
            policy.resources(&grant.sid).contains(&"*") && table.without_resource(&grant.action).is_none()
        })
        .map(ToString::to_string)
        .collect();
    if let Some(reason) = table.service(name) {
        return Some(json!({
            "granted": texts(&granted), "used": [], "unused": [], "missing": [], "wildcards": wildcards,
            "exceptions": [{ "grant": "all of them", "because": reason }],
        }));
    }
    let called = |action: &String| role.calls.iter().any(|call| call.action == *action);
    let used: BTreeSet<Grant> = granted
        .iter()
        .filter(|grant| {
            role.demanded.contains(grant)
                || table
                    .implied(&grant.action)
                    .is_some_and(|implied| implied.by.is_empty() || implied.by.iter().any(called))
        })
        .cloned()
        .collect();
    let excepted: BTreeMap<Grant, &str> = table
        .exceptions(name)
        .map(|exception| {
            let grant = Grant { sid: exception.sid.clone(), action: exception.action.clone() };
            (grant, exception.because.as_str())
        })
        .collect();
    let unused: BTreeSet<Grant> = granted
        .iter()
        .filter(|grant| !used.contains(grant) && !excepted.contains_key(grant))
        .cloned()
        .collect();
    // A rare path may be taken by chance, so an exception that was used is none the worse.
    let idle: Vec<String> =
        excepted.keys().filter(|grant| !granted.contains(grant)).map(ToString::to_string).collect();
    Some(json!({
        "granted": texts(&granted),
        "used": texts(&used),
        "unused": unused.iter().map(ToString::to_string).chain(unreached(policy, role, table)).collect::<Vec<_>>(),
        "missing": role.missing.iter().map(|call| format!("{} on {}", call.action, call.resource)).collect::<Vec<_>>(),
        "swallowed": role
            .swallowed
            .iter()
            .map(|(call, answer)| format!("{} on {} was denied, and the function answered {answer}", call.action, call.resource))
            .collect::<Vec<_>>(),
        "wildcards": wildcards,
        "exceptions": excepted
            .iter()
            .map(|(grant, because)| json!({ "grant": grant.to_string(), "because": because }))
            .collect::<Vec<_>>(),
        "idle_exceptions": idle,
    }))
}

/// Resources that a statement names and none of whose calls reached.
fn unreached(policy: &Policy, role: &Role, table: &Table) -> Vec<String> {
    let statements: BTreeSet<String> = role.demanded.iter().map(|grant| grant.sid.clone()).collect();
    statements
        .iter()
        .flat_map(|sid| policy.resources(sid).into_iter().map(move |resource| (sid, resource)))
        // Each account has keys of its own.
        .filter(|(_, resource)| !resource.contains(":key/"))
        .filter(|(sid, resource)| {
            let alone = Policy::of(&json!({ "Statement": [{
                "Sid": sid, "Effect": "Allow", "Resource": resource,
                "Action": policy.grants().filter(|grant| grant.sid == **sid).map(|grant| grant.action).collect::<Vec<_>>(),
            }]}));
            !role.calls.iter().any(|call| !alone.letting(call).is_empty())
                && !policy.grants().any(|grant| grant.sid == **sid && table.implied(&grant.action).is_some())
        })
        .map(|(sid, resource)| format!("{resource} ({sid})"))
        .collect()
}

fn texts(grants: &BTreeSet<Grant>) -> Vec<String> {
    grants.iter().map(ToString::to_string).collect()
}
