//! Numbers within bounds. Their bounds are in their types, from which errors and schemas have them.

use std::str::FromStr;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::fields::whole;

/// A whole number from `LEAST` to `MOST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Whole<const LEAST: u8, const MOST: u8>(u8);

impl<const LEAST: u8, const MOST: u8> Whole<LEAST, MOST> {
    /// Checks a number.
    pub fn try_new(number: i64) -> Result<Self, String> {
        Self::from_json(&number.into())
    }

    /// Reads the number that a client sent.
    pub(crate) fn from_json(value: &Value) -> Result<Self, String> {
        let number = whole(value, LEAST.into(), MOST.into())?;
        u8::try_from(number).map(Self).map_err(|error| error.to_string())
    }

    /// Returns the number.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }

    /// Returns the schema of the number.
    pub(crate) fn schema() -> Value {
        json!({"type": "integer", "minimum": LEAST, "maximum": MOST})
    }
}

impl<const MOST: u8> Default for Whole<0, MOST> {
    fn default() -> Self {
        Self(0)
    }
}

impl<const LEAST: u8, const MOST: u8> FromStr for Whole<LEAST, MOST> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // What is no number is none of these either, and refused in the same words.
        Self::try_new(text.parse().unwrap_or(i64::MIN))
    }
}

/// A number from 0 to `MOST` with four decimals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Amount<const MOST: u32>(f64);

impl<const MOST: u32> Amount<MOST> {
    /// Checks a number.
    pub fn try_new(number: f64) -> Result<Self, String> {
        if !(0.0..=f64::from(MOST)).contains(&number) {
            return Err(format!("a number from 0 to {MOST}"));
        }
        // One spelling per number, so that what was written is what is compared, sorted and read back. Adding zero turns -0
        // into 0.
        Ok(Self((number * 10_000.0).round() / 10_000.0 + 0.0))
    }

    /// Reads the number that a client sent. `null` stands for an unknown one.
    pub(crate) fn from_json(value: &Value) -> Result<Option<Self>, String> {
        if value.is_null() {
            return Ok(None);
        }
        let number = Self::try_new(value.as_f64().unwrap_or(f64::NAN));
        number.map(Some).map_err(|expected| format!("{expected}, or null"))
    }

    /// Returns the number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// Returns the schema of the number.
    pub(crate) fn schema() -> Value {
        json!({"type": "number", "minimum": 0, "maximum": MOST})
    }

    /// Returns the largest number.
    pub(crate) fn most() -> f64 {
        f64::from(MOST)
    }
}

impl<const MOST: u32> FromStr for Amount<MOST> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::try_new(text.parse().unwrap_or(f64::NAN))
    }
}

impl<const MOST: u32> Serialize for Amount<MOST> {
    /// Writes whole numbers without a point.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to `MOST`")]
        let whole = self.0 as u32;
        if f64::from(whole) == self.0 {
            serializer.serialize_u32(whole)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_four_decimals_and_whole_ones_stay_plain() {
        let written = |number| serde_json::to_string(&Amount::<120>::try_new(number).unwrap()).unwrap();
        assert_eq!(written(0.9167), "0.9167");
        assert_eq!(written(30.0), "30");
        assert_eq!(written(-0.0), "0");
        assert_eq!(written(30.123_44), "30.1234");
        assert_eq!(Amount::<10_000>::try_new(512.329_2).unwrap().get().to_string(), "512.3292");
        assert!(Amount::<120>::try_new(f64::NAN).is_err());
        assert!("inf".parse::<Amount<120>>().is_err());
        assert!(Amount::<10_000>::try_new(10_000.01).is_err());
    }

    #[test]
    fn a_whole_number_has_its_bounds_however_it_is_written() {
        let expected = Err(String::from("a whole number from 1 to 3"));
        for text in ["0", "4", "260", "-1", "x", "", "2.0"] {
            assert_eq!(text.parse::<Whole<1, 3>>(), expected, "{text}");
        }
        assert_eq!("3".parse(), Whole::<1, 3>::try_new(3));
        assert_eq!(Whole::<1, 3>::from_json(&json!(2.0)).map(Whole::get), Ok(2));
        assert_eq!(Whole::<1, 3>::from_json(&json!("2")), expected);
    }
}
