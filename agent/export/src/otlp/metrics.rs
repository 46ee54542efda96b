//! Metrics to a collector: the text of `/metrics`, converted and sent.

use std::time::Duration;

use lookout_model::Timestamp;
use lookout_runtime::events::names;
use opentelemetry_sdk::Resource;
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::{Url, form_urlencoded};

use super::convert::{Span, request};
use super::{EXPORT_TIMEOUT, OtlpError, Signal, count, resource, without_credentials};

/// Variables of OpenTelemetry with headers for the collector. The second one is of metrics only and wins.
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_METRICS_HEADERS"];

/// Reason for which metrics did not reach the collector.
#[derive(Debug, thiserror::Error)]
pub enum MetricsExportError {
    /// The text of `/metrics` cannot be read.
    #[error("reading the agent's own metrics")]
    Text(#[from] lookout_collect::scrape::BadExposition),
    /// No answer.
    #[error("sending metrics to {endpoint}")]
    Send {
        /// The address of the collector, without credentials.
        endpoint: String,
        /// The fault.
        #[source]
        source: reqwest::Error,
    },
    /// The collector refuses them.
    #[error("{endpoint} answered metrics with {status}")]
    Status {
        /// The address of the collector, without credentials.
        endpoint: String,
        /// The status.
        status: u16,
    },
}

/// Sender of metrics.
#[derive(Debug, Clone)]
pub struct MetricsExport {
    client: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    resource: Resource,
    /// Start of the process: counters count from here on.
    started: Timestamp,
}

impl MetricsExport {
    /// Prepares the sender. Nothing is sent yet.
    ///
    /// # Errors
    /// Fails when the HTTP client cannot be built.
    pub fn new(endpoint: &Url, environment: Option<&str>, started: Timestamp) -> Result<Self, OtlpError> {
        let client = reqwest::Client::builder()
            .timeout(EXPORT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(OtlpError::Client)?;
        let mut headers = HeaderMap::new();
        for variable in HEADERS {
            headers.extend(headers_of(&std::env::var(variable).unwrap_or_default()));
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let resource = resource(environment);
        Ok(Self { client, url: Signal::Metrics.url(endpoint), headers, resource, started })
    }

    /// Sends the metrics of a text. A longer time than `within` is a failure.
    ///
    /// # Errors
    /// Fails when the text cannot be read or the collector does not take it.
    pub async fn send(&self, text: &str, now: Timestamp, within: Duration) -> Result<(), MetricsExportError> {
        let result = self.try_send(text, now, within).await;
        count(names::OTLP_METRICS, 1, result.is_ok());
        result
    }

    async fn try_send(&self, text: &str, now: Timestamp, within: Duration) -> Result<(), MetricsExportError> {
        let request = request(text, &self.resource, Span { started: self.started, now })?;
        let post = self.client.post(self.url.clone()).headers(self.headers.clone());
        let post = post.timeout(within.min(EXPORT_TIMEOUT)).body(request.encode_to_vec());
        let endpoint = || without_credentials(&self.url);
        let answer = post.send().await.map_err(|error| MetricsExportError::Send {
            endpoint: endpoint(),
            source: error.without_url(),
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err(MetricsExportError::Status { endpoint: endpoint(), status: status.as_u16() })
    }
}

/// Headers of a variable: `name=value,name=value`, with values as in a URL. What is no header is left out.
fn headers_of(variable: &str) -> HeaderMap {
    let pairs = variable.split(',').filter_map(|pair| pair.split_once('='));
    let headers = pairs.filter_map(|(name, value)| {
        // a form would read a plus as a space
        let value = value.trim().replace('+', "%2B").replace('&', "%26");
        let (value, _) = form_urlencoded::parse(value.as_bytes()).next()?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    });
    headers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_opentelemetry_writes_them() {
        let headers = headers_of("api-key=a+b%20c, x-tenant = one ,no header=1,broken");
        assert_eq!(headers.get("api-key").unwrap(), "a+b c");
        assert_eq!(headers.get("x-tenant").unwrap(), "one");
        assert_eq!(headers.len(), 2);
        assert!(headers.values().all(HeaderValue::is_sensitive));
        assert!(headers_of("").is_empty());
    }
}
