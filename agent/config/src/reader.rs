//! Reads the nodes of one file into values and collects every finding on the way.
//!
//! Every method returns `None` after it said what is wrong, so that the caller goes on to the next field.

use core::ops::Range;
use core::time::Duration;
use std::path::{Path, PathBuf};

use super::diagnostic::{Diagnostic, Level};
use super::keys::{Key, Object};
use super::secret::{Environment, Secrets, fill_in};
use super::yaml::{Key as WrittenKey, Node, Place, Value};
use lookout_engine::Severity;
use lookout_model::parse_duration;

/// One file that is being read.
pub(super) struct Reader<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
    pub(super) environment: Environment<'a>,
    pub(super) needs: Secrets,
    pub(super) findings: Vec<Diagnostic>,
    /// Bytes of the file that hold a secret.
    pub(super) secrets: Vec<Range<usize>>,
    /// Other files that the values came from.
    pub(super) inputs: Vec<PathBuf>,
    /// Patterns of further files, relative to the folder of the configuration.
    pub(super) input_patterns: Vec<String>,
}

/// A node and the key it stands under, in dotted form.
#[derive(Clone)]
pub(super) struct At<'n> {
    pub(super) node: &'n Node,
    pub(super) key: String,
}

/// The entries of a mapping.
pub(super) struct Fields<'n> {
    pub(super) at: At<'n>,
    entries: &'n [(WrittenKey, Node)],
    /// The declaration of the keys; `None` where the keys are the user's own.
    object: Option<&'static Object>,
}

impl<'n> At<'n> {
    /// Returns the root of a document.
    pub(super) const fn root(node: &'n Node) -> Self {
        Self { node, key: String::new() }
    }

    fn below(&self, name: &str, node: &'n Node) -> Self {
        let key = match self.key.as_str() {
            "" => name.to_owned(),
            key if name.contains(['.', '/']) => format!("{key}[\"{name}\"]"),
            key => format!("{key}.{name}"),
        };
        Self { node, key }
    }
}

impl<'n> Fields<'n> {
    /// Returns the value of a key.
    pub(super) fn get(&self, key: Key) -> Option<At<'n>> {
        self.object.into_iter().for_each(|object| object.expect_key(key));
        let found = self.entries.iter().find(|(written, _)| written.name == key.name);
        found.map(|(_, node)| self.at.below(key.name, node))
    }

    /// Returns the same entries, of which those of a declared mapping are read; others may stand beside them.
    pub(super) fn declared(self, object: &'static Object) -> Self {
        Self { object: Some(object), ..self }
    }

    /// Returns all entries with their keys.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'n WrittenKey, At<'n>)> + '_ {
        self.entries.iter().map(|(key, node)| (key, self.at.below(&key.name, node)))
    }
}

impl<'a> Reader<'a> {
    /// Returns a reader of one file.
    pub(super) const fn new(
        file: &'a Path,
        text: &'a str,
        environment: Environment<'a>,
        needs: Secrets,
    ) -> Self {
        Self {
            file,
            text,
            environment,
            needs,
            findings: Vec::new(),
            secrets: Vec::new(),
            inputs: Vec::new(),
            input_patterns: Vec::new(),
        }
    }

    /// Notes a finding.
    pub(super) fn note(
        &mut self,
        level: Level,
        place: &Place,
        key: &str,
        message: String,
        help: Option<String>,
    ) {
        self.findings.push(Diagnostic {
            level,
            file: self.file.to_owned(),
            position: Some((place.line, place.column)),
            span: Some(place.span.clone()),
            key: key.to_owned(),
            message,
            help,
        });
    }

    /// Notes an error about a value, and what to do.
    pub(super) fn error(&mut self, at: &At<'_>, message: impl Into<String>, help: impl Into<String>) {
        let help = Some(help.into()).filter(|help| !help.is_empty());
        self.note(Level::Error, &at.node.place, &at.key, message.into(), help);
    }

    /// Notes a warning about a value, and what to do.
    pub(super) fn warn(&mut self, at: &At<'_>, message: impl Into<String>, help: impl Into<String>) {
        self.note(Level::Warning, &at.node.place, &at.key, message.into(), Some(help.into()));
    }

    /// Notes an error about a part of a text: `part` are bytes of `text`, which is the node's value.
    pub(super) fn error_in(
        &mut self,
        at: &At<'_>,
        text: &str,
        part: Range<usize>,
        message: String,
        help: &str,
    ) {
        let place = self.place_in(at, text, part);
        let help = Some(help.to_owned()).filter(|help| !help.is_empty());
        self.note(Level::Error, &place, &at.key, message, help);
    }

    /// Returns the place of a part of a text; the whole node where escapes or line folding moved the bytes.
    fn place_in(&self, at: &At<'_>, text: &str, part: Range<usize>) -> Place {
        let whole = &at.node.place;
        let source = self.text.get(whole.span.clone()).unwrap_or_default();
        // a block text is indented: its lines are found one by one
        let line_start = text.get(..part.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let line = text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
        let Some(found) = source.find(line).filter(|_| !line.is_empty()) else { return whole.clone() };
        let start = whole.span.start + found + (part.start - line_start);
        let end = (start + part.len()).min(whole.span.start + found + line.len());
        let before = self.text.get(..start).unwrap_or_default();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Place { line: before.matches('\n').count() + 1, column, span: start..end.max(start) }
    }

    fn wrong_kind(&mut self, at: &At<'_>, expected: &str, help: &str) {
        let found = at.node.value.kind();
        self.error(at, format!("expected {expected}, found {found}"), help);
    }

    /// Returns the fields of a mapping. Unknown keys are errors, with the known key that was probably meant.
    pub(super) fn fields<'n>(&mut self, at: &At<'n>, object: &'static Object) -> Option<Fields<'n>> {
        // a text where the mapping should be may be the secret that the right key would hold
        let secretive = object.has_secret();
        if secretive && !matches!(at.node.value, Value::Map(_)) {
            self.secrets.push(at.node.place.span.clone());
        }
        self.fields_with(at, object, secretive, |_| None)
    }

    /// The fields of a mapping, where `owner` may say of an unknown key where it belongs. The value of an unknown key
    /// is masked when it may be the secret that the right key would hold.
    pub(super) fn fields_with<'n>(
        &mut self,
        at: &At<'n>,
        object: &'static Object,
        secretive: bool,
        owner: impl Fn(&str) -> Option<String>,
    ) -> Option<Fields<'n>> {
        let known = object.names();
        let fields = self.open_fields(at, &format!("with {}", quoted_list(&known)))?;
        for (key, value) in fields.all().filter(|(key, _)| !object.has(&key.name)) {
            if secretive {
                self.secrets.push(value.node.place.span.clone());
            }
            let help = owner(&key.name)
                .or_else(|| suggestion(&key.name, &known).map(|name| did_you_mean(&name)))
                .unwrap_or_else(|| format!("known here: {}", quoted_list(&known)));
            let message = format!("unknown key `{}`", key.name);
            self.note(Level::Error, &key.place, &value.key, message, Some(help));
        }
        Some(fields.declared(object))
    }

    /// Returns the fields of a mapping with keys of the user's own.
    pub(super) fn open_fields<'n>(&mut self, at: &At<'n>, what: &str) -> Option<Fields<'n>> {
        if let Value::Map(entries) = &at.node.value {
            return Some(Fields { at: at.clone(), entries, object: None });
        }
        self.wrong_kind(at, "a mapping", &format!("write a mapping {what}"));
        None
    }

    /// Returns the value of a key that must be there.
    pub(super) fn required<'n>(&mut self, fields: &Fields<'n>, key: Key, help: &str) -> Option<At<'n>> {
        let found = fields.get(key);
        if found.is_none() {
            self.error(&fields.at, format!("the key `{}` is missing", key.name), help);
        }
        found
    }

    /// Returns the items of a list.
    pub(super) fn list<'n>(&mut self, at: &At<'n>) -> Option<Vec<At<'n>>> {
        if let Value::List(nodes) = &at.node.value {
            let item = |(n, node)| At { node, key: format!("{}[{n}]", at.key) };
            return Some(nodes.iter().enumerate().map(item).collect());
        }
        self.wrong_kind(at, "a list", "write each item on a line of its own after `- `, or all within `[ ]`");
        None
    }

    /// Returns a text as it stands.
    pub(super) fn text<'n>(&mut self, at: &At<'n>) -> Option<&'n str> {
        if let Value::Text(text) = &at.node.value {
            return Some(text);
        }
        let scalar = matches!(at.node.value, Value::Int(_) | Value::Float(_) | Value::Bool(_));
        self.wrong_kind(at, "text", if scalar { "put it in quotes" } else { "" });
        None
    }

    /// Returns the text of a label or an annotation, which may look like a number: `1.10` and `007` stay what they are.
    pub(super) fn scalar(&mut self, at: &At<'_>) -> Option<String> {
        match &at.node.written {
            Some(written) => Some(written.clone()),
            None => self.text(at).map(str::to_owned),
        }
    }

    /// Returns a text with its variables filled in.
    pub(super) fn expand(&mut self, at: &At<'_>) -> Option<String> {
        let text = self.text(at)?;
        match fill_in(text, self.environment) {
            Ok(filled) => Some(filled.value),
            Err(bad) => {
                self.error_in(at, text, bad.span, bad.message, &bad.help);
                None
            }
        }
    }

    /// Returns a switch.
    pub(super) fn switch(&mut self, at: &At<'_>) -> Option<bool> {
        if let Value::Bool(value) = at.node.value {
            return Some(value);
        }
        self.wrong_kind(at, "true or false", "");
        None
    }

    /// Returns a number.
    pub(super) fn number(&mut self, at: &At<'_>) -> Option<f64> {
        match at.node.value {
            Value::Int(value) => Some(value as f64),
            Value::Float(value) => Some(value),
            _ => {
                self.wrong_kind(at, "a number", "");
                None
            }
        }
    }

    /// Returns a duration.
    pub(super) fn duration(&mut self, at: &At<'_>) -> Option<Duration> {
        if let Value::Int(n) = at.node.value {
            self.wrong_kind(at, "a duration", &format!("give it a unit: `{n}s` or `{n}ms`"));
            return None;
        }
        let text = self.text(at)?;
        match parse_duration(text) {
            Ok(duration) => Some(duration),
            Err(expected) => {
                self.error(at, format!("expected {expected}"), "");
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, at: &At<'_>, choices: &[(&str, T)]) -> Option<T> {
        let word = self.text(at)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == word) {
            return Some(*value);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let help = suggestion(word, &names).map(|name| did_you_mean(&name)).unwrap_or_default();
        self.error(at, format!("expected one of {}", quoted_list(&names)), help);
        None
    }

    /// Returns the severity of an alert.
    pub(super) fn severity(&mut self, at: &At<'_>) -> Option<Severity> {
        self.choice(at, &[("page", Severity::Page), ("ticket", Severity::Ticket)])
    }

    /// Returns the severity of an alert that can be switched off.
    pub(super) fn severity_or_off(&mut self, at: &At<'_>) -> Option<Option<Severity>> {
        let choices = [("page", Some(Severity::Page)), ("ticket", Some(Severity::Ticket)), ("off", None)];
        self.choice(at, &choices)
    }

    /// Returns a name that is safe as a label, in a path and in a file name.
    pub(super) fn name<'n>(&mut self, at: &At<'n>) -> Option<&'n str> {
        let name = self.text(at)?;
        let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        if first && rest && name.len() <= 63 {
            return Some(name);
        }
        let help = "use 1 to 63 of A-Z, a-z, 0-9, `.`, `_` and `-`, beginning with a letter or digit";
        self.error(at, "this cannot be used as a name", help);
        None
    }
}

/// Returns the nearest known word, when it is near.
pub(super) fn suggestion(word: &str, known: &[impl AsRef<str>]) -> Option<String> {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_'], "");
    let distance = |name: &str| match plain(name) == plain(word) {
        true => 0,
        false => strsim::damerau_levenshtein(&plain(name), &plain(word)),
    };
    let limit = (word.chars().count() / 3).clamp(1, 4);
    let nearest = known.iter().map(|name| (distance(name.as_ref()), name.as_ref())).min()?;
    (nearest.0 <= limit).then(|| nearest.1.to_owned())
}

/// Returns the help that goes with a suggestion.
pub(super) fn did_you_mean(name: &str) -> String {
    format!("did you mean `{name}`?")
}

/// Returns `a`, `b` and `c`
pub(super) fn quoted_list(names: &[impl AsRef<str>]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match quoted.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        Some((last, _)) => last.clone(),
        None => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_are_near_or_none() {
        let known = ["target", "targetPercent", "timeout", "webhook_url"];
        for (word, expected) in [
            ("taget", Some("target")),
            ("target_percent", Some("targetPercent")),
            ("TimeOut", Some("timeout")),
            ("time-out", Some("timeout")),
            ("webhok_url", Some("webhook_url")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(suggestion(word, &known).as_deref(), expected, "{word}");
        }
    }
}
