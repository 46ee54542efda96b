//! The store of passengers, in either database.
//!
//! - `list` finds, `batcher` merges concurrent reads of single passengers, `change` writes, `idempotency` does so once for
//!   a repeated request.
//! - `backup` makes passengers records of a backup.
//! - `columns` is the row, `plan` shows the query plan of a page.

mod backup;
mod batcher;
mod change;
mod columns;
mod idempotency;
mod list;
mod plan;

use std::sync::Arc;

use uuid::Uuid;

use self::batcher::Batcher;
use crate::config::{DatabaseUrl, Pooling};
use crate::database::{Database, DatabaseError, Exhausted, Opening, PoolUse};
use crate::passengers::domain::seed::SeedError;

pub use self::idempotency::{Claim, Repeatable};

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The built-in list is unusable.
    #[error("loading the passenger list")]
    Seed(#[from] SeedError),
    /// A row holds an impossible value.
    #[error("passenger {id} is stored wrongly: expected {expected}")]
    Row {
        /// The id of the row.
        id: Uuid,
        /// The expected value.
        expected: &'static str,
    },
}

impl StoreError {
    /// Returns whether a start that failed like this may succeed a little later.
    #[must_use]
    pub fn may_still_come(&self) -> bool {
        matches!(self, Self::Database(error) if error.may_still_come())
    }
}

/// Adds the attempted operation to the error of a failed statement.
fn doing(doing: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    let attempt = crate::database::doing(doing);
    move |source| attempt(source).into()
}

/// The store of passengers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    db: Database,
    batcher: Arc<Batcher>,
}

impl Store {
    /// Opens a database to serve: it is created, migrated and loaded with the list where necessary.
    pub async fn open(url: &DatabaseUrl, max_connections: u32) -> Result<Self, StoreError> {
        Self::open_for(Opening::Serve, url, Pooling::Session, max_connections).await
    }

    /// Opens a database for a purpose.
    pub async fn open_for(
        opening: Opening,
        url: &DatabaseUrl,
        pooling: Pooling,
        max_connections: u32,
    ) -> Result<Self, StoreError> {
        let db = Database::open(opening, url, pooling, max_connections).await?;
        let store = Self::new(db);
        if opening != Opening::Read {
            store.find_words().await?;
        }
        if opening == Opening::Serve {
            store.seed_if_empty().await?;
        }
        Ok(store)
    }

    /// Creates the store in an open database.
    #[must_use]
    pub fn new(db: Database) -> Self {
        Self { db, batcher: Arc::default() }
    }

    /// Returns the database.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.db
    }

    /// Withholds every connection: see [`Database::exhaust`].
    pub async fn exhaust(&self) -> Option<Exhausted> {
        self.db.exhaust().await
    }

    /// Returns the connections by their use.
    #[must_use]
    pub fn pool_use(&self) -> PoolUse {
        self.db.pool_use()
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.db.close().await;
    }
}
