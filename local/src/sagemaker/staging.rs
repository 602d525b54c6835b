//! Bringing objects to a container's folders, and what it wrote back to objects.

use std::io;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::backend::{Backend, BackendError, Location};
use crate::jobs::tree::place_of_key;

/// Why a container's folder could not be filled or emptied.
#[derive(Debug, thiserror::Error)]
pub(super) enum StagingError {
    #[error(
        "No S3 objects found under S3 URL \"{0}\" given in input data source. Please ensure that the bucket exists in the selected region, that objects exist under that S3 prefix, and that the role has \"s3:ListBucket\" permission on the bucket."
    )]
    NothingThere(String),
    #[error("Data transfer failed: {0}")]
    Transfer(#[from] BackendError),
    #[error("Disk failed: {0}")]
    Disk(#[from] io::Error),
}

/// Downloads every object that begins with the prefix into a folder.
pub(super) async fn download_prefix(backend: &Backend, uri: &str, folder: &Path) -> Result<(), StagingError> {
    let prefix = Location::parse(uri)?;
    tokio::fs::create_dir_all(folder).await?;
    let mut found = false;
    for (key, _) in backend.list(&prefix).await? {
        if let Some(place) = place_of_key(&prefix.key, &key) {
            found = true;
            let object = Location { bucket: prefix.bucket.clone(), key };
            backend.download(&object, &folder.join(place)).await?;
        }
    }
    if found { Ok(()) } else { Err(StagingError::NothingThere(uri.into())) }
}

/// Uploads every file of a folder below an address, and answers how many there were.
pub(super) async fn upload_folder(
    backend: &Backend,
    folder: &Path,
    below: &Location,
    kms: Option<&str>,
) -> Result<usize, StagingError> {
    let files = files_of(folder)?;
    for file in &files {
        let relative = file.strip_prefix(folder).unwrap_or(file).to_string_lossy().into_owned();
        backend.upload(file, &below.below(&relative), kms).await?;
    }
    Ok(files.len())
}

/// Uploads a folder as one compressed archive.
pub(super) async fn upload_archive(
    backend: &Backend,
    folder: &Path,
    object: &Location,
    kms: Option<&str>,
) -> Result<(), StagingError> {
    let archive = folder.with_extension("tar.gz");
    let (from, to) = (folder.to_owned(), archive.clone());
    tokio::task::spawn_blocking(move || pack(&from, &to)).await.map_err(io::Error::other)??;
    backend.upload(&archive, object, kms).await?;
    tokio::fs::remove_file(archive).await?;
    Ok(())
}

fn pack(folder: &Path, archive: &Path) -> io::Result<()> {
    let mut builder =
        tar::Builder::new(GzEncoder::new(std::fs::File::create(archive)?, Compression::default()));
    builder.append_dir_all("", folder)?;
    builder.into_inner()?.finish()?;
    Ok(())
}

/// Downloads one archive and unpacks it in a folder, as SageMaker does with a `model.tar.gz`.
pub(super) async fn download_archive(
    backend: &Backend,
    uri: &str,
    folder: &Path,
) -> Result<(), StagingError> {
    tokio::fs::create_dir_all(folder).await?;
    let archive = folder.with_extension("tar.gz");
    backend.download(&Location::parse(uri)?, &archive).await?;
    let (from, to) = (archive.clone(), folder.to_owned());
    tokio::task::spawn_blocking(move || {
        // Unpacking refuses members that would land outside the folder.
        tar::Archive::new(flate2::read::GzDecoder::new(std::fs::File::open(from)?)).unpack(to)
    })
    .await
    .map_err(io::Error::other)??;
    tokio::fs::remove_file(archive).await?;
    Ok(())
}

/// The regular files below a folder, in a stable order. Links are not followed: they could point anywhere.
pub(super) fn files_of(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}
