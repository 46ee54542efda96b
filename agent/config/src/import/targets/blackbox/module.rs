//! A module of blackbox_exporter.

use std::time::Duration;

use super::super::client::{oauth2, proxy, variable};
use super::super::parts::{Pairs, Parts};
use super::super::written::{expect_of, quoted};
use super::pace::Pace;
use crate::foreign::{Document, map, scalar_text};
use crate::reader::{At, Reader};
use crate::target::{BODY_LIMIT_LIMIT, KEPT_BODY_LIMIT};
use crate::yaml::Value;
use lookout_model::{parse_duration, print_duration};

/// Time that blackbox_exporter leaves for its answer to a scrape.
const ANSWERING: Duration = Duration::from_millis(500);

/// Redirects that blackbox_exporter follows.
const REDIRECTS: f64 = 10.0;

/// A module, without the address of a target.
pub(super) struct Module {
    pub(super) protocol: &'static str,
    pub(super) timeout: Option<String>,
    pub(super) ip: Option<u8>,
    /// Key of the address.
    address: &'static str,
    options: Document,
    /// Options that hold where the target is reached over TLS.
    tls: Option<Document>,
}

impl Module {
    /// Returns the placeholder for an address that is found later. One over HTTP may have no scheme.
    pub(super) fn any_address(&self) -> &'static str {
        if self.protocol == "http" { "{{url}}" } else { "{{address}}" }
    }

    /// Returns a target of the module.
    pub(super) fn target(&self, name: &str, address: &str, pace: &Pace) -> Pairs {
        let mut target = Pairs::default();
        target.text("name", Some(name.to_owned()));
        target.text("interval", Some(pace.interval.clone()));
        target.text("timeout", self.timeout_within(pace));
        target.put("ip", self.ip.map(|version| Document::Number(version.into())));
        target.put(self.protocol, self.aimed_at(address));
        target
    }

    /// Returns the deadline: that of the module, and at most that of the scrape, less the time that its answer may take.
    fn timeout_within(&self, pace: &Pace) -> Option<String> {
        let own = self.timeout.as_deref().and_then(|text| parse_duration(text).ok());
        let [scrape, interval] = [&pace.timeout, &pace.interval].map(|text| parse_duration(text).ok());
        let most = scrape?.min(interval?).saturating_sub(ANSWERING);
        if most.is_zero() {
            return self.timeout.clone();
        }
        match own {
            Some(own) if own <= most => self.timeout.clone(),
            _ => Some(print_duration(most)),
        }
    }

    /// Returns the options of the protocol with the address of a target.
    fn aimed_at(&self, address: &str) -> Document {
        let mut all = Pairs::default();
        let is_http = self.protocol == "http";
        let is_whole = address.contains("://") || address == self.any_address();
        let address = if is_http && !is_whole { format!("http://{address}") } else { address.to_owned() };
        // over plain HTTP the exporter uses them after a redirect, and never without one
        let follows =
            matches!(&self.options, Document::Map(all) if all.iter().any(|(key, _)| key == "redirects"));
        let secure = !is_http || follows || !address.to_ascii_lowercase().starts_with("http://");
        all.text(self.address, Some(address));
        if let Document::Map(entries) = &self.options {
            entries.iter().for_each(|(key, value)| all.put(key, value.clone()));
        }
        all.put("tls", self.tls.clone().filter(|_| secure));
        all.into_document()
    }
}

/// Reads a module; none where it cannot be converted.
pub(super) fn read_module(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Module> {
    let mut module = Parts::open(reader, at)?;
    let prober = module.text("prober").unwrap_or_default();
    let timeout = module.text("timeout");
    let block = module.take(&prober);
    // blocks of other probers are not looked at there either
    for other in ["http", "tcp", "dns", "icmp", "grpc", "unix", "websocket"] {
        module.take(other);
    }
    let empty =
        crate::yaml::Node { value: Value::Map(Vec::new()), place: at.node.place.clone(), written: None };
    let block = block.unwrap_or_else(|| At { node: &empty, key: at.key.clone() });
    let mut options = Parts::open(reader, &block)?;
    let ip = read_ip(reader, &mut options);
    let read = match prober.as_str() {
        "http" => http(reader, &mut options),
        "tcp" => tcp(reader, &mut options),
        "dns" => dns(reader, &mut options),
        "icmp" => Some(icmp(&mut options)),
        "grpc" => grpc(reader, &mut options),
        other => {
            let known = "known are `http`, `tcp`, `dns`, `icmp` and `grpc`";
            reader.error(at, format!("not converted: the prober `{other}`"), known);
            None
        }
    };
    options.list_rest(reader);
    module.list_rest(reader);
    let (protocol, address, options, tls) = read?;
    Some(Module { protocol, timeout, ip, address, options, tls })
}

/// Protocol, key of the address, options and those of TLS.
type Read = (&'static str, &'static str, Document, Option<Document>);

fn read_ip(reader: &mut Reader<'_>, options: &mut Parts<'_>) -> Option<u8> {
    let fallback = options.switch("ip_protocol_fallback").unwrap_or(true);
    let at = options.take("preferred_ip_protocol")?;
    let version = match scalar_text(at.node)?.as_str() {
        "ip4" => 4,
        _ => 6,
    };
    if fallback {
        let help = "the resolver's order decides; write `ip: 4` or `ip: 6` for one family alone";
        reader.changed(&at, "a preferred family of addresses", help);
        return None;
    }
    Some(version)
}

fn http(reader: &mut Reader<'_>, options: &mut Parts<'_>) -> Option<Read> {
    let mut all = Pairs::default();
    all.text("method", options.text("method"));
    all.put("headers", options.take("headers").map(|at| Document::of(at.node)));
    all.text("body", options.text("body"));
    let version = if options.switch("enable_http2").unwrap_or(true) { "auto" } else { "1.1" };
    all.text("version", Some(version.to_owned()));
    let follows = options.switch("follow_redirects").unwrap_or(true);
    let follows = follows && !options.switch("no_follow_redirects").unwrap_or(false);
    let redirects = map([("limit", Document::Number(REDIRECTS)), ("origin", Document::text("any"))]);
    all.put("redirects", follows.then_some(redirects));
    let limit = body_limit(reader, options);
    let carried = [
        credentials(reader, options, &mut all),
        oauth2(reader, options, "_", &mut all, tls),
        proxy(reader, options, "_", &mut all),
    ];
    let mut assertions = Vec::new();
    for text in options.texts("fail_if_body_matches_regexp") {
        assertions.push(format!("not (body matches {})", quoted(&text)));
    }
    for text in options.texts("fail_if_body_not_matches_regexp") {
        assertions.push(format!("body matches {}", quoted(&text)));
    }
    for (key, not) in [("fail_if_header_matches", "not "), ("fail_if_header_not_matches", "")] {
        for at in options.items(reader, key) {
            assertions.extend(header(reader, &at, not));
        }
    }
    if options.switch("fail_if_not_ssl").unwrap_or(false) {
        assertions.push("tls.version != missing".to_owned());
    }
    if options.switch("fail_if_ssl").unwrap_or(false) {
        assertions.push("tls.version == missing".to_owned());
    }
    let versions = options.texts("valid_http_versions");
    let versions: Vec<String> = versions
        .iter()
        .map(|version| {
            format!("protocol == {}", quoted(if version == "HTTP/2.0" { "HTTP/2" } else { version }))
        })
        .collect();
    assertions.extend(Some(versions.join(" or ")).filter(|text| !text.is_empty()));
    let most = if assertions.iter().any(|text| text.contains("body matches")) {
        KEPT_BODY_LIMIT
    } else {
        BODY_LIMIT_LIMIT
    };
    all.put("body_limit", Document::Number(limit.unwrap_or(most).min(most) as f64));
    let statuses = options.texts("valid_status_codes");
    let statuses: Vec<Document> = statuses.into_iter().map(Document::text).collect();
    let statuses = (!statuses.is_empty()).then_some(Document::List(statuses));
    all.put("expect", expect_of(statuses, assertions));
    let tls = tls(reader, options);
    let same = options.lacks(
        reader,
        &[
            "fail_if_body_json_matches_cel",
            "fail_if_body_json_not_matches_cel",
            "body_file",
            "enable_http3",
            "http_headers",
            "compression",
        ],
    );
    (same && carried == [true; 3]).then(|| ("http", "url", all.into_document(), tls))
}

/// A limit of blackbox_exporter, whose `KB` has 1024 bytes. None is none there.
fn body_limit(reader: &mut Reader<'_>, options: &mut Parts<'_>) -> Option<usize> {
    let at = options.take("body_size_limit")?;
    let text = scalar_text(at.node)?;
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let power = match unit.trim() {
        "" | "B" => Some(0),
        "KB" | "KiB" => Some(10),
        "MB" | "MiB" => Some(20),
        "GB" | "GiB" => Some(30),
        "TB" | "TiB" => Some(40),
        _ => None,
    };
    let limit = power.zip(number.parse::<f64>().ok()).map(|(power, number)| number * f64::from(power).exp2());
    if limit.is_none() {
        reader.lost(&at, format!("`body_size_limit: {text}`"), "write `body_limit`, in bytes");
    }
    // a whole number of bytes, and more than any limit here where it is larger
    limit.filter(|limit| *limit >= 1.0).map(|limit| limit as usize)
}

fn header(reader: &mut Reader<'_>, at: &At<'_>, not: &str) -> Option<String> {
    let mut parts = Parts::open(reader, at)?;
    let (name, pattern) = (parts.text("header")?, parts.text("regexp")?);
    let name = format!("header({})", quoted(&name));
    let matches = format!("{not}({name} matches {})", quoted(&pattern));
    let allowed = parts.switch("allow_missing").unwrap_or(false);
    Some(if allowed { format!("{name} == missing or {matches}") } else { matches })
}

/// Carries credentials over. A secret that is written out becomes a variable. Returns whether all could be.
fn credentials(reader: &mut Reader<'_>, options: &mut Parts<'_>, all: &mut Pairs) -> bool {
    if let Some(mut basic) = options.take("basic_auth").and_then(|at| Parts::open(reader, &at)) {
        let mut pairs = Pairs::default();
        pairs.text("username", basic.text("username"));
        pairs.text("password_file", basic.text("password_file"));
        pairs.put("password", basic.take("password").map(|at| variable(reader, &at, "PROBE_PASSWORD")));
        basic.list_rest(reader);
        all.put("basic_auth", pairs.into_document());
    }
    all.text("bearer_token_file", options.text("bearer_token_file"));
    all.put("bearer_token", options.take("bearer_token").map(|at| variable(reader, &at, "PROBE_TOKEN")));
    let Some(at) = options.take("authorization") else { return true };
    let Some(mut parts) = Parts::open(reader, &at) else { return false };
    let kind = parts.text("type").unwrap_or_else(|| "Bearer".to_owned());
    if !kind.eq_ignore_ascii_case("bearer") {
        reader.error(
            &at,
            "not converted: an authorization that is not `Bearer`",
            "write this target by hand",
        );
        return false;
    }
    all.text("bearer_token_file", parts.text("credentials_file"));
    all.put("bearer_token", parts.take("credentials").map(|at| variable(reader, &at, "PROBE_TOKEN")));
    parts.list_rest(reader);
    true
}

fn tls(reader: &mut Reader<'_>, options: &mut Parts<'_>) -> Option<Document> {
    let mut parts = options.take("tls_config").and_then(|at| Parts::open(reader, &at))?;
    let mut all = Pairs::default();
    all.put("insecure", parts.switch("insecure_skip_verify").filter(|on| *on).map(Document::Switch));
    for key in ["ca_file", "cert_file", "key_file", "server_name"] {
        all.text(key, parts.text(key));
    }
    parts.list_rest(reader);
    (!all.is_empty()).then(|| all.into_document())
}

fn tcp(reader: &mut Reader<'_>, options: &mut Parts<'_>) -> Option<Read> {
    let mut steps = Vec::new();
    let mut same = options.lacks(reader, &["source_ip_address"]);
    for at in options.items(reader, "query_response") {
        let Some(mut step) = Parts::open(reader, &at) else { continue };
        same &= step.lacks(reader, &["starttls", "expect_bytes"]);
        if let Some(pattern) = step.text("expect") {
            // each line is looked at by itself there
            steps.push(map([("expect", Document::text(format!("(?m){pattern}")))]));
        }
        if let Some(at) = step.take("send") {
            let text = scalar_text(at.node).unwrap_or_default();
            if text.contains("${") {
                reader.error(
                    &at,
                    "not converted: a text with what was found before",
                    "write this target by hand",
                );
                same = false;
            }
            steps.push(map([("send", Document::text(format!("{text}\n")))]));
        }
        step.list_rest(reader);
    }
    let mut all = Pairs::default();
    all.put("dialogue", (!steps.is_empty()).then_some(Document::List(steps)));
    let secure = options.switch("tls").unwrap_or(false);
    let tls = tls(reader, options).or(Some(Document::Switch(true))).filter(|_| secure);
    same.then(|| ("tcp", "address", all.into_document(), tls))
}

fn dns(reader: &mut Reader<'_>, options: &mut Parts<'_>) -> Option<Read> {
    let mut all = Pairs::default();
    all.text("query", options.text("query_name"));
    let kind = options.take("query_type");
    if kind.is_none() {
        reader.error(options.at(), "not converted: a query of type `ANY`", "name a `query_type`");
    }
    all.text("type", kind.as_ref().and_then(|at| scalar_text(at.node)));
    let secure = options.switch("dns_over_tls").unwrap_or(false);
    let transport = options.text("transport_protocol");
    all.text("transport", if secure { Some("tls".to_owned()) } else { transport });
    all.put("recursion", options.switch("recursion_desired").map(Document::Switch));
    let codes = options.texts("valid_rcodes");
    let codes: Vec<String> = codes.iter().map(|code| format!("dns.code == {}", quoted(code))).collect();
    let codes = Some(codes.join(" or ")).filter(|text| !text.is_empty());
    all.put("expect", expect_of(None, codes.into_iter().collect()));
    let tls = tls(reader, options).filter(|_| secure);
    let same = options.lacks(
        reader,
        &["validate_answer_rrs", "validate_authority_rrs", "validate_additional_rrs", "source_ip_address"],
    );
    (same && kind.is_some()).then(|| ("dns", "server", all.into_document(), tls))
}

fn icmp(options: &mut Parts<'_>) -> Read {
    let mut all = Pairs::default();
    all.put("size", options.text("payload_size").and_then(|text| text.parse().ok()).map(Document::Number));
    ("icmp", "host", all.into_document(), None)
}

fn grpc(reader: &mut Reader<'_>, options: &mut Parts<'_>) -> Option<Read> {
    let mut all = Pairs::default();
    all.text("service", options.text("service"));
    let secure = options.switch("tls").unwrap_or(false);
    let tls = tls(reader, options).or(Some(Document::Switch(true))).filter(|_| secure);
    let same = options.lacks(reader, &["metadata"]);
    same.then(|| ("grpc", "address", all.into_document(), tls))
}
