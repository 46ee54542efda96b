//! Generated files.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Folders of generated files, and the links in them. Paths are absolute.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    /// Prometheus rules, their tests, the Alertmanager config.
    pub alerts: Option<PathBuf>,
    /// The rules once more, as objects of the Prometheus operator.
    pub prometheus_rules: Option<PrometheusRules>,
    /// The job by which Prometheus scrapes the agent; none for no rules about the agent itself.
    pub agent_job: Option<String>,
    /// Grafana dashboards.
    pub dashboards: Option<PathBuf>,
    /// Runbooks: generated heads, bodies kept.
    pub runbooks: Option<PathBuf>,
    /// Link to a runbook; `{alert}` is replaced by the alert name. Defaults to the agent's own pages.
    pub runbook_url: Option<String>,
    /// Link to a dashboard; `{service}` and `{slo}` are replaced. Defaults to the agent's own pages.
    pub dashboard_url: Option<String>,
}

/// The folder of `PrometheusRule` objects, and the labels by which an operator selects them.
#[derive(Debug, Clone, Default)]
pub struct PrometheusRules {
    /// Absolute.
    pub folder: PathBuf,
    /// The namespace they say; none for that of whoever applies them.
    pub namespace: Option<String>,
    /// Labels of the objects, beside lookout's own.
    pub labels: BTreeMap<String, String>,
}
