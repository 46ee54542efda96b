//! SLO specs that an import writes.

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::path::PathBuf;

use lookout_engine::{Objective, PromiseBound, Severity, Tier, Window};

use crate::diagnostic::{Diagnostic, Level};
use crate::foreign::document::{Document, map};
use crate::keys::Key;
use crate::keys::kubernetes::{kubernetes_object, object_metadata};
use crate::keys::openslo::slo_annotations;
use crate::metadata::OWN_LABELS;
use crate::reader::{At, Fields, Reader};
use crate::tiers::faults;
use crate::yaml::{Node, Place, Value, print};

/// Most characters of somebody else's text within a message.
const QUOTE_LIMIT: usize = 120;

/// Most notes at the head of a file.
const NOTE_LIMIT: usize = 100;

/// Prefix of a finding about a part that the written file lacks.
pub(crate) const LOST: &str = "not carried over: ";

/// Prefix of a finding about a part that is written in another form.
pub(crate) const CHANGED: &str = "carried over with a change: ";

/// A file that is to be written.
pub(crate) struct Output {
    /// Its content.
    pub(crate) content: Content,
    /// The place of its declaration.
    pub(crate) origin: Origin,
    /// Findings about it.
    pub(crate) notes: Vec<Diagnostic>,
}

/// The content of a written file.
pub(crate) enum Content {
    Slo(Box<SloOutput>),
    /// A document as it is written, and the stem of its file.
    Document(String, Node),
}

/// The place of a declaration.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) file: PathBuf,
    pub(crate) place: Place,
    /// Its former kind (`Sloth prometheus/v1`, `Pyrra ServiceLevelObjective shop/orders`).
    pub(crate) was: String,
}

/// The parts of an SLO that is to be written.
pub(crate) struct SloOutput {
    pub(crate) name: String,
    /// The place of its name.
    pub(crate) name_at: Place,
    pub(crate) service: String,
    pub(crate) description: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) tiers: Vec<Tier>,
    /// The time within which these page, when it is longer than usual.
    pub(crate) page_within: Option<String>,
    /// `page`, `ticket` or `off`; `None` for the default.
    pub(crate) data_alert: Option<&'static str>,
    /// The `spec` of its SLI.
    pub(crate) indicator: Document,
    pub(crate) period: Window,
    /// The objective in percent.
    pub(crate) percent: Document,
}

/// Returns a rolling period.
fn rolling(period: Window) -> Document {
    Document::List(vec![map([
        ("duration", Document::text(period.to_string())),
        ("isRolling", Document::Switch(true)),
    ])])
}

impl Output {
    /// Returns the name of the file.
    pub(crate) fn file_name(&self) -> String {
        match &self.content {
            Content::Slo(slo) => format!("{}-{}.slo.yaml", slo.service, slo.name),
            Content::Document(stem, _) => format!("{stem}.slo.yaml"),
        }
    }

    /// Returns the whole file, with what could not be carried over at its head.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let file = one_line(&self.origin.file.display().to_string());
        let _ = writeln!(text, "# From {}, {file}:{}.", one_line(&self.origin.was), self.origin.place.line);
        if !self.notes.is_empty() {
            text.push_str("#\n# What is not as it was:\n");
        }
        for (n, note) in self.notes.iter().enumerate().take(NOTE_LIMIT) {
            if self.notes.iter().take(n).any(|earlier| earlier == note) {
                continue;
            }
            let line = note.position.map_or_else(String::new, |(line, _)| format!(":{line}"));
            let file = one_line(&note.file.display().to_string());
            let _ = writeln!(text, "# - {file}{line}: {}", one_line(&note.message));
            if let Some(help) = &note.help {
                let _ = writeln!(text, "#   {}", one_line(help));
            }
        }
        if self.notes.len() > NOTE_LIMIT {
            text.push_str("# - and more, which the import says\n");
        }
        let document = match &self.content {
            Content::Slo(slo) => slo.document(),
            Content::Document(_, node) => Document::of(node),
        };
        text + &print(&document)
    }

    /// Returns the document, each part at the place it comes from.
    pub(crate) fn node(&self) -> Node {
        match &self.content {
            Content::Slo(slo) => slo.document().node(&self.origin.place),
            Content::Document(_, node) => node.clone(),
        }
    }

    /// Returns an error about it as a whole.
    pub(crate) fn finding(&self, message: String, help: Option<String>) -> Diagnostic {
        let Origin { file, place, .. } = &self.origin;
        Diagnostic {
            level: Level::Error,
            file: file.clone(),
            position: Some((place.line, place.column)),
            span: Some(place.span.clone()),
            key: String::new(),
            message,
            help,
        }
    }
}

impl SloOutput {
    fn document(&self) -> Document {
        let name = Document::At(self.name_at.clone(), Box::new(Document::text(&self.name)));
        let mut metadata = vec![("name", name)];
        if !self.labels.is_empty() {
            let labels = self.labels.iter().map(|(name, value)| (name.clone(), Document::text(value)));
            metadata.push(("labels", Document::Map(labels.collect())));
        }
        let mut annotations = vec![(slo_annotations::TIERS.name, Document::text(print_tiers(&self.tiers)))];
        annotations.extend(
            self.page_within.as_ref().map(|time| (slo_annotations::PAGE_WITHIN.name, Document::text(time))),
        );
        annotations
            .extend(self.data_alert.map(|word| (slo_annotations::DATA_ALERT.name, Document::text(word))));
        metadata.push(("annotations", map(annotations)));
        let mut spec = Vec::new();
        if !self.description.is_empty() {
            spec.push(("description", Document::text(&self.description)));
        }
        spec.push(("service", Document::text(&self.service)));
        let name = map([("name", Document::text(format!("{}-{}", self.service, self.name)))]);
        spec.push(("indicator", map([("metadata", name), ("spec", self.indicator.clone())])));
        spec.push(("timeWindow", rolling(self.period)));
        spec.push(("budgetingMethod", Document::text("Occurrences")));
        spec.push(("objectives", Document::List(vec![map([("targetPercent", self.percent.clone())])])));
        map([
            ("apiVersion", Document::text("openslo/v1")),
            ("kind", Document::text("SLO")),
            ("metadata", map(metadata)),
            ("spec", map(spec)),
        ])
    }
}

/// Returns tiers as the annotation has them.
pub(crate) fn print_tiers(tiers: &[Tier]) -> String {
    tiers.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The time within which the tiers of another tool page for a total outage, as an annotation: that tool accepts it.
/// `None` when they keep the usual bound.
pub(crate) fn print_page_within(tiers: &[Tier], objective: Objective) -> Option<String> {
    let pages = tiers.iter().filter(|tier| tier.severity == Severity::Page);
    let fastest = pages.filter_map(|tier| tier.detection_seconds(objective, 1.0)).min_by(f64::total_cmp);
    let Some(seconds) = fastest else { return Some("off".to_owned()) };
    let late = seconds > PromiseBound::default().seconds;
    late.then(|| Window::minutes((seconds / 60.0).ceil() as u64).to_string())
}

/// Somebody else's text as part of a message or comment.
pub(crate) fn quote(text: &str) -> String {
    let line = one_line(text);
    match line.char_indices().nth(QUOTE_LIMIT) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// Returns a text on one line, without anything that moves a cursor.
fn one_line(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns a scalar as text, whatever YAML took it for.
pub(crate) fn scalar_text(node: &Node) -> Option<String> {
    if let Some(written) = &node.written {
        return Some(written.clone());
    }
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Int(value) => Some(value.to_string()),
        Value::Float(value) => Some(value.to_string()),
        Value::Null => Some(String::new()),
        Value::List(_) | Value::Map(_) => None,
    }
}

impl Reader<'_> {
    /// Notes a part that the written file lacks.
    pub(crate) fn lost(&mut self, at: &At<'_>, what: impl AsRef<str>, help: impl Into<String>) {
        self.warn(at, format!("{LOST}{}", what.as_ref()), help);
    }

    /// Notes a part that is written in another form.
    pub(crate) fn changed(&mut self, at: &At<'_>, what: impl AsRef<str>, help: impl Into<String>) {
        self.warn(at, format!("{CHANGED}{}", what.as_ref()), help);
    }

    /// Returns an optional text without the line break at its end.
    pub(crate) fn text_under(&mut self, fields: &Fields<'_>, key: Key) -> Option<String> {
        fields.get(key).and_then(|at| self.text(&at)).map(|text| text.trim_end().to_owned())
    }

    /// Returns the findings since a mark, up to the limit of a file, and whether all are warnings.
    pub(crate) fn since(&self, mark: usize) -> (Vec<Diagnostic>, bool) {
        let found = self.findings.get(mark..).unwrap_or_default();
        let whole = found.iter().all(|finding| finding.level == Level::Warning);
        (found.iter().take(NOTE_LIMIT + 1).cloned().collect(), whole)
    }

    /// Adds labels that rules can have; those that they cannot have are listed.
    pub(crate) fn carry_labels(&mut self, at: &At<'_>, labels: &mut BTreeMap<String, String>) {
        let Some(fields) = self.open_fields(at, "from names to values") else { return };
        for (key, value) in fields.all() {
            self.carry_label(&key.name, &value, labels);
        }
    }

    /// Adds one label, or lists it.
    pub(crate) fn carry_label(&mut self, name: &str, at: &At<'_>, labels: &mut BTreeMap<String, String>) {
        let shape = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && !name.is_empty()
            && !name.starts_with("__");
        let node = match &at.node.value {
            Value::List(items) if items.len() == 1 => items.first().unwrap_or(at.node),
            _ => at.node,
        };
        let shown = quote(name);
        if OWN_LABELS.contains(&name) || name.starts_with("sloth_") {
            self.lost(at, format!("the label `{shown}`"), "lookout sets this label itself; use another name");
        } else if !shape {
            let help = "a label of a rule has letters, digits and `_`, and begins with a letter";
            self.lost(at, format!("the label `{shown}`"), help);
        } else if let Some(text) = scalar_text(node) {
            labels.insert(name.to_owned(), text);
        } else {
            self.lost(at, format!("the label `{shown}` with several values"), "give it one value");
        }
    }

    /// Returns the tiers that can fire and lists the others; `None` when none can.
    pub(crate) fn usable_tiers(
        &mut self,
        at: &At<'_>,
        tiers: Vec<Tier>,
        objective: Objective,
        period: Window,
    ) -> Option<Vec<Tier>> {
        let mut usable: Vec<Tier> = Vec::new();
        for tier in tiers {
            let found = faults(&tier, Some(objective), Some(period), (None, None));
            for (message, help) in &found {
                self.lost(at, message, help);
            }
            if found.is_empty() && !usable.contains(&tier) {
                usable.push(tier);
            }
        }
        if usable.is_empty() {
            let help = "give it conditions that its objective can meet";
            self.error(at, "not converted: none of its alerts could ever fire", help);
            return None;
        }
        Some(usable)
    }

    /// Returns an objective in percent that leaves a budget.
    pub(crate) fn objective_percent(&mut self, at: &At<'_>, percent: f64) -> Option<Objective> {
        let objective = Objective::try_from_percent(percent).ok();
        if objective.is_none() {
            let help = "write a percentage below 100, like 99.9";
            self.error(
                at,
                format!("not converted: an objective of {percent} % leaves no error budget"),
                help,
            );
        }
        objective
    }
}

/// Returns the name of a Kubernetes object, with its namespace, after the word for what it is.
pub(crate) fn object_name(what: &str, metadata: Option<&Fields<'_>>) -> String {
    let text = |key: Key| metadata.and_then(|metadata| scalar_text(metadata.get(key)?.node));
    match (text(object_metadata::NAMESPACE), text(object_metadata::NAME)) {
        (Some(namespace), Some(name)) => format!("{what} {}/{}", quote(&namespace), quote(&name)),
        (_, Some(name)) => format!("{what} {}", quote(&name)),
        _ => what.to_owned(),
    }
}

/// Reads `metadata` of a Kubernetes object.
pub(crate) fn object_metadata<'n>(reader: &mut Reader<'_>, fields: &Fields<'n>) -> Option<Fields<'n>> {
    let metadata =
        reader.required(fields, kubernetes_object::METADATA, "give it a name: `metadata: { name: … }`")?;
    reader.fields(&metadata, object_metadata::OBJECT)
}

impl Reader<'_> {
    /// Returns a duration of whole seconds and at least one.
    pub(crate) fn window(&mut self, at: &At<'_>) -> Option<Window> {
        let duration = self.duration(at)?;
        if duration.subsec_nanos() != 0 || duration.is_zero() {
            self.error(at, "expected at least a second, in whole seconds", "write one like `5m`");
            return None;
        }
        Some(Window::seconds(duration.as_secs()))
    }
}
