//! The story of sealing a run: stop what is left, list and sign what was written, notify, close.

use aws_config::SdkConfig;
use contract::{Gate, ObjectRef, RunId, SealedRun, Sha256Digest};
use evidence::{Account, Envelope, Files, Link, RECORD_PATH, Record, RecordFile, RunStatus, Statement};
use runtime::{Attestor, Coordination, Environment, Objects, failed};
use serde::Serialize;
use serde_json::Value;
use transfer::Uploads;

use crate::{
    cleanup::Cleanup,
    error::SealRunError,
    history,
    occasion::{self, Ending, Occasion},
    settings::Settings,
};

/// The function.
pub struct SealRun {
    settings: Settings,
    s3: aws_sdk_s3::Client,
    sfn: aws_sdk_sfn::Client,
    sns: aws_sdk_sns::Client,
    objects: Objects,
    attestor: Attestor,
    coordination: Coordination,
    cleanup: Cleanup,
    uploads: Uploads,
}

/// What the function answers.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Output {
    /// One run.
    Sealed(SealedRun),
    /// A sweep: how many runs it sealed.
    Swept {
        /// Runs.
        sealed: usize,
    },
}

/// What subscribers are sent when a run has ended.
#[derive(Serialize)]
struct Notification<'a> {
    kind: &'static str,
    run_id: &'a str,
    execution_arn: &'a str,
    status: RunStatus,
    error: Option<&'a str>,
    meaning: Option<&'static str>,
    cause: Option<&'a str>,
    record: String,
}

impl SealRun {
    /// From the environment.
    ///
    /// # Errors
    /// [`runtime::Error::Misconfigured`].
    pub fn new(config: &SdkConfig) -> Result<Self, runtime::Error> {
        let mut environment = Environment::of("seal-run");
        let s3 = aws_sdk_s3::Client::new(config);
        let settings = Settings::read(&mut environment);
        let function = Self {
            sfn: aws_sdk_sfn::Client::new(config),
            sns: aws_sdk_sns::Client::new(config),
            objects: Objects::new(s3.clone()),
            attestor: Attestor::read(&mut environment, config),
            coordination: Coordination::read(&mut environment, config),
            cleanup: Cleanup::new(config),
            uploads: Uploads::new(s3.clone(), settings.work_bucket.clone()),
            settings,
            s3,
        };
        environment.finish(function)
    }

    /// One ending, or a sweep.
    pub async fn handle(&self, input: Value) -> Result<Output, SealRunError> {
        match occasion::parse(input).ok_or(SealRunError::OccasionUnknown)? {
            Occasion::Ended(ending) => self.seal(ending).await.map(Output::Sealed),
            Occasion::Sweep => self.sweep().await.map(|sealed| Output::Swept { sealed }),
        }
    }

    async fn seal(&self, ending: Ending) -> Result<SealedRun, SealRunError> {
        let run = match self.coordination.run_of(&ending.execution_arn).await? {
            Some(run) => run,
            // Never admitted: its own ARN is all that is known of it.
            None => RunId::of_execution(&ending.execution_arn),
        };
        let settled = if ending.status == RunStatus::Succeeded { true } else { self.take_down(&run).await? };
        let (place, record) = self.record(&run, &ending).await?;
        self.notify(&record, &place).await?;
        if settled {
            for endpoint in self.coordination.leases_of(&run).await? {
                self.coordination.release(&endpoint, &run).await?;
            }
            self.coordination.close(&run).await?;
        }
        Ok(SealedRun { run_id: run, record: place })
    }

    /// Stops the transfers and the jobs, and withdraws what was not deployed. False when SageMaker is still at it; the run then
    /// stays open, and the sweep comes back.
    async fn take_down(&self, run: &RunId) -> Result<bool, SealRunError> {
        self.uploads.end_run(run).await?;
        self.cleanup.stop_jobs(run).await?;
        let mut settled = self.cleanup.withdraw_smoke_test(run).await?;
        for endpoint in self.coordination.leases_of(run).await? {
            let served_before = self.served_before(run).await?;
            settled &= self.cleanup.withdraw(run, &endpoint, served_before).await?;
        }
        Ok(settled)
    }

    /// Whether a model served when approval was asked for, as the approve link says. Unknown counts as yes:
    /// what might be somebody else's is not taken down.
    async fn served_before(&self, run: &RunId) -> Result<bool, SealRunError> {
        let bytes = self.objects.bytes(self.attestor.bucket(), &Gate::Approve.key(run), None).await?;
        let link: Option<Statement<Link>> = bytes
            .and_then(|bytes| Envelope::parse(&bytes).ok())
            .and_then(|envelope| envelope.unverified().ok());
        Ok(link
            .and_then(|link| link.predicate.facts.get("serving").cloned())
            .is_none_or(|seen| !seen.is_empty()))
    }

    /// Signs the record, once: whoever comes second finds the first one's (invariant 5).
    async fn record(&self, run: &RunId, ending: &Ending) -> Result<(ObjectRef, Record), SealRunError> {
        let events = history::read(&self.sfn, &ending.execution_arn).await?;
        // Whoever seals first has copied it out as far as it went.
        self.attestor.keep_first(run, "seal-run/history.json", &events).await?;
        let (files, listed) = self.files(run).await?;
        let account = Account::of(&files);
        let record = Record {
            run_id: run.clone(),
            execution_arn: ending.execution_arn.clone(),
            status: ending.status,
            error: ending.error.clone(),
            cause: ending.cause.clone(),
            policy_sha256: account.policy_sha256,
            identities: account.identities,
            verdicts: account.verdicts,
            inputs: account.inputs,
            states: history::states(&events),
            costs: account.costs,
            files: listed,
            sealed_at: jiff::Timestamp::now().to_string(),
        };
        let key = format!("{}{RECORD_PATH}", run.prefix());
        let mut sealed = record.clone();
        let of_this_run = |stored: &Statement<Record>| {
            sealed.clone_from(&stored.predicate);
            stored.predicate.run_id == *run
        };
        let place = self.attestor.store_once(&key, &record.into_statement(), of_this_run).await?;
        Ok((place, sealed))
    }

    /// Every file of the run's evidence, and the list of them sorted by key.
    async fn files(&self, run: &RunId) -> Result<(Files, Vec<RecordFile>), SealRunError> {
        let bucket = self.attestor.bucket();
        let prefix = run.prefix();
        let mut files = Files::new();
        let mut pages = self.s3.list_objects_v2().bucket(bucket).prefix(&prefix).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(failed("s3:ListObjectsV2"))?;
            for key in page.contents().iter().filter_map(|object| object.key()) {
                let Some(path) = key.strip_prefix(&prefix).filter(|path| *path != RECORD_PATH) else {
                    continue;
                };
                if let Some(bytes) = self.objects.bytes(bucket, key, None).await? {
                    files.insert(path.to_owned(), bytes);
                }
            }
        }
        let listed = files.iter().map(|(path, bytes)| RecordFile {
            key: format!("{prefix}{path}"),
            sha256: Sha256Digest::of(bytes),
            size: bytes.len() as u64,
        });
        let listed = listed.collect();
        Ok((files, listed))
    }

    async fn notify(&self, record: &Record, place: &ObjectRef) -> Result<(), SealRunError> {
        if self.coordination.was_notified(&record.run_id, "sealed").await? {
            return Ok(());
        }
        let notification = Notification {
            kind: "RunSealed",
            run_id: record.run_id.as_str(),
            execution_arn: &record.execution_arn,
            status: record.status,
            error: record.error.as_deref(),
            meaning: record.refusal().map(|name| name.meaning()),
            cause: record.cause.as_deref(),
            record: format!("s3://{}/{}", place.bucket, place.key),
        };
        let unreadable =
            |reason: String| runtime::Error::Unreadable { place: "the notification".to_owned(), reason };
        let message = serde_json::to_string(&notification).map_err(|error| unreadable(error.to_string()))?;
        let attribute = |value: &str| {
            aws_sdk_sns::types::MessageAttributeValue::builder()
                .data_type("String")
                .string_value(value)
                .build()
                .map_err(|error| unreadable(error.to_string()))
        };
        let outcome = record.error.as_deref().unwrap_or("succeeded");
        self.sns
            .publish()
            .topic_arn(&self.settings.topic_arn)
            .subject(format!("Lockstep: run {} {outcome}", &record.run_id.as_str()[..8]))
            .message(message)
            .message_attributes("kind", attribute("RunSealed")?)
            .message_attributes("run_id", attribute(record.run_id.as_str())?)
            .send()
            .await
            .map_err(failed("sns:Publish"))?;
        // Noted after publishing, so it goes out at least once; readers tell repeats apart by run_id.
        Ok(self.coordination.note_notified(&record.run_id, "sealed").await?)
    }

    /// Seals claims whose execution has ended without a record: their event was lost, or this function failed. Then
    /// removes what serves no more.
    async fn sweep(&self) -> Result<usize, SealRunError> {
        let mut sealed = 0;
        for (run, execution_arn) in self.coordination.open_runs().await? {
            let sent = self.sfn.describe_execution().execution_arn(&execution_arn).send().await;
            let ending = match sent {
                Ok(execution) => {
                    let status = match execution.status().as_str() {
                        "SUCCEEDED" => Some(RunStatus::Succeeded),
                        other => occasion::ended_badly(other),
                    };
                    let Some(status) = status else { continue };
                    let cause = execution.cause().map(occasion::readable_cause);
                    Ending { execution_arn, status, error: execution.error().map(str::to_owned), cause }
                }
                // Its history is gone: Step Functions keeps it for 90 days.
                Err(error) if error.as_service_error().is_some_and(|e| e.is_execution_does_not_exist()) => {
                    Ending { execution_arn, status: RunStatus::Failed, error: None, cause: None }
                }
                Err(error) => return Err(failed("states:DescribeExecution")(error).into()),
            };
            tracing::info!(run_id = %run, "sealed by the sweep");
            self.seal(ending).await?;
            sealed += 1;
        }
        self.remove_former_versions().await?;
        Ok(sealed)
    }

    /// Removes what served before the last two versions of an endpoint, once the latest has baked.
    async fn remove_former_versions(&self) -> Result<(), SealRunError> {
        let now = jiff::Timestamp::now().as_second();
        for former in self.coordination.former_versions().await? {
            if former.due_at <= now && self.cleanup.remove_former(&former).await? {
                tracing::info!(config = former.config, endpoint = former.endpoint, "former version settled");
                self.coordination.drop_former_version(&former).await?;
            }
        }
        Ok(())
    }
}
