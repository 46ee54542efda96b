//! Reads variables into the settings that clap's derive declares: an argument `--NAME` stands for the variable `NAME`.
//!
//! clap stops at the first value that it cannot use, so each is tried alone before all are read.

use std::collections::{BTreeMap, HashMap};
use std::error::Error as _;
use std::fmt::{self, Display};
use std::mem;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgAction, Parser};

use super::secret::SecretFile;

/// One variable that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}{}: expected {expected}", value.as_ref().map(|v| format!(" is `{v}`")).unwrap_or_default())]
pub struct ConfigError {
    /// The name.
    pub variable: String,
    /// The value, absent for what may be secret.
    pub value: Option<String>,
    /// The accepted values.
    pub expected: String,
}

/// Every variable that cannot be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the environment cannot be used")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for ConfigErrors {}

impl ConfigErrors {
    /// Notes that a variable is wrong. A value with an `@` is not shown: it may be a URL with a password.
    pub(super) fn refuse(&mut self, variable: &str, value: Option<&str>, expected: impl Display) {
        let shown = |value: &str| value.chars().take(SHOWN_CHARS).flat_map(char::escape_default).collect();
        let value = value.filter(|value| !value.contains('@')).map(shown);
        let (variable, expected) = (variable.to_owned(), expected.to_string());
        self.0.push(ConfigError { variable, value, expected });
    }
}

/// Characters of a wrong value that are shown.
const SHOWN_CHARS: usize = 80;

/// The variables that are set, and what was found out about them.
#[derive(Default)]
pub(super) struct Reader {
    variables: HashMap<String, String>,
    /// The settings that are set, by their variable, with the value as people may see it.
    pub(super) given: BTreeMap<String, String>,
    pub(super) secret_files: Vec<SecretFile>,
    pub(super) errors: ConfigErrors,
}

impl Reader {
    /// Takes the variables. One that is set to nothing counts as unset: that is how compose files and charts leave things out.
    pub(super) fn new(variables: impl IntoIterator<Item = (impl ToString, impl ToString)>) -> Self {
        let trimmed = variables.into_iter().map(|(name, value)| {
            let value = value.to_string();
            (name.to_string(), value.trim().to_owned())
        });
        Self { variables: trimmed.filter(|(_, value)| !value.is_empty()).collect(), ..Self::default() }
    }

    /// Reads all settings. One that is wrong is noted and has its default.
    pub(super) fn read<T: Parser>(&mut self) -> Result<T, ConfigErrors> {
        let (command, mut all) = (T::command(), Vec::new());
        for setting in command.get_arguments() {
            let (name, is_secret) =
                (setting.get_long().unwrap_or_default(), setting.is_hide_env_values_set());
            let Some(value) = self.value_of(name, is_secret) else { continue };
            let mut parts = vec![format!("--{name}={value}")];
            if matches!(setting.get_action(), ArgAction::Append) {
                let list = value.split(',').map(str::trim).filter(|part| !part.is_empty());
                parts = list.map(|part| format!("--{name}={part}")).collect();
            }
            match command.clone().try_get_matches_from(&parts) {
                Ok(_) => all.extend(parts),
                Err(error) => {
                    let rule = error.source().map_or(error.to_string(), ToString::to_string);
                    self.errors.refuse(name, (!is_secret).then_some(value.as_str()), rule);
                }
            }
        }
        T::try_parse_from(all).map_err(|error| {
            self.errors.refuse("a default", None, error);
            mem::take(&mut self.errors)
        })
    }

    /// Returns the value of a setting. A secret may be in the file that `<name>_FILE` names.
    fn value_of(&mut self, name: &str, is_secret: bool) -> Option<String> {
        let file_variable = format!("{name}_FILE");
        let inline = self.variables.get(name).cloned();
        let path = self.variables.get(&file_variable).filter(|_| is_secret).cloned();
        if let Some(value) = &inline {
            let shown = if is_secret { "set" } else { value };
            self.given.insert(name.to_owned(), shown.to_owned());
        }
        let Some(path) = path else { return inline };
        self.given.insert(file_variable.clone(), path.clone());
        let read = if inline.is_none() {
            let (file, read) = SecretFile::open(name, &path);
            self.secret_files.push(file);
            read
        } else {
            Err(format!("to be unset while {name} is set (one of both)"))
        };
        read.map_err(|expected| self.errors.refuse(&file_variable, Some(&path), expected)).ok()
    }
}

/// A rule: a value as a function reads it.
pub(super) fn rule<T>(
    expected: &'static str,
    read: fn(&str) -> Option<T>,
) -> impl Fn(&str) -> Result<T, &'static str> + Clone {
    move |text| read(text).ok_or(expected)
}

/// A rule: a value of a type that can be parsed.
pub(super) fn parsed<T: FromStr>(expected: &'static str) -> impl Fn(&str) -> Result<T, &'static str> + Clone {
    rule(expected, |text| text.parse().ok())
}

/// A rule: a whole number within bounds.
pub(super) fn number<T>(bounds: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: FromStr + PartialOrd + Display + Clone,
{
    move |text| {
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        number.ok_or_else(|| format!("a whole number from {} to {}", bounds.start(), bounds.end()))
    }
}

/// A rule: a whole number of seconds within bounds.
pub(super) fn seconds(bounds: RangeInclusive<u64>) -> impl Fn(&str) -> Result<Duration, String> + Clone {
    let number = number(bounds);
    move |text| number(text).map(Duration::from_secs)
}

/// A rule: one of these words, which stand for values.
pub(super) fn word<T: Copy>(
    words: &'static [(&'static str, T)],
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        found.ok_or_else(|| known.join(" or "))
    }
}
