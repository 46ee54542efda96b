//! OpenSLO's SLIs: ratios and thresholds, whose queries are made to count over lookout's own window.

use super::definitions::Definitions;
use super::kinds::{Metric, Sli, is_own};
use crate::foreign::document::{Document, map, ratio};
use crate::foreign::output::quote;
use crate::foreign::query::{check_events, parse_query, refuse, split_quotient};
use crate::keys::openslo::{prometheus, query, ratio, side, sli, source};
use crate::reader::{At, Fields, Reader};
use crate::yaml::Place;
use lookout_promql::query::{Query, WINDOW};
use lookout_promql::selector::Selector;

/// A query and the source it is asked of.
struct SourceQuery {
    source: String,
    query: Query,
    place: Place,
}

/// One side of a ratio.
enum Side {
    Query(SourceQuery),
    /// A probe or scrape of lookout's own, as it stood.
    Own(Document),
}

/// Reads the `spec` of an SLI.
pub(crate) fn read_sli(reader: &mut Reader<'_>, at: &At<'_>, definitions: &mut Definitions) -> Option<Sli> {
    if is_own(at.node) {
        return Some(Sli { name: None, description: None, metric: Metric::Own(at.node.clone()) });
    }
    let fields = reader.fields(at, sli::OBJECT)?;
    let description = reader.text_under(&fields, sli::DESCRIPTION);
    let metric = match (fields.get(sli::RATIO_METRIC), fields.get(sli::THRESHOLD_METRIC)) {
        (Some(at), None) => read_ratio(reader, &at, definitions),
        (None, Some(at)) => {
            let Side::Query(query) = read_side(reader, &at, definitions)? else {
                reader.error(&at, "not converted: a threshold needs a query", "write `type: Prometheus`");
                return None;
            };
            Some(Metric::Threshold { source: query.source, query: query.query, place: query.place })
        }
        _ => {
            let help = "write one of `ratioMetric` and `thresholdMetric`";
            reader.error(at, "not converted: an SLI is exactly one of two kinds", help);
            None
        }
    };
    Some(Sli { name: None, description, metric: metric? })
}

fn read_ratio(reader: &mut Reader<'_>, at: &At<'_>, definitions: &mut Definitions) -> Option<Metric> {
    let fields = reader.fields(at, ratio::OBJECT)?;
    if let Some(raw) = fields.get(ratio::RAW) {
        return read_raw(reader, &raw, &fields, definitions);
    }
    let counter = fields.get(ratio::COUNTER).and_then(|at| reader.switch(&at)).unwrap_or(true);
    let (part, name) = match (fields.get(ratio::GOOD), fields.get(ratio::BAD)) {
        (Some(at), None) => (at, "good"),
        (None, Some(at)) => (at, "bad"),
        _ => {
            let help = "write `good` or `bad`, and `total`";
            reader.error(at, "not converted: a ratio has either `good` or `bad` events", help);
            return None;
        }
    };
    let total_at = reader.required(&fields, ratio::TOTAL, "say what counts all events")?;
    let (part_side, total_side) =
        (read_side(reader, &part, definitions), read_side(reader, &total_at, definitions));
    match (part_side?, total_side?) {
        (Side::Query(part_query), Side::Query(total_query)) => {
            if part_query.source != total_query.source {
                let help = "ask one source for both";
                reader.error(
                    &total_at,
                    "not converted: the two queries are asked of different sources",
                    help,
                );
                return None;
            }
            let part_text = counted(reader, &part, &part_query.query, counter);
            let total_text = counted(reader, &total_at, &total_query.query, counter);
            let (part_text, total_text) = alike(part_text?, total_text?);
            let part = Document::At(part_query.place, Box::new(Document::text(part_text)));
            let total = Document::At(total_query.place, Box::new(Document::text(total_text)));
            Some(Metric::Ratio(ratio(&part_query.source, (name, part), total)))
        }
        (Side::Own(part), Side::Own(total)) => {
            let ratio = map([("counter", Document::Switch(counter)), (name, part), ("total", total)]);
            Some(Metric::Ratio(map([("ratioMetric", ratio)])))
        }
        _ => {
            let help = "use one type for both";
            reader.error(&total_at, "not converted: the two sides are of different types", help);
            None
        }
    }
}

/// Reads a ratio that is divided already.
fn read_raw(
    reader: &mut Reader<'_>,
    raw: &At<'_>,
    fields: &Fields<'_>,
    definitions: &mut Definitions,
) -> Option<Metric> {
    let kind = reader.required(fields, ratio::RAW_TYPE, "write `rawType: success` or `failure`")?;
    let failure = reader.choice(&kind, &[("success", false), ("failure", true)])?;
    let Side::Query(query) = read_side(reader, raw, definitions)? else {
        reader.error(raw, "not converted: a raw ratio needs a query", "write `good` and `total` instead");
        return None;
    };
    let quotient = split_quotient(reader, raw, &query.query, failure)?;
    let part = counted(reader, raw, &quotient.part, true);
    let total = counted(reader, raw, &quotient.total, true);
    let (part, total) = alike(part?, total?);
    let there = |text: String| Document::At(query.place.clone(), Box::new(Document::text(text)));
    Some(Metric::Ratio(ratio(&query.source, (quotient.side, there(part)), there(total))))
}

fn read_side(reader: &mut Reader<'_>, at: &At<'_>, definitions: &mut Definitions) -> Option<Side> {
    let fields = reader.fields(at, side::OBJECT)?;
    let at =
        reader.required(&fields, side::METRIC_SOURCE, "write `type: Prometheus` and a `spec` under it")?;
    let fields = reader.fields(&at, source::OBJECT)?;
    let referred =
        fields.get(source::METRIC_SOURCE_REF).and_then(|at| Some((reader.text(&at)?.to_owned(), at)));
    let declared = match &referred {
        Some((name, at)) => Some(definitions.find_data_source(reader, at, name)?),
        None => None,
    };
    let kind = match fields.get(source::TYPE) {
        Some(at) => Some(reader.text(&at)?.to_owned()),
        None => declared,
    };
    let Some(kind) = kind else {
        reader.error(&at, "the key `type` is missing", "write `type: Prometheus`");
        return None;
    };
    if matches!(kind.as_str(), "probe" | "scrape") {
        return Some(Side::Own(map([("metricSource", Document::of(at.node))])));
    }
    if !kind.eq_ignore_ascii_case("prometheus") {
        let help = "lookout queries servers with the API of Prometheus only";
        reader.error(&at, format!("not converted: a source of the type `{}`", quote(&kind)), help);
        return None;
    }
    let spec = reader.required(&fields, source::SPEC, "write the query: `spec: { query: … }`")?;
    read_query(reader, &spec, referred.map(|(name, _)| name), definitions).map(Side::Query)
}

fn read_query(
    reader: &mut Reader<'_>,
    spec: &At<'_>,
    referred: Option<String>,
    definitions: &Definitions,
) -> Option<SourceQuery> {
    let spellings = query::OBJECT.keys;
    let known = |name: &str| query::OBJECT.has(name) || name == prometheus::SOURCE.name;
    let fields = reader.open_fields(spec, "with `query`")?;
    for (key, value) in fields.all().filter(|(key, _)| !known(&key.name)) {
        let what = format!("`{}` of the query", quote(&key.name));
        reader.lost(&value, what, "a query against Prometheus has nothing but its text");
    }
    let own = reader.text_under(&fields, prometheus::SOURCE);
    let fields = fields.declared(query::OBJECT);
    let found = spellings.iter().find_map(|key| fields.get(*key));
    let Some(at) = found else {
        reader.error(spec, "the key `query` is missing", "write the query: `spec: { query: … }`");
        return None;
    };
    let text = reader.text(&at)?;
    let query = parse_query(reader, &at, text)?;
    let source = own.or(referred).unwrap_or_else(|| definitions.source.clone());
    Some(SourceQuery { source, query, place: at.node.place.clone() })
}

/// Returns a query that counts events over lookout's window, or a selector of counters, which lookout sums itself.
fn counted(reader: &mut Reader<'_>, at: &At<'_>, query: &Query, counter: bool) -> Option<String> {
    if query.has_range() || query.is_windowed() {
        return windowed(reader, at, query);
    }
    if !counter {
        let help = "write a query over a range, like `sum(increase(requests_total[1m]))`, or `counter: true`";
        reader.error(at, "not converted: a gauge does not say how many events there were", help);
        return None;
    }
    if let Some(selector) = query.selector() {
        return Some(selector.to_string());
    }
    let text = query.to_string();
    let inside = text.strip_prefix("sum").and_then(|rest| rest.trim_start().strip_prefix('('));
    let summed = inside.and_then(|rest| rest.strip_suffix(')')).map(str::trim);
    if let Some(Ok(selector)) = summed.map(str::parse::<Selector>) {
        let help = "a sum of counters hides when one of them starts again; lookout adds them up afterwards";
        reader.changed(at, format!("`sum` around `{}` is left out", quote(&selector.to_string())), help);
        return Some(selector.to_string());
    }
    let help =
        "write the selector of a counter, or a query over a range, like `sum(rate(requests_total[5m]))`";
    reader.error(at, "not converted: a function of counters hides when one of them starts again", help);
    None
}

/// Returns both over a window, or both plain counters.
fn alike(part: String, total: String) -> (String, String) {
    let over = |selector: String| format!("sum(increase({selector}[{WINDOW}]))");
    match (part.contains(WINDOW), total.contains(WINDOW)) {
        (true, false) => (part, over(total)),
        (false, true) => (over(part), total),
        _ => (part, total),
    }
}

/// Returns the query with its fixed ranges replaced by lookout's window.
fn windowed(reader: &mut Reader<'_>, at: &At<'_>, query: &Query) -> Option<String> {
    let Some(first) = query.fixed_ranges().first() else {
        check_events(reader, at, query)?;
        return Some(query.to_string());
    };
    let was = query.source().get(first.clone()).unwrap_or_default();
    let help = "lookout chooses the window; a fixed one would count events several times";
    reader.changed(at, format!("`[{was}]` is `[{WINDOW}]`"), help);
    match query.with_window() {
        Ok(query) => Some(query.to_string()),
        Err(error) => {
            refuse(reader, at, query, error);
            None
        }
    }
}
