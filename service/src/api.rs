//! The API: the one place that lists the entities.

use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::backup::{self, BackupError, Contents, Kind};
use crate::clock::Clock;
use crate::config::Config;
use crate::database::Database;
use crate::http::openapi::{Answer, Described, Info, Operation};
use crate::http::{self, ApiRoute, PortService, Shared};
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

/// The kinds of records in a backup. A kind comes after those that it refers to; format 1 held the first one.
const KINDS: [&dyn Kind; 3] = [&PhantomData::<Passenger>, &PhantomData::<Voyage>, &PhantomData::<Call>];

/// Writes all records, as of one moment, into a file. It replaces an older file of this name at the end.
pub async fn backup(database: &Database, path: &Path, now: Timestamp) -> Result<Contents, BackupError> {
    backup::backup(database, &KINDS, path, now).await
}

/// Replaces all records with those in the file. Kinds that it does not hold stay as they are.
pub async fn restore(database: &Database, path: &Path) -> Result<Contents, BackupError> {
    backup::restore(database, &KINDS, path).await
}

/// Returns every route under `/api/` with the method and the status of its success.
#[must_use]
pub fn routes() -> Vec<ApiRoute> {
    let (passengers, voyages) = (passengers::http::described(), voyages::http::described());
    [greeting().api_routes(), passengers.api_routes(), voyages.api_routes()].concat()
}

/// Creates the state that all handlers share.
#[must_use]
pub fn shared(config: Config, passengers: &passengers::Store, clock: Arc<dyn Clock>) -> Shared {
    Shared::new(config, passengers.database().clone(), clock, routes())
}

/// Creates the service of the public port.
#[must_use]
pub fn public(shared: &Shared, passengers: &passengers::Store) -> PortService {
    let voyages = voyages::Store::new(shared.database.clone());
    let entities = passengers::http::routes(shared, passengers).merge(voyages::http::routes(shared, voyages));
    http::public(shared, greeting().with_state(shared.clone()).merge(entities), INFO)
}

fn greeting() -> Described<Shared> {
    let hello = Operation::new(Method::GET, "/api/hello", "hello", "Be welcomed").answers(
        Answer::new(200, "A welcome.").json(json!({
            "type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}
        })),
    );
    Described::default().on(hello, self::hello).tagged("about", http::ABOUT)
}

async fn hello() -> Json<Value> {
    Json(json!({ "message": "Welcome aboard the Titanic" }))
}
