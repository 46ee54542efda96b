//! Measured times beside the earliest possible ones.

use std::time::Duration;

use super::changes::Changes;
use super::spec::{self, INTERVAL_S};

/// The figures of one story. Times are seconds after the fault began or, for the recovery, after it ended.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// The time of the page that `lookout check` promises.
    pub(super) promised_s: f64,
    pub(super) opened_s: f64,
    pub(super) message_s: f64,
    /// The time at which the errors that were really drawn first exceeded what a tier allows.
    pub(super) crossed_s: Option<f64>,
    pub(super) resolved_s: f64,
    pub(super) allowed_s: f64,
    pub(super) posts: usize,
    pub(super) transitions: usize,
    pub(super) sent: u64,
    pub(super) failed: u64,
    pub(super) served: u64,
    pub(super) seen: u64,
    pub(super) changes: Changes,
}

impl Figures {
    /// The latest the incident may open: one evaluation interval after the earliest possible moment. That moment is
    /// the closed form, unless chance drew fewer errors than it was asked for and nobody could have known by then.
    pub(super) fn limit_s(&self) -> f64 {
        spec::detection_s().max(self.crossed_s.unwrap_or_default()) + f64::from(INTERVAL_S)
    }

    /// Returns whether the incident opened within one evaluation interval of the promise. Chance may excuse here too.
    pub(super) fn keeps_promise(&self) -> bool {
        let interval = f64::from(INTERVAL_S);
        let latest = self.promised_s.max(self.crossed_s.unwrap_or_default()) + interval;
        (self.promised_s - interval..=latest).contains(&self.opened_s)
    }
}

/// The table at the end.
pub(super) fn summary(figures: &Figures, took: Duration) -> String {
    let crossed = figures.crossed_s.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.2} s"));
    let mut rows = vec![
        (
            "fault to open incident",
            format!("{:.2} s", figures.opened_s),
            format!("{:.2} s", spec::detection_s()),
        ),
        ("  as promised by lookout check", String::new(), format!("{:.2} s", figures.promised_s)),
        ("  by the errors really drawn", String::new(), crossed),
        ("fault to Slack message", format!("{:.2} s", figures.message_s), String::new()),
        (
            "end of fault to resolved",
            format!("{:.2} s", figures.resolved_s),
            format!("{:.2} s", spec::reset_s()),
        ),
        ("end of fault to gate open", format!("{:.2} s", figures.allowed_s), String::new()),
        ("Slack posts per transition", format!("{}/{}", figures.posts, figures.transitions), "1".to_owned()),
    ];
    if figures.sent > 0 {
        rows.push(("requests seen of sent", format!("{}/{}", figures.seen, figures.sent), "all".to_owned()));
        let Changes { promised_s, opened_s, resolved_s } = figures.changes;
        rows.push((
            "refused writes to open incident",
            format!("{opened_s:.2} s"),
            format!("{promised_s:.2} s promised"),
        ));
        rows.push(("end of them to resolved", format!("{resolved_s:.2} s"), String::new()));
        rows.push(("requests failed", figures.failed.to_string(), String::new()));
    }
    rows.push(("whole story", format!("{:.0} s", took.as_secs_f64()), "< 90 s".to_owned()));
    let head = format!("\n{:<30} {:>12} {:>20}", "", "measured", "minimum or target");
    let lines = rows.iter().map(|(name, measured, target)| format!("{name:<30} {measured:>12} {target:>20}"));
    std::iter::once(head).chain(lines).map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_may_excuse_but_never_hurry() {
        let mut figures = Figures { crossed_s: Some(5.0), ..Figures::default() };
        assert!((figures.limit_s() - 6.0).abs() < 1e-9);
        figures.crossed_s = Some(1.5);
        assert!((figures.limit_s() - (10.0 * 2.0 / 10.0 + 1.0)).abs() < 1e-9);
    }

    #[test]
    fn a_promise_is_kept_within_one_interval() {
        let kept = |opened_s, crossed_s| {
            Figures { promised_s: 2.0, opened_s, crossed_s: Some(crossed_s), ..Figures::default() }
                .keeps_promise()
        };
        assert!(kept(1.2, 2.0) && kept(2.9, 2.0) && kept(3.3, 2.4));
        assert!(!kept(0.9, 2.0) && !kept(3.3, 2.0));
    }

    #[test]
    fn the_table_sets_measured_beside_possible() {
        let figures = Figures { opened_s: 7.2, posts: 3, transitions: 3, ..Figures::default() };
        let table = summary(&figures, Duration::from_secs(45));
        assert!(table.contains("fault to open incident"), "{table}");
        assert!(table.lines().any(|line| line.contains("7.20 s") && line.contains("2.00 s")), "{table}");
    }
}
