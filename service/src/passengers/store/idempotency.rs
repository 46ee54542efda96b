//! Idempotency: a repeated request is carried out once, by the holder of its claim, who stores the response.
//!
//! A claim is seen by others at once, so that a second request of the same key need not wait for the first. The passenger and
//! the answer are one transaction. A process that dies in between leaves a claim without an answer, which another request
//! takes over when no request can still be working on it.

use jiff::{SignedDuration, Timestamp};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, StoreError, doing};
use crate::database::{Key, Moment};
use crate::database::{Purpose, Statement, Value};
use crate::passengers::domain::model::{NewPassenger, Passenger, Stamp};

/// Time for which an answer is stored.
const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// Time after which a claim is abandoned: longer than the database lets a statement wait and run.
const LEASE: SignedDuration = SignedDuration::from_secs(30);

/// Not all at once: after a day of many keys that would take longer than a statement may.
const FORGET: &str = "delete from idempotency_keys where (client, key) in \
     (select client, key from idempotency_keys where claimed_at < $1 order by claimed_at limit 500)";
const CLAIM: &str = "insert into idempotency_keys (client, key, fingerprint, claim, claimed_at) \
     values ($1, $2, $3, $4, $5) on conflict (client, key) do nothing";
const LOOK: &str =
    "select fingerprint, claim, claimed_at, answer from idempotency_keys where client = $1 and key = $2";
const TAKE_OVER: &str = "update idempotency_keys set claim = $1, claimed_at = $2 \
     where client = $3 and key = $4 and claim = $5 and answer is null";
const ANSWER: &str = "update idempotency_keys set answer = $1 \
     where client = $2 and key = $3 and claim = $4 and answer is null";
const RELEASE: &str =
    "delete from idempotency_keys where client = $1 and key = $2 and claim = $3 and answer is null";

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

/// The outcome of a claim.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// The request is to be carried out by the holder of this claim.
    Ours(Uuid),
    /// It was: this was the answer.
    Answered(String),
    /// Someone is at it.
    Busy,
    /// The key was used for something else.
    Misused,
}

#[derive(Debug, FromRow)]
struct Known {
    fingerprint: String,
    claim: Key,
    claimed_at: Moment,
    answer: Option<String>,
}

impl Repeatable {
    fn values(&self) -> [Value; 2] {
        [Value::Text(self.client.clone()), Value::Text(self.key.clone())]
    }
}

impl Store {
    /// Finds out what is to be done with a request, and claims it if it is to be carried out.
    pub async fn claim(&self, request: &Repeatable, now: Timestamp) -> Result<Claim, StoreError> {
        let attempt = || doing("claiming an idempotency key");
        let forget = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
        if let Err(error) = self.db.execute(Statement::fixed(FORGET, [Value::Moment(forget)])).await {
            tracing::warn!(%error, "old idempotency keys could not be removed; the next request tries again");
        }
        let ours = Uuid::now_v7();
        let mut values = request.values().to_vec();
        values.extend([Value::Text(request.fingerprint.clone()), Value::Key(ours), Value::Moment(now)]);
        if self.db.execute(Statement::fixed(CLAIM, values)).await.map_err(attempt())? > 0 {
            return Ok(Claim::Ours(ours));
        }
        let look = Statement::fixed(LOOK, request.values());
        let known: Option<Known> = self.db.row(look).await.map_err(attempt())?;
        // Released in between: whoever asks again will find it free.
        let Some(known) = known else { return Ok(Claim::Busy) };
        if known.fingerprint != request.fingerprint {
            return Ok(Claim::Misused);
        }
        if let Some(answer) = known.answer {
            return Ok(Claim::Answered(answer));
        }
        if now.duration_since(known.claimed_at.0) < LEASE {
            return Ok(Claim::Busy);
        }
        let mut values = vec![Value::Key(ours), Value::Moment(now)];
        values.extend(request.values());
        values.push(Value::Key(known.claim.0));
        let taken = self.db.execute(Statement::fixed(TAKE_OVER, values)).await.map_err(attempt())? > 0;
        Ok(if taken { Claim::Ours(ours) } else { Claim::Busy })
    }

    /// Adds a passenger under a new id and leaves the answer, both or neither. Nothing, when the claim is not ours any more.
    pub async fn create_once(
        &self,
        details: NewPassenger,
        now: Timestamp,
        (request, claim): (&Repeatable, Uuid),
        answer: impl FnOnce(&Passenger) -> String + Send,
    ) -> Result<Option<Passenger>, StoreError> {
        let attempt = || doing("adding a passenger once");
        let passenger = Passenger { id: Uuid::now_v7(), details, stamp: Stamp::first(now) };
        let mut values = vec![Value::Text(answer(&passenger))];
        values.extend(request.values());
        values.push(Value::Key(claim));
        let mut tx = self.db.begin(Purpose::Change).await.map_err(attempt())?;
        if tx.execute(Statement::fixed(ANSWER, values)).await.map_err(attempt())? == 0 {
            return Ok(None);
        }
        let insert = super::change::insert_of(std::slice::from_ref(&passenger));
        tx.execute(insert).await.map_err(attempt())?;
        tx.commit().await.map_err(attempt())?;
        Ok(Some(passenger))
    }

    /// Gives a claim back after the request could not be carried out, so that it may come again at once.
    pub async fn release(&self, request: &Repeatable, claim: Uuid) -> Result<(), StoreError> {
        let mut values = request.values().to_vec();
        values.push(Value::Key(claim));
        let release = Statement::fixed(RELEASE, values);
        self.db.execute(release).await.map(|_| ()).map_err(doing("releasing an idempotency key"))
    }
}
