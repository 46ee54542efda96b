//! Rows of the table of passengers.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row as _};
use uuid::Uuid;

use super::StoreError;
use crate::database::{Key, Moment};
use crate::passengers::domain::model::{
    Age, Class, Fare, Name, NewPassenger, Passenger, Relatives, Sex, Stamp,
};

/// Makes the text of a statement around the columns of a [`Row`].
macro_rules! with_columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            "id, name, class, sex, age, fare, siblings_or_spouses_aboard, parents_or_children_aboard, survived, \
             version, updated_at",
            $after
        )
    };
}
pub(super) use with_columns;

/// The columns of a [`Row`], in the order in which it is read: by position, because a name is looked up for each row.
pub(in crate::passengers) const COLUMNS: &str = with_columns!("", "");

#[derive(Debug, Clone)]
pub(crate) struct Row {
    id: Key,
    name: String,
    class: i16,
    sex: Result<Sex, &'static str>,
    age: Option<f64>,
    fare: Option<f64>,
    siblings_or_spouses_aboard: i16,
    parents_or_children_aboard: i16,
    survived: bool,
    version: i64,
    updated_at: Moment,
    /// The number of all who match, behind the columns where it was asked for.
    pub(super) total: Option<i64>,
}

macro_rules! read_by_position {
    ($row:ty) => {
        impl<'r> FromRow<'r, $row> for Row {
            fn from_row(row: &'r $row) -> Result<Self, sqlx::Error> {
                Ok(Self {
                    id: row.try_get(0)?,
                    name: row.try_get(1)?,
                    class: row.try_get(2)?,
                    sex: row.try_get::<&str, _>(3)?.parse(),
                    age: row.try_get(4)?,
                    fare: row.try_get(5)?,
                    siblings_or_spouses_aboard: row.try_get(6)?,
                    parents_or_children_aboard: row.try_get(7)?,
                    survived: row.try_get(8)?,
                    version: row.try_get(9)?,
                    updated_at: row.try_get(10)?,
                    total: if row.len() > 11 { Some(row.try_get(11)?) } else { None },
                })
            }
        }
    };
}
read_by_position!(SqliteRow);
read_by_position!(PgRow);

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
                name: Name::from_stored(row.name)?,
                class: Class::try_new(row.class.into())?,
                sex: row.sex?,
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
