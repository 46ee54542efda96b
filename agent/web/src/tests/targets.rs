//! Pauses of targets: who may, for how long, and where they are told.

use lookout_config::Target;
use lookout_ledger::PauseStore as _;

use super::*;

fn call(action: &str, token: &str, body: &str) -> Request<Body> {
    let request = Request::post(format!("/api/v1/targets/db/{action}")).header("authorization", token);
    request.body(Body::from(body.to_owned())).unwrap()
}

const HOURS: &str = r#"{"for":"2h","reason":"a move <b>"}"#;

#[tokio::test]
async fn a_pause_is_stored_with_the_name_of_its_token_and_can_be_ended() {
    let mut fixture = Fixture::empty().with_token(&["pause"]);
    let mut target = Target::of_url(&"tcp://db:5432".parse().unwrap()).unwrap();
    target.labels = vec![("team".to_owned(), "crew".to_owned())];
    fixture.config.targets.push(Arc::new(target));
    let (router, ledger) = routed(&fixture);
    let listed = async || send(&router, Request::get("/api/v1/targets").body(Body::empty()).unwrap()).await;
    let first = listed().await.json();
    assert_eq!(
        first["targets"],
        serde_json::json!([{ "name": "db", "protocol": "tcp", "labels": { "team": "crew" }, "paused": null }])
    );
    for (body, code) in [
        (r#"{"for":"0s","reason":"x"}"#, "bad_times"),
        (r#"{"for":"31d","reason":"x"}"#, "bad_times"),
        (r#"{"for":"2h","reason":" "}"#, "bad_field"),
        (r#"{"for":"2h","reason":"x","actor":"somebody else"}"#, "bad_body"),
    ] {
        let refused = send(&router, call("pause", "Bearer secret", body)).await;
        assert_eq!(refused.problem(), (400, code.to_owned()), "{body}");
    }
    let stranger = send(&router, call("pause", "Bearer other", HOURS)).await;
    assert_eq!(stranger.problem(), (401, "token_unknown".to_owned()));
    assert_eq!(ledger.pauses().await.unwrap(), []);
    let nothing = send(&router, call("resume", "Bearer secret", "")).await;
    assert_eq!(nothing.problem(), (409, "not_paused".to_owned()));

    let paused = send(&router, call("pause", "Bearer secret", HOURS)).await;
    assert_eq!(paused.status, 200, "{}", paused.text);
    let told = listed().await.json()["targets"][0]["paused"].clone();
    assert_eq!((&told["cause"], &told["actor"]), (&"operator".into(), &"pipeline".into()));
    assert_eq!(told["until_ms"], NOW.as_millis() + 7_200_000);
    let stored = ledger.pauses().await.unwrap();
    assert_eq!((stored.len(), stored[0].actor.as_str(), stored[0].from), (1, "pipeline", NOW));

    let ended = send(&router, call("resume", "Bearer secret", "")).await;
    assert_eq!(ended.status, 200, "{}", ended.text);
    assert_eq!(listed().await.json()["targets"][0]["paused"], serde_json::Value::Null);
    assert_eq!(ledger.pauses().await.unwrap()[0].until, NOW, "a restart does not begin it again");
}

#[tokio::test]
async fn the_pages_tell_of_a_pause() {
    let mut fixture = Fixture::healthy();
    fixture.snapshot.slos[0].paused = Some(lookout_model::Pause {
        target: "db".to_owned(),
        cause: lookout_model::PauseCause::Operator,
        until: Some(NOW + Duration::from_secs(3600)),
        reason: "a move <b>".to_owned(),
        actor: Some("ops".to_owned()),
    });
    let slo = &fixture.snapshot.slos[0];
    let path = format!("/slos/{}/{}", slo.service, slo.slo);
    let (router, _) = routed(&fixture);
    for path in ["/", path.as_str()] {
        let page = send(&router, Request::get(path).body(Body::empty()).unwrap()).await;
        assert!(page.text.contains("the target db is paused by ops until"), "{path}: {}", page.text);
        assert!(!page.text.contains("a move <b>"), "{path}");
    }
}

#[tokio::test]
async fn each_address_has_its_result_on_the_page_and_in_the_api_and_no_text_is_markup() {
    let mut fixture = Fixture::empty();
    fixture.config.targets.push(Arc::new(Target::of_url(&"tcp://db:5432".parse().unwrap()).unwrap()));
    let address = |address: &str, failure: Option<&str>| AddressRow {
        address: address.parse().unwrap(),
        failure: failure.map(str::to_owned),
        total: Duration::from_micros(12_345),
    };
    let row = ProbeRow {
        target: "db".to_owned(),
        url_without_secrets: "tcp://db:5432".to_owned(),
        ok: false,
        detail: "1 of 2 addresses failed".to_owned(),
        total_ms: 12,
        at: NOW,
        addresses: vec![address("127.0.0.1", None), address("::1", Some("connect: <script>\u{7}"))],
    };
    fixture.probes = vec![row];
    let router = routed(&fixture).0;
    let get = async |path: &str| send(&router, Request::get(path).body(Body::empty()).unwrap()).await;
    let page = get("/targets/db").await.text;
    for shown in ["<th scope=\"row\">127.0.0.1</th>", "<th scope=\"row\">::1</th>", "as expected", "12.3 ms"]
    {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert!(page.contains("connect: &#60;script&#62; <") && !page.contains("<script>"), "{page}");
    let listed = get("/api/v1/targets").await.json()["targets"][0]["addresses"].clone();
    assert_eq!(
        listed[0],
        serde_json::json!({ "address": "127.0.0.1", "ok": true, "failure": null, "total_ms": 12.345 })
    );
    assert_eq!((&listed[1]["address"], &listed[1]["ok"]), (&"::1".into(), &false.into()));
    fixture.probes[0].addresses.clear();
    let router = routed(&fixture).0;
    let page = send(&router, Request::get("/targets/db").body(Body::empty()).unwrap()).await.text;
    assert!(!page.contains("<h2>Addresses</h2>"), "one address is no list: {page}");
}

#[tokio::test]
async fn addresses_that_cannot_be_found_are_told_on_the_overview_in_health_and_in_the_api() {
    let mut fixture = Fixture::burning();
    let failure = DiscoveryFailure { text: "one.test: \u{1b}[1m SERVFAIL <b>".to_owned(), since: NOW };
    let row = DiscoveryRow {
        target: "shop".to_owned(),
        source: "dns",
        addresses: 2,
        succeeded_at: Some(NOW - Duration::from_secs(90)),
        failure: Some(failure),
    };
    let none = DiscoveryRow { target: "cart".to_owned(), addresses: 0, succeeded_at: None, ..row.clone() };
    fixture.discoveries = vec![row, none];
    let router = routed(&fixture).0;
    let get = async |path: &str| send(&router, Request::get(path).body(Body::empty()).unwrap()).await;
    let page = get("/").await.text;
    assert!(page.contains("shop (dns): one.test:  [1m SERVFAIL &#60;b&#62;. Failing since "), "{page}");
    assert!(page.contains("in use: 2, found 1 min 30 s ago."), "{page}");
    assert!(page.contains("no address is known, so that nobody probes it."), "{page}");
    let ready = get("/readyz").await;
    assert!(
        ready.status == 200 && ready.text.contains("addresses of shop cannot be looked up"),
        "{}",
        ready.text
    );
    assert_eq!(get("/api/v1/targets").await.json()["discoveries"][0]["source"], "dns");
    fixture.discoveries.iter_mut().for_each(|row| row.failure = None);
    let router = routed(&fixture).0;
    let page = send(&router, Request::get("/").body(Body::empty()).unwrap()).await.text;
    assert!(!page.contains("Addresses not found"), "{page}");
}
