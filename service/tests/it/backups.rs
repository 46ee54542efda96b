//! Everyone out, everyone in.

use std::path::Path;

use axum::http::Method;
use serde_json::{Value, json};
use titanic::clock::{Clock as _, SystemClock};
use titanic::passengers::{backup, restore};

use crate::app::App;

on_both_databases!(
    what_was_backed_up_is_what_is_restored,
    a_backup_is_of_one_moment_however_much_is_written,
    a_damaged_backup_changes_nothing,
);

pub(crate) async fn everyone(app: &App) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("/api/v1/passengers?limit=100{after}")).await.json();
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(cursor) = page["next_cursor"].as_str() else { return all };
        after = format!("&cursor={cursor}");
    }
}

pub(crate) async fn take(app: &App, path: &Path) -> u64 {
    backup(&app.store, path, SystemClock.now()).await.unwrap()
}

async fn what_was_backed_up_is_what_is_restored(app: App) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crew.ndjson");
    let person = json!({"name": "Ödegård, Miss. Åsa \"🚢\"", "class": 3, "sex": "female", "age": 0.3333, "fare": 7.25,
        "survived": true});
    let (_, her) = app.board(&person).await;
    app.call(Method::PATCH, &her, Some(&json!({"parents_or_children_aboard": 2}))).await;
    let before = everyone(&app).await;
    let etag = app.get(&her).await.headers["etag"].clone();
    assert_eq!(take(&app, &path).await, 1310);

    app.call(Method::PATCH, &her, Some(&json!({"age": 99}))).await;
    for gone in &before[..3] {
        app.call(Method::DELETE, &format!("/api/v1/passengers/{}", gone["id"].as_str().unwrap()), None).await;
    }
    app.board(&person).await;
    assert_eq!(restore(&app.store, &path).await.unwrap(), 1310);
    assert_eq!(everyone(&app).await, before);
    assert_eq!(app.get(&her).await.headers["etag"], etag);
    assert_eq!(app.get("/api/v1/passengers?total=true&name=asa").await.json()["total"], 1);
    // Twice the same backup, apart from when it was taken.
    let again = folder.path().join("again.ndjson");
    take(&app, &again).await;
    let passengers = |path: &Path| -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().filter(|line| line.contains("\"id\"")).map(str::to_owned).collect()
    };
    assert_eq!(passengers(&path), passengers(&again));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing half-done is left behind");
}

async fn a_backup_is_of_one_moment_however_much_is_written(app: App) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crew.ndjson");
    // Pairs come and go together, in one transaction: a backup with half a pair would be of two moments.
    let person = |name: &str| json!({"name": name, "class": 3, "sex": "male", "survived": true}).to_string();
    let pair = format!("{}\n{}\n", person("Twin, Mr. A"), person("Twin, Mr. B"));
    let writer = async {
        for _ in 0..40 {
            let request = axum::http::Request::post("/api/v1/passengers/import")
                .header("content-type", "application/x-ndjson")
                .body(axum::body::Body::from(pair.clone()))
                .unwrap();
            let answer = app.send(request).await;
            assert!(answer.text.contains("\"complete\":true"), "{}", answer.text);
        }
    };
    let reader = async {
        for _ in 0..10 {
            let count = take(&app, &path).await;
            assert_eq!((count - 1309) % 2, 0, "{count}");
        }
    };
    futures_util::future::join(writer, reader).await;
    let count = take(&app, &path).await;
    assert_eq!(count, 1309 + 80);
    // And in again under the same writing: whoever came before the restore is gone, whoever came after is there.
    let writer = async {
        for _ in 0..10 {
            let late = serde_json::from_str(&person("Late, Mr. C")).unwrap();
            let status = app.call(Method::POST, "/api/v1/passengers", Some(&late)).await.status.as_u16();
            // A writer waits for the restore, though not for ever.
            assert!(matches!(status, 201 | 503), "{status}");
        }
    };
    let (restored, ()) = futures_util::future::join(restore(&app.store, &path), writer).await;
    assert_eq!(restored.unwrap(), count);
    let now = everyone(&app).await;
    let late = now.iter().filter(|p| p["name"] == "Late, Mr. C").count();
    assert_eq!(now.len() - late, usize::try_from(count).unwrap());
}

async fn a_damaged_backup_changes_nothing(app: App) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crew.ndjson");
    take(&app, &path).await;
    let whole = std::fs::read_to_string(&path).unwrap();
    let before = everyone(&app).await;
    let lines: Vec<&str> = whole.lines().collect();
    let damaged = [
        (String::new(), "line 1", "cut off"),
        (String::from("name,class\n"), "line 1", "a JSON object"),
        (whole.replacen("\"titanic_backup\":1", "\"titanic_backup\":2", 1), "line 1", "format 1, not 2"),
        (whole[..whole.len() - 100].to_owned(), "line 131", "expected"),
        (whole[..whole.len() / 2].to_owned(), "", "a JSON object"),
        (lines[..1000].join("\n") + "\n", "line 1001", "cut off"),
        (whole.replacen("Allen", "Alien", 1), "line 1311", "digest"),
        (whole.replacen("\"class\":1", "\"class\":7", 1), "line 2", "`class` must be 1, 2 or 3"),
        (whole.replacen(lines[5], lines[4], 1), "line 6", "an id after"),
        (format!("{whole}{}\n", lines[1]), "line 1311", "nothing after"),
        (whole.replacen(&format!("{}\n", lines[9]), "", 1), "line 1310", "number of passengers"),
    ];
    for (text, line, expected) in damaged {
        std::fs::write(&path, text).unwrap();
        let error = restore(&app.store, &path).await.unwrap_err().to_string();
        assert!(error.contains(line) && error.contains(expected), "{error}, not {line} {expected}");
        assert!(error.contains("nothing was restored"), "{error}");
    }
    assert!(restore(&app.store, &folder.path().join("nowhere")).await.is_err());
    assert_eq!(everyone(&app).await, before);
}
