//! Alerting rules: two per SLO for the tiers, one for missing data, and one for failures in a row.
//!
//! Prometheus resolves an alert as soon as its expression is false or has no value. So a service without traffic, or
//! one that is not scraped any more, would send "resolved" in the middle of an outage. The rules therefore keep their
//! state, as the agent does, by reading their own `ALERTS`:
//!
//! - a tier that fires while its short window has no event any more follows its long window, if the short one was above
//!   the threshold when it last had a value;
//! - a tier that fires goes on below the guard: the guard decides about the start of an alert, not about its end;
//! - while data are missing, every firing alert goes on.
//!
//! None of this makes an alert start.

use lookout_engine::{Cause, Condition, Method, Severity, Tier, Window};

use super::links;
use super::promql::identity;
use super::promql::{self, duration, indented, quoted};
use super::rules::{Rules, alert_groups, base_window, coverage, evaluation_seconds, label_node, recorded};
use super::yaml::{Node, map};
use lookout_config::Slo;
use lookout_model::format;

/// Time that Prometheus looks back for the last sample of a series, less a minute of delay.
const LOOKBACK_SECONDS: u32 = 240;

impl Rules<'_> {
    /// Returns all alerts of the SLO.
    pub(super) fn alerts(&self) -> Vec<Node> {
        let mut list = self.burn_alerts();
        list.extend(self.down_alerts());
        list.extend(self.missing_alert());
        list
    }

    /// Returns one alert per severity: its tiers are ORed, and a tier that no failure rate can reach is left out.
    /// Tiers with different hold times cannot share a rule; the label `hold` distinguishes their rules.
    fn burn_alerts(&self) -> Vec<Node> {
        let mut list = Vec::new();
        for severity in [Severity::Page, Severity::Ticket] {
            let groups = alert_groups(self.slo, severity);
            for (hold, tiers) in &groups {
                let mut labels = self.alert_labels(severity);
                let hold_label = (groups.len() > 1).then(|| Window::seconds(*hold).to_string());
                labels.extend(hold_label.clone().map(|hold| ("hold".to_owned(), hold)));
                let firing = firing(self.slo, severity, hold_label.as_deref());
                let mut expr: Vec<String> = Vec::new();
                expr.extend(tiers.iter().flat_map(|tier| [self.condition(tier), self.held(tier, &firing)]));
                expr.push(self.frozen(&firing));
                let alert = self.slo.alert_name();
                list.push(alert_rule(
                    &alert,
                    &expr.join("\nor\n"),
                    *hold,
                    labels,
                    self.burn_annotations(severity),
                ));
            }
        }
        list
    }

    /// Returns the condition of a tier: above the threshold in both windows, with the events that the guard requires
    /// in the long one.
    fn condition(&self, tier: &Tier) -> String {
        let mut parts = vec![self.above(tier, tier.short), self.above(tier, tier.long)];
        let guard = self.slo.guard();
        let long = tier.long.to_string();
        if guard.minimum_bad > 1 {
            parts.push(format!("{} >= {}", self.sli.bad_count(&long), guard.minimum_bad));
        }
        if guard.minimum_events > 1 {
            parts.push(format!("{} >= {}", self.sli.total_count(&long), guard.minimum_events));
        }
        let mut text = String::new();
        for (index, part) in parts.iter().enumerate() {
            text.push_str(match index {
                0 => "",
                1 => "\nand\n",
                _ => "\nand on ()\n",
            });
            text.push_str(part);
        }
        format!("(\n{}\n)", indented(&text))
    }

    /// Returns the condition that keeps a firing tier until its release: the observed time of the long window burns above the release factor, and so
    /// did that of the short one when it last had an event.
    fn held(&self, tier: &Tier, firing: &str) -> String {
        let (short, identity) = (ratio_name(tier.short), recorded(self.slo));
        let said = format!("last_over_time({short}{identity}[{}])", tier.long);
        let released = Tier { factor: tier.factor_while(true), ..*tier };
        let threshold = promql::threshold(&released, self.slo.objective());
        let long = format!("{} > {threshold}", self.ratio(tier.long));
        format!(
            "(\n{}\n)",
            indented(&format!("{long}\nand on ()\n{said} > {threshold}\nand on ()\n{firing}"))
        )
    }

    /// Returns the condition that keeps a firing tier without data: they are missing, or so new that they have no rate
    /// yet. The ratio of the period is the only value left to report.
    fn frozen(&self, firing: &str) -> String {
        let ratio = format!("{}{}", ratio_name(self.slo.period()), recorded(self.slo));
        let base = base_window(self.slo).to_string();
        let (missing, rate) = (self.sli.missing(&base), self.sli.total_rate(&base));
        let missing = indented(&format!("{missing}\nor\nabsent({rate})"));
        let text =
            format!("max without (sloth_window) ({ratio})\nand on ()\n{firing}\nand on ()\n(\n{missing}\n)");
        format!("(\n{}\n)", indented(&text))
    }

    /// Returns the condition that a window is above the threshold with unseen time as clean. The value stays the ratio of the observed time.
    fn above(&self, tier: &Tier, window: Window) -> String {
        let threshold = promql::threshold(tier, self.slo.objective());
        format!("{} > {threshold} / {}", self.ratio(window), coverage(self.slo, window))
    }

    fn ratio(&self, window: Window) -> String {
        format!("max without (sloth_window) ({}{})", ratio_name(window), recorded(self.slo))
    }

    /// Returns one alert per condition on failures in a row. The agent alone sees the outcomes one by one, so that the rule
    /// repeats what the agent says: it reaches people when the agent's own messages do not.
    fn down_alerts(&self) -> Vec<Node> {
        let down = self.slo.policy.conditions.iter().filter(|seen| seen.cause() == Cause::TargetDown);
        let alert = |condition: &Condition| {
            let (severity, name) = (condition.severity, self.slo.alert_name_for(Cause::TargetDown));
            let open = format!("max({}) == 1", promql::open_incident(self.slo, Cause::TargetDown));
            let title = links::slo_title(self.slo);
            let summary = format!("\"{title}\": the probes fail one after the other.");
            let description = format!("{} (service {})", self.slo.description, self.slo.service);
            let words = format::cause(Cause::TargetDown);
            let annotations = self.annotations(&name, severity, words, [summary, description]);
            alert_rule(&name, &open, 0, self.alert_labels(severity), annotations)
        };
        down.map(alert).collect()
    }

    fn missing_alert(&self) -> Option<Node> {
        let severity = self.slo.policy.data_alert?;
        let hold = self.slo.policy.data_alert_seconds();
        let expr = self.sli.missing(&base_window(self.slo).to_string());
        let alert = links::missing_alert(self.slo);
        Some(alert_rule(
            &alert,
            &expr,
            hold,
            self.alert_labels(severity),
            self.missing_annotations(&alert, severity),
        ))
    }

    fn alert_labels(&self, severity: Severity) -> Vec<(String, String)> {
        let slo = self.slo;
        let own = [
            ("severity", severity.label().to_owned()),
            ("service", slo.service.clone()),
            ("slo", slo.name.clone()),
            ("sloth_severity", severity.as_str().to_owned()),
        ];
        let mut labels = self.labels(&[]);
        labels.extend(own.map(|(name, value)| (name.to_owned(), value)));
        labels
    }

    fn burn_annotations(&self, severity: Severity) -> [(String, String); 5] {
        let slo = self.slo;
        let title = links::slo_title(slo);
        let haste = match severity {
            Severity::Page => "far too fast",
            Severity::Ticket => "too fast",
        };
        let summary = format!("The error budget of \"{title}\" burns {haste}.");
        let what = match slo.policy.method {
            Method::Occurrences => "events",
            Method::Timeslices { .. } => "time slices",
            Method::RatioTimeslices { .. } | Method::Composite(_) => "events, time slice by time slice,",
        };
        // one series: that of these rules, or of the agent where only that counts
        let source = if slo.calendar.is_some() { "instance!=''" } else { "instance=''" };
        let budget = format!("slo:period_error_budget_remaining:ratio{{sloth_id='{}', {source}}}", slo.id());
        let description = format!(
            "{{{{ $value | humanizePercentage }}}} of the {what} of {} were bad; the objective of {} allows {}% over {}{}. \
             Budget left: {{{{ with query \"{budget}\" }}}}{{{{ . | first | value | humanizePercentage }}}}\
             {{{{ else }}}}unknown{{{{ end }}}}.",
            slo.id(),
            slo.objective(),
            promql::decimal(u128::from(slo.objective().budget_ppb()), 10_000_000),
            slo.period(),
            slo.calendar.as_ref().map_or_else(String::new, |calendar| format!(
                " (the agent counts by the {calendar}, these rules look at the last {})",
                slo.period()
            )),
        );
        let words = format!("the error budget burns {haste}");
        self.annotations(&slo.alert_name(), severity, &words, [summary, description])
    }

    fn missing_annotations(&self, alert: &str, severity: Severity) -> [(String, String); 5] {
        let summary = format!(
            "The objective \"{}\" is not measured any more: the data are missing.",
            links::slo_title(self.slo)
        );
        let description = format!(
            "Nothing has been observed for {} (service {}) for at least {}: a total outage would have fired by now. \
             Its burn alerts can neither fire nor resolve until data are back.",
            self.slo.id(),
            // not `$labels.service`: the result of `absent` has no such label
            self.slo.service,
            Window::seconds(self.slo.policy.data_alert_seconds()),
        );
        self.annotations(alert, severity, "the data are missing", [summary, description])
    }

    /// Returns the annotations. Templates made for Sloth show `title`.
    fn annotations(
        &self,
        alert: &str,
        severity: Severity,
        title: &str,
        [summary, description]: [String; 2],
    ) -> [(String, String); 5] {
        let (service, slo) = (&self.slo.service, &self.slo.name);
        [
            ("title".to_owned(), format!("({severity}) {service} {slo}: {title}")),
            ("summary".to_owned(), summary),
            ("description".to_owned(), description),
            ("runbook_url".to_owned(), links::runbook(self.config, alert)),
            ("dashboard_url".to_owned(), links::dashboard(self.config, self.slo)),
        ]
    }
}

fn ratio_name(window: Window) -> String {
    format!("slo:sli_error:ratio_rate{window}")
}

/// Returns the alert itself, as it was at the evaluation before.
fn firing(slo: &Slo, severity: Severity, hold: Option<&str>) -> String {
    let hold = hold.map_or_else(String::new, |hold| format!(", hold={}", quoted(hold)));
    let own = format!(
        "ALERTS{{alertname={}, alertstate=\"firing\", severity={}{hold}, ",
        quoted(&slo.alert_name()),
        quoted(severity.label())
    );
    let selector = identity(slo).replacen('{', &own, 1);
    let interval = evaluation_seconds(slo);
    if interval <= LOOKBACK_SECONDS {
        return selector;
    }
    // the sample of one evaluation ago, which is older than Prometheus looks back by default
    format!("last_over_time({selector}[{}])", duration(u64::from(interval) * 3 / 2))
}

fn alert_rule(
    name: &str,
    expr: &str,
    hold: u64,
    labels: Vec<(String, String)>,
    annotations: [(String, String); 5],
) -> Node {
    let mut pairs = vec![("alert", name.into()), ("expr", expr.into())];
    if hold > 0 {
        pairs.push(("for", Window::seconds(hold).to_string().into()));
    }
    pairs.push(("labels", label_node(labels)));
    pairs.push(("annotations", Node::Map(annotations.map(|(key, text)| (key, text.into())).into())));
    map(pairs)
}
