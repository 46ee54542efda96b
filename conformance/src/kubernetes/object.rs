//! One object of a build, and questions to it.

use serde_json::Value;

/// An object that would be applied.
#[derive(Debug, Clone)]
pub(super) struct Object(Value);

impl Object {
    pub(super) fn new(value: Value) -> Self {
        Self(value)
    }

    pub(super) fn value(&self) -> &Value {
        &self.0
    }

    /// Returns the text at a JSON pointer; empty when there is none.
    pub(super) fn text(&self, pointer: &str) -> &str {
        text(&self.0, pointer)
    }

    pub(super) fn at(&self, pointer: &str) -> &Value {
        at(&self.0, pointer)
    }

    pub(super) fn api_version(&self) -> &str {
        self.text("/apiVersion")
    }

    pub(super) fn kind(&self) -> &str {
        self.text("/kind")
    }

    pub(super) fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// As people write it.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.kind(), self.name())
    }

    /// The template of its pods, or itself when it is one.
    pub(super) fn pod(&self) -> Option<&Value> {
        match self.kind() {
            "Deployment" | "StatefulSet" | "DaemonSet" | "Job" | "ReplicaSet" => {
                Some(self.at("/spec/template"))
            }
            "CronJob" => Some(self.at("/spec/jobTemplate/spec/template")),
            "Pod" => Some(&self.0),
            _ => None,
        }
    }
}

/// Returns the value at a JSON pointer; null when there is none.
pub(super) fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

/// Returns the text at a JSON pointer; empty when it is none.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    at(value, pointer).as_str().unwrap_or_default()
}

/// The items of a list; none when it is no list.
pub(super) fn items<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    at(value, pointer).as_array().into_iter().flatten()
}

/// All containers of a pod, those that start first in front.
pub(super) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    items(pod, "/spec/initContainers").chain(items(pod, "/spec/containers"))
}

/// Returns whether a label selector takes these labels. An empty one takes all, one that is missing takes none.
pub(super) fn selects(selector: &Value, labels: &Value) -> bool {
    let Some(parts) = selector.as_object() else { return false };
    let mut equal = parts.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    equal.all(|(name, value)| labels.get(name) == Some(value))
        && items(selector, "/matchExpressions").all(|expression| {
            let label = labels.get(text(expression, "/key"));
            let listed = label.is_some_and(|label| items(expression, "/values").any(|value| value == label));
            match text(expression, "/operator") {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => label.is_some(),
                "DoesNotExist" => label.is_none(),
                _ => false,
            }
        })
}

/// The labels of a namespace, with its name, which the API server adds.
pub(super) fn namespace_labels(name: &str, labels: &Value) -> Value {
    let mut all = labels.as_object().cloned().unwrap_or_default();
    all.insert("kubernetes.io/metadata.name".to_owned(), name.into());
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_selector_compares_labels_and_expressions() {
        let labels = namespace_labels("monitoring", &json!({ "app": "a" }));
        let by = |operator: &str, values: Value| {
            selects(
                &json!({ "matchExpressions": [{ "key": "kubernetes.io/metadata.name", "operator": operator, "values": values }] }),
                &labels,
            )
        };
        assert!(by("In", json!(["other", "monitoring"])) && !by("In", json!(["other"])));
        assert!(by("NotIn", json!(["other"])) && by("Exists", json!([])) && !by("DoesNotExist", json!([])));
        assert!(!by("Like", json!(["monitoring"])));
        assert!(selects(&json!({ "matchLabels": { "app": "a" } }), &labels) && selects(&json!({}), &labels));
        assert!(
            !selects(&json!({ "matchLabels": { "app": "b" } }), &labels) && !selects(&Value::Null, &labels)
        );
    }
}
