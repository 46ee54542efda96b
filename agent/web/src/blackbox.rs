//! `GET /probe?target=…&module=…`, as blackbox_exporter has it: one probe of a target that the request names.
//!
//! It is there once a module is configured. It needs a token with the scope `probe`, reaches only what `hosts` and
//! `networks` name, and makes a bounded number of probes at once.

use lookout_model::Scope;
use std::time::Duration;

use axum::extract;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use lookout_config::Target;
use lookout_runtime::exposition::Format;
use serde::Deserialize;

use crate::probe_maker::{AT_ONCE, Made};
use crate::{Problem, State, auth};

/// Time left to the scraper to read the answer.
const OFFSET: Duration = Duration::from_millis(500);

/// Module of a request that names none.
const DEFAULT_MODULE: &str = "http_2xx";

/// The header by which Prometheus tells when it gives up, in seconds.
const SCRAPE_TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";

/// Parameters of a request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    target: Option<String>,
    module: Option<String>,
    /// The name of the host, where it is not the one of the address.
    hostname: Option<String>,
    /// True if people ask: the answer is a report, and then the series.
    #[serde(default)]
    debug: bool,
}

/// `GET /probe`
pub(super) async fn probe(
    extract::State(state): extract::State<State>,
    parameters: Result<Query<Parameters>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let modules = &state.config.blackbox.modules;
    if modules.is_empty() {
        let detail = "lookout.yaml has no `blackbox.modules`";
        return Err(Problem::new(StatusCode::NOT_FOUND, "no_modules_configured", detail));
    }
    auth::require(&state.config.tokens, &headers, Scope::Probe)?;
    let Query(parameters) =
        parameters.map_err(|rejection| Problem::bad_request("bad_query", rejection.body_text()))?;
    let target = aim(modules, &parameters, &headers)?;
    let Some(made) = state.probe_maker.make(target).await else {
        let detail = format!("{AT_ONCE} probes run at the moment; try again shortly");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail));
    };
    match made {
        Made::Series { series, report } if parameters.debug => {
            let text = format!("{report}\nThe series of this probe:\n\n{series}");
            Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
        }
        Made::Series { series, .. } => {
            Ok(([(CONTENT_TYPE, Format::Text.content_type())], series).into_response())
        }
        Made::Forbidden(detail) => Err(Problem::new(StatusCode::FORBIDDEN, "forbidden_target", detail)),
        Made::Unknown(detail) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "probe_not_made", detail)),
    }
}

/// Returns the module with the address and the deadline of the request.
fn aim(modules: &[Target], parameters: &Parameters, headers: &HeaderMap) -> Result<Target, Problem> {
    let name = parameters.module.as_deref().unwrap_or(DEFAULT_MODULE);
    let Some(module) = modules.iter().find(|module| module.name == name) else {
        let known: Vec<&str> = modules.iter().map(|module| module.name.as_str()).collect();
        let detail = format!("no module has the name {name:?}; known are {}", known.join(", "));
        return Err(Problem::bad_request("unknown_module", detail));
    };
    let Some(address) = parameters.target.as_deref().filter(|address| !address.is_empty()) else {
        return Err(Problem::bad_request("target_missing", "name what is probed: `?target=…`"));
    };
    let mut target = module
        .aimed_at(address)
        .map_err(|expected| Problem::bad_request("bad_target", format!("this is no target: {expected}")))?;
    if let Some(host) = &parameters.hostname {
        let named = target.named(host);
        target = named.map_err(|why| Problem::bad_request("bad_hostname", format!("`hostname`: {why}")))?;
    }
    if let Some(limit) = scrape_limit(headers)? {
        target.timeout = target.timeout.min(limit);
    }
    Ok(target)
}

/// Returns the time that the scraper waits, without what it needs to read the answer.
fn scrape_limit(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    let Some(value) = headers.get(SCRAPE_TIMEOUT) else { return Ok(None) };
    let seconds = value.to_str().ok().and_then(|text| text.trim().parse::<f64>().ok());
    let limit = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let Some(limit) = limit.filter(|limit| !limit.is_zero()) else {
        let detail = format!("`{SCRAPE_TIMEOUT}` is not a number of seconds above zero");
        return Err(Problem::bad_request("bad_timeout", detail));
    };
    // a scraper of less than the offset gets all of its time
    Ok(Some(limit.checked_sub(OFFSET).filter(|left| !left.is_zero()).unwrap_or(limit)))
}
