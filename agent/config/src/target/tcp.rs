//! `tcp` and `tls` of a target.
//!
//! ```yaml
//! tcp:
//!   address: mail.example.org:25
//!   starttls: smtp                   # smtp | imap | postgresql | ldap
//!   tls: { ca_file: ca.pem }         # from the first byte on, or what STARTTLS verifies
//!   dialogue:                        # in order
//!     - expect: "^220 "              # a regular expression; what it finds is consumed
//!     - send: "QUIT\r\n"             # or send_hex: "00ff"
//! tls: { address: example.org:443, server_name: example.org, dialogue: [] }
//! ```

use std::path::Path;

use regex::bytes::{Regex, RegexBuilder};

use super::super::reader::{At, Fields, Reader};
use super::address::{self, HostPort};
use super::tls::{self, TlsOptions};
use crate::keys::target;

/// Steps of a dialogue.
const MOST_STEPS: usize = 64;

/// A connection, an optional dialogue, optional TLS.
#[derive(Debug, Clone)]
pub struct TcpCheck {
    /// The peer.
    pub address: HostPort,
    /// TLS from the first byte on.
    pub tls: Option<TlsOptions>,
    /// The protocol that turns to TLS, and what is verified then.
    pub starttls: Option<(StartTls, TlsOptions)>,
    /// Steps of sending and receiving, in order.
    pub dialogue: Vec<Step>,
}

/// Protocols that turn a plain connection into TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartTls {
    /// RFC 3207.
    Smtp,
    /// RFC 3501.
    Imap,
    /// `SSLRequest`.
    PostgreSql,
    /// RFC 4511, 4.14.
    Ldap,
}

/// A step of a dialogue.
#[derive(Debug, Clone)]
pub enum Step {
    /// Sends bytes.
    Send(Send),
    /// Reads until the expression matches; what it found is consumed.
    Expect(Regex),
}

/// Bytes that are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Send(pub Vec<u8>);

impl TcpCheck {
    /// Returns whether it ends in TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls.is_some() || self.starttls.is_some()
    }
}

/// Reads the keys of `tcp`.
pub(super) fn read_tcp(reader: &mut Reader<'_>, fields: &Fields<'_>, folder: &Path) -> Option<TcpCheck> {
    let address = read_address(reader, fields);
    let kinds = [
        ("smtp", StartTls::Smtp),
        ("imap", StartTls::Imap),
        ("postgresql", StartTls::PostgreSql),
        ("ldap", StartTls::Ldap),
    ];
    let starttls =
        fields.get(target::tcp::STARTTLS).map_or(Some(None), |at| reader.choice(&at, &kinds).map(Some));
    let tls = tls::read_optional(reader, fields, folder);
    let dialogue = read_dialogue(reader, fields);
    let (tls, starttls) = match (tls?, starttls?) {
        (tls, Some(kind)) => (None, Some((kind, tls.unwrap_or_default()))),
        (tls, None) => (tls, None),
    };
    Some(TcpCheck { address: address?, tls, starttls, dialogue: dialogue? })
}

/// Reads the keys of `tls`.
pub(super) fn read_tls(reader: &mut Reader<'_>, fields: &Fields<'_>, folder: &Path) -> Option<TcpCheck> {
    let address = read_address(reader, fields);
    let tls = tls::read_fields(reader, fields, folder);
    let dialogue = read_dialogue(reader, fields);
    Some(TcpCheck { address: address?, tls: Some(tls?), starttls: None, dialogue: dialogue? })
}

fn read_address(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<HostPort> {
    let at = reader.required(fields, target::tcp::ADDRESS, "name the peer, like `db.example.org:5432`")?;
    address::read(reader, &at)
}

fn read_dialogue(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Vec<Step>> {
    let Some(at) = fields.get(target::tcp::DIALOGUE) else { return Some(Vec::new()) };
    let items = reader.list(&at)?;
    if items.len() > MOST_STEPS {
        reader.error(&at, format!("a dialogue has at most {MOST_STEPS} steps"), "");
        return None;
    }
    let steps: Vec<_> = items.iter().map(|at| read_step(reader, at)).collect();
    steps.into_iter().collect()
}

fn read_step(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Step> {
    let fields = reader.fields(at, target::dialogue_step::OBJECT)?;
    let written: Vec<At<'_>> =
        target::dialogue_step::OBJECT.keys.iter().filter_map(|key| fields.get(*key)).collect();
    if written.len() != 1 {
        reader.error(at, "a step has one of `send`, `send_hex` and `expect`", "make a step of each");
        return None;
    }
    if let Some(at) = fields.get(target::dialogue_step::SEND) {
        // a dialogue may hold a password
        let text = reader.secret_text(&at, true, false)?;
        return Some(Step::Send(Send(text.into_bytes())));
    }
    if let Some(at) = fields.get(target::dialogue_step::SEND_HEX) {
        return read_hex(reader, &at).map(|bytes| Step::Send(Send(bytes)));
    }
    fields.get(target::dialogue_step::EXPECT).and_then(|at| read_pattern(reader, &at)).map(Step::Expect)
}

fn read_hex(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Vec<u8>> {
    let text: String = reader.text(at)?.chars().filter(|c| !c.is_whitespace()).collect();
    let whole = text.is_ascii() && text.len().is_multiple_of(2);
    let bytes = (0..text.len()).step_by(2).map(|n| u8::from_str_radix(text.get(n..n + 2)?, 16).ok());
    let bytes: Option<Vec<u8>> = if whole { bytes.collect() } else { None };
    if bytes.is_none() {
        reader.error(at, "expected pairs of hex digits", "write them like `\"00 ff 0a\"`");
    }
    bytes
}

/// Reads a regular expression over bytes.
pub(super) fn read_pattern(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Regex> {
    let text = reader.text(at)?;
    match RegexBuilder::new(text).size_limit(1024 * 1024).build() {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let reason = error.to_string();
            let last = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            reader.error(at, format!("this is not a regular expression: {last}"), "");
            None
        }
    }
}
