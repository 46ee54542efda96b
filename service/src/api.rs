//! The API: the one place that lists the entities.

use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::http::Method;
use serde_json::{Value, json};

use crate::backup::{Backup, BackupError, Counts, Record as _, Restore};
use crate::clock::Clock;
use crate::config::{Config, Scope};
use crate::database::{Database, DatabaseError, Opening};
use crate::http::openapi::{Answer, Described, Info, Operation};
use crate::http::{self, ApiRoute, PortService, Shared};
use crate::passengers::StoreError;
use crate::passengers::domain::model::Passenger;
use crate::voyages::domain::{Call, Voyage};
use crate::{passengers, voyages};

const INFO: Info = Info {
    title: "Passengers of the Titanic",
    description: "Who was aboard and who was saved. The port speaks HTTP/1.1 and HTTP/2 (with prior knowledge). Every error \
        is `application/problem+json` (RFC 9457) and names the field at fault. Only what never becomes a request has an \
        answer without a body, after which a connection of HTTP/1.1 is closed: 400 for what is not HTTP, 431 for a head \
        of more than 100 fields or 32 KiB.",
};

/// The scopes that a key may have.
pub const SCOPES: &[Scope] = {
    const ALL: [Scope; 5] = {
        let ([read, write, import], [read_voyages, write_voyages]) = (passengers::SCOPES, voyages::SCOPES);
        [read, write, import, read_voyages, write_voyages]
    };
    &ALL
};

/// The reason for which a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be reached, or its tables do not fit.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The records of an entity cannot be prepared.
    #[error("preparing {entity}")]
    Entity {
        /// The entity.
        entity: &'static str,
        /// The reason.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl OpenError {
    /// Returns whether a start that failed like this may succeed a little later.
    #[must_use]
    pub fn may_still_come(&self) -> bool {
        matches!(self, Self::Database(error) if error.may_still_come())
    }
}

/// Opens a database for a purpose, and lets each entity prepare its records.
pub async fn open(opening: Opening, config: &Config, max_connections: u32) -> Result<Database, OpenError> {
    let database = Database::open(opening, &config.database_url, config.pooling, max_connections).await?;
    passengers::prepare(&database, opening).await.map_err(|error| match error {
        StoreError::Database(error) => error.into(),
        error => OpenError::Entity { entity: "passengers", source: error.into() },
    })?;
    Ok(database)
}

/// Writes all records, as of one moment, into a new file.
pub async fn backup(database: &Database, path: &Path) -> Result<Counts, BackupError> {
    let mut backup = Backup::begin(database, path).await?;
    backup.table::<Passenger>().await?;
    backup.table::<Voyage>().await?;
    backup.table::<Call>().await?;
    backup.finish()
}

/// Replaces all records with those in the file. Readers see the state before meanwhile, and writers wait.
pub async fn restore(database: &Database, path: &Path) -> Result<Counts, BackupError> {
    let tables = [Passenger::TABLE, Voyage::TABLE, Call::TABLE];
    let mut restore = Restore::begin(database, path, &tables).await?;
    restore.table::<Passenger>().await?;
    restore.table::<Voyage>().await?;
    restore.table::<Call>().await?;
    restore.finish().await
}

/// Returns every route under `/api/` with the method and the status of its success.
#[must_use]
pub fn routes() -> Vec<ApiRoute> {
    let (passengers, voyages) = (passengers::http::described(), voyages::http::described());
    [greeting().api_routes(), passengers.api_routes(), voyages.api_routes()].concat()
}

/// Creates the state that all handlers share.
#[must_use]
pub fn shared(config: Config, database: Database, clock: Arc<dyn Clock>) -> Shared {
    Shared::new(config, database, clock, routes())
}

/// Creates the service of the public port.
#[must_use]
pub fn public(shared: &Shared) -> PortService {
    let entities = passengers::http::routes(shared).merge(voyages::http::routes(shared));
    http::public(shared, greeting().with_state(shared.clone()).merge(entities), INFO)
}

fn greeting() -> Described<Shared> {
    let hello = Operation::new(Method::GET, "/api/hello", "hello", "Be welcomed").answers(
        Answer::new(200, "A welcome.").json(json!({
            "type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}
        })),
    );
    Described::default().on(hello, self::hello)
}

async fn hello() -> Json<Value> {
    Json(json!({ "message": "Welcome aboard the Titanic" }))
}
