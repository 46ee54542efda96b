//! The domain of voyages.

use std::str::FromStr;

use jiff::civil::Date;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::fields::{FieldError, Fields};
use crate::visible::Line;

/// A name of a ship or a port.
pub type Label = Line<100>;

/// A day, stored as `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Day(Date);

impl FromStr for Day {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let day = Some(text).filter(|text| text.len() == 10 && text.starts_with(['1', '2']));
        day.and_then(|text| text.parse().ok()).map(Self).ok_or("a day such as 1912-04-10")
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Day {
    fn from_json(value: &Value) -> Result<Self, String> {
        value.as_str().unwrap_or_default().parse::<Self>().map_err(str::to_owned)
    }
}

/// The properties of a voyage that a client sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewVoyage {
    /// The ship.
    pub ship: Label,
    /// The first day.
    pub departed_on: Day,
}

/// A voyage as stored and served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Voyage {
    /// UUID v7: ids sort by when they were made.
    pub id: Uuid,
    /// The properties that a client sets.
    #[serde(flatten)]
    pub details: NewVoyage,
}

/// The properties of a call that a client sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewCall {
    /// The port.
    pub port: Label,
    /// The day of arrival.
    pub called_on: Day,
}

/// A port of call of a voyage, as stored and served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// UUID v7.
    pub id: Uuid,
    /// The voyage it belongs to.
    pub voyage_id: Uuid,
    /// The properties that a client sets.
    #[serde(flatten)]
    pub details: NewCall,
}

impl NewVoyage {
    /// Reads a voyage from JSON, or names every wrong field.
    pub fn from_json(object: Map<String, Value>) -> Result<Self, Vec<FieldError>> {
        let mut fields = Fields::new(object);
        let ship = fields.required("ship", Label::from_json);
        let departed_on = fields.required("departed_on", Day::from_json);
        let (Some(ship), Some(departed_on)) = (ship, departed_on) else { return Err(fields.errors()) };
        fields.finish(Self { ship, departed_on })
    }
}

impl NewCall {
    /// Reads a call from JSON, or names every wrong field.
    pub fn from_json(object: Map<String, Value>) -> Result<Self, Vec<FieldError>> {
        let mut fields = Fields::new(object);
        let port = fields.required("port", Label::from_json);
        let called_on = fields.required("called_on", Day::from_json);
        let (Some(port), Some(called_on)) = (port, called_on) else { return Err(fields.errors()) };
        fields.finish(Self { port, called_on })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_one_spelling() {
        assert_eq!("1912-04-10".parse::<Day>().unwrap().to_string(), "1912-04-10");
        for wrong in ["", "1912-4-10", "1912-04-31", "10.04.1912", "1912-04-10T00:00", "-012-04-10"] {
            assert!(wrong.parse::<Day>().is_err(), "{wrong}");
        }
    }
}
