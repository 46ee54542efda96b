//! blackbox_exporter: the modules of `blackbox.yml`, and the jobs of `prometheus.yml` that name targets for them.

mod discovery;
mod module;
mod pace;

use std::collections::{BTreeMap, BTreeSet};

use super::parts::Parts;
use super::written::{TargetOutput, name_of};
use crate::foreign::scalar_text;
use crate::import::Source;
use crate::reader::{At, Reader};
use crate::yaml::{Node, Value};
use module::{Module, read_module};
use pace::Pace;

/// Interval of Prometheus unless a job or `global` sets another.
const SCRAPE_INTERVAL: &str = "1m";

/// Time that a scrape may take unless a job or `global` sets another.
const SCRAPE_TIMEOUT: &str = "10s";

/// Converts the targets of all jobs.
pub(super) fn read(readers: &mut [Reader<'_>], sources: &[Source]) -> Vec<TargetOutput> {
    let mut modules: BTreeMap<String, Option<Module>> = BTreeMap::new();
    for (reader, source) in readers.iter_mut().zip(sources) {
        for node in &source.documents {
            let Some(at) = under(node, "modules") else { continue };
            let Some(fields) = reader.open_fields(&at, "from names to modules") else { continue };
            for (key, at) in fields.all() {
                modules.insert(key.name.clone(), read_module(reader, &at));
            }
        }
    }
    let (mut written, mut used) = (Vec::new(), BTreeSet::new());
    for (reader, source) in readers.iter_mut().zip(sources) {
        for node in &source.documents {
            read_jobs(reader, node, &modules, &mut used, &mut written);
        }
    }
    for (reader, source) in readers.iter_mut().zip(sources) {
        for node in &source.documents {
            let Some(at) = under(node, "modules") else { continue };
            let Some(fields) = reader.open_fields(&at, "") else { continue };
            for (key, at) in fields.all().filter(|(key, _)| !used.contains(&key.name)) {
                let help =
                    "name the file of Prometheus' scrape jobs too, or write it under `blackbox.modules`";
                reader.lost(&at, format!("the module `{}`, for which no job names a target", key.name), help);
            }
        }
    }
    written
}

fn under<'n>(node: &'n Node, name: &str) -> Option<At<'n>> {
    let Value::Map(entries) = &node.value else { return None };
    let (_, node) = entries.iter().find(|(key, _)| key.name == name)?;
    Some(At { node, key: name.to_owned() })
}

fn read_jobs(
    reader: &mut Reader<'_>,
    node: &Node,
    modules: &BTreeMap<String, Option<Module>>,
    used: &mut BTreeSet<String>,
    written: &mut Vec<TargetOutput>,
) {
    let Some(jobs) = under(node, "scrape_configs") else { return };
    let global = under(node, "global");
    let of_all = |key: &str| global.as_ref().and_then(|global| scalar_text(global.node.get(key)?));
    for at in reader.list(&jobs).unwrap_or_default() {
        let Some(mut job) = Parts::open(reader, &at) else { continue };
        // jobs of other exporters stand beside
        if job.text("metrics_path").as_deref() != Some("/probe") {
            continue;
        }
        let mut setting = |key: &str, usual: &str| {
            job.text(key).or_else(|| of_all(key)).unwrap_or_else(|| usual.to_owned())
        };
        let pace = Pace {
            interval: setting("scrape_interval", SCRAPE_INTERVAL),
            timeout: setting("scrape_timeout", SCRAPE_TIMEOUT),
        };
        let name = job.text("job_name").unwrap_or_default();
        let module = read_parameters(reader, &mut job);
        used.insert(module.clone());
        let Some(found) = modules.get(&module) else {
            reader.error(
                &at,
                format!("not converted: no file has the module `{module}`"),
                "name the file of modules too",
            );
            continue;
        };
        let is_probed_as_listed = list_rules(reader, &mut job);
        // they lead the target to the exporter, which is not between any more
        for key in ["scheme", "honor_labels"] {
            job.take(key);
        }
        let found = found.as_ref().filter(|_| is_probed_as_listed);
        for group in job.items(reader, "static_configs") {
            let Some(mut group) = Parts::open(reader, &group) else { continue };
            for target in group.items(reader, "targets") {
                let (Some(address), Some(module)) = (scalar_text(target.node), found) else { continue };
                let bare = address.split_once("://").map_or(address.as_str(), |(_, rest)| rest);
                let target_name = name_of(&format!("{name}-{bare}"));
                let document = module.target(&target_name, &address, &pace).into_document();
                let (file, place) = (reader.file.to_owned(), target.node.place.clone());
                written.push(TargetOutput { file, place, name: target_name, document });
            }
            group.list_rest(reader);
        }
        if let Some(module) = found {
            written.extend(discovery::read(reader, &mut job, &name, &pace, module));
        }
        job.list_rest(reader);
    }
}

/// Returns the name of the module. The exporter looks at the first one alone; other parameters are listed.
fn read_parameters(reader: &mut Reader<'_>, job: &mut Parts<'_>) -> String {
    let parameters = job.take("params").and_then(|at| Parts::open(reader, &at));
    let module = parameters.and_then(|mut parameters| {
        let module = parameters.texts("module").into_iter().next();
        parameters.list_rest(reader);
        module
    });
    module.unwrap_or_else(|| "http_2xx".to_owned())
}

/// Lists the rules of relabelling that choose other targets. Returns whether each target is probed by its address and by the
/// module of the job: a rule that makes another one of it would probe something else, and be green where that is red.
fn list_rules(reader: &mut Reader<'_>, job: &mut Parts<'_>) -> bool {
    let mut as_listed = true;
    for rule in job.items(reader, "relabel_configs") {
        let text = |key: &str| rule.node.get(key).and_then(scalar_text);
        let action = text("action").unwrap_or_default();
        if matches!(action.as_str(), "keep" | "drop" | "keepequal" | "dropequal" | "hashmod") {
            let help = "every address is probed; list those that are wanted, or leave the others out";
            reader.lost(&rule, format!("a rule of relabelling with the action `{action}`"), help);
        }
        let label = text("target_label").unwrap_or_default();
        let maps_all = matches!(action.as_str(), "labelmap" | "labeldrop" | "labelkeep");
        if maps_all || (label.starts_with("__param_") && !copies_address(&rule, &label)) {
            let what = if maps_all { format!("the action `{action}`") } else { format!("`{label}`") };
            let message = format!("not converted: a rule of relabelling makes {what} of labels");
            reader.error(
                &rule,
                message,
                "write the targets of this job by hand, with the addresses that result",
            );
            as_listed = false;
        }
    }
    as_listed
}

/// Returns whether a rule copies the whole address of a target into its parameter.
fn copies_address(rule: &At<'_>, label: &str) -> bool {
    let is_usual = |key: &str, usual: &[&str]| {
        let written = rule.node.get(key).and_then(scalar_text);
        written.is_none_or(|text| usual.contains(&text.as_str()))
    };
    let source = match rule.node.get("source_labels").map(|node| &node.value) {
        Some(Value::List(labels)) => labels.iter().filter_map(scalar_text).collect(),
        _ => Vec::new(),
    };
    label == "__param_target"
        && source == ["__address__"]
        && is_usual("action", &["replace"])
        && is_usual("regex", &["(.*)", "(.+)", ".*"])
        && is_usual("replacement", &["$1", "${1}", "$0"])
}
