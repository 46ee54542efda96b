//! Specs that are read in memory give the SLOs and the findings of specs that are imported and read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::tests::{Fixture, fixtures, run, written};
use super::*;
use crate::foreign::{CHANGED, LOST};
use crate::model::{Config, Slo};
use crate::{load_specs, load_with};

const CONFIG: &str = "ledger: memory\nslos: [\"specs/**/*.y*ml\"]\n\
    targets:\n  - { name: orders, http: { url: \"http://127.0.0.1:1\" } }\n\
    prometheus:\n  - { name: prometheus, url: \"http://127.0.0.1:1\" }\n  - { name: main, url: \"http://127.0.0.1:1\" }\n";

/// A folder with a `lookout.yaml` beside the files of a fixture.
fn beside(fixture: &Fixture, config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lookout.yaml"), config).unwrap();
    let specs = folder.path().join("specs");
    fs::create_dir(&specs).unwrap();
    let files = match fixture.path.is_dir() {
        true => fs::read_dir(&fixture.path).unwrap().map(|entry| entry.unwrap().path()).collect(),
        false => vec![fixture.path.clone()],
    };
    for file in files {
        fs::copy(&file, specs.join(file.file_name().unwrap())).unwrap();
    }
    folder
}

/// Everything of the SLOs but the files they were read from.
fn models(config: &Config) -> BTreeMap<String, String> {
    let plain = |slo: &Slo| Slo { file: PathBuf::new(), ..slo.clone() };
    let mut all: BTreeMap<String, String> =
        config.slos.iter().map(|slo| (slo.id(), format!("{:#?}", plain(slo)))).collect();
    all.extend(config.services.values().map(|service| (service.name.clone(), format!("{service:#?}"))));
    all
}

/// Returns the findings about parts that differ, with their places.
fn notes(found: &Diagnostics) -> BTreeSet<(Option<(usize, usize)>, String)> {
    let told = |message: &str| message.starts_with(LOST) || message.starts_with(CHANGED);
    // who is asked and what is not referred to are other questions where lookout.yaml is at hand
    let elsewhere = |message: &str| {
        message.contains("data source is reached")
            || message.contains("of the connection")
            || message.contains("which nothing refers to")
    };
    let noted = found.list.iter().filter(|found| told(&found.message) && !elsewhere(&found.message));
    noted.map(|found| (found.position, found.message.clone())).collect()
}

/// The options of a command line are not known to a spec.
fn plain(mut fixture: Fixture) -> Fixture {
    (fixture.options.period, fixture.options.service) = (None, None);
    fixture
}

#[test]
fn direct_reading_is_importing_and_reading() {
    let (mut compared, mut refused) = (0, 0);
    for fixture in fixtures().into_iter().map(plain) {
        let shown = fixture.path.display().to_string();
        let imported = run(&fixture);
        let direct = load_with(beside(&fixture, CONFIG).path(), &|_| None);
        let (config, found) = match direct {
            Ok(direct) => direct,
            Err(found) => {
                assert!(imported.findings.has_errors(), "{shown} is imported, but: {found}");
                refused += 1;
                continue;
            }
        };
        assert!(!imported.findings.has_errors(), "{shown} is read, but: {}", imported.findings);
        let folder = written(&imported.files, str::to_owned);
        fs::write(folder.path().join("lookout.yaml"), CONFIG.replace("specs/**/*.y*ml", "*.slo.yaml"))
            .unwrap();
        let (by_way_of_import, warnings) = load_with(folder.path(), &|_| None).unwrap();
        assert!(warnings.list.is_empty(), "{shown}: {warnings}");
        assert_eq!(models(&config), models(&by_way_of_import), "{shown}");
        assert_eq!(notes(&found), notes(&imported.findings), "{shown}");
        compared += config.slos.len();
    }
    assert!(compared > 50 && refused > 5, "{compared} and {refused}");
}

#[test]
fn every_finding_points_into_the_file_as_it_was_written() {
    for fixture in fixtures().into_iter().map(plain) {
        let folder = beside(&fixture, CONFIG);
        let found = match load_with(folder.path(), &|_| None) {
            Ok((_, found)) | Err(found) => found,
        };
        for one in &found.list {
            assert!(one.file.starts_with(folder.path()), "{one:?}");
            let text = fs::read_to_string(&one.file).unwrap();
            let (line, column) = one.position.unwrap();
            let there = text.lines().nth(line - 1).unwrap();
            // what ends too early is missing behind the last character
            assert!(there.chars().count() + 1 >= column, "{}: {one:?}", fixture.path.display());
        }
    }
}

fn only_slo(files: &[(&str, &str)], config: &str) -> (Config, Diagnostics) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lookout.yaml"), config).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    load_with(folder.path(), &|name| (name == "TOKEN").then(|| "hunter2".to_owned()))
        .unwrap_or_else(|found| panic!("{found}"))
}

const SOURCE: &str = "apiVersion: openslo/v1\nkind: DataSource\nmetadata: { name: main }\nspec:\n  type: prometheus\n  \
    connectionDetails: { url: \"http://prometheus:9090/base\", bearer_token: \"${TOKEN}\", region: eu }\n";

const SLO: &str = "apiVersion: openslo/v1\nkind: SLO\nmetadata: { name: errors }\nspec:\n  service: orders\n  indicator:\n    \
    spec:\n      ratioMetric:\n        bad: { metricSource: { metricSourceRef: main, spec: { query: 'orders_total{code=\"500\"}' } } }\n        \
    total: { metricSource: { metricSourceRef: main, spec: { query: orders_total } } }\n  \
    timeWindow: [{ duration: 30d, isRolling: true }]\n  budgetingMethod: Occurrences\n  \
    objectives: [{ target: 0.999 }]\n  alertPolicies:\n    - alertPolicyRef: burning\n";

const POLICY: &str = "apiVersion: openslo/v1\nkind: AlertPolicy\nmetadata: { name: burning }\nspec:\n  \
    alertWhenNoData: true\n  conditions:\n    - kind: AlertCondition\n      metadata: { name: fast }\n      \
    spec: { severity: page, condition: { kind: burnrate, op: gte, threshold: 14.4, lookbackWindow: 1h } }\n  \
    notificationTargets:\n    - targetRef: oncall\n---\napiVersion: openslo/v1\nkind: AlertNotificationTarget\n\
    metadata: { name: oncall }\nspec: { target: pager }\n";

#[test]
fn a_data_source_is_a_server_and_lookout_yaml_comes_first() {
    let files = [("a.slo.yaml", SLO), ("b.slo.yaml", SOURCE), ("c.slo.yaml", POLICY)];
    let (config, found) = only_slo(&files, "ledger: memory\n");
    let [server] = config.prometheus.as_slice() else { panic!("{:?}", config.prometheus) };
    assert_eq!((server.name.as_str(), server.url.as_str()), ("main", "http://prometheus:9090/base/"));
    assert!(matches!(&server.credentials, crate::Credentials::Bearer(token) if token.reveal() == "hunter2"));
    let said: Vec<&str> = found.list.iter().map(|found| found.message.as_str()).collect();
    assert!(said.contains(&"not carried over: `region` of the connection"), "{found}");
    assert!(said.contains(&"not carried over: the notification target `pager`"), "{found}");
    assert!(said.iter().any(|said| said.contains("a short window of 5m is added to that of 1h")), "{found}");
    let policy = &config.slos[0].policy;
    assert_eq!(policy.data_alert, Some(lookout_engine::Severity::Page));
    let tiers: Vec<String> = policy.tiers.iter().map(ToString::to_string).collect();
    assert_eq!(tiers, ["page 1h/5m x14.4"]);

    let declared = "ledger: memory\nprometheus: [{ name: main, url: \"http://other:9090\" }]\n\
        destinations: [{ name: oncall, alertmanager: { urls: [\"http://127.0.0.1:9093\"] } }]\n";
    let (config, found) = only_slo(&files, declared);
    assert_eq!(config.prometheus.len(), 1);
    assert_eq!(config.prometheus[0].url.as_str(), "http://other:9090/");
    assert!(found.to_string().contains("lookout.yaml has a server of this name"), "{found}");
    assert!(!found.to_string().contains("that it tells"), "the destination has that name: {found}");
}

#[test]
fn the_only_server_is_the_one_that_is_asked() {
    let sloth = "version: prometheus/v1\nservice: orders\nslos:\n  - name: errors\n    objective: 99.9\n    sli:\n      \
        events: { error_query: 'sum(rate(e[{{.window}}]))', total_query: 'sum(rate(t[{{ .window }}]))' }\n";
    let config = "ledger: memory\nprometheus: [{ name: mimir, url: \"http://127.0.0.1:1\" }]\n";
    let (config, _) = only_slo(&[("a.slo.yaml", sloth)], config);
    assert!(
        matches!(&config.slos[0].indicator, crate::Indicator::Prometheus { source, .. } if source == "mimir")
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sloth.yml");
    fs::write(&file, sloth).unwrap();
    for path in [file.as_path(), folder.path()] {
        let (alone, _) = load_specs(path).unwrap_or_else(|found| panic!("{found}"));
        assert_eq!(alone.slos.len(), 1, "a simulation needs no lookout.yaml");
        assert!(crate::check_with(&[path.to_owned()], &|_| None).list.is_empty());
    }
    fs::write(folder.path().join("lookout.yaml"), "ledger: memory\nslos: [\"*.yml\"]\n").unwrap();
    let found = load_with(folder.path(), &|_| None).unwrap_err();
    let [one, _] = found.list.as_slice() else { panic!("{found}") };
    assert_eq!(one.position, Some((7, 30)), "the query is where the server is missing: {found}");
}

#[test]
fn references_of_all_kinds_are_checked_with_a_suggestion() {
    let folder = tempfile::tempdir().unwrap();
    let misspelt = [("burning", "burnin"), ("metricSourceRef: main", "metricSourceRef: maim")];
    for (right, wrong) in misspelt {
        fs::write(folder.path().join("a.slo.yaml"), SLO.replace(right, wrong)).unwrap();
        fs::write(folder.path().join("b.slo.yaml"), [SOURCE, POLICY].join("---\n")).unwrap();
        let found = crate::check_with(&[folder.path().to_owned()], &|_| Some("x".to_owned()));
        let meant = right.rsplit(' ').next().unwrap();
        assert!(
            found.has_errors() && found.to_string().contains(&format!("did you mean `{meant}`?")),
            "{found}"
        );
    }
    fs::write(folder.path().join("a.slo.yaml"), SLO).unwrap();
    fs::write(folder.path().join("b.slo.yaml"), [SOURCE, POLICY, POLICY].join("---\n")).unwrap();
    let found = crate::check_with(&[folder.path().to_owned()], &|_| Some("x".to_owned()));
    assert!(found.to_string().contains("two of this kind have the name `burning`"), "{found}");
}

#[test]
fn a_secret_in_a_data_source_is_refused_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file: &Path = &folder.path().join("a.slo.yaml");
    for details in [
        "{ url: \"http://a\", bearer_token: hunter2 }",
        "{ url: \"http://a\", basic_auth: { username: a, password: hunter2 } }",
        "{ url: \"http://a\", headers: { X-Key: hunter2 } }",
    ] {
        let text = format!(
            "apiVersion: openslo/v1\nkind: DataSource\nmetadata: {{ name: main }}\nspec:\n  type: Prometheus\n  \
             connectionDetails: {details}\n"
        );
        fs::write(file, text).unwrap();
        let found = crate::check_with(&[file.to_owned()], &|_| None);
        assert!(found.has_errors(), "{details}");
        assert!(!format!("{found}{found:?}").contains("hunter2"), "{found}");
    }
}
