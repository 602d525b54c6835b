//! From an image's name to the program that stands for it here.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Inner;
use super::backend::BackendError;
use super::validation::validation;
use crate::service::AwsError;

/// Where the image keeps its program: its entry point.
pub(super) const PROGRAM: &str = "/usr/local/bin/model-container";

/// One platform's image in the account's registry.
#[derive(Debug, Clone)]
pub(super) struct Image {
    /// As the request named it.
    pub(super) specified: String,
    /// The same image by digest.
    pub(super) resolved: String,
    /// The manifest's digest.
    pub(super) digest: String,
    /// The program on this disk.
    pub(super) program: PathBuf,
}

#[derive(Debug, PartialEq, Eq)]
struct Name<'a> {
    host: &'a str,
    repository: &'a str,
    id: Id<'a>,
}

#[derive(Debug, PartialEq, Eq)]
enum Id<'a> {
    Digest(&'a str),
    Tag(&'a str),
}

fn parse(image: &str) -> Option<Name<'_>> {
    let (host, rest) = image.split_once('/')?;
    let (repository, id) = match rest.split_once('@') {
        // A name with both a tag and a digest means the digest.
        Some((name, digest)) => (name.split_once(':').map_or(name, |(name, _)| name), Id::Digest(digest)),
        None => match rest.rsplit_once(':') {
            Some((name, tag)) => (name, Id::Tag(tag)),
            None => (rest, Id::Tag("latest")),
        },
    };
    (!repository.is_empty()).then_some(Name { host, repository, id })
}

impl Inner {
    /// Finds an image as SageMaker does when it accepts a request.
    pub(super) async fn image(&self, specified: &str) -> Result<Image, AwsError> {
        let registry = format!("{}.dkr.ecr.{}.amazonaws.com", self.config.account_id, self.config.region);
        let name = parse(specified).filter(|name| name.host == registry).ok_or_else(|| {
            validation(format!(
                "Using non-ECR image \"{specified}\" without Vpc repository access mode is not supported. Name an image \
                 of {registry}."
            ))
        })?;
        let (repository, id) = (name.repository, image_id(&name.id));
        let body = json!({
            "repositoryName": repository,
            "imageIds": [id],
            "acceptedMediaTypes": [OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX, DOCKER_LIST],
        });
        let answer = match self
            .backend
            .json("ecr", "AmazonEC2ContainerRegistry_V20150921.BatchGetImage", &body)
            .await
        {
            Ok(answer) => answer,
            Err(BackendError::Refused { code, .. }) if code == "RepositoryNotFoundException" => {
                return Err(validation(format!(
                    "Cannot find repository: {repository} in registry ID: {} Please check if your ECR repository exists \
                     and your role has proper pull permissions for SageMaker.",
                    self.config.account_id
                )));
            }
            Err(error) => {
                return Err(AwsError::internal(format!("ECR could not be asked for {specified}: {error}")));
            }
        };
        let Some(found) = answer["images"].get(0) else {
            return Err(validation(format!(
                "Cannot find Image: {specified} in registry ID: {} Please check if your ECR image exists and your role \
                 has proper pull permissions for SageMaker.",
                self.config.account_id
            )));
        };
        let media_type = media_type(found);
        if is_index(&media_type) {
            return Err(validation(format!(
                "Unsupported manifest media type {media_type} for image {specified}. Ensure that valid manifest media type \
                 is used for specified image."
            )));
        }
        let digest = found["imageId"]["imageDigest"].as_str().unwrap_or_default().to_owned();
        let Some(program) = self.config.images.binary_of(&digest) else {
            return Err(validation(format!(
                "Image {specified} ({digest}) is in the registry, but the local account does not have its program: push \
                 it through the local account, which remembers where its binary lies."
            )));
        };
        Ok(Image {
            specified: specified.to_owned(),
            resolved: format!("{registry}/{repository}@{digest}"),
            digest,
            program,
        })
    }
}

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

fn image_id(id: &Id<'_>) -> Value {
    match id {
        Id::Digest(digest) => json!({"imageDigest": digest}),
        Id::Tag(tag) => json!({"imageTag": tag}),
    }
}

/// What the manifest says it is; the registry's own word for it where it does not say.
pub(super) fn media_type(image: &Value) -> String {
    let manifest: Value = image["imageManifest"]
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or(Value::Null);
    if let Some(said) = manifest["mediaType"].as_str() {
        return said.to_owned();
    }
    if manifest["manifests"].is_array() {
        return OCI_INDEX.to_owned();
    }
    image["imageManifestMediaType"].as_str().unwrap_or(OCI_MANIFEST).to_owned()
}

/// Whether this is a list of platforms' images, which has no layers and no findings of its own.
pub(super) fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_LIST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let host = "000000000000.dkr.ecr.us-east-1.amazonaws.com";
        let full = |rest: &str| format!("{host}/{rest}");
        let digest = "sha256:0123";
        for (rest, repository, id) in [
            ("lockstep/model-container@sha256:0123", "lockstep/model-container", Id::Digest(digest)),
            ("lockstep/model-container:1.0@sha256:0123", "lockstep/model-container", Id::Digest(digest)),
            ("lockstep/model-container:1.0", "lockstep/model-container", Id::Tag("1.0")),
            ("lockstep/model-container", "lockstep/model-container", Id::Tag("latest")),
        ] {
            assert_eq!(parse(&full(rest)), Some(Name { host, repository, id }));
        }
        assert_eq!(parse("busybox"), None);
    }

    #[test]
    fn an_index_is_known_by_its_content_whatever_the_registry_calls_it() {
        let listed =
            json!({"imageManifest": "{\"manifests\": []}", "imageManifestMediaType": DOCKER_MANIFEST});
        assert!(is_index(&media_type(&listed)));
        let plain = json!({"imageManifest": "{\"layers\": []}"});
        assert!(!is_index(&media_type(&plain)));
    }
}
