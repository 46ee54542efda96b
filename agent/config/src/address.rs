//! URLs that can be requested.

use url::Url;

use super::reader::{At, Reader};

impl Reader<'_> {
    /// Returns an HTTP URL with its variables filled in.
    pub(super) fn url(&mut self, at: &At<'_>) -> Option<Url> {
        self.parsed_url(at, parse_http_url)
    }

    /// Returns an HTTP URL that may hold a user and a password. Whoever keeps it must not show it.
    pub(super) fn url_with_login(&mut self, at: &At<'_>) -> Option<Url> {
        self.parsed_url(at, parse_with_login)
    }

    fn parsed_url(&mut self, at: &At<'_>, parse: fn(&str) -> Result<Url, (String, String)>) -> Option<Url> {
        let text = self.expand(at)?;
        match parse(&text) {
            Ok(url) => Some(url),
            Err((message, help)) => {
                // only what stands in the file may be repeated: a variable may hold a secret
                let bare = self.text(at).filter(|written| *written == text && is_bare(written));
                self.error(at, message, bare.map_or(help, |bare| format!("did you mean `http://{bare}`?")));
                None
            }
        }
    }

    /// Returns a URL in which `{placeholder}` is replaced later.
    pub(super) fn url_template(&mut self, at: &At<'_>, placeholders: &[&str]) -> Option<String> {
        let text = self.expand(at)?;
        let known = placeholders.iter().map(|name| format!("{{{name}}}")).collect::<Vec<_>>().join(" and ");
        let mut plain = text.clone();
        for name in placeholders {
            plain = plain.replace(&format!("{{{name}}}"), "x");
        }
        if plain.contains(['{', '}']) {
            self.error(at, "this URL has a placeholder that is not known", format!("known here: {known}"));
            return None;
        }
        if let Err((message, help)) = parse_http_url(&plain) {
            self.error(at, message, help);
            return None;
        }
        Some(text)
    }
}

/// Returns whether a text is a host, perhaps with port and path, without a scheme.
fn is_bare(text: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '/' | '[' | ']');
    let host = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
    host && !text.contains("//") && text.chars().all(inside)
}

/// Parses a URL that can be requested over HTTP. Says what is wrong and what to do, never the URL: it may hold a
/// secret.
pub fn parse_http_url(text: &str) -> Result<Url, (String, String)> {
    let url = parse_with_login(text)?;
    if !url.username().is_empty() || url.password().is_some() {
        let help = "send them as a header: `headers: { Authorization: \"Basic ${CREDENTIALS}\" }`";
        return Err(("this URL holds a user name or password".to_owned(), help.to_owned()));
    }
    Ok(url)
}

/// Parses a URL as [`parse_http_url`], and lets it hold a user and a password.
fn parse_with_login(text: &str) -> Result<Url, (String, String)> {
    let wrong = |message: &str, help: String| Err((message.to_owned(), help));
    let in_full = || "write it in full, like `http://127.0.0.1:8080/health`".to_owned();
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            return wrong("this URL has no scheme", in_full());
        }
        Err(url::ParseError::EmptyHost) => {
            return wrong("this URL has no host", in_full());
        }
        Err(error) => return wrong(&format!("this is not a URL: {error}"), String::new()),
    };
    if !matches!(url.scheme(), "http" | "https") {
        let help = match url.host() {
            None => in_full(),
            Some(_) => "begin it with `http://` or `https://`".to_owned(),
        };
        return wrong("lookout supports http and https only", help);
    }
    if url.port() == Some(0) {
        return wrong("port 0 is no port of a receiver", "write the port the receiver listens on".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_requested_is_a_url() {
        assert!(parse_http_url("http://127.0.0.1:8080/health?x=1").is_ok());
        assert!(parse_http_url("https://[::1]/").is_ok());
        assert!(parse_with_login("http://me:hunter2@host:9093/route").is_ok(), "a receiver takes them");
        for (text, message, help) in [
            ("localhost:8080/health", "http and https only", "in full"),
            ("127.0.0.1:8080", "no scheme", "in full"),
            ("/health", "no scheme", "in full"),
            ("ftp://host/", "http and https only", "begin it with"),
            ("http://", "no host", "in full"),
            ("http://me:hunter2@host/", "user name or password", "as a header"),
            ("http://host:99999/", "invalid port", ""),
            ("http://host:0/", "port 0", "the port"),
            ("me:hunter2@host", "http and https only", "in full"),
        ] {
            let (said, hint) = parse_http_url(text).unwrap_err();
            assert!(said.contains(message) && hint.contains(help), "{text}: {said}; {hint}");
            assert!(!said.contains("hunter2") && !hint.contains("hunter2"), "{said} {hint}");
        }
    }
}
