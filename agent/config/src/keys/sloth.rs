//! Sloth's `prometheus/v1`, its `PrometheusServiceLevel` and its `AlertWindows`.

use super::Shape::{
    Any, Below, Between, Const, Duration, List, Map, Number, Object as Mapping, Switch, Text,
};
use super::declaration::{key, object, required};
use super::kubernetes::kubernetes_object;
use super::{Key, Object};

object! { sloth_file: "A spec of Sloth." {
    VERSION = required("version", Const("prometheus/v1"), "").unread();
    SERVICE = required("service", Text, "The service of all SLOs.");
    LABELS = key("labels", Map(&Any), "Labels of all SLOs.");
    SLO_PLUGINS = key("slo_plugins", Mapping(plugins::OBJECT), "");
    SLOS = required("slos", List(&Mapping(snake::slo::OBJECT)), "The SLOs.");
} }

object! { sloth_object: "PrometheusServiceLevel" {
    API_VERSION = kubernetes_object::API_VERSION.of(Const("sloth.slok.dev/v1"));
    KIND = kubernetes_object::KIND.of(Const("PrometheusServiceLevel"));
    METADATA = kubernetes_object::METADATA;
    SPEC = kubernetes_object::SPEC.of(Mapping(object_spec::OBJECT));
    STATUS = kubernetes_object::STATUS;
} base: Some(kubernetes_object::OBJECT); }

object! { object_spec: "SLOs of one service." {
    SERVICE = sloth_file::SERVICE;
    LABELS = sloth_file::LABELS;
    SLO_PLUGINS = key("sloPlugins", Mapping(plugins::OBJECT), "");
    SLOS = required("slos", List(&Mapping(camel::slo::OBJECT)), "The SLOs.");
} }

object! { plugins: "Plugins of Sloth. lookout lists them and runs none." {
    OVERRIDE_PREVIOUS = key("overridePrevious", Switch, "Whether plugins of the level above are left out.").unread();
    CHAIN = key("chain", List(&Mapping(plugin::OBJECT)), "The plugins.");
} }

object! { plugin: "A plugin of Sloth." {
    ID = required("id", Text, "Name of the plugin.");
    CONFIG = key("config", Map(&Any), "Options of the plugin.").unread();
    PRIORITY = key("priority", Number, "Order of the plugin.").unread();
} }

/// The part of a spec that a file spells in snake case and an object of Kubernetes in camel case.
pub(crate) struct Spelling {
    pub(crate) slo_plugins: Key,
    pub(crate) slo: &'static Object,
    pub(crate) sli: &'static Object,
    pub(crate) events: &'static Object,
    pub(crate) error_query: Key,
    pub(crate) total_query: Key,
    pub(crate) raw: &'static Object,
    pub(crate) error_ratio_query: Key,
    pub(crate) alerting: &'static Object,
    pub(crate) page_alert: Key,
    pub(crate) ticket_alert: Key,
}

/// Declares that part in one spelling.
macro_rules! spelling {
    ($module:ident: $slo_plugins:expr, $error:literal, $total:literal, $ratio:literal, $page:literal, $ticket:literal) => {
        pub(crate) mod $module {
            use super::*;

            object! { slo: "An SLO." {
                NAME = required("name", Text, "Name of the SLO.");
                OBJECTIVE = required("objective", Below(0.0, 100.0), "A percentage.");
                DESCRIPTION = key("description", Text, "Text for people.");
                LABELS = key("labels", Map(&Any), "Labels.");
                PLUGINS = key("plugins", Mapping(plugins::OBJECT), "");
                SLI = required("sli", Mapping(sli::OBJECT), "");
                ALERTING = key("alerting", Mapping(alerting::OBJECT), "");
            } }

            object! { sli: "Source of good and bad events." {
                EVENTS = key("events", Mapping(events::OBJECT), "");
                RAW = key("raw", Mapping(raw::OBJECT), "");
                PLUGIN = key("plugin", Mapping(sli_plugin::OBJECT), "");
            } choices: &[&[EVENTS], &[RAW], &[PLUGIN]]; }

            object! { events: "Two queries with `[{{.window}}]`." {
                ERROR_QUERY = required($error, Text, "Bad events.");
                TOTAL_QUERY = required($total, Text, "All events.");
            } }

            object! { raw: "A quotient of two counts." {
                ERROR_RATIO_QUERY = required($ratio, Text, "Bad events over all events.");
            } }

            object! { alerting: "The alerts." {
                NAME = key("name", Text, "Name of both alerts.");
                LABELS = key("labels", Map(&Any), "Labels of both alerts.");
                ANNOTATIONS = key("annotations", Map(&Any), "Annotations of both alerts.");
                PAGE_ALERT = key($page, Mapping(alert::OBJECT), "");
                TICKET_ALERT = key($ticket, Mapping(alert::OBJECT), "");
            } }

            pub(crate) static SPELLING: Spelling = Spelling {
                slo_plugins: $slo_plugins,
                slo: slo::OBJECT,
                sli: sli::OBJECT,
                events: events::OBJECT,
                error_query: events::ERROR_QUERY,
                total_query: events::TOTAL_QUERY,
                raw: raw::OBJECT,
                error_ratio_query: raw::ERROR_RATIO_QUERY,
                alerting: alerting::OBJECT,
                page_alert: alerting::PAGE_ALERT,
                ticket_alert: alerting::TICKET_ALERT,
            };
        }
    };
}

spelling! { snake: sloth_file::SLO_PLUGINS, "error_query", "total_query", "error_ratio_query", "page_alert", "ticket_alert" }
spelling! { camel: object_spec::SLO_PLUGINS, "errorQuery", "totalQuery", "errorRatioQuery", "pageAlert", "ticketAlert" }

object! { sli_plugin: "Queries made by a plugin of Sloth. `check` refuses them." {
    ID = required("id", Text, "Name of the plugin.");
    OPTIONS = key("options", Map(&Any), "Options of the plugin.").unread();
} }

object! { alert: "One of the two alerts." {
    DISABLE = key("disable", Switch, "Whether the alert is off.");
    LABELS = key("labels", Map(&Any), "Labels.");
    ANNOTATIONS = key("annotations", Map(&Any), "Annotations.");
} }

object! { alert_windows: "Sloth's windows for one period." {
    API_VERSION = required("apiVersion", Const("sloth.slok.dev/v1"), "").unread();
    KIND = required("kind", Const("AlertWindows"), "").unread();
    METADATA = key("metadata", Map(&Any), "").unread();
    SPEC = required("spec", Mapping(windows::OBJECT), "");
} }

object! { windows: "Alert windows of SLOs with one period." {
    SLO_PERIOD = required("sloPeriod", Duration, "Period, like `30d`.");
    PAGE = required("page", Mapping(pair::OBJECT), "");
    TICKET = required("ticket", Mapping(pair::OBJECT), "");
} }

object! { pair: "Two tiers of one severity." {
    QUICK = required("quick", Mapping(tier::OBJECT), "");
    SLOW = required("slow", Mapping(tier::OBJECT), "");
} }

object! { tier: "A long and a short window." {
    ERROR_BUDGET_PERCENT = required("errorBudgetPercent", Between(0.0, 100.0), "Share of the error budget, in percent.");
    SHORT_WINDOW = required("shortWindow", Duration, "Short window, like `5m`.");
    LONG_WINDOW = required("longWindow", Duration, "Long window, like `1h`.");
} }
