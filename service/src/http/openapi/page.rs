//! The document for people: one page, made once, without a script and without anything from elsewhere.

use std::fmt::Write as _;

use serde_json::Value;

use super::operation::Operation;

/// The style sheet.
pub(super) const STYLE: &str = include_str!("style.css");

/// The page.
pub(super) fn render(document: &Value, operations: &[Operation]) -> String {
    let text = |pointer: &str| escaped(document.pointer(pointer).and_then(Value::as_str).unwrap_or_default());
    let title = text("/info/title");
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"/docs/style.css\">\n<h1>{title} <small>{}</small></h1>\n<p>{}</p>\n\
         <p>For machines: <a href=\"/openapi.json\">openapi.json</a></p>\n",
        text("/info/version"),
        text("/info/description"),
    );
    for operation in operations {
        write_operation(&mut page, document, operation);
    }
    page.push_str("<h2>Schemas</h2>\n");
    if let Some(schemas) = document.pointer("/components/schemas").and_then(Value::as_object) {
        for (name, schema) in schemas {
            let _infallible = write!(page, "<details id=\"{0}\"><summary>{0}</summary>", escaped(name));
            write_json(&mut page, schema);
            page.push_str("</details>\n");
        }
    }
    page
}

fn write_operation(page: &mut String, document: &Value, operation: &Operation) {
    let (verb, path, summary, statuses) = operation.line();
    let inner = document.get("paths").and_then(|paths| paths.get(path)?.get(verb.to_ascii_lowercase()));
    let _infallible = write!(
        page,
        "<details class=\"{verb}\"><summary><b>{verb}</b> <code>{}</code> {}</summary>",
        escaped(path),
        escaped(summary)
    );
    let Some(inner) = inner else { return };
    let part = |name: &str| inner.get(name).and_then(Value::as_str).map(escaped);
    if let Some(details) = part("description") {
        let _infallible = write!(page, "<p>{details}</p>");
    }
    let needs = [("/security/0/key/0", ""), ("/security/1/key/0", " where anonymous reads are denied")];
    for (pointer, when) in needs {
        if let Some(scope) = inner.pointer(pointer).and_then(Value::as_str) {
            let _infallible = write!(page, "<p>Needs a key for <code>{}</code>{when}.</p>", escaped(scope));
        }
    }
    write_parameters(page, inner);
    if let Some(body) = inner.pointer("/requestBody/content") {
        page.push_str("<h3>Body</h3>");
        write_json(page, body);
    }
    page.push_str("<h3>Answers</h3><table>");
    for status in statuses {
        let answer = inner.get("responses").and_then(|answers| answers.get(status.to_string()));
        let about = answer.and_then(|answer| answer.get("description")?.as_str()).unwrap_or_default();
        let content = answer.and_then(|answer| answer.get("content")?.as_object()?.iter().next());
        let shape = content.map(|(media_type, content)| {
            let schema = content.pointer("/schema/$ref").and_then(Value::as_str);
            let name = schema.and_then(|schema| schema.rsplit('/').next()).map(escaped);
            let link = name.map(|name| format!(" <a href=\"#{name}\">{name}</a>")).unwrap_or_default();
            format!("<code>{}</code>{link}", escaped(media_type))
        });
        let _infallible =
            write!(page, "<tr><td>{status}<td>{}<td>{}", escaped(about), shape.unwrap_or_default());
    }
    page.push_str("</table></details>\n");
}

fn write_parameters(page: &mut String, operation: &Value) {
    let Some(parameters) = operation.get("parameters").and_then(Value::as_array) else { return };
    page.push_str("<h3>Parameters</h3><table>");
    for parameter in parameters {
        let text = |name: &str| parameter.get(name).and_then(Value::as_str).map(escaped).unwrap_or_default();
        let schema = parameter.get("schema").map(Value::to_string).unwrap_or_default();
        let _infallible = write!(
            page,
            "<tr><td><code>{}</code><td>{}<td>{}<td><code>{}</code>",
            text("name"),
            text("in"),
            text("description"),
            escaped(&schema)
        );
    }
    page.push_str("</table>");
}

fn write_json(page: &mut String, value: &Value) {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let _infallible = write!(page, "<pre>{}</pre>", escaped(&text));
}

/// Text as it may stand in a page, between quotes too.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
