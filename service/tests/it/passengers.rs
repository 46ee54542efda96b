//! List, find, sort, count; add, read, remove.

use std::collections::HashSet;

use axum::http::Method;
use serde_json::{Value, json};

use crate::app::App;

on_both_databases!(
    an_empty_database_is_loaded_with_everyone,
    walking_the_pages_meets_everyone_exactly_once,
    walking_in_any_order_meets_everyone_exactly_once_and_in_that_order,
    a_range_along_the_order_of_a_walk_has_everyone_in_it_and_nobody_else,
    a_walk_goes_on_when_its_last_passenger_has_left,
    a_last_page_that_is_full_has_no_next,
    filters_hold_together,
    names_are_found_by_words,
    the_saved_are_counted_by_class_sex_and_age,
    a_passenger_comes_aboard_is_read_and_leaves,
    no_text_of_a_client_upsets_the_database,
);

async fn an_empty_database_is_loaded_with_everyone(app: App) {
    let page = app.get("/api/v1/passengers?total=true").await.json();
    assert_eq!(page["total"], 1309);
    assert_eq!(page["items"].as_array().unwrap().len(), 20);
    assert_eq!(
        page["items"][1],
        json!({
            "id": page["items"][1]["id"], "name": "Allison, Master. Hudson Trevor", "class": 1, "sex": "male",
            "age": 0.9167, "fare": null, "siblings_or_spouses_aboard": 1, "parents_or_children_aboard": 2,
            "survived": true, "version": 1, "updated_at": "2026-01-01T00:00:00Z"
        })
    );
}

async fn walking_the_pages_meets_everyone_exactly_once(app: App) {
    let (mut met, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let after = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = app.get(&format!("/api/v1/passengers?limit=100{after}")).await.json();
        assert_eq!(page.get("total"), None, "nobody asked");
        met.extend(page["items"].as_array().unwrap().iter().map(|p| p["id"].as_str().unwrap().to_owned()));
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(met.len(), 1309);
    assert_eq!(met.iter().collect::<HashSet<_>>().len(), 1309);
}

async fn a_last_page_that_is_full_has_no_next(app: App) {
    let page = app.get("/api/v1/passengers?total=true&name=smith,%20mr.%20james&limit=1").await.json();
    assert_eq!((&page["total"], &page["next_cursor"]), (&json!(1), &Value::Null));
}

async fn filters_hold_together(app: App) {
    let total = async |query: &str| {
        app.get(&format!("/api/v1/passengers?total=true&{query}")).await.json()["total"].clone()
    };
    assert_eq!(total("class=1").await, 323);
    assert_eq!(total("sex=female").await, 466);
    assert_eq!(total("survived=true").await, 500);
    assert_eq!(total("survived=true&class=3&sex=female").await, 106);
    // An unknown age is neither above nor below anything.
    assert_eq!(total("min_age=0&max_age=120").await, 1309 - 263);
    assert_eq!(total("min_age=80").await, 1);
    assert_eq!(total("min_fare=0").await, 0);

    let page = app.get("/api/v1/passengers?total=true&class=2&sex=male&max_age=10&limit=100").await.json();
    let items = page["items"].as_array().unwrap();
    assert_eq!(page["total"], items.len());
    assert!(!items.is_empty());
    assert!(
        items.iter().all(|p| p["class"] == 2 && p["sex"] == "male" && p["age"].as_f64().unwrap() <= 10.0)
    );
}

async fn a_passenger_comes_aboard_is_read_and_leaves(app: App) {
    let person =
        json!({"name": "Ödegård, Miss. Åsa", "class": 3, "sex": "female", "age": 22, "survived": true});
    let created = app.call(Method::POST, "/api/v1/passengers", Some(&person)).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let made = created.json();
    let path = format!("/api/v1/passengers/{}", made["id"].as_str().unwrap());
    assert_eq!(created.headers["location"].to_str().unwrap(), format!("https://titanic.example{path}"));
    assert_eq!((&made["age"], &made["siblings_or_spouses_aboard"]), (&json!(22), &json!(0)));

    assert_eq!((&made["fare"], &made["version"]), (&json!(null), &json!(1)));

    assert_eq!(app.get(&path).await.json(), made);
    // Who comes last is listed last, and is found in whatever case beyond ASCII too.
    assert_eq!(app.get("/api/v1/passengers?name=%C3%85SA").await.json()["items"][0], made);

    assert_eq!(app.call(Method::DELETE, &path, None).await.status, 204);
    assert_eq!(app.get(&path).await.problem(404).0, "not_found");
    assert_eq!(app.call(Method::DELETE, &path, None).await.problem(404).0, "not_found");
    assert_eq!(app.get("/api/v1/passengers?total=true").await.json()["total"], 1309);
    // Nothing of them is left in the search either.
    assert_eq!(app.get("/api/v1/passengers?total=true&name=asa").await.json()["total"], 0);
}

/// Everyone that a query lets through, page by page.
async fn walk(app: &App, query: &str, limit: u32) -> Vec<Value> {
    let (mut met, mut after) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("/api/v1/passengers?limit={limit}&{query}{after}")).await.json();
        met.extend(page["items"].as_array().unwrap_or_else(|| panic!("{query}: {page}")).iter().cloned());
        assert!(met.len() <= 1400, "{query} never ends");
        let Some(cursor) = page["next_cursor"].as_str() else { return met };
        after = format!("&cursor={cursor}");
    }
}

/// Compares as the list promises to: by value, those without one last, then by id, in one direction.
fn is_before(sort: &str, a: &Value, b: &Value) -> bool {
    let (descending, field) = sort.strip_prefix('-').map_or((false, sort), |field| (true, field));
    let turn = |order: std::cmp::Ordering| if descending { order.reverse() } else { order };
    let ids = turn(a["id"].as_str().cmp(&b["id"].as_str()));
    let values = match field {
        "id" => ids,
        "name" => {
            let plain = |p: &Value| {
                let name = p["name"].as_str().unwrap().to_lowercase();
                let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
                words.collect::<Vec<_>>().join(" ")
            };
            turn(plain(a).cmp(&plain(b)))
        }
        _ => match (a[field].as_f64(), b[field].as_f64()) {
            (Some(a), Some(b)) => turn(a.total_cmp(&b)),
            (a, b) => a.is_none().cmp(&b.is_none()),
        },
    };
    values.then(ids).is_lt()
}

async fn walking_in_any_order_meets_everyone_exactly_once_and_in_that_order(app: App) {
    let person = |name: &str, fare: f64| json!({"name": name, "class": 3, "sex": "male", "fare": fare, "survived": true});
    for fare in [7.25, 7.25, 0.0, 512.3292, 10_000.0] {
        app.board(&person("de Messemaeker, Mr. Guillaume", fare)).await;
    }
    for sort in ["id", "-id", "name", "-name", "age", "-age", "fare", "-fare"] {
        // Pages so small that they end amid ties, and amid those without a value.
        let met = walk(&app, &format!("sort={sort}&class=3&sex=male"), 7).await;
        assert_eq!(met.len(), 498, "{sort}");
        for (a, b) in met.iter().zip(&met[1..]) {
            assert!(is_before(sort, a, b), "{sort}: {a} before {b}");
        }
    }
    let dearest = app.get("/api/v1/passengers?sort=-fare&limit=2").await.json();
    assert_eq!(
        (&dearest["items"][0]["fare"], &dearest["items"][1]["fare"]),
        (&json!(10_000), &json!(512.3292))
    );
    assert_eq!(app.get("/api/v1/passengers?total=true&min_fare=7.25&max_fare=600").await.json()["total"], 3);
}

async fn a_range_along_the_order_of_a_walk_has_everyone_in_it_and_nobody_else(app: App) {
    let all = walk(&app, "sort=id", 100).await;
    let aged = |least: f64, most: f64| {
        let age = |p: &&Value| p["age"].as_f64().is_some_and(|age| (least..=most).contains(&age));
        all.iter().filter(age).map(|p| p["id"].as_str().unwrap().to_owned()).collect::<HashSet<_>>()
    };
    for (range, least, most) in [
        ("min_age=30", 30.0, 120.0),
        ("max_age=30", 0.0, 30.0),
        ("min_age=21&max_age=24", 21.0, 24.0),
        ("min_age=0", 0.0, 120.0),
        ("max_age=120", 0.0, 120.0),
        ("min_age=100", 100.0, 120.0),
    ] {
        for sort in ["age", "-age", "fare", "name", "-id"] {
            let met = walk(&app, &format!("sort={sort}&{range}"), 9).await;
            for (a, b) in met.iter().zip(met.iter().skip(1)) {
                assert!(is_before(sort, a, b), "{sort} {range}: {a} before {b}");
            }
            let met: Vec<_> = met.iter().map(|p| p["id"].as_str().unwrap().to_owned()).collect();
            assert_eq!(met.len(), aged(least, most).len(), "{sort} {range}");
            assert_eq!(met.into_iter().collect::<HashSet<_>>(), aged(least, most), "{sort} {range}");
        }
    }
}

async fn a_walk_goes_on_when_its_last_passenger_has_left(app: App) {
    for sort in ["id", "-id", "name", "age", "-age"] {
        let all = walk(&app, &format!("sort={sort}&class=1&sex=female"), 100).await;
        let first =
            app.get(&format!("/api/v1/passengers?sort={sort}&class=1&sex=female&limit=3")).await.json();
        let gone = first["items"][2]["id"].as_str().unwrap();
        assert_eq!(app.call(Method::DELETE, &format!("/api/v1/passengers/{gone}"), None).await.status, 204);
        let cursor = first["next_cursor"].as_str().unwrap();
        let path = format!("/api/v1/passengers?sort={sort}&class=1&sex=female&limit=3&cursor={cursor}");
        assert_eq!(app.get(&path).await.json()["items"][0]["id"], all[3]["id"], "{sort}");
    }
    // A cursor beyond the end is an empty page, which still knows how many there are.
    let beyond = "/api/v1/passengers?total=true&class=1&cursor=affffffffffff7fffbfffffffffffffff";
    let page = app.get(beyond).await.json();
    assert_eq!(
        (&page["items"], &page["total"], &page["next_cursor"]),
        (&json!([]), &json!(318), &Value::Null)
    );
}

async fn names_are_found_by_words(app: App) {
    for name in
        ["Ödegård, Miss. Åsa", "O'Dwyer, Mr. Łukasz Weiß", "Σοφία, Δρ. Οδυσσεύς", "Ðang, Mr. e\u{301}E"]
    {
        app.board(&json!({"name": name, "class": 3, "sex": "female", "survived": true})).await;
    }
    let found = async |query: &str| {
        let page = app.get(&format!("/api/v1/passengers?limit=100&name={query}")).await.json();
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(found("ALLISON").await.len(), found("allison").await.len());
    // In any order, from the beginning of words, without marks and case.
    for query in ["%C3%85SA", "asa%20odegard", "odeg,%20A", "asa%20as"] {
        assert_eq!(found(query).await, ["Ödegård, Miss. Åsa"], "{query}");
    }
    for (query, name) in [
        ("weiss%20lukasz", "O'Dwyer, Mr. Łukasz Weiß"),
        ("o%27dwyer%20mr", "O'Dwyer, Mr. Łukasz Weiß"),
        ("%CE%BF%CE%B4%CF%85%CF%83%CF%83%CE%B5%CF%85%CE%A3", "Σοφία, Δρ. Οδυσσεύς"),
        ("dang%20ee", "Ðang, Mr. e\u{301}E"),
    ] {
        assert_eq!(found(query).await, [name], "{query}");
    }
    assert_eq!(found("llison").await, Vec::<String>::new(), "not from the middle of a word");
    assert_eq!(found("hudson%20trevor").await, ["Allison, Master. Hudson Trevor"]);
}

async fn the_saved_are_counted_by_class_sex_and_age(app: App) {
    let stats = app.get("/api/v1/passengers/stats").await.json();
    assert_eq!(
        (&stats["total"], &stats["survived"], &stats["survival_rate"]),
        (&json!(1309), &json!(500), &json!(0.382))
    );
    let counts = |group: &str, label: &str| -> Vec<Value> {
        let groups = stats[group].as_array().unwrap().iter();
        groups.map(|g| json!([g[label], g["total"], g["survived"], g["survival_rate"]])).collect()
    };
    assert_eq!(
        counts("by_class", "class"),
        [json!([1, 323, 200, 0.6192]), json!([2, 277, 119, 0.4296]), json!([3, 709, 181, 0.2553])]
    );
    assert_eq!(
        counts("by_sex", "sex"),
        [json!(["female", 466, 339, 0.7275]), json!(["male", 843, 161, 0.191])]
    );
    let bands: Vec<_> =
        counts("by_age_band", "age_band").iter().map(|g| g[0].as_str().unwrap().to_owned()).collect();
    assert_eq!(bands, ["0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+", "unknown"]);
    let unknown = counts("by_age_band", "age_band").pop().unwrap();
    assert_eq!(unknown[1], 263);
    let children = app.get("/api/v1/passengers?total=true&max_age=9.9999&survived=true").await.json();
    assert_eq!(stats["by_age_band"][0]["survived"], children["total"]);
}

async fn no_text_of_a_client_upsets_the_database(app: App) {
    for text in
        ["%00", "a%00b", "%27%3B--", "%F0%9F%9A%A2", "%EF%BF%BF", "a%22b%5Cc", "%F4%8F%BF%BF", "x%25_"]
    {
        for parameter in ["name", "sex", "class", "cursor", "sort", "min_age", "fare", "%00"] {
            let status = app.get(&format!("/api/v1/passengers?{parameter}={text}")).await.status.as_u16();
            assert!(matches!(status, 200 | 400), "{parameter}={text}: {status}");
        }
    }
    for name in ["\u{0}", "a\u{0}b", "\u{202e}", "\u{feff}x", "\u{85}", &"é".repeat(201)] {
        let person = json!({"name": name, "class": 3, "sex": "male", "survived": true});
        let answer = app.call(Method::POST, "/api/v1/passengers", Some(&person)).await;
        assert_eq!(answer.problem(422).1, ["name"], "{name:?}");
    }
    // What is odd but harmless comes back as it was sent.
    for name in ["🚢", "'; drop table passengers; --", "%_\\\"", "\u{10ffff}", &"é".repeat(200), "𝕏 ﷺ"]
    {
        let person = json!({"name": name, "class": 3, "sex": "male", "survived": true});
        let (made, path) = app.board(&person).await;
        assert_eq!((&app.get(&path).await.json()["name"], &made["name"]), (&json!(name), &json!(name)));
    }
    assert_eq!(app.get("/api/v1/passengers?total=true").await.json()["total"], 1315);
}
