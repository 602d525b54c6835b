//! A run that drift starts: the request of the run that serves, with the data that is the latest now, and with what
//! the champion reached as bounds.

use contract::{
    DataPin, DriftCause, Gate, Policy, Request, RetrainingRefused, S3Uri, Score, Sha256Digest,
    not_worse_than, thresholds,
};
use runtime::{Evidence, failed};
use sha2::Digest as _;

use crate::error::AdmitError;

/// What a champion and its request give a challenger.
#[derive(Debug)]
pub struct Champion {
    /// As it was asked for, with everything pinned that was resolved then.
    pub request: Request,
    /// Who asked for it.
    pub submitter: Option<String>,
    /// What it reached.
    reached: Score,
}

/// Reads the run that serves.
///
/// # Errors
/// [`AdmitError::NotRetrainable`] when its request does not ask for retraining, or cannot be repeated here.
pub async fn champion(evidence: &Evidence, cause: &DriftCause) -> Result<Champion, AdmitError> {
    let run = &cause.run_id;
    let refuse = |reason: &str| AdmitError::NotRetrainable { run: run.clone(), reason: reason.to_owned() };
    let plan = evidence.plan(run).await?.ok_or_else(|| refuse("its admission names no plan"))?;
    let mut request = plan.request;
    if request.promotion.is_some() {
        return Err(refuse("its model was promoted: retrain where it was trained, and promote again"));
    }
    if !request.monitoring.as_ref().is_some_and(|monitoring| monitoring.retrain) {
        return Err(refuse("its request does not ask for it: set `monitoring.retrain`"));
    }
    if request.endpoint.name != cause.endpoint {
        return Err(refuse("it was not deployed to the endpoint that the event names"));
    }
    let sealed = evidence.said(run, Gate::SealModel).await?;
    let judged = evidence.said(run, Gate::JudgeMetrics).await?;
    request.nonce = Some(format!("drift-{}", cause.event_id));
    request.image = plan.image.uri;
    if let Some(commit) = sealed.facts.get("commit") {
        request.source.revision.clone_from(commit);
    }
    Ok(Champion { request, submitter: plan.submitter, reached: judged.reached() })
}

impl Champion {
    /// The challenger's request: the data that is the latest now, and nothing worse than the champion.
    ///
    /// # Errors
    /// [`AdmitError::Data`], `ServiceUnavailable`.
    pub async fn challenge(&self, s3: &aws_sdk_s3::Client, policy: &Policy) -> Result<Request, AdmitError> {
        let mut request = self.request.clone();
        request.training.data = latest(s3, "training.data.uri", &request.training.data.uri).await?;
        request.evaluation.data = latest(s3, "evaluation.data.uri", &request.evaluation.data.uri).await?;
        let judged = thresholds(&request, policy);
        request.evaluation.thresholds.extend(not_worse_than(&self.reached, &judged));
        Ok(request)
    }
}

/// Pins the latest version of an object.
async fn latest(s3: &aws_sdk_s3::Client, field: &str, uri: &S3Uri) -> Result<DataPin, AdmitError> {
    let refuse = |remedy: &str| AdmitError::Data {
        field: field.to_owned(),
        value: uri.to_string(),
        remedy: remedy.to_owned(),
    };
    let object = match s3.get_object().bucket(uri.bucket()).key(uri.key()).send().await {
        Ok(object) => object,
        Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => {
            return Err(refuse("there is no such object any more: upload the data again"));
        }
        Err(error) => return Err(failed("s3:GetObject")(error).into()),
    };
    let version_id = object.version_id().ok_or_else(|| refuse("its bucket keeps no versions"))?.to_owned();
    let (mut body, mut hash) = (object.body, sha2::Sha256::new());
    while let Some(piece) = body.next().await {
        hash.update(piece.map_err(|error| refuse(&format!("reading it failed: {error}")))?);
    }
    Ok(DataPin { uri: uri.clone(), version_id, sha256: Sha256Digest::from_bytes(&hash.finalize().into()) })
}

/// Whether policy lets drift start anything; how often, is asked once the cost is known.
///
/// # Errors
/// [`RetrainingRefused::NotAllowed`].
pub fn allowed(policy: &Policy) -> Result<&contract::RetrainingPolicy, RetrainingRefused> {
    policy.retraining.as_ref().ok_or(RetrainingRefused::NotAllowed)
}
