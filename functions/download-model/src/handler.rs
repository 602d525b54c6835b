//! The story of the download: resolve, fetch, seal.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use aws_config::SdkConfig;
use contract::{
    DownloadInput, FetchedBatch, Gate, Manifest, ManifestFile, ObjectRef, ResolvedModel, RunContext,
    SealedModel, Secret,
};
use evidence::Subject;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use runtime::{Attestor, Environment, Invocation, Objects, Passed, derive_key, failed};
use serde::Serialize;
use transfer::{File, Ledger, MacKey, Outcome, Passage, Warehouse};

use crate::{
    error::DownloadError,
    hub::Hub,
    hub_file::HubFile,
    policy,
    progress::Reporter,
    settings::Settings,
    signature::Signer,
    transfer_plan::{PlannedFile, TransferPlan},
    tree::Revision,
};

/// Small files of a batch that are fetched side by side: what they wait for is the way there and back.
const SMALL_SIDE_BY_SIDE: usize = 32;
/// Large files of a batch: each has ranges side by side of its own.
const LARGE_SIDE_BY_SIDE: usize = 2;
/// Objects that are looked at side by side.
const LOOKS_SIDE_BY_SIDE: usize = 32;
/// Where this function alone writes, and nothing is written over.
const MODELS: &str = "models/";
/// How often the progress is told.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// The function.
pub struct DownloadModel {
    settings: Settings,
    s3: aws_sdk_s3::Client,
    kms: aws_sdk_kms::Client,
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
enum FileOutcome {
    Stored,
    Absent,
    Paused { advanced: bool },
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
        let (bucket, key) = (settings.work_bucket.clone(), settings.data_key.clone());
        let function = Self {
            kms: aws_sdk_kms::Client::new(config),
            secrets: aws_sdk_secretsmanager::Client::new(config),
            objects: Objects::new(s3.clone()),
            attestor: Attestor::read(&mut environment, config),
            warehouse: Warehouse::new(s3.clone(), bucket, key, config.endpoint_url()),
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
            DownloadInput::ResolveModel { run } => {
                // A Hub that answers slowly is to end in its own name, and not in Lambda's.
                let time = invocation.time_left().mul_f32(0.9);
                let late = |_| DownloadError::SourceUnavailable {
                    place: "the list of files".to_owned(),
                    reason: "it did not come within the invocation's time".to_owned(),
                    retry_after: None,
                };
                let resolved = tokio::time::timeout(time, self.resolve(&run)).await.map_err(late)??;
                Ok(Output::Resolved(resolved))
            }
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
        let Revision { commit, licence } = hub.resolve(&source.repo, &source.revision).await?;
        let entries = hub.tree(&source.repo, &commit).await?;
        let files = policy::choose(entries, &source, &policy.hub)?;
        let plan = TransferPlan { licence, ..TransferPlan::new(&source.repo, &commit, files) };
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

    /// Fetches what the batch still lacks, for as long as the invocation's time allows.
    async fn fetch_batch(
        &self,
        run: &RunContext,
        transfer: &ObjectRef,
        batch: usize,
        invocation: &Invocation,
    ) -> Result<FetchedBatch, DownloadError> {
        self.settings.policy.check(run)?;
        let passage = self.passage(run, invocation).await?;
        let plan: TransferPlan = self.objects.read(transfer).await?;
        let files = plan.batch(batch);
        let total = files.iter().map(|(file, _)| file.size).sum();
        let (meter, bucket) = (passage.meter.clone(), self.settings.work_bucket.clone());
        let objects = self.objects.clone();
        let mut reporter =
            Reporter::new(objects, bucket, run.run_id.clone(), batch, files.len(), total, meter);
        let fetched = {
            let reports = reporter.run_every(REPORT_EVERY);
            tokio::select! {
                fetched = self.fetch_files(&plan, &files, &passage) => fetched,
                () = reports => Err(runtime::Error::Misconfigured("the reports ended".to_owned()).into()),
            }
        };
        reporter.finish().await;
        if let Err(error) = &fetched
            && !error.is_tried_again()
        {
            let files: Vec<_> = files.into_iter().map(|(_, file)| file).collect();
            self.warehouse.abandon(&files, &passage).await;
        }
        fetched
    }

    async fn fetch_files(
        &self,
        plan: &TransferPlan,
        files: &[(&PlannedFile, File)],
        passage: &Passage,
    ) -> Result<FetchedBatch, DownloadError> {
        // An object under this prefix was verified before it came to be, so it is not fetched again.
        let stored = self.warehouse.list(&plan.prefix).await?;
        let (found, missing): (Vec<_>, Vec<_>) =
            files.iter().partition(|(_, file)| stored.get(&file.key) == Some(&file.expected.size));
        found.iter().for_each(|(planned, _)| passage.meter.found(planned.size));
        let mut fetched = FetchedBatch { done: true, stored: found.len(), absent: 0 };
        let hub = Arc::new(self.hub().await?);
        // Boxed one by one: the compiler cannot name the lifetimes of a lazily mapped stream across an await.
        let (mut large, mut small) = (Vec::new(), Vec::new());
        for (planned, file) in missing {
            let source = HubFile::new(Arc::clone(&hub), &plan.repo, &plan.commit, planned);
            let side = if file.goes_in_parts() { &mut large } else { &mut small };
            side.push(self.fetch_file(file, source, passage).boxed());
        }
        let mut outcomes = stream::select(
            stream::iter(large).buffer_unordered(LARGE_SIDE_BY_SIDE),
            stream::iter(small).buffer_unordered(SMALL_SIDE_BY_SIDE),
        );
        let mut any_advanced = false;
        while let Some(outcome) = outcomes.try_next().await? {
            match outcome {
                FileOutcome::Stored => {
                    any_advanced = true;
                    fetched.stored += 1;
                }
                FileOutcome::Absent => fetched.absent += 1,
                FileOutcome::Paused { advanced } => {
                    any_advanced |= advanced;
                    fetched.done = false;
                }
            }
        }
        if !fetched.done && !any_advanced {
            // Otherwise the state machine would go round for ever.
            return Err(DownloadError::SourceUnavailable {
                place: plan.repo.clone(),
                reason: "not one part came in a whole invocation".to_owned(),
                retry_after: None,
            });
        }
        Ok(fetched)
    }

    async fn fetch_file(
        &self,
        file: &File,
        source: HubFile,
        passage: &Passage,
    ) -> Result<FileOutcome, DownloadError> {
        if passage.deadline.is_near() {
            return Ok(FileOutcome::Paused { advanced: false });
        }
        if let Some(stored) = self.warehouse.copy_known(MODELS, file).await? {
            passage.meter.found(stored.size);
            tracing::info!(path = file.path, bytes = stored.size, sha256 = %stored.sha256, "copied");
            return Ok(FileOutcome::Stored);
        }
        match self.warehouse.store(file, source, passage).await.map_err(DownloadError::from) {
            Ok(Outcome::Stored(stored)) => {
                self.warehouse.note(MODELS, file, &stored).await?;
                tracing::info!(path = file.path, bytes = stored.size, sha256 = %stored.sha256, "stored");
                Ok(FileOutcome::Stored)
            }
            Ok(Outcome::Paused { advanced }) => Ok(FileOutcome::Paused { advanced }),
            // The other files come in meanwhile; SealModel names all that are absent.
            Err(DownloadError::Absent { .. }) => Ok(FileOutcome::Absent),
            Err(error) => Err(error),
        }
    }

    /// What this invocation's files share.
    async fn passage(&self, run: &RunContext, invocation: &Invocation) -> Result<Passage, DownloadError> {
        let purpose = Ledger::purpose(&run.run_id);
        let key = MacKey::new(derive_key(&self.kms, &self.settings.checkpoint_key, &purpose).await?);
        let ledger = Ledger::new(self.s3.clone(), self.settings.work_bucket.clone(), &run.run_id, key);
        Ok(Passage::new(ledger, invocation.time_left()))
    }

    /// Every planned file is there, nothing else is, and the manifest says so.
    async fn seal(&self, run: &RunContext, transfer: &ObjectRef) -> Result<SealedModel, DownloadError> {
        self.settings.policy.check(run)?;
        let plan: TransferPlan = self.objects.read(transfer).await?;
        let mut files = Vec::new();
        let mut missing = Vec::new();
        let looks: Vec<_> = plan.files.iter().map(|file| self.look(&plan, file).boxed()).collect();
        // In the plan's order, which is the paths'.
        let looks: Vec<_> = stream::iter(looks).buffered(LOOKS_SIDE_BY_SIDE).try_collect().await?;
        for (path, found) in looks {
            match found {
                Some(file) => files.push(file),
                None => missing.push(path),
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
        let signer = Signer { objects: &self.objects, attestor: &self.attestor, warehouse: &self.warehouse };
        let signature = signer.sign(&self.settings.work_bucket, &plan, &files, run).await?;
        let (model_sig, root, signature_copy) =
            (signature.file.sha256.clone(), signature.root, signature.carried);
        let manifest = Manifest { location, files, signature: Some(signature.file) };
        let content_sha256 = manifest.content_digest();
        let (place, manifest_copy) =
            self.attestor.carry_value(&run.run_id, "download-model/manifest.json", &manifest).await?;
        let mut facts = BTreeMap::from([
            ("source".to_owned(), plan.repo.clone()),
            ("commit".to_owned(), plan.commit.clone()),
            ("prefix".to_owned(), plan.prefix.clone()),
            ("model".to_owned(), content_sha256.to_string()),
            ("manifest".to_owned(), place.sha256.to_string()),
            ("files".to_owned(), manifest.files.len().to_string()),
            ("model_sig".to_owned(), model_sig.to_string()),
            ("model_signing_root".to_owned(), root.to_string()),
        ]);
        facts.extend(plan.licence.map(|licence| ("licence".to_owned(), licence)));
        let subject = Subject::new(format!("{}@{}", plan.repo, plan.commit), &content_sha256);
        let passed = Passed {
            gate: Gate::SealModel,
            subject,
            predecessors: &[&run.link],
            facts,
            carries: vec![manifest_copy, signature_copy],
        };
        let link = self.attestor.pass(&run.run_id, &run.policy_sha256, passed).await?;
        Ok(SealedModel { prefix: plan.prefix, commit: plan.commit, manifest: place, content_sha256, link })
    }

    /// A planned file as it is stored, if it is.
    async fn look(
        &self,
        plan: &TransferPlan,
        file: &PlannedFile,
    ) -> Result<(String, Option<ManifestFile>), DownloadError> {
        let stored = self.warehouse.find(&plan.key(file)).await?;
        let matched = stored.filter(|stored| stored.size == file.size && file.may_be(&stored.sha256));
        let sealed = matched.map(|stored| ManifestFile {
            path: file.path.clone(),
            size: stored.size,
            sha256: stored.sha256,
            version_id: stored.version_id,
        });
        Ok((file.path.clone(), sealed))
    }

    async fn extra_keys(&self, plan: &TransferPlan) -> Result<Vec<String>, DownloadError> {
        let planned: BTreeSet<_> = plan.files.iter().map(|file| plan.key(file)).collect();
        let mut there = self.warehouse.list(&plan.prefix).await?;
        there.remove(&plan.signature_key());
        there.retain(|key, _| !planned.contains(key));
        Ok(there.into_keys().collect())
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
