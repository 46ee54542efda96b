//! Families of the text format: one `HELP` and one `TYPE` each, in any order of samples.

use core::fmt::Write as _;
use std::collections::HashMap;

use lookout_runtime::exposition::{Format, Kind, write_labels};

#[derive(Debug)]
struct Family {
    name: String,
    help: &'static str,
    kind: Kind,
    samples: String,
}

/// Families in the order of their first samples.
#[derive(Debug, Default)]
pub(super) struct Families {
    all: Vec<Family>,
    /// Places in `all` by name.
    places: HashMap<String, usize>,
}

impl Families {
    /// Adds a sample. A value that is not finite is left out: a gap is visible, while NaN spreads to every sum.
    pub(super) fn add(
        &mut self,
        kind: Kind,
        name: &str,
        help: &'static str,
        labels: &[(&str, &str)],
        value: f64,
    ) {
        if !value.is_finite() {
            return;
        }
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => {
                let place = self.all.len();
                self.all.push(Family { name: name.to_owned(), help, kind, samples: String::new() });
                self.places.insert(name.to_owned(), place);
                place
            }
        };
        if let Some(family) = self.all.get_mut(place) {
            sample(&mut family.samples, name, labels, value);
        }
    }

    /// Adds a gauge.
    pub(super) fn gauge(&mut self, name: &str, help: &'static str, labels: &[(&str, &str)], value: f64) {
        self.add(Kind::Gauge, name, help, labels, value);
    }

    /// Appends everything to `out`.
    pub(super) fn write(&self, out: &mut String, format: Format) {
        for family in &self.all {
            format.write_head(out, &family.name, family.kind, Some(family.help));
            out.push_str(&family.samples);
        }
    }
}

fn sample(out: &mut String, name: &str, labels: &[(&str, &str)], value: f64) {
    out.push_str(name);
    if !labels.is_empty() {
        out.push('{');
        write_labels(out, labels.iter().copied());
        out.push('}');
    }
    // writing to a string cannot fail
    let _ = writeln!(out, " {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_one_name_share_one_head_and_holes_are_left_out() {
        let mut families = Families::default();
        families.gauge("a", "The first.", &[("x", "1")], 0.5);
        families.add(Kind::Counter, "b_total", "The second.", &[], 3.0);
        families.gauge("a", "The first.", &[("x", "a\"b\\c\nd")], 2.0);
        families.gauge("c", "Nothing.", &[], f64::NAN);
        let mut out = String::new();
        families.write(&mut out, Format::Text);
        assert_eq!(
            out,
            "# HELP a The first.\n# TYPE a gauge\na{x=\"1\"} 0.5\na{x=\"a\\\"b\\\\c\\nd\"} 2\n\
             # HELP b_total The second.\n# TYPE b_total counter\nb_total 3\n"
        );
    }
}
