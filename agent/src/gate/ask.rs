//! The question: who wants to deploy what kind of change.

use core::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// May a change of this class go to this service now?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The service, as the SLO specs name it.
    pub service: String,
    /// What kind of change it is.
    pub class: Class,
}

/// What kind of change it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Something new: it can wait, so it is held to the whole policy.
    #[default]
    Feature,
    /// Makes the service more reliable: a spent budget does not hold it up.
    Fix,
    /// Closes a hole: always allowed.
    Security,
    /// Back to what worked: always allowed.
    Rollback,
    /// Settings only.
    Config,
}

impl Class {
    /// Every class, strictest first.
    pub const ALL: [Self; 5] = [Self::Feature, Self::Config, Self::Fix, Self::Security, Self::Rollback];

    /// The word used in questions, records and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Feature => "feature",
            Self::Fix => "fix",
            Self::Security => "security",
            Self::Rollback => "rollback",
            Self::Config => "config",
        }
    }

    /// Whether nothing may stand in its way.
    #[must_use]
    pub const fn always_passes(self) -> bool {
        matches!(self, Self::Rollback | Self::Security)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no class of change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadClass(String);

impl fmt::Display for BadClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Shown back to whoever asked: bounded, because nobody typed a class of a thousand letters.
        let shown: String = self.0.chars().take(40).collect();
        write!(f, "{shown:?} is no class of change: expected feature, fix, security, rollback or config")?;
        let near = Class::ALL.iter().map(|class| (strsim::jaro_winkler(&shown, class.as_str()), class));
        match near.max_by(|a, b| a.0.total_cmp(&b.0)) {
            Some((score, class)) if score > 0.75 => write!(f, "; did you mean {class}?"),
            _ => Ok(()),
        }
    }
}

impl core::error::Error for BadClass {}

impl FromStr for Class {
    type Err = BadClass;

    fn from_str(text: &str) -> Result<Self, BadClass> {
        let known = Self::ALL.into_iter().find(|class| class.as_str() == text);
        known.ok_or_else(|| BadClass(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_read_as_they_print() {
        for class in Class::ALL {
            assert_eq!(class.to_string().parse(), Ok(class));
            assert_eq!(serde_json::to_string(&class).unwrap(), format!("\"{class}\""));
        }
    }

    #[test]
    fn a_wrong_class_is_told_the_right_ones() {
        let said = "feture".parse::<Class>().unwrap_err().to_string();
        assert_eq!(
            said,
            "\"feture\" is no class of change: expected feature, fix, security, rollback or config; \
             did you mean feature?"
        );
        assert!(!"x".parse::<Class>().unwrap_err().to_string().contains("did you mean"));
        assert!("y".repeat(9000).parse::<Class>().unwrap_err().to_string().len() < 200);
    }
}
