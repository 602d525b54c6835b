//! The public tool of OpenSSF Model Signing judges what the function signed with a key of KMS.

use std::{fs, path::Path, process::Command};

use local::{
    Silent,
    python::{Environment, MODEL_SIGNING},
};

use crate::{
    account::{Run, account, lockstep},
    content::{CONFIG, MIB, safetensors},
    hub::{Commit, Hub},
};

/// Runs the public verifier; what it says when it refuses.
async fn verify(folder: &Path) -> Result<(), String> {
    let python = Environment::prepare(&lockstep(), MODEL_SIGNING, &Silent).await.unwrap().python();
    let model = folder.join("model");
    let output = Command::new(python)
        .args(["-I", "-m", "model_signing", "verify", "key"])
        .arg(&model)
        .arg("--signature")
        .arg(model.join("model.sig"))
        .arg("--public_key")
        .arg(folder.join("key.pem"))
        .output()
        .unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[tokio::test]
async fn a_sealed_model_verifies_with_the_public_tool_and_no_altered_one_does() {
    let commit = Commit::default()
        .file("config.json", CONFIG)
        .file("1_Pooling/config.json", "{}")
        .lfs("model.safetensors", safetensors(9 * MIB, 1));
    let hub = Hub::serve(commit).await;
    let run = Run::of(&hub).await;
    let sealed = run.acquire().await.unwrap();

    // As a user has it after `aws s3 sync`, with the key from the trust root.
    let folder = tempfile::tempdir().unwrap();
    for key in run.work.keys(&sealed.prefix).await {
        let file = folder.path().join("model").join(key.strip_prefix(&sealed.prefix).unwrap());
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, run.work.get(&key).await).unwrap();
    }
    let key = evidence::public_key(&account().await.signing_key_der().await).unwrap();
    fs::write(folder.path().join("key.pem"), evidence::public_key_pem(&key)).unwrap();
    verify(folder.path()).await.unwrap();

    for path in ["config.json", "1_Pooling/config.json", "model.safetensors", "model.sig"] {
        let file = folder.path().join("model").join(path);
        let bytes = fs::read(&file).unwrap();
        let mut altered = bytes.clone();
        let middle = altered.len() / 2;
        altered[middle] ^= 1;
        fs::write(&file, altered).unwrap();
        assert!(verify(folder.path()).await.is_err(), "{path} was altered");
        fs::write(&file, bytes).unwrap();
    }
    fs::write(folder.path().join("model/modeling.py"), "import os").unwrap();
    assert!(verify(folder.path()).await.is_err(), "a file was added");
    fs::remove_file(folder.path().join("model/modeling.py")).unwrap();
    verify(folder.path()).await.unwrap();
    run.work.empty().await;
}

#[tokio::test]
async fn a_signature_that_is_there_and_does_not_hold_is_refused() {
    let hub = Hub::serve(Commit::default().file("config.json", CONFIG)).await;
    let run = Run::of(&hub).await;
    let sealed = run.acquire().await.unwrap();
    let place = format!("{}model.sig", sealed.prefix);
    let mut bundle = run.work.get(&place).await.to_vec();
    let payload = String::from_utf8_lossy(&bundle).find("\"payload\":\"").unwrap() + 200;
    bundle[payload] = if bundle[payload] == b'A' { b'B' } else { b'A' };
    run.work.delete(&place).await;
    let sha256 = crate::hub::sha256(&bundle);
    run.work.put_claiming(&place, bundle.into(), &sha256).await;
    let refused = run.acquire().await.unwrap_err();
    assert_eq!(refused.name, "EvidenceBroken", "{refused:?}");
    assert!(refused.message.contains("model.sig"), "{refused:?}");
}
