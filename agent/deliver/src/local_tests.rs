//! Receivers against a local server, in real time and over real connections.

use std::time::Duration;

use lookout_engine::Severity;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::test_server::{Local, Reply};
use super::*;
use lookout_config::AlertmanagerSettings;
use lookout_ledger::{DeliveryStore, Ledger, MemoryLedger, SqliteLedger};
use lookout_model::sample::{T0, lifecycle, without_data};
use lookout_model::{Notice, Timestamp};
use lookout_runtime::clock::SystemClock;
use lookout_runtime::random::Random;

const HOOK: &str = "/services/T000/B000/secretsecret";

fn destination(kind: DestinationKind) -> Destination {
    Destination { group_wait: Duration::ZERO, ..Destination::new("chat", kind) }
}

fn webhook(local: &Local) -> Arc<dyn Receiver> {
    let url = Secret::new(local.url(HOOK));
    receiver(&destination(DestinationKind::SlackWebhook { url }), Arc::new(SystemClock)).unwrap()
}

fn web_api(local: &Local) -> Arc<dyn Receiver> {
    let kind = DestinationKind::SlackApi {
        api_url: Url::parse(&local.url("/api/")).unwrap(),
        token: Secret::new("xoxb-secret"),
        channel: "#ops".to_owned(),
    };
    receiver(&destination(kind), Arc::new(SystemClock)).unwrap()
}

fn alertmanager(urls: &[String]) -> Arc<dyn Receiver> {
    let urls = urls.iter().map(|url| Url::parse(url).unwrap()).collect();
    receiver(
        &destination(DestinationKind::Alertmanager(AlertmanagerSettings { urls, ..Default::default() })),
        Arc::new(SystemClock),
    )
    .unwrap()
}

fn delivery(notice: Notice) -> Delivery {
    Delivery { id: 1, destination: "chat".to_owned(), notice, attempts: 0, unsure: false, thread: None }
}

fn nth(n: usize) -> Delivery {
    delivery(lifecycle(T0, &[])[n].notice.clone())
}

/// A running outbox over a ledger that holds the whole story.
struct Running {
    ledger: Arc<dyn Ledger>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn start(receiver: Arc<dyn Receiver>) -> Self {
        let ledger = Arc::new(MemoryLedger::default());
        ledger.commit(&[], &lifecycle(T0, &["chat"])).await.unwrap();
        Self::over(ledger, receiver)
    }

    fn over(ledger: Arc<dyn Ledger>, receiver: Arc<dyn Receiver>) -> Self {
        let ports = Ports {
            ledger: Arc::clone(&ledger) as Arc<dyn DeliveryStore>,
            clock: Arc::new(SystemClock),
            random: Arc::new(Random::from_seed(1)),
            wake: Arc::new(Notify::new()),
            fallback: None,
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(receiver, ports, stop.clone()));
        Self { ledger, stop, task }
    }

    /// Waits until nothing waits any more, then stops.
    async fn finish(self) {
        let drained = async {
            while self.ledger.waiting("chat").await.unwrap().1 > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), drained).await.expect("the outbox drains");
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn headlines(local: &Local) -> Vec<String> {
    let headline = |payload: &Value| slack_as_text(payload).lines().next().unwrap_or_default().to_owned();
    local.seen().iter().map(|request| headline(&request.body)).collect()
}

/// Returns the headlines that a webhook gets: start, rise and end.
fn headlines_that_matter() -> Vec<String> {
    let mut told = headlines_of_the_story();
    told.remove(2);
    told
}

fn headlines_of_the_story() -> Vec<String> {
    lifecycle(T0, &[]).iter().map(|transition| Message::of(&transition.notice).headline).collect()
}

#[tokio::test]
async fn a_healthy_receiver_gets_each_transition_once_and_in_order() {
    let local = Local::start(vec![]).await;
    Running::start(webhook(&local)).await.finish().await;
    assert_eq!(headlines(&local), headlines_that_matter(), "easing is no news");
    assert!(local.seen().iter().all(|request| request.path == HOOK));
}

#[tokio::test]
async fn trouble_on_the_way_keeps_the_order_and_loses_nothing() {
    let script = vec![
        Reply::Status(500, "oops"),
        Reply::RetryAfter(1),
        Reply::Status(200, "ok"),
        Reply::Status(503, ""),
    ];
    let local = Local::start(script).await;
    Running::start(webhook(&local)).await.finish().await;
    let told = headlines_of_the_story();
    let expected = [0, 0, 0, 1, 1, 3].map(|n: usize| told[n].clone());
    assert_eq!(headlines(&local), expected);
}

#[tokio::test]
async fn a_dead_receiver_gets_everything_once_it_is_up() {
    let dead = Local::start(vec![]).await;
    dead.stop();
    let running = Running::start(webhook(&dead)).await;
    let refused = async {
        while running.ledger.due_deliveries("chat", Timestamp::MAX, 9).await.unwrap()[0].attempts == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refused).await.expect("an attempt is made");
    let alive = Local::start_at(dead.address, vec![]).await;
    running.finish().await;
    assert_eq!(headlines(&alive), headlines_that_matter(), "refused connections are not marked as re-sent");
}

#[tokio::test]
async fn an_attempt_cut_short_is_repeated_and_marked_after_a_restart() {
    let local = Local::start(vec![Reply::Hang]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let first = SqliteLedger::open(&path).await.unwrap();
    first.commit(&[], &lifecycle(T0, &["chat"])).await.unwrap();
    let running = Running::over(Arc::new(first), webhook(&local));
    local.seen_at_least(1).await;
    running.task.abort();
    assert!(running.task.await.unwrap_err().is_cancelled());
    drop(running.ledger);

    let again = Arc::new(SqliteLedger::open(&path).await.unwrap());
    Running::over(again, webhook(&local)).finish().await;
    let mut told = headlines_that_matter();
    told.insert(1, format!("{} (re-sent)", told[0]));
    assert_eq!(headlines(&local), told);
}

#[tokio::test]
async fn a_webhook_that_will_never_take_it_does_not_hold_up_the_rest() {
    let local = Local::start(vec![Reply::Status(404, "no_service")]).await;
    Running::start(webhook(&local)).await.finish().await;
    assert_eq!(headlines(&local), headlines_that_matter());
}

#[tokio::test]
async fn a_webhook_that_is_gone_may_come_back_within_the_hour() {
    let local = Local::start(vec![]).await;
    let mut young = nth(0);
    young.notice.at = SystemClock.now() - Duration::from_secs(3500);
    let mut old = nth(0);
    old.notice.at = SystemClock.now() - Duration::from_secs(3700);
    for status in [403, 404, 410] {
        for (delivery, retry) in [(&young, Retry::BackOff), (&old, Retry::Never)] {
            local.then(Reply::Status(status, "no_service"));
            let refused = webhook(&local).deliver(delivery).await.unwrap_err();
            assert_eq!(refused.retry, retry, "{status}");
            assert!(refused.error.contains("no_service; check that the webhook's URL"), "{}", refused.error);
        }
    }
    local.then(Reply::Status(405, ""));
    assert_eq!(webhook(&local).deliver(&young).await.unwrap_err().retry, Retry::Never);
}

#[tokio::test]
async fn refused_blocks_go_out_as_plain_text_in_the_same_attempt() {
    let local = Local::start(vec![Reply::Status(400, "invalid_blocks")]).await;
    webhook(&local).deliver(&nth(0)).await.unwrap();
    let [blocks, plain] = local.seen().try_into().unwrap();
    assert!(blocks.body["attachments"].is_array());
    assert!(plain.body["attachments"].is_null());
    assert!(slack_as_text(&plain.body).contains("Runbook: http://lookout.example/runbooks/"));

    for _ in 0..2 {
        local.then(Reply::Status(400, "invalid_payload"));
    }
    let refused = webhook(&local).deliver(&nth(0)).await.unwrap_err();
    assert_eq!(refused.retry, Retry::Never);
    assert_eq!(refused.error, "slack webhook answered 400: invalid_payload");
}

#[tokio::test]
async fn a_repetition_says_so_only_when_the_first_may_have_arrived() {
    let local = Local::start(vec![]).await;
    let again = Delivery { attempts: 3, ..nth(0) };
    webhook(&local).deliver(&again).await.unwrap();
    webhook(&local).deliver(&Delivery { unsure: true, ..again }).await.unwrap();
    let marked: Vec<bool> = headlines(&local).iter().map(|line| line.ends_with("(re-sent)")).collect();
    assert_eq!(marked, [false, true]);
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up_in_time_and_may_have_it() {
    let local = Local::start(vec![Reply::Hang]).await;
    let begun = tokio::time::Instant::now();
    let refused = webhook(&local).deliver(&nth(0)).await.unwrap_err();
    assert_eq!(refused.retry, Retry::Unsure);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn no_error_shows_a_secret() {
    let local = Local::start(vec![Reply::Status(403, "bad hook /services/T000/B000/secretsecret")]).await;
    let hook = webhook(&local);
    let mut errors = vec![hook.deliver(&nth(0)).await.unwrap_err().error];
    local.then(Reply::Status(302, ""));
    errors.push(hook.deliver(&nth(0)).await.unwrap_err().error);
    local.then(Reply::Json(json!({ "ok": false, "error": "invalid_auth" })));
    errors.push(web_api(&local).deliver(&nth(0)).await.unwrap_err().error);
    local.stop();
    // connections that are still open answer no more
    errors.push(webhook(&local).deliver(&nth(0)).await.unwrap_err().error);
    errors.push(web_api(&local).deliver(&nth(0)).await.unwrap_err().error);
    let with_password = alertmanager(&[format!("http://user:secretsecret@{}", local.address)]);
    errors.push(with_password.deliver(&nth(0)).await.unwrap_err().error);
    let kind = DestinationKind::SlackWebhook { url: Secret::new("not a url: secretsecret") };
    let broken = receiver(&destination(kind), Arc::new(SystemClock)).err().unwrap();
    errors.push(format!("{broken} {broken:?}"));
    assert!(errors.iter().all(|error| !error.contains("secretsecret")), "{errors:#?}");
    assert!(errors[3].contains("tcp connect error"), "and yet the cause is named: {}", errors[3]);
}

#[tokio::test]
async fn the_web_api_threads_and_edits() {
    let local = Local::start(vec![]).await;
    for _ in 0..5 {
        local.then(Reply::Json(json!({ "ok": true, "channel": "C1", "ts": "17.5" })));
    }
    Running::start(web_api(&local)).await.finish().await;
    let seen = local.seen();
    let paths: Vec<_> = seen.iter().map(|request| request.path.as_str()).collect();
    let post = "/api/chat.postMessage";
    assert_eq!(paths, [post, post, post, post, "/api/chat.update"]);
    assert!(seen.iter().all(|request| request.authorization.as_deref() == Some("Bearer xoxb-secret")));
    let place = |n: usize, key: &str| seen[n].body[key].clone();
    assert_eq!((place(0, "channel"), place(0, "thread_ts")), (json!("#ops"), Value::Null));
    for n in 1..4 {
        assert_eq!((place(n, "channel"), place(n, "thread_ts")), (json!("C1"), json!("17.5")));
        assert_eq!(place(n, "reply_broadcast"), json!(n == 1), "only an escalation is for the channel");
    }
    assert_eq!((place(4, "channel"), place(4, "ts")), (json!("C1"), json!("17.5")));
    let edited = slack_as_text(&seen[4].body);
    assert!(
        edited.contains("[RESOLVED]") && edited.contains("62 % of the 30-day budget is spent"),
        "{edited}"
    );
    assert_eq!(seen[4].body["attachments"][0]["color"], "#2e7d32");
}

#[tokio::test]
async fn what_slack_refuses_with_status_200_is_understood() {
    let local = Local::start(vec![]).await;
    let api = web_api(&local);
    let no = |word: &str| Reply::Json(json!({ "ok": false, "error": word }));
    for (word, retry) in [
        ("not_in_channel", Retry::Never),
        ("internal_error", Retry::BackOff),
        ("ratelimited", Retry::BackOff),
    ] {
        local.then(no(word));
        let refused = api.deliver(&nth(0)).await.unwrap_err();
        assert_eq!(refused.retry, retry, "{word}");
        assert!(refused.error.contains(word), "{}", refused.error);
    }
    local.then(Reply::Status(200, "<html>a proxy</html>"));
    assert_eq!(api.deliver(&nth(0)).await.unwrap_err().retry, Retry::BackOff);

    local.then(no("invalid_blocks"));
    local.then(Reply::Json(json!({ "ok": true, "channel": "C1", "ts": "2" })));
    assert_eq!(api.deliver(&nth(0)).await.unwrap().as_deref(), Some("C1:2"), "as plain text");

    let reply = Delivery { thread: Some("C1:1".to_owned()), ..nth(3) };
    local.then(no("thread_not_found"));
    local.then(Reply::Json(json!({ "ok": true, "channel": "C1", "ts": "3" })));
    assert_eq!(api.deliver(&reply).await.unwrap().as_deref(), Some("C1:3"), "a lost thread is begun anew");

    local.then(Reply::Json(json!({ "ok": true, "channel": "C1", "ts": "4" })));
    local.then(no("cant_update_message"));
    assert_eq!(api.deliver(&reply).await.unwrap(), None, "a failed edit fails nothing");
}

#[tokio::test]
async fn one_alertmanager_of_several_is_enough() {
    let (dead, alive) = (Local::start(vec![]).await, Local::start(vec![]).await);
    dead.stop();
    let both = alertmanager(&[dead.url(""), alive.url("/prefix/")]);
    both.deliver(&nth(0)).await.unwrap();
    assert_eq!(alive.seen()[0].path, "/prefix/api/v2/alerts");
    alive.then(Reply::Status(500, ""));
    assert_eq!(both.deliver(&nth(0)).await.unwrap_err().retry, Retry::BackOff);
    alive.then(Reply::Status(400, "\"bad\""));
    let refused = both.deliver(&nth(0)).await.unwrap_err();
    assert_eq!(refused.retry, Retry::BackOff, "the dead one may take it later");
}

#[tokio::test]
async fn one_hanging_alertmanager_of_a_pair_holds_up_nobody() {
    let hanging = Local::start(vec![Reply::Hang; 200]).await;
    let healthy = Local::start(vec![]).await;
    let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::default());
    let now = SystemClock.now();
    for n in 0..30 {
        let [opened, ..] = lifecycle(now - Duration::from_millis(n), &["chat"]);
        ledger.commit(&[], &[opened]).await.unwrap();
    }
    let begun = tokio::time::Instant::now();
    let running = Running::over(Arc::clone(&ledger), alertmanager(&[hanging.url(""), healthy.url("")]));
    let told = async {
        let started = || -> std::collections::BTreeSet<String> {
            let posts = healthy.seen();
            let alerts = posts.iter().flat_map(|post| post.body.as_array().unwrap().clone());
            alerts.map(|alert| alert["startsAt"].as_str().unwrap().to_owned()).collect()
        };
        while started().len() < 30 || ledger.waiting("chat").await.unwrap().1 > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told).await.expect("the healthy one is told");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    running.stop.cancel();
}

#[tokio::test]
async fn a_refused_batch_is_posted_one_by_one() {
    let script = vec![Reply::Status(400, "\"bad\""), Reply::Status(400, "\"bad\"")];
    let local = Local::start(script).await;
    let refused = alertmanager(&[local.url("")]).deliver(&nth(1)).await.unwrap_err();
    assert_eq!(refused.retry, Retry::Never);
    let sizes: Vec<_> = local.seen().iter().map(|request| request.body.as_array().unwrap().len()).collect();
    assert_eq!(sizes, [2, 1, 1]);
}

#[tokio::test]
async fn a_refresh_repeats_what_fires_and_what_ended_lately() {
    let local = Local::start(vec![]).await;
    let manager = alertmanager(&[local.url("")]);
    let now = SystemClock.now();
    let [opened, .., long_over] = lifecycle(now - Duration::from_secs(3600), &["chat"]);
    let [.., mut just_over] = lifecycle(now - Duration::from_secs(800), &["chat"]);
    just_over.notice.incident.slo = "other".to_owned();
    let [elsewhere, ..] = lifecycle(now - Duration::from_millis(1), &["other"]);
    manager.refresh(&[opened, long_over, just_over, elsewhere]).await.unwrap();
    let seen = local.seen_at_least(1).await;
    let ends: Vec<bool> = seen[0]
        .body
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| alert["endsAt"].as_str().unwrap().parse::<Timestamp>().unwrap())
        .map(|at| at > now)
        .collect();
    assert_eq!(ends, [false, false, true], "page and ticket of the other have ended; one fires");
    assert_eq!(manager.refresh_every(), Some(Duration::from_secs(30)));
}

#[tokio::test]
async fn a_refresh_never_ends_an_alert_that_fires_again() {
    let local = Local::start(vec![]).await;
    let manager = alertmanager(&[local.url("")]);
    let now = SystemClock.now();
    let [.., over] = lifecycle(now - Duration::from_secs(800), &["chat"]);
    let [_, escalated, ..] = lifecycle(now - Duration::from_secs(130), &["chat"]);
    assert_ne!(over.notice.incident.id, escalated.notice.incident.id);
    for latest in [[over.clone(), escalated.clone()], [escalated, over]] {
        manager.refresh(&latest).await.unwrap();
    }
    for request in local.seen_at_least(2).await.iter().filter(|request| request.body.is_array()) {
        let alerts = request.body.as_array().unwrap();
        let firing = |alert: &&Value| {
            let ends_at: Timestamp = alert["endsAt"].as_str().unwrap().parse().unwrap();
            ends_at > now
        };
        let severities: Vec<&str> =
            alerts.iter().filter(firing).map(|alert| alert["labels"]["severity"].as_str().unwrap()).collect();
        assert_eq!((alerts.len(), severities), (2, vec!["critical"]), "{alerts:#?}");
    }
}

#[tokio::test]
async fn missing_data_keep_the_name_their_alert_and_runbook_have() {
    let local = Local::start(vec![]).await;
    alertmanager(&[local.url("")]).deliver(&delivery(without_data(nth(0).notice))).await.unwrap();
    let alert = &local.seen()[0].body[0];
    assert_eq!(alert["labels"]["alertname"], "TitanicRequestsAvailabilityDataMissing");
    let runbook = alert["annotations"]["runbook_url"].as_str().unwrap();
    assert!(runbook.ends_with("/runbooks/TitanicRequestsAvailabilityDataMissing"), "{runbook}");
}

#[tokio::test]
async fn a_receiver_that_wants_pages_only_gets_no_tickets() {
    let local = Local::start(vec![]).await;
    let urls = vec![Url::parse(&local.url("")).unwrap()];
    let kind = DestinationKind::Alertmanager(AlertmanagerSettings { urls, ..Default::default() });
    let pages = Destination { minimum: Severity::Page, ..destination(kind) };
    let pages = receiver(&pages, Arc::new(SystemClock)).unwrap();
    for n in 0..4 {
        pages.deliver(&nth(n)).await.unwrap();
    }
    let severities: Vec<_> = local
        .seen()
        .iter()
        .flat_map(|request| request.body.as_array().unwrap().clone())
        .map(|alert| alert["labels"]["severity"].clone())
        .collect();
    assert_eq!(severities, ["critical", "critical", "critical"], "escalated, eased away, resolved for good");
}

/// A clock that is behind by an hour.
struct Late;

impl Clock for Late {
    fn now(&self) -> Timestamp {
        SystemClock.now() - Duration::from_secs(3600)
    }
}

#[tokio::test]
async fn alerts_end_by_the_clock_of_the_alertmanager() {
    let local = Local::start(vec![]).await;
    let urls = vec![Url::parse(&local.url("")).unwrap()];
    let kind = DestinationKind::Alertmanager(AlertmanagerSettings { urls, ..Default::default() });
    let behind = receiver(&destination(kind), Arc::new(Late)).unwrap();
    behind.deliver(&nth(0)).await.unwrap();
    let now = SystemClock.now();
    let [request] = &local.seen()[..] else { panic!("one request") };
    let ends_at: Timestamp = request.body[0]["endsAt"].as_str().unwrap().parse().unwrap();
    assert!(ends_at > now + Duration::from_secs(3 * 60), "the clock is read before the first post");
}

#[tokio::test]
async fn credentials_of_an_alertmanager_are_sent_and_never_shown() {
    let local = Local::start(vec![]).await;
    let with_user = format!("http://user:secretsecret@{}", local.address);
    alertmanager(&[with_user]).deliver(&nth(0)).await.unwrap();
    let urls = vec![Url::parse(&local.url("")).unwrap()];
    let kind = DestinationKind::Alertmanager(AlertmanagerSettings {
        urls,
        token: Some(Secret::new("t0kent0ken")),
        watchdog: true,
        ..Default::default()
    });
    let with_token = receiver(&destination(kind), Arc::new(SystemClock)).unwrap();
    with_token.refresh(&[]).await.unwrap();
    let [basic, bearer] = local.seen().try_into().unwrap();
    assert_eq!(basic.authorization.as_deref(), Some("Basic dXNlcjpzZWNyZXRzZWNyZXQ="));
    assert_eq!(bearer.authorization.as_deref(), Some("Bearer t0kent0ken"));
    assert_eq!(bearer.body[0]["labels"]["alertname"], "LookoutWatchdog");
    local.then(Reply::Status(401, "t0kent0ken is no token"));
    let refused = with_token.deliver(&nth(0)).await.unwrap_err();
    assert!(!refused.error.contains("t0kent0ken"), "{}", refused.error);
    for (written, sent) in [("secretsecret", "secretsecret"), ("se%2Fcret+x", "se/cret+x")] {
        let with_password = format!("http://user:{written}@{}", local.address);
        let text = Box::leak(format!("{sent} is no password, nor is {written}").into_boxed_str());
        local.then(Reply::Status(401, text));
        let refused = alertmanager(&[with_password]).deliver(&nth(0)).await.unwrap_err();
        assert!(!refused.error.contains(written) && !refused.error.contains(sent), "{}", refused.error);
        assert!(refused.error.contains("*** is no password, nor is ***"), "{}", refused.error);
    }
}
