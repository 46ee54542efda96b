//! The plain words by which a peer is asked to turn to TLS.

use lookout_config::StartTls;

use super::super::Reason;
use super::super::attempt::Failure;
use super::super::net::Io;
use super::Dialogue;
use crate::wording::bounded;

/// `SSLRequest` of PostgreSQL: its length and its code.
const POSTGRESQL: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// An extended request of LDAP with the object identifier of STARTTLS.
const LDAP: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// Asks the peer to turn to TLS. The next bytes on the stream belong to the handshake.
pub(super) async fn request(kind: StartTls, stream: &mut Box<dyn Io>) -> Result<(), Failure> {
    let mut dialogue = Dialogue::new(stream);
    match kind {
        StartTls::Smtp => smtp(&mut dialogue).await,
        StartTls::Imap => imap(&mut dialogue).await,
        StartTls::PostgreSql => postgresql(&mut dialogue).await,
        StartTls::Ldap => ldap(&mut dialogue).await,
    }
}

async fn smtp<S: Io>(dialogue: &mut Dialogue<S>) -> Result<(), Failure> {
    smtp_reply(dialogue, "220").await?;
    dialogue.send(b"EHLO lookout\r\n").await?;
    let offered = smtp_reply(dialogue, "250").await?;
    let offers = offered
        .lines()
        .any(|line| line.get(4..).is_some_and(|word| word.trim().eq_ignore_ascii_case("STARTTLS")));
    if !offers {
        return Err(refused("the server offers no STARTTLS"));
    }
    dialogue.send(b"STARTTLS\r\n").await?;
    smtp_reply(dialogue, "220").await.map(|_| ())
}

/// A reply of one or more lines, the last with a blank after its code.
async fn smtp_reply<S: Io>(dialogue: &mut Dialogue<S>, code: &str) -> Result<String, Failure> {
    let reply = dialogue.expect("a reply of SMTP", |received| {
        let mut end = 0;
        for line in received.split_inclusive(|byte| *byte == b'\n') {
            if !line.ends_with(b"\n") {
                return None;
            }
            end += line.len();
            if line.get(3) != Some(&b'-') {
                return Some(end);
            }
        }
        None
    });
    let reply = String::from_utf8_lossy(reply.await?).into_owned();
    if reply.lines().last().is_some_and(|line| line.starts_with(code)) {
        return Ok(reply);
    }
    Err(refused(&format!("expected {code}, the server says {:?}", bounded(reply.trim_end(), 80))))
}

async fn imap<S: Io>(dialogue: &mut Dialogue<S>) -> Result<(), Failure> {
    let greeting = line(dialogue).await?;
    if !greeting.starts_with("* OK") {
        return Err(refused(&format!(
            "expected `* OK`, the server says {:?}",
            bounded(greeting.trim_end(), 80)
        )));
    }
    dialogue.send(b"a1 STARTTLS\r\n").await?;
    loop {
        let answer = line(dialogue).await?;
        match answer.strip_prefix("a1 ") {
            Some(rest) if rest.starts_with("OK") => return Ok(()),
            Some(rest) => {
                return Err(refused(&format!("the server says {:?}", bounded(rest.trim_end(), 80))));
            }
            // capabilities and other news come untagged
            None => {}
        }
    }
}

async fn line<S: Io>(dialogue: &mut Dialogue<S>) -> Result<String, Failure> {
    let end = |received: &[u8]| received.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
    Ok(String::from_utf8_lossy(dialogue.expect("a line", end).await?).into_owned())
}

async fn postgresql<S: Io>(dialogue: &mut Dialogue<S>) -> Result<(), Failure> {
    dialogue.send(&POSTGRESQL).await?;
    match dialogue.expect("one byte", |received| (!received.is_empty()).then_some(1)).await? {
        b"S" => Ok(()),
        b"N" => Err(refused("the server has no TLS")),
        other => Err(refused(&format!(
            "expected `S` or `N`, the server says {:?}",
            String::from_utf8_lossy(other)
        ))),
    }
}

async fn ldap<S: Io>(dialogue: &mut Dialogue<S>) -> Result<(), Failure> {
    dialogue.send(LDAP).await?;
    let message = dialogue.expect("an answer of LDAP", |received| {
        // a sequence whose length fits into one byte
        let length = received.get(1).filter(|length| **length < 0x80)?;
        let end = usize::from(*length) + 2;
        (received.len() >= end).then_some(end)
    });
    let message = message.await?;
    // message id, then the extended response with its result code
    let code = message.windows(3).find_map(|window| match window {
        [0x0a, 0x01, code] => Some(*code),
        _ => None,
    });
    match (message.first(), message.get(5), code) {
        (Some(0x30), Some(0x78), Some(0)) => Ok(()),
        (Some(0x30), _, Some(code)) => Err(refused(&format!("the server answers with result {code}"))),
        _ => Err(refused("the answer is not of LDAP")),
    }
}

fn refused(detail: &str) -> Failure {
    Failure::new(Reason::StartTls, format!("STARTTLS: {detail}"))
}
