//! The clone that the local account is made from.

use std::path::{Path, PathBuf};

use crate::error::Error;

/// What only the root of the repository holds.
const MARK: &str = "statemachine/pipeline.asl.json";

/// The repository around the current folder, else the one that this program was built from.
///
/// # Errors
/// [`Error::NoRepository`] names where was looked.
pub(crate) fn find() -> Result<PathBuf, Error> {
    let here = std::env::current_dir().map_err(Error::file("read", Path::new(".")))?;
    above(&here).or_else(|| above(Path::new(env!("CARGO_MANIFEST_DIR")))).ok_or(Error::NoRepository(here))
}

fn above(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().find(|folder| folder.join(MARK).is_file()).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_found_from_inside() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(above(folder.path()), None);
        std::fs::create_dir_all(folder.path().join("statemachine")).unwrap();
        std::fs::write(folder.path().join(MARK), "{}").unwrap();
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        assert_eq!(above(&folder.path().join("a/b")).as_deref(), Some(folder.path()));
    }
}
