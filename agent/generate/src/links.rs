//! Links in generated files.

use lookout_config::{Config, Slo};
use lookout_engine::Cause;

/// Returns the runbook of an alert: the configured address, or the agent's own page.
pub(super) fn runbook(config: &Config, alert: &str) -> String {
    match &config.outputs.runbook_url {
        Some(pattern) => pattern.replace("{alert}", alert),
        None => format!("{}/runbooks/{alert}", agent(config)),
    }
}

/// Returns the dashboard of an SLO: the configured address, or the agent's own page.
pub(super) fn dashboard(config: &Config, slo: &Slo) -> String {
    match &config.outputs.dashboard_url {
        Some(pattern) => pattern.replace("{service}", &slo.service).replace("{slo}", &slo.name),
        None => format!("{}/slos/{}/{}", agent(config), slo.service, slo.name),
    }
}

/// Returns the address of the agent, without a trailing slash.
pub(super) fn agent(config: &Config) -> &str {
    config.agent_url()
}

/// Returns the runbook of a firing alert, for a dashboard: at the address that the agent itself exports.
pub(super) fn runbook_in_dashboard(config: &Config) -> String {
    let alert = "${__data.fields.alertname}";
    match &config.outputs.runbook_url {
        Some(pattern) => pattern.replace("{alert}", alert),
        None => format!("{AGENT_IN_DASHBOARD}/runbooks/{alert}"),
    }
}

/// Variable of a dashboard that holds the agent's address.
pub(super) const AGENT_IN_DASHBOARD: &str = "${lookout}";

/// Path to the agent's pages from a runbook that it shows under `/runbooks/`. It has no host, so that a page is the
/// same everywhere.
pub(super) const AGENT_IN_RUNBOOK: &str = "..";

/// Returns the dashboard of an SLO, for a runbook.
pub(super) fn dashboard_in_runbook(config: &Config, slo: &Slo) -> String {
    match &config.outputs.dashboard_url {
        Some(_) => dashboard(config, slo),
        None => format!("{AGENT_IN_RUNBOOK}/slos/{}/{}", slo.service, slo.name),
    }
}

/// Returns the alert of missing data of an SLO.
pub(super) fn missing_alert(slo: &Slo) -> String {
    slo.alert_name_for(Cause::DataMissing)
}

/// Returns the name of a service's dashboard as a file and in links. The overview has taken one name.
pub(super) fn dashboard_name(service: &str) -> String {
    if service == "overview" { "service-overview".to_owned() } else { service.to_owned() }
}

/// Returns the title of a service.
pub(super) fn service_title<'a>(config: &'a Config, service: &'a str) -> &'a str {
    config.services.get(service).and_then(|known| known.display_name.as_deref()).unwrap_or(service)
}

/// Returns the title of an SLO.
pub(super) fn slo_title(slo: &Slo) -> &str {
    slo.display_name.as_deref().unwrap_or(&slo.name)
}
