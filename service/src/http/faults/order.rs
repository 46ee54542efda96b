//! Fault orders.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Serialize;
use serde_json::{Map, Number, Value};

use crate::fields::{FieldError, Fields, whole};
use crate::http::ApiRoute;
use crate::http::probe_routes::MONITORING;

/// Every route of the API, and none of those that say how the service is.
pub(super) const EVERY: &str = "*";
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

const MOST_DELAY_MS: i64 = 30_000;
const MOST_TTL_SECONDS: i64 = 3600;
const MOST_NAME_CHARS: usize = 100;

/// A share of requests in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share(pub(super) u32);

impl Share {
    pub(super) const WHOLE: u32 = 10_000;

    fn from_json(value: &Value) -> Result<Self, String> {
        let hundredths = value.as_f64().filter(|percent| (0.0..=100.0).contains(percent)).map(|p| p * 100.0);
        let exact = hundredths.filter(|hundredths| (hundredths - hundredths.round()).abs() < 1e-6);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 10,000, and whole"
        )]
        let share = exact.map(|hundredths| Self(hundredths.round() as u32));
        share.ok_or_else(|| String::from("a percentage from 0 to 100 with at most two decimals"))
    }

    fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl Serialize for Share {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let percent = if self.0.is_multiple_of(100) {
            Some(Number::from(self.0 / 100))
        } else {
            Number::from_f64(f64::from(self.0) / 100.0)
        };
        percent.serialize(serializer)
    }
}

/// The requests that a fault hits: those of a route, all of them or those with a method or a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// The path template, or `*` for every route of the API.
    pub route: &'static str,
    /// The method; any if absent.
    pub method: Option<&'static str>,
    /// The required header: `name`, or `name: value`.
    pub header: Option<Mark>,
}

/// A header that marks the requests of a drill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    name: HeaderName,
    value: Option<HeaderValue>,
}

impl Mark {
    fn from_json(value: &Value) -> Result<Self, String> {
        let expected = || String::from("a header as `name` or `name: value`");
        let text = value.as_str().filter(|text| text.len() <= 256).ok_or_else(expected)?;
        let (name, value) = text.split_once(':').map_or((text, None), |(name, value)| (name, Some(value)));
        let name = name.trim().parse().map_err(|_| expected())?;
        let value = value.map(|value| value.trim().parse()).transpose().map_err(|_| expected())?;
        Ok(Self { name, value })
    }
}

impl Serialize for Mark {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.value.as_ref().and_then(|value| value.to_str().ok());
        match value {
            Some(value) => serializer.collect_str(&format_args!("{}: {value}", self.name)),
            None => serializer.collect_str(&self.name),
        }
    }
}

impl Target {
    /// Returns whether this is one of the requests.
    pub(super) fn means(&self, route: &str, method: &Method, headers: &HeaderMap) -> bool {
        // Neither probes nor the operators' own routes: whoever breaks everything must still be able to mend it.
        let every = || self.route == EVERY && is_api(route);
        let routed = self.route == route || every();
        routed
            && self.method.is_none_or(|wanted| wanted == method.as_str())
            && self.header.as_ref().is_none_or(|mark| {
                headers
                    .get_all(&mark.name)
                    .iter()
                    .any(|value| mark.value.as_ref().is_none_or(|wanted| wanted == value))
            })
    }
}

/// A fault order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FaultOrder {
    /// The requests that it hits.
    #[serde(flatten)]
    pub target: Target,
    /// Share of requests that are answered with an error.
    pub error_percent: Share,
    /// The status of the error.
    pub status: u16,
    /// Share of requests that are delayed.
    pub delay_percent: Share,
    /// The shortest delay.
    pub delay_ms: u64,
    /// The random part of the delay.
    pub jitter_ms: u64,
    /// The seed of the random part: the same seed gives the same delays.
    pub seed: u64,
    /// Share of requests whose connection is dropped.
    pub drop_percent: Share,
    /// Share of responses that are sent piece by piece.
    pub slow_body_percent: Share,
    /// The duration of a slow response.
    pub slow_body_ms: u64,
    /// True if requests get no database connection.
    pub exhaust_pool: bool,
    /// True if `/readyz` fails.
    pub unready: bool,
    /// The lifetime in seconds.
    pub ttl_seconds: u64,
    /// The name of the operator, for the log.
    pub by: Option<String>,
}

/// Returns whether a route belongs to the API. Faults on every route spare the others.
fn is_api(route: &str) -> bool {
    route.starts_with("/api/")
}

fn switch(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| String::from("true or false"))
}

fn name(value: &Value) -> Result<String, String> {
    let name = value.as_str().map(str::trim).filter(|name| {
        (1..=MOST_NAME_CHARS).contains(&name.chars().count()) && !name.chars().any(char::is_control)
    });
    name.map(str::to_owned).ok_or_else(|| format!("a name of 1 to {MOST_NAME_CHARS} characters"))
}

impl FaultOrder {
    /// Reads an order, or names every field that is wrong.
    pub fn from_json(object: Map<String, Value>, api: &[ApiRoute]) -> Result<Self, Vec<FieldError>> {
        let mut fields = Fields::new(object);
        let milliseconds = |v: &Value| whole(v, 0, MOST_DELAY_MS).map(i64::unsigned_abs);
        let asked = fields.optional("include_health", switch).unwrap_or(false);
        let route = fields.optional("route", |value| route_of(value, asked, api));
        let method = fields.optional("method", |value| {
            let known = METHODS.into_iter().find(|method| value.as_str() == Some(method));
            known.ok_or_else(|| format!("one of {}", METHODS.join(", ")))
        });
        let header = fields.optional("header", Mark::from_json);
        let mut share = |name| fields.optional(name, Share::from_json).unwrap_or_default();
        let (error_percent, delay_percent) = (share("error_percent"), share("delay_percent"));
        let (drop_percent, slow_body_percent) = (share("drop_percent"), share("slow_body_percent"));
        let status = fields.optional("status", |v| whole(v, 400, 599)).unwrap_or(503);
        let delay_ms = fields.optional("delay_ms", milliseconds).unwrap_or(0);
        let jitter_ms = fields.optional("jitter_ms", milliseconds).unwrap_or(0);
        let slow_body_ms = fields.optional("slow_body_ms", milliseconds).unwrap_or(0);
        let seed = fields.optional("seed", |v| whole(v, 0, i64::from(u32::MAX))).unwrap_or(0);
        let exhaust_pool = fields.optional("exhaust_pool", switch).unwrap_or(false);
        let unready = fields.optional("unready", switch).unwrap_or(false);
        let by = fields.optional("by", name);
        let ttl_seconds = fields.required("ttl_seconds", |v| whole(v, 1, MOST_TTL_SECONDS));
        if delay_percent.is_none() != (delay_ms + jitter_ms == 0) {
            fields.refuse("delay_ms", "and delay_percent must be given together");
        }
        if slow_body_percent.is_none() != (slow_body_ms == 0) {
            fields.refuse("slow_body_ms", "and slow_body_percent must be given together");
        }
        let shares = [error_percent, delay_percent, drop_percent, slow_body_percent];
        let hits_requests = shares.iter().any(|share| !share.is_none());
        let named = route.is_some() || fields.has_errors();
        if hits_requests && !named {
            fields.refuse("route", format!("is missing; it must be {}", routes(api)));
        }
        if !hits_requests && !exhaust_pool && !unready && !fields.has_errors() {
            fields.refuse(
                "error_percent",
                "or delay_percent, drop_percent, slow_body_percent, exhaust_pool or unready must be set, or nothing \
                 would happen",
            );
        }
        let errors = fields.errors();
        match (ttl_seconds, u16::try_from(status)) {
            (Some(ttl), Ok(status)) if errors.is_empty() => Ok(Self {
                target: Target { route: route.unwrap_or(EVERY), method, header },
                error_percent,
                status,
                delay_percent,
                delay_ms,
                jitter_ms,
                seed: seed.unsigned_abs(),
                drop_percent,
                slow_body_percent,
                slow_body_ms,
                exhaust_pool,
                unready,
                ttl_seconds: ttl.unsigned_abs(),
                by,
            }),
            _ => Err(errors),
        }
    }

    /// The kinds of what goes wrong.
    pub(super) fn kinds(&self) -> impl Iterator<Item = &'static str> {
        let kinds = [
            ("error", !self.error_percent.is_none()),
            ("delay", !self.delay_percent.is_none()),
            ("drop", !self.drop_percent.is_none()),
            ("slow_body", !self.slow_body_percent.is_none()),
            ("exhaust_pool", self.exhaust_pool),
            ("unready", self.unready),
        ];
        kinds.into_iter().filter(|(_, on)| *on).map(|(kind, _)| kind)
    }

    /// Returns its lifetime.
    pub(super) fn ttl(&self) -> Duration {
        Duration::from_secs(self.ttl_seconds)
    }
}

fn route_of(value: &Value, asked: bool, api: &[ApiRoute]) -> Result<&'static str, String> {
    let paths = api.iter().map(|(route, _, _)| *route).chain([EVERY]);
    let health = MONITORING.into_iter().filter(|_| asked);
    let known = paths.chain(health).find(|route| value.as_str() == Some(route));
    known.ok_or_else(|| routes(api))
}

/// The routes that can be hit, as people read them.
#[must_use]
pub fn routes(api: &[ApiRoute]) -> String {
    let mut routes: Vec<_> = api.iter().map(|(route, _, _)| *route).collect();
    routes.dedup();
    format!(
        "`{EVERY}` or a route under /api/ ({}), or with `include_health` one of {}",
        routes.join(", "),
        MONITORING.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const API: [ApiRoute; 2] = [("/api/v1/things", "GET", 200), ("/api/hello", "GET", 200)];

    fn order(extra: Value) -> Result<FaultOrder, Vec<String>> {
        let mut object = json!({"route": "/api/v1/things", "ttl_seconds": 60});
        for (name, value) in extra.as_object().unwrap() {
            object[name] = value.clone();
        }
        FaultOrder::from_json(object.as_object().unwrap().clone(), &API)
            .map_err(|errors| errors.into_iter().map(|e| format!("{} {}", e.field, e.detail)).collect())
    }

    #[test]
    fn a_wrong_order_names_its_fields() {
        let wrong =
            json!({"route": "/health", "error_percent": 0.001, "status": 200, "ttl_seconds": 0, "why": 1});
        let errors = order(wrong).unwrap_err();
        assert_eq!(
            errors[..4],
            [
                format!("route must be {}, not \"/health\"", routes(&API)),
                String::from(
                    "error_percent must be a percentage from 0 to 100 with at most two decimals, not 0.001"
                ),
                String::from("status must be a whole number from 400 to 599, not 200"),
                String::from("ttl_seconds must be a whole number from 1 to 3600, not 0"),
            ]
        );
        assert!(errors[4].starts_with("why is not known; the fields are "), "{errors:?}");
        assert!(order(json!({})).unwrap_err()[0].contains("nothing would happen"));
        for (given, alone) in [("delay_percent", "delay_ms"), ("slow_body_percent", "slow_body_ms")] {
            let errors = order(json!({given: 10})).unwrap_err();
            assert!(errors[0].starts_with(&format!("{alone} and {given}")), "{errors:?}");
        }
        for (field, value) in [("method", "BREW"), ("header", "not a header"), ("by", ""), ("unready", "yes")]
        {
            let errors = order(json!({"error_percent": 1, field: value})).unwrap_err();
            assert!(errors.len() == 1 && errors[0].starts_with(field), "{errors:?}");
        }
        let without = json!({"error_percent": 1, "ttl_seconds": 5});
        let errors = FaultOrder::from_json(without.as_object().unwrap().clone(), &API).unwrap_err();
        assert_eq!(errors[0].field, "route");
    }

    #[test]
    fn only_marked_requests_are_meant() {
        let target =
            order(json!({"error_percent": 1, "method": "GET", "header": "X-Drill: 7"})).unwrap().target;
        let headers = |value| {
            HeaderMap::from_iter([(HeaderName::from_static("x-drill"), HeaderValue::from_static(value))])
        };
        let route = "/api/v1/things";
        assert!(target.means(route, &Method::GET, &headers("7")));
        assert!(!target.means(route, &Method::GET, &headers("8")));
        assert!(!target.means(route, &Method::GET, &HeaderMap::new()));
        assert!(!target.means(route, &Method::POST, &headers("7")));
        assert!(!target.means("/api/hello", &Method::GET, &headers("7")));
        let every = order(json!({"error_percent": 1, "route": "*"})).unwrap().target;
        assert!(every.means(route, &Method::GET, &HeaderMap::new()));
        assert!(!MONITORING.iter().any(|route| every.means(route, &Method::GET, &HeaderMap::new())));
        let health = order(json!({"error_percent": 1, "route": "/livez", "include_health": true})).unwrap();
        assert!(health.target.means("/livez", &Method::GET, &HeaderMap::new()));
    }
}
