//! Sign a whole run, break one thing, demand the refusal that names it.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use contract::{Gate, LinkRef, Manifest, ManifestFile, RunId, Sha256Digest};
use p256::{
    ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner},
    pkcs8::EncodePublicKey,
};
use proptest::prelude::*;
use serde::Serialize;
use serde_json::json;

use crate::*;

const AT: &str = "2026-11-21T00:00:00Z";
const IMAGE: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const FACTS: [&str; 6] = ["image", "model", "training_job", "artifact", "training_data", "evaluation_data"];

/// Keys by function, and a run that can be signed, altered and verified.
struct Bench {
    keys: BTreeMap<&'static str, SigningKey>,
    run: RunId,
    policy: Sha256Digest,
    files: Files,
}

impl Bench {
    fn new() -> Self {
        Self::of("test")
    }

    fn of(name: &str) -> Self {
        let functions = Gate::ALL.into_iter().map(Gate::function).chain(["seal-run"]);
        let keys = functions
            .enumerate()
            .map(|(number, function)| (function, SigningKey::from_slice(&[number as u8 + 1; 32]).unwrap()))
            .collect();
        let policy = br#"{"schema":"lockstep/policy/v1"}"#;
        let run = RunId::of(&[name]);
        let mut bench = Self { keys, run, policy: Sha256Digest::of(policy), files: Files::new() };
        bench.files.insert("admit-run/policy.json".to_owned(), policy.to_vec());
        for gate in Gate::ALL {
            bench.sign(gate, |_| {}, gate.function());
        }
        bench.seal(RunStatus::Succeeded);
        bench
    }

    fn envelope<T: Serialize>(&self, statement: &T, signer: &str) -> Vec<u8> {
        let unsigned = Unsigned::new(statement).unwrap();
        let signature: Signature = self.keys[signer].sign_prehash(&unsigned.digest()).unwrap();
        unsigned.sign(&format!("key/{signer}"), signature.to_der().as_bytes())
    }

    /// Stores what a gate carries, and names it.
    fn carry(&mut self, path: &str, kind: &str, bytes: Vec<u8>) -> Carried {
        let sha256 = Sha256Digest::of(&bytes);
        self.files.insert(path.to_owned(), bytes);
        Carried { path: path.to_owned(), sha256, kind: kind.to_owned() }
    }

    fn carry_statement<P: Serialize>(
        &mut self,
        path: &str,
        kind: &str,
        digest: &str,
        predicate: P,
    ) -> Carried {
        let subject = Subject {
            name: "x".to_owned(),
            digest: BTreeMap::from([("sha256".to_owned(), digest.to_owned())]),
        };
        let statement = Statement {
            kind: STATEMENT_TYPE.to_owned(),
            subject: vec![subject],
            predicate_type: kind.to_owned(),
            predicate,
        };
        let signer = path.split('/').next().unwrap();
        let bytes = self.envelope(&statement, signer);
        self.carry(path, kind, bytes)
    }

    /// What a gate's link carries, and the facts that go with it.
    fn carried(&mut self, gate: Gate) -> (Vec<Carried>, BTreeMap<String, String>) {
        let mut facts: BTreeMap<_, _> =
            FACTS.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect();
        facts.insert("image".to_owned(), format!("sha256:{IMAGE}"));
        facts.insert("source".to_owned(), "lockstep/tiny-lm".to_owned());
        let manifest = Manifest {
            location: "s3://b/p/".to_owned(),
            files: vec![ManifestFile {
                path: "model.safetensors".to_owned(),
                size: 1,
                sha256: Sha256Digest::of("weights"),
                version_id: Some("v".to_owned()),
            }],
            signature: None,
        };
        let content = manifest.content_digest().to_string();
        facts.insert("model".to_owned(), content.clone());
        facts.insert("artifact".to_owned(), content.clone());
        let listed = serde_json::to_vec(&manifest).unwrap();
        let vulns = || Vulns {
            scanner: Scanner { uri: "s".to_owned(), result: Vec::new() },
            metadata: ScanMetadata { scan_finished_on: None },
        };
        let carries = match gate {
            Gate::Admit => {
                let policy = self.files["admit-run/policy.json"].clone();
                vec![
                    self.carry("admit-run/plan.json", DOCUMENT, b"{}".to_vec()),
                    self.carry("admit-run/policy.json", DOCUMENT, policy),
                    self.carry("admit-run/request.json", DOCUMENT, b"{ }".to_vec()),
                ]
            }
            Gate::SealModel => {
                let files = manifest.files.iter().map(|file| (file.path.as_str(), &file.sha256));
                let statement = OmsStatement::new("lockstep/tiny-lm", files).unwrap();
                let key = &self.keys["download-model"];
                let signature: Signature = key.sign_prehash(&statement.unsigned().unwrap().digest()).unwrap();
                let bundle = statement.bundle(key.verifying_key(), signature.to_der().as_bytes()).unwrap();
                vec![
                    self.carry("download-model/manifest.json", DOCUMENT, listed),
                    self.carry("download-model/model.sig", MODEL_SIGNATURE_PREDICATE, bundle),
                ]
            }
            Gate::JudgeFindings | Gate::RecheckImage => {
                let path = format!("scan-gate/{gate}.vulns.json");
                vec![self.carry_statement(&path, VULNS_PREDICATE, IMAGE, vulns())]
            }
            Gate::SealArtifact => {
                let provenance = Provenance {
                    build_definition: BuildDefinition {
                        build_type: "t".to_owned(),
                        external_parameters: BTreeMap::new(),
                        internal_parameters: BTreeMap::new(),
                        resolved_dependencies: Vec::new(),
                    },
                    run_details: RunDetails {
                        builder: Builder { id: "b".to_owned() },
                        metadata: BuildMetadata {
                            invocation_id: "i".to_owned(),
                            started_on: None,
                            finished_on: None,
                        },
                    },
                };
                let path = "seal-artifact/provenance.json";
                vec![
                    self.carry("seal-artifact/manifest.json", DOCUMENT, listed),
                    self.carry_statement(path, PROVENANCE_PREDICATE, &content, provenance),
                ]
            }
            Gate::JudgeMetrics => {
                let result = TestResult {
                    result: "PASSED".to_owned(),
                    configuration: Vec::new(),
                    passed_tests: Vec::new(),
                    warned_tests: Vec::new(),
                    failed_tests: Vec::new(),
                };
                let path = "evaluate-model/test-result.json";
                vec![
                    self.carry("evaluate-model/metrics.json", DOCUMENT, b"{\"m\":1}".to_vec()),
                    self.carry_statement(path, TEST_RESULT_PREDICATE, &content, result),
                ]
            }
            Gate::Approve => {
                vec![self.carry("approve-package/model-card.json", DOCUMENT, b"{\"c\":1}".to_vec())]
            }
            Gate::Train | Gate::Deploy => Vec::new(),
        };
        for carried in &carries {
            let name = carried.path.rsplit('/').next().unwrap();
            let fact = match name {
                "model.sig" => "model_sig".to_owned(),
                "model-card.json" => "model_card".to_owned(),
                other => other.trim_end_matches(".json").to_owned(),
            };
            facts.insert(fact, carried.sha256.to_string());
        }
        (carries, facts)
    }

    /// Signs (again) a gate's link, after `change`, with the key of `signer`.
    fn sign(&mut self, gate: Gate, change: impl FnOnce(&mut Link), signer: &str) {
        let (carries, facts) = self.carried(gate);
        let before = gate.predecessors().iter();
        let mut link = Link {
            run_id: self.run.clone(),
            gate,
            verdict: Verdict::Passed,
            policy_sha256: self.policy.clone(),
            predecessors: before.map(|gate| Sha256Digest::of(&self.files[&link_path(*gate)])).collect(),
            carries,
            facts,
            at: AT.to_owned(),
        };
        change(&mut link);
        let statement = Statement::link(vec![Subject::new("x", &Sha256Digest::of("x"))], link);
        let bytes = self.envelope(&statement, signer);
        self.files.insert(link_path(gate), bytes);
    }

    fn record(&self, status: RunStatus) -> Record {
        let prefix = self.run.prefix();
        let files = self.files.iter().filter(|(path, _)| *path != RECORD_PATH);
        let gates = Gate::ALL.into_iter().filter(|gate| self.files.contains_key(&link_path(*gate)));
        Record {
            run_id: self.run.clone(),
            execution_arn: "arn:x".to_owned(),
            status,
            error: (status != RunStatus::Succeeded).then(|| "ScanBlocked".to_owned()),
            cause: None,
            policy_sha256: Some(self.policy.clone()),
            identities: Identities::default(),
            verdicts: gates
                .map(|gate| GateVerdict { gate, verdict: Verdict::Passed, at: AT.to_owned() })
                .collect(),
            inputs: BTreeMap::new(),
            states: Vec::new(),
            costs: Vec::new(),
            files: files
                .map(|(path, bytes)| RecordFile {
                    key: format!("{prefix}{path}"),
                    sha256: Sha256Digest::of(bytes),
                    size: bytes.len() as u64,
                })
                .collect(),
            sealed_at: AT.to_owned(),
        }
    }

    fn seal(&mut self, status: RunStatus) {
        let record = self.record(status).into_statement();
        let bytes = self.envelope(&record, "seal-run");
        self.files.insert(RECORD_PATH.to_owned(), bytes);
    }

    fn trust_json(&self) -> serde_json::Value {
        let entry = |(function, key): (&&str, &SigningKey)| {
            let types = match *function {
                "seal-run" => vec![RECORD_PREDICATE],
                "download-model" => vec![LINK_PREDICATE, MODEL_SIGNATURE_PREDICATE],
                "scan-gate" => vec![LINK_PREDICATE, VULNS_PREDICATE],
                "seal-artifact" => vec![LINK_PREDICATE, PROVENANCE_PREDICATE],
                "evaluate-model" => vec![LINK_PREDICATE, TEST_RESULT_PREDICATE],
                _ => vec![LINK_PREDICATE],
            };
            json!({
                "keyid": format!("key/{function}"),
                "function": function,
                "public_key": STANDARD.encode(key.verifying_key().to_public_key_der().unwrap().as_bytes()),
                "predicate_types": types,
                "not_before": "2026-01-01T00:00:00Z",
            })
        };
        json!({ "schema": TRUST_ROOT_SCHEMA, "keys": self.keys.iter().map(entry).collect::<Vec<_>>() })
    }

    fn trust(&self) -> TrustRoot {
        TrustRoot::parse(self.trust_json().to_string().as_bytes()).unwrap()
    }

    fn verify(&self) -> Result<VerifiedRun, RunBroken> {
        verify_run(&self.files, &self.trust())
    }

    /// As deployment verifies: up to the last gate before it, by what the state names.
    fn verify_to_deploy(&self) -> Result<VerifiedChain, EvidenceBroken> {
        let named = Gate::ALL.into_iter().filter_map(|gate| {
            let sha256 = Sha256Digest::of(self.files.get(&link_path(gate))?);
            Some((gate, LinkRef { key: gate.key(&self.run), sha256 }))
        });
        let named = named.collect();
        verify_chain(&self.run, &self.policy, Gate::RecheckImage, &named, &self.files, &self.trust())
    }
}

#[test]
fn invariant_02_a_whole_run_verifies_to_users_and_to_deployment() {
    let bench = Bench::new();
    assert_eq!(bench.verify().unwrap().chain.links().len(), 9);
    let chain = bench.verify_to_deploy().unwrap();
    assert_eq!(chain.links().len(), 8);
    assert_eq!(chain.fact(Gate::Train, "training_job").unwrap(), "training_job");
}

#[test]
fn invariant_02_a_missing_link_of_any_gate_breaks_the_chain() {
    for gate in Gate::ALL.into_iter().filter(|gate| *gate != Gate::Deploy) {
        let mut bench = Bench::new();
        bench.files.remove(&link_path(gate));
        assert_eq!(bench.verify_to_deploy().unwrap_err(), EvidenceBroken::Missing(gate));
    }
}

#[test]
fn invariant_02_what_a_link_carries_cannot_be_changed_or_left_out() {
    let carried: Vec<String> = Bench::new()
        .files
        .into_keys()
        .filter(|path| path != RECORD_PATH && !Gate::ALL.iter().any(|gate| link_path(*gate) == *path))
        .collect();
    assert_eq!(carried.len(), 12, "{carried:?}");
    for path in carried {
        let mut bench = Bench::new();
        bench.files.get_mut(&path).unwrap()[1] ^= 1;
        let broken = bench.verify_to_deploy().unwrap_err();
        assert!(matches!(&broken, EvidenceBroken::Carried { path: named, .. } if *named == path), "{broken}");
        let mut bench = Bench::new();
        bench.files.remove(&path);
        assert!(bench.verify_to_deploy().unwrap_err().to_string().contains(&path));
        // A gate that vouches for less than it decides on.
        let mut bench = Bench::new();
        let gate = Gate::ALL
            .into_iter()
            .find(|gate| bench.carried(*gate).0.iter().any(|carried| carried.path == path))
            .unwrap();
        bench.sign(gate, |link| link.carries.retain(|carried| carried.path != path), gate.function());
        let broken = bench.verify_to_deploy().unwrap_err();
        assert!(matches!(broken, EvidenceBroken::Bare(named, _) if named == gate), "{broken}");
    }
}

#[test]
fn a_statement_about_something_else_is_refused_though_its_own_gate_signed_it() {
    let mut bench = Bench::new();
    let (path, link) = ("scan-gate/recheck-image.vulns.json", link_path(Gate::RecheckImage));
    let mut statement: Statement<Vulns> = Envelope::parse(&bench.files[path]).unwrap().unverified().unwrap();
    statement.subject[0].digest.insert("sha256".to_owned(), "2".repeat(64));
    let bytes = bench.envelope(&statement, "scan-gate");
    let carried = bench.carry(path, VULNS_PREDICATE, bytes);
    let mut statement: Statement<Link> = Envelope::parse(&bench.files[&link]).unwrap().unverified().unwrap();
    statement.predicate.carries = vec![carried];
    let bytes = bench.envelope(&statement, "scan-gate");
    bench.files.insert(link, bytes);
    let broken = bench.verify_to_deploy().unwrap_err();
    assert!(broken.to_string().contains("about something else"), "{broken}");
}

#[test]
fn a_link_signed_with_another_gates_key_is_refused() {
    let mut bench = Bench::new();
    bench.sign(Gate::RecheckImage, |_| {}, "launch-training");
    let broken = bench.verify_to_deploy().unwrap_err();
    let expected =
        NotTrusted::OtherFunction { found: "launch-training".to_owned(), expected: "scan-gate".to_owned() };
    assert_eq!(broken, EvidenceBroken::NotTrusted(Gate::RecheckImage, expected));
    // And under the right key's name: the signature tells.
    let link = bench.files.get_mut(&link_path(Gate::RecheckImage)).unwrap();
    *link = String::from_utf8(link.clone()).unwrap().replace("key/launch-training", "key/scan-gate").into();
    let broken = bench.verify_to_deploy().unwrap_err();
    let refused = NotTrusted::Envelope(EnvelopeInvalid::Signature("scan-gate".to_owned()));
    assert_eq!(broken, EvidenceBroken::NotTrusted(Gate::RecheckImage, refused));
}

#[test]
fn a_link_of_another_run_policy_or_gate_is_refused() {
    let foreign = |change: fn(&mut Link)| {
        let mut bench = Bench::new();
        bench.sign(Gate::RecheckImage, change, "scan-gate");
        bench.verify_to_deploy().unwrap_err()
    };
    let is = |what| EvidenceBroken::Foreign(Gate::RecheckImage, what);
    assert_eq!(foreign(|link| link.run_id = RunId::of(&["other"])), is("run"));
    assert_eq!(foreign(|link| link.policy_sha256 = Sha256Digest::of("other")), is("policy"));
    // scan-gate signs two gates: its earlier verdict must not stand in for the later one.
    assert_eq!(foreign(|link| link.gate = Gate::JudgeFindings), is("gate"));
}

#[test]
fn a_link_that_was_signed_again_detaches_what_built_on_it() {
    let mut bench = Bench::new();
    bench.sign(Gate::JudgeMetrics, |link| link.at = "2026-12-01T00:00:00Z".to_owned(), "evaluate-model");
    assert_eq!(bench.verify_to_deploy().unwrap_err(), EvidenceBroken::Detached(Gate::Approve));
}

#[test]
fn invariant_03_gates_that_disagree_about_a_digest_break_the_chain() {
    for (fact, odd) in [
        ("image", Gate::Train),
        ("model", Gate::Train),
        ("training_job", Gate::SealArtifact),
        ("artifact", Gate::Approve),
        ("training_data", Gate::Train),
        ("evaluation_data", Gate::JudgeMetrics),
    ] {
        let mut bench = Bench::new();
        // One gate states something else, and everything after it is signed anew, so that only the fact is off.
        for gate in Gate::ALL {
            let change = |link: &mut Link| {
                if gate == odd {
                    link.facts.insert(fact.to_owned(), "other".to_owned());
                }
            };
            bench.sign(gate, change, gate.function());
        }
        let broken = bench.verify_to_deploy().unwrap_err();
        assert!(matches!(broken, EvidenceBroken::Disagree(_, _, name) if name == fact), "{fact}: {broken}");
    }
}

#[test]
fn a_key_counts_between_its_dates_and_for_its_predicate_types_only() {
    let bench = Bench::new();
    let verify = |change: fn(&mut serde_json::Value)| {
        let mut trust = bench.trust_json();
        for key in trust["keys"].as_array_mut().unwrap() {
            if key["function"] == "launch-training" {
                change(key);
            }
        }
        verify_run(&bench.files, &TrustRoot::parse(trust.to_string().as_bytes()).unwrap())
    };
    let broken = |change| verify(change).unwrap_err().to_string();
    assert!(broken(|key| key["not_before"] = json!("2026-12-01T00:00:00Z")).contains("does not count"));
    assert!(broken(|key| key["not_after"] = json!("2026-11-21T00:00:00Z")).contains("does not count"));
    assert!(broken(|key| key["predicate_types"] = json!([])).contains("may not sign"));
    assert!(broken(|key| key["keyid"] = json!("key/x")).contains("does not have"));
    verify(|key| key["not_after"] = json!("2026-11-21T00:00:01Z")).unwrap();
}

#[test]
fn trust_roots_that_could_be_read_two_ways_are_refused() {
    let bench = Bench::new();
    let refused = |change: fn(&mut serde_json::Value)| {
        let mut trust = bench.trust_json();
        change(&mut trust);
        TrustRoot::parse(trust.to_string().as_bytes()).unwrap_err()
    };
    let twice = refused(|trust| trust["keys"][1]["keyid"] = trust["keys"][0]["keyid"].clone());
    assert!(matches!(twice, TrustRootInvalid::Twice(_)));
    assert!(matches!(refused(|t| t["keys"][0]["public_key"] = json!("AA==")), TrustRootInvalid::Key(_)));
    assert!(matches!(refused(|trust| trust["schema"] = json!("v2")), TrustRootInvalid::Schema(_)));
    assert!(matches!(refused(|trust| trust["more"] = json!(1)), TrustRootInvalid::Malformed(_)));
}

#[test]
fn a_refused_run_verifies_as_what_it_is() {
    let mut bench = Bench::new();
    let later = [Gate::Train, Gate::SealArtifact, Gate::JudgeMetrics, Gate::Approve];
    for gate in later.into_iter().chain([Gate::RecheckImage, Gate::Deploy]) {
        for carried in bench.carried(gate).0 {
            bench.files.remove(&carried.path);
        }
        bench.files.remove(&link_path(gate));
    }
    bench.seal(RunStatus::Failed);
    let verified = bench.verify().unwrap();
    assert_eq!((verified.record.status, verified.chain.links().len()), (RunStatus::Failed, 3));
    // The same evidence under a record of success is a contradiction.
    bench.seal(RunStatus::Succeeded);
    assert!(matches!(bench.verify(), Err(RunBroken::Contradicted(_))));
}

#[test]
fn a_run_that_was_never_admitted_verifies_too() {
    let mut bench = Bench::new();
    bench.files.clear();
    let record = Record { policy_sha256: None, ..bench.record(RunStatus::Failed) };
    let bytes = bench.envelope(&record.into_statement(), "seal-run");
    bench.files.insert(RECORD_PATH.to_owned(), bytes);
    bench.verify().unwrap();
}

#[test]
fn a_gate_that_skipped_another_is_refused_though_the_record_lists_it() {
    let mut bench = Bench::new();
    bench.files.remove(&link_path(Gate::JudgeFindings));
    bench.seal(RunStatus::Failed);
    assert_eq!(bench.verify().unwrap_err(), RunBroken::Chain(EvidenceBroken::Missing(Gate::JudgeFindings)));
}

#[test]
fn files_that_are_swapped_between_runs_are_refused() {
    let other = Bench::of("other");
    for path in Bench::new().files.keys() {
        let mut bench = Bench::new();
        if bench.files[path] == other.files[path] {
            continue;
        }
        bench.files.insert(path.clone(), other.files[path].clone());
        assert!(bench.verify().is_err(), "{path}");
    }
}

fn change_of_json(value: &mut serde_json::Value, at: &mut usize) -> bool {
    use serde_json::Value;
    match value {
        Value::Object(members) => members.values_mut().any(|member| change_of_json(member, at)),
        Value::Array(elements) => elements.iter_mut().any(|element| change_of_json(element, at)),
        leaf if *at == 0 => {
            *leaf = match leaf {
                Value::String(text) => json!(format!("{text}x")),
                Value::Bool(flag) => json!(!*flag),
                Value::Number(_) => json!(4_294_967_295_u64),
                _ => json!("x"),
            };
            true
        }
        _ => {
            *at -= 1;
            false
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_change_to_any_file_is_refused(
        file in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in 1..=255_u8, how in 0..6,
    ) {
        let mut bench = Bench::new();
        let paths: Vec<String> = bench.files.keys().cloned().collect();
        let path = &paths[file.index(paths.len())];
        let other = bench.files[&paths[at.index(paths.len())]].clone();
        let bytes = bench.files.get_mut(path).unwrap();
        let place = at.index(bytes.len());
        let before = bytes.clone();
        match how {
            0 => bytes[place] ^= byte,
            1 => bytes.truncate(place),
            2 => bytes.insert(place, byte),
            3 => *bytes = other,
            4 => { bench.files.remove(path); }
            _ => { bench.files.insert(format!("{path}.copy"), before.clone()); }
        }
        let is_same = how < 4 && bench.files[path] == before;
        prop_assert_eq!(bench.verify().is_ok(), is_same, "{} {}", path, how);
    }

    #[test]
    fn any_field_that_is_changed_and_not_signed_again_is_refused(
        file in any::<prop::sample::Index>(), field in 0..40_usize,
    ) {
        let mut bench = Bench::new();
        let paths: Vec<String> = bench.files.keys().cloned().collect();
        let path = &paths[file.index(paths.len())];
        let mut value: serde_json::Value = serde_json::from_slice(&bench.files[path]).unwrap();
        let mut at = field;
        if change_of_json(&mut value, &mut at) {
            bench.files.insert(path.clone(), serde_json::to_vec(&value).unwrap());
            prop_assert!(bench.verify().is_err(), "{path}");
        }
    }
}
