//! Every record out, every record in.

use std::path::Path;

use axum::http::Method;
use serde_json::{Value, json};
use titanic::clock::{Clock as _, SystemClock};
use titanic::{api, backup::Contents};

use crate::app::App;

on_both_databases!(
    what_was_backed_up_is_what_is_restored,
    a_backup_is_of_one_moment_however_much_is_written,
    a_damaged_backup_changes_nothing,
    voyages_and_calls_come_back_to_the_letter,
    a_backup_of_format_1_leaves_the_other_entities_as_they_are,
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

fn passengers_of(contents: &Contents) -> u64 {
    contents.counts.iter().find(|(kind, _)| *kind == "passengers").unwrap().1
}

/// Backs up and returns the number of passengers.
pub(crate) async fn take(app: &App, path: &Path) -> u64 {
    passengers_of(&api::backup(&app.database, path, SystemClock.now()).await.unwrap())
}

async fn restore(app: &App, path: &Path) -> Result<Contents, titanic::backup::BackupError> {
    api::restore(&app.database, path).await
}

/// Restores and returns the number of passengers.
pub(crate) async fn put_back(app: &App, path: &Path) -> u64 {
    passengers_of(&restore(app, path).await.unwrap())
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
    // Twice the same backup, apart from when it was taken.
    let again = folder.path().join("again.ndjson");
    take(&app, &again).await;
    let passengers = |path: &Path| -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().filter(|line| line.starts_with("{\"kind\"")).map(str::to_owned).collect()
    };
    assert_eq!(passengers(&path), passengers(&again));
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
    let (voyage, call) = (lines[1310], lines[1311]);
    let swapped = whole.replacen(&format!("{voyage}\n{call}\n"), &format!("{call}\n{voyage}\n"), 1);
    let headed = |kinds: &str| {
        whole.replacen("\"kinds\":[\"passengers\",\"voyages\",\"calls\"]", &format!("\"kinds\":[{kinds}]"), 1)
    };
    let id = lines[1].split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap();
    let damaged = [
        (
            whole.replacen(id, &uuid::Uuid::nil().to_string(), 1),
            "line 2",
            "an id after that of the line before",
        ),
        (String::new(), "line 1", "cut off"),
        (String::from("name,class\n"), "line 1", "a JSON object"),
        (whole.replacen("\"titanic_backup\":2", "\"titanic_backup\":3", 1), "line 1", "format 1 or 2, not 3"),
        (headed("\"passengers\",\"decks\""), "line 1", "not `decks`: take the newer"),
        (headed("\"voyages\",\"calls\",\"passengers\""), "line 1", "each kind once"),
        (headed("\"passengers\",\"passengers\""), "line 1", "each kind once"),
        (headed("\"passengers\",\"voyages\""), "line 1", "voyages and calls together"),
        (headed("\"passengers\""), "line 1311", "a `kind` of the header, not `voyages`"),
        (whole[..whole.len() - 100].to_owned(), "line 1315", "a JSON object"),
        (whole[..whole.len() / 2].to_owned(), "", "a JSON object"),
        (lines[..1000].join("\n") + "\n", "line 1001", "cut off"),
        (whole.replacen("Allen", "Alien", 1), "line 1315", "digest"),
        (whole.replacen("\"class\":1", "\"class\":7", 1), "line 2", "`class` must be 1, 2 or 3"),
        (whole.replacen("1912-04-10", "1912-04-31", 1), "line 1311", "`departed_on` must be a day"),
        (whole.replacen("\"voyage_id\":\"", "\"voyage_id\":\"x", 1), "line 1312", "a UUID as `voyage_id`"),
        (whole.replacen("\"record\"", "\"recorded\"", 1), "line 2", "an object as `record`"),
        (whole.replacen("\"kind\":\"calls\"", "\"kind\":\"call\"", 1), "line 1312", "not `call`"),
        (swapped, "line 1312", "the kinds in the order of the header"),
        (whole.replacen(lines[5], lines[4], 1), "line 6", "an id after"),
        (format!("{whole}{}\n", lines[1]), "line 1315", "nothing after"),
        (whole.replacen(&format!("{}\n", lines[9]), "", 1), "line 1314", "number of passengers"),
        (whole.replacen(&format!("{call}\n"), "", 1), "line 1314", "number of calls"),
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
    let taken = api::backup(&app.database, &path, SystemClock.now()).await.unwrap();
    assert_eq!(taken.to_string(), "1309 passengers, 122 voyages, 65 calls");
    assert_eq!(app.call(Method::DELETE, &olympic, None).await.status, 204);
    sail(&app, "Britannic", &ports).await;

    assert_eq!(restore(&app, &path).await.unwrap(), taken);
    assert_eq!(voyages(&app).await, before);
    let again = folder.path().join("again.ndjson");
    take(&app, &again).await;
    let records = |path: &Path| -> Vec<String> {
        std::fs::read_to_string(path).unwrap().lines().skip(1).map(str::to_owned).collect()
    };
    let (first, second) = (records(&path), records(&again));
    // All but the footer, whose digest covers when it was taken.
    assert_eq!(first[..first.len() - 1], second[..second.len() - 1]);
}

/// Rewrites a backup as an older version wrote it: passengers only, without kinds.
fn of_format_1(text: &str) -> String {
    use sha2::Digest as _;
    let mut old = String::from("{\"taken_at\":\"2026-11-01T00:00:00Z\",\"titanic_backup\":1}\n");
    let mut count = 0;
    for line in text.lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        if line["kind"] == "passengers" {
            old += &format!("{}\n", line["record"].take());
            count += 1;
        }
    }
    let digest: String = sha2::Sha256::digest(&old).iter().map(|byte| format!("{byte:02x}")).collect();
    old + &format!("{{\"passengers\":{count},\"sha256\":\"{digest}\"}}\n")
}

async fn a_backup_of_format_1_leaves_the_other_entities_as_they_are(app: App) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crew.ndjson");
    take(&app, &path).await;
    let old = of_format_1(&std::fs::read_to_string(&path).unwrap());
    std::fs::write(&path, &old).unwrap();
    let before = everyone(&app).await;
    let gone = format!("/api/v1/passengers/{}", before[0]["id"].as_str().unwrap());
    assert_eq!(app.call(Method::DELETE, &gone, None).await.status, 204);
    sail(&app, "Olympic", &[("Cherbourg", "1911-06-14")]).await;
    let sailed = voyages(&app).await;

    let restored = restore(&app, &path).await.unwrap();
    assert_eq!((restored.to_string(), restored.left), ("1309 passengers".into(), vec!["voyages", "calls"]));
    assert_eq!((everyone(&app).await, voyages(&app).await), (before, sailed));
    std::fs::write(&path, old.replacen("\"passengers\":1309", "\"passengers\":1310", 1)).unwrap();
    let error = restore(&app, &path).await.unwrap_err().to_string();
    assert!(error.contains("line 1311") && error.contains("the number of passengers above, 1309"), "{error}");
}
