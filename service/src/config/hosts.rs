//! The names under which the service answers.

/// A name of a host, or all names below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    name: String,
    is_suffix: bool,
}

impl HostPattern {
    /// Reads a name or address without a port; `*.` before a name stands for all names below it.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (name, is_suffix) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
        let is_name = |name: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            name.split('.').all(|label| !label.is_empty() && label.bytes().all(allowed))
        };
        let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let is_address = address.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
        let name = normal(name);
        (is_name(&name) || (is_address && !is_suffix)).then_some(Self { name, is_suffix })
    }

    /// Returns whether a host, without its port, is one of these.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        let host = normal(host);
        if self.is_suffix {
            return host.strip_suffix(&self.name).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'));
        }
        host == self.name
    }
}

/// Returns a name without the dot of the root, in small letters.
fn normal(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_host_and_a_star_stands_for_all_below() {
        let matches = |pattern: &str, host: &str| HostPattern::read(pattern).unwrap().matches(host);
        for (pattern, host) in [
            ("api.titanic.example", "API.Titanic.Example"),
            ("api.titanic.example", "api.titanic.example."),
            ("*.titanic.example", "a.b.titanic.example"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
            ("localhost", "localhost"),
        ] {
            assert!(matches(pattern, host), "{pattern} {host}");
        }
        for (pattern, host) in [
            ("api.titanic.example", "titanic.example"),
            ("titanic.example", "api.titanic.example"),
            ("*.titanic.example", "titanic.example"),
            ("*.titanic.example", ".titanic.example"),
            ("*.titanic.example", "eviltitanic.example"),
            ("titanic.example", ""),
        ] {
            assert!(!matches(pattern, host), "{pattern} {host}");
        }
        for wrong in ["", "*", "*.", "a:80", "https://a", "a b", "a..b", "a.*.b", "*.[::1]", "::1"] {
            assert_eq!(HostPattern::read(wrong), None, "{wrong}");
        }
    }
}
