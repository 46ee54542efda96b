//! Columns and rows: what each database keeps in its own way, and passengers as they come out of either.

use jiff::Timestamp;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgValueRef};
use sqlx::sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Encode, FromRow, Postgres, Sqlite, Type};
use uuid::Uuid;

use super::StoreError;
use crate::passengers::model::{Age, Class, Fare, Name, NewPassenger, Passenger, Relatives, Stamp};

/// An id: `uuid` in PostgreSQL; in SQLite text with hyphens, which a person at its prompt can read. Both order alike.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key(pub(super) Uuid);

/// A point in time: `timestamptz` in PostgreSQL, milliseconds since the Unix epoch in SQLite.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(pub(super) Timestamp);

impl Type<Sqlite> for Key {
    fn type_info() -> SqliteTypeInfo {
        <str as Type<Sqlite>>::type_info()
    }
}

impl Encode<'_, Sqlite> for Key {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Sqlite>::encode(self.0.to_string(), buffer)
    }
}

impl<'r> Decode<'r, Sqlite> for Key {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        let text = <&str as Decode<Sqlite>>::decode(value)?;
        Ok(Self(Uuid::try_parse(text)?))
    }
}

impl Type<Postgres> for Key {
    fn type_info() -> PgTypeInfo {
        <Uuid as Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Postgres> for Key {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode_by_ref(&self.0, buffer)
    }
}

impl<'r> Decode<'r, Postgres> for Key {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        <Uuid as Decode<Postgres>>::decode(value).map(Self)
    }
}

impl Type<Sqlite> for Moment {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Sqlite>>::type_info()
    }
}

impl Encode<'_, Sqlite> for Moment {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Sqlite>::encode(self.0.as_millisecond(), buffer)
    }
}

impl<'r> Decode<'r, Sqlite> for Moment {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        let milliseconds = <i64 as Decode<Sqlite>>::decode(value)?;
        Ok(Self(Timestamp::from_millisecond(milliseconds)?))
    }
}

/// PostgreSQL's number for `timestamptz`, which its catalogue has had for ever.
const TIMESTAMPTZ: Oid = Oid(1184);
/// PostgreSQL's epoch: 1 January 2000, in microseconds since the Unix epoch.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl Encode<'_, Postgres> for Moment {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode(self.0.as_microsecond() - POSTGRES_EPOCH, buffer)
    }
}

impl<'r> Decode<'r, Postgres> for Moment {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let microseconds = <i64 as Decode<Postgres>>::decode(value)?;
        let since_epoch = microseconds.checked_add(POSTGRES_EPOCH).ok_or("a time after the end of time")?;
        Ok(Self(Timestamp::from_microsecond(since_epoch)?))
    }
}

/// The columns of a [`Row`].
pub(super) const COLUMNS: &str = "id, name, class, sex, age, fare, siblings_or_spouses_aboard, \
     parents_or_children_aboard, survived, version, updated_at";

#[derive(Debug, Clone, FromRow)]
pub(super) struct Row {
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
                name: Name::try_new(&row.name)?,
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
