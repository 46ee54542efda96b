//! An SLI: where good and bad events come from.
//!
//! Two kinds of `metricSource` are read, both within a `ratioMetric`, so that every file stays valid OpenSLO v1.
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
//! ```

use super::config::Known;
use super::model::{Indicator, Ratio};
use super::reader::{At, Reader, did_you_mean, quoted_list, suggestion};
use super::selector::Selector;

/// One side of a ratio.
enum Side {
    Probe { target: String, ok: bool },
    Scrape { source: String, selector: Selector },
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Probe,
    Scrape,
}

/// The `spec` of an SLI.
pub(super) fn read_indicator(reader: &mut Reader<'_>, at: &At<'_>, known: &Known) -> Option<Indicator> {
    let fields = reader.fields(at, &["description", "ratioMetric", "thresholdMetric"])?;
    if let Some(at) = fields.get("thresholdMetric") {
        let help = "count good and total events in a `ratioMetric`; a latency is the bucket of its bound over the count";
        reader.error(&at, "not supported yet: thresholdMetric", help);
        return None;
    }
    let how = "count events: `ratioMetric: { counter: true, good: …, total: … }`";
    let ratio = reader.required(&fields, "ratioMetric", how)?;
    let fields = reader.fields(&ratio, &["counter", "good", "bad", "total", "raw", "rawType"])?;
    if let Some(at) = fields.get("raw") {
        let help = "write `good` or `bad`, and `total`";
        reader.error(&at, "not supported yet: raw ratios", help);
        return None;
    }
    if let Some(at) = fields.get("counter")
        && reader.switch(&at) == Some(false)
    {
        reader.error(&at, "not supported yet: counter: false", "lookout reads counters, which only grow");
    }
    let part = match (fields.get("good"), fields.get("bad")) {
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
    let total = reader.required(&fields, "total", "say what counts all events");
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
        (Side::Probe { target, ok: true }, Side::Probe { target: other, ok: false })
            if good && target == other =>
        {
            Some(Indicator::Probe { target })
        }
        (Side::Probe { .. }, Side::Probe { .. }) => {
            let help =
                "write `good` with `{ target: NAME, outcome: ok }` and `total` with `{ target: NAME }`";
            reader.error(part_at, "probes are counted as good ones over all of one target", help);
            None
        }
        (Side::Scrape { source, selector }, Side::Scrape { source: other, selector: total }) => {
            if source != other {
                let help = "count both at one source";
                reader.error(
                    total_at,
                    format!("one part comes from `{source}`, the total from `{other}`"),
                    help,
                );
                return None;
            }
            let ratio = match good {
                true => Ratio::Good { good: selector, total },
                false => Ratio::Bad { bad: selector, total },
            };
            Some(Indicator::Scrape { source, ratio })
        }
        _ => {
            let help = "use one type for both";
            reader.error(total_at, "a ratio of probes and scraped counters says nothing", help);
            None
        }
    }
}

fn read_side(reader: &mut Reader<'_>, at: &At<'_>, known: &Known) -> Option<Side> {
    let fields = reader.fields(at, &["metricSource"])?;
    let how = "write `metricSource: { type: probe, spec: { target: … } }` or `{ type: scrape, spec: { … } }`";
    let source = reader.required(&fields, "metricSource", how)?;
    let fields = reader.fields(&source, &["type", "spec", "metricSourceRef"])?;
    if let Some(at) = fields.get("metricSourceRef") {
        let help = "name the target or source in `spec`";
        reader.error(&at, "not supported yet: metricSourceRef", help);
        return None;
    }
    let kind = reader.required(&fields, "type", "write `type: probe` or `type: scrape`");
    let kind = kind.and_then(|at| read_kind(reader, &at));
    let spec = reader.required(&fields, "spec", "name the target or source: `spec: { target: … }`");
    let (kind, spec) = (kind?, spec?);
    match kind {
        Kind::Probe => read_probe_side(reader, &spec, known),
        Kind::Scrape => read_scrape_side(reader, &spec, known),
    }
}

fn read_kind(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Kind> {
    if reader.text(at)?.eq_ignore_ascii_case("prometheus") {
        let help = "use `type: scrape` to count what the service itself exposes";
        reader.error(at, "not supported yet: PromQL against a Prometheus server", help);
        return None;
    }
    reader.choice(at, &[("probe", Kind::Probe), ("scrape", Kind::Scrape)])
}

fn read_probe_side(reader: &mut Reader<'_>, spec: &At<'_>, known: &Known) -> Option<Side> {
    let fields = reader.fields(spec, &["target", "outcome"])?;
    let target = reader.required(&fields, "target", "name one of `targets` in lookout.yaml")?;
    let ok = match fields.get("outcome") {
        Some(at) => reader.choice(&at, &[("ok", true)])?,
        None => false,
    };
    let names = known.targets.as_ref().map(|all| all.iter().map(|(name, _)| name.as_str()).collect());
    let target = read_reference(reader, &target, "target", names)?;
    Some(Side::Probe { target, ok })
}

fn read_scrape_side(reader: &mut Reader<'_>, spec: &At<'_>, known: &Known) -> Option<Side> {
    let fields = reader.fields(spec, &["source", "selector"])?;
    let source = reader.required(&fields, "source", "name one of `scrapes` in lookout.yaml");
    let names = known.scrapes.as_ref().map(|all| all.iter().map(String::as_str).collect());
    let source = source.and_then(|at| read_reference(reader, &at, "source", names));
    let how = "say which series count, like `requests_total{code=~\"5..\"}`";
    let selector = reader.required(&fields, "selector", how).and_then(|at| read_selector(reader, &at));
    Some(Side::Scrape { source: source?, selector: selector? })
}

/// A name of something that `lookout.yaml` declares; `declared` is `None` when there is no such file.
fn read_reference(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    what: &str,
    declared: Option<Vec<&str>>,
) -> Option<String> {
    let name = reader.text(at)?;
    if let Some(declared) = declared.filter(|declared| !declared.contains(&name)) {
        let help = suggestion(name, &declared).map(|name| did_you_mean(&name));
        let help = help.unwrap_or_else(|| match declared.is_empty() {
            true => format!("lookout.yaml has no `{what}s`; declare it there").replace("sources", "scrapes"),
            false => format!("lookout.yaml knows {}", quoted_list(&declared)),
        });
        reader.error(at, format!("the {what} `{name}` does not exist"), help);
        return None;
    }
    Some(name.to_owned())
}

fn read_selector(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Selector> {
    let text = reader.text(at)?;
    match text.trim_end().parse::<Selector>() {
        Ok(selector) => Some(selector),
        Err(bad) => {
            let length = text.get(bad.at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
            let help = "write a selector like `requests_total{code=~\"5..\"}`";
            reader.error_in(at, text, bad.at..bad.at + length, bad.to_string(), help);
            None
        }
    }
}
