//! The yardstick of `cargo xtask bench api`: two of our routes as little as axum and sqlx need for them, on the database
//! of a service that has filled it. The same statements, the same bodies, as many connections; no log, no metrics, no
//! limits, no faults. What the service costs beyond this is what its virtues cost.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr as _;

use anyhow::Context as _;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgTypeInfo, PgValueRef};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Decode, FromRow, PgPool, Postgres, SqlitePool, Type};
use uuid::Uuid;

const ONE: &str = "select id, name, class, sex, age, fare, siblings_or_spouses_aboard, parents_or_children_aboard, \
     survived, version, updated_at from passengers where id = $1";
const PAGE: &str = "select id, name, class, sex, age, fare, siblings_or_spouses_aboard, parents_or_children_aboard, \
     survived, version, updated_at from passengers where true order by id asc limit $1";
/// As many as the service holds unless it is told otherwise.
const CONNECTIONS: u32 = 10;

#[derive(Serialize, FromRow)]
struct Passenger<Id, Moment> {
    id: Id,
    name: String,
    class: i16,
    sex: String,
    #[serde(serialize_with = "plainly")]
    age: Option<f64>,
    #[serde(serialize_with = "plainly")]
    fare: Option<f64>,
    siblings_or_spouses_aboard: i16,
    parents_or_children_aboard: i16,
    survived: bool,
    version: i64,
    updated_at: Moment,
}

#[derive(Serialize)]
struct Listed<Id, Moment> {
    items: Vec<Passenger<Id, Moment>>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Asked {
    limit: u8,
}

/// A point in time as SQLite keeps it.
#[derive(sqlx::Type)]
#[sqlx(transparent)]
struct Milliseconds(i64);

/// A point in time as PostgreSQL keeps it, since the year 2000.
struct Microseconds(i64);

impl Type<Postgres> for Microseconds {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1184))
    }
}

impl<'r> Decode<'r, Postgres> for Microseconds {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        <i64 as Decode<Postgres>>::decode(value).map(Self)
    }
}

impl Serialize for Milliseconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Timestamp::from_millisecond(self.0).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl Serialize for Microseconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let since_epoch = self.0 + 946_684_800_000_000;
        Timestamp::from_microsecond(since_epoch).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// Whole numbers without a point, as the service writes them.
#[expect(clippy::cast_possible_truncation, reason = "ages and fares are small")]
fn plainly<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) if number.fract() == 0.0 => serializer.serialize_i32(*number as i32),
        number => number.serialize(serializer),
    }
}

/// The routes over one kind of pool; a macro, because what is generic over databases needs more words than twice this.
macro_rules! api {
    ($name:ident, $pool:ty, $id:ty, $moment:ty, $key:expr, $simple:expr) => {
        fn $name(pool: $pool) -> Router {
            type Found = Passenger<$id, $moment>;

            async fn one(State(pool): State<$pool>, Path(id): Path<Uuid>) -> Result<Json<Found>, StatusCode> {
                let row = sqlx::query_as(ONE).bind($key(id)).fetch_optional(&pool).await;
                row.map_err(failed)?.map(Json).ok_or(StatusCode::NOT_FOUND)
            }

            async fn page(
                State(pool): State<$pool>,
                Query(Asked { limit }): Query<Asked>,
            ) -> Result<Json<Listed<$id, $moment>>, StatusCode> {
                let rows = sqlx::query_as(PAGE).bind(i64::from(limit) + 1).fetch_all(&pool).await;
                let mut items: Vec<Found> = rows.map_err(failed)?;
                let more = items.len() > usize::from(limit);
                items.truncate(limit.into());
                let last = items.last().filter(|_| more);
                let next_cursor = last.map(|last| format!("a{}", $simple(&last.id)));
                Ok(Json(Listed { items, next_cursor }))
            }

            let routes = Router::new().route("/api/v1/passengers/{id}", get(one));
            routes.route("/api/v1/passengers", get(page)).with_state(pool)
        }
    };
}
api!(on_sqlite, SqlitePool, String, Milliseconds, |id: Uuid| id.to_string(), |id: &String| id
    .replace('-', ""));
api!(on_postgres, PgPool, Uuid, Microseconds, |id: Uuid| id, |id: &Uuid| id.simple().to_string());

fn failed(_: sqlx::Error) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("DATABASE_URL").context("DATABASE_URL says which database to read")?;
    let port = std::env::var("PORT").context("PORT says where to listen")?.parse().context("reading PORT")?;
    let routes = if url.starts_with("postgres") {
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
        on_postgres(pool.connect_with(PgConnectOptions::from_str(&url)?).await?)
    } else {
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
        on_sqlite(pool.connect_with(SqliteConnectOptions::from_str(&url)?).await?)
    };
    let listener = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    let listener = listener.tap_io(|stream| {
        let _slower_but_served = stream.set_nodelay(true);
    });
    axum::serve(listener, routes).await?;
    Ok(())
}
