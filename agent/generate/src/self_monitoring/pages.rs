//! Runbooks of the alerts about the agent: generated heads, and complete bodies, because the faults of an agent are
//! the same everywhere.

use core::fmt::Write as _;

use super::super::promql::quoted;
use super::super::runbook::{self, Page};
use super::super::{MARK, links};
use super::{Alert, OWN_ALERTS, SERVICE, alerts, duration};
use lookout_config::Config;

/// Bodies in the order of [`OWN_ALERTS`]. They do not end in `.md`: image builds exclude Markdown files.
const BODIES: [&str; OWN_ALERTS.len()] = [
    include_str!("../../templates/runbooks/LookoutDown.txt"),
    include_str!("../../templates/runbooks/LookoutStalled.txt"),
    include_str!("../../templates/runbooks/LookoutLedgerFailing.txt"),
    include_str!("../../templates/runbooks/LookoutNotDelivering.txt"),
    include_str!("../../templates/runbooks/LookoutCrashing.txt"),
    include_str!("../../templates/runbooks/LookoutClockOff.txt"),
    include_str!("../../templates/runbooks/LookoutConfigRefused.txt"),
    include_str!("../../templates/runbooks/LookoutDiscoveryFailing.txt"),
];

/// Returns the pages; none where no Prometheus scrapes the agent.
pub(crate) fn pages(config: &Config) -> Vec<Page> {
    let alerts = alerts(config).into_iter().flatten();
    alerts.zip(BODIES).map(|(alert, body)| page(config, &alert, body)).collect()
}

fn page(config: &Config, alert: &Alert, body: &str) -> Page {
    let (name, severity) = (alert.name, alert.severity.label());
    let job = config.outputs.agent_job.as_deref().unwrap_or_default();
    let body = body.replace("job=\"lookout\"", &format!("job={}", quoted(job)));
    let mut contents = format!("---\nalert: {name}\nservice: {SERVICE}\nseverity: [{severity}]\n");
    if let Some(owner) = config.services.get(SERVICE).and_then(|service| service.owner.as_ref()) {
        let _ = writeln!(contents, "owner: {}", serde_json::Value::from(owner.as_str()));
    }
    let held = match alert.hold {
        0 => "at once".to_owned(),
        hold => format!("when this holds for {}", duration(hold)),
    };
    let _ = write!(
        contents,
        "---\n\n<!-- {MARK} from the config up to the end marker; the rest of the page is yours. -->\n\n# {name}\n\n\
         {} This is about the agent, not about a service it watches; Prometheus found it out and Alertmanager told it.\n\n\
         **It fires** {held}, in Prometheus:\n\n```promql\n{}\n```\n\n[Agent]({agent}/) · [Ready?]({agent}/readyz)\n\n{}\n\n{body}",
        alert.summary,
        alert.expr,
        runbook::END,
        agent = links::AGENT_IN_RUNBOOK,
    );
    Page { alert: name.to_owned(), contents }
}
