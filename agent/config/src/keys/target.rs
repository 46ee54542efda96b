//! `targets` of `lookout.yaml`.

use super::Shape::{
    self, Any, AnyOf, Duration, List, Map, Name, NonEmpty, Object as Mapping, Pattern, Secret, Switch, Text,
    Values, Whole, Word,
};
use super::declaration::{key, object, required};
use super::server::{basic_auth, header, server};
use super::{Key, Literal, Object};

/// Options of TLS, or `true` for the defaults.
const TLS_OPTIONS: Shape = AnyOf(&[Mapping(tls::OBJECT), Switch]);

/// Assertions in the language of `assertion/`.
const ASSERTIONS: Shape = AnyOf(&[Text, List(&Text)]);

/// Most addresses of a target that is discovered.
const MAX_ADDRESSES: u64 = 1000;
/// Most probes in a row that `down` may ask for.
const LONGEST_ROW: u64 = 1000;
/// Most header fields that `max_headers` may allow.
const MAX_HEADERS_LIMIT: u64 = 4096;
/// Most redirects that `redirects` may allow.
const REDIRECT_LIMIT: u64 = 20;
/// Most bytes of an echo request, which fits a packet that is not fragmented.
const SIZE_LIMIT: u64 = 1400;

/// A status, a class of them or a range.
const STATUS: Shape = AnyOf(&[Whole(100, 599), Pattern("^ *[1-5]([0-9]{2} *(- *[1-5][0-9]{2} *)?|xx|XX)$")]);

object! { target: "A target that is probed." {
    NAME = required("name", Name, "Unique name that SLOs refer to.");
    INTERVAL = key("interval", Duration, "Time between probes. The evaluation interval when it is missing.");
    TIMEOUT = key("timeout", Duration, "Deadline over all phases, shorter than the interval. Half the interval when it is missing, at most 5s.");
    IP = key("ip", Values(&[Literal::Text("auto"), Literal::Text("4"), Literal::Text("6"), Literal::Text("both"), Literal::Text("all"), Literal::Number(4.0), Literal::Number(6.0)]), "Addresses that are tried: in the order of the resolver until one takes the connection, of one family alone, or several at once, one of each family (`both`) or every one (`all`). Of several, each must be good.").default("auto");
    RESOLVER = key("resolver", Text, "IP address of the DNS server that resolves names. The resolver of the system when it is missing.");
    LABELS = key("labels", Map(&Text), "Labels of the target, for pages, the API and `lookout_probe_target_info`.");
    OFF_WITHOUT = key("off_without", Text, "A text with variables. The target is off while it is empty, such as without a key for writing: `${API_KEY:-}`.");
    MAINTENANCE = key("maintenance", List(&Mapping(maintenance::OBJECT)), "Windows in which nobody probes the target.");
    DOWN = key("down", Mapping(down::OBJECT), "");
    DISCOVER = key("discover", Mapping(discover::OBJECT), "");
    HTTP = key("http", Mapping(http::OBJECT), "");
    TCP = key("tcp", Mapping(tcp::OBJECT), "");
    TLS = key("tls", Mapping(handshake::OBJECT), "");
    DNS = key("dns", Mapping(dns::OBJECT), "");
    ICMP = key("icmp", Mapping(icmp::OBJECT), "");
    GRPC = key("grpc", Mapping(grpc::OBJECT), "");
    WEBSOCKET = key("websocket", Mapping(websocket::OBJECT), "");
    JOURNEY = key("journey", Mapping(journey::OBJECT), "");
    HEARTBEAT = key("heartbeat", Mapping(heartbeat::OBJECT), "");
} choices: &[&[HTTP], &[TCP], &[TLS], &[DNS], &[ICMP], &[GRPC], &[WEBSOCKET], &[JOURNEY], &[HEARTBEAT]]; }

object! { down: "An incident about failures in a row, beside the windows of SLOs or without any. Slots without a probe are neither failures nor successes." {
    AFTER = key("after", Whole(1, LONGEST_ROW), "Failed probes in a row that open the incident.").default("3");
    UP_AFTER = key("up_after", Whole(1, LONGEST_ROW), "Good probes in a row that end it.").default("2");
    SEVERITY = key("severity", Word(&["page", "ticket"]), "Severity of the incident.").default("page");
    SERVICE = key("service", Name, "Service that it belongs to. That of the first SLO that counts the target, or the name of the target, when it is missing.");
} }

object! { discover: "Addresses, each of which makes a target `NAME@ADDRESS`. The target takes them as `{{address}}`, `{{host}}` for the host alone, or `{{url}}` for a URL, with `http://` before an address that has no scheme; SLOs refer to its name and count all of them." {
    FILES = key("files", NonEmpty(&Text), "Patterns of files in the form of `file_sd_configs` of Prometheus, relative to this file.");
    DNS = key("dns", Mapping(dns_addresses::OBJECT), "");
    KUBERNETES = key("kubernetes", Mapping(endpoint_slices::OBJECT), "");
    REFRESH = key("refresh", Duration, "Time between two lookups, at least 1s. `5s` for files and `30s` for others when it is missing.");
    LIMIT = key("limit", Whole(1, MAX_ADDRESSES), "Most addresses. An answer with more is refused.").default("100");
} choices: &[&[FILES], &[DNS], &[KUBERNETES]]; }

object! { dns_addresses: "Names whose records are the addresses." {
    NAMES = required("names", NonEmpty(&Text), "Whole names, at most 20. Search domains are not tried.");
    TYPE = key("type", Word(&["SRV", "A", "AAAA"]), "Type of the records.").default("SRV");
    PORT = key("port", Whole(1, 65535), "Port of the addresses. Records of the type `SRV` have their own.");
    SERVER = key("server", Text, "IP address of the DNS server. Those of `/etc/resolv.conf` when it is missing.");
} }

object! { endpoint_slices: "Endpoints that are ready, of services of Kubernetes, read from the EndpointSlices of a namespace." {
    SELECTOR = required("selector", Text, "Labels of the slices, like `kubernetes.io/service-name=shop`.");
    NAMESPACE = key("namespace", Text, "Namespace. That of the service account when it is missing.");
    PORT = key("port", Shape::Scalar, "Name or number of the port. The only one of the endpoints when it is missing.");
    SERVER = key("server", Text, "URL of the API server. That of the cluster around the pod when it is missing. The token is sent over `https` only.");
    TOKEN_FILE = key("token_file", Text, "File of the bearer token, which is read for each request. That of the service account when it is missing.");
    CA_FILE = key("ca_file", Text, "File of certificates in PEM that the API server is verified by. That of the service account when it is missing.");
} }

object! { maintenance: "A window in which nobody probes a target. Its time counts as unseen: neither good nor bad." {
    EVERY = key("every", Text, "Recurrence, like `weekly sun 02:00 for 2h in Europe/Zurich`, `daily 02:00 for 1h` or `monthly last 22:00 for 3h`.");
    FROM = key("from", Text, "First instant of a single window, like `2026-12-01T02:00:00Z`.");
    TO = key("to", Text, "End of a single window.");
    REASON = required("reason", Text, "Reason, for everyone who sees the figures.");
} }

object! { expect: "Conditions of a good answer; all must hold." {
    LATENCY = key("latency", Duration, "Bound of the latency of the whole probe.");
    ASSERT = key("assert", ASSERTIONS, "Assertions, like `status == 2xx and body contains \"ok\"`; all must hold.");
} }

object! { http_expect: "Conditions of a good answer; all must hold." {
    STATUS = key("status", AnyOf(&[super::STATUS, NonEmpty(&super::STATUS)]), "A status, a class or a range, or several of them. `2xx` when no assertion names the status.");
    LATENCY = expect::LATENCY;
    JSON = key("json", Map(&Any), "Expected values of the JSON body by path (RFC 9535).");
    ASSERT = expect::ASSERT;
} }

object! { tls: "Trust and identity in the handshake." {
    INSECURE = key("insecure", Switch, "Accept any certificate. Its facts are recorded all the same.").default("false");
    CA_FILE = key("ca_file", Text, "File of certificates in PEM that are trusted instead of those of the system.");
    SERVER_NAME = key("server_name", Text, "Server name that is sent and verified instead of the host.");
    CERT_FILE = key("cert_file", Text, "File of the client certificate chain in PEM.");
    KEY_FILE = key("key_file", Text, "File of the key of the client certificate in PEM.");
    RESUME = key("resume", Switch, "Resume sessions of TLS. A resumed session is cheaper and verifies no certificate; results and metrics tell it apart.").default("false");
} }

object! { http: "A request over HTTP." {
    URL = required("url", Text, "URL that is requested. Variables (`${NAME}`, `${NAME:-default}`) are filled in.");
    METHOD = key("method", Text, "Request method.").default("GET");
    HEADERS = server::HEADERS;
    BODY = key("body", Text, "Request body.");
    TLS = key("tls", TLS_OPTIONS, "");
    VERSION = key("version", Values(&[Literal::Text("1.1"), Literal::Text("2"), Literal::Text("auto"), Literal::Number(1.1), Literal::Number(2.0)]), "Version of HTTP. `auto` and `2` use ALPN over TLS; without TLS, `2` needs prior knowledge.").default("\"1.1\"");
    BODY_LIMIT = key("body_limit", AnyOf(&[Whole(1, 67_108_864), Pattern("^[0-9]+ *(KiB|MiB|kB|MB|B)$")]), "Most bytes of an answer that are read.").default("1MiB");
    MAX_HEADERS = key("max_headers", Whole(1, MAX_HEADERS_LIMIT), "Most header fields of an answer.").default("256");
    REDIRECTS = key("redirects", AnyOf(&[
        Shape::About("Most redirects that are followed, within the origin.", &Whole(0, REDIRECT_LIMIT)),
        Mapping(redirects::OBJECT),
    ]), "").default("0");
    BASIC_AUTH = server::BASIC_AUTH;
    BEARER_TOKEN = server::BEARER_TOKEN;
    BEARER_TOKEN_FILE = server::BEARER_TOKEN_FILE;
    OAUTH2 = key("oauth2", Mapping(oauth2::OBJECT), "");
    PROXY_URL = key("proxy_url", Text, "URL of a proxy, with the scheme `http` or `https`. A target with TLS is reached through it by `CONNECT`.");
    PROXY_BASIC_AUTH = key("proxy_basic_auth", Mapping(basic_auth::OBJECT), "User and password for the proxy.");
    PROXY_CONNECT_HEADER = key("proxy_connect_header", Map(&AnyOf(&[Text, Mapping(header::OBJECT)])), "Headers of the request `CONNECT`: a value, or the file that holds it.");
    NO_PROXY = key("no_proxy", AnyOf(&[Text, NonEmpty(&Text)]), "Hosts that are reached without the proxy: names with all names below them, addresses and networks, each perhaps with a port; `*` is every host.");
    EXPECT = key("expect", Mapping(http_expect::OBJECT), "");
} }

object! { oauth2: "A bearer token by the client credentials grant of OAuth 2.0. It is cached, and renewed before it ends and after one answer of 401." {
    TOKEN_URL = required("token_url", Text, "URL of the token endpoint.");
    CLIENT_ID = required("client_id", Text, "Identifier of the client.");
    CLIENT_SECRET = key("client_secret", Secret, "Take it from the environment, or write it into a file of its own.");
    CLIENT_SECRET_FILE = key("client_secret_file", Text, "File that holds it.");
    SCOPES = key("scopes", List(&Text), "Scopes that are asked for.");
    ENDPOINT_PARAMS = key("endpoint_params", Map(&Text), "Further parameters of the request for a token, such as `audience`.");
    AUTH_METHOD = key("auth_method", Word(&["basic", "post"]), "Place of identifier and secret: the header `Authorization`, or the form.").default("basic");
    TLS = key("tls", TLS_OPTIONS, "Trust and identity in the handshake with the token endpoint.");
} }

object! { redirects: "Redirects that are followed." {
    LIMIT = required("limit", Whole(0, REDIRECT_LIMIT), "Most redirects that are followed.");
    ORIGIN = key("origin", Word(&["same", "any"]), "Whether a redirect may lead to another origin.").default("same");
} }

object! { dialogue_step: "A step of a dialogue." {
    SEND = key("send", Text, "Text that is sent.");
    SEND_HEX = key("send_hex", Text, "Bytes that are sent, as hex digits.");
    EXPECT = key("expect", Text, "A regular expression that received bytes must match. The match is consumed.");
} choices: &[&[SEND], &[SEND_HEX], &[EXPECT]]; }

object! { tcp: "A connection over TCP." {
    ADDRESS = required("address", Text, "Host and port.");
    STARTTLS = key("starttls", Word(&["smtp", "imap", "postgresql", "ldap"]), "Protocol of the upgrade to TLS.");
    TLS = key("tls", TLS_OPTIONS, "");
    DIALOGUE = key("dialogue", List(&Mapping(dialogue_step::OBJECT)), "Texts that are sent and awaited, in order.");
    EXPECT = key("expect", Mapping(expect::OBJECT), "");
} }

object! { handshake: "A TLS handshake." {
    ADDRESS = tcp::ADDRESS;
    SERVER_NAME = tls::SERVER_NAME;
    CA_FILE = tls::CA_FILE;
    CERT_FILE = tls::CERT_FILE;
    KEY_FILE = tls::KEY_FILE;
    INSECURE = tls::INSECURE;
    DIALOGUE = tcp::DIALOGUE;
    EXPECT = tcp::EXPECT;
} }

object! { dns: "A query to a name server." {
    SERVER = required("server", Text, "IP address and port of the server. The port is 53, over TLS 853, when it is missing.");
    QUERY = required("query", Text, "Name that is looked up.");
    TYPE = key("type", Word(&["A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"]), "Type of the record.").default("A");
    TRANSPORT = key("transport", Word(&["udp", "tcp", "tls"]), "Transport of the query.").default("udp");
    RECURSION = key("recursion", Switch, "Whether recursion is desired.").default("true");
    TLS = key("tls", TLS_OPTIONS, "");
    EXPECT = tcp::EXPECT;
} }

object! { icmp: "An echo request." {
    HOST = required("host", Text, "A name or an address.");
    SIZE = key("size", Whole(0, SIZE_LIMIT), "Bytes of data.").default("56");
    EXPECT = tcp::EXPECT;
} }

object! { heartbeat: "Calls that a job makes, `POST /api/v1/heartbeats/NAME`. Their absence is the failure." {
    EVERY = required("every", Duration, "Longest usual time between two calls.");
    GRACE = key("grace", Duration, "Time by which a call may be late. A tenth of `every` when it is missing.");
} }

object! { grpc: "A check by the health service of gRPC." {
    ADDRESS = required("address", Text, "Host and port.");
    SERVICE = key("service", Text, "Service whose health is checked. The whole server when it is missing.");
    TLS = key("tls", TLS_OPTIONS, "");
    EXPECT = tcp::EXPECT;
} }

object! { websocket: "An upgrade to WebSocket and an optional message." {
    URL = required("url", Text, "URL with the scheme `ws` or `wss`.");
    HEADERS = server::HEADERS;
    TLS = key("tls", TLS_OPTIONS, "");
    SEND = key("send", Text, "A text message that is sent.");
    EXPECT_MESSAGE = key("expect_message", Text, "A regular expression that a message matches.");
    EXPECT = tcp::EXPECT;
} }

object! { journey: "Requests that share variables." {
    VARIABLES = key("variables", Map(&Any), "Initial values, used as `{{name}}`.");
    STEPS = required("steps", List(&Mapping(journey_step::OBJECT)), "The requests, in order.");
    EXPECT = tcp::EXPECT;
} }

object! { journey_step: "A request." {
    NAME = required("name", Name, "Unique name in results.");
    HTTP = required("http", Mapping(http::OBJECT), "");
    EXTRACT = key("extract", Map(&Any), "Variables taken from the answer, like `id: json(\"$.id\")`.");
    ALWAYS = key("always", Switch, "Whether the request is made even when a step before it failed.").default("false");
} }
