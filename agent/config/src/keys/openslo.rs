//! SLO specs in OpenSLO v1, with the annotations that lookout adds.

use serde_json::{Value, json};

use super::Shape::{
    self, Annotations, Any, AnyOf, Below, Between, Const, Count, Duration, Filled, List, Map, Name, NonEmpty,
    Number, Object as Mapping, OneOf, Pattern, Single, Switch, Text, Whole, Word,
};
use super::declaration::{key, object, required};
use super::document::{document, metadata};
use super::{DURATION, Key, Object, alerting};

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

object! { slo_metadata: "Name, labels and annotations." {
    NAME = metadata::NAME;
    DISPLAY_NAME = metadata::DISPLAY_NAME;
    LABELS = metadata::LABELS;
    ANNOTATIONS = metadata::ANNOTATIONS.of(Annotations(Some(slo_annotations::OBJECT)));
} base: Some(metadata::OBJECT); }

object! { service_metadata: "Name, labels and annotations." {
    NAME = metadata::NAME;
    DISPLAY_NAME = metadata::DISPLAY_NAME;
    LABELS = metadata::LABELS;
    ANNOTATIONS = metadata::ANNOTATIONS.of(Annotations(Some(service_annotations::OBJECT)));
} base: Some(metadata::OBJECT); }

/// A number of events or slots, with or without quotes.
const NUMBER_OF: Shape = AnyOf(&[Count(0), Pattern("^ *[0-9]+ *$")]);

object! { slo_annotations: "Annotations of lookout begin with `lookout.dev/`. Others are ignored." {
    TIERS = key("lookout.dev/tiers", Text, "Tiers: severity, long and short window, burn rate: `page 1h/5m x14.4; ticket 1d/2h x3 for 10m`.");
    CONDITIONS = key("lookout.dev/conditions", Text, "Further alert conditions: `ticket budget-left 10%; page budget-drop 5% in 1h; ticket no-data 10m`.");
    MINIMUM_EVENTS = key("lookout.dev/minimum-events", NUMBER_OF, "Least number of events in the long window before a tier fires.").default("0");
    MINIMUM_BAD = key("lookout.dev/minimum-bad", NUMBER_OF, "Least number of bad events in the long window before a tier fires.").default("3");
    MINIMUM_SLOTS = key("lookout.dev/minimum-slots", NUMBER_OF, "Least number of slots with bad events in the long window before a tier fires.").default("1");
    CONFIDENCE = key("lookout.dev/confidence", Text, "Confidence that a tier needs before it fires: `98%`.");
    STALE_AFTER = key("lookout.dev/stale-after", Duration, "Time without an observation after which data are missing. Three rounds of the source when it is missing.");
    DATA_ALERT = key("lookout.dev/data-alert", Word(&["page", "ticket", "off"]), "Severity of the alert for missing data. `off` when a condition `no-data` is there.").default("ticket");
    COMPOSITE = key("lookout.dev/composite", Word(&["worst-of", "weights"]), "Way in which the components of a composite are joined.").default("weights");
    EXPECTED_RATE = key("lookout.dev/expected-rate", Text, "Events that are expected, like `600/m`. The rate of probes is known; of counters `10/s` is assumed.");
    PAGE_WITHIN = key("lookout.dev/page-within", AnyOf(&[Const("off"), Duration]), "Time within which a total outage must page, or with its third event.").default("5m");
    IDLE = key("lookout.dev/idle", Word(&["page", "ticket", "normal"]), "Severity of the alert for a source that shows no events for an hour, or for twenty times the usual time between two. `normal` for none, and the gate lets changes through then.").default("ticket");
    GATE_MINIMUM_OBSERVED = key("lookout.dev/gate-minimum-observed", Duration, "Time that must have been observed before the gate allows a change. That of `gate` in lookout.yaml when it is missing.");
    GATE_MINIMUM_EVENTS = key("lookout.dev/gate-minimum-events", NUMBER_OF, "Events that must have been seen before the gate allows a change. That of `gate` in lookout.yaml when it is missing.");
    TIME_ZONE = key("lookout.dev/time-zone", Text, "IANA time zone of a condition on `traffic`.").default("UTC");
    OBJECTIVE = key("lookout.dev/objective", AnyOf(&[Below(0.0, 100.0), Pattern("^ *[0-9]+(\\.[0-9]+)? *%? *$")]), "Objective of a composite, in percent. The strictest of its components when it is missing.");
} }

object! { service_annotations: "Annotations of lookout begin with `lookout.dev/`. Others are ignored." {
    OWNER = key("lookout.dev/owner", Text, "Team that owns the service.");
} }

object! { service: "The service." {
    DESCRIPTION = key("description", Text, "Text for people.");
} }

object! { slo: "The objective and its indicator." {
    DESCRIPTION = key("description", Text, "Meaning of a bad event for a user.");
    SERVICE = required("service", Name, "Service that the SLO belongs to.");
    INDICATOR = key("indicator", Mapping(inline_sli::OBJECT), "");
    INDICATOR_REF = key("indicatorRef", Text, "Name of an SLI.");
    TIME_WINDOW = required("timeWindow", Single(&Mapping(window::OBJECT)), "");
    BUDGETING_METHOD = required("budgetingMethod", Word(&["Occurrences", "Timeslices", "RatioTimeslices"]), "Method by which the budget is counted.");
    OBJECTIVES = required("objectives", NonEmpty(&Mapping(objective::OBJECT)), "");
    ALERT_POLICIES = key("alertPolicies", List(&alerting::POLICY), "Alert policies; each becomes tiers.");
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
    DISPLAY_NAME = key("displayName", Text, "Text for people.");
    TARGET = key("target", Below(0.0, 1.0), "Objective as a share of one.");
    TARGET_PERCENT = key("targetPercent", Below(0.0, 100.0), "Objective in percent.");
    OP = key("op", Word(&["lte", "gte", "lt", "gt"]), "Comparison with `value`, for a threshold metric.");
    VALUE = key("value", Number, "Threshold, for a threshold metric.");
    TIME_SLICE_TARGET = key("timeSliceTarget", Number, "Share of good events that makes a slice good.");
    TIME_SLICE_WINDOW = key("timeSliceWindow", Text, "Length of a slice.");
    INDICATOR = slo::INDICATOR;
    INDICATOR_REF = slo::INDICATOR_REF;
    COMPOSITE_WEIGHT = key("compositeWeight", Between(0.000_001, 1000.0), "Weight of a component.").default("1");
} choices: &[&[TARGET], &[TARGET_PERCENT]]; }

object! { window: "The period of the budget." {
    DURATION = required("duration", Filled, "Length, like `30d`. With a calendar: days, weeks, months, quarters or years, like `1M`.");
    IS_ROLLING = required("isRolling", Switch, "Whether the period always ends now. A period of the calendar otherwise.");
    CALENDAR = key("calendar", Mapping(calendar::OBJECT), "");
} constraint: Some(rolling_or_calendar); }

/// Returns a rolling period without a calendar, or one of a calendar in its units.
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

object! { calendar: "Begin of the periods of a calendar." {
    START_TIME = key("startTime", Text, "Local time at which one period begins.").default("2024-01-01 00:00:00");
    TIME_ZONE = required("timeZone", Text, "IANA time zone, like `Europe/Zurich`.");
} }

object! { inline_sli: "An SLI." {
    METADATA = key("metadata", Mapping(metadata::OBJECT), "");
    SPEC = required("spec", Mapping(sli::OBJECT), "");
} }

object! { sli: "Source of good and bad events." {
    DESCRIPTION = key("description", Text, "Text for people.");
    RATIO_METRIC = key("ratioMetric", Mapping(ratio::OBJECT), "");
    THRESHOLD_METRIC = key("thresholdMetric", Mapping(side::OBJECT), "");
} choices: &[&[RATIO_METRIC], &[THRESHOLD_METRIC]]; }

object! { ratio: "Two numbers of events, or a quotient of them." {
    COUNTER = key("counter", Switch, "Whether the metrics are counters. lookout needs counters.");
    GOOD = key("good", Mapping(side::OBJECT), "");
    BAD = key("bad", Mapping(side::OBJECT), "");
    TOTAL = key("total", Mapping(side::OBJECT), "");
    RAW = key("raw", Mapping(side::OBJECT), "");
    RAW_TYPE = key("rawType", Word(&["success", "failure"]), "Kind of events that the quotient counts.");
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
    OUTCOME = key("outcome", Const("ok"), "Count only probes that met all expectations.");
    CERTIFICATE_DAYS = key("certificate_days", Whole(1, 3650), "Count only probes after which the certificate is valid for so many days.");
} }

object! { scrape: "Counters or a histogram of one of `scrapes`." {
    SOURCE = required("source", Text, "One of `scrapes` in lookout.yaml.");
    SELECTOR = key("selector", Text, "Series that count, like `requests_total{code=~\"5..\"}`.");
    HISTOGRAM = key("histogram", Text, "Histogram, without suffix, like `request_duration_seconds{route=\"/\"}`.");
    THRESHOLD = key("threshold", Duration, "Count only events up to this bound.");
} choices: &[&[SELECTOR], &[HISTOGRAM]]; }

object! { prometheus: "A query to a Prometheus server." {
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
