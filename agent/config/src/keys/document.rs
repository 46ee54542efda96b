//! The keys of every document of OpenSLO.

use super::Shape::{Annotations, Any, AnyOf, Const, List, Map, Name, Object as Mapping, Text};
use super::declaration::{key, object, required};
use super::{Key, Object};

object! { document: "A document of OpenSLO." {
    API_VERSION = required("apiVersion", Const("openslo/v1"), "");
    KIND = required("kind", Text, "");
    METADATA = required("metadata", Mapping(metadata::OBJECT), "");
    SPEC = required("spec", Map(&Any), "");
} }

object! { metadata: "Name, labels and annotations." {
    NAME = required("name", Name, "Unique name; part of ids and labels.");
    DISPLAY_NAME = key("displayName", Text, "Text for people.");
    LABELS = key("labels", Map(&AnyOf(&[Text, List(&Text)])), "Extra labels of generated rules.");
    ANNOTATIONS = key("annotations", Annotations(None), "");
} }
