//! blackbox_exporter: the modules of `blackbox.yml`, and the jobs of `prometheus.yml` that name targets for them.

mod discovery;
mod module;

use std::collections::{BTreeMap, BTreeSet};

use super::parts::Parts;
use super::written::{Written, name_of};
use crate::foreign::scalar_text;
use crate::import::Source;
use crate::reader::{At, Reader};
use crate::yaml::{Node, Value};
use module::{Module, read_module};

/// Interval of Prometheus unless a job or `global` sets another.
const SCRAPE_INTERVAL: &str = "1m";

/// Converts the targets of all jobs.
pub(super) fn read(readers: &mut [Reader<'_>], sources: &[Source]) -> Vec<Written> {
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
    written: &mut Vec<Written>,
) {
    let Some(jobs) = under(node, "scrape_configs") else { return };
    let of_all = under(node, "global").and_then(|global| scalar_text(global.node.get("scrape_interval")?));
    for at in reader.list(&jobs).unwrap_or_default() {
        let Some(mut job) = Parts::open(reader, &at) else { continue };
        // jobs of other exporters stand beside
        if job.text("metrics_path").as_deref() != Some("/probe") {
            continue;
        }
        let interval =
            job.text("scrape_interval").or(of_all.clone()).unwrap_or_else(|| SCRAPE_INTERVAL.to_owned());
        let name = job.text("job_name").unwrap_or_default();
        let module = job.take("params").and_then(|params| match &params.node.get("module")?.value {
            Value::List(nodes) => nodes.first().and_then(scalar_text),
            _ => None,
        });
        let module = module.unwrap_or_else(|| "http_2xx".to_owned());
        used.insert(module.clone());
        let Some(found) = modules.get(&module) else {
            reader.error(
                &at,
                format!("not converted: no file has the module `{module}`"),
                "name the file of modules too",
            );
            continue;
        };
        list_filters(reader, &mut job);
        // they lead the target to the exporter, which is not between any more
        for key in ["relabel_configs", "scheme", "honor_labels", "scrape_timeout"] {
            job.take(key);
        }
        for group in job.items(reader, "static_configs") {
            let Some(mut group) = Parts::open(reader, &group) else { continue };
            for target in group.items(reader, "targets") {
                let (Some(address), Some(module)) = (scalar_text(target.node), found) else { continue };
                let bare = address.split_once("://").map_or(address.as_str(), |(_, rest)| rest);
                let target_name = name_of(&format!("{name}-{bare}"));
                let document = module.target(&target_name, &address, &interval).into_document();
                let (file, place) = (reader.file.to_owned(), target.node.place.clone());
                written.push(Written { file, place, name: target_name, document });
            }
            group.list_rest(reader);
        }
        if let Some(module) = found {
            written.extend(discovery::read(reader, &mut job, &name, &interval, module));
        }
        job.list_rest(reader);
    }
}

/// Lists the rules that keep or drop targets: lookout probes all that are found.
fn list_filters(reader: &mut Reader<'_>, job: &mut Parts<'_>) {
    for rule in job.items(reader, "relabel_configs") {
        let action = rule.node.get("action").and_then(scalar_text).unwrap_or_default();
        if matches!(action.as_str(), "keep" | "drop" | "keepequal" | "dropequal" | "hashmod") {
            let help = "every address is probed; list those that are wanted, or leave the others out";
            reader.lost(&rule, format!("a rule of relabelling with the action `{action}`"), help);
        }
    }
}
