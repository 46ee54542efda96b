//! Body of a webhook that is written by the user: JSON with placeholders in its texts.
//!
//! The template is parsed as JSON, and placeholders are filled into its texts only. So whatever a message says, the body
//! is JSON of the same form.

use serde_json::Value;

use crate::reader::{At, Reader, did_you_mean, quoted_list, suggestion};

/// Names of placeholders, as in `{{headline}}`.
pub const PLACEHOLDERS: [&str; 14] = [
    "headline",
    "sentence",
    "description",
    "state",
    "severity",
    "service",
    "slo",
    "incident",
    "event",
    "environment",
    "link",
    "runbook",
    "dashboard",
    "id",
];

/// Largest template in bytes.
const LARGEST: usize = 16 * 1024;

/// A valid template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyTemplate(Value);

impl BodyTemplate {
    /// Creates a template.
    ///
    /// # Errors
    /// Returns the fault and the remedy of a text that is no JSON, or names an unknown placeholder.
    pub fn try_new(text: &str) -> Result<Self, (String, String)> {
        if text.len() > LARGEST {
            let message = format!("the body has more than {} KiB", LARGEST / 1024);
            return Err((message, "leave out what does not change: the receiver can add it".to_owned()));
        }
        let value: Value = serde_json::from_str(text).map_err(|error| {
            let help = "placeholders stand within texts: `{\"text\": \"{{headline}}\"}`";
            (format!("the body is no JSON: {error}"), help.to_owned())
        })?;
        check(&value)?;
        Ok(Self(value))
    }

    /// Returns the body with its placeholders replaced.
    #[must_use]
    pub fn fill(&self, value_of: &dyn Fn(&str) -> String) -> Value {
        fill(&self.0, value_of)
    }
}

/// Parts of a text: outside and inside of placeholders, by turns.
fn parts(text: &str) -> Vec<(bool, &str)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else { break };
        parts.push((false, before));
        parts.push((true, name.trim()));
        rest = behind;
    }
    parts.push((false, rest));
    parts
}

fn check(value: &Value) -> Result<(), (String, String)> {
    match value {
        Value::String(text) => {
            let names = parts(text).into_iter().filter(|(inside, _)| *inside).map(|(_, name)| name);
            match names.into_iter().find(|name| !PLACEHOLDERS.contains(name)) {
                None => Ok(()),
                Some(unknown) => {
                    let help = suggestion(unknown, &PLACEHOLDERS).map(|name| did_you_mean(&name));
                    let help = help.unwrap_or_else(|| format!("known are {}", quoted_list(&PLACEHOLDERS)));
                    Err((format!("there is no placeholder `{unknown}`"), help))
                }
            }
        }
        Value::Array(items) => items.iter().try_for_each(check),
        Value::Object(fields) => fields.values().try_for_each(check),
        _ => Ok(()),
    }
}

fn fill(value: &Value, value_of: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => {
            let part = |(inside, text): (bool, &str)| if inside { value_of(text) } else { text.to_owned() };
            Value::String(parts(text).into_iter().map(part).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| fill(item, value_of)).collect()),
        Value::Object(fields) => {
            fields.iter().map(|(name, field)| (name.clone(), fill(field, value_of))).collect()
        }
        other => other.clone(),
    }
}

/// Reads `body`.
pub(super) fn read_body(reader: &mut Reader<'_>, at: &At<'_>) -> Option<BodyTemplate> {
    match BodyTemplate::try_new(reader.text(at)?) {
        Ok(template) => Some(template),
        Err((message, help)) => {
            reader.error(at, message, help);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_stays_within_its_text() {
        let text = r#"{"a": ["{{headline}} ({{ slo }})"], "n": 1, "b": "}} {{ open"}"#;
        let template = BodyTemplate::try_new(text).unwrap();
        let filled = template.fill(&|name| format!("\"<{name}>\"}}, {{"));
        let expected = serde_json::json!({
            "a": ["\"<headline>\"}, { (\"<slo>\"}, {)"], "n": 1, "b": "}} {{ open",
        });
        assert_eq!(filled, expected);
    }

    #[test]
    fn what_is_no_template_is_explained() {
        let fault = |text: &str| BodyTemplate::try_new(text).unwrap_err();
        assert!(fault("{{headline}}").0.starts_with("the body is no JSON: "));
        assert_eq!(fault(r#"["{{headlin}}"]"#).1, "did you mean `headline`?");
        assert!(fault(&format!("\"{}\"", "x".repeat(LARGEST))).0.contains("16 KiB"));
    }
}
