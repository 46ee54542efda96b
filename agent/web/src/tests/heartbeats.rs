//! Calls of jobs: who may, and for which names.

use lookout_config::{Check, Family, HeartbeatCheck, Target};
use lookout_ledger::HeartbeatStore as _;

use super::*;

fn call(name: &str, token: Option<&str>) -> Request<Body> {
    let mut request = Request::post(format!("/api/v1/heartbeats/{name}"));
    if let Some(token) = token {
        request = request.header("authorization", token);
    }
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_call_needs_its_scope_and_a_name_that_is_configured() {
    let hour = Duration::from_secs(3600);
    let mut fixture = Fixture::empty().with_token(&["heartbeat"]);
    fixture.config.targets.push(Arc::new(Target {
        name: "backup".to_owned(),
        interval: Duration::from_secs(60),
        timeout: Duration::from_secs(5),
        family: Family::Auto,
        resolver: None,
        labels: Vec::new(),
        off: None,
        maintenance: Vec::new(),
        group: None,
        down: None,
        allowed: None,
        check: Check::Heartbeat(HeartbeatCheck { every: 24 * hour, grace: hour }),
        expect: Arc::default(),
    }));
    let (router, ledger) = routed(&fixture);
    assert_eq!(send(&router, call("backup", None)).await.problem(), (401, "token_missing".to_owned()));
    let unknown = send(&router, call("other", Some("Bearer secret"))).await;
    assert_eq!(unknown.problem(), (404, "unknown_heartbeat".to_owned()));
    assert!(unknown.text.contains("known are backup"), "{}", unknown.text);
    assert_eq!(ledger.heartbeats().await.unwrap(), [], "nothing was noted");

    let noted = send(&router, call("backup", Some("Bearer secret"))).await;
    assert_eq!(noted.status, 200, "{}", noted.text);
    assert_eq!(
        noted.json(),
        serde_json::json!({ "name": "backup", "at_ms": NOW.as_millis(), "stored": true })
    );
    assert_eq!(ledger.heartbeats().await.unwrap(), [("backup".to_owned(), NOW)]);

    let (router, _) = routed(&Fixture::empty().with_token(&["mark"]));
    assert_eq!(
        send(&router, call("backup", Some("Bearer secret"))).await.problem(),
        (403, "scope_missing".to_owned())
    );
}
