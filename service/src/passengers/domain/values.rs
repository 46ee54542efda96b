//! The values of a passenger. A value of these types is valid: there is no other way to make one.

use std::str::FromStr;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::fields::whole;
use crate::visible::Line;

/// A name.
pub type Name = Line<200>;

/// First, second or third class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Class(u8);

impl Class {
    const EXPECTED: &'static str = "1, 2 or 3";

    /// Checks a class.
    pub fn try_new(number: i64) -> Result<Self, &'static str> {
        u8::try_from(number).ok().filter(|n| (1..=3).contains(n)).map(Self).ok_or(Self::EXPECTED)
    }

    /// Returns its number.
    #[must_use]
    pub fn number(self) -> i16 {
        self.0.into()
    }

    pub(in crate::passengers) fn from_json(value: &Value) -> Result<Self, String> {
        whole(value, 1, 3).ok().ok_or(Self::EXPECTED).and_then(Self::try_new).map_err(str::to_owned)
    }
}

impl FromStr for Class {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map_err(|_| Self::EXPECTED).and_then(Self::try_new)
    }
}

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

/// Makes the type of a number from zero on.
macro_rules! amount {
    ($about:literal, $name:ident, $get:ident, $unit:literal, $most:literal) => {
        #[doc = $about]
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct $name(f64);

        impl $name {
            pub(in crate::passengers) const MOST: f64 = $most as f64;
            const EXPECTED: &'static str = concat!("a number of ", $unit, " from 0 to ", $most);

            /// Checks the number. Four decimals are kept: enough for a farthing.
            pub fn try_new(number: f64) -> Result<Self, &'static str> {
                let fits = (0.0..=Self::MOST).contains(&number);
                if fits { Ok(Self(four_decimals(number))) } else { Err(Self::EXPECTED) }
            }

            /// Returns the number.
            #[must_use]
            pub fn $get(self) -> f64 {
                self.0
            }

            /// Reads the number. `null` stands for an unknown one.
            pub(in crate::passengers) fn from_json(value: &Value) -> Result<Option<Self>, String> {
                known(value, Self::EXPECTED, Self::try_new)
            }
        }

        impl FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map_err(|_| Self::EXPECTED).and_then(Self::try_new)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                plainly(self.0, serializer)
            }
        }
    };
}
amount!("Years, with fractions for infants.", Age, years, "years", 120);
amount!("Pounds paid for the passage.", Fare, pounds, "pounds", 10000);

/// Reads a number, or `null` for an unknown one.
fn known<T>(
    value: &Value,
    expected: &'static str,
    try_new: impl Fn(f64) -> Result<T, &'static str>,
) -> Result<Option<T>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let number = value.as_f64().ok_or(expected).and_then(try_new);
    number.map(Some).map_err(|expected| format!("{expected}, or null"))
}

/// One spelling per number, so that what was written is what is compared, sorted and read back. Adding zero turns -0 into 0.
fn four_decimals(number: f64) -> f64 {
    (number * 10_000.0).round() / 10_000.0 + 0.0
}

/// Whole numbers are written without a point.
fn plainly<S: Serializer>(number: f64, serializer: S) -> Result<S::Ok, S::Error> {
    if number.fract() == 0.0 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 10,000, and whole"
        )]
        let whole = number as u16;
        serializer.serialize_u16(whole)
    } else {
        serializer.serialize_f64(number)
    }
}

/// A number of relatives aboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Relatives(u8);

impl Relatives {
    pub(in crate::passengers) const MOST: i64 = 30;

    /// Checks a number of relatives.
    pub fn try_new(number: i64) -> Result<Self, &'static str> {
        let fits = u8::try_from(number).ok().filter(|n| i64::from(*n) <= Self::MOST);
        fits.map(Self).ok_or("a whole number from 0 to 30")
    }

    /// Returns the number.
    #[must_use]
    pub fn number(self) -> i16 {
        self.0.into()
    }

    pub(in crate::passengers) fn from_json(value: &Value) -> Result<Self, String> {
        whole(value, 0, Self::MOST).and_then(|number| Self::try_new(number).map_err(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_four_decimals_and_whole_ones_stay_plain() {
        let written = |years| serde_json::to_string(&Age::try_new(years).unwrap()).unwrap();
        assert_eq!(written(0.9167), "0.9167");
        assert_eq!(written(30.0), "30");
        assert_eq!(written(-0.0), "0");
        assert_eq!(written(30.123_44), "30.1234");
        assert_eq!(Fare::try_new(512.329_2).unwrap().pounds().to_string(), "512.3292");
        assert!(Age::try_new(f64::NAN).is_err());
        assert!("inf".parse::<Age>().is_err());
        assert!(Fare::try_new(10_000.01).is_err());
    }
}
