//! `blackbox` of `lookout.yaml`: the metrics and the `/probe` of blackbox_exporter.
//!
//! ```yaml
//! blackbox:
//!   metrics: true
//!   hosts: ["*.example.org"]
//!   networks: [10.0.0.0/8]
//!   modules:
//!     - { name: http_2xx, timeout: 5s, http: { url: "http://target" } }
//!     - { name: tcp_connect, tcp: { address: "target:1" } }
//! ```

use std::path::Path;
use std::sync::Arc;

use lookout_engine::Grid;

use crate::allow_list::{AllowList, HostPattern, Network};
use crate::keys::agent::blackbox;
use crate::keys::target::target;
use crate::names::{check_unique, declared_names, items};
use crate::reader::{At, Fields, Reader};
use crate::target::{Check, Target, read_target};
use crate::yaml::Value;

/// Seconds that a module may take at most, one less: Prometheus waits no longer by default.
const LONGEST_SECONDS: u32 = 120;

/// Names and addresses of blackbox_exporter.
#[derive(Debug, Clone, Default)]
pub struct Blackbox {
    /// True if `/metrics` has the `probe_*` family of every target.
    pub metrics: bool,
    /// Modules of `/probe`. Each is a target whose address the request replaces.
    pub modules: Vec<Target>,
}

/// Reads `blackbox`.
pub(crate) fn read(reader: &mut Reader<'_>, at: &At<'_>, folder: &Path) -> Option<Blackbox> {
    let fields = reader.fields(at, blackbox::OBJECT)?;
    let metrics = fields.get(blackbox::METRICS).map_or(Some(false), |at| reader.switch(&at));
    let allowed = read_allow_list(reader, &fields).map(Arc::new);
    let items = items(reader, &fields, blackbox::MODULES);
    check_unique(reader, "modules", &declared_names(&items));
    if !items.is_empty() && allowed.as_ref().is_some_and(|allowed| allowed.is_empty()) {
        let help = "name what `/probe` may reach: `hosts: [\"*.example.org\"]` or `networks: [10.0.0.0/8]`";
        reader.error(at, "modules need `hosts` or `networks`", help);
    }
    let modules: Vec<_> = items.iter().map(|at| read_module(reader, at, folder)).collect();
    let modules: Option<Vec<Target>> = modules.into_iter().collect();
    let allowed = allowed?;
    let modules = modules?.into_iter().map(|module| Target { allowed: Some(Arc::clone(&allowed)), ..module });
    Some(Blackbox { metrics: metrics?, modules: modules.collect() })
}

fn read_module(reader: &mut Reader<'_>, at: &At<'_>, folder: &Path) -> Option<Target> {
    let grid = Grid::try_new(LONGEST_SECONDS).ok();
    let module = read_target(reader, at, grid, folder)?;
    if let Some(at) = written(at, target::INTERVAL.name) {
        reader.error(&at, "a module has no interval", "leave it out: each request makes one probe");
        return None;
    }
    if let Some(at) = written(at, target::DISCOVER.name) {
        reader.error(&at, "a module discovers no addresses", "leave it out: each request names its target");
        return None;
    }
    if matches!(module.check, Check::Heartbeat(_) | Check::Journey(_)) {
        let message = format!("`{}` has no address that a request could replace", module.check.protocol());
        reader.error(at, message, "make it one of `targets`");
        return None;
    }
    if matches!(&module.check, Check::Http(http) if http.proxy.is_some()) {
        let message = "a module has no proxy, because the proxy would choose the address that is reached";
        reader.error(at, message, "leave `proxy_url` out, or make it one of `targets`");
        return None;
    }
    Some(module)
}

/// Returns a value of a mapping that was read before.
fn written<'n>(at: &At<'n>, name: &str) -> Option<At<'n>> {
    let Value::Map(entries) = &at.node.value else { return None };
    let (_, node) = entries.iter().find(|(key, _)| key.name == name)?;
    Some(At { node, key: format!("{}.{name}", at.key) })
}

/// Reads `hosts` and `networks`.
fn read_allow_list(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<AllowList> {
    let mut hosts = Vec::new();
    for (at, text) in texts(reader, fields, blackbox::HOSTS) {
        let pattern = HostPattern::parse(&text);
        if pattern.is_none() {
            let help = "write `example.org`, or `*.example.org` for every name below; an address belongs in `networks`";
            reader.error(&at, "this is not the name of a host", help);
        }
        hosts.push(pattern);
    }
    let mut networks = Vec::new();
    for (at, text) in texts(reader, fields, blackbox::NETWORKS) {
        let network = Network::parse(&text);
        if network.is_none() {
            reader.error(
                &at,
                "this is not a network",
                "write it like `10.0.0.0/8`, `192.0.2.7` or `fd00::/8`",
            );
        }
        networks.push(network);
    }
    let (hosts, networks): (Option<Vec<_>>, Option<Vec<_>>) =
        (hosts.into_iter().collect(), networks.into_iter().collect());
    Some(AllowList::new(hosts?, networks?))
}

/// Reads a list of texts.
fn texts<'n>(reader: &mut Reader<'_>, fields: &Fields<'n>, key: crate::keys::Key) -> Vec<(At<'n>, String)> {
    let items = items(reader, fields, key);
    items.into_iter().filter_map(|at| reader.expand(&at).map(|text| (at, text))).collect()
}
