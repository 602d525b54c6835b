//! Who answers a request, read from its target, its path and the scope of its credential.

use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};

use crate::service::Service;

/// Operations on image scans, which MiniStack's ECR lacks.
const SCAN_OPERATIONS: [&str; 5] = [
    "StartImageScan",
    "DescribeImageScanFindings",
    "GetRegistryScanningConfiguration",
    "PutRegistryScanningConfiguration",
    "BatchGetRepositoryScanningConfiguration",
];

/// What a request's signature says of who made it: key id, region and service. Never the signature or the token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) access_key_id: String,
    pub(crate) region: String,
    pub(crate) service: String,
}

impl Credential {
    /// Reads the credential of a signed or presigned request; an unsigned one has an empty credential.
    pub(crate) fn of(request: &Request) -> Self {
        let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if let Some(scope) = header.and_then(|value| {
            value.split_once("Credential=").map(|(_, rest)| rest.split([',', ' ']).next().unwrap_or(rest))
        }) {
            return Self::from_scope(scope);
        }
        let presigned = request.uri().query().and_then(|query| {
            url::form_urlencoded::parse(query.as_bytes())
                .find(|(name, _)| name.eq_ignore_ascii_case("x-amz-credential"))
                .map(|(_, value)| value.into_owned())
        });
        presigned.map(|scope| Self::from_scope(&scope)).unwrap_or_default()
    }

    /// `<key id>/<date>/<region>/<service>/aws4_request`
    fn from_scope(scope: &str) -> Self {
        let mut parts = scope.split('/');
        let access_key_id = parts.next().unwrap_or_default().to_owned();
        let region = parts.nth(1).unwrap_or_default().to_owned();
        let service = parts.next().unwrap_or_default().to_owned();
        Self { access_key_id, region, service }
    }
}

/// The prefix of what is no AWS operation.
pub(crate) const CONTROL: &str = "LockstepLocal";

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// A service of the front's own, and its operation.
    Own(Service, String),
    /// What a test asks of the account itself: an operation of [`CONTROL`].
    Control(String),
    /// A model behind an endpoint with this name.
    InvokeEndpoint(String),
    /// MiniStack.
    PassOn,
}

impl Route {
    pub(crate) fn of(parts: &Parts, credential: &Credential) -> Self {
        if let Some((prefix, action)) = target(&parts.headers) {
            if prefix == CONTROL {
                return Self::Control(action.to_owned());
            }
            let service = match prefix {
                "SageMaker" => Some(Service::SageMaker),
                "AnyScaleFrontendService" => Some(Service::AutoScaling),
                "AmazonEC2ContainerRegistry_V20150921" if SCAN_OPERATIONS.contains(&action) => {
                    Some(Service::Ecr)
                }
                _ => None,
            };
            return service.map_or(Self::PassOn, |service| Self::Own(service, action.to_owned()));
        }
        // A bucket may be named `endpoints`: only the credential's scope tells the two apart.
        if parts.method == Method::POST
            && credential.service == "sagemaker"
            && let Some(name) = parts
                .uri
                .path()
                .strip_prefix("/endpoints/")
                .and_then(|rest| rest.strip_suffix("/invocations"))
        {
            return Self::InvokeEndpoint(name.to_owned());
        }
        if parts.method == Method::PUT
            && credential.service == "sagemaker"
            && parts.uri.path() == "/BatchPutMetrics"
        {
            return Self::Own(Service::SageMakerMetrics, "BatchPutMetrics".to_owned());
        }
        Self::PassOn
    }

    pub(crate) fn is_own(&self) -> bool {
        !matches!(self, Self::PassOn)
    }
}

/// `X-Amz-Target`, split into the service's prefix and the operation.
pub(crate) fn target(headers: &HeaderMap) -> Option<(&str, &str)> {
    headers.get("x-amz-target")?.to_str().ok()?.rsplit_once('.')
}

/// Whether the operation, or what it acts on, is named in the body: JSON and query protocols.
pub(crate) fn names_operation_in_body(parts: &Parts, credential: &Credential) -> bool {
    if credential.service == "s3" {
        return false;
    }
    target(&parts.headers).is_some()
        || parts
            .headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn signed(service: &str, method: &str, path: &str, target: Option<&str>) -> Route {
        let mut request = Request::builder().method(method).uri(path).header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential=AKIAX/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"),
        );
        if let Some(target) = target {
            request = request.header("x-amz-target", target);
        }
        let request = request.body(Body::empty()).unwrap();
        let credential = Credential::of(&request);
        assert_eq!(credential.access_key_id, "AKIAX");
        Route::of(&request.into_parts().0, &credential)
    }

    #[test]
    fn the_fronts_own_services_are_told_from_the_rest() {
        assert_eq!(
            signed("sagemaker", "POST", "/", Some("SageMaker.CreateModel")),
            Route::Own(Service::SageMaker, "CreateModel".into())
        );
        assert_eq!(
            signed("ecr", "POST", "/", Some("AmazonEC2ContainerRegistry_V20150921.StartImageScan")),
            Route::Own(Service::Ecr, "StartImageScan".into())
        );
        assert_eq!(
            signed("ecr", "POST", "/", Some("AmazonEC2ContainerRegistry_V20150921.PutImage")),
            Route::PassOn
        );
        assert_eq!(
            signed("application-autoscaling", "POST", "/", Some("AnyScaleFrontendService.PutScalingPolicy")),
            Route::Own(Service::AutoScaling, "PutScalingPolicy".into())
        );
        assert_eq!(signed("dynamodb", "POST", "/", Some("DynamoDB_20120810.GetItem")), Route::PassOn);
    }

    #[test]
    fn an_endpoints_invocation_is_told_from_a_bucket_of_that_name() {
        assert_eq!(
            signed("sagemaker", "POST", "/endpoints/tiny-lm/invocations", None),
            Route::InvokeEndpoint("tiny-lm".into())
        );
        assert_eq!(signed("s3", "POST", "/endpoints/tiny-lm/invocations", None), Route::PassOn);
    }

    #[test]
    fn metrics_are_told_from_a_bucket_of_that_name() {
        assert_eq!(
            signed("sagemaker", "PUT", "/BatchPutMetrics", None),
            Route::Own(Service::SageMakerMetrics, "BatchPutMetrics".into())
        );
        assert_eq!(signed("s3", "PUT", "/BatchPutMetrics", None), Route::PassOn);
    }

    #[test]
    fn a_presigned_request_has_a_credential_too() {
        let request = Request::builder()
            .uri("/bucket/key?X-Amz-Credential=AKIAY%2F20260101%2Fus-east-1%2Fs3%2Faws4_request")
            .body(Body::empty())
            .unwrap();
        let credential = Credential::of(&request);
        assert_eq!((credential.access_key_id.as_str(), credential.service.as_str()), ("AKIAY", "s3"));
    }
}
