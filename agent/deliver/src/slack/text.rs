//! A payload as plain text.

use serde_json::Value;

use super::escape::unescape;

/// Renders a Slack payload as a person would read it, for the receiver in a terminal.
#[must_use]
pub fn slack_as_text(payload: &Value) -> String {
    let mut lines = Vec::new();
    let blocks = list(payload, "blocks");
    if blocks.is_empty() {
        // with blocks, the text is for notifications only
        lines.extend(text(payload, "text").lines().map(str::to_owned));
    }
    lines.extend(blocks.iter().flat_map(block));
    for attachment in list(payload, "attachments") {
        let inner: Vec<String> = list(attachment, "blocks").iter().flat_map(block).collect();
        lines.extend(inner.into_iter().map(|line| format!("│ {line}")));
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

fn block(block: &Value) -> Vec<String> {
    match block.get("type").and_then(Value::as_str) {
        Some("section") => {
            let body = block.get("text").map(shown).unwrap_or_default();
            let fields = list(block, "fields").iter().map(field);
            body.lines().map(str::to_owned).chain(fields).collect()
        }
        Some("actions") => list(block, "elements").iter().map(button).collect(),
        Some("context") => list(block, "elements").iter().map(shown).collect(),
        _ => block.get("text").map(shown).unwrap_or_default().lines().map(str::to_owned).collect(),
    }
}

/// Renders a field: `*Name*`, line break, value.
fn field(field: &Value) -> String {
    let text = shown(field);
    match text.split_once('\n') {
        Some((name, value)) => format!("{:<14}{value}", format!("{}:", name.trim_matches('*'))),
        None => text,
    }
}

fn button(button: &Value) -> String {
    let label = button.get("text").map(shown).unwrap_or_default();
    format!("[{label}] {}", button.get("url").and_then(Value::as_str).unwrap_or_default())
}

fn shown(object: &Value) -> String {
    text(object, "text")
}

/// Returns a text without control characters, which could change the state of a terminal.
fn text(value: &Value, key: &str) -> String {
    let text = value.get(key).and_then(Value::as_str).unwrap_or_default();
    unescape(text).chars().filter(|&c| c == '\n' || !c.is_control()).collect()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
