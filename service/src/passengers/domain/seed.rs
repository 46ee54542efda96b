//! The 1,309 passengers that an empty database is loaded with.

use jiff::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::model::{NewPassenger, Passenger, Stamp};
use crate::fields::sentence;

const LIST: &str = include_str!("../../../data/passengers.csv");

/// Milliseconds since the Unix epoch of 1 January 2026, where the ids of the list begin.
const FIRST_ID_MS: u64 = 1_767_225_600_000;

/// The list is not the table we know, or says something impossible.
#[derive(Debug, thiserror::Error)]
#[error("row {row} of the passenger list: {problem}")]
pub struct SeedError {
    /// Counted from 1, without the header.
    row: usize,
    problem: String,
}

/// Returns all passengers of the list, in its order.
///
/// Ids are the same in every installation: a v7 id needs a time and chance, and here the row gives the time and a digest
/// of the row gives the chance. So a link into one installation works in the next, and two that load one database at once
/// cannot load it twice.
pub(in crate::passengers) fn passengers() -> Result<Vec<Passenger>, SeedError> {
    let mut reader = csv::Reader::from_reader(LIST.as_bytes());
    // The same stamps everywhere, too: an entity tag read from one installation holds in the next.
    let since = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_millis(FIRST_ID_MS.cast_signed());
    let rows = reader.deserialize::<Map<String, Value>>().zip(1_usize..);
    rows.map(|(read, row)| {
        let wrong = |problem| SeedError { row, problem };
        let mut fields = read.map_err(|error| wrong(error.to_string()))?;
        // The list leaves empty what nobody knows.
        fields.retain(|_, value| value.as_str() != Some(""));
        let details = NewPassenger::from_json(fields);
        let details = details.map_err(|errors| wrong(sentence("expected a passenger", &errors)))?;
        Ok(Passenger { id: stable_id(row, details.name.as_str()), details, stamp: Stamp::first(since) })
    })
    .collect()
}

fn stable_id(row: usize, name: &str) -> Uuid {
    let digest = Sha256::digest(format!("{row}:{name}").as_bytes());
    let mut chance = [0; 10];
    chance.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    uuid::Builder::from_unix_timestamp_millis(FIRST_ID_MS + row as u64, &chance).into_uuid()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_list_is_whole_and_its_ids_are_v7_in_order() {
        let list = passengers().unwrap();
        assert_eq!(list.len(), 1309);
        assert!(list.is_sorted_by(|a, b| a.id < b.id));
        assert!(list.iter().all(|p| p.id.get_version_num() == 7));
        assert_eq!(list.iter().map(|p| p.id).collect::<HashSet<_>>().len(), 1309);
        assert_eq!(list[0].stamp.updated_at.to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(list.iter().filter(|p| p.details.survived).count(), 500);
        assert_eq!(list.iter().filter(|p| p.details.age.is_none()).count(), 263);
    }

    #[test]
    fn ids_are_the_same_in_every_installation() {
        assert_eq!(passengers().unwrap(), passengers().unwrap());
        assert!(passengers().unwrap()[0].id < Uuid::now_v7());
    }
}
