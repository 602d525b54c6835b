//! Plain AWS requests, for what the account asks of itself.
//!
//! The local account verifies no signature, so none is made: the authorization names the key, the region and the
//! service, which is what MiniStack reads. An SDK client for each service would add minutes to a cold build.

use std::time::Duration;

use serde_json::Value;

/// The account did not answer, or refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer came.
    #[error("{operation}: {source}")]
    Unreachable {
        /// What was asked.
        operation: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The answer is an error.
    #[error("{operation} was refused ({status}): {body}")]
    Refused {
        /// What was asked.
        operation: String,
        /// The HTTP status.
        status: u16,
        /// The answer.
        body: String,
    },
    /// The answer lacks what was asked for.
    #[error("{operation} answered without {missing}")]
    Incomplete {
        /// What was asked.
        operation: String,
        /// What is missing.
        missing: &'static str,
    },
}

/// An endpoint, and as whom it is asked.
#[derive(Debug, Clone)]
pub struct Wire {
    http: reqwest::Client,
    endpoint: String,
    region: String,
    access_key_id: String,
}

impl Wire {
    /// Requests to `endpoint` in the name of an access key.
    pub fn new(endpoint: &str, region: &str, access_key_id: &str) -> Self {
        // A proxy of the user's has no way to this machine's loopback.
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(60))
            .build()
            .unwrap_or_default();
        Self {
            http,
            endpoint: endpoint.to_owned(),
            region: region.to_owned(),
            access_key_id: access_key_id.to_owned(),
        }
    }

    /// The authorization header's value for a service.
    fn authorization(&self, service: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential={}/20260101/{}/{service}/aws4_request, SignedHeaders=host, Signature=none",
            self.access_key_id, self.region
        )
    }

    /// An operation of a JSON protocol; `target` is `X-Amz-Target`'s value.
    pub async fn json(&self, service: &str, target: &str, body: &Value) -> Result<Value, Error> {
        let request = self
            .http
            .post(&self.endpoint)
            .header("authorization", self.authorization(service))
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", target)
            .body(body.to_string());
        let text = send(request, target).await?;
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text)
            .map_err(|_| Error::Incomplete { operation: target.to_owned(), missing: "JSON" })
    }

    /// An operation of the query protocol; the answer is XML.
    pub async fn query(
        &self,
        service: &str,
        version: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<String, Error> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", action)
            .append_pair("Version", version)
            .extend_pairs(parameters)
            .finish();
        let request = self
            .http
            .post(&self.endpoint)
            .header("authorization", self.authorization(service))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        send(request, action).await
    }

    /// Invokes a function, waits for it, and answers its payload; a function's own error is refused too.
    pub async fn invoke_function(&self, name: &str, payload: &Value) -> Result<String, Error> {
        let operation = format!("Invoke {name}");
        let answer = self
            .http
            .post(format!("{}/2015-03-31/functions/{name}/invocations", self.endpoint))
            .timeout(Duration::from_secs(900))
            .header("authorization", self.authorization("lambda"))
            .body(payload.to_string())
            .send()
            .await
            .map_err(|source| Error::Unreachable { operation: operation.clone(), source })?;
        let (status, failed) = (answer.status(), answer.headers().contains_key("x-amz-function-error"));
        let body = answer
            .text()
            .await
            .map_err(|source| Error::Unreachable { operation: operation.clone(), source })?;
        if failed || !status.is_success() {
            return Err(Error::Refused { operation, status: status.as_u16(), body });
        }
        Ok(body)
    }
}

async fn send(request: reqwest::RequestBuilder, operation: &str) -> Result<String, Error> {
    let unreachable = |source| Error::Unreachable { operation: operation.to_owned(), source };
    let answer = request.send().await.map_err(unreachable)?;
    let status = answer.status();
    let body = answer.text().await.map_err(unreachable)?;
    if status.is_success() {
        Ok(body)
    } else {
        Err(Error::Refused { operation: operation.to_owned(), status: status.as_u16(), body })
    }
}

/// The text of every `<name>` element; enough for the few flat answers that are read.
pub(crate) fn elements<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).filter_map(|rest| rest.split_once(&close).map(|(text, _)| text)).collect()
}

/// The text of the first `<name>` element.
pub(crate) fn element(xml: &str, name: &'static str, operation: &str) -> Result<String, Error> {
    elements(xml, name)
        .first()
        .map(|text| (*text).to_owned())
        .ok_or_else(|| Error::Incomplete { operation: operation.to_owned(), missing: name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_in_order() {
        let xml = "<a><id>1</id><id>2</id></a>";
        assert_eq!(elements(xml, "id"), ["1", "2"]);
        assert!(element(xml, "name", "Describe").is_err());
    }
}
