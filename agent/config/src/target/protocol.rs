//! The protocols of a target.

use super::super::reader::{At, Fields, Reader, quoted_list};
use crate::keys::{Key, Object, target};

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
    Heartbeat,
}

impl Protocol {
    const ALL: [Self; 9] = [
        Self::Http,
        Self::Tcp,
        Self::Tls,
        Self::Dns,
        Self::Icmp,
        Self::Grpc,
        Self::WebSocket,
        Self::Journey,
        Self::Heartbeat,
    ];

    /// Returns its name, which is the key that holds its options.
    pub(super) const fn as_str(self) -> &'static str {
        self.key().name
    }

    /// Returns the key of a target that holds its options.
    const fn key(self) -> Key {
        match self {
            Self::Http => target::target::HTTP,
            Self::Tcp => target::target::TCP,
            Self::Tls => target::target::TLS,
            Self::Dns => target::target::DNS,
            Self::Icmp => target::target::ICMP,
            Self::Grpc => target::target::GRPC,
            Self::WebSocket => target::target::WEBSOCKET,
            Self::Journey => target::target::JOURNEY,
            Self::Heartbeat => target::target::HEARTBEAT,
        }
    }

    /// Returns the mapping of its options.
    const fn object(self) -> &'static Object {
        match self {
            Self::Http => target::http::OBJECT,
            Self::Tcp => target::tcp::OBJECT,
            Self::Tls => target::handshake::OBJECT,
            Self::Dns => target::dns::OBJECT,
            Self::Icmp => target::icmp::OBJECT,
            Self::Grpc => target::grpc::OBJECT,
            Self::WebSocket => target::websocket::OBJECT,
            Self::Journey => target::journey::OBJECT,
            Self::Heartbeat => target::heartbeat::OBJECT,
        }
    }
}

/// Finds the one protocol of a target.
pub(super) fn find_protocol<'n>(reader: &mut Reader<'_>, fields: &Fields<'n>) -> Option<(Protocol, At<'n>)> {
    let found: Vec<(Protocol, At<'n>)> = Protocol::ALL
        .into_iter()
        .filter_map(|protocol| Some((protocol, fields.get(protocol.key())?)))
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
    let owners = |name: &str| {
        let others = Protocol::ALL.into_iter().filter(|other| other.object().has(name));
        let owners: Vec<&str> = others.map(Protocol::as_str).collect();
        (!owners.is_empty()).then(|| format!("it belongs to {}", quoted_list(&owners)))
    };
    // whatever the key is, its value may be a secret of the peer
    reader.fields_with(at, protocol.object(), true, owners)
}
