//! Queries that are a selector of counters and nothing else, as scrapes need them.

use std::str::FromStr;

use super::{Dialect, Query, QueryError};
use crate::selector::Selector;

/// Most bytes of a selector.
const TEXT_LIMIT: usize = 4096;

impl FromStr for Selector {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        if text.len() > TEXT_LIMIT {
            let message = format!("a selector has at most {TEXT_LIMIT} bytes");
            return Err(QueryError::new(0..0, message, "write fewer matchers"));
        }
        let query = Query::parse(text, Dialect::PromQl)?;
        if let Some(selector) = query.selector() {
            return Ok(selector.clone());
        }
        let help = "write a selector like `requests_total{code=~\"5..\"}`, without a function, an operator or a range: \
                    Lookout takes the increase itself";
        Err(QueryError::new(0..text.len(), "a query where the selector of counters is needed", help))
    }
}
