//! The suite on a real PostgreSQL, and what only a server can do: disagree. What happens when it goes away is in `outage`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};

use crate::app::App;
use crate::program::{Program, command};
use crate::server::Postgres;
use crate::{backups, batching, changes, exports, idempotency, imports, newer, passengers, voyages};

#[tokio::test]
async fn the_suite_holds_on_postgresql() {
    let server = Postgres::start().await;
    let all = [
        passengers::CASES,
        changes::CASES,
        imports::CASES,
        backups::CASES,
        idempotency::CASES,
        newer::CASES,
        batching::CASES,
        exports::CASES,
        voyages::CASES,
    ]
    .concat();
    let mut failed = Vec::new();
    for (index, (name, case)) in all.iter().enumerate() {
        let app = App::on(&server.database(&format!("case_{index}")).await).await;
        let database = app.database.clone();
        // A task of its own: one case that fails shall not hide the others.
        if tokio::spawn(case(app)).await.is_err() {
            failed.push(*name);
        }
        database.close().await;
    }
    assert!(all.len() > 20, "{} cases", all.len());
    assert!(failed.is_empty(), "failed on PostgreSQL: {failed:#?}");
}

#[tokio::test]
async fn both_databases_give_the_same_answers_and_take_each_others_backups() {
    let server = Postgres::start().await;
    let (postgres, sqlite) = (App::on(&server.database("alike").await).await, App::new().await);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crew.ndjson");
    for (name, fare) in [
        ("Ödegård, Miss. Åsa", json!(7.25)),
        ("odegard, miss. asa", json!(7.25)),
        ("von Drachstedt, Baron", json!(null)),
        ("Źródło-Łoś, Mr. É", json!(0.1)),
        ("ÇELİK, Mr. ışık", json!(512.3292)),
    ] {
        let person =
            json!({"name": name, "class": 2, "sex": "male", "age": 33.3333, "fare": fare, "survived": true});
        sqlite.board(&person).await;
    }
    let count = backups::take(&sqlite, &path).await;
    assert_eq!(backups::put_back(&postgres, &path).await, count);
    assert_eq!(backups::everyone(&postgres).await, backups::everyone(&sqlite).await);

    let filters = [
        "",
        "class=2&sex=male",
        "name=m",
        "name=odegard%20a",
        "min_age=20&max_age=33.3333",
        "max_fare=7.25&total=true",
    ];
    for filter in filters {
        for sort in ["id", "-id", "name", "-name", "age", "-age", "fare", "-fare"] {
            let mut after = String::new();
            for _ in 0..4 {
                let path = format!("/api/v1/passengers?limit=9&sort={sort}&{filter}{after}");
                let (theirs, ours) = (postgres.get(&path).await, sqlite.get(&path).await);
                assert_eq!((theirs.status, &theirs.text), (ours.status, &ours.text), "{path}");
                let next = ours.json()["next_cursor"].as_str().map(|cursor| format!("&cursor={cursor}"));
                let Some(next) = next else { break };
                after = next;
            }
        }
    }
    let stats = "/api/v1/passengers/stats";
    assert_eq!(postgres.get(stats).await.text, sqlite.get(stats).await.text);

    let path = folder.path().join("back.ndjson");
    backups::take(&postgres, &path).await;
    assert_eq!(backups::put_back(&sqlite, &path).await, count);
    assert_eq!(backups::everyone(&postgres).await, backups::everyone(&sqlite).await);
}

/// A column: whether it may be null, and of what kind it is.
type Columns = BTreeMap<(String, String), (bool, &'static str)>;

#[tokio::test]
async fn both_databases_have_the_same_tables_and_rules() {
    let server = Postgres::start().await;
    server.database("schema").await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("titanic.db").display());
    App::on(&url).await.database.close().await;
    let mut postgres = sqlx::PgConnection::connect_with(&server.options("schema")).await.unwrap();
    let mut sqlite = SqliteConnection::connect(&url).await.unwrap();

    let theirs: Vec<(String, String, bool, String)> = sqlx::query_as(
        "select table_name::text, column_name::text, is_nullable = 'YES', data_type::text \
         from information_schema.columns where table_schema = 'public' and table_name not like '\\_%'",
    )
    .fetch_all(&mut postgres)
    .await
    .unwrap();
    let ours: Vec<(String, String, bool, String)> = sqlx::query_as(
        "select t.name, c.name, c.\"notnull\" = 0, c.type from pragma_table_list t \
         join pragma_table_xinfo(t.name) c where t.schema = 'main' and t.type = 'table' and t.name not like '\\_%' escape '\\' and t.name not like 'sqlite\\_%' escape '\\'",
    )
    .fetch_all(&mut sqlite)
    .await
    .unwrap();
    let kinds = |rows: Vec<(String, String, bool, String)>| -> Columns {
        let kind = |column: &str, data_type: &str| match (column, data_type.to_lowercase().as_str()) {
            ("id" | "passenger_id" | "voyage_id" | "claim", "uuid" | "text") => "id",
            ("survived", "boolean" | "integer") => "flag",
            ("updated_at" | "claimed_at", "timestamp with time zone" | "integer") => "time",
            (_, "text") => "text",
            (_, "smallint" | "bigint" | "integer") => "whole",
            (_, "double precision" | "real") => "real",
            other => panic!("no kind for {other:?}"),
        };
        let column = |(table, column, nullable, data_type): (String, String, bool, String)| {
            let kind = kind(&column, &data_type);
            ((table, column), (nullable, kind))
        };
        rows.into_iter().map(column).collect()
    };
    let (theirs, ours) = (kinds(theirs), kinds(ours));
    assert_eq!(theirs, ours);
    assert_eq!(theirs.len(), 31, "{theirs:?}");

    // What one refuses the other refuses, whatever the service would have let through.
    let insert = |column: &'static str, value: &'static str| {
        let mut row = BTreeMap::from([
            ("id", "'01890000-0000-7000-8000-000000000001'"),
            ("name", "'A'"),
            ("class", "1"),
            ("sex", "'male'"),
            ("siblings_or_spouses_aboard", "0"),
            ("parents_or_children_aboard", "0"),
            ("survived", "true"),
        ]);
        row.insert(column, value);
        let (names, values): (Vec<_>, Vec<_>) = row.into_iter().unzip();
        format!("insert into passengers ({}) values ({})", names.join(", "), values.join(", "))
    };
    for (column, value, fits) in [
        ("class", "3", true),
        ("class", "0", false),
        ("class", "4", false),
        ("class", "null", false),
        ("sex", "'other'", false),
        ("age", "null", true),
        ("age", "120.5", false),
        ("age", "-1", false),
        ("fare", "10000", true),
        ("fare", "10000.01", false),
        ("fare", "-0.01", false),
        ("siblings_or_spouses_aboard", "31", false),
        ("parents_or_children_aboard", "-1", false),
        ("survived", "null", false),
        ("version", "0", false),
        ("name", "null", false),
        ("words", "null", false),
        ("id", "null", false),
    ] {
        let sql = insert(column, value);
        let theirs = sqlx::query(sqlx::AssertSqlSafe(sql.clone())).execute(&mut postgres).await;
        let ours = sqlx::query(sqlx::AssertSqlSafe(sql.clone())).execute(&mut sqlite).await;
        assert_eq!((theirs.is_ok(), ours.is_ok()), (fits, fits), "{sql}: {theirs:?} {ours:?}");
        if fits {
            let undo = "delete from passengers where name = 'A'";
            sqlx::query(undo).execute(&mut postgres).await.unwrap();
            sqlx::query(undo).execute(&mut sqlite).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_program_runs_on_postgresql_and_says_why_when_it_cannot() {
    let server = Postgres::start().await;
    let folder = tempfile::tempdir().unwrap();
    server.execute("create role crew login password 'iceberg'").await;
    server.execute("create database titanic owner crew").await;
    let port = server.options("titanic").get_port().to_string();
    let pieces = [
        ("DB_HOST", "127.0.0.1"),
        ("DB_PORT", port.as_str()),
        ("DB_USER", "crew"),
        ("DB_PASSWORD", "iceberg"),
    ];
    let (one, two) = tokio::join!(Program::start(&folder, &pieces), Program::start(&folder, &pieces));
    for program in [&one, &two] {
        let page = program
            .http
            .get(format!("{}/api/v1/passengers?total=true", program.address))
            .send()
            .await
            .unwrap();
        assert_eq!(page.json::<Value>().await.unwrap()["total"], 1309, "loaded once, whoever came first");
        let line = program.line("listening").await;
        assert!(line["database"].as_str().unwrap().starts_with("postgres://***@127.0.0.1:"), "{line}");
    }

    let output = command(
        &folder,
        &[("DATABASE_URL", "postgres://crew:iceberg@127.0.0.1:1/titanic"), ("START_SECONDS", "0")],
    )
    .output()
    .await
    .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("opening the database postgres://***@127.0.0.1:1/titanic (it must be running"),
        "{said}"
    );
    assert!(!said.contains("iceberg"), "{said}");
}
