//! A model's signature in OpenSSF Model Signing form (OMS): which files it has, signed, so that anybody can verify
//! them with the public `model_signing` tool and the public key.
//!
//! The form, as `model_signing` 1.1.1 writes and reads it for an elliptic-curve key: a Sigstore bundle
//! (<https://docs.sigstore.dev/about/bundle/>) holds a DSSE envelope, which holds an in-toto statement. The
//! statement's predicate lists each file with its SHA-256; its subject is the *root*, the SHA-256 of those digests
//! (32 bytes each) in the list's order. On P-256 the key signs the SHA-256 of the envelope's pre-authentication
//! encoding, which is what KMS signs with `ECDSA_SHA_256`.
//!
//! **The signature's own file** lies beside the files that it signs, as [`SIGNATURE_FILE`]. It cannot list itself: the
//! statement names it under `ignore_paths`, and nothing else, as the tool does when it signs with
//! `--no-ignore-git-paths`. The tool's verifier passes over [`PASSED_OVER`] too unless it is called with that option,
//! so those would be listed and not found: a statement refuses to list what is not looked at, and
//! [`check_signable`] says so of a name before anything is fetched.
//!
//! The root is no identity of a model: it covers the digests and not the names. Use
//! [`contract::Manifest::content_digest`] for that.

use std::collections::BTreeMap;

use contract::Sha256Digest;
use p256::{
    ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier as _},
    pkcs8::{EncodePublicKey as _, LineEnding},
};
use serde::{Deserialize, Serialize};

use crate::{
    envelope::{Envelope, EnvelopeInvalid, Unsigned},
    statement::{STATEMENT_TYPE, Statement, Subject},
};

/// The signature's file, right under the model's prefix.
pub const SIGNATURE_FILE: &str = "model.sig";
/// The `predicateType` of a model's signature.
const OMS_PREDICATE: &str = "https://model_signing/signature/v1.0";
/// What the public verifier does not look at, as file or as folder, unless told to: git's own files.
const PASSED_OVER: [&str; 4] = [".git", ".gitattributes", ".github", ".gitignore"];

/// The only bundle that the public verifier takes.
const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// How each file was hashed, in the tool's word.
const ALGORITHM: &str = "sha256";

/// Why a list of files cannot be signed, or a signature is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OmsInvalid {
    /// A model has files.
    #[error("there is no file to sign")]
    NoFiles,
    /// The public verifier would read the path as another one, or not find it.
    #[error("`{0}` is no plain path: no part of it may be empty, `.` or `..`, nor hold a NUL")]
    NotPlain(String),
    /// The public verifier does not look there.
    #[error("`{0}` cannot be signed: the verifier does not look at it")]
    PassedOver(String),
    /// The same path twice.
    #[error("`{0}` is listed twice")]
    Twice(String),
    /// Not a bundle.
    #[error("it is not a Sigstore bundle: {0}")]
    Malformed(String),
    /// The bytes are not those that Lockstep writes.
    #[error("its {0} is not in canonical form")]
    NotCanonical(&'static str),
    /// Another kind of bundle.
    #[error("its media type is `{0}`, not {MEDIA_TYPE}")]
    MediaType(String),
    /// It says that another key signed it.
    #[error("it names another key")]
    OtherKey,
    /// The signature is not the key's.
    #[error("the signature does not verify with the public key")]
    Signature,
    /// The envelope is refused.
    #[error(transparent)]
    Envelope(EnvelopeInvalid),
    /// Signed, but it says something else.
    #[error("it is signed for another {0}")]
    Foreign(&'static str),
    /// A file that the signature does not list.
    #[error("`{0}` is not signed")]
    NotSigned(String),
    /// The signature lists a file that is not there.
    #[error("`{0}` is signed and not there")]
    Absent(String),
    /// A file is not the one that was signed.
    #[error("`{0}` is not the file that was signed")]
    Altered(String),
}

impl From<EnvelopeInvalid> for OmsInvalid {
    fn from(error: EnvelopeInvalid) -> Self {
        match error {
            EnvelopeInvalid::Signature(_) => Self::Signature,
            other => Self::Envelope(other),
        }
    }
}

/// What is signed: a model's files and their digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OmsStatement {
    statement: Statement<Predicate>,
    root: Sha256Digest,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Predicate {
    serialization: Serialization,
    resources: Vec<Resource>,
}

/// How the files became a list; the verifier lists them in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Serialization {
    method: String,
    hash_type: String,
    allow_symlinks: bool,
    ignore_paths: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resource {
    name: String,
    algorithm: String,
    digest: Sha256Digest,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    verification_material: VerificationMaterial,
    dsse_envelope: Envelope,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct VerificationMaterial {
    public_key: PublicKeyIdentifier,
    /// No transparency log: the key is the trust root.
    tlog_entries: [(); 0],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublicKeyIdentifier {
    hint: String,
}

impl OmsStatement {
    /// States a model's files, in the tool's order whatever the order given. `name` only informs.
    ///
    /// # Errors
    /// [`OmsInvalid`] when a file could not be verified later, or there is none.
    pub fn new<'a>(
        name: &str,
        files: impl IntoIterator<Item = (&'a str, &'a Sha256Digest)>,
    ) -> Result<Self, OmsInvalid> {
        let mut files: Vec<_> = files.into_iter().collect();
        if files.is_empty() {
            return Err(OmsInvalid::NoFiles);
        }
        // The tool sorts paths, not texts: by their parts, each by code points. So `a/z` comes before `a-b`.
        files.sort_by(|(left, _), (right, _)| left.split('/').cmp(right.split('/')));
        let mut resources: Vec<Resource> = Vec::with_capacity(files.len());
        let mut all_digests = Vec::with_capacity(files.len() * 32);
        for (path, sha256) in files {
            check_signable(path)?;
            if resources.last().is_some_and(|before| before.name == path) {
                return Err(OmsInvalid::Twice(path.to_owned()));
            }
            all_digests.extend_from_slice(&sha256.to_bytes());
            resources.push(Resource {
                name: path.to_owned(),
                algorithm: ALGORITHM.to_owned(),
                digest: sha256.clone(),
            });
        }
        let root = Sha256Digest::of(all_digests);
        let serialization = Serialization {
            method: "files".to_owned(),
            hash_type: ALGORITHM.to_owned(),
            allow_symlinks: false,
            ignore_paths: vec![SIGNATURE_FILE.to_owned()],
        };
        let statement = Statement {
            kind: STATEMENT_TYPE.to_owned(),
            subject: vec![Subject::new(name, &root)],
            predicate_type: OMS_PREDICATE.to_owned(),
            predicate: Predicate { serialization, resources },
        };
        Ok(Self { statement, root })
    }

    /// The digest of the files' digests: the statement's subject.
    pub fn root(&self) -> &Sha256Digest {
        &self.root
    }

    /// What waits for the signature: its digest goes to KMS, as a digest, to be signed with `ECDSA_SHA_256`.
    ///
    /// # Errors
    /// [`EnvelopeInvalid::Malformed`] when it cannot be written as JSON.
    pub fn unsigned(&self) -> Result<Unsigned, EnvelopeInvalid> {
        Unsigned::new(&self.statement)
    }

    /// The bytes of [`SIGNATURE_FILE`]: the statement with `key`'s signature of [`Self::unsigned`]'s digest.
    ///
    /// # Errors
    /// [`OmsInvalid::Signature`] when that is not what the key signed: nothing that does not verify is written.
    pub fn bundle(&self, key: &VerifyingKey, signature_der: &[u8]) -> Result<Vec<u8>, OmsInvalid> {
        let unsigned = self.unsigned()?;
        let signature = Signature::from_der(signature_der).map_err(|_| OmsInvalid::Signature)?;
        key.verify_prehash(&unsigned.digest(), &signature).map_err(|_| OmsInvalid::Signature)?;
        // Whoever has (r, s) can also write (r, -s), which verifies as well. Keeping to the lower of the two
        // leaves one form, and lets the reader refuse every change to the file.
        let signature = signature.normalize_s().to_der();
        let bundle = Bundle {
            media_type: MEDIA_TYPE.to_owned(),
            verification_material: VerificationMaterial {
                public_key: PublicKeyIdentifier { hint: key_hint(key) },
                tlog_entries: [],
            },
            // The hint names the key: a key id would tell everybody who has the model the account's number.
            dsse_envelope: unsigned.envelope("", signature.as_bytes()),
        };
        serde_json::to_vec(&bundle).map_err(|error| OmsInvalid::Malformed(error.to_string()))
    }

    /// Verifies a bundle that was found: it must be, byte for byte, what [`Self::bundle`] writes for these files
    /// with this key and some signature of the key.
    ///
    /// # Errors
    /// [`OmsInvalid`]; nothing of the statement is believed before the signature verified.
    pub fn verify_bundle(&self, bytes: &[u8], key: &VerifyingKey) -> Result<(), OmsInvalid> {
        let bundle: Bundle =
            serde_json::from_slice(bytes).map_err(|error| OmsInvalid::Malformed(error.to_string()))?;
        if bundle.media_type != MEDIA_TYPE {
            return Err(OmsInvalid::MediaType(bundle.media_type));
        }
        if bundle.verification_material.public_key.hint != key_hint(key) {
            return Err(OmsInvalid::OtherKey);
        }
        let signed: Statement<Predicate> = bundle.dsse_envelope.verify(key, SIGNATURE_FILE)?;
        self.compare(&signed)?;
        if self.bundle(key, &bundle.dsse_envelope.signature()?)? != bytes {
            return Err(OmsInvalid::NotCanonical("bundle"));
        }
        Ok(())
    }

    /// What was signed is this, or the first difference.
    fn compare(&self, signed: &Statement<Predicate>) -> Result<(), OmsInvalid> {
        let stated = &self.statement;
        if signed.kind != stated.kind || signed.predicate_type != stated.predicate_type {
            return Err(OmsInvalid::Foreign("predicate type"));
        }
        if signed.predicate.serialization != stated.predicate.serialization {
            return Err(OmsInvalid::Foreign("way of listing files"));
        }
        let by_name = |statement: &Statement<Predicate>| -> BTreeMap<String, Sha256Digest> {
            let resources = statement.predicate.resources.iter();
            resources.map(|resource| (resource.name.clone(), resource.digest.clone())).collect()
        };
        let (here, mut there) = (by_name(stated), by_name(signed));
        for (path, sha256) in here {
            match there.remove(&path) {
                None => return Err(OmsInvalid::NotSigned(path)),
                Some(other) if other != sha256 => return Err(OmsInvalid::Altered(path)),
                Some(_) => {}
            }
        }
        if let Some((path, _)) = there.pop_first() {
            return Err(OmsInvalid::Absent(path));
        }
        if signed.predicate != stated.predicate {
            return Err(OmsInvalid::Foreign("order or algorithm"));
        }
        if signed.subject != stated.subject {
            return Err(OmsInvalid::Foreign("subject"));
        }
        Ok(())
    }
}

/// A file of this path, relative to the model, can be listed, and the public verifier will look at it.
///
/// # Errors
/// [`OmsInvalid::NotPlain`], [`OmsInvalid::PassedOver`].
pub fn check_signable(path: &str) -> Result<(), OmsInvalid> {
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    if !path.split('/').all(plain) {
        return Err(OmsInvalid::NotPlain(path.to_owned()));
    }
    let first = path.split('/').next().unwrap_or_default();
    if first == SIGNATURE_FILE || PASSED_OVER.contains(&first) {
        return Err(OmsInvalid::PassedOver(path.to_owned()));
    }
    Ok(())
}

/// The public key as the file that the public verifier reads.
pub fn public_key_pem(key: &VerifyingKey) -> String {
    // A point on the curve always encodes.
    key.to_public_key_pem(LineEnding::LF).unwrap_or_default()
}

/// How the bundle names its key: the SHA-256 of the key's PEM text.
fn key_hint(key: &VerifyingKey) -> String {
    Sha256Digest::of(public_key_pem(key)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use p256::ecdsa::{SigningKey, signature::hazmat::PrehashSigner as _};
    use proptest::prelude::*;

    type Files = BTreeMap<String, Sha256Digest>;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_slice(&[seed; 32]).unwrap()
    }

    fn model() -> Files {
        let paths = ["config.json", "model.safetensors", "onnx/model.onnx", "one pool/größe.json"];
        paths.iter().map(|path| ((*path).to_owned(), Sha256Digest::of(path))).collect()
    }

    fn state(files: &Files) -> OmsStatement {
        let files = files.iter().map(|(path, sha256)| (path.as_str(), sha256));
        OmsStatement::new("lockstep/tiny@abc", files).unwrap()
    }

    /// Signs any statement with the key, the legitimate way but for what it says.
    fn sign(statement: &Statement<Predicate>, signer: &SigningKey) -> Vec<u8> {
        let forged = OmsStatement { statement: statement.clone(), root: Sha256Digest::of("") };
        let signature: Signature = signer.sign_prehash(&forged.unsigned().unwrap().digest()).unwrap();
        forged.bundle(signer.verifying_key(), signature.to_der().as_bytes()).unwrap()
    }

    fn sealed(files: &Files) -> Vec<u8> {
        sign(&state(files).statement, &key(7))
    }

    fn verify(bytes: &[u8], files: &Files) -> Result<(), OmsInvalid> {
        state(files).verify_bundle(bytes, key(7).verifying_key())
    }

    #[test]
    fn what_was_sealed_verifies_and_its_statement_is_the_same_in_any_order() {
        let files = model();
        assert_eq!(verify(&sealed(&files), &files), Ok(()));
        let backwards = files.iter().rev().map(|(path, sha256)| (path.as_str(), sha256));
        assert_eq!(OmsStatement::new("lockstep/tiny@abc", backwards).unwrap(), state(&files));
    }

    #[test]
    fn trap_files_are_in_path_order_as_the_public_tool_sorts_them() {
        // `sorted` of `PurePosixPath`s; by bytes, `sub dir`, `sub-x` and `sub.x` would come before `sub/y`.
        let sorted = ["A", "b", "sub/y", "sub/y-z", "sub dir/x", "sub-x", "sub.x", "z", "é", "\u{ffee}", "𝔘"];
        let files: Files = sorted.iter().map(|path| ((*path).to_owned(), Sha256Digest::of(path))).collect();
        let statement = state(&files).statement;
        let names: Vec<_> = statement.predicate.resources.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, sorted);
        let digests: Vec<u8> = sorted.iter().flat_map(|path| Sha256Digest::of(path).to_bytes()).collect();
        assert_eq!(*state(&files).root(), Sha256Digest::of(digests));
    }

    #[test]
    fn the_statement_is_written_as_the_format_has_it() {
        let files: Files = [("a/b".to_owned(), Sha256Digest::of("x"))].into();
        let bundle: serde_json::Value = serde_json::from_slice(&sealed(&files)).unwrap();
        let payload = STANDARD.decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap();
        let statement: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        let digest = Sha256Digest::of("x");
        let expected = serde_json::json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [
                {"name": "lockstep/tiny@abc", "digest": {"sha256": Sha256Digest::of(digest.to_bytes())}},
            ],
            "predicateType": "https://model_signing/signature/v1.0",
            "predicate": {
                "serialization": {
                    "method": "files",
                    "hash_type": "sha256",
                    "allow_symlinks": false,
                    "ignore_paths": ["model.sig"],
                },
                "resources": [{"name": "a/b", "algorithm": "sha256", "digest": digest}],
            },
        });
        assert_eq!(statement, expected);
        assert_eq!(bundle["verificationMaterial"]["tlogEntries"], serde_json::json!([]));
        assert_eq!(bundle["dsseEnvelope"]["signatures"][0]["keyid"], "");
    }

    #[test]
    fn every_single_byte_change_of_the_signature_file_is_refused() {
        let files: Files = [("config.json".to_owned(), Sha256Digest::of("{}"))].into();
        let (statement, key) = (state(&files), *key(7).verifying_key());
        let bytes = sealed(&files);
        assert_eq!(statement.verify_bundle(&bytes, &key), Ok(()));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(statement.verify_bundle(&changed, &key).is_err(), "byte {at} changed and still verified");
        }
    }

    #[test]
    fn a_file_more_a_file_less_and_another_content_are_named() {
        let files = model();
        let bytes = sealed(&files);
        for path in files.keys() {
            let mut changed = files.clone();
            changed.insert(path.clone(), Sha256Digest::of("other"));
            assert_eq!(verify(&bytes, &changed), Err(OmsInvalid::Altered(path.clone())));
            let mut fewer = files.clone();
            fewer.remove(path);
            assert_eq!(verify(&bytes, &fewer), Err(OmsInvalid::Absent(path.clone())));
        }
        let mut more = files.clone();
        more.insert("extra.json".to_owned(), Sha256Digest::of("extra"));
        assert_eq!(verify(&bytes, &more), Err(OmsInvalid::NotSigned("extra.json".to_owned())));
    }

    #[test]
    fn trap_files_that_swap_their_names_have_the_same_root_and_are_refused() {
        let (one, two) = (Sha256Digest::of("1"), Sha256Digest::of("2"));
        let files: Files = [("a".to_owned(), one.clone()), ("b".to_owned(), two.clone())].into();
        let renamed: Files = [("a".to_owned(), one), ("c".to_owned(), two)].into();
        assert_eq!(state(&files).root(), state(&renamed).root());
        assert_eq!(verify(&sealed(&files), &renamed), Err(OmsInvalid::NotSigned("c".to_owned())));
    }

    #[test]
    fn another_key_is_refused_whether_or_not_the_hint_says_so() {
        let files = model();
        let stranger = sign(&state(&files).statement, &key(8));
        assert_eq!(verify(&stranger, &files), Err(OmsInvalid::OtherKey));
        let hints = [key(8), key(7)].map(|key| key_hint(key.verifying_key()));
        let forged = String::from_utf8(stranger).unwrap().replace(&hints[0], &hints[1]);
        assert_eq!(verify(forged.as_bytes(), &files), Err(OmsInvalid::Signature));
    }

    #[test]
    fn a_signature_of_something_else_makes_no_bundle() {
        let statement = state(&model());
        let signature: Signature = key(7).sign_prehash(&[1; 32]).unwrap();
        let key = key(7);
        let bundle =
            |signature: &[u8]| statement.bundle(key.verifying_key(), signature).map(|bytes| bytes.len());
        assert_eq!(bundle(signature.to_der().as_bytes()), Err(OmsInvalid::Signature));
        assert_eq!(bundle(b""), Err(OmsInvalid::Signature));
    }

    #[test]
    fn the_other_form_of_a_signature_becomes_the_canonical_one_and_is_refused_where_it_lies() {
        let files = model();
        let bytes = sealed(&files);
        let bundle: Bundle = serde_json::from_slice(&bytes).unwrap();
        let low = Signature::from_der(&bundle.dsse_envelope.signature().unwrap()).unwrap();
        let (r, s) = low.split_scalars();
        let high = Signature::from_scalars(r, -s).unwrap();
        assert_ne!(high, low);
        let (signer, high) = (key(7), high.to_der());
        assert_eq!(state(&files).bundle(signer.verifying_key(), high.as_bytes()).as_ref(), Ok(&bytes));
        let encoded = [low.to_der(), high].map(|der| STANDARD.encode(der.as_bytes()));
        let swapped = String::from_utf8(bytes).unwrap().replace(&encoded[0], &encoded[1]);
        let refused = OmsInvalid::Envelope(EnvelopeInvalid::NotCanonical("signature"));
        assert_eq!(verify(swapped.as_bytes(), &files), Err(refused));
    }

    #[test]
    fn another_layout_and_unsigned_additions_are_refused() {
        let files = model();
        let text = String::from_utf8(sealed(&files)).unwrap();
        let with = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            verify(text.replacen(from, to, 1).as_bytes(), &files).unwrap_err()
        };
        assert_eq!(with(",\"", ", \""), OmsInvalid::NotCanonical("bundle"));
        let hint = key_hint(key(7).verifying_key());
        assert_eq!(with(&hint, &hint.to_uppercase()), OmsInvalid::OtherKey);
        assert_eq!(with(r#""keyid":"""#, r#""keyid":"k""#), OmsInvalid::NotCanonical("bundle"));
        assert_eq!(with("v0.3+json", "v0.4+json"), OmsInvalid::MediaType(MEDIA_TYPE.replace("v0.3", "v0.4")));
        assert!(matches!(with(r#""tlogEntries":[]"#, r#""tlogEntries":[{}]"#), OmsInvalid::Malformed(_)));
        assert!(matches!(with("{", r#"{"more":1,"#), OmsInvalid::Malformed(_)));
        assert!(matches!(verify(b"", &files), Err(OmsInvalid::Malformed(_))));
    }

    #[test]
    fn statements_that_the_key_signed_for_something_else_are_refused() {
        let files = model();
        let refused = |change: fn(&mut Statement<Predicate>)| {
            let mut statement = state(&files).statement;
            change(&mut statement);
            verify(&sign(&statement, &key(7)), &files).unwrap_err()
        };
        let kind = refused(|statement| statement.predicate_type = "lockstep/link/v1".to_owned());
        assert_eq!(kind, OmsInvalid::Foreign("predicate type"));
        let links = refused(|statement| statement.predicate.serialization.allow_symlinks = true);
        assert_eq!(links, OmsInvalid::Foreign("way of listing files"));
        let ignored = refused(|statement| {
            statement.predicate.serialization.ignore_paths.push("config.json".to_owned());
        });
        assert_eq!(ignored, OmsInvalid::Foreign("way of listing files"));
        let order = refused(|statement| statement.predicate.resources.reverse());
        assert_eq!(order, OmsInvalid::Foreign("order or algorithm"));
        let twice = refused(|statement| {
            let first = statement.predicate.resources[0].clone();
            statement.predicate.resources.push(first);
        });
        assert_eq!(twice, OmsInvalid::Foreign("order or algorithm"));
        let name = refused(|statement| statement.subject[0].name.push('x'));
        assert_eq!(name, OmsInvalid::Foreign("subject"));
    }

    #[test]
    fn what_the_public_verifier_does_not_look_at_cannot_be_listed() {
        let digest = Sha256Digest::of("x");
        let outcome = |path: &str| OmsStatement::new("m", [(path, &digest)]).map(|_| ());
        for path in ["model.sig", ".gitattributes", ".git/config", ".github/x", ".gitignore", "model.sig/x"] {
            assert_eq!(outcome(path), Err(OmsInvalid::PassedOver(path.to_owned())));
        }
        for path in ["", "/a", "a/", "a//b", "./a", "a/../b", "a\0"] {
            assert_eq!(outcome(path), Err(OmsInvalid::NotPlain(path.to_owned())));
        }
        for path in ["sub/model.sig", "sub/.gitattributes", ".gitattributes2", "Model.sig"] {
            assert_eq!(outcome(path), Ok(()));
        }
        let twice = OmsStatement::new("m", [("a", &digest), ("b", &digest), ("a", &digest)]);
        assert_eq!(twice, Err(OmsInvalid::Twice("a".to_owned())));
        assert_eq!(OmsStatement::new("m", []), Err(OmsInvalid::NoFiles));
    }

    fn any_files() -> impl Strategy<Value = Files> {
        let path = prop::collection::vec("[a-c \\-.é𝔘]{0,3}x", 1..4).prop_map(|parts| parts.join("/"));
        prop::collection::btree_map(path, any::<[u8; 32]>(), 1..12).prop_map(|files| {
            files.into_iter().map(|(path, bytes)| (path, Sha256Digest::from_bytes(&bytes))).collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_bundle_verifies_for_its_own_files_and_for_no_others(files in any_files(), others in any_files()) {
            let bytes = sealed(&files);
            prop_assert_eq!(verify(&bytes, &files), Ok(()));
            prop_assert_eq!(verify(&bytes, &others).is_ok(), files == others);
        }

        #[test]
        fn a_bundle_with_any_byte_changed_removed_or_added_is_refused(
            files in any_files(), at in any::<prop::sample::Index>(), byte in any::<u8>(), how in 0..3,
        ) {
            let bytes = sealed(&files);
            let mut changed = bytes.clone();
            let at = at.index(bytes.len());
            match how {
                0 => changed[at] = byte,
                1 => drop(changed.remove(at)),
                _ => changed.insert(at, byte),
            }
            prop_assert_eq!(verify(&changed, &files).is_ok(), changed == bytes);
        }

        #[test]
        fn whatever_lies_there_is_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(verify(&bytes, &model()).is_err());
        }
    }
}
