//! The kinds of OpenSLO that others refer to: alerting and data sources.

use super::Shape::{
    self, Any, AnyOf, Const, Duration, List, Map, Name, NonEmpty, Number, Object as Mapping, Switch, Text,
    Word,
};
use super::agent::server;
use super::openslo::{document, metadata};
use super::{Key, Object, key, object, required};

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

object! { definition_metadata: "Its name, and what else is said about it." {
    NAME = required("name", Name, "What others refer to.");
    DISPLAY_NAME = metadata::DISPLAY_NAME;
    LABELS = key("labels", Map(&Any), "");
    ANNOTATIONS = key("annotations", Map(&Any), "");
} base: Some(metadata::OBJECT); }

object! { reference: "A reference, or the thing itself." {
    API_VERSION = document::API_VERSION.optional().unread();
    KIND = document::KIND.optional();
    METADATA = key("metadata", Mapping(definition_metadata::OBJECT), "");
    SPEC = key("spec", Map(&Any), "");
} }

object! { policy_reference: "A reference, or the thing itself." {
    API_VERSION = reference::API_VERSION;
    KIND = reference::KIND;
    METADATA = reference::METADATA;
    SPEC = reference::SPEC.of(Mapping(policy::OBJECT));
    ALERT_POLICY_REF = key("alertPolicyRef", Text, "The name of one that is declared.");
} choices: &[&[ALERT_POLICY_REF], &[SPEC]]; base: Some(reference::OBJECT); }

object! { condition_reference: "A reference, or the thing itself." {
    API_VERSION = reference::API_VERSION;
    KIND = reference::KIND;
    METADATA = reference::METADATA;
    SPEC = reference::SPEC.of(Mapping(condition::OBJECT));
    CONDITION_REF = key("conditionRef", Text, "The name of one that is declared.");
} choices: &[&[CONDITION_REF], &[SPEC]]; base: Some(reference::OBJECT); }

object! { target_reference: "A reference, or the thing itself." {
    API_VERSION = reference::API_VERSION;
    KIND = reference::KIND;
    METADATA = reference::METADATA;
    SPEC = reference::SPEC.of(Mapping(notification_target::OBJECT));
    TARGET_REF = key("targetRef", Text, "The name of one that is declared.");
} choices: &[&[TARGET_REF], &[SPEC]]; base: Some(reference::OBJECT); }

object! { policy: "When somebody is called, and who." {
    DESCRIPTION = key("description", Text, "For people.");
    ALERT_WHEN_NO_DATA = key("alertWhenNoData", Switch, "Whether missing data are told.");
    ALERT_WHEN_BREACHING = key("alertWhenBreaching", Switch, "Whether the conditions call.");
    ALERT_WHEN_RESOLVED = key("alertWhenResolved", Switch, "Whether the end is told; lookout always does.");
    CONDITIONS = required("conditions", NonEmpty(&AnyOf(&[Text, Mapping(condition_reference::OBJECT)])), "One, or a long and a short window of one severity.");
    NOTIFICATION_TARGETS = key("notificationTargets", List(&AnyOf(&[Text, Mapping(target_reference::OBJECT)])), "Destinations, by name.");
} }

object! { condition: "On what an alert policy calls." {
    DESCRIPTION = key("description", Text, "For people.");
    SEVERITY = required("severity", Shape::Scalar, "`page` or `ticket`.");
    CONDITION = required("condition", Mapping(burn_rate::OBJECT), "");
} }

object! { burn_rate: "A burn rate over a window." {
    KIND = required("kind", Word(&["burnrate", "burnRate"]), "");
    OP = key("op", Word(&["lte", "gte", "lt", "gt"]), "`gte` or `gt`; the others are turned round.");
    THRESHOLD = required("threshold", Number, "The factor, like 14.4.");
    LOOKBACK_WINDOW = required("lookbackWindow", Duration, "Such as 1h.");
    ALERT_AFTER = key("alertAfter", Duration, "How long it has to hold.");
} }

object! { notification_target: "Who is told: a destination of lookout.yaml, by name." {
    DESCRIPTION = key("description", Text, "For people.");
    TARGET = required("target", Text, "What it is, like `slack`.");
} }

object! { data_source: "A server; the type `prometheus` is read." {
    DESCRIPTION = key("description", Text, "For people.");
    TYPE = required("type", Text, "`prometheus`.");
    CONNECTION_DETAILS = key("connectionDetails", Mapping(connection::OBJECT), "How it is reached, with the keys of `prometheus` in lookout.yaml; no secrets.");
} }

object! { connection: "How a data source is reached." {
    URL = key("url", Text, "What stands before /api/v1.");
} open: true; base: Some(server::OBJECT); }
