//! History of probes: rows, percentiles and bars of a target.

use lookout_config::Target;
use lookout_ledger::ProbeHistoryStore as _;
use lookout_model::probe_history::{ProbeCounts, ProbeMinute};

use super::*;

/// A target that was probed for 100 minutes, six times each; two of the last minute failed and three slots were missed.
async fn probed() -> (Router, Arc<ledger::FakeLedger>) {
    let mut fixture = Fixture::empty();
    let target = Target::of_url(&"http://api".parse().unwrap()).unwrap();
    fixture.config.targets.push(Arc::new(Target { name: "api/1".to_owned(), ..target }));
    let (router, ledger) = routed(&fixture);
    let last = NOW.as_seconds() / 60 - 1;
    let minutes = (0..100).map(|back| {
        let mut counts = ProbeCounts::default();
        for number in 0..6 {
            counts.add_probe(Duration::from_millis(20 + number), back > 0 || number > 1);
        }
        counts.add_missed(if back == 0 { 3 } else { 0 });
        ProbeMinute { target: "api/1".to_owned(), minute: last - back, counts }
    });
    ledger.add_probe_minutes(&minutes.collect::<Vec<_>>()).await.unwrap();
    (router, ledger)
}

#[tokio::test]
async fn the_api_tells_rows_and_percentiles() {
    let (router, ledger) = probed().await;
    let day = get(&router, "/api/v1/targets/api%2F1/history").await.json();
    assert_eq!((&day["target"], &day["step_s"]), (&"api/1".into(), &900.into()));
    assert_eq!(
        (&day["sum"]["probes"], &day["sum"]["failed"], &day["sum"]["missed"]),
        (&600.into(), &2.into(), &3.into())
    );
    for (percentile, least) in [("p50_ms", 22.0), ("p90_ms", 24.0), ("p99_ms", 25.0)] {
        let told = day["sum"][percentile].as_f64().unwrap();
        assert!(told >= least && told <= least * 1.2, "{percentile}: {told}");
    }
    let rows = day["rows"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["p50_ms"]), (97, &serde_json::Value::Null));
    let hours = get(&router, "/api/v1/targets/api%2F1/history?last=1h").await.json();
    assert_eq!((&hours["step_s"], hours["rows"].as_array().unwrap().len()), (&60.into(), 61));
    for (query, code) in [("?last=soon", "bad_times"), ("?last=91d", "bad_times"), ("?since=1", "bad_query")]
    {
        let refused = get(&router, &format!("/api/v1/targets/api%2F1/history{query}")).await;
        assert_eq!(refused.problem(), (400, code.to_owned()), "{query}");
    }
    let unknown = get(&router, "/api/v1/targets/nothing/history").await;
    assert_eq!(unknown.problem(), (404, "unknown_target".to_owned()));
    ledger.fails.store(true, std::sync::atomic::Ordering::Relaxed);
    let away = get(&router, "/api/v1/targets/api%2F1/history").await;
    assert_eq!(away.problem(), (503, "ledger_unavailable".to_owned()));
}

#[tokio::test]
async fn the_page_shows_bars_and_what_failed() {
    let (router, ledger) = probed().await;
    let page = get(&router, "/targets/api%2F1").await;
    assert_eq!(page.status, 200, "{}", page.text);
    for shown in
        ["600<small>2 failed", "<dt>p99</dt>", "class=\"bad\"", "class=\"p50\"", "Last 1 d", ">2h</a>"]
    {
        assert!(page.text.contains(shown), "{shown} is not in {}", page.text);
    }
    assert!(page.text.len() < 50_000, "{} bytes", page.text.len());
    let longer = get(&router, "/targets/api%2F1?last=90d").await;
    assert!(longer.text.contains("600<small>2 failed"), "{}", longer.text);
    let other = get(&router, "/targets/%3Cscript%3E").await;
    assert!(other.status == 404 && !other.text.contains("<script"), "{}", other.text);
    ledger.fails.store(true, std::sync::atomic::Ordering::Relaxed);
    let away = get(&router, "/targets/api%2F1").await;
    assert!(away.status == 200 && away.text.contains("the history is missing"), "{}", away.text);
}

#[tokio::test]
async fn openmetrics_is_for_those_that_ask_for_it() {
    let fixture = Fixture::healthy();
    let state = fixture.state();
    metrics::with_local_recorder(&state.recorder, || {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        lookout_runtime::recorder::with_trace(trace, NOW, || {
            metrics::histogram!(lookout_runtime::events::names::PROBE_SECONDS, "target" => "api").record(0.2);
        });
    });
    let router = router(state);
    let asked = |accept: &str| {
        Request::get("/metrics").header("accept", accept.to_owned()).body(Body::empty()).unwrap()
    };
    let open = send(&router, asked("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")).await;
    assert!(open.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(open.text.ends_with("# EOF\n") && open.text.contains(" # {trace_id=\"0af76519"), "{}", open.text);
    let plain = send(&router, asked("text/plain")).await;
    assert!(plain.header("content-type").starts_with("text/plain; version=0.0.4"));
    assert!(!plain.text.contains("trace_id") && !plain.text.contains("# EOF"), "{}", plain.text);
}
