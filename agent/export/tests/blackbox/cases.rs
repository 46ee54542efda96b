//! Cases: a target, and a module of each program that means the same.

use super::servers::Servers;

/// A case.
pub(super) struct Case {
    /// The name, which is that of both modules.
    pub(super) name: &'static str,
    /// A sentence for the page.
    pub(super) about: &'static str,
    /// The parameter `target`.
    pub(super) target: String,
    /// The module of blackbox_exporter.
    pub(super) theirs: String,
    /// The keys of our module.
    pub(super) ours: String,
    /// 1 when the probe succeeds.
    pub(super) succeeds: f64,
}

const TIMES: &str = "timeout: 2s";

fn case(name: &'static str, about: &'static str, target: impl Into<String>, succeeds: bool) -> Case {
    Case {
        name,
        about,
        target: target.into(),
        theirs: format!("{{ prober: http, {TIMES}, http: {{ preferred_ip_protocol: ip4 }} }}"),
        ours: format!("{TIMES}, ip: 4, http: {{ url: \"http://target\" }}"),
        succeeds: f64::from(u8::from(succeeds)),
    }
}

impl Case {
    fn http(self, theirs: &str, ours: &str) -> Self {
        Self {
            theirs: format!("{{ prober: http, {TIMES}, http: {{ preferred_ip_protocol: ip4, {theirs} }} }}"),
            ours: format!("{TIMES}, ip: 4, http: {{ url: \"http://target\", {ours} }}"),
            ..self
        }
    }

    fn tls(self, theirs: &str, ours: &str) -> Self {
        let ours = format!("url: \"https://target\", tls: {{ {ours} }}");
        Self {
            ours: format!("{TIMES}, ip: 4, http: {{ {ours} }}"),
            ..self.http(&format!("tls_config: {{ {theirs} }}"), "")
        }
        .with_ours(&ours)
    }

    fn with_ours(self, http: &str) -> Self {
        Self { ours: format!("{TIMES}, ip: 4, http: {{ {http} }}"), ..self }
    }

    fn of(self, prober: &str, theirs: &str, ours: &str) -> Self {
        Self {
            theirs: format!("{{ prober: {prober}, {TIMES}, {prober}: {{ {theirs} }} }}"),
            ours: format!("{TIMES}, ip: 4, {ours}"),
            ..self
        }
    }
}

pub(super) fn all(servers: &Servers) -> Vec<Case> {
    let Servers { http, http_v6, tls, expired, refused, black_hole, .. } = servers;
    let mut all = vec![
        case("plain", "an answer over HTTP", format!("http://{http}/"), true),
        case("chunked", "an answer without a length", format!("http://{http}/chunked"), true),
        case("missing", "status 404", format!("http://{http}/missing"), false),
        case("broken", "status 500", format!("http://{http}/broken"), false),
        case("by_name", "a name instead of an address", format!("http://localhost:{}/", http.port()), true),
        case("redirects", "three redirects that are followed", format!("http://{http}/hop/3"), true)
            .http("follow_redirects: true", "redirects: 10"),
        case("not_followed", "a redirect that is not followed", format!("http://{http}/hop/1"), false)
            .http("follow_redirects: false", "redirects: 0"),
        case("loop", "more redirects than are followed", format!("http://{http}/loop"), false)
            .http("follow_redirects: true", "redirects: 10"),
        case("slow_header", "an answer that never begins", format!("http://{http}/slow-header"), false),
        case("slow_body", "an answer that never ends", format!("http://{http}/slow-body"), false),
        case("huge_body", "a body beyond the limit", format!("http://{http}/huge"), false)
            .http("body_size_limit: 64KB", "body_limit: 64KiB"),
        case("gzip_bomb", "a compressed body", format!("http://{http}/bomb"), true),
        case("reset", "a connection that ends before the answer", format!("http://{http}/reset"), false),
        case("refused", "a port nobody listens on", format!("http://{refused}/"), false),
        case("black_hole", "packets that are dropped", format!("http://{black_hole}/"), false),
        case("no_name", "a name that does not exist", "http://no-such-host.invalid/", false),
        case("body_regex", "a body that does not match", format!("http://{http}/"), false).http(
            "fail_if_body_not_matches_regexp: [\"down\"]",
            "expect: { assert: 'body matches \"down\"' }",
        ),
    ];
    let ipv6 = case("ipv6", "IPv6 alone", format!("http://{http_v6}/"), true);
    all.push(Case {
        theirs: format!(
            "{{ prober: http, {TIMES}, http: {{ preferred_ip_protocol: ip6, ip_protocol_fallback: false }} }}"
        ),
        ours: format!("{TIMES}, ip: 6, http: {{ url: \"http://target\" }}"),
        ..ipv6
    });
    let (good, old) =
        (format!("https://localhost:{}/", tls.port()), format!("https://localhost:{}/", expired.port()));
    all.extend([
        case("tls", "an answer over TLS", &good, true).tls("ca_file: ca.pem", "ca_file: ca.pem"),
        case("insecure", "a certificate that is not verified", &good, true)
            .tls("insecure_skip_verify: true", "insecure: true"),
        case("self_signed", "a certificate that nobody trusts", &good, false).tls("", ""),
        case("expired", "a certificate that has expired", old, false)
            .tls("ca_file: expired.pem", "ca_file: expired.pem"),
        case("wrong_name", "a certificate for another name", &good, false).tls(
            "ca_file: ca.pem, server_name: other.example.org",
            "ca_file: ca.pem, server_name: other.example.org",
        ),
    ]);
    all.extend(other_protocols(servers));
    all
}

fn other_protocols(servers: &Servers) -> Vec<Case> {
    let Servers { tls, refused, banner, dns, grpc, .. } = servers;
    let ip4 = "preferred_ip_protocol: ip4";
    let dialogue = |text: &str| {
        (
            format!("{ip4}, query_response: [{{ expect: \"{text}\" }}]"),
            format!("tcp: {{ address: \"target:1\", dialogue: [{{ expect: \"{text}\" }}] }}"),
        )
    };
    let (greets, greets_here) = dialogue("^220 ");
    let (other, other_here) = dialogue("^SSH-");
    let query = |name: &str| {
        (
            format!("{ip4}, query_name: {name}, query_type: A"),
            format!("dns: {{ server: 127.0.0.1, query: {name}, type: A }}"),
        )
    };
    let (known, known_here) = query("example.test");
    let (unknown, unknown_here) = query("nobody.test");
    let health = |service: &str| {
        (
            format!("{ip4}, ip_protocol_fallback: true, service: {service}"),
            format!("grpc: {{ address: \"target:1\", service: {service} }}"),
        )
    };
    let (up, up_here) = health("up");
    let (down, down_here) = health("down");
    let (unheard, unheard_here) = health("unheard");
    let secure = format!("{ip4}, tls: true, tls_config: {{ ca_file: ca.pem, server_name: localhost }}");
    vec![
        case("tcp", "a connection", banner.to_string(), true).of(
            "tcp",
            ip4,
            "tcp: { address: \"target:1\" }",
        ),
        case("tcp_refused", "a port nobody listens on", refused.to_string(), false).of(
            "tcp",
            ip4,
            "tcp: { address: \"target:1\" }",
        ),
        case("tcp_expect", "a greeting that is awaited", banner.to_string(), true).of(
            "tcp",
            &greets,
            &greets_here,
        ),
        case("tcp_unexpected", "another greeting", banner.to_string(), false).of("tcp", &other, &other_here),
        case("tcp_tls", "a handshake", tls.to_string(), true).of(
            "tcp",
            &secure,
            "tls: { address: \"target:1\", ca_file: ca.pem, server_name: localhost }",
        ),
        case("dns", "a name that has an address", dns.to_string(), true).of("dns", &known, &known_here),
        case("dns_unknown", "a name that does not exist", dns.to_string(), false).of(
            "dns",
            &unknown,
            &unknown_here,
        ),
        case("dns_refused", "a server that is not there", refused.to_string(), false).of(
            "dns",
            &known,
            &known_here,
        ),
        case("icmp", "an echo", "127.0.0.1", true).of("icmp", ip4, "icmp: { host: target }"),
        case("grpc", "a service that is up", grpc.to_string(), true).of("grpc", &up, &up_here),
        case("grpc_down", "a service that is down", grpc.to_string(), false).of("grpc", &down, &down_here),
        case("grpc_unknown", "a service that nobody knows", grpc.to_string(), false).of(
            "grpc",
            &unheard,
            &unheard_here,
        ),
        case("grpc_refused", "a port nobody listens on", refused.to_string(), false)
            .of("grpc", &up, &up_here),
    ]
}
