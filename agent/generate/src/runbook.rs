//! One page per alert: a head generated from the spec, and a body that people write.
//!
//! The front matter's own keys and everything between the two markers are generated. Other keys of the front matter
//! (`last_reviewed`, `drill`, …) and everything below the second marker are kept. A new page gets a first body that
//! can be acted on, made from the spec alone.

use core::fmt::Write as _;
use std::collections::BTreeSet;

use lookout_engine::{Cause, Condition, Severity, Window};
use lookout_model::format;

use super::promql::identity;
use super::promql::{self, Sli};
use super::rules::{alert_groups, base_window, has_rules, recorded};
use super::{MARK, links};
use lookout_config::{Component, Config, Indicator, Slo};
use lookout_runtime::events::names;

pub(super) const END: &str = "<!-- lookout:end -->";

/// Page of a runbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// The name of its alert and file.
    pub(super) alert: String,
    /// The head and the first body.
    pub(super) contents: String,
}

/// Returns the pages of all alerts that the rules can raise.
pub(super) fn pages(config: &Config) -> Vec<Page> {
    let mut list = Vec::new();
    for slo in &config.slos {
        let severities: Vec<Severity> = [Severity::Page, Severity::Ticket]
            .into_iter()
            .filter(|severity| !alert_groups(slo, *severity).is_empty())
            .collect();
        if !severities.is_empty() {
            let alert = slo.alert_name();
            let head = burn_head(config, slo);
            let body = first_body(slo, &alert, &current_query(slo));
            list.push(page(config, slo, alert, &severities, &head, &body));
        }
        if let Some(severity) = slo.policy.data_alert {
            let alert = links::missing_alert(slo);
            let head = missing_head(config, slo);
            let query = missing_query(config, slo);
            let body = first_body(slo, &alert, &query);
            list.push(page(config, slo, alert, &[severity], &head, &body));
        }
        for cause in [Cause::CrashLoop, Cause::TrafficMissing, Cause::TargetDown] {
            let conditions: Vec<&Condition> =
                slo.policy.conditions.iter().filter(|condition| condition.cause() == cause).collect();
            if conditions.is_empty() {
                continue;
            }
            let alert = slo.alert_name_for(cause);
            let severities: BTreeSet<Severity> =
                conditions.iter().map(|condition| condition.severity).collect();
            let severities: Vec<Severity> = severities.into_iter().rev().collect();
            let head = condition_head(config, slo, cause, &conditions);
            let query = promql::open_incident(slo, cause);
            let body = first_body(slo, &alert, &query);
            list.push(page(config, slo, alert, &severities, &head, &body));
        }
    }
    list
}

/// Returns the head of a page about conditions that only the agent evaluates.
fn condition_head(config: &Config, slo: &Slo, cause: Cause, conditions: &[&Condition]) -> String {
    let list: Vec<String> = conditions.iter().map(|condition| format!("`{condition}`")).collect();
    let (meaning, hint) = match cause {
        Cause::CrashLoop => (
            "the process behind these events started again and again",
            "A process that starts again loses the requests it was working on, and no counter shows them.",
        ),
        Cause::TargetDown => (
            "probes fail one after the other",
            "It ends after as many good ones as the target names. A slot without a probe is neither.",
        ),
        _ => (
            "the source answers and shows no events, or far fewer than a week before",
            "The service may be well: look at what is in front of it, such as DNS, load balancer and clients.",
        ),
    };
    format!(
        "{}\n**It fires** in the agent when {meaning} ({}). {hint}\n",
        promise(config, slo),
        list.join(", ")
    )
}

fn page(config: &Config, slo: &Slo, alert: String, severities: &[Severity], head: &str, body: &str) -> Page {
    let labels: Vec<&str> = severities.iter().map(|severity| severity.label()).collect();
    let mut contents = format!(
        "---\nalert: {alert}\nservice: {}\nslo: {}\nseverity: [{}]\n",
        slo.service,
        slo.name,
        labels.join(", ")
    );
    if let Some(owner) = config.services.get(&slo.service).and_then(|service| service.owner.as_ref()) {
        let _ = writeln!(contents, "owner: {}", serde_json::Value::from(owner.as_str()));
    }
    let _ = write!(
        contents,
        "---\n\n<!-- {MARK} from the spec up to the end marker; the rest of the page is yours. -->\n\n# {alert}\n\n{head}"
    );
    let _ = write!(
        contents,
        "\n[Dashboard]({}) · [SLO in the agent]({}/slos/{}/{})\n\n{END}\n\n{body}",
        links::dashboard_in_runbook(config, slo),
        links::AGENT_IN_RUNBOOK,
        slo.service,
        slo.name,
    );
    Page { alert, contents }
}

/// Returns the objective and the definition of an event, as text.
fn promise(config: &Config, slo: &Slo) -> String {
    let sli = Sli::of(config, slo);
    let counted = match &slo.indicator {
        Indicator::Probe { target, certificate_days: Some(days) } => {
            let days = format::several(usize::try_from(*days).unwrap_or(usize::MAX), "day");
            format!(
                "An event is a probe of target `{target}`; a bad one saw a certificate that is valid for less than {days}."
            )
        }
        Indicator::Probe { target, certificate_days: None } => {
            format!("An event is a probe of target `{target}`; a bad one did not meet its expectations.")
        }
        Indicator::Up { source } => {
            format!(
                "An event is a scrape of `{source}`; a bad one was refused, timed out or could not be read."
            )
        }
        Indicator::Scrape { source, .. } | Indicator::Prometheus { source, .. } => {
            let kind = if sli.part_is_bad { "bad" } else { "good" };
            format!(
                "Events are counted by `{source}`: all of them in `{}`, the {kind} ones in `{}`.",
                sli.total.text(),
                sli.part.text(),
            )
        }
        Indicator::Composite(components) => format!(
            "It has {} components, and its budget is counted by {}: {}.",
            components.len(),
            slo.policy.method.as_str(),
            components.iter().map(Component::title).collect::<Vec<_>>().join(", "),
        ),
    };
    let said =
        if slo.description.is_empty() { String::new() } else { format!("{}\n\n", slo.description.trim()) };
    if slo.tiers().is_empty() {
        return format!("{said}{counted} It has no objective, and no budget.\n");
    }
    let objective = slo.objective();
    let budget = promql::decimal(u128::from(objective.budget_ppb()), 10_000_000);
    format!(
        "{said}**Promise.** {objective} of all events are good over {}. The error budget is the other {budget}%. {counted}\n",
        slo.calendar.as_ref().map_or_else(|| slo.period().to_string(), |calendar| format!("the {calendar}")),
    )
}

fn burn_head(config: &Config, slo: &Slo) -> String {
    let mut head = promise(config, slo);
    head.push_str(
        "\n**It fires** while the budget burns faster than the factor in both windows of a row, and resolves when no row \
         holds any more.\n\n\
         | severity | windows | burn above | bad events above | a total outage fires after | at this rate the budget is gone in |\n\
         |---|---|---|---|---|---|\n",
    );
    for severity in [Severity::Page, Severity::Ticket] {
        for tier in alert_groups(slo, severity).into_iter().flat_map(|(_, tiers)| tiers) {
            let threshold = promql::threshold(&tier, slo.objective());
            let detection = tier.detection_seconds(slo.objective(), 1.0).unwrap_or(0.0);
            let gone = slo.period().as_seconds() as f64 / tier.factor.value();
            let _ = writeln!(
                head,
                "| {} | {} and {} | {} | {} | {} | {} |",
                severity.label(),
                tier.long,
                tier.short,
                format::burn(tier.factor.value()),
                format::percent(threshold),
                format::duration(detection),
                format::duration(gone),
            );
        }
    }
    let guard = slo.guard();
    let least = [(guard.minimum_bad, "bad events"), (guard.minimum_events, "events")];
    let least: Vec<String> =
        least.iter().filter(|(n, _)| *n > 1).map(|(n, what)| format!("{n} {what}")).collect();
    if !least.is_empty() {
        let _ = writeln!(head, "\nFewer than {} in the longer window never fire.", least.join(" or "));
    }
    let _ = writeln!(head, "\nNow, in Prometheus:\n\n```promql\n{}\n```", current_query(slo));
    head
}

fn missing_head(config: &Config, slo: &Slo) -> String {
    let sli = Sli::of(config, slo);
    let hold = slo.policy.data_alert_seconds();
    let what = match (&slo.indicator, &sli.job) {
        (Indicator::Probe { target, .. }, _) => format!("no probe of target `{target}` has had an outcome"),
        (Indicator::Up { source }, _) => format!("`{source}` was not scraped"),
        (Indicator::Scrape { source, .. }, Some(job)) => {
            format!("the metrics of `{source}` (job `{job}`) could not be read")
        }
        (Indicator::Scrape { source, .. }, None) => format!("the metrics of `{source}` could not be read"),
        (Indicator::Prometheus { source, .. }, _) => {
            format!("the Prometheus `{source}` had no samples of these events, or did not answer,")
        }
        (Indicator::Composite(_), _) => "one of its components has not been observed".to_owned(),
    };
    format!(
        "{}\n**It fires** when {what} for {}: as long as a total outage takes to page. Until data are back the burn \
         alerts of this SLO are frozen in the agent: they neither fire nor resolve.\n\nNow, in Prometheus:\n\n\
         ```promql\n{}\n```\n",
        promise(config, slo),
        format::duration(hold as f64),
        missing_query(config, slo),
    )
}

/// Returns the query of missing data; for a composite, the agent's own metric.
fn missing_query(config: &Config, slo: &Slo) -> String {
    if slo.components().is_empty() {
        return Sli::of(config, slo).missing(&base_window(slo).to_string());
    }
    format!(
        "{}{{service=\"{}\",slo=\"{}\",state=~\"partial|stale|no_data\"}} == 1",
        names::SLO_DATA_STATE,
        slo.service,
        slo.name
    )
}

fn current_query(slo: &Slo) -> String {
    format!("slo:current_burn_rate:ratio{}", if has_rules(slo) { recorded(slo) } else { identity(slo) })
}

/// Returns a first body that needs no knowledge of the service.
fn first_body(slo: &Slo, alert: &str, query: &str) -> String {
    let agent = "$LOOKOUT_URL";
    let (id, service) = (slo.id(), &slo.service);
    let window = Window::seconds(base_window(slo).as_seconds() * 2);
    format!(
        "## TL;DR\n\n{id} is in trouble. If {service} was changed in the last hour, undo that change first.\n\n\
         ## Impact\n\n{}\n\n\
         ## Confirm\n\n```promql\n{query}\n```\n\n```sh\ncurl -s {agent}/api/v1/slos\nlookout status\n```\n\n\
         If both disagree with the alert, it is about to resolve: watch for {window} and stop here.\n\n\
         ## Diagnose\n\n1. What changed: deploys and config of {service} since the incident began ({agent}/incidents).\n\
         2. Which routes or targets: the dashboard's rows for this SLO.\n3. What {service} depends on.\n\n\
         ## Mitigate\n\nUndo the last change of {service}. Reversible, and the most frequent cure.\n\n\
         ## Verify\n\nThe query under Confirm falls and the incident resolves; watch for {window} after that.\n\n\
         ## Escalate\n\nTo the owner of {service} when nothing helped within 30 minutes; hand over the incident page.\n\n\
         ## Communicate\n\n> We see problems with {service} and are working on them. Next update in 30 minutes.\n\n\
         ## Afterwards\n\nRecord what {alert} told, what it did not, and correct this page.\n",
        if slo.description.is_empty() {
            "Users of the service are affected."
        } else {
            slo.description.trim()
        },
    )
}

/// Merges a page: generated parts from `fresh`, the rest from `found`.
pub(super) fn merge(fresh: &str, found: &str) -> String {
    let (Some((fresh_keys, fresh_rest)), Some((found_keys, found_rest))) =
        (front_matter(fresh), front_matter(found))
    else {
        // a page without front matter is all body
        return match (fresh.split_once(END), found.split_once(END)) {
            (Some((head, _)), Some((_, body))) => format!("{head}{END}{body}"),
            (Some((head, _)), None) if !found.trim().is_empty() => {
                format!("{head}{END}\n\n{}", found.trim_start())
            }
            _ => fresh.to_owned(),
        };
    };
    let key = |line: &str| line.split(':').next().unwrap_or_default().trim().to_owned();
    const OURS: [&str; 5] = ["alert", "service", "slo", "severity", "owner"];
    // an owner that the spec does not name may be in the page
    let generated: Vec<String> = fresh_keys.lines().map(key).collect();
    let kept = found_keys.lines().filter(|line| {
        let key = key(line);
        !generated.contains(&key) && (!OURS.contains(&key.as_str()) || key == "owner")
    });
    let lines: Vec<&str> = fresh_keys.lines().chain(kept).collect();
    let head = fresh_rest.split_once(END).map_or(fresh_rest, |(head, _)| head);
    let body = match found_rest.split_once(END) {
        Some((_, body)) => body.to_owned(),
        None => format!("\n\n{}", found_rest.trim_start()),
    };
    format!("---\n{}\n---\n{head}{END}{body}", lines.join("\n"))
}

/// Splits a page into the lines between the first two rules and those after the second.
fn front_matter(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("---\n")?.split_once("\n---\n")
}

#[cfg(test)]
mod tests {
    use super::super::test_fixture;
    use super::*;

    #[test]
    fn what_people_wrote_survives_and_what_is_generated_is_renewed() {
        let mut config = test_fixture::titanic();
        let before = pages(&config).remove(0).contents;
        let edited = before
            .replacen("\n---\n", "\nlast_reviewed: 2026-01-02\ndrill: never\n---\n", 1)
            .replacen("## TL;DR", "## TL;DR\n\nMy own words.", 1);
        assert_eq!(merge(&before, &edited), edited, "nothing to renew, nothing changes");
        config.outputs.dashboard_url = Some("https://elsewhere.example.com/{slo}".to_owned());
        let merged = merge(&pages(&config).remove(0).contents, &edited);
        assert!(merged.contains("last_reviewed: 2026-01-02\ndrill: never\n---\n"), "{merged}");
        assert!(merged.contains("My own words."), "{merged}");
        assert!(merged.contains("https://elsewhere.example.com/"), "{merged}");
        assert_eq!(merge(&pages(&config).remove(0).contents, &merged), merged, "once is enough");
    }

    #[test]
    fn a_page_written_before_there_was_a_head_becomes_the_body() {
        let fresh = pages(&test_fixture::titanic()).remove(0).contents;
        let merged = merge(&fresh, "# Old page\n\nDo this.\n");
        assert!(merged.starts_with("---\nalert: "), "{merged}");
        assert!(merged.ends_with(&format!("{END}\n\n# Old page\n\nDo this.\n")), "{merged}");
        assert_eq!(merge(&fresh, &merged), merged);
    }
}
