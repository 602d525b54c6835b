//! A training job whose spot capacity is taken in the middle goes on from its checkpoint, and nobody can tell its model
//! from one that was trained undisturbed.

use std::fs;

use contract::{Gate, RunId};
use integration_tests::{Demo, Evidence, Kept};
use local::Identity;
use serde_json::Value;

/// What a kept run trained, and how its job fared.
struct Trained {
    artifact: String,
    /// Each secondary status, in order.
    statuses: Vec<String>,
    waited_unbilled: bool,
    log: String,
    checkpoints: Vec<String>,
}

async fn trained(kept: &Kept) -> Trained {
    let account = Evidence::of(&kept.connection, Identity::Submitter).await;
    let run = RunId::try_from(kept.summary["run_id"].as_str().expect("a run").to_owned()).expect("a run id");
    let name = run.training_job();
    let job = account.sagemaker.describe_training_job().training_job_name(&name).send().await;
    let job = job.expect("the job is described");
    let transitions = job.secondary_status_transitions().iter();
    let statuses = transitions.filter_map(|one| Some(one.status()?.as_str().to_owned())).collect();
    let folder = kept.connection.state_dir.join("sagemaker/jobs").join(&name);
    let work = account.bucket("work").await;
    let listed = account.s3.list_objects_v2().bucket(work).prefix("checkpoints/").send().await;
    let listed = listed.expect("the work bucket is listed");
    let evidence = account.bucket("evidence").await;
    let link = account.s3.get_object().bucket(evidence).key(Gate::SealArtifact.key(&run)).send().await;
    let link = link.expect("the artefact's link").body.collect().await.expect("its bytes").to_vec();
    let link: evidence::Statement<evidence::Link> =
        evidence::Envelope::parse(&link).and_then(|link| link.unverified()).expect("a link");
    Trained {
        artifact: link.predicate.facts["artifact"].clone(),
        statuses,
        waited_unbilled: job.billable_time_in_seconds() <= job.training_time_in_seconds(),
        log: fs::read_to_string(folder.join("container.log")).expect("the container's log"),
        checkpoints: listed.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect(),
    }
}

fn demo(spot: Option<&str>) -> Trained {
    let demo = Demo::new(&[]);
    let kept = match spot {
        Some(spot) => demo.with("LOCKSTEP_SPOT", spot),
        None => demo,
    }
    .keep();
    assert_eq!(kept.summary["status"], Value::from("SUCCEEDED"), "{:#}", kept.summary);
    tokio::runtime::Runtime::new().expect("a runtime").block_on(trained(&kept))
}

#[test]
fn an_interrupted_job_goes_on_from_its_checkpoint_and_trains_the_same_weights() {
    let whole = demo(None);
    assert_eq!(whole.statuses, ["Starting", "Downloading", "Training", "Uploading", "Completed"]);
    assert!(!whole.log.contains("takes up a snapshot"), "{}", whole.log);

    let broken = demo(Some("interrupted"));
    assert_eq!(
        broken.statuses,
        [
            "Starting",
            "Downloading",
            "Training",
            "Interrupted",
            "Starting",
            "Downloading",
            "Training",
            "Uploading",
            "Completed"
        ]
    );
    assert!(broken.waited_unbilled);
    // Two containers ran, and the second did not begin at the first step.
    let (_, after) = broken.log.split_once("takes up a snapshot: step ").expect("it goes on");
    let step: usize = after.split(' ').next().and_then(|step| step.parse().ok()).expect("a step");
    assert!(step > 0, "{after}");
    assert!(!after.contains(" step 1/"), "{after}");
    assert!(after.contains("saved the model after"), "{after}");
    let [checkpoint] = broken.checkpoints.as_slice() else { panic!("{:?}", broken.checkpoints) };
    assert!(checkpoint.ends_with("/snapshot.safetensors"), "{checkpoint}");

    assert_eq!(broken.artifact, whole.artifact, "an interruption changed the weights");
}
