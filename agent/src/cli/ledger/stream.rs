//! Backups through a pipe, for an agent in an image that has neither a shell nor `tar` to copy files with.

use std::path::{Path, PathBuf};

use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use lookout_ledger::{BackupError, Report, backup};

/// Largest backup that is read: far more than a ledger grows to.
const LARGEST: u64 = 16 << 30;

/// Temporary file beside the ledger, where there is room and no other user reads it. It is deleted on drop.
pub(super) struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(ledger: &Path, what: &str) -> Self {
        let mut name = ledger.as_os_str().to_owned();
        name.push(format!(".{what}-{:08x}", fastrand::u32(..)));
        Self(PathBuf::from(name))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _perhaps_never_made = std::fs::remove_file(&self.0);
    }
}

/// Writes a backup to stdout, once it is complete and checked.
pub(super) async fn out(ledger: &Path) -> Result<Report, BackupError> {
    let file = TemporaryFile::new(ledger, "outgoing");
    let report = backup(ledger, file.path()).await?;
    let failed =
        |source| BackupError::File { doing: "writing the backup of", path: ledger.to_owned(), source };
    let mut from = File::open(file.path()).await.map_err(failed)?;
    let mut stdout = tokio::io::stdout();
    tokio::io::copy(&mut from, &mut stdout).await.map_err(failed)?;
    stdout.flush().await.map_err(failed)?;
    Ok(report)
}

/// Reads a backup from stdin into a file.
pub(super) async fn receive(ledger: &Path) -> Result<TemporaryFile, BackupError> {
    let file = TemporaryFile::new(ledger, "incoming");
    let failed = |source| BackupError::File { doing: "reading a backup into", path: file.0.clone(), source };
    let mut options = OpenOptions::new();
    let mut to = options.write(true).create_new(true).mode(0o600).open(file.path()).await.map_err(failed)?;
    let read = tokio::io::copy(&mut tokio::io::stdin().take(LARGEST + 1), &mut to).await.map_err(failed)?;
    to.sync_all().await.map_err(failed)?;
    if read > LARGEST {
        return Err(failed(std::io::Error::other(format!("it has more than {LARGEST} bytes"))));
    }
    Ok(file)
}
