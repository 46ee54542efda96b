//! `/probe`: who may, for which modules and targets, for how long and how many at once.

use std::sync::Mutex;

use lookout_config::{Check, Target};
use tokio::sync::Semaphore;

use super::*;
use crate::{Made, ProbeMaker};

fn fixture() -> Fixture {
    let mut fixture = Fixture::empty().with_token(&["probe"]);
    let module = |name: &str, url: &str| {
        let target = Target::of_url(&url.parse().unwrap()).unwrap();
        Target { name: name.to_owned(), ..target }
    };
    fixture.config.blackbox.modules =
        vec![module("http_2xx", "http://target"), module("tcp", "tcp://target:1")];
    fixture
}

fn ask(query: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let request = Request::get(format!("/probe{query}")).header("authorization", "Bearer secret");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Body::empty()).unwrap()
}

fn made(series: &str) -> Made {
    Made::Series { series: series.to_owned(), report: "ok: status 200\n".to_owned() }
}

fn router_with(fixture: &Fixture, maker: ProbeMaker) -> Router {
    router(State { probe_maker: maker, ..fixture.state() })
}

#[tokio::test]
async fn a_request_needs_a_module_a_scope_and_a_target() {
    let maker = || ProbeMaker::new(async |_| made("probe_success 1\n"));
    let none = router_with(&Fixture::empty().with_token(&["probe"]), maker());
    assert_eq!(send(&none, ask("?target=x", &[])).await.problem(), (404, "no_modules_configured".to_owned()));
    let router = router_with(&fixture(), maker());
    let bare = Request::get("/probe?target=x").body(Body::empty()).unwrap();
    assert_eq!(send(&router, bare).await.problem(), (401, "token_missing".to_owned()));
    let other = Fixture { config: fixture().config, ..Fixture::empty() }.with_token(&["mark"]);
    let other = router_with(&other, maker());
    assert_eq!(send(&other, ask("?target=x", &[])).await.problem(), (403, "scope_missing".to_owned()));
    for (query, code) in [
        ("", "target_missing"),
        ("?target=", "target_missing"),
        ("?target=x&module=nothing", "unknown_module"),
        ("?target=ftp://x", "bad_target"),
        ("?target=x&module=tcp", "bad_target"),
        ("?target=x&debug=perhaps", "bad_query"),
        ("?target=x&limit=1", "bad_query"),
        ("?target=x&hostname=a%20b", "bad_hostname"),
        ("?target=x:1&module=tcp&hostname=db", "bad_hostname"),
        ("?target=x&target=y", "bad_query"),
    ] {
        assert_eq!(send(&router, ask(query, &[])).await.problem(), (400, code.to_owned()), "{query}");
    }
    for bad in ["soon", "0", "-1", "NaN", "1e300"] {
        let answer = send(&router, ask("?target=x", &[("X-Prometheus-Scrape-Timeout-Seconds", bad)])).await;
        assert_eq!(answer.problem(), (400, "bad_timeout".to_owned()), "{bad}");
    }
    let answer = send(&router, ask("?target=x", &[])).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "probe_success 1\n"));
}

#[tokio::test]
async fn a_person_gets_a_report_and_the_host_has_a_name() {
    let seen: Arc<Mutex<Option<Target>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let maker = ProbeMaker::new(move |target: Target| {
        *noted.lock().unwrap() = Some(target);
        async { made("probe_success 1\n") }
    });
    let router = router_with(&fixture(), maker);
    let answer = send(&router, ask("?target=10.0.0.1&hostname=www.example.org&debug=true", &[])).await;
    assert_eq!(answer.text, "ok: status 200\n\nThe series of this probe:\n\nprobe_success 1\n");
    let target = seen.lock().unwrap().take().unwrap();
    let Check::Http(http) = target.check else { panic!("{target:?}") };
    assert_eq!(http.url.as_str(), "http://10.0.0.1/");
    assert_eq!((http.headers[0].0.as_str(), http.headers[0].1.reveal()), ("Host", "www.example.org"));
    let answer = send(&router, ask("?target=10.0.0.1&debug=false", &[])).await;
    assert_eq!(answer.text, "probe_success 1\n");
}

#[tokio::test]
async fn a_probe_ends_before_the_scraper_gives_up() {
    let seen: Arc<Mutex<Vec<(String, Duration)>>> = Arc::default();
    let noted = Arc::clone(&seen);
    let maker = ProbeMaker::new(move |target: Target| {
        noted.lock().unwrap().push((target.name, target.timeout));
        async { made("") }
    });
    let router = router_with(&fixture(), maker);
    for (header, module, timeout_ms) in
        [("10", "http_2xx", 5_000), ("3", "tcp", 2_500), ("0.4", "tcp", 400), ("", "tcp", 5_000)]
    {
        let query = format!("?target=x:1&module={module}");
        let headers = [("x-prometheus-scrape-timeout-seconds", header)];
        let headers = if header.is_empty() { &[][..] } else { &headers[..] };
        assert_eq!(send(&router, ask(&query, headers)).await.status, 200);
        let last = seen.lock().unwrap().pop().unwrap();
        assert_eq!(last, (module.to_owned(), Duration::from_millis(timeout_ms)), "{header}");
    }
}

#[tokio::test]
async fn metrics_have_the_family_only_where_it_is_asked_for() {
    for metrics in [false, true] {
        let mut fixture = Fixture::empty();
        fixture.config.blackbox.metrics = metrics;
        let text = get(&routed(&fixture).0, "/metrics").await.text;
        assert_eq!(text.contains("\nprobe_success{target=\"home\"} 1\n"), metrics, "{text}");
    }
}

#[tokio::test]
async fn what_is_not_known_is_no_failure_of_the_target() {
    for (made, wanted) in [
        (Made::Forbidden("no".to_owned()), (403, "forbidden_target".to_owned())),
        (Made::Unknown("too many open files".to_owned()), (503, "probe_not_made".to_owned())),
    ] {
        let maker = ProbeMaker::new(move |_| std::future::ready(made.clone()));
        let router = router_with(&fixture(), maker);
        assert_eq!(send(&router, ask("?target=x", &[])).await.problem(), wanted);
    }
}

#[tokio::test]
async fn a_bounded_number_of_probes_runs_at_once() {
    let (started, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (running, opened) = (Arc::clone(&started), Arc::clone(&gate));
    let maker = ProbeMaker::new(move |_| {
        let (running, opened) = (Arc::clone(&running), Arc::clone(&opened));
        async move {
            running.add_permits(1);
            opened.acquire().await.unwrap().forget();
            made("")
        }
    });
    let router = router_with(&fixture(), maker);
    let asking: Vec<_> = (0..32)
        .map(|_| {
            let router = router.clone();
            tokio::spawn(async move { send(&router, ask("?target=x", &[])).await.status })
        })
        .collect();
    started.acquire_many(32).await.unwrap().forget();
    assert_eq!(send(&router, ask("?target=x", &[])).await.problem(), (503, "busy".to_owned()));
    gate.add_permits(33);
    for asked in asking {
        assert_eq!(asked.await.unwrap(), 200);
    }
    assert_eq!(send(&router, ask("?target=x", &[])).await.status, 200, "there is room again");
}
