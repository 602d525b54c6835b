//! Least privilege, proven: what a role may do is what its function was seen to need.

mod grants;
mod rehearsal;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::{Demo, Evidence, Finished, Kept, lockstep, promote, root, said};
use local::{Identity, wire::Wire};
use serde_json::{Value, json};

use crate::grants::{Grant, Policy};
use crate::rehearsal::{Rehearsal, Role};
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
    let served = (1..TRIES).map(|_| serve_and_promote(&runtime, &url)).find(Result::is_ok);
    served
        .unwrap_or_else(|| serve_and_promote(&runtime, &url))
        .expect("a run serves, is promoted, rolled back and isolated");
    for (scenario, error) in SCENARIOS {
        let run = || Demo::new(scenario).with("LOCKSTEP_REHEARSAL_URL", &url).run();
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

    let mut faults = Vec::new();
    for (role, report) in &report {
        for kind in ["unused", "missing", "swallowed", "wildcards", "idle_exceptions"] {
            for fault in report[kind].as_array().into_iter().flatten() {
                faults.push(format!("{role}: {kind}: {fault}"));
            }
        }
    }
    assert!(faults.is_empty(), "{} (the whole report: target/least-privilege.json)", faults.join("\n"));
}

/// A run that serves, one that its traffic's drift starts, one that takes its model over, and what happens when that goes wrong.
fn serve_and_promote(runtime: &tokio::runtime::Runtime, url: &str) -> Result<(), String> {
    let kept = Demo::new(&["--drift"]).with("LOCKSTEP_REHEARSAL_URL", url).keep();
    if kept.summary["status"] != "SUCCEEDED" {
        return Err(kept.summary.to_string());
    }
    let run = kept.summary["run_id"].as_str().unwrap_or_default();
    match promote(run, &kept.connection, &kept.connection) {
        (Some(0), _) => runtime.block_on(go_wrong(&kept, run)),
        (_, told) => Err(told),
    }
}

/// What serves is scanned anew, found to be bad, rolled back, and isolated by hand.
async fn go_wrong(kept: &Kept, first: &str) -> Result<(), String> {
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
            left = None;
        } else if left.is_none() && now.is_some() {
            left = now;
        } else if left.is_none()
            && account.sagemaker.describe_endpoint().endpoint_name("tiny-lm").send().await.is_err()
        {
            return Ok(());
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
