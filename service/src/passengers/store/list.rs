//! Finding: one page of the list in any order, one passenger, and how many were saved.

use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use super::columns::{Listed, with_columns};
use super::{Store, StoreError, doing};
use crate::database::{DatabaseError, Statement, Value};
use crate::passengers::domain::filter::{Filter, Query};
use crate::passengers::domain::model::{Age, Fare, Passenger};
use crate::passengers::domain::sort::{Cursor, Position, Sort, SortBy};
use crate::passengers::domain::stats::{Group, Grouping};
use crate::passengers::domain::words::words_of;

/// One statement for all groupings: one moment, one trip.
const STATS: &str = "\
    select 'class' as grouping_, cast(class as text) as label, count(*) as total, \
        count(*) filter (where survived) as survived from passengers group by class \
    union all select 'sex', sex, count(*), count(*) filter (where survived) from passengers group by sex \
    union all select 'age', case when age is null then 'unknown' when age < 10 then '0-9' when age < 20 then '10-19' \
        when age < 30 then '20-29' when age < 40 then '30-39' when age < 50 then '40-49' when age < 60 then '50-59' \
        when age < 70 then '60-69' else '70+' end as band, \
        count(*), count(*) filter (where survived) from passengers group by band";

/// A page of passengers, as clients see it.
#[derive(Debug, Serialize)]
pub struct Page {
    /// The passengers of the page.
    pub items: Vec<Passenger>,
    /// The start of the next page, if there is one.
    pub next_cursor: Option<Cursor>,
    /// Number of passengers that match the filter, if it was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<i64>,
}

#[derive(Debug, FromRow)]
struct Counted {
    grouping_: String,
    label: String,
    total: i64,
    survived: i64,
}

impl Store {
    /// One page of the list.
    pub async fn list(&self, query: &Query) -> Result<Page, StoreError> {
        let limit = usize::from(query.limit);
        let listed: Vec<Listed> = self.db.rows(page_of(query)).await.map_err(doing("listing passengers"))?;
        let total = match listed.first() {
            Some(Listed(_, total)) => *total,
            // A page without passengers has nobody to carry the total. Without a cursor there are none at all.
            None if !query.total => None,
            None if query.after.is_none() => Some(0),
            None => Some(self.count(query).await?),
        };
        let more = listed.len() > limit;
        let items: Vec<_> = listed.into_iter().take(limit).map(|Listed(passenger, _)| passenger).collect();
        let next_cursor = items.last().filter(|_| more).map(|last| cursor_at(query.sort, last));
        Ok(Page { items, next_cursor, total })
    }

    async fn count(&self, query: &Query) -> Result<i64, StoreError> {
        let mut statement = Statement::begin("select count(*) from passengers where true");
        push_filter(&mut statement, query);
        let row: Option<(i64,)> = self.db.row(statement).await.map_err(doing("counting passengers"))?;
        Ok(row.map_or(0, |(total,)| total))
    }

    /// One passenger, if there is one of this id.
    pub async fn get(&self, id: Uuid) -> Result<Option<Passenger>, StoreError> {
        let found = self.batcher.get(&self.db, id).await;
        Ok(found.map_err(|source| DatabaseError::Query { doing: "reading a passenger", source })?)
    }

    /// Counts people and survivors of each group, all at one moment.
    pub async fn stats(&self) -> Result<Vec<(Grouping, Group)>, StoreError> {
        let rows: Vec<Counted> =
            self.db.rows(Statement::begin(STATS)).await.map_err(doing("counting the saved"))?;
        let groups = rows.into_iter().map(|row| {
            let grouping = match row.grouping_.as_str() {
                "class" => Grouping::Class,
                "sex" => Grouping::Sex,
                _ => Grouping::Age,
            };
            (grouping, Group { label: row.label, total: row.total, survived: row.survived })
        });
        Ok(groups.collect())
    }
}

fn cursor_at(sort: Sort, last: &Passenger) -> Cursor {
    let details = &last.details;
    let place = match sort.by {
        SortBy::Id => Position::Id,
        SortBy::Name => Position::Name(words_of(details.name.as_str())),
        SortBy::Age => Position::Number(details.age.map(Age::get)),
        SortBy::Fare => Position::Number(details.fare.map(Fare::get)),
    };
    Cursor { sort, place, id: last.id }
}

/// The page; where it is asked for together with the total, in one statement, so that both are of the same moment. To count
/// costs a look at everyone, to read a page a look at those on it: that is why not every page has it.
pub(super) fn page_of(query: &Query) -> Statement {
    let mut statement = Statement::begin(with_columns!("select ", ""));
    if query.total {
        statement.text(", (select count(*) from passengers where true");
        let start = statement.length();
        push_filter(&mut statement, query);
        let filter = statement.since(start);
        // The same placeholders stand for the same values: they are bound once.
        statement.text(") as total from passengers where true").again(&filter);
    } else {
        statement.text(" from passengers where true");
        push_filter(&mut statement, query);
    }
    if let Some(after) = &query.after {
        push_after(&mut statement, after);
    }
    push_order(&mut statement, query.sort);
    // One more than asked for tells whether there is a next page.
    // With the sign it is no bare placeholder, whose value SQLite looks at to plan anew at each use.
    statement.text(" limit +").value(Value::Whole(i64::from(query.limit) + 1));
    statement
}

fn push_filter(statement: &mut Statement, query: &Query) {
    let Filter { class, sex, survived, words, min_age, max_age, min_fare, max_fare } = &query.filter;
    if let Some(class) = class {
        statement.text(" and class = ").value(Value::Small(class.get().into()));
    }
    if let Some(sex) = sex {
        statement.text(" and sex = ").value(Value::Text(sex.as_str().to_owned()));
    }
    if let Some(survived) = survived {
        statement.text(" and survived = ").value(Value::Flag(*survived));
    }
    for word in words {
        // All words that begin with this one: those from it up to it followed by the last of all characters.
        statement.text(" and id in (select passenger_id from passenger_words where word >= ");
        statement.value(Value::Text(word.clone()));
        statement.text(" and word < ").value(Value::Text(format!("{word}{}", char::MAX))).text(")");
    }
    let (youngest, oldest) = (min_age.map(Age::get), max_age.map(Age::get));
    push_range(statement, query, SortBy::Age, (youngest, oldest));
    push_range(statement, query, SortBy::Fare, (min_fare.map(Fare::get), max_fare.map(Fare::get)));
}

/// Keeps to a range, which those without a value are never in.
fn push_range(
    statement: &mut Statement,
    query: &Query,
    by: SortBy,
    (least, most): (Option<f64>, Option<f64>),
) {
    let real = |number| Value::Real(Some(number));
    let mut bound = |column, comparison, number: Option<f64>| {
        if let Some(number) = number {
            statement.text(" and ").text(column).text(comparison).value(real(number));
        }
    };
    let plain = if by == SortBy::Age { "age" } else { "fare" };
    if query.sort.by != by || (least.is_none() && most.is_none()) {
        bound(plain, " >= ", least);
        bound(plain, " <= ", most);
        return;
    }
    // A walk in the order of the range: it begins where the range does, or after the page before, and ends with it. Were the
    // beginning of the range said of the same column as the place of that page, a database might begin there once more.
    let place = column(query.sort);
    let near = if query.after.is_some() { plain } else { place };
    if query.sort.descending {
        bound(near, " <= ", most);
        bound(place, " >= ", Some(least.unwrap_or(0.0)));
    } else {
        bound(near, " >= ", least);
        bound(
            place,
            " <= ",
            Some(most.unwrap_or(if by == SortBy::Age { Age::most() } else { Fare::most() })),
        );
    }
}

/// The column that an order goes by. Those without an age or fare have a place in it too, which is the last.
fn column(sort: Sort) -> &'static str {
    match (sort.by, sort.descending) {
        (SortBy::Id, _) => "id",
        (SortBy::Name, _) => "words",
        (SortBy::Age, false) => "age_up",
        (SortBy::Age, true) => "age_down",
        (SortBy::Fare, false) => "fare_up",
        (SortBy::Fare, true) => "fare_down",
    }
}

/// The sort value of rows without a value: beyond all others, as the migrations have it.
const fn beyond_all(descending: bool) -> f64 {
    if descending { -1.0 } else { 1e9 }
}

fn push_order(statement: &mut Statement, sort: Sort) {
    let direction = if sort.descending { " desc" } else { " asc" };
    statement.text(" order by ");
    if sort.by != SortBy::Id {
        statement.text(column(sort)).text(direction).text(", ");
    }
    statement.text("id").text(direction);
}

/// Adds the condition for rows after a position: farther in the order, or equal with a farther id.
fn push_after(statement: &mut Statement, after: &Cursor) {
    let beyond = if after.sort.descending { " < " } else { " > " };
    let value = match &after.place {
        Position::Id => {
            statement.text(" and id").text(beyond).value(Value::Key(after.id));
            return;
        }
        Position::Number(number) => {
            Value::Real(Some(number.unwrap_or_else(|| beyond_all(after.sort.descending))))
        }
        Position::Name(words) => Value::Text(words.clone()),
    };
    statement.text(" and (").text(column(after.sort)).text(", id)").text(beyond);
    statement.text("(").value(value).text(", ").value(Value::Key(after.id)).text(")");
}
