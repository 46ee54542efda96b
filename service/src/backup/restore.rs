//! A backup that is being restored.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{BackupError, Counts, Footer, Record, failed};
use crate::database::{Database, Purpose, Statement, Tx, doing};

/// The longest line that is read: a record has less than half of it.
const LINE_BYTES: u64 = 16 * 1024;

/// Records that are added by one statement. Not more: SQLite looks up each `$n` among all before it, so that ten times as
/// many take a hundred times as long.
const BATCH: usize = 50;

/// A restore under way. Without [`Restore::finish`] nothing is changed.
pub(crate) struct Restore {
    path: PathBuf,
    from: BufReader<File>,
    tx: Tx,
    /// The number, the text and the content of the line that comes next.
    number: u64,
    text: Vec<u8>,
    line: Map<String, Value>,
    counts: Counts,
    /// Of all lines before.
    digest: Sha256,
}

impl Restore {
    /// Removes the records of all tables. A table comes after those that it refers to.
    pub(crate) async fn begin(
        db: &Database,
        path: &Path,
        tables: &[&'static str],
    ) -> Result<Self, BackupError> {
        let from = BufReader::new(File::open(path).map_err(failed("reading", path))?);
        let mut tx = db.begin(Purpose::Replace).await.map_err(doing("beginning a restore"))?;
        for table in tables {
            tx.lock_table(table).await.map_err(doing("locking the tables for a restore"))?;
        }
        for table in tables.iter().rev() {
            let mut clear = Statement::begin("delete from ");
            clear.text(table);
            tx.execute(clear).await.map_err(doing("removing the records before a restore"))?;
        }
        let (path, counts, digest) = (path.to_owned(), Counts::new(), Sha256::new());
        let (text, line) = (Vec::new(), Map::new());
        let mut restore = Self { path, from, tx, number: 0, text, line, counts, digest };
        restore.advance()?;
        Ok(restore)
    }

    /// Adds all records of a table.
    pub(crate) async fn table<R: Record>(&mut self) -> Result<(), BackupError> {
        let (mut last, mut count) = (Uuid::nil(), 0);
        loop {
            let mut batch = Vec::with_capacity(BATCH);
            while batch.len() < BATCH
                && let Some(Value::Object(record)) = self.line.remove(R::TABLE)
            {
                let record = R::from_json(record).map_err(|expected| self.wrong(expected))?;
                if record.id() <= last {
                    return Err(self.wrong("an id after that of the line before"));
                }
                last = record.id();
                batch.push(record);
                self.advance()?;
            }
            if batch.is_empty() {
                break;
            }
            count += batch.len() as u64;
            let insert = R::insert(&batch);
            let insert = if batch.len() == BATCH { insert } else { insert.unprepared() };
            self.tx.execute(insert).await.map_err(doing("adding the records of a backup"))?;
        }
        self.counts.insert(R::TABLE, count);
        Ok(())
    }

    /// Checks that the backup is whole, and commits.
    pub(crate) async fn finish(mut self) -> Result<Counts, BackupError> {
        if !self.line.contains_key("sha256") {
            let tables: Vec<_> = self.counts.keys().copied().collect();
            return Err(self.wrong(format!("a record of one of {}, each in its place", tables.join(", "))));
        }
        let footer = serde_json::to_string(&Footer::of(&self.counts, &self.digest)).unwrap_or_default();
        if self.text.trim_ascii_end() != footer.as_bytes() {
            return Err(self.wrong(format!("{footer}, which are the records above; the file was changed")));
        }
        if !self.from.fill_buf().map_err(failed("reading", &self.path))?.is_empty() {
            return Err(self.wrong("nothing after this line"));
        }
        self.tx.commit().await.map_err(doing("completing a restore"))?;
        Ok(self.counts)
    }

    /// Reads the next line.
    fn advance(&mut self) -> Result<(), BackupError> {
        self.digest.update(&self.text);
        self.text.clear();
        self.number += 1;
        let read = (&mut self.from).take(LINE_BYTES).read_until(b'\n', &mut self.text);
        if read.map_err(failed("reading", &self.path))? == 0 {
            return Err(self.wrong("more lines; the backup is cut off"));
        }
        self.line = serde_json::from_slice(&self.text)
            .map_err(|_| self.wrong(format!("a JSON object on a line of less than {LINE_BYTES} bytes")))?;
        Ok(())
    }

    fn wrong(&self, expected: impl Into<String>) -> BackupError {
        BackupError::Content { path: self.path.clone(), line: self.number, expected: expected.into() }
    }
}
