//! Generated files.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// Folders of generated files, and the links in them. Paths are absolute.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    /// Prometheus rules, their tests, the Alertmanager config.
    pub alerts: Option<PathBuf>,
    /// The rules once more, as objects of the Prometheus operator.
    pub prometheus_rules: Option<OperatorObjects>,
    /// The routes of Alertmanager as an object of the operator.
    pub alertmanager_config: Option<AlertmanagerConfig>,
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

/// The folder of objects of the Prometheus operator, and the labels by which it selects them.
#[derive(Debug, Clone, Default)]
pub struct OperatorObjects {
    /// Absolute.
    pub folder: PathBuf,
    /// The namespace they say; none for that of whoever applies them.
    pub namespace: Option<String>,
    /// Labels of the objects, beside lookout's own.
    pub labels: BTreeMap<String, String>,
}

/// An `AlertmanagerConfig` object.
#[derive(Debug, Clone)]
pub struct AlertmanagerConfig {
    /// Its folder, namespace and labels.
    pub objects: OperatorObjects,
    /// The alerts that reach people through it.
    pub alerts: RoutedAlerts,
    /// The address of Slack.
    pub slack_secret: SecretKey,
}

/// Alerts that Alertmanager sends to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoutedAlerts {
    /// Alerts of SLOs and of the agent.
    All,
    /// Alerts about the agent alone: the agent sends those of SLOs itself.
    Own,
}

/// A key of a Secret of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretKey {
    /// The Secret, in the namespace of the object that names it.
    pub secret: String,
    /// The key in it.
    pub key: String,
}
