//! Pages: their text, their size, and content that must be absent.

use lookout_engine::{Cause, DataState, Status};
use lookout_model::sample::present;

use super::fixture::set_data_state;
use lookout_model::Timestamp;
use std::io::Write as _;

use super::*;
use lookout_evaluate::Snapshot;
use lookout_model::sample::component;
use lookout_model::{CalendarEvidence, ImplausibleCounts, IncidentRecord, VersionEvidence};

const PAGES: [&str; 7] = [
    "/",
    "/slos/titanic/requests",
    "/incidents",
    "/silences",
    "/deliveries",
    "/runbooks/TitanicRequests",
    "/nowhere",
];

fn with_runbooks(mut fixture: Fixture) -> (Fixture, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(folder.path().join("TitanicRequests.md")).unwrap();
    writeln!(file, "## Meaning\n\nPassengers see <script>errors</script>.\n\n1. Look at `stats`").unwrap();
    fixture.config.outputs.runbooks = Some(folder.path().to_owned());
    (fixture, folder)
}

#[tokio::test]
async fn every_page_is_light_plain_and_guarded() {
    for fixture in [Fixture::healthy(), Fixture::burning(), Fixture::empty(), Fixture::hostile()] {
        let (fixture, _folder) = with_runbooks(fixture);
        let (router, _) = routed(&fixture);
        for path in PAGES {
            let page = get(&router, path).await;
            assert!(page.status.is_success() || page.status == 404, "{path}: {}", page.status);
            assert!(page.text.len() < 50_000, "{path} weighs {} bytes", page.text.len());
            assert!(page.text.starts_with("<!doctype html>"), "{path}");
            assert_eq!(page.text.matches("<h1").count(), 1, "{path} has one h1");
            for never in ["<script", "NaN", "inf×", " style=", "javascript:", "http-equiv=\"set-cookie"] {
                assert!(!page.text.contains(never), "{path} contains {never}:\n{}", page.text);
            }
            let policy = page.header("content-security-policy");
            assert!(
                policy.starts_with("default-src 'none'; style-src 'self'; img-src 'self' data:"),
                "{policy}"
            );
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
            assert_eq!(page.header("x-content-type-options"), "nosniff");
            assert_eq!(page.header("referrer-policy"), "no-referrer");
            assert_eq!(page.header("cache-control"), "no-store");
        }
    }
}

#[tokio::test]
async fn a_composite_shows_who_burns_and_who_is_silent() {
    let mut fixture = Fixture::burning();
    let requests = &mut fixture.snapshot.slos[1].evidence;
    requests.components = vec![
        component("<b>search</b>", DataState::Ok, Some(0.75)),
        component("booking", DataState::Stale, Some(0.25)),
        component("payment", DataState::Ok, None),
    ];
    set_data_state(&mut fixture.snapshot.slos[0], DataState::Partial, Status::Stale);
    let (router, _) = routed(&fixture);
    let text = get(&router, "/slos/titanic/requests").await.text;
    for shown in
        ["<h2>Components</h2>", "&#60;b&#62;search", "75 %", "25 %", ">stale<", "3 of 1,000", "12 of 400,000"]
    {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert!(!text.contains("Weight"), "nothing is weighed: {text}");
    assert!(get(&router, "/").await.text.contains("Data incomplete"));
}

#[tokio::test]
async fn nothing_is_loaded_from_elsewhere() {
    let (fixture, _folder) = with_runbooks(Fixture::burning());
    let (router, _) = routed(&fixture);
    for path in PAGES {
        let text = get(&router, path).await.text;
        let images = text.split(" src=\"").skip(1);
        let links = text.split("<link ").skip(1).map(|link| link.split("href=\"").nth(1).unwrap());
        for address in images.chain(links).map(|rest| rest.split('"').next().unwrap()) {
            assert!(address.starts_with("/assets/"), "{path} loads {address}");
        }
    }
}

#[tokio::test]
async fn tables_have_captions_and_headings_and_every_state_has_a_word() {
    let (fixture, _folder) = with_runbooks(Fixture::burning());
    let (router, _) = routed(&fixture);
    for path in PAGES {
        let text = get(&router, path).await.text;
        assert_eq!(text.matches("<table").count(), text.matches("<caption").count(), "{path}");
        let headings = text.split("<th").skip(1).filter(|th| th.starts_with(' ')).count();
        assert_eq!(headings, text.matches("scope=\"").count(), "{path}");
        for state in text.split("<span class=\"state").skip(1) {
            let word = state.split("</svg>").nth(1).unwrap().split("</span>").next().unwrap();
            assert!(!word.trim().is_empty(), "{path}: a symbol without a word");
        }
        assert!(text.contains("class=\"skip\" href=\"#main\"") && text.contains("<main id=\"main\">"));
    }
}

#[tokio::test]
async fn the_headline_says_how_things_are() {
    let mut late = Fixture::burning();
    late.snapshot.at = NOW - Duration::from_secs(240);
    let mut stale = Fixture::healthy();
    set_data_state(&mut stale.snapshot.slos[2], DataState::Stale, Status::Stale);
    let mut spent = Fixture::healthy();
    spent.snapshot.slos[0].evidence.budget_left_ratio = -0.1;
    spent.snapshot.slos[0].evidence.present = Some(present(Status::Spent));
    for (fixture, says) in [
        (Fixture::healthy(), "All 3 objectives are met"),
        (Fixture::burning(), "1 page: Requests succeed"),
        (Fixture::empty(), "No objectives yet"),
        (late, "Nothing was evaluated for 4 min; 1 page open"),
        (stale, "1 of 3 objectives has no data"),
        (spent, "1 of 3 objectives has spent its budget"),
    ] {
        let page = get(&routed(&fixture).0, "/").await.text;
        assert!(page.contains(&format!("<h1>{says}</h1>")), "{says} is missing");
        assert!(page.contains(&format!("<title>{says} · lookout</title>")));
    }
}

#[tokio::test]
async fn an_agent_that_has_just_started_says_so() {
    let mut fixture = Fixture::empty();
    fixture.snapshot.at = Snapshot::NEVER;
    let page = get(&routed(&fixture).0, "/").await.text;
    assert!(page.contains("<h1>The agent has just started</h1>") && !page.contains("No objectives"));
    assert!(page.contains("The first evaluation is at most 10 s away."));
    let page = get(&routed(&fixture).0, "/slos/titanic/requests").await;
    assert!(page.status == 404 && page.text.contains("the first evaluation is at most 10 s away"));
}

#[tokio::test]
async fn a_ledger_that_takes_no_writes_is_told_on_top() {
    let says = "The ledger takes no writes";
    let mut fixture = Fixture::healthy();
    assert!(!get(&routed(&fixture).0, "/").await.text.contains(says));
    fixture.snapshot.ledger_is_down = true;
    assert!(get(&routed(&fixture).0, "/").await.text.contains(says));
}

#[tokio::test]
async fn the_overview_tells_the_night_shift_everything() {
    let page = get(&routed(&Fixture::burning()).0, "/").await.text;
    for part in [
        "-43 %",
        "0× over 5m",
        "99.857 %",
        "spent",
        "in 21 d 23 h",
        "Data stale",
        "21 min 3 s old",
        "No traffic",
        "12 min",
        "https://wiki/TitanicRequests",
        "status 503, expected 200-299",
        "1.4.2",
        "http-equiv=\"refresh\" content=\"10\"",
        "Evaluated 3 s ago",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
}

#[tokio::test]
async fn text_from_outside_is_shown_as_text() {
    let page = get(&routed(&Fixture::hostile()).0, "/").await.text;
    assert!(page.contains("&#60;script&#62;alert(&#34;x&#34;)&#60;/script&#62;&#39;&#38;"), "{page}");
    let page = get(&routed(&Fixture::burning()).0, "/%3Cscript%3Ealert(1)").await;
    assert_eq!(page.status, 404);
    assert!(!page.text.contains("<script"));
}

#[tokio::test]
async fn an_slo_has_its_tiers_history_and_detection_times() {
    let page = get(&routed(&Fixture::burning()).0, "/slos/titanic/requests").await;
    assert_eq!(page.status, 200);
    for part in [
        "Paging: Requests succeed",
        "37.2×",
        "14.4×",
        "Fires",
        "51.8 s",
        "Last 1 d",
        "class=\"history\"",
        "Bad events in",
    ] {
        assert!(page.text.contains(part), "{part} is missing");
    }
    assert_eq!(get(&routed(&Fixture::burning()).0, "/slos/titanic/none").await.status, 404);
}

#[tokio::test]
async fn a_runbook_is_text_and_only_known_names_are_read() {
    let (fixture, folder) = with_runbooks(Fixture::burning());
    std::fs::write(folder.path().join("Secret.md"), "nothing for you").unwrap();
    let (router, _) = routed(&fixture);
    let page = get(&router, "/runbooks/TitanicRequests").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("<h2>Meaning</h2>") && page.text.contains("&#60;script&#62;"));
    assert!(page.text.contains("1. Look at"), "steps keep their numbers");
    assert!(!page.text.contains("http-equiv=\"refresh\""), "a reader keeps their place");
    for path in ["/runbooks/Secret", "/runbooks/..%2FSecret", "/runbooks/TitanicRequests.md", "/runbooks/%00"]
    {
        let page = get(&router, path).await;
        assert_eq!(page.status, 404, "{path}");
        assert!(!page.text.contains("nothing for you"));
    }
    let page = get(&router, "/runbooks/TitanicProbes").await;
    assert_eq!(page.status, 404);
    assert!(page.text.contains("TitanicProbes.md cannot be read"));
}

#[tokio::test]
async fn every_open_incident_is_on_the_page_that_messages_link_to() {
    let fixture = Fixture::burning();
    {
        let mut incidents = fixture.ledger.incidents.lock().unwrap();
        let open = incidents.iter().find(|incident| incident.resolved_at.is_none()).unwrap().clone();
        let one = |n: usize| {
            let (id, slo) = (format!("inc-{n:016x}"), format!("storm-{n:03}"));
            IncidentRecord { id, slo, ..open.clone() }
        };
        incidents.extend((0..200).map(one));
    }
    let page = get(&routed(&fixture).0, "/incidents").await.text;
    let missing: Vec<usize> = (0..200).filter(|n| !page.contains(&format!("storm-{n:03}"))).collect();
    assert_eq!(missing, [0_usize; 0]);
}

#[tokio::test]
async fn the_alert_about_missing_data_has_its_runbook_too() {
    let (mut fixture, folder) = with_runbooks(Fixture::burning());
    std::fs::write(folder.path().join("TitanicRequestsDataMissing.md"), "## Ask the source\n").unwrap();
    for incidents in [&mut fixture.snapshot.slos[1].incidents, &mut fixture.ledger.incidents.lock().unwrap()]
    {
        incidents[0].cause = Cause::DataMissing;
    }
    let page = get(&routed(&fixture).0, "/runbooks/TitanicRequestsDataMissing").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("<h2>Ask the source</h2>") && page.text.contains("Requests succeed"));
    let overview = get(&routed(&fixture).0, "/").await.text;
    assert!(overview.contains("href=\"/runbooks/TitanicRequestsDataMissing\""));
}

#[tokio::test]
async fn without_a_ledger_the_overview_still_shows_what_is_known() {
    let fixture = Fixture::burning();
    let (router, ledger) = routed(&fixture);
    ledger.fails.store(true, std::sync::atomic::Ordering::Relaxed);
    for path in ["/", "/slos/titanic/requests"] {
        let page = get(&router, path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.text.contains("The ledger does not answer"), "{path}");
        assert!(page.text.contains("Requests succeed"));
    }
}

#[tokio::test]
async fn the_stylesheet_may_be_kept_for_ever_and_only_under_its_own_name() {
    let (router, _) = routed(&Fixture::healthy());
    let page = get(&router, "/").await.text;
    let path = page.split("<link rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let style = get(&router, path).await;
    assert_eq!(style.status, 200);
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    assert!(style.header("cache-control").contains("immutable"));
    assert!(style.text.contains("prefers-color-scheme: dark") && !style.text.contains("url("));
    assert_eq!(get(&router, "/assets/style.0000000000.css").await.status, 404);
}

/// Returns the relative luminance of `#rrggbb`, as WCAG defines it.
fn luminance(colour: &str) -> f64 {
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}

#[test]
fn every_colour_of_text_stands_out_in_light_and_dark() {
    let style = include_str!("../../assets/style.css");
    let themes: Vec<&str> = style.split(":root {").skip(1).take(2).collect();
    for theme in themes {
        let colour = |name: &str| {
            let value = theme.split(&format!("--{name}: ")).nth(1).unwrap_or_else(|| panic!("no {name}"));
            luminance(&value[..7])
        };
        let grounds =
            ["ground", "card", "met-wash", "page-wash", "ticket-wash", "unknown-wash", "quiet-wash"];
        for text in ["text", "soft", "link"] {
            for ground in grounds {
                let (a, b) = (colour(text), colour(ground));
                let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                assert!(contrast >= 4.5, "{text} on {ground}: {contrast:.2}");
            }
        }
        for text in ["met", "page", "ticket", "unknown", "spent", "quiet"] {
            let (a, b) = (colour(text), colour("card"));
            let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
            assert!(contrast >= 4.5, "{text} on card: {contrast:.2}");
        }
    }
}

#[tokio::test]
async fn an_slo_shows_its_conditions_and_what_the_guard_holds() {
    let text = get(&routed(&Fixture::burning()).0, "/slos/titanic/requests").await.text;
    for says in [
        "Held: 1 of 3 bad events",
        "<th scope=\"row\">ticket budget-left 10%</th>",
        "budget overspent by 43 % (alerts below 10 %)",
    ] {
        assert!(text.contains(says), "{says} is missing:\n{text}");
    }
    let text = get(&routed(&Fixture::healthy()).0, "/slos/titanic/requests").await.text;
    assert!(!text.contains("<h2>Conditions</h2>"), "there are none");
}

#[tokio::test]
async fn a_calendar_period_and_its_objectives_are_named() {
    let mut fixture = Fixture::healthy();
    let slo = fixture.snapshot.slos.iter_mut().find(|slo| slo.slo == "requests").unwrap();
    slo.evidence.calendar = Some(CalendarEvidence {
        period: "month in Europe/Zurich, until 1 December".to_owned(),
        of: "month's".to_owned(),
        from: Timestamp::from_seconds(1_793_487_600),
        to: Timestamp::from_seconds(1_796_079_600),
    });
    let version = |from, objective_percent| VersionEvidence { from, objective_percent, bad: 17, total: 4711 };
    slo.evidence.versions = vec![
        version(Timestamp::from_seconds(1_793_487_600), 99.0),
        version(Timestamp::from_seconds(1_794_000_000), 99.9),
    ];
    let (router, _) = routed(&fixture);
    let page = get(&router, "/slos/titanic/requests").await.text;
    for said in [
        "over the month in Europe/Zurich, until 1 December",
        "Objectives of this period",
        "99 %",
        "17 of 4,711",
    ] {
        assert!(page.contains(said), "{said} is missing:\n{page}");
    }
    let json: serde_json::Value = serde_json::from_str(&get(&router, "/api/v1/slos").await.text).unwrap();
    let listed = json["slos"].as_array().unwrap().iter().find(|slo| slo["slo"] == "requests").unwrap();
    assert_eq!(listed["evidence"]["calendar"]["to_ms"], 1_796_079_600_000_i64);
    assert_eq!(listed["evidence"]["versions"][0]["objective_percent"], 99.0);
}

#[tokio::test]
async fn alerts_about_the_agent_itself_have_their_runbooks_too() {
    let (fixture, folder) = with_runbooks(Fixture::burning());
    std::fs::write(folder.path().join("LookoutLedgerFailing.md"), "## Make room\n").unwrap();
    let page = get(&routed(&fixture).0, "/runbooks/LookoutLedgerFailing").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("<h2>Make room</h2>") && !page.text.contains("Requests succeed"));
}

#[tokio::test]
async fn one_duration_has_one_spelling_on_a_page_and_in_a_message() {
    const SPELLING: &str = "1 h 30 min";
    let mut fixture = Fixture::burning();
    fixture.snapshot.slos[1].evidence.seconds_to_exhaustion = Some(5400.0);

    let (router, _) = routed(&fixture);
    let page = get(&router, "/").await.text;
    assert!(page.contains(&format!("in {SPELLING}")), "{page}");
    let incidents = get(&router, "/incidents").await.text;
    assert!(incidents.contains(SPELLING), "a resolved incident lasted 5,400 s: {incidents}");

    let mut notice = lookout_model::sample::lifecycle(NOW, &[])[3].notice.clone();
    notice.incident.started_at = Some(NOW);
    notice.incident.detected_at = NOW;
    notice.incident.recovered_at = Some(NOW + Duration::from_secs(5400));
    let headline = lookout_deliver::Message::of(&notice).headline;
    assert!(headline.ends_with(&format!("over after {SPELLING}")), "{headline}");
}

#[tokio::test]
async fn incidents_show_when_they_started_and_were_detected_recovered_and_resolved() {
    let mut fixture = Fixture::burning();
    let instants = |incident: &mut IncidentRecord| {
        incident.started_at = Some(incident.detected_at - Duration::from_secs(90));
        incident.recovered_at = incident.resolved_at.map(|at| at - Duration::from_secs(300));
    };
    fixture.snapshot.slos.iter_mut().flat_map(|slo| &mut slo.incidents).for_each(instants);
    fixture.ledger.incidents.lock().unwrap().iter_mut().for_each(instants);
    fixture.snapshot.slos[0].implausible = Some(ImplausibleCounts {
        stream: "titanic-requests".to_owned(),
        source: "scrape <titanic>".to_owned(),
        at: NOW - Duration::from_secs(60),
        until: NOW - Duration::from_secs(50),
        value: "1e308".to_owned(),
        reason: "absurd_growth".to_owned(),
        stored: false,
    });
    let name = fixture.snapshot.slos[0].slo.clone();
    let (open, resolved) = {
        let incidents = fixture.ledger.incidents.lock().unwrap();
        let is_open = |incident: &&IncidentRecord| incident.resolved_at.is_none();
        (incidents.iter().find(is_open).cloned(), incidents.iter().find(|known| !is_open(known)).cloned())
    };
    let (open, resolved) = (open.unwrap(), resolved.unwrap());
    let (router, _) = routed(&fixture);
    let text = get(&router, "/incidents").await.text;
    for word in ["Started", "Detected", "Recovered", "Resolved"] {
        assert!(text.contains(&format!("<th scope=\"col\">{word}</th>")), "{word}: {text}");
    }
    let stamps = [open.started_at, Some(open.detected_at), resolved.recovered_at, resolved.resolved_at];
    for at in stamps {
        let stamp = lookout_model::format::rfc3339(at.unwrap());
        assert!(text.contains(&stamp), "{stamp}: {text}");
    }
    assert!(text.contains("not yet"), "an open incident has not recovered: {text}");
    let overview = get(&router, "/").await.text;
    assert!(overview.contains(" started <time") && overview.contains(" detected <time"), "{overview}");
    let page = get(&router, &format!("/slos/titanic/{name}")).await.text;
    assert!(page.contains("scrape &#60;titanic&#62; showed 1e308"), "{page}");
    assert!(page.contains("it is not counted, and nothing needs to be done"), "{page}");
}
