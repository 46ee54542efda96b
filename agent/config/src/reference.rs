//! The reference of all keys, as a page of Markdown, made of the declared keys.

use core::fmt::Write as _;

use super::keys::{self, Key, Literal, Object, Shape};

const HEAD: &str = "\
# Keys

Every key of `lookout.yaml` and of SLO specs. This page is made of the declarations in `agent/config/src/keys/`, as are
the [JSON schemas](schema) for editors. An unknown key is an error.
";

/// Returns the reference of all keys.
#[must_use]
pub fn key_reference() -> String {
    let mut page = Page { text: HEAD.to_owned(), written: Vec::new() };
    page.part("`lookout.yaml`", keys::agent::agent::OBJECT, "");
    for document in keys::SPEC_DOCUMENTS {
        page.part(&title(document), document, "");
    }
    page.text
}

/// Returns the kind of a document, and the version where it has one.
fn title(document: &Object) -> String {
    let word = |name: &str| {
        document.keys.iter().find(|key| key.name == name).and_then(|key| match key.shape {
            Shape::Const(word) => Some(word),
            _ => None,
        })
    };
    match (word("apiVersion"), word("kind")) {
        (Some(version), Some(kind)) => format!("`{kind}` of `{version}`"),
        _ => format!("`{}`", word("version").unwrap_or(document.about)),
    }
}

/// The page as far as it is written, and the mappings that it has a table of.
struct Page {
    text: String,
    written: Vec<&'static str>,
}

impl Page {
    /// Writes a document, with the mappings in it that have no table yet.
    fn part(&mut self, title: &str, object: &'static Object, path: &str) {
        let _ = writeln!(self.text, "\n## {title}");
        self.table(object);
        self.parts_below(object, path);
    }

    fn parts_below(&mut self, object: &'static Object, path: &str) {
        for key in object.keys {
            let path = format!("{path}{}", key.name);
            for part in key.shape.objects().into_iter().filter(|part| !part.keys.is_empty()) {
                if self.written.contains(&part.path) {
                    continue;
                }
                let _ = writeln!(self.text, "\n### `{path}`\n\n{}", part.about);
                self.table(part);
                self.parts_below(part, &format!("{path}."));
            }
        }
    }

    fn table(&mut self, object: &'static Object) {
        self.written.push(object.path);
        if let [_, ..] = object.choices {
            let set = |choice: &&[Key]| choice.iter().map(quoted).collect::<Vec<_>>().join(" and ");
            let sets: Vec<String> = object.choices.iter().map(set).collect();
            let _ = writeln!(self.text, "\nExactly one of: {}.", sets.join("; "));
        }
        self.text.push_str("\n| key | value | default | meaning |\n|---|---|---|---|\n");
        for key in object.keys {
            let default = match (key.required, key.default) {
                (true, _) => "required".to_owned(),
                (false, "") => String::new(),
                (false, default) => format!("`{default}`"),
            };
            let about = if key.about.is_empty() { about(&key.shape) } else { key.about };
            let value = words(&key.shape);
            let _ = writeln!(self.text, "| `{}` | {value} | {default} | {} |", key.name, cell(about));
        }
    }
}

fn quoted(key: &Key) -> String {
    format!("`{}`", key.name)
}

/// Returns a text within a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Returns the sentence of a shape where its key has none.
fn about(shape: &Shape) -> &'static str {
    shape.objects().first().map_or("", |object| object.about)
}

/// Returns a shape in words.
fn words(shape: &Shape) -> String {
    let joined = |shapes: &[Shape]| {
        let mut all: Vec<String> = shapes.iter().map(words).collect();
        all.dedup();
        all.join(" or ")
    };
    let one_of = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    match shape {
        Shape::Any => "any value".to_owned(),
        Shape::Text | Shape::Pattern(_) | Shape::Filled => "text".to_owned(),
        Shape::Secret => "secret".to_owned(),
        Shape::Scalar => "text or number".to_owned(),
        Shape::Name => "name".to_owned(),
        Shape::Duration => "duration".to_owned(),
        Shape::Switch => "`true` or `false`".to_owned(),
        Shape::Number => "number".to_owned(),
        Shape::Below(least, bound) => format!("number from {least}, below {bound}"),
        Shape::Between(least, most) => format!("number from {least} to {most}"),
        Shape::Whole(least, most) => format!("whole number from {least} to {most}"),
        Shape::Count(least) => format!("whole number from {least}"),
        Shape::Word(words) => one_of(words),
        Shape::Values(values) => {
            let texts = values.iter().filter_map(|value| match value {
                Literal::Text(text) => Some(*text),
                Literal::Number(_) => None,
            });
            one_of(&texts.collect::<Vec<_>>())
        }
        Shape::Const(word) => one_of(&[word]),
        Shape::List(item) | Shape::NonEmpty(item) => format!("list of {}", words(item)),
        Shape::Single(item) => format!("list of one {}", words(item)),
        Shape::Map(Shape::Any) => "mapping".to_owned(),
        Shape::Map(value) => format!("mapping to {}", words(value)),
        Shape::Object(_) | Shape::Annotations(_) => "mapping".to_owned(),
        Shape::AnyOf(shapes) | Shape::OneOf(shapes) => joined(shapes),
        Shape::About(_, shape) => words(shape),
    }
}
