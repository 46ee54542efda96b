//! The `probe_*` family beside blackbox_exporter itself, on the same targets: name by name, value by value.
//!
//! Each difference is one entry of `differences.rs` with its reason. One that is not listed fails, and so does an entry that
//! does not happen any more. The page in `docs/` is generated from the entries.

#[cfg(test)]
mod cases;
#[cfg(test)]
mod differences;
#[cfg(test)]
mod exposition;
#[cfg(test)]
mod servers;

#[cfg(test)]
use std::collections::BTreeSet;
#[cfg(test)]
use std::sync::Arc;

#[cfg(test)]
use lookout_collect::probe::{Probe as _, Prober, Reason, Verdict};
#[cfg(test)]
use lookout_config::Config;
#[cfg(test)]
use lookout_export::{Probed, render_probe};
#[cfg(test)]
use lookout_runtime::random::Random;
#[cfg(test)]
use programs::running::{Running, field};

#[cfg(test)]
use cases::Case;
#[cfg(test)]
use exposition::Exposition;

/// Starts blackbox_exporter with the modules of the cases. Returns it and its address.
#[cfg(test)]
async fn blackbox_exporter(folder: &std::path::Path, cases: &[Case]) -> (Running, String) {
    let modules: String = cases.iter().map(|case| format!("  {}: {}\n", case.name, case.theirs)).collect();
    let file = folder.join("blackbox.yml");
    std::fs::write(&file, format!("modules:\n{modules}")).unwrap();
    let program = programs::packages::find(&["prometheus-blackbox-exporter", "blackbox_exporter"]);
    let program = program.expect("the package prometheus-blackbox-exporter is installed");
    let mut running = Running::start("blackbox_exporter", program, |command| {
        command.arg(format!("--config.file={}", file.display()));
        command.args(["--web.listen-address=127.0.0.1:0", "--log.format=json"]).current_dir(folder);
    })
    .unwrap();
    let line = running.listening().await.unwrap();
    let address = field(&line, "address").unwrap().to_owned();
    (running, address)
}

/// Reads the modules of the cases as a user writes them.
#[cfg(test)]
fn lookout(folder: &std::path::Path, cases: &[Case]) -> Config {
    let networks = "  networks: [127.0.0.0/8, \"::1/128\", 192.0.2.0/24]\n";
    let modules = cases.iter().map(|case| format!("    - {{ name: {}, {} }}\n", case.name, case.ours));
    let text = format!("slos: []\nblackbox:\n{networks}  modules:\n{}", modules.collect::<String>());
    std::fs::write(folder.join("lookout.yaml"), text).unwrap();
    match lookout_config::load_with(folder, &|_| None) {
        Ok((config, _)) => config,
        Err(found) => panic!("{found}"),
    }
}

#[cfg(test)]
async fn theirs(client: &reqwest::Client, address: &str, case: &Case) -> String {
    let query = [("module", case.name), ("target", case.target.as_str())];
    let answer = client.get(format!("http://{address}/probe")).query(&query).send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{}: {status} {text}", case.name);
    text
}

#[cfg(test)]
async fn ours(prober: &Prober, config: &Config, case: &Case) -> Option<String> {
    let module = config.blackbox.modules.iter().find(|module| module.name == case.name).unwrap();
    let target = module.aimed_at(&case.target).unwrap();
    let outcome = prober.probe(&target).await;
    // not every machine lets a process without rights send echo requests
    let refused = matches!(outcome.verdict, Verdict::Fail { reason: Reason::Permission, .. });
    (!refused).then(|| render_probe(Probed { target: &target, outcome: &outcome }))
}

/// Returns the series that differ, and how. The outcome is one of them, where it is not that of the case.
#[cfg(test)]
fn differences_of(case: &Case, theirs: &Exposition, ours: &Exposition) -> Vec<(String, String)> {
    let mut all = exposition::compare(theirs, ours);
    let success = ours.get("probe_success").copied();
    if success != Some(case.succeeds) {
        all.push(("the outcome".to_owned(), format!("{success:?} here, the case has {}", case.succeeds)));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_value_is_that_of_blackbox_exporter_or_a_listed_difference() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let servers = servers::start(folder.path()).await;
    let cases = cases::all(&servers);
    let (_running, address) = blackbox_exporter(folder.path(), &cases).await;
    let config = lookout(folder.path(), &cases);
    let prober = Prober::new(Arc::new(Random::from_seed(7)));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let (mut found, mut listed) = (BTreeSet::new(), differences::listed());
    let mut shown = String::new();
    for case in &cases {
        let wanted: BTreeSet<_> = listed.iter().filter(|(_, name)| *name == case.name).cloned().collect();
        // both programs share a busy machine: a difference counts when it is there again
        for last in [false, false, true] {
            let (theirs, ours) = tokio::join!(theirs(&client, &address, case), ours(&prober, &config, case));
            let Some(ours) = ours else {
                assert_eq!(case.name, "icmp");
                listed.retain(|(_, name)| *name != case.name);
                break;
            };
            let differences = differences_of(case, &exposition::parse(&theirs), &exposition::parse(&ours));
            let here: BTreeSet<_> =
                differences.iter().map(|(series, _)| (series.clone(), case.name)).collect();
            if here == wanted || last {
                shown.extend(
                    differences.iter().map(|(series, told)| format!("{} {series}: {told}\n", case.name)),
                );
                found.extend(here);
                break;
            }
        }
    }
    let unlisted: Vec<_> = found.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(
        unlisted.is_empty() && gone.is_empty(),
        "not listed: {unlisted:#?}\nlisted, and gone: {gone:#?}\n{shown}"
    );
    let page = std::path::absolute("../../docs/blackbox-differences.md").unwrap();
    expect_test::expect_file![page].assert_eq(&differences::page(&cases));
}
