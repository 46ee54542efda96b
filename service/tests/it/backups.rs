//! Every record out, every record in.

use std::path::Path;

use axum::http::Method;
use serde_json::{Value, json};
use titanic::{api, backup::BackupError, backup::Counts};

use crate::app::App;

on_both_databases!(
    what_was_backed_up_is_what_is_restored,
    a_backup_is_of_one_moment_however_much_is_written,
    a_damaged_backup_changes_nothing,
    voyages_and_calls_come_back_to_the_letter,
    a_file_is_never_overwritten,
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

/// Every voyage with its calls.
async fn voyages(app: &App) -> Vec<(Value, Value)> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("/api/v1/voyages{after}")).await.json();
        for voyage in page["items"].as_array().unwrap() {
            let calls = app.get(&format!("/api/v1/voyages/{}/calls", voyage["id"].as_str().unwrap())).await;
            all.push((voyage.clone(), calls.json()));
        }
        let Some(cursor) = page["next_cursor"].as_str() else { return all };
        after = format!("?cursor={cursor}");
    }
}

async fn sail(app: &App, ship: &str, ports: &[(&str, &str)]) -> String {
    let body = json!({"ship": ship, "departed_on": "1911-06-14"});
    let made = app.call(Method::POST, "/api/v1/voyages", Some(&body)).await.json();
    let path = format!("/api/v1/voyages/{}", made["id"].as_str().unwrap());
    for (port, day) in ports {
        let body = json!({"port": port, "called_on": day});
        assert_eq!(app.call(Method::POST, &format!("{path}/calls"), Some(&body)).await.status, 201);
    }
    path
}

/// Backs up and returns the number of passengers.
pub(crate) async fn take(app: &App, path: &Path) -> u64 {
    api::backup(&app.database, path).await.unwrap()["passengers"]
}

async fn restore(app: &App, path: &Path) -> Result<Counts, BackupError> {
    api::restore(&app.database, path).await
}

/// Restores and returns the number of passengers.
pub(crate) async fn put_back(app: &App, path: &Path) -> u64 {
    restore(app, path).await.unwrap()["passengers"]
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
    assert_eq!(put_back(&app, &path).await, 1310);
    assert_eq!(everyone(&app).await, before);
    assert_eq!(app.get(&her).await.headers["etag"], etag);
    assert_eq!(app.get("/api/v1/passengers?total=true&name=asa").await.json()["total"], 1);
    // Twice the same backup, to the letter.
    let again = folder.path().join("again.ndjson");
    take(&app, &again).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), std::fs::read_to_string(&again).unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing half-done is left behind");
}

async fn a_backup_is_of_one_moment_however_much_is_written(app: App) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crew.ndjson");
    // Pairs come and go together, in one transaction: a backup with half a pair would be of two moments.
    let person = |name: &str| json!({"name": name, "class": 3, "sex": "male", "survived": true}).to_string();
    let writer = async {
        for pair in 0..40 {
            let pair = format!(
                "{}\n{}\n",
                person(&format!("Twin, Mr. A{pair}")),
                person(&format!("Twin, Mr. B{pair}"))
            );
            let request = axum::http::Request::post("/api/v1/passengers/import")
                .header("content-type", "application/x-ndjson")
                .body(axum::body::Body::from(pair))
                .unwrap();
            let answer = app.send(request).await;
            assert_eq!(answer.json()["imported"], 2, "{}", answer.text);
        }
    };
    let reader = async {
        for number in 0..10 {
            let count = take(&app, &folder.path().join(number.to_string())).await;
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
    let (restored, ()) = futures_util::future::join(put_back(&app, &path), writer).await;
    assert_eq!(restored, count);
    let now = everyone(&app).await;
    let late = now.iter().filter(|p| p["name"] == "Late, Mr. C").count();
    assert_eq!(now.len() - late, usize::try_from(count).unwrap());
}

async fn a_damaged_backup_changes_nothing(app: App) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crew.ndjson");
    take(&app, &path).await;
    let whole = std::fs::read_to_string(&path).unwrap();
    let before = (everyone(&app).await, voyages(&app).await);
    let lines: Vec<&str> = whole.lines().collect();
    let (voyage, call) = (lines[1309], lines[1310]);
    let swapped = format!("{voyage}\n{}", whole.replacen(&format!("{voyage}\n"), "", 1));
    let id = lines[1].split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap();
    let counted = "\"counts\":{\"calls\":3,\"passengers\":1309,\"voyages\":1}";
    assert!(lines[1313].contains(counted), "{}", lines[1313]);
    let damaged = [
        (
            whole.replacen(id, &uuid::Uuid::nil().to_string(), 1),
            "line 2 ",
            "an id after that of the line before",
        ),
        (String::new(), "line 1 ", "cut off"),
        (String::from("name,class\n"), "line 1 ", "a JSON object"),
        (String::from("{}\n"), "line 1 ", "a record of one of calls, passengers, voyages"),
        (whole[..whole.len() - 100].to_owned(), "line 1314 ", "a JSON object"),
        (whole[..whole.len() / 2].to_owned(), "", "a JSON object"),
        (lines[..1000].join("\n") + "\n", "line 1001 ", "cut off"),
        (lines[..1313].join("\n") + "\n", "line 1314 ", "cut off"),
        (whole.replacen("Allen", "Alien", 1), "line 1314 ", "the file was changed"),
        (
            whole.replacen("\"class\":1", "\"class\":7", 1),
            "line 1 ",
            "`class` must be a whole number from 1 to 3",
        ),
        (whole.replacen("1912-04-10", "1912-04-31", 1), "line 1310 ", "`departed_on` must be a day"),
        (whole.replacen("\"voyage_id\":\"", "\"voyage_id\":\"x", 1), "line 1311 ", "a UUID as `voyage_id`"),
        (whole.replacen("{\"calls\"", "{\"decks\"", 1), "line 1311 ", "a record of one of calls"),
        (swapped, "line 2 ", "each in its place"),
        (whole.replacen(lines[5], lines[4], 1), "line 6 ", "an id after"),
        (format!("{whole}{}\n", lines[1]), "line 1314 ", "nothing after"),
        (whole.replacen(&format!("{}\n", lines[9]), "", 1), "line 1313 ", "\"passengers\":1308"),
        (whole.replacen(&format!("{call}\n"), "", 1), "line 1313 ", "\"calls\":2"),
    ];
    for (text, line, expected) in damaged {
        std::fs::write(&path, text).unwrap();
        let error = restore(&app, &path).await.unwrap_err().to_string();
        assert!(error.contains(line) && error.contains(expected), "{error}, not {line} {expected}");
        assert!(error.contains("nothing was restored"), "{error}");
    }
    assert!(restore(&app, &folder.path().join("nowhere")).await.is_err());
    assert_eq!((everyone(&app).await, voyages(&app).await), before);
}

async fn voyages_and_calls_come_back_to_the_letter(app: App) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crew.ndjson");
    let ports = [("Cherbourg", "1911-06-14"), ("Queenstown \"🚢\"", "1911-06-15")];
    let olympic = sail(&app, "Olympic", &ports).await;
    for number in 0..120 {
        sail(&app, &format!("Ship {number}"), &ports[..number % 2]).await;
    }
    let before = voyages(&app).await;
    let taken = api::backup(&app.database, &path).await.unwrap();
    assert_eq!(taken, Counts::from([("passengers", 1309), ("voyages", 122), ("calls", 65)]));
    assert_eq!(app.call(Method::DELETE, &olympic, None).await.status, 204);
    sail(&app, "Britannic", &ports).await;

    assert_eq!(restore(&app, &path).await.unwrap(), taken);
    assert_eq!(voyages(&app).await, before);
    let again = folder.path().join("again.ndjson");
    take(&app, &again).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), std::fs::read_to_string(&again).unwrap());
}

async fn a_file_is_never_overwritten(app: App) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crew.ndjson");
    std::fs::write(&path, "dear to somebody").unwrap();
    let error = api::backup(&app.database, &path).await.unwrap_err();
    assert!(error.to_string().contains("crew.ndjson"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "dear to somebody");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing half-done is left behind");
    std::fs::remove_file(&path).unwrap();
    take(&app, &path).await;
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "its owner's alone");
}
