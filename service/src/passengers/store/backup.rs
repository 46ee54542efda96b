//! Backup and restore of all passengers, while the service runs.
//!
//! A backup is text, one JSON object per line: a header, the passengers in the order of their ids, and a footer with their
//! number and a digest of everything before it. It knows nothing of the database it came from, so that what was taken
//! from SQLite can be restored into PostgreSQL and back. A backup is of one moment; a restore is one transaction, begun
//! only when the file has been read to its end and found whole.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Store, StoreError};
use crate::passengers::domain::model::{NewPassenger, Passenger, Stamp};

/// The version of the format.
const FORMAT: u64 = 1;
/// The longest line that is read: a passenger has less than half of it.
const LINE_BYTES: u64 = 16 * 1024;
/// Passengers that are added at once.
const BATCH: usize = 1000;

/// The reason for which a backup or a restore failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The passengers cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be read or written.
    #[error("{doing} {}", path.display())]
    File {
        /// The attempted operation.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The file is not a whole backup.
    #[error("line {line} of {}: expected {expected}; nothing was restored", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// The expected content.
        expected: String,
    },
}

/// Writes all passengers, as of one moment, into a file. An older file of this name is replaced when the new one is complete.
/// Returns how many there are.
pub async fn backup(store: &Store, path: &Path, now: Timestamp) -> Result<u64, BackupError> {
    let partial = {
        let mut name = path.as_os_str().to_owned();
        name.push(".partial");
        PathBuf::from(name)
    };
    let written = write(store, &partial, now).await;
    match written {
        Ok(count) => {
            std::fs::rename(&partial, path).map_err(failed("renaming the finished backup to", path))?;
            sync_folder(path);
            Ok(count)
        }
        Err(error) => {
            let _half_of_a_backup_helps_nobody = std::fs::remove_file(&partial);
            Err(error)
        }
    }
}

async fn write(store: &Store, path: &Path, now: Timestamp) -> Result<u64, BackupError> {
    let fail = || failed("writing", path);
    // Names of people: for the eyes of whoever takes the backup.
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let mut out = Sealed { to: BufWriter::new(file.map_err(fail())?), digest: Sha256::new() };
    out.line(&json!({"titanic_backup": FORMAT, "taken_at": now})).map_err(fail())?;
    let mut count = 0;
    let mut snapshot = store.snapshot().await?;
    loop {
        let passengers = snapshot.next().await?;
        if passengers.is_empty() {
            break;
        }
        for passenger in &passengers {
            out.line(passenger).map_err(fail())?;
        }
        count += passengers.len() as u64;
    }
    out.seal(count).and_then(|file| file.sync_all()).map_err(fail())?;
    Ok(count)
}

/// A file in the making, and the digest of what is in it.
struct Sealed {
    to: BufWriter<File>,
    digest: Sha256,
}

impl Sealed {
    fn line(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.digest.update(&line);
        self.to.write_all(&line)
    }

    fn seal(mut self, count: u64) -> io::Result<File> {
        let footer = json!({"passengers": count, "sha256": hex(self.digest)});
        writeln!(self.to, "{footer}")?;
        self.to.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

fn hex(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes the new name of a file survive a power cut, where the file system can.
fn sync_folder(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(folder) = File::open(folder) {
        let _best_effort = folder.sync_all();
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { doing, path, source }
}

/// Replaces all passengers with those in the file. Readers see the state before meanwhile, and writers wait.
/// Returns how many there are.
pub async fn restore(store: &Store, path: &Path) -> Result<u64, BackupError> {
    // Once without touching the database: nobody shall wait for a file that turns out to be cut off.
    let mut file = Backup::open(path)?;
    while file.next()?.is_some() {}
    let mut file = Backup::open(path)?;
    let mut replacement = store.replacement().await?;
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(passenger) = file.next()? {
        batch.push(passenger);
        if batch.len() == BATCH {
            replacement.add(&batch).await?;
            batch.clear();
        }
    }
    replacement.add(&batch).await?;
    replacement.complete().await?;
    Ok(file.count)
}

/// A backup being read. Its end is reached only if it is whole.
struct Backup {
    path: PathBuf,
    from: BufReader<File>,
    line: u64,
    count: u64,
    last: Uuid,
    digest: Sha256,
}

impl Backup {
    fn open(path: &Path) -> Result<Self, BackupError> {
        let file = File::open(path).map_err(failed("reading", path))?;
        let (path, from) = (path.to_owned(), BufReader::new(file));
        let mut backup = Self { path, from, line: 0, count: 0, last: Uuid::nil(), digest: Sha256::new() };
        let header = backup.object()?;
        backup.digest.update(&header.1);
        match header.0.get("titanic_backup").and_then(Value::as_u64) {
            Some(FORMAT) => Ok(backup),
            Some(other) => Err(backup.wrong(format!("a backup of format {FORMAT}, not {other}"))),
            None => Err(backup.wrong("the header of a backup, made by `titanic backup`")),
        }
    }

    /// The next passenger; none at the end of a whole backup.
    fn next(&mut self) -> Result<Option<Passenger>, BackupError> {
        let (object, text) = self.object()?;
        if object.contains_key("sha256") {
            return self.check(&object).map(|()| None);
        }
        self.digest.update(&text);
        let passenger = read(object).map_err(|expected| self.wrong(expected))?;
        if passenger.id <= self.last {
            return Err(self.wrong("an id after that of the line before"));
        }
        (self.last, self.count) = (passenger.id, self.count + 1);
        Ok(Some(passenger))
    }

    fn check(&mut self, footer: &Map<String, Value>) -> Result<(), BackupError> {
        if footer.get("passengers").and_then(Value::as_u64) != Some(self.count) {
            return Err(self.wrong(format!("the number of passengers above, {}", self.count)));
        }
        let digest = hex(std::mem::take(&mut self.digest));
        if footer.get("sha256").and_then(Value::as_str) != Some(&digest) {
            return Err(
                self.wrong("the digest of the lines above; the file was changed after it was written")
            );
        }
        match self.from.fill_buf() {
            Ok([]) => Ok(()),
            Ok(_) => Err(self.wrong("nothing after this line")),
            Err(source) => Err(failed("reading", &self.path)(source)),
        }
    }

    fn object(&mut self) -> Result<(Map<String, Value>, Vec<u8>), BackupError> {
        let mut text = Vec::new();
        let read = (&mut self.from).take(LINE_BYTES).read_until(b'\n', &mut text);
        read.map_err(failed("reading", &self.path))?;
        self.line += 1;
        if text.is_empty() {
            return Err(self.wrong("more lines; the backup is cut off"));
        }
        match serde_json::from_slice(&text) {
            Ok(Value::Object(object)) if text.ends_with(b"\n") => Ok((object, text)),
            _ => {
                Err(self.wrong(format!("a JSON object of less than {LINE_BYTES} bytes on a line of its own")))
            }
        }
    }

    fn wrong(&self, expected: impl Into<String>) -> BackupError {
        BackupError::Content { path: self.path.clone(), line: self.line, expected: expected.into() }
    }
}

fn read(mut object: Map<String, Value>) -> Result<Passenger, String> {
    let mut text = |name: &str| match object.remove(name) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(format!("a passenger with a text `{name}`")),
    };
    let id = text("id")?.parse::<Uuid>().map_err(|_| String::from("a UUID as `id`"))?;
    let updated_at =
        text("updated_at")?.parse().map_err(|_| String::from("a point in time as `updated_at`"))?;
    let version =
        object.remove("version").and_then(|version| version.as_i64()).filter(|version| *version >= 1);
    let version = version.ok_or("a number of at least 1 as `version`")?;
    let details = NewPassenger::from_json(object).map_err(|errors| {
        let errors: Vec<_> =
            errors.iter().map(|error| format!("`{}` {}", error.field, error.detail)).collect();
        format!("a passenger ({})", errors.join("; "))
    })?;
    Ok(Passenger { id, details, stamp: Stamp { version, updated_at } })
}
