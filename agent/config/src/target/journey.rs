//! `journey` of a target: requests that share variables, as a client makes them.
//!
//! ```yaml
//! journey:
//!   variables: { base: "${BASE:-http://127.0.0.1:8080}" }
//!   steps:
//!     - name: create
//!       http: { url: "{{base}}/items", method: POST, body: '{"name":"probe"}', expect: { status: 201 } }
//!       extract: { id: 'json("$.id")', etag: 'header("etag")', page: 'body matches "page=(\\d+)"' }
//!     - name: delete
//!       always: true                 # cleanup: made even when a step before it failed
//!       http: { url: "{{base}}/items/{{id}}", method: DELETE }
//! ```

use std::path::Path;
use std::sync::Arc;

use super::super::assertion::{Assertion, Extraction};
use super::super::reader::{At, Fields, Reader, did_you_mean, quoted_list, suggestion};
use super::super::secret::Secret;
use super::super::yaml::{Node, Value};
use super::expect;
use super::http::{self, HttpCheck};
use super::protocol::{self, Protocol};
use crate::keys::target;
use crate::placeholder::{fill, placeholder};

/// Steps of a journey.
const MOST_STEPS: usize = 32;

/// Requests that share variables.
#[derive(Debug, Clone)]
pub struct JourneyCheck {
    /// Values that are known at the start; later ones are extracted.
    pub variables: Vec<Variable>,
    /// The requests, in order.
    pub steps: Vec<JourneyStep>,
}

/// A variable of a journey.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its name in `{{name}}`.
    pub name: String,
    /// Its value at the start; none where a step extracts it.
    pub value: Option<Secret>,
}

/// One request of a journey.
#[derive(Debug, Clone)]
pub struct JourneyStep {
    /// Unique in the journey.
    pub name: String,
    /// Made even when a step before it failed.
    pub always: bool,
    /// The request, with placeholders.
    pub http: HttpCheck,
    /// All of them must hold.
    pub expect: Arc<[Assertion]>,
    /// Variables that the answer gives, by their place in the journey.
    pub extract: Vec<(usize, Extraction)>,
    /// Variables that the request needs, by their place in the journey.
    pub needs: Vec<usize>,
}

impl JourneyCheck {
    /// Returns the text that stands for a variable in a request: letters and digits, so that every part of a URL can
    /// hold it.
    #[must_use]
    pub fn placeholder(variable: usize) -> String {
        placeholder(variable)
    }

    /// Replaces the placeholders of a text by values. A value is never looked at again, whatever it looks like; a
    /// placeholder without a value stays.
    #[must_use]
    pub fn fill(text: &str, value: impl Fn(usize) -> Option<String>) -> String {
        fill(text, value)
    }

    /// Returns whether a step is made whatever fails before.
    #[must_use]
    pub fn has_cleanup(&self) -> bool {
        self.steps.iter().any(|step| step.always)
    }
}

/// Reads the keys of `journey`.
pub(super) fn read(reader: &mut Reader<'_>, fields: &Fields<'_>, folder: &Path) -> Option<JourneyCheck> {
    let mut variables = match fields.get(target::journey::VARIABLES) {
        Some(at) => read_variables(reader, &at)?,
        None => Vec::new(),
    };
    let at =
        reader.required(fields, target::journey::STEPS, "list the requests, each with `name` and `http`")?;
    let items = reader.list(&at)?;
    if items.is_empty() || items.len() > MOST_STEPS {
        reader.error(&at, format!("a journey has 1 to {MOST_STEPS} steps"), "");
        return None;
    }
    let mut steps: Vec<JourneyStep> = Vec::new();
    let mut whole = true;
    for item in &items {
        match read_step(reader, item, &mut variables, folder) {
            Some(step) if steps.iter().any(|other| other.name == step.name) => {
                reader.error(
                    item,
                    format!("two steps have the name `{}`", step.name),
                    "give one of them another name",
                );
                whole = false;
            }
            Some(step) => steps.push(step),
            None => whole = false,
        }
    }
    whole.then_some(JourneyCheck { variables, steps })
}

fn read_variables(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Vec<Variable>> {
    let fields = reader.open_fields(at, "from names to values")?;
    let read: Vec<_> = fields
        .all()
        .map(|(key, value)| {
            let name = variable_name(reader, &key.name, &value);
            let text = reader.secret_text(&value, true, false);
            Some(Variable { name: name?, value: Some(Secret::new(text?)) })
        })
        .collect();
    read.into_iter().collect()
}

fn variable_name(reader: &mut Reader<'_>, name: &str, at: &At<'_>) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.len() <= 40 && name.chars().all(fits) {
        return Some(name.to_owned());
    }
    reader.error(at, format!("`{name}` cannot be the name of a variable"), "use letters, digits and `_`");
    None
}

fn read_step(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    variables: &mut Vec<Variable>,
    folder: &Path,
) -> Option<JourneyStep> {
    let fields = reader.fields(at, target::journey_step::OBJECT)?;
    let name = reader.required(&fields, target::journey_step::NAME, "give the step a name for its result");
    let name = name.and_then(|at| reader.name(&at).map(str::to_owned));
    let always = fields.get(target::journey_step::ALWAYS).map_or(Some(false), |at| reader.switch(&at));
    let mut needs = Vec::new();
    let http =
        reader.required(&fields, target::journey_step::HTTP, "say what is requested: `http: { url: … }`");
    let read = http.and_then(|at| {
        let node = with_placeholders(reader, &at, at.node, variables, &mut needs)?;
        let at = At { node: &node, key: at.key.clone() };
        let fields = protocol::read_fields(reader, &at, Protocol::Http)?;
        let check = http::read(reader, &fields, folder);
        let expect = expect::read(reader, Protocol::Http, &fields);
        Some((check?, expect?))
    });
    let extract = fields
        .get(target::journey_step::EXTRACT)
        .map_or(Some(Vec::new()), |at| read_extractions(reader, &at, variables));
    let (name, always, (http, expect), extract) = (name?, always?, read?, extract?);
    needs.sort_unstable();
    needs.dedup();
    Some(JourneyStep { name, always, http, expect, extract, needs })
}

/// Returns the node with each `{{name}}` replaced. A variable that nothing sets before is an error.
fn with_placeholders(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    node: &Node,
    variables: &[Variable],
    needs: &mut Vec<usize>,
) -> Option<Node> {
    let value = match &node.value {
        Value::Text(text) => Value::Text(replace(reader, at, node, text, variables, needs)?),
        Value::List(nodes) => {
            let nodes: Vec<_> =
                nodes.iter().map(|node| with_placeholders(reader, at, node, variables, needs)).collect();
            Value::List(nodes.into_iter().collect::<Option<_>>()?)
        }
        Value::Map(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(key, node)| {
                    Some((key.clone(), with_placeholders(reader, at, node, variables, needs)?))
                })
                .collect();
            Value::Map(entries.into_iter().collect::<Option<_>>()?)
        }
        other => other.clone(),
    };
    Some(Node { value, ..node.clone() })
}

fn replace(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    node: &Node,
    text: &str,
    variables: &[Variable],
    needs: &mut Vec<usize>,
) -> Option<String> {
    let mut replaced = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        // braces that close nothing are a part of the text
        let Some((name, after)) = after.split_once("}}") else { break };
        let name = name.trim();
        let Some(index) = variables.iter().position(|variable| variable.name == name) else {
            let names: Vec<&str> = variables.iter().map(|variable| variable.name.as_str()).collect();
            let help = suggestion(name, &names).map(|near| did_you_mean(&near));
            let help = help.unwrap_or_else(|| format!("set before this step: {}", quoted_list(&names)));
            let here = At { node, key: at.key.clone() };
            reader.error(&here, format!("nothing sets the variable `{name}` before this step"), help);
            return None;
        };
        replaced.push_str(before);
        // the begin of a URL cannot be a placeholder, and what is known at the start needs none there
        let base = variables.get(index).and_then(|variable| variable.value.as_ref()).map(Secret::reveal);
        match base.filter(|base| replaced.is_empty() && base.contains("://")) {
            Some(base) => replaced.push_str(base),
            None => {
                needs.push(index);
                replaced.push_str(&JourneyCheck::placeholder(index));
            }
        }
        rest = after;
    }
    replaced.push_str(rest);
    Some(replaced)
}

fn read_extractions(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    variables: &mut Vec<Variable>,
) -> Option<Vec<(usize, Extraction)>> {
    let fields = reader.open_fields(at, "from names to values of the answer: `{ id: 'json(\"$.id\")' }`")?;
    let mut all = Vec::new();
    let mut whole = true;
    for (key, value) in fields.all() {
        let name = variable_name(reader, &key.name, &value);
        let extraction = reader.text(&value).and_then(|text| match Extraction::parse(text) {
            Ok(extraction) => Some(extraction),
            Err(bad) => {
                reader.error_in(&value, text, bad.span, bad.message, &bad.help);
                None
            }
        });
        let (Some(name), Some(extraction)) = (name, extraction) else {
            whole = false;
            continue;
        };
        let known = variables.iter().position(|variable| variable.name == name);
        let index = known.unwrap_or_else(|| {
            variables.push(Variable { name, value: None });
            variables.len() - 1
        });
        all.push((index, extraction));
    }
    whole.then_some(all)
}
