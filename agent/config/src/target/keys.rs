//! Keys of a target and of each protocol.

use super::super::reader::{At, Fields, Reader, did_you_mean, quoted_list, suggestion};

/// Keys of a target.
pub(super) const TARGET: [&str; 13] = [
    "name",
    "interval",
    "timeout",
    "ip",
    "resolver",
    "http",
    "tcp",
    "tls",
    "dns",
    "icmp",
    "grpc",
    "websocket",
    "journey",
];

/// A protocol, as the configuration names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Tcp,
    Tls,
    Dns,
    Icmp,
    Grpc,
    WebSocket,
    Journey,
}

impl Protocol {
    const ALL: [Self; 8] =
        [Self::Http, Self::Tcp, Self::Tls, Self::Dns, Self::Icmp, Self::Grpc, Self::WebSocket, Self::Journey];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Dns => "dns",
            Self::Icmp => "icmp",
            Self::Grpc => "grpc",
            Self::WebSocket => "websocket",
            Self::Journey => "journey",
        }
    }

    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Http => &[
                "url",
                "method",
                "headers",
                "body",
                "tls",
                "version",
                "body_limit",
                "max_headers",
                "redirects",
                "basic_auth",
                "bearer_token",
                "bearer_token_file",
                "expect",
            ],
            Self::Tcp => &["address", "starttls", "tls", "dialogue", "expect"],
            Self::Tls => &[
                "address",
                "server_name",
                "ca_file",
                "cert_file",
                "key_file",
                "insecure",
                "dialogue",
                "expect",
            ],
            Self::Dns => &["server", "query", "type", "transport", "recursion", "tls", "expect"],
            Self::Icmp => &["host", "size", "expect"],
            Self::Grpc => &["address", "service", "tls", "expect"],
            Self::WebSocket => &["url", "headers", "tls", "send", "expect_message", "expect"],
            Self::Journey => &["variables", "steps", "expect"],
        }
    }
}

/// Finds the one protocol of a target.
pub(super) fn find_protocol<'n>(reader: &mut Reader<'_>, fields: &Fields<'n>) -> Option<(Protocol, At<'n>)> {
    let found: Vec<(Protocol, At<'n>)> = Protocol::ALL
        .into_iter()
        .filter_map(|protocol| Some((protocol, fields.get(protocol.as_str())?)))
        .collect();
    if let [_, second, ..] = found.as_slice() {
        let names: Vec<&str> = found.iter().map(|(protocol, _)| protocol.as_str()).collect();
        let message = format!("a target has one protocol, this one has {}", quoted_list(&names));
        reader.error(&second.1, message, "make a target of each");
        return None;
    }
    if found.is_empty() {
        let names = Protocol::ALL.map(Protocol::as_str);
        let message = format!("a target needs one of {}", quoted_list(&names));
        reader.error(&fields.at, message, "like `http: { url: http://127.0.0.1:8080/health }`");
    }
    found.into_iter().next()
}

/// Reads the fields of a protocol. A key of another protocol is told with the protocol it belongs to.
pub(super) fn read_fields<'n>(
    reader: &mut Reader<'_>,
    at: &At<'n>,
    protocol: Protocol,
) -> Option<Fields<'n>> {
    let known = protocol.keys();
    let fields = reader.open_fields(at, &format!("with {}", quoted_list(known)))?;
    for (key, value) in fields.all() {
        let name = key.name.as_str();
        if known.contains(&name) {
            continue;
        }
        let owners: Vec<&str> = Protocol::ALL
            .into_iter()
            .filter(|other| other.keys().contains(&name))
            .map(Protocol::as_str)
            .collect();
        let help = if owners.is_empty() {
            suggestion(name, known)
                .map_or_else(|| format!("known here: {}", quoted_list(known)), |name| did_you_mean(&name))
        } else {
            format!("it belongs to {}", quoted_list(&owners))
        };
        // a misspelt key may hold a secret
        reader.secrets.push(value.node.place.span.clone());
        let message = format!("unknown key `{name}`");
        reader.note(super::super::diagnostic::Level::Error, &key.place, &value.key, message, Some(help));
    }
    Some(fields)
}
