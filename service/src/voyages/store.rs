//! The store of voyages, in either database.

use serde_json::Map;
use sqlx::Row as _;
use uuid::Uuid;

use super::domain::{Call, Day, Label, NewCall, NewVoyage, Voyage};
use crate::backup::Record;
use crate::database::{Database, DatabaseError, Key, Statement, Value, doing, readable};
use crate::fields;

const LIST: &str = "select id, ship, departed_on from voyages where id > $1 order by id limit +$2";
const GET: &str = "select id, ship, departed_on from voyages where id = $1";
const INSERT: &str = "insert into voyages (id, ship, departed_on) values ";
const DELETE: &str = "delete from voyages where id = $1";
const INSERT_CALLS: &str = "insert into calls (id, voyage_id, port, called_on) values ";
const CALLS_AFTER: &str =
    "select id, voyage_id, port, called_on from calls where id > $1 order by id limit +$2";
const CALLS: &str = "select id, voyage_id, port, called_on from calls where voyage_id = $1 \
     and (called_on, id) > ($2, $3) order by called_on, id limit +$4";
/// A voyage that was removed meanwhile gets no call.
const ADD_CALL: &str = "insert into calls (id, voyage_id, port, called_on) \
     select $1, id, $2, $3 from voyages where id = $4";

fn wrong(expected: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(expected.into())
}

readable!(Voyage, row => {
    let Key(id) = row.try_get(0)?;
    let ship = Label::from_stored(row.try_get(1)?).map_err(wrong)?;
    let departed_on = row.try_get::<&str, _>(2)?.parse().map_err(wrong)?;
    Ok(Self { id, details: NewVoyage { ship, departed_on } })
});

readable!(Call, row => {
    let (Key(id), Key(voyage_id)) = (row.try_get(0)?, row.try_get(1)?);
    let port = Label::from_stored(row.try_get(2)?).map_err(wrong)?;
    let called_on = row.try_get::<&str, _>(3)?.parse().map_err(wrong)?;
    Ok(Self { id, voyage_id, details: NewCall { port, called_on } })
});

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
    pub async fn list(&self, after: Uuid, limit: u8) -> Result<Vec<Voyage>, DatabaseError> {
        let statement = Statement::fixed(LIST, [Value::Key(after), Value::Whole(limit.into())]);
        self.db.rows(statement).await.map_err(doing("listing voyages"))
    }

    /// Returns a voyage, if there is one of this id.
    pub async fn get(&self, id: Uuid) -> Result<Option<Voyage>, DatabaseError> {
        let statement = Statement::fixed(GET, [Value::Key(id)]);
        self.db.row(statement).await.map_err(doing("reading a voyage"))
    }

    /// Adds a voyage under a new id.
    pub async fn create(&self, details: NewVoyage) -> Result<Voyage, DatabaseError> {
        let voyage = Voyage { id: Uuid::now_v7(), details };
        let insert = Voyage::insert(std::slice::from_ref(&voyage));
        self.db.execute(insert).await.map_err(doing("adding a voyage"))?;
        Ok(voyage)
    }

    /// Removes a voyage with its calls. Returns whether there was one.
    pub async fn delete(&self, id: Uuid) -> Result<bool, DatabaseError> {
        let removed = self.db.execute(Statement::fixed(DELETE, [Value::Key(id)])).await;
        Ok(removed.map_err(doing("removing a voyage"))? > 0)
    }

    /// Returns the calls of a voyage after a day and an id, in the order of both.
    pub async fn calls(
        &self,
        voyage: Uuid,
        after: Option<(Day, Uuid)>,
        limit: u8,
    ) -> Result<Vec<Call>, DatabaseError> {
        let (day, id) = after.map_or((String::new(), Uuid::nil()), |(day, id)| (day.to_string(), id));
        let values = [Value::Key(voyage), Value::Text(day), Value::Key(id), Value::Whole(limit.into())];
        self.db.rows(Statement::fixed(CALLS, values)).await.map_err(doing("listing calls"))
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

impl Record for Voyage {
    const TABLE: &'static str = "voyages";

    fn id(&self) -> Uuid {
        self.id
    }

    fn page(after: Uuid, limit: i64) -> Statement {
        Statement::fixed(LIST, [Value::Key(after), Value::Whole(limit)])
    }

    fn from_json(mut record: Map<String, serde_json::Value>) -> Result<Self, String> {
        let id = fields::take_id(&mut record, "id")?;
        let details = NewVoyage::from_json(record).map_err(|errors| fields::sentence("a voyage", &errors))?;
        Ok(Self { id, details })
    }

    fn insert(records: &[Self]) -> Statement {
        let mut statement = Statement::begin(INSERT);
        statement.rows(records.iter().map(|Self { id, details }| {
            let ship = Value::Text(details.ship.as_str().to_owned());
            vec![Value::Key(*id), ship, Value::Text(details.departed_on.to_string())]
        }));
        statement
    }
}

impl Record for Call {
    const TABLE: &'static str = "calls";

    fn id(&self) -> Uuid {
        self.id
    }

    fn page(after: Uuid, limit: i64) -> Statement {
        Statement::fixed(CALLS_AFTER, [Value::Key(after), Value::Whole(limit)])
    }

    fn from_json(mut record: Map<String, serde_json::Value>) -> Result<Self, String> {
        let id = fields::take_id(&mut record, "id")?;
        let voyage_id = fields::take_id(&mut record, "voyage_id")?;
        let details = NewCall::from_json(record).map_err(|errors| fields::sentence("a call", &errors))?;
        Ok(Self { id, voyage_id, details })
    }

    fn insert(records: &[Self]) -> Statement {
        let mut statement = Statement::begin(INSERT_CALLS);
        statement.rows(records.iter().map(|Self { id, voyage_id, details }| {
            let port = Value::Text(details.port.as_str().to_owned());
            let day = Value::Text(details.called_on.to_string());
            vec![Value::Key(*id), Value::Key(*voyage_id), port, day]
        }));
        statement
    }
}
