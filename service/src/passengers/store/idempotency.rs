//! Idempotency: a request that is sent again under its key is carried out once.
//!
//! The key, the passenger and the answer are one transaction, so that there is never one without the others. A second request
//! of the same key waits in the database until the first has ended, and finds its answer or carries it out itself.

use jiff::{SignedDuration, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use super::change::insert_of;
use super::{Store, StoreError, doing};
use crate::database::{Key, Purpose, Statement, Value};
use crate::passengers::domain::model::{NewPassenger, Passenger, Stamp};

/// Time for which an answer is stored.
const RETENTION: SignedDuration = SignedDuration::from_hours(24);

/// Not all at once: after a day of many keys that would take longer than a statement may.
const REMOVE_OLD: &str = "delete from idempotency_keys where (client, key) in \
     (select client, key from idempotency_keys where claimed_at < $1 order by claimed_at limit 500)";
/// A key without an answer is one that a version before this one claimed and never answered.
const REMOVE_UNUSABLE: &str =
    "delete from idempotency_keys where client = $1 and key = $2 and (answer is null or claimed_at < $3)";
/// Returns the row that is there, so that one statement stores the key or reads it.
const STORE_OR_READ: &str = "insert into idempotency_keys (client, key, fingerprint, claim, claimed_at, answer) \
     values ($1, $2, $3, $4, $5, $6) on conflict (client, key) do update set fingerprint = idempotency_keys.fingerprint \
     returning claim, fingerprint, answer";

/// A request that may come again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeatable {
    /// The client: keys of one client mean nothing to another.
    pub client: String,
    /// The key that the client chose.
    pub key: String,
    /// A digest of the requested content.
    pub fingerprint: String,
}

/// The outcome of a repeatable request.
#[derive(Debug, PartialEq)]
pub enum Repetition {
    /// It was carried out now.
    First(Box<Passenger>),
    /// It was carried out before, and this was the answer.
    Answered(String),
    /// Its key was used for another content.
    Misused,
}

#[derive(Debug, FromRow)]
struct Stored {
    claim: Key,
    fingerprint: String,
    answer: Option<String>,
}

impl Store {
    /// Adds a passenger under a new id and stores the answer, or returns the answer that is stored.
    pub async fn create_once(
        &self,
        details: NewPassenger,
        now: Timestamp,
        request: &Repeatable,
        answer: impl FnOnce(&Passenger) -> String + Send,
    ) -> Result<Repetition, StoreError> {
        let oldest = now.checked_sub(RETENTION).unwrap_or(Timestamp::MIN);
        if let Err(error) = self.db.execute(Statement::fixed(REMOVE_OLD, [Value::Moment(oldest)])).await {
            tracing::warn!(%error, "old idempotency keys could not be removed; the next request tries again");
        }
        let passenger = Passenger { id: Uuid::now_v7(), details, stamp: Stamp::first(now) };
        let answer = answer(&passenger);
        let added = self.add_once(&passenger, oldest, request, answer).await;
        let stored = added.map_err(doing("adding a passenger once"))?;
        Ok(match stored {
            Stored { claim: Key(id), .. } if id == passenger.id => Repetition::First(Box::new(passenger)),
            Stored { fingerprint, answer: Some(answer), .. } if fingerprint == request.fingerprint => {
                Repetition::Answered(answer)
            }
            _ => Repetition::Misused,
        })
    }

    /// Adds a passenger, unless its key is known. Returns what is stored of the key.
    async fn add_once(
        &self,
        passenger: &Passenger,
        oldest: Timestamp,
        request: &Repeatable,
        answer: String,
    ) -> Result<Stored, sqlx::Error> {
        let Repeatable { client, key, fingerprint } = request.clone();
        let mut tx = self.db.begin(Purpose::Change).await?;
        let values = [Value::Text(client.clone()), Value::Text(key.clone()), Value::Moment(oldest)];
        tx.execute(Statement::fixed(REMOVE_UNUSABLE, values)).await?;
        let values = [
            Value::Text(client),
            Value::Text(key),
            Value::Text(fingerprint),
            Value::Key(passenger.id),
            Value::Moment(passenger.stamp.updated_at),
            Value::Text(answer),
        ];
        let mut stored: Vec<Stored> = tx.rows(Statement::fixed(STORE_OR_READ, values)).await?;
        let stored = stored.pop().ok_or(sqlx::Error::RowNotFound)?;
        if stored.claim.0 == passenger.id {
            tx.execute(insert_of(std::slice::from_ref(passenger))).await?;
            tx.commit().await?;
        }
        Ok(stored)
    }
}
