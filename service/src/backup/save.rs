//! A backup that is being written.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use uuid::Uuid;

use super::{BackupError, Counts, Footer, Record, failed};
use crate::database::{Database, Purpose, Tx, doing};

/// Records that are read at once.
const PAGE: i64 = 1000;

/// A backup in the making. Without [`Backup::finish`] nothing is left of it.
pub(crate) struct Backup {
    path: PathBuf,
    to: BufWriter<NamedTempFile>,
    tx: Tx,
    counts: Counts,
    digest: Sha256,
}

impl Backup {
    /// Begins a file beside the final one. Only its owner may read it: it has names of people.
    pub(crate) async fn begin(db: &Database, path: &Path) -> Result<Self, BackupError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let to = BufWriter::new(NamedTempFile::new_in(folder).map_err(failed("writing", path))?);
        let mut tx = db.begin(Purpose::Read).await.map_err(doing("beginning a backup"))?;
        tx.allow_long();
        Ok(Self { path: path.to_owned(), to, tx, counts: Counts::new(), digest: Sha256::new() })
    }

    /// Writes all records of a table.
    pub(crate) async fn table<R: Record>(&mut self) -> Result<(), BackupError> {
        let (mut after, mut count) = (Uuid::nil(), 0);
        loop {
            let page = self.tx.rows::<R>(R::page(after, PAGE)).await;
            let page = page.map_err(doing("reading the records of a backup"))?;
            let Some(last) = page.last() else { break };
            after = last.id();
            count += page.len() as u64;
            for record in page {
                self.line(&BTreeMap::from([(R::TABLE, record)]))?;
            }
        }
        self.counts.insert(R::TABLE, count);
        Ok(())
    }

    /// Writes the last line, and gives the file its name, which no other may have.
    pub(crate) fn finish(mut self) -> Result<Counts, BackupError> {
        let counts = std::mem::take(&mut self.counts);
        self.line(&Footer::of(&counts, &self.digest))?;
        let file = self.to.into_inner().map_err(io::IntoInnerError::into_error);
        let synced = file.and_then(|file| file.as_file().sync_all().map(|()| file));
        let named = synced.and_then(|file| file.persist_noclobber(&self.path).map_err(|error| error.error));
        named.map_err(failed("writing", &self.path))?;
        Ok(counts)
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), BackupError> {
        let written = serde_json::to_vec(value).map_err(io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            self.digest.update(&line);
            self.to.write_all(&line)
        });
        written.map_err(failed("writing", &self.path))
    }
}
