//! The query plan of a page: the statement of the list, explained instead of executed.

use super::db::Pool;
use super::error::doing;
use super::list::page_of;
use super::{Store, StoreError};
use crate::passengers::filter::Query;

impl Store {
    /// The steps, in the words of the database. That a page costs what is on it and not what is before it is a promise of the
    /// list, and this is where it can be seen to hold.
    pub async fn plan(&self, query: &Query) -> Result<Vec<String>, StoreError> {
        let page = page_of(query).once();
        let steps = match &self.db.pool {
            Pool::Sqlite(_) => {
                let steps = self.db.rows::<(i64, i64, i64, String)>(page.behind("explain query plan ")).await;
                steps.map(|steps| steps.into_iter().map(|(_, _, _, step)| step).collect())
            }
            Pool::Postgres(_) => {
                let steps = self.db.rows::<(String,)>(page.behind("explain (costs off) ")).await;
                steps.map(|steps| steps.into_iter().map(|(step,)| step).collect())
            }
        };
        steps.map_err(doing("asking how a page is found"))
    }
}
