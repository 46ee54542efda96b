//! Routes, inhibition and a Slack receiver for the alerts of the rules, and for the agent's own deliveries, which have
//! the same labels.

use super::MARK;
use super::yaml::{self, Node, map};
use lookout_config::Config;

/// Path of the file with the Slack webhook: a secret mounted beside the config.
const WEBHOOK_FILE: &str = "/etc/alertmanager/secrets/slack-webhook-url";

const TITLE: &str = r#"{{ if eq .Status "firing" }}{{ if eq .CommonLabels.severity "critical" }}PAGE{{ else }}ticket{{ end }}{{ else }}resolved{{ end }}: {{ .CommonLabels.service }}{{ with .CommonLabels.slo }} / {{ . }}{{ end }}"#;

const TEXT: &str = r#"{{ range .Alerts }}*{{ .Labels.alertname }}* ({{ .Labels.severity }}, {{ .Status }}): {{ .Annotations.summary }}
{{ .Annotations.description }}
Since {{ .StartsAt.UTC.Format "2006-01-02 15:04:05 MST" }}{{ if eq .Status "resolved" }}, until {{ .EndsAt.UTC.Format "15:04:05 MST" }}{{ end }}
<{{ .Annotations.runbook_url }}|Runbook> · <{{ .Annotations.dashboard_url }}|Dashboard>
{{ end }}"#;

/// Returns the whole config.
pub(super) fn file(config: &Config) -> String {
    let mut identity: Vec<Node> = vec!["service".into(), "slo".into()];
    if config.environment.is_some() {
        identity.push("env".into());
    }
    let identity = Node::List(identity);
    let matchers = |severity: &str| Node::List(vec![format!("severity=\"{severity}\"").into()]);
    let route = |severity: &str, wait: &str, interval: &str, repeat: &str| {
        map([
            ("matchers", matchers(severity)),
            ("receiver", "slack".into()),
            ("group_wait", wait.into()),
            ("group_interval", interval.into()),
            ("repeat_interval", repeat.into()),
        ])
    };
    let root = map([
        ("receiver", "slack".into()),
        ("group_by", identity.clone()),
        ("group_wait", "30s".into()),
        ("group_interval", "5m".into()),
        ("repeat_interval", "12h".into()),
        (
            "routes",
            Node::List(vec![route("critical", "1s", "1m", "4h"), route("warning", "30s", "5m", "24h")]),
        ),
    ]);
    let inhibit = map([
        ("source_matchers", matchers("critical")),
        ("target_matchers", matchers("warning")),
        ("equal", identity),
    ]);
    let comments = [
        format!("{MARK}. Do not edit: change the spec and generate again."),
        format!("The Slack webhook is read from {WEBHOOK_FILE}; mount it there."),
    ];
    let document = map([
        ("route", root),
        ("inhibit_rules", Node::List(vec![inhibit])),
        ("receivers", Node::List(vec![map([("name", "slack".into()), ("slack_configs", slack())])])),
    ]);
    yaml::file(&comments, &document)
}

fn slack() -> Node {
    let colour = r#"{{ if eq .Status "resolved" }}good{{ else if eq .CommonLabels.severity "critical" }}danger{{ else }}warning{{ end }}"#;
    Node::List(vec![map([
        ("api_url_file", WEBHOOK_FILE.into()),
        ("send_resolved", Node::Plain("true".to_owned())),
        ("color", colour.into()),
        ("title", TITLE.into()),
        ("title_link", "{{ (index .Alerts 0).Annotations.dashboard_url }}".into()),
        ("text", TEXT.into()),
        ("fallback", TITLE.into()),
    ])])
}
