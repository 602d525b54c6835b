//! The story of sealing: list by version, hash, store under the digest, sign.
//!
//! SageMaker writes artefacts without a SHA-256 and endpoints re-read their prefix whenever they scale out, so
//! models point only to what lies here.

use std::{collections::BTreeMap, time::Duration};

use aws_config::SdkConfig;
use bytes::Bytes;
use contract::{
    Artifact, Gate, Manifest, ManifestFile, RunContext, SealArtifactInput, SealProgress, Sha256Digest,
    Training,
};
use evidence::Subject;
use futures::{Stream, stream};
use runtime::{Attestor, Environment, Inputs, Invocation, Objects, failed};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use transfer::{Expected, ExpectedDigest, Warehouse};

use crate::{error::SealError, settings::Settings};

/// With less time than this left, the next file waits for the next invocation.
const TIME_TO_RETURN: Duration = Duration::from_secs(60);

/// The function.
pub struct SealArtifact {
    settings: Settings,
    s3: aws_sdk_s3::Client,
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
            warehouse: Warehouse::new(s3.clone(), settings.work_bucket.clone(), settings.data_key.clone()),
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
        let Some(hashed) = self.hash(&run, &training, &invocation).await? else {
            return Ok(SealProgress { done: false, artifact: None });
        };
        let Some(manifest) = self.store(&training, &hashed, &invocation).await? else {
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
        invocation: &Invocation,
    ) -> Result<Option<Hashed>, SealError> {
        let bucket = &self.settings.work_bucket;
        let key = format!("{}transfer/sealing.json", run.run_id.prefix());
        let kept = self.objects.bytes(bucket, &key, None).await?;
        let mut hashed: Hashed =
            kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let written = self.inputs.latest_versions(bucket, &training.output_prefix).await?;
        if written.is_empty() {
            let reason = format!("the job wrote nothing under s3://{bucket}/{}", training.output_prefix);
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
            if invocation.time_left() < TIME_TO_RETURN {
                return Ok(None);
            }
            let body = self.read(&format!("{}{path}", training.output_prefix), version.id.as_deref()).await?;
            let mut hash = sha2::Sha256::new();
            futures::pin_mut!(body);
            while let Some(bytes) = futures::TryStreamExt::try_next(&mut body)
                .await
                .map_err(|reason| transfer::TransferError::Source { path: path.clone(), reason })?
            {
                hash.update(&bytes);
            }
            let sha256 = Sha256Digest::from_bytes(&hash.finalize().into());
            let file = HashedFile { version_id: version.id.clone(), size: version.size, sha256 };
            hashed.files.insert(path.clone(), file);
            self.objects.write(bucket, &key, &hashed).await?;
        }
        Ok(Some(hashed))
    }

    /// Stores every file under the content's digest; `None` when the time is low.
    async fn store(
        &self,
        training: &Training,
        hashed: &Hashed,
        invocation: &Invocation,
    ) -> Result<Option<Manifest>, SealError> {
        let mut manifest = Manifest { location: String::new(), files: Vec::new() };
        for (path, file) in &hashed.files {
            manifest.files.push(ManifestFile {
                path: path.clone(),
                size: file.size,
                sha256: file.sha256.clone(),
                version_id: None,
            });
        }
        let prefix = format!("artifacts/{}/", manifest.content_digest());
        for sealed in &mut manifest.files {
            let key = format!("{prefix}{}", sealed.path);
            let stored = match self.warehouse.find(&key).await? {
                Some(stored) if stored.sha256 == sealed.sha256 => stored,
                Some(_) => {
                    let reason = format!("`{key}` holds something else than its prefix says");
                    return Err(SealError::ManifestIncomplete(reason));
                }
                None => {
                    if invocation.time_left() < TIME_TO_RETURN {
                        return Ok(None);
                    }
                    let expected =
                        Expected { size: sealed.size, digest: ExpectedDigest::Sha256(sealed.sha256.clone()) };
                    let version = hashed.files.get(&sealed.path).and_then(|file| file.version_id.as_deref());
                    let body =
                        self.read(&format!("{}{}", training.output_prefix, sealed.path), version).await?;
                    self.warehouse.store(&key, &sealed.path, &expected, body).await?
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
        let key = format!("{}seal-artifact/manifest.json", run.run_id.prefix());
        let place = self.objects.write(self.attestor.bucket(), &key, &manifest).await?;
        let facts = BTreeMap::from([
            ("training_job".to_owned(), training.job_name.clone()),
            ("artifact".to_owned(), content_sha256.to_string()),
            ("prefix".to_owned(), prefix.clone()),
            ("manifest".to_owned(), place.sha256.to_string()),
            ("files".to_owned(), manifest.files.len().to_string()),
        ]);
        let subject = Subject::new(&prefix, &content_sha256);
        let link = self
            .attestor
            .pass(Gate::SealArtifact, &run.run_id, &run.policy_sha256, subject, &[&training.link], facts)
            .await?;
        Ok(Artifact { prefix, manifest: place, content_sha256, link })
    }

    async fn read(
        &self,
        key: &str,
        version: Option<&str>,
    ) -> Result<impl Stream<Item = Result<Bytes, String>> + use<>, SealError> {
        let object = self
            .s3
            .get_object()
            .bucket(&self.settings.work_bucket)
            .key(key)
            .set_version_id(version.map(str::to_owned))
            .send()
            .await
            .map_err(failed("s3:GetObject"))?;
        Ok(stream::try_unfold(object.body, |mut body| async move {
            let next = body.try_next().await.map_err(|error| error.to_string())?;
            Ok(next.map(|bytes| (bytes, body)))
        }))
    }
}
