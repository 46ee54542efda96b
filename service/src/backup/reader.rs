//! A backup that is being read.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::file::{FORMAT, failed};
use super::{BackupError, Contents, Kind};

/// The longest line that is read: a record has less than half of it.
const LINE_BYTES: u64 = 16 * 1024;

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
