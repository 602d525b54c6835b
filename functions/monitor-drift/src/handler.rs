//! The story of monitoring: what serves, what it was evaluated on, what it meets now, and what that means.

use aws_config::SdkConfig;
use contract::{DriftDetail, Gate, MonitorInput, ObjectRef, RunId, RunPlan, S3Uri, Sha256Digest, VARIANT};
use drift::{
    Baseline, Labelled, Outcome, Quality, QualityVerdict, Report, Window,
    capture::{Capture, Label},
    places,
};
use jiff::{SignedDuration, Timestamp};
use runtime::{Environment, Evidence, Measured, Metric, Objects, Unit, failed};
use serde::Serialize;

use crate::{aws, error::MonitorError, quality_window::QualityWindow, settings::Settings};

/// The function.
pub struct MonitorDrift {
    settings: Settings,
    sagemaker: aws_sdk_sagemaker::Client,
    events: aws_sdk_eventbridge::Client,
    s3: aws_sdk_s3::Client,
    objects: Objects,
    evidence: Evidence,
}

/// What is said of an endpoint.
#[derive(Debug, Serialize)]
pub struct Judgement {
    /// The endpoint.
    endpoint: String,
    /// The run whose model it serves.
    run_id: Option<RunId>,
    /// `stable`, `drifted`, `too_few_rows`, `not_serving` or `no_baseline`.
    verdict: &'static str,
    /// Invocations that were compared.
    rows: u64,
    /// Features that drifted.
    features: Vec<String>,
    /// What labels say of earlier predictions: `stable`, `drifted` or `not_evaluated`; absent where none are said to
    /// come, or no prediction is old enough.
    quality: Option<&'static str>,
    /// Predictions that have a label.
    labelled: u64,
    /// The report, where there is one. The page is beside it, `.html`.
    report: Option<S3Uri>,
    /// The event that told of drift.
    event_id: Option<String>,
}

impl Judgement {
    fn without_report(endpoint: &str, run_id: Option<RunId>, verdict: &'static str) -> Self {
        let endpoint = endpoint.to_owned();
        Self {
            endpoint,
            run_id,
            verdict,
            rows: 0,
            features: Vec::new(),
            quality: None,
            labelled: 0,
            report: None,
            event_id: None,
        }
    }
}

impl MonitorDrift {
    /// From the environment.
    ///
    /// # Errors
    /// [`runtime::Error::Misconfigured`].
    pub fn new(config: &SdkConfig) -> Result<Self, runtime::Error> {
        let mut environment = Environment::of("monitor-drift");
        let s3 = aws_sdk_s3::Client::new(config);
        let settings = Settings::read(&mut environment);
        let function = Self {
            sagemaker: aws_sdk_sagemaker::Client::new(config),
            events: aws_sdk_eventbridge::Client::new(config),
            objects: Objects::new(s3.clone()),
            evidence: Evidence::new(s3.clone(), settings.evidence_bucket.clone()),
            settings,
            s3,
        };
        environment.finish(function)
    }

    /// Judges one endpoint, or each. One that cannot be judged does not keep the others from it.
    pub async fn handle(&self, input: MonitorInput) -> Result<Vec<Judgement>, MonitorError> {
        let MonitorInput::Monitor { endpoint } = input;
        let declared: Vec<String> = self.settings.endpoints.keys().cloned().collect();
        let chosen = match endpoint {
            None => declared,
            Some(endpoint) if declared.contains(&endpoint) => vec![endpoint],
            Some(endpoint) => return Err(MonitorError::UnknownEndpoint { endpoint, declared }),
        };
        let (mut judgements, mut first_error) = (Vec::new(), None);
        for endpoint in chosen {
            match self.judge(&endpoint).await {
                Ok(judgement) => judgements.push(judgement),
                Err(error) => {
                    tracing::error!(%endpoint, "{error}");
                    first_error = first_error.or(Some(error));
                }
            }
        }
        first_error.map_or(Ok(judgements), Err)
    }

    async fn judge(&self, endpoint: &str) -> Result<Judgement, MonitorError> {
        let now = Timestamp::now();
        let Some(run) = aws::serving_run(&self.sagemaker, endpoint).await? else {
            return Ok(Judgement::without_report(endpoint, None, "not_serving"));
        };
        let Some(baseline) = self.baseline(&run).await? else {
            return Ok(Judgement::without_report(endpoint, Some(run), "no_baseline"));
        };
        let monitoring = self.plan(&run).await?.request.monitoring.unwrap_or_default();
        let mut window = Window::new(&baseline, &monitoring.settings);
        let deployed = self.deployed(&run, now).await?;
        let since = deployed.max(now - SignedDuration::from_mins(i64::from(self.settings.window_minutes)));
        for prefix in places::captures(endpoint, VARIANT, since, now) {
            let see = |record: Result<Capture, _>| {
                let is_older =
                    record.as_ref().is_ok_and(|capture| capture.time.is_some_and(|time| time < since));
                if !is_older {
                    window.see(record);
                }
            };
            aws::read(&self.s3, &self.settings.work_bucket, &prefix, see).await?;
        }
        let mut report = window.judge();
        if let Some(quality) = self.quality(endpoint, &run, &monitoring.settings, deployed, now).await? {
            report = report.with_quality(quality);
        }
        let stored = self.store(endpoint, &run, now, &report).await?;
        measure(endpoint, &report);
        let features: Vec<String> = report.drifted_names().collect();
        let place = S3Uri::new(&stored.bucket, &stored.key);
        let mut judgement = Judgement {
            endpoint: endpoint.to_owned(),
            run_id: Some(run.clone()),
            verdict: match report.outcome {
                Outcome::Stable => "stable",
                Outcome::Drifted => "drifted",
                Outcome::TooFewRows => "too_few_rows",
            },
            rows: report.rows,
            features: features.clone(),
            quality: report.quality.as_ref().map(|quality| quality.verdict.as_str()),
            labelled: report.quality.as_ref().map_or(0, |quality| quality.predictions.all.labelled),
            report: Some(place.clone()),
            event_id: None,
        };
        if report.outcome == Outcome::Drifted {
            let hour = now.strftime("%Y-%m-%dT%H").to_string();
            let detail = DriftDetail {
                event_id: RunId::of(&["drift", endpoint, run.as_str(), &hour]).to_string(),
                endpoint: endpoint.to_owned(),
                run_id: run.clone(),
                retrain: monitoring.retrain,
                features,
                report: place,
                report_sha256: stored.sha256,
            };
            aws::tell(&self.events, &detail).await?;
            judgement.event_id = Some(detail.event_id);
        }
        // Last, so that what was judged and not told of is judged again.
        if let Some(quality) = &report.quality
            && quality.verdict != QualityVerdict::NotEvaluated
        {
            self.mark(endpoint, &run, quality).await?;
        }
        Ok(judgement)
    }

    /// What labels say of the predictions that are old enough and were not judged yet.
    async fn quality(
        &self,
        endpoint: &str,
        run: &RunId,
        settings: &drift::Settings,
        deployed: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Quality>, MonitorError> {
        let Some(how) = settings.outcomes.as_ref().and_then(|outcomes| outcomes.labels.as_ref()) else {
            return Ok(None);
        };
        let bucket = &self.settings.work_bucket;
        let folder = judged_folder(endpoint, run);
        let Some(longest) = QualityWindow::next(how, deployed, None, now) else { return Ok(None) };
        let before = QualityWindow::key(&folder, longest.from);
        let last = aws::last_key(&self.s3, bucket, &folder, &before).await?;
        let judged_until = last.as_deref().and_then(QualityWindow::end_of);
        let window = QualityWindow::next(how, deployed, judged_until, now);
        let Some(QualityWindow { from, until }) = window else { return Ok(None) };
        let Some(mut labelled) = Labelled::new(settings, from, until) else { return Ok(None) };
        for prefix in places::labels(endpoint, from, now) {
            aws::read(&self.s3, bucket, &prefix, |label: Result<Label, _>| labelled.label(label)).await?;
        }
        for prefix in places::captures(endpoint, VARIANT, from, until) {
            aws::read(&self.s3, bucket, &prefix, |record: Result<Capture, _>| labelled.see(record)).await?;
        }
        Ok(Some(labelled.judge()))
    }

    /// Writes down what was judged, and by its name until when, so that nothing is judged twice.
    async fn mark(&self, endpoint: &str, run: &RunId, quality: &Quality) -> Result<(), MonitorError> {
        let key = QualityWindow::key(&judged_folder(endpoint, run), quality.until);
        let unwritten = |reason: String| MonitorError::Report { endpoint: endpoint.to_owned(), reason };
        let json = serde_json::to_vec_pretty(quality).map_err(|error| unwritten(error.to_string()))?;
        self.objects.write_bytes(&self.settings.work_bucket, &key, &json).await?;
        Ok(())
    }

    /// What the evaluation gate made of the candidate's answers, if it could.
    async fn baseline(&self, run: &RunId) -> Result<Option<Baseline>, MonitorError> {
        let link = self.evidence.said(run, Gate::JudgeMetrics).await?;
        let Some(stated) = link.facts.get("baseline") else { return Ok(None) };
        let broken = |reason: String| MonitorError::Baseline { run: run.clone(), reason };
        let bytes = self.objects.bytes(&self.settings.work_bucket, &run.baseline_key(), None).await?;
        let bytes = bytes.ok_or_else(|| broken("it does not exist".to_owned()))?;
        if Sha256Digest::of(&bytes).as_str() != stated {
            return Err(broken(format!("its digest is not the {stated} that `judge-metrics` states")));
        }
        Baseline::parse(&bytes).map(Some).map_err(|error| broken(error.to_string()))
    }

    async fn plan(&self, run: &RunId) -> Result<RunPlan, MonitorError> {
        let none = || "its admission names no plan".to_owned();
        let plan = self.evidence.plan(run).await?;
        plan.ok_or_else(|| MonitorError::Baseline { run: run.clone(), reason: none() })
    }

    /// From when on traffic is this model's.
    async fn deployed(&self, run: &RunId, now: Timestamp) -> Result<Timestamp, MonitorError> {
        let deployed = self.evidence.said(run, Gate::Deploy).await?.at;
        let deployed = deployed.parse::<Timestamp>().unwrap_or(now);
        // Captures tell whole seconds.
        Ok(Timestamp::from_second(deployed.as_second()).unwrap_or(deployed))
    }

    async fn store(
        &self,
        endpoint: &str,
        run: &RunId,
        now: Timestamp,
        report: &Report,
    ) -> Result<ObjectRef, MonitorError> {
        let place = format!("drift/{endpoint}/{run}/{}", now.strftime("%Y-%m-%dT%H-%M-%S%.3fZ"));
        let unwritten = |reason: String| MonitorError::Report { endpoint: endpoint.to_owned(), reason };
        let json = report.to_json().map_err(|error| unwritten(error.to_string()))?;
        let page = drift::page(endpoint, report);
        let (bucket, html) = (&self.settings.work_bucket, format!("{place}.html"));
        let put = self.s3.put_object().bucket(bucket).key(html).content_type("text/html; charset=utf-8");
        put.body(page.into_bytes().into()).send().await.map_err(failed("s3:PutObject"))?;
        Ok(self.objects.write_bytes(bucket, &format!("{place}.json"), &json).await?)
    }
}

/// Where what labels said of a run's predictions is written down.
fn judged_folder(endpoint: &str, run: &RunId) -> String {
    format!("drift/{endpoint}/{run}/quality/")
}

/// Figures for the dashboard and the alarm. Too little traffic says nothing: the last judgement stands.
fn measure(endpoint: &str, report: &Report) {
    let greatest = |values: &mut dyn Iterator<Item = Option<f64>>| values.flatten().fold(0.0, f64::max);
    let psi = greatest(&mut report.features.iter().map(|feature| feature.psi));
    let distance = greatest(&mut report.features.iter().map(|feature| feature.ks_d));
    let mut metrics = vec![Metric { name: "RowsCompared", unit: Unit::Count, value: report.rows as f64 }];
    if report.outcome != Outcome::TooFewRows {
        let drifted = if report.outcome == Outcome::Drifted { 1.0 } else { 0.0 };
        metrics.extend([
            Metric { name: "DriftDetected", unit: Unit::Count, value: drifted },
            Metric { name: "GreatestPsi", unit: Unit::None, value: psi },
            Metric { name: "GreatestKsDistance", unit: Unit::None, value: distance },
        ]);
    }
    if let Some(quality) = &report.quality {
        let labelled = quality.predictions.all.labelled as f64;
        metrics.push(Metric { name: "PredictionsLabelled", unit: Unit::Count, value: labelled });
        let evaluated = if quality.verdict == QualityVerdict::NotEvaluated { 0.0 } else { 1.0 };
        metrics.push(Metric { name: "QualityEvaluated", unit: Unit::Count, value: evaluated });
        if evaluated > 0.0 {
            let drifted = if quality.verdict == QualityVerdict::Drifted { 1.0 } else { 0.0 };
            metrics.push(Metric { name: "QualityDriftDetected", unit: Unit::Count, value: drifted });
        }
    }
    Measured { dimension: ("Endpoint", endpoint), properties: &[], metrics: &metrics }.emit();
}
