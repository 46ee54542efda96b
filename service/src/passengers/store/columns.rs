//! Rows of the table of passengers.

use sqlx::FromRow;
use uuid::Uuid;

use super::StoreError;
use crate::database::{Key, Moment};
use crate::passengers::domain::model::{Age, Class, Fare, Name, NewPassenger, Passenger, Relatives, Stamp};

/// The columns of a [`Row`].
pub(super) const COLUMNS: &str = "id, name, class, sex, age, fare, siblings_or_spouses_aboard, \
     parents_or_children_aboard, survived, version, updated_at";

#[derive(Debug, Clone, FromRow)]
pub(crate) struct Row {
    id: Key,
    name: String,
    class: i16,
    sex: String,
    age: Option<f64>,
    fare: Option<f64>,
    siblings_or_spouses_aboard: i16,
    parents_or_children_aboard: i16,
    survived: bool,
    version: i64,
    updated_at: Moment,
}

impl Row {
    pub(super) fn id(&self) -> Uuid {
        self.id.0
    }
}

impl TryFrom<Row> for Passenger {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let read = || {
            Ok(NewPassenger {
                name: Name::from_stored(&row.name)?,
                class: Class::try_new(row.class.into())?,
                sex: row.sex.parse()?,
                age: row.age.map(Age::try_new).transpose()?,
                fare: row.fare.map(Fare::try_new).transpose()?,
                siblings_or_spouses_aboard: Relatives::try_new(row.siblings_or_spouses_aboard.into())?,
                parents_or_children_aboard: Relatives::try_new(row.parents_or_children_aboard.into())?,
                survived: row.survived,
            })
        };
        let Key(id) = row.id;
        let details = read().map_err(|expected| StoreError::Row { id, expected })?;
        Ok(Self { id, details, stamp: Stamp { version: row.version, updated_at: row.updated_at.0 } })
    }
}
