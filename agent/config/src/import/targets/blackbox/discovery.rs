//! Targets that Prometheus finds by files and DNS.

use super::super::parts::{Pairs, Parts};
use super::super::written::{TargetOutput, name_of};
use super::module::Module;
use super::pace::Pace;
use crate::foreign::{Document, scalar_text};
use crate::reader::Reader;

/// Reads `file_sd_configs` and `dns_sd_configs` of a job: each becomes a target with `discover`.
pub(super) fn read(
    reader: &mut Reader<'_>,
    job: &mut Parts<'_>,
    job_name: &str,
    pace: &Pace,
    module: &Module,
) -> Vec<TargetOutput> {
    let files = job.items(reader, "file_sd_configs");
    let dns = job.items(reader, "dns_sd_configs");
    if let Some(at) = job.take("kubernetes_sd_configs") {
        let help = "write `discover: { kubernetes: … }`: a selector of EndpointSlices takes the place of relabelling";
        reader.lost(&at, "`kubernetes_sd_configs`", help);
    }
    let several = files.len() + dns.len() > 1;
    let files = files.into_iter().map(|at| (at, of_files as fn(&mut Parts<'_>) -> Pairs));
    let dns = dns.into_iter().map(|at| (at, of_dns as fn(&mut Parts<'_>) -> Pairs));
    let mut written = Vec::new();
    for (number, (at, convert)) in files.chain(dns).enumerate() {
        let Some(mut config) = Parts::open(reader, &at) else { continue };
        let suffix = if several { format!("-{}", number + 1) } else { String::new() };
        let name = name_of(&format!("{job_name}{suffix}"));
        let mut discover = convert(&mut config);
        discover.text("refresh", config.text("refresh_interval"));
        let mut target = module.target(&name, module.any_address(), pace);
        target.put("discover", discover.into_document());
        config.list_rest(reader);
        let place = at.node.place.clone();
        written.push(TargetOutput {
            file: reader.file.to_owned(),
            place,
            name,
            document: target.into_document(),
        });
    }
    written
}

fn of_files(config: &mut Parts<'_>) -> Pairs {
    let mut discover = Pairs::default();
    discover.put("files", list(config.texts("files")));
    discover
}

fn of_dns(config: &mut Parts<'_>) -> Pairs {
    let mut dns = Pairs::default();
    dns.put("names", list(config.texts("names")));
    dns.text("type", config.text("type"));
    dns.put(
        "port",
        config.take("port").filter(|at| scalar_text(at.node).is_some()).map(|at| Document::of(at.node)),
    );
    let mut discover = Pairs::default();
    discover.put("dns", dns.into_document());
    discover
}

fn list(texts: Vec<String>) -> Document {
    Document::List(texts.into_iter().map(Document::text).collect())
}
