//! The policy for clients: keys, origins and limits.

use std::fmt;
use std::net::IpAddr;

use axum::http::{HeaderValue, Uri};
use clap::ArgAction;
use ipnet::IpNet;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::reader::{number, rule, word};
use super::secret::Secret;
use super::{ConfigErrors, Environment, HostPattern};

/// The policy for clients: keys, origins and limits.
#[derive(Debug, Clone, clap::Args)]
pub struct ClientPolicy {
    /// Lines of `name scope[,scope] sha256:<digest>`. Without keys only a development machine takes changes.
    #[arg(long = "API_KEYS", hide_env_values = true)]
    api_keys: Option<Secret>,
    /// The keys of the start.
    #[arg(skip)]
    pub keys: Keys,
    /// The scopes that a key may have.
    #[arg(skip)]
    pub scopes: &'static [Scope],
    /// `allow`, or `deny`: reading needs a key with a scope that ends in `:read`.
    #[arg(
        long = "ANONYMOUS_READS",
        default_value = "allow",
        value_parser = word(&[("allow", true), ("deny", false)]),
        action = ArgAction::Set
    )]
    pub anonymous_reads: bool,
    /// Origins whose pages may read responses, or `*`.
    #[arg(long = "CORS_ORIGINS", value_parser = rule(ORIGINS, origin))]
    pub origins: Vec<HeaderValue>,
    /// Names under which the API answers, without ports: others get 421, except probes. `*.` stands for all names below.
    #[arg(long = "ALLOWED_HOSTS", value_parser = rule(HOSTS, HostPattern::read))]
    pub hosts: Vec<HostPattern>,
    /// Addresses or networks of proxies, which may have all `MAX_CLIENT_CONNECTIONS`.
    #[arg(long = "TRUSTED_PROXIES", value_parser = rule(NETWORKS, Network::read))]
    pub proxies: Vec<Network>,
    /// Requests at once; beyond them 503.
    #[arg(long = "MAX_IN_FLIGHT", default_value = "512", value_parser = number(1..=100_000_usize))]
    pub in_flight: usize,
    /// Client connections. Beyond them the longest idle one is closed.
    #[arg(long = "MAX_CLIENT_CONNECTIONS", default_value = "1024", value_parser = number(1..=100_000_usize))]
    pub connections: usize,
    /// Connections of one address that is no trusted proxy.
    #[arg(long = "MAX_CONNECTIONS_PER_ADDRESS", default_value = "512", value_parser = number(1..=100_000_usize))]
    pub connections_per_address: usize,
}

const ORIGINS: &str = "origins such as https://titanic.example, or *";
const HOSTS: &str =
    "names such as api.titanic.example or *.titanic.example, without ports, with commas between";
const NETWORKS: &str = "addresses or networks such as 10.0.0.0/8, with commas between";

impl ClientPolicy {
    /// Reads the keys, with these scopes.
    pub(super) fn read_keys(
        &mut self,
        environment: &Environment,
        scopes: &'static [Scope],
        errors: &mut ConfigErrors,
    ) {
        self.scopes = scopes;
        self.keys = match &self.api_keys {
            Some(Secret(text)) => Keys::parse(text, scopes).unwrap_or_else(|wrong| {
                wrong.into_iter().for_each(|expected| errors.refuse("API_KEYS", None, expected));
                Keys::Nobody
            }),
            None if environment.is_development() => Keys::Open,
            None => Keys::Nobody,
        };
        if !self.anonymous_reads && self.api_keys.is_none() {
            errors.refuse("ANONYMOUS_READS", Some("deny"), "API_KEYS to be set, or nobody could read");
        }
    }
}

/// The keys that allow changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Keys {
    /// A holder of one of these keys, within its scopes.
    Required(Vec<ApiKey>),
    /// Any client: this is a development machine.
    Open,
    /// No client: no key was configured, and this is no development machine.
    #[default]
    Nobody,
}

/// A permission of a key. Entities say which ones there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    name: &'static str,
    reads: bool,
}

impl Scope {
    /// A permission to read. It is needed only where anonymous reads are denied.
    #[must_use]
    pub const fn reading(name: &'static str) -> Self {
        Self { name, reads: true }
    }

    /// A permission to change something.
    #[must_use]
    pub const fn changing(name: &'static str) -> Self {
        Self { name, reads: false }
    }

    /// Returns whether it is needed only where anonymous reads are denied.
    #[must_use]
    pub fn is_read(self) -> bool {
        self.reads
    }

    /// Returns its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.name
    }
}

/// A key. Only the digest of its secret is known here: a secret of 128 random bits or more cannot be guessed from it, which
/// is why a plain digest does, where a password would need a slow one.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The name of its holder, for logs.
    pub name: String,
    scopes: Vec<Scope>,
    digest: [u8; 32],
}

impl ApiKey {
    /// Returns whether the key has a scope.
    #[must_use]
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// Reads `name scope[,scope] sha256:<hex>`.
    fn read(line: &str, known: &[Scope]) -> Option<Self> {
        let [name, scopes, digest] = line.split_whitespace().collect::<Vec<_>>().try_into().ok()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.len() > 64 || !name.chars().all(plain) {
            return None;
        }
        let scope = |word: &str| known.iter().copied().find(|scope| scope.as_str() == word);
        let scopes = scopes.split(',').map(scope).collect::<Option<Vec<_>>>()?;
        Some(Self { name: name.to_owned(), scopes, digest: digest_of(digest.strip_prefix("sha256:")?)? })
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scopes: Vec<_> = self.scopes.iter().map(|scope| scope.as_str()).collect();
        write!(f, "ApiKey({} {})", self.name, scopes.join(","))
    }
}

fn digest_of(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    hex::decode_to_slice(hex, &mut digest).ok().map(|()| digest)
}

impl Keys {
    /// Reads one key per line, of these scopes, or says of each wrong line what was expected.
    pub fn parse(text: &str, scopes: &[Scope]) -> Result<Self, Vec<String>> {
        let (mut keys, mut wrong) = (Vec::new(), Vec::new());
        for (index, line) in text.split(['\n', ';']).map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match ApiKey::read(line, scopes) {
                Some(key) => keys.push(key),
                // The line is not shown: who got it wrong may have put the secret itself there.
                None => wrong.push(format!(
                    "line {} to be `name scope[,scope] sha256:<64 hex digits>` with the scopes {}",
                    index + 1,
                    scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", ")
                )),
            }
        }
        if wrong.is_empty() { Ok(Self::Required(keys)) } else { Err(wrong) }
    }

    /// The key with this secret. All of them are looked at, in a time that does not tell which one it was.
    #[must_use]
    pub fn find(&self, secret: &str) -> Option<&ApiKey> {
        let Self::Required(keys) = self else { return None };
        let offered: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        let mut found = None;
        for key in keys {
            if bool::from(key.digest.ct_eq(&offered)) {
                found = Some(key);
            }
        }
        found
    }
}

/// One address, or all that begin like it: `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(pub IpNet);

impl Network {
    fn read(text: &str) -> Option<Self> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.ok().map(Self)
    }

    /// Returns whether an address is in the network.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

/// An origin as browsers write it: scheme, host, port, and nothing after it.
fn origin(text: &str) -> Option<HeaderValue> {
    let uri = || text.parse::<Uri>().ok().filter(|uri| uri.scheme().is_some() && uri.query().is_none());
    let is_origin = text == "*" || uri().is_some_and(|uri| uri.path() == "/" && !text.ends_with('/'));
    if is_origin { HeaderValue::from_str(text).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use crate::config::ConfigErrors;
    use crate::config::tests::{IMPORT, WRITE};

    /// `printf iceberg | sha256sum`
    const ICEBERG: &str = "sha256:91e16ed3ab68d1bd19b0c3ff3a5c3d7b7a4f6e2b1a2c3d4e5f60718293a4b5c6";

    fn read(variables: &[(&'static str, &str)]) -> Result<ClientPolicy, ConfigErrors> {
        Config::of_test(variables.iter().copied()).map(|config| config.clients)
    }

    fn line(name: &str, scopes: &str, secret: &str) -> String {
        let digest: String =
            Sha256::digest(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{name} {scopes} sha256:{digest}")
    }

    #[test]
    fn keys_are_found_by_their_secret_and_never_shown() {
        let text = format!(
            "# who brings them aboard\n{}\n\n{}",
            line("purser", "things:write", "iceberg"),
            line("agent", "things:write,things:import", "ticket")
        );
        let keys = read(&[("API_KEYS", &text)]).unwrap().keys;
        let purser = keys.find("iceberg").unwrap();
        assert_eq!(
            (purser.name.as_str(), purser.allows(WRITE), purser.allows(IMPORT)),
            ("purser", true, false)
        );
        assert!(keys.find("ticket").unwrap().allows(IMPORT));
        assert_eq!(keys.find("Iceberg"), None);
        assert_eq!(
            format!("{keys:?}"),
            "Required([ApiKey(purser things:write), ApiKey(agent things:write,things:import)])"
        );
    }

    #[test]
    fn a_line_that_is_no_key_is_named_by_its_number_only() {
        let long = format!("a things:look {ICEBERG}");
        for wrong in ["purser", "purser things:write iceberg", "purser things:write sha256:12", &long] {
            let errors = read(&[("API_KEYS", &format!("# first\n{wrong}"))]).unwrap_err().to_string();
            assert!(errors.contains("API_KEYS: expected line 2 to be `name scope"), "{errors}");
            assert!(!errors.contains("iceberg"), "{errors}");
        }
    }

    #[test]
    fn without_keys_only_a_machine_of_ones_own_is_open() {
        assert_eq!(read(&[]).unwrap().keys, Keys::Open);
        for word in ["dev", "local", "Local-2"] {
            assert_eq!(read(&[("ENVIRONMENT", word)]).unwrap().keys, Keys::Open, "{word}");
        }
        for word in ["production", "staging", "demo"] {
            assert_eq!(read(&[("ENVIRONMENT", word)]).unwrap().keys, Keys::Nobody, "{word}");
        }
    }

    #[test]
    fn anonymous_reads_are_denied_only_where_keys_are() {
        assert!(read(&[]).unwrap().anonymous_reads);
        let key = line("purser", "things:read,others:read", "iceberg");
        assert!(!read(&[("API_KEYS", &key), ("ANONYMOUS_READS", "deny")]).unwrap().anonymous_reads);
        assert!(read(&[("API_KEYS", &key), ("ANONYMOUS_READS", "allow")]).unwrap().anonymous_reads);
        let errors = read(&[("ANONYMOUS_READS", "deny")]).unwrap_err().to_string();
        assert!(errors.contains("ANONYMOUS_READS is `deny`: expected API_KEYS to be set"), "{errors}");
        let errors = read(&[("API_KEYS", &key), ("ANONYMOUS_READS", "no")]).unwrap_err().to_string();
        assert!(errors.contains("ANONYMOUS_READS is `no`: expected allow or deny"), "{errors}");
    }

    #[test]
    fn networks_and_origins_are_read_strictly() {
        let edge = read(&[
            ("TRUSTED_PROXIES", "10.0.0.0/8, ::1,192.0.2.7"),
            ("CORS_ORIGINS", "https://titanic.example, http://localhost:5173"),
        ])
        .unwrap();
        let trusted = |text: &str| edge.proxies.iter().any(|network| network.contains(text.parse().unwrap()));
        for address in ["10.1.2.3", "::ffff:10.1.2.3", "::1", "192.0.2.7"] {
            assert!(trusted(address), "{address}");
        }
        for address in ["11.0.0.1", "::2", "192.0.2.8"] {
            assert!(!trusted(address), "{address}");
        }
        let all = Network::read("0.0.0.0/0").unwrap();
        assert!(all.contains("203.0.113.9".parse().unwrap()) && !all.contains("::1".parse().unwrap()));
        for wrong in ["10.0.0.0/33", "10.0.0", "::1/129", "here"] {
            assert!(read(&[("TRUSTED_PROXIES", wrong)]).is_err(), "{wrong}");
        }
        for wrong in ["titanic.example", "https://titanic.example/", "https://titanic.example/a", "null"] {
            assert!(read(&[("CORS_ORIGINS", wrong)]).is_err(), "{wrong}");
        }
    }
}
