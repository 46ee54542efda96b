//! The seal of a backup: the digest of its pages, after the last of them, where SQLite does not look.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::{BackupError, failed};

/// Beginning of a seal; the digest in hexadecimal and the end of the line follow.
const HEAD: &[u8] = b"\nlookout ledger backup, sha256 of all above: ";
/// Length of a seal in bytes.
const LENGTH: u64 = HEAD.len() as u64 + 64 + 1;

/// Adds the seal to a finished file and syncs it to the disk.
pub(super) fn set(path: &Path) -> io::Result<()> {
    let digest = digest(&mut File::open(path)?)?;
    let mut file = OpenOptions::new().append(true).open(path)?;
    file.write_all(HEAD)?;
    file.write_all(format!("{digest}\n").as_bytes())?;
    file.sync_all()
}

/// Returns whether the file has a seal.
///
/// # Errors
/// Fails when the seal is not that of the file.
pub(super) fn check(path: &Path) -> Result<bool, BackupError> {
    match holds(path).map_err(failed("reading", path))? {
        None => Ok(false),
        Some(true) => Ok(true),
        Some(false) => {
            let fault = "its seal is not that of its content; it was changed after it was written".to_owned();
            Err(BackupError::Damaged { path: path.to_owned(), faults: vec![fault] })
        }
    }
}

fn holds(path: &Path) -> io::Result<Option<bool>> {
    let mut file = File::open(path)?;
    let Some(content) = file.metadata()?.len().checked_sub(LENGTH) else { return Ok(None) };
    file.seek(SeekFrom::Start(content))?;
    let mut found = Vec::new();
    (&file).take(LENGTH).read_to_end(&mut found)?;
    let Some(said) = found.strip_prefix(HEAD) else { return Ok(None) };
    file.seek(SeekFrom::Start(0))?;
    let digest = digest(&mut file.take(content))?;
    Ok(Some(said.strip_suffix(b"\n") == Some(digest.as_bytes())))
}

/// Returns the digest of all bytes. It reads a piece at a time, so that a large file needs little memory.
fn digest(from: &mut impl Read) -> io::Result<String> {
    let mut sum = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            Ok(length) => sum.update(piece.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
