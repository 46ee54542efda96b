//! Rows of the table of passengers.

use std::fmt::Display;

use sqlx::Row as _;
use uuid::Uuid;

use crate::database::{Key, Moment, readable};
use crate::passengers::domain::model::{Age, Class, Fare, Name, NewPassenger, Passenger, Relatives, Stamp};

/// Makes the text of a statement around the columns of a passenger.
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

/// The columns of a passenger, in the order in which they are read.
pub(in crate::passengers) const COLUMNS: &str = with_columns!("", "");

/// A passenger of a page, and the number of all who match behind the columns, where it was asked for.
#[derive(Debug)]
pub(super) struct Listed(pub(super) Passenger, pub(super) Option<i64>);

fn wrong<E: Display>(id: Uuid) -> impl Fn(E) -> sqlx::Error {
    move |expected| {
        sqlx::Error::Decode(format!("passenger {id} is stored wrongly: expected {expected}").into())
    }
}

readable!(Passenger, row => {
    let Key(id) = row.try_get(0)?;
    let relatives = |number: i16| Relatives::try_new(number.into()).map_err(wrong(id));
    let (age, fare): (Option<f64>, Option<f64>) = (row.try_get(4)?, row.try_get(5)?);
    let details = NewPassenger {
        name: Name::from_stored(row.try_get(1)?).map_err(wrong(id))?,
        class: Class::try_new(row.try_get::<i16, _>(2)?.into()).map_err(wrong(id))?,
        sex: row.try_get::<&str, _>(3)?.parse().map_err(wrong(id))?,
        age: age.map(Age::try_new).transpose().map_err(wrong(id))?,
        fare: fare.map(Fare::try_new).transpose().map_err(wrong(id))?,
        siblings_or_spouses_aboard: relatives(row.try_get(6)?)?,
        parents_or_children_aboard: relatives(row.try_get(7)?)?,
        survived: row.try_get(8)?,
    };
    let Moment(updated_at) = row.try_get(10)?;
    Ok(Self { id, details, stamp: Stamp { version: row.try_get(9)?, updated_at } })
});

readable!(Listed, row => {
    let total = if row.len() > 11 { Some(row.try_get(11)?) } else { None };
    Ok(Self(Passenger::from_row(row)?, total))
});
