//! Objects of Kubernetes, as the specs of other tools come in.

use super::Shape::{Any, Map, Object as Mapping, Text};
use super::declaration::{key, object, required};
use super::{Key, Object};

object! { kubernetes_object: "An object of Kubernetes." {
    API_VERSION = required("apiVersion", Text, "").unread();
    KIND = required("kind", Text, "").unread();
    METADATA = required("metadata", Mapping(object_metadata::OBJECT), "");
    SPEC = required("spec", Map(&Any), "");
    STATUS = key("status", Any, "").unread();
} }

object! { object_metadata: "Name, namespace, labels and annotations." {
    NAME = required("name", Text, "Name of the object.");
    NAMESPACE = key("namespace", Text, "Namespace of the object.");
    LABELS = key("labels", Map(&Any), "Labels of the object.");
    ANNOTATIONS = key("annotations", Map(&Any), "Annotations of the object.");
    CREATION_TIMESTAMP = key("creationTimestamp", Any, "").unread();
    FINALIZERS = key("finalizers", Any, "").unread();
    GENERATE_NAME = key("generateName", Any, "").unread();
    GENERATION = key("generation", Any, "").unread();
    MANAGED_FIELDS = key("managedFields", Any, "").unread();
    OWNER_REFERENCES = key("ownerReferences", Any, "").unread();
    RESOURCE_VERSION = key("resourceVersion", Any, "").unread();
    SELF_LINK = key("selfLink", Any, "").unread();
    UID = key("uid", Any, "").unread();
} }
