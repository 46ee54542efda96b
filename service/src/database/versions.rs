//! Versions of the tables that this program cannot work with, for errors.

use std::fmt;

/// Numbers of migrations, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions(pub(super) Vec<i64>);

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, version) in self.0.iter().enumerate() {
            write!(f, "{}{version}", if place == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// The reason for which this version cannot work with the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// A migration that we know was applied with another text.
    Changed(i64),
    /// There are migrations that we do not know, and ours are not all there.
    Apart {
        /// The unknown migrations.
        unknown: Versions,
        /// The missing migrations.
        missing: Versions,
    },
    /// A migration that we do not know is no newer than ours.
    Between(i64),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(version) => {
                write!(f, "migration {version} was applied with another text than this version has for it")
            }
            Self::Apart { unknown, missing } => {
                write!(
                    f,
                    "they have the unknown migrations {unknown} and lack {missing}, which this version needs"
                )
            }
            Self::Between(version) => {
                write!(f, "migration {version} is unknown and is older than the newest of this version")
            }
        }
    }
}
