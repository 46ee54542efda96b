//! The generated files, checked by Debian's Prometheus and Alertmanager.

mod burns;
mod dashboards;
mod objects;
mod operator_routes;
mod runbooks;
mod scenario;
mod scenarios;
mod self_monitoring;
mod uneven;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lookout_engine::{
    BurnFactor, Condition, Grid, Guard, Method, Policy, Severity, SliceTarget, Tier, Window,
};

use super::{artifacts, drift, rules, test_fixture, write};
use lookout_config::Config;
use lookout_runtime::events::names;

/// Runs a tool of a Debian package; a failure shows its output.
fn tool(program: &str, package: &str, folder: &Path, arguments: &[&str]) -> String {
    let out = Command::new(program).args(arguments).current_dir(folder).output().unwrap_or_else(|error| {
        panic!("{program} cannot be run ({error}); install it with: apt-get install --no-install-recommends {package}")
    });
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{program} {}: {text}", arguments.join(" "));
    text
}

fn promtool(folder: &Path, arguments: &[&str]) -> String {
    tool("promtool", "prometheus", folder, arguments)
}

/// Asserts that promtool can parse every expression, by way of a temporary rule file.
fn assert_promql<'a>(expressions: impl IntoIterator<Item = (&'a str, String)>) {
    let rules: Vec<serde_json::Value> = expressions
        .into_iter()
        .enumerate()
        .map(|(index, (origin, expr))| {
            serde_json::json!({"record": format!("throw_away:{index}"), "expr": expr, "labels": {"origin": origin}})
        })
        .collect();
    assert!(!rules.is_empty(), "nothing to check");
    let folder = tempfile::tempdir().unwrap();
    // JSON is YAML
    let file = serde_json::json!({"groups": [{"name": "throw-away", "rules": rules}]});
    fs::write(folder.path().join("rules.yaml"), serde_json::to_string_pretty(&file).unwrap()).unwrap();
    promtool(folder.path(), &["check", "rules", "rules.yaml"]);
}

/// Records that no alert reads; without them promtool takes half the time for days of series.
const METADATA: [&str; 7] = [
    "slo:objective:ratio",
    "slo:error_budget:ratio",
    "slo:time_period:days",
    "slo:current_burn_rate:ratio",
    "slo:period_burn_rate:ratio",
    "slo:period_error_budget_remaining:ratio",
    "sloth_slo_info",
];

/// Returns the rules of a service, without the records and alerts whose names begin as in `unread`.
fn rules_without(config: &Config, unread: &[&str]) -> String {
    let text = rules::file(config, "titanic");
    let mut document: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    for group in document["groups"].as_array_mut().unwrap() {
        group["rules"].as_array_mut().unwrap().retain(|rule| {
            let name = rule["record"].as_str().or(rule["alert"].as_str()).unwrap();
            !unread.iter().any(|unread| name.starts_with(unread))
        });
    }
    // JSON is YAML
    document.to_string()
}

/// Returns the fixture with its files in a folder of their own.
fn elsewhere(folder: &Path) -> Config {
    let mut config = test_fixture::titanic();
    config.outputs.alerts = Some(folder.join("alerts"));
    config.outputs.prometheus_rules = None;
    config.outputs.alertmanager_config = None;
    config.outputs.dashboards = Some(folder.join("dashboards"));
    config.outputs.runbooks = Some(folder.join("runbooks"));
    config
}

/// Returns the names of the rule tests of the service in a folder, sorted.
fn test_files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        names.filter(|name| name.starts_with("titanic.") && name.ends_with("tests.yaml")).collect();
    names.sort();
    names
}

/// Writes all files, and asserts that the tools accept, lint and run them.
fn assert_sound(config: &Config) {
    write(&artifacts(config)).unwrap();
    let folder = config.outputs.alerts.clone().unwrap();
    promtool(&folder, &["check", "rules", "--lint=all", "--lint-fatal", "titanic.rules.yaml"]);
    for tests in test_files(&folder) {
        promtool(&folder, &["test", "rules", &tests]);
    }
    tool("amtool", "prometheus-alertmanager", &folder, &["check-config", "alertmanager.yaml"]);
}

#[test]
fn the_committed_files_are_those_of_the_specs() {
    let list = artifacts(&test_fixture::titanic());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        write(&list).unwrap();
    }
    let found: Vec<String> = drift(&list).unwrap().iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{}\n(UPDATE_EXPECT=1 writes them)", found.join("\n"));
}

#[test]
fn a_month_passes_promtool_and_amtool() {
    let folder = tempfile::tempdir().unwrap();
    assert_sound(&elsewhere(folder.path()));
}

#[test]
fn demo_scales_below_a_minute_pass() {
    for (period, grid) in [(Window::hours(1), 1), (Window::days(1), 5)] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = elsewhere(folder.path());
        config.grid = Grid::try_new(grid).unwrap();
        for slo in &mut config.slos {
            let percent = slo.policy.objective.percent();
            slo.policy = test_fixture::policy(percent, period, config.grid);
        }
        assert_sound(&config);
    }
}

#[test]
fn failures_in_a_row_of_discovered_addresses_are_counted_in_rounds() {
    for discover in ["", "    discover: { dns: { names: [shop.test] } }\n"] {
        let folder = tempfile::tempdir().unwrap();
        let address = if discover.is_empty() { "shop.test" } else { "{{address}}" };
        let text = format!(
            "ledger: memory\nslos: []\ngenerate: {{ alerts: alerts }}\ntargets:\n  - name: shop\n    \
             http: {{ url: \"http://{address}/\" }}\n{discover}    down: {{ after: 3, up_after: 2, service: titanic }}\n"
        );
        let file = folder.path().join("lookout.yaml");
        fs::write(&file, text).unwrap();
        let (config, _) = lookout_config::load_with(&file, &|_| None).unwrap();
        assert_sound(&Config { outputs: elsewhere(folder.path()).outputs, ..config.clone() });
        let rules = rules::file(&config, "titanic");
        let counted = |metric: &str| {
            rules.contains(&format!("{metric}{{outcome")) || rules.contains(&format!("{metric}{{target"))
        };
        let is_discovered = !discover.is_empty();
        assert_eq!(counted(names::PROBE_ROUNDS), is_discovered, "{rules}");
        assert_eq!(counted(names::PROBES), !is_discovered, "{rules}");
    }
}

#[test]
fn policies_of_all_kinds_pass() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = elsewhere(folder.path());
    config.environment = Some("production".to_owned());
    config.slos.retain(|slo| slo.name != "journey");
    config.slos[0].labels = BTreeMap::from([("team".to_owned(), "deck".to_owned())]);
    // 90 %: a factor of 14.4 cannot be reached, and both tiers that can have to hold
    let base = test_fixture::policy(90.0, Window::days(28), Grid::MINUTE);
    let mut held = base.tiers.clone();
    held.iter_mut().for_each(|tier| tier.hold_seconds = 120);
    config.slos[0].policy = Policy { tiers: held, ..base };
    // two holds within one severity, a large guard, no alert for missing data
    let tier = |long, short, factor, hold_seconds| Tier {
        severity: Severity::Page,
        long: Window::minutes(long),
        short: Window::minutes(short),
        factor: BurnFactor::try_new(factor).unwrap(),
        hold_seconds,
        until: None,
    };
    config.slos[1].policy = Policy {
        tiers: vec![tier(60, 5, 10.0, 0), tier(120, 10, 5.0, 300)],
        guard: Guard { minimum_events: 500, minimum_bad: 20, ..Guard::default() },
        data_alert: None,
        ..test_fixture::policy(99.5, Window::days(7), Grid::MINUTE)
    };
    // no tier at all, but failures in a row
    config.slos[2].policy = Policy {
        tiers: Vec::new(),
        conditions: vec![Condition::down(Severity::Page, 3, 2)],
        ..test_fixture::policy(99.0, Window::days(30), Grid::MINUTE)
    };
    assert_sound(&config);
    let rules = fs::read_to_string(folder.path().join("alerts/titanic.rules.yaml")).unwrap();
    for expected in ["team: deck", "for: 120s", "hold: 5m", ">= 500", ">= 20"] {
        assert!(rules.contains(&expected.replace("120s", "2m")), "{expected}");
    }
    assert!(
        !rules.contains("env:"),
        "where rules are loaded is the business of Prometheus's external labels"
    );
    assert!(!rules.contains("> 1.44"), "a tier that cannot fire has no place in an alert");
    assert!(!rules.contains("alert: TitanicRequestsLatency\n"), "no tiers, no alert on the budget");
    assert!(rules.contains("alert: TitanicRequestsLatencyDown\n"), "{rules}");
    let runbook = fs::read_to_string(folder.path().join("runbooks/TitanicRequestsLatencyDown.md")).unwrap();
    assert!(runbook.contains("(`page down 3 until 2`)") && runbook.contains("no objective"), "{runbook}");
}

/// Returns SLOs of Prometheus queries, in every form of a query.
fn queried(folder: &Path) -> Config {
    let query = |side: &str, query: &str| {
        let spec = format!("spec: {{ source: main, query: '{query}' }}");
        format!("{side}: {{ metricSource: {{ type: prometheus, {spec} }} }}")
    };
    let forms = [
        ("counters", query("bad", r#"http_total{code=~"5.."}"#), query("total", "http_total")),
        (
            "plain",
            query("bad", r#"sum(rate(http_total{code=~"5.."}[{{.window}}]))"#),
            query("total", "sum(rate(http_total[{{.window}}]))"),
        ),
        (
            "free",
            query("good", "sum(increase(a_total[{{.window}}])) + sum(increase(b_total[{{.window}}]))"),
            query("total", "sum(max by (job) (rate(c_total[{{.window}}]))) * 60"),
        ),
        (
            "summed",
            query(
                "bad",
                r#"sum(increase(a_total{code=~"5.."}[{{.window}}])) + sum(increase(b_total[{{.window}}]))"#,
            ),
            query("total", "sum(rate(a_total[{{.window}}])) + sum(rate(b_total[{{.window}}]))"),
        ),
        (
            "commented",
            query("bad", "sum(changes(state{mode!=\"up\"}[{{ .window }}])) # each change is one"),
            query("total", "sum(count_over_time(state[{{.window}}])) # of all samples"),
        ),
        (
            "marked",
            query("bad", "sum(resets(a_total[{{.window}}]))"),
            query("total", "sum(present_over_time(a_total[{{.window}}])) or vector(0)"),
        ),
        (
            "difference",
            query("good", "sum(rate(all_total[{{.window}}])) - sum(rate(failed_total[{{.window}}]))"),
            query("total", "sum(rate(all_total[{{.window}}]))"),
        ),
    ];
    let slos = forms.map(|(name, part, total)| {
        format!(
            "apiVersion: openslo/v1\nkind: SLO\nmetadata:\n  name: {name}\n  annotations: {{ lookout.dev/minimum-events: 50 }}\n\
             spec:\n  service: titanic\n  indicator: {{ spec: {{ ratioMetric: {{ counter: true, {part}, {total} }} }} }}\n  \
             timeWindow: [{{ duration: 30d, isRolling: true }}]\n  budgetingMethod: Occurrences\n  \
             objectives: [{{ targetPercent: 99.9 }}]\n"
        )
    });
    fs::write(folder.join("a.slo.yaml"), slos.join("---\n")).unwrap();
    let servers = "prometheus: [{ name: main, url: \"http://127.0.0.1:9090\" }]\n";
    fs::write(folder.join("lookout.yaml"), servers).unwrap();
    lookout_config::load_with(folder, &|_| None).unwrap_or_else(|found| panic!("{found}")).0
}

#[test]
fn queries_of_all_forms_pass() {
    let folder = tempfile::tempdir().unwrap();
    let outputs = elsewhere(folder.path()).outputs;
    let config = Config { outputs, ..queried(folder.path()) };
    assert_sound(&config);
    let alerts = folder.path().join("alerts");
    let rules = fs::read_to_string(alerts.join("titanic.rules.yaml")).unwrap();
    let flat: String = rules.split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in [
        r#"sum(rate(http_total{code=~"5.."}[6h]))"#,
        "sum(sum(increase(a_total[6h])) + sum(increase(b_total[6h]))) / 21600",
        "round(sum(sum(max by (job) (rate(c_total[6h]))) * 60) * 21600) >= 50",
        // a number of changes is divided by the seconds of its window, and its comment does not end the rule
        "sum(sum(changes(state{mode!=\"up\"}[6h]))) / 21600",
        "sum(sum(resets(a_total[6h]))) / 21600",
        "sum(sum(present_over_time(a_total[6h])) or vector(0)) / 21600",
    ] {
        assert!(flat.contains(expected), "{expected} is not in {flat}");
    }
    let tests = fs::read_to_string(alerts.join("titanic.tests.yaml")).unwrap();
    for (slo, kinds) in
        [("plain", 4), ("summed", 4), ("difference", 4), ("free", 1), ("commented", 1), ("marked", 1)]
    {
        assert_eq!(tests.matches(&format!("name: titanic-{slo} ")).count(), kinds, "{slo}");
        let limited = tests.contains(&format!("# titanic-{slo} is tested without data only"));
        assert_eq!(limited, kinds == 1, "{slo}");
    }
    let dashboards =
        artifacts(&config).into_iter().filter(|file| file.path.starts_with(folder.path().join("dashboards")));
    assert!(dashboards.into_iter().any(|file| file.contents.contains("sum(increase(a_total[5m]))")));
}

#[test]
fn slos_that_are_evaluated_at_different_intervals_pass() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = elsewhere(folder.path());
    config.slos.truncate(2);
    config.slos[1].policy = test_fixture::policy(99.0, Window::days(3), Grid::try_new(5).unwrap());
    let seconds: Vec<u32> = config.slos.iter().map(rules::evaluation_seconds).collect();
    assert_ne!(seconds[0], seconds[1], "the test needs two intervals");
    assert_sound(&config);
    let alerts = folder.path().join("alerts");
    let slower = format!("titanic.{}s.tests.yaml", seconds[0].max(seconds[1]));
    assert_eq!(test_files(&alerts), [slower, "titanic.tests.yaml".to_owned()]);
    for (file, tested) in test_files(&alerts).iter().zip([&config.slos[0], &config.slos[1]]) {
        let text = fs::read_to_string(alerts.join(file)).unwrap();
        let budget = format!("{} keeps its budget over an idle gap", tested.id());
        assert_eq!(text.matches("keeps its budget over an idle gap").count(), 1, "{file}: {text}");
        assert!(text.contains(&budget), "{file} does not test {budget}");
    }
}

/// Returns SLOs of the fixture with budgets of time.
fn with_timeslices(folder: &Path, slice_seconds: u32) -> Config {
    let mut config = elsewhere(folder);
    let slices = Grid::try_new(slice_seconds).unwrap();
    let target = SliceTarget::try_from_ratio(0.95).unwrap();
    config.slos.truncate(2);
    let methods = [Method::Timeslices { slices, target }, Method::RatioTimeslices { slices }];
    for (slo, method) in config.slos.iter_mut().zip(methods) {
        slo.policy = scenario::policy(99.0, method);
    }
    config
}

#[test]
fn budgets_of_time_pass() {
    for slice in [60, 300] {
        let folder = tempfile::tempdir().unwrap();
        let config = with_timeslices(folder.path(), slice);
        assert_sound(&config);
        let alerts = folder.path().join("alerts");
        let rules = fs::read_to_string(alerts.join("titanic.rules.yaml")).unwrap();
        let length = Window::seconds(slice.into());
        for expected in [
            format!("record: lookout:slice_bad:ratio{length}"),
            format!("record: lookout:slice_error:ratio{length}"),
            "> bool 0.0500000005".to_owned(),
            format!("[59m59s:{length}])"),
            "of the time slices of".to_owned(),
        ] {
            assert!(rules.contains(&expected), "{expected}");
        }
        let tests = fs::read_to_string(alerts.join("titanic.tests.yaml")).unwrap();
        for slo in &config.slos {
            for what in
                ["is quiet while healthy", "keeps its budget", "after a total outage", "data are missing"]
            {
                let has = tests.lines().any(|line| line.contains(&slo.id()) && line.contains(what));
                assert!(has, "{} {what}", slo.id());
            }
        }
    }
}

#[test]
fn more_rules_than_a_group_holds_are_in_several() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = elsewhere(folder.path());
    let tier = |index: u64| Tier {
        severity: Severity::Page,
        long: Window::minutes(60 + index),
        short: Window::minutes(5 + index),
        factor: BurnFactor::try_new(10.0).unwrap(),
        hold_seconds: index * 60,
        until: None,
    };
    config.slos.truncate(1);
    config.slos[0].policy.tiers = (0..6).map(tier).collect();
    assert_sound(&config);
    let text = fs::read_to_string(folder.path().join("alerts/titanic.rules.yaml")).unwrap();
    let document: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    let groups = document["groups"].as_array().unwrap();
    let names: Vec<&str> = groups.iter().map(|group| group["name"].as_str().unwrap()).collect();
    let id = format!("lookout-slo-{}", config.slos[0].id());
    assert_eq!(names, [id.clone(), format!("{id}-2"), format!("{id}-alerts")]);
    assert!(groups.iter().all(|group| group["rules"].as_array().unwrap().len() <= 20));
}

#[test]
fn rules_are_in_order_and_few_enough() {
    let config = test_fixture::titanic();
    let list = artifacts(&config);
    let file = list.iter().find(|artifact| artifact.path.ends_with("titanic.rules.yaml")).unwrap();
    let document: serde_json::Value = serde_saphyr::from_str(&file.contents).unwrap();
    let groups = document["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2 * config.slos.len(), "the alerts of each SLO have a group of their own");
    for pair in groups.chunks(2) {
        // what the second group reads, the first has recorded
        let recorded = pair[0]["rules"].as_array().unwrap().iter().filter_map(|rule| rule["record"].as_str());
        let mut known: Vec<&str> = recorded.collect();
        known.sort_unstable();
        assert!(pair[1]["rules"].as_array().unwrap().iter().all(|rule| rule["alert"].is_string()));
        for rule in pair[1]["rules"].as_array().unwrap() {
            for word in rule["expr"]
                .as_str()
                .unwrap()
                .split(|c: char| !(c.is_ascii_alphanumeric() || ":_".contains(c)))
            {
                let ours = word.starts_with("slo:") || word.starts_with("lookout:");
                assert!(!ours || known.binary_search(&word).is_ok(), "{word} is not recorded");
            }
        }
    }
    for group in groups.iter().step_by(2) {
        let rules = group["rules"].as_array().unwrap();
        assert!(rules.len() <= 20, "{}: {} rules", group["name"], rules.len());
        assert_eq!(group["interval"], "1m");
        let mut recorded: Vec<&str> = Vec::new();
        for rule in rules {
            let expr = rule["expr"].as_str().unwrap();
            for word in expr.split(|c: char| !(c.is_ascii_alphanumeric() || ":_".contains(c))) {
                let ours = word.starts_with("slo:") || word.starts_with("lookout:");
                assert!(!ours || recorded.contains(&word), "{word} is read before it is recorded");
            }
            recorded.extend(rule["record"].as_str());
        }
        for name in [
            "slo:sli_error:ratio_rate5m",
            "slo:sli_error:ratio_rate30m",
            "slo:sli_error:ratio_rate1h",
            "slo:sli_error:ratio_rate6h",
            "slo:sli_error:ratio_rate1d",
            "slo:sli_error:ratio_rate3d",
            "slo:sli_error:ratio_rate30d",
            "slo:objective:ratio",
            "slo:error_budget:ratio",
            "slo:time_period:days",
            "slo:current_burn_rate:ratio",
            "slo:period_burn_rate:ratio",
            "slo:period_error_budget_remaining:ratio",
            "sloth_slo_info",
        ] {
            assert!(recorded.contains(&name), "{name}");
        }
    }
}

#[test]
fn generation_is_a_pure_function() {
    assert_eq!(artifacts(&test_fixture::titanic()), artifacts(&test_fixture::titanic()));
    let mut config = test_fixture::titanic();
    config.outputs = lookout_config::Outputs::default();
    assert_eq!(artifacts(&config), [], "nothing asked for, nothing generated");
    let mut config = test_fixture::titanic();
    config.outputs.runbook_url = Some("https://wiki.example.com/{alert}".to_owned());
    config.outputs.dashboard_url = Some("https://grafana.example.com/{service}/{slo}".to_owned());
    let rules = artifacts(&config).into_iter().find(|artifact| artifact.path.ends_with("titanic.rules.yaml"));
    let rules = rules.unwrap().contents;
    assert!(rules.contains("https://wiki.example.com/TitanicRequestsLatencyDataMissing"));
    assert!(rules.contains("https://grafana.example.com/titanic/requests-latency"));
}

/// Returns the files of the fixture's folder, by name.
fn committed(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut list: Vec<PathBuf> = fs::read_dir(test_fixture::root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    list.sort();
    assert!(!list.is_empty(), "{folder} holds no {ending}");
    list
}
