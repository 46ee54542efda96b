//! The values of a passenger. A value of these types is valid: there is no other way to make one.

use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;

use crate::numbers::{Amount, Whole};
use crate::visible::Line;

/// A name.
pub type Name = Line<200>;
/// First, second or third class.
pub type Class = Whole<1, 3>;
/// A number of relatives aboard.
pub type Relatives = Whole<0, 30>;
/// Years, with fractions for infants.
pub type Age = Amount<120>;
/// Pounds paid for the passage, to less than a farthing.
pub type Fare = Amount<10_000>;

/// The sex, as the passenger list has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sex {
    /// Written `female`.
    Female,
    /// Written `male`.
    Male,
}

impl Sex {
    const EXPECTED: &'static str = "`female` or `male`";

    /// Returns its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Female => "female",
            Self::Male => "male",
        }
    }

    pub(in crate::passengers) fn from_json(value: &Value) -> Result<Self, String> {
        value.as_str().ok_or(Self::EXPECTED).and_then(str::parse).map_err(str::to_owned)
    }
}

impl FromStr for Sex {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "female" => Ok(Self::Female),
            "male" => Ok(Self::Male),
            _ => Err(Self::EXPECTED),
        }
    }
}
