//! Marked changes of a service.

use core::fmt;
use std::str::FromStr;

use crate::Timestamp;
use serde::{Deserialize, Serialize};

/// A marked change of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployRecord {
    /// The unique id.
    pub id: String,
    /// The idempotency key: the same key is the same deploy.
    pub idempotency_key: String,
    /// The service.
    pub service: String,
    /// `production`, `staging`, …
    pub environment: String,
    /// The version that is deployed.
    pub version: String,
    /// The commit it was built from.
    pub commit: String,
    /// The person or program that deploys.
    pub actor: String,
    /// Kind of change.
    pub class: DeployClass,
    /// The instant at which it started.
    #[serde(rename = "started_at_ms")]
    pub started_at: Timestamp,
}

/// Kind of change, as pipelines name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeployClass {
    /// A new feature. It can wait, so that the whole policy applies.
    #[default]
    Feature,
    /// A change that makes the service more reliable. A spent budget does not hold it up.
    Fix,
    /// A security fix: always allowed.
    Security,
    /// A return to an earlier version: always allowed.
    Rollback,
    /// A change of settings only.
    Config,
}

impl DeployClass {
    /// Every class, strictest first.
    pub const ALL: [Self; 5] = [Self::Feature, Self::Config, Self::Fix, Self::Security, Self::Rollback];

    /// Returns the word of the class in requests, records and messages.
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

    /// Returns whether the gate lets it pass whatever the state of the SLOs.
    #[must_use]
    pub const fn always_passes(self) -> bool {
        matches!(self, Self::Rollback | Self::Security)
    }
}

impl fmt::Display for DeployClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Error of a word that names no class of change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadDeployClass(String);

impl fmt::Display for BadDeployClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The answer contains it: bounded, because no caller types a class of a thousand letters.
        let shown: String = self.0.chars().take(40).collect();
        write!(f, "{shown:?} is no class of change: expected feature, fix, security, rollback or config")?;
        let near = DeployClass::ALL.iter().map(|class| (strsim::jaro_winkler(&shown, class.as_str()), class));
        match near.max_by(|a, b| a.0.total_cmp(&b.0)) {
            Some((score, class)) if score > 0.75 => write!(f, "; did you mean {class}?"),
            _ => Ok(()),
        }
    }
}

impl core::error::Error for BadDeployClass {}

impl FromStr for DeployClass {
    type Err = BadDeployClass;

    fn from_str(text: &str) -> Result<Self, BadDeployClass> {
        let known = Self::ALL.into_iter().find(|class| class.as_str() == text);
        known.ok_or_else(|| BadDeployClass(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_read_as_they_print() {
        for class in DeployClass::ALL {
            assert_eq!(class.to_string().parse(), Ok(class));
            assert_eq!(serde_json::to_string(&class).unwrap(), format!("\"{class}\""));
        }
    }

    #[test]
    fn a_wrong_class_is_told_the_right_ones() {
        let said = "feture".parse::<DeployClass>().unwrap_err().to_string();
        assert_eq!(
            said,
            "\"feture\" is no class of change: expected feature, fix, security, rollback or config; \
             did you mean feature?"
        );
        assert!(!"x".parse::<DeployClass>().unwrap_err().to_string().contains("did you mean"));
        assert!("y".repeat(9000).parse::<DeployClass>().unwrap_err().to_string().len() < 200);
    }
}
