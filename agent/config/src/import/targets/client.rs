//! Tokens and proxies of other tools.

use url::Url;

use super::parts::{Pairs, Parts};
use crate::foreign::{Document, map, scalar_text};
use crate::reader::{At, Reader};
use crate::yaml::Value;

/// Returns a variable in the place of a secret that is written out.
pub(super) fn variable(reader: &mut Reader<'_>, at: &At<'_>, name: &str) -> Document {
    reader.secrets.push(at.node.place.span.clone());
    reader.changed(at, "a secret that is written out", format!("it is read from the variable {name} now"));
    Document::text(format!("${{{name}}}"))
}

/// Carries the grant of a token over. `dash` joins the words of its keys there. Returns whether it could be.
pub(super) fn oauth2(
    reader: &mut Reader<'_>,
    options: &mut Parts<'_>,
    dash: &str,
    all: &mut Pairs,
    tls: impl Fn(&mut Reader<'_>, &mut Parts<'_>) -> Option<Document>,
) -> bool {
    let Some(at) = options.take("oauth2") else { return true };
    let Some(mut grant) = Parts::open(reader, &at) else { return false };
    let key = |words: &str| words.replace('_', dash);
    let (url, id) = (grant.text(&key("token_url")), grant.text(&key("client_id")));
    let secret_file = grant.text(&key("client_secret_file"));
    let secret = grant.take(&key("client_secret"));
    if url.is_none() || id.is_none() || secret.is_none() == secret_file.is_none() {
        let help = "it needs a token URL, a client and one secret; write this target by hand";
        reader.error(&at, "not converted: an incomplete `oauth2`", help);
        return false;
    }
    let mut pairs = Pairs::default();
    pairs.text("token_url", url);
    pairs.text("client_id", id);
    pairs.text("client_secret_file", secret_file);
    pairs.put("client_secret", secret.map(|at| variable(reader, &at, "PROBE_CLIENT_SECRET")));
    let scopes: Vec<Document> = grant.texts("scopes").into_iter().map(Document::text).collect();
    pairs.put("scopes", (!scopes.is_empty()).then_some(Document::List(scopes)));
    pairs.put("endpoint_params", grant.take(&key("endpoint_params")).map(|at| Document::of(at.node)));
    pairs.put("tls", tls(reader, &mut grant));
    let help =
        "both places are tried there; write `auth_method: post` where the token endpoint wants the form";
    reader.changed(&at, "the place of the client's secret is the header `Authorization`", help);
    let same = grant.lacks(reader, &["proxy_url", "proxy_from_environment"]);
    grant.list_rest(reader);
    all.put("oauth2", pairs.into_document());
    same
}

/// Carries a proxy over. Returns whether it could be.
pub(super) fn proxy(reader: &mut Reader<'_>, options: &mut Parts<'_>, dash: &str, all: &mut Pairs) -> bool {
    let at = options.take(&"proxy_url".replace('_', dash));
    let exceptions = options.text("no_proxy");
    let headers = options.take("proxy_connect_header");
    // the name of the target is never resolved on the way through a proxy
    options.take("skip_resolve_phase_with_proxy");
    let same = options.lacks(reader, &["proxy_from_environment"]);
    let Some(at) = at else { return same };
    let Some(mut url) = scalar_text(at.node).and_then(|text| Url::parse(&text).ok()) else {
        reader.error(&at, "not converted: this is not the URL of a proxy", "write this target by hand");
        return false;
    };
    if !matches!(url.scheme(), "http" | "https") {
        let message = format!("not converted: a proxy of the scheme `{}`", url.scheme());
        reader.error(&at, message, "lookout knows proxies of `http` and `https`");
        return false;
    }
    if !url.username().is_empty() {
        let user = Document::text(url.username());
        let password = variable(reader, &at, "PROBE_PROXY_PASSWORD");
        all.put("proxy_basic_auth", map([("username", user), ("password", password)]));
        let _ = url.set_username("");
        let _ = url.set_password(None);
    }
    all.text("proxy_url", Some(url.as_str().trim_end_matches('/').to_owned()));
    all.text("no_proxy", exceptions);
    let Some(at) = headers else { return same };
    let converted = connect_headers(reader, &at);
    all.put("proxy_connect_header", converted.clone());
    same && converted.is_some()
}

/// Headers of `CONNECT`, all of which are secret there; none where one has several values.
fn connect_headers(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Document> {
    let fields = reader.open_fields(at, "")?;
    let mut headers = Pairs::default();
    for (key, value) in fields.all() {
        let values = match &value.node.value {
            Value::List(values) => values.as_slice(),
            _ => std::slice::from_ref(value.node),
        };
        let [node] = values else {
            reader.secrets.push(value.node.place.span.clone());
            let message = format!("not converted: several values of the header `{}`", key.name);
            reader.error(&value, message, "write this target by hand");
            return None;
        };
        let name = format!("PROBE_PROXY_{}", key.name.to_ascii_uppercase().replace('-', "_"));
        let at = At { node, key: value.key.clone() };
        headers.put(&key.name, variable(reader, &at, &name));
    }
    Some(headers.into_document())
}
