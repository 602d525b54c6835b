//! Checks pinned data before anything is started: version, digest, rows and schema.

use contract::{DataPin, DataPolicy, Sha256Digest};
use sha2::Digest as _;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::error::AdmitError;

/// A row longer than this is no row of text, and would have to be held in memory.
const ROW_MAX: usize = 16 << 20;

/// What one pass over the rows found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rows {
    count: u64,
}

impl Rows {
    /// Takes a line of JSON.
    ///
    /// # Errors
    /// What is wrong with it.
    fn take(&mut self, line: &[u8], required: &[String]) -> Result<(), String> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        self.count += 1;
        let row: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line)
            .map_err(|error| format!("row {} is no JSON object: {error}", self.count))?;
        for field in required {
            if row.get(field).and_then(serde_json::Value::as_str).is_none_or(str::is_empty) {
                return Err(format!("row {} has no text in its field `{field}`", self.count));
            }
        }
        Ok(())
    }

    fn enough(&self, min: u64) -> Result<(), String> {
        if self.count < min {
            Err(format!("it has {} rows, policy asks for {min}", self.count))
        } else {
            Ok(())
        }
    }
}

/// Streams the pinned version once: is it the latest, does it hash as pinned, are its rows usable?
///
/// # Errors
/// [`AdmitError::Data`] names the field and what is wrong.
pub async fn check(
    s3: &aws_sdk_s3::Client,
    field: &str,
    pin: &DataPin,
    policy: &DataPolicy,
) -> Result<u64, AdmitError> {
    let refuse = |part: &str, value: &str, remedy: String| AdmitError::Data {
        field: format!("{field}.{part}"),
        value: value.to_owned(),
        remedy,
    };
    let (bucket, key) = (pin.uri.bucket(), pin.uri.key());
    let head = match s3.head_object().bucket(bucket).key(key).send().await {
        Ok(head) => head,
        Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => {
            let remedy = "there is no such object: upload the data first".to_owned();
            return Err(refuse("uri", &pin.uri.to_string(), remedy));
        }
        Err(error) => return Err(runtime::failed("s3:HeadObject")(error).into()),
    };
    // SageMaker reads the latest version under a prefix, so only the latest can be pinned.
    if head.version_id() != Some(pin.version_id.as_str()) {
        let remedy =
            format!("the latest version is {}: pin that one", head.version_id().unwrap_or("unknown"));
        return Err(refuse("version_id", &pin.version_id, remedy));
    }
    let object = s3
        .get_object()
        .bucket(bucket)
        .key(key)
        .version_id(&pin.version_id)
        .send()
        .await
        .map_err(runtime::failed("s3:GetObject"))?;
    let mut lines = BufReader::with_capacity(1 << 20, object.body.into_async_read());
    let mut hash = sha2::Sha256::new();
    let mut rows = Rows::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let broken = |error: std::io::Error| {
            refuse("uri", &pin.uri.to_string(), format!("reading it failed: {error}"))
        };
        let read = (&mut lines).take_line(&mut line).await.map_err(broken)?;
        if read == 0 {
            break;
        }
        if line.len() > ROW_MAX {
            let remedy = format!("row {} is longer than {ROW_MAX} bytes", rows.count + 1);
            return Err(refuse("uri", &pin.uri.to_string(), remedy));
        }
        hash.update(&line);
        rows.take(&line, &policy.required_fields)
            .map_err(|reason| refuse("uri", &pin.uri.to_string(), format!("{reason}: mend the data")))?;
    }
    let found = Sha256Digest::from_bytes(&hash.finalize().into());
    if found != pin.sha256 {
        let remedy = format!("the object's bytes hash to {found}: pin what you mean to use");
        return Err(refuse("sha256", pin.sha256.as_str(), remedy));
    }
    rows.enough(policy.min_rows).map_err(|reason| refuse("uri", &pin.uri.to_string(), reason))?;
    Ok(rows.count)
}

/// Reads a line, but never more than a little over [`ROW_MAX`] of it.
trait TakeLine {
    async fn take_line(self, line: &mut Vec<u8>) -> std::io::Result<usize>;
}

impl<R: tokio::io::AsyncBufRead + Unpin> TakeLine for &mut R {
    async fn take_line(self, line: &mut Vec<u8>) -> std::io::Result<usize> {
        use tokio::io::AsyncReadExt as _;
        self.take(ROW_MAX as u64 + 1).read_until(b'\n', line).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_and_bad_ones_are_named() {
        let required = ["text".to_owned()];
        let mut rows = Rows::default();
        rows.take(b"{\"text\": \"a\"}\n", &required).unwrap();
        rows.take(b"\n", &required).unwrap();
        assert!(rows.enough(2).unwrap_err().contains("1 rows"));
        for bad in [b"[]".as_slice(), b"{", b"{\"text\": 1}", b"{\"text\": \"\"}", b"{}"] {
            let message = Rows::default().take(bad, &required).unwrap_err();
            assert!(message.starts_with("row 1"), "{message}");
        }
    }
}
