//! A page costs what is on it, however long the list and however far the walk: both databases go straight to its place.

use sqlx::{Connection as _, PgConnection, SqliteConnection};
use titanic::passengers::domain::filter::Query;

use crate::app::App;
use crate::server::Postgres;

/// Enough for a database to see that reading everyone is not worth it. A fifth has no age, half of them no fare.
const CROWD: &str = "insert into passengers (id, name, words, class, sex, age, fare, siblings_or_spouses_aboard, \
     parents_or_children_aboard, survived) \
     select $ID, 'Guest ' || n, 'guest ' || n, n % 3 + 1, case n % 2 when 0 then 'male' else 'female' end, \
     case when n % 5 > 0 then n % 97 end, case when n % 2 > 0 then n % 300 end, 0, 0, n % 4 = 0 from $NUMBERS";
const NUMBER: u32 = 20_000;

const FILTERS: [&str; 5] = [
    "",
    "class=3",
    "class=1&sex=female&survived=false",
    "min_age=20&max_age=60&survived=true",
    "min_fare=10&max_fare=250",
];

fn query(text: &str) -> Query {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    let pairs: Vec<_> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Query::from_pairs(&pairs).unwrap_or_else(|errors| panic!("{text}: {errors:?}"))
}

/// The plans of the first page and of the second one, for each order and filter.
async fn plans(app: &App) -> Vec<(String, bool, String)> {
    let mut plans = Vec::new();
    for sort in ["id", "-id", "name", "-name", "age", "-age", "fare", "-fare"] {
        for filter in FILTERS {
            let first = format!("sort={sort}&{filter}");
            let page = app.get(&format!("/api/v1/passengers?{first}")).await.json();
            let cursor = page["next_cursor"].as_str().unwrap_or_else(|| panic!("{first}: {page}"));
            let next = format!("{first}&cursor={cursor}");
            for (text, goes_on) in [(first, false), (next, true)] {
                let plan = app.store.plan(&query(&text)).await.unwrap().join("\n");
                plans.push((text, goes_on, plan));
            }
        }
    }
    plans
}

/// Pages amid those without a value, which are the last in either direction.
async fn among_those_without(app: &App) -> Vec<String> {
    let mut plans = Vec::new();
    for sort in ["age", "-age", "fare", "-fare"] {
        let id = app.get("/api/v1/passengers?limit=1").await.json()["items"][0]["id"].clone();
        let place = format!("{sort}:{}:", id.as_str().unwrap().replace('-', ""));
        let cursor: String = place.bytes().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("sort={sort}&cursor=b{cursor}");
        plans.push(app.store.plan(&query(&text)).await.unwrap().join("\n"));
    }
    plans
}

#[tokio::test]
async fn sqlite_goes_straight_to_the_place_of_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("titanic.db").display());
    let app = App::on(&url).await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let numbers = format!(
        "(with recursive i(n) as (values (1) union all select n + 1 from i where n < {NUMBER}) select n from i)"
    );
    let id = "printf('01890000-0000-7000-8000-%012x', n)";
    let crowd = CROWD.replace("$ID", id).replace("$NUMBERS", &numbers);
    sqlx::query(sqlx::AssertSqlSafe(crowd)).execute(&mut connection).await.unwrap();

    // Before and after the database has been told what its tables hold.
    for told in [false, true] {
        if told {
            sqlx::query("analyze").execute(&mut connection).await.unwrap();
        }
        for (query, goes_on, plan) in plans(&app).await {
            assert!(!plan.contains("TEMP B-TREE"), "{query} is sorted: {plan}");
            let seeks = plan.starts_with("SEARCH passengers USING ");
            // The table itself is in the order of the ids.
            let scans = plan.starts_with("SCAN passengers USING INDEX ") || plan == "SCAN passengers";
            assert!(seeks || scans && !goes_on, "{query}: {plan}");
        }
        for plan in among_those_without(&app).await {
            assert!(plan.starts_with("SEARCH passengers USING INDEX ") && plan.contains(",id)"), "{plan}");
        }
    }
}

#[tokio::test]
async fn postgresql_goes_straight_to_the_place_of_a_page() {
    let server = Postgres::start().await;
    let app = App::on(&server.database("plans").await).await;
    let mut connection = PgConnection::connect_with(&server.options("plans")).await.unwrap();
    let id = "('01890000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid";
    let crowd = CROWD.replace("$ID", id).replace("$NUMBERS", &format!("generate_series(1, {NUMBER}) as n"));
    sqlx::query(sqlx::AssertSqlSafe(crowd)).execute(&mut connection).await.unwrap();
    sqlx::query("analyze passengers").execute(&mut connection).await.unwrap();

    for (query, goes_on, plan) in plans(&app).await {
        assert!(plan.contains("Index Scan") && !plan.contains("Sort"), "{query}: {plan}");
        assert!(!goes_on || plan.contains("Index Cond: ("), "{query}: {plan}");
    }
    for plan in among_those_without(&app).await {
        assert!(plan.contains("Index Scan") && plan.contains("Index Cond: (ROW("), "{plan}");
    }
}
