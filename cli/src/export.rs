//! `lockstep export`: a run's evidence, to be verified anywhere and at any time.

use std::path::Path;

use evidence::{Files, TrustRoot};

use crate::args::ExportArgs;
use crate::connection::Target;
use crate::error::Error;
use crate::run_files;
use crate::screen::Screen;
use crate::verify;

/// Exports a run that verifies, and says so.
///
/// # Errors
/// [`Error::Occupied`] when the directory is there; [`Error::Broken`] when the evidence does not hold; a failing call.
pub(crate) async fn run(args: &ExportArgs, account: &Target, screen: &Screen) -> Result<(), Error> {
    screen.aside(&format!("using {}", account.shown));
    let s3 = account.s3();
    let bucket = run_files::bucket(&s3, args.evidence_bucket.as_deref()).await?;
    let files = run_files::from_bucket(&s3, &bucket, &args.run).await?;
    let trust = run_files::deployed_trust_root(&s3, &bucket).await?;
    write(&files, &trust, &args.directory, screen)
}

/// Writes an export. Until all of it is written, the directory does not exist.
///
/// # Errors
/// As [`run`].
pub(crate) fn write(files: &Files, trust: &[u8], directory: &Path, screen: &Screen) -> Result<(), Error> {
    vacant(directory)?;
    let verified = verify::check(&directory.display().to_string(), files, &TrustRoot::parse(trust)?)?;
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(Error::file("write", parent))?;
    let draft = tempfile::Builder::new().prefix(".export-").tempdir_in(parent);
    let draft = draft.map_err(Error::file("write", parent))?;
    for (path, bytes) in files {
        let place = draft.path().join(path);
        let folder = place.parent().unwrap_or(draft.path());
        std::fs::create_dir_all(folder).map_err(Error::file("write", folder))?;
        std::fs::write(&place, bytes).map_err(Error::file("write", &place))?;
    }
    let beside = run_files::trust_beside(directory);
    std::fs::write(&beside, trust).map_err(Error::file("write", &beside))?;
    let draft = draft.keep();
    readable(&draft)?;
    std::fs::rename(&draft, directory).map_err(Error::file("write", directory))?;
    screen.say(&format!(
        "  exported run {} ({}): {} files in {}, trusted keys in {}",
        verified.record.run_id,
        verify::outcome(&verified.record),
        files.len(),
        directory.display(),
        beside.display(),
    ));
    Ok(())
}

/// Nothing is written over: an export is evidence too.
///
/// # Errors
/// [`Error::Occupied`].
pub(crate) fn vacant(directory: &Path) -> Result<(), Error> {
    for path in [directory.to_owned(), run_files::trust_beside(directory)] {
        if std::fs::symlink_metadata(&path).is_ok() {
            return Err(Error::Occupied(path));
        }
    }
    Ok(())
}

/// A temporary directory is its owner's alone; an export is for others.
fn readable(directory: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let permissions = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory, permissions).map_err(Error::file("write", directory))
}
