//! The Hub as a client meets it.

use std::collections::BTreeMap;
use std::path::Path;

use reqwest::header::{AUTHORIZATION, RANGE};
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::{Access, Hub};
use crate::service::{Fault, Faults};

/// Weights that begin as a safetensors file does; long enough for ranges.
const WEIGHTS: &[u8] = b"\x02\x00\x00\x00\x00\x00\x00\x00{}weights, or what stands for them here";

async fn hub(faults: &Faults, access: BTreeMap<String, Access>) -> (Hub, TempDir) {
    let models = tempfile::tempdir().unwrap();
    let folder = models.path().join("tiny-lm");
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    for (name, content) in [
        ("config.json", b"{}".as_slice()),
        ("tokenizer.json", b"{\"t\":1}"),
        ("model.safetensors", WEIGHTS),
        ("sub/notes.md", b"notes"),
    ] {
        std::fs::write(folder.join(name), content).unwrap();
    }
    (Hub::serve(models.path(), faults.clone(), access).await.unwrap(), models)
}

/// A client that follows no redirect by itself, as the pipeline's does not.
fn client() -> Client {
    Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

async fn get(hub: &Hub, path: &str) -> Response {
    client().get(format!("{}{path}", hub.url())).send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn commit(hub: &Hub) -> String {
    let model: Value = get(hub, "/api/models/lockstep/tiny-lm").await.json().await.unwrap();
    model["sha"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_model_is_described_at_its_commit() {
    let (hub, _models) = hub(&Faults::default(), BTreeMap::new()).await;
    let commit = commit(&hub).await;
    assert_eq!(commit.len(), 40);
    let at: Value =
        get(&hub, &format!("/api/models/lockstep/tiny-lm/revision/{commit}")).await.json().await.unwrap();
    assert_eq!(at["sha"], commit);
    let refs: Value = get(&hub, "/api/models/lockstep/tiny-lm/refs").await.json().await.unwrap();
    assert_eq!(refs["branches"][0]["targetCommit"], commit);
}

#[tokio::test]
async fn the_tree_is_paged_and_names_every_digest() {
    let (hub, _models) = hub(&Faults::default(), BTreeMap::new()).await;
    let mut entries: Vec<Value> = Vec::new();
    let mut next =
        Some(format!("{}/api/models/lockstep/tiny-lm/tree/main?recursive=true&limit=2", hub.url()));
    while let Some(address) = next {
        let response = client().get(address).send().await.unwrap();
        next = header(&response, "link")
            .strip_prefix('<')
            .map(|rest| rest.split('>').next().unwrap().to_owned());
        let page: Vec<Value> = response.json().await.unwrap();
        assert!(page.len() <= 2);
        entries.extend(page);
    }
    let paths: Vec<&str> = entries.iter().map(|entry| entry["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["config.json", "model.safetensors", "sub", "sub/notes.md", "tokenizer.json"]);
    let weights = &entries[1];
    assert_eq!(weights["lfs"]["oid"], hex::encode(Sha256::digest(WEIGHTS)));
    assert_ne!(weights["oid"], weights["lfs"]["oid"]);
    assert!(entries[0].get("lfs").is_none());

    let flat: Vec<Value> = get(&hub, "/api/models/lockstep/tiny-lm/tree/main").await.json().await.unwrap();
    assert_eq!(flat.len(), 4);
    let sub: Vec<Value> = get(&hub, "/api/models/lockstep/tiny-lm/tree/main/sub").await.json().await.unwrap();
    assert_eq!(sub[0]["path"], "sub/notes.md");
}

#[tokio::test]
async fn small_files_come_directly_and_weights_from_another_host() {
    let (hub, _models) = hub(&Faults::default(), BTreeMap::new()).await;
    let commit = commit(&hub).await;
    let small = get(&hub, &format!("/lockstep/tiny-lm/resolve/{commit}/config.json")).await;
    assert_eq!(small.status(), StatusCode::OK);
    assert_eq!(header(&small, "x-repo-commit"), commit);
    assert_eq!(header(&small, "etag").trim_matches('"').len(), 40);
    assert_eq!(small.bytes().await.unwrap(), "{}");

    let address = format!("{}/lockstep/tiny-lm/resolve/main/model.safetensors", hub.url());
    let hop = client().head(address).send().await.unwrap();
    assert_eq!(hop.status(), StatusCode::FOUND);
    assert_eq!(header(&hop, "x-linked-etag").trim_matches('"'), hex::encode(Sha256::digest(WEIGHTS)));
    assert_eq!(header(&hop, "x-linked-size"), WEIGHTS.len().to_string());
    assert!(!hop.headers().contains_key("x-xet-hash"));
    let location = header(&hop, "location").to_owned();
    assert!(!location.starts_with(hub.url()), "{location}");
    let whole = client().get(&location).send().await.unwrap();
    assert_eq!(whole.bytes().await.unwrap(), WEIGHTS);

    let part = client().get(&location).header(RANGE, "bytes=8-9").send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(header(&part, "content-range"), format!("bytes 8-9/{}", WEIGHTS.len()));
    assert_eq!(part.bytes().await.unwrap(), "{}");
    let beyond = client().get(&location).header(RANGE, "bytes=9999-").send().await.unwrap();
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
}

#[tokio::test]
async fn the_other_host_wants_its_signature_and_no_token() {
    let (hub, _models) = hub(&Faults::default(), BTreeMap::new()).await;
    let hop = get(&hub, "/lockstep/tiny-lm/resolve/main/model.safetensors").await;
    let location = header(&hop, "location").to_owned();
    let with_token = client().get(&location).header(AUTHORIZATION, "Bearer hf_x").send().await.unwrap();
    assert_eq!(with_token.status(), StatusCode::BAD_REQUEST);
    let forged = location.replace("Signature=", "Signature=0");
    assert_eq!(client().get(forged).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let bare = location.split('?').next().unwrap();
    assert_eq!(client().get(bare).send().await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_is_not_there_is_named_as_the_hub_names_it() {
    let (hub, _models) = hub(&Faults::default(), BTreeMap::new()).await;
    let revision = get(&hub, "/api/models/lockstep/tiny-lm/revision/nope").await;
    assert_eq!(
        (revision.status(), header(&revision, "x-error-code")),
        (StatusCode::NOT_FOUND, "RevisionNotFound")
    );
    let entry = get(&hub, "/lockstep/tiny-lm/resolve/main/nope.json").await;
    assert_eq!((entry.status(), header(&entry, "x-error-code")), (StatusCode::NOT_FOUND, "EntryNotFound"));
    let unknown = get(&hub, "/api/models/lockstep/none").await;
    assert_eq!(
        (unknown.status(), header(&unknown, "x-error-code")),
        (StatusCode::UNAUTHORIZED, "RepoNotFound")
    );
    let address = format!("{}/api/models/lockstep/none", hub.url());
    let known = client().get(address).header(AUTHORIZATION, "Bearer hf_x").send().await.unwrap();
    assert_eq!((known.status(), header(&known, "x-error-code")), (StatusCode::NOT_FOUND, "RepoNotFound"));
}

#[tokio::test]
async fn a_gated_model_is_listed_for_all_and_read_by_some() {
    let access = BTreeMap::from([("lockstep/tiny-lm".to_owned(), Access::Gated(vec!["hf_granted".into()]))]);
    let (hub, _models) = hub(&Faults::default(), access).await;
    assert_eq!(get(&hub, "/api/models/lockstep/tiny-lm").await.status(), StatusCode::OK);
    let address = format!("{}/lockstep/tiny-lm/resolve/main/config.json", hub.url());
    for (token, status) in [
        (None, StatusCode::UNAUTHORIZED),
        (Some("hf_other"), StatusCode::FORBIDDEN),
        (Some("hf_granted"), StatusCode::OK),
    ] {
        let mut request = client().get(&address);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{token:?}");
        assert_eq!(header(&response, "x-error-code"), if status.is_success() { "" } else { "GatedRepo" });
    }
}

#[tokio::test]
async fn a_private_model_does_not_exist_for_others() {
    let access =
        BTreeMap::from([("lockstep/tiny-lm".to_owned(), Access::Private(vec!["hf_granted".into()]))]);
    let (hub, _models) = hub(&Faults::default(), access).await;
    let response = get(&hub, "/api/models/lockstep/tiny-lm").await;
    assert_eq!(header(&response, "x-error-code"), "RepoNotFound");
    let address = format!("{}/api/models/lockstep/tiny-lm", hub.url());
    let granted = client().get(address).bearer_auth("hf_granted").send().await.unwrap();
    assert_eq!(granted.status(), StatusCode::OK);
}

#[tokio::test]
async fn tampered_weights_keep_their_size_and_lose_their_digest() {
    let faults = Faults::default();
    let (hub, _models) = hub(&faults, BTreeMap::new()).await;
    faults.set(Fault::TamperedWeights);
    let hop = get(&hub, "/lockstep/tiny-lm/resolve/main/model.safetensors").await;
    let announced = header(&hop, "x-linked-etag").trim_matches('"').to_owned();
    let body = client().get(header(&hop, "location")).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(body.len(), WEIGHTS.len());
    assert_ne!(hex::encode(Sha256::digest(&body)), announced);
}

#[tokio::test]
async fn a_missing_file_is_listed_and_absent() {
    let faults = Faults::new([Fault::MissingFile]);
    let (hub, _models) = hub(&faults, BTreeMap::new()).await;
    let tree: Vec<Value> = get(&hub, "/api/models/lockstep/tiny-lm/tree/main").await.json().await.unwrap();
    assert!(tree.iter().any(|entry| entry["path"] == "tokenizer.json"));
    let response = get(&hub, "/lockstep/tiny-lm/resolve/main/tokenizer.json").await;
    assert_eq!(header(&response, "x-error-code"), "EntryNotFound");
    assert_eq!(get(&hub, "/lockstep/tiny-lm/resolve/main/config.json").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_disguised_pickle_is_part_of_another_commit_with_its_true_digest() {
    let faults = Faults::default();
    let (hub, _models) = hub(&faults, BTreeMap::new()).await;
    let honest = commit(&hub).await;
    faults.set(Fault::PickleInDisguise);
    assert_ne!(commit(&hub).await, honest);
    let response = get(&hub, "/lockstep/tiny-lm/resolve/main/vocabulary.txt").await;
    let tag = header(&response, "etag").trim_matches('"').to_owned();
    let body = response.bytes().await.unwrap();
    assert!(body.starts_with(b"\x80\x02"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("vocabulary.txt"), &body).unwrap();
    let blob = super::repository::Repository::read(Path::new(folder.path())).unwrap();
    assert_eq!(blob.plain.files["vocabulary.txt"].blob, tag);
}
