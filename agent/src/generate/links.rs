//! Where generated files point to.

use lookout_config::{Config, Slo};
use lookout_engine::Cause;

/// The runbook of an alert: the configured place, or the agent's own page.
pub(super) fn runbook(config: &Config, alert: &str) -> String {
    match &config.outputs.runbook_url {
        Some(pattern) => pattern.replace("{alert}", alert),
        None => format!("{}/runbooks/{alert}", agent(config)),
    }
}

/// The dashboard of an SLO: the configured place, or the agent's own page.
pub(super) fn dashboard(config: &Config, slo: &Slo) -> String {
    match &config.outputs.dashboard_url {
        Some(pattern) => pattern.replace("{service}", &slo.service).replace("{slo}", &slo.name),
        None => format!("{}/slos/{}/{}", agent(config), slo.service, slo.name),
    }
}

/// The agent, without a trailing slash.
pub(super) fn agent(config: &Config) -> &str {
    config.agent_url()
}

/// The runbook of a firing alert, in a dashboard: at the address that the agent itself exports.
pub(super) fn runbook_in_dashboard(config: &Config) -> String {
    let alert = "${__data.fields.alertname}";
    match &config.outputs.runbook_url {
        Some(pattern) => pattern.replace("{alert}", alert),
        None => format!("{AGENT_IN_DASHBOARD}/runbooks/{alert}"),
    }
}

/// The variable of a dashboard that holds the agent's address.
pub(super) const AGENT_IN_DASHBOARD: &str = "${lookout}";

/// The agent's pages seen from a runbook that the agent shows under `/runbooks/`. No address: a page is the same everywhere.
pub(super) const AGENT_IN_RUNBOOK: &str = "..";

/// The dashboard of an SLO, in a runbook.
pub(super) fn dashboard_in_runbook(config: &Config, slo: &Slo) -> String {
    match &config.outputs.dashboard_url {
        Some(_) => dashboard(config, slo),
        None => format!("{AGENT_IN_RUNBOOK}/slos/{}/{}", slo.service, slo.name),
    }
}

/// The alert of missing data of an SLO.
pub(super) fn missing_alert(slo: &Slo) -> String {
    slo.alert_name_for(Cause::DataMissing)
}

/// The name a service's dashboard has as a file and in links; one service name is taken by the overview.
pub(super) fn dashboard_name(service: &str) -> String {
    if service == "overview" { "service-overview".to_owned() } else { service.to_owned() }
}

/// How a service is called towards people.
pub(super) fn service_title<'a>(config: &'a Config, service: &'a str) -> &'a str {
    config.services.get(service).and_then(|known| known.display_name.as_deref()).unwrap_or(service)
}

/// How an SLO is called towards people.
pub(super) fn slo_title(slo: &Slo) -> &str {
    slo.display_name.as_deref().unwrap_or(&slo.name)
}
