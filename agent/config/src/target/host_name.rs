//! Targets whose host a request names apart from their address.

use super::definition::{Check, Target};
use crate::Secret;

/// Longest name of DNS.
const LONGEST: usize = 253;

impl Target {
    /// Returns the target with a name of its host that is independent of its address: HTTP sends it as `Host`, and TLS asks
    /// for it and verifies it, unless the target names a server itself.
    ///
    /// # Errors
    /// Fails with a sentence when the text is no name of a host, the target sends another `Host`, or its protocol has none.
    pub fn named(&self, host: &str) -> Result<Self, String> {
        let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if host.is_empty() || host.len() > LONGEST || !is_name {
            return Err("expected the name of a host, like `www.example.org`".to_owned());
        }
        let mut target = self.clone();
        let protocol = target.check.protocol();
        let tls = match &mut target.check {
            Check::Http(http) => {
                let own = http.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
                match own {
                    Some((_, sent)) if sent.reveal() != host => {
                        return Err("the module sends another `Host`".to_owned());
                    }
                    Some(_) => {}
                    None => http.headers.push(("Host".to_owned(), Secret::new(host))),
                }
                Some(&mut http.tls)
            }
            Check::WebSocket(websocket) => Some(&mut websocket.tls),
            Check::Tcp(tcp) => tcp.tls.as_mut().or(tcp.starttls.as_mut().map(|(_, options)| options)),
            Check::Grpc(grpc) => grpc.tls.as_mut(),
            Check::Icmp(_) | Check::Dns(_) | Check::Heartbeat(_) | Check::Journey(_) => None,
        };
        let Some(tls) = tls else {
            return Err(format!("a module of `{protocol}` without TLS sends no name of a host"));
        };
        tls.server_name.get_or_insert_with(|| host.to_owned());
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(url: &str) -> Target {
        Target::of_url(&url.parse().unwrap()).unwrap()
    }

    #[test]
    fn http_sends_the_name_and_tls_verifies_it() {
        let named = module("https://10.0.0.1").named("www.example.org").unwrap();
        let Check::Http(http) = &named.check else { panic!("{named:?}") };
        assert_eq!((http.headers[0].0.as_str(), http.headers[0].1.reveal()), ("Host", "www.example.org"));
        assert_eq!(http.tls.server_name.as_deref(), Some("www.example.org"));
        assert!(named.named("www.example.org").is_ok(), "the same name again");
        assert_eq!(named.named("other.example.org").unwrap_err(), "the module sends another `Host`");
        let Check::Tcp(tcp) = module("tls://10.0.0.1:443").named("db").unwrap().check else { panic!() };
        assert_eq!(tcp.tls.unwrap().server_name.as_deref(), Some("db"));
    }

    #[test]
    fn what_has_no_name_is_refused() {
        for url in ["tcp://10.0.0.1:1", "icmp://10.0.0.1", "dns://10.0.0.2/example.org"] {
            assert!(module(url).named("db").unwrap_err().contains("sends no name of a host"), "{url}");
        }
        for bad in ["", "a b", "a\r\nX: y", "a/b", &"a".repeat(254), "ä"] {
            assert!(
                module("http://target").named(bad).unwrap_err().starts_with("expected the name"),
                "{bad}"
            );
        }
    }
}
