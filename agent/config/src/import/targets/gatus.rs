//! Gatus: its endpoints, each with its conditions.

mod alerts;

use url::Url;

use alerts::DefaultAlerts;

use super::client::{oauth2, proxy};
use super::conditions::{Condition, Kind, convert};
use super::parts::{Pairs, Parts};
use super::written::{TargetOutput, expect_of, name_of};
use crate::foreign::{Document, map};
use crate::import::Source;
use crate::reader::{At, Reader};
use crate::yaml::Value;

/// Values of Gatus unless an endpoint sets others.
const INTERVAL: &str = "60s";
const TIMEOUT: &str = "10s";

/// Redirects that are followed; Gatus has no limit.
const REDIRECTS: f64 = 10.0;

/// Converts the endpoints of all files.
pub(super) fn read(readers: &mut [Reader<'_>], sources: &[Source]) -> Vec<TargetOutput> {
    let mut written = Vec::new();
    for (reader, source) in readers.iter_mut().zip(sources) {
        for node in &source.documents {
            let Some(mut file) = Parts::open(reader, &At::root(node)) else { continue };
            let defaults = DefaultAlerts::of(node);
            for at in file.items(reader, "endpoints") {
                written.extend(read_endpoint(reader, &at, &defaults));
            }
            file.list_rest(reader);
        }
    }
    written
}

fn read_endpoint(reader: &mut Reader<'_>, at: &At<'_>, defaults: &DefaultAlerts<'_>) -> Option<TargetOutput> {
    let mut endpoint = Parts::open(reader, at)?;
    if endpoint.switch("enabled") == Some(false) {
        reader.lost(at, "an endpoint that is switched off", "write it when it is needed");
        return None;
    }
    let name = endpoint.text("name").unwrap_or_default();
    let group = endpoint.text("group");
    let name = name_of(&group.map_or_else(|| name.clone(), |group| format!("{group}-{name}")));
    let mut target = Pairs::default();
    target.text("name", Some(name.clone()));
    target.text("interval", Some(endpoint.text("interval").unwrap_or_else(|| INTERVAL.to_owned())));
    let client = endpoint.take("client").and_then(|at| Parts::open(reader, &at));
    let client = read_client(reader, client);
    target.text("timeout", Some(client.timeout.clone().unwrap_or_else(|| TIMEOUT.to_owned())));
    target.text("resolver", client.resolver.clone());
    target.put("down", alerts::read(reader, &mut endpoint, defaults));
    let checked = read_check(reader, &mut endpoint, &client);
    let same = endpoint.lacks(reader, &["ssh", "graphql", "store", "always-run"]);
    endpoint.list_rest(reader);
    let (protocol, options) = checked?;
    target.put(protocol, options);
    (same && client.converted).then(|| TargetOutput {
        file: reader.file.to_owned(),
        place: at.node.place.clone(),
        name,
        document: target.into_document(),
    })
}

/// Options of the client.
struct Client {
    timeout: Option<String>,
    resolver: Option<String>,
    insecure: bool,
    follows: bool,
    identity: Option<(String, String)>,
    /// Tokens and the proxy, for HTTP.
    way: Document,
    converted: bool,
}

fn read_client(reader: &mut Reader<'_>, parts: Option<Parts<'_>>) -> Client {
    let mut client = Client {
        timeout: None,
        resolver: None,
        insecure: false,
        follows: true,
        identity: None,
        way: map([]),
        converted: true,
    };
    let Some(mut parts) = parts else { return client };
    client.timeout = parts.text("timeout");
    client.insecure = parts.switch("insecure").unwrap_or(false);
    client.follows = !parts.switch("ignore-redirect").unwrap_or(false);
    if let Some(text) = parts.text("dns-resolver") {
        client.resolver = text.split_once("://").map(|(_, address)| address.to_owned()).or(Some(text));
    }
    if let Some(mut tls) = parts.take("tls").and_then(|at| Parts::open(reader, &at)) {
        client.identity = tls.text("certificate-file").zip(tls.text("private-key-file"));
        tls.list_rest(reader);
    }
    let mut way = Pairs::default();
    let carried = [
        oauth2(reader, &mut parts, "-", &mut way, |_, _| None),
        proxy(reader, &mut parts, "-", &mut way),
        parts.lacks(reader, &["identity-aware-proxy", "tunnel", "network"]),
    ];
    client.way = way.into_document();
    client.converted = carried == [true; 3];
    parts.list_rest(reader);
    client
}

fn read_check(
    reader: &mut Reader<'_>,
    endpoint: &mut Parts<'_>,
    client: &Client,
) -> Option<(&'static str, Document)> {
    let url_at = endpoint.take("url");
    let text = endpoint_url(reader, endpoint, url_at.as_ref())?;
    let url_at = url_at?;
    if let Some(mut dns) = endpoint.take("dns").and_then(|at| Parts::open(reader, &at)) {
        let mut all = Pairs::default();
        let server = text.split_once("://").map_or(text.as_str(), |(_, address)| address);
        all.text("server", Some(server.to_owned()));
        all.text("query", dns.text("query-name").map(|name| name.trim_end_matches('.').to_owned()));
        all.text("type", dns.text("query-type"));
        dns.list_rest(reader);
        let assertions = read_conditions(reader, endpoint, Kind::Dns)?;
        all.put("expect", expect_of(None, assertions));
        return Some(("dns", all.into_document()));
    }
    let Ok(url) = Url::parse(&text) else {
        reader.error(&url_at, "not converted: this is not a URL", "");
        return None;
    };
    let bare = text.split_once("://").map_or("", |(_, rest)| rest).to_owned();
    let (protocol, key, address) = match url.scheme() {
        "http" | "https" => return http(reader, endpoint, client, &text),
        "tcp" => ("tcp", "address", bare),
        "tls" => ("tls", "address", bare),
        "icmp" => ("icmp", "host", bare),
        "grpc" | "grpcs" => ("grpc", "address", bare),
        "ws" | "wss" => ("websocket", "url", text.clone()),
        other => {
            reader.error(
                &url_at,
                format!("not converted: the protocol `{other}`"),
                "write this target by hand",
            );
            return None;
        }
    };
    let assertions = read_conditions(reader, endpoint, Kind::Other)?;
    let mut all = Pairs::default();
    all.text(key, Some(address));
    if protocol == "websocket" {
        all.text("send", endpoint.text("body"));
    }
    let secure = matches!(url.scheme(), "grpcs" | "wss");
    all.put("tls", secure.then(|| map([("insecure", Document::Switch(client.insecure))])));
    if protocol == "tls" {
        all.put("insecure", client.insecure.then_some(Document::Switch(true)));
    }
    all.put("expect", expect_of(None, assertions));
    Some((protocol, all.into_document()))
}

fn endpoint_url(reader: &mut Reader<'_>, endpoint: &Parts<'_>, at: Option<&At<'_>>) -> Option<String> {
    let text = at.and_then(|at| crate::foreign::scalar_text(at.node));
    if text.is_none() {
        reader.error(endpoint.at(), "not converted: an endpoint without a URL", "");
    }
    text
}

fn http(
    reader: &mut Reader<'_>,
    endpoint: &mut Parts<'_>,
    client: &Client,
    url: &str,
) -> Option<(&'static str, Document)> {
    let mut all = Pairs::default();
    all.text("url", Some(url.to_owned()));
    all.text("method", endpoint.text("method"));
    all.put("headers", endpoint.take("headers").map(|at| headers(reader, &at)));
    all.text("body", endpoint.text("body"));
    let redirects = map([("limit", Document::Number(REDIRECTS)), ("origin", Document::text("any"))]);
    all.put("redirects", client.follows.then_some(redirects));
    let mut tls = Pairs::default();
    tls.put("insecure", client.insecure.then_some(Document::Switch(true)));
    if let Some((certificate, key)) = &client.identity {
        tls.text("cert_file", Some(certificate.clone()));
        tls.text("key_file", Some(key.clone()));
    }
    if url.to_ascii_lowercase().starts_with("https") && !tls.is_empty() {
        all.put("tls", tls.into_document());
    }
    if let Document::Map(entries) = &client.way {
        entries.iter().for_each(|(key, value)| all.put(key, value.clone()));
    }
    let assertions = read_conditions(reader, endpoint, Kind::Http)?;
    let of_status = ["status ", "(status ", "not (status "];
    let speaks_of_status =
        assertions.iter().any(|text| of_status.iter().any(|start| text.starts_with(start)));
    // without a condition on it, every status is good there
    let any = (!speaks_of_status).then(|| Document::text("100-599"));
    all.put("expect", expect_of(any, assertions));
    Some(("http", all.into_document()))
}

/// Headers, of which those that hold credentials become variables.
fn headers(reader: &mut Reader<'_>, at: &At<'_>) -> Document {
    let Value::Map(entries) = &at.node.value else { return Document::of(at.node) };
    let pairs = entries.iter().map(|(key, node)| {
        let value = match key.name.to_ascii_lowercase().as_str() {
            "authorization" | "cookie" | "x-api-key" | "proxy-authorization" => {
                reader.secrets.push(node.place.span.clone());
                let variable = format!("PROBE_{}", key.name.to_ascii_uppercase().replace('-', "_"));
                let at = At { node, key: format!("{}.{}", at.key, key.name) };
                reader.changed(
                    &at,
                    "a secret that is written out",
                    format!("it is read from the variable {variable} now"),
                );
                Document::text(format!("${{{variable}}}"))
            }
            _ => Document::text(crate::foreign::scalar_text(node).unwrap_or_default()),
        };
        (key.name.clone(), value)
    });
    Document::Map(pairs.collect())
}

/// Converts the conditions of an endpoint; none where one of them has no counterpart.
fn read_conditions(reader: &mut Reader<'_>, endpoint: &mut Parts<'_>, kind: Kind) -> Option<Vec<String>> {
    let mut assertions = Some(Vec::new());
    for at in endpoint.items(reader, "conditions") {
        let text = crate::foreign::scalar_text(at.node).unwrap_or_default();
        match convert(&text, kind) {
            Some(Condition::Implied) => {}
            Some(Condition::Assertion(assertion)) => {
                if let Some(all) = &mut assertions {
                    all.push(assertion);
                }
            }
            None => {
                let help = "the endpoint would be good without it; write this target by hand";
                reader.error(&at, "not converted: this condition has no counterpart", help);
                assertions = None;
            }
        }
    }
    assertions
}
