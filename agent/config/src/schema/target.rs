//! The schema of `targets`.

use serde_json::{Value, json};

use super::config::{basic_auth, headers};
use super::{closed, duration, exactly_one_of, list, name, switch, text, words};

/// One of `targets`.
pub(super) fn target() -> Value {
    let ip = json!({ "description": "Addresses that are tried; all by default.", "enum": ["auto", "4", "6", 4, 6] });
    let mut schema = closed(
        "Something that is probed.",
        &["name"],
        [
            ("name", name("Its name in SLOs.")),
            ("interval", duration("Time between probes; the grid's by default.")),
            ("timeout", duration("One deadline over all phases, shorter than the interval.")),
            ("ip", ip),
            ("resolver", text("DNS server, by number, that is asked for names instead of the system's.")),
            ("http", http()),
            ("tcp", tcp()),
            ("tls", tls_target()),
            ("dns", dns()),
            ("icmp", icmp()),
            ("grpc", grpc()),
            ("websocket", websocket()),
            ("journey", journey()),
        ],
    );
    exactly_one_of(&mut schema, &["http", "tcp", "tls", "dns", "icmp", "grpc", "websocket", "journey"]);
    schema
}

fn whole(description: &str, least: u64, most: u64) -> Value {
    json!({ "description": description, "type": "integer", "minimum": least, "maximum": most })
}

fn assertions() -> Value {
    json!({
        "description": "Assertions, like `status == 2xx and body contains \"ok\"`; all must hold.",
        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
    })
}

/// What makes an answer good; HTTP has short forms for what is usual there.
fn expect() -> Value {
    closed(
        "What makes an answer good; all of it must hold.",
        &[],
        [("latency", duration("The whole probe must be faster than this.")), ("assert", assertions())],
    )
}

fn http_expect() -> Value {
    let status = json!({ "anyOf": [
        { "type": "integer", "minimum": 100, "maximum": 599 },
        { "type": "string", "pattern": "^ *[1-5]([0-9]{2} *(- *[1-5][0-9]{2} *)?|xx|XX)$" },
    ] });
    let statuses = json!({
        "description": "A status, a class or a range, or several of them; 2xx by default.",
        "anyOf": [status, { "type": "array", "minItems": 1, "items": status }],
    });
    closed(
        "What makes an answer good; all of it must hold.",
        &[],
        [
            ("status", statuses),
            ("latency", duration("The whole probe must be faster than this.")),
            (
                "json",
                json!({ "description": "Values of the JSON body by path (RFC 9535).", "type": "object" }),
            ),
            ("assert", assertions()),
        ],
    )
}

fn tls_options() -> Value {
    let options = closed(
        "Trust and identity in the handshake.",
        &[],
        [
            ("insecure", switch("Accept any certificate. Its facts are recorded all the same.")),
            ("ca_file", text("Certificates that are trusted instead of the system's.")),
            ("server_name", text("Name that is asked for and verified, instead of the host.")),
            ("cert_file", text("Certificate chain that is shown to the server.")),
            ("key_file", text("Its key.")),
        ],
    );
    json!({ "anyOf": [options, { "type": "boolean" }] })
}

fn http() -> Value {
    let redirects = json!({ "anyOf": [
        whole("Redirects that are followed at most, within the origin.", 0, 20),
        closed(
            "Redirects that are followed.",
            &["limit"],
            [
                ("limit", whole("Most of them.", 0, 20)),
                ("origin", words("Whether they may lead elsewhere; `same` by default.", &["same", "any"])),
            ],
        ),
    ] });
    let size = json!({
        "description": "Bytes of an answer that are read at most.",
        "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": 67_108_864 },
            { "type": "string", "pattern": "^[0-9]+ *(KiB|MiB|kB|MB|B)$" },
        ],
    });
    closed(
        "A request over HTTP.",
        &["url"],
        [
            ("url", text("Variables (`${NAME}`, `${NAME:-default}`) are filled in.")),
            ("method", text("GET by default.")),
            ("headers", headers()),
            ("body", text("The body that is sent.")),
            ("tls", tls_options()),
            (
                "version",
                json!({ "description": "HTTP/1.1 by default.", "enum": ["1.1", "2", "auto", 1.1, 2] }),
            ),
            ("body_limit", size),
            ("max_headers", whole("Header fields of an answer; 256 by default.", 1, 4096)),
            ("redirects", redirects),
            ("basic_auth", basic_auth()),
            ("bearer_token", text("Better from the environment or a file.")),
            ("bearer_token_file", text("The file that holds it.")),
            ("expect", http_expect()),
        ],
    )
}

fn dialogue() -> Value {
    let mut step = closed(
        "A step.",
        &[],
        [
            ("send", text("Text that is sent.")),
            ("send_hex", text("Bytes that are sent, as hex digits.")),
            ("expect", text("A regular expression that the peer's bytes must match; the match is consumed.")),
        ],
    );
    exactly_one_of(&mut step, &["send", "send_hex", "expect"]);
    list("What is sent and awaited, in order.", step)
}

fn tcp() -> Value {
    let protocols = ["smtp", "imap", "postgresql", "ldap"];
    closed(
        "A connection over TCP.",
        &["address"],
        [
            ("address", text("Host and port.")),
            ("starttls", words("Protocol by which the peer is asked to turn to TLS.", &protocols)),
            ("tls", tls_options()),
            ("dialogue", dialogue()),
            ("expect", expect()),
        ],
    )
}

fn tls_target() -> Value {
    closed(
        "A TLS handshake.",
        &["address"],
        [
            ("address", text("Host and port.")),
            ("insecure", switch("Accept any certificate. Its facts are recorded all the same.")),
            ("ca_file", text("Certificates that are trusted instead of the system's.")),
            ("server_name", text("Name that is asked for and verified, instead of the host.")),
            ("cert_file", text("Certificate chain that is shown to the server.")),
            ("key_file", text("Its key.")),
            ("dialogue", dialogue()),
            ("expect", expect()),
        ],
    )
}

fn dns() -> Value {
    let types = ["A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"];
    closed(
        "A query to a name server.",
        &["server", "query"],
        [
            ("server", text("The server, by number; port 53, or 853 over TLS, by default.")),
            ("query", text("The name that is asked for.")),
            ("type", words("Type of the record; `A` by default.", &types)),
            ("transport", words("`udp` by default.", &["udp", "tcp", "tls"])),
            ("recursion", switch("Whether the server shall ask others; true by default.")),
            ("tls", tls_options()),
            ("expect", expect()),
        ],
    )
}

fn icmp() -> Value {
    closed(
        "An echo request.",
        &["host"],
        [
            ("host", text("A name or an address.")),
            ("size", whole("Bytes of data; 56 by default.", 0, 1400)),
            ("expect", expect()),
        ],
    )
}

fn grpc() -> Value {
    closed(
        "A call of the health service of gRPC.",
        &["address"],
        [
            ("address", text("Host and port.")),
            ("service", text("The service whose health is asked for; the whole server by default.")),
            ("tls", tls_options()),
            ("expect", expect()),
        ],
    )
}

fn websocket() -> Value {
    closed(
        "An upgrade to WebSocket and an optional message.",
        &["url"],
        [
            ("url", text("`ws` or `wss`.")),
            ("headers", headers()),
            ("tls", tls_options()),
            ("send", text("A text message that is sent.")),
            ("expect_message", text("A regular expression that a message matches.")),
            ("expect", expect()),
        ],
    )
}

fn journey() -> Value {
    let step = closed(
        "A request.",
        &["name", "http"],
        [
            ("name", name("Its name in results.")),
            ("http", http()),
            (
                "extract",
                json!({ "description": "Variables by name, like `json(\"$.id\")`.", "type": "object" }),
            ),
            ("always", switch("Make it even when a step before it failed.")),
        ],
    );
    closed(
        "Requests that share variables.",
        &["steps"],
        [
            (
                "variables",
                json!({ "description": "Values at the start, used as `{{name}}`.", "type": "object" }),
            ),
            ("steps", list("The requests, in order.", step)),
            ("expect", expect()),
        ],
    )
}
