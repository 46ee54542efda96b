//! Whole payloads, as files to look at; and whatever is told, Slack can take it.

use lookout_engine::{Cause, Change};
use lookout_model::Timestamp;
use std::path::PathBuf;

use expect_test::expect_file;
use proptest::prelude::*;
use serde_json::Value;

use super::{blocks, build_message, slack_as_text};
use crate::{Message, Update};
use lookout_model::sample::{T0, lifecycle, without_data};
use lookout_model::{Acknowledgement, News, SilencedBy, TransitionRecord};
use lookout_model::{Delivery, Notice, OwnFault, Rehearsal};
use std::time::Duration;

/// Compares with a file, or writes it when `UPDATE_EXPECT=1`.
fn golden(name: &str, text: &str) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/slack");
    expect_file![folder.join(name)].assert_eq(text);
}

fn cases() -> Vec<(&'static str, Delivery)> {
    let [opened, escalated, eased, resolved] = lifecycle(T0, &[]).map(|transition| transition.notice);
    let mut hostile = opened.clone();
    hostile.last_failure =
        Some("<!channel> see <http://evil.example|the fix> & \u{1b}[31mrun\n\n*this*".to_owned());
    hostile.last_deploy = None;
    let mut no_data = without_data(escalated.clone());
    no_data.change = Change::Opened;
    let rehearsal = |kind: Rehearsal| {
        let mut notice = opened.clone();
        notice.rehearsal = Some(kind);
        notice
    };
    let mut dead_letter = escalated.clone();
    dead_letter.own_fault = Some(OwnFault {
        title: "pager refuses messages".to_owned(),
        text: "It refused messages about titanic-requests: pagerduty answered 400.".to_owned(),
    });
    let mut news = news_cases().into_iter();
    let mut next = || news.next().unwrap();
    let cases = [
        next(),
        next(),
        next(),
        next(),
        next(),
        ("test", rehearsal(Rehearsal::Test), false),
        ("drill", rehearsal(Rehearsal::Drill { ends_at: T0 }), false),
        ("dead_letter", dead_letter, false),
        ("opened", opened.clone(), false),
        ("escalated", escalated, false),
        ("eased", eased, false),
        ("resolved", resolved, false),
        ("no_data", no_data, false),
        ("resent", opened, true),
        ("hostile", hostile, false),
    ];
    cases
        .map(|(name, notice, unsure)| {
            let destination = "slack".to_owned();
            (name, Delivery { id: 1, destination, notice, attempts: 1, unsure, thread: None })
        })
        .into()
}

/// Returns notices of every kind of news, and whether each may have been sent before.
pub(crate) fn news_cases() -> [(&'static str, Notice, bool); 5] {
    let minutes = |n: u64| T0 + Duration::from_secs(60 * n);
    let escalated = lifecycle(T0, &[])[1].clone();
    let mut acknowledged = escalated.clone();
    let note = "I roll 1.4.2 back <!channel>".to_owned();
    acknowledged.notice.acknowledgement =
        Some(Acknowledgement { at: minutes(5), actor: "ana".to_owned(), note });
    let resolved = {
        let mut notice = lifecycle(T0, &[])[3].notice.clone();
        notice.acknowledgement.clone_from(&acknowledged.notice.acknowledgement);
        notice
    };
    let silence = SilencedBy {
        id: "sil-0123456789abcdef".to_owned(),
        actor: "ana".to_owned(),
        reason: "a planned failover".to_owned(),
        until: minutes(60),
    };
    let of = |base: &TransitionRecord, news, at| base.with_news(news, minutes(at), Vec::new()).notice;
    let unacknowledged = News::Unacknowledged { from: "oncall".to_owned(), after_s: 900 };
    [
        ("acknowledged", of(&acknowledged, News::Acknowledged, 5), false),
        ("resolved_acknowledged", resolved, false),
        ("unacknowledged", of(&escalated, unacknowledged, 17), false),
        ("repeated", of(&acknowledged, News::Repeated, 242), false),
        ("late", of(&escalated, News::Late { silence: Some(silence) }, 60), false),
    ]
}

/// Returns a group of one service with a page and an end in it, and a digest of five services.
pub(crate) fn groups() -> [(&'static str, Vec<Notice>); 2] {
    let one = |service: &str, n: usize, change: usize| {
        let mut notice = lifecycle(T0, &[])[change].notice.clone();
        notice.incident.service = service.to_owned();
        notice.incident.slo = format!("slo-{n}");
        notice.incident.slo_id = format!("{service}-slo-{n:02}");
        notice
    };
    let group = [1, 0, 0, 3].iter().enumerate().map(|(n, change)| one("titanic", n, *change)).collect();
    let services = ["checkout", "search", "titanic", "users", "web"];
    let digest = (0..43).map(|n| one(services[n * 7 % 5], n, 1)).collect();
    [("group", group), ("digest", digest)]
        .map(|(name, members)| (name, Update::new(Vec::new(), None, members).members))
}

#[test]
fn messages_look_as_they_should() {
    for (name, delivery) in cases() {
        let payload = blocks::payload(&build_message(&delivery));
        golden(&format!("{name}.json"), &(serde_json::to_string_pretty(&payload).unwrap() + "\n"));
        golden(&format!("{name}.txt"), &(slack_as_text(&payload) + "\n"));
    }
    for (name, members) in groups() {
        let payload = blocks::payload(&Message::of_group(&members));
        golden(&format!("{name}.json"), &(serde_json::to_string_pretty(&payload).unwrap() + "\n"));
        golden(&format!("{name}.txt"), &(slack_as_text(&payload) + "\n"));
    }
    let opened = cases().into_iter().find_map(|(name, one)| (name == "opened").then_some(one)).unwrap();
    golden("plain.txt", &(slack_as_text(&blocks::plain(&build_message(&opened))) + "\n"));
}

/// Returns every object of a payload.
fn objects(value: &Value) -> Vec<&Value> {
    match value {
        Value::Object(map) => std::iter::once(value).chain(map.values().flat_map(objects)).collect(),
        Value::Array(list) => list.iter().flat_map(objects).collect(),
        _ => Vec::new(),
    }
}

fn units(value: &Value) -> usize {
    value.as_str().unwrap_or_default().encode_utf16().count()
}

/// Asserts the limits that Slack documents, and those that it enforces without documenting them.
fn assert_acceptable(payload: &Value) {
    let total = serde_json::to_string(payload).unwrap().encode_utf16().count();
    assert!(total < 12_000, "{total} characters");
    assert!(units(&payload["text"]) <= 4000);
    let mut blocks = 0;
    for object in objects(payload) {
        match object["type"].as_str() {
            Some("header") => assert!((1..=150).contains(&units(&object["text"]["text"]))),
            Some("section") => {
                assert!(object["text"].is_object() || object["fields"].is_array());
                assert!(units(&object["text"]["text"]) <= 2800);
                let fields = object["fields"].as_array().cloned().unwrap_or_default();
                assert!(fields.len() <= 10);
                assert!(fields.iter().all(|field| (1..=2000).contains(&units(&field["text"]))));
            }
            Some("actions") => assert!((1..=25).contains(&object["elements"].as_array().unwrap().len())),
            Some("button") => {
                assert!((1..=75).contains(&units(&object["text"]["text"])));
                assert!((1..=3000).contains(&units(&object["url"])));
                assert!(!object["url"].as_str().unwrap().contains(['<', '>', '|']));
            }
            Some("context") => assert!((1..=10).contains(&object["elements"].as_array().unwrap().len())),
            Some("mrkdwn" | "plain_text") => assert!(units(&object["text"]) >= 1),
            _ => continue,
        }
        blocks += 1;
    }
    assert!(blocks <= 50);
    let text = serde_json::to_string(payload).unwrap();
    assert!(!text.contains(['<', '>']), "nothing here is a mention or a link: {text}");
    assert!(!text.contains("\\u0000") && !text.contains("\\u001b"), "no control characters: {text}");
}

fn outside_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[<>&|!\"\\\\\u{0}\u{1b}\n@# a-z🚢]{0,40}",
        ("[<>&\"\\\\🚢a\n]", 0..20_000_usize).prop_map(|(text, times)| text.repeat(times)),
        Just("<!channel> <@U1> <http://evil|ok>".to_owned()),
        Just(String::new()),
    ]
}

fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(f64::MAX), Just(f64::MIN), Just(f64::MIN_POSITIVE), -10.0..10.0, 0.0..1e9]
}

prop_compose! {
    pub(crate) fn notices()(
        kind in 0..4_usize,
        texts in prop::collection::vec(outside_text(), 17),
        news in 0..8_usize,
        numbers in prop::collection::vec(finite(), 6),
        times in prop::collection::vec(any::<i64>(), 3),
        counts in prop::collection::vec(any::<u64>(), 5),
        cause in 0..Cause::ALL.len(),
        tiers in any::<bool>(),
    ) -> Notice {
        let mut notice = lifecycle(T0, &[])[kind].notice.clone();
        let mut texts = texts.into_iter();
        let mut text = || texts.next().unwrap_or_default();
        let at = Timestamp::from_millis(times[2]);
        notice.acknowledgement = Some(Acknowledgement { at, actor: text(), note: text() });
        let silence = SilencedBy { id: text(), actor: text(), reason: text(), until: at };
        notice.news = match news {
            0 => Some(News::Acknowledged),
            1 => Some(News::Repeated),
            2 => Some(News::Unacknowledged { from: silence.actor, after_s: counts[0] }),
            3 => Some(News::Late { silence: Some(silence) }),
            _ => None,
        };
        notice.alert = text();
        notice.description = text();
        notice.environment = Some(text());
        notice.runbook_url = format!("http://h/{}", text());
        notice.dashboard_url = text();
        notice.last_failure = Some(text());
        notice.incident.service = text();
        notice.incident.slo = text();
        if let Some(deploy) = &mut notice.last_deploy {
            (deploy.version, deploy.commit, deploy.actor) = (text(), text(), text());
            deploy.started_at = Timestamp::from_millis(times[0]);
        }
        notice.incident.cause = Cause::ALL[cause];
        notice.incident.detected_at = Timestamp::from_millis(times[1]);
        notice.at = Timestamp::from_millis(times[2]);
        let evidence = &mut notice.evidence;
        (evidence.budget_left_ratio, evidence.seconds_to_exhaustion) = (numbers[0], Some(numbers[1]));
        (evidence.period_s, evidence.bad, evidence.total) = (counts[0], counts[1], counts[2]);
        if !tiers {
            evidence.tiers.clear();
        }
        for tier in &mut evidence.tiers {
            (tier.long_burn, tier.short_burn, tier.factor) = (Some(numbers[3]), Some(numbers[4]), numbers[5]);
            (tier.long_bad, tier.long_s) = (counts[3], counts[4]);
        }
        notice
    }
}

proptest! {
    #[test]
    fn whatever_is_told_slack_can_take_it(notice in notices(), resent in any::<bool>()) {
        let message = Message::of(&notice);
        let message = if resent { message.resent() } else { message };
        prop_assert!(message.headline.chars().count() <= 150);
        for payload in [blocks::payload(&message), blocks::plain(&message)] {
            assert_acceptable(&payload);
            prop_assert!(!slack_as_text(&payload).chars().any(|c| c.is_control() && c != '\n'));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_a_group_tells_slack_can_take_it(members in prop::collection::vec(notices(), 1..40)) {
        let message = Message::of_group(&Update::new(Vec::new(), None, members).members);
        for payload in [blocks::payload(&message), blocks::plain(&message)] {
            assert_acceptable(&payload);
        }
    }
}

#[test]
fn any_payload_can_be_shown() {
    for text in
        ["null", "{}", r#"{"text":"a &lt;b&gt;"}"#, r#"{"blocks":[1,{"type":"section"}],"attachments":{}}"#]
    {
        let shown = slack_as_text(&serde_json::from_str(text).unwrap());
        assert!(shown.is_empty() || shown == "a <b>", "{shown}");
    }
}
