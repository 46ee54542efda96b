//! The report: figures beside their targets, and ratios where the machine decides on the figures.

use super::Measured;
use super::deadline::Deadlines;
use super::failing::Failing;
use super::tools::Tool;

const OURS: &str = "lookout";
const PEER: &str = "blackbox_exporter";
const BARE: &str = "bare loop";

/// Figures of all runs.
#[derive(Debug, Default)]
pub(super) struct Figures {
    hundred: Vec<(&'static str, bool, Measured)>,
    memory: Vec<(u32, Measured)>,
    rates: Vec<(u32, bool, Measured)>,
    deadlines: Option<Deadlines>,
    failing: Option<Failing>,
}

impl Figures {
    pub(super) fn at_hundred(&mut self, tool: &'static str, secure: bool, measured: Measured) {
        self.hundred.push((tool, secure, measured));
    }

    pub(super) fn memory(&mut self, targets: u32, measured: Measured) {
        self.memory.push((targets, measured));
    }

    pub(super) fn rate(&mut self, targets: u32, secure: bool, measured: Measured) {
        self.rates.push((targets, secure, measured));
    }

    pub(super) const fn deadlines(&mut self, deadlines: Deadlines) {
        self.deadlines = Some(deadlines);
    }

    pub(super) const fn failing(&mut self, failing: Failing) {
        self.failing = Some(failing);
    }

    pub(super) fn print(&self, tools: &[Tool]) {
        for line in self.lines() {
            println!("{line}");
        }
        for version in tools.iter().filter_map(Tool::version) {
            println!("\npeers: {version}");
        }
        println!("every probe makes a whole TLS handshake, except where blackbox_exporter resumes a session");
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("\n{:<46}{:>12}{:>12}", "", "measured", "target")];
        for (tool, secure, measured) in &self.hundred {
            let what = format!("{tool}, CPU per {} probe", scheme(*secure));
            lines
                .push(format!("{what:<46}{:>9.3} ms{:>12}  {} probes", measured.cpu_ms, "", measured.probes));
        }
        for (secure, peer_bound) in [(false, 6.0), (true, 4.0)] {
            let ours = self.cpu(OURS, secure);
            for (tool, bound, at_least) in [(PEER, peer_bound, true), (BARE, 1.5, false)] {
                let Some((ours, theirs)) = ours.zip(self.cpu(tool, secure)) else { continue };
                let (what, ratio, met) = if at_least {
                    (format!("{tool} / lookout, {}", scheme(secure)), theirs / ours, theirs / ours >= bound)
                } else {
                    (format!("lookout / {tool}, {}", scheme(secure)), ours / theirs, ours / theirs <= bound)
                };
                let sign = if at_least { "≥" } else { "≤" };
                lines.push(format!(
                    "{what:<46}{ratio:>10.2} x{:>12}  {}",
                    format!("{sign} {bound} x"),
                    word(met)
                ));
            }
        }
        for (targets, measured) in &self.memory {
            let bound = match targets {
                100 => 15.0,
                1_000 => 25.0,
                _ => 50.0,
            };
            let what = format!("lookout, memory, {targets} HTTP targets / 10 s");
            lines.push(bounded(&what, measured.memory_mb, bound, "MB"));
        }
        for (targets, secure, measured) in &self.rates {
            let what = format!("lookout, {targets} {} probes/s, share made", scheme(*secure));
            let share = measured.achieved * 100.0;
            lines.push(format!("{what:<46}{share:>10.1} %{:>12}  {}", "100 %", word(share >= 99.0)));
        }
        for (secure, name) in [(false, "HTTP"), (true, "HTTPS")] {
            let found = self.hundred.iter().find(|(tool, is, _)| *tool == OURS && *is == secure);
            if let Some(deviation) = found.and_then(|(_, _, measured)| measured.deviation_ms) {
                lines.push(bounded(
                    &format!("lookout, start deviation p99, 100 {name}/s"),
                    deviation,
                    3.0,
                    "ms",
                ));
            }
        }
        if let Some(Deadlines { probes, early, late_ms }) = self.deadlines {
            lines.push(bounded("lookout, latest end beyond a 2 s deadline", late_ms, 100.0, "ms"));
            lines.push(format!("{:<46}{probes:>9} probes, {early} of which ended early", "  of"));
        }
        if let Some(failing) = self.failing {
            lines.push(bounded("lookout, memory, 2,000 failing SLOs", failing.memory_mb, 120.0, "MB"));
            lines.push(bounded("lookout, /metrics, 2,000 failing SLOs", failing.scrape_ms, 100.0, "ms"));
            lines.push(format!("{:<46}{:>9.1} MB", "  its size", failing.scrape_bytes as f64 / 1e6));
        }
        lines
    }

    fn cpu(&self, tool: &str, secure: bool) -> Option<f64> {
        let found = self.hundred.iter().find(|(name, is, _)| *name == tool && *is == secure);
        found.map(|(_, _, measured)| measured.cpu_ms)
    }
}

fn bounded(what: &str, measured: f64, bound: f64, unit: &str) -> String {
    let bound_text = format!("≤ {bound} {unit}");
    format!("{what:<46}{measured:>9.1} {unit}{bound_text:>12}  {}", word(measured <= bound))
}

const fn word(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

const fn scheme(secure: bool) -> &'static str {
    if secure { "HTTPS" } else { "HTTP" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_judged_in_their_direction() {
        let measured = |cpu_ms| Measured {
            probes: 100,
            achieved: 1.0,
            cpu_ms,
            memory_mb: 14.0,
            deviation_ms: Some(5.0),
        };
        let mut figures = Figures::default();
        for (tool, cpu_ms) in [(OURS, 0.2), (PEER, 1.0), (BARE, 0.15)] {
            figures.at_hundred(tool, false, measured(cpu_ms));
        }
        figures.memory(100, measured(0.2));
        figures.deadlines(Deadlines { probes: 450, early: 0, late_ms: 120.0 });
        figures.failing(Failing { memory_mb: 130.0, scrape_ms: 50.0, scrape_bytes: 1_000_000 });
        let lines = figures.lines();
        let ends = |what: &str, word: &str| {
            let line = lines.iter().find(|line| line.starts_with(what)).unwrap();
            assert!(line.ends_with(word), "{line}");
        };
        ends("blackbox_exporter / lookout, HTTP", "≥ 6 x  MISSED");
        ends("lookout / bare loop, HTTP", "≤ 1.5 x  met");
        ends("lookout, memory, 100", "≤ 15 MB  met");
        ends("lookout, start deviation p99, 100 HTTP/s", "≤ 3 ms  MISSED");
        ends("lookout, memory, 2,000", "≤ 120 MB  MISSED");
        ends("lookout, latest end beyond", "≤ 100 ms  MISSED");
        ends("lookout, /metrics", "≤ 100 ms  met");
    }
}
