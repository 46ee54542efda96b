//! Files that list addresses, as `file_sd_configs` of Prometheus takes them.
//!
//! ```yaml
//! - targets: ["10.0.0.1:8080", "10.0.0.2:8080"]
//!   labels: { zone: a }
//! ```

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::FoundAddress;
use crate::inputs::{Fingerprint, Inputs, matches};
use crate::reader::{At, Reader};
use crate::secret::Secrets;
use crate::target::read::{MOST_LABELS, is_label};
use crate::yaml::{FILE_LIMIT, Key, Node, Value, parse};

/// Files that list addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileAddresses {
    folder: PathBuf,
    /// Relative to the folder.
    patterns: Vec<String>,
}

impl FileAddresses {
    /// Reads the addresses of all files.
    ///
    /// # Errors
    /// A pattern without a file, or a file that cannot be read or used.
    pub fn read(&self) -> Result<Vec<FoundAddress>, String> {
        let mut all = Vec::new();
        for pattern in &self.patterns {
            all.extend(read_pattern(&self.folder, pattern)?);
        }
        Ok(all)
    }

    /// Reads the present state of the files. Reads no content.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut inputs = Inputs::default();
        self.patterns.iter().for_each(|pattern| inputs.add_pattern(&self.folder, pattern));
        inputs.fingerprint()
    }
}

/// Reads `files`, and the addresses in them unless only the form matters.
pub(super) fn read(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    folder: &Path,
) -> Option<(FileAddresses, Option<Vec<FoundAddress>>)> {
    let items = reader.list(at)?;
    if items.is_empty() {
        reader.error(at, "no file is named", "name the files, like `files: [\"targets/*.yaml\"]`");
        return None;
    }
    let mut source = FileAddresses { folder: folder.to_owned(), patterns: Vec::new() };
    let mut all = Vec::new();
    for item in &items {
        let pattern = reader.expand(item)?;
        source.patterns.push(pattern.clone());
        if reader.needs == Secrets::Unneeded {
            continue;
        }
        match read_pattern(folder, &pattern) {
            Ok(found) => all.extend(found),
            Err(message) => {
                let help = "a file is a list of `{ targets: [\"10.0.0.1:8080\"], labels: { zone: a } }`";
                reader.error(item, message, help);
                // a file that is right again is a reason to read everything again
                watch(reader, &source);
                return None;
            }
        }
    }
    Some((source, Some(all)))
}

/// Makes a change of the files a reload. Files that can be used are watched by themselves.
pub(super) fn watch(reader: &mut Reader<'_>, source: &FileAddresses) {
    reader.input_patterns.extend(source.patterns.iter().cloned());
}

fn read_pattern(folder: &Path, pattern: &str) -> Result<Vec<FoundAddress>, String> {
    let paths = matches(folder, pattern).unwrap_or_default();
    if paths.is_empty() {
        return Err(format!("no file matches `{pattern}`"));
    }
    let mut all = Vec::new();
    for path in paths {
        all.extend(read_file(&path)?);
    }
    Ok(all)
}

fn read_file(path: &Path) -> Result<Vec<FoundAddress>, String> {
    let shown = path.display();
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(FILE_LIMIT + 1).read_to_string(&mut text));
    read.map_err(|error| format!("{shown} cannot be read: {error}"))?;
    if text.len() as u64 > FILE_LIMIT {
        return Err(format!("{shown} is larger than {FILE_LIMIT} bytes"));
    }
    let documents =
        parse(path, &text).map_err(|found| format!("{shown} is not YAML or JSON: {}", found.message))?;
    let mut all = Vec::new();
    for document in &documents {
        let Value::List(groups) = &document.value else {
            return Err(format!("{shown} is no list, line {}", document.place.line));
        };
        for group in groups {
            all.extend(
                read_group(group)
                    .map_err(|message| format!("{shown}, line {}: {message}", group.place.line))?,
            );
        }
    }
    Ok(all)
}

fn read_group(group: &Node) -> Result<Vec<FoundAddress>, String> {
    let Value::Map(entries) = &group.value else { return Err("expected a mapping".to_owned()) };
    let mut labels = Vec::new();
    let mut addresses = Vec::new();
    for (key, node) in entries {
        match (key.name.as_str(), &node.value) {
            ("targets", Value::List(items)) => addresses = items.iter().collect(),
            ("labels", Value::Map(pairs)) => labels = read_labels(pairs)?,
            ("targets" | "labels", _) => return Err(format!("`{}` is of another kind", key.name)),
            (other, _) => return Err(format!("unknown key `{other}`")),
        }
    }
    let found = addresses.into_iter().map(|node| {
        let address = text_of(node).filter(|text| FoundAddress::is_address(text));
        let address = address.ok_or("an address is a host with a port, or a URL, of letters and digits")?;
        Ok(FoundAddress { address, labels: labels.clone() })
    });
    found.collect()
}

fn read_labels(pairs: &[(Key, Node)]) -> Result<Vec<(String, String)>, String> {
    // names that begin like this are for the relabelling of Prometheus, and never reach a series
    let shown = pairs.iter().filter(|(key, _)| !key.name.starts_with("__"));
    let labels: Result<Vec<_>, String> = shown
        .map(|(key, node)| {
            let text = text_of(node).filter(|_| is_label(&key.name));
            Ok((key.name.clone(), text.ok_or_else(|| format!("`{}` cannot be a label", key.name))?))
        })
        .collect();
    labels.and_then(|labels| match labels.len() {
        many if many > MOST_LABELS => Err(format!("more than {MOST_LABELS} labels")),
        _ => Ok(labels),
    })
}

/// A text, or a number as it is written.
fn text_of(node: &Node) -> Option<String> {
    match (&node.written, &node.value) {
        (Some(written), _) => Some(written.clone()),
        (None, Value::Text(text)) => Some(text.clone()),
        _ => None,
    }
}
