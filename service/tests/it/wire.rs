//! HTTP over a connection of our own: what a client library would mend by itself shall be seen.

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Value,
}

impl Said {
    /// A field of the head.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// One request and its answer, on a connection that stays.
pub(crate) async fn call(
    connection: &mut TcpStream,
    method: &str,
    path: &str,
    headers: &str,
    body: Option<&Value>,
) -> Result<Said, String> {
    let text = body.map(ToString::to_string).unwrap_or_default();
    let media = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let about = body
        .map(|_| format!("content-type: {media}\r\ncontent-length: {}\r\n", text.len()))
        .unwrap_or_default();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: titanic\r\n{headers}{about}\r\n{text}");
    let cut = |why: &dyn std::fmt::Display| format!("the connection was cut in {method} {path}: {why}");
    connection.write_all(request.as_bytes()).await.map_err(|error| cut(&error))?;
    let mut read = Vec::new();
    loop {
        if let Some(said) = complete(&read)? {
            return Ok(said);
        }
        match connection.read_buf(&mut read).await {
            Ok(0) => return Err(cut(&"it ended")),
            Ok(_) => {}
            Err(error) => return Err(cut(&error)),
        }
    }
}

/// The answer, if all of it has come.
fn complete(read: &[u8]) -> Result<Option<Said>, String> {
    let text = String::from_utf8_lossy(read);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(None) };
    let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(|| head.to_owned())?;
    let mut said = Said { status, head: head.to_owned(), body: Value::Null };
    let length = said.header("content-length").map_or(Ok(0), str::parse::<usize>);
    if body.len() < length.map_err(|_| head.to_owned())? {
        return Ok(None);
    }
    if !body.is_empty() {
        said.body = serde_json::from_str(body).map_err(|error| format!("{error} in {text}"))?;
    }
    Ok(Some(said))
}
