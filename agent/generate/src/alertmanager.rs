//! Routes, inhibition and a Slack receiver for the alerts of the rules, and for the agent's own deliveries, which have
//! the same labels. One model is written in two forms: Alertmanager's own file, and an object of the Prometheus operator,
//! which turns it into such a file.

use super::MARK;
use super::kubernetes;
use super::self_monitoring;
use super::yaml::{self, Node, map};
use lookout_config::{AlertmanagerConfig, Config, RoutedAlerts, SecretKey};
use lookout_engine::Severity;

/// Path of the file with the Slack webhook: a secret mounted beside the config.
const WEBHOOK_FILE: &str = "/etc/alertmanager/secrets/slack-webhook-url";

/// File of the object.
pub(super) const OBJECT_FILE: &str = "lookout.alertmanagerconfig.yaml";

const TITLE: &str = r#"{{ if eq .Status "firing" }}{{ if eq .CommonLabels.severity "critical" }}PAGE{{ else }}ticket{{ end }}{{ else }}resolved{{ end }}: {{ .CommonLabels.service }}{{ with .CommonLabels.slo }} / {{ . }}{{ end }}"#;

const TEXT: &str = r#"{{ range .Alerts }}*{{ .Labels.alertname }}* ({{ .Labels.severity }}, {{ .Status }}): {{ .Annotations.summary }}
{{ .Annotations.description }}
Since {{ .StartsAt.UTC.Format "2006-01-02 15:04:05 MST" }}{{ if eq .Status "resolved" }}, until {{ .EndsAt.UTC.Format "15:04:05 MST" }}{{ end }}
<{{ .Annotations.runbook_url }}|Runbook> · <{{ .Annotations.dashboard_url }}|Dashboard>
{{ end }}"#;

const SLACK: &str = "slack";

/// Receiver that tells nobody.
const NOBODY: &str = "nobody";

/// Renders Alertmanager's whole file, which routes every alert.
pub(super) fn file(config: &Config) -> String {
    let comments = [
        format!("{MARK}. Do not edit: change the spec and generate again."),
        format!("The Slack webhook is read from {WEBHOOK_FILE}; mount it there."),
    ];
    yaml::file(&comments, &document(config, RoutedAlerts::All, &Form::File))
}

/// Renders the object of the operator.
pub(super) fn object(config: &Config, settings: &AlertmanagerConfig) -> String {
    let SecretKey { secret, key } = &settings.slack_secret;
    let alerts = match settings.alerts {
        RoutedAlerts::All => "Alertmanager sends every alert",
        RoutedAlerts::Own => {
            "Alertmanager sends the alerts about the agent; those of SLOs, the agent sends itself"
        }
    };
    let comments = [
        format!("{MARK}. Do not edit: change the config and generate again."),
        format!("{alerts}. The Slack webhook is `{key}` of the Secret `{secret}`."),
        "Set `alertmanagerConfigMatcherStrategy: { type: None }`: these alerts have no label `namespace`."
            .to_owned(),
    ];
    let spec = document(config, settings.alerts, &Form::Operator(&settings.slack_secret));
    let object = map([
        ("apiVersion", "monitoring.coreos.com/v1alpha1".into()),
        ("kind", "AlertmanagerConfig".into()),
        ("metadata", kubernetes::metadata(&settings.objects, self_monitoring::SERVICE, &[])),
        ("spec", spec),
    ]);
    yaml::file(&comments, &object)
}

/// Form of the document.
enum Form<'a> {
    /// Alertmanager's file.
    File,
    /// The `spec` of the operator's object, with the address of Slack.
    Operator(&'a SecretKey),
}

/// Label and the value that an alert must have; an empty one for an alert without the label.
type Matcher = (&'static str, &'static str);

impl Form<'_> {
    /// Returns a mapping whose keys are spelled as in this form.
    fn map<'k>(&self, pairs: impl IntoIterator<Item = (&'k str, Node)>) -> Node {
        let pairs = pairs.into_iter().map(|(key, value)| (self.key(key), value));
        Node::Map(pairs.collect())
    }

    /// Returns a key, given as Alertmanager's file has it.
    fn key(&self, key: &str) -> String {
        match (self, key) {
            (Self::File, _) => key.to_owned(),
            (Self::Operator(_), "source_matchers") => "sourceMatch".to_owned(),
            (Self::Operator(_), "target_matchers") => "targetMatch".to_owned(),
            (Self::Operator(_), "api_url_file") => "apiURL".to_owned(),
            (Self::Operator(_), _) => {
                let mut words = key.split('_');
                let first = words.next().unwrap_or_default().to_owned();
                words.fold(first, |made, word| {
                    let (initial, rest) = word.split_at(word.len().min(1));
                    made + &initial.to_ascii_uppercase() + rest
                })
            }
        }
    }

    fn matchers(&self, matchers: &[Matcher]) -> Node {
        let matchers = matchers.iter().map(|(label, value)| match self {
            Self::File => Node::from(format!("{label}=\"{value}\"")),
            Self::Operator(_) => {
                map([("name", (*label).into()), ("matchType", "=".into()), ("value", (*value).into())])
            }
        });
        Node::List(matchers.collect())
    }

    fn address(&self) -> Node {
        match self {
            Self::File => WEBHOOK_FILE.into(),
            Self::Operator(SecretKey { secret, key }) => {
                map([("name", secret.as_str().into()), ("key", key.as_str().into())])
            }
        }
    }
}

/// Returns the labels that all routed alerts have.
fn scope(alerts: RoutedAlerts) -> Vec<Matcher> {
    match alerts {
        RoutedAlerts::All => Vec::new(),
        // a service may have the agent's name, but its alerts have an SLO
        RoutedAlerts::Own => vec![("service", self_monitoring::SERVICE), ("slo", "")],
    }
}

fn document(config: &Config, alerts: RoutedAlerts, form: &Form<'_>) -> Node {
    let mut identity: Vec<Node> = vec!["service".into(), "slo".into()];
    if config.environment.is_some() {
        identity.push("env".into());
    }
    let identity = Node::List(identity);
    let matchers = |severity: Severity| {
        let mut matchers = scope(alerts);
        matchers.push(("severity", severity.label()));
        form.matchers(&matchers)
    };
    let route = |severity: Severity, wait: &str, interval: &str, repeat: &str| {
        form.map([
            ("matchers", matchers(severity)),
            ("receiver", SLACK.into()),
            ("group_wait", wait.into()),
            ("group_interval", interval.into()),
            ("repeat_interval", repeat.into()),
        ])
    };
    let routes = vec![route(Severity::Page, "1s", "1m", "4h"), route(Severity::Ticket, "30s", "5m", "24h")];
    // the receiver of alerts that no route takes
    let rest = if alerts == RoutedAlerts::All { SLACK } else { NOBODY };
    let root = form.map([
        ("receiver", rest.into()),
        ("group_by", identity.clone()),
        ("group_wait", "30s".into()),
        ("group_interval", "5m".into()),
        ("repeat_interval", "12h".into()),
        ("routes", Node::List(routes)),
    ]);
    let inhibit = form.map([
        ("source_matchers", matchers(Severity::Page)),
        ("target_matchers", matchers(Severity::Ticket)),
        ("equal", identity),
    ]);
    let mut receivers = vec![form.map([("name", SLACK.into()), ("slack_configs", slack(form))])];
    if rest == NOBODY {
        receivers.push(map([("name", NOBODY.into())]));
    }
    form.map([
        ("route", root),
        ("inhibit_rules", Node::List(vec![inhibit])),
        ("receivers", Node::List(receivers)),
    ])
}

fn slack(form: &Form<'_>) -> Node {
    let colour = r#"{{ if eq .Status "resolved" }}good{{ else if eq .CommonLabels.severity "critical" }}danger{{ else }}warning{{ end }}"#;
    Node::List(vec![form.map([
        ("api_url_file", form.address()),
        ("send_resolved", Node::Plain("true".to_owned())),
        ("color", colour.into()),
        ("title", TITLE.into()),
        ("title_link", "{{ (index .Alerts 0).Annotations.dashboard_url }}".into()),
        ("text", TEXT.into()),
        ("fallback", TITLE.into()),
    ])])
}
