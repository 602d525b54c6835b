//! The story of sealing: list by version, hash, store under the digest, sign.
//!
//! SageMaker writes artefacts without a SHA-256 and endpoints re-read their prefix whenever they scale out, so
//! models point only to what lies here.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use contract::{
    Artifact, Gate, Manifest, ManifestFile, RunContext, SealArtifactInput, SealProgress, Sha256Digest,
    Training,
};
use evidence::{PROVENANCE_PREDICATE, Subject};
use runtime::{Attestor, Environment, Inputs, Invocation, LatestVersion, Objects, Passed, derive_key};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncBufReadExt as _;
use transfer::{
    Expected, ExpectedDigest, File, Hasher, Ledger, MacKey, MidState, Outcome, Passage, Source as _,
    Warehouse,
};

use crate::{error::SealError, provenance, settings::Settings, written::Written};

/// Bytes of a file that are hashed before the hash is kept.
const STRETCH: u64 = 256 << 20;

/// The function.
pub struct SealArtifact {
    settings: Settings,
    s3: aws_sdk_s3::Client,
    kms: aws_sdk_kms::Client,
    inputs: Inputs,
    objects: Objects,
    attestor: Attestor,
    warehouse: Warehouse,
}

/// What was hashed so far, kept in S3 between invocations. It saves work and is not believed: a file is
/// stored only if its bytes hash to what stands here.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hashed {
    files: BTreeMap<String, HashedFile>,
    /// The file that is being hashed.
    begun: Option<BegunFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BegunFile {
    path: String,
    version_id: Option<String>,
    offset: u64,
    hash: MidState,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HashedFile {
    version_id: Option<String>,
    size: u64,
    sha256: Sha256Digest,
}

impl SealArtifact {
    /// From the environment.
    ///
    /// # Errors
    /// [`runtime::Error::Misconfigured`].
    pub fn new(config: &SdkConfig) -> Result<Self, runtime::Error> {
        let mut environment = Environment::of("seal-artifact");
        let settings = Settings::read(&mut environment);
        let s3 = aws_sdk_s3::Client::new(config);
        let function = Self {
            inputs: Inputs::new(s3.clone()),
            objects: Objects::new(s3.clone()),
            attestor: Attestor::read(&mut environment, config),
            warehouse: Warehouse::new(
                s3.clone(),
                settings.work_bucket.clone(),
                settings.data_key.clone(),
                config.endpoint_url(),
            ),
            kms: aws_sdk_kms::Client::new(config),
            settings,
            s3,
        };
        environment.finish(function)
    }

    /// The one step.
    pub async fn handle(
        &self,
        input: SealArtifactInput,
        invocation: Invocation,
    ) -> Result<SealProgress, SealError> {
        let SealArtifactInput::SealArtifact { run, training } = input;
        self.settings.policy.check(&run)?;
        let passage = self.passage(&run, &invocation).await?;
        let Some(hashed) = self.hash(&run, &training, &passage).await? else {
            return Ok(SealProgress { done: false, artifact: None });
        };
        let Some(manifest) = self.store(&training, &hashed, &passage).await? else {
            return Ok(SealProgress { done: false, artifact: None });
        };
        let artifact = self.sign(&run, &training, manifest).await?;
        Ok(SealProgress { done: true, artifact: Some(artifact) })
    }

    /// Hashes every file by version; `None` when the time is low.
    async fn hash(
        &self,
        run: &RunContext,
        training: &Training,
        passage: &Passage,
    ) -> Result<Option<Hashed>, SealError> {
        let bucket = &self.settings.work_bucket;
        let key = format!("{}transfer/sealing.json", run.run_id.prefix());
        let kept = self.objects.bytes(bucket, &key, None).await?;
        let mut hashed: Hashed =
            kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let (from, below) = (&training.output_bucket, &training.output_prefix);
        let written = self.inputs.latest_versions(from, below).await?;
        if written.is_empty() {
            let reason = format!("nothing was written under s3://{from}/{below}");
            return Err(SealError::ManifestIncomplete(reason));
        }
        // A version that was replaced meanwhile is hashed anew, one that is gone is forgotten.
        hashed
            .files
            .retain(|path, file| written.get(path).is_some_and(|latest| latest.id == file.version_id));
        for (path, version) in &written {
            if hashed.files.contains_key(path) {
                continue;
            }
            let Some(sha256) = self.hash_file(training, path, version, &mut hashed, &key, passage).await?
            else {
                return Ok(None);
            };
            let file = HashedFile { version_id: version.id.clone(), size: version.size, sha256 };
            hashed.files.insert(path.clone(), file);
            hashed.begun = None;
            self.objects.write(bucket, &key, &hashed).await?;
        }
        Ok(Some(hashed))
    }

    /// Hashes one file, going on where an earlier invocation stopped; `None` when the time is low.
    async fn hash_file(
        &self,
        training: &Training,
        path: &str,
        version: &LatestVersion,
        hashed: &mut Hashed,
        place: &str,
        passage: &Passage,
    ) -> Result<Option<Sha256Digest>, SealError> {
        let source = self.written(training, path, version.id.clone());
        let begun = hashed.begun.take().filter(|begun| begun.path == path && begun.version_id == version.id);
        let resumed = begun.and_then(|begun| Some((begun.offset, Hasher::resume(&begun.hash)?)));
        let (mut offset, mut hasher) = resumed.unwrap_or((0, Hasher::unpromised()));
        while offset < version.size {
            let end = version.size.min(offset + STRETCH);
            let mut body = source.range(offset..end).await?;
            loop {
                let bytes = body.fill_buf().await.map_err(|error| source.broken(error))?;
                if bytes.is_empty() {
                    break;
                }
                hasher.update(bytes);
                let count = bytes.len();
                body.consume(count);
            }
            offset = end;
            if passage.deadline.is_near() {
                let (path, version_id) = (path.to_owned(), version.id.clone());
                hashed.begun = Some(BegunFile { path, version_id, offset, hash: hasher.save() });
                self.objects.write(&self.settings.work_bucket, place, hashed).await?;
                return Ok(None);
            }
        }
        Ok(Some(hasher.digest()))
    }

    /// Stores every file under the content's digest; `None` when the time is low.
    async fn store(
        &self,
        training: &Training,
        hashed: &Hashed,
        passage: &Passage,
    ) -> Result<Option<Manifest>, SealError> {
        let mut manifest = Manifest { location: String::new(), files: Vec::new(), signature: None };
        for (path, file) in &hashed.files {
            manifest.files.push(ManifestFile {
                path: path.clone(),
                size: file.size,
                sha256: file.sha256.clone(),
                version_id: None,
            });
        }
        let found = manifest.content_digest();
        if let Some(expected) = training.artifact_sha256.clone().filter(|expected| *expected != found) {
            let place = format!("{}/{}", training.output_bucket, training.output_prefix);
            return Err(SealError::NotPromoted { place, found, expected });
        }
        let prefix = format!("artifacts/{found}/");
        for (index, sealed) in manifest.files.iter_mut().enumerate() {
            let key = format!("{prefix}{}", sealed.path);
            let stored = match self.warehouse.find(&key).await? {
                Some(stored) if stored.sha256 == sealed.sha256 => stored,
                Some(_) => {
                    let reason = format!("`{key}` holds something else than its prefix says");
                    return Err(SealError::ManifestIncomplete(reason));
                }
                None => {
                    if passage.deadline.is_near() {
                        return Ok(None);
                    }
                    let version = hashed.files.get(&sealed.path).and_then(|file| file.version_id.clone());
                    let digest = ExpectedDigest::Sha256(sealed.sha256.clone());
                    let file = File {
                        path: sealed.path.clone(),
                        key,
                        checkpoint: format!("artifact-{index}.json"),
                        expected: Expected { size: sealed.size, digest },
                    };
                    let source = self.written(training, &sealed.path, version);
                    match self.warehouse.store(&file, source, passage).await? {
                        Outcome::Stored(stored) => stored,
                        Outcome::Paused { .. } => return Ok(None),
                    }
                }
            };
            sealed.version_id = stored.version_id;
        }
        let extra = self.inputs.prefix_change(&self.settings.work_bucket, &prefix, &manifest).await?;
        if let Some(extra) = extra {
            return Err(SealError::ManifestIncomplete(extra.to_string()));
        }
        manifest.location = format!("s3://{}/{prefix}", self.settings.work_bucket);
        Ok(Some(manifest))
    }

    async fn sign(
        &self,
        run: &RunContext,
        training: &Training,
        manifest: Manifest,
    ) -> Result<Artifact, SealError> {
        let content_sha256 = manifest.content_digest();
        let prefix = format!("artifacts/{content_sha256}/");
        let (place, manifest_copy) =
            self.attestor.carry_value(&run.run_id, "seal-artifact/manifest.json", &manifest).await?;
        let facts = BTreeMap::from([
            ("training_job".to_owned(), training.job_name.clone()),
            ("artifact".to_owned(), content_sha256.to_string()),
            ("prefix".to_owned(), prefix.clone()),
            ("manifest".to_owned(), place.sha256.to_string()),
            ("files".to_owned(), manifest.files.len().to_string()),
        ]);
        let subject = Subject::new(&prefix, &content_sha256);
        let plan = self.objects.plan(run).await?;
        let provenance = provenance::of(&plan, training, &self.settings.code_revision);
        let path = "seal-artifact/provenance.json";
        let kind = PROVENANCE_PREDICATE;
        let provenance = self.attestor.carry(&run.run_id, path, subject.clone(), kind, provenance).await?;
        let passed = Passed {
            gate: Gate::SealArtifact,
            subject,
            predecessors: &[&training.link],
            facts,
            carries: vec![manifest_copy, provenance],
        };
        let link = self.attestor.pass(&run.run_id, &run.policy_sha256, passed).await?;
        Ok(Artifact { prefix, manifest: place, content_sha256, link })
    }

    fn written(&self, training: &Training, path: &str, version_id: Option<String>) -> Written {
        Written {
            s3: self.s3.clone(),
            bucket: training.output_bucket.clone(),
            key: format!("{}{path}", training.output_prefix),
            version_id,
        }
    }

    /// What this invocation's files share.
    async fn passage(&self, run: &RunContext, invocation: &Invocation) -> Result<Passage, SealError> {
        let purpose = Ledger::purpose(&run.run_id);
        let key = MacKey::new(derive_key(&self.kms, &self.settings.checkpoint_key, &purpose).await?);
        let ledger = Ledger::new(self.s3.clone(), self.settings.work_bucket.clone(), &run.run_id, key);
        Ok(Passage::new(ledger, invocation.time_left()))
    }
}
