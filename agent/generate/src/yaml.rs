//! YAML output: keys in the given order, strings quoted only where needed, long text as block scalars. It is our own
//! code, because order, quoting and blocks are what a reviewer of a generated file reads.

use core::fmt::Write as _;

/// YAML document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// A string.
    Text(String),
    /// A number or boolean, written as it is.
    Plain(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in this order.
    Map(Vec<(String, Node)>),
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Node {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Returns a mapping from pairs.
pub(super) fn map<'a>(pairs: impl IntoIterator<Item = (&'a str, Node)>) -> Node {
    Node::Map(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// Renders a whole file: comment lines, then the document.
pub(super) fn file(comments: &[String], node: &Node) -> String {
    let mut out = String::new();
    for line in comments {
        let _ = writeln!(out, "# {line}");
    }
    write_node(&mut out, node, 0);
    out
}

fn write_node(out: &mut String, node: &Node, indent: usize) {
    match node {
        Node::Map(pairs) => {
            for (key, value) in pairs {
                push_indent(out, indent);
                write_pair(out, key, value, indent);
            }
        }
        Node::List(items) => {
            for item in items {
                push_indent(out, indent);
                out.push_str("- ");
                write_item(out, item, indent);
            }
        }
        scalar => write_scalar(out, scalar, indent),
    }
}

/// Writes one entry of a list, after its dash.
fn write_item(out: &mut String, item: &Node, indent: usize) {
    match item {
        Node::Map(pairs) if !pairs.is_empty() => {
            for (index, (key, value)) in pairs.iter().enumerate() {
                if index > 0 {
                    push_indent(out, indent + 1);
                }
                write_pair(out, key, value, indent + 1);
            }
        }
        other => write_scalar(out, other, indent),
    }
}

fn write_pair(out: &mut String, key: &str, value: &Node, indent: usize) {
    let key = scalar(key);
    match value {
        Node::Map(pairs) if !pairs.is_empty() => {
            let _ = writeln!(out, "{key}:");
            write_node(out, value, indent + 1);
        }
        Node::List(items) if !items.is_empty() => {
            let _ = writeln!(out, "{key}:");
            write_node(out, value, indent + 1);
        }
        other => {
            let _ = write!(out, "{key}: ");
            write_scalar(out, other, indent);
        }
    }
}

/// Writes a value that begins on the present line.
fn write_scalar(out: &mut String, node: &Node, indent: usize) {
    match node {
        Node::Text(text) if is_block(text) => {
            out.push_str("|-\n");
            for line in text.lines() {
                if !line.is_empty() {
                    push_indent(out, indent + 1);
                    out.push_str(line);
                }
                out.push('\n');
            }
        }
        Node::Text(text) => {
            let _ = writeln!(out, "{}", scalar(text));
        }
        Node::Plain(text) => {
            let _ = writeln!(out, "{text}");
        }
        // a list inside a list does not occur in our files; flow style keeps it valid
        Node::List(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            let _ = writeln!(out, "[{}]", items.join(", "));
        }
        Node::Map(_) => out.push_str("{}\n"),
    }
}

fn flow(node: &Node) -> String {
    match node {
        Node::Text(text) => quoted(text),
        Node::Plain(text) => text.clone(),
        Node::List(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Node::Map(pairs) => {
            let pairs: Vec<String> =
                pairs.iter().map(|(k, v)| format!("{}: {}", quoted(k), flow(v))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

fn push_indent(out: &mut String, indent: usize) {
    for _ in 0..indent {
        out.push_str("  ");
    }
}

/// Returns whether a text can be a block scalar: several lines of printable text.
fn is_block(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with([' ', '\n'])
        && !text.ends_with('\n')
        && text.chars().all(|c| c == '\n' || !c.is_control())
}

fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Quotes a string: with single quotes where they avoid escapes, else as JSON, which is a subset of YAML.
fn quoted(text: &str) -> String {
    let literal = text.contains(['"', '\\']) && !text.contains('\'') && !text.chars().any(char::is_control);
    if literal { format!("'{text}'") } else { serde_json::Value::from(text).to_string() }
}

/// Returns whether a string needs no quotes, in block style and in every version of YAML.
fn is_plain(text: &str) -> bool {
    const RESERVED: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let first_is_letter = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let harmless = |c: char| c.is_ascii_graphic() || c == ' ';
    let word = first_is_letter
        && text.chars().all(harmless)
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with([':', ' '])
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str());
    word || is_duration(text)
}

/// Returns whether a text is a duration (`5m`, `500ms`), which no YAML parser takes for a number.
fn is_duration(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    unit.len() < text.len() && ["ms", "s", "m", "h", "d"].contains(&unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_as_it_was() {
        let awkward = [
            "plain text",
            "no",
            "on",
            "",
            "1m",
            "0.5",
            "a: b",
            "ends:",
            "# not a comment",
            "it's \"quoted\" \\ back",
            "two\nlines",
            "two\n\nwith a gap: {{ $value }}",
            " leading\nspace",
            "trailing\n",
            "{{ template }}",
            "naïve — ünïcode",
            "*bold*",
            "tab\there",
            "sum(rate(x{a=\"b\"}[5m])) > 0",
            "a #b",
            "{{ printf \"%s\" }}",
            "{{ 'both\" }}",
            "1e3",
            "~",
        ];
        let pairs: Vec<(String, Node)> =
            awkward.iter().enumerate().map(|(i, text)| (format!("k{i}"), (*text).into())).collect();
        let list = Node::List(awkward.iter().map(|text| Node::from(*text)).collect());
        let nested = map([("inner", map([("list", list)])), ("number", Node::Plain("5".into()))]);
        let document = map([("texts", Node::Map(pairs)), ("items", Node::List(vec![nested]))]);
        let text = file(&["A comment.".to_owned()], &document);
        let back: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        for (index, expected) in awkward.iter().enumerate() {
            assert_eq!(back["texts"][format!("k{index}")], *expected, "{text}");
            assert_eq!(back["items"][0]["inner"]["list"][index], *expected, "{text}");
        }
        assert_eq!(back["items"][0]["number"], 5);
    }

    #[test]
    fn expressions_stay_readable() {
        let text = file(&[], &map([("expr", "a\n/\nb > 0".into()), ("for", "2m".into())]));
        assert_eq!(text, "expr: |-\n  a\n  /\n  b > 0\nfor: 2m\n");
    }
}
