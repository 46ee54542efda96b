//! Column types that each database stores in its own way.

use jiff::Timestamp;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgTypeInfo;
use sqlx::postgres::types::Oid;
use sqlx::{Database, Decode, Encode, Postgres, Sqlite, Type};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

/// An id: `uuid` in PostgreSQL; in SQLite text with hyphens, which a person at its prompt can read. Both order alike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key(pub(crate) Uuid);

/// A point in time: `timestamptz` in PostgreSQL, milliseconds since the Unix epoch in SQLite.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(pub(crate) Timestamp);

/// PostgreSQL's number for `timestamptz`, which its catalogue has had for ever.
const TIMESTAMPTZ: Oid = Oid(1184);
/// PostgreSQL's epoch: 1 January 2000, in microseconds since the Unix epoch.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// Stores a type in a database as one that sqlx knows.
macro_rules! stored {
    ($type:ident in $database:ident: $info:expr, $stored:ty, $encode:expr, $decode:expr) => {
        impl Type<$database> for $type {
            fn type_info() -> <$database as Database>::TypeInfo {
                $info
            }
        }

        impl Encode<'_, $database> for $type {
            fn encode_by_ref(
                &self,
                buffer: &mut <$database as Database>::ArgumentBuffer,
            ) -> Result<IsNull, BoxDynError> {
                let encode: fn(&Self) -> $stored = $encode;
                Encode::<$database>::encode(encode(self), buffer)
            }
        }

        impl<'r> Decode<'r, $database> for $type {
            fn decode(value: <$database as Database>::ValueRef<'r>) -> Result<Self, BoxDynError> {
                let decode: fn($stored) -> Result<Self, BoxDynError> = $decode;
                decode(<$stored as Decode<$database>>::decode(value)?)
            }
        }
    };
}

stored!(Key in Sqlite: <Hyphenated as Type<Sqlite>>::type_info(), Hyphenated,
    |key| key.0.hyphenated(), |id| Ok(Self(id.into_uuid())));
stored!(Key in Postgres: <Uuid as Type<Postgres>>::type_info(), Uuid, |key| key.0, |id| Ok(Self(id)));
stored!(Moment in Sqlite: <i64 as Type<Sqlite>>::type_info(), i64,
    |time| time.0.as_millisecond(), |at| Ok(Self(Timestamp::from_millisecond(at)?)));
stored!(Moment in Postgres: PgTypeInfo::with_oid(TIMESTAMPTZ), i64,
|time| time.0.as_microsecond() - POSTGRES_EPOCH,
|at| {
    let since_epoch = at.checked_add(POSTGRES_EPOCH).ok_or("a time after the end of time")?;
    Ok(Self(Timestamp::from_microsecond(since_epoch)?))
});
