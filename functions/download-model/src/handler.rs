//! The story of the download: resolve, fetch, seal.

use std::{collections::BTreeMap, time::Duration};

use aws_config::SdkConfig;
use contract::{
    DownloadInput, FetchedBatch, Gate, Manifest, ManifestFile, ObjectRef, ResolvedModel, RunContext,
    SealedModel, Secret,
};
use evidence::Subject;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use runtime::{Attestor, Environment, Invocation, Objects, failed};
use serde::Serialize;
use transfer::Warehouse;

use crate::{
    error::DownloadError,
    hub::{Fetched, Hub},
    policy,
    settings::Settings,
    transfer_plan::{PlannedFile, TransferPlan},
};

/// Files of a batch that are fetched side by side.
const SIDE_BY_SIDE: usize = 4;
/// With less time than this left, the next file waits for the next invocation.
const TIME_TO_RETURN: Duration = Duration::from_secs(45);

/// The function.
pub struct DownloadModel {
    settings: Settings,
    s3: aws_sdk_s3::Client,
    secrets: aws_sdk_secretsmanager::Client,
    objects: Objects,
    attestor: Attestor,
    warehouse: Warehouse,
}

/// What a step answers.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Output {
    /// ResolveModel's.
    Resolved(ResolvedModel),
    /// FetchBatch's.
    Fetched(FetchedBatch),
    /// SealModel's.
    Sealed(SealedModel),
}

/// What became of one file of a batch.
enum Outcome {
    Stored,
    Absent,
    Later,
}

impl DownloadModel {
    /// From the environment.
    ///
    /// # Errors
    /// [`runtime::Error::Misconfigured`].
    pub fn new(config: &SdkConfig) -> Result<Self, runtime::Error> {
        let mut environment = Environment::of("download-model");
        let settings = Settings::read(&mut environment);
        let s3 = aws_sdk_s3::Client::new(config);
        let function = Self {
            secrets: aws_sdk_secretsmanager::Client::new(config),
            objects: Objects::new(s3.clone()),
            attestor: Attestor::read(&mut environment, config),
            warehouse: Warehouse::new(s3.clone(), settings.work_bucket.clone(), settings.data_key.clone()),
            settings,
            s3,
        };
        environment.finish(function)
    }

    /// One step.
    pub async fn handle(
        &self,
        input: DownloadInput,
        invocation: Invocation,
    ) -> Result<Output, DownloadError> {
        match input {
            DownloadInput::ResolveModel { run } => self.resolve(&run).await.map(Output::Resolved),
            DownloadInput::FetchBatch { run, transfer, batch } => {
                self.fetch_batch(&run, &transfer, batch, &invocation).await.map(Output::Fetched)
            }
            DownloadInput::SealModel { run, transfer } => {
                self.seal(&run, &transfer).await.map(Output::Sealed)
            }
        }
    }

    /// Resolves the revision to a commit and uses only that from here on.
    async fn resolve(&self, run: &RunContext) -> Result<ResolvedModel, DownloadError> {
        self.settings.policy.check(run)?;
        let source = self.objects.plan(run).await?.request.source;
        let policy = self.objects.policy(self.attestor.bucket(), &self.settings.policy).await?;
        let hub = self.hub().await?;
        let commit = hub.resolve(&source.repo, &source.revision).await?;
        let entries = hub.tree(&source.repo, &commit).await?;
        let files = policy::choose(entries, &source, &policy.hub)?;
        let plan = TransferPlan::new(&source.repo, &commit, files);
        let key = format!("{}transfer/plan.json", run.run_id.prefix());
        let transfer = self.objects.write(&self.settings.work_bucket, &key, &plan).await?;
        Ok(ResolvedModel {
            commit,
            transfer,
            batches: (0..plan.batches.len()).collect(),
            files: plan.files.len(),
            bytes: plan.files.iter().map(|file| file.size).sum(),
        })
    }

    async fn fetch_batch(
        &self,
        run: &RunContext,
        transfer: &ObjectRef,
        batch: usize,
        invocation: &Invocation,
    ) -> Result<FetchedBatch, DownloadError> {
        self.settings.policy.check(run)?;
        let plan: TransferPlan = self.objects.read(transfer).await?;
        let hub = self.hub().await?;
        let files = plan.batches.get(batch).map(Vec::as_slice).unwrap_or_default();
        // Boxed one by one: the compiler cannot name the lifetimes of a lazily mapped stream across an await.
        let transfers: Vec<_> = files
            .iter()
            .filter_map(|index| plan.files.get(*index))
            .map(|file| self.fetch_file(&hub, &plan, file, invocation).boxed())
            .collect();
        let mut outcomes = stream::iter(transfers).buffer_unordered(SIDE_BY_SIDE);
        let mut fetched = FetchedBatch { done: true, stored: 0, absent: 0 };
        while let Some(outcome) = outcomes.try_next().await? {
            match outcome {
                Outcome::Stored => fetched.stored += 1,
                Outcome::Absent => fetched.absent += 1,
                Outcome::Later => fetched.done = false,
            }
        }
        Ok(fetched)
    }

    async fn fetch_file(
        &self,
        hub: &Hub,
        plan: &TransferPlan,
        file: &PlannedFile,
        invocation: &Invocation,
    ) -> Result<Outcome, DownloadError> {
        let key = plan.key(file);
        // An object under this prefix was verified before it came to be, so it is not fetched again.
        if self.warehouse.find(&key).await?.is_some() {
            return Ok(Outcome::Stored);
        }
        if invocation.time_left() < TIME_TO_RETURN {
            return Ok(Outcome::Later);
        }
        match hub.fetch(&plan.repo, &plan.commit, file).await? {
            Fetched::Absent => Ok(Outcome::Absent),
            Fetched::Body(body) => {
                let body = body.map_err(reqwest::Error::without_url);
                let stored = self.warehouse.store(&key, &file.path, &file.expected(), body).await?;
                tracing::info!(path = file.path, bytes = stored.size, sha256 = %stored.sha256, "stored");
                Ok(Outcome::Stored)
            }
        }
    }

    /// Every planned file is there, nothing else is, and the manifest says so.
    async fn seal(&self, run: &RunContext, transfer: &ObjectRef) -> Result<SealedModel, DownloadError> {
        self.settings.policy.check(run)?;
        let plan: TransferPlan = self.objects.read(transfer).await?;
        let mut files = Vec::new();
        let mut missing = Vec::new();
        for file in &plan.files {
            match self.warehouse.find(&plan.key(file)).await? {
                Some(stored) if stored.size == file.size => files.push(ManifestFile {
                    path: file.path.clone(),
                    size: stored.size,
                    sha256: stored.sha256,
                    version_id: stored.version_id,
                }),
                _ => missing.push(file.path.clone()),
            }
        }
        if !missing.is_empty() {
            let reason = format!("{missing:?} were listed by the Hub and are not there");
            return Err(DownloadError::ManifestIncomplete(reason));
        }
        let extra = self.extra_keys(&plan).await?;
        if !extra.is_empty() {
            return Err(DownloadError::ManifestIncomplete(format!(
                "{extra:?} are there and were not listed"
            )));
        }
        let location = format!("s3://{}/{}", self.settings.work_bucket, plan.prefix);
        let manifest = Manifest { location, files };
        let content_sha256 = manifest.content_digest();
        let key = format!("{}download-model/manifest.json", run.run_id.prefix());
        let place = self.objects.write(self.attestor.bucket(), &key, &manifest).await?;
        let facts = BTreeMap::from([
            ("source".to_owned(), plan.repo.clone()),
            ("commit".to_owned(), plan.commit.clone()),
            ("prefix".to_owned(), plan.prefix.clone()),
            ("model".to_owned(), content_sha256.to_string()),
            ("manifest".to_owned(), place.sha256.to_string()),
            ("files".to_owned(), manifest.files.len().to_string()),
        ]);
        let subject = Subject::new(format!("{}@{}", plan.repo, plan.commit), &content_sha256);
        let link = self
            .attestor
            .pass(Gate::SealModel, &run.run_id, &run.policy_sha256, subject, &[&run.link], facts)
            .await?;
        Ok(SealedModel { prefix: plan.prefix, commit: plan.commit, manifest: place, content_sha256, link })
    }

    async fn extra_keys(&self, plan: &TransferPlan) -> Result<Vec<String>, DownloadError> {
        let planned: std::collections::BTreeSet<_> = plan.files.iter().map(|file| plan.key(file)).collect();
        let mut extra = Vec::new();
        let mut pages = self
            .s3
            .list_objects_v2()
            .bucket(&self.settings.work_bucket)
            .prefix(&plan.prefix)
            .into_paginator()
            .send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(failed("s3:ListObjectsV2"))?;
            extra.extend(
                page.contents()
                    .iter()
                    .filter_map(|o| o.key())
                    .filter(|key| !planned.contains(*key))
                    .map(str::to_owned),
            );
        }
        Ok(extra)
    }

    /// The Hub's client, with the token if the secret has one.
    async fn hub(&self) -> Result<Hub, DownloadError> {
        let token = match self.secrets.get_secret_value().secret_id(&self.settings.token_secret).send().await
        {
            Ok(value) => value.secret_string.map(Secret::new),
            // A secret without a value: public models need no token.
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => {
                None
            }
            Err(error) => return Err(failed("secretsmanager:GetSecretValue")(error).into()),
        };
        Hub::new(&self.settings.hub, token)
    }
}
