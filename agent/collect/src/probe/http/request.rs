//! Requests of a target.

use std::borrow::Cow;

use base64::Engine as _;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};
use http_body_util::Full;
use hyper::body::Bytes;
use url::{Position, Url};

use super::super::Reason;
use super::super::attempt::Failure;
use super::super::traced::{TRACEPARENT, Traced};
use lookout_config::{Credentials, HttpCheck, Proxy, Secret, TlsOptions};

/// A request with its whole body.
pub(super) type Request = http::Request<Full<Bytes>>;

pub(in super::super) const USER_AGENT: &str = concat!("lookout/", env!("CARGO_PKG_VERSION"));

/// One hop on the way to the answer.
pub(super) struct Hop<'a> {
    pub(super) check: &'a HttpCheck,
    pub(super) url: Cow<'a, Url>,
    /// A redirect of 303, and of 301 and 302 after a POST, is followed by a GET without a body.
    pub(super) as_get: bool,
    /// A token for the origin of the check.
    pub(super) token: Option<&'a Secret>,
}

impl Hop<'_> {
    /// Returns whether it leads to the origin that credentials and headers are meant for.
    fn is_at_origin(&self) -> bool {
        is_same_origin(&self.url, &self.check.url)
    }

    /// Returns whether a URL is of the target: its origin, or the same host over TLS, which is the usual way in.
    pub(super) fn is_of_target(&self, url: &Url) -> bool {
        let own = &self.check.url;
        let is_upgrade = own.scheme() == "http" && url.scheme() == "https" && url.host() == own.host();
        is_same_origin(url, own) || is_upgrade
    }

    /// Trust and identity at this hop. A stranger is verified by its own name, and is shown no certificate.
    pub(super) fn tls(&self) -> Cow<'_, TlsOptions> {
        let options = &self.check.tls;
        let is_own = options.server_name.is_none() && options.identity.is_none();
        if is_own || self.is_of_target(&self.url) {
            return Cow::Borrowed(options);
        }
        Cow::Owned(TlsOptions { server_name: None, identity: None, ..options.clone() })
    }

    /// The request of this hop. A header of the target replaces a default one, except `traceparent`: the outcome names the
    /// trace that was sent.
    ///
    /// A proxy that opens no tunnel is told the whole URL, and its credentials.
    pub(super) fn request(&self, traced: &Traced, form: &Form<'_>) -> Result<Request, Failure> {
        let refused = |what: &str| Failure::new(Reason::Write, format!("{what} cannot be sent in a request"));
        let body = self.check.body.as_ref().filter(|_| !self.as_get);
        let mut request = Request::new(Full::new(
            body.map(|body| Bytes::copy_from_slice(body.as_bytes())).unwrap_or_default(),
        ));
        let method = if self.as_get { "GET" } else { self.check.method.as_str() };
        *request.method_mut() = Method::from_bytes(method.as_bytes()).map_err(|_| refused("the method"))?;
        *request.uri_mut() = self.uri(form).ok_or_else(|| refused("the path"))?;
        *request.headers_mut() = self.headers(traced, form).ok_or_else(|| refused("a header"))?;
        Ok(request)
    }

    fn uri(&self, form: &Form<'_>) -> Option<Uri> {
        let path = &self.url[Position::BeforePath..Position::AfterQuery];
        if form.two {
            return format!("{}://{}{path}", self.url.scheme(), self.authority()?).parse().ok();
        }
        if form.forwarder.is_some() {
            return format!("{}://{}{path}", self.url.scheme(), host(&self.url)?).parse().ok();
        }
        path.parse().ok()
    }

    /// Host and port of a request over HTTP/2; a header `Host` of the target replaces them at its origin.
    fn authority(&self) -> Option<String> {
        let headers = self.check.headers.iter().filter(|_| self.is_at_origin());
        let mut own =
            headers.filter(|(name, _)| name.eq_ignore_ascii_case("host")).map(|(_, value)| value.reveal());
        own.next_back().map(str::to_owned).or_else(|| host(&self.url))
    }

    fn headers(&self, traced: &Traced, form: &Form<'_>) -> Option<HeaderMap> {
        let mut headers = HeaderMap::new();
        if !form.two {
            headers.insert(header::HOST, HeaderValue::try_from(host(&self.url)?).ok()?);
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        if self.is_at_origin() {
            let token = self.token.map(|token| Credentials::Bearer(token.clone()));
            if let Some(value) = authorization(token.as_ref().unwrap_or(&self.check.authorization)) {
                headers.insert(header::AUTHORIZATION, value?);
            }
            let own = own_headers(&self.check.headers)?;
            for name in own.keys() {
                headers.remove(name);
            }
            headers.extend(own);
        }
        if let Some(value) = form.forwarder.and_then(|proxy| authorization(&proxy.credentials)) {
            headers.insert(header::PROXY_AUTHORIZATION, value?);
        }
        if form.two {
            // its place is the authority of the request
            headers.remove(header::HOST);
        }
        headers.insert(TRACEPARENT, HeaderValue::try_from(traced.header()).ok()?);
        Some(headers)
    }
}

/// Form of a request on a connection.
pub(super) struct Form<'a> {
    /// HTTP/2 instead of HTTP/1.1.
    pub(super) two: bool,
    /// The proxy that forwards the request, where no tunnel leads to the target.
    pub(super) forwarder: Option<&'a Proxy>,
}

/// Returns whether two URLs of HTTP have one origin: scheme, host and port.
fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// Host and port as a request names them.
fn host(url: &Url) -> Option<String> {
    url.host().map(|_| url[Position::BeforeHost..Position::AfterPort].to_owned())
}

/// Headers of a target; none when one of them cannot be sent.
pub(in super::super) fn own_headers(written: &[(String, Secret)]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let mut value = HeaderValue::from_str(value.reveal()).ok()?;
        value.set_sensitive(true);
        headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, value);
    }
    Some(headers)
}

/// The value of `Authorization` or `Proxy-Authorization`; inside, none when it cannot be sent.
pub(super) fn authorization(authorization: &Credentials) -> Option<Option<HeaderValue>> {
    let text = match authorization {
        Credentials::None => return None,
        Credentials::Bearer(token) => format!("Bearer {}", token.reveal()),
        Credentials::Basic { username, password } => {
            let pair = format!("{username}:{}", password.reveal());
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        }
    };
    let mut value = HeaderValue::from_str(&text).ok();
    value.iter_mut().for_each(|value| value.set_sensitive(true));
    Some(value)
}
