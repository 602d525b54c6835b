//! Taking turns with other processes of the same repository.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

/// How often a lock that another holds is tried.
const PERIOD: Duration = Duration::from_millis(100);

/// Waits until the file's lock is this process's alone; it is released when the file is dropped.
pub(crate) async fn alone(path: &Path) -> io::Result<File> {
    wait(File::create(path)?, File::try_lock).await
}

/// Waits until nobody holds the file's lock alone.
pub(crate) async fn shared(path: &Path) -> io::Result<File> {
    wait(File::create(path)?, File::try_lock_shared).await
}

/// Tries again and again: a thread that waits for a lock could not be told to stop when the process is.
async fn wait(file: File, attempt: impl Fn(&File) -> Result<(), TryLockError>) -> io::Result<File> {
    loop {
        match attempt(&file) {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(PERIOD).await,
            Err(TryLockError::Error(problem)) => return Err(problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn readers_share_and_a_writer_waits_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let (one, two) = (shared(&path).await.unwrap(), shared(&path).await.unwrap());
        let writer = alone(&path);
        tokio::pin!(writer);
        assert!(tokio::time::timeout(Duration::from_millis(300), &mut writer).await.is_err());
        drop((one, two));
        let writer = tokio::time::timeout(Duration::from_secs(5), writer).await.unwrap().unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(300), shared(&path)).await.is_err());
        drop(writer);
    }
}
