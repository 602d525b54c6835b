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
use integration_tests::{Demo, Evidence, Kept, approving, lockstep, promote, said};
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
    // It is not carried away, and the same rows give the same weights: no gate lets them in again.
    let (code, told) = promote(&run, &kept.connection, &kept.connection);
    assert_eq!(code, Some(2), "{told}");
    for said in ["its artefact", "is revoked: incident", "promote a run that was made since"] {
        assert!(told.contains(said), "{said}: {told}");
    }
    let url = kept.connection.endpoint.as_str();
    let (code, told) = approving(&["rerun", &run, "--endpoint-url", url], &kept.connection);
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("ModelRevoked"), "{told}");
}

/// The artefact's digest, as its link states it.
fn artifact_of(link: &[u8]) -> String {
    fact_of(link, "artifact")
}

fn fact_of(link: &[u8], name: &str) -> String {
    let link: evidence::Statement<evidence::Link> =
        evidence::Envelope::parse(link).and_then(|link| link.unverified()).expect("a link");
    link.predicate.facts[name].clone()
}

impl Scene {
    async fn control(&self, action: &str, body: Value) {
        let asked = self.root.json("sagemaker", &format!("LockstepLocal.{action}"), &body).await;
        asked.expect("the local account does what it is asked");
    }

    /// Puts an event on the bus under its own source, which AWS lets no account do; the local bus does, and the deployed
    /// rules decide whether it wakes the function.
    async fn put(&self, event: &Value) {
        let entry = json!({ "Entries": [{
            "Source": event["source"], "DetailType": event["detail-type"], "Detail": event["detail"].to_string(),
        }]});
        self.root.json("events", "AWSEvents.PutEvents", &entry).await.expect("the event is taken");
    }

    /// Delivers an event to the function, as EventBridge does when its rule matches.
    async fn deliver(&self, event: &Value) -> Value {
        let answer = self.root.invoke_function(FUNCTION, event).await.expect("the delivery is answered");
        serde_json::from_str(&answer).expect("JSON")
    }

    /// All incidents, once there are as many.
    async fn recorded(&self, count: usize) -> Vec<evidence::Incident> {
        let trust = self.trust().await;
        let ids = eventually(&format!("{count} incidents are recorded"), async || {
            Some(self.incidents().await).filter(|ids| ids.len() >= count)
        })
        .await;
        assert_eq!(ids.len(), count, "{ids:?}");
        let mut incidents = Vec::new();
        for id in ids {
            let record = self.object(&format!("{}record.json", incident_prefix(ENDPOINT, &id))).await;
            incidents.push(verify_incident(&record.expect("a record"), &trust).expect("it verifies"));
        }
        incidents
    }
}

/// As GuardDuty's guide shows its findings on EventBridge.
fn guardduty_event(id: &str, severity: f64) -> Value {
    json!({
        "version": "0", "id": id, "source": "aws.guardduty", "detail-type": "GuardDuty Finding",
        "account": "000000000000", "region": "us-east-1", "time": "2026-01-01T00:00:00Z", "resources": [],
        "detail": {
            "schemaVersion": "2.0", "accountId": "000000000000", "region": "us-east-1", "partition": "aws",
            "id": "16afba5c5c43e07c9e3e5e2e544e95df", "type": "CredentialAccess:IAMUser/AnomalousBehavior",
            "severity": severity, "title": "APIs used to access credentials were invoked in an anomalous way.",
            "resource": { "resourceType": "AccessKey", "accessKeyDetails": { "userName": "mallory" } },
            "service": { "serviceName": "guardduty", "count": 1, "archived": false },
        },
    })
}

/// As CloudTrail records a call, and EventBridge delivers it where a trail is on.
fn cloudtrail_event(id: &str, error: Option<&str>) -> Value {
    let mut event = json!({
        "version": "0", "id": id, "source": "aws.sagemaker", "detail-type": "AWS API Call via CloudTrail",
        "account": "000000000000", "region": "us-east-1", "time": "2026-01-01T00:00:00Z", "resources": [],
        "detail": {
            "eventVersion": "1.09", "eventTime": "2026-01-01T00:00:00Z", "eventSource": "sagemaker.amazonaws.com",
            "eventName": "UpdateEndpoint", "awsRegion": "us-east-1", "sourceIPAddress": "192.0.2.1", "readOnly": false,
            "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": "000000000000",
            "userIdentity": {
                "type": "IAMUser", "principalId": "AIDAMALLORY", "arn": "arn:aws:iam::000000000000:user/mallory",
                "accountId": "000000000000", "userName": "mallory",
            },
            "requestParameters": { "endpointName": ENDPOINT, "endpointConfigName": "rogue" },
        },
    });
    if let Some(error) = error {
        event["detail"]["errorCode"] = json!(error);
    }
    event
}

/// The daily rescan, with the very input that the deployed rule sends, makes ECR look again; what ECR finds comes as its own
/// event, through the deployed rule.
#[test]
fn a_critical_finding_of_the_daily_rescan_ends_what_serves_that_image_once() {
    let kept: Kept = Demo::new(&[]).keep();
    let run = kept.summary["run_id"].as_str().expect("a run").to_owned();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let scene = Scene::of(&kept.connection).await;
        let targets = json!({ "Rule": "lockstep-rescan" });
        let targets = scene.root.json("events", "AWSEvents.ListTargetsByRule", &targets).await;
        let targets = targets.expect("the rule's targets");
        let target = &targets["Targets"][0];
        assert!(target["Arn"].as_str().is_some_and(|arn| arn.ends_with(FUNCTION)), "{targets}");
        let input: Value = serde_json::from_str(target["Input"].as_str().expect("its input")).expect("JSON");

        // Found nothing new, the first time: within a day ECR does not scan again.
        scene.deliver(&input).await;
        assert_eq!(scene.serves().await, Some(config_of(&run)));

        scene.control("SetFault", json!({ "Fault": "CriticalFinding" })).await;
        scene.control("AgeScans", json!({})).await;
        scene.deliver(&input).await;
        scene.wait_until_it_serves(None).await;

        let incidents = scene.recorded(1).await;
        assert_eq!(incidents[0].action, IncidentAction::Isolated, "{incidents:?}");
        assert!(incidents[0].cause.contains("critical findings"), "{incidents:?}");
        assert!(incidents[0].runbook.ends_with("/critical-finding.md"), "{incidents:?}");
        let sealed = contract::RunId::try_from(run.clone()).expect("a run id");
        let link = scene.object(&contract::Gate::Admit.key(&sealed)).await.expect("the link");
        let image = fact_of(&link, "image");
        let revoked = scene.object(&revocation_key(&image)).await.expect("the image is revoked");
        verify_revocation(&revoked, &scene.trust().await).expect("it verifies");

        // Told again, by ECR and by Inspector: nothing serves it any more.
        let repository = "lockstep/model-container";
        let told = json!({
            "version": "0", "id": "85fc3613-e913-7fc4-a80c-a3753e4aa9ae", "source": "aws.ecr",
            "detail-type": "ECR Image Scan", "account": "000000000000", "time": "2026-01-01T00:00:00Z",
            "region": "us-east-1", "resources": ["arn:aws:ecr:us-east-1:000000000000:repository/lockstep/model-container"],
            "detail": {
                "scan-status": "COMPLETE", "repository-name": repository, "image-digest": image,
                "finding-severity-counts": { "CRITICAL": 1, "MEDIUM": 2 }, "image-tags": ["1.0"],
            },
        });
        let inspector = json!({
            "version": "0", "id": "66a7a279-5f92-971c-6d3e-c92da0950992", "source": "aws.inspector2",
            "detail-type": "Inspector2 Finding", "account": "000000000000", "time": "2026-01-01T00:00:00Z",
            "region": "us-east-1", "resources": ["i-0c2a343f1948d5205"],
            "detail": {
                "severity": "CRITICAL", "status": "ACTIVE", "type": "PACKAGE_VULNERABILITY",
                "resources": [{ "type": "AWS_ECR_CONTAINER_IMAGE", "region": "us-east-1", "partition": "aws",
                    "details": { "awsEcrContainerImage": { "repositoryName": repository, "imageHash": image } } }],
            },
        });
        for event in [&told, &inspector] {
            scene.put(event).await;
            for _ in 0..2 {
                assert_eq!(scene.deliver(event).await["answers"], json!([]), "{event}");
            }
        }
        scene.recorded(1).await;
    });
    let (code, told) = promote(&run, &kept.connection, &kept.connection);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("its image sha256:") && told.contains("is revoked: incident"), "{told}");
}

/// GuardDuty and CloudTrail tell of somebody, not of a model: what holds serves on, and what does not is ended. No trail is
/// deployed here, so the function is called as EventBridge calls it.
#[test]
fn what_is_told_of_somebody_is_noted_once_and_what_they_changed_does_not_serve() {
    let kept: Kept = Demo::new(&[]).keep();
    let run = kept.summary["run_id"].as_str().expect("a run").to_owned();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let scene = Scene::of(&kept.connection).await;
        // Below medium, no rule wakes anybody; through the rule from there on.
        scene.put(&guardduty_event("ignored", 2.0)).await;
        scene.put(&guardduty_event("ignored", 5.0)).await;
        scene.recorded(1).await;
        let threat = guardduty_event("c8c4daa7-a20c-2f03-0070-b7393dd542ad", 8.0);
        let denied = cloudtrail_event("3a1ab8d7-14e2-4f5a-9d44-4c62a1e6a001", Some("AccessDenied"));
        for event in [&threat, &denied] {
            let answers = [scene.deliver(event).await, scene.deliver(event).await];
            assert_eq!(answers[0]["answers"][0]["incident_id"], answers[1]["answers"][0]["incident_id"]);
        }
        let incidents = scene.recorded(3).await;
        assert!(incidents.iter().all(|incident| incident.action == IncidentAction::Noted), "{incidents:?}");
        assert!(incidents.iter().any(|one| one.cause.contains("mallory tried")), "{incidents:?}");
        assert!(incidents.iter().any(|one| one.cause.contains("CredentialAccess")), "{incidents:?}");
        assert_eq!(scene.serves().await, Some(config_of(&run)), "what holds serves on");

        rogue_update(&scene, &config_of(&run)).await;
        let done = cloudtrail_event("3a1ab8d7-14e2-4f5a-9d44-4c62a1e6a002", None);
        let first = scene.deliver(&done).await;
        assert_eq!(first["answers"][0]["action"], "Isolated", "{first}");
        scene.wait_until_it_serves(None).await;
        let updates = scene.updates();
        scene.deliver(&done).await;
        let incidents = scene.recorded(4).await;
        let acted: Vec<_> =
            incidents.iter().filter(|incident| incident.action != IncidentAction::Noted).collect();
        let [acted] = acted.as_slice() else { panic!("{incidents:?}") };
        assert!(acted.cause.contains("mallory did"), "{acted:?}");
        assert!(acted.runbook.ends_with("/unauthorised-access.md"), "{acted:?}");
        assert_eq!(acted.from.as_deref(), Some("rogue"));
        assert_eq!(scene.updates(), updates, "the second delivery changed nothing");
    });
}

/// Somebody with rights of their own serves the model by a configuration that no run made.
async fn rogue_update(scene: &Scene, config: &str) {
    let sagemaker = &scene.account.sagemaker;
    let served = sagemaker.describe_endpoint_config().endpoint_config_name(config).send().await;
    let served = served.expect("the configuration");
    sagemaker
        .create_endpoint_config()
        .endpoint_config_name("rogue")
        .set_production_variants(served.production_variants)
        .send()
        .await
        .expect("a configuration");
    sagemaker
        .update_endpoint()
        .endpoint_name(ENDPOINT)
        .endpoint_config_name("rogue")
        .send()
        .await
        .expect("the update begins");
    scene.wait_until_it_serves(Some("rogue")).await;
}
