//! Backups of a ledger: made while its agent writes, verified, and restored while it does not run.
//!
//! A backup is an SQLite file like the ledger, of one instant and without unused pages. A seal follows its pages: the
//! digest of everything before it. The seal finds faults that SQLite cannot see, such as a changed count. A file
//! without a seal (a ledger that was put aside, a copy made by other means) is accepted as well when every other check
//! passes.

mod examine;
mod recover;
mod replace;
mod seal;

#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

pub use examine::{Report, SloTotals};
pub use recover::{Recovered, recover};
pub(super) use replace::put_aside;
pub use replace::{Faults, Restored, restore};

use super::BUSY;
use super::inspect::is_damage;

/// Failure to copy, check or restore a ledger.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file cannot be read or written.
    #[error("{doing} {}", path.display())]
    File {
        /// The operation.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The database in a file cannot be read or written.
    #[error("{doing} {}", path.display())]
    Database {
        /// The operation.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The error of the database.
        #[source]
        source: sqlx::Error,
    },
    /// There is a file where the backup should go.
    #[error("{} exists already and is not overwritten: choose another name for the backup", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file to restore is the ledger itself.
    #[error("{} is the ledger itself: name the backup it is to be restored from", path.display())]
    SameFile {
        /// The file.
        path: PathBuf,
    },
    /// The file is no ledger, or not a whole one.
    #[error("{} is not a whole ledger: {}", path.display(), faults.join("; "))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The contradictions.
        faults: Vec<String>,
    },
    /// The backup contradicts itself.
    #[error("{} contradicts itself: {}; the ledger was left as it is", path.display(), faults.join("; "))]
    Faulty {
        /// The file.
        path: PathBuf,
        /// The contradictions.
        faults: Vec<String>,
    },
    /// The file was written by a newer lookout.
    #[error(
        "{} has schema version {found}, this lookout knows up to {known}: use the lookout that wrote it, or a newer one",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// An agent runs on the ledger.
    #[error("an agent holds the ledger {}: stop it, then restore; nothing was changed", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// Somebody reads the ledger.
    #[error("the ledger {} is being read, by a backup perhaps: try again; nothing was changed", path.display())]
    Read {
        /// The file.
        path: PathBuf,
    },
}

/// Copies the ledger, as it is at one instant, into a new file. The agent may run and write meanwhile.
///
/// The file gets its name when it is complete, checked and on the disk, not before. A ledger that contradicts itself
/// is copied all the same, since there may be no other copy of it; [`Report::faults`] lists the contradictions.
///
/// # Errors
/// Fails when the file exists, the ledger is damaged, or one of them cannot be used. No file is left behind then.
pub async fn backup(ledger: &Path, to: &Path) -> Result<Report, BackupError> {
    let to = std::path::absolute(to).map_err(failed("finding", to))?;
    if std::fs::symlink_metadata(&to).is_ok() {
        return Err(BackupError::Exists { path: to });
    }
    let partial = Partial::create(&to, "partial")?;
    copy(ledger, &partial.0).await?;
    let report = examine::examine(&partial.0, examine::Depth::Full).await;
    let mut report = report.map_err(|error| named(error, ledger))?;
    seal::set(&partial.0).map_err(failed("sealing", &partial.0))?;
    (report.sealed, report.bytes) = (true, size(&partial.0)?);
    partial.publish(&to)?;
    Ok(report)
}

/// Checks everything in a ledger or a backup. The agent may run and write meanwhile.
///
/// # Errors
/// Fails when the file is not whole, has an unknown version, or cannot be read. Contradictions are in the report.
pub async fn verify(path: &Path) -> Result<Report, BackupError> {
    let sealed = seal::check(path)?;
    Ok(Report { sealed, ..examine::examine(path, examine::Depth::Full).await? })
}

/// Copies the database in `from` into the empty file `to`, as it is at one moment, and onto the disk.
async fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    // a file that an agent would refuse is not worth a backup
    examine::examine(from, examine::Depth::Startup).await?;
    let doing = |doing| move |source| database(doing, from, source);
    let name = to.to_str().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "its name is no text"));
    let name = name.map_err(failed("copying to", to))?;
    let mut connection = reading(from).await.map_err(doing("opening"))?;
    let copied = sqlx::query("vacuum into $1").bind(name).execute(&mut connection).await;
    // a failure to close a file after reading says nothing about the copy
    drop(connection.close().await);
    copied.map_err(doing("copying"))?;
    let file = File::open(to).map_err(failed("opening", to))?;
    file.sync_all().map_err(failed("writing to the disk", to))
}

/// Opens a database to read from.
async fn reading(path: &Path) -> sqlx::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY);
    options.disable_statement_logging().connect().await
}

/// File that is being written. It is deleted on drop unless it was published.
#[derive(Debug)]
struct Partial(PathBuf);

impl Partial {
    /// Creates an empty file for its owner alone, in the folder it will stay in.
    fn create(path: &Path, what: &str) -> Result<Self, BackupError> {
        let name = with_suffix(path, &format!(".{what}-{:08x}", fastrand::u32(..)));
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&name);
        made.map_err(failed("making", &name))?;
        Ok(Self(name))
    }

    /// Renames it to its final name, if no file has that name yet.
    fn publish(self, name: &Path) -> Result<(), BackupError> {
        match std::fs::hard_link(&self.0, name) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(BackupError::Exists { path: name.to_owned() });
            }
            // a file system without links: the name is reserved first, so that no other process takes it
            Err(_) => {
                let taken = OpenOptions::new().write(true).create_new(true).mode(0o600).open(name);
                taken.map_err(|error| match error.kind() {
                    ErrorKind::AlreadyExists => BackupError::Exists { path: name.to_owned() },
                    _ => failed("making", name)(error),
                })?;
                std::fs::rename(&self.0, name).map_err(failed("naming the finished backup", name))?;
            }
        }
        drop(self);
        sync_folder(name);
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            let _mostly_not_there = std::fs::remove_file(with_suffix(&self.0, suffix));
        }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn size(path: &Path) -> Result<u64, BackupError> {
    std::fs::metadata(path).map(|about| about.len()).map_err(failed("looking at", path))
}

/// Makes new names survive a power cut, where the file system can.
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

/// Returns the error of a database: damage where the file is at fault, else a failed query.
fn database(doing: &'static str, path: &Path, source: sqlx::Error) -> BackupError {
    let path = path.to_owned();
    match &source {
        sqlx::Error::Database(cause) if is_damage(&source) => {
            BackupError::Damaged { path, faults: vec![cause.message().to_owned()] }
        }
        _ => BackupError::Database { doing, path, source },
    }
}

/// Returns the error with the path of the original in the place of the copy's.
fn named(error: BackupError, original: &Path) -> BackupError {
    match error {
        BackupError::Damaged { faults, .. } => BackupError::Damaged { path: original.to_owned(), faults },
        other => other,
    }
}
