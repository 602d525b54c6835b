//! What is asked for is what is stored, whatever it is called and however much it is.

use std::collections::BTreeMap;

use contract::{Manifest, ObjectRef, ResolvedModel, Sha256Digest};
use serde_json::Value;

use crate::{
    account::{Asked, Run, Steps},
    content::{CONFIG, MIB, safetensors},
    hub::{Commit, Host, Hub, sha256},
};

/// What a commit holds, by path and SHA-256.
pub fn digests(commit: &Commit) -> BTreeMap<String, String> {
    commit.contents().map(|(path, content)| (path.to_owned(), sha256(content))).collect()
}

/// A model such as there are many: configurations in git, weights in LFS, some of it in folders.
fn model() -> Commit {
    Commit::default()
        .file("README.md", "# A model\n")
        .file("config.json", CONFIG)
        .file("1_Pooling/config.json", "{}")
        .file("deep/er/still/notes.txt", "Größe")
        .file("with space & ünïcode/100%.json", "[1]")
        .lfs("tokenizer.json", format!("{{\"model\": \"{}\"}}", "x".repeat(2 * MIB)))
        .lfs("model-00001-of-00002.safetensors", safetensors(9 * MIB, 1))
        .lfs("model-00002-of-00002.safetensors", safetensors(8 * MIB, 2))
        .lfs("adapters/first.safetensors", safetensors(MIB, 3))
}

async fn resolve_and_fetch(steps: &mut Steps<'_>) -> ResolvedModel {
    let resolved = steps.resolve().await.unwrap();
    for batch in resolved.batches.clone() {
        steps.fetch(&resolved, batch).await.unwrap();
    }
    resolved
}

#[tokio::test]
async fn a_model_is_stored_as_it_is_whatever_it_is_made_of() {
    let commit = model();
    let hub = Hub::serve(commit.clone()).await;
    let run = Run::of(&hub).await;
    let mut steps = run.steps();
    let resolved = resolve_and_fetch(&mut steps).await;
    let bytes: usize = commit.contents().map(|(_, content)| content.len()).sum();
    assert_eq!((resolved.files, resolved.bytes), (commit.contents().count(), bytes as u64));
    let sealed = steps.seal(&resolved).await.unwrap();
    assert_eq!(sealed.commit, hub.commit());

    let mut stored = BTreeMap::new();
    for (path, content) in commit.contents() {
        let key = format!("{}{}", sealed.prefix, encoded(path));
        let found = run.work.get(&key).await;
        assert!(found == *content, "{path}: {} bytes are not the {} expected", found.len(), content.len());
        stored.insert(path.to_owned(), sha256(&found));
    }
    assert_eq!(stored, digests(&commit));
    assert_eq!(run.work.uploads().await, []);
    assert_eq!(hub.sent_bytes(), bytes as u64, "something was fetched twice");
    progress_says_done(&run, &resolved, bytes as u64).await;
}

/// As a path of an URL.
fn encoded(path: &str) -> String {
    let part = |part: &str| {
        let text: String = url::form_urlencoded::byte_serialize(part.as_bytes()).collect();
        text.replace('+', "%20")
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

async fn progress_says_done(run: &Run, resolved: &ResolvedModel, bytes: u64) {
    let mut stored = 0;
    for batch in &resolved.batches {
        let text = run.work.get(&format!("{}progress-{batch}.json", run.transfer())).await;
        let progress: contract::TransferProgress = serde_json::from_slice(&text).unwrap();
        assert_eq!((progress.batch, progress.stored_files), (*batch, progress.files), "{progress:?}");
        assert_eq!(progress.stored_bytes, progress.bytes, "{progress:?}");
        stored += progress.stored_bytes;
    }
    assert_eq!(stored, bytes);
}

#[tokio::test]
async fn a_repository_of_two_thousand_small_files_is_few_batches() {
    let mut commit = Commit::default();
    for number in 0..2000 {
        commit =
            commit.file(&format!("part-{}/{number}.json", number % 7), format!("{{\"number\": {number}}}"));
    }
    let hub = Hub::serve(commit.clone()).await;
    let run = Run::of(&hub).await;
    let sealed = run.acquire().await.unwrap();
    let visible = run.visible().await;
    let stored = visible.iter().filter(|key| key.contains("/part-")).count();
    assert_eq!(stored, 2000);
    for number in [0, 999, 1999] {
        let found = run.work.get(&format!("{}part-{}/{number}.json", sealed.prefix, number % 7)).await;
        assert_eq!(found, format!("{{\"number\": {number}}}"));
    }
    assert_eq!(hub.byte_requests(), 2000);
}

#[tokio::test]
async fn weights_of_a_fifth_of_a_gibibyte_come_through_whole() {
    let commit = Commit::default().lfs("model.safetensors", safetensors(205 * MIB, 5));
    let hub = Hub::serve(commit.clone()).await;
    let run = Run::of(&hub).await;
    let sealed = run.acquire().await.unwrap();
    let found = run.work.get(&format!("{}model.safetensors", sealed.prefix)).await;
    assert_eq!(sha256(&found), digests(&commit)["model.safetensors"]);
    run.work.empty().await;
}

#[tokio::test]
async fn trap_hub_any_form_of_a_revision_becomes_a_commit_and_only_that_is_used() {
    let hub = Hub::serve(Commit::default().file("config.json", CONFIG)).await;
    let other = hub.add(Commit::default().file("config.json", "{}"));
    for name in ["feature/x", "v1.0", "refs/pr/1"] {
        hub.name(name, &other);
    }
    for (revision, commit) in [
        ("main", hub.commit()),
        ("feature/x", other.clone()),
        ("v1.0", other.clone()),
        ("refs/pr/1", other.clone()),
        (&other[..9], other.clone()),
        (&other, other.clone()),
    ] {
        let before = hub.seen().len();
        let run = Run::asking(&hub, Asked { revision, ..Asked::default() }).await;
        let mut steps = run.steps();
        let resolved = resolve_and_fetch(&mut steps).await;
        assert_eq!(resolved.commit, commit, "{revision}");
        for seen in &hub.seen()[before..] {
            let of_revision = seen.target.contains("/revision/");
            assert!(of_revision || seen.target.contains(&commit), "{revision}: {}", seen.target);
        }
    }
}

#[tokio::test]
async fn a_branch_that_moves_after_it_was_resolved_changes_nothing() {
    let commit = Commit::default().file("config.json", CONFIG);
    let hub = Hub::serve(commit.clone()).await;
    let run = Run::of(&hub).await;
    let mut steps = run.steps();
    let resolved = steps.resolve().await.unwrap();
    let other = hub.add(Commit::default().file("config.json", "{}").file("more.json", "{}"));
    hub.name("main", &other);
    steps.fetch(&resolved, 0).await.unwrap();
    let sealed = steps.seal(&resolved).await.unwrap();
    let found = run.work.get(&format!("{}config.json", sealed.prefix)).await;
    assert_eq!(found, CONFIG);
}

#[tokio::test]
async fn patterns_take_what_they_name_and_leave_out_what_they_name() {
    let commit = model().file("modeling.py", "import os").file("old/config.json", "{}");
    let hub = Hub::serve(commit).await;
    let asked = Asked { allow: &["*.json", "*.md"], deny: &["old/*", "tokenizer*"], ..Asked::default() };
    let run = Run::asking(&hub, asked).await;
    let sealed = run.acquire().await.unwrap();
    let manifest = listed(&manifest(&run, &sealed.manifest).await);
    let expected = ["1_Pooling/config.json", "README.md", "config.json", "with space & ünïcode/100%.json"];
    assert_eq!(manifest.keys().collect::<Vec<_>>(), expected);
    assert!(!hub.seen().iter().any(|seen| seen.target.contains(".safetensors") || seen.host == Host::Second));
}

#[tokio::test]
async fn a_second_run_of_the_same_commit_fetches_nothing() {
    let hub = Hub::serve(model()).await;
    let first = Run::of(&hub).await;
    let sealed = first.acquire().await.unwrap();
    let (sent, visible) = (hub.byte_requests(), first.visible().await);
    let second = first.again(Asked::default()).await;
    let again = second.acquire().await.unwrap();
    assert_eq!(hub.byte_requests(), sent);
    assert_eq!((again.prefix, again.content_sha256), (sealed.prefix, sealed.content_sha256));
    assert_eq!(second.visible().await, visible);
}

/// A Hub whose `main` has weights that `next` has too, a run of `main`, and what it sealed.
async fn shared_weights() -> (Hub, Run, String) {
    let weights = safetensors(20 * MIB, 6);
    let hub =
        Hub::serve(Commit::default().file("README.md", "one").lfs("model.safetensors", weights.clone()))
            .await;
    let next = hub.add(Commit::default().file("README.md", "two").lfs("weights/model.safetensors", weights));
    hub.name("next", &next);
    let run = Run::of(&hub).await;
    let sealed = run.acquire().await.unwrap();
    (hub, run, sealed.prefix)
}

const NEXT: Asked<'_> = Asked { revision: "next", allow: &[], deny: &[], token: None };

#[tokio::test]
async fn weights_that_another_commit_had_are_not_fetched_again() {
    let (hub, run, first) = shared_weights().await;
    let sent = hub.sent_bytes();
    let sealed = run.again(NEXT).await.acquire().await.unwrap();
    assert_ne!(sealed.prefix, first);
    assert_eq!(hub.sent_bytes() - sent, 3, "more than the README");
    let found = run.work.get(&format!("{}weights/model.safetensors", sealed.prefix)).await;
    assert_eq!(found, safetensors(20 * MIB, 6));
}

#[tokio::test]
async fn weights_that_only_claim_to_be_those_of_another_commit_are_fetched() {
    let (_hub, run, first) = shared_weights().await;
    let digest = sha256(&safetensors(20 * MIB, 6));
    // Beside the models anybody who may write data can say of it what they like.
    let version =
        run.work.put_claiming("datasets/training/a.jsonl", safetensors(20 * MIB, 66), &digest).await;
    let planted = format!(r#"{{"key":"datasets/training/a.jsonl","version_id":"{version}"}}"#);
    for note in run.work.keys("models/by-digest/").await {
        run.work.put(&note, planted.clone()).await;
    }
    let sealed = run.again(NEXT).await.acquire().await.unwrap();
    assert_ne!(sealed.prefix, first);
    let found = run.work.get(&format!("{}weights/model.safetensors", sealed.prefix)).await;
    assert_eq!(sha256(&found), digest);
}

#[tokio::test]
async fn a_step_that_is_repeated_changes_nothing() {
    let hub = Hub::serve(model()).await;
    let run = Run::of(&hub).await;
    let mut steps = run.steps();
    let resolved = resolve_and_fetch(&mut steps).await;
    let sent = hub.byte_requests();
    assert_eq!(steps.resolve().await.unwrap(), resolved);
    assert_eq!(resolve_and_fetch(&mut steps).await, resolved);
    let sealed = steps.seal(&resolved).await.unwrap();
    let visible = run.visible().await;
    assert_eq!(steps.seal(&resolved).await.unwrap(), sealed);
    assert_eq!(run.steps().seal(&resolved).await.unwrap(), sealed, "by another environment");
    assert_eq!(run.visible().await, visible);
    assert_eq!(hub.byte_requests(), sent);
}

#[tokio::test]
async fn the_manifest_lists_every_file_and_nothing_else() {
    let commit = model();
    let hub = Hub::serve(commit.clone()).await;
    let run = Run::of(&hub).await;
    let sealed = run.acquire().await.unwrap();
    let manifest = manifest(&run, &sealed.manifest).await;
    assert_eq!(listed(&manifest), digests(&commit));
    let signature = manifest.signature.unwrap();
    let bytes = run.work.get(&format!("{}{}", sealed.prefix, signature.path)).await;
    assert_eq!(Sha256Digest::of(&bytes), signature.sha256, "the signature that lies beside the files");
    let link = run.evidence.get(&sealed.link.key).await;
    assert_eq!(Sha256Digest::of(&link), sealed.link.sha256);
}

/// Path and SHA-256 of each file that a manifest lists.
fn listed(manifest: &Manifest) -> BTreeMap<String, String> {
    manifest.files.iter().map(|file| (file.path.clone(), file.sha256.to_string())).collect()
}

/// A manifest as it lies in the evidence bucket.
async fn manifest(run: &Run, place: &ObjectRef) -> Manifest {
    assert_eq!(place.bucket, run.evidence.name);
    let bytes = run.evidence.get(&place.key).await;
    assert_eq!(Sha256Digest::of(&bytes), place.sha256);
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn an_object_that_nobody_planned_makes_the_manifest_incomplete() {
    let hub = Hub::serve(model()).await;
    let run = Run::of(&hub).await;
    let mut steps = run.steps();
    let resolved = resolve_and_fetch(&mut steps).await;
    let key = run.visible().await.into_iter().find(|key| key.ends_with("/README.md")).unwrap();
    let planted = key.replace("README.md", "modeling.py");
    run.work.put(&planted, "import os").await;
    let refused = steps.seal(&resolved).await.unwrap_err();
    assert_eq!(refused.name, "ManifestIncomplete", "{refused:?}");
    assert!(refused.message.contains("modeling.py"), "{refused:?}");
    run.work.delete(&planted).await;
    run.work.delete(&key).await;
    let refused = steps.seal(&resolved).await.unwrap_err();
    assert_eq!(refused.name, "ManifestIncomplete", "{refused:?}");
    assert!(refused.message.contains("README.md"), "{refused:?}");
}

#[tokio::test]
async fn an_object_in_the_place_of_a_file_is_not_taken_for_it() {
    let hub = Hub::serve(Commit::default().file("config.json", CONFIG)).await;
    let first = Run::of(&hub).await;
    let sealed = first.acquire().await.unwrap();
    // Whoever can write there, without the digest that verified objects carry: of another length, and of the same.
    for (number, content) in ["{}".to_owned(), CONFIG.replace("tiny", "evil")].into_iter().enumerate() {
        first.work.put(&format!("{}config.json", sealed.prefix), content).await;
        let refused = first.again(Asked::default()).await.acquire().await.unwrap_err();
        assert_eq!(refused.name, "ManifestIncomplete", "{number}: {refused:?}");
        assert!(refused.message.contains("config.json"), "{number}: {refused:?}");
    }
}

#[tokio::test]
async fn a_run_admitted_under_another_policy_does_not_begin() {
    let hub = Hub::serve(model()).await;
    let mut run = Run::of(&hub).await;
    run.environment.insert("LOCKSTEP_POLICY_SHA256".to_owned(), "0".repeat(64));
    let refused = run.acquire().await.unwrap_err();
    assert_eq!(refused.name, "PolicyChanged", "{refused:?}");
    assert_eq!(hub.seen().len(), 0);
}

#[tokio::test]
async fn invariant_6_nothing_is_left_of_a_run_but_what_it_says() {
    let hub = Hub::serve(model()).await;
    let run = Run::of(&hub).await;
    run.acquire().await.unwrap();
    let prefix = run.context.run_id.prefix();
    for key in run.work.keys("").await {
        assert!(key.starts_with("models/") || key.starts_with(&prefix), "{key}");
    }
    for key in run.evidence.keys("runs/").await {
        assert!(key.starts_with(&prefix), "{key}");
    }
    let _: Value =
        serde_json::from_slice(&run.work.get(&format!("{}plan.json", run.transfer())).await).unwrap();
}
