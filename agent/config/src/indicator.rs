//! An SLI: where good and bad events come from.
//!
//! Three kinds of `metricSource` are read, all within a `ratioMetric`, so that every file stays valid OpenSLO v1.
//!
//! ```yaml
//! ratioMetric:                 # every probe of a target is an event, a good one met all expectations
//!   counter: true
//!   good: { metricSource: { type: probe, spec: { target: NAME, outcome: ok } } }
//!   total: { metricSource: { type: probe, spec: { target: NAME } } }
//!
//! ratioMetric:                 # counters of a scraped neighbour; `good` or `bad`, and `total`
//!   counter: true
//!   bad: { metricSource: { type: scrape, spec: { source: NAME, selector: 'requests_total{code=~"5.."}' } } }
//!   total: { metricSource: { type: scrape, spec: { source: NAME, selector: requests_total } } }
//!
//! ratioMetric:                 # a classic histogram of a scraped neighbour; the threshold is one of its bounds
//!   counter: true
//!   good: { metricSource: { type: scrape, spec: { source: NAME, histogram: duration_seconds, threshold: 250ms } } }
//!   total: { metricSource: { type: scrape, spec: { source: NAME, histogram: duration_seconds } } }
//!
//! ratioMetric:                 # counters in a Prometheus: their samples are read and counted here, exactly
//!   counter: true
//!   bad: { metricSource: { type: prometheus, spec: { source: NAME, query: 'requests_total{code=~"5.."}' } } }
//!   total: { metricSource: { type: prometheus, spec: { source: NAME, query: requests_total } } }
//!
//! ratioMetric:                 # any PromQL, as Sloth writes it: Prometheus counts, and extrapolates
//!   counter: true
//!   bad: { metricSource: { type: prometheus, spec: { source: NAME, query: 'sum(rate(failed[{{.window}}]))' } } }
//!   total: { metricSource: { type: prometheus, spec: { source: NAME, query: 'sum(rate(all[{{.window}}]))' } } }
//! ```
//!
//! Native histograms are not in the text format that is scraped; query them in a Prometheus
//! (`sum(histogram_fraction(0, 0.25, rate(x[{{.window}}])) * histogram_count(rate(x[{{.window}}])))`).

use std::collections::BTreeMap;

use super::known::Known;
use super::metadata::read_metadata;
use super::model::{Indicator, Queries, Ratio};
use super::reader::{At, Fields, Reader, did_you_mean, quoted_list, suggestion};
use super::target::read_whole;
use crate::keys::openslo::{inline_sli, probe, prometheus, ratio, scrape, side, sli, slo, source};
use lookout_promql::query::{Dialect, EventQuery, Query as Parsed, QueryError};
use lookout_promql::selector::{MatchOp, Matcher, Selector};

/// One side of a ratio.
enum Side {
    Probe {
        target: String,
        counted: Probes,
    },
    Scrape {
        source: String,
        selector: Selector,
    },
    /// The events of a histogram up to a bound.
    Bucket {
        source: String,
        selector: Selector,
    },
    Prometheus {
        source: String,
        query: Query,
    },
}

/// Probes of a target that a side counts.
#[derive(Clone, Copy)]
enum Probes {
    All,
    /// Those that met all expectations.
    Ok,
    /// Those after which the certificate is valid for so many days.
    Valid(u32),
}

/// The two forms of a query.
enum Query {
    Counter(Selector),
    Windowed(EventQuery),
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Probe,
    Scrape,
    Prometheus,
}

/// Reads the `spec` of an SLI.
pub(super) fn read_indicator(reader: &mut Reader<'_>, at: &At<'_>, known: &Known) -> Option<Indicator> {
    let fields = reader.fields(at, sli::OBJECT)?;
    if let Some(at) = fields.get(sli::THRESHOLD_METRIC) {
        let help = "count good and total events in a `ratioMetric`; a latency is the bucket of its bound over the count";
        reader.error(&at, "not supported yet: thresholdMetric", help);
        return None;
    }
    let how = "count events: `ratioMetric: { counter: true, good: …, total: … }`";
    let ratio = reader.required(&fields, sli::RATIO_METRIC, how)?;
    let fields = reader.fields(&ratio, ratio::OBJECT)?;
    if let Some(at) = fields.get(ratio::RAW) {
        let help = "write `good` or `bad`, and `total`";
        reader.error(&at, "not supported yet: raw ratios", help);
        return None;
    }
    if let Some(at) = fields.get(ratio::COUNTER)
        && reader.switch(&at) == Some(false)
    {
        reader.error(&at, "not supported yet: counter: false", "lookout reads counters, which only grow");
    }
    let part = match (fields.get(ratio::GOOD), fields.get(ratio::BAD)) {
        (Some(at), None) => Some((at, true)),
        (None, Some(at)) => Some((at, false)),
        _ => {
            reader.error(
                &ratio,
                "a ratio has either `good` or `bad` events",
                "write one of them, and `total`",
            );
            None
        }
    };
    let total = reader.required(&fields, ratio::TOTAL, "say what counts all events");
    let part_side = part.as_ref().and_then(|(at, _)| read_side(reader, at, known));
    let total_side = total.as_ref().and_then(|at| read_side(reader, at, known));
    let (part, good) = part?;
    join(reader, (&part, part_side?, good), (&total?, total_side?))
}

/// Makes one indicator of two sides, which must belong together.
fn join(
    reader: &mut Reader<'_>,
    (part_at, part, good): (&At<'_>, Side, bool),
    (total_at, total): (&At<'_>, Side),
) -> Option<Indicator> {
    match (part, total) {
        (Side::Probe { target, counted }, Side::Probe { target: other, counted: Probes::All })
            if good && target == other && !matches!(counted, Probes::All) =>
        {
            let certificate_days = match counted {
                Probes::Valid(days) => Some(days),
                Probes::All | Probes::Ok => None,
            };
            Some(Indicator::Probe { target, certificate_days })
        }
        (Side::Probe { .. }, Side::Probe { .. }) => {
            let help =
                "write `good` with `{ target: NAME, outcome: ok }` and `total` with `{ target: NAME }`";
            reader.error(part_at, "probes are counted as good ones over all of one target", help);
            None
        }
        (_, Side::Bucket { .. }) => {
            let help = "leave `threshold` out here: without it all events of the histogram count";
            reader.error(total_at, "the events below a threshold are not all events", help);
            None
        }
        (Side::Bucket { .. }, _) if !good => {
            let help = "write `good` instead of `bad`";
            reader.error(part_at, "a histogram counts the events that were fast enough", help);
            None
        }
        (
            Side::Scrape { source, selector } | Side::Bucket { source, selector },
            Side::Scrape { source: other, selector: total },
        ) => {
            one_source(reader, total_at, &source, &other)?;
            Some(Indicator::Scrape { source, ratio: ratio(good, selector, total) })
        }
        (Side::Prometheus { source, query }, Side::Prometheus { source: other, query: total }) => {
            one_source(reader, total_at, &source, &other)?;
            let queries = match (query, total) {
                (Query::Counter(part), Query::Counter(total)) => Queries::Counters(ratio(good, part, total)),
                (Query::Windowed(part), Query::Windowed(total)) => {
                    Queries::Windowed { part, part_is_bad: !good, total }
                }
                _ => {
                    let help = "write both as selectors of counters, or both with `{{.window}}`";
                    reader.error(total_at, "one query counts over a window, the other does not", help);
                    return None;
                }
            };
            Some(Indicator::Prometheus { source, queries })
        }
        _ => {
            let help = "use one type for both";
            reader.error(total_at, "the two sides of a ratio have different types", help);
            None
        }
    }
}

fn ratio(good: bool, part: Selector, total: Selector) -> Ratio {
    match good {
        true => Ratio::Good { good: part, total },
        false => Ratio::Bad { bad: part, total },
    }
}

fn one_source(reader: &mut Reader<'_>, at: &At<'_>, source: &str, other: &str) -> Option<()> {
    if source == other {
        return Some(());
    }
    let message = format!("one part comes from `{source}`, the total from `{other}`");
    reader.error(at, message, "count both at one source");
    None
}

fn read_side(reader: &mut Reader<'_>, at: &At<'_>, known: &Known) -> Option<Side> {
    let fields = reader.fields(at, side::OBJECT)?;
    let how = "write `metricSource: { type: TYPE, spec: { … } }`; the types are probe, scrape and prometheus";
    let source = reader.required(&fields, side::METRIC_SOURCE, how)?;
    let fields = reader.fields(&source, source::OBJECT)?;
    if let Some(at) = fields.get(source::METRIC_SOURCE_REF) {
        let help = "name the target or source in `spec`";
        reader.error(&at, "not supported yet: metricSourceRef", help);
        return None;
    }
    let kind =
        reader.required(&fields, source::TYPE, "write `type: probe`, `type: scrape` or `type: prometheus`");
    let kind = kind.and_then(|at| read_kind(reader, &at));
    let spec = reader.required(&fields, source::SPEC, "name the target or source: `spec: { target: … }`");
    let (kind, spec) = (kind?, spec?);
    match kind {
        Kind::Probe => read_probe_side(reader, &spec, known),
        Kind::Scrape => read_scrape_side(reader, &spec, known),
        Kind::Prometheus => read_prometheus_side(reader, &spec, known),
    }
}

fn read_kind(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Kind> {
    // other tools write it with a capital letter
    if reader.text(at)?.eq_ignore_ascii_case("prometheus") {
        return Some(Kind::Prometheus);
    }
    reader.choice(at, &[("probe", Kind::Probe), ("scrape", Kind::Scrape), ("prometheus", Kind::Prometheus)])
}

fn read_probe_side(reader: &mut Reader<'_>, spec: &At<'_>, known: &Known) -> Option<Side> {
    let fields = reader.fields(spec, probe::OBJECT)?;
    let target = reader.required(&fields, probe::TARGET, "name one of `targets` in lookout.yaml")?;
    let counted = match (fields.get(probe::OUTCOME), fields.get(probe::CERTIFICATE_DAYS)) {
        (Some(at), None) => reader.choice(&at, &[("ok", Probes::Ok)])?,
        (None, Some(at)) => {
            Probes::Valid(u32::try_from(read_whole(reader, &at, probe::CERTIFICATE_DAYS)?).ok()?)
        }
        (None, None) => Probes::All,
        (Some(_), Some(at)) => {
            let help = "write two SLOs: one about outcomes, one about the certificate";
            reader.error(&at, "a probe is good by its outcome or by its certificate", help);
            return None;
        }
    };
    let names = known.targets.as_ref().map(|all| all.iter().map(|(name, _)| name.as_str()).collect());
    let at = target;
    let target = read_reference(reader, &at, ("target", "targets"), names)?;
    let timing =
        known.targets.iter().flatten().filter(|(name, _)| *name == target).find_map(|(_, timing)| *timing);
    if matches!(counted, Probes::Valid(_)) && timing.is_some_and(|timing| !timing.uses_tls) {
        let help = "name a target with an `https` URL or with `tls`";
        reader.error(&at, format!("the target `{target}` shows no certificate"), help);
        return None;
    }
    Some(Side::Probe { target, counted })
}

fn read_scrape_side(reader: &mut Reader<'_>, spec: &At<'_>, known: &Known) -> Option<Side> {
    let fields = reader.fields(spec, scrape::OBJECT)?;
    let source = reader.required(&fields, scrape::SOURCE, "name one of `scrapes` in lookout.yaml");
    let names = known.scrapes.as_ref().map(|all| all.iter().map(String::as_str).collect());
    let source = source.and_then(|at| read_reference(reader, &at, ("source", "scrapes"), names));
    let Some(histogram) = fields.get(scrape::HISTOGRAM) else {
        if let Some(at) = fields.get(scrape::THRESHOLD) {
            let help = "name it: `histogram: request_duration_seconds`";
            reader.error(&at, "a threshold needs the histogram it cuts", help);
        }
        let how = "say which series count, like `requests_total{code=~\"5..\"}`";
        let selector =
            reader.required(&fields, scrape::SELECTOR, how).and_then(|at| read_selector(reader, &at));
        return Some(Side::Scrape { source: source?, selector: selector? });
    };
    if let Some(at) = fields.get(scrape::SELECTOR) {
        let help = "the conditions of a histogram stand with it: `histogram: seconds{route=\"/\"}`";
        reader.error(&at, "either a histogram or a selector", help);
    }
    let selector = read_histogram(reader, &histogram);
    let Some(at) = fields.get(scrape::THRESHOLD) else {
        return Some(Side::Scrape { source: source?, selector: with_suffix(selector?, "_count", None) });
    };
    let seconds = reader.duration(&at)?.as_secs_f64();
    if seconds <= 0.0 {
        reader.error(&at, "a threshold is above zero", "write a time like `250ms`");
        return None;
    }
    let bound = Matcher::try_new("le".to_owned(), MatchOp::Equal, seconds.to_string()).ok()?;
    Some(Side::Bucket { source: source?, selector: with_suffix(selector?, "_bucket", Some(bound)) })
}

/// Reads the name of a histogram without a suffix, and conditions other than on its bounds.
fn read_histogram(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Selector> {
    let selector = read_selector(reader, at)?;
    let suffix = ["_bucket", "_count", "_sum"].into_iter().find(|suffix| selector.metric.ends_with(suffix));
    if let Some(suffix) = suffix {
        let name = selector.metric.trim_end_matches(suffix);
        let help = format!("write `{name}`: its series are found from there");
        reader.error(at, format!("a histogram has no `{suffix}` in its own name"), help);
        return None;
    }
    if selector.matchers.iter().any(|matcher| matcher.label == "le") {
        reader.error(
            at,
            "the bound of a histogram is its threshold",
            "write `threshold: 250ms` instead of `le`",
        );
        return None;
    }
    Some(selector)
}

fn with_suffix(mut selector: Selector, suffix: &str, bound: Option<Matcher>) -> Selector {
    selector.metric.push_str(suffix);
    selector.matchers.extend(bound);
    selector
}

fn read_prometheus_side(reader: &mut Reader<'_>, spec: &At<'_>, known: &Known) -> Option<Side> {
    let fields = reader.fields(spec, prometheus::OBJECT)?;
    let source = reader.required(&fields, prometheus::SOURCE, "name one of `prometheus` in lookout.yaml");
    let names = known.prometheus.as_ref().map(|all| all.iter().map(|(name, _)| name.as_str()).collect());
    let source = source.and_then(|at| read_reference(reader, &at, ("source", "prometheus"), names));
    let servers = known.prometheus.iter().flatten();
    let timing = servers.filter(|(name, _)| Some(name) == source.as_ref()).find_map(|(_, timing)| *timing);
    let dialect = timing.map_or(Dialect::PromQl, |timing| timing.dialect);
    let how = "write a selector of counters, or a query like `sum(rate(requests_total[{{.window}}]))`";
    let query =
        reader.required(&fields, prometheus::QUERY, how).and_then(|at| read_query(reader, &at, dialect));
    Some(Side::Prometheus { source: source?, query: query? })
}

fn read_query(reader: &mut Reader<'_>, at: &At<'_>, dialect: Dialect) -> Option<Query> {
    let text = reader.text(at)?;
    let query = match Parsed::parse(text, dialect) {
        Ok(query) => query,
        Err(error) => {
            query_error(reader, at, text, error);
            return None;
        }
    };
    if let Some(selector) = query.selector().filter(|_| !query.is_windowed()) {
        return Some(Query::Counter(selector.clone()));
    }
    if !query.is_windowed() && !query.has_range() {
        let help = "write only the selector, like `requests_total{code=~\"5..\"}`: its series are summed here; or a \
                    query with `[{{.window}}]`";
        reader.error(at, "a function of counters hides when they start again", help);
        return None;
    }
    match EventQuery::try_new(query) {
        Ok(query) => Some(Query::Windowed(query)),
        Err(error) => {
            query_error(reader, at, text, error);
            None
        }
    }
}

/// A finding inside a query, with its place there: the file's place is that of the whole where lines are folded.
pub(super) fn query_error(reader: &mut Reader<'_>, at: &At<'_>, text: &str, error: QueryError) {
    let (line, column) = error.line_column(text);
    let place = match text.trim_end().contains('\n') {
        true => format!("line {line}, column {column} of the query"),
        false => format!("column {column} of the query"),
    };
    reader.error_in(at, text, error.span, format!("{} ({place})", error.message), &error.help);
}

/// Reads a name of something that `lookout.yaml` declares under `key`; `declared` is `None` when there is no such file.
fn read_reference(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    (what, key): (&str, &str),
    declared: Option<Vec<&str>>,
) -> Option<String> {
    let name = reader.text(at)?;
    if let Some(declared) = declared.filter(|declared| !declared.contains(&name)) {
        let help = suggestion(name, &declared).map(|name| did_you_mean(&name));
        let help = help.unwrap_or_else(|| match declared.is_empty() {
            true => format!("lookout.yaml has no `{key}`; declare it there"),
            false => format!("lookout.yaml declares {}", quoted_list(&declared)),
        });
        reader.error(at, format!("the {what} `{name}` does not exist"), help);
        return None;
    }
    Some(name.to_owned())
}

fn read_selector(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Selector> {
    let text = reader.text(at)?;
    match text.parse::<Selector>() {
        Ok(selector) => Some(selector),
        Err(error) => {
            query_error(reader, at, text, error);
            None
        }
    }
}

/// Indicators by name; `None` for one that is declared and wrong.
pub(super) type Indicators = BTreeMap<String, Option<Indicator>>;

/// Reads an indicator that stands here or is referred to, and its name, if it has one; `what` says that it must.
pub(super) fn read_named_indicator(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    what: &str,
    known: &Known,
    indicators: &Indicators,
) -> (Option<String>, Option<Indicator>) {
    match (fields.get(slo::INDICATOR), fields.get(slo::INDICATOR_REF)) {
        (Some(at), None) => {
            let Some(inline) = reader.fields(&at, inline_sli::OBJECT) else { return (None, None) };
            let metadata = inline.get(inline_sli::METADATA).and_then(|at| read_metadata(reader, &at, None));
            let spec = reader.required(&inline, inline_sli::SPEC, "write `ratioMetric` under `spec:`");
            let indicator = spec.and_then(|spec| read_indicator(reader, &spec, known));
            (metadata.and_then(|metadata| metadata.name).map(|(name, _)| name), indicator)
        }
        (None, Some(at)) => {
            let Some(name) = reader.text(&at) else { return (None, None) };
            // a declared one that is wrong was reported where it stands
            if let Some(declared) = indicators.get(name) {
                return (Some(name.to_owned()), declared.clone());
            }
            let names: Vec<&String> = indicators.keys().collect();
            let help = suggestion(name, &names)
                .map_or_else(|| format!("declared are {}", quoted_list(&names)), |name| did_you_mean(&name));
            reader.error(&at, format!("the SLI `{name}` does not exist"), help);
            (None, None)
        }
        _ => {
            let help = "write `indicator` with a `spec`, or `indicatorRef` with the name of an SLI";
            reader.error(&fields.at, what, help);
            (None, None)
        }
    }
}
