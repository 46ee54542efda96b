//! A backup that is being written.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::BackupError;
use super::file::{FORMAT, failed};

/// A backup in the making. Without [`Writer::finish`] nothing is left of it.
pub(crate) struct Writer {
    path: PathBuf,
    partial: PathBuf,
    to: Option<BufWriter<File>>,
    digest: Sha256,
}

#[derive(Serialize)]
struct Line<'a, R> {
    kind: &'a str,
    record: &'a R,
}

impl Writer {
    /// Begins a file beside the final one.
    pub(super) fn create(path: &Path, kinds: &[&str], now: Timestamp) -> Result<Self, BackupError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        // Names of people: only the owner may read them.
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial);
        let to = Some(BufWriter::new(file.map_err(failed("writing", &partial))?));
        let mut writer = Self { path: path.to_owned(), partial, to, digest: Sha256::new() };
        writer.line(&json!({"titanic_backup": FORMAT, "taken_at": now, "kinds": kinds}))?;
        Ok(writer)
    }

    /// Writes a record.
    pub(super) fn record(&mut self, kind: &str, record: &impl Serialize) -> Result<(), BackupError> {
        self.line(&Line { kind, record })
    }

    /// Writes the footer, and gives the file its name.
    pub(super) fn finish(mut self, counts: &[(&'static str, u64)]) -> Result<(), BackupError> {
        let digest = hex::encode(std::mem::take(&mut self.digest).finalize());
        let counts: Map<String, Value> =
            counts.iter().map(|(kind, count)| ((*kind).to_owned(), (*count).into())).collect();
        self.line(&json!({"counts": counts, "sha256": digest}))?;
        let Some(to) = self.to.take() else { return Ok(()) };
        let written = to.into_inner().map_err(io::IntoInnerError::into_error);
        written.and_then(|file| file.sync_all()).map_err(failed("writing", &self.partial))?;
        std::fs::rename(&self.partial, &self.path)
            .map_err(failed("renaming the finished backup to", &self.path))?;
        sync_folder(&self.path);
        Ok(())
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), BackupError> {
        let written = serde_json::to_vec(value).map_err(io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            self.digest.update(&line);
            self.to.as_mut().map_or(Ok(()), |to| to.write_all(&line))
        });
        written.map_err(failed("writing", &self.partial))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // After a finished backup there is nothing of this name.
        let _half_of_a_backup_helps_nobody = std::fs::remove_file(&self.partial);
    }
}

/// Makes the new name of a file survive a power cut, where the file system can.
fn sync_folder(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(folder) = File::open(folder) {
        let _best_effort = folder.sync_all();
    }
}
