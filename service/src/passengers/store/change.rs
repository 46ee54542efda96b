//! Changing: adding, replacing and removing passengers, one or many.

use jiff::Timestamp;
use uuid::Uuid;

use super::columns::with_columns;
use super::{Store, StoreError, doing};
use crate::database::{Purpose, Statement, Tx, Value};
use crate::passengers::domain::model::{Age, Fare, NewPassenger, Passenger, Stamp};
use crate::passengers::domain::seed;
use crate::passengers::domain::words::words_of;

/// Passengers per statement, twelve values each. Not more: SQLite looks up each `$n` among all before it, so that ten times
/// as many take a hundred times as long.
const ROWS: usize = 50;

/// Passengers per statement of an export.
const EXPORT_PAGE: i64 = 200;

const INSERT: &str = "insert into passengers (id, name, words, class, sex, age, fare, siblings_or_spouses_aboard, \
     parents_or_children_aboard, survived, version, updated_at) values ";
/// Replaces only the state that was read: of two changes the second finds another version, and overwrites nothing unseen.
const REPLACE: &str = "update passengers set name = $1, words = $2, class = $3, sex = $4, age = $5, fare = $6, \
     siblings_or_spouses_aboard = $7, parents_or_children_aboard = $8, survived = $9, version = $10, updated_at = $11 \
     where id = $12 and version = $13 and updated_at = $14";
const REMOVE: &str = "delete from passengers where id = $1";
const REMOVE_STATE: &str = "delete from passengers where id = $1 and version = $2 and updated_at = $3";
const AFTER: &str = with_columns!("select ", " from passengers where id > $1 order by id limit +$2");

impl Store {
    /// Adds a passenger under a new id.
    pub async fn create(&self, details: NewPassenger, now: Timestamp) -> Result<Passenger, StoreError> {
        let passenger = Passenger { id: Uuid::now_v7(), details, stamp: Stamp::first(now) };
        let insert = insert_of(std::slice::from_ref(&passenger));
        self.db.execute(insert).await.map_err(doing("adding a passenger"))?;
        Ok(passenger)
    }

    /// Adds many passengers, all of them or none, and returns how many were new. One with an id that is known is left as it
    /// is, so that an import can be repeated. One without an id gets one that follows from what is said of it.
    pub async fn create_all(
        &self,
        all: Vec<(Option<Uuid>, NewPassenger)>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let stamp = Stamp::first(now);
        let passengers = all.into_iter();
        let passengers: Vec<_> = passengers
            .map(|(id, details)| Passenger { id: id.unwrap_or_else(|| details.natural_id()), details, stamp })
            .collect();
        let mut tx = self.db.begin(Purpose::Change).await.map_err(doing("adding passengers"))?;
        let added = insert_all(&mut tx, &passengers).await?;
        tx.commit().await.map_err(doing("adding passengers"))?;
        Ok(added)
    }

    /// Returns the passengers after an id, in the order of ids, for an export.
    pub async fn after(&self, id: Uuid) -> Result<Vec<Passenger>, StoreError> {
        let statement = page_after(id, EXPORT_PAGE);
        self.db.rows(statement).await.map_err(doing("exporting passengers"))
    }

    /// Puts other details in place of the state that was read. Nothing, when it is not the latest any more.
    pub async fn replace(
        &self,
        read: &Passenger,
        details: NewPassenger,
        now: Timestamp,
    ) -> Result<Option<Passenger>, StoreError> {
        let stamp = read.stamp.next(now);
        let mut values = details_of(&details).to_vec();
        values.extend([Value::Whole(stamp.version), Value::Moment(stamp.updated_at), Value::Key(read.id)]);
        values.extend([Value::Whole(read.stamp.version), Value::Moment(read.stamp.updated_at)]);
        let replace = Statement::fixed(REPLACE, values);
        let changed = self.db.execute(replace).await.map_err(doing("changing a passenger"))?;
        Ok((changed > 0).then_some(Passenger { id: read.id, details, stamp }))
    }

    /// Removes a passenger. Returns whether there was one.
    pub async fn delete(&self, id: Uuid) -> Result<bool, StoreError> {
        let remove = Statement::fixed(REMOVE, [Value::Key(id)]);
        Ok(self.db.execute(remove).await.map_err(doing("removing a passenger"))? > 0)
    }

    /// Removes a passenger in the state that was read. Returns whether it still was.
    pub async fn delete_state(&self, read: &Passenger) -> Result<bool, StoreError> {
        let Stamp { version, updated_at } = read.stamp;
        let values = [Value::Key(read.id), Value::Whole(version), Value::Moment(updated_at)];
        let remove = Statement::fixed(REMOVE_STATE, values);
        Ok(self.db.execute(remove).await.map_err(doing("removing a passenger"))? > 0)
    }

    pub(super) async fn seed_if_empty(&self) -> Result<(), StoreError> {
        let look = || Statement::begin("select count(*) from (select 1 from passengers limit 1) as someone");
        let looking = || doing("looking whether there are passengers");
        let is_empty = |row: Option<&(i64,)>| row.is_some_and(|(count,)| *count == 0);
        // Most starts find someone, and need not wait for those who write.
        if !is_empty(self.db.row(look()).await.map_err(looking())?.as_ref()) {
            return Ok(());
        }
        // Looked at again under the lock: of two services that start together, one loads and the other sees it.
        let mut tx = self.db.begin(Purpose::Replace).await.map_err(doing("loading the list"))?;
        tx.lock_table("passengers").await.map_err(doing("locking the passengers"))?;
        if !is_empty(tx.rows(look()).await.map_err(looking())?.first()) {
            return Ok(());
        }
        let list = seed::passengers()?;
        insert_all(&mut tx, &list).await?;
        tx.commit().await.map_err(doing("loading the list"))?;
        tracing::info!(passengers = list.len(), "loaded the passenger list into the empty database");
        Ok(())
    }

    /// Fills in the words of passengers that came aboard before names were cut into words.
    pub(super) async fn find_words(&self) -> Result<(), StoreError> {
        let wordless = "select id, name from passengers where words = '' and id > $1 order by id limit 500";
        let mut after = Uuid::nil();
        loop {
            let statement = Statement::fixed(wordless, [Value::Key(after)]);
            let rows: Vec<(crate::database::Key, String)> =
                self.db.rows(statement).await.map_err(doing("looking for names without words"))?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after = last.0;
            let mut tx = self.db.begin(Purpose::Change).await.map_err(doing("cutting names into words"))?;
            for (id, name) in rows {
                let sql = "update passengers set words = $1 where id = $2 and name = $3";
                let values = [Value::Text(words_of(&name)), Value::Key(id.0), Value::Text(name)];
                tx.execute(Statement::fixed(sql, values)).await.map_err(doing("cutting names into words"))?;
            }
            tx.commit().await.map_err(doing("cutting names into words"))?;
        }
    }
}

/// Adds passengers and returns how many were new. One with an id that is known is left as it is.
async fn insert_all(tx: &mut Tx, passengers: &[Passenger]) -> Result<u64, StoreError> {
    let mut added = 0;
    for rows in passengers.chunks(ROWS) {
        let mut insert = insert_of(rows);
        insert.text(" on conflict (id) do nothing");
        let insert = if rows.len() == ROWS { insert } else { insert.unprepared() };
        added += tx.execute(insert).await.map_err(doing("adding passengers"))?;
    }
    Ok(added)
}

pub(super) fn insert_of(passengers: &[Passenger]) -> Statement {
    let mut statement = Statement::begin(INSERT);
    statement.rows(passengers.iter().map(|Passenger { id, details, stamp }| {
        let stamp = [Value::Whole(stamp.version), Value::Moment(stamp.updated_at)];
        [Value::Key(*id)].into_iter().chain(details_of(details)).chain(stamp).collect()
    }));
    statement
}

/// Returns the statement that reads passengers after an id, in the order of ids.
pub(super) fn page_after(id: Uuid, limit: i64) -> Statement {
    Statement::fixed(AFTER, [Value::Key(id), Value::Whole(limit)])
}

/// The values of what a client says, in the order of [`INSERT`] and [`REPLACE`].
fn details_of(details: &NewPassenger) -> [Value; 9] {
    let name = details.name.as_str();
    [
        Value::Text(name.to_owned()),
        Value::Text(words_of(name)),
        Value::Small(details.class.get().into()),
        Value::Text(details.sex.as_str().to_owned()),
        Value::Real(details.age.map(Age::get)),
        Value::Real(details.fare.map(Fare::get)),
        Value::Small(details.siblings_or_spouses_aboard.get().into()),
        Value::Small(details.parents_or_children_aboard.get().into()),
        Value::Flag(details.survived),
    ]
}
