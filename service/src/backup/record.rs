//! The records of an entity, as a backup needs them.

use std::marker::PhantomData;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::writer::Writer;
use super::{BATCH, BackupError};
use crate::database::{Readable, Statement, Tx, doing};

/// Records that are read at once.
const PAGE: i64 = 1000;

/// A record of an entity that a backup holds. Its JSON has the field `id`.
pub(crate) trait Record: Serialize + Readable + Sized + Send + Sync + 'static {
    /// The table, which is also the kind of its lines in a backup.
    const TABLE: &'static str;
    /// The table whose rows take those of this one with them when they are removed.
    const PARENT: Option<&'static str> = None;

    /// Returns the id.
    fn id(&self) -> Uuid;

    /// Returns the statement that reads some records after an id, in the order of ids.
    fn page(after: Uuid, limit: i64) -> Statement;

    /// Reads a record of a backup, or says what was expected.
    fn from_json(record: Map<String, Value>) -> Result<Self, String>;

    /// Returns the statement that adds records as they are.
    fn insert(records: &[Self]) -> Statement;
}

/// A [`Record`] behind a pointer, so that kinds stand in one list.
pub(crate) trait Kind: Sync {
    /// Returns the table, which is also the kind.
    fn name(&self) -> &'static str;

    /// Returns the kind that must be in a backup together with this one.
    fn parent(&self) -> Option<&'static str>;

    /// Writes all records and returns their number.
    fn write<'a>(&'a self, tx: &'a mut Tx, to: &'a mut Writer) -> BoxFuture<'a, Result<u64, BackupError>>;

    /// Checks a record; the error names what is expected in its place.
    fn check(&self, record: Map<String, Value>) -> Result<(), String>;

    /// Removes all records.
    fn clear<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<(), BackupError>>;

    /// Adds at most [`BATCH`] records.
    fn add<'a>(
        &'a self,
        tx: &'a mut Tx,
        records: Vec<Map<String, Value>>,
    ) -> BoxFuture<'a, Result<(), BackupError>>;
}

impl<R: Record> Kind for PhantomData<R> {
    fn name(&self) -> &'static str {
        R::TABLE
    }

    fn parent(&self) -> Option<&'static str> {
        R::PARENT
    }

    fn write<'a>(&'a self, tx: &'a mut Tx, to: &'a mut Writer) -> BoxFuture<'a, Result<u64, BackupError>> {
        Box::pin(async move {
            let (mut after, mut count) = (Uuid::nil(), 0);
            loop {
                let page: Vec<R> =
                    tx.rows(R::page(after, PAGE)).await.map_err(doing("reading the records of a backup"))?;
                if page.is_empty() {
                    return Ok(count);
                }
                for record in page {
                    to.record(R::TABLE, &record)?;
                    after = record.id();
                    count += 1;
                }
            }
        })
    }

    fn check(&self, record: Map<String, Value>) -> Result<(), String> {
        R::from_json(record).map(drop)
    }

    fn clear<'a>(&'a self, tx: &'a mut Tx) -> BoxFuture<'a, Result<(), BackupError>> {
        Box::pin(async move {
            let mut clear = Statement::begin("delete from ");
            clear.text(R::TABLE);
            tx.execute(clear).await.map_err(doing("removing the records before a restore"))?;
            Ok(())
        })
    }

    fn add<'a>(
        &'a self,
        tx: &'a mut Tx,
        records: Vec<Map<String, Value>>,
    ) -> BoxFuture<'a, Result<(), BackupError>> {
        Box::pin(async move {
            let records: Result<Vec<R>, String> = records.into_iter().map(R::from_json).collect();
            let records =
                records.map_err(|expected| BackupError::Row { kind: R::TABLE, source: expected.into() })?;
            let insert = R::insert(&records);
            let insert = if records.len() == BATCH { insert } else { insert.unprepared() };
            tx.execute(insert).await.map_err(doing("adding the records of a backup"))?;
            Ok(())
        })
    }
}
