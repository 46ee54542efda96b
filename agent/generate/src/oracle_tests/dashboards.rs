//! Lint of the dashboards: the rules of Grafana's own linter, and those of a reader at night.

use serde_json::Value;

use super::{artifacts, assert_promql, test_fixture};

fn dashboards() -> Vec<Value> {
    let list: Vec<Value> = artifacts(&test_fixture::titanic())
        .iter()
        .filter(|artifact| artifact.path.extension().is_some_and(|ending| ending == "json"))
        .map(|artifact| serde_json::from_str(&artifact.contents).unwrap())
        .collect();
    assert_eq!(list.len(), 2);
    list
}

fn panels(dashboard: &Value) -> &Vec<Value> {
    dashboard["panels"].as_array().unwrap()
}

/// Replaces the variables as Grafana does.
fn substituted(expr: &str) -> String {
    ["$__rate_interval", "$slo", "$job", "$instance"]
        .into_iter()
        .zip(["5m", "a|b", ".+", ".+"])
        .fold(expr.to_owned(), |text, (variable, value)| text.replace(variable, value))
}

#[test]
fn every_query_is_promql() {
    let dashboards = dashboards();
    let mut queries = Vec::new();
    for dashboard in &dashboards {
        for panel in panels(dashboard) {
            for target in panel["targets"].as_array().into_iter().flatten() {
                queries
                    .push((panel["title"].as_str().unwrap(), substituted(target["expr"].as_str().unwrap())));
            }
        }
        for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
            queries.push((
                annotation["name"].as_str().unwrap(),
                substituted(annotation["expr"].as_str().unwrap()),
            ));
        }
    }
    assert!(queries.iter().all(|(_, query)| !query.contains('$')), "an unknown variable: {queries:?}");
    assert_promql(queries);
}

#[test]
fn every_panel_explains_itself() {
    for dashboard in dashboards() {
        assert!(!dashboard["description"].as_str().unwrap().is_empty());
        assert_eq!(dashboard["editable"], false);
        for panel in panels(&dashboard).iter().filter(|panel| panel["type"] != "row") {
            let title = panel["title"].as_str().unwrap();
            assert!(!title.is_empty());
            assert!(panel["description"].as_str().unwrap().len() > 20, "{title} has no description");
            assert!(
                !panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap().is_empty(),
                "{title} has no unit"
            );
            assert!(!panel["fieldConfig"]["defaults"]["noValue"].as_str().unwrap().is_empty(), "{title}");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
            let targets = panel["targets"].as_array().unwrap();
            assert!(!targets.is_empty(), "{title} asks nothing");
            for target in targets {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
                let named =
                    target["format"] == "table" || !target["legendFormat"].as_str().unwrap().is_empty();
                assert!(named, "{title} shows raw label sets");
                let expr = target["expr"].as_str().unwrap();
                for part in expr.split("rate(").skip(1) {
                    assert!(part.contains("[$__rate_interval]"), "{title}: a rate over a fixed range");
                }
                let histogram = expr.contains("histogram_quantile");
                assert_eq!(target["exemplar"].as_bool(), Some(histogram), "{title}");
            }
        }
    }
}

#[test]
fn variables_links_and_annotations_are_there() {
    for dashboard in dashboards() {
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        assert_eq!(variables[0]["name"], "datasource");
        assert_eq!(variables[0]["label"], "Data source");
        for variable in variables.iter().filter(|variable| variable["type"] == "query") {
            assert_eq!(variable["refresh"], 2);
            // the agent's address is a variable, and hidden: it is for links
            assert!(variable["allValue"] == ".+" || (variable["name"] == "lookout" && variable["hide"] == 2));
        }
        let names: Vec<&str> = dashboard["annotations"]["list"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| a["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["Alerts", "Deploys and restarts"]);
        let table = panels(&dashboard).iter().find(|panel| panel["type"] == "table").unwrap();
        assert!(!table["fieldConfig"]["defaults"]["links"].as_array().unwrap().is_empty());
    }
    let service = dashboards().into_iter().find(|dashboard| dashboard["uid"] == "lookout-titanic").unwrap();
    let names: Vec<&str> = service["templating"]["list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["datasource", "lookout", "slo", "job", "instance"]);
}

#[test]
fn ids_are_unique_and_panels_do_not_overlap() {
    let mut uids = Vec::new();
    for dashboard in dashboards() {
        uids.push(dashboard["uid"].as_str().unwrap().to_owned());
        let mut ids = Vec::new();
        let mut cells = std::collections::BTreeSet::new();
        for panel in panels(&dashboard) {
            let id = panel["id"].as_u64().unwrap();
            assert!(!ids.contains(&id), "two panels {id}");
            ids.push(id);
            let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{} leaves the grid", panel["title"]);
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(cells.insert((x, y)), "{} overlaps at {x},{y}", panel["title"]);
                }
            }
        }
    }
    uids.sort();
    assert_eq!(uids, ["lookout-overview", "lookout-titanic"]);
}

#[test]
fn the_first_screen_has_the_answer_in_words_and_thresholds_come_from_the_spec() {
    let service = dashboards().into_iter().find(|dashboard| dashboard["uid"] == "lookout-titanic").unwrap();
    let first: Vec<&str> = panels(&service)
        .iter()
        .filter(|panel| panel["gridPos"]["y"].as_u64().unwrap() < 12)
        .map(|panel| panel["title"].as_str().unwrap())
        .collect();
    for wanted in ["State", "Error budget left", "Burn rate now", "Firing"] {
        assert!(first.contains(&wanted), "{wanted} is below the first screen");
    }
    let state = panels(&service).iter().find(|panel| panel["title"] == "State").unwrap();
    let words = state["fieldConfig"]["defaults"]["mappings"][0]["options"].as_object().unwrap();
    let words: Vec<&str> = words.values().map(|word| word["text"].as_str().unwrap()).collect();
    assert_eq!(words, ["ok", "ticket", "PAGE", "no data"], "a colour without a word");
    let steps = |title: &str| {
        let panel = panels(&service).iter().find(|panel| panel["title"] == title).unwrap();
        panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["value"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(steps("Requests answered: good events"), [Value::Null, 0.999.into()]);
    assert_eq!(steps("Requests answered in time: good events"), [Value::Null, 0.99.into()]);
    assert_eq!(steps("Requests answered in time: latency"), [Value::Null, 0.25.into()]);
    let burn = steps("Requests answered: burn by window");
    assert_eq!(burn, [Value::Null, 1.0.into(), 3.0.into(), 6.0.into(), 14.4.into()]);
}
