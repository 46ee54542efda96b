//! `targets` of `lookout.yaml`.

use super::Shape::{
    self, Any, AnyOf, Duration, List, Map, Name, NonEmpty, Object as Mapping, Pattern, Switch, Text, Values,
    Whole, Word,
};
use super::agent::server;
use super::{Key, Literal, Object, key, object, required};

/// Options of TLS, or `true` for the defaults.
const TLS_OPTIONS: Shape = AnyOf(&[Mapping(tls::OBJECT), Switch]);

/// Assertions in the language of `assertion/`.
const ASSERTIONS: Shape = AnyOf(&[Text, List(&Text)]);

/// A status, a class of them or a range.
const STATUS: Shape = AnyOf(&[Whole(100, 599), Pattern("^ *[1-5]([0-9]{2} *(- *[1-5][0-9]{2} *)?|xx|XX)$")]);

object! { target: "Something that is probed." {
    NAME = required("name", Name, "Its name in SLOs.");
    INTERVAL = key("interval", Duration, "Time between probes; the grid's by default.");
    TIMEOUT = key("timeout", Duration, "One deadline over all phases, shorter than the interval.");
    IP = key("ip", Values(&[Literal::Text("auto"), Literal::Text("4"), Literal::Text("6"), Literal::Number(4.0), Literal::Number(6.0)]), "Addresses that are tried; all by default.");
    RESOLVER = key("resolver", Text, "DNS server, by number, that is asked for names instead of the system's.");
    HTTP = key("http", Mapping(http::OBJECT), "");
    TCP = key("tcp", Mapping(tcp::OBJECT), "");
    TLS = key("tls", Mapping(handshake::OBJECT), "");
    DNS = key("dns", Mapping(dns::OBJECT), "");
    ICMP = key("icmp", Mapping(icmp::OBJECT), "");
    GRPC = key("grpc", Mapping(grpc::OBJECT), "");
    WEBSOCKET = key("websocket", Mapping(websocket::OBJECT), "");
    JOURNEY = key("journey", Mapping(journey::OBJECT), "");
} choices: &[&[HTTP], &[TCP], &[TLS], &[DNS], &[ICMP], &[GRPC], &[WEBSOCKET], &[JOURNEY]]; }

object! { expect: "What makes an answer good; all of it must hold." {
    LATENCY = key("latency", Duration, "The whole probe must be faster than this.");
    ASSERT = key("assert", ASSERTIONS, "Assertions, like `status == 2xx and body contains \"ok\"`; all must hold.");
} }

object! { http_expect: "What makes an answer good; all of it must hold." {
    STATUS = key("status", AnyOf(&[super::STATUS, NonEmpty(&super::STATUS)]), "A status, a class or a range, or several of them; 2xx by default.");
    LATENCY = expect::LATENCY;
    JSON = key("json", Map(&Any), "Values of the JSON body by path (RFC 9535).");
    ASSERT = expect::ASSERT;
} }

object! { tls: "Trust and identity in the handshake." {
    INSECURE = key("insecure", Switch, "Accept any certificate. Its facts are recorded all the same.");
    CA_FILE = key("ca_file", Text, "Certificates that are trusted instead of the system's.");
    SERVER_NAME = key("server_name", Text, "Name that is asked for and verified, instead of the host.");
    CERT_FILE = key("cert_file", Text, "Certificate chain that is shown to the server.");
    KEY_FILE = key("key_file", Text, "Its key.");
} }

object! { http: "A request over HTTP." {
    URL = required("url", Text, "Variables (`${NAME}`, `${NAME:-default}`) are filled in.");
    METHOD = key("method", Text, "GET by default.");
    HEADERS = server::HEADERS;
    BODY = key("body", Text, "The body that is sent.");
    TLS = key("tls", TLS_OPTIONS, "");
    VERSION = key("version", Values(&[Literal::Text("1.1"), Literal::Text("2"), Literal::Text("auto"), Literal::Number(1.1), Literal::Number(2.0)]), "HTTP/1.1 by default.");
    BODY_LIMIT = key("body_limit", AnyOf(&[Whole(1, 67_108_864), Pattern("^[0-9]+ *(KiB|MiB|kB|MB|B)$")]), "Bytes of an answer that are read at most.");
    MAX_HEADERS = key("max_headers", Whole(1, 4096), "Header fields of an answer; 256 by default.");
    REDIRECTS = key("redirects", AnyOf(&[
        Shape::About("Redirects that are followed at most, within the origin.", &Whole(0, 20)),
        Mapping(redirects::OBJECT),
    ]), "");
    BASIC_AUTH = server::BASIC_AUTH;
    BEARER_TOKEN = server::BEARER_TOKEN;
    BEARER_TOKEN_FILE = server::BEARER_TOKEN_FILE;
    EXPECT = key("expect", Mapping(http_expect::OBJECT), "");
} }

object! { redirects: "Redirects that are followed." {
    LIMIT = required("limit", Whole(0, 20), "Most of them.");
    ORIGIN = key("origin", Word(&["same", "any"]), "Whether they may lead elsewhere; `same` by default.");
} }

object! { dialogue_step: "A step." {
    SEND = key("send", Text, "Text that is sent.");
    SEND_HEX = key("send_hex", Text, "Bytes that are sent, as hex digits.");
    EXPECT = key("expect", Text, "A regular expression that the peer's bytes must match; the match is consumed.");
} choices: &[&[SEND], &[SEND_HEX], &[EXPECT]]; }

object! { tcp: "A connection over TCP." {
    ADDRESS = required("address", Text, "Host and port.");
    STARTTLS = key("starttls", Word(&["smtp", "imap", "postgresql", "ldap"]), "Protocol by which the peer is asked to turn to TLS.");
    TLS = key("tls", TLS_OPTIONS, "");
    DIALOGUE = key("dialogue", List(&Mapping(dialogue_step::OBJECT)), "What is sent and awaited, in order.");
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
    SERVER = required("server", Text, "The server, by number; port 53, or 853 over TLS, by default.");
    QUERY = required("query", Text, "The name that is asked for.");
    TYPE = key("type", Word(&["A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"]), "Type of the record; `A` by default.");
    TRANSPORT = key("transport", Word(&["udp", "tcp", "tls"]), "`udp` by default.");
    RECURSION = key("recursion", Switch, "Whether the server shall ask others; true by default.");
    TLS = key("tls", TLS_OPTIONS, "");
    EXPECT = tcp::EXPECT;
} }

object! { icmp: "An echo request." {
    HOST = required("host", Text, "A name or an address.");
    SIZE = key("size", Whole(0, 1400), "Bytes of data; 56 by default.");
    EXPECT = tcp::EXPECT;
} }

object! { grpc: "A call of the health service of gRPC." {
    ADDRESS = required("address", Text, "Host and port.");
    SERVICE = key("service", Text, "The service whose health is asked for; the whole server by default.");
    TLS = key("tls", TLS_OPTIONS, "");
    EXPECT = tcp::EXPECT;
} }

object! { websocket: "An upgrade to WebSocket and an optional message." {
    URL = required("url", Text, "`ws` or `wss`.");
    HEADERS = server::HEADERS;
    TLS = key("tls", TLS_OPTIONS, "");
    SEND = key("send", Text, "A text message that is sent.");
    EXPECT_MESSAGE = key("expect_message", Text, "A regular expression that a message matches.");
    EXPECT = tcp::EXPECT;
} }

object! { journey: "Requests that share variables." {
    VARIABLES = key("variables", Map(&Any), "Values at the start, used as `{{name}}`.");
    STEPS = required("steps", List(&Mapping(journey_step::OBJECT)), "The requests, in order.");
    EXPECT = tcp::EXPECT;
} }

object! { journey_step: "A request." {
    NAME = required("name", Name, "Its name in results.");
    HTTP = required("http", Mapping(http::OBJECT), "");
    EXTRACT = key("extract", Map(&Any), "Variables by name, like `json(\"$.id\")`.");
    ALWAYS = key("always", Switch, "Make it even when a step before it failed.");
} }
