//! Passengers as records of a backup.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::change::{insert_of, page_after};
use crate::backup::Record;
use crate::database::Statement;
use crate::fields;
use crate::passengers::domain::model::{NewPassenger, Passenger, Stamp};

impl Record for Passenger {
    const TABLE: &'static str = "passengers";

    fn id(&self) -> Uuid {
        self.id
    }

    fn page(after: Uuid, limit: i64) -> Statement {
        page_after(after, limit)
    }

    fn from_json(mut record: Map<String, Value>) -> Result<Self, String> {
        let id = fields::take_id(&mut record, "id")?;
        let updated_at = record.remove("updated_at").and_then(|time| time.as_str()?.parse().ok());
        let updated_at = updated_at.ok_or("a point in time as `updated_at`")?;
        let version = record.remove("version").and_then(|version| version.as_i64());
        let version = version.filter(|version| *version >= 1).ok_or("a number of at least 1 as `version`")?;
        let details =
            NewPassenger::from_json(record).map_err(|errors| fields::sentence("a passenger", &errors))?;
        Ok(Self { id, details, stamp: Stamp { version, updated_at } })
    }

    fn insert(records: &[Self]) -> Statement {
        insert_of(records)
    }
}
