//! The store of voyages, in either database.

use sqlx::FromRow;
use uuid::Uuid;

use super::domain::{Call, Day, Label, NewCall, NewVoyage, Voyage};
use crate::database::{Database, DatabaseError, Key, Statement, Value, doing};

const LIST: &str = "select id, ship, departed_on from voyages where id > $1 order by id limit +$2";
const GET: &str = "select id, ship, departed_on from voyages where id = $1";
const INSERT: &str = "insert into voyages (id, ship, departed_on) values ($1, $2, $3)";
const DELETE: &str = "delete from voyages where id = $1";
const CALLS: &str = "select id, voyage_id, port, called_on from calls where voyage_id = $1 \
     order by called_on, id limit 100";
/// A voyage that was removed meanwhile gets no call.
const ADD_CALL: &str = "insert into calls (id, voyage_id, port, called_on) \
     select $1, id, $2, $3 from voyages where id = $4";

#[derive(Debug, FromRow)]
struct VoyageRow {
    id: Key,
    ship: String,
    departed_on: String,
}

#[derive(Debug, FromRow)]
struct CallRow {
    id: Key,
    voyage_id: Key,
    port: String,
    called_on: String,
}

fn label(text: &str) -> Result<Label, DatabaseError> {
    Label::try_new(text).map_err(|expected| doing("reading a name")(sqlx::Error::Decode(expected.into())))
}

fn day(text: &str) -> Result<Day, DatabaseError> {
    text.parse().map_err(|expected: &str| doing("reading a day")(sqlx::Error::Decode(expected.into())))
}

impl VoyageRow {
    fn read(self) -> Result<Voyage, DatabaseError> {
        let details = NewVoyage { ship: label(&self.ship)?, departed_on: day(&self.departed_on)? };
        Ok(Voyage { id: self.id.0, details })
    }
}

impl CallRow {
    fn read(self) -> Result<Call, DatabaseError> {
        let details = NewCall { port: label(&self.port)?, called_on: day(&self.called_on)? };
        Ok(Call { id: self.id.0, voyage_id: self.voyage_id.0, details })
    }
}

/// The store of voyages. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    db: Database,
}

impl Store {
    /// Creates the store in an open database.
    #[must_use]
    pub fn new(db: Database) -> Self {
        Self { db }
    }

    /// Returns voyages after an id, in the order of ids.
    pub async fn list(&self, after: Uuid, limit: i64) -> Result<Vec<Voyage>, DatabaseError> {
        let statement = Statement::fixed(LIST, [Value::Key(after), Value::Whole(limit)]);
        let rows: Vec<VoyageRow> = self.db.rows(statement).await.map_err(doing("listing voyages"))?;
        rows.into_iter().map(VoyageRow::read).collect()
    }

    /// Returns a voyage, if there is one of this id.
    pub async fn get(&self, id: Uuid) -> Result<Option<Voyage>, DatabaseError> {
        let statement = Statement::fixed(GET, [Value::Key(id)]);
        let row: Option<VoyageRow> = self.db.row(statement).await.map_err(doing("reading a voyage"))?;
        row.map(VoyageRow::read).transpose()
    }

    /// Adds a voyage under a new id.
    pub async fn create(&self, details: NewVoyage) -> Result<Voyage, DatabaseError> {
        let id = Uuid::now_v7();
        let values = [
            Value::Key(id),
            Value::Text(details.ship.as_str().to_owned()),
            Value::Text(details.departed_on.to_string()),
        ];
        self.db.execute(Statement::fixed(INSERT, values)).await.map_err(doing("adding a voyage"))?;
        Ok(Voyage { id, details })
    }

    /// Removes a voyage with its calls. Returns whether there was one.
    pub async fn delete(&self, id: Uuid) -> Result<bool, DatabaseError> {
        let removed = self.db.execute(Statement::fixed(DELETE, [Value::Key(id)])).await;
        Ok(removed.map_err(doing("removing a voyage"))? > 0)
    }

    /// Returns the calls of a voyage in their order.
    pub async fn calls(&self, voyage: Uuid) -> Result<Vec<Call>, DatabaseError> {
        let rows = self.db.rows(Statement::fixed(CALLS, [Value::Key(voyage)])).await;
        let rows: Vec<CallRow> = rows.map_err(doing("listing calls"))?;
        rows.into_iter().map(CallRow::read).collect()
    }

    /// Adds a call to a voyage. Returns nothing if there is no such voyage.
    pub async fn add_call(&self, voyage_id: Uuid, details: NewCall) -> Result<Option<Call>, DatabaseError> {
        let id = Uuid::now_v7();
        let values = [
            Value::Key(id),
            Value::Text(details.port.as_str().to_owned()),
            Value::Text(details.called_on.to_string()),
            Value::Key(voyage_id),
        ];
        let added = self.db.execute(Statement::fixed(ADD_CALL, values)).await;
        let added = added.map_err(doing("adding a call"))?;
        Ok((added > 0).then_some(Call { id, voyage_id, details }))
    }
}
