//! Resolves the request's image to one platform's manifest (invariant 3). An image index has no findings of
//! its own and SageMaker may refuse it, so its digest never travels further than here.

use aws_sdk_ecr::{
    Client,
    types::{ImageIdentifier, Repository},
};
use contract::{ImageName, ResolvedImage, Sha256Digest};
use runtime::failed;
use serde::Deserialize;

use crate::error::AdmitError;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    #[serde(default)]
    manifests: Vec<PlatformManifest>,
}

#[derive(Deserialize)]
struct PlatformManifest {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
    architecture: String,
}

/// SageMaker's instances of the types that policy prices are x86_64.
const PLATFORM: (&str, &str) = ("linux", "amd64");

/// The platform manifest of an index; `None` when the manifest is no index.
fn pick_platform(manifest: &[u8]) -> Result<Option<String>, String> {
    let manifest: Manifest = serde_json::from_slice(manifest).map_err(|error| error.to_string())?;
    if manifest.manifests.is_empty() {
        return Ok(None);
    }
    let fits = |entry: &&PlatformManifest| {
        entry.platform.as_ref().is_some_and(|p| (p.os.as_str(), p.architecture.as_str()) == PLATFORM)
    };
    match manifest.manifests.iter().filter(fits).collect::<Vec<_>>().as_slice() {
        [one] => Ok(Some(one.digest.clone())),
        fitting => Err(format!("its index has {} manifests for linux/amd64, not one", fitting.len())),
    }
}

/// Resolves a name to one platform manifest's digest, which is checked against the manifest's bytes.
///
/// # Errors
/// [`AdmitError::Image`] when there is no such image.
pub async fn resolve(ecr: &Client, image: &str, name: &ImageName) -> Result<ResolvedImage, AdmitError> {
    let refuse = |remedy: String| AdmitError::Image { image: image.to_owned(), remedy };
    let repository = find_repository(ecr, &name.repository)
        .await?
        .ok_or_else(|| refuse("there is no such ECR repository in this account".to_owned()))?;
    let mut wanted = ImageIdentifier::builder().set_image_tag(name.tag.clone()).build();
    if name.digest.is_some() {
        // With a digest the tag is only a comment.
        wanted = ImageIdentifier::builder().set_image_digest(name.digest.clone()).build();
    }
    let (mut digest, manifest) = fetch(ecr, &name.repository, wanted)
        .await?
        .ok_or_else(|| refuse("the repository has no such image: push it, or name another tag".to_owned()))?;
    let mut checked = (digest.clone(), manifest.clone());
    if let Some(platform) = pick_platform(manifest.as_bytes()).map_err(&refuse)? {
        digest = platform;
        let wanted = ImageIdentifier::builder().image_digest(&digest).build();
        checked = fetch(ecr, &name.repository, wanted)
            .await?
            .ok_or_else(|| refuse(format!("its index names {digest}, which the repository lacks")))?;
    }
    if format!("sha256:{}", Sha256Digest::of(&checked.1)) != digest {
        return Err(refuse(format!("its manifest does not hash to {digest}")));
    }
    let uri = format!("{}@{digest}", repository.repository_uri().unwrap_or_default());
    Ok(ResolvedImage {
        registry_id: repository.registry_id().unwrap_or_default().to_owned(),
        repository: name.repository.clone(),
        digest,
        uri,
    })
}

async fn find_repository(ecr: &Client, name: &str) -> Result<Option<Repository>, AdmitError> {
    match ecr.describe_repositories().repository_names(name).send().await {
        Ok(answer) => Ok(answer.repositories.unwrap_or_default().into_iter().next()),
        Err(error) if error.as_service_error().is_some_and(|e| e.is_repository_not_found_exception()) => {
            Ok(None)
        }
        Err(error) => Err(failed("ecr:DescribeRepositories")(error).into()),
    }
}

async fn fetch(
    ecr: &Client,
    name: &str,
    wanted: ImageIdentifier,
) -> Result<Option<(String, String)>, AdmitError> {
    let answer = ecr
        .batch_get_image()
        .repository_name(name)
        .image_ids(wanted)
        .accepted_media_types("application/vnd.oci.image.manifest.v1+json")
        .accepted_media_types("application/vnd.oci.image.index.v1+json")
        .accepted_media_types("application/vnd.docker.distribution.manifest.v2+json")
        .accepted_media_types("application/vnd.docker.distribution.manifest.list.v2+json")
        .send()
        .await
        .map_err(failed("ecr:BatchGetImage"))?;
    let image = answer.images.unwrap_or_default().into_iter().next();
    Ok(image.and_then(|image| Some((image.image_id?.image_digest?, image.image_manifest?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_ecr_an_image_index_is_resolved_to_one_platform_manifest() {
        let index = br#"{"manifests": [
            {"digest": "sha256:arm", "platform": {"os": "linux", "architecture": "arm64"}},
            {"digest": "sha256:amd", "platform": {"os": "linux", "architecture": "amd64"}},
            {"digest": "sha256:attestation", "platform": {"os": "unknown", "architecture": "unknown"}}]}"#;
        assert_eq!(pick_platform(index), Ok(Some("sha256:amd".to_owned())));
        assert_eq!(pick_platform(br#"{"config": {}, "layers": []}"#), Ok(None));
        let arm =
            br#"{"manifests": [{"digest": "d", "platform": {"os": "linux", "architecture": "arm64"}}]}"#;
        assert!(pick_platform(arm).is_err());
    }
}
