//! A passenger. A value of these types is valid: there is no other way to make one.

use std::str::FromStr;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::fields::{FieldError, Fields, whole};

/// A passenger as stored and served.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Passenger {
    /// UUID v7: ids sort by when they were made.
    pub id: Uuid,
    /// Everything else.
    #[serde(flatten)]
    pub details: NewPassenger,
}

/// What a client says about a passenger.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewPassenger {
    /// Family name, title, given names.
    pub name: Name,
    /// The class travelled in.
    pub class: Class,
    /// As in the passenger list.
    pub sex: Sex,
    /// Unknown for every fifth passenger.
    pub age: Option<Age>,
    /// Siblings or spouses aboard.
    pub siblings_or_spouses_aboard: Relatives,
    /// Parents or children aboard.
    pub parents_or_children_aboard: Relatives,
    /// Whether the passenger was saved.
    pub survived: bool,
}

impl NewPassenger {
    /// Reads a passenger out of JSON, or names every field that is wrong.
    pub fn from_json(object: Map<String, Value>) -> Result<Self, Vec<FieldError>> {
        let mut fields = Fields::new(object);
        let name = fields.required("name", Name::from_json);
        let class = fields.required("class", Class::from_json);
        let sex = fields.required("sex", Sex::from_json);
        let age = fields.optional("age", Age::from_json).flatten();
        let siblings = fields.optional("siblings_or_spouses_aboard", Relatives::from_json);
        let parents = fields.optional("parents_or_children_aboard", Relatives::from_json);
        let survived =
            fields.required("survived", |v| v.as_bool().ok_or_else(|| String::from("true or false")));
        let errors = fields.errors();
        match (name, class, sex, survived) {
            (Some(name), Some(class), Some(sex), Some(survived)) if errors.is_empty() => Ok(Self {
                name,
                class,
                sex,
                age,
                siblings_or_spouses_aboard: siblings.unwrap_or_default(),
                parents_or_children_aboard: parents.unwrap_or_default(),
                survived,
            }),
            _ => Err(errors),
        }
    }
}

/// A name of 1 to 200 characters, without control characters or space around it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    const EXPECTED: &'static str = "a text of 1 to 200 characters without control characters";

    /// Trims and checks a name.
    pub fn try_new(text: &str) -> Result<Self, &'static str> {
        let trimmed = text.trim();
        let fits = (1..=200).contains(&trimmed.chars().count()) && !trimmed.chars().any(char::is_control);
        if fits { Ok(Self(trimmed.to_owned())) } else { Err(Self::EXPECTED) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        value.as_str().ok_or(Self::EXPECTED).and_then(Self::try_new).map_err(str::to_owned)
    }
}

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

    /// Its number.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0.into()
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        whole(value, 1, 3).ok().ok_or(Self::EXPECTED).and_then(Self::try_new).map_err(str::to_owned)
    }
}

impl FromStr for Class {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map_err(|_| Self::EXPECTED).and_then(Self::try_new)
    }
}

/// As in the passenger list.
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

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Female => "female",
            Self::Male => "male",
        }
    }

    fn from_json(value: &Value) -> Result<Self, String> {
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

/// Years, with fractions for infants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Age(f64);

impl Age {
    const EXPECTED: &'static str = "a number of years from 0 to 120";

    /// Checks an age.
    pub fn try_new(years: f64) -> Result<Self, &'static str> {
        // Adding zero turns -0 into 0.
        if (0.0..=120.0).contains(&years) { Ok(Self(years + 0.0)) } else { Err(Self::EXPECTED) }
    }

    /// The years.
    #[must_use]
    pub fn years(self) -> f64 {
        self.0
    }

    /// `null` is an answer here: nobody knows.
    fn from_json(value: &Value) -> Result<Option<Self>, String> {
        if value.is_null() {
            return Ok(None);
        }
        let age = value.as_f64().ok_or(Self::EXPECTED).and_then(Self::try_new);
        age.map(Some).map_err(|expected| format!("{expected}, or null"))
    }
}

impl FromStr for Age {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map_err(|_| Self::EXPECTED).and_then(Self::try_new)
    }
}

impl Serialize for Age {
    /// Full years are written without a point.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "from 0 to 120, and whole"
            )]
            let years = self.0 as u8;
            serializer.serialize_u8(years)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

/// A number of relatives aboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Relatives(u8);

impl Relatives {
    const MOST: i64 = 30;

    /// Checks a number of relatives.
    pub fn try_new(number: i64) -> Result<Self, &'static str> {
        let fits = u8::try_from(number).ok().filter(|n| i64::from(*n) <= Self::MOST);
        fits.map(Self).ok_or("a whole number from 0 to 30")
    }

    /// How many.
    #[must_use]
    pub fn number(self) -> i64 {
        self.0.into()
    }

    fn from_json(value: &Value) -> Result<Self, String> {
        whole(value, 0, Self::MOST).and_then(|number| Self::try_new(number).map_err(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<NewPassenger, Vec<String>> {
        let Value::Object(object) = value else { panic!("not an object") };
        NewPassenger::from_json(object)
            .map_err(|errors| errors.into_iter().map(|e| format!("{} {}", e.field, e.detail)).collect())
    }

    #[test]
    fn what_may_be_left_out_has_a_meaning() {
        let read = read(json!({"name": " Smith, Capt. E J ", "class": 1, "sex": "male", "survived": false}));
        let passenger = read.unwrap();
        assert_eq!(passenger.name.as_str(), "Smith, Capt. E J");
        assert_eq!(passenger.age, None);
        assert_eq!(passenger.siblings_or_spouses_aboard.number(), 0);
    }

    #[test]
    fn every_wrong_field_is_named() {
        let errors = read(json!({
            "name": "\u{7}", "class": "1", "sex": "Male", "age": -1, "siblings_or_spouses_aboard": 31,
            "survived": "yes", "fare": 7.25
        }))
        .unwrap_err();
        assert_eq!(
            errors,
            [
                r#"name must be a text of 1 to 200 characters without control characters, not "\u0007""#,
                r#"class must be 1, 2 or 3, not "1""#,
                r#"sex must be `female` or `male`, not "Male""#,
                "age must be a number of years from 0 to 120, or null, not -1",
                "siblings_or_spouses_aboard must be a whole number from 0 to 30, not 31",
                r#"survived must be true or false, not "yes""#,
                "fare is not known; the fields are name, class, sex, age, siblings_or_spouses_aboard, \
                 parents_or_children_aboard, survived",
            ]
        );
    }

    #[test]
    fn ages_keep_their_fractions_and_full_years_stay_plain() {
        assert_eq!(serde_json::to_string(&Age::try_new(0.9167).unwrap()).unwrap(), "0.9167");
        assert_eq!(serde_json::to_string(&Age::try_new(30.0).unwrap()).unwrap(), "30");
        assert!(Age::try_new(f64::NAN).is_err());
        assert!("inf".parse::<Age>().is_err());
    }
}
