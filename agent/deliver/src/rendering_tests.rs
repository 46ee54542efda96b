//! Goldens of the payloads for PagerDuty, webhooks and mailboxes, and the limits that hold for any text.

use std::path::PathBuf;

use expect_test::expect_file;
use lookout_engine::Change;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::slack::golden_tests::{groups, news_cases, notices};
use lookout_model::sample::{T0, lifecycle};
use lookout_model::{Notice, OwnFault, Rehearsal, Timestamp};

/// Compares with a file, or writes it when `UPDATE_EXPECT=1`.
fn golden(kind: &str, name: &str, text: &str) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(kind);
    std::fs::create_dir_all(&folder).unwrap();
    expect_file![folder.join(name)].assert_eq(text);
}

fn delivery(notice: Notice) -> Delivery {
    let destination = "oncall".to_owned();
    Delivery { id: 1, destination, notice, attempts: 0, unsure: false, thread: None }
}

/// Returns the news that a destination refuses messages.
fn dead_letter() -> Notice {
    let mut notice = lifecycle(T0, &[])[1].notice.clone();
    notice.change = Change::Opened;
    notice.incident.service = "lookout".to_owned();
    notice.incident.slo = "delivery chat".to_owned();
    notice.own_fault = Some(OwnFault {
        title: "chat refuses messages".to_owned(),
        text: "It refused messages about titanic-requests: slack answered 401: invalid_auth.".to_owned(),
    });
    notice
}

fn rehearsal(kind: Rehearsal) -> Notice {
    let mut notice = lifecycle(T0, &[])[1].notice.clone();
    (notice.change, notice.rehearsal) = (Change::Opened, Some(kind));
    notice
}

fn cases() -> Vec<(&'static str, Update)> {
    let [opened, escalated, _, resolved] = lifecycle(T0, &[]).map(|transition| transition.notice);
    let one = |notice: Notice| Update::new(vec![delivery(notice)], None, Vec::new());
    let mut cases = vec![
        ("opened", one(opened)),
        ("escalated", one(escalated)),
        ("resolved", one(resolved)),
        ("dead_letter", one(dead_letter())),
        ("test", one(rehearsal(Rehearsal::Test))),
        ("drill", one(rehearsal(Rehearsal::Drill { ends_at: T0 }))),
    ];
    cases.extend(news_cases().map(|(name, notice, _)| (name, one(notice))));
    for (name, members) in groups() {
        cases.push((name, Update::new(members.into_iter().map(delivery).collect(), None, Vec::new())));
    }
    cases
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

fn message(update: &Update) -> Message {
    match update.members.as_slice() {
        [notice] => Message::of(notice),
        members => Message::of_group(members),
    }
}

#[test]
fn messages_look_as_they_should() {
    for (name, update) in cases() {
        golden("webhook", &format!("{name}.json"), &pretty(&webhook::body(&update)));
        golden(
            "email",
            &format!("{name}.txt"),
            &(email::text(&message(&update)).replace("\r\n", "\n") + "\n"),
        );
        golden("email", &format!("{name}.html"), &(email::html(&message(&update)) + "\n"));
        // PagerDuty has one alert per incident
        if let [delivery] = update.deliveries.as_slice() {
            golden("pagerduty", &format!("{name}.json"), &pretty(&pagerduty::event(delivery, "R0UTING")));
        }
    }
}

#[test]
fn a_webhook_has_the_form_it_is_asked_for() {
    let (_, update) = cases().into_iter().find(|(name, _)| *name == "escalated").unwrap();
    let envelope = webhook::payload(&lookout_config::WebhookForm::CloudEvents, &update).unwrap();
    let envelope: Value = serde_json::from_str(&envelope).unwrap();
    golden("webhook", "cloudevents.json", &pretty(&envelope));
    assert_eq!(envelope["data"], serde_json::to_value(webhook::body(&update)).unwrap());
    for (name, text) in presets() {
        let template = lookout_config::BodyTemplate::try_new(&text).unwrap();
        let filled = webhook::payload(&lookout_config::WebhookForm::Template(template), &update).unwrap();
        let filled: Value = serde_json::from_str(&filled).unwrap();
        golden("webhook", &format!("preset_{name}.json"), &pretty(&filled));
    }
}

/// Returns the bodies of the presets in the documentation.
fn presets() -> Vec<(String, String)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/webhook-presets.md");
    let page = std::fs::read_to_string(path).unwrap();
    let mut presets = Vec::new();
    for part in page.split("\n## ").skip(1) {
        let name = part.lines().next().unwrap().to_lowercase().replace(' ', "_");
        let Some((_, behind)) = part.split_once("body: |\n") else { continue };
        let body: String = behind.lines().take_while(|line| line.starts_with("        ")).collect();
        presets.push((name, body));
    }
    assert_eq!(presets.len(), 5, "one for each service");
    presets
}

/// Returns the keys of an object of the schema and of a body, which must be the same.
fn assert_described(schema: &Value, value: &Value, path: &str) {
    let (Value::Object(described), Value::Object(sent)) = (&schema["properties"], value) else {
        if let Value::Array(items) = value {
            items.iter().for_each(|item| assert_described(&schema["items"], item, path));
        }
        return;
    };
    let described: Vec<&String> = described.keys().collect();
    let mut keys: Vec<&String> = sent.keys().collect();
    keys.sort();
    assert_eq!(
        keys,
        {
            let mut all = described.clone();
            all.sort();
            all
        },
        "{path}"
    );
    for (key, value) in sent {
        assert_described(&schema["properties"][key], value, key);
    }
}

#[test]
fn the_schema_of_the_webhook_describes_what_is_sent() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema/webhook.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for (name, update) in cases() {
        assert_described(&schema, &serde_json::to_value(webhook::body(&update)).unwrap(), name);
    }
    let sent = serde_json::to_value(webhook::body(&cases()[0].1)).unwrap();
    assert_eq!(schema["properties"]["version"]["const"], sent["version"]);
}

#[test]
fn a_signature_is_the_hmac_of_time_and_body() {
    let now = Timestamp::from_seconds(1_700_000_000);
    // as `printf %s '1700000000.{"a":1}' | openssl dgst -sha256 -hmac s3cret` prints it
    let expected = include_str!("../tests/golden/webhook/signature.txt").trim();
    assert_eq!(webhook::signature(&Secret::new("s3cret"), now, "{\"a\":1}"), expected);
}

#[test]
fn a_page_has_one_link() {
    let mut notice = lifecycle(T0, &[])[0].notice.clone();
    let labels = |notice: &Notice| -> Vec<&str> {
        Message::of(notice).links.into_iter().map(|(label, _)| label).collect()
    };
    assert_eq!(labels(&notice), ["Runbook", "Dashboard", "Explain", "Silence"]);
    notice.dashboard_url = notice.explain_url.clone();
    assert_eq!(labels(&notice), ["Runbook", "Explain", "Silence"]);
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(map) => map.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// Beginnings of mentions and links that some receiver shows as such.
const LIVE: [&str; 7] = ["@everyone", "@channel", "<!", "<@", "http://", "https://", "]("];

fn assert_bounded(value: &Value, largest: usize) {
    assert!(value.to_string().len() < largest, "{} bytes", value.to_string().len());
    for text in texts(value) {
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
}

/// Asserts that every tag is one of ours, and that a link opens a web page.
fn assert_inert(html: &str) {
    const TAGS: [&str; 14] = [
        "!doctype html",
        "html",
        "body",
        "h2",
        "p",
        "table",
        "tr",
        "td",
        "ul",
        "li",
        "a",
        "th align=\"left\"",
        "th",
        "meta",
    ];
    for tag in html.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap().trim_start_matches('/');
        let link = tag.strip_prefix("a href=\"").and_then(|rest| rest.strip_suffix('"'));
        let safe = link.is_some_and(|url| {
            (url.starts_with("http://") || url.starts_with("https://")) && !url.contains('"')
        });
        assert!(TAGS.contains(&tag) || safe, "{tag:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_told_each_receiver_can_take_it(members in prop::collection::vec(notices(), 1..6)) {
        for notice in &members {
            let event = pagerduty::event(&delivery(notice.clone()), "R0UTING");
            assert_bounded(&event, 512 * 1024);
            let length = |pointer: &str| event.pointer(pointer).unwrap().as_str().unwrap().chars().count();
            prop_assert!((1..=1024).contains(&length("/payload/summary")));
            prop_assert!((1..=255).contains(&length("/dedup_key")));
            prop_assert!(length("/payload/source") >= 1);
            for link in event["links"].as_array().unwrap() {
                prop_assert!(link["href"].as_str().unwrap().starts_with("http"));
            }
        }
        for notice in &members {
            let alert = alertmanager::sample(notice);
            prop_assert!(alert.to_string().len() < 16 * 1024, "{} bytes", alert.to_string().len());
            let labels = alert["labels"].as_object().unwrap();
            prop_assert!(labels.values().all(|value| !value.as_str().unwrap().chars().any(char::is_control)));
            prop_assert!(!labels["alertname"].as_str().unwrap().is_empty());
            // a time that no date can tell is left out
            let time = |key: &str| alert.get(key).map(|at| at.as_str().unwrap().parse::<Timestamp>().unwrap());
            prop_assert!(time("startsAt") <= time("endsAt") || time("endsAt").is_none());
            let annotations = alert["annotations"].as_object().unwrap();
            for (name, value) in annotations {
                let value = value.as_str().unwrap();
                prop_assert!(!value.chars().any(|c| c.is_control() && c != '\n'), "{name}: {value:?}");
                let link = name.ends_with("_url");
                prop_assert!(!link || value.starts_with("http://") || value.starts_with("https://"), "{value}");
                let live = LIVE.iter().find(|live| !link && value.contains(**live));
                prop_assert!(live.is_none(), "{live:?} in {name}: {value}");
            }
        }
        let update = Update::new(members.into_iter().map(delivery).collect(), None, Vec::new());
        let body = serde_json::to_value(webhook::body(&update)).unwrap();
        assert_bounded(&body, 16 * 1024 * update.deliveries.len());
        let text = r#"{"t": "{{headline}} {{sentence}} {{description}} {{service}} {{slo}} {{environment}}"}"#;
        let template = lookout_config::BodyTemplate::try_new(text).unwrap();
        let filled = webhook::payload(&lookout_config::WebhookForm::Template(template), &update).unwrap();
        let filled: Value = serde_json::from_str(&filled).unwrap();
        assert_bounded(&filled, 32 * 1024);
        let shown = filled["t"].as_str().unwrap();
        for live in LIVE {
            prop_assert!(!shown.contains(live), "{live} in {shown}");
        }
        let message = message(&update).resent();
        assert_inert(&email::html(&message));
        let mailbox: lettre::message::Mailbox = "a@example.org".parse().unwrap();
        let mail = email::build(&mailbox, std::slice::from_ref(&mailbox), &message, &email::Place::sample());
        let mail = String::from_utf8(mail.unwrap().formatted()).unwrap();
        let (head, _) = mail.split_once("\r\n\r\n").unwrap();
        let names: std::collections::BTreeSet<&str> = head
            .split("\r\n")
            .filter(|line| !line.starts_with([' ', '\t']))
            .map(|line| line.split(':').next().unwrap())
            .collect();
        let expected = [
            "Auto-Submitted", "Content-Type", "Date", "From", "In-Reply-To", "MIME-Version", "Message-ID",
            "References", "Subject", "To",
        ];
        prop_assert!(names.iter().eq(expected.iter()), "{names:?}");
        prop_assert!(mail.lines().all(|line| line.len() <= 998), "a line is too long for SMTP");
    }
}
