//! SLO specs in OpenSLO v1, with the annotations that lookout adds.

use serde_json::{Value, json};

use super::Shape::{
    self, Annotations, Any, AnyOf, Below, Between, Const, Count, Duration, Filled, List, Map, Name, NonEmpty,
    Number, Object as Mapping, OneOf, Pattern, Single, Switch, Text, Word,
};
use super::{Key, Object, alerting, key, object, required};
use crate::schema::DURATION;

object! { document: "A document of OpenSLO." {
    API_VERSION = required("apiVersion", Const("openslo/v1"), "");
    KIND = required("kind", Text, "");
    METADATA = required("metadata", Mapping(metadata::OBJECT), "");
    SPEC = required("spec", Map(&Any), "");
} }

object! { slo_document: "SLO" {
    API_VERSION = document::API_VERSION;
    KIND = document::KIND.of(Const("SLO"));
    METADATA = document::METADATA.of(Mapping(slo_metadata::OBJECT));
    SPEC = document::SPEC.of(Mapping(slo::OBJECT));
} base: Some(document::OBJECT); }

object! { sli_document: "SLI" {
    API_VERSION = document::API_VERSION;
    KIND = document::KIND.of(Const("SLI"));
    METADATA = document::METADATA;
    SPEC = document::SPEC.of(Mapping(sli::OBJECT));
} base: Some(document::OBJECT); }

object! { service_document: "Service" {
    API_VERSION = document::API_VERSION;
    KIND = document::KIND.of(Const("Service"));
    METADATA = document::METADATA.of(Mapping(service_metadata::OBJECT));
    SPEC = document::SPEC.of(Mapping(service::OBJECT));
} base: Some(document::OBJECT); }

object! { metadata: "Its name, and what else is said about it." {
    NAME = required("name", Name, "Unique; part of ids and labels.");
    DISPLAY_NAME = key("displayName", Text, "For people.");
    LABELS = key("labels", Map(&AnyOf(&[Text, List(&Text)])), "Extra labels of generated rules.");
    ANNOTATIONS = key("annotations", Annotations(None), "");
} }

object! { slo_metadata: "Its name, and what else is said about it." {
    NAME = metadata::NAME;
    DISPLAY_NAME = metadata::DISPLAY_NAME;
    LABELS = metadata::LABELS;
    ANNOTATIONS = metadata::ANNOTATIONS.of(Annotations(Some(slo_annotations::OBJECT)));
} base: Some(metadata::OBJECT); }

object! { service_metadata: "Its name, and what else is said about it." {
    NAME = metadata::NAME;
    DISPLAY_NAME = metadata::DISPLAY_NAME;
    LABELS = metadata::LABELS;
    ANNOTATIONS = metadata::ANNOTATIONS.of(Annotations(Some(service_annotations::OBJECT)));
} base: Some(metadata::OBJECT); }

/// A number of events or slots, with or without quotes.
const NUMBER_OF: Shape = AnyOf(&[Count(0), Pattern("^ *[0-9]+ *$")]);

object! { slo_annotations: "lookout's own begin with `lookout.dev/`; all others are left alone." {
    TIERS = key("lookout.dev/tiers", Text, "When it calls: `page 1h/5m x14.4; ticket 1d/2h x3 for 10m`.");
    CONDITIONS = key("lookout.dev/conditions", Text, "When else it calls: `ticket budget-left 10%; page budget-drop 5% in 1h; ticket no-data 10m`.");
    MINIMUM_EVENTS = key("lookout.dev/minimum-events", NUMBER_OF, "");
    MINIMUM_BAD = key("lookout.dev/minimum-bad", NUMBER_OF, "");
    MINIMUM_SLOTS = key("lookout.dev/minimum-slots", NUMBER_OF, "");
    CONFIDENCE = key("lookout.dev/confidence", Text, "How sure a tier has to be before it calls: `98%`.");
    STALE_AFTER = key("lookout.dev/stale-after", Duration, "Without an observation for so long, data are missing.");
    DATA_ALERT = key("lookout.dev/data-alert", Word(&["page", "ticket", "off"]), "How missing data are told; `ticket` by default.");
    COMPOSITE = key("lookout.dev/composite", Word(&["worst-of", "weights"]), "How the components of a composite are joined; `weights` by default.");
    OBJECTIVE = key("lookout.dev/objective", AnyOf(&[Below(0.0, 100.0), Pattern("^ *[0-9]+(\\.[0-9]+)? *%? *$")]), "The objective of a composite, in percent; without it, those of its components are the yardstick.");
} }

object! { service_annotations: "lookout's own begin with `lookout.dev/`; all others are left alone." {
    OWNER = key("lookout.dev/owner", Text, "For people.");
} }

object! { service: "The service." {
    DESCRIPTION = key("description", Text, "For people.");
} }

object! { slo: "What is promised." {
    DESCRIPTION = key("description", Text, "What a bad event means to a user.");
    SERVICE = required("service", Name, "The service it belongs to.");
    INDICATOR = key("indicator", Mapping(inline_sli::OBJECT), "");
    INDICATOR_REF = key("indicatorRef", Text, "The name of an SLI.");
    TIME_WINDOW = required("timeWindow", Single(&Mapping(window::OBJECT)), "");
    BUDGETING_METHOD = required("budgetingMethod", Word(&["Occurrences", "Timeslices", "RatioTimeslices"]), "How the budget is counted.");
    OBJECTIVES = required("objectives", NonEmpty(&Mapping(objective::OBJECT)), "");
    ALERT_POLICIES = key("alertPolicies", List(&alerting::POLICY), "When it calls; each becomes tiers.");
} constraint: Some(indicator_here_or_in_objectives); }

/// One indicator of the SLO, or of a composite one in every objective.
fn indicator_here_or_in_objectives() -> Value {
    let one = |name: &str| json!({ "required": [name] });
    let (here, named) = (one(slo::INDICATOR.name), one(slo::INDICATOR_REF.name));
    let either = json!({ "anyOf": [here, named] });
    let composite = json!({ "not": either, "properties": { slo::OBJECTIVES.name: { "items": either } } });
    json!({ "oneOf": [here, named, composite] })
}

object! { objective: "The share of events that must be good." {
    DISPLAY_NAME = key("displayName", Text, "For people.");
    TARGET = key("target", Below(0.0, 1.0), "As a share.");
    TARGET_PERCENT = key("targetPercent", Below(0.0, 100.0), "As a percentage.");
    OP = key("op", Word(&["lte", "gte", "lt", "gt"]), "With the `value` of a threshold metric.");
    VALUE = key("value", Number, "");
    TIME_SLICE_TARGET = key("timeSliceTarget", Number, "");
    TIME_SLICE_WINDOW = key("timeSliceWindow", Text, "");
    INDICATOR = slo::INDICATOR;
    INDICATOR_REF = slo::INDICATOR_REF;
    COMPOSITE_WEIGHT = key("compositeWeight", Between(0.000_001, 1000.0), "How much a component counts beside the others; 1 by default.");
} choices: &[&[TARGET], &[TARGET_PERCENT]]; }

object! { window: "The period of the budget." {
    DURATION = required("duration", Filled, "Such as 30d; with a calendar a number of days, weeks, months, quarters or years, such as 1M.");
    IS_ROLLING = required("isRolling", Switch, "Whether it always ends now; otherwise it is one of the calendar.");
    CALENDAR = key("calendar", Mapping(calendar::OBJECT), "");
} constraint: Some(rolling_or_calendar); }

/// A rolling period without a calendar, or one of a calendar in its units.
fn rolling_or_calendar() -> Value {
    let (duration, rolling, calendar) =
        (window::DURATION.name, window::IS_ROLLING.name, window::CALENDAR.name);
    // a rolling month becomes days before it is judged
    let length = json!({ "anyOf": [{ "pattern": DURATION }, { "pattern": "^[0-9]+[MQY]$" }] });
    json!({ "oneOf": [
        {
            "properties": { rolling: { "const": true }, duration: length },
            "not": { "required": [calendar] },
        },
        {
            "properties": { rolling: { "const": false }, duration: { "pattern": "^[0-9]+[dwMQY]$" } },
            "required": [calendar],
        },
    ] })
}

object! { calendar: "When periods begin that do not roll." {
    START_TIME = key("startTime", Text, "A local time at which one begins, such as 2024-01-01 00:00:00.");
    TIME_ZONE = required("timeZone", Text, "An IANA time zone, such as Europe/Zurich.");
} }

object! { inline_sli: "The SLI itself." {
    METADATA = key("metadata", Mapping(metadata::OBJECT), "");
    SPEC = required("spec", Mapping(sli::OBJECT), "");
} }

object! { sli: "Where good and bad events come from." {
    DESCRIPTION = key("description", Text, "For people.");
    RATIO_METRIC = key("ratioMetric", Mapping(ratio::OBJECT), "");
    THRESHOLD_METRIC = key("thresholdMetric", Mapping(side::OBJECT), "");
} choices: &[&[RATIO_METRIC], &[THRESHOLD_METRIC]]; }

object! { ratio: "Two numbers of events, or a quotient of them." {
    COUNTER = key("counter", Switch, "Counters only grow.");
    GOOD = key("good", Mapping(side::OBJECT), "");
    BAD = key("bad", Mapping(side::OBJECT), "");
    TOTAL = key("total", Mapping(side::OBJECT), "");
    RAW = key("raw", Mapping(side::OBJECT), "");
    RAW_TYPE = key("rawType", Word(&["success", "failure"]), "What the quotient counts.");
} choices: &[&[GOOD, TOTAL], &[BAD, TOTAL], &[RAW, RAW_TYPE]]; }

object! { side: "One side of the ratio." {
    METRIC_SOURCE = required("metricSource", OneOf(&[
        Mapping(probe_source::OBJECT),
        Mapping(scrape_source::OBJECT),
        Mapping(prometheus_source::OBJECT),
        Mapping(openslo_source::OBJECT),
    ]), "");
} }

object! { source: "A source of events." {
    TYPE = required("type", Text, "");
    SPEC = required("spec", Map(&Any), "");
    METRIC_SOURCE_REF = key("metricSourceRef", Text, "");
} }

object! { probe_source: "A source of events." {
    TYPE = source::TYPE.of(Word(&["probe"]));
    SPEC = source::SPEC.of(Mapping(probe::OBJECT));
    METRIC_SOURCE_REF = source::METRIC_SOURCE_REF;
} base: Some(source::OBJECT); }

object! { scrape_source: "A source of events." {
    TYPE = source::TYPE.of(Word(&["scrape"]));
    SPEC = source::SPEC.of(Mapping(scrape::OBJECT));
    METRIC_SOURCE_REF = source::METRIC_SOURCE_REF;
} base: Some(source::OBJECT); }

object! { prometheus_source: "A source of events." {
    TYPE = source::TYPE.of(Word(&["prometheus", "Prometheus"]));
    SPEC = source::SPEC.of(Mapping(prometheus::OBJECT));
    METRIC_SOURCE_REF = source::METRIC_SOURCE_REF;
} base: Some(source::OBJECT); }

object! { openslo_source: "A source of events." {
    TYPE = source::TYPE.of(Word(&["prometheus", "Prometheus"])).optional();
    SPEC = source::SPEC.of(Mapping(query::OBJECT));
    METRIC_SOURCE_REF = source::METRIC_SOURCE_REF.about("The name of a DataSource, or of one of `prometheus` in lookout.yaml.");
} base: Some(source::OBJECT); }

object! { probe: "Probes of a target." {
    TARGET = required("target", Text, "One of `targets` in lookout.yaml.");
    OUTCOME = key("outcome", Const("ok"), "Only those that met all expectations.");
} }

object! { scrape: "Counters or a histogram of a scraped neighbour." {
    SOURCE = required("source", Text, "One of `scrapes` in lookout.yaml.");
    SELECTOR = key("selector", Text, "Which series count, like `requests_total{code=~\"5..\"}`.");
    HISTOGRAM = key("histogram", Text, "A histogram without suffix, like `request_duration_seconds{route=\"/\"}`.");
    THRESHOLD = key("threshold", Duration, "Only its events up to this bound.");
} choices: &[&[SELECTOR], &[HISTOGRAM]]; }

object! { prometheus: "Queries against a Prometheus server." {
    SOURCE = required("source", Text, "One of `prometheus` in lookout.yaml.");
    QUERY = required("query", Text, "A selector of counters, or an expression with `[{{.window}}]`.");
} }

object! { query: "The query." {
    QUERY = key("query", Text, "A selector of counters, or an expression over a range.");
    PROMQL = key("promql", Text, "A selector of counters, or an expression over a range.");
    EXPR = key("expr", Text, "A selector of counters, or an expression over a range.");
} open: true; constraint: Some(some_query_without_source); }

/// At least one spelling of the query, and no server of lookout's own.
fn some_query_without_source() -> Value {
    let any = query::OBJECT.keys.iter().map(|key| json!({ "required": [key.name] }));
    json!({ "anyOf": any.collect::<Vec<_>>(), "not": { "required": [prometheus::SOURCE.name] } })
}
