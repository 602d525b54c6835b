//! The model container as an image: one layer that holds its binary, a configuration and a manifest.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::package::Architecture;
use crate::service::ImageStore;
use crate::wire::{self, Wire};

/// Where the binary lies in the image, and what the image runs.
const ENTRYPOINT: &str = "/usr/local/bin/model-container";

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// The image could not be made or pushed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The binary could not be read or kept.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The binary changed while the image was made from it.
    #[error("{path} changed while it was made into an image; build it and start again", path = .path.display())]
    Changed {
        /// The binary.
        path: PathBuf,
    },
    /// The registry refused.
    #[error(transparent)]
    Registry(#[from] wire::Error),
    /// The registry says that it holds another image.
    #[error("the registry answered the digest {answered} for an image whose digest is {expected}")]
    Digest {
        /// What it answered.
        answered: String,
        /// What was sent.
        expected: String,
    },
}

/// An image, ready to be pushed.
#[derive(Debug)]
pub struct Image {
    manifest: String,
    digest: String,
}

impl Image {
    /// Keeps the binary under `folder`, and describes the image that holds it.
    ///
    /// The layer's bytes are digested and not kept: the account's registry stores manifests alone, and what a job
    /// runs is the kept binary, whose digest must be the one inside the layer.
    pub fn of(binary: &Path, folder: &Path, architecture: Architecture) -> Result<(Self, PathBuf), Error> {
        let file = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { path, source }
        };
        let kept = folder.join("model-container");
        std::fs::create_dir_all(folder).map_err(file(folder))?;
        // A link costs nothing; another file system needs a copy.
        if std::fs::hard_link(binary, &kept).is_err() {
            std::fs::copy(binary, &kept).map_err(file(binary))?;
        }

        let mut layer = Digester::default();
        let inside = write_layer(&kept, &mut layer).map_err(file(&kept))?;
        let mut outside = Digester::default();
        io::copy(&mut File::open(&kept).map_err(file(&kept))?, &mut outside).map_err(file(&kept))?;
        if inside != outside.hash.finalize()[..] {
            return Err(Error::Changed { path: binary.to_owned() });
        }

        let layer_digest = digest_text(&layer.hash.finalize());
        let config = json!({
            "architecture": match architecture { Architecture::X86_64 => "amd64", Architecture::Arm64 => "arm64" },
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": { "Entrypoint": [ENTRYPOINT], "User": "65532:65532", "ExposedPorts": { "8080/tcp": {} } },
            "rootfs": { "type": "layers", "diff_ids": [layer_digest] },
        })
        .to_string();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest_text(&Sha256::digest(&config)),
                "size": config.len(),
            },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": layer_digest,
                "size": layer.length,
            }],
        })
        .to_string();
        let digest = digest_text(&Sha256::digest(&manifest));
        Ok((Self { manifest, digest }, kept))
    }

    /// The manifest's digest, `sha256:...`.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Puts the image into a repository under a tag, and its binary into the store that jobs are run from.
    pub async fn push(
        &self,
        account: &Wire,
        repository: &str,
        tag: &str,
        store: &ImageStore,
        binary: PathBuf,
    ) -> Result<(), Error> {
        // Known before it is announced: a scan or a job may follow the push at once.
        store.insert(self.digest.clone(), binary);
        let answer = account
            .json(
                "ecr",
                "AmazonEC2ContainerRegistry_V20150921.PutImage",
                &json!({
                    "repositoryName": repository,
                    "imageManifest": self.manifest,
                    "imageManifestMediaType": MANIFEST_TYPE,
                    "imageTag": tag,
                }),
            )
            .await?;
        let answered =
            answer.pointer("/image/imageId/imageDigest").and_then(Value::as_str).unwrap_or_default();
        if answered != self.digest {
            return Err(Error::Digest { answered: answered.to_owned(), expected: self.digest.clone() });
        }
        Ok(())
    }
}

fn digest_text(digest: &[u8]) -> String {
    format!("sha256:{}", hex::encode(digest))
}

/// Writes the layer's tar, which depends on the binary's bytes alone; answers the SHA-256 of the bytes it read.
fn write_layer(binary: &Path, output: &mut impl Write) -> io::Result<Vec<u8>> {
    struct Watched<R> {
        inner: R,
        hash: Sha256,
    }
    impl<R: Read> Read for Watched<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let read = self.inner.read(buffer)?;
            self.hash.update(&buffer[..read]);
            Ok(read)
        }
    }

    let file = File::open(binary)?;
    let mut header = tar::Header::new_ustar();
    header.set_size(file.metadata()?.len());
    header.set_mode(0o755);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    let mut watched = Watched { inner: io::BufReader::with_capacity(256 * 1024, file), hash: Sha256::new() };
    let mut builder = tar::Builder::new(output);
    builder.append_data(&mut header, ENTRYPOINT.trim_start_matches('/'), &mut watched)?;
    builder.finish()?;
    drop(builder);
    Ok(watched.hash.finalize().to_vec())
}

/// Digests and counts what is written to it.
#[derive(Default)]
struct Digester {
    hash: Sha256,
    length: u64,
}

impl Write for Digester {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_depends_on_its_binary_alone() {
        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("built");
        std::fs::write(&binary, "a program").unwrap();
        let image = |name: &str| Image::of(&binary, &folder.path().join(name), Architecture::X86_64).unwrap();
        let ((first, kept), (second, _)) = (image("a"), image("b"));
        assert_eq!(first.digest(), second.digest());
        assert_eq!(std::fs::read(kept).unwrap(), b"a program");
        std::fs::remove_file(&binary).unwrap();
        std::fs::write(&binary, "another").unwrap();
        assert_ne!(first.digest(), image("c").0.digest());
    }

    #[test]
    fn the_layer_is_a_tar_that_holds_the_binary_where_the_entrypoint_looks() {
        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("built");
        std::fs::write(&binary, "a program").unwrap();
        let mut layer = Vec::new();
        write_layer(&binary, &mut layer).unwrap();
        let mut archive = tar::Archive::new(layer.as_slice());
        let entries: Vec<_> = archive.entries().unwrap().map(Result::unwrap).collect();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].path().unwrap(), Path::new("usr/local/bin/model-container"));
        assert_eq!(entries[0].header().mode().unwrap(), 0o755);
    }
}
