//! `simulate` and `backtest`, as their users run them.

use std::path::{Path, PathBuf};
use std::process::Output;

use lookout_ledger::{Ledger as _, SqliteLedger};
use lookout_model::{CountRow, Timestamp};
use serde_json::Value;

use super::month;
use super::support::run_to_end;

fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/backtest").join(name).display().to_string()
}

struct Month {
    folder: tempfile::TempDir,
}

impl Month {
    fn recorded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("month.csv"), month::csv()).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `lookout backtest` on the month, with its labels.
    fn backtest(&self, further: &[&str]) -> Output {
        let csv = self.path("month.csv").display().to_string();
        let (spec, labels) = (fixture("month.slo.yaml"), fixture("labels.csv"));
        let options = ["backtest", &spec, "--csv", &csv, "--labels", &labels];
        run_to_end(&[&options, further].concat())
    }
}

fn text(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Compares stdout with a file, or writes it when `UPDATE_EXPECT=1`.
fn assert_golden(found: &str, name: &str) {
    expect_test::expect_file![fixture(name)].assert_eq(found);
}

#[test]
fn a_month_with_three_outages_is_told_word_for_word() {
    let month = Month::recorded();
    let tiers = ["--tiers", "page 1h/5m x14.4", "--tiers", "ticket 1d/2h x3; page 6h/30m x6"];
    let what_if = [&["--objective", "99.5,99.95"], &tiers[..]].concat();
    let output = month.backtest(&[&what_if[..], &["--min-precision", "1", "--min-recall", "1"]].concat());
    assert_golden(&text(&output), "month.txt");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn default_tiers_find_all_outages_and_nothing_else_while_the_naive_threshold_pages_for_nothing() {
    let month = Month::recorded();
    let output = month.backtest(&["--json"]);
    let json: Value = serde_json::from_str(&text(&output)).unwrap();
    let score = &json["score"];
    assert_eq!((&score["precision"], &score["recall"]), (&1.0.into(), &1.0.into()), "{score}");
    assert_eq!((&score["alarms"], &score["outages"]), (&3.into(), &3.into()), "{score}");
    assert!(json["incidents"].as_array().unwrap().iter().all(|incident| incident["severity"] == "page"));
    let delay = json["incidents"][0]["delay_seconds"].as_f64().unwrap();
    assert!((60.0..=120.0).contains(&delay), "a total outage of busy hours, in slots of a minute: {delay}");

    let naive = &json["naive"];
    let wrong = naive["pages"].as_array().unwrap().iter().filter(|page| page["outage"].is_null()).count();
    assert!(wrong >= 2, "the night and the deploy: {naive}");
    assert!(naive["score"]["precision"].as_f64().unwrap() < 1.0, "{naive}");
}

#[tokio::test]
async fn the_ledger_of_a_running_agent_tells_the_same_as_a_file_of_its_counts() {
    let month = Month::recorded();
    let week = month::csv().lines().take(1 + 7 * 1440).collect::<Vec<_>>().join("\n");
    std::fs::write(month.path("month.csv"), &week).unwrap();
    let rows: Vec<CountRow> = week
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<i64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
            let count = |n: i64| u64::try_from(n).unwrap();
            let (good, bad) = (count(cells[1]), count(cells[2] - cells[1]));
            CountRow { slo_id: "shop-orders".to_owned(), start_s: cells[0], width_s: 10, good, bad }
        })
        .collect();
    let path = month.path("lookout.db");
    let ledger = SqliteLedger::open(&path).await.unwrap();
    ledger.commit(&rows, &[]).await.unwrap();
    // all but the last hours become minutes
    ledger.prune(Timestamp::from_millis(rows.last().unwrap().start_s * 1000)).await.unwrap();

    let (spec, labels) = (fixture("month.slo.yaml"), fixture("labels.csv"));
    let options = ["backtest", &spec, "--ledger", &path.display().to_string(), "--labels", &labels, "--json"];
    let from_ledger: Value = serde_json::from_str(&text(&run_to_end(&options))).unwrap();
    let from_file: Value = serde_json::from_str(&text(&month.backtest(&["--json"]))).unwrap();
    assert_eq!(from_ledger, from_file);
    assert_eq!(from_ledger["score"]["recall"], 1.0);

    let other = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/tests/spec/good");
    let options = ["backtest", &other.display().to_string(), "--ledger", &path.display().to_string()];
    let output = run_to_end(&options);
    assert!(String::from_utf8_lossy(&output.stderr).contains("say which SLO with --slo"), "{output:?}");
    ledger.close().await;
}

#[test]
fn a_page_with_a_picture_stands_alone() {
    let month = Month::recorded();
    let labels = month.path("labels.csv");
    std::fs::write(&labels, "2026-03-06T10:12:00Z,2026-03-06T10:40:00Z,\"<script>alert(1)</script> & co\"\n")
        .unwrap();
    let (csv, html) = (month.path("month.csv").display().to_string(), month.path("month.html"));
    let (spec, labels) = (fixture("month.slo.yaml"), labels.display().to_string());
    let html_text = html.display().to_string();
    let output = run_to_end(&["backtest", &spec, "--csv", &csv, "--labels", &labels, "--html", &html_text]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let page = std::fs::read_to_string(&html).unwrap();
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; co") && !page.contains("<script"));
    for outside in ["http://", "https://", "url(", "@import", "src=", "href="] {
        assert!(!page.contains(outside), "{outside}");
    }
    for part in [
        "<svg",
        "role=\"img\"",
        "class=\"bad\"",
        "class=\"page\"",
        "class=\"naive\"",
        "class=\"outage\"",
        "prefers-color-scheme: dark",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("NaN") && !page.contains("inf"), "no figure without a value");
    assert!(page.len() < 400_000, "{} bytes", page.len());
}

#[test]
fn a_policy_that_is_not_good_enough_is_exit_1() {
    let month = Month::recorded();
    let labels = month.path("none.csv");
    std::fs::write(&labels, "2026-03-02T00:00:00Z,2026-03-02T00:10:00Z,nobody noticed\n").unwrap();
    let (spec, csv) = (fixture("month.slo.yaml"), month.path("month.csv").display().to_string());
    let labels = labels.display().to_string();
    let options = ["backtest", &spec, "--csv", &csv, "--labels", &labels, "--min-recall", "1"];
    let output = run_to_end(&options);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("recall 0.00 (0 of 1 outage found)"));
}

#[test]
fn trouble_with_the_input_names_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("wrong.csv"), "time,good,total\n1772323200,3,2\n").unwrap();
    std::fs::write(path("empty.csv"), "time,good,total\n").unwrap();
    let spec = fixture("month.slo.yaml");
    for (source, code, told) in [
        (
            ["--csv".to_owned(), path("wrong.csv")],
            2,
            "wrong.csv:2: good, bad and total contradict each other",
        ),
        (["--csv".to_owned(), path("empty.csv")], 3, "there is nothing to replay"),
        (["--csv".to_owned(), path("absent.csv")], 2, "absent.csv"),
        (["--ledger".to_owned(), path("absent.db")], 2, "absent.db"),
        (["--prometheus".to_owned(), "http://127.0.0.1:1".to_owned()], 4, "http://127.0.0.1:1"),
    ] {
        let output = run_to_end(&["backtest", &spec, &source[0], &source[1]]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{source:?}: {stderr}");
        assert!(stderr.contains(told), "{stderr}");
    }
}

#[test]
fn simulate_says_when_and_refuses_what_can_never_fire() {
    let spec = fixture("month.slo.yaml");
    let output = run_to_end(&["simulate", &spec, "--rate", "10/s"]);
    assert_eq!(output.status.code(), Some(0));
    assert_golden(&text(&output), "simulate.txt");

    let output = run_to_end(&["simulate", &spec, "--objective", "90"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output).contains("error: `page 1h/5m x14.4` can never fire: it asks for more than 144 % bad")
    );

    let bad = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/tests/spec/bad/unreachable-tier.slo.yaml");
    let output = run_to_end(&["simulate", &bad.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("can never fire"));

    for (tiers, told) in [
        ("pager 1h/5m x2", "--tiers: expected `page` or `ticket` first"),
        ("page 5m/1h x2", "has a short window that is not shorter than its long one"),
        ("page 60d/5d x2", "longer than the period of 30d"),
        (" ; ", "there is no tier"),
    ] {
        let output = run_to_end(&["simulate", &spec, "--tiers", tiers]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && stderr.contains(told), "{tiers}: {stderr}");
    }

    let output = run_to_end(&["simulate", &spec, "--json", "--rate", "100/s", "--tiers", "page 1h/5m x14.4"]);
    let json: Value = serde_json::from_str(&text(&output)).unwrap();
    let total = &json["slos"][0]["outages"][0];
    assert_eq!(
        (&total["name"], &total["tiers"][0]["fires_after_seconds"]),
        (&"total".into(), &60.into()),
        "{json}"
    );
}
