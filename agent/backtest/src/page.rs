//! A backtest as one HTML file: a picture and its figures, for light and dark screens, without scripts or external
//! files. A table repeats everything that the picture shows by shape.

use core::fmt::Write as _;

use lookout_engine::{Cause, Counts, Severity};
use lookout_model::Timestamp;

use super::recording::Recording;
use super::report::{
    INCIDENT_HEADER, OUTAGE_HEADER, WHAT_IF_HEADER, incident_row, notes, outage_row, score_text, what_if_rows,
};
use super::run::Backtest;
use lookout_model::format::{count, date_time, duration, percent, several};

/// Number of columns of the error ratio.
const BINS: usize = 400;
/// Left edge and width of the plots, in units of the picture.
const LEFT: f64 = 150.0;
const WIDTH: f64 = 830.0;
/// Largest number of rows of a table; the JSON has them all.
const ROWS: usize = 500;

const STYLE: &str = "\
:root { color-scheme: light dark; --ground: #f6f6f3; --card: #fff; --text: #1d2126; --soft: #565f6b; --line: #d9dad5; \
--bad: #b3261e; --budget: #0b5394; --page: #b3261e; --ticket: #8a5200; --outage: #5b4b9e; --naive: #565f6b; }
@media (prefers-color-scheme: dark) { :root { --ground: #111417; --card: #191d21; --text: #e6e8ea; --soft: #a4adb7; \
--line: #343b42; --bad: #ff9d94; --budget: #8fc4f5; --page: #ff9d94; --ticket: #f0bd66; --outage: #b9aef2; --naive: #a4adb7; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 74rem; padding: 1rem 1.25rem 2rem; \
background: var(--ground); color: var(--text); }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin-top: 1.8rem; } p { max-width: 60rem; }
figure { margin: 1rem 0; padding: 1rem; background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
figcaption, .soft { color: var(--soft); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem 1rem .3rem 0; border-top: 1px solid var(--line); vertical-align: top; }
thead th { color: var(--soft); font-weight: 500; border-top: 0; white-space: nowrap; }
svg { display: block; width: 100%; height: auto; } svg text { fill: var(--text); font-size: 12px; } svg .s { fill: var(--soft); }
.axis { stroke: var(--line); stroke-width: 1; } .limit { stroke: var(--text); stroke-width: 1; stroke-dasharray: 4 3; }
.bad { fill: var(--bad); } .left { fill: none; stroke: var(--budget); stroke-width: 2; }
.outage { fill: var(--outage); } .naive { fill: var(--naive); } .page { fill: var(--page); }
.ticket { fill: none; stroke: var(--ticket); stroke-width: 2; } .missing { fill: none; stroke: var(--soft); stroke-width: 2; \
stroke-dasharray: 3 2; }
";

/// Renders the whole page.
#[must_use]
pub fn page(backtest: &Backtest, recording: &Recording) -> String {
    let policy = &backtest.policy;
    let title = format!("{}: what would have paged", backtest.slo);
    let (from, until) = backtest.span;
    let outcome = &backtest.outcome;
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{0}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{0}</h1>\n",
        escaped(&title)
    );
    let _ = writeln!(
        page,
        "<p>{} over {}, from {} to {}: {} events, {} of them bad. {} of the error budget left at the end, {} at \
         the least.</p>",
        policy.objective,
        escaped(&backtest.period),
        date_time(from),
        date_time(until),
        count(backtest.total.total()),
        count(backtest.total.bad),
        percent(outcome.budget.left_ratio),
        percent(outcome.lowest.left_ratio),
    );
    for note in notes(backtest) {
        let _ = writeln!(page, "<p class=\"soft\">Note: {}</p>", escaped(&note));
    }
    if !backtest.outages.is_empty() {
        let _ =
            writeln!(page, "<p><strong>Incidents: {}.</strong><br>", score_text(&backtest.score, "incident"));
        let naive = &backtest.naive;
        let _ = writeln!(page, "Naive threshold, {}: {}.</p>", naive.rule, score_text(&naive.score, "page"));
    }
    page += &picture(backtest, recording);
    let incidents = outcome.incidents.iter().zip(&backtest.outage_of).take(ROWS);
    let incidents = incidents.map(|(incident, outage)| incident_row(backtest, incident, *outage));
    page += &section("Incidents", &INCIDENT_HEADER, incidents.collect());
    let outages = backtest.outages.iter().take(ROWS);
    let outages = outages.map(|(outage, found)| outage_row(backtest, outage, *found));
    page += &section("Labelled outages", &OUTAGE_HEADER, outages.collect());
    page += &section(
        "Pages of the naive threshold",
        &["from", "lasted", "bad", "of", "outage"],
        naive_rows(backtest),
    );
    page += &section("What if", &WHAT_IF_HEADER, what_if_rows(backtest));
    page + "</main>\n</body>\n</html>\n"
}

fn naive_rows(backtest: &Backtest) -> Vec<Vec<String>> {
    let name = |index: Option<usize>| {
        index.and_then(|index| backtest.outages.get(index)).map(|(o, _)| o.name.clone())
    };
    let pages = backtest.naive.pages.iter().take(ROWS);
    pages
        .map(|(page, outage)| {
            vec![
                date_time(page.from),
                duration(page.to.seconds_since(page.from)),
                count(page.counts.bad),
                count(page.counts.total()),
                name(*outage).unwrap_or_else(|| "none".to_owned()),
            ]
        })
        .collect()
}

/// Renders a table under its heading; the first cell of a row names it.
fn section(title: &str, header: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return format!("<h2>{title}</h2>\n<p>None.</p>\n");
    }
    let mut out = format!("<h2>{title}</h2>\n<div class=\"scroll\"><table>\n<thead><tr>");
    for cell in header {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escaped(cell));
    }
    out += "</tr></thead>\n<tbody>\n";
    for row in rows {
        let cells = row.iter().enumerate().map(|(at, cell)| match at {
            0 => format!("<th scope=\"row\">{}</th>", escaped(cell)),
            _ => format!("<td>{}</td>", escaped(cell)),
        });
        let _ = writeln!(out, "<tr>{}</tr>", cells.collect::<String>());
    }
    out + "</tbody></table></div>\n"
}

/// Scale from instants to horizontal positions.
#[derive(Clone, Copy)]
struct Axis {
    from: Timestamp,
    until: Timestamp,
}

impl Axis {
    fn x(self, at: Timestamp) -> f64 {
        let all = self.until.millis_since(self.from).max(1) as f64;
        LEFT + (at.millis_since(self.from) as f64 / all).clamp(0.0, 1.0) * WIDTH
    }

    /// Draws a bar, wide enough to be visible for a short time.
    fn bar(
        self,
        (from, to): (Timestamp, Timestamp),
        class: &str,
        (y, height): (f64, f64),
        title: &str,
    ) -> String {
        let x = self.x(from);
        let width = (self.x(to) - x).max(2.0);
        format!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{height}\"><title>{}</title></rect>\n",
            escaped(title)
        )
    }
}

fn picture(backtest: &Backtest, recording: &Recording) -> String {
    let (from, until) = backtest.span;
    let axis = Axis { from, until };
    let incidents = several(backtest.outcome.incidents.len(), "incident");
    let mut svg = format!(
        "<figure>\n<svg viewBox=\"0 0 1000 400\" role=\"img\" aria-labelledby=\"t d\">\n\
         <title id=\"t\">Error ratio, error budget, outages and alarms over time</title>\n\
         <desc id=\"d\">{incidents}, {}, {} of the naive threshold; the tables below have all of them.</desc>\n",
        several(backtest.outages.len(), "labelled outage"),
        several(backtest.naive.pages.len(), "page"),
    );
    svg += &ratios(backtest, recording);
    svg += &budget_line(backtest, axis);
    svg += &lanes(backtest, axis);
    for tick in 0..=4 {
        let at = from.plus_millis(until.millis_since(from) / 4 * tick);
        let anchor = ["start", "middle", "middle", "middle", "end"];
        let anchor =
            usize::try_from(tick).ok().and_then(|tick| anchor.get(tick)).copied().unwrap_or("middle");
        let day = date_time(at);
        let day = day.get(..16).unwrap_or(&day);
        let _ = writeln!(
            svg,
            "<text class=\"s\" x=\"{:.1}\" y=\"392\" text-anchor=\"{anchor}\">{day}</text>",
            axis.x(at)
        );
    }
    svg += "</svg>\n<figcaption>From above: the share of bad events (on a square-root scale, dashed: what the objective \
            allows), the error budget left (dashed: none), then outages, incidents (filled: a page; outlined: a ticket; \
            dotted: missing data) and the pages of the naive threshold. Times are UTC.</figcaption>\n</figure>\n";
    svg
}

fn ratios(backtest: &Backtest, recording: &Recording) -> String {
    let (top, height) = (20.0, 110.0);
    let bins = binned(recording);
    let allowed = backtest.policy.objective.budget_ratio();
    let highest = bins.iter().filter_map(|counts| counts.bad_ratio()).fold(2.0 * allowed, f64::max).min(1.0);
    let high = |ratio: f64| (ratio / highest).clamp(0.0, 1.0).sqrt() * height;
    let width = WIDTH / bins.len().max(1) as f64;
    let mut out = format!(
        "<text x=\"10\" y=\"40\">bad events</text><text class=\"s\" x=\"10\" y=\"56\">up to {}</text>\n\
         <text class=\"s\" x=\"10\" y=\"72\">allowed {}</text>\n",
        percent(highest),
        percent(allowed)
    );
    for (at, counts) in bins.iter().enumerate() {
        let Some(ratio) = counts.bad_ratio().filter(|ratio| *ratio > 0.0) else { continue };
        let high = high(ratio);
        let (x, y) = (LEFT + at as f64 * width, top + height - high);
        let _ = writeln!(
            out,
            "<rect class=\"bad\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{high:.1}\"/>"
        );
    }
    out += &rule("axis", top + height);
    out + &rule("limit", top + height - high(allowed))
}

/// Returns the recording in columns of equal time.
fn binned(recording: &Recording) -> Vec<Counts> {
    let (first, last) = match (recording.first(), recording.last()) {
        (Some(first), Some(last)) => (first.0, last.0),
        _ => return Vec::new(),
    };
    let slots = last.saturating_sub(first).saturating_add(1);
    let columns = i64::try_from(BINS).unwrap_or(1).min(slots);
    let mut bins = vec![Counts::ZERO; usize::try_from(columns).unwrap_or(1)];
    for (slot, counts) in recording.slots() {
        let column = slot.0.saturating_sub(first).saturating_mul(columns) / slots;
        if let Some(bin) = usize::try_from(column).ok().and_then(|column| bins.get_mut(column)) {
            *bin += *counts;
        }
    }
    bins
}

fn budget_line(backtest: &Backtest, axis: Axis) -> String {
    let (top, height) = (155.0, 100.0);
    let floor = backtest.outcome.lowest.left_ratio.min(0.0);
    let y = |left: f64| top + (1.0 - left) / (1.0 - floor) * height;
    let points = backtest.outcome.budget_line.iter();
    let points: Vec<String> =
        points.map(|point| format!("{:.1},{:.1}", axis.x(point.at), y(point.left_ratio))).collect();
    format!(
        "<text x=\"10\" y=\"175\">error budget left</text><text class=\"s\" x=\"10\" y=\"191\">{} to {}</text>\n{}{}\
         <polyline class=\"left\" points=\"{}\"/>\n",
        percent(1.0),
        percent(floor),
        rule("axis", y(1.0)),
        rule("limit", y(0.0)),
        points.join(" ")
    )
}

fn rule(class: &str, y: f64) -> String {
    format!(
        "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n",
        LEFT + WIDTH
    )
}

fn lanes(backtest: &Backtest, axis: Axis) -> String {
    let until = backtest.span.1;
    let mut out = String::new();
    for (name, y) in [("outages", 275.0), ("incidents", 312.0), ("naive threshold", 349.0)] {
        let _ = write!(out, "<text x=\"10\" y=\"{}\">{name}</text>\n{}", y + 15.0, rule("axis", y + 24.0));
    }
    for (outage, _) in backtest.outages.iter().take(ROWS) {
        out += &axis.bar((outage.start, outage.end), "outage", (275.0, 20.0), &outage.name);
    }
    for incident in backtest.outcome.incidents.iter().take(ROWS) {
        let to = incident.resolved_at.unwrap_or(until);
        let class = match (incident.cause, incident.peak) {
            (Cause::DataMissing | Cause::TrafficMissing, _) => "missing",
            (Cause::Burn | Cause::CrashLoop | Cause::TargetDown, Severity::Page) => "page",
            (Cause::Burn | Cause::CrashLoop | Cause::TargetDown, Severity::Ticket) => "ticket",
        };
        let title = format!("{class} from {} to {}", date_time(incident.detected_at), date_time(to));
        out += &axis.bar((incident.detected_at, to), class, (313.0, 18.0), &title);
    }
    for (page, _) in backtest.naive.pages.iter().take(ROWS) {
        let title = format!("page from {} to {}", date_time(page.from), date_time(page.to));
        out += &axis.bar((page.from, page.to), "naive", (351.0, 16.0), &title);
    }
    out
}

/// Escapes text from outside for HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
