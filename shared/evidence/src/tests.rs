//! Sign a whole run, break one thing, demand the refusal that names it.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use contract::{
    Gate, LinkRef, Manifest, ManifestFile, Promotion, Request, ResolvedImage, RunId, RunPlan, S3Uri,
    Sha256Digest, SmokeTest,
};
use p256::{
    ecdsa::{Signature, SigningKey, signature::hazmat::PrehashSigner},
    pkcs8::EncodePublicKey,
};
use proptest::prelude::*;
use serde::Serialize;
use serde_json::json;

use crate::*;

const AT: &str = "2026-11-21T00:00:00Z";
const COMMIT: &str = "cccccccccccccccccccccccccccccccccccccccc";
const IMAGE: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const REQUEST: &str = include_str!("../../testkit/fixtures/request.json");
const POLICY: &str = include_str!("../../testkit/fixtures/policy.json");

fn finding(severity: &str) -> Vulnerability {
    let score = SeverityScore { method: "m".to_owned(), score: severity.to_owned() };
    Vulnerability { id: "CVE-1".to_owned(), severity: vec![score] }
}

/// Keys by function, and a run that can be signed, altered and verified.
struct Bench {
    keys: BTreeMap<&'static str, SigningKey>,
    /// What the keys' names begin with: two accounts' keys differ in name and in bytes.
    account: &'static str,
    /// The run that is taken over, and its evidence in one document.
    promotion: Option<(Promotion, Vec<u8>)>,
    /// What the request expects of the model's answers.
    smoke_test: Option<SmokeTest>,
    run: RunId,
    policy: Sha256Digest,
    files: Files,
}

impl Bench {
    fn new() -> Self {
        Self::of("test")
    }

    fn of(name: &str) -> Self {
        Self::in_account("key", name, None)
    }

    /// A run of the account `key` that promotes a run.
    fn promoting(former: &Bench) -> Self {
        let bundle = bundle(&former.files).unwrap();
        Self::in_account("key", "promoting", Some((former.promotion_of(&bundle), bundle)))
    }

    fn promotion_of(&self, bundle: &[u8]) -> Promotion {
        let key = format!("promotions/AIDA/{}/evidence.json", self.run);
        Promotion {
            run_id: self.run.clone(),
            evidence: S3Uri::new("intake", key),
            evidence_sha256: Sha256Digest::of(bundle),
        }
    }

    fn in_account(account: &'static str, name: &str, promotion: Option<(Promotion, Vec<u8>)>) -> Self {
        let first = if account == "key" { 1 } else { 101 };
        let functions = Gate::ALL.into_iter().map(Gate::function).chain(["seal-run", "respond-incident"]);
        let keys = functions
            .enumerate()
            .map(|(number, function)| {
                (function, SigningKey::from_slice(&[number as u8 + first; 32]).unwrap())
            })
            .collect();
        let run = RunId::of(&[name]);
        let (policy, files) = (Sha256Digest::of(POLICY), Files::new());
        let mut bench = Self { keys, account, promotion, smoke_test: None, run, policy, files };
        for gate in Gate::ALL {
            bench.sign(gate, |_| {}, gate.function());
        }
        bench.seal(RunStatus::Succeeded);
        bench
    }

    /// A run whose request brings a smoke test.
    fn smoke_tested() -> Self {
        let mut bench = Self::new();
        let question =
            json!({"body": {"inputs": "x"}, "expect": [{"at": "/0/generated_text", "contains": "y"}]});
        bench.smoke_test = Some(serde_json::from_value(json!({"questions": [question]})).unwrap());
        for gate in Gate::ALL {
            bench.sign(gate, |_| {}, gate.function());
        }
        bench.seal(RunStatus::Succeeded);
        bench
    }

    fn envelope<T: Serialize>(&self, statement: &T, signer: &str) -> Vec<u8> {
        let unsigned = Unsigned::new(statement).unwrap();
        let signature: Signature = self.keys[signer].sign_prehash(&unsigned.digest()).unwrap();
        unsigned.sign(&format!("{}/{signer}", self.account), signature.to_der().as_bytes())
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

    fn plan(&self) -> RunPlan {
        let mut request = Request::parse(REQUEST.as_bytes()).unwrap();
        request.evaluation.thresholds =
            vec![serde_json::from_str(r#"{"metric": "loss", "below": 1.0}"#).unwrap()];
        if let Some((promotion, _)) = &self.promotion {
            request.promotion = Some(promotion.clone());
            request.source.revision = COMMIT.to_owned();
        }
        request.endpoint.smoke_test.clone_from(&self.smoke_test);
        RunPlan {
            run_id: self.run.clone(),
            execution_arn: "arn:x".to_owned(),
            request,
            request_sha256: Sha256Digest::of(REQUEST),
            policy_sha256: self.policy.clone(),
            submitter: Some("AIDASUBMITTER".to_owned()),
            image: ResolvedImage {
                registry_id: "1".to_owned(),
                repository: "r".to_owned(),
                digest: format!("sha256:{IMAGE}"),
                uri: format!("r@sha256:{IMAGE}"),
            },
            cause: None,
            cost_usd: 1.0,
            cost_items: Vec::new(),
        }
    }

    /// What a gate's link carries, and the facts that go with it.
    fn carried(&mut self, gate: Gate) -> (Vec<Carried>, BTreeMap<String, String>) {
        let plan = self.plan();
        let request = &plan.request;
        let mut facts = BTreeMap::new();
        let mut fact = |name: &str, value: &str| facts.insert(name.to_owned(), value.to_owned());
        fact("image", &plan.image.digest);
        fact("source", &request.source.repo);
        fact("commit", COMMIT);
        fact("submitter", "AIDASUBMITTER");
        fact("approver", "AIDAAPPROVER");
        fact("automatic", "false");
        fact("findings", "1");
        fact("training_job", "job");
        fact("training_data", request.training.data.sha256.as_str());
        fact("training_data_version", &request.training.data.version_id);
        fact("evaluation_data", request.evaluation.data.sha256.as_str());
        fact("evaluation_data_version", &request.evaluation.data.version_id);
        for (name, value) in &request.training.hyperparameters {
            fact(&format!("hyperparameter.{name}"), value);
        }
        for threshold in &request.evaluation.thresholds {
            fact(&format!("threshold.{}", threshold.metric), &threshold.bound.to_string());
            fact(&format!("after.{}", threshold.metric), "0.5");
        }
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
            scanner: Scanner { uri: "s".to_owned(), result: vec![finding("LOW")] },
            metadata: ScanMetadata { scan_finished_on: None },
        };
        let carries = match gate {
            Gate::Admit => {
                vec![
                    self.carry("admit-run/plan.json", DOCUMENT, serde_json::to_vec(&plan).unwrap()),
                    self.carry("admit-run/policy.json", DOCUMENT, POLICY.into()),
                    self.carry("admit-run/request.json", DOCUMENT, REQUEST.into()),
                ]
            }
            Gate::SealModel => {
                let files = manifest.files.iter().map(|file| (file.path.as_str(), &file.sha256));
                let statement = OmsStatement::new(&plan.request.source.repo, files).unwrap();
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
                        resolved_dependencies: vec![
                            ResourceDescriptor::new("base model", "u", &content),
                            ResourceDescriptor::new(
                                "training data",
                                "u",
                                request.training.data.sha256.as_str(),
                            ),
                            ResourceDescriptor::new("image", "u", IMAGE),
                        ],
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
            Gate::Train => match self.promotion.clone() {
                Some((promotion, bundle)) => {
                    facts.insert("promoted_run".to_owned(), promotion.run_id.to_string());
                    vec![self.carry(PROMOTED_PATH, DOCUMENT, bundle)]
                }
                None => Vec::new(),
            },
            Gate::Deploy => match &self.smoke_test {
                Some(asked) => {
                    let artifact = manifest.content_digest();
                    let statement = Statement {
                        kind: STATEMENT_TYPE.to_owned(),
                        subject: vec![smoke_test_subject(&plan, &artifact)],
                        predicate_type: TEST_RESULT_PREDICATE.to_owned(),
                        predicate: smoke_test_result(&plan, asked),
                    };
                    let bytes = self.envelope(&statement, "deploy-endpoint");
                    vec![self.carry(SMOKE_TEST_PATH, TEST_RESULT_PREDICATE, bytes)]
                }
                None => Vec::new(),
            },
        };
        for carried in &carries {
            let name = carried.path.rsplit('/').next().unwrap();
            if name == "promoted.json" {
                continue;
            }
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
        let account = Account::of(&self.files);
        Record {
            run_id: self.run.clone(),
            execution_arn: "arn:x".to_owned(),
            status,
            error: (status != RunStatus::Succeeded).then(|| "ScanBlocked".to_owned()),
            cause: None,
            policy_sha256: account.policy_sha256,
            identities: account.identities,
            verdicts: account.verdicts,
            inputs: account.inputs,
            states: Vec::new(),
            costs: account.costs,
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
                "respond-incident" => vec![INCIDENT_PREDICATE, OUTCOME_PREDICATE, REVOCATION_PREDICATE],
                "download-model" => vec![LINK_PREDICATE, MODEL_SIGNATURE_PREDICATE],
                "scan-gate" => vec![LINK_PREDICATE, VULNS_PREDICATE],
                "seal-artifact" => vec![LINK_PREDICATE, PROVENANCE_PREDICATE],
                "evaluate-model" | "deploy-endpoint" => vec![LINK_PREDICATE, TEST_RESULT_PREDICATE],
                _ => vec![LINK_PREDICATE],
            };
            json!({
                "keyid": format!("{}/{function}", self.account),
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
    assert_eq!(chain.fact(Gate::Train, "training_job").unwrap(), "job");
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
fn a_change_is_told_with_the_gate_whose_link_vouches_for_the_file() {
    for (path, gate) in [
        ("evaluate-model/metrics.json", "judge-metrics"),
        ("scan-gate/recheck-image.vulns.json", "recheck-image"),
        ("download-model/model.sig", "seal-model"),
        ("launch-training/train.json", "train"),
    ] {
        let mut bench = Bench::new();
        bench.files.get_mut(path).unwrap()[1] ^= 1;
        let told = bench.verify().unwrap_err().to_string();
        assert!(told.contains(&format!("`{gate}`")) && told.contains(path), "{told}");
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

/// Signs a carried statement anew after `change`, and its link with it.
fn resign<P>(path: &str, gate: Gate, change: impl FnOnce(&mut P)) -> EvidenceBroken
where
    P: Serialize + serde::de::DeserializeOwned,
{
    let mut bench = Bench::new();
    let mut statement: Statement<P> = Envelope::parse(&bench.files[path]).unwrap().unverified().unwrap();
    let kind = statement.predicate_type.clone();
    change(&mut statement.predicate);
    let bytes = bench.envelope(&statement, gate.function());
    let carried = bench.carry(path, &kind, bytes);
    let link = link_path(gate);
    let mut statement: Statement<Link> = Envelope::parse(&bench.files[&link]).unwrap().unverified().unwrap();
    let mine = statement.predicate.carries.iter_mut().find(|one| one.path == path).unwrap();
    *mine = carried;
    let bytes = bench.envelope(&statement, gate.function());
    bench.files.insert(link, bytes);
    verify_links(&bench.run, &bench.policy, &up_to(gate), &bench.files, &bench.trust()).unwrap_err()
}

/// A gate and all that it builds on.
fn up_to(gate: Gate) -> std::collections::BTreeSet<Gate> {
    let before = gate.predecessors().iter().flat_map(|gate| up_to(*gate));
    before.chain([gate]).collect()
}

#[test]
fn what_a_gate_let_pass_is_judged_again_from_what_it_carries() {
    let critical = |vulns: &mut Vulns| vulns.scanner.result[0] = finding("CRITICAL");
    let unknown = |vulns: &mut Vulns| vulns.scanner.result[0] = finding("WHO KNOWS");
    let silent = |vulns: &mut Vulns| vulns.scanner.result[0].severity.clear();
    for broken in [
        resign("scan-gate/judge-findings.vulns.json", Gate::JudgeFindings, critical),
        resign("scan-gate/judge-findings.vulns.json", Gate::JudgeFindings, unknown),
        resign("scan-gate/judge-findings.vulns.json", Gate::JudgeFindings, silent),
    ] {
        assert!(matches!(broken, EvidenceBroken::Unasked(Gate::JudgeFindings, _)), "{broken}");
    }
    let hidden = |vulns: &mut Vulns| vulns.scanner.result.clear();
    let broken = resign("scan-gate/judge-findings.vulns.json", Gate::JudgeFindings, hidden);
    assert!(broken.to_string().contains("number of findings"), "{broken}");
    let failed = |tested: &mut TestResult| tested.result = "FAILED".to_owned();
    let broken = resign("evaluate-model/test-result.json", Gate::JudgeMetrics, failed);
    assert!(broken.to_string().contains("tells of a failure"), "{broken}");
    let other = |made: &mut Provenance| drop(made.build_definition.resolved_dependencies.remove(0));
    let broken = resign("seal-artifact/provenance.json", Gate::SealArtifact, other);
    assert_eq!(broken, EvidenceBroken::Unasked(Gate::SealArtifact, "provenance"));
}

#[test]
fn a_link_that_is_older_than_what_it_builds_on_is_refused() {
    let mut bench = Bench::new();
    bench.sign(Gate::RecheckImage, |link| link.at = "2026-11-20T00:00:00Z".to_owned(), "scan-gate");
    let expected = EvidenceBroken::Early(Gate::RecheckImage, Gate::Approve);
    assert_eq!(bench.verify_to_deploy().unwrap_err(), expected);
}

#[test]
fn a_record_that_tells_another_story_than_the_links_is_refused() {
    let told = |change: fn(&mut Record)| {
        let mut bench = Bench::new();
        let mut record = bench.record(RunStatus::Succeeded);
        change(&mut record);
        let bytes = bench.envelope(&record.into_statement(), "seal-run");
        bench.files.insert(RECORD_PATH.to_owned(), bytes);
        bench.verify().unwrap_err()
    };
    for change in [
        (|record| record.identities.submitter = None) as fn(&mut Record),
        |record| drop(record.inputs.insert("image".to_owned(), "x".to_owned())),
        |record| drop(record.verdicts.pop()),
        |record| record.sealed_at = "2026-11-20T00:00:00Z".to_owned(),
    ] {
        assert!(matches!(told(change), RunBroken::Contradicted(_)));
    }
}

#[test]
fn a_key_that_a_file_system_would_read_as_another_place_is_refused() {
    for path in [
        "../x/y",
        "scan-gate/../../x",
        "/etc/x",
        "scan-gate//x",
        "scan-gate/.x",
        "x",
        "a/b/c",
        "scan-gate/\u{e9}",
    ] {
        let mut bench = Bench::new();
        bench.files.insert(path.to_owned(), b"x".to_vec());
        bench.seal(RunStatus::Succeeded);
        assert!(matches!(bench.verify(), Err(RunBroken::Listed(_))), "{path}");
    }
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
    bench.sign(Gate::JudgeMetrics, |link| link.at = "2026-11-21T00:00:01Z".to_owned(), "evaluate-model");
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
fn a_gate_that_did_something_else_than_was_asked_is_refused_though_it_says_so_itself() {
    for (gate, fact, other) in [
        (Gate::Admit, "submitter", "AIDASOMEBODY"),
        (Gate::SealModel, "source", "somebody/else"),
        (Gate::Train, "training_data_version", "later"),
        (Gate::Train, "hyperparameter.more", "1"),
        (Gate::JudgeMetrics, "evaluation_data_version", "later"),
        (Gate::JudgeMetrics, "threshold.loss", "< 99"),
        (Gate::JudgeMetrics, "after.loss", "1.5"),
        (Gate::JudgeMetrics, "after.loss", "NaN"),
        (Gate::Approve, "approver", "AIDASUBMITTER"),
        (Gate::Approve, "approver", "AIDASUBMITTER:another-session"),
        (Gate::Approve, "approver", "unknown"),
        (Gate::Approve, "submitter", "AIDASOMEBODY"),
        // No rule of this policy approves by itself.
        (Gate::Approve, "automatic", "true"),
    ] {
        let mut bench = Bench::new();
        for signing in Gate::ALL {
            let change = |link: &mut Link| {
                if signing == gate {
                    link.facts.insert(fact.to_owned(), other.to_owned());
                }
            };
            bench.sign(signing, change, signing.function());
        }
        let broken = bench.verify_to_deploy().unwrap_err();
        let is_named = matches!(broken, EvidenceBroken::Unasked(named, _) if named == gate)
            // The signature beside the weights names its source, too.
            || matches!(&broken, EvidenceBroken::Carried { gate: named, .. } if *named == gate);
        assert!(is_named, "{gate} {fact}: {broken}");
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

/// Another account's run, and the trust root of the account that it is promoted into.
fn former() -> (Bench, impl Fn(&Bench) -> TrustRoot) {
    let former = Bench::in_account("dev", "former", None);
    let theirs = former.trust_json();
    let trust = move |bench: &Bench| {
        let mut ours = bench.trust_json();
        ours["promotes_from"] = json!([theirs]);
        TrustRoot::parse(ours.to_string().as_bytes()).unwrap()
    };
    (former, trust)
}

#[test]
fn a_promoted_run_verifies_with_the_trust_roots_of_both_accounts() {
    let (former, trust) = former();
    let promoting = Bench::promoting(&former);
    verify_run(&promoting.files, &trust(&promoting)).unwrap();
    let message = promoting.verify().unwrap_err().to_string();
    assert!(message.contains("promotes_from"), "{message}");
}

#[test]
fn a_run_of_the_same_account_may_be_promoted_and_so_may_a_promoted_run() {
    let first = Bench::of("first");
    let second = Bench::promoting(&first);
    second.verify().unwrap();
    Bench::promoting(&second).verify().unwrap();
}

#[test]
fn no_change_to_the_promoted_runs_evidence_passes() {
    let (mut former, trust) = former();
    former.files.insert("scan-gate/judge-findings.json".to_owned(), b"{}".to_vec());
    let promoting = Bench::promoting(&former);
    let message = verify_run(&promoting.files, &trust(&promoting)).unwrap_err().to_string();
    assert!(message.contains("gate `train`") && message.contains("judge-findings"), "{message}");
}

#[test]
fn what_was_refused_elsewhere_is_not_promoted() {
    let (mut former, trust) = former();
    for gate in [Gate::Deploy, Gate::RecheckImage] {
        former.files.remove(&link_path(gate));
    }
    former.files.remove("scan-gate/recheck-image.vulns.json");
    former.seal(RunStatus::Failed);
    let promoting = Bench::promoting(&former);
    let message = verify_run(&promoting.files, &trust(&promoting)).unwrap_err().to_string();
    assert!(message.contains("was not deployed"), "{message}");
}

#[test]
fn what_was_promoted_must_be_what_was_asked_for() {
    let (former, trust) = former();
    let refused = |change: &dyn Fn(&mut Bench)| {
        let mut bench = Bench::promoting(&former);
        change(&mut bench);
        bench.seal(RunStatus::Succeeded);
        verify_run(&bench.files, &trust(&bench)).unwrap_err().to_string()
    };
    let resign = |bench: &mut Bench, change: &dyn Fn(&mut Link)| {
        bench.sign(Gate::Train, change, "launch-training");
        for gate in &Gate::ALL[4..] {
            bench.sign(*gate, |_| {}, gate.function());
        }
    };
    let other_job = refused(&|bench| {
        resign(bench, &|link| drop(link.facts.insert("training_job_arn".to_owned(), "another".to_owned())));
    });
    assert!(other_job.contains("another training"), "{other_job}");
    let nothing_carried = refused(&|bench| {
        resign(bench, &|link| link.carries.clear());
        bench.files.remove(PROMOTED_PATH);
    });
    assert!(nothing_carried.contains("does not carry"), "{nothing_carried}");
    let other_run = refused(&|bench| {
        let other = Bench::in_account("dev", "other", None);
        let bundle = bundle(&other.files).unwrap();
        let promotion = former.promotion_of(&bundle);
        *bench = Bench::in_account("key", "promoting", Some((promotion, bundle)));
    });
    assert!(other_run.contains("is to be promoted"), "{other_run}");
}

#[test]
fn a_run_that_trains_cannot_pass_another_runs_training_off_as_its_own() {
    let mut bench = Bench::of("trains");
    let claim = |link: &mut Link| drop(link.facts.insert("promoted_run".to_owned(), "x".to_owned()));
    bench.sign(Gate::Train, claim, "launch-training");
    for gate in &Gate::ALL[4..] {
        bench.sign(*gate, |_| {}, gate.function());
    }
    bench.seal(RunStatus::Succeeded);
    let message = bench.verify().unwrap_err().to_string();
    assert!(message.contains("another promotion"), "{message}");
}

#[test]
fn an_incident_and_a_revocation_count_from_the_responder_alone() {
    let bench = Bench::new();
    let trust = bench.trust();
    let incident = Incident {
        incident_id: RunId::of(&["i"]),
        endpoint: "e".to_owned(),
        severity: IncidentSeverity::High,
        cause: "c".to_owned(),
        event_sha256: Sha256Digest::of("event"),
        action: IncidentAction::RolledBack,
        because: "b".to_owned(),
        from: Some("bad".to_owned()),
        to: Some("good".to_owned()),
        passed_over: Vec::new(),
        timeline: Vec::new(),
        runbook: "r".to_owned(),
        recorded_at: AT.to_owned(),
    };
    let statement = incident.clone().into_statement();
    let record = bench.envelope(&statement, "respond-incident");
    assert_eq!(verify_incident(&record, &trust), Ok(incident.clone()));
    let forged = verify_incident(&bench.envelope(&statement, "deploy-endpoint"), &trust);
    assert!(matches!(forged, Err(NotTrusted::OtherFunction { .. })), "{forged:?}");
    let early = Incident { recorded_at: "2025-12-31T00:00:00Z".to_owned(), ..incident };
    let early = verify_incident(&bench.envelope(&early.into_statement(), "respond-incident"), &trust);
    assert!(matches!(early, Err(NotTrusted::Date { .. })), "{early:?}");

    let revocation = Revocation {
        incident_id: RunId::of(&["i"]),
        endpoint: "e".to_owned(),
        run_id: RunId::of(&["r"]),
        reason: "r".to_owned(),
        at: AT.to_owned(),
    };
    let statement = revocation.clone().into_statement("artifact", &Sha256Digest::of("a"));
    let bytes = bench.envelope(&statement, "respond-incident");
    assert_eq!(verify_revocation(&bytes, &trust), Ok(revocation));
    let other = verify_incident(&bytes, &trust);
    assert!(other.is_err(), "a revocation is no incident");
}

#[test]
fn the_responders_key_signs_no_link() {
    let mut bench = Bench::new();
    bench.sign(Gate::Approve, |_| {}, "respond-incident");
    bench.seal(RunStatus::Succeeded);
    assert!(matches!(bench.verify(), Err(RunBroken::Chain(EvidenceBroken::NotTrusted(Gate::Approve, _)))));
}

#[test]
fn a_model_that_did_not_pass_its_smoke_test_does_not_verify() {
    let bench = Bench::smoke_tested();
    bench.verify().unwrap();
    let refused = |change: &dyn Fn(&mut Bench)| {
        let mut bench = Bench::smoke_tested();
        change(&mut bench);
        bench.seal(RunStatus::Succeeded);
        bench.verify().unwrap_err().to_string()
    };
    let nothing_carried = refused(&|bench| {
        bench.sign(Gate::Deploy, |link| link.carries.clear(), "deploy-endpoint");
        bench.files.remove(SMOKE_TEST_PATH);
    });
    assert!(nothing_carried.contains("does not carry"), "{nothing_carried}");
    // Signed, but with nothing asked; of another run; by another gate.
    let said = |bench: &mut Bench, signer: &str, change: &dyn Fn(&mut Statement<TestResult>)| {
        let mut statement: Statement<TestResult> =
            Envelope::parse(&bench.files[SMOKE_TEST_PATH]).unwrap().unverified().unwrap();
        change(&mut statement);
        let bytes = bench.envelope(&statement, signer);
        let carried = bench.carry(SMOKE_TEST_PATH, TEST_RESULT_PREDICATE, bytes);
        let mut link: Statement<Link> =
            Envelope::parse(&bench.files[&link_path(Gate::Deploy)]).unwrap().unverified().unwrap();
        link.predicate.carries = vec![carried];
        let bytes = bench.envelope(&link, "deploy-endpoint");
        bench.files.insert(link_path(Gate::Deploy), bytes);
    };
    let easy = refused(&|bench| {
        said(bench, "deploy-endpoint", &|statement| statement.predicate.passed_tests.clear());
    });
    assert!(easy.contains("another smoke test"), "{easy}");
    let foreign = refused(&|bench| {
        said(bench, "deploy-endpoint", &|statement| {
            statement.subject[0].name = RunId::of(&["another"]).smoke_test_name();
        });
    });
    assert!(foreign.contains("another smoke test"), "{foreign}");
    let usurped = refused(&|bench| said(bench, "evaluate-model", &|_| {}));
    assert!(usurped.contains("evaluate-model"), "{usurped}");
}
