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

use self::batcher::Batcher;
use crate::database::{Database, DatabaseError, Opening};
use crate::passengers::domain::seed::SeedError;

pub(super) use self::columns::COLUMNS;
pub use self::idempotency::{Repeatable, Repetition};
pub use self::list::Page;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The built-in list is unusable.
    #[error("loading the passenger list")]
    Seed(#[from] SeedError),
}

/// Prepares an open database: gives older rows their words, and loads the list into an empty database that is to serve.
pub async fn prepare(db: &Database, opening: Opening) -> Result<(), StoreError> {
    let store = Store::new(db.clone());
    if opening != Opening::Read {
        store.find_words().await?;
    }
    if opening == Opening::Serve {
        store.seed_if_empty().await?;
    }
    Ok(())
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
    /// Creates the store in an open database.
    #[must_use]
    pub fn new(db: Database) -> Self {
        Self { db, batcher: Arc::default() }
    }
}
