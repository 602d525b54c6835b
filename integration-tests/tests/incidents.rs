//! What happens to an endpoint that goes wrong: it goes back to what is proven, once, or nothing serves.

use std::{
    fs,
    future::Future,
    time::{Duration, Instant},
};

use evidence::{
    IncidentAction, TrustRoot, incident_prefix, revocation_key, verify_incident, verify_outcome,
    verify_revocation,
};
use integration_tests::{Demo, Evidence, Kept, lockstep, promote, said};
use local::{Connection, Identity, wire::Wire};
use serde_json::{Value, json};

const ENDPOINT: &str = "tiny-lm";
const ALARM: &str = "lockstep-tiny-lm-5xx";
const FUNCTION: &str = "lockstep-respond-incident";
/// The key of the local account's root.
const ROOT: &str = "test";

/// An account whose endpoint goes wrong.
struct Scene {
    account: Evidence,
    root: Wire,
    connection: Connection,
}

impl Scene {
    async fn of(connection: &Connection) -> Self {
        Self {
            account: Evidence::of(connection, Identity::Submitter).await,
            root: Wire::new(&connection.endpoint, &connection.region, ROOT),
            connection: connection.clone(),
        }
    }

    /// What the endpoint serves, once it is in service; `None` when it is gone.
    async fn serves(&self) -> Option<String> {
        let described =
            self.account.sagemaker.describe_endpoint().endpoint_name(ENDPOINT).send().await.ok()?;
        let in_service = described.endpoint_status().is_some_and(|status| status.as_str() == "InService");
        Some(if in_service { described.endpoint_config_name.unwrap_or_default() } else { String::new() })
    }

    async fn wait_until_it_serves(&self, config: Option<&str>) {
        eventually(&format!("the endpoint serves {config:?}"), async || {
            (self.serves().await.as_deref() == config).then_some(())
        })
        .await;
    }

    async fn ring(&self) {
        let parameters = [("AlarmName", ALARM), ("StateValue", "ALARM"), ("StateReason", "a test says so")];
        let rung = self.root.query("monitoring", "2010-08-01", "SetAlarmState", &parameters).await;
        rung.expect("the alarm goes off");
    }

    fn updates(&self) -> usize {
        let calls = fs::read_to_string(self.connection.state_dir.join("calls.jsonl")).expect("the calls");
        calls.lines().filter(|call| call.contains("\"UpdateEndpoint\"")).count()
    }

    async fn object(&self, key: &str) -> Option<Vec<u8>> {
        let bucket = self.account.bucket("evidence").await;
        let object = self.account.s3.get_object().bucket(bucket).key(key).send().await.ok()?;
        Some(object.body.collect().await.ok()?.to_vec())
    }

    async fn trust(&self) -> TrustRoot {
        let bytes = self.object("policy/trust-root.json").await.expect("the trust root");
        TrustRoot::parse(&bytes).expect("it is one")
    }

    /// The ids of the incidents that were recorded.
    async fn incidents(&self) -> Vec<contract::RunId> {
        let bucket = self.account.bucket("evidence").await;
        let listed = self.account.s3.list_objects_v2().bucket(bucket).prefix("incidents/").send().await;
        let listed = listed.expect("incidents can be listed");
        let keys = listed.contents().iter().filter_map(|object| object.key()?.strip_suffix("/record.json"));
        let ids = keys.filter_map(|key| contract::RunId::try_from(key.rsplit('/').next()?.to_owned()).ok());
        ids.collect()
    }

    fn rollback(&self, more: &[&str]) -> (Option<i32>, String) {
        let url = ["--endpoint-url", self.connection.endpoint.as_str()];
        let output = lockstep(&[&["rollback", ENDPOINT], more, &url].concat());
        (output.status.code(), said(&output))
    }
}

/// Waits for something; a minute and more, since the machine may be busy.
async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(100), "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn alarm_event() -> Value {
    json!({
        "version": "0", "id": "11111111-2222-4333-8444-555555555555", "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change", "account": "000000000000", "region": "us-east-1",
        "time": "2026-01-01T00:00:00Z", "resources": [],
        "detail": { "alarmName": ALARM, "state": { "value": "ALARM" } },
    })
}

fn config_of(run: &str) -> String {
    format!("lockstep-{run}")
}

#[test]
fn an_alarm_that_is_delivered_five_times_rolls_back_once() {
    let kept: Kept = Demo::new(&[]).keep();
    let first = kept.summary["run_id"].as_str().expect("a run").to_owned();
    let (code, told) = promote(&first, &kept.connection, &kept.connection);
    assert_eq!(code, Some(0), "{told}");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let second = runtime.block_on(async {
        let scene = Scene::of(&kept.connection).await;
        let second = scene.serves().await.expect("an endpoint");
        assert_ne!(second, config_of(&first), "the second version serves");
        once(&scene, &first, &second).await;
        second.trim_start_matches("lockstep-").to_owned()
    });
    let scene = runtime.block_on(Scene::of(&kept.connection));

    // A person knows what was done, so the cooldown does not count.
    let (code, told) = scene.rollback(&["--to", &second, "--reason", "the alarm was wrong"]);
    assert_eq!(code, Some(0), "{told}");
    runtime.block_on(scene.wait_until_it_serves(Some(&config_of(&second))));
    let (code, told) = scene.rollback(&["--reason", "it was right"]);
    assert_eq!(code, Some(0), "{told}");
    runtime.block_on(scene.wait_until_it_serves(Some(&config_of(&first))));

    let (code, told) = scene.rollback(&["--reason", "and before that?"]);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("none was deployed before"), "{told}");
    let (code, told) = scene.rollback(&["--to", &"0".repeat(32), "--reason", "no such run"]);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("does not verify"), "{told}");
    assert_eq!(runtime.block_on(scene.serves()), Some(config_of(&first)), "a refusal changes nothing");
}

async fn once(scene: &Scene, first: &str, second: &str) {
    let before = scene.updates();
    let event = alarm_event();
    let deliver = async || {
        let answer = scene.root.invoke_function(FUNCTION, &event).await.expect("the delivery is answered");
        serde_json::from_str::<Value>(&answer).expect("JSON")
    };
    assert_eq!(deliver().await["answers"], json!([]), "an alarm that is over does nothing");

    scene.ring().await;
    let answers = tokio::join!(deliver(), deliver(), deliver(), deliver(), deliver());
    let answers = [answers.0, answers.1, answers.2, answers.3, answers.4];
    let rolled_back = answers.iter().filter(|answer| answer["answers"][0]["action"] == "RolledBack").count();
    // The alarm's own event is a delivery too, and may have come first.
    assert!(rolled_back <= 1, "{answers:#?}");
    scene.wait_until_it_serves(Some(&config_of(first))).await;
    scene.ring().await;
    let late = deliver().await;
    let late_said = late["answers"][0]["said"].as_str().unwrap_or_default();
    assert!(late_said.contains("answered for `tiny-lm` already"), "{late}");
    assert_eq!(scene.updates() - before, 1, "UpdateEndpoint was called once");
    assert_eq!(scene.serves().await, Some(config_of(first)));

    let trust = scene.trust().await;
    let incidents = scene.incidents().await;
    let [incident] = incidents.as_slice() else { panic!("one incident, not {incidents:?}") };
    let place = incident_prefix(ENDPOINT, incident);
    let record = scene.object(&format!("{place}record.json")).await.expect("a record");
    let said = verify_incident(&record, &trust).expect("it verifies");
    assert_eq!((said.action, &said.incident_id), (IncidentAction::RolledBack, incident));
    assert_eq!((said.from.as_deref(), said.to), (Some(second), Some(config_of(first))));
    assert!(said.runbook.ends_with("/endpoint-errors.md"), "{}", said.runbook);
    let outcome =
        eventually("the incident is closed", async || scene.object(&format!("{place}outcome.json")).await)
            .await;
    let outcome = verify_outcome(&outcome, &trust).expect("it verifies");
    assert!(outcome.predicate.restored, "{}", outcome.predicate.said);
    let closes = &outcome.subject[0].digest["sha256"];
    assert_eq!(closes, contract::Sha256Digest::of(&record).as_str(), "it closes that record");
    let page = scene.object(&format!("{place}post-mortem.md")).await.expect("a post-mortem");
    assert!(String::from_utf8_lossy(&page).contains(&format!("`{}`", config_of(first))));
}

#[test]
fn a_first_deployment_is_isolated_and_what_it_served_is_never_deployed_again() {
    let kept: Kept = Demo::new(&[]).keep();
    let run = kept.summary["run_id"].as_str().expect("a run").to_owned();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let scene = Scene::of(&kept.connection).await;
        scene.ring().await;
        let event = alarm_event();
        let entry = json!({ "Entries": [{
            "Source": event["source"], "DetailType": event["detail-type"], "Detail": event["detail"].to_string(),
        }]});
        // Through the rule, as AWS delivers it.
        scene.root.json("events", "AWSEvents.PutEvents", &entry).await.expect("the event is taken");
        scene.wait_until_it_serves(None).await;

        let trust = scene.trust().await;
        let incident = eventually("the incident is recorded", async || {
            let id = scene.incidents().await.into_iter().next()?;
            let record = scene.object(&format!("{}record.json", incident_prefix(ENDPOINT, &id))).await?;
            Some(verify_incident(&record, &trust).expect("it verifies"))
        })
        .await;
        assert_eq!(incident.action, IncidentAction::Isolated, "{incident:?}");
        let sealed = contract::RunId::try_from(run.clone()).expect("a run id");
        let link = scene.object(&contract::Gate::SealArtifact.key(&sealed)).await;
        let artifact = artifact_of(&link.expect("the artefact's link"));
        let revoked = scene.object(&revocation_key(&artifact)).await.expect("the artefact is revoked");
        let revoked = verify_revocation(&revoked, &trust).expect("it verifies");
        assert_eq!((revoked.incident_id, revoked.run_id.as_str()), (incident.incident_id, run.as_str()));
        let packages = scene.account.sagemaker.list_model_packages().model_package_group_name("tiny-lm");
        let packages = packages.send().await.expect("packages can be listed");
        let statuses: Vec<_> = packages
            .model_package_summary_list()
            .iter()
            .filter_map(|package| package.model_approval_status().map(|status| status.as_str().to_owned()))
            .collect();
        assert_eq!(statuses, ["Rejected"]);
    });
    let (code, told) = promote(&run, &kept.connection, &kept.connection);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("ModelRevoked"), "{told}");
}

/// The artefact's digest, as its link states it.
fn artifact_of(link: &[u8]) -> String {
    let link: evidence::Statement<evidence::Link> =
        evidence::Envelope::parse(link).and_then(|link| link.unverified()).expect("a link");
    link.predicate.facts["artifact"].clone()
}
