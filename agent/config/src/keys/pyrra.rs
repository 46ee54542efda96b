//! Pyrra's `ServiceLevelObjective`.

use super::Shape::{Any, Const, Duration, List, Map, Object as Mapping, Scalar, Switch, Text};
use super::declaration::{key, object, required};
use super::kubernetes::kubernetes_object;
use super::{Key, Object};

object! { pyrra_object: "ServiceLevelObjective" {
    API_VERSION = kubernetes_object::API_VERSION.of(Const("pyrra.dev/v1alpha1"));
    KIND = kubernetes_object::KIND.of(Const("ServiceLevelObjective"));
    METADATA = kubernetes_object::METADATA;
    SPEC = kubernetes_object::SPEC.of(Mapping(spec::OBJECT));
    STATUS = kubernetes_object::STATUS;
} base: Some(kubernetes_object::OBJECT); }

object! { spec: "The objective and its indicator." {
    TARGET = required("target", Scalar, "A percentage, like `\"99.9\"`.");
    WINDOW = required("window", Duration, "Period, like `4w`.");
    DESCRIPTION = key("description", Text, "Text for people.");
    INDICATOR = required("indicator", Mapping(indicator::OBJECT), "");
    ALERTING = key("alerting", Mapping(alerting::OBJECT), "");
    PERFORMANCE_OVER_ACCURACY = key("performanceOverAccuracy", Switch, "A setting of Pyrra's rules.");
    RULE_OUTPUT = key("ruleOutput", Map(&Any), "Labels of Pyrra's rules.");
    PARTIAL_RESPONSE_STRATEGY = key("partial_response_strategy", Text, "A setting of Thanos.");
} }

object! { alerting: "The alerts." {
    BURNRATES = key("burnrates", Switch, "Whether burn rates alert.");
    ABSENT = key("absent", Switch, "Whether missing data alert.");
    NAME = key("name", Text, "Name of the alert.");
    ABSENT_NAME = key("absentName", Text, "Name of the alert for missing data.");
    SEVERITIES = key("severities", Mapping(severities::OBJECT), "");
    DISABLED = key("disabled", Switch, "Whether all alerts are off.");
} }

object! { severities: "The severity of each alert." {
    ABSENT = key("absent", Text, "A severity.");
    FAST_BURN = key("fastBurn", Text, "A severity.");
    MEDIUM_BURN = key("mediumBurn", Text, "A severity.");
    SLOW_BURN = key("slowBurn", Text, "A severity.");
    LONG_TERM_BURN = key("longTermBurn", Text, "A severity.");
} }

object! { indicator: "Source of good and bad events." {
    RATIO = key("ratio", Mapping(ratio::OBJECT), "");
    LATENCY = key("latency", Mapping(latency::OBJECT), "");
    LATENCY_NATIVE = key("latencyNative", Mapping(native::OBJECT), "");
    BOOL_GAUGE = key("bool_gauge", Mapping(gauge::OBJECT), "");
} choices: &[&[RATIO], &[LATENCY], &[LATENCY_NATIVE], &[BOOL_GAUGE]]; }

object! { ratio: "Two counters." {
    ERRORS = required("errors", Mapping(metric::OBJECT), "");
    TOTAL = required("total", Mapping(metric::OBJECT), "");
    GROUPING = key("grouping", List(&Text), "Labels by which Pyrra makes one SLO per value.");
} }

object! { latency: "Two counters." {
    SUCCESS = required("success", Mapping(metric::OBJECT), "");
    TOTAL = ratio::TOTAL;
    GROUPING = ratio::GROUPING;
} }

object! { native: "A native histogram." {
    LATENCY = required("latency", Duration, "The bound.");
    TOTAL = ratio::TOTAL;
    GROUPING = ratio::GROUPING;
} }

object! { gauge: "A gauge that is 0 or 1." {
    METRIC = metric::METRIC;
    GROUPING = ratio::GROUPING;
} }

object! { metric: "A selector of series." {
    METRIC = required("metric", Text, "A selector, like `requests_total{code=~\"5..\"}`.");
} }
