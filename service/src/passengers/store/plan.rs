//! The query plan of a page: the statement of the list, explained instead of executed.

use super::list::page_of;
use super::{Store, StoreError, doing};
use crate::passengers::domain::filter::Query;

impl Store {
    /// Returns the steps of the plan. They show that a page costs its own rows and not the rows before it.
    pub async fn plan(&self, query: &Query) -> Result<Vec<String>, StoreError> {
        let page = page_of(query).unprepared();
        let steps = if self.db.is_postgres() {
            let steps = self.db.rows::<(String,)>(page.behind("explain (costs off) ")).await;
            steps.map(|steps| steps.into_iter().map(|(step,)| step).collect())
        } else {
            let steps = self.db.rows::<(i64, i64, i64, String)>(page.behind("explain query plan ")).await;
            steps.map(|steps| steps.into_iter().map(|(_, _, _, step)| step).collect())
        };
        steps.map_err(doing("asking how a page is found"))
    }
}
