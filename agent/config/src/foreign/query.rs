//! Queries of other tools: parsed, checked, and taken apart where they divide.

use lookout_promql::query::{Dialect, EventQuery, Query, QueryError};

use crate::indicator::query_error;
use crate::reader::{At, Reader};

/// A ratio as two counts.
pub(crate) struct Quotient {
    /// `good` or `bad`
    pub(crate) side: &'static str,
    pub(crate) part: Query,
    pub(crate) total: Query,
}

/// Takes apart a query that is a ratio already: lookout needs its two counts, because ratios cannot be added up.
pub(crate) fn split_quotient(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    query: &Query,
    failure: bool,
) -> Option<Quotient> {
    let found = match query.ratio() {
        Ok(found) => found,
        Err(error) => {
            refuse(reader, at, query, error);
            return None;
        }
    };
    let Some(found) = found else {
        let help = "write what it divides as two queries, of bad (or good) and of all events";
        reader.error(at, "not converted: a ratio that is no plain quotient has no counts to add up", help);
        return None;
    };
    let side = if failure == found.complement { "good" } else { "bad" };
    let what = format!("the quotient is taken apart into `{side}` and `total`");
    reader.changed(at, what, "see that both count events");
    Some(Quotient { side, part: found.part, total: found.total })
}

/// Parses a query of another format. Which functions its server knows is found when the result is read.
pub(crate) fn parse_query(reader: &mut Reader<'_>, at: &At<'_>, text: &str) -> Option<Query> {
    match Query::parse(text, Dialect::MetricsQl) {
        Ok(query) => match query.grouping() {
            Some(grouping) => {
                refuse(reader, at, &query, grouping.clone());
                None
            }
            None => Some(query),
        },
        Err(mut error) => {
            error.message = format!("not converted: {}", error.message);
            query_error(reader, at, text, error);
            None
        }
    }
}

/// Checks a query that counts events over the window.
pub(crate) fn check_events(reader: &mut Reader<'_>, at: &At<'_>, query: &Query) -> Option<()> {
    match EventQuery::try_new(query.clone()) {
        Ok(_) => Some(()),
        Err(error) => {
            refuse(reader, at, query, error);
            None
        }
    }
}

/// Notes why a query is not converted, at its place if its text still stands there.
pub(crate) fn refuse(reader: &mut Reader<'_>, at: &At<'_>, query: &Query, mut error: QueryError) {
    error.message = format!("not converted: {}", error.message);
    query_error(reader, at, query.source(), error);
}
