//! The purpose of an installation.

use std::fmt;
use std::str::FromStr;

/// The purpose of an installation: a word of the operator's choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment(String);

impl Environment {
    /// Returns whether real clients are served here. `prod`, `Production`, `prod-eu` count: a drill refused by mistake costs
    /// less than one that hits clients.
    #[must_use]
    pub fn is_production(&self) -> bool {
        self.0.to_ascii_lowercase().starts_with("prod")
    }

    /// Returns whether this is a development machine, on which nothing needs a key.
    #[must_use]
    pub fn is_development(&self) -> bool {
        let word = self.0.to_ascii_lowercase();
        word.starts_with("dev") || word.starts_with("local")
    }
}

impl FromStr for Environment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if (1..=64).contains(&text.len()) && text.chars().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err("one word of up to 64 letters, digits, `-` and `_`, such as production")
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, ConfigErrors};

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        Config::of_test(variables.iter().copied())
    }

    #[test]
    fn whatever_looks_like_production_is_production() {
        for word in ["production", "Prod", "prod-eu"] {
            assert!(read(&[("ENVIRONMENT", word)]).unwrap().environment.is_production(), "{word}");
        }
        assert!(!read(&[("ENVIRONMENT", "staging")]).unwrap().environment.is_production());
        assert!(read(&[("ENVIRONMENT", "two words")]).is_err());
    }
}
