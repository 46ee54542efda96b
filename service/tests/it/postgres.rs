//! The suite on a real PostgreSQL, and what only a server can do: disagree, and go away.

use crate::app::App;
use crate::server::Postgres;
use crate::{backups, changes, imports, passengers};

#[tokio::test]
async fn the_suite_holds_on_postgresql() {
    let server = Postgres::start().await;
    let all = [passengers::CASES, changes::CASES, imports::CASES, backups::CASES].concat();
    let mut failed = Vec::new();
    for (index, (name, case)) in all.iter().enumerate() {
        let app = App::on(&server.database(&format!("case_{index}")).await).await;
        let store = app.shared.store.clone();
        // A task of its own: one case that fails shall not hide the others.
        if tokio::spawn(case(app)).await.is_err() {
            failed.push(*name);
        }
        store.close().await;
    }
    assert!(all.len() > 20, "{} cases", all.len());
    assert!(failed.is_empty(), "failed on PostgreSQL: {failed:#?}");
}
