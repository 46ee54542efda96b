//! `lookout.yaml`: the configuration of the agent. Its keys are declared in `keys/agent.rs`.
//!
//! Variables (`${NAME}`, `${NAME:-default}`) work in every URL, address, path, header and secret.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use lookout_model::Scope;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lookout_engine::Grid;
use url::{Host, Url};

use super::blackbox;
use super::coverage::Routes;
use super::destination::read_destination;
use super::model::{Config, Destination, GatePolicy, LedgerLocation, Otlp, Outputs, Scrape, Token};
use super::operator_objects;
use super::prometheus::read_servers;
use super::reader::{At, Fields, Reader};
use super::target::{self, Discovery, ReadTargets, Target};
use super::yaml::Place;
use crate::keys::Key;
use crate::keys::agent::{agent, auth, gate, otlp, outputs, token};
use crate::known::{GRID_SECONDS, Known, Timing};
use crate::names::{check_unique, declared_names, items};
use crate::scrape::read_scrape;

/// Default address of the agent.
pub(super) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9797);

/// Default pattern of SLO specs.
const SLO_PATTERN: &str = "*.slo.yaml";

/// Default time between two exports of metrics, and the least.
const OTLP_METRICS_INTERVAL: Duration = Duration::from_secs(60);
const LEAST_OTLP_INTERVAL: Duration = Duration::from_secs(1);

/// Default job under which Prometheus scrapes the agent.
const AGENT_JOB: &str = "lookout";

/// The content of a `lookout.yaml`. Where something in it is wrong, a default stands in: the findings keep it from being
/// used, and the specs can still be checked against the rest.
pub(super) struct ConfigFile {
    /// Everything but services and SLOs.
    pub(super) config: Config,
    /// Names and timings that SLO specs may refer to.
    pub(super) known: Known,
    /// Patterns of the SLO specs.
    pub(super) patterns: Vec<Pattern>,
    /// The routes of incidents, which are checked when the SLOs are known.
    pub(super) routes: Routes,
}

/// A pattern for SLO specs.
pub(super) struct Pattern {
    pub(super) text: String,
    /// Its place and key; `None` for the default.
    pub(super) place: Option<(Place, String)>,
}

/// Reads the one document of a `lookout.yaml`; `None` when it is no mapping.
pub(super) fn read_config(reader: &mut Reader<'_>, root: &At<'_>, folder: &Path) -> Option<ConfigFile> {
    let fields = reader.fields(root, agent::OBJECT)?;
    let listen = fields.get(agent::LISTEN).and_then(|at| read_listen(reader, &at)).unwrap_or(LISTEN);
    let external_url = fields.get(agent::EXTERNAL_URL).and_then(|at| reader.url(&at));
    let grid = read_grid(reader, &fields);
    let (targets, discoveries, known_targets) = read_targets(reader, &fields, grid, folder);
    let (scrapes, known_scrapes) = read_scrapes(reader, &fields, grid);
    let (prometheus, known_prometheus) = read_servers(reader, &fields, grid, folder);
    let (destinations, routes) = read_destinations(reader, &fields, folder);
    let config = Config {
        listen,
        external_url: external_url.unwrap_or_else(|| local_url(listen)),
        hosts: fields.get(agent::HOSTS).map(|at| read_hosts(reader, &at)).unwrap_or_default(),
        ledger: fields
            .get(agent::LEDGER)
            .and_then(|at| read_ledger(reader, &at, folder))
            .unwrap_or_else(|| LedgerLocation::Sqlite(folder.join("lookout.db"))),
        grid: grid.or_else(|| Grid::try_new(GRID_SECONDS).ok())?,
        environment: fields
            .get(agent::ENVIRONMENT)
            .and_then(|at| reader.expand(&at))
            .filter(|env| !env.is_empty()),
        targets: targets.into_iter().map(Arc::new).collect(),
        discoveries,
        scrapes,
        prometheus,
        destinations,
        blackbox: fields
            .get(agent::BLACKBOX)
            .and_then(|at| blackbox::read(reader, &at, folder))
            .unwrap_or_default(),
        gate: fields.get(agent::GATE).and_then(|at| read_gate(reader, &at)).unwrap_or_default(),
        tokens: fields.get(agent::AUTH).map(|at| read_tokens(reader, &at)).unwrap_or_default(),
        otlp: fields.get(agent::OTLP).and_then(|at| read_otlp(reader, &at)),
        outputs: fields
            .get(agent::GENERATE)
            .and_then(|at| read_outputs(reader, &at, folder))
            .unwrap_or_default(),
        services: BTreeMap::new(),
        slos: Vec::new(),
    };
    let known_destinations = fields.get(agent::DESTINATIONS).map(|at| match &at.node.value {
        super::yaml::Value::List(_) => declared_names(&reader.list(&at).unwrap_or_default()),
        _ => Vec::new(),
    });
    let known_destinations = known_destinations.into_iter().flatten().map(|(name, _)| name).collect();
    let known = Known {
        grid,
        targets: Some(known_targets),
        scrapes: Some(known_scrapes),
        prometheus: Some(known_prometheus),
        destinations: Some(known_destinations),
        real_rates: None,
    };
    Some(ConfigFile { config, known, patterns: read_patterns(reader, &fields), routes })
}

/// Returns the URL under which this machine reaches an agent that listens there.
#[expect(clippy::expect_used, reason = "every address and port makes a URL; a property test says so")]
pub(super) fn local_url(listen: SocketAddr) -> Url {
    let host = match listen.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    // a zone index is no part of a URL, so an address is made anew from its IP
    Url::parse(&format!("http://{}", SocketAddr::new(host, listen.port()))).expect("an address makes a URL")
}

fn read_listen(reader: &mut Reader<'_>, at: &At<'_>) -> Option<SocketAddr> {
    let text = reader.expand(at)?;
    let address = text.replace("localhost:", "127.0.0.1:").parse();
    if address.is_err() {
        reader.error(at, "expected an address and a port", "write it like `127.0.0.1:9797` or `[::]:9797`");
    }
    address.ok()
}

fn read_grid(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Grid> {
    let Some(at) = fields.get(agent::INTERVAL) else { return Grid::try_new(GRID_SECONDS).ok() };
    let interval = reader.duration(&at)?;
    let seconds = u32::try_from(interval.as_secs()).ok().filter(|_| interval.subsec_nanos() == 0);
    let grid = seconds.and_then(|seconds| Grid::try_new(seconds).ok());
    if grid.is_none() {
        let message =
            "an interval divides a minute or is a multiple of one, so that slots fill minutes exactly";
        reader.error(&at, message, "write one like `1s`, `5s`, `10s`, `15s`, `30s` or `1m`");
    }
    grid
}

fn read_ledger(reader: &mut Reader<'_>, at: &At<'_>, folder: &Path) -> Option<LedgerLocation> {
    match reader.expand(at)?.as_str() {
        "memory" => Some(LedgerLocation::Memory),
        "" => {
            reader.error(at, "the ledger needs a file", "name it, like `lookout.db`, or write `memory`");
            None
        }
        file => Some(LedgerLocation::Sqlite(folder.join(file))),
    }
}

type KnownTargets = Vec<(String, Option<Timing>)>;

fn read_targets(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    grid: Option<Grid>,
    folder: &Path,
) -> (Vec<Target>, Vec<Discovery>, KnownTargets) {
    let items = items(reader, fields, agent::TARGETS);
    let names = declared_names(&items);
    check_unique(reader, "targets", &names);
    let (mut targets, mut discoveries) = (Vec::new(), Vec::new());
    for at in &items {
        let ReadTargets { targets: some, discovery } = target::read_targets(reader, at, grid, folder);
        targets.extend(some);
        discoveries.extend(discovery);
    }
    let timing = |name: &str| {
        let all = targets.iter().chain(discoveries.iter().map(Discovery::stand_in));
        let target = all.into_iter().find(|target| target.is_of(name))?;
        Some(Timing { uses_tls: target.check.uses_tls(), interval: target.interval, timeout: target.timeout })
    };
    let known = names.into_iter().map(|(name, _)| (timing(&name), name)).map(|(timing, name)| (name, timing));
    let known = known.collect();
    (targets, discoveries, known)
}

fn read_scrapes(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    grid: Option<Grid>,
) -> (Vec<Scrape>, Vec<String>) {
    let items = items(reader, fields, agent::SCRAPES);
    let names = declared_names(&items);
    check_unique(reader, "scrapes", &names);
    let scrapes = items.iter().filter_map(|at| read_scrape(reader, at, grid)).collect();
    (scrapes, names.into_iter().map(|(name, _)| name).collect())
}

fn read_destinations(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    folder: &Path,
) -> (Vec<Destination>, Routes) {
    let items = items(reader, fields, agent::DESTINATIONS);
    let names = declared_names(&items);
    check_unique(reader, "destinations", &names);
    let names: Vec<String> = names.into_iter().map(|(name, _)| name.to_owned()).collect();
    let at = fields.get(agent::DESTINATIONS);
    let (place, key) = at.map(|at| (at.node.place.clone(), at.key)).unwrap_or_default();
    let (mut destinations, mut routes) = (Vec::new(), Routes { declared: Vec::new(), place, key });
    for (declared, destination) in items.iter().filter_map(|at| read_destination(reader, at, folder, &names))
    {
        routes.declared.push(declared);
        destinations.extend(destination);
    }
    (destinations, routes)
}

fn read_gate(reader: &mut Reader<'_>, at: &At<'_>) -> Option<GatePolicy> {
    let fields = reader.fields(at, gate::OBJECT)?;
    let mut policy = GatePolicy::default();
    if let Some(at) = fields.get(gate::MINIMUM_BUDGET)
        && let Some(share) = reader.number(&at)
    {
        if (0.0..=1.0).contains(&share) {
            policy.minimum_budget = share;
        } else {
            reader.error(&at, "a share of the budget is from 0 to 1", "write `0.1` for a tenth");
        }
    }
    if let Some(at) = fields.get(gate::VALID_FOR)
        && let Some(time) = reader.duration(&at)
    {
        if time.is_zero() {
            reader.error(&at, "the validity of an answer is above zero", "write a time like `60s`");
        }
        policy.valid_for = time;
    }
    if let Some(time) = fields.get(gate::MINIMUM_OBSERVED).and_then(|at| reader.duration(&at)) {
        policy.minimum_observed = time;
    }
    if let Some(at) = fields.get(gate::MINIMUM_EVENTS)
        && let Some(events) = reader.number(&at)
    {
        if events.fract() == 0.0 && (1.0..=1e9).contains(&events) {
            policy.minimum_events = events as u64;
        } else {
            reader.error(&at, "a number of events is a whole number from 1", "write `10`, or leave it out");
        }
    }
    if let Some(normal) = fields.get(gate::IDLE_IS_NORMAL).and_then(|at| reader.switch(&at)) {
        policy.idle_is_normal = normal;
    }
    Some(policy)
}

fn read_tokens(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<Token> {
    let Some(fields) = reader.fields(at, auth::OBJECT) else { return Vec::new() };
    let items = items(reader, &fields, auth::TOKENS);
    check_unique(reader, "tokens", &declared_names(&items));
    items.iter().filter_map(|at| read_token(reader, at)).collect()
}

fn read_token(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Token> {
    let fields = reader.fields(at, token::OBJECT)?;
    let name =
        reader.required(&fields, token::NAME, "name the holder of the token").and_then(|at| reader.name(&at));
    let how = "write the 64 hex digits that `printf %s TOKEN | sha256sum` prints";
    let sha256 = reader.required(&fields, token::SHA256, how).and_then(|at| {
        let digest = reader.expand(&at).and_then(|text| parse_digest(&text));
        if digest.is_none() {
            // someone may have written the token itself
            reader.secrets.push(at.node.place.span.clone());
            reader.error(&at, "expected the SHA-256 of a token", how);
        }
        digest
    });
    let scopes = reader.required(&fields, token::SCOPES, "list what it may do: `scopes: [ask, mark]`");
    let scopes = scopes.and_then(|at| {
        let items = reader.list(&at)?;
        let known: Vec<_> = Scope::ALL.iter().map(|scope| (scope.as_str(), *scope)).collect();
        let read: Vec<_> = items.iter().map(|at| reader.choice(at, &known)).collect();
        read.into_iter().collect()
    });
    Some(Token { name: name?.to_owned(), sha256: sha256?, scopes: scopes? })
}

fn parse_digest(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut digest = [0; 32];
    for (n, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok()?;
    }
    Some(digest)
}

fn read_hosts(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<String> {
    let items = reader.list(at).unwrap_or_default();
    let read = items.iter().filter_map(|at| {
        let name = reader.expand(at)?;
        let host = Host::parse(&name).ok().map(|host| host.to_string());
        if host.is_none() {
            reader.error(
                at,
                "expected the name of a host",
                "write it without scheme and port, like `lookout.example.org`",
            );
        }
        host
    });
    read.collect()
}

fn read_otlp(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Otlp> {
    let fields = reader.fields(at, otlp::OBJECT)?;
    let mut every = OTLP_METRICS_INTERVAL;
    if let Some(at) = fields.get(otlp::METRICS_INTERVAL)
        && let Some(time) = reader.duration(&at)
    {
        if time < LEAST_OTLP_INTERVAL {
            reader.error(&at, "metrics are sent once a second at most", "write a time like `60s`");
        }
        every = time.max(LEAST_OTLP_INTERVAL);
    }
    let metrics = fields.get(otlp::METRICS).and_then(|at| reader.switch(&at)).unwrap_or(false);
    let logs = fields.get(otlp::LOGS).and_then(|at| reader.switch(&at)).unwrap_or(false);
    let endpoint = fields.get(otlp::ENDPOINT)?;
    // `${OTEL_EXPORTER_OTLP_ENDPOINT:-}` that is not set means: nothing is sent
    if reader.expand(&endpoint)?.is_empty() {
        return None;
    }
    Some(Otlp { endpoint: reader.url(&endpoint)?, metrics_every: metrics.then_some(every), logs })
}

fn read_outputs(reader: &mut Reader<'_>, at: &At<'_>, folder: &Path) -> Option<Outputs> {
    let fields = reader.fields(at, outputs::OBJECT)?;
    let prometheus_rules = fields
        .get(outputs::PROMETHEUS_RULES)
        .and_then(|at| operator_objects::read_rules(reader, &at, |path| absolute(folder, path)));
    let mut path = |key: Key| {
        let text = fields.get(key).and_then(|at| reader.expand(&at))?;
        Some(absolute(folder, Path::new(&text)))
    };
    let (alerts, dashboards, runbooks) =
        (path(outputs::ALERTS), path(outputs::DASHBOARDS), path(outputs::RUNBOOKS));
    let agent_job = match fields.get(outputs::AGENT_JOB) {
        // an empty one says that nobody scrapes the agent
        Some(at) => reader.expand(&at).filter(|job| !job.is_empty()),
        None => Some(AGENT_JOB.to_owned()),
    };
    let alertmanager_config = fields.get(outputs::ALERTMANAGER_CONFIG).and_then(|at| {
        operator_objects::read_routes(reader, &at, agent_job.as_deref(), |path| absolute(folder, path))
    });
    Some(Outputs {
        alerts,
        prometheus_rules,
        alertmanager_config,
        agent_job,
        dashboards,
        runbooks,
        runbook_url: fields.get(outputs::RUNBOOK_URL).and_then(|at| reader.url_template(&at, &["alert"])),
        dashboard_url: fields
            .get(outputs::DASHBOARD_URL)
            .and_then(|at| reader.url_template(&at, &["service", "slo"])),
    })
}

fn read_patterns(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Vec<Pattern> {
    let Some(at) = fields.get(agent::SLOS) else {
        return vec![Pattern { text: SLO_PATTERN.to_owned(), place: None }];
    };
    let items = reader.list(&at).unwrap_or_default();
    let read = items.iter().filter_map(|at| {
        let text = reader.text(at)?.to_owned();
        Some(Pattern { text, place: Some((at.node.place.clone(), at.key.clone())) })
    });
    read.collect()
}

/// Returns the absolute form of a path that is relative to a folder, without `..`.
fn absolute(folder: &Path, path: &Path) -> PathBuf {
    // the folder exists, because a file was read from it; what is generated into need not
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut whole = std::fs::canonicalize(here).unwrap_or_else(|_| here.to_owned());
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                whole.pop();
            }
            part => whole.push(part),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_address_makes_a_url(ip in any::<IpAddr>(), port in any::<u16>()) {
            let url = local_url(SocketAddr::new(ip, port));
            prop_assert_eq!(url.port_or_known_default(), Some(port));
        }
    }
}
