//! Lint of the committed runbooks: one page per alert, each with steps.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::{assert_promql, committed};
use lookout_config::OWN_ALERTS;

const SECTIONS: [&str; 9] =
    ["TL;DR", "Impact", "Confirm", "Diagnose", "Mitigate", "Verify", "Escalate", "Communicate", "Afterwards"];

/// Returns the pages by alert.
fn pages() -> BTreeMap<String, String> {
    committed("runbooks", ".md")
        .into_iter()
        .map(|path| {
            (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// Returns the severities by alert, from the committed rules.
fn alerts() -> BTreeMap<String, Vec<String>> {
    let mut alerts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in committed("alerts", ".rules.yaml") {
        let document: Value = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for rule in document["groups"].as_array().unwrap().iter().flat_map(|g| g["rules"].as_array().unwrap())
        {
            if let Some(alert) = rule["alert"].as_str() {
                let severity = rule["labels"]["severity"].as_str().unwrap().to_owned();
                alerts.entry(alert.to_owned()).or_default().push(severity);
                let url = rule["annotations"]["runbook_url"].as_str().unwrap();
                assert!(url.ends_with(&format!("/{alert}")), "{alert} links to {url}");
            }
        }
    }
    alerts
}

/// Returns whether no rule raises the alert of a page.
fn is_of_the_agent_alone(page: &str) -> bool {
    page.contains("\n**It fires** in the agent ")
}

#[test]
fn every_alert_has_its_page_and_every_page_its_alert() {
    let (alerts, pages) = (alerts(), pages());
    let with_rule = |page: &&String| !is_of_the_agent_alone(page);
    let ruled: Vec<&String> =
        pages.iter().filter(|(_, page)| with_rule(page)).map(|(alert, _)| alert).collect();
    assert_eq!(alerts.keys().collect::<Vec<_>>(), ruled);
    for (alert, severities) in &alerts {
        let page = &pages[alert];
        assert!(page.starts_with(&format!("---\nalert: {alert}\n")), "{alert}: front matter");
        assert!(page.contains(&format!("\nseverity: [{}]\n", severities.join(", "))), "{alert}: severity");
        // the agent has no objective of its own
        let slo = (!OWN_ALERTS.contains(&alert.as_str())).then_some("slo");
        for key in ["service", "owner", "last_reviewed", "review_every"].into_iter().chain(slo) {
            assert!(page.contains(&format!("\n{key}: ")), "{alert}: {key}");
        }
    }
}

#[test]
fn every_section_says_something_and_nothing_is_left_to_do() {
    for (alert, page) in pages() {
        for word in ["TODO", "TBD", "FIXME", "placeholder", "lorem"] {
            assert!(!page.contains(word), "{alert}: {word}");
        }
        let (_, body) = page.split_once("<!-- lookout:end -->").unwrap();
        let parts: Vec<(&str, &str)> =
            body.split("\n## ").skip(1).map(|part| part.split_once('\n').unwrap()).collect();
        let titles: Vec<&str> = parts.iter().map(|(title, _)| *title).collect();
        assert_eq!(titles, SECTIONS, "{alert}");
        for (title, text) in parts {
            let words = text.split_whitespace().count();
            assert!(words >= 10, "{alert}: {title} has {words} words");
        }
        assert!(body.split_whitespace().count() <= 600, "{alert} is too long for three in the morning");
    }
}

#[test]
fn every_query_on_a_page_is_promql() {
    let pages = pages();
    let mut queries = Vec::new();
    for (alert, page) in &pages {
        let fences: Vec<&str> = page.split("```promql\n").skip(1).collect();
        let least = if is_of_the_agent_alone(page) { 1 } else { 2 };
        assert!(fences.len() >= least, "{alert}: a page shows what it fired on and how to confirm it");
        for fence in fences {
            queries.push((alert.as_str(), fence.split_once("```").unwrap().0.to_owned()));
        }
    }
    assert_promql(queries);
}
