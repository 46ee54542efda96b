//! Where passengers are kept: SQLite. The only file that knows SQL, so that another database is added here alone.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{FromRow, QueryBuilder, Sqlite};
use uuid::Uuid;

use super::filter::{Cursor, Filter, Query};
use super::model::{Age, Class, Name, NewPassenger, Passenger, Relatives};
use super::seed::{self, SeedError};
use crate::config::DatabaseUrl;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a request waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a writer waits for another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a health check waits for its answer.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// Rows per insert while loading: nine values each, well below SQLite's 32,766 per statement.
const SEED_ROWS: usize = 500;

const INSERT: &str = "insert into passengers (id, name, name_folded, class, sex, age, siblings_or_spouses_aboard, \
     parents_or_children_aboard, survived) ";
const GET: &str = "select id, name, class, sex, age, siblings_or_spouses_aboard, parents_or_children_aboard, survived \
     from passengers where id = $1";
const LIST: &str = "select id, name, class, sex, age, siblings_or_spouses_aboard, parents_or_children_aboard, survived \
     from passengers where ($1 is null or class = $1) and ($2 is null or sex = $2) \
     and ($3 is null or survived = $3) and ($4 is null or name_folded like $4 escape '\\') \
     and ($5 is null or age >= $5) and ($6 is null or age <= $6) and ($7 is null or id > $7) \
     order by id limit $8";
const COUNT: &str = "select count(*) from passengers where ($1 is null or class = $1) and ($2 is null or sex = $2) \
     and ($3 is null or survived = $3) and ($4 is null or name_folded like $4 escape '\\') \
     and ($5 is null or age >= $5) and ($6 is null or age <= $6)";

/// Why the store could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be opened or made.
    #[error("opening the database {url} (its folder must exist and be writable)")]
    Open {
        /// Where it should be, without credentials.
        url: String,
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
    /// Its tables cannot be brought up to date.
    #[error("migrating the database {url}; it was left as it is")]
    Migrate {
        /// Where it is, without credentials.
        url: String,
        /// What the driver said.
        #[source]
        source: MigrateError,
    },
    /// The list it should be loaded with is unusable.
    #[error("loading the passenger list")]
    Seed(#[from] SeedError),
    /// A statement failed.
    #[error("{doing}")]
    Query {
        /// What was attempted.
        doing: &'static str,
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
    /// A row says something impossible.
    #[error("passenger {id} is stored wrongly: expected {expected}")]
    Row {
        /// Which one.
        id: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The database did not answer a health check in time.
    #[error("the database did not answer within {} s", PING_TIMEOUT.as_secs())]
    Silent,
}

impl StoreError {
    /// Whether the same request may well succeed a little later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        let Self::Query { source, .. } = self else { return matches!(self, Self::Silent) };
        match source {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => true,
            // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_IOERR, SQLITE_CANTOPEN and their extended forms.
            sqlx::Error::Database(error) => {
                let code = error.code().and_then(|code| code.parse::<u32>().ok());
                code.is_some_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 14))
            }
            _ => false,
        }
    }
}

fn doing(doing: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |source| StoreError::Query { doing, source }
}

/// A page of passengers.
#[derive(Debug)]
pub struct Page {
    /// Those on it.
    pub items: Vec<Passenger>,
    /// Where the next one goes on, if there is one.
    pub next: Option<Cursor>,
    /// How many the filter lets through in all.
    pub total: i64,
}

/// Connections of the pool by what they are doing.
#[derive(Debug, Clone, Copy)]
pub struct PoolUse {
    /// Waiting for work.
    pub idle: u32,
    /// At work.
    pub used: u32,
}

/// The passengers, kept.
#[derive(Debug, Clone)]
pub struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Opens the database, makes it if it is not there, brings its tables up to date and loads the list if it is empty.
    pub async fn open(url: &DatabaseUrl, max_connections: u32) -> Result<Self, StoreError> {
        let open = |source| StoreError::Open { url: url.to_string(), source };
        let in_memory = url.expose().contains(":memory:") || url.expose().contains("mode=memory");
        let options = SqliteConnectOptions::from_str(url.expose())
            .map_err(open)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            // A database in memory ends with its last connection, and shares locks among several: it gets exactly one.
            .min_connections(u32::from(in_memory))
            .max_connections(if in_memory { 1 } else { max_connections })
            .idle_timeout((!in_memory).then_some(Duration::from_secs(600)))
            .max_lifetime((!in_memory).then_some(Duration::from_secs(1800)))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options)
            .await
            .map_err(open)?;
        MIGRATIONS.run(&pool).await.map_err(|source| StoreError::Migrate { url: url.to_string(), source })?;
        let store = Self { pool };
        store.seed_if_empty().await?;
        Ok(store)
    }

    async fn seed_if_empty(&self) -> Result<(), StoreError> {
        // The write lock is taken before looking: of two services that start together, one loads and the other sees it.
        let mut transaction =
            self.pool.begin_with("begin immediate").await.map_err(doing("loading the list"))?;
        let empty: bool = sqlx::query_scalar("select not exists (select 1 from passengers)")
            .fetch_one(&mut *transaction)
            .await
            .map_err(doing("looking whether there are passengers"))?;
        if !empty {
            return Ok(());
        }
        let list = seed::passengers()?;
        for rows in list.chunks(SEED_ROWS) {
            let mut insert = insert_of(rows);
            insert.build().execute(&mut *transaction).await.map_err(doing("loading the list"))?;
        }
        transaction.commit().await.map_err(doing("loading the list"))?;
        tracing::info!(passengers = list.len(), "loaded the passenger list into the empty database");
        Ok(())
    }

    /// One page of the list.
    pub async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        let bound = Bound::of(&query.filter);
        let after = query.after.map(|Cursor(id)| id.to_string());
        let limit = usize::from(query.limit);
        // One transaction, so that the total and the page are of the same moment.
        let mut transaction = self.pool.begin().await.map_err(doing("listing passengers"))?;
        let total = sqlx::query_scalar(COUNT)
            .bind(bound.class)
            .bind(bound.sex)
            .bind(bound.survived)
            .bind(&bound.name)
            .bind(bound.min_age)
            .bind(bound.max_age)
            .fetch_one(&mut *transaction)
            .await
            .map_err(doing("counting passengers"))?;
        // One more than asked for tells whether there is a next page.
        let rows: Vec<Row> = sqlx::query_as(LIST)
            .bind(bound.class)
            .bind(bound.sex)
            .bind(bound.survived)
            .bind(&bound.name)
            .bind(bound.min_age)
            .bind(bound.max_age)
            .bind(after)
            .bind(i64::from(query.limit) + 1)
            .fetch_all(&mut *transaction)
            .await
            .map_err(doing("listing passengers"))?;
        let more = rows.len() > limit;
        let items = rows.into_iter().take(limit).map(Passenger::try_from).collect::<Result<Vec<_>, _>>()?;
        let next = items.last().filter(|_| more).map(|last| Cursor(last.id));
        Ok(Page { items, next, total })
    }

    /// One passenger, if there is one of this id.
    pub async fn get(&self, id: Uuid) -> Result<Option<Passenger>, StoreError> {
        let row: Option<Row> = sqlx::query_as(GET)
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await
            .map_err(doing("reading a passenger"))?;
        row.map(Passenger::try_from).transpose()
    }

    /// Adds a passenger under a new id.
    pub async fn create(&self, details: NewPassenger) -> Result<Passenger, StoreError> {
        let passenger = Passenger { id: Uuid::now_v7(), details };
        let mut insert = insert_of(std::slice::from_ref(&passenger));
        insert.build().execute(&self.pool).await.map_err(doing("adding a passenger"))?;
        Ok(passenger)
    }

    /// Removes a passenger. Returns whether there was one.
    pub async fn delete(&self, id: Uuid) -> Result<bool, StoreError> {
        let result = sqlx::query("delete from passengers where id = $1")
            .bind(id.to_string())
            .execute(&self.pool)
            .await
            .map_err(doing("removing a passenger"))?;
        Ok(result.rows_affected() > 0)
    }

    /// Whether the passengers can be read right now.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let look = sqlx::query("select 1 from passengers limit 1").fetch_optional(&self.pool);
        match tokio::time::timeout(PING_TIMEOUT, look).await {
            Ok(answer) => answer.map(|_| ()).map_err(doing("asking the database for a sign of life")),
            Err(_) => Err(StoreError::Silent),
        }
    }

    /// What the connections are doing.
    #[must_use]
    pub fn pool_use(&self) -> PoolUse {
        let size = self.pool.size();
        let idle = u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX).min(size);
        PoolUse { idle, used: size - idle }
    }

    /// Waits for running statements and closes.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

fn insert_of(passengers: &[Passenger]) -> QueryBuilder<Sqlite> {
    let mut builder = QueryBuilder::new(INSERT);
    builder.push_values(passengers, |mut row, Passenger { id, details }| {
        row.push_bind(id.to_string())
            .push_bind(details.name.as_str().to_owned())
            .push_bind(details.name.as_str().to_lowercase())
            .push_bind(details.class.number())
            .push_bind(details.sex.as_str())
            .push_bind(details.age.map(Age::years))
            .push_bind(details.siblings_or_spouses_aboard.number())
            .push_bind(details.parents_or_children_aboard.number())
            .push_bind(details.survived);
    });
    builder
}

/// A filter as the statements want it.
struct Bound {
    class: Option<i64>,
    sex: Option<&'static str>,
    survived: Option<bool>,
    name: Option<String>,
    min_age: Option<f64>,
    max_age: Option<f64>,
}

impl Bound {
    fn of(filter: &Filter) -> Self {
        Self {
            class: filter.class.map(Class::number),
            sex: filter.sex.map(super::model::Sex::as_str),
            survived: filter.survived,
            name: filter.name.as_deref().map(containing),
            min_age: filter.min_age.map(Age::years),
            max_age: filter.max_age.map(Age::years),
        }
    }
}

/// A `like` pattern for texts that contain this one. Its wildcards are meant literally.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[derive(Debug, FromRow)]
struct Row {
    id: String,
    name: String,
    class: i64,
    sex: String,
    age: Option<f64>,
    siblings_or_spouses_aboard: i64,
    parents_or_children_aboard: i64,
    survived: bool,
}

impl TryFrom<Row> for Passenger {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let read = || {
            Ok(Self {
                id: Uuid::try_parse(&row.id).map_err(|_| "a UUID as its id")?,
                details: NewPassenger {
                    name: Name::try_new(&row.name)?,
                    class: Class::try_new(row.class)?,
                    sex: row.sex.parse()?,
                    age: row.age.map(Age::try_new).transpose()?,
                    siblings_or_spouses_aboard: Relatives::try_new(row.siblings_or_spouses_aboard)?,
                    parents_or_children_aboard: Relatives::try_new(row.parents_or_children_aboard)?,
                    survived: row.survived,
                },
            })
        };
        read().map_err(|expected| StoreError::Row { id: row.id.clone(), expected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_in_a_name_are_meant_literally() {
        assert_eq!(containing(r"50%_\A"), r"%50\%\_\\a%");
    }
}
