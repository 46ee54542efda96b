//! `prometheus` of `lookout.yaml`: servers with the query API of Prometheus. Their keys are declared in `keys/server.rs`.

use core::time::Duration;
use std::path::Path;

use lookout_engine::{Grid, Window};
use lookout_promql::query::Dialect;

use super::model::Prometheus;
use super::reader::{At, Fields, Reader};
use crate::credentials::{read_credentials, read_headers};
use crate::keys::Key;
use crate::keys::agent::agent;
use crate::keys::server::server;
use crate::known::QueryTiming;
use crate::names::{check_unique, declared_names, items};

/// One deadline per query unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);
/// No query is waited for longer.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(120);
/// Default scrape interval, as most installations of Prometheus have it.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(15);
/// Longest delay. Older samples count for no alert any more.
const LONGEST_DELAY: Duration = Duration::from_secs(3600);

type KnownServers = Vec<(String, Option<QueryTiming>)>;

/// Reads all of `prometheus`, and what SLOs may know of them.
pub(super) fn read_servers(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    grid: Option<Grid>,
    folder: &Path,
) -> (Vec<Prometheus>, KnownServers) {
    let items = items(reader, fields, agent::PROMETHEUS);
    let names = declared_names(&items);
    check_unique(reader, "Prometheus servers", &names);
    let servers: Vec<Prometheus> =
        items.iter().filter_map(|at| read_prometheus(reader, at, grid, folder)).collect();
    let timing = |name: &str| {
        let server = servers.iter().find(|server| server.name == name)?;
        Some(QueryTiming {
            scrape_interval: server.scrape_interval,
            window: Duration::from_secs(server.window.as_seconds()),
            delay: server.delay,
            timeout: server.timeout,
            dialect: server.dialect,
        })
    };
    let known = names.into_iter().map(|(name, _)| (timing(&name), name)).map(|(timing, name)| (name, timing));
    let known = known.collect();
    (servers, known)
}

/// One of `prometheus`.
pub(super) fn read_prometheus(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    grid: Option<Grid>,
    folder: &Path,
) -> Option<Prometheus> {
    let fields = reader.fields(at, server::OBJECT)?;
    let name = reader.required(&fields, server::NAME, "give the server a name that SLOs refer to");
    let name = name.and_then(|at| reader.name(&at));
    let url = reader.required(&fields, server::URL, "say where it is, like `http://127.0.0.1:9090`");
    let url = url.and_then(|at| reader.url(&at));
    let timeout = read_span(reader, &fields, server::TIMEOUT, TIMEOUT, LONGEST_TIMEOUT);
    let scrape_interval =
        read_span(reader, &fields, server::SCRAPE_INTERVAL, SCRAPE_INTERVAL, Duration::from_secs(600));
    let slot = grid.map(|grid| Duration::from_secs(u64::from(grid.width_seconds())));
    let delay = slot.and_then(|slot| read_delay(reader, &fields, slot));
    let window =
        slot.zip(scrape_interval).and_then(|(slot, every)| read_window(reader, &fields, slot, every));
    let credentials = read_credentials(reader, &fields, folder);
    let headers =
        fields.get(server::HEADERS).map_or(Some(Vec::new()), |at| read_headers(reader, &at, folder));
    let ca = fields.get(server::CA_FILE).map_or(Some(None), |at| {
        let text = reader.secret_from_file(&at, folder)?;
        Some(Some(text).filter(|text| !text.is_empty()))
    });
    let insecure = fields.get(server::INSECURE).map_or(Some(false), |at| reader.switch(&at));
    let dialects = [("promql", Dialect::PromQl), ("metricsql", Dialect::MetricsQl)];
    let dialect =
        fields.get(server::DIALECT).map_or(Some(Dialect::PromQl), |at| reader.choice(&at, &dialects));
    let mut url = url?;
    // paths are joined to it: without the slash the last part would be replaced
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Some(Prometheus {
        name: name?.to_owned(),
        url,
        timeout: timeout?,
        scrape_interval: scrape_interval?,
        delay: delay?,
        window: window?,
        credentials: credentials?,
        headers: headers?,
        ca: ca?,
        insecure: insecure?,
        dialect: dialect?,
    })
}

/// Reads a span of time above zero.
fn read_span(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    key: Key,
    usual: Duration,
    longest: Duration,
) -> Option<Duration> {
    let Some(at) = fields.get(key) else { return Some(usual) };
    let span = reader.duration(&at)?;
    if span.is_zero() || span > longest {
        let most = lookout_model::print_duration(longest);
        let help = format!("write a time like `{}`", lookout_model::print_duration(usual));
        reader.error(&at, format!("expected a time above zero and of at most {most}"), help);
        return None;
    }
    Some(span)
}

fn read_delay(reader: &mut Reader<'_>, fields: &Fields<'_>, slot: Duration) -> Option<Duration> {
    let Some(at) = fields.get(server::DELAY) else { return Some(slot * 2) };
    let delay = reader.duration(&at)?;
    if delay > LONGEST_DELAY {
        let help = "write how long a sample takes from the scrape until it can be queried, like `5s`";
        reader.error(&at, "with a longer delay every alert is late", help);
        return None;
    }
    Some(delay)
}

/// Reads a multiple of the slot that holds samples enough for a rate.
fn read_window(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    slot: Duration,
    scrape_interval: Duration,
) -> Option<Window> {
    let slot_s = slot.as_secs().max(1);
    let Some(at) = fields.get(server::WINDOW) else {
        let usual = (scrape_interval * 4).as_secs_f64().ceil() as u64;
        return Some(Window::seconds(usual.div_ceil(slot_s) * slot_s));
    };
    let written = reader.duration(&at)?;
    let shown = lookout_model::print_duration;
    let whole = written.subsec_nanos() == 0 && written.as_secs().is_multiple_of(slot_s);
    if !whole || written.is_zero() || written > Duration::from_secs(3600) {
        let message = format!("the window is a multiple of the interval of {}, at most an hour", shown(slot));
        let help = format!("write one like `{}`", shown(slot * 6));
        reader.error(&at, message, help);
        return None;
    }
    if written < scrape_interval * 2 {
        let message = format!(
            "a window of {} holds fewer than two samples that are {} apart: a rate over it has no value",
            shown(written),
            shown(scrape_interval)
        );
        let help = "make it four scrape intervals long, or correct `scrape_interval`";
        reader.error(&at, message, help);
        return None;
    }
    Some(Window::seconds(written.as_secs()))
}
