//! Servers that are read, and the credentials for them.

use super::Shape::{AnyOf, Duration, Map, Name, Object as Mapping, Secret, Switch, Text, Word};
use super::declaration::{key, object, required};
use super::{Key, Object};

object! { scrape: "A neighbour whose Prometheus metrics are read." {
    NAME = required("name", Name, "Unique name that SLOs refer to.");
    URL = required("url", Text, "URL of its metrics.");
    TIMEOUT = key("timeout", Duration, "Deadline over connect, answer and body. Half the interval when it is missing, at most 5s.");
    JOB = key("job", Text, "Value of the label `job` that Prometheus gives it; used in generated rules.");
    UP = key("up", Word(&["page", "ticket", "off"]), "Severity of the SLO `up`, or `NAME-up`, of which every scrape is an event.").default("page");
} }

object! { server: "A server with the query API of Prometheus." {
    NAME = required("name", Name, "Unique name that SLOs refer to.");
    URL = required("url", Text, "Base URL, without `/api/v1`.");
    TIMEOUT = key("timeout", Duration, "Deadline of a query.").default("10s");
    SCRAPE_INTERVAL = key("scrape_interval", Duration, "Interval at which it scrapes the series that SLOs count.").default("15s");
    DELAY = key("delay", Duration, "Time that samples take to arrive. Two slots when it is missing.");
    WINDOW = key("window", Duration, "Range that replaces `{{.window}}` in queries. Four scrape intervals when it is missing.");
    BEARER_TOKEN = key("bearer_token", Secret, "Take it from the environment, or write it into a file of its own.");
    BEARER_TOKEN_FILE = key("bearer_token_file", Text, "File that holds it.");
    BASIC_AUTH = key("basic_auth", Mapping(basic_auth::OBJECT), "");
    HEADERS = key("headers", Map(&AnyOf(&[Text, Mapping(header::OBJECT)])), "Extra request headers: a value, or the file that holds it.");
    CA_FILE = key("ca_file", Text, "File of certificates in PEM that are trusted beside those of the system.");
    INSECURE = key("insecure", Switch, "Accept any certificate.").default("false");
    DIALECT = key("dialect", Word(&["promql", "metricsql"]), "Language of its queries. `metricsql` adds the functions of VictoriaMetrics over a range.").default("promql");
} }

object! { basic_auth: "User and password." {
    USERNAME = required("username", Text, "The user name.");
    PASSWORD = key("password", Secret, "Take it from the environment, or write it into a file of its own.");
    PASSWORD_FILE = key("password_file", Text, "File that holds it.");
} }

object! { header: "A file that holds the value." {
    FILE = required("file", Text, "Path, relative to this file.");
} }
