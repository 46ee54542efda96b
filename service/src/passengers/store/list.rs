//! Finding: one page of the list in any order, one passenger, and how many were saved.

use sqlx::FromRow;
use uuid::Uuid;

use super::columns::{COLUMNS, Row};
use super::db::{Statement, Value};
use super::error::doing;
use super::{Store, StoreError};
use crate::passengers::filter::{Filter, Query};
use crate::passengers::model::Passenger;
use crate::passengers::sort::{Cursor, Place, Sort, SortBy};
use crate::passengers::stats::{Group, Grouping};
use crate::passengers::words::words_of;

const GET: &str = "select id, name, class, sex, age, fare, siblings_or_spouses_aboard, parents_or_children_aboard, \
     survived, version, updated_at from passengers where id = $1";

/// One statement for all groupings: one moment, one trip.
const STATS: &str = "\
    select 'class' as grouping_, cast(class as text) as label, count(*) as total, \
        count(*) filter (where survived) as survived from passengers group by class \
    union all select 'sex', sex, count(*), count(*) filter (where survived) from passengers group by sex \
    union all select 'age', case when age is null then 'unknown' when age < 10 then '0-9' when age < 20 then '10-19' \
        when age < 30 then '20-29' when age < 40 then '30-39' when age < 50 then '40-49' when age < 60 then '50-59' \
        when age < 70 then '60-69' else '70+' end as band, \
        count(*), count(*) filter (where survived) from passengers group by band";

/// A page of passengers.
#[derive(Debug)]
pub struct Page {
    /// Those on it.
    pub items: Vec<Passenger>,
    /// Where the next one goes on, if there is one.
    pub next: Option<Cursor>,
    /// How many the filter lets through in all, if that was asked.
    pub total: Option<i64>,
}

#[derive(Debug, FromRow)]
struct Listed {
    #[sqlx(flatten)]
    row: Row,
    /// Left out of the statement where nobody asked.
    #[sqlx(default)]
    total: Option<i64>,
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
            Some(first) => first.total,
            // A page without passengers has nobody to carry the total. Without a cursor there are none at all.
            None if !query.total => None,
            None if query.after.is_none() => Some(0),
            None => Some(self.count(&query.filter).await?),
        };
        let more = listed.len() > limit;
        let rows = listed.into_iter().take(limit).map(|listed| Passenger::try_from(listed.row));
        let items = rows.collect::<Result<Vec<_>, _>>()?;
        let next = items.last().filter(|_| more).map(|last| cursor_at(query.sort, last));
        Ok(Page { items, next, total })
    }

    async fn count(&self, filter: &Filter) -> Result<i64, StoreError> {
        let mut statement = Statement::begin("select count(*) from passengers where true");
        push_filter(&mut statement, filter);
        let row: Option<(i64,)> = self.db.row(statement).await.map_err(doing("counting passengers"))?;
        Ok(row.map_or(0, |(total,)| total))
    }

    /// One passenger, if there is one of this id.
    pub async fn get(&self, id: Uuid) -> Result<Option<Passenger>, StoreError> {
        let statement = Statement::fixed(GET, [Value::Key(id)]);
        let row: Option<Row> = self.db.row(statement).await.map_err(doing("reading a passenger"))?;
        row.map(Passenger::try_from).transpose()
    }

    /// How many of each group there were and were saved, all at one moment.
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
        SortBy::Id => Place::Id,
        SortBy::Name => Place::Name(words_of(details.name.as_str())),
        SortBy::Age => Place::Number(details.age.map(crate::passengers::model::Age::years)),
        SortBy::Fare => Place::Number(details.fare.map(crate::passengers::model::Fare::pounds)),
    };
    Cursor { sort, place, id: last.id }
}

/// The page; where it is asked for together with the total, in one statement, so that both are of the same moment. To count
/// costs a look at everyone, to read a page a look at those on it: that is why not every page has it.
fn page_of(query: &Query) -> Statement {
    let mut statement = Statement::begin("select ");
    statement.text(COLUMNS);
    if query.total {
        statement.text(", (select count(*) from passengers where true");
        let start = statement.length();
        push_filter(&mut statement, &query.filter);
        let filter = statement.since(start);
        // The same placeholders stand for the same values: they are bound once.
        statement.text(") as total from passengers where true").again(&filter);
    } else {
        statement.text(" from passengers where true");
        push_filter(&mut statement, &query.filter);
    }
    if let Some(after) = &query.after {
        push_after(&mut statement, after);
    }
    push_order(&mut statement, query.sort);
    // One more than asked for tells whether there is a next page.
    statement.text(" limit ").value(Value::Whole(i64::from(query.limit) + 1));
    statement
}

fn push_filter(statement: &mut Statement, filter: &Filter) {
    let Filter { class, sex, survived, words, min_age, max_age, min_fare, max_fare } = filter;
    if let Some(class) = class {
        statement.text(" and class = ").value(Value::Small(class.number()));
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
    let real = |number: f64| Value::Real(Some(number));
    if let Some(age) = min_age {
        statement.text(" and age >= ").value(real(age.years()));
    }
    if let Some(age) = max_age {
        statement.text(" and age <= ").value(real(age.years()));
    }
    if let Some(fare) = min_fare {
        statement.text(" and fare >= ").value(real(fare.pounds()));
    }
    if let Some(fare) = max_fare {
        statement.text(" and fare <= ").value(real(fare.pounds()));
    }
}

/// The column that an order goes by, unless it is the id.
fn column(by: SortBy) -> &'static str {
    match by {
        SortBy::Id => "id",
        SortBy::Name => "words",
        SortBy::Age => "age",
        SortBy::Fare => "fare",
    }
}

fn push_order(statement: &mut Statement, sort: Sort) {
    let direction = if sort.descending { " desc" } else { " asc" };
    statement.text(" order by ");
    if sort.by != SortBy::Id {
        statement.text(column(sort.by)).text(direction);
        if matches!(sort.by, SortBy::Age | SortBy::Fare) {
            statement.text(" nulls last");
        }
        statement.text(", ");
    }
    statement.text("id").text(direction);
}

/// What comes after a place: farther in the order, or as far with a farther id, or without a value.
fn push_after(statement: &mut Statement, after: &Cursor) {
    let (beyond, column) = (if after.sort.descending { " < " } else { " > " }, column(after.sort.by));
    let value = match &after.place {
        Place::Id => {
            statement.text(" and id").text(beyond).value(Value::Key(after.id));
            return;
        }
        Place::Number(None) => {
            statement
                .text(" and ")
                .text(column)
                .text(" is null and id")
                .text(beyond)
                .value(Value::Key(after.id));
            return;
        }
        Place::Number(number) => Value::Real(*number),
        Place::Name(words) => Value::Text(words.clone()),
    };
    statement.text(" and (").text(column).text(beyond).value(value.clone());
    statement.text(" or (").text(column).text(" = ").value(value);
    statement.text(" and id").text(beyond).value(Value::Key(after.id)).text(")");
    if matches!(after.place, Place::Number(_)) {
        statement.text(" or ").text(column).text(" is null");
    }
    statement.text(")");
}
