//! Real questions, from what SageMaker captured of the version that serves.

use contract::VARIANT;
use drift::{
    capture::{Capture, Payload, Reader},
    lines::LONGEST,
    places,
};
use jiff::{SignedDuration, Timestamp};
use runtime::{failed, pieces};

use crate::error::DeployError;

/// How far back questions are looked for. Older ones say less of what will be asked.
const REACH: SignedDuration = SignedDuration::from_hours(24);

/// The latest questions that an endpoint was asked, at most so many.
///
/// # Errors
/// `ServiceUnavailable`.
pub async fn captured(
    s3: &aws_sdk_s3::Client,
    bucket: &str,
    endpoint: &str,
    most: usize,
) -> Result<Vec<Payload>, DeployError> {
    let now = Timestamp::now();
    let hours =
        now.checked_sub(REACH).map(|from| places::captures(endpoint, VARIANT, from, now)).unwrap_or_default();
    let mut found = Vec::new();
    for prefix in hours.iter().rev() {
        let mut keys = keys(s3, bucket, prefix).await?;
        // Names begin with the minute and second.
        keys.sort();
        for key in keys.iter().rev() {
            if found.len() >= most {
                return Ok(found);
            }
            read(s3, bucket, key, most, &mut found).await?;
        }
    }
    Ok(found)
}

async fn keys(s3: &aws_sdk_s3::Client, bucket: &str, prefix: &str) -> Result<Vec<String>, DeployError> {
    let mut keys = Vec::new();
    let mut pages = s3.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(failed("s3:ListObjectsV2"))?;
        keys.extend(page.contents().iter().filter_map(|object| object.key()).map(str::to_owned));
    }
    Ok(keys)
}

async fn read(
    s3: &aws_sdk_s3::Client,
    bucket: &str,
    key: &str,
    most: usize,
    found: &mut Vec<Payload>,
) -> Result<(), DeployError> {
    let mut reader = Reader::new(LONGEST);
    let mut see = |record: Result<Capture, _>| {
        // A line that cannot be read is monitoring's to tell of.
        if found.len() < most
            && let Ok(Capture { input: Some(input), .. }) = record
        {
            found.push(input);
        }
    };
    pieces(s3, bucket, key, |piece| reader.feed(piece, &mut see)).await?;
    reader.finish(&mut see);
    Ok(())
}
