//! `lookout.yaml`, without its targets.

use super::Shape::{
    About, AnyOf, Between, Duration, List, Map, Name, NonEmpty, Object as Mapping, Pattern, Scalar, Secret,
    Switch, Text, Whole, Word,
};
use super::declaration::{key, object, required};
use super::server::{scrape, server};
use super::{Key, Object, target};
use lookout_model::Scope;

object! { agent: "The configuration of the agent." {
    LISTEN = key("listen", Text, "Address and port that the agent listens on.").default("127.0.0.1:9797");
    EXTERNAL_URL = key("external_url", Text, "URL under which people reach the agent; the base of links in messages. Derived from `listen` when it is missing.");
    HOSTS = key("hosts", List(&About("A name without scheme and port.", &Text)), "Further names under which the agent answers. Addresses, `localhost`, names without a dot, names below `internal`, names of a Kubernetes service and the host of `external_url` need no entry.");
    ENVIRONMENT = key("environment", Text, "Value of the label `env` of every message, metric and rule.");
    LEDGER = key("ledger", Text, "SQLite file that keeps everything, relative to this file, or `memory`.").default("lookout.db");
    INTERVAL = key("interval", Duration, "Evaluation interval and width of a slot. It divides a minute or is a multiple of one.").default("10s");
    SLOS = key("slos", List(&About("A pattern.", &Text)), "Patterns of SLO specs, relative to this file.").default("[\"*.slo.yaml\"]");
    OTLP = key("otlp", Mapping(otlp::OBJECT), "");
    TARGETS = key("targets", List(&Mapping(target::target::OBJECT)), "Targets that are probed.");
    SCRAPES = key("scrapes", List(&Mapping(scrape::OBJECT)), "Neighbours whose metrics are read.");
    PROMETHEUS = key("prometheus", List(&Mapping(server::OBJECT)), "Servers with the query API of Prometheus.");
    DESTINATIONS = key("destinations", List(&Mapping(destination::OBJECT)), "Receivers of messages about incidents.");
    BLACKBOX = key("blackbox", Mapping(blackbox::OBJECT), "");
    GATE = key("gate", Mapping(gate::OBJECT), "");
    AUTH = key("auth", Mapping(auth::OBJECT), "");
    GENERATE = key("generate", Mapping(outputs::OBJECT), "");
} }

object! { otlp: "Export of telemetry of the agent itself." {
    ENDPOINT = key("endpoint", Text, "URL of an OTLP/HTTP collector, which gets the traces. Without one, or while it is empty, nothing is sent.");
    METRICS = key("metrics", Switch, "Whether the collector also gets what `/metrics` shows. Leave it out where Prometheus scrapes the agent.").default("false");
    METRICS_INTERVAL = key("metrics_interval", Duration, "Time between two exports of metrics, at least `1s`.").default("60s");
    LOGS = key("logs", Switch, "Whether the collector also gets the lines of the log. Leave it out where something else reads stderr.").default("false");
} }

object! { blackbox: "Names and addresses of blackbox_exporter, for dashboards and rules that use them." {
    METRICS = key("metrics", Switch, "Whether `/metrics` has the `probe_*` family of every target.").default("false");
    MODULES = key("modules", List(&Mapping(target::target::OBJECT)), "Modules of `/probe?target=…&module=…`. A module is written like a target without `interval`; the request replaces its address. Without a module there is no `/probe`.");
    HOSTS = key("hosts", List(&About("A name, or `*.` and the end of names.", &Text)), "Names that `/probe` may ask for, like `example.org` or `*.example.org`. Their addresses must be public, or in `networks`.");
    NETWORKS = key("networks", List(&About("A network.", &Text)), "Networks that `/probe` may reach, like `10.0.0.0/8`. An address that is not public needs one, whatever its name.");
} }

object! { destination: "A receiver of messages about incidents." {
    NAME = required("name", Name, "Unique name in messages and metrics.");
    SLACK = key("slack", Mapping(slack::OBJECT), "");
    ALERTMANAGER = key("alertmanager", Mapping(alertmanager::OBJECT), "");
    PAGERDUTY = key("pagerduty", Mapping(pagerduty::OBJECT), "");
    WEBHOOK = key("webhook", Mapping(webhook::OBJECT), "");
    EMAIL = key("email", Mapping(email::OBJECT), "");
    MINIMUM = key("minimum", Word(&["page", "ticket"]), "Least severity that is sent there.").default("ticket");
    MATCH = key("match", Mapping(selection::OBJECT), "");
    ACTIVE_TIMES = key("active_times", NonEmpty(&Mapping(active_time::OBJECT)), "Hours at which incidents are sent there; always, when missing. An incident that is still open when they begin is sent then.");
    REPEAT_INTERVAL = key("repeat_interval", Duration, "Time after which a page that is still open is told again, at least `5m`. Alertmanager and PagerDuty repeat by themselves.");
    ESCALATE = key("escalate", Mapping(escalation::OBJECT), "");
    STANDBY = key("standby", Switch, "Whether it gets only what another destination hands over, by `fallback` or `escalate`.").default("false");
    FALLBACK = key("fallback", Name, "Destination that gets what this one refuses for good, and pages that it does not take within a minute.");
    GROUP_WAIT = key("group_wait", Duration, "Time that an incident waits for others of its service, to share a message; at most `5s`. Alertmanager groups by itself.").default("2s");
} choices: &[&[SLACK], &[ALERTMANAGER], &[PAGERDUTY], &[WEBHOOK], &[EMAIL]]; }

object! { selection: "The SLOs whose incidents are sent there. What is written must hold together." {
    SERVICES = key("services", NonEmpty(&Scalar), "Names of services.");
    SLOS = key("slos", NonEmpty(&Scalar), "Ids of SLOs, as `SERVICE-SLO`.");
    LABELS = key("labels", Map(&AnyOf(&[Scalar, NonEmpty(&Scalar)])), "Labels of the SLO, each with its value or several.");
} }

object! { active_time: "A part of the week." {
    WEEKDAYS = key("weekdays", NonEmpty(&About("A day or a range, like `monday:friday`.", &Text)), "Days on which it begins.").default("[\"monday:sunday\"]");
    START_TIME = key("start_time", Pattern("^([01][0-9]|2[0-3]):[0-5][0-9]$"), "Time of the day at which it begins.").default("\"00:00\"");
    END_TIME = key("end_time", Pattern("^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"), "Time of the day at which it ends; of the next day, unless it is after the start.").default("\"24:00\"");
    TIME_ZONE = key("time_zone", Text, "IANA time zone of these times.").default("UTC");
} }

object! { escalation: "The destination that hears of a page that nobody acknowledges." {
    AFTER = required("after", Duration, "Time without an acknowledgement.");
    TO = required("to", Name, "Name of the destination.");
} }

object! { slack: "A Slack channel." {
    WEBHOOK_URL = key("webhook_url", Secret, "URL of an incoming webhook. Take it from the environment, or write it into a file of its own.");
    WEBHOOK_URL_FILE = key("webhook_url_file", Text, "File that holds it.");
    TOKEN = key("token", Secret, "Token of a bot with `chat:write`. Take it from the environment, or write it into a file of its own.");
    TOKEN_FILE = key("token_file", Text, "File that holds it.");
    CHANNEL = key("channel", Text, "Channel that the bot writes to.");
    API_URL = key("api_url", Text, "Base URL of the Web API of Slack.").default("https://slack.com/api/");
} choices: &[&[WEBHOOK_URL], &[WEBHOOK_URL_FILE], &[TOKEN], &[TOKEN_FILE]]; }

object! { alertmanager: "An Alertmanager." {
    URLS = required("urls", List(&About("A URL; an empty one is left out.", &Text)), "Base URLs of all instances, each of which gets every alert. User and password of a URL are sent as basic authentication.");
    TOKEN = key("token", Secret, "Bearer token, where a proxy asks for one. Take it from the environment, or write it into a file of its own.");
    TOKEN_FILE = key("token_file", Text, "File that holds it.");
    CA_FILE = key("ca_file", Text, "File of certificates in PEM that are trusted beside those of the system.");
    CERT_FILE = key("cert_file", Text, "File of the certificate in PEM that the agent presents, with `key_file`. It is read again when it changes.");
    KEY_FILE = key("key_file", Text, "File of the key in PEM that goes with it.");
    WATCHDOG = key("watchdog", Switch, "Whether the alert `LookoutWatchdog` always fires. Route it to a service that notices its absence.").default("false");
} }

object! { pagerduty: "A service of PagerDuty with an Events API v2 integration." {
    ROUTING_KEY = key("routing_key", Secret, "Integration key of the service. Take it from the environment, or write it into a file of its own.");
    ROUTING_KEY_FILE = key("routing_key_file", Text, "File that holds it.");
    EVENTS_URL = key("events_url", Text, "Base URL of the Events API.").default("https://events.pagerduty.com/v2/");
} choices: &[&[ROUTING_KEY], &[ROUTING_KEY_FILE]]; }

object! { webhook: "A program of yours that takes JSON." {
    URL = key("url", Secret, "URL that messages are posted to. It may be secret.");
    URL_FILE = key("url_file", Text, "File that holds it.");
    SIGNING_SECRET = key("signing_secret", Secret, "Secret that signs each message. Take it from the environment, or write it into a file of its own.");
    SIGNING_SECRET_FILE = key("signing_secret_file", Text, "File that holds it.");
    HEADERS = key("headers", Map(&AnyOf(&[Text, Mapping(crate::keys::server::header::OBJECT)])), "Headers of each message.");
    FORMAT = key("format", Word(&["lookout", "cloudevents"]), "Form of each message: that of `docs/schema/webhook.schema.json`, or the same in an envelope of CloudEvents 1.0.").default("lookout");
    BODY = key("body", Text, "Form of your own instead: JSON with placeholders like `{{headline}}` in its texts.");
} choices: &[&[URL], &[URL_FILE]]; }

object! { email: "Mailboxes that get messages by SMTP." {
    HOST = required("host", Text, "Mail server.");
    PORT = key("port", Whole(1, 65535), "Port of the mail server. 587 with `starttls`, 465 with `tls`, 25 with `none`.");
    ENCRYPTION = key("encryption", Word(&["starttls", "tls", "none"]), "Encryption of the connection.").default("starttls");
    CA_FILE = key("ca_file", Text, "File of certificates in PEM that are trusted beside those of the system.");
    USERNAME = key("username", Text, "User, if the mail server asks for one.");
    PASSWORD = key("password", Secret, "Password. Take it from the environment, or write it into a file of its own.");
    PASSWORD_FILE = key("password_file", Text, "File that holds it.");
    FROM = required("from", Text, "Address of the sender.");
    TO = required("to", NonEmpty(&About("An address.", &Text)), "Addresses of the readers.");
} }

object! { gate: "Conditions of the deployment gate." {
    MINIMUM_BUDGET = key("minimum_budget", Between(0.0, 1.0), "Least share of the error budget that must be left for a feature deploy.").default("0");
    VALID_FOR = key("valid_for", Duration, "Time for which an answer is valid.").default("60s");
    MINIMUM_OBSERVED = key("minimum_observed", Duration, "Least time that must have been observed. The shortest short window of the tiers counts where it is longer.").default("0s");
    MINIMUM_EVENTS = key("minimum_events", Whole(1, 1_000_000_000), "Least number of events that must have been seen in the period.").default("10");
    IDLE_IS_NORMAL = key("idle_is_normal", Switch, "Whether a service without traffic may be deployed.").default("false");
} }

object! { auth: "Clients that may write." {
    TOKENS = key("tokens", List(&Mapping(token::OBJECT)), "Bearer tokens.");
} }

object! { token: "A bearer token." {
    NAME = required("name", Name, "Name of its holder.");
    SHA256 = required("sha256", Text, "SHA-256 of the token in hex, as `printf %s TOKEN | sha256sum` prints it.");
    SCOPES = required("scopes", List(&About("A permission.", &Word(Scope::WORDS))), "Permissions of the token.");
} }

object! { outputs: "Folders of generated files, and the links in them." {
    ALERTS = key("alerts", Text, "Folder of rules, their tests and the Alertmanager config.");
    PROMETHEUS_RULES = key("prometheus_rules", Mapping(rules::OBJECT), "");
    ALERTMANAGER_CONFIG = key("alertmanager_config", Mapping(routes::OBJECT), "");
    DASHBOARDS = key("dashboards", Text, "Folder of Grafana dashboards.");
    RUNBOOKS = key("runbooks", Text, "Folder of runbooks. Their heads are generated, their bodies are kept.");
    RUNBOOK_URL = key("runbook_url", Text, "Link to a runbook; `{alert}` is replaced by the name of the alert.");
    DASHBOARD_URL = key("dashboard_url", Text, "Link to a dashboard; `{service}` and `{slo}` are replaced.");
    AGENT_JOB = key("agent_job", Text, "Job under which Prometheus scrapes the agent. Without rules about the agent itself when it is empty.").default("lookout");
} }

object! { rules: "The same rules as `PrometheusRule` objects for the Prometheus operator." {
    FOLDER = required("folder", Text, "Folder of the objects.");
    NAMESPACE = key("namespace", Text, "Namespace of the objects. When it is missing, the namespace in which they are applied.");
    LABELS = key("labels", Map(&Text), "Labels by which your Prometheus selects rules, like `release: monitoring`.");
} }

object! { routes: "The routes of Alertmanager as an `AlertmanagerConfig` object for the Prometheus operator." {
    FOLDER = rules::FOLDER.about("Folder of the object.");
    NAMESPACE = rules::NAMESPACE.about("Namespace of the object. When it is missing, the namespace in which it is applied.");
    LABELS = rules::LABELS.about("Labels by which your Alertmanager selects its configuration.");
    ALERTS = key("alerts", Word(&["all", "own"]), "Alerts that reach people through it. `own` for those about the agent alone, where the agent sends the others itself.").default("all");
    SLACK = key("slack", Mapping(slack_address::OBJECT), "");
} }

object! { slack_address: "The address of Slack, in a Secret of the object's namespace." {
    NAME = key("name", Text, "Name of the Secret.").default("lookout");
    KEY = key("key", Name, "Key in the Secret.").default("slack-webhook-url");
} }
