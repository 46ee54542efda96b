//! The file of a backup: text, one JSON object per line.
//!
//! The header names the kinds. Then come the records, kind by kind, each kind in the order of its ids. The footer has the
//! number of records of each kind and a digest of everything before it. Format 1 held the first kind only, without a name.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{BackupError, Contents, Kind};

/// The version of the format.
const FORMAT: u64 = 2;
/// The longest line that is read: a record has less than half of it.
const LINE_BYTES: u64 = 16 * 1024;

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
    pub(super) fn create(path: &Path, kinds: &[&dyn Kind], now: Timestamp) -> Result<Self, BackupError> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        // Names of people: only the owner may read them.
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial);
        let to = Some(BufWriter::new(file.map_err(failed("writing", &partial))?));
        let mut writer = Self { path: path.to_owned(), partial, to, digest: Sha256::new() };
        let kinds: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
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

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { doing, path, source }
}

/// A record of a backup, with its kind.
pub(super) type Found = (&'static dyn Kind, Map<String, Value>);

/// A kind of a backup that is being read.
struct Section {
    kind: &'static dyn Kind,
    count: u64,
}

/// A backup being read. Its end is reached only if it is whole.
pub(super) struct Reader {
    path: PathBuf,
    from: BufReader<File>,
    line: u64,
    format: u64,
    sections: Vec<Section>,
    left: Vec<&'static str>,
    /// The index of the section and the id of the last record.
    last: (usize, Uuid),
    digest: Sha256,
}

impl Reader {
    /// Reads the header.
    pub(super) fn open(path: &Path, kinds: &[&'static dyn Kind]) -> Result<Self, BackupError> {
        let file = File::open(path).map_err(failed("reading", path))?;
        let mut reader = Self {
            path: path.to_owned(),
            from: BufReader::new(file),
            line: 0,
            format: 0,
            sections: Vec::new(),
            left: Vec::new(),
            last: (0, Uuid::nil()),
            digest: Sha256::new(),
        };
        let (header, text) = reader.object()?;
        reader.digest.update(&text);
        reader.read_header(&header, kinds).map_err(|expected| reader.wrong(expected))?;
        Ok(reader)
    }

    fn read_header(
        &mut self,
        header: &Map<String, Value>,
        kinds: &[&'static dyn Kind],
    ) -> Result<(), String> {
        let format = header.get("titanic_backup").and_then(Value::as_u64);
        self.format = format.ok_or("the header of a backup, made by `titanic backup`")?;
        let names: Vec<&str> = match self.format {
            1 => kinds.first().map(|kind| kind.name()).into_iter().collect(),
            FORMAT => {
                let names = header.get("kinds").and_then(Value::as_array).ok_or("a list of `kinds`")?;
                names.iter().filter_map(Value::as_str).collect()
            }
            other => return Err(format!("a backup of format 1 or {FORMAT}, not {other}")),
        };
        let known = || kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
        if let Some(unknown) = names.iter().find(|name| !kinds.iter().any(|kind| kind.name() == **name)) {
            return Err(format!("only the kinds {}, not `{unknown}`: take the newer `titanic`", known()));
        }
        let held: Vec<&'static dyn Kind> =
            kinds.iter().copied().filter(|kind| names.contains(&kind.name())).collect();
        let left = kinds.iter().map(|kind| kind.name()).filter(|kind| !names.contains(kind)).collect();
        if held.iter().map(|kind| kind.name()).ne(names.iter().copied()) {
            return Err(format!("each kind once, in the order {}", known()));
        }
        for kind in kinds {
            // Else a restore would remove records that it does not put back, or add some that belong to nothing.
            if let Some(parent) = kind.parent()
                && names.contains(&parent) != names.contains(&kind.name())
            {
                return Err(format!("the kinds {parent} and {} together", kind.name()));
            }
        }
        self.sections = held.into_iter().map(|kind| Section { kind, count: 0 }).collect();
        self.left = left;
        Ok(())
    }

    /// Returns the kinds in this backup.
    pub(super) fn kinds(&self) -> Vec<&'static dyn Kind> {
        self.sections.iter().map(|section| section.kind).collect()
    }

    /// Returns the records that were read by now, and what the backup does not hold.
    pub(super) fn contents(&self) -> Contents {
        let counts = self.sections.iter().map(|section| (section.kind.name(), section.count)).collect();
        Contents { counts, left: self.left.clone() }
    }

    /// Returns the next record; none at the end of a whole backup.
    pub(super) fn next(&mut self) -> Result<Option<Found>, BackupError> {
        let (object, text) = self.object()?;
        if object.contains_key("sha256") {
            return self.check(&object).map(|()| None);
        }
        self.digest.update(&text);
        self.record_of(object).map(Some).map_err(|expected| self.wrong(expected))
    }

    fn record_of(&mut self, mut line: Map<String, Value>) -> Result<Found, String> {
        let (index, record) = if self.format == 1 {
            (0, line)
        } else {
            let kind = line.get("kind").and_then(Value::as_str).unwrap_or_default();
            let index = self.sections.iter().position(|section| section.kind.name() == kind);
            let index = index.ok_or_else(|| format!("a `kind` of the header, not `{kind}`"))?;
            match line.remove("record") {
                Some(Value::Object(record)) => (index, record),
                _ => return Err(String::from("an object as `record`")),
            }
        };
        let id = record.get("id").and_then(Value::as_str).and_then(|id| Uuid::try_parse(id).ok());
        let id = id.ok_or("a UUID as `id`")?;
        let (section, last) = self.last;
        if index < section {
            return Err(String::from("the kinds in the order of the header"));
        }
        if index == section && id <= last {
            return Err(String::from("an id after that of the line before"));
        }
        self.last = (index, id);
        let section = self.sections.get_mut(index).ok_or("no records")?;
        section.count += 1;
        Ok((section.kind, record))
    }

    fn check(&mut self, footer: &Map<String, Value>) -> Result<(), BackupError> {
        let counts =
            if self.format == 1 { Some(footer) } else { footer.get("counts").and_then(Value::as_object) };
        let promised = |kind: &str| counts?.get(kind)?.as_u64();
        let wrong = self.sections.iter().find(|section| promised(section.kind.name()) != Some(section.count));
        if let Some(Section { kind, count }) = wrong {
            return Err(self.wrong(format!("the number of {} above, {count}", kind.name())));
        }
        let digest = hex::encode(std::mem::take(&mut self.digest).finalize());
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

    pub(super) fn wrong(&self, expected: impl Into<String>) -> BackupError {
        BackupError::Content { path: self.path.clone(), line: self.line, expected: expected.into() }
    }
}
