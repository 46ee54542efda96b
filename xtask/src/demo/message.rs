//! A Slack message as a person would read it, made from the JSON alone: the receiver has eyes of its own, so that it
//! also sees what the sender did not mean to send.

use serde_json::Value;

/// Renders text, blocks and attachments as plain text.
pub(super) fn as_read(message: &Value) -> String {
    let mut lines = Vec::new();
    // Where there are blocks, `text` is only what a notification shows.
    let has_blocks = message.get("blocks").and_then(Value::as_array).is_some_and(|blocks| !blocks.is_empty());
    if !has_blocks {
        lines.extend(message.get("text").and_then(Value::as_str).map(unescape));
    }
    lines.extend(list(message, "blocks").filter_map(block));
    for attachment in list(message, "attachments") {
        let parts = ["pretext", "title", "text"].iter().filter_map(|key| attachment.get(*key)?.as_str());
        lines.extend(parts.map(unescape));
        lines.extend(list(attachment, "fields").map(|field| {
            let part = |key| field.get(key).and_then(Value::as_str).map(unescape).unwrap_or_default();
            format!("{}: {}", part("title"), part("value"))
        }));
        lines.extend(list(attachment, "blocks").filter_map(block));
    }
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn block(block: &Value) -> Option<String> {
    let kind = block.get("type").and_then(Value::as_str)?;
    match kind {
        "divider" => Some("────".to_owned()),
        "actions" => Some(list(block, "elements").filter_map(button).collect::<Vec<_>>().join("  ")),
        "context" => Some(list(block, "elements").filter_map(text).collect::<Vec<_>>().join("  ")),
        _ => {
            let own = block.get("text").and_then(text);
            let fields = list(block, "fields").filter_map(text).map(|field| field.replace('\n', " "));
            Some(own.into_iter().chain(fields).collect::<Vec<_>>().join("\n"))
        }
    }
}

fn button(element: &Value) -> Option<String> {
    let label = element.get("text").and_then(text)?;
    Some(match element.get("url").and_then(Value::as_str) {
        Some(url) => format!("[{label}] {url}"),
        None => format!("[{label}]"),
    })
}

/// A text object, or a bare string.
fn text(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value.get("text").and_then(Value::as_str)).map(unescape)
}

/// Links become `label (address)`, entities become characters, marks for bold and code vanish into the text.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let Some((inside, next)) = after.split_once('>') else {
            out.push('<');
            rest = after;
            continue;
        };
        match inside.split_once('|') {
            Some((address, label)) if !address.starts_with('!') => {
                out.push_str(&format!("{label} ({address})"));
            }
            Some((_, label)) => out.push_str(label),
            None => out.push_str(inside),
        }
        rest = next;
    }
    out.push_str(rest);
    out.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace('*', "").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn blocks_are_read_and_the_notification_text_is_not_repeated() {
        let message = json!({
            "text": "notification",
            "blocks": [
                {"type": "header", "text": {"type": "plain_text", "text": "titanic burns"}},
                {"type": "section", "fields": [{"type": "mrkdwn", "text": "*Since*\n12:00"}]},
                {"type": "context", "elements": [{"type": "mrkdwn", "text": "<http://a/b|runbook>"}]}
            ]
        });
        assert_eq!(as_read(&message), "titanic burns\nSince 12:00\nrunbook (http://a/b)");
    }

    #[test]
    fn attachments_and_buttons_are_read() {
        let message = json!({
            "text": "hello",
            "attachments": [{"color": "danger", "blocks": [
                {"type": "section", "text": {"type": "mrkdwn", "text": "a &lt; b &amp; c"}},
                {"type": "actions", "elements": [
                    {"type": "button", "text": {"type": "plain_text", "text": "Runbook"}, "url": "http://r"}
                ]}
            ]}]
        });
        assert_eq!(as_read(&message), "hello\na < b & c\n[Runbook] http://r");
    }

    #[test]
    fn a_lonely_bracket_is_text() {
        assert_eq!(as_read(&json!({"text": "1 < 2"})), "1 < 2");
    }
}
