//! The public verifier of OpenSSF Model Signing accepts what Lockstep seals, and refuses every change to it.

#![allow(clippy::unwrap_used, reason = "in a test file every function is a test or its part")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use contract::Sha256Digest;
use evidence::{OmsStatement, SIGNATURE_FILE, public_key_pem};
use integration_tests::root;
use local::{
    Silent,
    python::{Environment, MODEL_SIGNING},
};
use p256::{
    ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner as _},
    pkcs8::{EncodePrivateKey as _, LineEnding},
};
use serde_json::Value;
use tempfile::TempDir;

/// Nested, with spaces, beyond ASCII and beyond the first plane, and in names that sort by bytes otherwise than as
/// paths.
const FILES: [&str; 10] = [
    "config.json",
    "model.safetensors",
    "onnx/model.onnx",
    "onnx/quantized/model q4.onnx",
    "onnx model.txt",
    "onnx-model.txt",
    "onnx.txt",
    "größe/ß.json",
    "größe/\u{ffee}.json",
    "größe/𝔘.json",
];

/// The public tool's Python.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let lockstep = root().join(".lockstep");
        let made = Environment::prepare(&lockstep, MODEL_SIGNING, &Silent);
        tokio::runtime::Runtime::new().unwrap().block_on(made).unwrap().python()
    })
}

/// A model that was sealed, as a user has it after downloading the prefix.
struct Model {
    folder: TempDir,
    key: SigningKey,
}

impl Model {
    fn new() -> Self {
        let model =
            Self { folder: tempfile::tempdir().unwrap(), key: SigningKey::from_slice(&[7; 32]).unwrap() };
        for path in FILES {
            let file = model.path(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, format!("content of {path}")).unwrap();
        }
        fs::write(model.key_file(), public_key_pem(model.key.verifying_key())).unwrap();
        let statement = model.statement();
        // As KMS signs a digest.
        let signature: Signature = model.key.sign_prehash(&statement.unsigned().unwrap().digest()).unwrap();
        let bundle = statement.bundle(model.key.verifying_key(), signature.to_der().as_bytes()).unwrap();
        fs::write(model.path(SIGNATURE_FILE), bundle).unwrap();
        model
    }

    fn statement(&self) -> OmsStatement {
        let digests: BTreeMap<_, _> =
            FILES.map(|path| (path, Sha256Digest::of(fs::read(self.path(path)).unwrap()))).into();
        OmsStatement::new("model", digests.iter().map(|(path, sha256)| (*path, sha256))).unwrap()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("model").join(path)
    }

    fn key_file(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// Runs the public tool on the model; what it says when it refuses.
    fn tool(&self, arguments: &[&str], signature: &Path) -> Result<(), String> {
        let output = Command::new(python())
            .args(["-I", "-m", "model_signing"])
            .args(arguments)
            .arg(self.path(""))
            .arg("--signature")
            .arg(signature)
            .output()
            .unwrap();
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn verify_with(&self, key: &Path, options: &[&str]) -> Result<(), String> {
        let key = key.to_str().unwrap();
        self.tool(&[&["verify", "key", "--public_key", key], options].concat(), &self.path(SIGNATURE_FILE))
    }

    fn verify(&self) -> Result<(), String> {
        self.verify_with(&self.key_file(), &[])
    }

    /// What the verifier says after a change to the folder, which is undone again.
    fn refusal_after(&self, change: impl FnOnce(&Self), undo: impl FnOnce(&Self)) -> String {
        change(self);
        let said = self.verify().expect_err("the changed model was accepted");
        undo(self);
        said
    }
}

/// A bundle's parts: all of it but the signed text and its signature, and the signed text.
fn parts(bundle: &Path) -> (Value, Value) {
    let mut bundle: Value = serde_json::from_slice(&fs::read(bundle).unwrap()).unwrap();
    let envelope = &mut bundle["dsseEnvelope"];
    let payload = STANDARD.decode(envelope["payload"].take().as_str().unwrap()).unwrap();
    envelope["signatures"][0]["sig"].take();
    (bundle, serde_json::from_slice(&payload).unwrap())
}

#[test]
fn the_public_verifier_accepts_the_seal_and_refuses_every_change_to_any_file() {
    let model = Model::new();
    assert_eq!(model.verify(), Ok(()));
    assert_eq!(model.verify_with(&model.key_file(), &["--no-ignore-git-paths"]), Ok(()));

    for path in FILES {
        let file = model.path(path);
        let content = fs::read(&file).unwrap();
        let mut changed = content.clone();
        changed[0] ^= 1;
        let restore = |_: &Model| fs::write(&file, &content).unwrap();
        let said = model.refusal_after(|_| fs::write(&file, &changed).unwrap(), restore);
        assert!(said.contains("Hash mismatch") && said.contains(path), "{said}");
        let said = model.refusal_after(|_| fs::remove_file(&file).unwrap(), restore);
        assert!(said.contains("Missing files") && said.contains(path), "{said}");
    }

    let added = model.path("onnx/added.json");
    let said =
        model.refusal_after(|_| fs::write(&added, "{}").unwrap(), |_| fs::remove_file(&added).unwrap());
    assert!(said.contains("Extra files") && said.contains("onnx/added.json"), "{said}");

    let [one, two, aside] = ["config.json", "onnx.txt", "aside"].map(|path| model.path(path));
    let swap = |_: &Model| {
        fs::rename(&one, &aside).unwrap();
        fs::rename(&two, &one).unwrap();
        fs::rename(&aside, &two).unwrap();
    };
    let said = model.refusal_after(swap, swap);
    assert!(said.contains("Hash mismatch"), "{said}");

    assert_eq!(model.verify(), Ok(()), "everything was put back");
}

#[test]
fn the_public_verifier_refuses_another_key() {
    let model = Model::new();
    let other = model.folder.path().join("other.pem");
    let stranger = SigningKey::from_slice(&[8; 32]).unwrap();
    fs::write(&other, public_key_pem(stranger.verifying_key())).unwrap();
    let said = model.verify_with(&other, &[]).unwrap_err();
    assert!(said.contains("Key mismatch"), "{said}");

    // The name of the key is a hint that nothing signs: forged, the signature itself must not verify.
    let hint = |key: &SigningKey| Sha256Digest::of(public_key_pem(key.verifying_key())).to_string();
    let bundle = fs::read_to_string(model.path(SIGNATURE_FILE)).unwrap();
    fs::write(model.path(SIGNATURE_FILE), bundle.replace(&hint(&model.key), &hint(&stranger))).unwrap();
    assert!(model.verify_with(&other, &[]).is_err());
}

#[test]
fn the_public_verifier_refuses_a_change_to_any_byte_of_the_manifest() {
    /// Changes one byte of the signed text after the other, and says which changes were accepted; the first try
    /// changes nothing.
    const SWEEP: &str = r#"
import base64, json, pathlib, sys
from model_signing import verifying
model, signature, key, changed = map(pathlib.Path, sys.argv[1:])
bundle = json.loads(signature.read_text())
envelope = bundle["dsseEnvelope"]
manifest = base64.b64decode(envelope["payload"])
accepted = []
for at in range(-1, len(manifest)):
    altered = bytearray(manifest)
    if at >= 0:
        altered[at] ^= 1
    envelope["payload"] = base64.b64encode(altered).decode()
    changed.write_text(json.dumps(bundle))
    try:
        verifying.Config().use_elliptic_key_verifier(public_key=key).verify(model, changed)
        accepted.append(at)
    except Exception:
        pass
print(json.dumps([len(manifest), accepted]))
"#;
    let model = Model::new();
    let swept = Command::new(python())
        .args(["-I", "-c", SWEEP])
        .args([model.path(""), model.path(SIGNATURE_FILE), model.key_file()])
        .arg(model.folder.path().join("changed.sig"))
        .output()
        .unwrap();
    assert!(swept.status.success(), "{}", String::from_utf8_lossy(&swept.stderr));
    let (length, accepted): (usize, Vec<i64>) = serde_json::from_slice(&swept.stdout).unwrap();
    assert!(length > 1000, "{length} bytes are no manifest of these files");
    assert_eq!(accepted, [-1], "only the unchanged manifest");
}

#[test]
fn the_public_tool_seals_the_same_files_with_the_same_words() {
    let model = Model::new();
    let private = model.folder.path().join("private.pem");
    fs::write(&private, model.key.to_pkcs8_pem(LineEnding::LF).unwrap().as_bytes()).unwrap();
    let kept = model.folder.path().join("ours.sig");
    fs::rename(model.path(SIGNATURE_FILE), &kept).unwrap();
    let signing = ["sign", "key", "--no-ignore-git-paths", "--private_key", private.to_str().unwrap()];
    assert_eq!(model.tool(&signing, &model.path(SIGNATURE_FILE)), Ok(()));

    let (ours, theirs) = (parts(&kept), parts(&model.path(SIGNATURE_FILE)));
    assert_eq!(ours, theirs);
    assert_eq!(ours.1["subject"][0]["digest"]["sha256"], model.statement().root().as_str());
}
