//! The promises of `check` and `simulate` about alerts, and the configs that they refuse.

use std::path::Path;
use std::process::Output;

use lookout_ledger::{Ledger as _, SqliteLedger};
use lookout_model::CountRow;
use lookout_runtime::clock::{Clock as _, SystemClock};
use serde_json::Value;

use super::support::{Prometheus, run_to_end};

const WORKBOOK: &str = "page 1h/5m x14.4; page 6h/30m x6; ticket 1d/2h x3; ticket 3d/6h x1";

/// An SLO of counters or, with an interval, of probes.
struct Spec<'a> {
    percent: f64,
    period: &'a str,
    interval: Option<&'a str>,
    annotations: &'a [(&'a str, &'a str)],
}

impl Spec<'_> {
    fn write(&self, folder: &Path) -> String {
        let side = |outcome: &str| match self.interval {
            Some(_) => format!("{{ metricSource: {{ type: probe, spec: {{ target: api{outcome} }} }} }}"),
            None => "{ metricSource: { type: scrape, spec: { source: api, selector: requests_total } } }"
                .to_owned(),
        };
        let bad = "{ metricSource: { type: scrape, spec: { source: api, selector: 'requests_total{code=\"500\"}' } } }";
        let part = match self.interval {
            Some(_) => format!("good: {}", side(", outcome: ok")),
            None => format!("bad: {bad}"),
        };
        let annotations: String = self
            .annotations
            .iter()
            .map(|(name, value)| format!("    lookout.dev/{name}: \"{value}\"\n"))
            .collect();
        let spec = format!(
            "apiVersion: openslo/v1\nkind: SLO\nmetadata:\n  name: up\n  annotations:\n    example.org/a: b\n{annotations}\
             spec:\n  service: api\n  indicator: {{ spec: {{ ratioMetric: {{ counter: true, {part}, total: {} }} }} }}\n  \
             timeWindow: [{{ duration: {}, isRolling: true }}]\n  budgetingMethod: Occurrences\n  \
             objectives: [{{ targetPercent: {} }}]\n",
            side(""),
            self.period,
            self.percent
        );
        std::fs::write(folder.join("up.slo.yaml"), spec).unwrap();
        let source = match self.interval {
            Some(interval) => format!(
                "targets: [{{ name: api, interval: {interval}, timeout: 5s, http: {{ url: \"http://127.0.0.1:9\" }} }}]\n"
            ),
            None => "scrapes: [{ name: api, url: \"http://127.0.0.1:9/metrics\" }]\n".to_owned(),
        };
        std::fs::write(folder.join("lookout.yaml"), source).unwrap();
        folder.join("lookout.yaml").display().to_string()
    }

    fn check(&self, options: &[&str]) -> Output {
        let folder = tempfile::tempdir().unwrap();
        let config = self.write(folder.path());
        run_to_end(&[&["check", &config], options].concat())
    }

    fn simulate(&self, options: &[&str]) -> Output {
        let folder = tempfile::tempdir().unwrap();
        let config = self.write(folder.path());
        run_to_end(&[&["simulate", &config], options].concat())
    }
}

const USUAL: Spec<'static> = Spec { percent: 99.9, period: "30d", interval: None, annotations: &[] };

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn by_default_a_total_outage_pages_in_time_at_every_rate_and_objective() {
    let rate = |rate| [("expected-rate", rate)];
    for (spec, promise) in [
        (Spec { interval: Some("3h"), ..USUAL }, "total outage pages after 9 h;"),
        (Spec { period: "7d", annotations: &rate("1/h"), ..USUAL }, "total outage pages after 3 h;"),
        (Spec { period: "1d", annotations: &rate("6/h"), ..USUAL }, "total outage pages after 30 min;"),
        (Spec { percent: 95.0, ..USUAL }, "total outage pages after 4 min 10 s;"),
        (Spec { percent: 90.0, ..USUAL }, "total outage pages after 4 min 10 s;"),
        (
            Spec { annotations: &[("page-within", "1m")], percent: 90.0, ..USUAL },
            "total outage pages after 50 s;",
        ),
        (USUAL, "total outage pages after 1 min; 10 % failing after 8 min 40 s;"),
    ] {
        let output = spec.check(&[]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains(promise), "{promise}\n{said}");
        assert!(said.contains("; worst case without traffic: a ticket after "), "{said}");
        assert_eq!(spec.simulate(&["--json"]).status.code(), Some(0), "{promise}");
    }
}

#[test]
fn tiers_that_page_for_no_total_outage_in_time_are_an_error_of_both_verbs() {
    let never = "a total outage never pages";
    let late = "a total outage pages after 43 min 20 s, later than 5 min";
    let week = "page 14m/70s x14.4; page 84m/7m x6; ticket 336m/28m x3; ticket 1008m/84m x1";
    let day = "page 2m/20s x14.4; page 12m/1m x6; ticket 48m/4m x3; ticket 144m/12m x1";
    for (spec, error) in [
        (Spec { interval: Some("3h"), annotations: &[("tiers", WORKBOOK)], ..USUAL }, never),
        (Spec { period: "7d", annotations: &[("expected-rate", "1/h"), ("tiers", week)], ..USUAL }, never),
        (Spec { period: "1d", annotations: &[("expected-rate", "6/h"), ("tiers", day)], ..USUAL }, never),
        (Spec { percent: 95.0, annotations: &[("tiers", "page 1h/5m x14.4")], ..USUAL }, late),
    ] {
        let checked = spec.check(&[]);
        let text = said(&checked);
        assert_eq!(checked.status.code(), Some(1), "{text}");
        assert!(text.contains(error) && text.contains("up.slo.yaml:"), "{error}\n{text}");
        assert!(text.contains("lookout.dev/page-within"), "it says what to do: {text}");
        let simulated = spec.simulate(&[]);
        let text = said(&simulated);
        assert_eq!(simulated.status.code(), Some(1), "{text}");
        assert!(text.contains(&format!("error: {error}")), "{text}");
    }
    let accepted = [("tiers", "page 1h/5m x14.4"), ("page-within", "45m")];
    assert_eq!(Spec { percent: 95.0, annotations: &accepted, ..USUAL }.check(&[]).status.code(), Some(0));
    let silent = [("tiers", "ticket 1h/5m x14.4"), ("page-within", "off")];
    assert_eq!(Spec { annotations: &silent, ..USUAL }.check(&[]).status.code(), Some(0));
}

#[tokio::test]
async fn the_promise_is_held_against_the_real_rate() {
    let output = USUAL.check(&["--rate", "1/d"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("a total outage never pages (at 1 event/d)"), "{text}");
    // a probe has its own
    assert_eq!(Spec { interval: Some("30s"), ..USUAL }.check(&["--rate", "1/d"]).status.code(), Some(0));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lookout.db");
    let ledger = SqliteLedger::open(&path).await.unwrap();
    let now = SystemClock.now().as_millis() / 10_000 * 10;
    let row = |hour: i64| CountRow {
        slo_id: "api-up".to_owned(),
        start_s: now - hour * 14_400,
        width_s: 10,
        good: 1,
        bad: 0,
    };
    ledger.commit(&(0..30).map(row).collect::<Vec<_>>(), &[]).await.unwrap();
    ledger.close().await;
    let path = path.display().to_string();
    for output in [USUAL.check(&["--ledger", &path]), USUAL.simulate(&["--ledger", &path])] {
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("a total outage never pages") && text.contains("6.207 events/d"), "{text}");
    }
    let declared = Spec { annotations: &[("expected-rate", "6/d")], ..USUAL };
    assert_eq!(
        declared.check(&["--ledger", &path]).status.code(),
        Some(0),
        "what is declared is what there is"
    );
}

#[test]
fn an_even_spend_makes_an_incident_a_month_at_most() {
    let tickets = |options: &[&str]| {
        let output = USUAL.simulate(&[&["--json"], options].concat());
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        json["slos"][0]["promise"]["tickets_per_month_at_even_spend"].as_f64().unwrap()
    };
    for rate in ["600/m", "10000/m"] {
        let with_defaults = tickets(&["--rate", rate]);
        let without_release = tickets(&["--rate", rate, "--tiers", WORKBOOK]);
        assert!(with_defaults <= 1.0, "{rate}: {with_defaults}");
        assert!(without_release > 10.0, "{rate}: {without_release} without release thresholds");
    }
    let slow = Spec { annotations: &[("expected-rate", "10/m")], ..USUAL }.simulate(&["--json"]);
    let json: Value = serde_json::from_slice(&slow.stdout).unwrap();
    let slow = json["slos"][0]["promise"]["tickets_per_month_at_even_spend"].as_f64().unwrap();
    assert!(slow <= 1.0, "{slow}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_is_measured_in_a_prometheus() {
    let folder = tempfile::tempdir().unwrap();
    let end = SystemClock.now().as_millis() / 60_000 * 60 - 7200;
    // 500 requests an hour, a fifth of them failed
    let series = |code: &str, per_hour: i64| -> String {
        let begin = end - 6 * 3600;
        let sample = |time: i64| {
            let counted = (time - begin) / 900 * per_hour / 4;
            format!("requests_total{{code=\"{code}\"}} {counted} {time}\n")
        };
        (0..=360).map(|minute| sample(begin + minute * 60)).collect()
    };
    let text = format!("# TYPE requests counter\n{}{}# EOF\n", series("200", 400), series("500", 100));
    std::fs::write(folder.path().join("series.txt"), text).unwrap();
    let filled = std::process::Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics", "series.txt", "data"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(filled.status.success(), "{filled:?}");
    let server = Prometheus::start(folder.path(), "global: {}\n").await;
    let url = format!("http://{}", server.address);
    let output = tokio::task::spawn_blocking(move || USUAL.check(&["--prometheus", &url])).await.unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let rate = text.split("(at ").nth(1).and_then(|rest| rest.split(" events/m)").next());
    let rate: f64 = rate.and_then(|rate| rate.parse().ok()).unwrap_or_else(|| panic!("{text}"));
    assert!((7.5..=9.0).contains(&rate), "500 an hour are 8.3 a minute: {text}");
}

#[test]
fn an_outage_that_the_availability_slo_tells_stands_in_the_promise_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let write = |up: &str| {
        let config = format!(
            "interval: 10s\nslos: [\"*.slo.yaml\"]\nscrapes:\n  - {{ name: api, url: \"http://api.test/metrics\", up: {up} }}\n"
        );
        std::fs::write(folder.path().join("lookout.yaml"), config).unwrap();
    };
    let spec = "apiVersion: openslo/v1\nkind: SLO\nmetadata: { name: requests }\nspec:\n  service: api\n  \
                budgetingMethod: Occurrences\n  timeWindow: [{ duration: 30d, isRolling: true }]\n  \
                objectives: [{ targetPercent: 99.9 }]\n  indicator:\n    spec:\n      ratioMetric:\n        counter: true\n        \
                bad: { metricSource: { type: scrape, spec: { source: api, selector: errors_total } } }\n        \
                total: { metricSource: { type: scrape, spec: { source: api, selector: requests_total } } }\n";
    std::fs::write(folder.path().join("api.slo.yaml"), spec).unwrap();
    let path = folder.path().to_str().unwrap();
    for (up, silence) in [
        ("page", "; without its metrics: api-up pages after 4 min 10 s "),
        ("ticket", "; worst case without traffic: a ticket after 52 s "),
        ("\"off\"", "; worst case without traffic: a ticket after 52 s "),
    ] {
        write(up);
        let said = said(&run_to_end(&["check", path]));
        let line = said.lines().find(|line| line.starts_with("api-requests: ")).unwrap();
        assert!(line.contains(silence), "{up}: {line}");
    }
}
