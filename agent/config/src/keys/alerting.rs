//! The kinds of OpenSLO that others refer to: alerting and data sources.

use super::Shape::{
    self, Any, AnyOf, Const, Duration, List, Map, Name, NonEmpty, Number, Object as Mapping, Switch, Text,
    Word,
};
use super::declaration::{key, object, required};
use super::document::{document, metadata};
use super::server::server;
use super::{Key, Object};

/// An alert policy: its name, a reference, or the policy itself.
pub(crate) const POLICY: Shape = AnyOf(&[Text, Mapping(policy_reference::OBJECT)]);

object! { policy_document: "AlertPolicy" {
    API_VERSION = document::API_VERSION;
    KIND = document::KIND.of(Const("AlertPolicy"));
    METADATA = document::METADATA.of(Mapping(definition_metadata::OBJECT));
    SPEC = document::SPEC.of(Mapping(policy::OBJECT));
} base: Some(document::OBJECT); }

object! { condition_document: "AlertCondition" {
    API_VERSION = document::API_VERSION;
    KIND = document::KIND.of(Const("AlertCondition"));
    METADATA = document::METADATA.of(Mapping(definition_metadata::OBJECT));
    SPEC = document::SPEC.of(Mapping(condition::OBJECT));
} base: Some(document::OBJECT); }

object! { target_document: "AlertNotificationTarget" {
    API_VERSION = document::API_VERSION;
    KIND = document::KIND.of(Const("AlertNotificationTarget"));
    METADATA = document::METADATA.of(Mapping(definition_metadata::OBJECT));
    SPEC = document::SPEC.of(Mapping(notification_target::OBJECT));
} base: Some(document::OBJECT); }

object! { data_source_document: "DataSource" {
    API_VERSION = document::API_VERSION;
    KIND = document::KIND.of(Const("DataSource"));
    METADATA = document::METADATA.of(Mapping(definition_metadata::OBJECT));
    SPEC = document::SPEC.of(Mapping(data_source::OBJECT));
} base: Some(document::OBJECT); }

object! { definition_metadata: "Name, labels and annotations." {
    NAME = required("name", Name, "Name that others refer to.");
    DISPLAY_NAME = metadata::DISPLAY_NAME;
    LABELS = key("labels", Map(&Any), "");
    ANNOTATIONS = key("annotations", Map(&Any), "");
} base: Some(metadata::OBJECT); }

object! { reference: "A reference or a definition." {
    API_VERSION = document::API_VERSION.optional().unread();
    KIND = document::KIND.optional();
    METADATA = key("metadata", Mapping(definition_metadata::OBJECT), "");
    SPEC = key("spec", Map(&Any), "");
} }

object! { policy_reference: "A reference or a definition." {
    API_VERSION = reference::API_VERSION;
    KIND = reference::KIND;
    METADATA = reference::METADATA;
    SPEC = reference::SPEC.of(Mapping(policy::OBJECT));
    ALERT_POLICY_REF = key("alertPolicyRef", Text, "Name of a definition.");
} choices: &[&[ALERT_POLICY_REF], &[SPEC]]; base: Some(reference::OBJECT); }

object! { condition_reference: "A reference or a definition." {
    API_VERSION = reference::API_VERSION;
    KIND = reference::KIND;
    METADATA = reference::METADATA;
    SPEC = reference::SPEC.of(Mapping(condition::OBJECT));
    CONDITION_REF = key("conditionRef", Text, "Name of a definition.");
} choices: &[&[CONDITION_REF], &[SPEC]]; base: Some(reference::OBJECT); }

object! { target_reference: "A reference or a definition." {
    API_VERSION = reference::API_VERSION;
    KIND = reference::KIND;
    METADATA = reference::METADATA;
    SPEC = reference::SPEC.of(Mapping(notification_target::OBJECT));
    TARGET_REF = key("targetRef", Text, "Name of a definition.");
} choices: &[&[TARGET_REF], &[SPEC]]; base: Some(reference::OBJECT); }

object! { policy: "Conditions of an alert, and its receivers." {
    DESCRIPTION = key("description", Text, "Text for people.");
    ALERT_WHEN_NO_DATA = key("alertWhenNoData", Switch, "Whether missing data alert.");
    ALERT_WHEN_BREACHING = key("alertWhenBreaching", Switch, "Whether the conditions alert.");
    ALERT_WHEN_RESOLVED = key("alertWhenResolved", Switch, "Whether the end of an incident is sent. lookout always sends it.");
    CONDITIONS = required("conditions", NonEmpty(&AnyOf(&[Text, Mapping(condition_reference::OBJECT)])), "One condition, or a long and a short window of one severity.");
    NOTIFICATION_TARGETS = key("notificationTargets", List(&AnyOf(&[Text, Mapping(target_reference::OBJECT)])), "Destinations by name.");
} }

object! { condition: "A condition of an alert policy." {
    DESCRIPTION = key("description", Text, "Text for people.");
    SEVERITY = required("severity", Shape::Scalar, "`page` or `ticket`.");
    CONDITION = required("condition", Mapping(burn_rate::OBJECT), "");
} }

object! { burn_rate: "A burn rate over a window." {
    KIND = required("kind", Word(&["burnrate", "burnRate"]), "");
    OP = key("op", Word(&["lte", "gte", "lt", "gt"]), "`gte` or `gt`; `lte` and `lt` are read as their opposites.");
    THRESHOLD = required("threshold", Number, "Burn rate, like 14.4.");
    LOOKBACK_WINDOW = required("lookbackWindow", Duration, "Window, like `1h`.");
    ALERT_AFTER = key("alertAfter", Duration, "Time for which the condition must hold.");
} }

object! { notification_target: "A receiver: a destination of lookout.yaml by name." {
    DESCRIPTION = key("description", Text, "Text for people.");
    TARGET = required("target", Text, "Kind of receiver, like `slack`.");
} }

object! { data_source: "A data source. Only the type `prometheus` is read." {
    DESCRIPTION = key("description", Text, "Text for people.");
    TYPE = required("type", Text, "`prometheus`.");
    CONNECTION_DETAILS = key("connectionDetails", Mapping(connection::OBJECT), "Connection, with the keys of `prometheus` in lookout.yaml, without secrets.");
} }

object! { connection: "Connection to a data source." {
    URL = key("url", Text, "Base URL, without `/api/v1`.");
} open: true; base: Some(server::OBJECT); }
