//! Between AWS and monitoring.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use contract::{DRIFT_EVENT, DriftDetail, EVENT_SOURCE, RunId};
use drift::{
    capture::{BadLine, Reader, Record},
    lines::LONGEST,
};
use runtime::{failed, is_missing, pieces};

use crate::error::MonitorError;

/// The run whose model an endpoint serves; none where there is no such endpoint, or it has a configuration that is not
/// ours.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn serving_run(
    sagemaker: &aws_sdk_sagemaker::Client,
    endpoint: &str,
) -> Result<Option<RunId>, MonitorError> {
    let described = match sagemaker.describe_endpoint().endpoint_name(endpoint).send().await {
        Ok(described) => described,
        Err(error) => {
            let failure = failed("sagemaker:DescribeEndpoint")(error);
            return if is_missing(&failure) { Ok(None) } else { Err(failure.into()) };
        }
    };
    Ok(described.endpoint_config_name().and_then(RunId::of_serving_name))
}

/// Reads every record under a prefix, a piece at a time.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn read<T: Record>(
    s3: &aws_sdk_s3::Client,
    bucket: &str,
    prefix: &str,
    mut each: impl FnMut(Result<T, BadLine>),
) -> Result<(), MonitorError> {
    let mut pages = s3.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(failed("s3:ListObjectsV2"))?;
        for key in page.contents().iter().filter_map(|object| object.key()) {
            let mut reader = Reader::new(LONGEST);
            pieces(s3, bucket, key, |piece| reader.feed(piece, &mut each)).await?;
            reader.finish(&mut each);
        }
    }
    Ok(())
}

/// The last of the keys under a prefix that come after one of them.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn last_key(
    s3: &aws_sdk_s3::Client,
    bucket: &str,
    prefix: &str,
    after: &str,
) -> Result<Option<String>, MonitorError> {
    let listing = s3.list_objects_v2().bucket(bucket).prefix(prefix).start_after(after);
    let mut pages = listing.into_paginator().send();
    let mut last = None;
    while let Some(page) = pages.next().await {
        let page = page.map_err(failed("s3:ListObjectsV2"))?;
        let key = page.contents().last().and_then(|object| object.key()).map(str::to_owned);
        last = key.or(last);
    }
    Ok(last)
}

/// Tells whoever listens that traffic drifted.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn tell(events: &aws_sdk_eventbridge::Client, detail: &DriftDetail) -> Result<(), MonitorError> {
    let not_told = |reason: String| MonitorError::NotTold { endpoint: detail.endpoint.clone(), reason };
    let text = serde_json::to_string(detail).map_err(|error| not_told(error.to_string()))?;
    let entry = PutEventsRequestEntry::builder().source(EVENT_SOURCE).detail_type(DRIFT_EVENT).detail(text);
    let sent = events.put_events().entries(entry.build()).send().await.map_err(failed("events:PutEvents"))?;
    let entry = sent.entries().first();
    // A call that succeeds may still have refused its entries.
    match entry.and_then(|entry| entry.event_id()) {
        Some(_) => Ok(()),
        None => Err(not_told(
            entry.and_then(|entry| entry.error_message()).unwrap_or("no reason given").to_owned(),
        )),
    }
}
