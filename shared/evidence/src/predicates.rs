//! The standard statements that links carry, as their specifications have them.
//!
//! Numbers are written as text where the specification leaves it open: a signed float would have to be written
//! and read to the same digits by everybody.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// <https://github.com/in-toto/attestation/blob/main/spec/predicates/vuln.md>
pub const VULNS_PREDICATE: &str = "https://in-toto.io/attestation/vulns/v0.1";
/// <https://slsa.dev/spec/v1.0/provenance>
pub const PROVENANCE_PREDICATE: &str = "https://slsa.dev/provenance/v1";
/// <https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md>
pub const TEST_RESULT_PREDICATE: &str = "https://in-toto.io/attestation/test-result/v0.1";
/// OpenSSF Model Signing, <https://github.com/sigstore/model-transparency>
pub const MODEL_SIGNATURE_PREDICATE: &str = "https://model_signing/signature/v1.0";

/// The only [`TestResult::result`] that a gate signs: a refusal is an error of the function.
pub const PASSED: &str = "PASSED";

/// What a scanner found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vulns {
    /// The scanner and its findings.
    pub scanner: Scanner,
    /// When.
    pub metadata: ScanMetadata,
}

/// A scanner and its findings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scanner {
    /// Which.
    pub uri: String,
    /// Every finding, sorted by id.
    pub result: Vec<Vulnerability>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vulnerability {
    /// Such as `CVE-2026-0001`.
    pub id: String,
    /// How bad, by method.
    pub severity: Vec<SeverityScore>,
}

/// How bad a finding is by one method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeverityScore {
    /// Who says so.
    pub method: String,
    /// What.
    pub score: String,
}

/// When a scan was made, RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ScanMetadata {
    /// ECR says only when a scan was completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan_finished_on: Option<String>,
}

/// How an artefact came to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Provenance {
    /// What went in.
    pub build_definition: BuildDefinition,
    /// Who made it, and when.
    pub run_details: RunDetails,
}

/// What went into an artefact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BuildDefinition {
    /// What kind of build: a training job.
    pub build_type: String,
    /// What the request chose: hyperparameters, the seed among them, and the instances.
    pub external_parameters: BTreeMap<String, String>,
    /// What the deployment chose: the revision of Lockstep's own code.
    pub internal_parameters: BTreeMap<String, String>,
    /// Weights, data and image.
    pub resolved_dependencies: Vec<ResourceDescriptor>,
}

/// Something that went in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceDescriptor {
    /// What it is to the build.
    pub name: String,
    /// Where it lies.
    pub uri: String,
    /// Digests by algorithm.
    pub digest: BTreeMap<String, String>,
    /// What else pins it: a version, a commit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl ResourceDescriptor {
    /// With a SHA-256, and nothing else.
    pub fn new(name: &str, uri: impl Into<String>, sha256: impl Into<String>) -> Self {
        let digest = BTreeMap::from([("sha256".to_owned(), sha256.into())]);
        Self { name: name.to_owned(), uri: uri.into(), digest, annotations: BTreeMap::new() }
    }

    /// And something else that pins it.
    #[must_use]
    pub fn annotated(mut self, name: &str, value: impl Into<String>) -> Self {
        self.annotations.insert(name.to_owned(), value.into());
        self
    }

    /// Whether this is the digest.
    pub fn has(&self, sha256: &str) -> bool {
        self.digest.get("sha256").is_some_and(|digest| digest == sha256)
    }
}

/// Who made an artefact, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunDetails {
    /// Who.
    pub builder: Builder,
    /// When.
    pub metadata: BuildMetadata,
}

/// Who made an artefact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Builder {
    /// A URI.
    pub id: String,
}

/// When an artefact was made, RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BuildMetadata {
    /// The training job's ARN.
    pub invocation_id: String,
    /// When the job began to train.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_on: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_on: Option<String>,
}

/// What an evaluation found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TestResult {
    /// Always [`PASSED`].
    pub result: String,
    /// Data and image.
    pub configuration: Vec<ResourceDescriptor>,
    /// Each threshold with what was measured.
    pub passed_tests: Vec<String>,
    /// None.
    pub warned_tests: Vec<String>,
    /// None.
    pub failed_tests: Vec<String>,
}
