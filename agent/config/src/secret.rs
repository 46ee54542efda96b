//! Values that are never shown, where they come from, and how they are kept out of snippets.
//!
//! A setting may name variables: `${NAME}` must be set, `${NAME:-default}` may be missing or empty, `$${` is a plain
//! `${`. A secret may also stand in a file of its own (`token_file`), as container platforms mount them.

use core::fmt;
use core::ops::Range;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Most bytes of a secret file.
const FILE_LIMIT: u64 = 64 * 1024;

/// The lookup of variables. Tests hand in a map.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The demand for secrets: a missing one may be an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    /// For running and checking: a missing one is an error.
    Needed,
    /// For generating files: no output holds one, and a pipeline that compares outputs has none.
    Unneeded,
}

/// A secret: whatever prints it prints `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Returns the value itself, to be handed to the receiver and to nothing else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A text whose variables are filled in.
pub(super) struct Filled {
    pub(super) value: String,
    /// The text of the file outside references, with the defaults inside them.
    pub(super) written: String,
    /// True if a variable was named at all.
    pub(super) named: bool,
}

/// A fault of a reference to a variable.
pub(super) struct BadReference {
    /// The bytes of the text that are meant.
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: String,
}

/// Replaces `${NAME}` and `${NAME:-default}`.
pub(super) fn fill_in(text: &str, environment: Environment<'_>) -> Result<Filled, BadReference> {
    let mut filled = Filled { value: String::new(), written: String::new(), named: false };
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find("${")) {
        let start = at + found;
        let before = text.get(at..start).unwrap_or_default();
        if let Some(before) = before.strip_suffix('$') {
            filled.push_written(before);
            filled.push_written("${");
            at = start + 2;
            continue;
        }
        filled.push_written(before);
        let rest = text.get(start + 2..).unwrap_or_default();
        let Some(length) = rest.find('}') else {
            return Err(BadReference {
                span: start..text.len(),
                message: "a reference begins with `${` and has no `}`".to_owned(),
                help: "write `${NAME}`, or `$${` for a plain `${`".to_owned(),
            });
        };
        let span = start..start + 2 + length + 1;
        let inside = rest.get(..length).unwrap_or_default();
        filled.resolve(inside, environment).map_err(|(message, help)| BadReference {
            span: span.clone(),
            message,
            help,
        })?;
        at = span.end;
    }
    filled.push_written(text.get(at..).unwrap_or_default());
    Ok(filled)
}

impl Filled {
    fn push_written(&mut self, text: &str) {
        self.value.push_str(text);
        self.written.push_str(text);
    }

    fn resolve(&mut self, inside: &str, environment: Environment<'_>) -> Result<(), (String, String)> {
        self.named = true;
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let mut letters = name.chars();
        let first = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if !first || !letters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let message = "the name of a variable has letters, digits and `_`, and no digit first";
            return Err((message.to_owned(), "write `${NAME}` or `${NAME:-default}`".to_owned()));
        }
        let value = environment(name).filter(|value| !value.is_empty());
        match (value, default) {
            (Some(value), _) => self.value.push_str(&value),
            (None, Some(default)) => self.push_written(default),
            (None, None) => {
                let state = if environment(name).is_some() { "is empty" } else { "is not set" };
                let help = format!("set {name}, or write `${{{name}:-}}` where it may be missing");
                return Err((format!("the environment variable {name} {state}"), help));
            }
        }
        Ok(())
    }
}

/// Reads a secret; one line break at its end is not part of it.
pub(super) fn read_file(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_LIMIT + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Err(format!("the secret file {} cannot be read: {error}", path.display()));
    }
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(format!("the secret file {} has more than 64 KiB", path.display()));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| format!("the secret file {} is not UTF-8 text", path.display()))?;
    let secret =
        text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if secret.is_empty() {
        return Err(format!("the secret file {} is empty", path.display()));
    }
    Ok(secret.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<(String, String), String> {
        let environment = |name: &str| match name {
            "A" => Some("1".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        match fill_in(text, &environment) {
            Ok(filled) => Ok((filled.value, filled.written)),
            Err(bad) => Err(format!("{}: {}", &text[bad.span], bad.message)),
        }
    }

    #[test]
    fn variables_are_filled_in_and_what_was_written_is_known() {
        for (text, value, written) in [
            ("plain $5 {x}", "plain $5 {x}", "plain $5 {x}"),
            ("Bearer ${A}", "Bearer 1", "Bearer "),
            ("${A}${A}", "11", ""),
            ("${B:-two}", "two", "two"),
            ("${EMPTY:-}", "", ""),
            ("$${A} ${A}", "${A} 1", "${A} "),
        ] {
            assert_eq!(filled(text), Ok((value.to_owned(), written.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(filled("x ${B} y").unwrap_err(), "${B}: the environment variable B is not set");
        assert_eq!(filled("${EMPTY}").unwrap_err(), "${EMPTY}: the environment variable EMPTY is empty");
        assert!(filled("${A").unwrap_err().starts_with("${A: a reference begins"));
        assert!(filled("${1A}").unwrap_err().contains("no digit first"));
    }

    #[test]
    fn secret_files_lose_one_line_break_and_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let with = |content: &[u8]| {
            let path = folder.path().join("secret");
            std::fs::write(&path, content).unwrap();
            read_file(&path)
        };
        assert_eq!(with(b"s3cret\n"), Ok("s3cret".to_owned()));
        assert_eq!(with(b"s3cret\r\n"), Ok("s3cret".to_owned()));
        assert_eq!(with(b" s3cret \n\n"), Ok(" s3cret \n".to_owned()));
        assert!(with(b"\n").unwrap_err().ends_with("is empty"));
        assert!(with(&[0xff]).unwrap_err().ends_with("is not UTF-8 text"));
        assert!(with(&vec![b'x'; 64 * 1024]).is_ok());
        assert!(with(&vec![b'x'; 64 * 1024 + 1]).unwrap_err().ends_with("more than 64 KiB"));
        let missing = read_file(&folder.path().join("none")).unwrap_err();
        assert!(missing.contains("none cannot be read"), "{missing}");
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Some(Secret::new("s3cret"))), "Some(***)");
    }
}
