use std::sync::atomic::{AtomicI64, Ordering};

use jiff::tz::TimeZone;
use lookout_config::{ActiveTime, DestinationKind, Escalation, Route, UrlOptions, config_of_urls};
use lookout_ledger::{DeliveryStore as _, SqliteLedger};
use lookout_model::sample::{T0, lifecycle};
use lookout_model::{Acknowledgement, Matcher};
use lookout_runtime::clock::TokioClock;

use super::*;

fn config(routes: &[(&str, Route)]) -> Config {
    let mut config = config_of_urls(&["http://api.test/".parse().unwrap()], &UrlOptions::default());
    let kind = || DestinationKind::Alertmanager(Default::default());
    config.destinations = routes
        .iter()
        .map(|(name, route)| Destination { route: route.clone(), ..Destination::new(name, kind()) })
        .collect();
    config
}

fn escalating(after: u64, to: &str) -> Route {
    let escalate = Escalation { after: Duration::from_secs(after), to: to.to_owned() };
    Route { escalate: Some(escalate), ..Route::default() }
}

fn standby() -> Route {
    Route { standby: true, ..Route::default() }
}

/// The life of an incident of the first SLO: a ticket at 0 s, a page at 120 s, a ticket at 480 s, over at 720 s.
fn life(config: &Config, told: &[&str]) -> [TransitionRecord; 4] {
    lifecycle(T0, told).map(|mut transition| {
        let slo = &config.slos[0];
        for incident in [&mut transition.incident, &mut transition.notice.incident] {
            incident.slo_id = slo.id();
            (incident.service, incident.slo) = (slo.service.clone(), slo.name.clone());
        }
        transition
    })
}

fn at(second: u64) -> Timestamp {
    T0 + Duration::from_secs(second)
}

/// Returns what was told, as `destination word second`.
async fn told(ledger: &dyn Ledger) -> Vec<String> {
    let incidents = ledger.incidents(None, 10).await.unwrap();
    let mut told = Vec::new();
    for incident in incidents {
        for one in ledger.deliveries_of(&incident.id).await.unwrap() {
            told.push(format!("{} {} {}", one.destination, one.change, one.at.seconds_since(T0)));
        }
    }
    told
}

#[tokio::test]
async fn a_page_that_nobody_acknowledges_escalates_once_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let config = config(&[
        ("chat", escalating(900, "manager")),
        ("manager", Route { escalate: escalating(600, "boss").escalate, ..standby() }),
        ("boss", standby()),
    ]);
    let [opened, escalated, ..] = life(&config, &["chat"]);
    let ledger = SqliteLedger::open(&path).await.unwrap();
    ledger.commit(&[], &[opened, escalated]).await.unwrap();
    assert_eq!(pass(&ledger, &config, at(120 + 899)).await.unwrap(), 0, "counted from the page");
    ledger.close().await;
    let ledger = SqliteLedger::open(&path).await.unwrap();
    assert_eq!(pass(&ledger, &config, at(120 + 900)).await.unwrap(), 1);
    ledger.close().await;
    let ledger = SqliteLedger::open(&path).await.unwrap();
    for second in [1020, 1021, 1619] {
        assert_eq!(pass(&ledger, &config, at(second)).await.unwrap(), 0, "once is enough");
    }
    assert_eq!(pass(&ledger, &config, at(1620)).await.unwrap(), 1);
    assert_eq!(pass(&ledger, &config, at(99_999)).await.unwrap(), 0);
    let expected =
        ["chat opened 0", "chat escalated 120", "manager unacknowledged 1020", "boss unacknowledged 1620"];
    assert_eq!(told(&ledger).await, expected);
    let due = ledger.due_deliveries("boss", at(99_999), 10).await.unwrap();
    let news = News::Unacknowledged { from: "manager".to_owned(), after_s: 600 };
    assert_eq!(due[0].notice.news, Some(news));
    ledger.close().await;
}

#[tokio::test]
async fn an_acknowledgement_of_the_page_ends_it_and_one_of_the_ticket_before_does_not() {
    let config = config(&[("chat", escalating(900, "manager")), ("manager", standby())]);
    for (acknowledged_at, told) in [(60, 1), (121, 0)] {
        let ledger = lookout_ledger::MemoryLedger::default();
        let [opened, escalated, ..] = life(&config, &["chat"]);
        let acknowledge = |of: &TransitionRecord| {
            let mut base = of.clone();
            let answer =
                Acknowledgement { at: at(acknowledged_at), actor: "ana".to_owned(), note: String::new() };
            base.notice.acknowledgement = Some(answer);
            base.with_news(News::Acknowledged, at(acknowledged_at), Vec::new())
        };
        ledger.commit(&[], std::slice::from_ref(&opened)).await.unwrap();
        if acknowledged_at < 120 {
            ledger.commit(&[], &[acknowledge(&opened)]).await.unwrap();
        }
        ledger.commit(&[], std::slice::from_ref(&escalated)).await.unwrap();
        if acknowledged_at > 120 {
            ledger.commit(&[], &[acknowledge(&escalated)]).await.unwrap();
        }
        assert_eq!(pass(&ledger, &config, at(5000)).await.unwrap(), told, "{acknowledged_at}");
    }
}

#[tokio::test]
async fn a_ticket_is_neither_repeated_nor_escalated_and_a_page_is_repeated_until_it_ends() {
    let repeating = Route { repeat_interval: Some(Duration::from_secs(600)), ..Route::default() };
    let config = config(&[("chat", repeating), ("mail", escalating(600, "chat"))]);
    let [opened, escalated, eased, _] = life(&config, &["chat", "mail"]);
    let ledger = lookout_ledger::MemoryLedger::default();
    ledger.commit(&[], std::slice::from_ref(&opened)).await.unwrap();
    assert_eq!(pass(&ledger, &config, at(100)).await.unwrap(), 0);
    ledger.commit(&[], std::slice::from_ref(&escalated)).await.unwrap();
    assert_eq!(pass(&ledger, &config, at(719)).await.unwrap(), 0);
    assert_eq!(pass(&ledger, &config, at(720)).await.unwrap(), 2, "chat repeats, and mail hands over");
    assert_eq!(pass(&ledger, &config, at(1319)).await.unwrap(), 0);
    assert_eq!(pass(&ledger, &config, at(1321)).await.unwrap(), 1);
    ledger.commit(&[], std::slice::from_ref(&eased)).await.unwrap();
    assert_eq!(pass(&ledger, &config, at(9999)).await.unwrap(), 0);
}

#[tokio::test]
async fn an_incident_outside_the_hours_is_told_when_they_begin_if_it_is_still_open() {
    // T0 is 10:00 on a Sunday
    let monday = ActiveTime {
        days: [true, true, true, true, true, false, false],
        start_minute: 480,
        end_minute: 1080,
        zone: TimeZone::UTC,
    };
    let hours = Route { active_times: vec![monday], ..Route::default() };
    let config = config(&[("always", Route::default()), ("hours", hours)]);
    let [opened, escalated, eased, resolved] = life(&config, &["always"]);
    let ledger = lookout_ledger::MemoryLedger::default();
    ledger.commit(&[], &[opened.clone(), escalated, eased]).await.unwrap();
    let eight = 22 * 3600;
    assert_eq!(pass(&ledger, &config, at(eight - 1)).await.unwrap(), 0);
    assert_eq!(pass(&ledger, &config, at(eight)).await.unwrap(), 1);
    assert_eq!(pass(&ledger, &config, at(eight + 1)).await.unwrap(), 0);
    let due = ledger.due_deliveries("hours", at(eight), 10).await.unwrap();
    assert_eq!(due[0].notice.news, Some(News::Late { silence: None }));
    let mut over = resolved;
    over.at = at(eight + 60);
    over.incident.resolved_at = Some(over.at);
    (over.notice.at, over.notice.incident) = (over.at, over.incident.clone());
    ledger.commit(&[], std::slice::from_ref(&over)).await.unwrap();
    assert_eq!(pass(&ledger, &config, at(eight + 61)).await.unwrap(), 1, "who was told hears the end");
    assert_eq!(pass(&ledger, &config, at(eight + 62)).await.unwrap(), 0);
    assert_eq!(told(&ledger).await.last().unwrap(), &format!("hours resolved {}", eight + 60));
}

#[tokio::test]
async fn a_silenced_incident_is_told_when_the_silence_ends_and_it_is_still_open() {
    let config = config(&[("chat", escalating(60, "manager")), ("manager", standby())]);
    let [mut opened, ..] = life(&config, &[]);
    opened.incident.severity = Severity::Page;
    opened.notice.incident = opened.incident.clone();
    let silence = SilenceRecord {
        id: "sil-1".to_owned(),
        matcher: Matcher { services: vec![config.slos[0].service.clone()], ..Matcher::default() },
        severity: None,
        reason: "a planned failover".to_owned(),
        actor: "ana".to_owned(),
        created_at: T0,
        ends_at: at(3600),
        expired_by: None,
    };
    opened.notice.silence = Some(silence.mark());
    let ledger = lookout_ledger::MemoryLedger::default();
    lookout_ledger::SilenceStore::record_silence(&ledger, &silence).await.unwrap();
    ledger.commit(&[], std::slice::from_ref(&opened)).await.unwrap();
    assert_eq!(pass(&ledger, &config, at(3599)).await.unwrap(), 0);
    assert_eq!(pass(&ledger, &config, at(3600)).await.unwrap(), 1);
    assert_eq!(pass(&ledger, &config, at(3601)).await.unwrap(), 0);
    let due = ledger.due_deliveries("chat", at(3600), 10).await.unwrap();
    assert_eq!(due[0].notice.news, Some(News::Late { silence: Some(silence.mark()) }));
    assert_eq!(pass(&ledger, &config, at(3660)).await.unwrap(), 1, "the time to acknowledge begins then");
    assert_eq!(told(&ledger).await, ["chat late 3600", "manager unacknowledged 3660"]);
}

/// Clock that can be set.
struct SetClock(TokioClock, AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        self.0.now().plus_millis(self.1.load(Ordering::SeqCst))
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_moves_neither_silences_nor_escalations() {
    const BACK_S: u64 = 300;
    let config = config(&[("chat", escalating(600, "manager")), ("manager", standby())]);
    let clock = Arc::new(SetClock(TokioClock::starting_at(T0), AtomicI64::new(0)));
    let ledger = Arc::new(lookout_ledger::MemoryLedger::default());
    let (_changes, shown) = watch::channel(Arc::new(config.clone()));
    let (wake, stop) = (Arc::new(Notify::new()), CancellationToken::new());
    let ports = FollowUpPorts { ledger: ledger.clone(), clock: clock.clone(), config: shown, wake };
    let running = tokio::spawn(follow_up(ports, stop.clone()));
    let words = async |of: &TransitionRecord| {
        let all = ledger.deliveries_of(&of.incident.id).await.unwrap();
        all.iter().map(|one| format!("{} {}", one.destination, one.change)).collect::<Vec<_>>()
    };
    // twice
    for round in 1..=2 {
        let page = |at: Timestamp, told: &[&str]| {
            let mut opened = life(&config, told)[0].clone();
            let id = format!("inc-{}", at.as_millis());
            for incident in [&mut opened.incident, &mut opened.notice.incident] {
                (incident.id, incident.severity, incident.peak) =
                    (id.clone(), Severity::Page, Severity::Page);
                incident.detected_at = at;
            }
            (opened.at, opened.notice.at) = (at, at);
            opened
        };
        let first = page(clock.now(), &["chat"]);
        ledger.commit(&[], std::slice::from_ref(&first)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        clock.1.fetch_sub(i64::try_from(BACK_S * 1000).unwrap(), Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(530)).await;
        assert_eq!(words(&first).await, ["chat opened"], "round {round}");
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(words(&first).await, ["chat opened", "manager unacknowledged"], "after ten minutes");
        let mut over = first.clone();
        (over.change, over.notice.change) = (Change::Resolved, Change::Resolved);
        (over.at, over.notice.at) = (clock.now(), clock.now());
        over.incident.resolved_at = Some(over.at);
        over.destinations = vec!["chat".to_owned(), "manager".to_owned()];
        over.notice.incident = over.incident.clone();
        ledger.commit(&[], &[over]).await.unwrap();
        let silence = SilenceRecord {
            id: format!("sil-{round}"),
            matcher: Matcher { services: vec![config.slos[0].service.clone()], ..Matcher::default() },
            severity: None,
            reason: "a planned failover".to_owned(),
            actor: "ana".to_owned(),
            created_at: clock.now(),
            ends_at: clock.now() + Duration::from_secs(3600),
            expired_by: None,
        };
        lookout_ledger::SilenceStore::record_silence(&*ledger, &silence).await.unwrap();
        let mut silenced = page(clock.now() + Timestamp::TICK, &[]);
        silenced.notice.silence = Some(silence.mark());
        ledger.commit(&[], std::slice::from_ref(&silenced)).await.unwrap();
        tokio::time::sleep(Duration::from_secs(3590)).await;
        assert_eq!(words(&silenced).await, [""; 0], "the silence holds for an hour, round {round}");
        tokio::time::sleep(Duration::from_secs(20)).await;
        let late: Vec<String> =
            told(&*ledger).await.into_iter().filter(|one| one.contains(" late ")).collect();
        assert_eq!(late.len(), round, "{late:?}");
        (silenced.change, silenced.notice.change) = (Change::Resolved, Change::Resolved);
        silenced.at = clock.now() + Timestamp::TICK;
        silenced.incident.resolved_at = Some(silenced.at);
        (silenced.notice.at, silenced.notice.incident) = (silenced.at, silenced.incident.clone());
        ledger.commit(&[], &[silenced]).await.unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    stop.cancel();
    running.await.unwrap();
}
