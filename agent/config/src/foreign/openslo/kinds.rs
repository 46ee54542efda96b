//! Definitions of OpenSLO: indicators, conditions and policies.

use lookout_engine::{BurnFactor, Severity, Tier, Window};
use lookout_promql::query::{Query, WINDOW};

use crate::foreign::document::{Document, ratio};
use crate::keys::document::{document, metadata};
use crate::parsed_file::scalar;
use crate::reader::{At, Fields, Reader, suggestion};
use crate::yaml::{Key, Node, Place, Value};

/// Step between two samples of a gauge.
const STEP: &str = "1m";

/// An SLI as far as it can be read without an objective.
#[derive(Debug, Clone)]
pub(crate) struct Sli {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) metric: Metric,
}

#[derive(Debug, Clone)]
pub(crate) enum Metric {
    /// The whole `spec`, which is lookout's own.
    Own(Node),
    /// All of the `spec` but the description.
    Ratio(Document),
    /// A value, which an objective compares with a bound.
    Threshold { source: String, query: Query, place: Place },
}

/// Returns whether the `spec` of an SLI is in lookout's own form, right or wrong.
pub(crate) fn is_own(spec: &Node) -> bool {
    let Some(ratio) = spec.get("ratioMetric") else { return spec.get("thresholdMetric").is_none() };
    let counter = ratio.get("counter").is_none_or(|node| node.value != Value::Bool(false));
    let sides = ["good", "bad", "total"].iter().filter_map(|side| ratio.get(side)?.get("metricSource"));
    counter && ratio.get("raw").is_none() && sides.into_iter().all(is_own_source)
}

fn is_own_source(source: &Node) -> bool {
    if source.get("metricSourceRef").is_some() {
        return false;
    }
    match source.get("type").map(|kind| &kind.value) {
        // without its own `source` it is asked of the one that is there
        Some(Value::Text(kind)) if kind.eq_ignore_ascii_case("prometheus") => {
            source.get("spec").is_none_or(|spec| spec.get("source").is_some())
        }
        Some(Value::Text(kind)) => suggestion(kind, &["probe", "scrape", "prometheus"]).is_some(),
        _ => true,
    }
}

impl Sli {
    /// Returns the same under a name.
    pub(crate) fn named(self, name: Option<String>) -> Self {
        Self { name, ..self }
    }

    /// Returns whether it stays as it is.
    pub(crate) const fn is_own(&self) -> bool {
        matches!(self.metric, Metric::Own(_))
    }

    /// Returns the `spec` for one objective, of which a threshold needs operator and bound.
    pub(crate) fn node(
        &self,
        reader: &mut Reader<'_>,
        objective: &At<'_>,
        bound: Option<(&'static str, f64)>,
    ) -> Option<Node> {
        let place = &objective.node.place;
        let document = match (&self.metric, bound) {
            (Metric::Own(node), None) => return Some(node.clone()),
            (Metric::Ratio(document), None) => document.clone(),
            (Metric::Ratio(_) | Metric::Own(_), Some(_)) => {
                let help = "leave `op` and `value` out";
                reader.error(objective, "not converted: a bound goes with a threshold metric", help);
                return None;
            }
            (Metric::Threshold { source, query, place }, Some((operator, value))) => {
                let help = "a value that cannot be seen counts neither way";
                reader.changed(objective, "every minute of the value counts as one event", help);
                let good =
                    format!("sum(sum_over_time((({query}) {operator} bool {value})[{WINDOW}:{STEP}]))");
                let total = format!("sum(count_over_time(({query})[{WINDOW}:{STEP}]))");
                let there = |text: String| Document::At(place.clone(), Box::new(Document::text(text)));
                ratio(source, ("good", there(good)), there(total))
            }
            (Metric::Threshold { .. }, None) => {
                let help = "write `op: lte` and a `value`";
                reader.error(objective, "not converted: a threshold metric needs a bound", help);
                return None;
            }
        };
        let mut node = document.node(place);
        if let (Some(text), Value::Map(entries)) = (&self.description, &mut node.value) {
            let key = Key { name: "description".to_owned(), place: place.clone() };
            entries.insert(0, (key, Node::text(text, place)));
        }
        Some(node)
    }
}

/// A condition on the burn rate.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) severity: Severity,
    pub(crate) factor: BurnFactor,
    pub(crate) window: Window,
    pub(crate) hold_seconds: u64,
}

/// A policy: when it alerts, and on what.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policy {
    pub(crate) tiers: Vec<Tier>,
    /// The severity of missing data, or that they are not alerted on; `None` when nothing was said.
    pub(crate) no_data: Option<Option<Severity>>,
}

/// Returns whether a document is of that kind.
pub(crate) fn is(node: &Node, kind: &str) -> bool {
    scalar(node, "apiVersion") == Some("openslo/v1") && scalar(node, "kind") == Some(kind)
}

/// Name and `spec` of a document.
pub(crate) struct Opened<'n> {
    pub(crate) name: String,
    pub(crate) metadata: Fields<'n>,
    pub(crate) spec: At<'n>,
}

pub(crate) fn open<'n>(reader: &mut Reader<'_>, node: &'n Node) -> Option<Opened<'n>> {
    let root = At::root(node);
    let fields = reader.fields(&root, document::OBJECT)?;
    let metadata = reader.required(&fields, document::METADATA, "give it a name: `metadata: { name: … }`");
    let metadata = metadata.and_then(|at| reader.fields(&at, metadata::OBJECT));
    let spec = reader.required(&fields, document::SPEC, "write what it says under `spec:`");
    let metadata = metadata?;
    let name =
        reader.required(&metadata, metadata::NAME, "give it a name").and_then(|at| reader.name(&at))?;
    Some(Opened { name: name.to_owned(), metadata, spec: spec? })
}

/// Lists the metadata of a definition, which the files that refer to it lack.
pub(crate) fn list_metadata(reader: &mut Reader<'_>, metadata: &Fields<'_>, kind: &str) {
    for key in [metadata::DISPLAY_NAME, metadata::LABELS, metadata::ANNOTATIONS] {
        if let Some(at) = metadata.get(key) {
            reader.lost(
                &at,
                format!("`{}` of the {kind}", key.name),
                "only those of SLOs and services are kept",
            );
        }
    }
}

pub(crate) fn name_of(node: &Node) -> Option<&str> {
    let Value::Map(entries) = &node.value else { return None };
    scalar(&entries.iter().find(|(key, _)| key.name == "metadata")?.1, "name")
}
