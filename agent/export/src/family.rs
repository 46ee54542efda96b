//! Families of the text format: one `HELP` and one `TYPE` each, in any order of samples.

use std::collections::HashMap;

use lookout_runtime::exposition::{Format, Kind, write_labels, write_value};

/// Bytes from which on a new part of a family begins.
const PART: usize = 32 * 1024;

/// A family, open for samples.
#[derive(Debug)]
pub(super) struct Family {
    name: String,
    help: &'static str,
    kind: Kind,
    /// The begin of a line with labels.
    begin: String,
    /// Texts of some samples each. Megabytes in one text would be copied again and again while it grows.
    samples: Vec<String>,
}

impl Family {
    fn new(name: &str, help: &'static str, kind: Kind) -> Self {
        Self { name: name.to_owned(), help, kind, begin: [name, "{"].concat(), samples: Vec::new() }
    }

    /// Adds a sample. A value that is not finite is left out: a gap is visible, while NaN spreads to every sum.
    fn add(&mut self, labels: Labels<'_>, value: f64) {
        if !value.is_finite() {
            return;
        }
        if self.samples.last().is_none_or(|part| part.len() >= PART) {
            self.samples.push(String::new());
        }
        if let Some(part) = self.samples.last_mut() {
            sample(part, &self.name, &self.begin, labels, value);
        }
    }
}

/// Labels of a sample: those that are written already, and the ones after them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Labels<'l> {
    written: [&'l str; 2],
    more: &'l [(&'l str, &'l str)],
}

impl<'l, const N: usize> From<&'l [(&'l str, &'l str); N]> for Labels<'l> {
    fn from(more: &'l [(&'l str, &'l str); N]) -> Self {
        Self { written: ["", ""], more }
    }
}

impl<'l> From<&'l [(&'l str, &'l str)]> for Labels<'l> {
    fn from(more: &'l [(&'l str, &'l str)]) -> Self {
        Self { written: ["", ""], more }
    }
}

impl<'l, const N: usize> From<(&'l str, &'l [(&'l str, &'l str); N])> for Labels<'l> {
    fn from((written, more): (&'l str, &'l [(&'l str, &'l str); N])) -> Self {
        Self { written: [written, ""], more }
    }
}

impl<'l> From<[&'l str; 2]> for Labels<'l> {
    fn from(written: [&'l str; 2]) -> Self {
        Self { written, more: &[] }
    }
}

/// Families in the order of their first samples.
#[derive(Debug, Default)]
pub(super) struct Families {
    all: Vec<Family>,
    /// Places in `all` by name.
    places: HashMap<String, usize>,
    /// The place of the last sample. Every SLO has nearly the same families in the same order.
    last: usize,
}

impl Families {
    /// Adds a sample.
    pub(super) fn add(&mut self, kind: Kind, name: &str, help: &'static str, labels: Labels<'_>, value: f64) {
        if value.is_finite()
            && let Some(family) = self.family(kind, name, help)
        {
            family.add(labels, value);
        }
    }

    /// Returns a family; a new one when it is the first time.
    fn family(&mut self, kind: Kind, name: &str, help: &'static str) -> Option<&mut Family> {
        self.last = self.place(kind, name, help);
        self.all.get_mut(self.last)
    }

    /// Adds a gauge with a sample for each label of `states`, which are written already: 1 for those that are, else 0.
    pub(super) fn states<'s>(
        &mut self,
        name: &str,
        help: &'static str,
        written: &str,
        states: impl IntoIterator<Item = (&'s str, bool)>,
    ) {
        let Some(family) = self.family(Kind::Gauge, name, help) else { return };
        for (label, is) in states {
            family.add([written, label].into(), f64::from(u8::from(is)));
        }
    }

    /// Returns the place of a family; a new one when it is the first time.
    fn place(&mut self, kind: Kind, name: &str, help: &'static str) -> usize {
        let mut likely = [self.last, self.last + 1].into_iter();
        if let Some(place) = likely.find(|place| self.all.get(*place).is_some_and(|known| known.name == name))
        {
            return place;
        }
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = self.all.len();
        self.all.push(Family::new(name, help, kind));
        self.places.insert(name.to_owned(), place);
        place
    }

    /// Adds a gauge.
    pub(super) fn gauge<'l>(
        &mut self,
        name: &str,
        help: &'static str,
        labels: impl Into<Labels<'l>>,
        value: f64,
    ) {
        self.add(Kind::Gauge, name, help, labels.into(), value);
    }

    /// Appends everything to `out`. Each family is freed as soon as it is there: thousands of SLOs have megabytes of them.
    pub(super) fn write(self, out: &mut String, format: Format) {
        for family in self.all {
            format.write_head(out, &family.name, family.kind, Some(family.help));
            family.samples.iter().for_each(|part| out.push_str(part));
        }
    }
}

fn sample(out: &mut String, name: &str, begin: &str, labels: Labels<'_>, value: f64) {
    let Labels { written: [first, second], more } = labels;
    if first.is_empty() && second.is_empty() && more.is_empty() {
        out.push_str(name);
    } else {
        out.push_str(begin);
        out.push_str(first);
        if !first.is_empty() && !second.is_empty() {
            out.push(',');
        }
        out.push_str(second);
        if !(first.is_empty() && second.is_empty() || more.is_empty()) {
            out.push(',');
        }
        write_labels(out, more.iter().copied());
        out.push('}');
    }
    out.push(' ');
    write_value(out, value);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_one_name_share_one_head_and_holes_are_left_out() {
        let mut families = Families::default();
        families.gauge("a", "The first.", &[("x", "1")], 0.5);
        families.add(Kind::Counter, "b_total", "The second.", Labels::from(&[]), 3.0);
        families.gauge("a", "The first.", &[("x", "a\"b\\c\nd")], 2.0);
        families.gauge("a", "The first.", ("x=\"2\"", &[("y", "3")]), 1.0);
        families.gauge("a", "The first.", ("x=\"2\"", &[]), 1.5);
        families.gauge("c", "Nothing.", &[], f64::NAN);
        families.states("a", "The first.", "x=\"2\"", [("y=\"3\"", true), ("y=\"4\"", false)]);
        let mut out = String::new();
        families.write(&mut out, Format::Text);
        assert_eq!(
            out,
            "# HELP a The first.\n# TYPE a gauge\na{x=\"1\"} 0.5\na{x=\"a\\\"b\\\\c\\nd\"} 2\n\
             a{x=\"2\",y=\"3\"} 1\na{x=\"2\"} 1.5\na{x=\"2\",y=\"3\"} 1\na{x=\"2\",y=\"4\"} 0\n\
             # HELP b_total The second.\n# TYPE b_total counter\nb_total 3\n"
        );
    }
}
